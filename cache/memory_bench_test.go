package cache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/forebay-ai/forebay/cache"
)

// tier is what the benchmarks and the traces need of a memory tier.
type tier interface {
	Get(k cache.Key) (*cache.Entry, bool)
	Put(e *cache.Entry)
	Close()
}

// plain is otter alone, set up as the memory tier sets it up.
type plain struct {
	*otter.Cache[cache.Key, *cache.Entry]
}

func newPlain(cfg cache.Config, weigh func(*cache.Entry) int64) plain {
	return plain{otter.Must(&otter.Options[cache.Key, *cache.Entry]{
		MaximumWeight: uint64(cfg.MemoryBytes),
		Weigher:       func(_ cache.Key, e *cache.Entry) uint32 { return uint32(weigh(e)) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(otter.Entry[cache.Key, *cache.Entry]) time.Duration {
			return 25 * time.Hour
		}),
		OnAtomicDeletion: func(otter.DeletionEvent[cache.Key, *cache.Entry]) {},
		Executor:         func(upkeep func()) { upkeep() },
	})}
}

func (p plain) Get(k cache.Key) (*cache.Entry, bool) { return p.GetIfPresent(k) }
func (p plain) Put(e *cache.Entry)                   { p.Set(e.Key, e) }

func (p plain) Close() {
	p.StopAllGoroutines()
	p.InvalidateAll()
}

// newTier makes the memory tier by itself.
func newTier(tb testing.TB, cfg cache.Config) *cache.Memory {
	tb.Helper()
	m, err := cache.NewMemory(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.Close)
	return m
}

// sealed is an entry of a tenant as the memory tier takes it.
func sealed(n int, tenant string, body []byte, now time.Time) *cache.Entry {
	e := &cache.Entry{Key: numberedKey(n), Tenant: tenant, Body: body, Stored: now, Expires: now.Add(time.Hour)}
	return cache.SealedFor(e, 25*time.Hour)
}

// BenchmarkMemoryGet compares look-ups with those of otter alone. What is sheltered
// takes a second look-up, and so does a miss, as long as anything is sheltered.
func BenchmarkMemoryGet(b *testing.B) {
	const entries = 4096
	now := time.Now()
	cfg := cache.Config{MemoryBytes: 16 << 20, MaxEntries: -1}
	body := make([]byte, 1024)
	fill := func(t tier, tenant string, from, n int) {
		for i := from; i < from+n; i++ {
			t.Put(sealed(i, tenant, body, now))
		}
	}
	sheltering := func() tier { // "b" fills the pool, so that all of "a" comes into the shelter
		m := newTier(b, cfg)
		fill(m, "a", 0, entries/2)
		fill(m, "b", 10*entries, 20*entries)
		return m
	}
	for _, tt := range []struct {
		name  string
		open  func() tier
		first int
		n     int
	}{
		{"otter/hit", func() tier {
			p := newPlain(cfg, cache.SizeOf)
			fill(p, "a", 0, entries)
			b.Cleanup(p.Close)
			return p
		}, 0, entries},
		{"pool/hit", func() tier {
			m := newTier(b, cfg)
			fill(m, "a", 0, entries)
			return m
		}, 0, entries},
		{"pool+shelter/hit-shelter", sheltering, 0, entries / 2},
		{"otter/miss", func() tier {
			p := newPlain(cfg, cache.SizeOf)
			fill(p, "a", 0, entries)
			b.Cleanup(p.Close)
			return p
		}, 1 << 30, entries},
		{"pool/miss", func() tier {
			m := newTier(b, cfg)
			fill(m, "a", 0, entries)
			return m
		}, 1 << 30, entries},
		{"pool+shelter/miss", sheltering, 1 << 30, entries},
	} {
		keys := make([]cache.Key, tt.n)
		for i := range keys {
			keys[i] = numberedKey(tt.first + i)
		}
		t := tt.open()
		found := 0
		for _, k := range keys {
			if _, ok := t.Get(k); ok {
				found++
			}
		}
		b.Run(tt.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				t.Get(keys[n%len(keys)])
			}
			b.ReportMetric(float64(found)/float64(len(keys)), "found")
		})
		b.Run(tt.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					t.Get(keys[n%len(keys)])
				}
			})
		})
	}
}

// BenchmarkMemoryPut compares puts into a full tier, each of which evicts another.
// With many tenants half of the memory is sheltered.
func BenchmarkMemoryPut(b *testing.B) {
	cfg := cache.Config{MemoryBytes: 16 << 20, MaxEntries: -1}
	body := make([]byte, 1024)
	for _, tenants := range []int{0, 1, 10, 10_000} {
		name, open := fmt.Sprintf("%d-tenants", tenants), func() tier { return newTier(b, cfg) }
		if tenants == 0 {
			name, open = "otter", func() tier { return newPlain(cfg, cache.SizeOf) }
		}
		names := make([]string, max(tenants, 1))
		for n := range names {
			names[n] = fmt.Sprint("tenant-", n)
		}
		for _, parallel := range []bool{false, true} {
			t := open()
			now := time.Now()
			for n := range 32 << 10 {
				t.Put(sealed(n, names[n%len(names)], body, now))
			}
			if !parallel {
				b.Run(name+"/serial", func(b *testing.B) {
					b.ReportAllocs()
					for n := 0; b.Loop(); n++ {
						t.Put(sealed(1<<20+n, names[n%len(names)], body, now))
					}
				})
			} else {
				b.Run(name+"/parallel", func(b *testing.B) {
					b.ReportAllocs()
					b.RunParallel(func(pb *testing.PB) {
						from := int(time.Now().UnixNano())
						for n := 0; pb.Next(); n++ {
							t.Put(sealed(from+n, names[n%len(names)], body, now))
						}
					})
				})
			}
			t.Close()
		}
	}
}
