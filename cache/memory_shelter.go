package cache

import (
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// shelter keeps the entries that the pool gave up although their tenants hold no more
// than their floors. The ledger decides which ones; the store in here only finds them
// and drops them in time. Entries of weight zero in the pool would be as safe, but its
// policy walks past all of those each time it looks for something to evict: with 10,000
// of them a put takes 54 us instead of 1.5 (otter 2.4.0).
type shelter struct {
	guests   *otter.Cache[Key, *guest]
	clock    *otter.CoarseClock
	ledger   ledger
	least    int64         // what an entry weighs at the least
	staleFor time.Duration // Config.StaleFor
	sums     *sums         // of the whole tier
}

// guestBytes is what a sheltered entry costs beyond the same entry in the pool: 48
// bytes for the guest, 16 less for a node without weight, and no slot of the frequency
// sketch, which stays where it is.
const guestBytes = 32

// tick is how exactly the shelter knows the time. Entries leave it up to two ticks
// early. Reading the exact time is a third of what a look-up costs, and whoever comes
// to the shelter has paid for one in the pool.
const tick = time.Second

// guest is an entry in the shelter.
type guest struct {
	entry  *Entry
	owner  *holding
	weight int64

	// touched is set when the entry is asked for, and cleared when the entry was spared
	// for it.
	touched atomic.Bool

	// Guarded by ledger.mu.
	stage      stage
	prev, next *guest // in the owner's queue; next also chains those that were let go
}

// stage is how far a guest has come.
type stage uint8

const (
	arriving stage = iota // in the books, and on its way into the store
	lodged                // in the owner's queue too
	gone                  // out of the books
)

// newShelter makes the shelter of m, of reserve bytes.
func newShelter(m *memory, reserve int64) (*shelter, error) {
	s := &shelter{least: m.least, staleFor: m.config.StaleFor, sums: &m.sums, clock: otter.NewCoarseClock(tick)}
	s.ledger.reserve, s.ledger.spare = reserve, m.total/128
	s.ledger.tenants = map[string]*holding{}
	var err error
	s.guests, err = otter.New(&otter.Options[Key, *guest]{
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, *guest]) time.Duration {
			return max(s.left(e.Value.entry), 1)
		}),
		OnAtomicDeletion: s.dropped,
		Clock:            s.clock,
		Executor:         func(upkeep func()) { upkeep() },
	})
	if err != nil {
		s.clock.Stop()
	}
	return s, err
}

// left is for how long an entry can be kept still. The clock may be a tick behind.
func (s *shelter) left(e *Entry) time.Duration {
	return min(time.Until(e.Expires), maxTTL) + s.staleFor - tick
}

// get returns the entry under k and notes that it was asked for.
func (s *shelter) get(k Key) (*Entry, bool) {
	if s.ledger.sheltered.Load() == 0 {
		return nil, false
	}
	found, ok := s.guests.GetEntryQuietly(k) // the store's own notes of who reads are of no use here
	if !ok {
		return nil, false
	}
	g := found.Value
	if !g.touched.Load() { // a store to memory that others read costs more than a load
		g.touched.Store(true)
	}
	return g.entry, true
}

// admit takes in an entry that weighs pooled and has to leave the pool, unless its
// tenant can do without. Either way it is no longer in the pool's books.
func (s *shelter) admit(k Key, e *Entry, pooled int64) bool {
	var g *guest
	// An entry under another key is a fault, and nothing to keep.
	if k == e.Key && s.left(e) > 0 {
		g = &guest{entry: e, weight: max(e.size+guestBytes, s.least)}
	}
	admitted, out := s.ledger.evicted(e.Tenant, pooled, g)
	s.letGo(out)
	if !admitted {
		return false
	}
	s.sums.bytes.Add(e.size + guestBytes)
	s.sums.weight.Add(g.weight)
	s.guests.Set(k, g)
	s.ledger.lodge(g)
	return true
}

// letGo drops the guests of a chain, which the ledger has struck off already.
func (s *shelter) letGo(chain *guest) {
	for g := chain; g != nil; {
		next := g.next
		g.next = nil
		s.discount(g)
		s.sums.evictions.Add(1)
		// Under the key there may be a later one by now.
		s.guests.ComputeIfPresent(g.entry.Key, func(now *guest) (*guest, otter.ComputeOp) {
			if now != g {
				return now, otter.CancelOp
			}
			return nil, otter.InvalidateOp
		})
		g = next
	}
}

// remove removes what is under k, except for an entry that is the one given, and
// reports whether there was something to remove.
func (s *shelter) remove(k Key, except *Entry) bool {
	if s.ledger.sheltered.Load() == 0 {
		return false
	}
	if _, ok := s.guests.GetEntryQuietly(k); !ok {
		return false
	}
	removed := false
	s.guests.ComputeIfPresent(k, func(g *guest) (*guest, otter.ComputeOp) {
		if g.entry == except {
			return g, otter.CancelOp
		}
		removed = true
		return nil, otter.InvalidateOp
	})
	return removed
}

// close drops everything and ends the store's clean-up goroutine.
func (s *shelter) close() {
	s.guests.StopAllGoroutines()
	s.clock.Stop()
	s.guests.InvalidateAll()
}

// dropped strikes off the guests that leave the store without the ledger's doing:
// expired, replaced or removed. It runs under locks of the store and must not call it.
func (s *shelter) dropped(d otter.DeletionEvent[Key, *guest]) {
	if s.ledger.strike(d.Value) {
		s.discount(d.Value)
	}
}

// discount takes a guest out of the sums.
func (s *shelter) discount(g *guest) {
	s.sums.bytes.Add(-g.entry.size - guestBytes)
	s.sums.weight.Add(-g.weight)
}
