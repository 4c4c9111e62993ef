package coalesce_test

import (
	"context"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
)

// lead makes a call whose first chunk is there, and gives what feeds the others.
func lead(ctx context.Context, t *testing.T) (*coalesce.Flights, *coalesce.Share, chan<- llm.Chunk, *upstream) {
	t.Helper()
	next := make(chan llm.Chunk, 1)
	next <- text("0")
	u := &upstream{serve: func(ctx context.Context, _ int64) (llm.Stream, error) { return &piped{ctx: ctx, next: next}, nil }}
	f := coalesce.New(coalesce.Config{})
	s, err := f.Do(ctx, coalesce.Key{}, llm.Normal, u.start)
	if err != nil {
		t.Fatal(err)
	}
	return f, s, next, u
}

// A leader that is alone has no goroutine beside it, and reads no further than asked.
func TestSolo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		f, s, src := begin(t, 10)
		synctest.Wait()
		if n := runtime.NumGoroutine(); n != before {
			t.Errorf("%d goroutines, %d before", n, before)
		}
		for n := range int64(10) {
			take(t, s, 1)
			if got := src.read.Load(); got != n+1 {
				t.Errorf("%d chunks read for %d taken", got, n+1)
			}
		}
		if _, err := s.Next(); err != io.EOF {
			t.Error(err)
		}
		if running, _ := f.Running(); running != 0 {
			t.Error("the flight goes on")
		}
	})
}

// Whoever joins a leader that was alone does not depend on it: not while it reads
// nothing, and not once it has left.
func TestSoloJoined(t *testing.T) {
	for name, c := range map[string]struct{ reading, leaves bool }{
		"the leader rests":             {false, false},
		"the leader rests, and leaves": {false, true},
		"the leader reads":             {true, false},
		"the leader reads, and leaves": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				f, s, next, u := lead(ctx, t)
				take(t, s, 1)
				got := make(chan error, 1)
				if c.reading {
					go func() {
						_, err := s.Next()
						got <- err
					}()
				}
				synctest.Wait()
				follower := ask(t.Context(), f, llm.Normal, u, 0)
				synctest.Wait()
				if c.leaves {
					cancel()
					synctest.Wait()
				}
				for _, piece := range []string{"1", "2", "3"} {
					next <- text(piece)
					time.Sleep(time.Second)
				}
				close(next)
				if a := <-follower; a.got != "0123" || a.err != nil || a.leader {
					t.Errorf("follower: %+v", a)
				}
				if c.reading {
					if err := <-got; (err == nil) == c.leaves {
						t.Errorf("leader: %v", err)
					}
				}
				s.Close()
				landed(t, f, u, 0)
			})
		})
	}
}

// A leader that waits apart from reading waits in its source, on its own goroutine, and whoever
// joins it meanwhile has the rest read for it.
func TestSoloAwaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := make(chan llm.Chunk, 1)
		next <- text("0")
		source := &awaited{piped: piped{next: next}}
		u := &upstream{serve: func(ctx context.Context, _ int64) (llm.Stream, error) { source.ctx = ctx; return source, nil }}
		f := coalesce.New(coalesce.Config{})
		s, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, u.start)
		if err != nil {
			t.Fatal(err)
		}
		s.Await() // the first chunk is there
		take(t, s, 1)
		before, got := runtime.NumGoroutine(), make(chan string, 1)
		go func() {
			s.Await()
			got <- "awaited"
			rest, _ := readAll(s)
			got <- rest
		}()
		synctest.Wait()
		if n := runtime.NumGoroutine(); n != before+1 || source.awaits != 1 {
			t.Errorf("%d goroutines, %d before; waited %d times in the source", n, before, source.awaits)
		}
		next <- text("1")
		if <-got != "awaited" {
			t.Error("read before it was awaited")
		}
		follower := ask(t.Context(), f, llm.Normal, u, 0)
		synctest.Wait()
		next <- text("2")
		close(next)
		if a := <-follower; a.got != "012" || a.err != nil {
			t.Errorf("follower: %+v", a)
		}
		if rest := <-got; rest != "12" {
			t.Errorf("leader: %q", rest)
		}
		s.Await() // the end is there
		landed(t, f, u, 0)
	})
}

// awaited is a piped that can be waited for apart.
type awaited struct {
	piped
	awaits int
	ready  []llm.Chunk
}

func (a *awaited) Await() {
	if len(a.ready) > 0 {
		return
	}
	a.awaits++
	if c, err := a.piped.Next(); err == nil {
		a.ready = append(a.ready, c)
	}
}

func (a *awaited) Next() (llm.Chunk, error) {
	if len(a.ready) > 0 {
		c := a.ready[0]
		a.ready = a.ready[:0]
		return c, nil
	}
	return a.piped.Next()
}

// slowToClose is a stream whose end takes a second.
type slowToClose struct {
	*piped
	ended bool
}

func (s *slowToClose) Close() error {
	time.Sleep(time.Second)
	s.ended = true
	return nil
}

// A leader that is alone and learns that it has left finds the call's books closed, though
// the end of its context was noticed elsewhere first.
func TestSoloLeavesClosedBooks(t *testing.T) {
	for name, look := range map[string]func(*coalesce.Share){
		"Next":  func(s *coalesce.Share) { _, _ = s.Next() },
		"Await": func(s *coalesce.Share) { s.Await() },
		"Close": func(s *coalesce.Share) { _ = s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				next := make(chan llm.Chunk, 1)
				next <- text("0")
				src := &slowToClose{piped: &piped{next: next}}
				s, err := coalesce.New(coalesce.Config{}).Do(ctx, coalesce.Key{}, llm.Normal, func(ctx context.Context) (llm.Stream, error) {
					src.ctx = ctx
					return src, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				take(t, s, 1)
				cancel()
				synctest.Wait() // the stream is being closed
				if look(s); !src.ended {
					t.Error("the books are still open")
				}
			})
		})
	}
}

// A leader that is alone and goes away ends the call at once, whether it reads or not.
func TestSoloLeaves(t *testing.T) {
	for name, c := range map[string]struct{ reading, closes bool }{
		"context, resting": {false, false},
		"context, reading": {true, false},
		"Close, resting":   {false, true},
		"Close, reading":   {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				f, s, _, u := lead(ctx, t)
				take(t, s, 1)
				got := make(chan error, 1)
				if c.reading {
					go func() {
						_, err := s.Next()
						got <- err
					}()
					synctest.Wait()
				}
				if c.closes {
					s.Close()
				} else {
					cancel()
				}
				synctest.Wait()
				if running, joinable := f.Running(); running != 0 || joinable != 0 || u.closed.Load() != 1 {
					t.Errorf("%d flights go on, %d can be joined, %d streams closed", running, joinable, u.closed.Load())
				}
				if !c.reading {
					_, err := s.Next()
					got <- err
				}
				if err := <-got; llm.KindOf(err) != llm.CallerCancelled {
					t.Error(err)
				}
				landed(t, f, u, 0)
			})
		})
	}
}
