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
	// lookedAt is how many queued jobs of each band are looked at, the first ones.
	lookedAt = 1000
	// mostKnown is how many queued jobs of others are known at once at most. The rest of a larger backlog is
	// others' to run, or found when these are done.
	mostKnown = 4000
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
	if err != nil && ctx.Err() == nil && !errors.Is(q.failsIf(err), backlog.ErrFailed) {
		q.cfg.Logger.Warn("jobs: the shared store cannot be listed", slog.Any("error", err))
	}
}

// look looks once at what there is to do, and tells the Desk what it does not know. news says that there was some.
func (q *Queue) look(ctx context.Context, s backlog.Sighter, leases bool) (news bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, operateFor)
	defer cancel()
	sights, err := s.Sight(ctx, lookedAt, leases)
	if err != nil {
		return false, err
	}
	unknown := q.unknown(&sights)
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
func (q *Queue) unknown(sights *backlog.Sights) (ids []backlog.ID) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	var room [len(llm.Priorities)]int // each band has its own: a large one hides nothing of another
	for i, b := range q.desk.Stats(now).Bands {
		room[i] = mostKnown/len(llm.Priorities) - b.Queued
	}
	seen := make(map[backlog.ID]struct{}, len(sights.Jobs))
	for _, j := range sights.Jobs {
		seen[j.ID] = struct{}{}
		if q.desk.Knows(j) {
			continue
		}
		if j.Queued {
			if room[j.Band.Index()] <= 0 {
				continue
			}
			room[j.Band.Index()]--
		}
		ids = append(ids, j.ID)
	}
	if sights.Whole {
		q.desk.Unseen(now, func(id backlog.ID) bool {
			_, ok := seen[id]
			return ok
		})
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
