package breaker_test

import (
	"math"
	"time"

	"github.com/forebay-ai/forebay/breaker"
)

// past is one outcome that the plain breaker remembers.
type past struct {
	step         int // of the window, counted from when it closed
	source       uint64
	failed, slow bool
}

// plain is the breaker written down a second time, plainly and slowly: it remembers every
// outcome since it closed and counts when asked. It has no jitter: for how long it is
// open it takes from the real one, and checks that it may be.
type plain struct {
	cfg               breaker.Config
	state             breaker.State
	forced            bool
	now, since        time.Time // the latest time seen, and when the state began
	retryAt           time.Time
	openFor           time.Duration
	ramp              time.Time // when it closed; zero for no ramp
	past              []past
	served            map[uint64]time.Time
	probes, succeeded int
	culprit, decider  uint64
	stepEnds          time.Time
	step              int
	tie               bool // the last outcome: a rule asked for the worst source, and two are
	opened, alone     int  // how often: from closed, for one source alone
}

func newPlain(cfg breaker.Config) *plain {
	return &plain{cfg: cfg, served: map[uint64]time.Time{}}
}

// see moves the time on, never back.
func (p *plain) see(now time.Time) {
	if now.After(p.now) {
		p.now = now
	}
}

func (p *plain) turn(to breaker.State) {
	if p.state != to {
		p.since = p.now
	}
	if p.state != breaker.Closed && to == breaker.Closed && p.cfg.Ramp > 0 {
		p.ramp = p.now
	}
	if to == breaker.Open {
		p.ramp, p.served = time.Time{}, map[uint64]time.Time{}
	}
	p.state, p.probes, p.succeeded = to, 0, 0
	if to == breaker.Closed {
		p.past, p.stepEnds, p.step, p.culprit, p.decider = nil, time.Time{}, 0, 0, 0
	}
}

func (p *plain) ready(source uint64) bool {
	innocent := source != 0 && p.culprit != 0 && p.culprit != source
	due := !p.now.Before(p.retryAt) || innocent
	switch {
	case p.state == breaker.Closed:
		return true
	case p.forced:
		return false
	case p.state == breaker.Open:
		return due
	}
	return due && p.probes < p.cfg.Probes
}

func (p *plain) allow() {
	if p.state == breaker.Open {
		p.turn(breaker.HalfOpen)
	}
	if p.state == breaker.HalfOpen {
		p.probes++
	}
}

// open leaves retryAt to be taken over.
func (p *plain) open() {
	if p.state == breaker.Open {
		p.openFor = max(p.openFor, p.cfg.OpenFor)
	} else if p.openFor == 0 || p.state == breaker.Closed && p.now.Sub(p.since) >= p.openFor {
		p.openFor = p.cfg.OpenFor
	} else {
		p.openFor = min(2*p.openFor, p.cfg.MaxOpenFor)
	}
	p.turn(breaker.Open)
	p.retryAt = time.Time{}
}

func (p *plain) record(source uint64, failed, slow bool) {
	if p.state == breaker.Closed {
		p.recordClosed(past{source: source, failed: failed, slow: slow})
		return
	}
	p.probes--
	switch {
	case failed || slow:
		p.culprit = 0
		if source == p.decider {
			p.culprit = source
		}
		p.decider = source
		p.open()
	case source != 0 && p.culprit != 0 && p.culprit != source:
		p.served[source] = p.now
		p.turn(breaker.Closed)
	default:
		p.served[source] = p.now
		if p.succeeded++; p.succeeded == p.cfg.Probes {
			p.turn(breaker.Closed)
		}
	}
}

func (p *plain) recordClosed(o past) {
	p.toStep()
	o.step = p.step
	p.past = append(p.past, o)
	if !o.failed && !o.slow {
		p.served[o.source] = p.now
		return
	}
	if p.forced || p.cfg.Off {
		return
	}
	opens, alone := p.mustOpen(o)
	if !opens {
		return
	}
	p.culprit, p.decider = 0, o.source
	if p.opened++; alone {
		p.culprit = o.source
		p.alone++
	}
	p.open()
}

// toStep counts the steps of the window; the first begins with the first outcome, or
// with the first look at the counts.
func (p *plain) toStep() {
	step := p.cfg.Window / 30
	if p.stepEnds.IsZero() || p.now.Sub(p.stepEnds) >= 30*step {
		p.stepEnds = p.now.Add(step)
		p.step += 30
	}
	for !p.now.Before(p.stepEnds) {
		p.stepEnds = p.stepEnds.Add(step)
		p.step++
	}
}

// tally is calls of one source, or of several.
type tally struct{ total, failed, slow int }

// count counts the outcomes that pass a filter, which is handed their age in calls.
func (p *plain) count(which func(o past, age int) bool) (c tally) {
	for i, o := range p.past {
		if !which(o, len(p.past)-1-i) {
			continue
		}
		c.total++
		if o.failed {
			c.failed++
		}
		if o.slow {
			c.slow++
		}
	}
	return c
}

func (p *plain) inWindow(o past) bool { return o.step > p.step-30 }

func (p *plain) window() tally {
	return p.count(func(o past, _ int) bool { return p.inWindow(o) })
}

// sources are those seen since it closed, and those whose probes went well.
func (p *plain) sources() map[uint64]bool {
	all := map[uint64]bool{}
	for _, o := range p.past {
		all[o.source] = true
	}
	for s := range p.served {
		all[s] = true
	}
	return all
}

// above is the rule of the rates: more than so many standard deviations too much.
func above(hits, n int, rate, sigmas float64) bool {
	return float64(hits) > rate*float64(n) && float64(hits)-rate*float64(n) > sigmas*math.Sqrt(rate*(1-rate)*float64(n))
}

// loner says that a source fails by itself.
func (p *plain) loner(source uint64) bool {
	if !p.othersServed(source, nil) {
		return false
	}
	first, streak := 0, 0 // the streak's first failure, and its length
	for i, o := range p.past {
		switch {
		case o.source == source && !o.failed:
			streak = 0
		case o.source == source:
			if streak++; streak == 1 {
				first = i
			}
		}
	}
	since := p.count(func(o past, age int) bool { return o.source != source && len(p.past)-1-age > first })
	passed := since.total - since.failed
	if streak >= max(p.cfg.Consecutive, 1) && passed >= 2 && passed >= 4*since.failed {
		return true
	}
	own := p.count(func(o past, _ int) bool { return p.inWindow(o) && o.source == source })
	rest := p.count(func(o past, _ int) bool { return p.inWindow(o) && o.source != source })
	return p.cfg.FailureRate >= 0 && above(own.failed, own.total, p.cfg.FailureRate, 3) &&
		rest.total > 0 && !above(rest.failed, rest.total, p.cfg.FailureRate, 3)
}

func (p *plain) othersServed(source uint64, without map[uint64]bool) bool {
	for s, at := range p.served {
		if s != source && !without[s] && p.now.Sub(at) < time.Minute {
			return true
		}
	}
	return false
}

// mustOpen says whether the last outcome opens it, and whether one source does so alone.
func (p *plain) mustOpen(last past) (opens, alone bool) {
	all := p.window()
	loners := map[uint64]bool{}
	for s := range p.sources() {
		if p.loner(s) {
			loners[s] = true
		}
	}
	if last.failed {
		if opens, alone = p.row(loners); opens {
			return opens, alone
		}
		if p.cfg.FailureRate >= 0 && all.total >= p.cfg.MinVolume {
			in := func(o past, _ int) bool { return p.inWindow(o) }
			if above(all.failed, all.total, p.cfg.FailureRate, 3) {
				if opens, alone = p.rate(loners, in, false, p.cfg.FailureRate, 3); opens {
					return opens, alone
				}
			}
			in = func(_ past, age int) bool { return age < 64 }
			if c := p.count(in); all.total >= 64 && above(c.failed, c.total, p.cfg.FailureRate, 5) {
				if opens, alone = p.rate(loners, in, false, p.cfg.FailureRate, 5); opens {
					return opens, alone
				}
			}
		}
	}
	if last.slow && all.total >= p.cfg.MinVolume && above(all.slow, all.total, p.cfg.SlowRate, 3) {
		return p.rate(loners, func(o past, _ int) bool { return p.inWindow(o) }, true, p.cfg.SlowRate, 3)
	}
	return false, false
}

// row applies the rule of failures in a row.
func (p *plain) row(loners map[uint64]bool) (opens, alone bool) {
	if p.cfg.Consecutive < 0 || p.consecutive() < p.cfg.Consecutive {
		return false, false
	}
	of, n := map[uint64]int{}, 0
	for i := len(p.past) - 1; i >= 0 && p.past[i].failed; i-- {
		if s := p.past[i].source; !loners[s] {
			of[s]++
			n++
		}
	}
	if n < p.cfg.Consecutive {
		return false, false
	}
	worst, tie := uint64(0), false
	for s, c := range of {
		if c == of[worst] && s != worst {
			tie = true
		} else if c > of[worst] {
			worst, tie = s, false
		}
	}
	if n-of[worst] >= min(2, p.cfg.Consecutive) {
		return true, false
	}
	p.tie = p.tie || tie
	return !p.othersServed(worst, loners), n == of[worst]
}

func (p *plain) consecutive() (n int) {
	for i := len(p.past) - 1; i >= 0 && p.past[i].failed; i-- {
		n++
	}
	return n
}

// rate applies a rule of rates to the calls that pass a filter.
func (p *plain) rate(loners map[uint64]bool, in func(past, int) bool, slow bool, rate, sigmas float64) (opens, alone bool) {
	hits := func(which func(past) bool) (int, int) {
		c := p.count(func(o past, age int) bool { return in(o, age) && which(o) })
		if slow {
			return c.slow, c.total
		}
		return c.failed, c.total
	}
	worst, most, tie := uint64(0), 0.0, false
	for s := range p.sources() {
		h, n := hits(func(o past) bool { return o.source == s })
		switch over := float64(h) - rate*float64(n); {
		case loners[s] || over <= 0:
		case over == most:
			tie = true
		case over > most:
			worst, most, tie = s, over, false
		}
	}
	h, n := hits(func(o past) bool { return !loners[o.source] })
	if most == 0 || !above(h, n, rate, sigmas) {
		return false, false
	}
	p.tie = p.tie || tie
	h, n = hits(func(o past) bool { return !loners[o.source] && o.source != worst })
	others := above(h, n, rate, sigmas)
	if others && h >= 4 {
		return true, false
	}
	return !p.othersServed(worst, loners), !others
}

func (p *plain) share() float64 {
	switch past := p.now.Sub(p.ramp); {
	case p.state != breaker.Closed:
		return 0
	case p.ramp.IsZero() || past >= p.cfg.Ramp:
		return 1
	default:
		return 0.1 + 0.9*float64(past)/float64(p.cfg.Ramp)
	}
}
