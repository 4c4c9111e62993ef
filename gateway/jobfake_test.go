package gateway_test

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
)

// shelf is a durable queue that does nothing by itself: a test says what happens to
// its jobs. It keeps to what jobs.Queue promises about tenants.
type shelf struct {
	mu      sync.Mutex // guards what follows
	ids     backlog.IDs
	all     map[backlog.ID]*kept
	paused  []string
	queries []backlog.Query
	fails   error         // of the next submission
	reading int           // readers of events
	changed chan struct{} // closed and renewed at each change
}

// kept is a job on the shelf.
type kept struct {
	job    backlog.Job
	key    string // tenant, user and idempotency key
	req    *llm.Request
	sub    gateway.Submission
	res    *forebay.Response
	events []jobs.Event
}

func newShelf() *shelf {
	return &shelf{all: map[backlog.ID]*kept{}, changed: make(chan struct{})}
}

// set changes a job and tells those who wait.
func (s *shelf) set(id backlog.ID, change func(k *kept)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.all[id]
	before := k.job.State
	change(k)
	if k.job.State != before {
		s.tell(k, jobs.Event{Type: jobs.EventState, Job: k.job})
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// tell adds an event; the mutex is held.
func (s *shelf) tell(k *kept, e jobs.Event) {
	e.ID = int64(len(k.events) + 1)
	k.events = append(k.events, e)
}

// chunk emits a piece of a job's answer.
func (s *shelf) chunk(id backlog.ID, text string) {
	s.set(id, func(k *kept) { s.tell(k, jobs.Event{Type: jobs.EventChunk, Chunk: []byte(text)}) })
}

// complete ends a job with a result.
func (s *shelf) complete(id backlog.ID, res forebay.Response) {
	s.set(id, func(k *kept) {
		k.job.State, k.job.Finished, k.res = backlog.Completed, k.job.Enqueued.Add(1500*time.Millisecond), &res
	})
}

// fail ends a job in a state with a reason.
func (s *shelf) fail(id backlog.ID, state backlog.State, kind llm.Kind, message string) {
	s.set(id, func(k *kept) { k.job.State, k.job.Kind, k.job.Message = state, kind, message })
}

func (s *shelf) SubmitJob(_ context.Context, req *llm.Request, sub gateway.Submission) (backlog.Job, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return backlog.Job{}, false, s.fails
	}
	key := req.Tenant + "\x00" + req.User + "\x00" + sub.IdempotencyKey
	for _, k := range s.all {
		if sub.IdempotencyKey != "" && k.key == key {
			if string(k.req.Body) != string(req.Body) {
				return backlog.Job{}, false, &llm.Error{Kind: llm.CallerConflict, Message: "this idempotency key was used for another request", Fix: "Use a new key."}
			}
			return k.job, false, nil
		}
	}
	now := time.Now()
	k := &kept{key: key, req: req, sub: sub, job: backlog.Job{
		ID: s.ids.Next(now),
		Spec: backlog.Spec{
			Tenant: req.Tenant, User: req.User, Key: req.Key, Operation: req.Operation, Endpoint: string(req.Endpoint), Model: req.Model,
			CustomID: sub.CustomID, Enqueued: now, Timeout: req.Timeout, Retention: sub.Retention, Webhook: sub.Webhook != "",
		},
		Status: backlog.Status{State: backlog.Queued, Band: req.Priority},
	}}
	s.all[k.job.ID] = k
	s.tell(k, jobs.Event{Type: jobs.EventState, Job: k.job})
	return k.job, true, nil
}

func (s *shelf) find(as jobs.As, id backlog.ID) (*kept, error) {
	k := s.all[id]
	if k == nil || !as.All && k.job.Tenant != as.Tenant {
		return nil, &llm.Error{Kind: llm.CallerNotFound, Message: "no job is named " + id.String(), Fix: "GET /v1/jobs lists jobs."}
	}
	return k, nil
}

func (s *shelf) Get(_ context.Context, as jobs.As, id backlog.ID) (backlog.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.find(as, id)
	if err != nil {
		return backlog.Job{}, err
	}
	return k.job, nil
}

func (s *shelf) JobResult(_ context.Context, as jobs.As, id backlog.ID) (*forebay.Response, map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.find(as, id)
	switch {
	case err != nil:
		return nil, nil, err
	case k.res == nil:
		return nil, nil, &llm.Error{Kind: llm.CallerNotFound, Message: "the result is not kept any more"}
	}
	return k.res, k.sub.Raw, nil
}

func (s *shelf) Wait(ctx context.Context, as jobs.As, id backlog.ID) (backlog.Job, error) {
	for {
		s.mu.Lock()
		k, err := s.find(as, id)
		changed := s.changed
		if err != nil || k.job.State.Final() {
			s.mu.Unlock()
			if err != nil {
				return backlog.Job{}, err
			}
			return k.job, nil
		}
		job := k.job
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return job, nil
		}
	}
}

func (s *shelf) List(_ context.Context, as jobs.As, q backlog.Query) ([]backlog.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, q)
	var found []backlog.Job
	for _, k := range s.all {
		if s.selects(as, &q, &k.job) {
			found = append(found, k.job)
		}
	}
	slices.SortFunc(found, func(a, b backlog.Job) int {
		if q.Newest {
			a, b = b, a
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return found[:min(len(found), cmp.Or(q.Limit, 100))], nil
}

func (s *shelf) selects(as jobs.As, q *backlog.Query, j *backlog.Job) bool {
	is := func(want *string, have string) bool { return want == nil || *want == have }
	return (as.All || as.Tenant == j.Tenant) && is(q.Tenant, j.Tenant) && is(q.User, j.User) && is(q.Operation, j.Operation) &&
		(q.CustomID == "" || q.CustomID == j.CustomID) && (len(q.States) == 0 || slices.Contains(q.States, j.State)) &&
		(q.After == 0 || q.Newest && j.ID < q.After || !q.Newest && j.ID > q.After)
}

func (s *shelf) Purge(ctx context.Context, as jobs.As, q backlog.Query) (int, error) {
	q.Limit = 10_000
	found, err := s.List(ctx, as, q)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range found {
		delete(s.all, found[i].ID)
	}
	return len(found), err
}

// move changes a job that is in one of the states.
func (s *shelf) move(as jobs.As, id backlog.ID, from []backlog.State, change func(*backlog.Job)) (backlog.Job, error) {
	s.mu.Lock()
	k, err := s.find(as, id)
	if err == nil && !slices.Contains(from, k.job.State) {
		err = &llm.Error{Kind: llm.CallerConflict, Message: "the job is " + k.job.State.String(), Fix: "Look at the job."}
	}
	s.mu.Unlock()
	if err != nil {
		return backlog.Job{}, err
	}
	s.set(id, func(k *kept) { change(&k.job) })
	return s.Get(context.Background(), as, id)
}

func (s *shelf) Cancel(_ context.Context, as jobs.As, id backlog.ID) (backlog.Job, error) {
	return s.move(as, id, []backlog.State{backlog.Queued, backlog.Processing}, func(j *backlog.Job) { j.State = backlog.Cancelled })
}

func (s *shelf) Requeue(_ context.Context, as jobs.As, id backlog.ID) (backlog.Job, error) {
	return s.move(as, id, []backlog.State{backlog.Failed, backlog.Timeout, backlog.Cancelled, backlog.Dead}, func(j *backlog.Job) { j.State = backlog.Queued })
}

func (s *shelf) SetBand(_ context.Context, as jobs.As, id backlog.ID, band llm.Priority) (backlog.Job, error) {
	return s.move(as, id, []backlog.State{backlog.Queued}, func(j *backlog.Job) { j.Band = band })
}

func (s *shelf) Pause(_ context.Context, _ jobs.As, operation string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = append(s.paused, operation)
	return nil
}

func (s *shelf) Resume(_ context.Context, _ jobs.As, operation string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = slices.DeleteFunc(s.paused, func(p string) bool { return p == operation })
	return nil
}

func (s *shelf) Stats(_ context.Context, as jobs.As) (jobs.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n jobs.Stats
	for _, k := range s.all {
		if (as.All || as.Tenant == k.job.Tenant) && k.job.State == backlog.Queued {
			n.Queued++
		}
	}
	return n, nil
}

// View is the queue's, without a place: there is no line here.
func (s *shelf) View(j *backlog.Job) jobs.View {
	placeless := *j
	placeless.State = backlog.Processing
	v := new(jobs.Queue).View(&placeless)
	v.State = j.State.String()
	return v
}

func (s *shelf) Events(ctx context.Context, as jobs.As, id backlog.ID, after int64) iter.Seq2[jobs.Event, error] {
	return func(yield func(jobs.Event, error) bool) {
		s.mu.Lock()
		s.reading++
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			s.reading--
			s.mu.Unlock()
		}()
		for {
			s.mu.Lock()
			k, err := s.find(as, id)
			if err != nil {
				s.mu.Unlock()
				yield(jobs.Event{}, err)
				return
			}
			changed, next := s.changed, slices.Clone(k.events[min(int(after), len(k.events)):])
			s.mu.Unlock()
			for _, e := range next {
				if !yield(e, nil) || e.Type == jobs.EventState && e.Job.State.Final() {
					return
				}
				after = e.ID
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// readers is how many readers of events there are.
func (s *shelf) readers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reading
}

// last is the job that was taken in last.
func (s *shelf) last() *kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	var newest *kept
	for _, k := range s.all {
		if newest == nil || k.job.ID > newest.job.ID {
			newest = k
		}
	}
	return newest
}
