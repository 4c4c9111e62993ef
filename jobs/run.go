package jobs

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// maxAppliers bounds the changes that are made at once beside those of attempts:
	// enough for a store that commits them together.
	maxAppliers = 32
	// handBackFor is how long handlers are waited for that were told to stop.
	handBackFor = 5 * time.Second
	// purgeEvery is the pause between looks for what is past its retention, purgePause
	// the one between pieces of it.
	purgeEvery = time.Minute
	purgePause = 100 * time.Millisecond
	purgePiece = 500
)

// Run works until ctx ends: it runs jobs, keeps leases, delivers webhooks and removes
// what is past its retention. Then it cancels the handlers that still run, hands their
// leases back, and returns when all its goroutines have ended; Drain before that lets
// them finish. A Queue runs once.
func (q *Queue) Run(ctx context.Context) error {
	q.mu.Lock()
	if q.started {
		q.mu.Unlock()
		return llm.Errorf(llm.ForebayInternal, "the queue of jobs runs already, or has run")
	}
	q.started, q.working = true, true
	q.goLocked(func() { q.purge(ctx) })
	q.goLocked(func() { q.resolve(ctx) })
	q.goLocked(func() { q.recover(ctx) })
	if !q.exclusive {
		q.goLocked(func() { q.watch(ctx) })
		q.goLocked(func() { q.count(ctx) })
	}
	q.dispatchLocked(time.Now())
	q.mu.Unlock()

	q.loop(ctx)
	over, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cancel()
	err := q.Drain(over)
	q.mu.Lock()
	q.working = false
	q.mu.Unlock()
	close(q.quit)
	q.goroutines.Wait()
	q.hub.close()
	return err
}

// loop looks at the Desk whenever it has something: at the time that it says, and when
// that has changed.
func (q *Queue) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		case <-timer.C:
		}
		if at, ok := q.turn(ctx, time.Now()); ok {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
	}
}

// turn starts what is due, and returns when to look again.
func (q *Queue) turn(ctx context.Context, now time.Time) (time.Time, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.alarm = time.Time{}
	if q.failed {
		return time.Time{}, false
	}
	for _, c := range q.desk.Due(now) {
		if c.From == backlog.Processing && c.To.State == backlog.Processing {
			q.urgent = append(q.urgent, c)
			continue
		}
		if r := q.runs[lease{c.ID, c.Attempt}]; r != nil && c.From == backlog.Processing {
			r.fence(causeOf(&c)) // at once: from now on the result does not count
		}
		q.todo = append(q.todo, c)
	}
	q.startAppliersLocked()
	if ctx.Err() == nil {
		q.hooks = append(q.hooks, q.desk.Hooks(now)...)
		q.startCouriersLocked(ctx)
	}
	for {
		attempt, r := q.claimLocked(now)
		if r == nil {
			break
		}
		q.goLocked(func() { q.work(attempt, r) })
	}
	at, ok := q.desk.Wake(now)
	if ok {
		q.alarm = at
	}
	return at, ok
}

// startAppliersLocked starts goroutines for the changes that wait. Those that run may be
// busy for long with others.
func (q *Queue) startAppliersLocked() {
	for n := min(len(q.urgent)+len(q.todo), maxAppliers-q.appliers); q.working && n > 0; n-- {
		q.appliers++
		q.goLocked(q.apply)
	}
}

// apply makes the changes that wait, renewals of leases first.
func (q *Queue) apply() {
	for {
		c, ok := q.nextChange()
		if !ok {
			return
		}
		if made, _ := q.commit(&c); !made || c.From == backlog.Processing && c.To.State == backlog.Processing {
			continue
		}
		job, err := q.get(c.ID)
		if err != nil {
			continue // its readers look again when they come again
		}
		moved := !shows(&job.Status, &c.To) // and whoever moved it has told of that
		if job.Status = c.To; c.From == backlog.Processing && job.State != backlog.Timeout && job.Deaths > 0 {
			q.observe(LostLease, &job, 0)
		}
		if !moved || job.State.Final() {
			q.tell(&job, c.From, notRun)
		}
	}
}

func (q *Queue) nextChange() (c backlog.Change, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := &q.urgent
	if len(*from) == 0 {
		from = &q.todo
	}
	if len(*from) == 0 || q.failed {
		q.appliers--
		return c, false
	}
	c = (*from)[0]
	if *from = (*from)[1:]; len(*from) == 0 {
		*from = nil
	}
	return c, true
}

// purge removes what is past its retention, piece by piece, until ctx ends.
func (q *Queue) purge(ctx context.Context) {
	pause := purgeEvery
	for sleep(ctx, pause/2+rand.N(pause)) {
		piece, cancel := context.WithTimeout(ctx, operateFor)
		_, more, err := q.cfg.Store.Purge(piece, time.Now(), purgePiece)
		cancel()
		switch {
		case err != nil:
			pause = purgeEvery
			if ctx.Err() == nil && !errors.Is(q.failsIf(err), backlog.ErrFailed) {
				q.cfg.Logger.Warn("jobs: what is past its retention cannot be removed", slog.Any("error", err))
			}
		case more:
			pause = purgePause
		default:
			pause = purgeEvery
		}
	}
}

// sleep waits, and returns false when ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
