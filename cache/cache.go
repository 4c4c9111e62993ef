package cache

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// Outcome is what a look-up found.
type Outcome uint8

// The outcomes.
const (
	Miss  Outcome = iota // nothing, or nothing that may be served
	Hit                  // a fresh entry
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

// Cache is the memory tier: entries in this process, bounded in bytes. When it is
// full, those go that are least likely to be asked for again, by frequency and
// recency, so that a scan through many keys does not displace what is in use. All
// methods may be used concurrently.
type Cache struct {
	entries *otter.Cache[Key, *Entry] // nil where the cache is off
	config  Config                    // with defaults filled in
	total   int64                     // what all entries together may weigh
	least   int64                     // what each of them weighs at the least
	closed  atomic.Bool

	bytes, weight                   atomic.Int64 // of the entries in the store
	hits, misses, stale, mismatches atomic.Int64
	stores, tooLarge, evictions     atomic.Int64
}

// Stats counts what a Cache holds, and what happened since New.
type Stats struct {
	Entries int   // kept now, stale ones included
	Bytes   int64 // memory that they take, bookkeeping included

	Hits, Misses, Stale int64 // look-ups by outcome
	Stores              int64 // entries stored, replacements included
	Evictions           int64 // entries that had to make room for others
	TooLarge            int64 // entries refused for their size
	// Mismatches counts look-ups that found an entry of another key or tenant. They
	// are among the misses. It stays zero unless something is badly wrong.
	Mismatches int64
}

// New makes a Cache. The error lists every fault of cfg. Close frees what it holds.
func New(cfg Config) (*Cache, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Cache{config: cfg.withDefaults()}
	c.total, c.least = c.config.bounds()
	if cfg.Off {
		return c, nil
	}
	entries, err := otter.New(&otter.Options[Key, *Entry]{
		MaximumWeight:    uint64(c.total),
		Weigher:          func(_ Key, e *Entry) uint32 { return uint32(c.weigh(e)) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, *Entry]) time.Duration { return e.Value.keep }),
		OnAtomicDeletion: c.dropped,
		// The store's upkeep runs on the goroutine that gave rise to it: short work,
		// and nothing to wait for at the end.
		Executor: func(upkeep func()) { upkeep() },
	})
	if err != nil {
		return nil, err
	}
	c.entries = entries
	return c, nil
}

// Get looks k up for tenant, the one that Owner gives. A Hit is fresh at now. A
// Stale entry is returned too, for those who can use it: it is not an answer by
// itself. An entry that was stored for another key or tenant counts as a Miss.
func (c *Cache) Get(k Key, tenant string, now time.Time) (*Entry, Outcome) {
	if c.entries == nil {
		return nil, Miss
	}
	e, ok := c.entries.GetIfPresent(k)
	switch {
	case !ok:
		c.misses.Add(1)
		return nil, Miss
	case e.Key != k || e.Tenant != tenant:
		c.mismatches.Add(1)
		c.misses.Add(1)
		return nil, Miss
	case !now.Before(e.Expires):
		c.stale.Add(1)
		return e, Stale
	}
	c.hits.Add(1)
	return e, Hit
}

// Peek is Get for a second look: it returns fresh entries only and counts nothing.
func (c *Cache) Peek(k Key, tenant string, now time.Time) *Entry {
	if c.entries == nil {
		return nil
	}
	e, ok := c.entries.GetIfPresent(k)
	if !ok || e.Key != k || e.Tenant != tenant || !now.Before(e.Expires) {
		return nil
	}
	return e
}

// Put stores a copy of e under e.Key, in place of what was there, and reports
// whether it did: not where the cache is off or closed, the body larger than
// Config.MaxEntryBytes, or e expired at now. The caller must not change e.Body
// afterwards.
func (c *Cache) Put(e *Entry, now time.Time) bool {
	if c.entries == nil || c.closed.Load() || !now.Before(e.Expires) {
		return false
	}
	if c.TooLarge(len(e.Body)) {
		c.tooLarge.Add(1)
		return false
	}
	s := e.sealed(now, c.config.StaleFor)
	if c.weigh(s) > c.total {
		c.tooLarge.Add(1)
		return false
	}
	c.bytes.Add(s.size)
	weight := c.weight.Add(c.weigh(s))
	c.entries.Set(s.Key, s)
	c.stores.Add(1)
	// The store evicts a little later than it takes in. Where many large entries
	// arrive at once, whoever goes past the bound does the clearing up.
	if weight > c.total+c.total/64 {
		c.entries.CleanUp()
	}
	return true
}

// TooLarge reports whether a body of n bytes is too large to be stored, so that
// nobody collects it in vain.
func (c *Cache) TooLarge(n int) bool { return c.entries == nil || int64(n) > c.config.MaxEntryBytes }

// Delete removes the entry of k, if there is one.
func (c *Cache) Delete(k Key) {
	if c.entries != nil {
		c.entries.Invalidate(k)
	}
}

// Expiry is when an entry that is stored at now with a time to live of ttl stops
// being fresh: after ttl (at most a hundred years), give or take the configured
// jitter.
func (c *Cache) Expiry(now time.Time, ttl time.Duration) time.Time {
	ttl = min(ttl, maxTTL)
	if c.config.Jitter > 0 {
		ttl += time.Duration(c.config.Jitter * (2*rand.Float64() - 1) * float64(ttl))
	}
	return now.Add(ttl)
}

// Stats counts. The numbers are read one by one while the cache is in use, so they
// may be a few calls apart.
func (c *Cache) Stats() Stats {
	s := Stats{
		Bytes: c.bytes.Load(),
		Hits:  c.hits.Load(), Misses: c.misses.Load(), Stale: c.stale.Load(), Mismatches: c.mismatches.Load(),
		Stores: c.stores.Load(), TooLarge: c.tooLarge.Load(), Evictions: c.evictions.Load(),
	}
	if c.entries != nil {
		s.Entries = c.entries.EstimatedSize()
	}
	return s
}

// Close drops all entries and ends the store's clean-up goroutine before it
// returns. Later look-ups miss, later Puts store nothing. It may be called more
// than once.
func (c *Cache) Close() {
	if c.entries == nil || c.closed.Swap(true) {
		return
	}
	c.entries.StopAllGoroutines()
	c.entries.InvalidateAll()
}

// weigh is what an entry counts against the bound.
func (c *Cache) weigh(e *Entry) int64 { return max(e.size, c.least) }

// dropped keeps the books of what leaves the store, for whatever reason. It runs
// under a lock of the store and must not call it.
func (c *Cache) dropped(d otter.DeletionEvent[Key, *Entry]) {
	c.bytes.Add(-d.Value.size)
	c.weight.Add(-c.weigh(d.Value))
	if d.Cause == otter.CauseOverflow {
		c.evictions.Add(1)
	}
}
