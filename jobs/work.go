package jobs

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/llm"
)

// Why a handler's context ends; context.Cause gives it.
var (
	// ErrLeaseLost says that another worker may have the job: the result does not count.
	ErrLeaseLost = errors.New("jobs: the lease is lost")
	// ErrCancelled says that the job was cancelled.
	ErrCancelled = errors.New("jobs: the job was cancelled")
	// ErrDeadline says that the job's deadline passed.
	ErrDeadline = errors.New("jobs: the job's deadline has passed")
	// ErrHandedBack says that the queue stops: the job goes back into it.
	ErrHandedBack = errors.New("jobs: the queue stops, and the job goes back into it")

	errOver = errors.New("jobs: the attempt is over")
)

// lease names one attempt of a job.
type lease struct {
	id      backlog.ID
	attempt int
}

// run is an attempt that this queue makes. Its maker and the goroutine of the attempt
// share it; what others use is guarded by Queue.mu.
type run struct {
	claim  backlog.Change
	cancel context.CancelCauseFunc

	mu    sync.Mutex // guards what follows; taken after Queue.mu
	topic *topic     // where the chunks go; nil before the first
	over  bool       // no chunk counts any more
}

func (r *run) lease() lease { return lease{r.claim.ID, r.claim.To.Attempt} }

// fence ends an attempt that has lost its lease: it is not told of any more, so that what
// the handler emits until it stops is not taken for another attempt's.
func (r *run) fence(cause error) {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	r.cancel(cause)
}

// dispatchLocked claims what there is room for and starts it.
func (q *Queue) dispatchLocked(now time.Time) {
	for {
		ctx, r := q.claimLocked(now)
		if r == nil {
			break
		}
		q.goLocked(func() { q.work(ctx, r) })
	}
	if q.working && !q.failed {
		q.rearmLocked(now)
	}
}

// claimLocked begins the next attempt, if there is room for one. The context is that
// of the attempt, which outlives whoever caused it.
func (q *Queue) claimLocked(now time.Time) (context.Context, *run) {
	if !q.working || q.draining || q.failed {
		return nil, nil
	}
	c, ok := q.desk.Claim(now)
	if !ok {
		return nil, nil
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &run{claim: c, cancel: cancel}
	q.runs[r.lease()] = r
	return ctx, r
}

// work makes attempts, one after the other, until there is none to make.
func (q *Queue) work(ctx context.Context, r *run) {
	over := false
	defer func() {
		if !over { // a handler has ended its goroutine
			q.retire(r)
		}
	}()
	for r != nil {
		q.attempt(ctx, r)
		ctx, r = q.next(r)
	}
	over = true
}

// retire forgets the last attempt of a goroutine that ends.
func (q *Queue) retire(last *run) {
	last.cancel(errOver)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forgetLocked(last)
	q.dispatchLocked(time.Now())
}

func (q *Queue) forgetLocked(r *run) {
	delete(q.runs, r.lease())
	if q.ended != nil {
		close(q.ended)
		q.ended = nil
	}
}

// next forgets an attempt that is over and begins another one.
func (q *Queue) next(last *run) (context.Context, *run) {
	last.cancel(errOver)
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forgetLocked(last)
	ctx, r := q.claimLocked(now)
	q.dispatchLocked(now)
	return ctx, r
}

// holds says whether the lease of an attempt is held. It is not where the claim itself
// took longer than the lease lasts.
func (q *Queue) holds(r *run) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.desk.Holds(r.claim.ID, r.claim.To.Attempt)
}

// fenceLocked is what a change means for the attempt that runs under the lease that it
// starts from: whatever ends the lease from outside cancels the handler.
func (q *Queue) fenceLocked(c *backlog.Change, made bool) {
	if c.From != backlog.Processing {
		return
	}
	r := q.runs[lease{c.ID, c.Attempt}]
	if r == nil || made && c.To.State == backlog.Processing || q.desk.Holds(c.ID, c.Attempt) {
		return
	}
	if made {
		r.fence(causeOf(c))
	} else {
		r.fence(ErrLeaseLost)
	}
}

// causeOf says why a change ends the attempt that it starts from.
func causeOf(c *backlog.Change) error {
	switch c.To.State {
	case backlog.Cancelled:
		return ErrCancelled
	case backlog.Timeout:
		return ErrDeadline
	}
	return ErrLeaseLost
}

// attempt makes one attempt from its claim to its end.
func (q *Queue) attempt(ctx context.Context, r *run) {
	if made, _ := q.transact(&r.claim); !made || !q.holds(r) {
		return
	}
	task, outcome := q.take(ctx, r)
	if task == nil {
		return
	}
	job := task.Job // the handler may change its task
	q.hub.publish(&job)
	q.observe(Claimed, &job, 0)
	began := time.Now()
	o := backlog.Outcome{Poison: true, Err: llm.Errorf(llm.ForebayInternal, "the handler ended its goroutine")}
	defer func() {
		q.silence(r)
		q.finish(ctx, r, &attempted{job: &job, outcome: o, took: time.Since(began)})
	}()
	if outcome != nil {
		o = *outcome
		return
	}
	o = q.handle(ctx, r, task)
}

// take reads and opens what the job carries. Where that cannot be done the outcome says
// why; where there is nothing to do any more the task is nil.
func (q *Queue) take(ctx context.Context, r *run) (*Task, *backlog.Outcome) {
	ctx, cancel := context.WithTimeout(ctx, operateFor)
	defer cancel()
	t := &Task{Job: backlog.Job{ID: r.claim.ID, Status: r.claim.To}}
	job, sealed, err := q.cfg.Store.Read(ctx, r.claim.ID, backlog.Payload)
	switch {
	case err == nil:
	case errors.Is(err, backlog.ErrDamaged), errors.Is(err, backlog.ErrNotFound):
		return t, q.spoilt(&t.Job, "the job's record is damaged", err)
	default:
		return t, &backlog.Outcome{Err: unavailable(q.failsIf(err))}
	}
	t.Job = job
	if job.State != backlog.Processing || job.Attempt != r.claim.To.Attempt {
		return nil, nil // it has ended meanwhile
	}
	if sealed == nil {
		return t, q.spoilt(&t.Job, "the job's payload is gone", nil)
	}
	plain, err := q.open(ctx, &job, backlog.Payload, sealed)
	switch {
	case errors.Is(err, envelope.ErrNoKey):
		return t, &backlog.Outcome{Err: &llm.Error{Kind: llm.CallerNotFound, Message: "what the job was to do has been erased", Err: err}}
	case errors.Is(err, envelope.ErrDamaged), errors.Is(err, envelope.ErrTooLarge):
		return t, q.spoilt(&t.Job, "the job's payload is damaged", err)
	case err != nil:
		return t, &backlog.Outcome{Err: unavailable(err)}
	}
	if _, t.Payload, err = parsePayload(plain); err != nil {
		return t, q.spoilt(&t.Job, "the job's payload cannot be read", err)
	}
	t.Emit = func(chunk []byte) { q.emit(r, chunk) }
	return t, nil
}

// spoilt is the outcome of a job that cannot be done because what is stored of it is
// not what was written.
func (q *Queue) spoilt(j *backlog.Job, what string, err error) *backlog.Outcome {
	q.observe(Damaged, j, 0)
	q.cfg.Logger.Error("jobs: "+what, slog.String("job", j.ID.String()), slog.Any("error", err))
	return &backlog.Outcome{Poison: true, Err: &llm.Error{Kind: llm.ForebayInternal, Message: what, Err: err}}
}

// emit passes a chunk on to readers while the attempt runs.
func (q *Queue) emit(r *run, chunk []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	if r.topic == nil {
		r.topic = q.hub.join(r.claim.ID)
		r.topic.advance(&r.claim.To)
	}
	r.topic.chunk(chunk)
}

// silence ends the attempt's stream.
func (q *Queue) silence(r *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.topic != nil {
		q.hub.leave(r.claim.ID, r.topic)
		r.topic = nil
	}
}

// deadlineOf is when the handler's context ends. The Desk claims nothing whose deadline
// has passed: where it seems so the wall clock was set forward, and the Desk, whose
// clock was not, will say when the time is over.
func deadlineOf(j *backlog.Job, now time.Time) time.Time {
	if j.Deadline.After(now) {
		return j.Deadline
	}
	return now.Add(j.Timeout)
}

// handle runs the handler. A panic is an outcome like others.
func (q *Queue) handle(ctx context.Context, r *run, t *Task) (o backlog.Outcome) {
	ctx, cancel := context.WithDeadlineCause(ctx, deadlineOf(&t.Job, time.Now()), ErrDeadline)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			q.cfg.Logger.Error("jobs: a handler panicked; its job is dead", slog.String("job", t.ID.String()),
				slog.String("operation", t.Operation), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			o = backlog.Outcome{Poison: true, Err: llm.Errorf(llm.ForebayInternal, "the handler panicked")}
		}
	}()
	job := t.Job
	result, err := q.cfg.Handler(ctx, t)
	if err == nil {
		if result == nil {
			result = []byte{}
		}
		if result, err = q.sealResult(ctx, &job, result); err == nil {
			return backlog.Outcome{Result: result}
		}
	}
	return backlog.Outcome{
		Err: err, RetryAfter: llm.AsError(err).RetryAfter,
		TimedOut: errors.Is(context.Cause(ctx), ErrDeadline),
	}
}

// sealResult seals a result. While the keys cannot be had it tries again: the call was
// made and costs as much the next time.
func (q *Queue) sealResult(ctx context.Context, j *backlog.Job, result []byte) ([]byte, error) {
	for pause := firstReread; ; pause = min(2*pause, lastReread) {
		sealed, err := q.seal(ctx, nil, j, backlog.Result, result)
		switch {
		case errors.Is(err, envelope.ErrTooLarge):
			return nil, &llm.Error{Kind: llm.ForebayInternal, Message: "the result is too large to be kept", Err: err}
		case err == nil || ctx.Err() != nil:
			return sealed, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}
