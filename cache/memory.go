package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// memory is the memory tier: entries in this process, bounded in bytes. It compares
// nothing and knows no time but when an entry need no longer be kept.
//
// New entries go into the pool, which all tenants share. When it is full, those go
// that are least likely to be asked for again, by frequency and recency, so that a
// scan through many keys does not displace what is in use. Of an entry that has to go
// the ledger says whether its tenant holds more than its floor. If not, the entry
// moves to the shelter, and the pool gets smaller by as much. Entries never move
// back, so whoever looks, deletes or lists goes through the pool first and then
// through the shelter, and misses none on its way.
//
// Locks are taken in one order: the pool's own, the shelter's own, the ledger's.
type memory struct {
	entries *otter.Cache[Key, *Entry] // the pool
	shelter *shelter                  // nil where tenants have no floor
	config  Config                    // with defaults filled in
	total   int64                     // what all entries together may weigh
	least   int64                     // what each of them weighs at the least

	sums

	resizing sync.Mutex   // held while the pool's bound is changed
	withheld atomic.Int64 // what the pool's bound is below total; written under resizing
}

// sums are of the entries of both parts.
type sums struct {
	bytes, weight atomic.Int64
	evictions     atomic.Int64
}

// newMemory makes the tier of a valid cfg with its defaults filled in.
func newMemory(cfg Config) (*memory, error) {
	m := &memory{config: cfg}
	m.total, m.least = cfg.bounds()
	if reserve := int64(cfg.TenantFloor * float64(m.total)); reserve > 0 {
		var err error
		if m.shelter, err = newShelter(m, reserve); err != nil {
			return nil, err
		}
	}
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
		if m.shelter != nil {
			m.shelter.close()
		}
		return nil, err
	}
	m.entries = entries
	return m, nil
}

// get returns the entry under k and notes that it was asked for. It may miss an entry
// of the shelter that is being replaced at this moment.
func (m *memory) get(k Key) (*Entry, bool) {
	e, ok := m.entries.GetIfPresent(k)
	if ok || m.shelter == nil {
		return e, ok
	}
	return m.shelter.get(k)
}

// fits reports whether an entry may be put at all.
func (m *memory) fits(e *Entry) bool { return m.weigh(e) <= m.total }

// put puts e, which is sealed, in place of what was under its key.
func (m *memory) put(e *Entry) { m.putUnder(e.Key, e) }

// putUnder is put under any key.
func (m *memory) putUnder(k Key, e *Entry) {
	w := m.weigh(e)
	m.bytes.Add(e.size)
	weight := m.weight.Add(w)
	if m.shelter != nil {
		m.shelter.ledger.enter(e.Tenant, w)
	}
	m.entries.Set(k, e)
	// The store evicts a little later than it takes in. Where many large entries
	// arrive at once, whoever goes past the bound does the clearing up.
	over := weight > m.total+m.total/64
	if m.shelter != nil {
		m.shelter.remove(k, e)
		m.fitPool(over)
	}
	if over {
		m.entries.CleanUp()
	}
}

// fitPool sets the pool's bound to what the shelter leaves of the total. The entries
// that a smaller pool gives up may move to the shelter in their turn; the next put
// comes back for what is left after some rounds. Where somebody else is at it already
// there is nothing to do but, if that is wanted, to wait.
func (m *memory) fitPool(wait bool) {
	for range 16 {
		if _, change := m.withhold(); !change {
			return
		}
		if wait {
			m.resizing.Lock()
		} else if !m.resizing.TryLock() {
			return
		}
		if bytes, change := m.withhold(); change {
			m.withheld.Store(bytes)
			m.entries.SetMaximum(uint64(m.total - bytes))
		}
		m.resizing.Unlock()
	}
}

// withhold says what the pool's bound should be below the total, and whether it is
// time to change it. Each change takes the pool's lock and makes it forget how it had
// divided itself between new and proven entries; so changes come in steps, downwards
// as soon as the sum would go beyond the total, upwards with some delay.
func (m *memory) withhold() (bytes int64, change bool) {
	step := max(m.total/256, m.least, 1)
	needed := m.shelter.ledger.needed.Load()
	// More cannot be needed for long: the floors are a share of the total.
	bytes = min((needed+step-1)/step*step, m.total-m.total/64)
	now := m.withheld.Load()
	return bytes, bytes > now || bytes < now && (bytes == 0 || now-bytes >= m.total/64)
}

// delete removes the entry under k, if there is one.
func (m *memory) delete(k Key) {
	m.entries.Invalidate(k)
	if m.shelter != nil {
		m.shelter.remove(k, nil)
	}
}

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
	if m.shelter != nil {
		for g := range m.shelter.guests.Values() {
			if which(g.entry) && m.shelter.remove(g.entry.Key, nil) {
				n++
			}
		}
	}
	return n
}

// all calls see for every entry until it returns false. It may see an entry twice that
// moves to the shelter meanwhile.
func (m *memory) all(see func(*Entry) bool) {
	for _, e := range m.entries.All() {
		if !see(e) {
			return
		}
	}
	if m.shelter == nil {
		return
	}
	for g := range m.shelter.guests.Values() {
		if !see(g.entry) {
			return
		}
	}
}

// count is the number of entries.
func (m *memory) count() int {
	n := m.entries.EstimatedSize()
	if m.shelter != nil {
		n += m.shelter.guests.EstimatedSize()
	}
	return n
}

// close drops everything and ends the stores' clean-up goroutines.
func (m *memory) close() {
	m.entries.StopAllGoroutines()
	m.entries.InvalidateAll()
	if m.shelter != nil {
		m.shelter.close()
	}
}

// weigh is what an entry counts against the bound.
func (m *memory) weigh(e *Entry) int64 { return max(e.size, m.least) }

// dropped keeps the books of what leaves the pool, for whatever reason, and shelters
// what has to go against its tenant's floor. It runs under locks of the pool, before
// readers notice, and must not call the pool.
func (m *memory) dropped(d otter.DeletionEvent[Key, *Entry]) {
	e := d.Value
	w := m.weigh(e)
	overflow := d.Cause == otter.CauseOverflow
	if m.shelter != nil {
		// An older entry of the key, which the put of this one has not come to remove
		// yet, must neither come to light again nor count against this one.
		if d.Cause != otter.CauseReplacement {
			m.shelter.remove(d.Key, nil)
		}
		if overflow && m.shelter.admit(d.Key, e, w) {
			return
		}
		if !overflow {
			m.shelter.ledger.leave(e.Tenant, w)
		}
	}
	m.bytes.Add(-e.size)
	m.weight.Add(-w)
	if overflow {
		m.evictions.Add(1)
	}
}
