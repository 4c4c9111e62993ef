package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// Another tenant's job is as if it did not exist, for every method.
func TestTenancy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(fails(llm.ProviderRejected))
		j := r.submit("one")
		r.ends(j.ID, backlog.Failed)
		other, ctx := jobs.As{Tenant: "other"}, t.Context()
		absent := j.ID + 1
		for name, call := range map[string]func(as jobs.As, id backlog.ID) error{
			"get":     func(as jobs.As, id backlog.ID) error { _, err := r.q.Get(ctx, as, id); return err },
			"result":  func(as jobs.As, id backlog.ID) error { _, _, err := r.q.Result(ctx, as, id); return err },
			"wait":    func(as jobs.As, id backlog.ID) error { _, err := r.q.Wait(ctx, as, id); return err },
			"cancel":  func(as jobs.As, id backlog.ID) error { _, err := r.q.Cancel(ctx, as, id); return err },
			"band":    func(as jobs.As, id backlog.ID) error { _, err := r.q.SetBand(ctx, as, id, llm.High); return err },
			"requeue": func(as jobs.As, id backlog.ID) error { _, err := r.q.Requeue(ctx, as, id); return err },
			"events": func(as jobs.As, id backlog.ID) error {
				for _, err := range r.q.Events(ctx, as, id, 0) {
					return err
				}
				return nil
			},
		} {
			theirs, none := call(other, j.ID), call(operator, absent)
			kindIs(t, theirs, llm.CallerNotFound)
			kindIs(t, none, llm.CallerNotFound)
			if fmt.Sprint(theirs) != strings.ReplaceAll(fmt.Sprint(none), absent.String(), j.ID.String()) {
				t.Errorf("%s: %v differs from %v", name, theirs, none)
			}
		}
		tenant := "acme"
		for _, query := range []backlog.Query{{}, {Tenant: &tenant}} {
			if page, err := r.q.List(ctx, other, query); err != nil || len(page) > 0 {
				t.Errorf("listed %v, %v", page, err)
			}
			if n, err := r.q.Purge(ctx, other, query); err != nil || n > 0 {
				t.Errorf("purged %d, %v", n, err)
			}
		}
		if s, err := r.q.Stats(ctx, other); err != nil || s.Failed != 0 || s.Bands != nil {
			t.Errorf("%+v, %v", s, err)
		}
		if s, err := r.q.Stats(ctx, acme); err != nil || s.Failed != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		if page, err := r.q.List(ctx, acme, backlog.Query{}); err != nil || len(page) != 1 {
			t.Errorf("listed %v, %v", page, err)
		}
		r.is(j.ID, backlog.Failed)
	})
}

func TestCancelQueued(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1 })
		r.does(takes(time.Second))
		r.submit("one")
		j := r.submit("two")
		got, err := r.q.Cancel(t.Context(), acme, j.ID)
		if err != nil || got.State != backlog.Cancelled {
			t.Fatalf("%+v %v", got, err)
		}
		if diff := cmp.Diff(got, r.job(j.ID)); diff != "" {
			t.Errorf("what was returned is not what is stored:\n%s", diff)
		}
		time.Sleep(time.Minute)
		if got := r.starts(); len(got) != 1 {
			t.Errorf("started %v", got)
		}
		_, err = r.q.Cancel(t.Context(), acme, j.ID)
		kindIs(t, err, llm.CallerConflict)
	})
}

func TestCancelRunning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var cause error
		r.does(func(ctx context.Context, _ *jobs.Task) ([]byte, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return []byte("nevertheless"), nil
		})
		j := r.submit("one")
		synctest.Wait()
		if _, err := r.q.Cancel(t.Context(), acme, j.ID); err != nil {
			t.Fatal(err)
		}
		r.is(j.ID, backlog.Cancelled)
		if !errors.Is(cause, jobs.ErrCancelled) {
			t.Errorf("the context ended by %v", cause)
		}
		if got := r.happened(); got != "accepted claimed cancelled" {
			t.Error(got)
		}
	})
}

// A cancel at every moment either holds or is refused, and the job ends once.
func TestCancelAnytime(t *testing.T) {
	for at := range 60 {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			r.store.Slow(10 * time.Millisecond)
			r.does(oneByOne(func(ctx context.Context, k *jobs.Task) ([]byte, error) {
				_, _ = takes(20*time.Millisecond)(ctx, k)
				return nil, llm.Errorf(llm.ProviderError, "first")
			}, takes(20*time.Millisecond)))
			j := r.submit("one")
			time.Sleep(time.Duration(at) * 5 * time.Millisecond)
			got, err := r.q.Cancel(t.Context(), acme, j.ID)
			time.Sleep(30 * time.Second)
			synctest.Wait()
			end := r.job(j.ID)
			switch {
			case err == nil && (got.State != backlog.Cancelled || end.State != backlog.Cancelled):
				t.Errorf("at %d: cancelled, and it is %s", at, end.State)
			case err != nil && end.State != backlog.Completed:
				t.Errorf("at %d: %v, and it is %s", at, err, end.State)
			}
			s, _ := r.q.Stats(t.Context(), operator)
			if b := s.Bands["normal"]; b.Queued+b.Processing != 0 {
				t.Errorf("at %d: still counted: %+v", at, b)
			}
		})
	}
}

func TestSetBand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1 })
		r.does(takes(10 * time.Second))
		first := r.submit("one")
		j := r.submit("two")
		synctest.Wait()
		_, err := r.q.SetBand(t.Context(), acme, first.ID, llm.High)
		kindIs(t, err, llm.CallerConflict)
		got, err := r.q.SetBand(t.Context(), acme, j.ID, llm.High)
		if err != nil || got.Band != llm.High {
			t.Fatalf("%+v %v", got, err)
		}
		began := time.Now()
		r.ends(j.ID, backlog.Completed)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("done after %v: it waited for the other band", took)
		}
	})
}

func TestRequeue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(oneByOne(fails(llm.ProviderRejected), echo))
		j := r.submit("one")
		r.ends(j.ID, backlog.Failed)
		time.Sleep(time.Hour)
		if _, err := r.q.Requeue(t.Context(), operator, j.ID); err != nil {
			t.Fatal(err)
		}
		end := r.ends(j.ID, backlog.Completed)
		if end.Attempt < 2 || end.Kind != "" {
			t.Errorf("%+v", end.Status)
		}
		r.result(j.ID, "echo one")
		_, err := r.q.Requeue(t.Context(), operator, j.ID)
		kindIs(t, err, llm.CallerConflict)
		if want := "operator jobs.requeue map[job:" + j.ID.String() + " tenant:acme]"; len(r.audits) != 2 || r.audits[0] != want {
			t.Errorf("%q", r.audits)
		}
	})
}

// What cannot be audited is not done.
func TestAuditFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(fails(llm.ProviderRejected))
		j := r.submit("one")
		r.ends(j.ID, backlog.Failed)
		r.auditErr = errors.New("disk full")
		_, err := r.q.Requeue(t.Context(), operator, j.ID)
		kindIs(t, err, llm.ForebayUnavailable)
		_, err = r.q.Purge(t.Context(), operator, backlog.Query{})
		kindIs(t, err, llm.ForebayUnavailable)
		kindIs(t, r.q.Pause(t.Context(), operator, "op"), llm.ForebayUnavailable)
		r.is(j.ID, backlog.Failed)
		if s, _ := r.q.Stats(t.Context(), operator); len(s.Paused) > 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The owner's requeue needs a payload.
func TestRequeueWithoutPayload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(fails(llm.ProviderRejected))
		j := r.submit("one")
		r.ends(j.ID, backlog.Failed)
		time.Sleep(15 * 24 * time.Hour)
		_, err := r.q.Requeue(t.Context(), acme, j.ID)
		if k := llm.KindOf(err); k != llm.CallerConflict && k != llm.CallerNotFound {
			t.Errorf("%v", err)
		}
	})
}

func TestResult(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		r.does(takes(time.Second))
		j := r.submit("one", func(s *jobs.Submission) { s.Retention = time.Hour; keyed("k")(s) })
		_, _, err := r.q.Result(ctx, acme, j.ID)
		kindIs(t, err, llm.CallerConflict)
		if llm.AsError(err).Fix == "" {
			t.Error("no fix")
		}
		r.ends(j.ID, backlog.Completed)
		r.result(j.ID, "echo one")
		time.Sleep(time.Hour)
		_, _, err = r.q.Result(ctx, acme, j.ID)
		kindIs(t, err, llm.CallerNotFound)
		time.Sleep(24 * time.Hour)
		_, err = r.q.Get(ctx, acme, j.ID)
		kindIs(t, err, llm.CallerNotFound) // the periodic purge
		if n := len(r.store.Records()); n != 0 {
			t.Errorf("%d are kept", n)
		}

		r.does(fails(llm.ProviderRejected))
		bad := r.submit("bad")
		r.ends(bad.ID, backlog.Failed)
		got, _, err := r.q.Result(ctx, acme, bad.ID)
		kindIs(t, err, llm.CallerConflict)
		if got.Kind != llm.ProviderRejected {
			t.Errorf("%+v", got)
		}
	})
}

func TestErasedResult(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		j := r.submit("one")
		r.ends(j.ID, backlog.Completed)
		if err := r.keys.Shred(t.Context(), ownerU); err != nil {
			t.Fatal(err)
		}
		_, _, err := r.q.Result(t.Context(), acme, j.ID)
		kindIs(t, err, llm.CallerNotFound)
		if !strings.Contains(err.Error(), "erased") {
			t.Error(err)
		}
	})
}

func TestPurge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Max = 5000 })
		var last backlog.Job
		for i := range 1200 {
			last = r.submit(fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		r.does(takes(time.Hour))
		live := r.submit("live", func(s *jobs.Submission) { s.Timeout = 2 * time.Hour })
		if n, err := r.q.Purge(t.Context(), operator, backlog.Query{Limit: 7}); n != 7 || err != nil {
			t.Errorf("removed %d, %v", n, err)
		}
		_, err := r.q.Purge(t.Context(), operator, backlog.Query{States: []backlog.State{backlog.Queued}})
		kindIs(t, err, llm.CallerInvalidRequest)
		if n, err := r.q.Purge(t.Context(), operator, backlog.Query{}); n != 1193 || err != nil {
			t.Errorf("removed %d, %v", n, err)
		}
		_, err = r.q.Get(t.Context(), operator, last.ID)
		kindIs(t, err, llm.CallerNotFound)
		r.is(live.ID, backlog.Processing)
	})
}

func TestListAndStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1 })
		r.does(takes(10 * time.Second))
		for i := range 3 {
			r.submit(fmt.Sprint(i))
		}
		r.submit("x", func(s *jobs.Submission) { s.Tenant = "other"; s.Band = llm.Low })
		synctest.Wait()
		page, err := r.q.List(t.Context(), operator, backlog.Query{Newest: true, Limit: 3})
		if err != nil || len(page) != 3 || page[0].Tenant != "other" {
			t.Errorf("%v %v", page, err)
		}
		_, err = r.q.List(t.Context(), operator, backlog.Query{Limit: 10_001})
		kindIs(t, err, llm.CallerInvalidRequest)
		time.Sleep(time.Second)
		s, err := r.q.Stats(t.Context(), operator)
		if err != nil || s.Queued != 2 || s.Processing != 2 || s.Accepted != 4 {
			t.Errorf("%+v %v", s, err)
		}
		if b := s.Bands["normal"]; b.Queued != 2 || b.Processing != 1 || math.Abs(b.OldestSeconds-1) > 0.001 {
			t.Errorf("%+v", b)
		}
		own, err := r.q.Stats(t.Context(), acme)
		if want := (jobs.Stats{Queued: 2, Processing: 1, Paused: []string{}}); err != nil || !reflect.DeepEqual(own, want) {
			t.Errorf("%+v %v; want %+v", own, err, want)
		}
		for _, as := range []jobs.As{operator, acme} {
			r.store.Fail(errReset, 1, storetest.OpCensus)
			_, err = r.q.Stats(t.Context(), as)
			kindIs(t, err, llm.ForebayUnavailable)
		}
	})
}

func TestView(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Concurrency = 1 })
		r.does(oneByOne(takes(time.Second), fails(llm.ProviderRejected)))
		r.submit("one")
		j := r.submit("two", func(s *jobs.Submission) { s.CustomID = "c"; s.Webhook = "https://x" })
		synctest.Wait()
		v := r.q.View(&j)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`{"id":%q,"object":"job","state":"queued","operation":"op","endpoint":"/v1/chat/completions","model":"m","priority":"normal",`+
			`"priority_score":1772366415000,"tenant":"acme","user":"u","custom_id":"c","created_at":"2026-03-01T12:00:00.000Z","deadline_at":"2026-03-01T12:00:45.000Z",`+
			`"attempt":0,"retries":0,"lost_leases":0,"bytes":%d,"place":1,"webhook":{"state":"pending","attempts":0}}`, j.ID, j.Bytes)
		if got := string(text); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		end := r.ends(j.ID, backlog.Failed)
		time.Sleep(time.Second)
		end = r.job(j.ID)
		v = r.q.View(&end)
		if v.Error == nil || v.Error.ErrorType != "provider_rejected" || v.Place != nil || v.Webhook.State != "delivered" || v.Webhook.Attempts != 1 || v.FinishedAt == "" || v.KeepUntil == "" {
			t.Errorf("%+v", v)
		}
	})
}
