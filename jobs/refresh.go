package jobs

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// firstLook and lastLook are the pauses between looks at what others have queued in a shared store: short while there
	// is news, longer and longer while there is none. Each is drawn between half of it and one and a half, so that
	// processes do not look at once.
	firstLook = 250 * time.Millisecond
	lastLook  = 5 * time.Second
	// leftLook is the longest pause while jobs wait that are left to others: a look shows whether those have claimed them.
	leftLook = 750 * time.Millisecond
	// lookedAt is how many queued jobs of each band are looked at, the first ones.
	lookedAt = 1000
	// mostKnown is how many queued jobs of others are known at once at most. The rest of a larger backlog is
	// others' to run, or found when these are done.
	mostKnown = 4000
	// firstCount and countEvery are the pauses between questions for the census of a shared store, each drawn like those
	// of looks. countFor bounds one.
	firstCount = 10 * time.Second
	countEvery = time.Minute
	countFor   = 5 * time.Minute
)

// watch looks for what other processes put into a shared store, until ctx ends.
func (q *Queue) watch(ctx context.Context) {
	sighter, ok := q.cfg.Store.(backlog.Sighter)
	if !ok {
		q.relist(ctx)
		return
	}
	pause, leases := firstLook, time.Now()
	for sleep(ctx, pause/2+rand.N(pause)) {
		if q.Ready() != nil {
			continue
		}
		whole := time.Since(leases) > q.rules.Lease/6
		if whole {
			leases = time.Now()
		}
		news, err := q.look(ctx, sighter, whole)
		if err == nil && whole {
			err = q.loadPaused(ctx)
		}
		q.unseeable(ctx, err)
		if pause = min(pause+pause/2, lastLook); news {
			pause = firstLook
		}
		if q.leaves() {
			pause = min(pause, leftLook)
		}
	}
}

// leaves says that this process has room for jobs which it leaves to others for the moment.
func (q *Queue) leaves() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.desk.Left()
}

// count has the jobs of a shared store counted now and then, until ctx ends. The store says whether that is due: mostly it
// is not.
func (q *Queue) count(ctx context.Context) {
	if q.sighter() == nil {
		return
	}
	for pause := firstCount; sleep(ctx, pause/2+rand.N(pause)); pause = countEvery {
		piece, cancel := context.WithTimeout(ctx, countFor)
		_, err := q.cfg.Store.Census(piece, nil)
		cancel()
		if err != nil && ctx.Err() == nil && !errors.Is(err, backlog.ErrNotCounted) && !errors.Is(q.failsIf(err), backlog.ErrFailed) {
			q.cfg.Logger.Warn("jobs: the jobs of the shared store cannot be counted", slog.Any("error", err))
		}
	}
}

// relist lists everything again and again, where a store can do no better.
func (q *Queue) relist(ctx context.Context) {
	for sleep(ctx, q.rules.Lease/6+rand.N(q.rules.Lease/6)) {
		if q.Ready() != nil {
			continue
		}
		q.unseeable(ctx, q.load(ctx))
		signal(q.wake)
	}
}

// unseeable tells the log that the shared store could not be looked at.
func (q *Queue) unseeable(ctx context.Context, err error) {
	q.mu.Lock()
	q.blind = err
	q.mu.Unlock()
	if err != nil && ctx.Err() == nil && !errors.Is(q.failsIf(err), backlog.ErrFailed) {
		q.cfg.Logger.Warn("jobs: the shared store cannot be listed", slog.Any("error", err))
	}
}

// look looks once at what there is to do, and tells the Desk what it does not know. news says that there was some.
func (q *Queue) look(ctx context.Context, s backlog.Sighter, leases bool) (news bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, operateFor)
	defer cancel()
	began := time.Now()
	sights, err := s.Sight(ctx, lookedAt, leases)
	if err != nil {
		return false, err
	}
	unknown := q.unknown(began, &sights)
	if len(unknown) == 0 {
		return false, nil
	}
	found, err := s.Jobs(ctx, unknown...)
	if err != nil {
		return false, err
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range found {
		news = news || found[i].State == backlog.Queued
		if c, ok := q.desk.Load(now, &found[i]); ok {
			q.todo = append(q.todo, c)
		}
	}
	signal(q.wake)
	return news, nil
}

// unknown are the jobs of which the Desk has to know more. What it knows and was not seen it forgets. A job that
// moved while the store was looked at may have been seen in two places.
func (q *Queue) unknown(began time.Time, sights *backlog.Sights) (ids []backlog.ID) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	partial := !sights.Whole
	var room [len(llm.Priorities)]int // each band has its own: a large one hides nothing of another
	for i, b := range q.desk.Stats(now).Bands {
		room[i] = mostKnown/len(llm.Priorities) - b.Queued
	}
	for _, j := range sights.Jobs {
		if q.desk.Knows(j) {
			continue
		}
		if j.Queued {
			if room[j.Band.Index()] <= 0 {
				partial = true
				continue
			}
			room[j.Band.Index()]--
		}
		ids = append(ids, j.ID)
	}
	q.partial = partial
	if q.desk.Looked(began, sights); q.working && !q.failed {
		q.rearmLocked(now)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
