package requestlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
)

func TestWithoutStore(t *testing.T) {
	l := requestlog.New(requestlog.Config{})
	for n := range 2500 {
		l.Add(entry(n))
	}
	if got := ids(t, l, requestlog.Query{Limit: 2}); !slices.Equal(got, []string{"req_2499", "req_2498"}) {
		t.Errorf("the newest are %q", got)
	}
	n := 0
	for q := (requestlog.Query{Limit: 500}); ; n += 500 {
		p, err := l.Page(t.Context(), q)
		must(t, err)
		if q.Before = p.Next; p.Next == 0 {
			n += len(p.Entries)
			break
		}
	}
	if n != 1000 || l.Last() != 2500 || l.Dropped() != 0 {
		t.Errorf("%d entries are kept, the last is %d, %d were dropped", n, l.Last(), l.Dropped())
	}
	if e, ok, err := l.Get(t.Context(), 2500); !ok || err != nil || len(e.Attempts) != 1 {
		t.Errorf("Get = %+v, %v, %v", e, ok, err)
	}
	must(t, l.Run(canceled(t))) // it may run, and has nothing to lose
}

func canceled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestBatches writes a few entries together after a moment, and many at once.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, nil)
		time.Sleep(time.Minute)
		for n := range 3 {
			l.Add(entry(n))
			time.Sleep(50 * time.Millisecond)
		}
		if got := ids(t, l.Log, requestlog.Query{}); len(got) != 0 {
			t.Errorf("after 150 ms %q are written", got)
		}
		time.Sleep(51 * time.Millisecond)
		if got := ids(t, l.Log, requestlog.Query{}); !slices.Equal(got, []string{"req_2", "req_1", "req_0"}) || l.Last() != 3 {
			t.Errorf("after 200 ms %q are written, the last is %d", got, l.Last())
		}
		for n := range 1300 {
			l.Add(entry(n))
		}
		synctest.Wait()
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if want := []int{3, 512, 512, 276}; !slices.Equal(l.store.batches, want) {
			t.Errorf("the batches have %v entries; want %v", l.store.batches, want)
		}
		if err := l.end(); err != nil || l.dropped != 0 {
			t.Errorf("Run = %v, %d dropped", err, l.dropped)
		}
	})
}

// TestFullBuffer adds to a log whose store hangs: nobody waits for it.
func TestFullBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, func(c *requestlog.Config) { c.Buffer = 1000 })
		block := make(chan struct{})
		l.store.block = block
		l.Add(entry(0))
		time.Sleep(300 * time.Millisecond) // it hangs now
		synctest.Wait()
		began := time.Now()
		for n := range 1500 {
			l.Add(entry(1 + n))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("adding took %v", took)
		}
		if l.dropped != 501 || l.Dropped() != 501 {
			t.Errorf("%d entries were dropped, and OnDrop was told of %d; want 501", l.Dropped(), l.dropped)
		}
		close(block)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := ids(t, l.Log, requestlog.Query{Limit: 1}); l.Last() != 1000 || got[0] != "req_999" {
			t.Errorf("the last is %d, %q", l.Last(), got)
		}
		must(t, l.end())
		l.Add(entry(0))
		if l.Dropped() != 502 {
			t.Error("what is added after the end is not dropped")
		}
	})
}

// TestFailingStore keeps what a store does not take, tries again less and less often, and
// says so once.
func TestFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, func(c *requestlog.Config) { c.Buffer = 2000 })
		live, _, stop := l.Watch(requestlog.Filter{}, 5000)
		defer stop()
		l.store.fail(true)
		for n := range 700 {
			l.Add(entry(n))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := l.store.tries; n < 20 || n > 30 {
			t.Errorf("in ten minutes the store was tried %d times; want one try every 30 s", n)
		}
		if len(live) != 512 {
			t.Errorf("%d entries were told of; want those of the batch that failed, once", len(live))
		}
		if e := <-live; e.Seq != 0 || e.ID != "req_0" {
			t.Errorf("an entry that the store did not take has the number %d", e.Seq)
		}
		for n := range 2000 {
			l.Add(entry(700 + n))
		}
		if l.dropped != 700 {
			t.Errorf("%d entries were dropped; want 700", l.dropped)
		}
		if n := strings.Count(l.text.String(), "level=ERROR"); n != 1 {
			t.Errorf("it was said %d times:\n%s", n, &l.text)
		}
		l.store.fail(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		p, err := l.Page(t.Context(), requestlog.Query{Limit: 500})
		must(t, err)
		if l.Last() != 2000 || p.Entries[0].ID != "req_1999" {
			t.Errorf("%d entries are written, the newest is %s", l.Last(), p.Entries[0].ID)
		}
		for seq := int64(1); seq <= 2000; seq++ { // in their order, each once
			if e, ok, _ := l.Get(t.Context(), seq); !ok || e.ID != fmt.Sprint("req_", seq-1) {
				t.Fatalf("entry %d is %s", seq, e.ID)
			}
		}
		if !strings.Contains(l.text.String(), "written again") || !strings.Contains(l.text.String(), "dropped=700") {
			t.Errorf("the log does not say that it is over:\n%s", &l.text)
		}
		must(t, l.end())
	})
}

// TestEnd writes what waits, and says what could not be.
func TestEnd(t *testing.T) {
	for name, failing := range map[string]bool{"works": false, "fails": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := start(t, nil)
				l.store.fail(failing)
				for n := range 1200 {
					l.Add(entry(n))
				}
				err := l.end()
				switch {
				case failing && (!errors.Is(err, errDisk) || l.dropped != 1200 || !strings.Contains(err.Error(), "1200 entries")):
					t.Errorf("Run = %v, %d dropped", err, l.dropped)
				case !failing && (err != nil || l.dropped != 0 || l.Last() != 1200):
					t.Errorf("Run = %v, %d dropped, %d written", err, l.dropped, l.Last())
				}
			})
		})
	}
	t.Run("hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := start(t, nil)
			l.store.block = make(chan struct{})
			l.Add(entry(0))
			time.Sleep(time.Second)
			began := time.Now()
			if err := l.end(); !errors.Is(err, context.DeadlineExceeded) || l.dropped != 1 {
				t.Errorf("Run = %v, %d dropped", err, l.dropped)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("the end took %v", took)
			}
		})
	})
}

func TestPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, func(c *requestlog.Config) { c.Retention, c.MaxEntries = 24*time.Hour, 500 })
		began := time.Now()
		time.Sleep(150 * time.Minute)
		synctest.Wait()
		var want []time.Time
		for _, after := range []time.Duration{0, time.Hour, 2 * time.Hour} {
			want = append(want, began.Add(after-24*time.Hour))
		}
		if !slices.EqualFunc(l.store.pruned, want, time.Time.Equal) || !slices.Equal(l.store.keeps, []int64{500, 500, 500}) {
			t.Errorf("removed before %v to %v; want %v", l.store.pruned, l.store.keeps, want)
		}
		l.store.fail(true)
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if n := strings.Count(l.text.String(), "level=WARN"); n != 1 {
			t.Errorf("it was said %d times:\n%s", n, &l.text)
		}
		must(t, l.end())

		l = start(t, func(c *requestlog.Config) { c.Retention, c.MaxEntries = -1, -9 })
		synctest.Wait()
		if !l.store.pruned[0].IsZero() || l.store.keeps[0] != -1 {
			t.Errorf("without bounds: removed before %v to %v", l.store.pruned, l.store.keeps)
		}
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, nil)
		all, missed, stop := l.Watch(requestlog.Filter{}, 3)
		some, none, stopSome := l.Watch(requestlog.Filter{User: "user-1"}, 0)
		for n := range 8 {
			l.Add(entry(n))
		}
		time.Sleep(201 * time.Millisecond)
		synctest.Wait()
		if len(all) != 3 || missed() != 5 {
			t.Errorf("%d entries wait for a slow watcher and %d were missed; want 3 and 5", len(all), missed())
		}
		for n := range 3 {
			if e := <-all; e.ID != fmt.Sprint("req_", n) || e.Seq != int64(n+1) || e.Attempts != nil {
				t.Errorf("entry %d is %+v", n, e)
			}
		}
		var got []string
		for range len(some) {
			got = append(got, (<-some).ID)
		}
		if !slices.Equal(got, []string{"req_1", "req_4", "req_7"}) || none() != 0 {
			t.Errorf("chosen: %q, %d missed", got, none())
		}
		stop()
		stop()
		stopSome()
		l.Add(entry(8))
		time.Sleep(time.Second)
		if _, ok := <-all; ok {
			t.Error("after stop there is another entry")
		}
		must(t, l.end())
	})
	// In memory each is told at once.
	l := requestlog.New(requestlog.Config{})
	ch, _, stop := l.Watch(requestlog.Filter{}, 1)
	defer stop()
	l.Add(entry(1))
	if e := <-ch; e.Seq != 1 {
		t.Errorf("%+v", e)
	}
}

// TestErase has a name nowhere: neither in the store, nor in what waits, nor in what failed.
func TestErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, nil)
		l.Add(entry(1))
		time.Sleep(time.Second)
		l.store.fail(true)
		l.Add(entry(4))
		time.Sleep(time.Second) // it is in the batch that failed
		l.Add(entry(7))
		must(t, l.Erase(t.Context(), "school", "user-1"))
		must(t, l.Erase(t.Context(), "another school", "user-2"))
		l.Add(entry(2))
		l.store.fail(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := ids(t, l.Log, requestlog.Query{Filter: requestlog.Filter{User: "user-1"}}); len(got) > 0 {
			t.Errorf("the name is still in %q", got)
		}
		if got := ids(t, l.Log, requestlog.Query{Filter: requestlog.Filter{User: requestlog.ErasedUser}}); !slices.Equal(got, []string{"req_7", "req_4", "req_1"}) {
			t.Errorf("erased: %q", got)
		}
		if got := ids(t, l.Log, requestlog.Query{Filter: requestlog.Filter{User: "user-2"}}); !slices.Equal(got, []string{"req_2"}) {
			t.Errorf("another user's: %q", got)
		}
		var e *llm.Error
		if err := l.Erase(t.Context(), "school", ""); !errors.As(err, &e) || e.Kind != llm.CallerInvalidRequest {
			t.Errorf("Erase of nobody = %v", err)
		}
	})
}

// TestCopies changes an entry after it was added, and brings texts without bounds.
func TestCopies(t *testing.T) {
	l := requestlog.New(requestlog.Config{})
	e := entry(1)
	e.Seq, e.Model, e.ID = 99, strings.Repeat("ü", 200), "bad\xffid"
	e.Start = e.Start.In(time.FixedZone("east", 3600))
	for range 100 {
		e.Attempts = append(e.Attempts, requestlog.Attempt{Target: strings.Repeat("x", 1000)})
	}
	l.Add(e)
	e.Attempts[0].Target = "changed"
	got, ok, err := l.Get(t.Context(), 1)
	if !ok || err != nil || e.Seq != 99 {
		t.Fatalf("%v, %v; the caller's has number %d", ok, err, e.Seq)
	}
	if got.Attempts[0].Target != "bedrock/haiku" || len(got.Attempts) != 64 || len(got.Attempts[1].Target) != 256 {
		t.Errorf("%d attempts, the first to %q, the second to %d bytes", len(got.Attempts), got.Attempts[0].Target, len(got.Attempts[1].Target))
	}
	if len(got.Model) != 256 || !utf8.ValidString(got.Model) || got.ID != "bad?id" || got.Start.Location() != time.UTC {
		t.Errorf("%d bytes of %q, %q, %v", len(got.Model), got.Model, got.ID, got.Start)
	}
	odd := entry(2)
	odd.Model = "x" + strings.Repeat("ü", 200)
	l.Add(odd)
	if got, _, _ = l.Get(t.Context(), 2); len(got.Model) != 255 || !utf8.ValidString(got.Model) {
		t.Errorf("%d bytes: %q", len(got.Model), got.Model)
	}
}

// TestCopiesWhatWaits changes an entry before the store has it.
func TestCopiesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, nil)
		e := entry(1)
		l.Add(e)
		e.Attempts[0].Target = "changed"
		must(t, l.end())
		if got, _, err := l.Get(t.Context(), 1); err != nil || got.Attempts[0].Target != "bedrock/haiku" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	for name, s := range map[string]requestlog.Store{"memory": nil, "store": newStore()} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			l := requestlog.New(requestlog.Config{Store: s, Buffer: 50_000})
			done := make(chan error, 1)
			go func() { done <- l.Run(ctx) }()
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for n := range 1000 {
						l.Add(entry(n))
						if n%50 == 0 {
							_, _, stop := l.Watch(requestlog.Filter{}, 1)
							ids(t, l, requestlog.Query{})
							must(t, l.Erase(ctx, "nobody", "none"))
							stop()
						}
					}
				})
			}
			all.Wait()
			cancel()
			must(t, <-done)
			if l.Last() != 8000 || l.Dropped() != 0 {
				t.Errorf("%d were written, %d dropped", l.Last(), l.Dropped())
			}
		})
	}
}

func TestMatch(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	e := requestlog.Entry{
		ID: "id", Start: at, Tenant: "t", User: "u", Key: "k", Operation: "o", Model: "m", Provider: "p", Outcome: "refused",
		ErrorType: llm.PolicyOverloaded, Cache: "miss", Fallback: "f", Duration: time.Second, MicroUSD: 5,
	}
	for _, test := range []struct {
		name    string
		yes, no requestlog.Filter
	}{
		{"tenant", requestlog.Filter{Tenant: "t"}, requestlog.Filter{Tenant: "T"}},
		{"user", requestlog.Filter{User: "u"}, requestlog.Filter{User: "t"}},
		{"key", requestlog.Filter{Key: "k"}, requestlog.Filter{Key: "u"}},
		{"operation", requestlog.Filter{Operation: "o"}, requestlog.Filter{Operation: "k"}},
		{"model", requestlog.Filter{Model: "m"}, requestlog.Filter{Model: "o"}},
		{"provider", requestlog.Filter{Provider: "p"}, requestlog.Filter{Provider: "m"}},
		{"outcome", requestlog.Filter{Outcome: "refused"}, requestlog.Filter{Outcome: "ok"}},
		{"error", requestlog.Filter{ErrorType: "policy_overloaded"}, requestlog.Filter{ErrorType: "policy"}},
		{"cache", requestlog.Filter{Cache: "miss"}, requestlog.Filter{Cache: "hit"}},
		{"fallback", requestlog.Filter{Fallback: "f"}, requestlog.Filter{Fallback: "g"}},
		{"id", requestlog.Filter{ID: "id"}, requestlog.Filter{ID: "i"}},
		{"from", requestlog.Filter{From: at}, requestlog.Filter{From: at.Add(1)}},
		{"to", requestlog.Filter{To: at.Add(1)}, requestlog.Filter{To: at}},
		{"duration", requestlog.Filter{MinDuration: time.Second}, requestlog.Filter{MinDuration: time.Second + 1}},
		{"cost", requestlog.Filter{MinMicroUSD: 5}, requestlog.Filter{MinMicroUSD: 6}},
		{"failed", requestlog.Filter{Failed: true}, requestlog.Filter{Failed: true, Outcome: "error"}},
		{"two", requestlog.Filter{Tenant: "t", User: "u"}, requestlog.Filter{Tenant: "t", User: "x"}},
	} {
		if !test.yes.Match(&e) || test.no.Match(&e) {
			t.Errorf("%s: %v and %v; want true and false", test.name, test.yes.Match(&e), test.no.Match(&e))
		}
	}
	for outcome, want := range map[string]bool{"ok": false, "degraded": false, "cancelled": false, "error": true, "refused": true} {
		e.Outcome = outcome
		if f := (requestlog.Filter{Failed: true}); f.Match(&e) != want {
			t.Errorf("failed: %s is %v", outcome, !want)
		}
	}
	for limit, want := range map[int]int{-1: 50, 0: 50, 1: 1, 500: 500, 501: 500} {
		if diff := cmp.Diff(want, (&requestlog.Query{Limit: limit}).Size()); diff != "" {
			t.Errorf("Size of %d: %s", limit, diff)
		}
	}
}

// BenchmarkAdd measures what a call pays.
func BenchmarkAdd(b *testing.B) {
	for name, watch := range map[string]int{"nobody watches": 0, "ten watch": 10} {
		b.Run(name, func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			l := requestlog.New(requestlog.Config{Store: discard{}, Buffer: 1 << 20})
			done := make(chan error, 1)
			go func() { done <- l.Run(ctx) }()
			for range watch {
				_, _, stop := l.Watch(requestlog.Filter{Operation: "other"}, 1)
				defer stop()
			}
			e := entry(1)
			b.ReportAllocs()
			for b.Loop() {
				l.Add(e)
			}
			cancel()
			must(b, <-done)
		})
	}
}

// discard is a store that keeps nothing.
type discard struct{ requestlog.Store }

func (discard) AppendRequests(context.Context, []requestlog.Entry) error { return nil }

func (discard) PruneRequests(context.Context, time.Time, int64) (int64, error) { return 0, nil }
