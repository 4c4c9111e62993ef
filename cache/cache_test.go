package cache_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
)

// entry is an answer of acme's with this body, fresh for an hour from now on.
func entry(k cache.Key, body string, now time.Time) *cache.Entry {
	return &cache.Entry{Key: k, Tenant: "acme", Body: []byte(body), Stored: now, Expires: now.Add(time.Hour)}
}

func TestGetReturnsWhatWasPut(t *testing.T) {
	c := open(t, cache.Config{})
	now := time.Now()
	in := cache.Entry{
		Key: numberedKey(1), Tenant: "acme", Body: []byte("answer"), Stream: true,
		Dialect: "openai", Provider: "local", Model: "gpt-4o-mini",
		Usage: llm.Usage{Input: 10, Output: 20}, CostMicroUSD: 30, Finish: llm.FinishStop,
		Stored: now, Expires: now.Add(time.Minute),
	}
	if _, outcome := c.Get(in.Key, "acme", now); outcome != cache.Miss {
		t.Fatalf("empty cache: %v", outcome)
	}
	kept := in
	if !c.Put(&kept, now) {
		t.Fatal("not stored")
	}
	kept.Model, kept.Expires = "changed afterwards", now // the cache has a copy
	got, outcome := c.Get(in.Key, "acme", now)
	if outcome != cache.Hit {
		t.Fatalf("outcome %v", outcome)
	}
	if diff := cmp.Diff(&in, got, cmpopts.IgnoreUnexported(cache.Entry{})); diff != "" {
		t.Error(diff)
	}
	c.Delete(in.Key)
	if _, outcome := c.Get(in.Key, "acme", now); outcome != cache.Miss {
		t.Errorf("after Delete: %v", outcome)
	}
	want := cache.Lookups{
		Hits: 1, Misses: 2, MissedBy: map[cache.Reason]int64{cache.ReasonNeverSeen: 2}, Stores: 1,
		SavedTokens: 30, SavedMicroUSD: 30,
	}
	if diff := cmp.Diff(want, c.Stats().Lookups); diff != "" {
		t.Error(diff)
	}
}

// What was stored for another key or tenant is never an answer, however it got there.
func TestGetChecksIdentity(t *testing.T) {
	now := time.Now()
	for name, plant := range map[string]func(*cache.Entry){
		"another tenant": func(e *cache.Entry) { e.Tenant = "umbrella" },
		"no tenant":      func(e *cache.Entry) { e.Tenant = "" },
		"another key":    func(e *cache.Entry) { e.Key[31] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, cache.Config{})
			e := entry(numberedKey(1), "secret", now)
			plant(e)
			c.Plant(numberedKey(1), e)
			if got, outcome := c.Get(numberedKey(1), "acme", now); outcome != cache.Miss || got != nil {
				t.Errorf("%v with %v", outcome, got)
			}
			if s := c.Stats(); s.Mismatches != 1 || s.Misses != 1 || s.Hits != 0 {
				t.Errorf("%+v", s)
			}
			// The next answer takes its place.
			c.Put(entry(numberedKey(1), "own", now), now)
			if got, outcome := c.Get(numberedKey(1), "acme", now); outcome != cache.Hit || string(got.Body) != "own" {
				t.Errorf("after Put: %v", outcome)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	for _, tt := range []struct {
		name          string
		staleFor      time.Duration
		keptFor, gone time.Duration // after storing, with a time to live of an hour
	}{
		{"default", 0, 25*time.Hour - time.Nanosecond, 25*time.Hour + 2*time.Second},
		{"short", time.Minute, 61*time.Minute - time.Nanosecond, 61*time.Minute + 2*time.Second},
		{"none", -1, time.Hour - time.Nanosecond, time.Hour + 2*time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t, cache.Config{StaleFor: tt.staleFor})
				defer shut(t, c)
				start := time.Now()
				k := numberedKey(1)
				c.Put(entry(k, "answer", start), start)
				get := func(after time.Duration, want cache.Outcome) {
					t.Helper()
					time.Sleep(time.Until(start.Add(after)))
					e, outcome := c.Get(k, "acme", time.Now())
					if outcome != want || (e != nil) != (want != cache.Miss) {
						t.Errorf("after %v: %v with %v, want %v", after, outcome, e, want)
					}
				}
				get(time.Hour-time.Nanosecond, cache.Hit)
				if tt.staleFor >= 0 {
					get(time.Hour, cache.Stale)
					get(tt.keptFor, cache.Stale)
				}
				get(tt.gone, cache.Miss)
				// Nobody has to ask for an entry to go.
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 {
					t.Errorf("still %d entries with %d bytes", s.Entries, s.Bytes)
				}
			})
		})
	}
}

func TestPutRefuses(t *testing.T) {
	now := time.Now()
	small := open(t, cache.Config{MaxEntryBytes: 100})
	off := open(t, cache.Config{Off: true})
	closed := open(t, cache.Config{})
	shut(t, closed)
	expired := entry(numberedKey(3), "x", now)
	expired.Expires = now
	for name, tt := range map[string]struct {
		cache *cache.Cache
		entry *cache.Entry
		want  bool
	}{
		"largest":   {small, entry(numberedKey(1), strings.Repeat("x", 100), now), true},
		"too large": {small, entry(numberedKey(2), strings.Repeat("x", 101), now), false},
		"expired":   {small, expired, false},
		"off":       {off, entry(numberedKey(1), "x", now), false},
		"closed":    {closed, entry(numberedKey(1), "x", now), false},
	} {
		if got := tt.cache.Put(tt.entry, now); got != tt.want {
			t.Errorf("%s: stored %v, want %v", name, got, tt.want)
		}
		if _, outcome := tt.cache.Get(tt.entry.Key, "acme", now); (outcome == cache.Hit) != tt.want {
			t.Errorf("%s: %v", name, outcome)
		}
	}
	if n := small.Stats().TooLarge; n != 1 {
		t.Errorf("TooLarge counted %d", n)
	}
	if small.TooLarge(100) || !small.TooLarge(101) || !off.TooLarge(0) {
		t.Error("TooLarge disagrees with Put")
	}
	off.Delete(numberedKey(1))
	shut(t, off)
	shut(t, closed)
}

// A body whose memory is mostly unused does not keep that memory.
func TestPutTrimsBodies(t *testing.T) {
	c := open(t, cache.Config{})
	now := time.Now()
	e := entry(numberedKey(1), "", now)
	e.Body = append(make([]byte, 0, 1<<20), "short"...)
	c.Put(e, now)
	got, _ := c.Get(e.Key, "acme", now)
	if cap(got.Body) > 64 || string(got.Body) != "short" {
		t.Errorf("body %q with capacity %d", got.Body, cap(got.Body))
	}
	if n := c.Stats().Bytes; n > 1000 {
		t.Errorf("counted %d bytes", n)
	}
}

// churn puts tenfold of what fits, from several goroutines, and watches the bound.
func churn(t *testing.T, c *cache.Cache, bound int64, size func(*rand.Rand) int) {
	const workers = 4
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 7))
			now := time.Now()
			for n, put := 0, int64(0); put < 10*bound/workers; n++ {
				body := make([]byte, size(rnd))
				put += int64(len(body))
				c.Put(&cache.Entry{
					Key: numberedKey(n*workers + w), Tenant: "acme", Body: body, Stored: now, Expires: now.Add(time.Hour),
				}, now)
				if b := c.Stats().Bytes; b > bound+bound/20 {
					t.Errorf("%d bytes, more than 5 %% over %d", b, bound)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestBytesStayWithinBound(t *testing.T) {
	const bound = 16 << 20
	for name, doublings := range map[string]float64{"256 to 1,024 bytes": 2, "256 bytes to 64 KiB": 8} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			c := open(t, cache.Config{MemoryBytes: bound, MaxEntries: -1})
			churn(t, c, bound, func(r *rand.Rand) int { return int(math.Exp2(8 + doublings*r.Float64())) })
			c.CleanUp()
			s := c.Stats()
			if s.Bytes > bound+bound/20 || s.Bytes < bound-bound/20 {
				t.Errorf("%d bytes, more than 5 %% off %d", s.Bytes, bound)
			}
			if err := c.Audit(); err != nil {
				t.Error(err)
			}
			if s.Evictions != s.Stores-int64(s.Entries) {
				t.Errorf("%d stored, %d left, %d evicted", s.Stores, s.Entries, s.Evictions)
			}
			grown := heap() - before
			t.Logf("bound %d, counted %d, heap %d, entries %d", bound, s.Bytes, grown, s.Entries)
			if !raceEnabled && (grown > bound+bound/20 || grown < bound-bound/20) {
				t.Errorf("the heap grew by %d bytes, more than 5 %% off %d", grown, bound)
			}
			shut(t, c)
			if s := c.Stats(); s.Bytes != 0 || s.Entries != 0 {
				t.Errorf("after Close: %+v", s)
			}
		})
	}
}

func TestEntriesStayWithinBound(t *testing.T) {
	for _, bound := range []int{1, 10, 1000} {
		c := open(t, cache.Config{MemoryBytes: 1 << 20, MaxEntries: bound})
		now := time.Now()
		for n := range 10 * bound {
			c.Put(entry(numberedKey(n), "x", now), now)
		}
		c.CleanUp()
		if got := c.Stats().Entries; got != bound {
			t.Errorf("%d entries, want %d", got, bound)
		}
		if err := c.Audit(); err != nil {
			t.Error(err)
		}
	}
}

func TestExpiryIsSpread(t *testing.T) {
	now := time.Now()
	spread := func(jitter float64) (lowest, highest time.Duration) {
		c := open(t, cache.Config{Jitter: jitter})
		lowest = math.MaxInt64
		for range 2000 {
			d := c.Expiry(now, 100*time.Hour).Sub(now)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		return lowest, highest
	}
	for _, tt := range []struct {
		jitter float64
		share  time.Duration // of 100 h
	}{{0, 10 * time.Hour}, {0.5, 50 * time.Hour}, {-1, 0}} {
		lowest, highest := spread(tt.jitter)
		if lowest < 100*time.Hour-tt.share || lowest > 100*time.Hour-tt.share*9/10 {
			t.Errorf("jitter %v: lowest %v", tt.jitter, lowest)
		}
		if highest > 100*time.Hour+tt.share || highest < 100*time.Hour+tt.share*9/10 {
			t.Errorf("jitter %v: highest %v", tt.jitter, highest)
		}
	}
	// The longest duration there is does not wrap around.
	c := open(t, cache.Config{})
	if e := c.Expiry(now, math.MaxInt64); !e.After(now.Add(24 * time.Hour)) {
		t.Errorf("expires at %v", e)
	}
	k := numberedKey(1)
	c.Put(&cache.Entry{Key: k, Tenant: "acme", Body: []byte("x"), Expires: now.Add(math.MaxInt64)}, now)
	if _, outcome := c.Get(k, "acme", now); outcome != cache.Hit {
		t.Errorf("an entry for good: %v", outcome)
	}
}

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  cache.Config
		want string
	}{
		"zero": {cache.Config{}, ""},
		"all set": {cache.Config{
			MemoryBytes: 1 << 20, MaxEntries: -1, MaxEntryBytes: 1 << 20, StaleFor: time.Hour, Jitter: 0.5,
		}, ""},
		"all wrong": {
			cache.Config{MemoryBytes: -1, MaxEntries: -2, MaxEntryBytes: -3, StaleFor: math.MaxInt64, Jitter: 2},
			`cache: MemoryBytes is -1: give at least 65536 (64 KiB), or 0 for 256 MiB
cache: MaxEntries is -2: give a number, -1 for no bound, or 0 for 10000
cache: MaxEntryBytes is -3: give 1 to 1073741824 (1 GiB), or 0 for 4 MiB
cache: StaleFor is 2562047h47m16.854775807s: give at most 87600h0m0s (ten years)
cache: Jitter is 2: give at most 0.5, a negative number for none, or 0 for 0.1`,
		},
		"entry over memory": {cache.Config{MemoryBytes: 1 << 20, MaxEntryBytes: 2 << 20}, `cache: MaxEntryBytes is 2097152: more than MemoryBytes (1048576)`},
		"heavy entries": {
			cache.Config{MemoryBytes: 1 << 40, MaxEntries: 10},
			`cache: MaxEntries is 10: too few for 1099511627776 MemoryBytes, give at least 257, or -1 for no bound`,
		},
		"no number": {cache.Config{Jitter: math.NaN()}, `cache: Jitter is NaN: give at most 0.5, a negative number for none, or 0 for 0.1`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := tt.cfg.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if c, err := cache.New(tt.cfg); (err != nil) != (tt.want != "") {
				t.Errorf("New: %v", err)
			} else if c != nil {
				shut(t, c)
			}
		})
	}
}

// entryOverhead counts on these.
func TestEntrySize(t *testing.T) {
	if cache.EntrySize > 416 {
		t.Errorf("an Entry takes %d bytes: correct entryOverhead", cache.EntrySize)
	}
}
