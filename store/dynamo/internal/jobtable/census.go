package jobtable

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

const (
	// costlyCensus is from how many bytes a census is kept, and keptCensus for how long: one of 64 MB costs 8,000 read
	// units, 0.1 cents.
	costlyCensus = 64 << 20
	keptCensus   = 5 * time.Minute
)

// censusMemory is the last census that was costly.
type censusMemory struct {
	mu    sync.Mutex // guards what follows
	until time.Time
	all   *tally
}

// tally are jobs by state, of all and of each tenant; under state 0 those that are set apart.
type tally struct {
	all     map[backlog.State]int
	tenants map[string]map[backlog.State]int
	bytes   int
}

func newTally() *tally {
	return &tally{all: map[backlog.State]int{}, tenants: map[string]map[backlog.State]int{}}
}

// count adds a job.
func (t *tally) count(tenant string, s backlog.State) {
	t.all[s]++
	if t.tenants[tenant] == nil {
		t.tenants[tenant] = map[backlog.State]int{}
	}
	t.tenants[tenant][s]++
}

// Census implements backlog.Store. It reads all jobs, at 1 read unit for some 6 of them. One that had to read
// more than 64 MB, some 90,000 jobs, is kept for 5 minutes.
func (b *Backlog) Census(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
	t := b.census.get()
	if t == nil {
		var err error
		if t, err = b.tally(ctx); err != nil {
			return nil, fmt.Errorf("dynamo: count jobs: %w", err)
		}
		b.census.keep(t)
	}
	if tenant == nil {
		return maps.Clone(t.all), nil
	}
	if mine := t.tenants[*tenant]; mine != nil {
		return maps.Clone(mine), nil
	}
	return map[backlog.State]int{}, nil
}

func (m *censusMemory) get() *tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().After(m.until) {
		m.all = nil
	}
	return m.all
}

func (m *censusMemory) keep(t *tally) {
	if t.bytes < costlyCensus {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all, m.until = t, time.Now().Add(keptCensus)
}

// tally counts the jobs of all shards.
func (b *Backlog) tally(ctx context.Context) (*tally, error) {
	parts := make([]*tally, b.shards)
	err := b.everywhere(func(n int, shard string) error {
		t := newTally()
		parts[n] = t
		return b.each(ctx, "queue.census", walk{shard: shard}, func(it calls.Item) error {
			t.bytes += calls.SizeOf(it)
			if it[attrVoid] != nil {
				return nil
			}
			switch j, err := b.jobOf(ctx, it); {
			case err == nil:
				t.count(j.Tenant, j.State)
			case errors.Is(err, backlog.ErrDamaged): // nobody knows for sure whose it is
				t.all[0]++
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	sum := newTally()
	for _, part := range parts {
		sum.bytes += part.bytes
		for s, n := range part.all {
			sum.all[s] += n
		}
		for tenant, states := range part.tenants {
			if sum.tenants[tenant] == nil {
				sum.tenants[tenant] = map[backlog.State]int{}
			}
			for s, n := range states {
				sum.tenants[tenant][s] += n
			}
		}
	}
	return sum, nil
}
