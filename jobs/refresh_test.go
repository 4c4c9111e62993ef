package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// indexed is a shared store in memory that can be looked at cheaply. Several queues use one.
type indexed struct {
	*storetest.MemoryBacklog
	looks, reads *atomic.Int64 // looks, and jobs that were read after them
	lag          time.Duration // new jobs are not seen for so long
	counts       atomic.Int64  // censuses that were asked for
	census       atomic.Pointer[map[backlog.State]int]
	most         int // jobs of a band that a look sees; zero is all
}

func newIndexed(store *storetest.MemoryBacklog) *indexed {
	store.Share(true)
	return &indexed{MemoryBacklog: store, looks: new(atomic.Int64), reads: new(atomic.Int64)}
}

// Sight implements backlog.Sighter.
func (s *indexed) Sight(ctx context.Context, limit int, leases bool) (backlog.Sights, error) {
	s.looks.Add(1)
	if err := ctx.Err(); err != nil {
		return backlog.Sights{}, err
	}
	if s.most > 0 {
		limit = min(limit, s.most)
	}
	sights, bands := backlog.Sights{Whole: true}, map[llm.Priority]int{}
	for _, rec := range s.Records() {
		j := rec.Job
		queued := j.State == backlog.Queued
		switch {
		case queued && s.lag > 0 && time.Since(j.Enqueued) < s.lag, !queued && !leases, j.State.Final() && j.Hook.Due.IsZero():
			continue
		case queued && bands[j.Band] >= limit:
			if sights.Whole = false; sights.Through[j.Band.Index()] == 0 {
				sights.Through[j.Band.Index()] = j.ID
			}
			continue
		case queued:
			bands[j.Band]++
		}
		sights.Jobs = append(sights.Jobs, backlog.Sighting{ID: j.ID, Attempt: j.Attempt, Queued: queued, Band: j.Band})
	}
	return sights, nil
}

// Jobs implements backlog.Sighter.
func (s *indexed) Jobs(ctx context.Context, ids ...backlog.ID) (all []backlog.Job, err error) {
	s.reads.Add(int64(len(ids)))
	for _, rec := range s.Records() {
		if slices.Contains(ids, rec.Job.ID) {
			all = append(all, rec.Job)
		}
	}
	return all, ctx.Err()
}

// Counted implements backlog.Sighter.
func (s *indexed) Counted(*string) (map[backlog.State]int, time.Time, bool) {
	if n := s.census.Load(); n != nil {
		return *n, time.Now(), true
	}
	return nil, time.Time{}, false
}

// Census counts, and remembers.
func (s *indexed) Census(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
	counts, err := s.MemoryBacklog.Census(ctx, tenant)
	if s.counts.Add(1); err == nil && tenant == nil {
		s.census.Store(&counts)
	}
	return counts, err
}

// beside makes a rig over a shared store.
func beside(t *testing.T, s *indexed, first *rig, change ...func(*jobs.Config)) *rig {
	t.Helper()
	change = append([]func(*jobs.Config){func(c *jobs.Config) { c.Store = s }}, change...)
	if first != nil {
		return rigOver(t, s.MemoryBacklog, first.keys, change...)
	}
	return rigOver(t, s.MemoryBacklog, newKeys(t, storetest.NewMemory()), change...)
}

// TestOthersJobs has a queue run what another one has taken in, and the other see its end.
func TestOthersJobs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIndexed(storetest.NewBacklog())
		s.lag = time.Second
		idle := beside(t, s, nil) // takes in, and runs nothing
		working := beside(t, s, idle)
		working.run()
		j := idle.submit("from afar")
		began := time.Now()
		idle.ends(j.ID, backlog.Completed)
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("the end was seen after %s; want the pauses of looks and waiters", took)
		}
		idle.result(j.ID, "echo from afar")
		if got := working.starts(); len(got) != 1 {
			t.Errorf("it was run %d times", len(got))
		}
	})
}

// TestLooksBackOff counts the looks at a store in which nothing happens, and at one in which something does.
func TestLooksBackOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIndexed(storetest.NewBacklog())
		idle := beside(t, s, nil)
		r := beside(t, s, idle)
		r.run()
		time.Sleep(10 * time.Minute)
		before := s.looks.Load()
		if before < 60 || before > 300 {
			t.Errorf("%d looks in ten idle minutes; want one in 5 s or so", before)
		}
		for n := range 20 {
			idle.submit(fmt.Sprint(n))
			time.Sleep(time.Second)
		}
		if n := s.looks.Load() - before; n < 15 {
			t.Errorf("%d looks in 20 s with a new job in each; want more", n)
		}
		if n := s.reads.Load(); n > 60 {
			t.Errorf("%d jobs were read after looks; want those that were new", n)
		}
	})
}

// TestMostKnown has a backlog that is larger than what is looked at: a queue runs it in pieces, and never knows it all.
func TestMostKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIndexed(storetest.NewBacklog())
		s.most = 10
		idle := beside(t, s, nil)
		for n := range 100 {
			idle.submit(fmt.Sprint(n))
		}
		last := idle.submit("critical", func(s *jobs.Submission) { s.Band = llm.Critical })
		r := beside(t, s, idle, func(c *jobs.Config) { c.Desk.Concurrency = 2 })
		r.does(takes(10 * time.Millisecond))
		stats, err := r.q.Stats(t.Context(), operator)
		if err != nil || stats.Bands["normal"].Queued != 10 || stats.Bands["critical"].Queued != 1 {
			t.Errorf("it knows %+v, %v; want the first 10 of each band", stats.Bands, err)
		}
		r.run()
		time.Sleep(40 * time.Second)
		r.is(last.ID, backlog.Completed)
		if got := len(r.starts()); got != 101 {
			t.Errorf("%d jobs were run; want all", got)
		}
	})
}

// TestClaimedByOthers has two queues on one backlog: what one has claimed the other forgets, so that few claims are lost.
func TestClaimedByOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIndexed(storetest.NewBacklog())
		first := beside(t, s, nil, func(c *jobs.Config) { c.Desk.Timeout = time.Hour })
		for n := range 60 {
			first.submit(fmt.Sprint(n))
		}
		second := beside(t, s, first, func(c *jobs.Config) { c.Desk.Timeout = time.Hour })
		for _, r := range []*rig{first, second} {
			r.does(takes(2 * time.Second))
			r.run()
		}
		time.Sleep(2 * time.Minute)
		if a, b := len(first.starts()), len(second.starts()); a+b != 60 || a < 10 || b < 10 {
			t.Errorf("they ran %d and %d of 60 jobs; want each its share", a, b)
		}
	})
}

// TestCancelledElsewhere has a job cancelled through another queue than the one that runs it: the worker learns it with its
// next sign of life, and the handler ends.
func TestCancelledElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIndexed(storetest.NewBacklog())
		other := beside(t, s, nil)
		r := beside(t, s, other, func(c *jobs.Config) { c.Desk.Timeout = time.Hour })
		var cause atomic.Value
		r.does(func(ctx context.Context, _ *jobs.Task) ([]byte, error) {
			<-ctx.Done()
			cause.Store(context.Cause(ctx))
			return nil, ctx.Err()
		})
		r.run()
		j := r.submit("long")
		time.Sleep(20 * time.Second)
		r.is(j.ID, backlog.Processing)
		if _, err := other.q.Cancel(t.Context(), acme, j.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second) // a lease, which is renewed three times
		r.is(j.ID, backlog.Cancelled)
		if err, _ := cause.Load().(error); err == nil {
			t.Error("the handler goes on although its job was cancelled")
		}
	})
}

// TestBusyStore has a store without capacity: the caller is told to come again, and nothing is kept for the job.
func TestBusyStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *jobs.Config) { c.Desk.Max = 1 })
		for want, err := range map[llm.Kind]error{
			llm.ForebayUnavailable: errors.Join(backlog.ErrBusy, errors.New("throttled")),
			llm.CallerTooLarge:     &llm.Error{Kind: llm.CallerTooLarge, Message: "too large"},
		} {
			r.store.Fail(err, 1, storetest.OpInsert)
			_, _, err := r.q.Submit(t.Context(), submission("x"))
			kindIs(t, err, want)
		}
		r.ends(r.submit("x").ID, backlog.Completed) // there is a place
	})
}

// TestResultTooLarge has a result for which the store has no room: the job is dead at once, and not run again.
func TestResultTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.does(func(context.Context, *jobs.Task) ([]byte, error) {
			r.store.Fail(&llm.Error{Kind: llm.CallerTooLarge, Message: "too large"}, 1, storetest.OpApply)
			return []byte("a large result"), nil
		})
		j := r.ends(r.submit("x").ID, backlog.Dead)
		if len(r.starts()) != 1 || j.Message == "" {
			t.Errorf("it was run %d times, and ended with %q; want once", len(r.starts()), j.Message)
		}
	})
}

// TestSample has gauges sampled all the time over a shared store: they read nothing, know at once what is queued and
// processing, and of the rest what was counted in the background.
func TestSample(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIndexed(storetest.NewBacklog())
		r := beside(t, s, nil, func(c *jobs.Config) { c.Desk.Concurrency = 2 })
		r.does(takes(11 * time.Minute))
		r.run()
		for n := range 5 {
			r.submit(fmt.Sprint(n), func(s *jobs.Submission) { s.Timeout = 2 * time.Hour })
		}
		if _, err := r.q.Sample(t.Context()); err != nil || s.counts.Load() != 0 {
			t.Errorf("a gauge had the jobs counted, %v", err)
		}
		for range 60 {
			time.Sleep(10 * time.Second)
			got, err := r.q.Sample(t.Context())
			if err != nil || got.Queued != 3 || got.Processing != 2 || got.Bands["normal"].Queued != 3 || got.Bands["normal"].OldestSeconds <= 0 {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		if n := s.counts.Load(); n < 5 || n > 20 {
			t.Errorf("the store was asked for %d censuses in ten minutes; want one a minute, by nobody who waits", n)
		}
		time.Sleep(30 * time.Minute)
		got, err := r.q.Sample(t.Context())
		if err != nil || got.Completed != 5 || got.CountedAt.IsZero() {
			t.Errorf("%+v, %v; want 5 completed", got, err)
		}
		before := s.counts.Load()
		if _, err := r.q.Stats(t.Context(), acme); err != nil || s.counts.Load() != before {
			t.Errorf("a tenant's question was answered by a census of its own, %v", err)
		}
	})
}

// uncounted is a shared store of which nobody has made a census yet.
type uncounted struct{ *indexed }

// Census implements backlog.Store.
func (uncounted) Census(context.Context, *string) (map[backlog.State]int, error) {
	return nil, fmt.Errorf("elsewhere: %w", backlog.ErrNotCounted)
}

// TestNotCountedYet asks for counts while another process makes the first census: an operator is told what is known here, and a
// tenant to come again. Nobody is warned.
func TestNotCountedYet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newIndexed(storetest.NewBacklog())
		r := beside(t, s, nil, func(c *jobs.Config) { c.Store, c.Desk.Concurrency = uncounted{s}, 1 })
		r.does(takes(time.Hour))
		r.run()
		for n := range 3 {
			r.submit(fmt.Sprint(n), func(s *jobs.Submission) { s.Timeout = 2 * time.Hour })
		}
		time.Sleep(5 * time.Minute)
		if got, err := r.q.Stats(t.Context(), operator); err != nil || got.Queued != 2 || got.Processing != 1 || !got.CountedAt.IsZero() {
			t.Errorf("%+v, %v; want what the process knows", got, err)
		}
		_, err := r.q.Stats(t.Context(), acme)
		if kindIs(t, err, llm.ForebayUnavailable); !errors.Is(err, backlog.ErrNotCounted) {
			t.Error(err)
		}
		if log := r.log.String(); log != "" {
			t.Error(log)
		}
	})
}
