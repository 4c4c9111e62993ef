package jobtable

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

var _ backlog.Sighter = (*Backlog)(nil)

// indexPage is how many entries of an index are read at once where they are counted. They have some 120 bytes.
const indexPage = 1000

// Sight implements backlog.Sighter: one query for each band and shard, and for each shard with leases. A query costs half a
// read unit for each 4 KB, which are some 35 jobs, and half a unit where there are none.
func (b *Backlog) Sight(ctx context.Context, limit int, leases bool) (backlog.Sights, error) {
	return b.sight(ctx, "queue.sight", max(limit, 1), leases)
}

// Jobs implements backlog.Sighter. It costs 1 read unit for each.
func (b *Backlog) Jobs(ctx context.Context, ids ...backlog.ID) ([]backlog.Job, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return b.jobs(ctx, "queue.sight", slices.Compact(ids))
}

// sight reads the indexes: limit entries of each band and shard, or all where that is zero.
func (b *Backlog) sight(ctx context.Context, op string, limit int, leases bool) (backlog.Sights, error) {
	type part struct {
		walk  walk
		model backlog.Sighting
	}
	var parts []part
	for n := range b.shards {
		for _, p := range llm.Priorities {
			parts = append(parts, part{
				walk{shard: readyNamed(p, n), index: IndexReady, page: min(limit, indexPage)}, backlog.Sighting{Queued: true, Band: p},
			})
		}
		if leases {
			parts = append(parts, part{walk: walk{shard: shardNamed(n), index: IndexLeased}})
		}
	}
	seen, errs := make([]backlog.Sights, len(parts)), make([]error, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		most := limit
		if !p.model.Queued {
			most = 0
		}
		all.Go(func() { seen[i], errs[i] = b.entries(ctx, b.stream(op, p.walk), p.model, most) })
	}
	all.Wait()
	if err := cmp.Or(errs...); err != nil {
		return backlog.Sights{}, err
	}
	return joined(seen), nil
}

// joined is what several looks have seen, each of one partition of an index.
func joined(seen []backlog.Sights) backlog.Sights {
	sum := backlog.Sights{Whole: true}
	for i := range sum.Through {
		sum.Through[i] = math.MaxInt64
	}
	for _, part := range seen {
		sum.Jobs, sum.Whole = append(sum.Jobs, part.Jobs...), sum.Whole && part.Whole
		for i, id := range part.Through {
			if id != 0 {
				sum.Through[i] = min(sum.Through[i], id)
			}
		}
	}
	return sum
}

// entries reads the entries of one partition of an index.
func (b *Backlog) entries(ctx context.Context, s *stream, model backlog.Sighting, limit int) (backlog.Sights, error) {
	all := backlog.Sights{Whole: true}
	for {
		it, err := s.pop(ctx)
		if err != nil || it == nil {
			return all, err
		}
		if limit > 0 && len(all.Jobs) >= limit {
			all.Whole, all.Through[model.Band.Index()] = false, max(through(it, model.Band), 1)
			return all, nil
		}
		name, _ := calls.Text(it, AttrID)
		attempt, _ := calls.Number(it, AttrAttempt)
		if model.ID, err = backlog.ParseID(name); err == nil {
			model.Attempt = int(attempt)
			all.Jobs = append(all.Jobs, model)
		}
	}
}

// through is the ID that a job would have that is in the index where this one is, and never waited for an attempt: those of
// the same band and shard with a smaller one come before it.
func through(it calls.Item, band llm.Priority) backlog.ID {
	score, _ := calls.Number(it, AttrScore)
	at := time.UnixMilli(score).Add(-backlog.Config{}.PriorityScore(&backlog.Job{Status: backlog.Status{Band: band}}).Sub(time.Time{}))
	return idAt(at)
}

// jobs reads jobs consistently, in the order of ids, which have no ID twice. Those that are not there or damaged are left out.
func (b *Backlog) jobs(ctx context.Context, op string, ids []backlog.ID) ([]backlog.Job, error) {
	items, err := b.controls(ctx, op, ids)
	if err != nil {
		return nil, err
	}
	all := make([]backlog.Job, 0, len(items))
	for _, id := range ids {
		if it := items[id]; it != nil {
			if j, err := b.jobOf(ctx, it); err == nil { // its damage was noted
				all = append(all, j)
			}
		}
	}
	return all, nil
}

// unfinished are the IDs of jobs that the indexes and this process know of, ascending. They may have ended.
func (b *Backlog) unfinished(ctx context.Context, op string) ([]backlog.ID, error) {
	sights, err := b.sight(ctx, op, 0, true)
	if err != nil {
		return nil, err
	}
	ids := b.recent.all()
	for _, j := range sights.Jobs {
		ids = append(ids, j.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
