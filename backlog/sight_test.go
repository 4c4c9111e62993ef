package backlog_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// TestKnows has a desk that knows a queued job, one that it runs, and one that another worker runs.
func TestKnows(t *testing.T) {
	r := newRig(t, backlog.Config{Concurrency: 1})
	r.must(1, backlog.Spec{Tenant: "a"})
	mine := r.claim()
	r.must(2, backlog.Spec{Tenant: "a"})
	r.Load(r.now(), &backlog.Job{ID: 3, Spec: backlog.Spec{Tenant: "a"}, Status: backlog.Status{
		State: backlog.Processing, Attempt: 4, Worker: "other", Deadline: r.now().Add(time.Hour), LeaseUntil: r.now().Add(time.Minute),
	}})
	queued := func(id backlog.ID, attempt int, p llm.Priority) backlog.Sighting {
		return backlog.Sighting{ID: id, Attempt: attempt, Queued: true, Band: p}
	}
	for _, test := range []struct {
		what string
		s    backlog.Sighting
		want bool
	}{
		{"a job that it never heard of", queued(9, 0, llm.Normal), false},
		{"a queued job", queued(2, 0, llm.Normal), true},
		{"a queued job in another band", queued(2, 0, llm.High), false},
		{"a queued job that was queued again", queued(2, 1, llm.Normal), false},
		{"a queued job that somebody has claimed", backlog.Sighting{ID: 2, Attempt: 1}, false},
		{"its own run", backlog.Sighting{ID: 1, Attempt: mine.Attempt}, true},
		{"its own run, by an index that is behind", queued(1, mine.Attempt-1, llm.Normal), true},
		{"its own run, which went to another", backlog.Sighting{ID: 1, Attempt: mine.Attempt + 1}, false},
		{"another's run, which may have moved", backlog.Sighting{ID: 3, Attempt: 4}, false},
		{"another's run, before", backlog.Sighting{ID: 3, Attempt: 3}, true},
		{"another's run that was queued again", queued(3, 4, llm.Normal), false},
	} {
		if got := r.Knows(test.s); got != test.want {
			t.Errorf("%s: known %v; want %v", test.what, got, test.want)
		}
	}
}

// TestLooked has jobs disappear that somebody else has claimed, and spares those that are new or under way.
func TestLooked(t *testing.T) {
	r := newRig(t, backlog.Config{Concurrency: 1})
	for id := range backlog.ID(5) {
		r.must(id+1, backlog.Spec{Tenant: "a"})
	}
	running := r.claim()
	r.Looked(r.now(), &backlog.Sights{Whole: true})
	if got := r.Known(); got != 4 {
		t.Errorf("%d queued jobs are known; new ones are spared", got)
	}
	r.mono += 10 * time.Second
	r.Looked(r.now(), &backlog.Sights{Through: [4]backlog.ID{9, 9, 9, 9}, Jobs: []backlog.Sighting{{ID: 3, Queued: true}}})
	if got := r.Known(); got != 1 {
		t.Errorf("%d queued jobs are known; want the one that was seen", got)
	}
	if !r.Holds(running.ID, running.Attempt) {
		t.Error("the job that runs was forgotten")
	}
	r.finish(running, backlog.Outcome{Result: []byte("x")})
	if next := r.claim(); next == nil || next.ID != 3 {
		t.Errorf("the next job is %+v; want 3", next)
	}
}
