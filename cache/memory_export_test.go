package cache

import (
	"errors"
	"fmt"
	"time"
)

// CleanUp makes the memory catch up.
func (c *Cache) CleanUp() { c.memory.CleanUp() }

// Audit compares the books of the memory with what it holds. Nobody may use it meanwhile.
func (c *Cache) Audit() error { return c.memory.Audit() }

// Memory is the memory tier by itself.
type Memory = memory

// NewMemory makes a tier.
func NewMemory(cfg Config) (*Memory, error) { return newMemory(cfg.withDefaults()) }

// SealedFor is a copy of e as the tier takes it, to be kept for so long.
func SealedFor(e *Entry, keep time.Duration) *Entry {
	s := *e
	s.size = allocated(cap(s.Body)) + allocated(len(s.Tenant)) + entryOverhead
	s.keep = keep
	return &s
}

// SizeOf is the size of a sealed entry.
func SizeOf(e *Entry) int64 { return e.size }

func (m *memory) Get(k Key) (*Entry, bool)              { return m.get(k) }
func (m *memory) Put(e *Entry)                          { m.put(e) }
func (m *memory) Delete(k Key)                          { m.delete(k) }
func (m *memory) DeleteAll(which func(*Entry) bool) int { return m.deleteAll(which) }
func (m *memory) All(see func(*Entry) bool)             { m.all(see) }
func (m *memory) Count() int                            { return m.count() }
func (m *memory) Close()                                { m.close() }
func (m *memory) Evictions() int64                      { return m.evictions.Load() }
func (m *memory) Bytes() int64                          { return m.bytes.Load() }
func (m *memory) Weight() int64                         { return m.weight.Load() }
func (m *memory) Bound() int64                          { return m.total }
func (m *memory) Withheld() (now, needed int64) {
	return m.withheld.Load(), m.shelter.ledger.needed.Load()
}

func (m *memory) Holding(tenant string) (pooled, guests int64) {
	l := &m.shelter.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.tenants[tenant]; h != nil {
		return h.pooled, h.guests
	}
	return 0, 0
}

// Floor is the floor of each of so many tenants.
func (m *memory) Floor(tenants int) int64 {
	return m.shelter.ledger.floorOf(tenants)
}

// CleanUp makes the stores catch up.
func (m *memory) CleanUp() {
	m.entries.CleanUp()
	if m.shelter != nil {
		m.shelter.guests.CleanUp()
		m.fitPool(true)
	}
}

// Weigh is what an entry weighs.
func (m *memory) Weigh(e *Entry) int64 { return m.weigh(e) }

// PutFirstStep is put up to where the entry is in the pool.
func (m *memory) PutFirstStep(e *Entry) {
	m.bytes.Add(e.size)
	m.weight.Add(m.weigh(e))
	m.shelter.ledger.enter(e.Tenant, m.weigh(e))
	m.entries.Set(e.Key, e)
}

// ArriveAndLeave has an entry leave the shelter before it has quite arrived there.
func (m *memory) ArriveAndLeave(e *Entry) error {
	l := &m.shelter.ledger
	l.enter(e.Tenant, m.weigh(e))
	g := &guest{entry: e, weight: m.Weigh(e)}
	if admitted, _ := l.evicted(e.Tenant, m.weigh(e), g); !admitted || !l.strike(g) {
		return errors.New("not admitted, or not struck off")
	}
	l.lodge(g)
	if g.owner.oldest != nil {
		return errors.New("in the queue")
	}
	return m.Audit()
}

// EmptyPool makes the pool give up all that it has.
func (m *memory) EmptyPool() { m.entries.SetMaximum(0) }

// Audit compares the books with what the stores hold. Nobody may use m meanwhile.
func (m *memory) Audit() error {
	var bytes, weight int64
	entries := 0
	seen := map[string]holding{}
	for e := range m.entries.Values() {
		bytes += e.size
		weight += m.weigh(e)
		entries++
		h := seen[e.Tenant]
		h.entries++
		h.pooled += m.weigh(e)
		seen[e.Tenant] = h
	}
	if m.shelter != nil {
		for k, g := range m.shelter.guests.All() {
			bytes += g.entry.size
			weight += g.weight
			entries++
			h := seen[g.entry.Tenant]
			h.entries++
			h.guests += g.weight
			seen[g.entry.Tenant] = h
			if g.stage != lodged || g.owner.tenant != g.entry.Tenant || k != place(g.entry.Key) || g.weight != m.weigh(g.entry) {
				return fmt.Errorf("a guest of %q in stage %d is booked on %q", g.entry.Tenant, g.stage, g.owner.tenant)
			}
			if _, ok := m.entries.GetEntryQuietly(g.entry.Key); ok {
				return fmt.Errorf("an entry of %q is in the pool and in the shelter", g.entry.Tenant)
			}
		}
		if err := m.shelter.ledger.audit(seen); err != nil {
			return err
		}
	}
	if bytes != m.bytes.Load() || entries != m.count() || weight != m.weight.Load() {
		return fmt.Errorf("found %d bytes in %d entries of weight %d; the books say %d in %d of weight %d",
			bytes, entries, weight, m.bytes.Load(), m.count(), m.weight.Load())
	}
	return nil
}

// audit compares the ledger with what was seen in the stores.
func (l *ledger) audit(seen map[string]holding) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(seen) != len(l.tenants) {
		return fmt.Errorf("%d tenants have entries, the ledger has %d", len(seen), len(l.tenants))
	}
	var sheltered int64
	hosts := 0
	for name, h := range l.tenants {
		if s := seen[name]; s.entries != h.entries || s.pooled != h.pooled || s.guests != h.guests {
			return fmt.Errorf("%q has %+v, the ledger says %+v", name, s, *h)
		}
		sheltered += h.guests
		var queued int64
		var last *guest
		for g := h.oldest; g != nil; last, g = g, g.next {
			if g.prev != last || g.owner != h || g.stage != lodged {
				return fmt.Errorf("the queue of %q is broken", name)
			}
			queued += g.weight
		}
		if h.newest != last || queued != h.guests {
			return fmt.Errorf("the queue of %q has %d, its guests weigh %d", name, queued, h.guests)
		}
		if h.guests > 0 {
			hosts++
			if l.hosts[h.place] != h {
				return fmt.Errorf("%q is not in its place among the hosts", name)
			}
		}
	}
	needed := sheltered + max(0, int64(len(l.tenants))*holdingBytes-l.spare)
	if hosts != len(l.hosts) || sheltered != l.sheltered.Load() || needed != l.needed.Load() {
		return fmt.Errorf("%d hosts with %d, %d needed; the ledger says %d with %d, %d",
			hosts, sheltered, needed, len(l.hosts), l.sheltered.Load(), l.needed.Load())
	}
	return nil
}

// Plant stores e under k, whatever e itself says: what a fault in a store would do.
func (c *Cache) Plant(k Key, e *Entry) { c.memory.putUnder(k, c.sealed(e, e.Stored)) }
