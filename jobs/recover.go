package jobs

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Pauses between tries to make the store usable again.
const (
	firstRecovery = 100 * time.Millisecond
	lastRecovery  = 30 * time.Second
)

// recover makes the store usable again each time that it has failed, until ctx ends.
// A store that fails again soon is left alone for longer: each recovery reads the
// whole backlog.
func (q *Queue) recover(ctx context.Context) {
	pause, last := time.Duration(0), time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.broken:
		}
		began := time.Now()
		if began.Sub(last) > lastRecovery {
			pause = 0
		}
		for forgotten := false; ; {
			if pause > 0 && !sleep(ctx, pause/2+rand.N(pause)) {
				return
			}
			pause = min(max(2*pause, firstRecovery), lastRecovery)
			err := q.restore(ctx, &forgotten)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			q.cfg.Logger.Error("jobs: the store cannot be recovered yet", slog.Any("error", err))
		}
		last = time.Now()
		q.cfg.Logger.Info("jobs: the store works again", slog.Duration("after", last.Sub(began)))
	}
}

// quiet waits until no change is being made.
func (q *Queue) quiet(ctx context.Context) error {
	q.mu.Lock()
	var idle chan struct{}
	if q.inflight > 0 {
		if q.idle == nil {
			q.idle = make(chan struct{})
		}
		idle = q.idle
	}
	q.mu.Unlock()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// restore makes one try: when no change is being made any more the store is opened
// anew, and the Desk forgets all it knew and reads the backlog again. Attempts that run
// go on; those whose lease is still theirs write their results then. The Desk forgets
// once (forgotten): it remembers which leases were its own, and no longer than that.
func (q *Queue) restore(ctx context.Context, forgotten *bool) error {
	if err := q.quiet(ctx); err != nil {
		return err
	}
	if err := q.cfg.Store.Recover(ctx); err != nil {
		return err
	}
	if !*forgotten {
		*forgotten = true
		q.mu.Lock()
		q.desk.Restore()
		q.urgent, q.todo, q.hooks, q.doubts = nil, nil, nil, nil
		clear(q.parked)
		q.mu.Unlock()
	}
	if err := q.load(ctx); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed = false
	close(q.recovered)
	q.startAppliersLocked()
	q.dispatchLocked(time.Now())
	signal(q.wake)
	signal(q.doubted)
	return nil
}
