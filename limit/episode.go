package limit

import (
	"math"
	"time"
)

const (
	lessShare = 0.7 // of a bound; a cut for slowness goes there at least, or nobody could see whether it helps
	mostCut   = 0.2 // of a bound; lower it does not go before it shows whether that helps

	// A cut is judged by so many calls, or by the fewest where they take longer than judgeWait.
	judgeCalls  = 8
	judgeFewest = 4
	judgeWait   = 3 * time.Second
)

// episode is a series of cuts for slowness. Each cut is judged before the next one: the
// calls that were sent when the bound was all that was in progress are compared with
// those before the first cut.
type episode struct {
	signal *signal
	top    int           // the bound before the series
	base   int           // the bound with which calls were as late as late says
	late   float64       // nanoseconds
	last   time.Duration // the last cut
	trip   time.Duration // how long an answer took to come by then

	again   bool          // the last cut is the second one after which to tell
	open    bool          // the last cut is not judged yet
	settled time.Duration // when the calls in progress were no more than the bound; -1: not yet
	seen    tally         // calls sent since it settled
}

// add takes a reading of a call that was sent at start.
func (e *episode) add(g *signal, r reading, start time.Duration) {
	if !e.open || e.signal != g || !r.known || e.settled < 0 || start < e.settled {
		return
	}
	if start <= e.settled+e.trip || e.seen.n < judgeCalls { // all of one trip's: the first to come are the fast ones
		e.seen.add(r, g.most())
	}
}

// slow acts on an alarm, raised by a call that was sent with n in progress.
func (l *law) slow(g *signal, n int) {
	if l.bound == 1 { // one call alone is not too many
		l.mistaken(g, g.slowOf.mean(), 1)
		return
	}
	x, late := g.slowOf.mean(), g.slowOf.delay()
	e, to, least := l.series(g, late), l.room(g, n)*aimShare, lessShare
	if x > 1 { // nearly three times as slow as usual
		least = 0.25
	}
	if e.base == l.bound {
		to = min(to, lessShare*float64(l.bound))
	}
	to = max(to, least*float64(l.bound), mostCut*float64(e.base))
	why := ReasonSlowFirst
	e.trip = time.Duration(g.slowOf.usual() + late)
	if g == &l.token {
		why, e.trip = ReasonSlowToken, time.Duration(l.serve)
	}
	l.lower(int(to), l.bound, why)
	l.episode = e
	g.reset()
}

// series is what a cut now is judged by: it goes on where the last cut is not long ago.
func (l *law) series(g *signal, late float64) episode {
	e := l.episode
	if e.signal == nil || l.bound >= e.top || l.now-e.last > probeLong {
		e = episode{top: l.bound}
	}
	if e.signal != g {
		e.signal, e.base, e.late = g, l.bound, late
	}
	e.last, e.open, e.settled, e.seen = l.now, true, -1, tally{}
	return e
}

// room is how many of n calls the target works on, while the others wait.
func (l *law) room(g *signal, n int) float64 {
	x, late := g.slowOf.mean(), g.slowOf.delay()
	if g == &l.token {
		return float64(n) * math.Exp(g.allowed-x) // shared by fewer, the rest is as fast as is allowed
	}
	rate := l.pulse.rate(l.now)
	room := float64(n) - rate*late // Little: so many of n were waiting
	if x > 1 {                     // and so many are worked on, which is known sooner
		room = (max(room, 0) + rate*l.serve) / 2
	}
	return room
}

// judge tells whether the last cut has helped, once that shows. If a line of ours at the
// target was what made calls slow, it got shorter with the bound, or more so. If not, calls
// were not to blame: the bound goes back, and what is seen is usual from now on.
func (l *law) judge() {
	e := &l.episode
	if !e.open {
		return
	}
	if e.settled < 0 && l.inFlight <= l.bound {
		e.settled = l.now
		l.first.reset()
		l.token.reset()
	}
	if e.settled < 0 || l.now < e.settled+e.trip*3/2 || e.seen.n < judgeFewest ||
		e.seen.n < judgeCalls && l.now < e.settled+e.trip*3/2+judgeWait {
		e.open = l.now-e.last < 4*e.trip+probeLong // nothing to see any more
		return
	}
	e.open = false
	helps := e.late * (1 + float64(l.bound)/float64(e.base)) / 2 // half of what is to be expected
	switch {
	case e.seen.delay() <= helps:
		e.again = false
	case e.again || l.bound == 1:
		l.mistaken(e.signal, e.seen.mean(), e.top)
	default:
		l.cutAgain()
	}
}

// cutAgain cuts the bound once more where a cut seems not to have helped: a line may have
// grown faster than the bound was cut. Now it stands, so that the next look tells.
func (l *law) cutAgain() {
	e := l.episode
	e.base, e.late, e.again = l.bound, e.seen.delay(), true
	e.trip = time.Duration(e.seen.usual() + e.late)
	if e.signal == &l.token {
		e.trip = time.Duration(l.serve)
	}
	e.last, e.open, e.settled, e.seen = l.now, true, -1, tally{}
	l.lower(l.bound/2, l.bound, l.why)
	l.episode = e
}

// mistaken acts on an alarm that was none: it was about what is usual now.
func (l *law) mistaken(g *signal, x float64, to int) {
	g.shift(x)
	g.relearn()
	g.doubt(l.now)
	l.first.reset()
	l.token.reset()
	l.episode = episode{}
	l.wall, l.step = 0, 1
	if to > l.bound {
		l.move(to, ReasonMistaken)
	}
}

// needless doubts the signal that the bound was last cut for when the bound is back
// where it was, and soon: it was chance, or did not matter.
func (l *law) needless(to int) {
	if e := &l.episode; e.signal != nil && to >= e.top && l.now-e.last < probeLong {
		e.signal.doubt(l.now)
		*e = episode{}
	}
}
