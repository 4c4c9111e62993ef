package cache

import (
	"context"
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Cache keeps complete answers: in memory, and behind it in a store if there is one.
// All methods may be used concurrently.
type Cache struct {
	memory *memory // nil where the cache is off
	disk   *disk   // nil without a persistent tier
	config Config  // with defaults filled in
	closed atomic.Bool

	generations *generations
	tag         func(field byte, value string) uint64
	refusals    refusals
	seen        seen
	census      census

	mismatches, tooLarge, void atomic.Int64
}

// New makes a Cache. The error lists every fault of cfg. Without a persistent tier it
// starts nothing but the upkeep of the memory. With one it loads the journal, for a
// second at most: where that takes longer or fails it goes on in the background, and until
// then look-ups leave the store alone. Close ends and frees everything.
func New(cfg Config) (*Cache, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Cache{config: cfg.withDefaults(), generations: newGenerations()}
	if cfg.Off {
		return c, nil
	}
	var err error
	if c.memory, err = newMemory(c.config); err != nil {
		return nil, err
	}
	seed := maphash.MakeSeed()
	c.tag = func(field byte, value string) uint64 {
		return maphash.Comparable(seed, struct {
			field byte
			value string
		}{field, value})
	}
	if p := c.config.Persistent; p != nil {
		c.tag = p.Keys.Tag // the store's records have these
		c.disk = newDisk(c, p)
		c.disk.start()
	}
	return c, nil
}

// Put stores a copy of e under e.Key, in place of what was there, and reports
// whether it did: not where the cache is off or closed, the body larger than
// Config.MaxEntryBytes, e expired at now, or invalidated since it was asked for. It
// never waits for the store: that is written to later. The caller must not change
// e.Body afterwards.
func (c *Cache) Put(e *Entry, now time.Time) bool {
	if c.memory == nil || c.closed.Load() || !now.Before(e.Expires) {
		return false
	}
	if c.TooLarge(len(e.Body)) {
		c.tooLarge.Add(1)
		return false
	}
	s := c.sealed(e, now)
	if !c.memory.fits(s) {
		c.tooLarge.Add(1)
		return false
	}
	if !c.generations.admits(s.Since, s.Key, &s.tags) {
		c.void.Add(1)
		return false
	}
	c.refusals.drop(s.Key)
	if c.disk != nil {
		c.disk.add(s)
	}
	c.memory.put(s)
	c.seen.stored(s, false)
	if !c.settle(s) {
		c.void.Add(1)
		return false
	}
	c.census.of(s.Labels.Operation).stores.Add(1)
	return true
}

// TooLarge reports whether a body of n bytes is too large to be stored, so that
// nobody collects it in vain.
func (c *Cache) TooLarge(n int) bool { return c.memory == nil || int64(n) > c.config.MaxEntryBytes }

// Delete removes the entry of k, if there is one, and has its record deleted. It does
// not hold against an answer that is on its way, nor for certain against the end of
// the process: Invalidate does.
func (c *Cache) Delete(k Key) {
	if c.memory == nil {
		return
	}
	c.memory.delete(k)
	if c.disk != nil {
		if e := c.disk.buffer.get(k); e != nil {
			c.disk.buffer.remove(e)
		}
		c.disk.doom(k)
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

// tagsOf are the tags of labels. A field that is empty has none.
func (c *Cache) tagsOf(l *Labels) (tags Tags) {
	for f, value := range [Fields]string{
		FieldTenant: l.Tenant, FieldOperation: l.Operation, FieldUser: l.User, FieldModel: l.Model, FieldNamespace: l.Namespace,
	} {
		if value != "" {
			tags[f] = c.tag(byte(f), value)
		}
	}
	return tags
}

// Close writes what waits to be written, until ctx ends, ends what New started and
// drops all entries. Later look-ups miss, later Puts store nothing. The error says how
// many entries were not written. It may be called more than once.
func (c *Cache) Close(ctx context.Context) error {
	if c.memory == nil || c.closed.Swap(true) {
		return nil
	}
	var err error
	if c.disk != nil {
		err = c.disk.close(ctx)
	}
	c.memory.close()
	return err
}
