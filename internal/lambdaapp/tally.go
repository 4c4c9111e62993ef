package lambdaapp

import (
	"context"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/awslambda"
	"github.com/forebay-ai/forebay/backlog"
)

// tally is a store that notes what its one worker does, to know when it is idle.
type tally struct {
	backlog.Store
	// queue says that the queue over it has something to do: a change that was refused for want of capacity is asked for again
	// after a pause, and jobs are left to other workers for some seconds. Nil says nothing.
	queue func() bool

	mu      sync.Mutex // guards what follows
	busy    int        // changes on their way
	running map[backlog.ID]bool
	owed    map[backlog.ID]bool // jobs whose webhook is due soon
	last    time.Time           // when there was something to do last
	resume  map[backlog.ID]time.Time
	jobs    awslambda.Jobs
}

func newTally(s backlog.Store) *tally {
	return &tally{
		Store: s, running: map[backlog.ID]bool{}, owed: map[backlog.ID]bool{}, resume: map[backlog.ID]time.Time{}, last: time.Now(),
	}
}

// soon is how far ahead a webhook may be due that the worker still waits for. Later ones
// are for a later invocation.
const soon = 2 * time.Second

// seeing is t as a store that can be looked through, where s is one: a queue reads all
// there is of any other.
func (t *tally) seeing(s backlog.Store) backlog.Store {
	if sighter, ok := s.(backlog.Sighter); ok {
		return struct {
			*tally
			backlog.Sighter
		}{t, sighter}
	}
	return t
}

// Apply implements backlog.Store.
func (t *tally) Apply(ctx context.Context, c *backlog.Change) error {
	t.mu.Lock()
	t.busy++
	t.mu.Unlock()
	err := t.Store.Apply(ctx, c)
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy--
	t.last = now
	if err == nil {
		t.noteLocked(now, c)
	}
	return err
}

// noteLocked takes in a change that was made.
func (t *tally) noteLocked(now time.Time, c *backlog.Change) {
	to := &c.To
	delete(t.resume, c.ID)
	switch {
	case to.State == backlog.Processing:
		if c.From == backlog.Queued {
			t.jobs.Claimed++
		}
		t.running[c.ID] = true
		return
	case to.State == backlog.Queued:
		if t.running[c.ID] {
			t.jobs.Requeued++
			t.resume[c.ID] = to.NotBefore
		}
	case c.From == to.State: // of the webhook alone
	case to.State == backlog.Completed:
		t.jobs.Completed++
	default:
		t.jobs.Ended++
	}
	delete(t.running, c.ID)
	if h := to.Hook; to.State.Final() && !h.Due.IsZero() && h.Due.Before(now.Add(soon)) {
		t.owed[c.ID] = true
	} else {
		delete(t.owed, c.ID)
	}
}

// idle waits until the worker has nothing to do, or ctx ends. A job that it has put
// back is waited for where its turn comes before that.
func (t *tally) idle(ctx context.Context, begun time.Time) {
	tick := time.NewTicker(workLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if t.isIdle(ctx, now, begun) {
				return
			}
		}
	}
}

func (t *tally) isIdle(ctx context.Context, now, begun time.Time) bool {
	busy := t.queue != nil && t.queue()
	t.mu.Lock()
	defer t.mu.Unlock()
	if busy {
		t.last = now
		return false
	}
	if t.busy > 0 || len(t.running) > 0 || len(t.owed) > 0 || now.Sub(t.last) < settleFor || now.Sub(begun) < settleFor {
		return false
	}
	end, bounded := ctx.Deadline()
	for _, at := range t.resume {
		if (!bounded || at.Before(end)) && !now.After(at.Add(settleFor)) {
			return false // one comes again in time
		}
	}
	return true
}

// done is what the worker did.
func (t *tally) done() awslambda.Jobs {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.jobs
}
