package cache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/cache"
)

// sheltering is a tier in which the entries 0 to n-1 of "a" are sheltered.
func sheltering(t *testing.T, n int, keep time.Duration) *cache.Memory {
	m := newTier(t, cache.Config{MemoryBytes: 4 << 20, MaxEntries: -1, StaleFor: -1})
	now, body := time.Now(), make([]byte, 1000)
	for i := range n {
		e := sealed(i, "a", body, now)
		e.Expires = now.Add(keep)
		m.Put(cache.SealedFor(e, keep))
	}
	for i := range 10_000 {
		m.Put(sealed(1<<20+i, "b", body, now))
	}
	if pooled, guests := m.Holding("a"); pooled > 0 || guests == 0 {
		t.Fatalf("of a %d are in the pool, %d in the shelter", pooled, guests)
	}
	return m
}

// What is sheltered goes in time, and without anybody asking.
func TestShelteredEntriesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sheltering(t, 100, time.Hour)
		defer m.Close()
		start := time.Now()
		present := func(after time.Duration) (n int) {
			time.Sleep(time.Until(start.Add(after)))
			for i := range 100 {
				if _, ok := m.Get(numberedKey(i)); ok {
					n++
				}
			}
			return n
		}
		if n := present(time.Hour - 3*time.Second); n != 100 {
			t.Errorf("%d left three seconds before the end, want 100", n)
		}
		if n := present(time.Hour); n != 0 {
			t.Errorf("%d left in the end, want none", n)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if _, guests := m.Holding("a"); guests != 0 {
			t.Errorf("%d bytes are still booked", guests)
		}
		if err := m.Audit(); err != nil {
			t.Error(err)
		}
	})
}

func TestShelteredEntriesAreReplacedAndDeleted(t *testing.T) {
	m := sheltering(t, 100, time.Hour)
	now := time.Now()
	before, _ := m.Get(numberedKey(1))
	again := sealed(1, "a", []byte("again"), now)
	m.Put(again)
	if got, ok := m.Get(again.Key); !ok || got != again {
		t.Errorf("after a replacement: %v, found %v (was %v)", got, ok, before)
	}
	m.Delete(again.Key)
	m.Delete(numberedKey(2))
	for n := 1; n <= 2; n++ {
		if _, ok := m.Get(numberedKey(n)); ok {
			t.Errorf("entry %d is there after Delete", n)
		}
	}
	evictions := m.Evictions()
	if n := m.DeleteAll(func(e *cache.Entry) bool { return e.Tenant == "a" }); n != 98 {
		t.Errorf("%d deleted, want 98", n)
	}
	m.All(func(e *cache.Entry) bool {
		if e.Tenant == "a" {
			t.Error("an entry is there after DeleteAll")
			return false
		}
		return true
	})
	if m.Evictions() != evictions {
		t.Error("what was deleted counts as evicted")
	}
	if err := m.Audit(); err != nil {
		t.Error(err)
	}
	m.Close()
	if m.Count() != 0 || m.Bytes() != 0 || m.Weight() != 0 {
		t.Errorf("after Close: %d entries, %d bytes of weight %d", m.Count(), m.Bytes(), m.Weight())
	}
	if err := m.Audit(); err != nil {
		t.Error(err)
	}
}

// A tenant that has its floor in the pool keeps nothing in the shelter that it does
// not use.
func TestShelterIsGivenBack(t *testing.T) {
	m := sheltering(t, 500, time.Hour)
	m.DeleteAll(func(e *cache.Entry) bool { return e.Tenant == "b" })
	for n := range 20_000 {
		m.Put(sealed(2<<20+n, "a", make([]byte, 1000), time.Now()))
	}
	if pooled, guests := m.Holding("a"); guests != 0 {
		t.Errorf("%d bytes are sheltered still, beside %d in the pool", guests, pooled)
	}
	if err := m.Audit(); err != nil {
		t.Error(err)
	}
}

// Between the two steps of a put the new entry is in the pool and the old one in the
// shelter. If the pool gives up the new one then, the old one does not come back.
func TestReplacedEntryDoesNotComeBack(t *testing.T) {
	m := sheltering(t, 100, time.Hour)
	again := sealed(1, "a", []byte("again"), time.Now())
	again.Expires = time.Now() // so that it will not be sheltered
	m.PutFirstStep(again)
	if got, ok := m.Get(again.Key); !ok || got != again {
		t.Fatalf("after the first step: %v, found %v", got, ok)
	}
	m.EmptyPool()
	if got, ok := m.Get(again.Key); ok {
		t.Errorf("found %q after the new entry went", got.Body)
	}
	if _, ok := m.Get(numberedKey(2)); !ok {
		t.Error("another entry is gone")
	}
	if err := m.Audit(); err != nil {
		t.Error(err)
	}
}

// An entry can be deleted while it is on its way into the shelter.
func TestGuestThatLeavesBeforeItHasArrived(t *testing.T) {
	m := newTier(t, cache.Config{MemoryBytes: 1 << 20, MaxEntries: -1})
	if err := m.ArriveAndLeave(sealed(1, "a", []byte("x"), time.Now())); err != nil {
		t.Error(err)
	}
}

// A tenant whose needs change gets its new entries sheltered in place of old ones,
// and its own scan does not displace what it asks for all the time.
func TestShelterFollowsItsTenant(t *testing.T) {
	m := newTier(t, cache.Config{MemoryBytes: 4 << 20, MaxEntries: -1})
	now, body := time.Now(), make([]byte, 1000)
	next := 0
	// step puts one entry of "a", asks for its hot ones, and lets "b" put many.
	step := func(k int, hot []int) {
		m.Put(sealed(k, "a", body, now))
		for _, h := range hot {
			m.Get(numberedKey(h))
		}
		for range 30 {
			next++
			m.Put(sealed(1<<30+next, "b", body, now))
		}
	}
	present := func(from, to int) (n int) {
		for k := from; k < to; k++ {
			if _, ok := m.Get(numberedKey(k)); ok {
				n++
			}
		}
		return n
	}
	for k := range 2000 { // the floor holds about 700
		step(k, nil)
	}
	if n := present(1500, 2000); n < 490 {
		t.Errorf("%d of the last 500 are there", n)
	}
	hot := make([]int, 20)
	for i := range hot {
		hot[i] = 1900 + i
	}
	for k := 2000; k < 5000; k++ {
		step(k, hot)
	}
	if n := present(1900, 1920); n != 20 {
		t.Errorf("%d of 20 hot ones outlived the tenant's own scan", n)
	}
	if err := m.Audit(); err != nil {
		t.Error(err)
	}
}

func TestMemoryGetDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m := sheltering(t, 100, time.Hour)
	pooled := sealed(3<<20, "b", make([]byte, 1000), time.Now())
	m.Put(pooled)
	for name, k := range map[string]cache.Key{
		"pool": pooled.Key, "shelter": numberedKey(1), "miss": numberedKey(4 << 20),
	} {
		if n := testing.AllocsPerRun(100, func() { m.Get(k) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// The shelter files by part of the key; it compares all of it.
func TestShelterComparesWholeKeys(t *testing.T) {
	m := sheltering(t, 100, time.Hour)
	other := numberedKey(1)
	other[31] ^= 1
	if e, ok := m.Get(other); ok {
		t.Errorf("found the entry of another key: %v", e.Key)
	}
	m.Delete(other)
	if _, ok := m.Get(numberedKey(1)); !ok {
		t.Error("Delete of another key removed it")
	}
}
