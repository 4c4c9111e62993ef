package coalesce_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
)

// upstream counts calls and hands each one to the test.
type upstream struct {
	starts, closed atomic.Int64
	serve          func(ctx context.Context, n int64) (llm.Stream, error) // n counts from 1
}

func (u *upstream) start(ctx context.Context) (llm.Stream, error) {
	s, err := u.serve(ctx, u.starts.Add(1))
	if err != nil {
		return nil, err
	}
	return &counted{Stream: s, up: u}, nil
}

type counted struct {
	llm.Stream
	up *upstream
}

func (c *counted) Await() { llm.Await(c.Stream) }

func (c *counted) Close() error {
	c.up.closed.Add(1)
	return c.Stream.Close()
}

// landed checks that nothing is left behind.
func landed(t *testing.T, f *coalesce.Flights, u *upstream, failed int64) {
	t.Helper()
	synctest.Wait()
	if running, joinable := f.Running(); running != 0 || joinable != 0 {
		t.Errorf("%d flights go on, %d can be joined", running, joinable)
	}
	if u.closed.Load() != u.starts.Load()-failed {
		t.Errorf("%d calls, %d failed at once, %d streams closed", u.starts.Load(), failed, u.closed.Load())
	}
	if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// parts is an answer of n chunks, and all of it.
func parts(n int) (chunks []llm.Chunk, whole string) {
	var b strings.Builder
	for i := range n {
		piece := fmt.Sprintf("data: %d\n\n", i)
		b.WriteString(piece)
		chunks = append(chunks, text(piece))
	}
	return chunks, b.String()
}

// paced sends chunks a second apart and then closes the channel, or stops with ctx.
func paced(ctx context.Context, chunks []llm.Chunk) llm.Stream {
	next := make(chan llm.Chunk)
	go func() {
		for _, c := range chunks {
			time.Sleep(time.Second)
			select {
			case next <- c:
			case <-ctx.Done():
				return
			}
		}
		close(next)
	}()
	return &piped{ctx: ctx, next: next}
}

func TestFlightsShareOneCall(t *testing.T) {
	for name, chunks := range map[string]int{"whole": 1, "stream": 20} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				callers := 10_000
				if raceEnabled {
					callers = 4000 // the race detector ends a program with more than 8,128 goroutines
				}
				pieces, whole := parts(chunks)
				gate := make(chan struct{})
				u := &upstream{serve: func(ctx context.Context, _ int64) (llm.Stream, error) {
					<-gate
					return paced(ctx, pieces), nil
				}}
				f := coalesce.New(coalesce.Config{})
				var leaders, right atomic.Int64
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						s, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, u.start)
						if err != nil {
							t.Error(err)
							return
						}
						defer s.Close()
						if s.Leader() {
							leaders.Add(1)
						}
						if got, err := readAll(s); err == nil && got == whole && u.closed.Load() == 1 {
							right.Add(1)
						}
					})
				}
				synctest.Wait()
				close(gate)
				wg.Wait()
				if u.starts.Load() != 1 || leaders.Load() != 1 || right.Load() != int64(callers) {
					t.Errorf("%d calls, %d leaders, %d of %d got the answer and then a closed stream", u.starts.Load(), leaders.Load(), right.Load(), callers)
				}
				landed(t, f, u, 0)
			})
		})
	}
}

// With the cache filled before io.EOF and looked into once more by start, identical
// misses make one call however the callers' look-ups and flights interleave.
func TestFlightsWithCacheNeverCallTwice(t *testing.T) {
	rounds := 30
	for round := range rounds {
		c := openCache(t)
		f := coalesce.New(coalesce.Config{})
		name, now := numberedKey(round), time.Now()
		k := cache.Key(name)
		var calls atomic.Int64
		start := func(context.Context) (llm.Stream, error) {
			if e, outcome := c.Get(k, "acme", now); outcome == cache.Hit {
				return &slice{chunks: []llm.Chunk{{Raw: e.Body}}}, nil
			}
			calls.Add(1)
			runtime.Gosched()
			return &storing{cache: c, entry: entry(k, "answer", now), now: now}, nil
		}
		var wg sync.WaitGroup
		for range 300 {
			wg.Go(func() {
				if _, outcome := c.Get(k, "acme", now); outcome == cache.Hit {
					return
				}
				s, err := f.Do(t.Context(), name, llm.Normal, start)
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if got, err := readAll(s); got != "answer" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		wg.Wait()
		if calls.Load() != 1 {
			t.Fatalf("round %d: %d calls", round, calls.Load())
		}
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// storing gives an entry's body and puts it into the cache before io.EOF.
type storing struct {
	cache *cache.Cache
	entry *cache.Entry
	now   time.Time
	read  bool
}

func (s *storing) Next() (llm.Chunk, error) {
	if !s.read {
		s.read = true
		return llm.Chunk{Raw: s.entry.Body}, nil
	}
	runtime.Gosched()
	s.cache.Put(s.entry, s.now)
	return llm.Chunk{}, io.EOF
}

func (s *storing) Close() error { return nil }

// asked is one caller's result.
type asked struct {
	got    string
	err    error
	leader bool
	after  time.Duration // when Do and the reading were over
}

// ask calls Do and reads to the end, after a while.
func ask(ctx context.Context, f *coalesce.Flights, p llm.Priority, u *upstream, after time.Duration) <-chan asked {
	out := make(chan asked, 1)
	begin := time.Now()
	go func() {
		time.Sleep(after)
		var a asked
		s, err := f.Do(ctx, coalesce.Key{}, p, u.start)
		if a.err = err; err == nil {
			a.leader = s.Leader()
			a.got, a.err = readAll(s)
			s.Close()
		}
		a.after = time.Since(begin)
		out <- a
	}()
	return out
}

func TestFlightsJoinLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pieces, whole := parts(10)
		u := &upstream{serve: func(ctx context.Context, _ int64) (llm.Stream, error) { return paced(ctx, pieces), nil }}
		f := coalesce.New(coalesce.Config{})
		first := ask(t.Context(), f, llm.Normal, u, 0)
		late := ask(t.Context(), f, llm.Normal, u, 9500*time.Millisecond)
		after := ask(t.Context(), f, llm.Normal, u, 11*time.Second)
		for name, tt := range map[string]struct {
			a    asked
			took time.Duration
		}{
			"first": {<-first, 10 * time.Second},
			"late":  {<-late, 10 * time.Second},
			"after": {<-after, 21 * time.Second},
		} {
			if tt.a.err != nil || tt.a.got != whole || tt.a.after != tt.took {
				t.Errorf("%s: %q, %v, after %v (want %v)", name, tt.a.got, tt.a.err, tt.a.after, tt.took)
			}
		}
		if u.starts.Load() != 2 {
			t.Errorf("%d calls, want 2: the answer was complete when the third asked", u.starts.Load())
		}
		landed(t, f, u, 0)
	})
}
