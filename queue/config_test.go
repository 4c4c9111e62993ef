package queue_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// TestValidate is one table: configurations, and the faults found in each.
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
		{Target: -1, Interval: -1},
		{Target: time.Second, Interval: time.Second},
		{Target: time.Second},
		{Interval: time.Millisecond},
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
		{queue.Config{Target: time.Minute + 1}, []string{"queue.target: 1m0.000000001s is not possible; use at most queue.max_age (1m0s)"}},
		{queue.Config{Target: time.Second, Interval: time.Millisecond}, []string{"queue.interval: 1ms is not possible; use at least queue.target (1s)"}},
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
				runtime.Gosched() // let others come while the slot is taken
				l.Leave(time.Microsecond)
			}
		}
	})
}

// BenchmarkRefusal is a request that is refused at the door of a full line of many tenants.
func BenchmarkRefusal(b *testing.B) {
	l := queue.NewLine(queue.Config{Target: -1}, newSlots(1))
	if _, err := l.Enter(b.Context(), queue.Entry{}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	const n = 500
	for i := range n {
		wg.Go(func() {
			if _, err := l.Enter(ctx, queue.Entry{Tenant: fmt.Sprint(i % 50)}); err == nil {
				l.Leave(0)
			}
		})
	}
	for l.Stats().Waiting < n {
		time.Sleep(time.Millisecond)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Enter(ctx, queue.Entry{Tenant: "1"}); err == nil {
			b.Fatal("not refused")
		}
	}
	cancel()
	wg.Wait()
}
