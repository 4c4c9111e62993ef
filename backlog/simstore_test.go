package backlog_test

import (
	"errors"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

var errUnknown = errors.New("nobody knows whether it was made")

// record is a job as the simulated store keeps it, and what the checks want to know of it.
type record struct {
	backlog.Job
	versions []version
	acked    bool
	lastGen  incarnation // which desk gave it its deadline
	since    int64       // when that was
	back     int         // how often it went from processing to queued
	starts   int
	requeued int
	results  int
	payload  bool
	moved    int64 // when its lease was taken or renewed
}

// version is what a listing may still show.
type version struct {
	until int64 // when it was replaced
	job   backlog.Job
}

// simStore is a store with the right behaviour. Faults are made around it.
type simStore struct {
	w       *world
	records map[backlog.ID]*record
	open    []backlog.ID // not final, ascending
	keys    map[[32]byte]backlog.ID
	paused  map[string]bool
}

func (s *simStore) insert(o *op) (backlog.Job, error) {
	j := o.insert
	if id, ok := s.keys[j.Idempotency]; ok && j.Idempotency != [32]byte{} {
		s.w.seen["resubmitted"]++
		return s.records[id].Job, backlog.ErrExists
	}
	if s.records[j.ID] != nil {
		s.w.failf("%s was stored twice", j.ID)
	}
	s.records[j.ID] = &record{Job: *j, payload: true, lastGen: incarnation{o.p.n, o.gen}, since: o.said}
	if j.Idempotency != [32]byte{} {
		s.keys[j.Idempotency] = j.ID
	}
	s.opened(j.ID)
	return backlog.Job{}, nil
}

func (s *simStore) opened(id backlog.ID) {
	if i, found := slices.BinarySearch(s.open, id); !found {
		s.open = slices.Insert(s.open, i, id)
	}
}

func (s *simStore) apply(o *op) error {
	c := o.change
	r := s.records[c.ID]
	switch {
	case r == nil:
		return backlog.ErrNotFound
	case r.State != c.From, r.Attempt != c.Attempt, !c.LeaseUntil.IsZero() && !c.LeaseUntil.Equal(r.LeaseUntil):
		return backlog.ErrConflict
	}
	s.w.checkChange(o, r)
	r.versions = append(r.versions, version{s.w.now, r.Job})
	if len(r.versions) > 6 {
		r.versions = slices.Delete(r.versions, 0, 1)
	}
	before := r.State
	if r.Status = c.To; c.To.State == backlog.Processing {
		r.moved = s.w.now
	}
	if c.DropPayload {
		r.payload = false
	}
	switch {
	case c.To.State.Final() && !before.Final():
		i, _ := slices.BinarySearch(s.open, c.ID)
		s.open = slices.Delete(s.open, i, i+1)
	case before.Final() && !c.To.State.Final():
		s.opened(c.ID)
		r.requeued++
		r.lastGen, r.since = incarnation{o.p.n, o.gen}, o.said
	case before == backlog.Processing && c.To.State == backlog.Queued:
		r.back++
	}
	return nil
}

func (s *simStore) get(id backlog.ID) *backlog.Job {
	if r := s.records[id]; r != nil {
		j := r.Job
		return &j
	}
	return nil
}

// list shows all jobs that are not final or whose webhook is due. With age it shows each as it was then, or
// later: as an index that follows the jobs behind time.
func (s *simStore) list(age int64) []backlog.Job {
	var jobs []backlog.Job
	for _, id := range s.open {
		r := s.records[id]
		j := r.Job
		for _, v := range r.versions {
			if age > 0 && v.until >= s.w.now-age && s.w.chance(0.7) {
				j = v.job
				s.w.seen["stale listing"]++
				break
			}
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func (s *simStore) hooks() []backlog.Job {
	var jobs []backlog.Job
	for _, id := range s.w.ids {
		if r := s.records[id]; r != nil && !r.Hook.Due.IsZero() {
			jobs = append(jobs, r.Job)
		}
	}
	return jobs
}

// checkChange holds what is true of every change that a store makes.
func (w *world) checkChange(o *op, r *record) {
	c := o.change
	w.trace(c.ID, int64(c.Attempt), int64(c.From), int64(c.To.State))
	to := &c.To
	switch {
	case r.State.Final() && !to.State.Final():
		if !o.requeue {
			w.failf("%s went from %s to %s, and nobody asked for it", c.ID, r.State, to.State)
		}
		if r.State == backlog.Completed {
			w.failf("%s was completed and is queued again", c.ID)
		}
	case r.State.Final() && to.State != r.State:
		w.failf("%s went from %s to %s", c.ID, r.State, to.State)
	case r.State == backlog.Queued && to.State == backlog.Processing && (to.Attempt != r.Attempt+1 || to.Worker != o.worker):
		w.failf("%s was claimed as attempt %d of %s after %d by %s", c.ID, to.Attempt, to.Worker, r.Attempt, o.worker)
	case o.ran != 0 && (o.ran != r.Attempt || o.worker != r.Worker):
		w.failf("%s took the end of attempt %d on %s while %s had attempt %d", c.ID, o.ran, o.worker, r.Worker, r.Attempt)
	}
	if !o.requeue && !to.Deadline.Equal(r.Deadline) {
		w.failf("%s was changed as it was before it was requeued", c.ID)
	}
	if alive := w.now - r.moved; r.State == backlog.Processing && r.Worker != o.worker && to.State != backlog.Cancelled && !w.cfg.Exclusive && alive < int64(15*time.Second) {
		w.failf("%s was taken from %s, which was alive %s ago", c.ID, r.Worker, time.Duration(alive))
	}
	if to.State == backlog.Completed && r.State != backlog.Completed {
		if r.results++; r.results > 1 {
			w.failf("%s has two results", c.ID)
		}
		if string(c.Result) != c.ID.String() {
			w.failf("%s has the result %q", c.ID, c.Result)
		}
	}
	if to.Retries > w.cfg.Retries || to.Deaths > w.cfg.Deaths && to.State != backlog.Dead && !to.State.Final() {
		w.failf("%s has %d retries and %d lost leases", c.ID, to.Retries, to.Deaths)
	}
	// A desk that knew the job all the time keeps its time, whatever the wall clock did.
	early := w.now - r.since - int64(r.Timeout)
	if to.State == backlog.Timeout && to.Kind == llm.CallerDeadline && r.State != to.State && early < 0 && r.lastGen == (incarnation{o.p.n, o.gen}) {
		w.failf("%s timed out %s too early: %+v after %+v", c.ID, time.Duration(-early), to, r.Job)
	}
	if to.State.Final() && (to.Keep.Before(to.ResultUntil) || to.Finished.IsZero()) {
		w.failf("%s ends with %+v", c.ID, *to)
	}
}
