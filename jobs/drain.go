package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// Drain stops claims and admissions. Jobs that run may end by themselves until ctx does;
// then their handlers are cancelled and their leases handed back, so that another
// process, or this one after its next start, goes on with them at once. It returns nil
// when no lease is held any more; else ForebayUnavailable: those leases run out. Events
// and Wait end with Run; where that was never called, they end here.
func (q *Queue) Drain(ctx context.Context) error {
	q.mu.Lock()
	q.draining = true
	q.desk.Drain()
	if !q.started {
		q.hub.close()
	}
	q.mu.Unlock()
	if q.runsEnded(ctx) {
		return nil
	}
	q.mu.Lock()
	for _, r := range q.runs {
		r.cancel(ErrHandedBack)
	}
	q.mu.Unlock()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), handBackFor)
	defer cancel()
	if q.runsEnded(late) {
		return nil
	}
	if left := q.releaseAll(); left > 0 {
		return &llm.Error{
			Kind: llm.ForebayUnavailable, Message: "leases of jobs could not be handed back; they run out",
			Limit: "leases", Value: fmt.Sprint(left),
		}
	}
	return nil
}

// runsEnded waits until no attempt runs; false when ctx ends before.
func (q *Queue) runsEnded(ctx context.Context) bool {
	for {
		q.mu.Lock()
		if len(q.runs) == 0 {
			q.mu.Unlock()
			return true
		}
		if q.ended == nil {
			q.ended = make(chan struct{})
		}
		ended := q.ended
		q.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return false
		}
	}
}

// releaseAll hands back the leases of handlers that do not stop; what they return is
// refused from then on. It returns how many could not be handed back.
func (q *Queue) releaseAll() (left int) {
	now := time.Now()
	q.mu.Lock()
	if q.failed {
		defer q.mu.Unlock()
		return len(q.runs)
	}
	var changes []backlog.Change
	for l := range q.runs {
		if c, ok := q.desk.Release(now, l.id, l.attempt); ok {
			changes = append(changes, c)
		}
	}
	q.mu.Unlock()
	for i := range changes {
		if made, err := q.commit(&changes[i]); !made && err != nil {
			left++
		}
	}
	return left
}
