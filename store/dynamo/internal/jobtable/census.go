package jobtable

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/dynamo/internal/calls"
)

const (
	// keptCensus is how long a census is kept at least.
	keptCensus = 5 * time.Minute
	// mostKept is how long one is kept at most, and unitsEach the time for which it is kept for each read unit that it cost:
	// all gateways together read at most 20 units a second for it, as long as it costs less than 430,000, those of some 5 million jobs.
	mostKept  = 6 * time.Hour
	unitsEach = 50 * time.Millisecond
	// countingFor is how long others leave it to the process that began a census, and how long after one that failed
	// the next is begun.
	countingFor = 10 * time.Minute
	// unitBytes is what is read for one read unit where it need not be consistent.
	unitBytes = 8 << 10
)

// censusMemory is the last census that this process knows of.
type censusMemory struct {
	turn chan struct{} // capacity 1: held while one is looked for or made

	mu     sync.Mutex // guards what follows
	all    *tally
	failed time.Time // when one failed here that was the latest
}

// tally are jobs by state, of all and of each tenant; under state 0 those that are set apart.
type tally struct {
	all     map[backlog.State]int
	tenants map[string]map[backlog.State]int
	bytes   int
	at      time.Time // when it was begun
	kept    time.Duration
}

func newTally() *tally {
	return &tally{all: map[backlog.State]int{}, tenants: map[string]map[backlog.State]int{}}
}

// count adds jobs of a tenant.
func (t *tally) count(tenant string, s backlog.State, n int) {
	if t.tenants[tenant] == nil {
		t.tenants[tenant] = map[backlog.State]int{}
	}
	t.tenants[tenant][s] += n
}

// of are the counts of a tenant, or of all.
func (t *tally) of(tenant *string) map[backlog.State]int {
	counts := t.all
	if tenant != nil {
		counts = t.tenants[*tenant]
	}
	if counts == nil {
		return map[backlog.State]int{}
	}
	return maps.Clone(counts)
}

// keep says how long a tally is kept: longer the more it cost, and not as long in every process.
func (t *tally) keep(least time.Duration) {
	t.kept = min(max(least, time.Duration(t.bytes/unitBytes)*unitsEach), mostKept)
	t.kept += rand.N(t.kept/5 + 1)
}

// fresh says that a tally need not be made again.
func (t *tally) fresh() bool { return t != nil && time.Since(t.at) < t.kept }

// Census implements backlog.Store. It is a count that is between 5 and 6 minutes old at most, or Config.CensusFor says; where
// it cost more than 6,000 read units, older in proportion, and 6 hours at most. The process that finds it too old reads all jobs, at half
// a read unit for some 6 of them, and leaves the count in the table, from where all others take it for 1. Until the first
// one is there, and for 10 minutes where it could not be made, it is backlog.ErrNotCounted.
func (b *Backlog) Census(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
	t, err := b.latest(ctx)
	if err != nil {
		return nil, fmt.Errorf("dynamo: count jobs: %w", err)
	}
	return t.of(tenant), nil
}

// Counted implements backlog.Sighter.
func (b *Backlog) Counted(tenant *string) (counts map[backlog.State]int, at time.Time, ok bool) {
	t := b.census.get()
	if t == nil || time.Since(t.at) > 2*t.kept+time.Minute {
		return nil, time.Time{}, false
	}
	return t.of(tenant), t.at, true
}

func (m *censusMemory) get() *tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all
}

func (m *censusMemory) set(t *tally) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all, m.failed = t, time.Time{}
}

// fail notes that a census could not be made. One whose caller lost patience says nothing.
func (m *censusMemory) fail(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !errors.Is(ctx.Err(), context.Canceled) {
		m.failed = time.Now()
	}
}

// resting says that the last census failed too short a time ago for another one.
func (m *censusMemory) resting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.failed.IsZero() && time.Since(m.failed) < countingFor
}

// latest is the census that is kept, or a new one. In a process one is made at a time.
func (b *Backlog) latest(ctx context.Context) (*tally, error) {
	if b.cfg.CensusFor < 0 {
		return b.tally(ctx, true)
	}
	if t := b.census.get(); t.fresh() {
		return t, nil
	}
	select {
	case b.census.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-b.census.turn }()
	old := b.census.get()
	if old.fresh() {
		return old, nil
	}
	shared, mine, err := b.sharedCensus(ctx, b.census.resting())
	if err != nil {
		return nil, err
	}
	if shared != nil && (old == nil || shared.at.After(old.at)) {
		b.census.set(shared)
		old = shared
	}
	if old.fresh() || !mine { // or another process counts just now
		return old.orNone()
	}
	return b.newCensus(ctx)
}

// orNone is a tally, where there is one.
func (t *tally) orNone() (*tally, error) {
	if t == nil {
		return nil, backlog.ErrNotCounted
	}
	return t, nil
}

// newCensus counts all jobs, and leaves the count for others.
func (b *Backlog) newCensus(ctx context.Context) (*tally, error) {
	t, err := b.tally(ctx, false)
	if err != nil {
		b.census.fail(ctx)
		if errors.Is(ctx.Err(), context.Canceled) { // the next who asks may count
			err = errors.Join(err, b.endCensus(context.WithoutCancel(ctx)))
		}
		return nil, err
	}
	t.keep(b.cfg.CensusFor)
	b.census.set(t)
	return t, b.shareCensus(ctx, t)
}

// tally counts the jobs of all shards.
func (b *Backlog) tally(ctx context.Context, consistent bool) (*tally, error) {
	began := time.Now()
	parts := make([]*tally, b.shards)
	err := b.everywhere(func(n int, shard string) error {
		t := newTally()
		parts[n] = t
		return b.each(ctx, "queue.census", walk{shard: shard, behind: !consistent}, func(it calls.Item) error {
			t.bytes += calls.SizeOf(it)
			if it[attrVoid] != nil {
				return nil
			}
			switch j, err := b.jobOf(ctx, it); {
			case err == nil:
				t.all[j.State]++
				t.count(j.Tenant, j.State, 1)
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
	sum.at = began
	for _, part := range parts {
		sum.bytes += part.bytes
		for s, n := range part.all {
			sum.all[s] += n
		}
		for tenant, states := range part.tenants {
			for s, n := range states {
				sum.count(tenant, s, n)
			}
		}
	}
	return sum, nil
}
