package cache_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/cache"
)

const modelKeys = 40 // of each tenant

// floorModel is what a memory tier must hold, and what it may hold. It knows nothing
// of how the tier decides: only that a tenant which was never above its floor has
// everything, and that nobody has anything but what was put last.
type floorModel struct {
	m       *cache.Memory
	now     time.Time
	entries map[string]map[cache.Key]*cache.Entry // by tenant; what may be there
	safe    map[string]bool                       // all of it must be there
}

// key is the n-th key of a tenant.
func (f *floorModel) key(tenant string, n int) cache.Key {
	for _, c := range tenant {
		n += int(c) * 1000
	}
	return numberedKey(n)
}

func (f *floorModel) put(t *rapid.T, tenant string, n, size int) {
	e := &cache.Entry{Key: f.key(tenant, n), Tenant: tenant, Body: make([]byte, size), Expires: f.now.Add(time.Hour)}
	e = cache.SealedFor(e, time.Hour)
	if f.entries[tenant] == nil {
		f.entries[tenant] = map[cache.Key]*cache.Entry{}
		f.safe[tenant] = true
	}
	old := f.entries[tenant][e.Key]
	f.entries[tenant][e.Key] = e
	f.judge(old)
	f.m.Put(e)
	if w := f.m.Weight(); w > f.m.Bound()+f.m.Bound()/20 {
		t.Fatalf("weight %d, more than 5 %% over the bound of %d", w, f.m.Bound())
	}
}

// judge finds out who is within the floor, at the number of tenants that there are at
// the most during the next step. While a put goes on, the entry and the old one that it
// replaces are both booked.
func (f *floorModel) judge(old *cache.Entry) {
	floor := f.m.Floor(len(f.entries))
	for tenant, entries := range f.entries {
		var weight int64
		if old != nil && old.Tenant == tenant {
			weight = f.m.Weigh(old)
		}
		for _, e := range entries {
			weight += f.m.Weigh(e)
		}
		f.safe[tenant] = f.safe[tenant] && weight <= floor
	}
}

func (f *floorModel) delete(tenant string, n int) {
	f.m.Delete(f.key(tenant, n))
	delete(f.entries[tenant], f.key(tenant, n))
}

func (f *floorModel) deleteAll(t *rapid.T, tenant string) {
	deleted := f.m.DeleteAll(func(e *cache.Entry) bool { return e.Tenant == tenant })
	if n := len(f.entries[tenant]); deleted != n {
		t.Fatalf("%d entries of %q deleted, the model has %d", deleted, tenant, n)
	}
	delete(f.entries, tenant)
}

// check compares, and lets the model forget what those above their floors have lost.
func (f *floorModel) check(t *rapid.T) {
	found := map[string]map[cache.Key]*cache.Entry{}
	f.m.All(func(e *cache.Entry) bool {
		if f.entries[e.Tenant][e.Key] != e {
			t.Fatalf("an entry of %q that was replaced or deleted", e.Tenant)
		}
		if found[e.Tenant] == nil {
			found[e.Tenant] = map[cache.Key]*cache.Entry{}
		}
		found[e.Tenant][e.Key] = e
		return true
	})
	for tenant, entries := range f.entries {
		if n := len(entries) - len(found[tenant]); n != 0 && f.safe[tenant] {
			t.Fatalf("%q lost %d of %d entries and is within its floor", tenant, n, len(entries))
		}
		f.safe[tenant] = true
	}
	f.entries = found
	if err := f.m.Audit(); err != nil {
		t.Fatal(err)
	}
}

func TestFloorsAgainstModel(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, much to do: nothing for the race detector")
	}
	tenants := []string{"", "a", "b", "c", "d"}
	sheltered := 0
	rapid.Check(t, func(t *rapid.T) {
		m, err := cache.NewMemory(cache.Config{
			MemoryBytes: 64 << 10, MaxEntries: rapid.SampledFrom([]int{-1, 30}).Draw(t, "MaxEntries"),
			TenantFloor: rapid.SampledFrom([]float64{0.2, 0.5, 0.9}).Draw(t, "TenantFloor"),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		f := &floorModel{m: m, now: time.Now(), entries: map[string]map[cache.Key]*cache.Entry{}, safe: map[string]bool{}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			tenant := rapid.SampledFrom(tenants).Draw(t, "tenant")
			n := rapid.IntRange(0, modelKeys-1).Draw(t, "key")
			switch rapid.SampledFrom([]string{"put", "put", "scan", "get", "get all", "delete", "delete all", "clean up"}).Draw(t, "step") {
			case "put":
				f.put(t, tenant, n, rapid.IntRange(0, 4000).Draw(t, "size"))
			case "scan":
				for i := range rapid.IntRange(1, modelKeys).Draw(t, "length") {
					f.put(t, tenant, (n+i)%modelKeys, 1500)
				}
			case "get":
				if e, ok := m.Get(f.key(tenant, n)); ok && e != f.entries[tenant][e.Key] {
					t.Fatalf("got an entry of %q that was replaced or deleted", tenant)
				}
			case "get all":
				for k, e := range f.entries[tenant] {
					if got, ok := m.Get(k); !ok || got != e {
						t.Fatalf("an entry of %q is listed and not found", tenant)
					}
				}
			case "delete":
				f.delete(tenant, n)
			case "delete all":
				f.deleteAll(t, tenant)
			case "clean up":
				m.CleanUp()
				if now, needed := m.Withheld(); now < needed {
					t.Fatalf("%d withheld, %d needed", now, needed)
				}
			}
			f.check(t)
			if _, needed := m.Withheld(); needed > 0 {
				sheltered++
			}
		}
	})
	if sheltered == 0 {
		t.Error("nothing was ever sheltered")
	}
	t.Logf("with sheltered entries: %d steps", sheltered)
}

// Random operations from several goroutines, on few keys of many sizes: afterwards all
// books agree. In every other round entries expire meanwhile; expired ones are invisible
// and yet in the books for a second, so that these agree when all of them have gone.
func TestBooksAreExactAfterRandomOperations(t *testing.T) {
	for seed := range uint64(6) {
		keep := time.Hour
		if seed%2 == 1 {
			keep = 10 * time.Second
		}
		synctest.Test(t, func(t *testing.T) {
			m, err := cache.NewMemory(cache.Config{MemoryBytes: 1 << 20, MaxEntries: -1, StaleFor: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			tenants := []string{"", "a", "b", "c", "d"}
			var wg sync.WaitGroup
			for w := range uint64(4) {
				wg.Go(func() { disturb(m, tenants, keep, rand.New(rand.NewPCG(seed, w))) })
			}
			wg.Wait()
			if keep < time.Hour {
				time.Sleep(2 * keep)
				synctest.Wait()
			} else {
				if err := m.Audit(); err != nil {
					t.Error(err)
				}
				m.CleanUp()
				for _, tenant := range tenants {
					m.DeleteAll(func(e *cache.Entry) bool { return e.Tenant == tenant })
					if pooled, guests := m.Holding(tenant); pooled != 0 || guests != 0 {
						t.Errorf("%q still has %d and %d bytes after DeleteAll", tenant, pooled, guests)
					}
				}
			}
			if m.Count() != 0 || m.Weight() != 0 || m.Bytes() != 0 {
				t.Errorf("in the end: %d entries, weight %d, %d bytes", m.Count(), m.Weight(), m.Bytes())
			}
			if err := m.Audit(); err != nil {
				t.Error(err)
			}
		})
	}
}

// disturb does some thousand random things to m, now and then with a pause.
func disturb(m *cache.Memory, tenants []string, longest time.Duration, rnd *rand.Rand) {
	for range 4000 {
		who := rnd.IntN(len(tenants))
		k := who*1000 + rnd.IntN(150)
		if who == 0 {
			k = rnd.IntN(150)
		}
		switch p := rnd.IntN(1000); {
		case p < 500:
			keep := longest/2 + time.Duration(rnd.Int64N(int64(longest/2)))
			e := &cache.Entry{Key: numberedKey(k), Tenant: tenants[who], Body: make([]byte, rnd.IntN(6000)), Expires: time.Now().Add(keep)}
			m.Put(cache.SealedFor(e, keep))
		case p < 900:
			m.Get(numberedKey(k))
		case p < 980:
			m.Delete(numberedKey(k))
		case p < 985:
			m.DeleteAll(func(e *cache.Entry) bool { return e.Tenant == tenants[who] })
		default:
			time.Sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
		}
	}
}

// Entries that are on their way from the pool to the shelter are found all the time,
// if their tenant is within its floor. Nobody sees an older one after a newer one, nor
// one that was deleted.
func TestMovingEntriesAreAlwaysFound(t *testing.T) {
	m := newTier(t, cache.Config{MemoryBytes: 1 << 20, MaxEntries: -1})
	now := time.Now()
	const own = 50
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() { // pushes them from the pool into the shelter
			for n := 0; !stop.Load(); n++ {
				m.Put(sealed(1<<20+w<<30+n, "b", make([]byte, 1000), now))
			}
		})
	}
	wg.Go(func() {
		var last [own]uint64
		for n := 0; !stop.Load(); n++ {
			if e, ok := m.Get(numberedKey(n % own)); ok {
				if got := e.Since; got < last[n%own] {
					t.Errorf("entry %d: round %d after round %d", n%own, got, last[n%own])
					return
				}
				last[n%own] = e.Since
			}
		}
	})
	for round := range uint64(60) {
		for n := range own {
			e := sealed(n, "a", make([]byte, 1000), now)
			e.Since = round
			m.Put(e)
		}
		for asked := range 40 * own {
			if e, ok := m.Get(numberedKey(asked % own)); !ok || e.Since != round {
				t.Errorf("round %d: entry %d found %v: %v", round, asked%own, ok, e)
			}
		}
		for n := range own {
			if n%2 == 0 {
				continue // is replaced in the next round
			}
			m.Delete(numberedKey(n))
			if _, ok := m.Get(numberedKey(n)); ok {
				t.Errorf("round %d: entry %d is there after Delete", round, n)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	if err := m.Audit(); err != nil {
		t.Error(err)
	}
}

// An entry that is deleted at the moment in which it moves is gone, and so are its
// traces in the books.
func TestDeleteWhileEntriesMove(t *testing.T) {
	m := newTier(t, cache.Config{MemoryBytes: 1 << 20, MaxEntries: -1})
	now, body := time.Now(), make([]byte, 1000)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				m.Put(sealed(1<<20+w<<30+n, "b", body, now))
			}
		})
	}
	other := numberedKey(100)
	for round := range 20_000 {
		e := sealed(round%10, "a", body, now)
		m.Put(e)
		for range round % 128 { // the pool gives it up before, after or just now
			m.Get(other)
		}
		m.Delete(e.Key)
		if _, ok := m.Get(e.Key); ok {
			t.Fatalf("round %d: the entry is there after Delete", round)
		}
	}
	stop.Store(true)
	wg.Wait()
	if pooled, guests := m.Holding("a"); pooled != 0 || guests != 0 {
		t.Errorf("%d and %d bytes are still booked", pooled, guests)
	}
	if err := m.Audit(); err != nil {
		t.Error(err)
	}
}
