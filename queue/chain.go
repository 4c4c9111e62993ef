package queue

// The chains that an item hangs in while it waits.
const (
	inBand  = iota // everybody of its band
	inClass        // the synchronous ones of its band; durable ones are in none
	inTurn         // those of its tenant that are of its kind
	chains
)

// links are an item's neighbours in one chain.
type links struct{ before, after *item }

// chain is a list of waiting items in order of arrival. Its links are in the items,
// so that joining and leaving allocate nothing.
type chain struct {
	first, last *item
	n           int
	of          int // which links of an item it uses
}

func (c *chain) push(it *item) {
	it.links[c.of] = links{before: c.last}
	if c.last == nil {
		c.first = it
	} else {
		c.last.links[c.of].after = it
	}
	c.last = it
	c.n++
}

func (c *chain) remove(it *item) {
	l := it.links[c.of]
	if l.before == nil {
		c.first = l.after
	} else {
		l.before.links[c.of].after = l.after
	}
	if l.after == nil {
		c.last = l.before
	} else {
		l.after.links[c.of].before = l.before
	}
	it.links[c.of] = links{}
	c.n--
}

// after is the item behind it, or nil.
func (c *chain) after(it *item) *item { return it.links[c.of].after }

// nth gives the n-th from 0, or nil.
func (c *chain) nth(n int) *item {
	if n >= c.n {
		return nil
	}
	it := c.first
	for range n {
		it = c.after(it)
	}
	return it
}
