package coalesce_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
)

func TestFlightsLeaderCancelled(t *testing.T) {
	for name, c := range map[string]struct {
		when          time.Duration
		calls, failed int64
	}{
		"before the answer": {500 * time.Millisecond, 2, 1}, // start has not returned
		"in mid-stream":     {4500 * time.Millisecond, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pieces, whole := parts(5)
				u := &upstream{serve: func(ctx context.Context, _ int64) (llm.Stream, error) {
					select {
					case <-time.After(time.Second):
						return paced(ctx, pieces), nil
					case <-ctx.Done():
						return nil, llm.AsError(ctx.Err())
					}
				}}
				f := coalesce.New(coalesce.Config{})
				ctx, cancel := context.WithCancel(t.Context())
				leader := ask(ctx, f, llm.Normal, u, 0)
				time.Sleep(time.Millisecond)
				followers := make([]<-chan asked, 50)
				for i := range followers {
					followers[i] = ask(t.Context(), f, llm.Normal, u, 0)
				}
				time.AfterFunc(c.when-time.Millisecond, cancel)
				if a := <-leader; llm.KindOf(a.err) != llm.CallerCancelled || a.after != c.when {
					t.Errorf("leader: %v after %v", a.err, a.after)
				}
				for i, follower := range followers {
					if a := <-follower; a.err != nil || a.got != whole {
						t.Errorf("follower %d: %q, %v", i, a.got, a.err)
					}
				}
				if n := u.starts.Load(); n != c.calls {
					t.Errorf("%d calls, want %d", n, c.calls)
				}
				landed(t, f, u, c.failed)
			})
		})
	}
}

func TestFlightsFollowerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pieces, whole := parts(5)
		u := &upstream{serve: func(ctx context.Context, _ int64) (llm.Stream, error) { return paced(ctx, pieces), nil }}
		f := coalesce.New(coalesce.Config{})
		leader := ask(t.Context(), f, llm.Normal, u, 0)
		brief, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		follower := ask(brief, f, llm.Normal, u, time.Millisecond)
		if a := <-follower; llm.KindOf(a.err) != llm.CallerDeadline || a.after != 2500*time.Millisecond {
			t.Errorf("follower: %v after %v", a.err, a.after)
		}
		if a := <-leader; a.err != nil || a.got != whole {
			t.Errorf("leader: %q, %v", a.got, a.err)
		}
		landed(t, f, u, 0)
	})
}

// From the first chunk on the upstream call ends with the last participant, at once,
// and the next caller makes a new one.
func TestFlightsAllLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		begin := time.Now()
		u := &upstream{serve: func(ctx context.Context, n int64) (llm.Stream, error) {
			if n > 1 {
				return &slice{chunks: []llm.Chunk{text("new")}}, nil
			}
			context.AfterFunc(ctx, func() { ended.Store(int64(time.Since(begin))) })
			time.Sleep(time.Millisecond) // all are aboard by the first chunk
			next := make(chan llm.Chunk, 1)
			next <- text("first")
			return &piped{ctx: ctx, next: next}, nil
		}}
		f := coalesce.New(coalesce.Config{})
		var all []<-chan asked
		for i := range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
			defer cancel()
			all = append(all, ask(ctx, f, llm.Normal, u, 0))
		}
		for i, a := range all {
			if a := <-a; llm.KindOf(a.err) != llm.CallerDeadline || a.after != time.Duration(i+1)*time.Second {
				t.Errorf("caller %d: %v after %v", i, a.err, a.after)
			}
		}
		synctest.Wait()
		if got := time.Duration(ended.Load()); got != 10*time.Second {
			t.Errorf("upstream cancelled after %v, want 10s", got)
		}
		if a := <-ask(t.Context(), f, llm.Normal, u, 0); a.got != "new" || a.err != nil || !a.leader {
			t.Errorf("next caller: %+v", a)
		}
		landed(t, f, u, 0)
	})
}

// A flight that was given up takes nobody in, however long its call takes to end.
func TestFlightsGivenUpTakesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{serve: func(ctx context.Context, n int64) (llm.Stream, error) {
			time.Sleep(time.Minute) // does not listen to ctx
			return &slice{chunks: []llm.Chunk{text("answer")}, end: llm.AsError(ctx.Err())}, nil
		}}
		f := coalesce.New(coalesce.Config{})
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first := ask(brief, f, llm.Normal, u, 0)
		a := <-ask(t.Context(), f, llm.Normal, u, 2*time.Second)
		if !a.leader || a.got != "answer" || a.after != 62*time.Second {
			t.Errorf("second caller: %+v", a)
		}
		if a := <-first; llm.KindOf(a.err) != llm.CallerDeadline {
			t.Errorf("first caller: %v", a.err)
		}
		landed(t, f, u, 0)
	})
}

// Close from another goroutine wakes a participant that waits in Next.
func TestShareClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := make(chan llm.Chunk, 1)
		next <- text("first")
		u := &upstream{serve: func(ctx context.Context, _ int64) (llm.Stream, error) { return &piped{ctx: ctx, next: next}, nil }}
		f := coalesce.New(coalesce.Config{})
		s, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, u.start)
		if err != nil {
			t.Fatal(err)
		}
		if src, ok := s.Source().(*counted); !ok || src.up != u {
			t.Errorf("source %T", s.Source())
		}
		go func() {
			time.Sleep(time.Second)
			s.Close()
		}()
		for range 2 { // the error stays
			if _, err = readAll(s); llm.KindOf(err) != llm.CallerCancelled {
				t.Errorf("Next after Close: %v", err)
			}
		}
		s.Close()
		landed(t, f, u, 0)
	})
}

func TestFlightsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pieces, whole := parts(5)
		u := &upstream{serve: func(ctx context.Context, _ int64) (llm.Stream, error) { return paced(ctx, pieces), nil }}
		f := coalesce.New(coalesce.Config{})
		caller := ask(t.Context(), f, llm.Normal, u, 0)
		time.Sleep(time.Second)
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := f.Close(brief)
		if llm.KindOf(err) != llm.ForebayDraining || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close with a call in progress: %v", err)
		}
		if a := <-ask(t.Context(), f, llm.Normal, u, 0); llm.KindOf(a.err) != llm.ForebayDraining {
			t.Errorf("a call after Close: %v", a.err)
		}
		if err := f.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if running, _ := f.Running(); running != 0 {
			t.Errorf("Close returned with %d flights going on", running)
		}
		if a := <-caller; a.got != whole || a.err != nil {
			t.Errorf("the call in progress: %q, %v", a.got, a.err)
		}
	})
}
