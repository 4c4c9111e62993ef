package jobs_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// repeated is the submission that is repeated.
func repeated() jobs.Submission {
	s := submission(strings.Repeat("one ", 1000))
	s.Webhook = "https://hook"
	keyed("k")(&s)
	return s
}

// noKeys is where no key can be read or kept.
type noKeys struct{ envelope.KeyStore }

func (noKeys) Newest(context.Context, uint64, uint64) (envelope.WrappedKey, error) {
	return envelope.WrappedKey{}, errReset
}

// A repeated submission is told its job where a new one is refused, for whatever reason.
func TestRepeatedWhereRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*jobs.Config)
		refuse func(t *testing.T, r *rig) *rig // returns the one that refuses
		want   llm.Kind
	}{
		"full":          {func(c *jobs.Config) { c.Desk.Max = 1 }, nil, llm.PolicyOverloaded},
		"full of bytes": {func(c *jobs.Config) { c.Desk.MaxBytes = 6000 }, nil, llm.PolicyOverloaded},
		"no hope before the deadline": {func(c *jobs.Config) { c.Desk.Concurrency = 1 }, func(_ *testing.T, r *rig) *rig {
			r.does(takes(40 * time.Second))
			r.run()
			time.Sleep(41 * time.Second) // one has ended: the queue knows how long they take
			r.submit("busy", func(s *jobs.Submission) { s.Timeout = time.Hour })
			synctest.Wait()
			return r
		}, llm.PolicyOverloaded},
		"draining": {nil, func(t *testing.T, r *rig) *rig {
			if err := r.q.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			return r
		}, llm.ForebayDraining},
		"the store has failed": {nil, func(t *testing.T, r *rig) *rig {
			r.store.FailStop()
			_, _, err := r.q.Submit(t.Context(), submission("x"))
			kindIs(t, err, llm.ForebayUnavailable)
			kindIs(t, r.q.Ready(), llm.ForebayUnavailable)
			return r
		}, llm.ForebayUnavailable},
		"nothing can be sealed": {nil, func(t *testing.T, r *rig) *rig {
			return r.again(func(c *jobs.Config) { c.Keys = newKeys(t, noKeys{storetest.NewMemory()}) })
		}, llm.ForebayUnavailable},
		"webhooks are not set up any more": {nil, func(_ *testing.T, r *rig) *rig {
			return r.again(func(c *jobs.Config) { c.Hooks = nil })
		}, llm.CallerInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				change := func(*jobs.Config) {}
				if c.change != nil {
					change = c.change
				}
				r := idleRig(t, change)
				first, created, err := r.q.Submit(t.Context(), repeated())
				if err != nil || !created {
					t.Fatal(created, err)
				}
				if c.refuse != nil {
					r = c.refuse(t, r)
				}
				repeats(t, r, first.ID, c.want)
			})
		})
	}
}

// repeats checks a queue that refuses new jobs, with a job of repeated.
func repeats(t *testing.T, r *rig, id backlog.ID, want llm.Kind) {
	ctx, before, stored := t.Context(), r.happened(), len(r.store.Records())
	for range 2 {
		j, created, err := r.q.Submit(ctx, repeated())
		if err != nil || created || j != r.job(id) {
			t.Errorf("the same again: %s, created %v, %v; want %s", j.ID, created, err, id)
		}
	}
	if now := r.happened(); now != before {
		t.Errorf("then was observed %q; want %q", now, before)
	}
	other := repeated()
	other.Digest[0]++
	_, _, err := r.q.Submit(ctx, other)
	kindIs(t, err, llm.CallerConflict)
	for name, change := range map[string]func(*jobs.Submission){
		"no key": keyed(""), "another key": keyed("l"), "another user's": func(s *jobs.Submission) { s.User = "v" },
	} {
		s := repeated()
		change(&s)
		if _, _, err := r.q.Submit(ctx, s); llm.KindOf(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	// Where the store does not say whether there is one, it is the refusal that is known.
	r.store.Fail(errReset, 1, storetest.OpFind)
	_, _, err = r.q.Submit(ctx, repeated())
	kindIs(t, err, want)
	if got := len(r.store.Records()); got != stored {
		t.Errorf("%d are stored; want %d", got, stored)
	}
}

// A key is forgotten after a day in a full queue, too.
func TestRepeatedTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := idleRig(t, func(c *jobs.Config) { c.Desk.Max = 1 })
		if _, _, err := r.q.Submit(t.Context(), repeated()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24*time.Hour - time.Second)
		if _, created, err := r.q.Submit(t.Context(), repeated()); created || err != nil {
			t.Error(created, err)
		}
		time.Sleep(2 * time.Second)
		_, _, err := r.q.Submit(t.Context(), repeated())
		kindIs(t, err, llm.PolicyOverloaded)
	})
}

// A look that finds the store to have failed is what begins its recovery.
func TestRepeatedFindsFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := idleRig(t, func(c *jobs.Config) { c.Desk.Max = 1 })
		if _, _, err := r.q.Submit(t.Context(), repeated()); err != nil {
			t.Fatal(err)
		}
		r.store.Fail(backlog.ErrFailed, 1, storetest.OpFind)
		_, _, err := r.q.Submit(t.Context(), repeated())
		kindIs(t, err, llm.PolicyOverloaded)
		if err := r.q.Ready(); !errors.Is(err, backlog.ErrFailed) {
			t.Errorf("Ready: %v", err)
		}
		r.run()
		time.Sleep(time.Minute)
		if _, created, err := r.q.Submit(t.Context(), repeated()); created || err != nil {
			t.Error(created, err)
		}
	})
}
