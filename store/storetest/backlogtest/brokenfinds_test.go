package backlogtest_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/storetest"
)

// finding has find in the place of Find.
func finding(find func(ctx context.Context, m *storetest.MemoryBacklog, key [32]byte, since time.Time) (backlog.Job, error)) func(*storetest.MemoryBacklog) backlog.Store {
	return func(m *storetest.MemoryBacklog) backlog.Store {
		return storeOf{MemoryBacklog: m, find: func(ctx context.Context, key [32]byte, since time.Time) (backlog.Job, error) {
			return find(ctx, m, key, since)
		}}
	}
}

// found is what a loop over all jobs finds, damaged ones included.
func found(m *storetest.MemoryBacklog, fits func(j backlog.Job) bool) (backlog.Job, error) {
	for _, r := range m.Records() {
		if fits(r.Job) {
			return r.Job, nil
		}
	}
	return backlog.Job{}, backlog.ErrNotFound
}

// What is broken in Find.
func brokenFinds() map[string]broken {
	type memory = storetest.MemoryBacklog
	same, nothing := "Store/find_gives_the_job_that_insert_would_return", "Store/find_gives_nothing_where_insert_would_take_the_job_in"
	return map[string]broken{
		"nothing is found": {same, finding(func(context.Context, *memory, [32]byte, time.Time) (backlog.Job, error) {
			return backlog.Job{}, backlog.ErrNotFound
		})},
		"the first under a key is found": {same, finding(func(_ context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			return found(m, func(j backlog.Job) bool {
				return j.Idempotency == key && key != [32]byte{} && j.Enqueued.After(since.Truncate(time.Microsecond)) && j.ID != idOf(0)+1
			})
		})},
		"the largest ID under a key is found": {same, finding(func(ctx context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			last, err := m.Find(ctx, key, since)
			for _, r := range m.Records() {
				if r.Job.Idempotency == key && r.Job.ID > last.ID && err == nil {
					last = r.Job
				}
			}
			return last, err
		})},
		"only queued jobs are found": {same, finding(func(ctx context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			j, err := m.Find(ctx, key, since)
			if err == nil && j.State != backlog.Queued {
				return backlog.Job{}, backlog.ErrNotFound
			}
			return j, err
		})},
		"a job is found as it was accepted": {same, finding(func(ctx context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			j, err := m.Find(ctx, key, since)
			j.Status = backlog.Status{State: backlog.Queued, Band: j.Band}
			return j, err
		})},
		"find ignores since": {nothing, finding(func(ctx context.Context, m *memory, key [32]byte, _ time.Time) (backlog.Job, error) {
			return m.Find(ctx, key, time.Time{})
		})},
		"find counts since itself": {nothing, finding(func(ctx context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			return m.Find(ctx, key, since.Add(-time.Microsecond))
		})},
		"a job without a key is found": {nothing, finding(func(_ context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			return found(m, func(j backlog.Job) bool { return j.Idempotency == key && j.Enqueued.After(since) })
		})},
		"find compares some bytes": {nothing, finding(func(_ context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			return found(m, func(j backlog.Job) bool {
				return [16]byte(j.Idempotency[:16]) == [16]byte(key[:16]) && key != [32]byte{} && j.Enqueued.After(since)
			})
		})},
		"nothing is no error": {nothing, finding(func(ctx context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			j, err := m.Find(ctx, key, since)
			if errors.Is(err, backlog.ErrNotFound) {
				err = nil
			}
			return j, err
		})},
		"find sees what was there at first": {"Store/model", func(m *memory) backlog.Store {
			gone := map[[32]byte]bool{}
			return storeOf{MemoryBacklog: m, find: func(ctx context.Context, key [32]byte, since time.Time) (backlog.Job, error) {
				if gone[key] {
					return backlog.Job{}, backlog.ErrNotFound
				}
				j, err := m.Find(ctx, key, since)
				gone[key] = errors.Is(err, backlog.ErrNotFound)
				return j, err
			}}
		}},
		"find forgets keys": {"Durable/an_idempotency_key_counts_after_reopening", func(m *memory) backlog.Store {
			since := time.Time{}
			if len(m.Records()) > 0 {
				since = far()
			}
			return storeOf{MemoryBacklog: m, find: func(ctx context.Context, key [32]byte, _ time.Time) (backlog.Job, error) {
				return m.Find(ctx, key, since)
			}}
		}},
		"find of a closed store finds nothing": {"Durable/a_closed_store_does_nothing", finding(func(ctx context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			j, err := m.Find(ctx, key, since)
			if errors.Is(err, storetest.ErrClosed) {
				err = backlog.ErrNotFound
			}
			return j, err
		})},
		"a damaged job is found": {"Damaged/a_damaged_job_is_told_from_one_that_is_not_there", finding(func(_ context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			return found(m, func(j backlog.Job) bool { return j.Idempotency == key && j.Enqueued.After(since) })
		})},
		"find fails for a damaged job": {"Damaged/a_damaged_job_is_told_from_one_that_is_not_there", finding(func(ctx context.Context, m *memory, key [32]byte, since time.Time) (backlog.Job, error) {
			for _, r := range m.Records() {
				if r.Damaged && r.Job.Idempotency == key {
					return backlog.Job{}, backlog.ErrDamaged
				}
			}
			return m.Find(ctx, key, since)
		})},
	}
}

// counting has its count of a tenant's jobs from what fits.
func counting(fits func(tenant string, r storetest.BacklogRecord) bool) func(*storetest.MemoryBacklog) backlog.Store {
	return func(m *storetest.MemoryBacklog) backlog.Store {
		return storeOf{MemoryBacklog: m, census: func(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
			if tenant == nil {
				return m.Census(ctx, nil)
			}
			counts := map[backlog.State]int{}
			for _, r := range m.Records() {
				if fits(*tenant, r) {
					counts[r.Job.State]++
				}
			}
			return counts, nil
		}}
	}
}

// What is broken in the Census of a tenant.
func brokenTenants() map[string]broken {
	type memory = storetest.MemoryBacklog
	rule := "Store/the_census_of_a_tenant_counts_its_jobs_alone"
	return map[string]broken{
		"the census is of all tenants": {rule, counting(func(string, storetest.BacklogRecord) bool { return true })},
		"the empty tenant is all": {rule, counting(func(tenant string, r storetest.BacklogRecord) bool {
			return tenant == "" || tenant == r.Job.Tenant
		})},
		"the census is of tenants in any case": {rule, counting(func(tenant string, r storetest.BacklogRecord) bool {
			return strings.EqualFold(tenant, r.Job.Tenant)
		})},
		"the census has tenants end at NUL": {rule, counting(func(tenant string, r storetest.BacklogRecord) bool {
			tenant, _, _ = strings.Cut(tenant, "\x00")
			other, _, _ := strings.Cut(r.Job.Tenant, "\x00")
			return tenant == other
		})},
		"a tenant's census is of what is unfinished": {rule, counting(func(tenant string, r storetest.BacklogRecord) bool {
			return tenant == r.Job.Tenant && !r.Job.State.Final()
		})},
		"a tenant's damaged jobs count in their states": {"Damaged/it_is_counted_and_reported", counting(func(tenant string, r storetest.BacklogRecord) bool {
			return tenant == r.Job.Tenant
		})},
		"a tenant's census has all that are damaged": {"Damaged/it_is_counted_and_reported", func(m *memory) backlog.Store {
			return storeOf{MemoryBacklog: m, census: func(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
				counts, err := m.Census(ctx, tenant)
				if tenant != nil {
					all, _ := m.Damaged(ctx, 100)
					counts[0] = len(all)
				}
				return counts, err
			}}
		}},
	}
}

// idOf is the ID of the suites' job number n.
func idOf(n int) backlog.ID { return backlog.ID(n+1) << 22 }
