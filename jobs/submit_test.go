package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// ownerU is whose keys seal what submission makes.
var ownerU = envelope.Owner{Tenant: "acme", User: "u"}

// keyed gives a submission an idempotency key and a digest of its payload.
func keyed(key string) func(*jobs.Submission) {
	return func(s *jobs.Submission) {
		s.IdempotencyKey = key
		copy(s.Digest[:], s.Payload)
	}
}

// The same key and body give the same ID; the same key and another body a conflict.
func TestIdempotency(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.submit("one", keyed("k"))
		s := submission("one")
		keyed("k")(&s)
		again, created, err := r.q.Submit(t.Context(), s)
		if err != nil || created || again.ID != first.ID {
			t.Errorf("%s created %v, %v; want %s", again.ID, created, err, first.ID)
		}
		other := submission("two")
		keyed("k")(&other)
		_, _, err = r.q.Submit(t.Context(), other)
		kindIs(t, err, llm.CallerConflict)
		if llm.AsError(err).Fix == "" {
			t.Error("no fix")
		}
		// Keys of other users and tenants, and none, are other keys.
		s.User = "v"
		if j, created, err := r.q.Submit(t.Context(), s); err != nil || !created || j.ID == first.ID {
			t.Errorf("another user: %v %v", created, err)
		}
		s.Tenant = "other"
		if j, created, err := r.q.Submit(t.Context(), s); err != nil || !created || j.ID == first.ID {
			t.Errorf("another tenant: %v %v", created, err)
		}
		time.Sleep(24*time.Hour + time.Second)
		s = submission("one")
		keyed("k")(&s)
		if j, created, err := r.q.Submit(t.Context(), s); err != nil || !created || j.ID == first.ID {
			t.Errorf("a day later: %v %v", created, err)
		}
	})
}

func TestIdempotencyRace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.store.Slow(time.Millisecond, storetest.OpInsert)
		var mu sync.Mutex
		ids, created := map[backlog.ID]bool{}, 0
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				s := submission("one")
				keyed("k")(&s)
				j, fresh, err := r.q.Submit(t.Context(), s)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if ids[j.ID] = true; fresh {
					created++
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		if len(ids) != 1 || created != 1 || len(r.starts()) != 1 || len(r.store.Records()) != 1 {
			t.Errorf("%d ids, %d created, %d started, %d stored", len(ids), created, len(r.starts()), len(r.store.Records()))
		}
		s, _ := r.q.Stats(t.Context(), operator)
		if s.Bands["normal"].Queued != 0 || s.QueuedBytes != 0 {
			t.Errorf("places were not given back: %+v", s)
		}
	})
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*jobs.Config)
		submit func(*jobs.Submission)
		want   llm.Kind
	}{
		{name: "webhooks are not set up", change: func(c *jobs.Config) { c.Hooks = nil }, submit: func(s *jobs.Submission) { s.Webhook = "https://x" }, want: llm.CallerInvalidRequest},
		{name: "a webhook's address", submit: func(s *jobs.Submission) { s.Webhook = "https://private" }, want: llm.CallerInvalidRequest},
		{name: "timeout", submit: func(s *jobs.Submission) { s.Timeout = 1000 * time.Hour }, want: llm.CallerInvalidRequest},
		{name: "retention", submit: func(s *jobs.Submission) { s.Retention = -1 }, want: llm.CallerInvalidRequest},
		{name: "bytes", change: func(c *jobs.Config) { c.Desk.MaxBytes = 10_000 }, submit: func(s *jobs.Submission) { s.Payload = make([]byte, 20_000) }, want: llm.CallerTooLarge},
		{name: "the envelope's bound", submit: func(s *jobs.Submission) { s.Payload = make([]byte, 65<<20) }, want: llm.CallerTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var change []func(*jobs.Config)
				if c.change != nil {
					change = append(change, c.change)
				}
				r := newRig(t, change...)
				s := submission("one")
				c.submit(&s)
				_, _, err := r.q.Submit(t.Context(), s)
				kindIs(t, err, c.want)
				if got := r.happened(); got != "refused" || len(r.store.Records()) != 0 {
					t.Errorf("%s, %d stored", got, len(r.store.Records()))
				}
			})
		})
	}
}

// A full queue refuses before it accepts, and says which limit and what to do.
func TestFullQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := idleRig(t, func(c *jobs.Config) { c.Desk.Max = 3 })
		for i := range 3 {
			r.submit(fmt.Sprint(i))
		}
		_, _, err := r.q.Submit(t.Context(), submission("x"))
		kindIs(t, err, llm.PolicyOverloaded)
		if e := llm.AsError(err); e.Limit != "jobs.max" || e.Value != "3" || e.RetryAfter <= 0 {
			t.Errorf("%+v", e)
		}
		if n := len(r.store.Records()); n != 3 {
			t.Errorf("%d stored", n)
		}
	})
}

// A full disk takes nothing in and lets what was accepted end.
func TestFullDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(takes(time.Second))
		j := r.submit("one")
		r.store.Full(true)
		_, _, err := r.q.Submit(t.Context(), submission("two"))
		kindIs(t, err, llm.ForebayUnavailable)
		if e := llm.AsError(err); e.RetryAfter <= 0 || !strings.Contains(e.Message, "disk") {
			t.Errorf("%+v", e)
		}
		r.ends(j.ID, backlog.Completed)
		r.store.Full(false)
		r.ends(r.submit("three").ID, backlog.Completed)
	})
}

// An insert whose answer is lost is looked for, and the caller gets his job.
func TestLostInsert(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.store.LoseAck(errors.New("reset"), 1, storetest.OpInsert)
		j := r.submit("one")
		r.ends(j.ID, backlog.Completed)
	})
}

// An insert of which nobody knows: the caller is told so, the same submission under the
// same key gives the job, and it runs once.
func TestDoubtfulInsert(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.store.LoseAck(errors.New("reset"), 1, storetest.OpInsert)
		r.store.Fail(errors.New("reset"), 3, storetest.OpGet)
		s := submission("one")
		keyed("k")(&s)
		_, _, err := r.q.Submit(t.Context(), s)
		kindIs(t, err, llm.ForebayUnavailable)
		if !strings.Contains(llm.AsError(err).Fix, "idempotency key") {
			t.Errorf("%+v", llm.AsError(err))
		}
		j, created, err := r.q.Submit(t.Context(), s)
		if err != nil || created {
			t.Fatalf("created %v, %v", created, err)
		}
		time.Sleep(10 * time.Second)
		r.ends(j.ID, backlog.Completed)
		if n := len(r.starts()); n != 1 {
			t.Errorf("started %d times", n)
		}
	})
}

// A caller that goes away while the store is slow leaves nothing behind: the job is
// there and runs, or it is not and its place is free again.
func TestCallerLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Max = 1 })
		r.store.Slow(time.Minute, storetest.OpInsert)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := r.q.Submit(ctx, submission("one"))
		kindIs(t, err, llm.ForebayUnavailable)
		r.store.Slow(0, storetest.OpInsert)
		_, _, err = r.q.Submit(t.Context(), submission("two"))
		kindIs(t, err, llm.PolicyOverloaded) // the place is kept while nobody knows
		time.Sleep(5 * time.Minute)
		r.ends(r.submit("three").ID, backlog.Completed)
	})
}

// A doubtful job that turns up late runs.
func TestLateInsert(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		late := &lateStore{MemoryBacklog: r.store}
		r = rigOver(t, r.store, r.keys, func(c *jobs.Config) { c.Store = late })
		r.run()
		_, _, err := r.q.Submit(t.Context(), submission("one"))
		kindIs(t, err, llm.ForebayUnavailable)
		time.Sleep(time.Minute)
		synctest.Wait()
		if recs := r.store.Records(); len(recs) != 1 || recs[0].Job.State != backlog.Completed {
			t.Errorf("%+v", recs)
		}
	})
}

// lateStore inserts a second after it has said that it does not know.
type lateStore struct{ *storetest.MemoryBacklog }

func (s *lateStore) Insert(_ context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
	job, bytes := *j, append([]byte(nil), payload...)
	time.AfterFunc(time.Second, func() { _, _ = s.MemoryBacklog.Insert(context.Background(), &job, bytes, since) })
	return backlog.Job{}, errors.New("no answer")
}
