package queue_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// TestThresholds: the four numbers of one line, each at its edge: from queue_at
// calls in progress on requests wait, from warn and from critical waiting ones on the
// pressure is said, and beyond max they are refused.
func TestThresholds(t *testing.T) {
	for _, c := range []struct {
		name                string
		cfg                 queue.Config
		warn, critical, max int
	}{
		{"defaults", queue.Config{}, 50, 100, 500},
		{"all set", queue.Config{QueueAt: 1, Warn: 2, Critical: 3, Max: 4}, 2, 3, 4},
		{"a short line", queue.Config{Max: 30}, 30, 30, 30},
		{"a late warning", queue.Config{Warn: 200}, 200, 200, 500},
		{"an early alarm", queue.Config{Critical: 20}, 20, 20, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, c.cfg, 2)
				ctx, cancel := context.WithCancel(context.Background())
				slots := 2
				if c.cfg.QueueAt > 0 {
					slots = c.cfg.QueueAt
				}
				for range slots {
					r.take()
				}
				for i := range c.max {
					if got, want := r.Stats().Pressure, pressure(i, c.warn, c.critical); got != want {
						t.Errorf("%d waiting: pressure %s, want %s", i, got, want)
					}
					r.enter(ctx, "", queue.Entry{}, 0)
				}
				if s := r.Stats(); s.Waiting != c.max || s.Running != slots || s.Pressure != queue.PressureCritical {
					t.Errorf("full: %+v", s)
				}
				want(t, r.refused(queue.Entry{}), llm.PolicyOverloaded, "queue.max", strconv.Itoa(c.max))
				cancel()
				for range slots {
					r.Leave(0)
				}
				r.check()
			})
		})
	}
}

func pressure(waiting, warn, critical int) queue.Pressure {
	switch {
	case waiting >= critical:
		return queue.PressureCritical
	case waiting >= warn:
		return queue.PressureWarn
	}
	return queue.PressureNone
}

// TestWaits: how long those waited who got a slot after a wait, by band; the others do not count.
func TestWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, queue.Config{}, 1)
		r.take()
		for range 5 {
			r.enter(context.Background(), "", queue.Entry{Priority: llm.High}, time.Second)
		}
		r.refused(queue.Entry{Priority: llm.High, Deadline: time.Now()})
		time.Sleep(time.Second)
		r.Leave(0)
		s := r.check() // waits of 1 to 5 s
		median, p95 := [4]time.Duration{2: 3 * time.Second}, [4]time.Duration{2: 4 * time.Second}
		if s.WaitMedian != median || s.WaitP95 != p95 {
			t.Errorf("median %v, p95 %v", s.WaitMedian, s.WaitP95)
		}
	})
}
