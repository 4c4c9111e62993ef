package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// finishTries is how often the end of an attempt is written where the store says each
// time that it was not, although the lease is held: something else is wrong then.
const finishTries = 4

// attempted is an attempt that has ended.
type attempted struct {
	job     *backlog.Job
	outcome backlog.Outcome
	took    time.Duration
}

// finish writes how an attempt ended. Only the holder of the lease can: otherwise the
// result is thrown away. While the store has failed the result waits for its recovery, and while it has no capacity
// the lease is kept and the end written again and again.
func (q *Queue) finish(ctx context.Context, r *run, a *attempted) {
	back := a.outcome.Err != nil && errors.Is(context.Cause(ctx), ErrHandedBack)
	for try := 0; try < finishTries; {
		if !q.awaitRecovery() {
			return // the lease will run out, or is found at the next start
		}
		c, held, asked := q.conclude(r, a, back)
		if !asked {
			continue
		}
		if !held {
			break
		}
		made, err := q.insist(&c)
		if made {
			a.job.Status = c.To
			q.tell(a.job, backlog.Processing, a.took)
			return
		}
		switch {
		case err == nil:
			try++ // the lease may be held still: the Desk says
		case llm.KindOf(err) == llm.CallerTooLarge: // another attempt would cost as much and end in the same way
			try++
			a.outcome = backlog.Outcome{Poison: true, Err: &llm.Error{Kind: llm.ForebayInternal, Message: "the result is too large to be kept", Err: err}}
		}
	}
	if context.Cause(ctx) != ErrCancelled && context.Cause(ctx) != ErrDeadline {
		q.observe(Fenced, a.job, a.took)
	}
}

// conclude asks the Desk for the change that ends an attempt; held is false without the
// lease. While the store has failed nothing is asked: the change could not be made, and
// the Desk would wait for it.
func (q *Queue) conclude(r *run, a *attempted, back bool) (c backlog.Change, held, asked bool) {
	l, now := r.lease(), time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.failed:
		return backlog.Change{}, false, false
	case back:
		c, held = q.desk.Release(now, l.id, l.attempt)
	default:
		c, held = q.desk.Finish(now, l.id, l.attempt, a.outcome)
	}
	return c, held, true
}

// awaitRecovery waits while the store does not work; false when the queue stops before.
func (q *Queue) awaitRecovery() bool {
	q.mu.Lock()
	recovered := q.recovered
	q.mu.Unlock()
	select {
	case <-recovered:
		return true
	case <-q.quit:
		return false
	}
}

// notRun stands for the time that an attempt took where none ended here.
const notRun = -1

// tell tells readers and metrics of a change that was made, as j shows it now. took is
// how long the attempt ran that it ends, or notRun.
func (q *Queue) tell(j *backlog.Job, from backlog.State, took time.Duration) {
	q.hub.publish(j)
	if what, final := finals[j.State]; final {
		q.observe(what, j, max(took, 0))
	} else if from == backlog.Processing && took != notRun && j.Kind != "" {
		q.observe(Retried, j, took)
	}
}
