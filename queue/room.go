package queue

// Who gives way when there are too many: synchronous requests only. A durable one
// takes no room here, its number is bounded where it is claimed.

// synchronous is how many wait that Config.Max is about.
func (o *order) synchronous() int { return o.waiting - o.durable }

// victim gives who has to leave for it, which waits already, when there are too
// many: of the tenant with the most, in the lowest band below its own that has
// more than its sure places; if its own band has not, in the lowest band above
// that has more; else in its own band, if that tenant has more waiting than its own
// has. Of that tenant's it is the one that would go last: the newest, or the oldest
// where the newest go first. Nil means that nobody has to.
func (o *order) victim(it *item) *item {
	for i := range o.bands {
		claim := i < it.band || i > it.band && !o.aboveSure(it.band)
		if claim && o.aboveSure(i) {
			return o.bands[i].last()
		}
	}
	b := &o.bands[it.band]
	if t := b.greediest(); t != nil && t.sync.n > it.turn.sync.n {
		return t.last(b.backwards(t))
	}
	return nil
}

// lowest gives who has to leave in the lowest band below the given one that has
// any, or nil.
func (o *order) lowest(below int) *item {
	for i := range below {
		if o.bands[i].sync.n > 0 {
			return o.bands[i].last()
		}
	}
	return nil
}

// aboveSure says that a band has more waiting than the places it is sure of.
func (o *order) aboveSure(bandIndex int) bool {
	return o.bands[bandIndex].sync.n > o.sure[bandIndex]
}

// bytesBelow sums up what waits in lower bands.
func (o *order) bytesBelow(bandIndex int) int64 {
	var n int64
	for i := range bandIndex {
		n += o.bands[i].bytes
	}
	return n
}

// last is the synchronous request of the greediest tenant that would go last. The
// band has one.
func (b *band) last() *item {
	t := b.greediest()
	return t.last(b.backwards(t))
}

// greediest is the tenant with the most synchronous requests waiting, where equal
// the one whose newest came last, or nil.
func (b *band) greediest() *turn {
	var most *turn
	for e := b.ring.Front(); e != nil; e = e.Next() {
		t := e.Value.(*turn)
		if t.sync.n > 0 && (most == nil || t.sync.n > most.sync.n ||
			t.sync.n == most.sync.n && t.sync.last.seq > most.sync.last.seq) {
			most = t
		}
	}
	return most
}
