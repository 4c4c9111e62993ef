package coalesce_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
)

// faulty is a stream whose Next runs a function after its chunks.
type faulty struct {
	slice
	fault func() error
}

func (s *faulty) Next() (llm.Chunk, error) {
	if len(s.chunks) > 0 {
		return s.slice.Next()
	}
	time.Sleep(time.Second)
	return llm.Chunk{}, s.fault()
}

// crowd asks from a leader and six followers, and gives what each of them got.
func crowd(t *testing.T, f *coalesce.Flights, u *upstream) (leader asked, followers []asked) {
	first := ask(t.Context(), f, llm.Normal, u, 0)
	var rest []<-chan asked
	for range 6 {
		rest = append(rest, ask(t.Context(), f, llm.Normal, u, time.Millisecond))
	}
	for _, r := range rest {
		followers = append(followers, <-r)
	}
	return <-first, followers
}

func TestFlightsFail(t *testing.T) {
	provider := &llm.Error{Kind: llm.ProviderOverloaded, Message: "busy", RetryAfter: 3 * time.Second}
	panics := func() error { panic("boom") }
	for name, tt := range map[string]struct {
		early  bool // start fails, not the stream
		chunks int  // before the fault
		fault  func() error
		// what leader and followers see
		leader, followers llm.Kind
		starts            int64
		cause             string // part of the error's text
	}{
		"start fails":                {early: true, fault: func() error { return provider }, leader: llm.ProviderOverloaded, followers: llm.ProviderOverloaded, starts: 1, cause: "busy"},
		"start fails, wrapped":       {early: true, fault: func() error { return fmt.Errorf("attempt 3: %w", provider) }, leader: llm.ProviderOverloaded, followers: llm.ProviderOverloaded, starts: 1, cause: "attempt 3"},
		"start fails, foreign error": {early: true, fault: func() error { return errors.New("odd") }, leader: llm.ForebayInternal, followers: llm.ForebayInternal, starts: 1, cause: "odd"},
		"start panics":               {early: true, fault: panics, leader: llm.ForebayInternal, followers: llm.ForebayInternal, starts: 1, cause: "boom"},
		"fails at once":              {fault: func() error { return provider }, leader: llm.ProviderOverloaded, followers: llm.ProviderOverloaded, starts: 1},
		"fails after chunks":         {chunks: 2, fault: func() error { return provider }, leader: llm.ProviderOverloaded, followers: llm.ProviderOverloaded, starts: 1},
		"Next panics":                {chunks: 2, fault: panics, leader: llm.ForebayInternal, followers: llm.ForebayInternal, starts: 1, cause: "boom"},
		// io.EOF as a cause is not the end of the answer.
		"cut":         {chunks: 2, fault: func() error { return &llm.Error{Kind: llm.ProviderTruncated, Err: io.EOF} }, leader: llm.ProviderTruncated, followers: llm.ProviderTruncated, starts: 1},
		"wrapped EOF": {chunks: 2, fault: func() error { return fmt.Errorf("read: %w", io.EOF) }, leader: llm.ForebayInternal, followers: llm.ForebayInternal, starts: 1},
		// A request that is wrong is wrong for all, and not tried for ever.
		"wrong request": {early: true, fault: func() error { return llm.Errorf(llm.CallerInvalidRequest, "no") }, leader: llm.CallerInvalidRequest, followers: llm.CallerInvalidRequest, starts: 4},
		// The leader's deadline in mid-stream is not the followers'.
		"deadline in mid-stream": {chunks: 2, fault: func() error { return llm.AsError(context.DeadlineExceeded) }, leader: llm.CallerDeadline, followers: llm.ForebayUnavailable, starts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pieces, whole := parts(tt.chunks)
				u := &upstream{serve: func(context.Context, int64) (llm.Stream, error) {
					if tt.early {
						time.Sleep(time.Second)
						return nil, tt.fault()
					}
					return &faulty{slice: slice{chunks: pieces}, fault: tt.fault}, nil
				}}
				f := coalesce.New(coalesce.Config{})
				leader, followers := crowd(t, f, u)
				for i, a := range append(followers, leader) {
					want := tt.followers
					if a.leader || i == len(followers) {
						want = tt.leader
					}
					var e *llm.Error
					if !errors.As(a.err, &e) || e.Kind != want || !strings.Contains(e.Error(), tt.cause) || a.got != whole {
						t.Errorf("caller %d: got %q, %v; want kind %v", i, a.got, a.err, want)
					}
				}
				if leader.err == followers[0].err {
					t.Error("callers share one error: each fills in its own")
				}
				if u.starts.Load() != tt.starts {
					t.Errorf("%d calls, want %d", u.starts.Load(), tt.starts)
				}
				failed := int64(0)
				if tt.early {
					failed = tt.starts
				}
				landed(t, f, u, failed)
				if provider.SupportID != "" || provider.Message != "busy" {
					t.Error("the original error was changed")
				}
			})
		})
	}
}

// start runs on the leader's goroutine. One that ends it frees those who share.
func TestFlightsStartEndsTheGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := coalesce.New(coalesce.Config{})
		go func() {
			_, _ = f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(context.Context) (llm.Stream, error) {
				time.Sleep(time.Second)
				runtime.Goexit()
				return nil, nil
			})
		}()
		synctest.Wait()
		_, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(context.Context) (llm.Stream, error) {
			t.Error("a second call")
			return nil, nil
		})
		if llm.KindOf(err) != llm.ForebayInternal || !strings.Contains(err.Error(), "Goexit") {
			t.Error(err)
		}
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A stream whose Next ends the goroutine that reads it, the leader's or the flight's,
// frees those who share it.
func TestFlightsNextEndsTheGoroutine(t *testing.T) {
	for name, delay := range map[string]time.Duration{"the flight's": time.Second, "the leader's": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pieces, whole := parts(2)
				u := &upstream{serve: func(context.Context, int64) (llm.Stream, error) {
					time.Sleep(delay) // the other one joins before the first chunk, or within a read
					return &faulty{slice: slice{chunks: pieces}, fault: func() error { runtime.Goexit(); return nil }}, nil
				}}
				f := coalesce.New(coalesce.Config{})
				ask(t.Context(), f, llm.Normal, u, 0) // has no answer where its goroutine ends
				a := <-ask(t.Context(), f, llm.Normal, u, time.Millisecond)
				if llm.KindOf(a.err) != llm.ForebayInternal || !strings.Contains(a.err.Error(), "Goexit") || a.got != whole {
					t.Errorf("%q, %v", a.got, a.err)
				}
				landed(t, f, u, 0)
			})
		})
	}
}

func TestFlightsMisbehavedStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := coalesce.New(coalesce.Config{})
		_, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(context.Context) (llm.Stream, error) { return nil, nil })
		if llm.KindOf(err) != llm.ForebayInternal {
			t.Errorf("no stream and no error: %v", err)
		}
		s, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(context.Context) (llm.Stream, error) { return &badClose{}, nil })
		if err == nil {
			_, err = readAll(s)
		}
		if llm.KindOf(err) != llm.ForebayInternal {
			t.Errorf("Close panics: %v", err)
		}
		s, err = f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(context.Context) (llm.Stream, error) { return &slice{}, nil })
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(s); got != "" || err != nil {
			t.Errorf("empty answer: %q, %v", got, err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.Do(gone, coalesce.Key{}, llm.Normal, nil); llm.KindOf(err) != llm.CallerCancelled {
			t.Errorf("a caller that is gone: %v", err)
		}
	})
}

type badClose struct{ slice }

func (*badClose) Close() error { panic("close") }

// A leader whose own deadline ends the call leaves the others to try again,
// together.
func TestFlightsLeaderFailsForItself(t *testing.T) {
	for name, kind := range map[string]llm.Kind{"deadline": llm.CallerDeadline, "cancelled": llm.CallerCancelled, "no hope": llm.PolicyOverloaded} {
		for stage, early := range map[string]bool{"start": true, "before the first chunk": false} {
			t.Run(name+" "+stage, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pieces, whole := parts(3)
					u := &upstream{serve: func(ctx context.Context, n int64) (llm.Stream, error) {
						fault := func() error { return &llm.Error{Kind: kind, Message: "the leader's", Limit: "deadline"} }
						switch {
						case n > 1:
							return paced(ctx, pieces), nil
						case early:
							time.Sleep(time.Second)
							return nil, fault()
						}
						return &faulty{fault: fault}, nil
					}}
					f := coalesce.New(coalesce.Config{})
					leader, followers := crowd(t, f, u)
					if llm.KindOf(leader.err) != kind {
						t.Errorf("leader: %v", leader.err)
					}
					for i, a := range followers {
						if a.got != whole || a.err != nil {
							t.Errorf("follower %d: %q, %v", i, a.got, a.err)
						}
					}
					if u.starts.Load() != 2 {
						t.Errorf("%d calls, want 2", u.starts.Load())
					}
					failed := int64(0)
					if early {
						failed = 1
					}
					landed(t, f, u, failed)
				})
			})
		}
	}
}

// However often leaders run out of time, that never becomes the error of a caller
// who has some left: after four of them it goes alone.
func TestFlightsUnluckyFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type patience struct{}
		u := &upstream{serve: func(ctx context.Context, _ int64) (llm.Stream, error) {
			if ctx.Value(patience{}) == nil {
				time.Sleep(time.Second)
				return nil, llm.Errorf(llm.CallerDeadline, "the leader's")
			}
			return &slice{chunks: []llm.Chunk{text("answer")}}, nil
		}}
		f := coalesce.New(coalesce.Config{})
		// Each of the hasty leads, for its priority, and is there when the one before fails.
		for i := range 10 {
			ask(t.Context(), f, llm.Normal+llm.Priority(i), u, time.Duration(i)*900*time.Millisecond)
		}
		patient := context.WithValue(t.Context(), patience{}, true)
		a := <-ask(patient, f, llm.Low, u, 50*time.Millisecond)
		if a.got != "answer" || a.err != nil || a.after != 3700*time.Millisecond {
			t.Errorf("patient caller: %q, %v after %v", a.got, a.err, a.after)
		}
		time.Sleep(time.Minute)
	})
}

func TestFlightsPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		u.serve = func(ctx context.Context, n int64) (llm.Stream, error) {
			time.Sleep(time.Minute) // waiting in a line
			return &slice{chunks: []llm.Chunk{text(fmt.Sprint(n))}}, nil
		}
		f := coalesce.New(coalesce.Config{})
		var all []<-chan asked
		for i, p := range []llm.Priority{llm.Normal, llm.Low, llm.Normal, llm.High, llm.Normal, llm.High, llm.Critical, llm.Low} {
			all = append(all, ask(t.Context(), f, p, u, time.Duration(i)*time.Second))
		}
		var got []string
		for _, a := range all {
			a := <-a
			got = append(got, a.got)
		}
		// Joins go to a flight of the same or a higher band, and to the newest.
		want := []string{"1", "1", "1", "2", "2", "2", "3", "3"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		landed(t, f, u, 0)
	})
}
