package backlog

import (
	"slices"

	"github.com/forebay-ai/forebay/llm"
)

// band is what is queued in one band, and how many of its jobs are claimed.
type band struct {
	priority llm.Priority
	turns    map[string]*turn // by tenant
	ring     *turn            // the tenant that is next; nil when nobody has a job that may be claimed
	active   int              // tenants in the ring
	in       [places]int      // jobs by place
	parked   int              // those of in[ready] whose operation is paused
	delayed  heap[*item]      // by due
	holds    holds
	left     int64 // when the first of the jobs that are left to others may be claimed; 0: there are none
}

// waiting counts the jobs that may be claimed.
func (b *band) waiting() int { return b.in[ready] - b.parked }

// busy counts the jobs that take up this desk's claims.
func (b *band) busy() int { return b.in[claiming] + b.in[leased] }

// turn is one tenant in one band, and its place in the ring.
type turn struct {
	tenant     string
	band       *band
	lines      []*line // one an operation; operations come from the configuration and are few
	waiting    int     // jobs that may be claimed
	prev, next *turn   // in the ring; nil while it is not in it
}

// line holds the jobs of one tenant, band and operation that are ready, oldest first:
// a list, to which jobs are added at either end, and a heap for those that come back
// into the middle. The list makes a claim cost the same with a million jobs.
type line struct {
	turn        *turn
	op          *operation
	index       int // in op.lines
	first, last *item
	listed      int
	back        heap[*item]
	users       int // items that point here, ready or not
}

// operation is one name, and whether its jobs may be claimed.
type operation struct {
	name   string
	paused bool
	lines  []*line
}

func posOf(it *item) *int32    { return &it.pos }
func expiryOf(it *item) *int32 { return &it.expiry }

func (l *line) len() int { return l.listed + len(l.back.items) }

// head is the oldest job, or nil.
func (l *line) head() *item {
	it, ok := l.back.first()
	if !ok || l.first != nil && older(l.first, it) {
		return l.first
	}
	return it
}

// add puts a job in its place by age.
func (l *line) add(it *item) {
	switch {
	case l.first == nil:
		l.first, l.last, it.seq = it, it, 0
	case older(l.last, it):
		it.prev, it.seq = l.last, l.last.seq+1
		l.last.next, l.last = it, it
	case older(it, l.first):
		it.next, it.seq = l.first, l.first.seq-1
		l.first.prev, l.first = it, it
	default:
		l.back.push(it)
		l.count(1)
		return
	}
	l.listed++
	l.count(1)
}

func (l *line) remove(it *item) {
	if it.pos >= 0 {
		l.back.remove(it)
		l.count(-1)
		return
	}
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		l.first = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		l.last = it.prev
	}
	it.prev, it.next = nil, nil
	l.listed--
	l.count(-1)
}

// count notes that n jobs of the line came (or went).
func (l *line) count(n int) {
	if l.op.paused {
		l.turn.band.parked += n
		return
	}
	l.turn.wait(n)
}

// wait notes that n more of the tenant's jobs may be claimed: it joins the ring at
// the end with the first, and leaves it with the last.
func (t *turn) wait(n int) {
	before := t.waiting
	t.waiting += n
	switch b := t.band; {
	case before == 0 && t.waiting > 0:
		b.active++
		if b.ring == nil {
			b.ring, t.prev, t.next = t, t, t
			return
		}
		t.prev, t.next = b.ring.prev, b.ring
		t.prev.next, t.next.prev = t, t
	case before > 0 && t.waiting == 0:
		b.active--
		t.prev.next, t.next.prev = t.next, t.prev
		if b.ring == t {
			b.ring = t.next
		}
		if b.active == 0 {
			b.ring = nil
		}
		t.prev, t.next = nil, nil
	}
}

// next is the job that is claimed next, or nil.
func (b *band) next() *item {
	if b.ring == nil {
		return nil
	}
	var first *item
	for _, l := range b.ring.lines {
		if l.op.paused {
			continue
		}
		if it := l.head(); it != nil && (first == nil || older(it, first)) {
			first = it
		}
	}
	return first
}

// rotate ends the turn of the tenant that had it: deficit round robin with one job as the quantum.
func (b *band) rotate(t *turn) { b.ring = t.next }

// lineOf finds or makes the line of a tenant's operation in a band.
func (d *Desk) lineOf(b *band, tenant, operation string) *line {
	t := b.turns[tenant]
	if t == nil {
		t = &turn{tenant: tenant, band: b}
		b.turns[tenant] = t
	}
	for _, l := range t.lines {
		if l.op.name == operation {
			return l
		}
	}
	op := d.operation(operation)
	l := &line{turn: t, op: op, index: len(op.lines), back: heap[*item]{before: older, index: posOf}}
	op.lines = append(op.lines, l)
	t.lines = append(t.lines, l)
	return l
}

// settleIn makes a line the item's; leaveLine gives it back, and forgets one that nobody uses.
func (l *line) settleIn(it *item) {
	it.line = l
	l.users++
}

func (d *Desk) leaveLine(it *item) {
	l := it.line
	it.line = nil
	if l.users--; l.users > 0 {
		return
	}
	op, t := l.op, l.turn
	last := op.lines[len(op.lines)-1]
	op.lines[l.index], last.index = last, l.index
	op.lines[len(op.lines)-1] = nil
	op.lines = op.lines[:len(op.lines)-1]
	if len(op.lines) == 0 && !op.paused {
		delete(d.operations, op.name)
	}
	if t.lines = slices.DeleteFunc(t.lines, func(o *line) bool { return o == l }); len(t.lines) == 0 {
		delete(t.band.turns, t.tenant)
	}
}

func (d *Desk) operation(name string) *operation {
	op := d.operations[name]
	if op == nil {
		op = &operation{name: name}
		d.operations[name] = op
	}
	return op
}

// Pause keeps jobs of an operation from being claimed; those that are claimed go on. It
// costs as much as there are tenants with such jobs, however many jobs they have.
func (d *Desk) Pause(operation string) { d.setPaused(operation, true) }

// Resume lets jobs of an operation be claimed again: they are where they were in the order.
func (d *Desk) Resume(operation string) { d.setPaused(operation, false) }

func (d *Desk) setPaused(name string, paused bool) {
	op := d.operation(name)
	if op.paused != paused {
		for _, l := range op.lines {
			l.count(-l.len())
		}
		op.paused = paused
		for _, l := range op.lines {
			l.count(l.len())
		}
	}
	if len(op.lines) == 0 && !paused {
		delete(d.operations, name)
	}
}

// Paused lists the paused operations in order.
func (d *Desk) Paused() []string {
	var names []string
	for name, op := range d.operations {
		if op.paused {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
