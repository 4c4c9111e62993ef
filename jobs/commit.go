package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// Pauses between reads of a job of which nobody knows whether a change was made.
const (
	firstReread = 50 * time.Millisecond
	lastReread  = 2 * time.Second
)

// errStopped says that the queue stopped before the outcome of a change was known.
var errStopped = errors.New("jobs: the queue has stopped")

// commit makes a change and tells the Desk how that went. made says that the job has
// the status that the change wanted. With an error, backlog.ErrFailed or errStopped,
// that is not known, and the Desk was told nothing: it forgets everything before the
// store is used again. CallerTooLarge says that the result has no room in the store, and
// backlog.ErrBusy that the change was not made and may be asked for again.
func (q *Queue) commit(c *backlog.Change) (made bool, err error) {
	made, err = q.transact(c)
	if made || err == nil || errors.Is(err, backlog.ErrBusy) {
		q.mu.Lock()
		q.dispatchLocked(time.Now())
		q.mu.Unlock()
	}
	return made, err
}

// transact is commit for the goroutine of an attempt, which looks itself for what may be
// started next.
func (q *Queue) transact(c *backlog.Change) (made bool, err error) {
	if !q.enter() {
		return false, backlog.ErrFailed
	}
	began := time.Now()
	switch err = q.write(c); {
	case err == nil:
		q.settle(c, true, nil)
		return true, nil
	case errors.Is(err, backlog.ErrBusy): // nothing is in doubt
		if !q.pause(q.missed() - time.Since(began)) {
			q.abandon()
			return false, errStopped
		}
		q.undone(c)
		return false, err
	}
	return q.reread(c, err)
}

// insist is transact for a change that is worth the same later: while the store has no capacity for it, it is asked for
// again, until it has, the job has moved on, or the queue has stopped.
func (q *Queue) insist(c *backlog.Change) (made bool, err error) {
	if !q.enter() {
		return false, backlog.ErrFailed
	}
	for {
		began := time.Now()
		switch err = q.write(c); {
		case err == nil:
			q.settle(c, true, nil)
			return true, nil
		case !errors.Is(err, backlog.ErrBusy):
			return q.reread(c, err)
		case q.Ready() != nil || !q.pause(q.missed()-time.Since(began)):
			q.abandon()
			return false, errStopped
		}
	}
}

// write has the store make a change.
func (q *Queue) write(c *backlog.Change) error {
	ctx, cancel := context.WithTimeout(context.Background(), operateFor)
	defer cancel()
	return q.cfg.Store.Apply(ctx, c)
}

// reread finds out what became of a change after Apply returned err. A change that
// was not made for no reason is looked at once more, later and later: the store may
// still be busy with it, and whoever makes it again should not do so at once.
func (q *Queue) reread(c *backlog.Change, err error) (made bool, _ error) {
	patient := errors.Is(err, backlog.ErrConflict)
	for pause := firstReread; ; pause = min(2*pause, lastReread) {
		switch {
		case errors.Is(err, backlog.ErrFailed):
			q.fail(err)
			q.abandon()
			return false, backlog.ErrFailed
		case errors.Is(err, backlog.ErrNotFound), errors.Is(err, backlog.ErrDamaged):
			q.settle(c, false, nil)
			return false, nil
		}
		current, readErr := q.get(c.ID)
		if readErr == nil && llm.KindOf(err) == llm.CallerTooLarge { // it never will be made
			q.settle(c, false, &current)
			return false, err
		}
		if err = readErr; err == nil {
			if made = shows(&current.Status, &c.To); made || patient || !q.pause(q.missed()) {
				q.settle(c, made, &current)
				return made, nil
			}
			patient = true
			continue
		}
		if errors.Is(err, backlog.ErrNotFound) || errors.Is(err, backlog.ErrDamaged) || errors.Is(err, backlog.ErrFailed) {
			continue
		}
		if q.Ready() != nil || !q.pause(pause) {
			q.abandon()
			return false, errStopped
		}
	}
}

// missed notes a change that was not made for no reason of its own, and returns how long to wait.
func (q *Queue) missed() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.misses = min(q.misses+1, 10)
	return min(firstReread<<q.misses, lastReread)
}

// shows says that a job has the status that a change wanted: the change was made, or
// one that is as good. What is given up by every lease, the token, is among it.
func shows(now, want *backlog.Status) bool {
	same := now.State == want.State && now.Attempt == want.Attempt && now.Band == want.Band &&
		now.Retries == want.Retries && now.Deaths == want.Deaths &&
		now.Hook.Attempts == want.Hook.Attempts && now.Hook.Delivered == want.Hook.Delivered
	if same && want.State == backlog.Processing {
		same = now.Worker == want.Worker && now.LeaseUntil.UnixMicro() >= want.LeaseUntil.UnixMicro()
	}
	return same
}

func (q *Queue) get(id backlog.ID) (backlog.Job, error) {
	ctx, cancel := context.WithTimeout(context.Background(), operateFor)
	defer cancel()
	return q.cfg.Store.Get(ctx, id)
}

// settle tells the Desk how a change went, and the attempt that is running what that
// means for it.
func (q *Queue) settle(c *backlog.Change, made bool, current *backlog.Job) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if made {
		q.misses = 0
		q.desk.Applied(now, c)
	} else {
		q.desk.Missed(now, c, current)
	}
	q.leaveLocked()
	q.fenceLocked(c, made)
	if q.working && !q.failed {
		q.rearmLocked(now)
	}
}

// undone tells the Desk that a change was surely not made.
func (q *Queue) undone(c *backlog.Change) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.desk.Undone(now, c)
	q.leaveLocked()
	q.fenceLocked(c, false)
	if q.working && !q.failed {
		q.rearmLocked(now)
	}
}

// abandon ends a change whose outcome will not be known before the store is recovered.
func (q *Queue) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.leaveLocked()
}

// fail notes that the store has failed: nothing is acknowledged until it is recovered.
func (q *Queue) fail(err error) {
	q.mu.Lock()
	first := !q.failed
	if first {
		q.failed = true
		q.recovered = make(chan struct{})
		q.desk.Fail()
		signal(q.broken)
	}
	q.mu.Unlock()
	if first {
		q.cfg.Logger.Error("jobs: the store has failed; nothing is taken in or acknowledged until it is recovered", slog.Any("error", err))
	}
}

// failsIf passes an error of the store on, and notes if it says that the store has failed.
func (q *Queue) failsIf(err error) error {
	if errors.Is(err, backlog.ErrFailed) {
		q.fail(err)
	}
	return err
}
