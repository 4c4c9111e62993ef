package queue_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// job is the entry of a claimed job.
func job(p llm.Priority, tenant string, deadline time.Duration) queue.Entry {
	return queue.Entry{Priority: p, Tenant: tenant, Deadline: in(deadline), Bytes: 1 << 20, Durable: true}
}

// TestDurableHasItsPlace: by band, tenant and arrival, like everybody.
func TestDurableHasItsPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.take()
		ctx := context.Background()
		r.enter(ctx, "low", queue.Entry{Priority: llm.Low}, time.Second)
		r.enter(ctx, "a1", queue.Entry{Tenant: "a"}, time.Second)
		r.enter(ctx, "a-job", job(llm.Normal, "a", time.Hour), time.Second)
		r.enter(ctx, "a2", queue.Entry{Tenant: "a"}, time.Second)
		r.enter(ctx, "b-job", job(llm.Normal, "b", time.Hour), time.Second)
		r.enter(ctx, "critical-job", job(llm.Critical, "c", time.Hour), time.Second)
		s := r.Stats()
		if s.Waiting != 6 || s.Durable != 3 || s.Bytes != 0 || s.ByPriority != [4]int{1, 4, 0, 1} {
			t.Errorf("stats %+v", s)
		}
		r.Leave(0)
		r.check()
		if got := strings.Join(r.order, " "); got != "critical-job a1 b-job a-job a2 low" {
			t.Errorf("order %s", got)
		}
	})
}

// TestDurableIsNotBounded: neither by the places and bytes of the line, nor by
// MaxAge, nor by an estimate, nor where waiting is switched off; and it takes
// nobody's place.
func TestDurableIsNotBounded(t *testing.T) {
	for _, off := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, queue.Config{Off: off, Max: 2, MaxBytes: 100, MaxAge: 5 * time.Second}, 1)
			r.warm(30 * time.Second)
			r.take()
			ctx := context.Background()
			jobs := make([]*result, 5)
			for i := range jobs {
				jobs[i] = r.enter(ctx, fmt.Sprint("job", i), job(llm.Low, "a", 40*time.Second), 0) // the last: 150 s by the estimate
			}
			if !off {
				want(t, r.refused(queue.Entry{Priority: llm.Critical}), llm.PolicyOverloaded, "queue.max_age", "5s")
			}
			time.Sleep(9 * time.Second)
			if s := r.Stats(); s.Durable != 5 || s.Waiting != 5 || s.Displaced != 0 || s.Pressure != queue.PressureNone {
				t.Errorf("stats %+v", s)
			}
			r.Leave(0)
			r.check()
			for i, j := range jobs {
				if j.err != nil || r.order[i] != fmt.Sprint("job", i) {
					t.Errorf("job %d: %v, order %v", i, j.err, r.order)
				}
			}
		})
	}
}

// TestDurableGivesWayToNobody: synchronous requests fill the line, the jobs stay.
func TestDurableGivesWayToNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{Max: 2, Warn: 1, Critical: 2}, 1)
		r.take()
		ctx := context.Background()
		low := r.enter(ctx, "low", job(llm.Low, "a", time.Hour), 0)
		r.enter(ctx, "job", job(llm.Normal, "a", time.Hour), 0)
		if p := r.Stats().Pressure; p != queue.PressureNone {
			t.Errorf("pressure %s of jobs alone", p)
		}
		first := r.enter(ctx, "first", queue.Entry{}, 0)
		for range 2 {
			r.enter(ctx, "critical", queue.Entry{Priority: llm.Critical}, 0)
		}
		want(t, llm.AsError(first.err), llm.PolicyOverloaded, "queue.max", "2") // in spite of the jobs in lower bands
		want(t, r.refused(queue.Entry{Priority: llm.Critical}), llm.PolicyOverloaded, "queue.max", "2")
		r.Leave(0)
		if s := r.check(); s.Displaced != 1 || low.err != nil || len(r.order) != 4 {
			t.Errorf("stats %+v, order %v", s, r.order)
		}
	})
}

// TestDurableEnds: at its deadline, when it is too late for a call, and with its context.
func TestDurableEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.warm(4 * time.Second)
		r.take()
		ctx, cancel := context.WithCancel(context.Background())
		expired := r.enter(ctx, "", job(llm.Normal, "a", 7*time.Second), 0)
		late := r.enter(ctx, "", job(llm.Normal, "a", 9*time.Second), 0)
		inTime := r.enter(ctx, "in time", job(llm.Normal, "a", 12*time.Second), 0)
		time.Sleep(8 * time.Second)
		r.Leave(0)
		synctest.Wait()
		want(t, llm.AsError(expired.err), llm.CallerDeadline, "deadline", "7s")
		want(t, llm.AsError(late.err), llm.PolicyOverloaded, "deadline", "9s")
		if inTime.err != nil {
			t.Error(inTime.err)
		}
		r.take()
		want(t, r.refused(job(llm.Normal, "a", 0)), llm.CallerDeadline, "deadline", "0s")
		endless := r.enter(ctx, "", queue.Entry{Durable: true}, 0)
		time.Sleep(48 * time.Hour)
		if s := r.Stats(); s.Durable != 1 || s.OldestWait[llm.Normal.Index()] != 48*time.Hour {
			t.Errorf("stats %+v", s)
		}
		cancel()
		r.Leave(0)
		if s := r.check(); s.Entered != 8 || s.Expired != 3 || s.Cancelled != 1 {
			t.Errorf("stats %+v, %v", s, endless.err)
		}
	})
}

func TestDurableWhileDraining(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.take()
		waiting := r.enter(context.Background(), "", job(llm.Normal, "a", time.Hour), 0)
		r.Drain()
		want(t, r.refused(job(llm.Normal, "a", time.Hour)), llm.ForebayDraining, "", "")
		r.Leave(0)
		if r.check(); waiting.err != nil {
			t.Error(waiting.err)
		}
	})
}

// TestDurableStaysInOrder: in a band whose newest go first, jobs are not dropped, and
// one has its slot when as many of its tenant have left as came before it.
func TestDurableStaysInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, controlledConfig(), 1)
		r.take()
		ctx := context.Background()
		r.enter(ctx, "job0", job(llm.Normal, "", time.Hour), 100*time.Millisecond)
		for i := range 10 {
			if i == 4 {
				r.enter(ctx, "job1", job(llm.Normal, "", time.Hour), 100*time.Millisecond)
				r.enter(ctx, "job2", job(llm.Normal, "", time.Hour), 100*time.Millisecond)
			}
			r.enter(ctx, fmt.Sprint(i), queue.Entry{}, 100*time.Millisecond)
			time.Sleep(500 * time.Millisecond)
		}
		want(t, r.refused(queue.Entry{}), llm.PolicyOverloaded, "queue.target", "1s")
		s := r.Stats()
		if !s.NewestFirst[llm.Normal.Index()] || s.Dropped != 2 || s.Refused != 1 || s.Durable != 3 {
			t.Fatalf("stats %+v", s)
		}
		r.Leave(0)
		r.check()
		// 0 and 1 were dropped; 9 and 8 take the places of 2 and 3.
		if got := strings.Join(r.order[:6], " "); got != "job0 9 8 job1 job2 7" {
			t.Errorf("order %v", r.order)
		}
	})
}

// TestMixedLoad: jobs in the backlog of a tenant whose people flood the line get
// their share and keep their order, and people are answered.
func TestMixedLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, queue.Config{}, 10)
		const d = 240 * time.Second
		w.skip = 150 * time.Second
		people, jobs := load{rate: 3 * capacity, deadline: 15 * time.Second}, load{rate: capacity / 4, deadline: time.Hour, durable: true}
		fates := w.run(d, people, jobs)
		s := w.line.Stats()
		good := float64(count(slices.Concat(fates...), answered)) / (d - w.skip).Seconds() / capacity
		t.Logf("goodput %.1f %%, people wait p50 %s, jobs wait p50 %s, p99 %s", 100*good,
			quantile(fates[0], 0.5), quantile(fates[1], 0.5), quantile(fates[1], 0.99))
		if good < 0.95 || quantile(fates[0], 0.5) > time.Second || s.Dropped == 0 {
			t.Errorf("goodput %.2f, people wait %s: %+v", good, quantile(fates[0], 0.5), s)
		}
		if share(fates[1], answered) < 1 || quantile(fates[1], 0.99) > 15*time.Second {
			t.Errorf("%.1f %% of the jobs got a slot, after up to %s", 100*share(fates[1], answered), quantile(fates[1], 0.99))
		}
	})
}
