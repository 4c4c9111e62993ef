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
	"pgregory.net/rapid"
)

// past is one outcome that the model remembers.
type past struct {
	at     time.Time
	failed bool
}

// model is the breaker written down plainly: it remembers every outcome and counts
// when asked. It follows the real one and checks each of its answers.
type model struct {
	*rig
	cfg   breaker.Config
	state breaker.State

	history     []past // outcomes since it closed
	consecutive int
	current     map[breaker.Permit]int // calls out that this state let through
	old         []breaker.Permit       // calls out that an earlier state let through
	succeeded   int
	probes      int
	opened      int
}

func (m *model) turn(to breaker.State) {
	for p, n := range m.current {
		for range n {
			m.old = append(m.old, p)
		}
	}
	m.current = map[breaker.Permit]int{}
	m.state, m.succeeded, m.probes, m.history, m.consecutive = to, 0, 0, nil, 0
}

func (m *model) allow() {
	retryAt := m.Snapshot(m.now).RetryAt
	ready := m.Ready(m.now)
	p, ok := m.Allow(m.now)
	want := m.state == breaker.Closed ||
		m.state == breaker.Open && !m.now.Before(retryAt) ||
		m.state == breaker.HalfOpen && m.probes < m.cfg.Probes
	if ok != want || ready != want {
		m.t.Fatalf("%s: allowed %t, ready %t, want %t", m.state, ok, ready, want)
	}
	if !ok {
		return
	}
	if m.state == breaker.Open {
		m.turn(breaker.HalfOpen)
	}
	if m.state == breaker.HalfOpen {
		m.probes++
	}
	m.current[p]++
}

// end takes one of the calls that are out.
func (m *model) end(r *rand.Rand) (p breaker.Permit, current, ok bool) {
	if len(m.old) > 0 && r.IntN(3) == 0 {
		i := r.IntN(len(m.old))
		p = m.old[i]
		m.old[i] = m.old[len(m.old)-1]
		m.old = m.old[:len(m.old)-1]
		return p, false, true
	}
	for p := range m.current { // there is one key at most
		if m.current[p]--; m.current[p] == 0 {
			delete(m.current, p)
		}
		return p, true, true
	}
	return p, false, false
}

func (m *model) record(r *rand.Rand, failed bool) {
	p, current, ok := m.end(r)
	if !ok {
		return
	}
	m.Record(m.now, p, outcome(failed))
	switch {
	case !current:
	case m.state == breaker.HalfOpen && failed:
		m.turn(breaker.Open)
		m.opened++
	case m.state == breaker.HalfOpen:
		m.probes--
		if m.succeeded++; m.succeeded == m.cfg.Probes {
			m.turn(breaker.Closed)
		}
	default:
		m.recordClosed(failed)
	}
}

func (m *model) recordClosed(failed bool) {
	m.history = append(m.history, past{m.now, failed})
	m.consecutive++
	if !failed {
		m.consecutive = 0
	}
	s := m.Snapshot(m.now)
	m.checkCounts(s)
	if failed && m.mustOpen(s) {
		m.turn(breaker.Open)
		m.opened++
	}
}

// checkCounts: everything of the window without its oldest step is counted, and
// nothing from before it.
func (m *model) checkCounts(s breaker.Snapshot) {
	var sure, possible, sureFailed, possibleFailed int64
	count := func(from time.Time, n, f *int64) {
		for i := len(m.history) - 1; i >= 0 && !m.history[i].at.Before(from); i-- {
			*n++
			if m.history[i].failed {
				*f++
			}
		}
	}
	count(m.now.Add(-m.cfg.Window+m.cfg.Window/30), &sure, &sureFailed)
	count(m.now.Add(-m.cfg.Window), &possible, &possibleFailed)
	if s.Total < sure || s.Total > possible || s.Failures < sureFailed || s.Failures > possibleFailed {
		m.t.Fatalf("counted %d of %d failed, the window holds %d to %d of %d to %d",
			s.Failures, s.Total, sureFailed, possibleFailed, sure, possible)
	}
}

func (m *model) mustOpen(s breaker.Snapshot) bool {
	above := func(hits, n, sigmas float64) bool {
		q := m.cfg.FailureRate
		return hits > q*n && (hits-q*n)*(hits-q*n) > sigmas*sigmas*q*(1-q)*n
	}
	recent := 0.0
	for _, p := range m.history[max(0, len(m.history)-64):] {
		if p.failed {
			recent++
		}
	}
	return m.consecutive >= m.cfg.Consecutive ||
		s.Total >= int64(m.cfg.MinVolume) && (above(float64(s.Failures), float64(s.Total), 3) ||
			s.Total >= 64 && above(recent, 64, 5))
}

func (m *model) step(r *rand.Rand, failing float64) {
	switch k := r.IntN(1000); {
	case k < 480:
		m.allow()
	case k < 900:
		m.record(r, r.Float64() < failing)
	case k < 940:
		if p, current, ok := m.end(r); ok {
			m.Cancel(p)
			if current && m.state == breaker.HalfOpen {
				m.probes--
			}
		}
	case k < 996:
		m.now = m.now.Add(time.Duration(r.Int64N(int64(m.cfg.Window / 20))))
	case k < 998:
		m.Trip(m.now, "by hand")
		m.turn(breaker.Open)
	default:
		m.Reset(m.now)
		m.turn(breaker.Closed)
	}
	s := m.Snapshot(m.now)
	if s.State != m.state || m.State() != m.state {
		m.t.Fatalf("state %s, the model says %s (%s)", s.State, m.state, s.Reason)
	}
	if m.probes > m.cfg.Probes {
		m.t.Fatalf("%d probes at once", m.probes)
	}
	if (s.State == breaker.Open) == s.RetryAt.IsZero() {
		m.t.Fatalf("state %s, retry at %s", s.State, s.RetryAt)
	}
}

func newModel(t *testing.T, cfg breaker.Config) *model {
	return &model{rig: newRig(t, cfg), cfg: cfg, current: map[breaker.Permit]int{}}
}

// TestMillionSteps drives breaker and model with a million seeded random steps in
// phases of a healthy, a flaky and a dead target. FOREBAY_SEED repeats a run.
func TestMillionSteps(t *testing.T) {
	const steps = 1_000_000
	seed := rand.Uint64()
	if s := os.Getenv("FOREBAY_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("FOREBAY_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	// Probes that come back late are a test of their own: the open time here is long.
	m := newModel(t, breaker.Config{
		Consecutive: 6, FailureRate: 0.2, Window: 10 * time.Second, MinVolume: 20,
		OpenFor: 3 * time.Second, MaxOpenFor: 100 * time.Hour, Probes: 3,
	})
	failing := 0.0
	for i := range steps {
		if i%2000 == 0 {
			failing = []float64{0, 0.02, 0.25, 0.5, 1}[r.IntN(5)]
			m.Reset(m.now) // or long outages push the open time towards its bound
			m.turn(breaker.Closed)
		}
		m.step(r, failing)
	}
	if m.opened < 1000 {
		t.Errorf("opened %d times only: the steps test little", m.opened)
	}
	t.Logf("%d steps, opened %d times", steps, m.opened)
}

// TestRandomConfigs runs the model over other configurations; rapid shrinks what it finds.
func TestRandomConfigs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(t, breaker.Config{
			Consecutive: rapid.IntRange(1, 10).Draw(rt, "consecutive"),
			FailureRate: rapid.Float64Range(0.01, 1).Draw(rt, "rate"),
			Window:      time.Duration(rapid.IntRange(30, 1e6).Draw(rt, "window")) * time.Millisecond,
			MinVolume:   rapid.IntRange(1, 50).Draw(rt, "volume"),
			MaxOpenFor:  1000 * time.Hour,
			Probes:      rapid.IntRange(1, 5).Draw(rt, "probes"),
		})
		failing := rapid.Float64Range(0, 1).Draw(rt, "failing")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
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

// TestNoFalseOpening: a million calls of which one in a hundred fails at random,
// at every pace: at low ones each window is a small sample.
func TestNoFalseOpening(t *testing.T) {
	for _, every := range []time.Duration{50 * time.Millisecond, time.Second, 14 * time.Second} {
		r := rand.New(rand.NewPCG(uint64(every), 2))
		b := newRig(t, breaker.Config{})
		for i := range 1_000_000 {
			if !b.call(r.Float64() < 0.01) {
				t.Fatalf("a call every %s: opened after %d calls: %s", every, i, b.Snapshot(b.now).Reason)
			}
			b.now = b.now.Add(every)
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
