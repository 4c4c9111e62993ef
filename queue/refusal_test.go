package queue_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// TestHopeless: time decides, not the number of those who wait.
func TestHopeless(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{MaxAge: 10 * time.Minute}, 2)
		r.take()
		r.take()
		r.enter(context.Background(), "", queue.Entry{Deadline: in(time.Hour)}, 10*time.Second) // nothing known: nobody is refused
		time.Sleep(10 * time.Second)
		r.Leave(10 * time.Second)
		r.enter(context.Background(), "", queue.Entry{}, 10*time.Second)
		// Calls take 10 s and two run: the second in line waits 10 s and needs 10 s more.
		e := r.refused(queue.Entry{Deadline: in(20*time.Second - 1)})
		want(t, e, llm.PolicyOverloaded, "deadline", "20s")
		if e.RetryAfter != 10*time.Second {
			t.Errorf("retry after %s, want 10s", e.RetryAfter)
		}
		ok := r.enter(context.Background(), "", queue.Entry{Deadline: in(20 * time.Second)}, time.Second)
		critical := r.enter(context.Background(), "", queue.Entry{Priority: llm.Critical, Deadline: in(16 * time.Second)}, time.Second)
		if s := r.Stats(); s.EstimatedWait != 15*time.Second || s.HoldMean != 10*time.Second {
			t.Errorf("estimates %s of %s", s.EstimatedWait, s.HoldMean)
		}
		r.Leave(0)
		if s := r.check(); s.Refused != 1 || ok.err != nil || critical.err != nil {
			t.Errorf("stats %+v, %v, %v", s, ok.err, critical.err)
		}
	})
}

func TestHopelessByAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{MaxAge: 15 * time.Second}, 1)
		r.warm(10 * time.Second)
		r.take()
		r.enter(context.Background(), "", queue.Entry{}, time.Second)
		e := r.refused(queue.Entry{})
		want(t, e, llm.PolicyOverloaded, "queue.max_age", "15s")
		if e.RetryAfter != 20*time.Second {
			t.Errorf("retry after %s, want 20s", e.RetryAfter)
		}
		r.Leave(0)
		r.check()
	})
}

// TestLate: who is next but has less time left than half of the calls take gets no slot.
func TestLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.warm(2 * time.Second)
		r.take()
		late := r.enter(context.Background(), "late", queue.Entry{Deadline: in(5 * time.Second)}, 0)
		next := r.enter(context.Background(), "next", queue.Entry{}, 0)
		time.Sleep(3*time.Second + 1) // the first call takes longer than the estimate
		r.Leave(0)
		r.check()
		want(t, llm.AsError(late.err), llm.PolicyOverloaded, "deadline", "5s")
		if next.err != nil || late.wait != 3*time.Second+1 {
			t.Errorf("late after %s, next: %v", late.wait, next.err)
		}
	})
}

func TestFullAndDisplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{Max: 2, Warn: 1, Critical: 2}, 1)
		r.take()
		ctx := context.Background()
		entry := func(p llm.Priority, tenant string) queue.Entry { return queue.Entry{Priority: p, Tenant: tenant} }
		low1 := r.enter(ctx, "low1", entry(llm.Low, "a"), 0)
		if p := r.Stats().Pressure; p != queue.PressureWarn {
			t.Errorf("pressure %s", p)
		}
		low2 := r.enter(ctx, "low2", entry(llm.Low, "a"), 0)
		if p := r.Stats().Pressure; p != queue.PressureCritical {
			t.Errorf("pressure %s", p)
		}
		e := r.refused(entry(llm.Low, "a"))
		want(t, e, llm.PolicyOverloaded, "queue.max", "2")
		if e.RetryAfter != time.Second {
			t.Errorf("retry after %s without an estimate", e.RetryAfter)
		}
		normal := r.enter(ctx, "normal", entry(llm.Normal, "a"), 0) // displaces low2, the newest
		want(t, llm.AsError(low2.err), llm.PolicyOverloaded, "queue.max", "2")
		high := r.enter(ctx, "high", entry(llm.High, "a"), 0) // displaces low1
		want(t, llm.AsError(low1.err), llm.PolicyOverloaded, "queue.max", "2")
		want(t, r.refused(entry(llm.Normal, "b")), llm.PolicyOverloaded, "queue.max", "2") // as many as a
		critical := r.enter(ctx, "critical", entry(llm.Critical, "a"), 0)                  // displaces normal
		want(t, llm.AsError(normal.err), llm.PolicyOverloaded, "queue.max", "2")
		r.Leave(0)
		if s := r.check(); s.Displaced != 3 || s.Refused != 2 || high.err != nil || critical.err != nil {
			t.Errorf("stats %+v", s)
		}
		if p := r.Stats().Pressure; p != queue.PressureNone {
			t.Errorf("pressure %s", p)
		}
	})
}

func TestFairShareOfTheLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{Max: 4}, 1)
		r.take()
		for range 4 {
			r.enter(context.Background(), "noisy", queue.Entry{Tenant: "noisy"}, 0)
		}
		for range 2 {
			r.enter(context.Background(), "quiet", queue.Entry{Tenant: "quiet"}, 0)
		}
		want(t, r.refused(queue.Entry{Tenant: "quiet"}), llm.PolicyOverloaded, "queue.max", "4")
		want(t, r.refused(queue.Entry{Tenant: "noisy"}), llm.PolicyOverloaded, "queue.max", "4")
		r.Leave(0)
		if s := r.check(); s.Displaced != 2 || slices.Index(r.order, "quiet") > 1 {
			t.Errorf("stats %+v, order %v", s, r.order)
		}
	})
}

func TestBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{MaxBytes: 100}, 1)
		r.take()
		low := r.enter(context.Background(), "low", queue.Entry{Priority: llm.Low, Bytes: 50}, 0)
		normal := r.enter(context.Background(), "normal", queue.Entry{Bytes: 50}, 0)
		want(t, r.refused(queue.Entry{Bytes: 51}), llm.PolicyOverloaded, "queue.max_bytes", "100") // low's 50 would not do
		if low.err != nil {
			t.Error("displaced for nothing")
		}
		high := r.enter(context.Background(), "high", queue.Entry{Priority: llm.High, Bytes: 50}, 0)
		want(t, llm.AsError(low.err), llm.PolicyOverloaded, "queue.max", "500")
		want(t, r.refused(queue.Entry{Priority: llm.Critical, Bytes: 101}), llm.PolicyOverloaded, "queue.max_bytes", "100")
		if s := r.Stats(); s.Bytes != 100 {
			t.Errorf("%d bytes wait", s.Bytes)
		}
		r.Leave(0)
		synctest.Wait()
		r.enter(context.Background(), "big", queue.Entry{Bytes: 1000}, 0) // does not have to wait
		r.check()
		if normal.err != nil || high.err != nil || len(r.order) != 3 {
			t.Errorf("%v, %v, order %v", normal.err, high.err, r.order)
		}
	})
}
