package breaker

import (
	"fmt"
	"time"
)

// jitterShare is how much of the open time chance adds or takes off at most.
const jitterShare = 0.2

// machine is the breaker's state and its rules: a deterministic function of the
// calls of its methods, but for the jitter that it is given. Not safe for
// concurrent use.
type machine struct {
	cfg    Config // with defaults
	jitter func() float64

	state  State
	gen    uint64 // counts states and rounds of probes; permits carry it
	since  time.Time
	reason string

	window      window
	consecutive int

	retryAt time.Time     // while open
	openFor time.Duration // of the last opening, before jitter; 0 before the first

	probes    int // passed and not back yet, of this round
	succeeded int // probes of this round
	probedAt  time.Time

	changes []Change // not yet told, oldest first
	name    string
}

func newMachine(name string, cfg Config, jitter func() float64) machine {
	cfg = cfg.withDefaults()
	return machine{
		cfg: cfg, jitter: jitter, name: name, gen: 1,
		window: window{step: max(cfg.Window/buckets, 1)},
	}
}

// allow decides about one call. It is where an open breaker becomes half-open:
// time alone changes nothing.
func (m *machine) allow(now time.Time) (Permit, bool) {
	if !m.ready(now) {
		return Permit{}, false
	}
	switch {
	case m.state == Open:
		m.enter(HalfOpen, now, m.reason)
	case m.state == HalfOpen && m.probes >= m.cfg.Probes: // ready says: lost
		m.newRound()
	}
	if m.state == HalfOpen {
		m.probes++
		m.probedAt = now
	}
	return Permit{gen: m.gen}, true
}

// ready says what allow would, and changes nothing. Probes that did not come back
// for as long as a breaker may stay open count as lost: whoever forgot them must
// not keep the target shut for ever.
func (m *machine) ready(now time.Time) bool {
	switch m.state {
	case Open:
		return !now.Before(m.retryAt)
	case HalfOpen:
		return m.probes < m.cfg.Probes || now.Sub(m.probedAt) >= m.cfg.MaxOpenFor
	default:
		return true
	}
}

// record takes the outcome of a call. Outcomes of calls that an earlier state let
// through say nothing about this one: they are dropped.
func (m *machine) record(now time.Time, p Permit, o Outcome) {
	if p.gen != m.gen {
		return
	}
	slow := m.cfg.SlowCall > 0 && o.Took >= m.cfg.SlowCall
	if m.state == HalfOpen {
		m.recordProbe(now, o, slow)
		return
	}
	m.window.record(now, o.Failed, slow)
	if o.Failed {
		m.consecutive++
	} else {
		m.consecutive = 0
	}
	if m.cfg.Off || !o.Failed && !slow {
		return
	}
	if reason := m.fault(o, slow); reason != "" {
		m.open(now, reason)
	}
}

// recordProbe lets a probe decide. Slow probes fail: a breaker that opened for
// slow calls would close on them and open again.
func (m *machine) recordProbe(now time.Time, o Outcome, slow bool) {
	m.probes = max(m.probes-1, 0)
	switch {
	case o.Failed:
		m.open(now, because("a probe failed", o.Reason))
	case slow:
		m.open(now, fmt.Sprintf("a probe took %s, slow is from %s", o.Took, m.cfg.SlowCall))
	default:
		if m.succeeded++; m.succeeded >= m.cfg.Probes {
			m.close(now, fmt.Sprintf("%d probes succeeded", m.succeeded))
		}
	}
}

// cancel takes back a call whose end says nothing about the target.
func (m *machine) cancel(p Permit) {
	if p.gen == m.gen && m.state == HalfOpen {
		m.probes = max(m.probes-1, 0)
	}
}

// fault gives the reason to open after a failed or slow call, or nothing.
func (m *machine) fault(o Outcome, slow bool) string {
	if o.Failed {
		if m.cfg.Consecutive > 0 && m.consecutive >= m.cfg.Consecutive {
			return because(fmt.Sprintf("%d failures in a row", m.consecutive), o.Reason)
		}
		if reason := m.failureRate(o); reason != "" {
			return reason
		}
	}
	sum, rate := m.window.sum, m.cfg.SlowRate
	if slow && sum.total >= int64(m.cfg.MinVolume) && exceeds(sum.slow, sum.total, rate, sigmasOfWindow) {
		return fmt.Sprintf("%d of %d calls within %s took %s or longer, allowed are %g %%",
			sum.slow, sum.total, m.cfg.Window, m.cfg.SlowCall, rate*100)
	}
	return ""
}

// failureRate applies the two rate rules: over the window, and over the last calls.
func (m *machine) failureRate(o Outcome) string {
	sum, rate := m.window.sum, m.cfg.FailureRate
	if rate < 0 || sum.total < int64(m.cfg.MinVolume) {
		return ""
	}
	if exceeds(sum.failed, sum.total, rate, sigmasOfWindow) {
		return because(fmt.Sprintf("%d of %d calls within %s failed, allowed are %g %%",
			sum.failed, sum.total, m.cfg.Window, rate*100), o.Reason)
	}
	if n, ok := m.window.recentFailures(); ok && exceeds(n, recentCalls, rate, sigmasOfRecent) {
		return because(fmt.Sprintf("%d of the last %d calls failed, allowed are %g %%", n, recentCalls, rate*100), o.Reason)
	}
	return ""
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// open shuts the target off, for longer if it only just came back.
func (m *machine) open(now time.Time, reason string) {
	switch last := m.openFor; {
	case m.state == Open: // tripped again: not a reopening
		m.openFor = max(last, m.cfg.OpenFor)
	case last == 0 || m.state == Closed && now.Sub(m.since) >= last:
		m.openFor = m.cfg.OpenFor
	case last >= m.cfg.MaxOpenFor/2:
		m.openFor = m.cfg.MaxOpenFor
	default:
		m.openFor = 2 * last
	}
	m.enter(Open, now, reason)
	m.retryAt = now.Add(time.Duration(float64(m.openFor) * (1 - jitterShare + 2*jitterShare*m.jitter())))
}

// close lets calls pass again and forgets what was counted before.
func (m *machine) close(now time.Time, reason string) {
	m.enter(Closed, now, reason)
	m.consecutive = 0
	m.window.clear()
}

// reset closes the breaker and forgets everything, how often it was open too.
func (m *machine) reset(now time.Time) {
	m.close(now, "reset")
	m.openFor = 0
}

// enter changes the state. From here on the permits of before are void.
func (m *machine) enter(to State, now time.Time, reason string) {
	if from := m.state; from != to {
		m.since = now
		if m.cfg.OnChange != nil {
			m.changes = append(m.changes, Change{Name: m.name, From: from, To: to, Reason: reason, At: now})
		}
	}
	m.state, m.reason, m.retryAt = to, reason, time.Time{}
	m.newRound()
}

// newRound voids every permit and starts to count probes afresh.
func (m *machine) newRound() {
	m.gen++
	m.probes, m.succeeded = 0, 0
}

func (m *machine) snapshot(now time.Time) Snapshot {
	if m.state == Closed {
		m.window.advance(now)
	}
	return Snapshot{
		Name: m.name, State: m.state, Since: m.since, Reason: m.reason, RetryAt: m.retryAt,
		Consecutive: m.consecutive, Failures: m.window.sum.failed, Slow: m.window.sum.slow, Total: m.window.sum.total,
	}
}
