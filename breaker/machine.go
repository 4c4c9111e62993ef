package breaker

import (
	"fmt"
	"time"
)

// jitterShare is how much of the open time chance moves it either way.
const jitterShare = 0.2

// machine is the breaker's state and its rules: a deterministic function of the
// calls of its methods, but for the jitter that it is given. Not safe for
// concurrent use.
type machine struct {
	cfg    Config // with defaults
	jitter func() float64
	clock  clock

	state  State
	forced bool   // by hand, until reset
	gen    uint64 // counts states and rounds of probes; permits carry it
	since  time.Duration
	reason string

	window      window
	seen        witnesses
	consecutive int

	retryAt time.Duration // from when probes pass, counted from the last opening
	openFor time.Duration // of the last opening, before jitter; 0 before the first
	// culprit is the source on whose failures alone it is open, 0 for none. Calls of
	// other sources may probe at once: they have yet to meet a failure.
	culprit uint64
	decider uint64 // the source whose failure opened it last, 0 where unknown

	probes    int // passed and not back yet, of this round
	succeeded int // probes of this round
	probedAt  time.Duration

	doubted time.Duration // until when another gateway's word counts; see Breaker.Doubt

	ramp *time.Time // when it closed, nil where it gets its full share

	changes []Change // not yet told, oldest first
	name    string
}

func newMachine(name string, cfg Config, jitter func() float64) machine {
	cfg = cfg.withDefaults()
	m := machine{
		cfg: cfg, jitter: jitter, name: name, gen: 1, since: -1, retryAt: -1,
		window: window{step: max(cfg.Window/buckets, 1)},
		seen:   witnesses{streak: max(cfg.Consecutive, 1)},
		clock:  clock{slack: cfg.MaxOpenFor},
	}
	m.window.clear()
	m.seen.clear()
	return m
}

// allow decides about one call. It is where an open breaker becomes half-open:
// time alone changes nothing.
func (m *machine) allow(now time.Time, source uint64) (Permit, bool) {
	at := m.clock.at(now)
	if !m.ready(at, source) {
		return Permit{}, false
	}
	switch {
	case m.state == Open:
		m.enter(HalfOpen, at, m.reason)
	case m.state == HalfOpen && m.probes >= m.cfg.Probes: // ready says: lost
		m.newRound()
	}
	if m.state == HalfOpen {
		m.probes++
		m.probedAt = at
	}
	return Permit{gen: m.gen}, true
}

// ready says what allow would, and changes nothing. Probes that did not come back
// for as long as a breaker may stay open count as lost: whoever forgot them must
// not keep the target shut for ever.
func (m *machine) ready(at time.Duration, source uint64) bool {
	if m.state == Closed {
		return true
	}
	if m.forced || at < m.retryAt && !m.innocent(source) {
		return false
	}
	return m.state == Open || m.probes < m.cfg.Probes || at-m.probedAt >= m.cfg.MaxOpenFor
}

// innocent says that the breaker is open for another source's failures alone.
func (m *machine) innocent(source uint64) bool {
	return source != 0 && m.culprit != 0 && source != m.culprit
}

// record takes the outcome of a call. Outcomes of calls that an earlier state let
// through say nothing about this one: they are dropped.
func (m *machine) record(now time.Time, p Permit, o Outcome) {
	if p.gen != m.gen {
		return
	}
	at := m.clock.at(now)
	slow := m.cfg.SlowCall > 0 && o.Took >= m.cfg.SlowCall
	if m.state == HalfOpen {
		m.recordProbe(at, o, slow)
		return
	}
	m.window.advance(at)
	from := m.place(at, o.Source)
	m.window.record(from, o.Failed, slow)
	m.seen.record(at, from, o.Failed, slow, m.consecutive > 0)
	if o.Failed {
		m.consecutive++
	} else {
		m.consecutive = 0
	}
	if m.cfg.Off || m.forced || !o.Failed && !slow {
		return
	}
	if v, reason := m.fault(at, o, slow); v != noFault {
		m.culprit = 0
		if v == oneSource {
			m.culprit = o.Source
		}
		m.decider = o.Source
		m.open(at, reason)
	}
}

// recordProbe lets a probe decide. Slow probes fail: a breaker that opened for
// slow calls would close on them and open again.
func (m *machine) recordProbe(at time.Duration, o Outcome, slow bool) {
	m.probes = max(m.probes-1, 0)
	if o.Failed || slow {
		m.reopen(at, o)
		return
	}
	m.succeeded++
	m.seen.record(at, m.place(at, o.Source), false, false, false)
	switch {
	case m.innocent(o.Source):
		m.close(at, "a call of another tenant succeeded")
	case m.succeeded >= m.cfg.Probes:
		m.close(at, fmt.Sprintf("%d probes succeeded", m.succeeded))
	}
}

// reopen follows a failed probe. Where the failure that opened it before was of the
// same source, it is that source's alone once more, whatever there was earlier: or a
// source that always fails, and is there at each probe, would keep the target from
// all others when it is well again.
func (m *machine) reopen(at time.Duration, o Outcome) {
	m.culprit = 0
	if o.Source == m.decider {
		m.culprit = o.Source
	}
	m.decider = o.Source
	if o.Failed {
		m.open(at, because("a probe failed", o.Reason))
		return
	}
	m.open(at, fmt.Sprintf("a probe took %s, slow is from %s", o.Took, m.cfg.SlowCall))
}

// cancel takes back a call whose end says nothing about the target.
func (m *machine) cancel(p Permit) {
	if p.gen == m.gen && m.state == HalfOpen {
		m.probes = max(m.probes-1, 0)
	}
}

// fault judges a failed or slow call, and gives the reason to open, if there is one.
func (m *machine) fault(at time.Duration, o Outcome, slow bool) (verdict, string) {
	if o.Failed {
		if m.cfg.Consecutive > 0 {
			if v := m.inRow(at); v != noFault {
				return v, because(whose(v, o, fmt.Sprintf("%d failures in a row", m.consecutive)), o.Reason)
			}
		}
		if v, what := m.failureRate(at); v != noFault {
			return v, because(whose(v, o, what), o.Reason)
		}
	}
	sum, rate := m.window.sum, m.cfg.SlowRate
	if !slow || sum.total < int64(m.cfg.MinVolume) || !exceeds(sum.slow, sum.total, rate, sigmasOfWindow) {
		return noFault, ""
	}
	of := slowCalls(&m.window.of)
	v := m.spread(at, &of, rate, sigmasOfWindow)
	return v, whose(v, o, fmt.Sprintf("%d of %d calls within %s took %s or longer, allowed are %g %%",
		sum.slow, sum.total, m.cfg.Window, m.cfg.SlowCall, rate*100))
}

// failureRate applies the two rate rules: over the window, and over the last calls.
func (m *machine) failureRate(at time.Duration) (verdict, string) {
	sum, rate := m.window.sum, m.cfg.FailureRate
	if rate < 0 || sum.total < int64(m.cfg.MinVolume) {
		return noFault, ""
	}
	if exceeds(sum.failed, sum.total, rate, sigmasOfWindow) {
		of := failures(&m.window.of)
		if v := m.spread(at, &of, rate, sigmasOfWindow); v != noFault {
			return v, fmt.Sprintf("%d of %d calls within %s failed, allowed are %g %%", sum.failed, sum.total, m.cfg.Window, rate*100)
		}
	}
	if n, ok := m.window.recentFailures(); ok && exceeds(n, recentCalls, rate, sigmasOfRecent) {
		recent := m.window.recentOf()
		of := failures(&recent)
		if v := m.spread(at, &of, rate, sigmasOfRecent); v != noFault {
			return v, fmt.Sprintf("%d of the last %d calls failed, allowed are %g %%", n, recentCalls, rate*100)
		}
	}
	return noFault, ""
}

// whose adds to a reason that the failures are one source's, where sources are told.
func whose(v verdict, o Outcome, what string) string {
	if v == oneSource && o.Source != 0 {
		return what + ", all of one tenant"
	}
	return what
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// trip opens the breaker as a failure would. What is forced stays as it is.
func (m *machine) trip(now time.Time, reason string) {
	if m.forced {
		return
	}
	m.culprit, m.decider = 0, 0
	m.open(m.clock.at(now), reason)
}

// open shuts the target off, for longer if it only just came back.
func (m *machine) open(at time.Duration, reason string) {
	switch last := m.openFor; {
	case m.state == Open: // tripped again: not a reopening
		m.openFor = max(last, m.cfg.OpenFor)
	case last == 0 || m.state == Closed && at-m.since >= last:
		m.openFor = m.cfg.OpenFor
	case last >= m.cfg.MaxOpenFor/2:
		m.openFor = m.cfg.MaxOpenFor
	default:
		m.openFor = 2 * last
	}
	m.enter(Open, at, reason)
	m.retryAt = at + m.jittered(m.openFor)
	for i := range m.seen.of { // what was before an outage says nothing about after it
		m.seen.of[i].served = -1
	}
}

// close lets calls pass again and forgets what was counted before, but not whose
// probes just went well.
func (m *machine) close(at time.Duration, reason string) {
	if m.state != Closed && m.cfg.Ramp > 0 {
		from := m.clock.when(at)
		m.ramp = &from
	}
	m.enter(Closed, at, reason)
	before := m.seen
	m.forget()
	for i, s := range before.of {
		m.seen.of[i] = witness{source: s.source, used: s.used, served: s.served}
	}
}

// forget makes all counts zero.
func (m *machine) forget() {
	m.consecutive, m.culprit, m.decider = 0, 0, 0
	m.window.clear()
	m.seen.clear()
}

// reset ends what was forced, closes the breaker, and forgets everything, how often
// it was open too.
func (m *machine) reset(now time.Time) {
	m.forced = false
	m.close(m.clock.at(now), "reset")
	m.forget()
	m.openFor = 0
}

// force holds the breaker open or closed until reset.
func (m *machine) force(now time.Time, to State, reason string) {
	at := m.clock.at(now)
	if to == Open {
		reason = because("forced open", reason)
	} else {
		reason = because("forced closed", reason)
		m.forget()
	}
	if !m.forced || m.state != to {
		m.since = at
	}
	m.forced, m.openFor = true, 0
	m.enter(to, at, reason)
	m.ramp = nil
}

// enter changes the state. From here on the permits of before are void.
func (m *machine) enter(to State, at time.Duration, reason string) {
	if from := m.state; from != to {
		m.since = at
		if m.cfg.OnChange != nil {
			m.changes = append(m.changes, Change{Name: m.name, From: from, To: to, Reason: reason, At: m.clock.when(at)})
		}
	}
	if to == Open {
		m.ramp = nil
	}
	if to != HalfOpen {
		m.retryAt = -1
	}
	m.state, m.reason = to, reason
	m.newRound()
}

// newRound voids every permit and starts to count probes afresh.
func (m *machine) newRound() {
	m.gen++
	m.probes, m.succeeded = 0, 0
}

func (m *machine) snapshot(now time.Time) Snapshot {
	at := m.clock.at(now)
	if m.state == Closed {
		m.window.advance(at)
	}
	s := Snapshot{
		Name: m.name, State: m.state, Forced: m.forced, Since: m.clock.when(m.since), Reason: m.reason,
		Consecutive: m.consecutive, Failures: m.window.sum.failed, Slow: m.window.sum.slow, Total: m.window.sum.total,
	}
	if m.state == Open {
		s.RetryAt = m.clock.when(m.retryAt)
	}
	if m.state == Closed {
		s.Share = grown(m.ramp, now, m.cfg.Ramp)
	}
	return s
}

// jittered moves an open time by chance: by a fifth either way, but never beyond
// MaxOpenFor, which is a promise of when a target that is well is found to be.
func (m *machine) jittered(d time.Duration) time.Duration {
	low := 1 - jitterShare
	if over := float64(d)*(1+jitterShare) - float64(m.cfg.MaxOpenFor); over > 0 {
		low -= over / float64(d)
	}
	return time.Duration(float64(d) * (low + 2*jitterShare*m.jitter()))
}
