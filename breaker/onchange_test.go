package breaker_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/google/go-cmp/cmp"
)

func TestOnChange(t *testing.T) {
	var got []string
	var b *breaker.Breaker
	now := start
	b = breaker.New("eu", breaker.Config{Consecutive: 2, OnChange: func(c breaker.Change) {
		got = append(got, fmt.Sprintf("%s: %s -> %s (%s)", c.Name, c.From, c.To, c.Reason))
		if c.To == breaker.Open && len(got) == 1 { // no lock is held
			now = b.Snapshot(now).RetryAt
			p, _ := b.Allow(now)
			b.Record(now, p, breaker.Outcome{Failed: true})
		}
	}})
	for range 2 {
		p, _ := b.Allow(now)
		b.Record(now, p, breaker.Outcome{Failed: true, Reason: "provider_timeout"})
	}
	b.Reset(now)
	b.Reset(now) // no change, not told
	want := []string{
		"eu: closed -> open (2 failures in a row: provider_timeout)",
		"eu: open -> half_open (2 failures in a row: provider_timeout)",
		"eu: half_open -> open (a probe failed)",
		"eu: open -> closed (reset)",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestOnChangeInOrder: many goroutines change the state, and the changes told make a chain.
func TestOnChangeInOrder(t *testing.T) {
	var told []breaker.Change
	var inside atomic.Int32
	b := breaker.New("x", breaker.Config{OnChange: func(c breaker.Change) {
		if inside.Add(1) > 1 {
			t.Error("told twice at once")
		}
		told = append(told, c)
		inside.Add(-1)
	}})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 500 {
				if i%2 == 0 {
					b.Trip(start, "x")
				} else {
					b.Reset(start)
				}
			}
		})
	}
	wg.Wait()
	if len(told) == 0 {
		t.Error("nothing told")
	}
	for i := 1; i < len(told); i++ {
		if told[i].From != told[i-1].To {
			t.Fatalf("change %d starts from %s, the one before led to %s", i, told[i].From, told[i-1].To)
		}
	}
}

func TestOnChangePanics(t *testing.T) {
	calls := 0
	b := breaker.New("x", breaker.Config{OnChange: func(breaker.Change) {
		if calls++; calls == 1 {
			panic("mine")
		}
	}})
	func() {
		defer func() { _ = recover() }()
		b.Trip(start, "x")
	}()
	b.Reset(start)
	if calls != 2 || b.State() != breaker.Closed {
		t.Errorf("%d changes told, state %s", calls, b.State())
	}
}
