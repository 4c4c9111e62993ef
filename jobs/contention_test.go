package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/store/storetest"
)

// contended counts the claims that were made and those that were lost to another process.
type contended struct {
	*indexed
	made, lost *atomic.Int64
}

func (s contended) Apply(ctx context.Context, c *backlog.Change) error {
	time.Sleep(5*time.Millisecond + rand.N(10*time.Millisecond)) // what a write takes
	err := s.indexed.Apply(ctx, c)
	if c.From == backlog.Queued && c.To.State == backlog.Processing {
		switch {
		case err == nil:
			s.made.Add(1)
		case errors.Is(err, backlog.ErrConflict):
			s.lost.Add(1)
		}
	}
	return err
}

// gateways are several queues on one store, one of which may be told to do something else.
func gateways(t *testing.T, n int, s contended, script step) []*rig {
	t.Helper()
	var all []*rig
	for range n {
		var first *rig
		if len(all) > 0 {
			first = all[0]
		}
		r := beside(t, s.indexed, first, func(c *jobs.Config) {
			c.Store, c.Desk.Concurrency, c.Desk.Max, c.Desk.MaxTimeout = s, 10, 100_000, 24*time.Hour
		})
		r.does(script)
		all = append(all, r)
	}
	return all
}

// TestContention has gateways work off a backlog and what comes in meanwhile. Few of their claims are lost to one another,
// nobody is idle for that, and jobs are begun in the order in which they came, but for a few seconds.
func TestContention(t *testing.T) {
	part := 5 // the store in memory takes its time
	if os.Getenv("FOREBAY_LONG") != "" {
		part = 1
	}
	for _, test := range []struct {
		gateways, jobs int
		lost           float64 // a job at most
	}{{1, 500, 0}, {2, 1500 / part, 0.25}, {4, 2000 / part, 0.3}, {16, 4000 / part, 0.5}} { // without rendezvous 0.8 to 14
		t.Run(fmt.Sprint(test.gateways), func(t *testing.T) {
			bubble(t, func(t *testing.T) { contention(t, test.gateways, test.jobs, test.lost) })
		})
	}
}

func contention(t *testing.T, n, count int, most float64) {
	const mean = time.Second
	s := contended{newIndexed(storetest.NewBacklog()), new(atomic.Int64), new(atomic.Int64)}
	s.lag, s.most = 50*time.Millisecond, 1000
	all := gateways(t, n, s, func(ctx context.Context, k *jobs.Task) ([]byte, error) {
		return takes(mean/5+rand.N(2*mean*4/5))(ctx, k)
	})
	for i := range count / 2 { // the backlog
		all[i%n].submit(fmt.Sprint(i), func(s *jobs.Submission) { s.Timeout = 24 * time.Hour })
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Second)
	began := time.Now()
	for _, r := range all {
		r.run()
	}
	for i := range count - count/2 { // as many come as are done
		all[i%n].submit(fmt.Sprint(count/2+i), func(s *jobs.Submission) { s.Timeout = 24 * time.Hour })
		time.Sleep(mean / time.Duration(10*n))
	}
	for { // to the end
		counts, _ := s.MemoryBacklog.Census(t.Context(), nil)
		if counts[backlog.Completed] == count {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	took := time.Since(began)
	ideal := time.Duration(count) * mean / time.Duration(10*n)
	var late time.Duration
	var first time.Time
	starts := begun(s)
	for i := len(starts) - 1; i >= 0; i-- { // by age, from the youngest: how long after a younger one each began
		if first.IsZero() || starts[i].Before(first) {
			first = starts[i]
		}
		late = max(late, starts[i].Sub(first))
	}
	lost := float64(s.lost.Load()) / float64(count)
	t.Logf("%d gateways: %.3f lost claims a job, %v for work of %v, and the youngest job overtook others by %v", n, lost, took, ideal, late)
	if lost > most || s.made.Load() != int64(count) {
		t.Errorf("%.3f claims a job were lost; want %.2f at most. %d were made for %d jobs", lost, most, s.made.Load(), count)
	}
	if took > ideal*5/4+10*time.Second {
		t.Errorf("it took %v; want some %v", took, ideal)
	}
	if late > 6*time.Second {
		t.Errorf("a job was begun %v after a younger one; want 3 s, a look and a job", late)
	}
}

// begun is when jobs were begun, by their age.
func begun(s contended) (all []time.Time) {
	for _, rec := range s.Records() {
		all = append(all, rec.Job.Started)
	}
	return all
}

// TestLeftToOthers has a gateway whose slots are all taken for long: what would be its share waits no longer than some seconds
// for the other one, which takes it in order.
func TestLeftToOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := contended{newIndexed(storetest.NewBacklog()), new(atomic.Int64), new(atomic.Int64)}
		all := gateways(t, 2, s, takes(time.Hour))
		long := func(s *jobs.Submission) { s.Timeout = 24 * time.Hour }
		all[0].run()
		for range 10 { // its slots
			all[0].submit("long", long)
		}
		time.Sleep(time.Second)
		all[1].does(takes(100 * time.Millisecond))
		all[1].run()
		time.Sleep(time.Minute)
		began := time.Now()
		for range 40 {
			all[0].submit("short", long)
		}
		time.Sleep(15 * time.Second)
		counts, _ := s.MemoryBacklog.Census(t.Context(), nil)
		var last time.Duration
		for _, rec := range s.Records() {
			last = max(last, rec.Job.Started.Sub(began))
		}
		t.Logf("40 jobs were begun within %v", last)
		if counts[backlog.Completed] != 40 || counts[backlog.Processing] != 10 || s.lost.Load() > 10 {
			t.Errorf("%v, %d claims were lost", counts, s.lost.Load())
		}
	})
}
