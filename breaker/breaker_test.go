package breaker_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/breaker"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// rig is a breaker with a clock that the test moves.
type rig struct {
	*breaker.Breaker
	t   failer
	now time.Time
}

// failer is what a rig needs of a test, and of one that rapid shrinks.
type failer interface {
	Helper()
	Error(args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newRig(t failer, cfg breaker.Config) *rig {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return &rig{Breaker: breaker.New("target", cfg), t: t, now: start}
}

// call makes one call and reports whether the breaker let it pass.
func (r *rig) call(failed bool) bool {
	p, ok := r.Allow(r.now)
	if ok {
		r.Record(r.now, p, outcome(failed))
	}
	return ok
}

func outcome(failed bool) breaker.Outcome {
	if failed {
		return breaker.Outcome{Failed: true, Reason: "provider_error"}
	}
	return breaker.Outcome{}
}

func (r *rig) calls(n int, failed bool) {
	r.t.Helper()
	for i := range n {
		if !r.call(failed) {
			r.t.Fatalf("call %d of %d was refused: %s", i+1, n, r.Snapshot(r.now).Reason)
		}
	}
}

func (r *rig) want(s breaker.State) {
	r.t.Helper()
	if r.State() != s {
		r.t.Fatalf("state %s, want %s: %s", r.State(), s, r.Snapshot(r.now).Reason)
	}
}

// untilRetry moves the clock to the end of the open time and returns its length.
func (r *rig) untilRetry() time.Duration {
	r.t.Helper()
	r.want(breaker.Open)
	d := r.Snapshot(r.now).RetryAt.Sub(r.now)
	r.now = r.now.Add(d - 1)
	if _, ok := r.Allow(r.now); ok || r.Ready(r.now) {
		r.t.Fatal("a call passed before RetryAt")
	}
	r.now = r.now.Add(1)
	if !r.Ready(r.now) {
		r.t.Fatal("not ready at RetryAt")
	}
	return d
}

func TestFailuresInARow(t *testing.T) {
	r := newRig(t, breaker.Config{})
	r.calls(4, true)
	r.calls(1, false)
	r.calls(4, true)
	r.want(breaker.Closed)
	r.calls(1, true)
	r.want(breaker.Open)
	s := r.Snapshot(r.now)
	if s.Reason != "5 failures in a row: provider_error" || s.Consecutive != 5 || s.Failures != 9 || s.Total != 10 || !s.Since.Equal(start) {
		t.Errorf("snapshot %+v", s)
	}
	if r.call(false) {
		t.Error("an open breaker let a call pass")
	}
}

// TestRate spreads failures evenly over the calls.
func TestRate(t *testing.T) {
	for _, c := range []struct {
		name          string
		cfg           breaker.Config
		failed, total int
		open          bool
	}{
		{name: "volume too small", failed: 9, total: 19},
		{name: "6 of 20 may be chance", failed: 6, total: 20},
		{name: "7 of 20 are not", failed: 7, total: 20, open: true},
		{name: "19 of 100", failed: 19, total: 100},
		{name: "20 of 100", failed: 20, total: 100, open: true},
		{name: "own rate", cfg: breaker.Config{FailureRate: 0.4}, failed: 20, total: 50},
		{name: "own rate, above", cfg: breaker.Config{FailureRate: 0.4}, failed: 31, total: 50, open: true},
		{name: "own volume", cfg: breaker.Config{MinVolume: 5}, failed: 3, total: 5, open: true},
		{name: "off by rate", cfg: breaker.Config{FailureRate: -1}, failed: 50, total: 100},
		{name: "off", cfg: breaker.Config{Off: true}, failed: 100, total: 100},
		{name: "rate 1 is never exceeded", cfg: breaker.Config{FailureRate: 1}, failed: 100, total: 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Consecutive = -1
			r := newRig(t, c.cfg)
			for i := range c.total { // the last one fails
				r.call((i+1)*c.failed/c.total > i*c.failed/c.total)
			}
			if want := map[bool]breaker.State{true: breaker.Open}[c.open]; r.State() != want {
				t.Errorf("state %s, want %s: %s", r.State(), want, r.Snapshot(r.now).Reason)
			}
		})
	}
}

func TestWindowForgets(t *testing.T) {
	r := newRig(t, breaker.Config{Consecutive: -1, Window: 5 * time.Minute})
	r.calls(14, false)
	r.calls(6, true)
	r.now = r.now.Add(5 * time.Minute)
	if s := r.Snapshot(r.now); s.Total != 0 || s.Failures != 0 {
		t.Errorf("after the window: %d of %d", s.Failures, s.Total)
	}
	r.calls(14, false)
	r.calls(6, true)
	r.want(breaker.Closed)
}

func TestHalfOpen(t *testing.T) {
	r := newRig(t, breaker.Config{})
	r.calls(5, true)
	r.untilRetry()
	r.want(breaker.Open) // time alone changes nothing
	var probes []breaker.Permit
	for range 3 {
		p, ok := r.Allow(r.now)
		if !ok {
			t.Fatal("a probe was refused")
		}
		probes = append(probes, p)
	}
	r.want(breaker.HalfOpen)
	if _, ok := r.Allow(r.now); ok || r.Ready(r.now) {
		t.Fatal("a fourth probe passed")
	}
	r.Cancel(probes[0]) // says nothing, makes room
	p, ok := r.Allow(r.now)
	if !ok {
		t.Fatal("a cancelled probe's place was not given away")
	}
	for _, p := range []breaker.Permit{p, probes[1], probes[2]} {
		r.want(breaker.HalfOpen)
		r.Record(r.now, p, breaker.Outcome{})
	}
	r.want(breaker.Closed)
	if s := r.Snapshot(r.now); s.Total != 0 || s.Consecutive != 0 || s.Reason != "3 probes succeeded" {
		t.Errorf("closed with %+v", s)
	}
	r.calls(4, true) // the failures of before are forgotten
	r.want(breaker.Closed)
}

func TestOpenTimeDoubles(t *testing.T) {
	r := newRig(t, breaker.Config{OpenFor: 10 * time.Second, MaxOpenFor: 60 * time.Second})
	r.calls(5, true)
	for _, base := range []time.Duration{10, 20, 40, 60, 60} {
		base *= time.Second
		low, high := base*8/10, base*12/10
		if base == 60*time.Second {
			low, high = base*6/10, base // never beyond MaxOpenFor
		}
		if d := r.untilRetry(); d < low || d > high {
			t.Errorf("open for %s, want %s to %s", d, low, high)
		}
		r.calls(1, true) // the probe fails
	}
	r.untilRetry()
	r.calls(3, false)
	r.calls(5, true) // it came back only to fail again
	if d := r.untilRetry(); d < 36*time.Second {
		t.Errorf("flapping: open for %s, want 36 s to 60 s", d)
	}
	r.calls(3, false)
	r.now = r.now.Add(time.Minute)
	r.calls(5, true) // it had worked for a minute
	if d := r.untilRetry(); d > 12*time.Second {
		t.Errorf("after a good minute: open for %s, want about 10 s", d)
	}
}

func TestJitterSpreads(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		r := newRig(t, breaker.Config{})
		r.calls(5, true)
		seen[r.untilRetry().Truncate(5*time.Millisecond)] = true
	}
	if len(seen) < 10 {
		t.Errorf("20 breakers retry at %d different times", len(seen))
	}
}

// TestOldOutcomes: what an earlier state let through does not disturb the next one.
func TestOldOutcomes(t *testing.T) {
	r := newRig(t, breaker.Config{})
	old := make([]breaker.Permit, 10)
	for i := range old {
		old[i], _ = r.Allow(r.now)
	}
	r.calls(5, true)
	r.untilRetry()
	probe, _ := r.Allow(r.now)
	r.Record(r.now, old[0], outcome(true)) // must not reopen
	r.want(breaker.HalfOpen)
	for _, p := range old[1:4] { // must not close, and must not make room for probes
		r.Record(r.now, p, outcome(false))
		r.Cancel(p)
	}
	r.want(breaker.HalfOpen)
	for i := range 3 {
		if _, ok := r.Allow(r.now); ok != (i < 2) {
			t.Fatalf("probe %d passed: %t", i+2, ok)
		}
	}
	r.Record(r.now, probe, outcome(true))
	r.untilRetry()
	r.calls(3, false)
	r.want(breaker.Closed)
	for _, p := range append(old[4:], probe, breaker.Permit{}) { // must not open
		r.Record(r.now, p, outcome(true))
	}
	if s := r.Snapshot(r.now); s.Total != 0 || s.State != breaker.Closed {
		t.Errorf("old outcomes were counted: %+v", s)
	}
}

// TestLostProbes: who forgets a permit does not keep the target shut for ever.
func TestLostProbes(t *testing.T) {
	r := newRig(t, breaker.Config{})
	r.calls(5, true)
	r.untilRetry()
	var lost breaker.Permit
	for range 3 {
		lost, _ = r.Allow(r.now)
	}
	r.now = r.now.Add(8*time.Second - 1)
	if r.Ready(r.now) || r.call(false) {
		t.Fatal("a fourth probe passed")
	}
	r.now = r.now.Add(1)
	if !r.Ready(r.now) {
		t.Fatal("not ready after MaxOpenFor")
	}
	r.calls(1, false)
	r.Record(r.now, lost, outcome(true)) // too late to count
	r.calls(2, false)
	r.want(breaker.Closed)
}

func TestTripAndReset(t *testing.T) {
	for _, off := range []bool{false, true} {
		r := newRig(t, breaker.Config{Off: off})
		p, _ := r.Allow(r.now)
		r.Trip(r.now, "maintenance")
		if s := r.Snapshot(r.now); s.State != breaker.Open || s.Reason != "maintenance" || r.call(false) {
			t.Errorf("tripped: %+v", s)
		}
		r.now = r.now.Add(100 * time.Millisecond)
		before := r.Snapshot(r.now).RetryAt
		r.Trip(r.now, "longer") // restarts the time, does not double it
		if d := r.Snapshot(r.now).RetryAt.Sub(r.now); d > 1200*time.Millisecond || before.Equal(r.now.Add(d)) {
			t.Errorf("tripped again: open for %s", d)
		}
		r.Reset(r.now)
		r.Record(r.now, p, outcome(true))
		if s := r.Snapshot(r.now); s.State != breaker.Closed || s.Total != 0 || s.Reason != "reset" {
			t.Errorf("reset: %+v", s)
		}
		r.calls(1, false)
		r.Trip(r.now, "again")
		if d := r.untilRetry(); d > 1200*time.Millisecond {
			t.Errorf("open for %s after a reset", d)
		}
		r.calls(3, false)
		r.want(breaker.Closed)
	}
}

func TestSlowCalls(t *testing.T) {
	cfg := breaker.Config{SlowCall: time.Second, SlowRate: 0.2}
	r := newRig(t, cfg)
	call := func(took time.Duration) {
		p, ok := r.Allow(r.now)
		if !ok {
			t.Fatal("refused")
		}
		r.Record(r.now, p, breaker.Outcome{Took: took})
	}
	for range 10 {
		call(time.Second - 1)
	}
	for range 9 {
		call(time.Second)
	}
	r.want(breaker.Closed)
	call(time.Second)
	r.want(breaker.Open)
	if got, want := r.Snapshot(r.now).Reason, "10 of 20 calls within 5m0s took 1s or longer, allowed are 20 %"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	r.untilRetry()
	call(2 * time.Second)
	if got, want := r.Snapshot(r.now).Reason, "a probe took 2s, slow is from 1s"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}
