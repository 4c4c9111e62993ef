package cache

import (
	"context"
	"time"
)

// Outcome is what a look-up found.
type Outcome uint8

// The outcomes.
const (
	Miss  Outcome = iota // nothing, or nothing that may be served
	Hit                  // a fresh entry, or a fresh refusal
	Stale                // an entry that has expired and is still kept
)

// String is the outcome's name in lower case.
func (o Outcome) String() string {
	switch o {
	case Hit:
		return "hit"
	case Stale:
		return "stale"
	}
	return "miss"
}

// Reason is why a look-up was no hit: the value of a metric's label.
type Reason string

// The reasons.
const (
	ReasonNone          Reason = ""              // it was a hit
	ReasonNeverSeen     Reason = "never_seen"    // no answer was stored, as far as is known
	ReasonExpired       Reason = "expired"       // the entry was no longer fresh
	ReasonInvalidated   Reason = "invalidated"   // the entry was void
	ReasonScope         Reason = "scope"         // only somebody else has an answer to this
	ReasonEvicted       Reason = "evicted"       // it had to make room, or was dropped after its time
	ReasonUndecryptable Reason = "undecryptable" // its data key is gone
	ReasonDamaged       Reason = "damaged"       // it was not what had been stored
	ReasonStoreDown     Reason = "store_down"    // the store failed, or did not answer in time
)

// reasons lists them; a reason's place in it is its index in counters.
var reasons = [...]Reason{
	ReasonNeverSeen, ReasonExpired, ReasonInvalidated, ReasonScope, ReasonEvicted,
	ReasonUndecryptable, ReasonDamaged, ReasonStoreDown,
}

// Query is what a look-up asks for.
type Query struct {
	Key Key
	// Tenant and User are those of Entry: the owners that the scope gives.
	Tenant, User string
	// Labels say who asks for what.
	Labels Labels
	// Digest is that of Entry. Zero means unknown.
	Digest uint64
	// Now is the time at which an entry has to be fresh.
	Now time.Time
}

// Found is what a look-up found.
type Found struct {
	Entry   *Entry // nil for a Miss, and where Err is set
	Outcome Outcome
	Reason  Reason // why it is no Hit
	Disk    bool   // the entry came from the store
	// Err is the error of a cached refusal (StoreRefusal). The outcome is Hit.
	Err error
}

// Find looks for an answer: in memory, among the entries that wait to be written,
// and then in the store. A Hit is fresh at q.Now. A Stale entry is returned too, for
// those who can use it: it is not an answer by itself. An entry that was stored for
// another key, tenant or user, or that was invalidated, is a Miss.
//
// Find returns soon after ctx has ended, and waits for the store no longer than
// Persistent.Timeout, but for half a second where the process stood still and has to read
// the invalidations of others first.
func (c *Cache) Find(ctx context.Context, q Query) Found {
	if c.memory == nil {
		return Found{}
	}
	if c.disk != nil {
		c.disk.wake(ctx, q.Now)
	}
	f, known := c.near(&q)
	switch {
	case known:
	case c.disk == nil:
		f.Reason = c.seen.why(&q.Key, q.Digest)
	default:
		f = c.disk.find(ctx, q)
	}
	c.census.of(q.Labels.Operation).count(&f)
	return f
}

// Get is Find in memory alone, for entries that have no User.
func (c *Cache) Get(k Key, tenant string, now time.Time) (*Entry, Outcome) {
	if c.memory == nil {
		return nil, Miss
	}
	q := Query{Key: k, Tenant: tenant, Now: now}
	f, known := c.near(&q)
	if !known {
		f.Reason = c.seen.why(&k, 0)
	}
	c.census.of("").count(&f)
	return f.Entry, f.Outcome
}

// Peek is Find for a second look: without the store, for fresh entries only, and it
// counts nothing.
func (c *Cache) Peek(q Query) *Entry {
	if c.memory == nil {
		return nil
	}
	e, _ := c.nearest(&q)
	if e == nil {
		return nil
	}
	if f := c.judge(e, &q); f.Outcome == Hit {
		return f.Entry
	}
	return nil
}

// near looks into what this process holds. known is false where that says nothing.
func (c *Cache) near(q *Query) (f Found, known bool) {
	e, waits := c.nearest(q)
	if e != nil {
		if f = c.judge(e, q); f.Outcome == Hit {
			if waits { // evicted before it was written, and asked for again
				c.promote(e)
			}
			return f, true
		}
	}
	if err := c.refused(q); err != nil {
		return Found{Outcome: Hit, Err: err}, true
	}
	return f, e != nil
}

// nearest returns what is kept under the key of q, whatever it is, or nil. waits says
// that it is not in memory but waits to be written.
func (c *Cache) nearest(q *Query) (e *Entry, waits bool) {
	if e, ok := c.memory.get(q.Key); ok {
		return e, false
	}
	if c.disk == nil {
		return nil, false
	}
	e = c.disk.buffer.get(q.Key)
	return e, e != nil
}

// judge decides what an entry that was found is worth to q.
func (c *Cache) judge(e *Entry, q *Query) Found {
	switch {
	case e.Key != q.Key || e.Tenant != q.Tenant || e.User != q.User:
		c.mismatches.Add(1)
		return Found{Reason: ReasonDamaged}
	case !c.generations.valid(e):
		c.evict(e)
		return Found{Reason: ReasonInvalidated}
	case q.Now.Before(e.Expires):
		return Found{Entry: e, Outcome: Hit}
	case q.Now.Before(e.Expires.Add(c.config.StaleFor)):
		return Found{Entry: e, Outcome: Stale, Reason: ReasonExpired}
	}
	return Found{Reason: ReasonExpired}
}

// evict removes an entry that is void. What was put in its place meanwhile may go
// with it, which costs a miss.
func (c *Cache) evict(e *Entry) {
	c.memory.delete(e.Key)
	if c.disk != nil {
		c.disk.buffer.remove(e)
	}
	c.seen.stored(e, true)
}

// promote puts an entry that was found elsewhere into memory.
func (c *Cache) promote(e *Entry) {
	if _, newer := c.memory.get(e.Key); newer || c.closed.Load() || !c.memory.fits(e) {
		return
	}
	c.memory.put(e)
	c.seen.stored(e, false)
	c.settle(e)
}

// settle takes an entry out again that was invalidated while it was put in: whoever
// invalidates looks through the memory once. An entry that stayed behind would be
// refused by look-ups, but only as long as the invalidation is remembered.
func (c *Cache) settle(e *Entry) (valid bool) {
	if c.generations.valid(e) {
		return true
	}
	c.evict(e)
	return false
}
