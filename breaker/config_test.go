package breaker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/breaker"
)

func TestValidate(t *testing.T) {
	if err := (breaker.Config{}).Validate(); err != nil {
		t.Error(err)
	}
	bad := breaker.Config{
		Consecutive: -2, FailureRate: 1.5, Window: -1, MinVolume: -1, OpenFor: 10 * time.Minute,
		MaxOpenFor: time.Second, Probes: -3, SlowCall: -1, SlowRate: -0.1,
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no fault found")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, prefix := range []string{
		"breaker.consecutive: -2 ", "breaker.failure_rate: 1.5 ", "breaker.window: -1ns ", "breaker.min_volume: -1 ",
		"breaker.max_open_for: 1s is not possible; use at least open_for (10m0s)", "breaker.probes: -3 ",
		"breaker.slow_call: -1ns ", "breaker.slow_rate: -0.1 ",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], prefix) {
			t.Errorf("fault %d: want %q in %q", i, prefix, lines)
		}
	}
	b := breaker.New("x", bad) // a wrong configuration is safe, if not what was meant
	for range 100 {
		if p, ok := b.Allow(start); ok {
			b.Record(start, p, breaker.Outcome{Failed: true})
		}
	}
	if b.State() != breaker.Open {
		t.Error("does not open")
	}
}

func TestAllocates(t *testing.T) {
	b := breaker.New("x", breaker.Config{})
	now := start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Second)
		p, _ := b.Allow(now)
		b.Record(now, p, breaker.Outcome{})
	}); n != 0 {
		t.Errorf("%g allocations a call", n)
	}
}

func Example() {
	b := breaker.New("openai/gpt", breaker.Config{Consecutive: 2})
	now := time.Now()
	for range 3 {
		permit, ok := b.Allow(now)
		if !ok {
			fmt.Println("refused:", b.Snapshot(now).Reason)
			continue
		}
		b.Record(now, permit, breaker.Outcome{Failed: true, Reason: "provider_overloaded"})
	}
	// Output:
	// refused: 2 failures in a row: provider_overloaded
}

// BenchmarkAllowRecord leaves out the clock: callers have read it anyway.
func BenchmarkAllowRecord(b *testing.B) {
	br := breaker.New("x", breaker.Config{})
	now := start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		p, _ := br.Allow(now)
		br.Record(now, p, breaker.Outcome{Took: time.Millisecond})
	}
}

func BenchmarkAllowRecordParallel(b *testing.B) {
	br := breaker.New("x", breaker.Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := start
		for pb.Next() {
			now = now.Add(time.Millisecond)
			p, _ := br.Allow(now)
			br.Record(now, p, breaker.Outcome{Took: time.Millisecond})
		}
	})
}

func BenchmarkAllowOpen(b *testing.B) {
	br := breaker.New("x", breaker.Config{})
	br.Trip(start, "x")
	b.ReportAllocs()
	for b.Loop() {
		br.Allow(start)
	}
}
