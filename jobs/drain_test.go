package jobs_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// A drain takes nothing in, claims nothing, and lets what runs end.
func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1 })
		r.does(takes(10 * time.Second))
		one, two := r.submit("one"), r.submit("two")
		synctest.Wait()
		began := time.Now()
		if err := r.q.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("drained after %v", took)
		}
		r.is(one.ID, backlog.Completed)
		r.is(two.ID, backlog.Queued)
		_, _, err := r.q.Submit(t.Context(), submission("three"))
		kindIs(t, err, llm.ForebayDraining)
		if err := r.halt(); err != nil {
			t.Error(err)
		}
		next := r.again()
		next.run()
		if end := next.ends(two.ID, backlog.Completed); end.Attempt != 1 || end.Deaths != 0 {
			t.Errorf("%+v", end.Status)
		}
	})
}

// When the drain's time is up leases are handed back: durably, without counting, and
// the jobs keep their place.
func TestDrainHandsBack(t *testing.T) {
	for name, handler := range map[string]step{
		"listens": takes(time.Hour),
		"does not": func(context.Context, *jobs.Task) ([]byte, error) {
			time.Sleep(time.Minute)
			return []byte("late"), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				r.does(handler)
				j := r.submit("one", func(s *jobs.Submission) { s.Timeout = 2 * time.Hour })
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				if err := r.q.Drain(ctx); err != nil {
					t.Fatal(err)
				}
				back := r.is(j.ID, backlog.Queued)
				if back.Deaths != 0 || back.Retries != 0 || !back.NotBefore.IsZero() || back.Kind != "" {
					t.Errorf("%+v", back.Status)
				}
				if err := r.halt(); err != nil {
					t.Error(err)
				}
				r.is(j.ID, backlog.Queued)
				next := r.again()
				next.run()
				next.ends(j.ID, backlog.Completed)
				next.result(j.ID, "echo one")
			})
		})
	}
}

// The end of Run hands leases back, too, and the cause says so.
func TestRunEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var cause error
		r.does(func(ctx context.Context, _ *jobs.Task) ([]byte, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil, ctx.Err()
		})
		j := r.submit("one")
		synctest.Wait()
		if err := r.halt(); err != nil {
			t.Error(err)
		}
		if !errors.Is(cause, jobs.ErrHandedBack) {
			t.Errorf("the context ended by %v", cause)
		}
		r.is(j.ID, backlog.Queued)
	})
}

// The readers of a queue that never ran end with its drain, and later ones do not wait.
func TestDrainWithoutRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := idleRig(t)
		j := r.submit("one")
		l, wg := r.follow(j.ID, 0)
		wg.Go(func() {
			if got, err := r.q.Wait(context.Background(), acme, j.ID); err != nil || got.State != backlog.Queued {
				t.Errorf("%s, %v", got.State, err)
			}
		})
		synctest.Wait()
		for range 2 {
			if err := r.q.Drain(t.Context()); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
		if got := l.String(); got != "queued" {
			t.Error(got)
		}
		if got := r.read(t.Context(), j.ID, 0, 0); got.String() != "queued" || !got.ended {
			t.Error(got)
		}
		if n := jobs.Topics(r.q); n != 0 {
			t.Errorf("%d topics are left", n)
		}
	})
}

// The readers of a queue that runs see the end of what was running when it was drained.
func TestDrainLetsReadersSeeTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(takes(5 * time.Second))
		j := r.submit("one")
		synctest.Wait()
		l, wg := r.follow(j.ID, 0)
		if err := r.q.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if got := l.String(); got != "processing completed" {
			t.Error(got)
		}
	})
}

// A result that a handler brings in spite of being told to stop is kept.
func TestDrainKeepsResults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(func(ctx context.Context, k *jobs.Task) ([]byte, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			return k.Payload, nil
		})
		j := r.submit("one")
		synctest.Wait()
		if err := r.halt(); err != nil {
			t.Error(err)
		}
		r.is(j.ID, backlog.Completed)
		r.result(j.ID, "one")
	})
}

// The end comes in bounded time, whatever the store does.
func TestRunEndsWithoutAStore(t *testing.T) {
	for _, fault := range []error{errReset, backlog.ErrFailed} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			r.does(takes(time.Second))
			j := r.submit("one")
			synctest.Wait()
			r.store.Fail(fault, 1000, storetest.OpApply, storetest.OpGet, storetest.OpRecover)
			time.Sleep(2 * time.Second)
			began := time.Now()
			_ = r.halt()
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("ended after %v", took)
			}
			r.is(j.ID, backlog.Processing)
		})
	}
}

func TestPauseAndResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		if err := r.q.Pause(t.Context(), operator, "op"); err != nil {
			t.Fatal(err)
		}
		kindIs(t, r.q.Pause(t.Context(), acme, "op"), llm.CallerForbidden)
		held := r.submit("one")
		other := r.submit("two", func(s *jobs.Submission) { s.Operation = "other" })
		r.ends(other.ID, backlog.Completed)
		r.is(held.ID, backlog.Queued)
		if err := r.halt(); err != nil {
			t.Fatal(err)
		}
		r = r.again() // it outlasts the process
		r.run()
		time.Sleep(time.Second)
		r.is(held.ID, backlog.Queued)
		if s, _ := r.q.Stats(t.Context(), operator); len(s.Paused) != 1 || s.Paused[0] != "op" {
			t.Errorf("%+v", s)
		}
		r.auditErr = errors.New("no audit")
		kindIs(t, r.q.Resume(t.Context(), operator, "op"), llm.ForebayUnavailable)
		r.is(held.ID, backlog.Queued)
		r.auditErr = nil
		r.store.Fail(errReset, 1, storetest.OpSetPaused)
		kindIs(t, r.q.Resume(t.Context(), operator, "op"), llm.ForebayUnavailable)
		r.is(held.ID, backlog.Queued)
		if err := r.q.Resume(t.Context(), operator, "op"); err != nil {
			t.Fatal(err)
		}
		r.ends(held.ID, backlog.Completed)
	})
}
