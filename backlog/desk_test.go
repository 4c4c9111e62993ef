package backlog_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/google/go-cmp/cmp"
)

// rig is a desk with a store that does at once what it is told.
type rig struct {
	*backlog.Desk
	t    *testing.T
	mono time.Duration
	skew time.Duration
	jobs map[backlog.ID]*backlog.Job
}

func newRig(t *testing.T, cfg backlog.Config) *rig {
	t.Helper()
	cfg.Worker = "w"
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return &rig{Desk: backlog.NewDesk(cfg), t: t, jobs: make(map[backlog.ID]*backlog.Job)}
}

func (r *rig) now() time.Time { return at(simEpoch.Add(r.mono+r.skew), r.mono) }

// add admits and stores a job.
func (r *rig) add(id backlog.ID, spec backlog.Spec) *llm.Error {
	j := &backlog.Job{ID: id, Spec: spec}
	if e := r.Admit(r.now(), j); e != nil {
		return e
	}
	stored := *j
	r.jobs[id] = &stored
	r.Accept(r.now(), j)
	return nil
}

func (r *rig) must(id backlog.ID, spec backlog.Spec) {
	r.t.Helper()
	if e := r.add(id, spec); e != nil {
		r.t.Fatal(e)
	}
}

// made makes a change.
func (r *rig) made(c backlog.Change) *backlog.Job {
	r.t.Helper()
	j := r.jobs[c.ID]
	if j.State != c.From || j.Attempt != c.Attempt {
		r.t.Fatalf("%+v does not start from %+v", c, j)
	}
	j.Status = c.To
	r.Applied(r.now(), &c)
	return j
}

func (r *rig) claim() *backlog.Job {
	r.t.Helper()
	c, ok := r.Claim(r.now())
	if !ok {
		r.t.Fatal("nothing to claim")
	}
	return r.made(c)
}

func (r *rig) finish(j *backlog.Job, o backlog.Outcome) *backlog.Job {
	r.t.Helper()
	c, ok := r.Finish(r.now(), j.ID, j.Attempt, o)
	if !ok {
		r.t.Fatalf("the end of %+v was refused", j)
	}
	return r.made(c)
}

func fails(k llm.Kind) backlog.Outcome { return backlog.Outcome{Err: llm.Errorf(k, "because")} }

// TestAcceptedIsNeverDropped: what was admitted in the last place is claimed like the others.
func TestAcceptedIsNeverDropped(t *testing.T) {
	r := newRig(t, backlog.Config{Max: 3})
	for id := range backlog.ID(3) {
		r.must(id+1, backlog.Spec{})
	}
	e := r.add(4, backlog.Spec{})
	want := &llm.Error{
		Kind: llm.PolicyOverloaded, Message: "the queue of jobs is full", Limit: "jobs.max", Value: "3",
		Fix: "Send the request again later, or raise jobs.max.", RetryAfter: time.Second,
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
	for id := range backlog.ID(3) {
		if j := r.finish(r.claim(), backlog.Outcome{}); j.ID != id+1 || j.State != backlog.Completed {
			t.Errorf("%+v, want job %d", j, id+1)
		}
	}
	if s := r.Stats(r.now()); s.Accepted != 3 || s.Completed != 3 || s.Refused != 1 || s.Queued+s.Processing != 0 {
		t.Errorf("%+v", s)
	}
}

// TestFencing: a lease that ran out while the process was stopped is lost, and the job goes to the next attempt.
func TestFencing(t *testing.T) {
	r := newRig(t, backlog.Config{Exclusive: true, Timeout: time.Hour})
	r.must(1, backlog.Spec{})
	old := *r.claim()
	r.mono += 15*time.Second - 1
	if !r.Holds(1, 1) {
		t.Error("the lease is lost too early")
	}
	r.mono++ // and nobody renewed it
	if _, ok := r.Finish(r.now(), 1, 1, backlog.Outcome{}); ok || r.Holds(1, 1) {
		t.Error("a result was taken after the lease")
	}
	for _, c := range r.Due(r.now()) {
		r.made(c)
	}
	if j := r.jobs[1]; j.State != backlog.Queued || j.Deaths != 1 || j.Kind != llm.ForebayInternal {
		t.Errorf("%+v", j)
	}
	again := r.claim()
	if _, ok := r.Finish(r.now(), 1, old.Attempt, backlog.Outcome{}); ok {
		t.Error("the result of a former attempt was taken")
	}
	if _, ok := r.Release(r.now(), 1, old.Attempt); ok {
		t.Error("a former attempt was handed back")
	}
	if j := r.finish(again, backlog.Outcome{}); j.State != backlog.Completed || j.Attempt != 2 {
		t.Errorf("%+v", j)
	}
	if _, ok := r.Finish(r.now(), 1, 2, backlog.Outcome{}); ok {
		t.Error("a second result was taken")
	}
	if s := r.Stats(r.now()); s.Fenced != 4 || s.Deaths != 1 {
		t.Errorf("%d fenced, %d deaths", s.Fenced, s.Deaths)
	}
}

// TestDeaths: a job outlives as many lost leases as are allowed, and the next one is its end.
func TestDeaths(t *testing.T) {
	for _, c := range []struct{ deaths, survived int }{{-1, 0}, {1, 1}, {0, 3}} {
		r := newRig(t, backlog.Config{Deaths: c.deaths, Exclusive: true, Timeout: time.Hour})
		r.must(1, backlog.Spec{})
		for i := 0; r.jobs[1].State == backlog.Queued; i++ {
			r.mono += time.Minute // behind any pause
			r.claim()
			r.mono += 15 * time.Second
			for _, lost := range r.Due(r.now()) {
				r.made(lost)
			}
			if dead := r.jobs[1].State == backlog.Dead; dead != (i == c.survived) {
				t.Fatalf("deaths %d: dead is %t after %d lost leases", c.deaths, dead, i+1)
			}
		}
		if j := r.jobs[1]; j.Deaths != c.survived+1 || !strings.Contains(j.Message, fmt.Sprintf("(jobs.lost_leases = %d)", c.survived)) {
			t.Errorf("%+v", j)
		}
	}
}

// TestRenewals: a process that runs keeps its leases, whatever the wall clock does.
func TestRenewals(t *testing.T) {
	r := newRig(t, backlog.Config{Timeout: time.Hour, RelaxedClaims: true})
	r.must(1, backlog.Spec{})
	j := r.claim()
	for i := range 100 {
		r.skew = time.Duration(i%3-1) * 365 * 24 * time.Hour
		next, ok := r.Wake(r.now())
		if pause := next.Sub(r.now()); !ok || pause != 5*time.Second {
			t.Fatalf("woken after %s, want 5s", pause)
		}
		r.mono += 5 * time.Second
		due := r.Due(r.now())
		if len(due) != 1 || due[0].To.State != backlog.Processing || !due[0].Relaxed || due[0].To.LeaseUntil.Equal(j.LeaseUntil) {
			t.Fatalf("due: %+v", due)
		}
		r.made(due[0])
	}
	if r.finish(j, backlog.Outcome{}); j.State != backlog.Completed || j.Deaths != 0 {
		t.Errorf("%+v", j)
	}
}

// TestOutcomes is one table: how attempts end, and what becomes of the job.
func TestOutcomes(t *testing.T) {
	many := func(n int, o backlog.Outcome) (os []backlog.Outcome) {
		for range n {
			os = append(os, o)
		}
		return os
	}
	for _, c := range []struct {
		name    string
		cfg     backlog.Config
		ends    []backlog.Outcome
		state   backlog.State
		kind    llm.Kind
		retries int
		message string
	}{
		{name: "completed", ends: []backlog.Outcome{{Result: []byte("r")}}, state: backlog.Completed},
		{name: "rejected", ends: many(1, fails(llm.ProviderRejected)), state: backlog.Failed, kind: llm.ProviderRejected, message: "because"},
		{name: "no kind", ends: []backlog.Outcome{{Err: errors.New("x")}}, state: backlog.Failed, kind: llm.ForebayInternal, message: "internal error"},
		{name: "once more", ends: many(1, fails(llm.ProviderError)), state: backlog.Queued, kind: llm.ProviderError, retries: 1, message: "because"},
		{name: "then completed", ends: append(many(3, fails(llm.ProviderError)), backlog.Outcome{}), state: backlog.Completed, retries: 3},
		{name: "used up", ends: many(4, fails(llm.ProviderError)), state: backlog.Dead, kind: llm.ProviderError, retries: 3, message: "given up after 4 failed attempts, the last one: because"},
		{name: "none wanted", cfg: backlog.Config{Retries: -1}, ends: many(1, fails(llm.ProviderError)), state: backlog.Dead, kind: llm.ProviderError, message: "given up after 1 failed attempts, the last one: because"},
		{name: "nothing called", ends: many(9, fails(llm.PolicyBreakerOpen)), state: backlog.Queued, kind: llm.PolicyBreakerOpen, message: "because"},
		{name: "poison", ends: []backlog.Outcome{{Err: errors.New("x"), Poison: true}}, state: backlog.Dead, kind: llm.ForebayInternal, message: "the handler panicked: internal error"},
		{name: "timed out", ends: []backlog.Outcome{{Err: llm.Errorf(llm.ProviderTimeout, "slow"), TimedOut: true}}, state: backlog.Timeout, kind: llm.ProviderTimeout, message: "the deadline of 24h0m0s passed during attempt 1: slow"},
		{
			name: "not before the deadline", ends: []backlog.Outcome{{Err: llm.Errorf(llm.ProviderRateLimited, "later"), RetryAfter: 24 * time.Hour}},
			state: backlog.Timeout, kind: llm.ProviderRateLimited, message: "the next attempt could not start before the deadline, the last one: later",
		},
		{name: "long text", ends: []backlog.Outcome{{Err: llm.Errorf(llm.ProviderRejected, "%s", strings.Repeat("ä", 400))}}, state: backlog.Failed, kind: llm.ProviderRejected, message: strings.Repeat("ä", 248) + "…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Timeout = 24 * time.Hour
			r := newRig(t, c.cfg)
			r.must(1, backlog.Spec{})
			for _, o := range c.ends {
				if next, ok := r.Wake(r.now()); ok {
					r.mono += max(next.Sub(r.now()), 0)
				}
				r.finish(r.claim(), o)
			}
			j := r.jobs[1]
			if j.State != c.state || j.Kind != c.kind || j.Retries != c.retries || j.Message != c.message {
				t.Errorf("%s %s %d %q, want %s %s %d %q", j.State, j.Kind, j.Retries, j.Message, c.state, c.kind, c.retries, c.message)
			}
			if j.State.Final() != !j.Finished.IsZero() || j.State.Final() != !j.Keep.IsZero() || j.State.Final() && !j.LeaseUntil.IsZero() {
				t.Errorf("%+v", j.Status)
			}
		})
	}
}

// TestBackoff: pauses lie between zero and a bound that doubles, and are not shorter than the provider wants.
func TestBackoff(t *testing.T) {
	longest := make([]time.Duration, 8)
	for seed := range 200 {
		r := newRig(t, backlog.Config{Retries: 8, Timeout: 24 * time.Hour})
		r.must(1, backlog.Spec{})
		for i := range longest {
			o := fails(llm.ProviderError)
			if seed%2 == 1 {
				o.RetryAfter = 3 * time.Minute
			}
			j := r.finish(r.claim(), o)
			pause := j.NotBefore.Sub(r.now().Round(0))
			bound := min(time.Second<<i, time.Minute)
			switch {
			case seed%2 == 1 && (pause < 3*time.Minute || pause > 3*time.Minute+time.Microsecond):
				t.Fatalf("pause %d is %s, want 3m", i, pause)
			case seed%2 == 0 && (pause < 0 || pause > bound):
				t.Fatalf("pause %d is %s, want at most %s", i, pause, bound)
			case seed%2 == 0:
				longest[i] = max(longest[i], pause)
			}
			if _, ok := r.Claim(r.now()); ok && pause > 0 {
				t.Fatal("claimed before the pause was over")
			}
			r.mono += max(pause, 0)
		}
	}
	for i, got := range longest {
		if bound := min(time.Second<<i, time.Minute); got < bound*3/4 {
			t.Errorf("the longest of 100 pauses after retry %d was %s of %s", i, got, bound)
		}
	}
}

// TestTurns: tenants take turns, each first in, first out; a retry takes its old place; a paused operation costs nobody else.
func TestTurns(t *testing.T) {
	r := newRig(t, backlog.Config{Concurrency: 100, Timeout: time.Hour})
	for i, tenant := range []string{"a", "a", "a", "a", "b", "b", "c"} {
		op := "x"
		if i == 1 {
			op = "y"
		}
		r.must(backlog.ID(i+1), backlog.Spec{Tenant: tenant, Operation: op})
	}
	retried := r.claim()
	r.finish(retried, backlog.Outcome{Err: llm.Errorf(llm.ProviderError, ""), RetryAfter: time.Minute})
	r.Pause("y")
	if p := r.Paused(); !slices.Equal(p, []string{"y"}) {
		t.Errorf("paused: %q", p)
	}
	var order []backlog.ID
	for range 4 {
		order = append(order, r.claim().ID)
	}
	r.mono += time.Minute // the retry may come again
	order = append(order, r.claim().ID)
	r.Resume("y")
	for range 2 {
		order = append(order, r.claim().ID)
	}
	if want := []backlog.ID{5, 7, 3, 6, 1, 2, 4}; !slices.Equal(order, want) {
		t.Errorf("order %d, want %d", order, want)
	}
}

// TestBands: a band that is full lets the others go.
func TestBands(t *testing.T) {
	r := newRig(t, backlog.Config{Concurrency: 1})
	for i, b := range []llm.Priority{llm.Critical, llm.Critical, llm.Low, llm.Normal} {
		j := &backlog.Job{ID: backlog.ID(i + 1), Status: backlog.Status{Band: b}}
		if e := r.Admit(r.now(), j); e != nil {
			t.Fatal(e)
		}
		r.jobs[j.ID] = j
		r.Accept(r.now(), j)
	}
	var order []backlog.ID
	for range 3 {
		order = append(order, r.claim().ID)
	}
	if _, ok := r.Claim(r.now()); ok || !slices.Equal(order, []backlog.ID{1, 4, 3}) {
		t.Errorf("order %d, and more: %t", order, ok)
	}
}

// TestHopeless: time decides before number does.
func TestHopeless(t *testing.T) {
	r := newRig(t, backlog.Config{Concurrency: 1, Timeout: time.Hour})
	r.must(1, backlog.Spec{Timeout: time.Second}) // nothing is known yet
	j := r.claim()
	r.mono += 500 * time.Millisecond
	r.finish(j, backlog.Outcome{}) // jobs take half a second
	r.must(2, backlog.Spec{Timeout: time.Millisecond})
	r.claim()
	r.must(3, backlog.Spec{Tenant: "a", Timeout: 10 * time.Second})
	r.must(4, backlog.Spec{Tenant: "a", Timeout: 10 * time.Second})
	if e := r.add(5, backlog.Spec{Tenant: "a", Timeout: 1999 * time.Millisecond}); e == nil || e.Limit != "deadline" || e.Value != "1.999s" || e.RetryAfter != time.Second {
		t.Errorf("%+v", e)
	}
	r.must(6, backlog.Spec{Tenant: "a", Timeout: 2 * time.Second})
	// Another tenant has the turn after the next.
	if e := r.add(7, backlog.Spec{Tenant: "b", Timeout: 1499 * time.Millisecond}); e == nil {
		t.Error("hopeless, and taken in")
	}
	r.must(8, backlog.Spec{Tenant: "b", Timeout: 1500 * time.Millisecond})
	place, wait, ok := r.Place(6)
	if place != 4 || wait != 2*time.Second || !ok {
		t.Errorf("place %d, %s, %t", place, wait, ok)
	}
}

// TestRefusals is one table.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name         string
		before       func(*rig)
		spec         backlog.Spec
		kind         llm.Kind
		limit, value string
	}{
		{name: "bytes", before: func(r *rig) { r.must(1, backlog.Spec{Bytes: 60}) }, spec: backlog.Spec{Bytes: 41}, kind: llm.PolicyOverloaded, limit: "jobs.max_bytes", value: "100"},
		{name: "too large", spec: backlog.Spec{Bytes: 101}, kind: llm.CallerTooLarge, limit: "jobs.max_bytes", value: "100"},
		{name: "timeout", spec: backlog.Spec{Timeout: 8 * 24 * time.Hour}, kind: llm.CallerInvalidRequest, limit: "jobs.max_timeout", value: "168h0m0s"},
		{name: "retention", spec: backlog.Spec{Retention: 31 * 24 * time.Hour}, kind: llm.CallerInvalidRequest, limit: "jobs.max_retention", value: "720h0m0s"},
		{name: "negative", spec: backlog.Spec{Timeout: -1}, kind: llm.CallerInvalidRequest},
		{name: "draining", before: func(r *rig) { r.Drain() }, kind: llm.ForebayDraining},
		{name: "store failed", before: func(r *rig) { r.Fail() }, kind: llm.ForebayUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, backlog.Config{MaxBytes: 100})
			if c.before != nil {
				c.before(r)
			}
			e := r.add(2, c.spec)
			if e == nil || e.Kind != c.kind || e.Limit != c.limit || e.Value != c.value || e.Fix == "" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestLeftovers: what stays of a job, and for how long.
func TestLeftovers(t *testing.T) {
	const h = time.Hour
	for _, c := range []struct {
		name         string
		spec         backlog.Spec
		o            backlog.Outcome
		keep, result time.Duration
		drops        bool
	}{
		{name: "completed", keep: 24 * h, result: 24 * h, drops: true},
		{name: "own retention", spec: backlog.Spec{Retention: h}, keep: h, result: h, drops: true},
		{name: "with a key", spec: backlog.Spec{Retention: h, Idempotency: [32]byte{1}}, keep: 24 * h, result: h, drops: true},
		{name: "with a webhook", spec: backlog.Spec{Webhook: true}, keep: 24 * h, result: 24 * h},
		{name: "failed", o: fails(llm.ProviderRejected), keep: 14 * 24 * h, result: 14 * 24 * h},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, backlog.Config{})
			r.must(1, c.spec)
			j := r.claim()
			ch, ok := r.Finish(r.now(), 1, 1, c.o)
			r.made(ch)
			now := r.now().Round(0)
			if !ok || j.Keep.Sub(now) != c.keep || j.ResultUntil.Sub(now) != c.result || ch.DropPayload != c.drops || j.Hook.Due.IsZero() == c.spec.Webhook {
				t.Errorf("kept %s, the result %s, payload dropped: %t, hook %+v", j.Keep.Sub(now), j.ResultUntil.Sub(now), ch.DropPayload, j.Hook)
			}
		})
	}
}

// TestHooks: a webhook is tried at its times and not for ever, and a restart forgets none.
func TestHooks(t *testing.T) {
	r := newRig(t, backlog.Config{Timeout: time.Hour})
	r.must(1, backlog.Spec{Webhook: true})
	r.finish(r.claim(), fails(llm.ProviderRejected))
	pauses := []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour}
	for i := range 8 {
		if ids := r.Hooks(r.now()); !slices.Equal(ids, []backlog.ID{1}) || len(r.Hooks(r.now())) != 0 {
			t.Fatalf("attempt %d: %v are due", i, ids)
		}
		j := r.made(r.HookDone(r.now(), r.jobs[1], false, true))
		if j.Hook.Attempts != i+1 {
			t.Errorf("%+v", j.Hook)
		}
		if i == 3 { // a restart
			desk := backlog.NewDesk(backlog.Config{Worker: "w2"})
			desk.Load(r.now(), j)
			r.Desk = desk
		}
		next, ok := r.Wake(r.now())
		if i == len(pauses) {
			if ok || !j.Hook.Due.IsZero() {
				t.Errorf("an attempt is due after the last one: %+v", j.Hook)
			}
			break
		}
		if pause := next.Sub(r.now()); pause < pauses[i]*9/10-time.Microsecond || pause > pauses[i]*11/10 {
			t.Errorf("pause %d is %s, want about %s", i, pause, pauses[i])
		}
		r.mono += next.Sub(r.now())
	}
}

// TestHooksOfARequeuedJob: what was to be told of an end is void with the requeueing, whoever works on it,
// and the job's next end is told of, however late somebody reports on the former one.
func TestHooksOfARequeuedJob(t *testing.T) {
	begin := func(t *testing.T) *rig {
		r := newRig(t, backlog.Config{Timeout: time.Hour})
		r.must(1, backlog.Spec{Webhook: true})
		r.finish(r.claim(), fails(llm.ProviderRejected))
		return r
	}
	requeue := func(r *rig) {
		c, e := r.Requeue(r.now(), r.jobs[1])
		if e != nil {
			r.t.Fatal(e)
		}
		r.made(c)
	}
	due := func(r *rig, want ...backlog.ID) {
		r.t.Helper()
		r.mono += time.Minute
		if ids := r.Hooks(r.now()); !slices.Equal(ids, want) {
			r.t.Errorf("%v are due, want %v", ids, want)
		}
	}
	t.Run("scheduled", func(t *testing.T) {
		r := begin(t)
		requeue(r)
		due(r)
		r.finish(r.claim(), backlog.Outcome{})
		due(r, 1)
	})
	// Somebody has begun with the first end; the second one is scheduled before that is over.
	for name, late := range map[string]func(r *rig, first, queued *backlog.Job, c *backlog.Change){
		"gone":                func(r *rig, _, _ *backlog.Job, _ *backlog.Change) { r.HookGone(1) },
		"not final":           func(r *rig, _, queued *backlog.Job, _ *backlog.Change) { r.HookDone(r.now(), queued, false, true) },
		"applied late":        func(r *rig, _, _ *backlog.Job, c *backlog.Change) { r.Applied(r.now(), c) },
		"missed, then first":  func(r *rig, first, _ *backlog.Job, c *backlog.Change) { r.Missed(r.now(), c, first) },
		"missed, then queued": func(r *rig, _, queued *backlog.Job, c *backlog.Change) { r.Missed(r.now(), c, queued) },
		"missed, then second": func(r *rig, _, _ *backlog.Job, c *backlog.Change) { r.Missed(r.now(), c, r.jobs[1]) },
	} {
		for _, cancelled := range []bool{true, false} {
			for _, delivered := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%t/%t", name, cancelled, delivered), func(t *testing.T) {
					r := begin(t)
					due(r, 1)
					first := *r.jobs[1]
					c := r.HookDone(r.now(), &first, delivered, true)
					requeue(r)
					queued := *r.jobs[1]
					if cancelled { // at the attempt of the requeueing
						c, _ := r.Cancel(r.now(), r.jobs[1])
						r.made(c)
					} else {
						r.finish(r.claim(), backlog.Outcome{})
					}
					late(r, &first, &queued, &c)
					due(r, 1)
				})
			}
		}
	}
	t.Run("noted after the requeueing", func(t *testing.T) {
		r := begin(t)
		due(r, 1)
		c := r.HookDone(r.now(), r.jobs[1], false, true)
		requeue(r)
		r.Applied(r.now(), &c)
		due(r)
	})
}

// TestRestart: a new desk takes in what the store has, and the clock was moved meanwhile.
func TestRestart(t *testing.T) {
	for _, exclusive := range []bool{true, false} {
		r := newRig(t, backlog.Config{Exclusive: exclusive, Timeout: time.Minute})
		r.must(1, backlog.Spec{})
		r.must(2, backlog.Spec{})
		r.claim()
		r.skew = -365 * 24 * time.Hour
		r.Desk = backlog.NewDesk(backlog.Config{Worker: "w2", Exclusive: exclusive})
		var orphans []backlog.Change
		for _, id := range []backlog.ID{1, 2} {
			if c, ok := r.Load(r.now(), r.jobs[id]); ok {
				orphans = append(orphans, c)
			}
		}
		if !exclusive {
			r.mono += 15 * time.Second
			orphans = append(orphans, r.Due(r.now())...)
		}
		if len(orphans) != 1 || !orphans[0].LeaseUntil.Equal(r.jobs[1].LeaseUntil) {
			t.Fatalf("orphans: %+v", orphans)
		}
		if j := r.made(orphans[0]); j.State != backlog.Queued || j.Deaths != 1 {
			t.Errorf("%+v", j)
		}
		if next, ok := r.Wake(r.now()); !ok || next.After(r.now()) || r.claim().ID != 1 {
			t.Error("the oldest job is not claimed first")
		}
		r.mono += time.Minute
		due := r.Due(r.now())
		if len(due) != 2 || due[0].To.State != backlog.Timeout || due[1].To.State != backlog.Timeout {
			t.Errorf("the deadline lies a year ahead: %+v", due)
		}
	}
}

// TestRequeue: a job comes back with all its time and none of its past, and only once.
func TestRequeue(t *testing.T) {
	r := newRig(t, backlog.Config{})
	r.must(1, backlog.Spec{})
	r.finish(r.claim(), fails(llm.ProviderRejected))
	r.mono += time.Hour
	c, e := r.Requeue(r.now(), r.jobs[1])
	if e != nil {
		t.Fatal(e)
	}
	if _, e := r.Requeue(r.now(), r.jobs[1]); e == nil || e.Kind != llm.CallerConflict {
		t.Errorf("a second time: %v", e)
	}
	j := r.made(c)
	want := backlog.Status{State: backlog.Queued, Attempt: 2, Deadline: r.now().Round(0).UTC().Add(45 * time.Second)}
	if diff := cmp.Diff(want, j.Status); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.finish(r.claim(), backlog.Outcome{}); j.Attempt != 3 {
		t.Errorf("%+v", j)
	}
	if _, e := r.Requeue(r.now(), j); e == nil || e.Kind != llm.CallerConflict {
		t.Errorf("a completed job: %v", e)
	}
}

func TestValidate(t *testing.T) {
	if err := (backlog.Config{Worker: "w"}).Validate(); err != nil {
		t.Error(err)
	}
	if err := (backlog.Config{Worker: "w", Timeout: 8 * 24 * time.Hour, MaxTimeout: 9 * 24 * time.Hour, BackoffCap: time.Millisecond}).Validate(); err != nil {
		t.Error(err)
	}
	err := backlog.Config{
		Max: -1, MaxBytes: -2, Concurrency: -1, Retries: -2, Deaths: -2, BackoffBase: 2 * time.Minute, BackoffCap: time.Minute, Lease: time.Millisecond,
		Timeout: 8 * 24 * time.Hour, MaxTimeout: time.Hour, Retention: -1, Offsets: [4]time.Duration{-1}, HookAttempts: -1,
	}.Validate()
	var keys []string
	for line := range strings.Lines(fmt.Sprint(err)) {
		key, _, _ := strings.Cut(line, ":")
		keys = append(keys, strings.TrimPrefix(key, "jobs."))
	}
	slices.Sort(keys)
	want := strings.Fields("backoff concurrency lease lost_leases max max_bytes queue.offsets.low retention retries timeout webhook_attempts worker")
	if !slices.Equal(keys, want) {
		t.Errorf("faults of %q, want %q", keys, want)
	}
}

func Example() {
	now := time.Now()
	desk := backlog.NewDesk(backlog.Config{Worker: "host-1", Exclusive: true})

	job := &backlog.Job{ID: 1, Spec: backlog.Spec{Tenant: "web", Operation: "summary"}}
	if refused := desk.Admit(now, job); refused != nil {
		fmt.Println(refused)
	}
	// The store inserts the job.
	desk.Accept(now, job)

	claim, _ := desk.Claim(now)
	fmt.Println(claim.ID, claim.From, "→", claim.To.State, "attempt", claim.To.Attempt)
	// The store applies the change, and a worker runs the job.
	if desk.Applied(now, &claim) {
		end, _ := desk.Finish(now, claim.ID, claim.To.Attempt, backlog.Outcome{Result: []byte("sealed")})
		fmt.Println(end.ID, end.From, "→", end.To.State)
		desk.Applied(now, &end)
	}
	fmt.Println(desk.Stats(now).Completed)
	// Output:
	// job_0000000000002 queued → processing attempt 1
	// job_0000000000002 processing → completed
	// 1
}

// TestLateClaim: a claim that was said before the job was cancelled and requeued does not find it as it was.
func TestLateClaim(t *testing.T) {
	r := newRig(t, backlog.Config{})
	r.must(1, backlog.Spec{})
	late, _ := r.Claim(r.now())
	for _, say := range []func(time.Time, *backlog.Job) (backlog.Change, *llm.Error){r.Cancel, r.Requeue} {
		c, e := say(r.now(), r.jobs[1])
		if e != nil {
			t.Fatal(e)
		}
		r.made(c)
	}
	if j := r.jobs[1]; j.State == late.From && j.Attempt == late.Attempt {
		t.Error("the claim would be made")
	}
	r.Missed(r.now(), &late, r.jobs[1])
	if j := r.claim(); j.Attempt != 2 {
		t.Errorf("%+v", j)
	}
}
