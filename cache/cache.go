package cache

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
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

// Cache keeps complete answers. All methods may be used concurrently.
type Cache struct {
	memory *memory // nil where the cache is off
	config Config  // with defaults filled in
	closed atomic.Bool

	hits, misses, stale, mismatches atomic.Int64
	stores, tooLarge                atomic.Int64
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
	if cfg.Off {
		return c, nil
	}
	var err error
	c.memory, err = newMemory(c.config)
	return c, err
}

// Get looks k up for tenant, the one that Owner gives. A Hit is fresh at now. A
// Stale entry is returned too, for those who can use it: it is not an answer by
// itself. An entry that was stored for another key or tenant counts as a Miss.
func (c *Cache) Get(k Key, tenant string, now time.Time) (*Entry, Outcome) {
	if c.memory == nil {
		return nil, Miss
	}
	e, ok := c.memory.get(k)
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
	if c.memory == nil {
		return nil
	}
	e, ok := c.memory.get(k)
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
	if c.memory == nil || c.closed.Load() || !now.Before(e.Expires) {
		return false
	}
	if c.TooLarge(len(e.Body)) {
		c.tooLarge.Add(1)
		return false
	}
	s := e.sealed(now, c.config.StaleFor)
	if !c.memory.fits(s) {
		c.tooLarge.Add(1)
		return false
	}
	c.memory.put(s)
	c.stores.Add(1)
	return true
}

// TooLarge reports whether a body of n bytes is too large to be stored, so that
// nobody collects it in vain.
func (c *Cache) TooLarge(n int) bool { return c.memory == nil || int64(n) > c.config.MaxEntryBytes }

// Delete removes the entry of k, if there is one.
func (c *Cache) Delete(k Key) {
	if c.memory != nil {
		c.memory.delete(k)
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
		Hits: c.hits.Load(), Misses: c.misses.Load(), Stale: c.stale.Load(), Mismatches: c.mismatches.Load(),
		Stores: c.stores.Load(), TooLarge: c.tooLarge.Load(),
	}
	if c.memory != nil {
		s.Entries, s.Bytes, s.Evictions = c.memory.entries.EstimatedSize(), c.memory.bytes.Load(), c.memory.evictions.Load()
	}
	return s
}

// Close drops all entries and ends the store's clean-up goroutine before it
// returns. Later look-ups miss, later Puts store nothing. It may be called more
// than once.
func (c *Cache) Close() {
	if c.memory == nil || c.closed.Swap(true) {
		return
	}
	c.memory.close()
}
