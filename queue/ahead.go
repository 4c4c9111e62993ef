package queue

import "time"

// rank says which of its tenant's turns a waiting item goes in, from 1.
func (o *order) rank(it *item) int { return it.turn.rank(it, o.bands[it.band].backwards(it.turn)) }

// ahead estimates how many requests get a slot before the k-th (from 1) of some
// tenant in a band that arrives, or has arrived, at a given time. Those who will
// come later are not known. With counted the request is in the order already.
func (o *order) ahead(bandIndex, k int, at time.Time, counted bool) int {
	b := &o.bands[bandIndex]
	own := b.before(k)
	if counted {
		own--
	}
	// When its turn comes, one of the own+1 oldest of its band waits still: others
	// with a younger claim than that come after it.
	if it := b.all.nth(own); it != nil && it.at.Before(at) {
		at = it.at
	}
	others, score := 0, at.Add(b.offset)
	for i := range o.bands {
		if i != bandIndex {
			others += o.bands[i].countUntil(score)
		}
	}
	// What the others get before it is bounded by its band's share of the slots.
	share := o.floor
	if bandIndex == critical {
		share = o.reserve
	}
	if share > 0 {
		others = min(others, int(float64(own+1)*(1-share)/share))
	}
	return own + others
}

// before is how many of the band are served before the k-th of a tenant, and with
// it if it is in the band: as many of each tenant as it is in its own line.
func (b *band) before(k int) int {
	n := 0
	for e := b.ring.Front(); e != nil; e = e.Next() {
		n += min(e.Value.(*turn).len(), k)
	}
	return n
}

// countUntil is how many of the band have a score up to the given one.
func (b *band) countUntil(score time.Time) int {
	if b.all.n == 0 || !b.all.last.at.Add(b.offset).After(score) {
		return b.all.n
	}
	n := 0
	for it := b.all.first; it != nil && !it.at.Add(b.offset).After(score); it = b.all.after(it) {
		n++
	}
	return n
}
