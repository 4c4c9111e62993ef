package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

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

// TestTimeIsUp lets five requests wait in vain, each ended by another bound: one
// story, so that the line is the same for all.
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
