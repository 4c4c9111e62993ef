package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// slots is the plainest limiter.
type slots struct{ max, taken atomic.Int64 }

func newSlots(n int64) *slots {
	s := new(slots)
	s.max.Store(n)
	return s
}

func (s *slots) TryAcquire() bool {
	for {
		n := s.taken.Load()
		if n >= s.max.Load() {
			return false
		}
		if s.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *slots) Release() {
	if s.taken.Add(-1) < 0 {
		panic("released more slots than were taken")
	}
}

// rig is a line in a synctest bubble, with helpers that fail the test.
type rig struct {
	*queue.Line
	t     *testing.T
	slots *slots
	wg    sync.WaitGroup
	mu    sync.Mutex // guards order
	order []string   // names of requests in the order in which they got a slot
}

func newRig(t *testing.T, cfg queue.Config, n int64) *rig {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s := newSlots(n)
	return &rig{Line: queue.NewLine(cfg, s), t: t, slots: s}
}

// result is what became of a request that entered in the background.
type result struct {
	wait time.Duration
	err  error
	done chan struct{}
}

// enter enters in the background, holds the slot for so long, and leaves. It
// returns when the request has its slot, waits or was refused.
func (r *rig) enter(ctx context.Context, name string, e queue.Entry, hold time.Duration) *result {
	res := &result{done: make(chan struct{})}
	r.wg.Go(func() {
		defer close(res.done)
		res.wait, res.err = r.Enter(ctx, e)
		if res.err != nil {
			return
		}
		r.mu.Lock()
		r.order = append(r.order, name)
		r.mu.Unlock()
		time.Sleep(hold)
		r.Leave(hold)
	})
	synctest.Wait()
	return res
}

// take gets a slot at once.
func (r *rig) take() {
	r.t.Helper()
	if wait, err := r.Enter(context.Background(), queue.Entry{}); err != nil || wait != 0 {
		r.t.Fatalf("no slot at once: %s, %v", wait, err)
	}
}

// warm gives the line a hold time to estimate from.
func (r *rig) warm(hold time.Duration) {
	r.take()
	time.Sleep(hold)
	r.Leave(hold)
}

// refused enters and wants an error at once.
func (r *rig) refused(e queue.Entry) *llm.Error {
	r.t.Helper()
	before := time.Now()
	wait, err := r.Enter(context.Background(), e)
	if err == nil || time.Since(before) != 0 || wait != 0 {
		r.t.Fatalf("entered after %s: %v", wait, err)
	}
	return llm.AsError(err)
}

// check wants everything back and the counts to agree.
func (r *rig) check() queue.Stats {
	r.t.Helper()
	r.wg.Wait()
	s := r.Stats()
	if s.Running != 0 || s.Waiting != 0 || s.Bytes != 0 || r.slots.taken.Load() != 0 || s.Unmatched != 0 {
		r.t.Errorf("at the end: %+v, %d slots taken", s, r.slots.taken.Load())
	}
	if s.Started != s.Left {
		r.t.Errorf("%d started, %d left", s.Started, s.Left)
	}
	return s
}

func want(t *testing.T, e *llm.Error, kind llm.Kind, limit, value string) {
	t.Helper()
	if e.Kind != kind || e.Limit != limit || e.Value != value || e.Message == "" ||
		e.Kind.Domain() != llm.CallerFault && (e.Fix == "" || e.RetryAfter < time.Second || e.RetryAfter > time.Minute) {
		t.Errorf("got %v (limit %q = %q, retry after %s), want %s with limit %q = %q", e, e.Limit, e.Value, e.RetryAfter, kind, limit, value)
	}
}

// bubble runs a test under virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func in(d time.Duration) time.Time { return time.Now().Add(d) }

func TestOrderOfWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.take()
		ctx := context.Background()
		for i, p := range []llm.Priority{llm.Low, llm.Normal, llm.High, llm.Critical} {
			for j := range 2 {
				r.enter(ctx, fmt.Sprintf("%s%d", p, j), queue.Entry{Priority: p}, time.Second)
				time.Sleep(time.Duration(i+1) * time.Millisecond)
			}
		}
		s := r.Stats()
		if s.Waiting != 8 || s.ByPriority != [4]int{2, 2, 2, 2} || s.Waited != 8 {
			t.Errorf("stats %+v", s)
		}
		if s.OldestWait[3] != 8*time.Millisecond || s.OldestWait[0] != 20*time.Millisecond {
			t.Errorf("oldest %v", s.OldestWait)
		}
		r.Leave(time.Second)
		r.check()
		if got, want := strings.Join(r.order, " "), "critical0 critical1 high0 high1 normal0 normal1 low0 low1"; got != want {
			t.Errorf("order %s, want %s", got, want)
		}
	})
}

// TestNobodyPasses: a newcomer does not take the slot of one who waits.
func TestNobodyPasses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.take()
		first := r.enter(context.Background(), "first", queue.Entry{}, time.Second)
		r.Leave(0)
		second := r.enter(context.Background(), "second", queue.Entry{}, time.Second)
		r.check()
		if first.wait != 0 || second.wait != time.Second || r.order[0] != "first" {
			t.Errorf("order %v, waits %s and %s", r.order, first.wait, second.wait)
		}
	})
}

func TestTimeIsUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{MaxAge: 10 * time.Second}, 1)
		r.take()
		short := r.enter(context.Background(), "", queue.Entry{Deadline: in(3 * time.Second)}, 0)
		aged := r.enter(context.Background(), "", queue.Entry{Deadline: in(time.Hour)}, 0)
		endless := r.enter(context.Background(), "", queue.Entry{}, 0)
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		ended := r.enter(ctx, "", queue.Entry{}, 0)
		left, leave := context.WithCancelCause(context.Background())
		gone := r.enter(left, "", queue.Entry{}, 0)
		reason := errors.New("connection closed")
		time.AfterFunc(5*time.Second, func() { leave(reason) })
		r.wg.Wait()
		for _, c := range []struct {
			res          *result
			wait         time.Duration
			kind         llm.Kind
			limit, value string
		}{
			{short, 3 * time.Second, llm.CallerDeadline, "deadline", "3s"},
			{ended, 4 * time.Second, llm.CallerDeadline, "", ""},
			{gone, 5 * time.Second, llm.CallerCancelled, "", ""},
			{aged, 10 * time.Second, llm.PolicyOverloaded, "queue.max_age", "10s"},
			{endless, 10 * time.Second, llm.PolicyOverloaded, "queue.max_age", "10s"},
		} {
			if c.res.wait != c.wait {
				t.Errorf("%s: waited %s, want %s", c.kind, c.res.wait, c.wait)
			}
			want(t, llm.AsError(c.res.err), c.kind, c.limit, c.value)
		}
		if !errors.Is(gone.err, reason) {
			t.Errorf("%v does not tell the cause", gone.err)
		}
		want(t, r.refused(queue.Entry{Deadline: time.Now()}), llm.CallerDeadline, "deadline", "0s")
		if _, err := r.Enter(left, queue.Entry{}); llm.KindOf(err) != llm.CallerCancelled {
			t.Errorf("a caller that is gone already: %v", err)
		}
		r.Leave(0)
		if s := r.check(); s.Expired != 4 || s.Cancelled != 3 || s.Entered != 8 || s.Started != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestDeadlineBeforeSlot: at the same instant a deadline passes and a slot comes
// free; the slot goes to the next.
func TestDeadlineBeforeSlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.take()
		late := r.enter(context.Background(), "late", queue.Entry{Deadline: in(time.Second)}, 0)
		next := r.enter(context.Background(), "next", queue.Entry{}, 0)
		time.Sleep(time.Second)
		r.Leave(0)
		r.check()
		if llm.KindOf(late.err) != llm.CallerDeadline || next.err != nil {
			t.Errorf("late: %v, next: %v", late.err, next.err)
		}
	})
}

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

func TestOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{Off: true, QueueAt: 1}, 2)
		r.warm(10 * time.Second)
		r.take()
		r.take()
		e := r.refused(queue.Entry{Priority: llm.Critical})
		want(t, e, llm.PolicyOverloaded, "queue.off", "true")
		if e.RetryAfter != 5*time.Second {
			t.Errorf("retry after %s, want 5s", e.RetryAfter)
		}
		r.Leave(0)
		r.take()
		r.Leave(0)
		r.Leave(0)
		r.check()
	})
}

// TestQueueAt: the slots above queue_at are for critical requests.
func TestQueueAt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{QueueAt: 2}, 3)
		ctx := context.Background()
		r.take()
		r.take()
		high := r.enter(ctx, "high", queue.Entry{Priority: llm.High}, time.Second)
		first := r.enter(ctx, "critical1", queue.Entry{Priority: llm.Critical}, time.Second) // although high waits
		second := r.enter(ctx, "critical2", queue.Entry{Priority: llm.Critical}, time.Second)
		if s := r.Stats(); s.Running != 3 || s.Waiting != 2 {
			t.Errorf("stats %+v", s)
		}
		r.Leave(0) // critical2
		synctest.Wait()
		r.Leave(0) // two critical ones run, as many as requests of other bands may
		synctest.Wait()
		if s := r.Stats(); s.Running != 2 || s.Waiting != 1 {
			t.Errorf("stats %+v", s)
		}
		r.check()
		if high.wait != time.Second || first.wait != 0 || second.wait != 0 {
			t.Errorf("waits: high %s, critical %s and %s", high.wait, first.wait, second.wait)
		}
	})
}

// hooked calls a function once in the middle of a Release.
type hooked struct {
	*slots
	before func()
}

func (h *hooked) Release() {
	if f := h.before; f != nil {
		h.before = nil
		f()
	}
	h.slots.Release()
}

// TestSlotHeldInPassing: a request takes a slot, sees that queue_at forbids it and
// gives it back, while a critical one looks for that slot in vain. The critical
// one gets it, even if the first is refused.
func TestSlotHeldInPassing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := &hooked{slots: newSlots(2)}
		r := &rig{Line: queue.NewLine(queue.Config{QueueAt: 1}, h), t: t, slots: h.slots}
		r.take()
		var critical *result
		h.before = func() {
			critical = r.enter(context.Background(), "critical", queue.Entry{Priority: llm.Critical}, time.Second)
		}
		want(t, r.refused(queue.Entry{Deadline: time.Now()}), llm.CallerDeadline, "deadline", "0s")
		synctest.Wait()
		if s := r.Stats(); s.Running != 2 || s.Waiting != 0 {
			t.Errorf("stats %+v", s)
		}
		r.Leave(0)
		if r.check(); critical.err != nil || critical.wait != 0 {
			t.Errorf("critical waited %s: %v", critical.wait, critical.err)
		}
	})
}

func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.take()
		waiting := r.enter(context.Background(), "waiting", queue.Entry{}, 0)
		r.Drain()
		r.Drain()
		want(t, r.refused(queue.Entry{}), llm.ForebayDraining, "", "")
		if s := r.Stats(); !s.Draining || s.Waiting != 1 {
			t.Errorf("stats %+v", s)
		}
		r.Leave(0)
		if r.check(); waiting.err != nil {
			t.Error(waiting.err)
		}
		want(t, r.refused(queue.Entry{}), llm.ForebayDraining, "", "") // although a slot is free
	})
}

func TestWake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.take()
		for range 3 {
			r.enter(context.Background(), "", queue.Entry{}, time.Second)
		}
		r.slots.max.Store(3)
		r.Wake()
		if s := r.Stats(); s.Running != 3 || s.Waiting != 1 {
			t.Errorf("after more room: %+v", s)
		}
		r.slots.max.Store(1) // fewer than are taken: the next one waits for two to leave
		time.Sleep(time.Second)
		synctest.Wait()
		if s := r.Stats(); s.Running != 1 || s.Waiting != 1 {
			t.Errorf("after less room: %+v", s)
		}
		r.Leave(0)
		r.check()
	})
}

func TestUnmatchedLeave(t *testing.T) {
	r := newRig(t, queue.Config{}, 1) // its slots panic on a Release too many
	r.Leave(time.Second)
	if s := r.Stats(); s.Unmatched != 1 || s.Running != 0 {
		t.Errorf("stats %+v", s)
	}
	r.take()
	r.Leave(time.Second)
}

// TestGivenUpSlot: a caller leaves at the moment in which it gets the slot; the
// slot goes to the next, whichever of the two the waiting request notices first.
func TestGivenUpSlot(t *testing.T) {
	for range 100 {
		bubble(t, func(t *testing.T) {
			r := newRig(t, queue.Config{}, 1)
			r.take()
			ctx, cancel := context.WithCancel(context.Background())
			first := r.enter(ctx, "first", queue.Entry{}, 0)
			next := r.enter(context.Background(), "next", queue.Entry{}, 0)
			cancel()
			r.Leave(0)
			s := r.check()
			if next.err != nil || (first.err != nil) != (s.Cancelled == 1) {
				t.Errorf("first: %v, next: %v, stats %+v", first.err, next.err, s)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, ok := range []queue.Config{
		{},
		{Off: true},
		{Max: 5},
		{Max: 30, Warn: 20},
		{Warn: 200},
		{MaxBytes: -1, CriticalReserve: -1, Floor: -1},
		{CriticalReserve: 0.7, Floor: 0.1},
		{Offsets: queue.Offsets{High: -1, Normal: -1, Low: -1}},
	} {
		if err := ok.Validate(); err != nil {
			t.Errorf("%+v: %v", ok, err)
		}
	}
	for _, c := range []struct {
		cfg    queue.Config
		faults []string
	}{
		{queue.Config{Max: -1, MaxBytes: -2, QueueAt: -1, Warn: -1, Critical: -1, MaxAge: -1, CriticalReserve: 2, Floor: 0.5}, []string{
			"queue.max: -1 ", "queue.max_bytes: -2 ", "queue.queue_at: -1 ", "queue.warn: -1 ", "queue.critical: -1 ",
			"queue.max_age: -1ns ", "queue.critical_reserve: 2 ", "queue.floor: 0.5 ",
		}},
		{queue.Config{Max: 10, Warn: 20}, []string{"queue.warn: 20 is not possible; use at most queue.max (10)"}},
		{queue.Config{Max: 10, Critical: 20}, []string{"queue.critical: 20 "}},
		{queue.Config{Warn: 20, Critical: 10}, []string{"queue.warn: 20 is not possible; use at most queue.critical (10)"}},
		{queue.Config{CriticalReserve: 0.9}, []string{"queue.floor: 0.05 is not possible; three floors and queue.critical_reserve (0.9)"}},
		{queue.Config{Offsets: queue.Offsets{Normal: time.Second}}, []string{"queue.offsets.high: 5s is not possible; use at most queue.offsets.normal (1s)"}},
		{queue.Config{Offsets: queue.Offsets{Low: time.Second}}, []string{"queue.offsets.normal: 15s "}},
	} {
		err := c.cfg.Validate()
		if err == nil {
			t.Errorf("%+v: no fault found", c.cfg)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.faults) {
			t.Errorf("%d faults, want %d: %q", len(lines), len(c.faults), lines)
		}
		for i := range min(len(lines), len(c.faults)) {
			if !strings.HasPrefix(lines[i], c.faults[i]) {
				t.Errorf("got %q, want %q", lines[i], c.faults[i])
			}
		}
		r := rig{Line: queue.NewLine(c.cfg, newSlots(1)), t: t} // safe, if not what was meant
		r.take()
		r.Leave(0)
	}
}

func TestAllocates(t *testing.T) {
	l := queue.NewLine(queue.Config{}, newSlots(1))
	ctx, e := t.Context(), queue.Entry{Tenant: "a", Deadline: time.Now().Add(time.Hour)}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := l.Enter(ctx, e); err == nil {
			l.Leave(time.Millisecond)
		}
	}); n != 0 {
		t.Errorf("%g allocations a request that need not wait", n)
	}
}

func Example() {
	line := queue.NewLine(queue.Config{Off: true}, newSlots(1)) // a *limit.Limiter, outside of this example
	ctx := context.Background()
	wait, err := line.Enter(ctx, queue.Entry{Priority: llm.High, Tenant: "web"})
	fmt.Println(wait, err)
	_, err = line.Enter(ctx, queue.Entry{Priority: llm.High, Tenant: "web"})
	fmt.Println(err)
	line.Leave(300 * time.Millisecond)
	fmt.Println(line.Stats().Running)
	// Output:
	// 0s <nil>
	// policy_overloaded: all slots are taken and waiting is switched off (queue.off = true). Send the request again later, or let requests wait with queue.off: false.
	// 0
}

func BenchmarkEnterLeave(b *testing.B) {
	l := queue.NewLine(queue.Config{}, newSlots(10))
	ctx, e := b.Context(), queue.Entry{Tenant: "a", Deadline: time.Now().Add(time.Hour)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Enter(ctx, e); err == nil {
			l.Leave(time.Millisecond)
		}
	}
}

// BenchmarkHandOver is a slot that always somebody waits for.
func BenchmarkHandOver(b *testing.B) {
	l := queue.NewLine(queue.Config{}, newSlots(1))
	ctx := b.Context()
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Enter(ctx, queue.Entry{Tenant: "a"}); err == nil {
				l.Leave(time.Microsecond)
			}
		}
	})
}
