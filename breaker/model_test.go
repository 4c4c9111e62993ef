package breaker_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/breaker"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// flight is a call that is out.
type flight struct {
	permit  breaker.Permit
	source  uint64
	current bool // the present state let it through
}

// model drives a breaker and the plain one with the same steps, and compares.
type model struct {
	*rig
	*plain
	out  []flight
	ties int
}

func newModel(t failer, cfg breaker.Config) *model {
	m := &model{rig: newRig(t, cfg), plain: newPlain(cfg)}
	m.see(m.rig.now)
	m.compare() // both know the time before they are handed an older one
	return m
}

// time is the time that a call hands over: goroutines that waited hand over older ones.
func (m *model) time(r *rand.Rand) time.Time {
	m.see(m.rig.now)
	if r.IntN(20) == 0 {
		return m.rig.now.Add(-time.Duration(r.IntN(1000)) * time.Millisecond)
	}
	return m.rig.now
}

// renew follows a change of state: what is out belongs to an earlier one.
func (m *model) renew() {
	for i := range m.out {
		m.out[i].current = false
	}
}

func (m *model) allowOne(r *rand.Rand, source uint64) {
	now, asked := m.time(r), source
	if r.IntN(5) == 0 {
		asked = 0 // a caller that does not say
	}
	was, want := m.plain.state, m.ready(asked)
	ready := m.ReadySource(now, asked)
	p, ok := m.AllowSource(now, asked)
	if ok != want || ready != want {
		m.t.Fatalf("%s: allowed %t, ready %t, want %t", was, ok, ready, want)
	}
	if !ok {
		return
	}
	if m.allow(); was != m.plain.state {
		m.renew()
	}
	m.out = append(m.out, flight{p, source, true})
}

// end takes one of the calls that are out.
func (m *model) end(r *rand.Rand) (f flight, ok bool) {
	if len(m.out) == 0 {
		return f, false
	}
	i, last := r.IntN(len(m.out)), len(m.out)-1
	f = m.out[i]
	m.out[i] = m.out[last]
	m.out = m.out[:last]
	return f, true
}

func (m *model) recordOne(r *rand.Rand, failing []float64) {
	f, ok := m.end(r)
	if !ok {
		return
	}
	o := outcome(r.Float64() < failing[f.source])
	o.Source = f.source
	if r.IntN(3) == 0 && r.Float64() < failing[f.source] {
		o.Took = time.Minute
	}
	m.Record(m.time(r), f.permit, o)
	if !f.current {
		return
	}
	before := *m.plain
	m.tie = false
	m.record(f.source, o.Failed, o.Took >= m.cfg.SlowCall)
	if m.tie { // either source may be taken for the worst, and one of them may open it
		m.ties++
		*m.plain = before
		m.turn(m.State())
		m.resetBoth()
	} else if before.state != m.plain.state {
		m.renew()
	}
}

func (m *model) resetBoth() {
	m.Reset(m.rig.now)
	m.forced = false
	m.turn(breaker.Closed)
	m.served, m.openFor = map[uint64]time.Time{}, 0
	m.renew()
}

// byHand trips, forces or resets.
func (m *model) byHand(r *rand.Rand) {
	now := m.time(r)
	switch r.IntN(5) {
	case 0:
		m.Trip(now, "by hand")
		if !m.forced {
			m.culprit, m.decider = 0, 0
			m.open()
			m.renew()
		}
	case 1:
		m.ForceOpen(now, "by hand")
		m.force(breaker.Open)
	case 2:
		m.ForceClosed(now, "by hand")
		m.force(breaker.Closed)
	default:
		m.resetBoth()
	}
}

func (m *model) force(to breaker.State) {
	if !m.forced {
		m.since = m.plain.now
	}
	m.turn(to)
	m.forced, m.openFor, m.retryAt, m.ramp = true, 0, time.Time{}, time.Time{}
	m.served = map[uint64]time.Time{}
	m.renew()
}

// step does one thing and compares.
func (m *model) step(r *rand.Rand, failing []float64) {
	switch k := r.IntN(1000); {
	case k < 450:
		m.allowOne(r, uint64(r.IntN(len(failing))))
	case k < 890:
		m.recordOne(r, failing)
	case k < 930:
		if f, ok := m.end(r); ok {
			m.Cancel(f.permit)
			if f.current && m.plain.state == breaker.HalfOpen {
				m.probes--
			}
		}
	case k < 978:
		m.rig.now = m.rig.now.Add(time.Duration(r.Int64N(int64(m.cfg.Window / 20))))
	case k < 980:
		m.rig.now = m.rig.now.Add(time.Duration(r.Int64N(int64(2 * time.Minute))))
	case k < 997 && m.plain.state == breaker.Open && !m.forced:
		if due := m.retryAt.Add(time.Duration(r.IntN(2) - 1)); due.After(m.rig.now) { // on one side of it, or the other
			m.rig.now = due
		}
	case k >= 998 || m.forced && k >= 980: // what is forced does not stay so for long
		m.byHand(r)
	}
	m.see(m.rig.now)
	m.compare()
}

func (m *model) compare() {
	s := m.Snapshot(m.rig.now)
	if m.plain.state == breaker.Open && m.retryAt.IsZero() && !m.forced { // just opened
		d := s.RetryAt.Sub(m.plain.now)
		high := min(m.openFor*12/10, m.plain.cfg.MaxOpenFor)
		if low := high - m.openFor*4/10; d < low-1 || d > high+1 {
			m.t.Fatalf("open for %s, want %s to %s", d, low, high)
		}
		m.retryAt = s.RetryAt
	}
	if m.plain.state == breaker.Closed {
		m.toStep()
	}
	all := m.window()
	want := breaker.Snapshot{
		Name: "target", State: m.plain.state, Forced: m.forced, Since: m.since, Reason: s.Reason, Share: m.share(),
		Consecutive: m.consecutive(), Failures: int64(all.failed), Slow: int64(all.slow), Total: int64(all.total),
	}
	if m.plain.state == breaker.Open {
		want.RetryAt = m.retryAt
	}
	if d := cmp.Diff(want, s, cmpopts.EquateApprox(0, 1e-9)); d != "" || m.State() != s.State || m.Share(m.rig.now) != s.Share {
		m.t.Fatalf("the breaker differs from the plain one:\n%s", d)
	}
	if (s.State != breaker.Closed || s.Forced) && s.Reason == "" {
		m.t.Fatal("no reason given")
	}
	if m.probes > m.cfg.Probes {
		m.t.Fatalf("%d probes at once", m.probes)
	}
}

// moods are how the sources fail in one stretch of time.
func moods(r *rand.Rand, sources int) []float64 {
	failing := make([]float64, sources)
	for i := range failing {
		failing[i] = 0.02
	}
	every := []float64{0, 0.02, 0.25, 0.5, 1}[r.IntN(5)]
	switch r.IntN(3) {
	case 0: // all alike
		for i := range failing {
			failing[i] = every
		}
	case 1: // one of them
		failing[r.IntN(sources)] = every
	default: // some of them
		for i := range failing {
			if r.IntN(2) == 0 {
				failing[i] = every
			}
		}
	}
	return failing
}

// TestMillionSteps drives breaker and model with seeded random steps in phases of
// healthy, flaky and dead targets and sources: 50,000, and a million with FOREBAY_LONG=1.
// FOREBAY_SEED chooses other steps than the usual ones.
func TestMillionSteps(t *testing.T) {
	steps, seed := 50_000, uint64(1)
	if long() {
		steps = 1_000_000
	}
	if s := os.Getenv("FOREBAY_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("FOREBAY_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var m *model
	var failing []float64
	opened, alone, ties := 0, 0, 0
	for i := range steps {
		if i%1000 == 0 { // or long outages push the open time towards its bound
			if m != nil {
				opened, alone, ties = opened+m.opened, alone+m.alone, ties+m.ties
			}
			// Probes that come back late are a test of their own: the bound of the open time is far.
			m = newModel(t, breaker.Config{
				Consecutive: 6, FailureRate: 0.2, Window: 10 * time.Second, MinVolume: 20, Ramp: 2 * time.Second,
				OpenFor: 3 * time.Second, MaxOpenFor: 100 * time.Hour, Probes: 3, SlowCall: time.Second, SlowRate: 0.4,
			})
		}
		if i%200 == 0 {
			failing = moods(r, 1+r.IntN(6))
			m.out = nil
		}
		m.step(r, failing)
	}
	t.Logf("%d steps, opened %d times, of which for one source alone %d; %d ties", steps, opened, alone, ties)
	if opened < steps/2000 || alone < steps/10_000 {
		t.Error("the steps test little")
	}
}

// TestRandomConfigs runs the model over other configurations; rapid shrinks what it finds.
func TestRandomConfigs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt, breaker.Config{
			Off:         rapid.IntRange(0, 9).Draw(rt, "off") == 0,
			Consecutive: rapid.IntRange(1, 10).Draw(rt, "consecutive"),
			FailureRate: rapid.Float64Range(0.01, 1).Draw(rt, "rate"),
			Window:      time.Duration(rapid.IntRange(30, 1e6).Draw(rt, "window")) * time.Millisecond,
			MinVolume:   rapid.IntRange(1, 50).Draw(rt, "volume"),
			OpenFor:     time.Second, MaxOpenFor: 1000 * time.Hour,
			Ramp:     5 * time.Second,
			Probes:   rapid.IntRange(1, 5).Draw(rt, "probes"),
			SlowCall: time.Second, SlowRate: rapid.Float64Range(0.01, 1).Draw(rt, "slow"),
		})
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		failing := moods(r, rapid.IntRange(1, 16).Draw(rt, "sources"))
		for range 300 {
			m.step(r, failing)
		}
	})
}

// TestDetection: how fast a target that worked for longer than the window is seen to fail.
func TestDetection(t *testing.T) {
	const every = 50 * time.Millisecond // 20 calls a second
	for _, c := range []struct {
		name    string
		failing float64
		within  int
	}{
		{name: "all calls fail", failing: 1, within: 20},
		{name: "half of the calls fail", failing: 0.5, within: 100}, // 5 s
	} {
		t.Run(c.name, func(t *testing.T) {
			worst := 0
			for seed := range uint64(50) {
				r := rand.New(rand.NewPCG(seed, 1))
				b := newRig(t, breaker.Config{})
				for range 8_000 {
					b.call(r.Float64() < 0.001)
					b.now = b.now.Add(every)
				}
				b.want(breaker.Closed)
				n := 0
				for b.State() == breaker.Closed && n < 1000 {
					b.call(r.Float64() < c.failing)
					b.now = b.now.Add(every)
					n++
				}
				worst = max(worst, n)
			}
			if worst > c.within {
				t.Errorf("opened after %d calls at worst, want %d", worst, c.within)
			}
			t.Logf("worst of 50: %d calls", worst)
		})
	}
}

// long says whether tests run in full, and not only as much as each change needs.
func long() bool { return os.Getenv("FOREBAY_LONG") == "1" }

// TestNoFalseOpening: calls of which one in a hundred fails at random, at every pace (at
// low ones each window is a small sample), of one tenant and of ten: 100,000 each, and
// a million with several seeds with FOREBAY_LONG=1.
func TestNoFalseOpening(t *testing.T) {
	calls, seeds := 100_000, uint64(1)
	if long() {
		calls, seeds = 1_000_000, 5
	}
	for seed := range seeds {
		for _, every := range []time.Duration{50 * time.Millisecond, time.Second, 14 * time.Second} {
			for _, tenants := range []uint64{1, 10} {
				r := rand.New(rand.NewPCG(uint64(every)+tenants, 2+seed))
				b := newRig(t, breaker.Config{})
				for i := range calls {
					if !b.from(1+r.Uint64N(tenants), r.Float64() < 0.01) {
						t.Fatalf("%d tenants, a call every %s: opened after %d calls: %s", tenants, every, i, b.Snapshot(b.now).Reason)
					}
					b.now = b.now.Add(every)
				}
			}
		}
	}
}

// TestProbesAtOnce lets many goroutines at a breaker that is due.
func TestProbesAtOnce(t *testing.T) {
	b := breaker.New("x", breaker.Config{Probes: 2})
	b.Trip(start, "x")
	now := b.Snapshot(start).RetryAt
	var out, passed atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				p, ok := b.Allow(now)
				if !ok {
					continue
				}
				if n := out.Add(1); n > 2 {
					t.Errorf("%d probes at once", n)
				}
				passed.Add(1)
				out.Add(-1)
				b.Cancel(p)
			}
		})
	}
	wg.Wait()
	if passed.Load() == 0 || b.State() != breaker.HalfOpen {
		t.Errorf("%d passed, state %s", passed.Load(), b.State())
	}
}
