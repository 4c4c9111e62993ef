package cache

import (
	"context"
	"time"
)

// Kill ends a cache as the end of the process would: nothing that waits is written.
func (c *Cache) Kill() {
	c.closed.Store(true)
	if c.disk != nil {
		c.disk.cancel()
		<-c.disk.ended
	}
	c.memory.close()
}

// EvictFromMemory makes room for others, as it were.
func (c *Cache) EvictFromMemory(k Key) { c.memory.delete(k) }

// InMemory asks the memory alone.
func (c *Cache) InMemory(k Key) bool {
	_, ok := c.memory.get(k)
	return ok
}

// PutUnsettled is Put up to where the entry is in memory, with between called when it
// was admitted and is not there yet. It returns what Put does from there on.
func (c *Cache) PutUnsettled(e *Entry, now time.Time, between func()) (settle func() bool) {
	s := c.sealed(e, now)
	if !c.generations.admits(s.Since, s.Key, &s.tags) {
		return func() bool { return false }
	}
	between()
	if c.disk != nil {
		c.disk.add(s)
	}
	c.memory.put(s)
	return func() bool { return c.settle(s) }
}

// Remembered is how many invalidations are remembered.
func (c *Cache) Remembered() (kept, masks, unswept int) {
	g := c.generations
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.kept), len(g.masks), len(g.unswept)
}

// Noted notes an invalidation as the journal gave it.
func (c *Cache) Noted(s Scope, number uint64) {
	c.generations.note(true, 0, Invalidation{Number: number, Match: c.match(s), At: time.Now()})
}

// Match is the match of a scope.
func (c *Cache) Match(s Scope) Match { return c.match(s) }

// Health is the breaker of the store, for its table.
type Health struct{ health }

// Allow is allow.
func (h *Health) Allow(now time.Time) (ok, probe bool) { return h.allow(now) }

// Record is record.
func (h *Health) Record(now time.Time, ok, probe bool) { h.record(now, ok, probe) }

// AppendEntry and DecodeEntry are the codec.
var (
	AppendEntry = appendEntry
	DecodeEntry = decodeEntry
)

// AAD is what the envelope of an entry is bound to.
func AAD(e *Entry) []byte {
	return appendAAD(nil, &e.Key, [2]string{e.Tenant, e.User}, e.Expires, e.Since)
}

// Idle waits until nothing waits to be written.
func (c *Cache) Idle(ctx context.Context) error {
	return c.disk.do(ctx, func(ctx context.Context) error {
		for c.disk.flush(ctx) {
			continue
		}
		return nil
	})
}

// StandStill makes it look as if the process had stood still until now.
func (c *Cache) StandStill(since time.Duration) {
	c.disk.behind.awake.Add(-int64(since))
	c.disk.behind.read.Add(-int64(since))
}
