package cache

import (
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// memory is the memory tier: entries in this process, bounded in bytes. When it is
// full, those go that are least likely to be asked for again, by frequency and
// recency, so that a scan through many keys does not displace what is in use. It
// compares nothing and knows no time but when an entry need no longer be kept.
type memory struct {
	entries *otter.Cache[Key, *Entry]
	config  Config // with defaults filled in
	total   int64  // what all entries together may weigh
	least   int64  // what each of them weighs at the least

	bytes, weight atomic.Int64 // of the entries in the store
	evictions     atomic.Int64
}

// newMemory makes the tier of a valid cfg with its defaults filled in.
func newMemory(cfg Config) (*memory, error) {
	m := &memory{config: cfg}
	m.total, m.least = cfg.bounds()
	entries, err := otter.New(&otter.Options[Key, *Entry]{
		MaximumWeight:    uint64(m.total),
		Weigher:          func(_ Key, e *Entry) uint32 { return uint32(m.weigh(e)) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, *Entry]) time.Duration { return e.Value.keep }),
		OnAtomicDeletion: m.dropped,
		// The store's upkeep runs on the goroutine that gave rise to it: short work,
		// and nothing to wait for at the end.
		Executor: func(upkeep func()) { upkeep() },
	})
	if err != nil {
		return nil, err
	}
	m.entries = entries
	return m, nil
}

// get returns the entry under k and notes that it was asked for.
func (m *memory) get(k Key) (*Entry, bool) { return m.entries.GetIfPresent(k) }

// fits reports whether an entry may be put at all.
func (m *memory) fits(e *Entry) bool { return m.weigh(e) <= m.total }

// put puts e, which is sealed, in place of what was under its key.
func (m *memory) put(e *Entry) {
	m.bytes.Add(e.size)
	weight := m.weight.Add(m.weigh(e))
	m.entries.Set(e.Key, e)
	// The store evicts a little later than it takes in. Where many large entries
	// arrive at once, whoever goes past the bound does the clearing up.
	if weight > m.total+m.total/64 {
		m.entries.CleanUp()
	}
}

// delete removes the entry under k, if there is one.
func (m *memory) delete(k Key) { m.entries.Invalidate(k) }

// deleteAll removes the entries that which selects, and says how many.
func (m *memory) deleteAll(which func(*Entry) bool) int {
	n := 0
	for k, e := range m.entries.All() {
		if which(e) {
			if _, gone := m.entries.Invalidate(k); gone {
				n++
			}
		}
	}
	return n
}

// all calls see for every entry until it returns false.
func (m *memory) all(see func(*Entry) bool) {
	for _, e := range m.entries.All() {
		if !see(e) {
			return
		}
	}
}

// close drops everything and ends the store's clean-up goroutine.
func (m *memory) close() {
	m.entries.StopAllGoroutines()
	m.entries.InvalidateAll()
}

// weigh is what an entry counts against the bound.
func (m *memory) weigh(e *Entry) int64 { return max(e.size, m.least) }

// dropped keeps the books of what leaves the store, for whatever reason. It runs
// under a lock of the store and must not call it.
func (m *memory) dropped(d otter.DeletionEvent[Key, *Entry]) {
	m.bytes.Add(-d.Value.size)
	m.weight.Add(-m.weigh(d.Value))
	if d.Cause == otter.CauseOverflow {
		m.evictions.Add(1)
	}
}
