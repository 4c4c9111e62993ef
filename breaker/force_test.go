package breaker_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/google/go-cmp/cmp"
)

func TestForceOpen(t *testing.T) {
	for _, off := range []bool{false, true} {
		r := newRig(t, breaker.Config{Off: off})
		out, _ := r.Allow(r.now)
		r.now = r.now.Add(time.Second)
		r.ForceOpen(r.now, "maintenance")
		want := breaker.Snapshot{Name: "target", State: breaker.Open, Forced: true, Since: r.now, Reason: "forced open: maintenance"}
		if d := cmp.Diff(want, r.Snapshot(r.now)); d != "" {
			t.Error(d)
		}
		r.Record(r.now, out, outcome(false))
		r.Trip(r.now, "by hand")
		for range 100 {
			r.now = r.now.Add(time.Hour)
			if r.call(false) || r.from(3, false) || r.Ready(r.now) || r.ReadySource(r.now, 3) {
				t.Fatal("a call passed")
			}
		}
		if d := cmp.Diff(want, r.Snapshot(r.now)); d != "" {
			t.Error(d)
		}
		r.ForceOpen(r.now, "longer")
		if got := r.Snapshot(r.now).Reason; got != "forced open: longer" {
			t.Errorf("reason %q", got)
		}
		r.Reset(r.now)
		s := r.Snapshot(r.now)
		if !r.call(false) || s.Forced || s.Reason != "reset" || s.Share != 0.1 {
			t.Errorf("after the reset: %+v", s)
		}
		r.calls(4, true)
		r.want(breaker.Closed)
		r.call(true)
		if (r.State() == breaker.Open) == off {
			t.Errorf("off %t: %s after five failures", off, r.State())
		}
	}
}

func TestForceClosed(t *testing.T) {
	r := newRig(t, breaker.Config{})
	r.calls(5, true)
	r.ForceClosed(r.now, "")
	r.calls(1000, true)
	r.Trip(r.now, "by hand")
	want := breaker.Snapshot{
		Name: "target", Forced: true, Since: start, Reason: "forced closed", Share: 1,
		Consecutive: 1000, Failures: 1000, Total: 1000,
	}
	if d := cmp.Diff(want, r.Snapshot(r.now)); d != "" {
		t.Error(d)
	}
	r.ForceOpen(r.now, "enough")
	r.want(breaker.Open)
	r.ForceClosed(r.now, "not enough")
	r.calls(1, true)
	r.now = r.now.Add(time.Second)
	r.Reset(r.now)
	if s := r.Snapshot(r.now); s.Forced || s.Total != 0 || s.Share != 1 {
		t.Errorf("after the reset: %+v", s)
	}
	r.calls(5, true)
	if d := r.untilRetry(); d > 1200*time.Millisecond {
		t.Errorf("open for %s: what was before the reset is not forgotten", d)
	}
}

func TestShare(t *testing.T) {
	r := newRig(t, breaker.Config{Ramp: 9 * time.Second})
	share := func(want float64) {
		t.Helper()
		if got := r.Share(r.now); math.Abs(got-want) > 1e-9 || r.Snapshot(r.now).Share != got {
			t.Errorf("%s after the start: share %g, want %g", r.now.Sub(start), got, want)
		}
	}
	share(1)
	r.calls(5, true)
	share(0)
	r.untilRetry()
	r.calls(2, false)
	share(0) // half-open
	r.calls(1, false)
	closed := r.now
	for after, want := range map[time.Duration]float64{
		-time.Second: 0.1, 0: 0.1, time.Second: 0.2, 8 * time.Second: 0.9, 9 * time.Second: 1, time.Hour: 1,
		-time.Hour: 1, // the clock was set back
	} {
		r.now = closed.Add(after)
		share(want)
	}
	r.now = closed.Add(time.Second)
	r.calls(5, true)
	share(0)

	r = newRig(t, breaker.Config{Ramp: -1})
	r.calls(5, true)
	r.untilRetry()
	r.calls(3, false)
	share(1)
}

// TestClockGoesBack: whatever the clock does, nobody is shut out for longer than
// MaxOpenFor, and nothing opens because of it.
func TestClockGoesBack(t *testing.T) {
	r := newRig(t, breaker.Config{})
	r.calls(4, true)
	for _, back := range []time.Duration{time.Millisecond, time.Second, time.Hour, 10 * 365 * 24 * time.Hour, math.MaxInt64} {
		r.now = r.now.Add(-back)
		r.calls(100, false)
		r.now = r.now.Add(back / 2)
		r.calls(100, false)
	}
	r.want(breaker.Closed)
	for _, back := range []time.Duration{time.Millisecond, time.Second, time.Hour, 10 * 365 * 24 * time.Hour} {
		r = newRig(t, breaker.Config{})
		r.now = r.now.Add(time.Hour)
		r.calls(5, true)
		r.now = r.now.Add(-back)
		r.Ready(r.now)
		opened := r.Snapshot(r.now)
		if d := opened.RetryAt.Sub(r.now); d > 1200*time.Millisecond+min(back, 8*time.Second) || opened.Since.After(r.now.Add(8*time.Second)) {
			t.Errorf("set back by %s: %+v at %s", back, opened, r.now)
		}
		r.now = r.now.Add(1200*time.Millisecond + min(back, 8*time.Second))
		if !r.Ready(r.now) {
			t.Errorf("set back by %s: not ready", back)
		}
	}
}

func TestTimeWithoutBounds(t *testing.T) {
	r := newRig(t, breaker.Config{OpenFor: math.MaxInt64, MaxOpenFor: math.MaxInt64, Window: math.MaxInt64, Ramp: math.MaxInt64})
	r.call(false)
	r.now = time.Unix(1<<40, 0)
	r.calls(4, true)
	r.want(breaker.Closed)
	r.call(true)
	r.want(breaker.Open)
	if r.Ready(r.now.Add(1000 * time.Hour)) {
		t.Error("ready")
	}
}

func TestSnapshotJSON(t *testing.T) {
	r := newRig(t, breaker.Config{})
	r.ForceOpen(r.now, "x")
	text, err := json.Marshal(r.Snapshot(r.now))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"target","state":"open","forced":true,"since":"2026-01-01T00:00:00Z","reason":"forced open: x",` +
		`"share":0,"consecutive":0,"failures":0,"slow":0,"total":0}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	var back breaker.Snapshot
	if err := json.Unmarshal(text, &back); err != nil || back != r.Snapshot(r.now) {
		t.Errorf("read back %+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"state":"ajar"}`), &back); err == nil {
		t.Error("no error for a state that does not exist")
	}
}
