package limit

import (
	"math"
	"time"
)

// grow raises the bound where all that it allows was in use and went well.
func (l *law) grow() {
	if l.bound >= l.ceiling {
		l.ramping = false
		return
	}
	if l.ramping {
		l.ramp()
		return
	}
	if l.episode.open {
		return
	}
	if l.now-l.sign > probeLong {
		l.wall = 0
	}
	atWall := l.wall > 0 && l.bound+1 >= l.wall
	if atWall && l.byRefusal && l.bound < l.wall && (l.clean < probeCalls || l.now-l.sign < probeWait) {
		return
	}
	if !l.accepted(atWall) && !l.well(atWall) {
		return
	}
	if atWall && l.bound >= l.wall {
		l.wall, atWall = 0, false // it is not too much any more
		l.step *= growth
	}
	to := l.bound + l.step
	switch {
	case atWall:
		to = l.bound + 1
	case l.wall > 0 && to > l.wall-1:
		to = l.wall - 1
	default:
		l.step *= growth
	}
	l.step = min(l.step, l.ceiling)
	l.needless(to)
	l.move(min(to, l.ceiling), ReasonHealthy)
}

// well says that enough calls were sent under this bound, used it, and came back as
// fast as usual.
func (l *law) well(atWall bool) bool {
	e := &l.epoch
	need, allowed, used := max(fewest, l.bound/4), 1.0, usedShare*float64(l.bound)
	if atWall {
		need, used, allowed = max(careful, l.bound/4), float64(l.bound), slack
	}
	if e.n < need || float64(e.most) < used {
		return false
	}
	if e.z >= allowed*float64(e.n) {
		e.look()
		return false
	}
	return true
}

// accepted says that a target which refuses what is too much has had time enough to do
// so, while all that is allowed was in use: no need to wait for the answers.
func (l *law) accepted(atWall bool) bool {
	e := &l.epoch
	used := usedShare * float64(l.bound)
	if atWall {
		used = float64(l.bound)
	}
	if !l.byRefusal || float64(l.inFlight) < used || l.first.slow >= alarmAt/2 {
		return false
	}
	if e.full < 0 {
		e.full = l.now
	}
	return l.now-e.full >= max(2*l.refuseTook, refuseSoon)
}

// slowStart begins a ramp, with so many calls in progress.
func (l *law) slowStart(inFlight int) {
	l.inFlight = inFlight
	l.first.reset()
	l.token.reset()
	l.refused, l.wall, l.step, l.hits = 0, 0, 1, 0
	l.episode = episode{}
	l.cut = l.now
	l.ramping, l.rampAt = true, l.now
	l.rampOf = min(max((l.ceiling+9)/10, 2), l.ceiling)
	l.move(l.rampOf, ReasonSlowStart)
}

// ramp raises the bound with time. It is called for good answers only.
func (l *law) ramp() {
	to := float64(l.rampOf) * math.Exp2(float64(l.now-l.rampAt)/float64(rampStep))
	if n := int(min(to, float64(l.ceiling))); n > l.bound {
		l.move(n, ReasonSlowStart)
	}
}

// pulse measures how many answers begin in a second.
type pulse struct {
	at [16]time.Duration // of the last answers
	n  int
}

func (p *pulse) beat(now time.Duration) {
	p.at[p.n%len(p.at)] = now
	p.n++
}

// rate is how many answers begin in a nanosecond, over the last 16.
func (p *pulse) rate(now time.Duration) float64 {
	k := min(p.n, len(p.at))
	if k < 2 {
		return 0
	}
	return float64(k-1) / float64(max(now-p.at[(p.n-k)%len(p.at)], time.Millisecond))
}
