package lambdaapp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/awslambda"
	"github.com/forebay-ai/forebay/backlog"
)

// applied is a store whose changes take a while.
type applied struct {
	backlog.Store
	takes time.Duration
	err   error
}

func (s *applied) Apply(context.Context, *backlog.Change) error {
	time.Sleep(s.takes)
	return s.err
}

func change(id backlog.ID, from, to backlog.State) *backlog.Change {
	return &backlog.Change{ID: id, From: from, To: backlog.Status{State: to}}
}

// A worker is idle when nothing runs, nothing is on its way to the store, no webhook is due
// and nothing that it has put back comes up again in time.
func TestIdle(t *testing.T) {
	for name, c := range map[string]struct {
		during func(t *tally, apply func(*backlog.Change))
		idle   time.Duration // from the start; 20 ms looks
		want   awslambda.Jobs
	}{
		"nothing to do": {func(*tally, func(*backlog.Change)) {}, settleFor, awslambda.Jobs{}},
		"one job": {func(_ *tally, apply func(*backlog.Change)) {
			apply(change(1, backlog.Queued, backlog.Processing))
			time.Sleep(3 * time.Second)
			apply(change(1, backlog.Processing, backlog.Processing)) // the lease is renewed
			time.Sleep(time.Second)
			apply(change(1, backlog.Processing, backlog.Completed))
		}, 4*time.Second + 30*time.Millisecond + settleFor, awslambda.Jobs{Claimed: 1, Completed: 1}},
		"one that fails": {func(_ *tally, apply func(*backlog.Change)) {
			apply(change(1, backlog.Queued, backlog.Processing))
			apply(change(1, backlog.Processing, backlog.Dead))
		}, 20*time.Millisecond + settleFor, awslambda.Jobs{Claimed: 1, Ended: 1}},
		"one that is tried again": {func(_ *tally, apply func(*backlog.Change)) {
			apply(change(1, backlog.Queued, backlog.Processing))
			again := change(1, backlog.Processing, backlog.Queued)
			again.To.NotBefore = time.Now().Add(2 * time.Second)
			apply(again)
			time.Sleep(2 * time.Second)
			apply(change(1, backlog.Queued, backlog.Processing))
			apply(change(1, backlog.Processing, backlog.Completed))
		}, 2*time.Second + 40*time.Millisecond + settleFor, awslambda.Jobs{Claimed: 2, Completed: 1, Requeued: 1}},
		"one that is tried again too late": {func(_ *tally, apply func(*backlog.Change)) {
			apply(change(1, backlog.Queued, backlog.Processing))
			again := change(1, backlog.Processing, backlog.Queued)
			again.To.NotBefore = time.Now().Add(time.Hour)
			apply(again)
		}, 20*time.Millisecond + settleFor, awslambda.Jobs{Claimed: 1, Requeued: 1}},
		"a webhook": {func(_ *tally, apply func(*backlog.Change)) {
			apply(change(1, backlog.Queued, backlog.Processing))
			end := change(1, backlog.Processing, backlog.Completed)
			end.To.Hook.Due = time.Now()
			apply(end)
			time.Sleep(time.Second)
			told := change(1, backlog.Completed, backlog.Completed)
			told.To.Hook.Delivered = true
			apply(told)
		}, time.Second + 30*time.Millisecond + settleFor, awslambda.Jobs{Claimed: 1, Completed: 1}},
		"out of time": {func(_ *tally, apply func(*backlog.Change)) {
			apply(change(1, backlog.Queued, backlog.Processing))
			time.Sleep(10 * time.Second)
		}, 9 * time.Second, awslambda.Jobs{Claimed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newTally(&applied{takes: 10 * time.Millisecond})
				go c.during(store, func(change *backlog.Change) {
					if err := store.Apply(t.Context(), change); err != nil {
						t.Error(err)
					}
				})
				ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
				defer cancel()
				begun := time.Now()
				store.idle(ctx, begun)
				if took := time.Since(begun); took < c.idle || took > c.idle+2*workLook {
					t.Errorf("idle after %s, want %s", took, c.idle)
				}
				if got := store.done(); got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
				synctest.Wait()
				time.Sleep(time.Minute) // whatever still goes on ends
			})
		})
	}
}

// A change that was not made is none.
func TestTallyOfFailures(t *testing.T) {
	store := newTally(&applied{err: errors.New("gone")})
	if err := store.Apply(t.Context(), change(1, backlog.Queued, backlog.Processing)); err == nil {
		t.Error("the store's error is lost")
	}
	if got := store.done(); got != (awslambda.Jobs{}) || len(store.running) > 0 || store.busy != 0 {
		t.Errorf("%+v", got)
	}
}
