package queue

import "container/list"

// turn is the line of one tenant in one band, and that tenant's place in the ring.
type turn struct {
	tenant  string
	sync    chain // synchronous requests
	durable chain // claimed jobs
	gone    int   // synchronous requests that left it, served or not
	slow    bool  // its oldest was over the target while the band stood; see delay
	ring    *list.Element
}

func newTurn(tenant string) *turn {
	return &turn{tenant: tenant, sync: chain{of: inTurn}, durable: chain{of: inTurn}}
}

// len is how many wait in it.
func (t *turn) len() int { return t.sync.n + t.durable.n }

// push puts an item behind the others.
func (t *turn) push(it *item) {
	it.turn = t
	if it.durable {
		it.due = t.gone + t.sync.n
		t.durable.push(it)
		return
	}
	t.sync.push(it)
}

func (t *turn) remove(it *item) {
	it.turn = nil
	if it.durable {
		t.durable.remove(it)
		return
	}
	t.sync.remove(it)
	t.gone++
}

// next is who goes when it is this tenant's turn: the oldest, or with newestFirst
// the newest synchronous one. A durable one has the place of its arrival either
// way: newest first, it goes when as many have left as were before it.
func (t *turn) next(newestFirst bool) *item {
	s, d := t.sync.first, t.durable.first
	switch {
	case s == nil:
		return d
	case d != nil && (d.seq < s.seq || newestFirst && d.due <= t.gone):
		return d
	case newestFirst:
		return t.sync.last
	}
	return s
}

// last is the synchronous one that would go last, or nil.
func (t *turn) last(newestFirst bool) *item {
	if newestFirst {
		return t.sync.first
	}
	return t.sync.last
}

// rank says which of its tenant's turns an item goes in, from 1, if nobody comes.
func (t *turn) rank(it *item, newestFirst bool) int {
	n := 1
	switch {
	case !newestFirst: // all that came before
		n += older(&t.sync, it) + older(&t.durable, it)
	case it.durable:
		n += older(&t.durable, it) + t.before(it)
	default: // all that came after, and the durable ones who do not wait for more than these
		newer := 0
		for o := t.sync.after(it); o != nil; o = t.sync.after(o) {
			newer++
		}
		n += newer
		for d := t.durable.first; d != nil && t.before(d) <= newer; d = t.durable.after(d) {
			n++
		}
	}
	return n
}

// before is how many synchronous requests go before a durable one where the newest
// go first.
func (t *turn) before(d *item) int {
	if t.sync.n == 0 || d.seq < t.sync.first.seq {
		return 0
	}
	return min(max(d.due-t.gone, 0), t.sync.n)
}

// older is how many of the chain came before an item.
func older(c *chain, it *item) int {
	n := 0
	for o := c.first; o != nil && o.seq < it.seq; o = c.after(o) {
		n++
	}
	return n
}
