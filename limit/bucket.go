package limit

// bucket holds what may be used up: it gains perMinute a minute, evenly, up to one
// minute's worth. It counts in units of 1/minute of a token, so that a microsecond
// brings exactly perMinute of them and no rounding adds up. Its zero value is no bound.
type bucket struct {
	perMinute int64 // also what a bucket holds at most; 0: no bound
	units     int64 // below 0: owed
}

func newBucket(perMinute int) bucket {
	return bucket{perMinute: int64(perMinute), units: int64(perMinute) * minute}
}

// fill adds what us microseconds bring.
func (b *bucket) fill(us int64) {
	// The longest debt is over after debtMinutes, and a minute later the bucket is full.
	us = min(us, (debtMinutes+1)*minute)
	b.units = min(b.units+us*b.perMinute, b.perMinute*minute)
}

// share is the part of n that one call may take: not more than the bucket ever holds.
func (b *bucket) share(n int) int64 {
	return min(int64(max(n, 0)), b.perMinute)
}

// wait is in how many microseconds n are there.
func (b *bucket) wait(n int) int64 {
	if b.perMinute == 0 {
		return 0
	}
	missing := b.share(n)*minute - b.units
	if missing <= 0 {
		return 0
	}
	return (missing + b.perMinute - 1) / b.perMinute
}

// take removes n and returns how many that were.
func (b *bucket) take(n int) int64 {
	taken := b.share(n)
	b.units -= taken * minute
	return taken
}

// settle replaces what was taken by what was used.
func (b *bucket) settle(taken int64, used int) {
	if b.perMinute == 0 {
		return
	}
	most := (debtMinutes + 1) * b.perMinute // more than this cannot make a difference
	b.units += (taken - min(int64(max(used, 0)), taken+most)) * minute
	b.units = min(max(b.units, -debtMinutes*b.perMinute*minute), b.perMinute*minute)
}

// left is what is there in whole tokens, rounded down.
func (b *bucket) left() int {
	n := b.units / minute
	if b.units%minute < 0 {
		n--
	}
	return int(n)
}

// reservation is one that is not settled yet, or a free place.
type reservation struct {
	serial     uint32
	open       bool
	prev, next int32 // in order of time, as places plus 1; for free places next is the next free one
	at         int64 // microseconds of the quota's clock
	tokens     int64
}

// reservations are the open ones in order of time. Places are used again, so that
// nothing is allocated once there are as many as are open at once.
type reservations struct {
	n                 int
	first, last, free int32 // places plus 1; 0: none
	slots             []reservation
}

func (o *reservations) add(at, tokens int64) Reservation {
	place := o.free
	if place == 0 {
		o.slots = append(o.slots, reservation{})
		place = int32(len(o.slots))
	} else {
		o.free = o.slots[place-1].next
	}
	r := &o.slots[place-1]
	*r = reservation{serial: r.serial + 1, open: true, prev: o.last, at: at, tokens: tokens}
	if o.last != 0 {
		o.slots[o.last-1].next = place
	} else {
		o.first = place
	}
	o.last = place
	o.n++
	return Reservation{slot: place, serial: r.serial}
}

// remove ends a reservation and returns its tokens; false for one that has ended.
func (o *reservations) remove(id Reservation) (int64, bool) {
	if id.slot < 1 || int(id.slot) > len(o.slots) {
		return 0, false
	}
	r := &o.slots[id.slot-1]
	if !r.open || r.serial != id.serial {
		return 0, false
	}
	if r.prev != 0 {
		o.slots[r.prev-1].next = r.next
	} else {
		o.first = r.next
	}
	if r.next != 0 {
		o.slots[r.next-1].prev = r.prev
	} else {
		o.last = r.prev
	}
	r.open, r.next = false, o.free
	o.free = id.slot
	o.n--
	return r.tokens, true
}

// expire ends those that were made before a moment.
func (o *reservations) expire(before int64) {
	for o.first != 0 && o.slots[o.first-1].at < before {
		o.remove(Reservation{slot: o.first, serial: o.slots[o.first-1].serial})
	}
}
