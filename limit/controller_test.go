package limit_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/limit"
)

// sent is a good call that was sent at a time with so many in progress.
func sent(at time.Duration, inFlight int) limit.Sample {
	return limit.Sample{
		Start: epoch.Add(at), InFlight: inFlight, FirstToken: 300 * time.Millisecond, Took: time.Second,
		OutputTokens: 100, Streamed: true, InputBytes: 1000,
	}
}

// warm is a controller that has seen 200 good calls, 10 ms apart.
func warm(most, inFlight int) (*limit.Limiter, *limit.Controller, time.Duration) {
	l := limit.New(limit.Config{MaxConcurrent: most})
	c := limit.NewController(l, limit.ControllerConfig{})
	now := time.Duration(0)
	for range 200 {
		now += 10 * time.Millisecond
		c.Observe(epoch.Add(now+time.Second), sent(now, inFlight))
	}
	return l, c, now + time.Second
}

func TestOneBadCallIsNothing(t *testing.T) {
	for name, bad := range map[string]func(*limit.Sample){
		"slow":    func(s *limit.Sample) { s.FirstToken, s.Took = 40*time.Second, time.Minute },
		"slower":  func(s *limit.Sample) { s.OutputTokens, s.Took = 100, time.Hour },
		"long":    func(s *limit.Sample) { s.OutputTokens, s.Took = 4000, 29*time.Second },
		"refused": func(s *limit.Sample) { s.Overloaded, s.FirstToken = true, 0 },
		"failed":  func(s *limit.Sample) { s.Failed, s.FirstToken, s.Took = true, 0, time.Minute },
	} {
		l, c, now := warm(40, 40)
		for i := range 1000 {
			now += 10 * time.Millisecond
			s := sent(now-time.Second, 40)
			if i%100 == 50 {
				bad(&s)
			}
			c.Observe(epoch.Add(now), s)
			if l.Max() < 36 {
				t.Fatalf("%s: one in a hundred lowers the bound from 40 to %d", name, l.Max())
			}
		}
	}
}

// Thirty calls that were sent at once and are refused are one sign, not thirty.
func TestOneCutARoundTrip(t *testing.T) {
	l, c, now := warm(40, 40)
	for i := range 30 {
		c.Observe(epoch.Add(now+time.Duration(30+i)*time.Millisecond), limit.Sample{Start: epoch.Add(now), InFlight: 11 + i, Overloaded: true})
	}
	if n := l.Max(); n >= 40 || n < 28 {
		t.Errorf("the bound fell from 40 to %d", n)
	}
}

func TestFloorAndBack(t *testing.T) {
	l, c, now := warm(40, 40)
	for range 200 {
		now += 50 * time.Millisecond
		c.Observe(epoch.Add(now), limit.Sample{Start: epoch.Add(now - time.Millisecond), InFlight: l.Max(), Overloaded: true})
	}
	if s := c.Snapshot(epoch.Add(now)); l.Max() != 1 || s.Bound != 1 || s.Ceiling != 40 || s.Reason != limit.ReasonRefused {
		t.Fatalf("all is refused: %+v", s)
	}
	up := 0
	for range 1000 {
		now += 50 * time.Millisecond
		if c.Observe(epoch.Add(now), sent(now-time.Millisecond, l.Max())) {
			up++
		}
	}
	if s := c.Snapshot(epoch.Add(now)); l.Max() != 40 || s.Reason != limit.ReasonHealthy || up == 0 || s.FirstToken.Round(time.Millisecond) != 300*time.Millisecond {
		t.Errorf("all is well again: %+v, raised %d times", s, up)
	}
}

// A bound that is not used stays where it is: nothing is known of what lies beyond it.
func TestNotRaisedWhileUnused(t *testing.T) {
	l, c, now := warm(40, 40)
	for range 9 {
		now += 50 * time.Millisecond
		c.Observe(epoch.Add(now), limit.Sample{Start: epoch.Add(now - time.Millisecond), InFlight: 40, Overloaded: true})
	}
	low := l.Max()
	for range 2000 {
		now += 50 * time.Millisecond
		if c.Observe(epoch.Add(now), sent(now-time.Millisecond, max(low/2, 1))) && low > 1 {
			t.Fatalf("raised to %d", l.Max())
		}
	}
	if low >= 20 || low < 2 {
		t.Fatalf("the bound was not what the test needs: %d", low)
	}
}

func TestOff(t *testing.T) {
	for name, l := range map[string]*limit.Limiter{
		"off": limit.New(limit.Config{MaxConcurrent: 7}), "no bound": limit.New(limit.Config{MaxConcurrent: -1}),
	} {
		c := limit.NewController(l, limit.ControllerConfig{Off: name == "off"})
		most := l.Max()
		for range 100 {
			c.Observe(epoch, limit.Sample{Start: epoch, InFlight: 5, Overloaded: true})
		}
		c.SlowStart(epoch)
		if s := c.Snapshot(epoch); l.Max() != most || s.Bound != most || s.Ceiling != most || s.Reason != "" || !s.Moved.IsZero() {
			t.Errorf("%s: the bound is %d, %+v", name, l.Max(), s)
		}
	}
}

// Any samples at all, at any time, keep the bound within its bounds.
func TestControllerTakesAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(*firstSeed, 3))
	odd := []time.Duration{0, -1, -time.Hour, 1, time.Millisecond, time.Second, time.Hour, math.MaxInt64, math.MinInt64}
	pick := func() time.Duration { return odd[r.IntN(len(odd))] }
	for range 200 {
		l := limit.New(limit.Config{MaxConcurrent: 1 + r.IntN(50)})
		most := l.Max()
		c := limit.NewController(l, limit.ControllerConfig{})
		for range 300 {
			s := limit.Sample{
				Stage: limit.Stage(r.IntN(4)), Start: epoch.Add(pick()), InFlight: r.IntN(100) - 10, FirstToken: pick(), Took: pick(),
				OutputTokens: r.IntN(5000) - 10, Streamed: r.IntN(2) == 0, Overloaded: r.IntN(3) == 0, Failed: r.IntN(3) == 0,
				RetryAfter: pick(), InputBytes: r.IntN(1<<21) - 10,
			}
			if r.IntN(9) == 0 {
				s.Start = time.Time{}
			}
			c.Observe(epoch.Add(pick()), s)
			if r.IntN(100) == 0 {
				c.SlowStart(epoch.Add(pick()))
			}
			if n := l.Max(); n < 1 || n > most || c.Snapshot(epoch).Bound != n {
				t.Fatalf("the bound is %d, of 1 to %d", n, most)
			}
		}
	}
}

func TestControllerConcurrently(t *testing.T) {
	l := limit.New(limit.Config{MaxConcurrent: 20})
	c := limit.NewController(l, limit.ControllerConfig{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 2000 {
				now := epoch.Add(time.Duration(n) * time.Millisecond)
				s := sent(time.Duration(n-300)*time.Millisecond, l.Max())
				s.Overloaded = n%7 == i
				c.Observe(now, s)
				c.Snapshot(now)
				if n%500 == 0 {
					c.SlowStart(now)
				}
			}
		})
	}
	wg.Wait()
	if s := c.Snapshot(epoch.Add(time.Hour)); s.Bound != l.Max() {
		t.Errorf("%+v, the limiter's bound is %d", s, l.Max())
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	_, c, now := warm(40, 40)
	if n := testing.AllocsPerRun(1000, func() {
		now += time.Millisecond
		c.Observe(epoch.Add(now), sent(now, 40))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleController() {
	l := limit.New(limit.Config{MaxConcurrent: 10})
	c := limit.NewController(l, limit.ControllerConfig{})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	for range 4 { // the target refuses, call after call
		sent := now
		now = now.Add(30 * time.Millisecond)
		c.Observe(now, limit.Sample{Start: sent, InFlight: 10, Took: 30 * time.Millisecond, Overloaded: true})
	}
	s := c.Snapshot(now)
	fmt.Println(s.Bound, "of", s.Ceiling, s.Reason)
	// Output:
	// 6 of 10 refused
}

func BenchmarkObserve(b *testing.B) {
	_, c, now := warm(40, 40)
	s := sent(now, 40)
	at := epoch.Add(now)
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Millisecond)
		s.Start = s.Start.Add(time.Millisecond)
		c.Observe(at, s)
	}
}
