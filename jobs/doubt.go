package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// doubt is a job of which nobody knows whether the store has taken it in. Its place
// stays reserved until that is known.
type doubt struct {
	job  backlog.Job
	look time.Time // when to look again
	wait time.Duration
}

// A job that was not found is looked for again: a store may still be busy with what a
// caller did not wait for. One that is not there lastDoubt later never comes: that is
// longer than any store goes on with what was broken off.
const (
	firstDoubt = 100 * time.Millisecond
	lastDoubt  = 30 * time.Second
)

// doubtful is what insert does where the store gave no clear answer: it looks whether
// the job is there. If that is not known either, it is found out later, and the caller
// is told to submit again.
func (q *Queue) doubtful(ctx context.Context, j *backlog.Job, cause error) error {
	if errors.Is(cause, backlog.ErrFailed) {
		q.fail(cause) // what is there is read again after the recovery
		q.abandon()
		return unavailable(cause)
	}
	if ctx.Err() == nil {
		if there, err := q.stored(ctx, j); there && err == nil {
			q.accept(j)
			return nil
		}
	}
	q.mu.Lock()
	q.doubts = append(q.doubts, doubt{job: *j, look: time.Now().Add(firstDoubt), wait: firstDoubt})
	q.leaveLocked()
	q.mu.Unlock()
	signal(q.doubted)
	e := unavailable(cause)
	e.Message = "nobody knows whether the job was taken in: the store gave no answer"
	e.Fix = "Submit it again under the same idempotency key; without one, list your jobs first."
	return e
}

// stored says whether the store has taken in this very job, as opposed to one of
// another process under the same ID.
func (q *Queue) stored(ctx context.Context, j *backlog.Job) (bool, error) {
	found, err := q.cfg.Store.Get(ctx, j.ID)
	switch {
	case errors.Is(err, backlog.ErrNotFound), errors.Is(err, backlog.ErrDamaged):
		return false, nil
	case err != nil:
		return false, q.failsIf(err)
	}
	return found.Enqueued.Equal(asStored(*j).Enqueued) && found.Digest == j.Digest && found.Tenant == j.Tenant, nil
}

// resolve looks into doubts until ctx ends.
func (q *Queue) resolve(ctx context.Context) {
	for {
		d, wait, ok := q.nextDoubt()
		switch {
		case ok:
			there, err := q.stored(ctx, &d.job)
			q.resolved(&d, there, err)
			continue
		case wait == 0:
			wait = time.Hour // none is left: doubted wakes it
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-q.doubted:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// nextDoubt takes a doubt out that has to be looked into now, or returns how long that
// takes; zero where there is none.
func (q *Queue) nextDoubt() (d doubt, wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed { // the recovery drops them all
		return doubt{}, 0, false
	}
	now := time.Now()
	for i := range q.doubts {
		left := q.doubts[i].look.Sub(now)
		if left <= 0 {
			d = q.doubts[i]
			q.doubts[i] = q.doubts[len(q.doubts)-1]
			q.doubts = q.doubts[:len(q.doubts)-1]
			q.inflight++
			return d, 0, true
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	return doubt{}, wait, false
}

// resolved ends a doubt, or puts it back.
func (q *Queue) resolved(d *doubt, there bool, err error) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case there:
		q.desk.Accept(now, &d.job)
	case err == nil && d.wait > lastDoubt:
		q.desk.Reject(&d.job)
	default:
		d.wait *= 2
		d.look = now.Add(d.wait)
		q.doubts = append(q.doubts, *d)
	}
	q.leaveLocked()
	q.dispatchLocked(now)
}
