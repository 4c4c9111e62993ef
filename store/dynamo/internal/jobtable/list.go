package jobtable

import (
	"context"
	"fmt"
	"slices"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

// The bounds of a page of jobs.
const (
	defaultPage = 100
	mostPage    = 10_000
	// leastStep is the fewest items that are read of a shard at once; there are some 1,500 in 1 MB.
	leastStep = 32
)

// List implements backlog.Store. Lists of unfinished jobs and of due webhooks go by the indexes: they cost 1 read unit for
// some 60 of those, and 1 for each job in the page. What this process has changed itself is in them at once, what others have as
// soon as the index says so, within a second as a rule. All other lists walk over the jobs in order, those that
// the filters leave out included: 1 read unit for some 6 jobs.
func (b *Backlog) List(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
	limit := defaultPage
	if q.Limit > 0 {
		limit = min(q.Limit, mostPage)
	}
	var page []backlog.Job
	var err error
	if q.HooksDue || onlyUnfinished(&q) {
		page, err = b.listIndexed(ctx, &q, limit)
	} else {
		page, err = b.listAll(ctx, &q, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("dynamo: list jobs: %w", err)
	}
	return page, nil
}

func onlyUnfinished(q *backlog.Query) bool {
	return len(q.States) > 0 && !slices.ContainsFunc(q.States, func(s backlog.State) bool { return s.Final() || s == 0 })
}

// matches reports whether a query selects a job, its place apart.
func matches(q *backlog.Query, j *backlog.Job) bool {
	is := func(want *string, text string) bool { return want == nil || *want == text }
	return (len(q.States) == 0 || slices.Contains(q.States, j.State)) &&
		is(q.Tenant, j.Tenant) && is(q.User, j.User) && is(q.Operation, j.Operation) &&
		(q.CustomID == "" || q.CustomID == j.CustomID) && (!q.HooksDue || !j.Hook.Due.IsZero())
}

// listIndexed lists what the indexes and this process know of.
func (b *Backlog) listIndexed(ctx context.Context, q *backlog.Query, limit int) ([]backlog.Job, error) {
	ids, err := b.unfinished(ctx, "queue.list")
	if err != nil {
		return nil, err
	}
	if q.Newest {
		slices.Reverse(ids)
	}
	ids = slices.DeleteFunc(ids, func(id backlog.ID) bool { return q.After != 0 && (id == q.After || q.Newest == (id > q.After)) })
	var page []backlog.Job
	for len(ids) > 0 && len(page) < limit {
		n := min(len(ids), max(limit-len(page), leastStep))
		part, err := b.jobs(ctx, "queue.list", ids[:n])
		if err != nil {
			return nil, err
		}
		for i := range part {
			if len(page) < limit && matches(q, &part[i]) {
				page = append(page, part[i])
			}
		}
		ids = ids[n:]
	}
	return page, nil
}

// listAll walks over the jobs of all shards in the order of their IDs.
func (b *Backlog) listAll(ctx context.Context, q *backlog.Query, limit int) ([]backlog.Job, error) {
	streams := make([]*stream, b.shards)
	err := b.everywhere(func(n int, shard string) error {
		w := walk{shard: shard, down: q.Newest, page: max(limit/b.shards+limit/(4*b.shards), leastStep)}
		if q.After != 0 {
			if w.after = q.After.String(); q.After < 0 {
				w.after = backlog.ID(0).String()
			}
		}
		streams[n] = b.stream("queue.list", w)
		return streams[n].fill(ctx)
	})
	var page []backlog.Job
	for err == nil && len(page) < limit {
		var first *stream
		for _, s := range streams {
			if err = s.fill(ctx); err != nil {
				return nil, err
			}
			if len(s.page) > 0 && (first == nil || before(s.page[0], first.page[0]) != q.Newest) {
				first = s
			}
		}
		if first == nil {
			break
		}
		it := first.page[0]
		first.page = first.page[1:]
		if it[attrVoid] != nil {
			continue
		}
		if j, err := b.jobOf(ctx, it); err == nil && matches(q, &j) { // its damage was noted
			page = append(page, j)
		}
	}
	return page, err
}

// before says whether an item's ID is smaller than another's, which is never the same.
func before(x, y calls.Item) bool {
	a, _ := calls.Text(x, AttrID)
	b, _ := calls.Text(y, AttrID)
	return a < b
}
