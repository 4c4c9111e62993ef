package cache

import (
	"encoding/binary"
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
	// guests are filed under the first 64 bits of their keys: hashes, of which no two
	// will ever agree in these, and if they did, one of them would be lost. It is
	// cheaper to look up, and such a node is so much smaller than one of the pool that
	// it makes up for the guest.
	guests   *otter.Cache[uint64, *guest]
	clock    *otter.CoarseClock
	ledger   ledger
	staleFor time.Duration // Config.StaleFor
	sums     *sums         // of the whole tier
}

// place is where a key's guest is.
func place(k Key) uint64 { return binary.LittleEndian.Uint64(k[:]) }

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
	s := &shelter{staleFor: m.config.StaleFor, sums: &m.sums, clock: otter.NewCoarseClock(tick)}
	s.ledger.reserve, s.ledger.spare = reserve, m.total/128
	s.ledger.tenants = map[string]*holding{}
	var err error
	s.guests, err = otter.New(&otter.Options[uint64, *guest]{
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[uint64, *guest]) time.Duration {
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
	g := s.find(k)
	if g == nil {
		return nil, false
	}
	if !g.touched.Load() { // a store to memory that others read costs more than a load
		g.touched.Store(true)
	}
	return g.entry, true
}

// find returns the guest of k, or nil. The store takes notes of other ways to read it,
// which would be of no use here.
func (s *shelter) find(k Key) *guest {
	found, ok := s.guests.GetEntryQuietly(place(k))
	if !ok || found.Value.entry.Key != k {
		return nil
	}
	return found.Value
}

// admit takes in an entry of this weight that has to leave the pool, unless its tenant
// can do without. Either way it is no longer in the pool's books.
func (s *shelter) admit(k Key, e *Entry, weight int64) bool {
	var g *guest
	// An entry under another key is a fault, and nothing to keep.
	if k == e.Key && s.left(e) > 0 {
		g = &guest{entry: e, weight: weight}
	}
	admitted, out := s.ledger.evicted(e.Tenant, weight, g)
	s.letGo(out)
	if admitted {
		s.guests.Set(place(k), g)
		s.ledger.lodge(g)
	}
	return admitted
}

// letGo drops the guests of a chain, which the ledger has struck off already.
func (s *shelter) letGo(chain *guest) {
	for g := chain; g != nil; {
		next := g.next
		g.next = nil
		s.discount(g)
		s.sums.evictions.Add(1)
		// Under the key there may be a later one by now.
		s.guests.ComputeIfPresent(place(g.entry.Key), func(now *guest) (*guest, otter.ComputeOp) {
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
	if s.find(k) == nil {
		return false
	}
	removed := false
	s.guests.ComputeIfPresent(place(k), func(g *guest) (*guest, otter.ComputeOp) {
		if g.entry.Key != k || g.entry == except {
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
func (s *shelter) dropped(d otter.DeletionEvent[uint64, *guest]) {
	if s.ledger.strike(d.Value) {
		s.discount(d.Value)
	}
}

// discount takes a guest out of the sums.
func (s *shelter) discount(g *guest) {
	s.sums.bytes.Add(-g.entry.size)
	s.sums.weight.Add(-g.weight)
}
