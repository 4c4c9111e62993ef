package queue

import "time"

// Numbers of the controlled delay.
const (
	// targetShare of the time that a request brings along may go by in waiting, in
	// the long run: with the deadline of 15 s of somebody who looks at a screen it
	// is 3.75 s. A fixed time would not do, because calls take from 0.3 to 30 s; a
	// share leaves the most of each request's time to its call.
	targetShare = 1.0 / 4
	// intervalTargets is the interval in targets: CoDel has 5 ms and 100 ms (Nichols
	// and Jacobson, "Controlling Queue Delay", ACM Queue 2012). With targetShare
	// this is five times the time of a request. A burst of half as much again as
	// can be served fills the line up to the deadlines in two of these times, and a
	// line that gets half of what it can serve is empty after two more: a wait that
	// outlasts them all is no burst.
	intervalTargets = 20
	// calmTargets, the time that requests have, without a request turned away are the end
	// of a flood, and start the interval of an automatic target anew.
	calmTargets = 4
	// overdueTargets is the wait, in targets, after which a request has to leave
	// while the newest go first: folly's Codel takes two.
	overdueTargets = 2
	// overdueAtOnce is how many of these leave when one joins. It is more than one,
	// so that their number falls, and few, so that most of them get their slot
	// after all when the flood stops at that moment.
	overdueAtOnce = 2
)

// delay is CoDel for the synchronous requests of one band, with what Facebook made
// of it for servers ("Fail at Scale", ACM Queue 2015: a shorter bound on the wait and
// the newest first, while a line stands). The wait of the oldest is watched. As long
// as it falls under the target now and then, the line takes up bursts, first come
// first served. When it has stayed above for a whole interval the line is standing:
// then it only adds delay, and everybody waits for the sake of those before him. Then
//
//   - a tenant whose oldest is over the target as well is slow: its newest goes
//     first, because that has the most time left, and it finds room only while
//     fewer wait than slots are in use; else it is refused at once;
//   - the others, who use less than their share, go on in order of arrival, as long
//     as their wait is likely to be within the target;
//   - whoever waits overdueTargets leaves, but only when somebody else comes: a line
//     that is running dry drops nobody who can still be answered.
//
// It ends when for calmTargets nobody had to be turned away for it.
//
// An automatic target asks for more: the interval begins when a request of the band is
// lost (refused or dropped because of time or room) while the wait is over the
// target, and starts anew when nobody is lost for calmTargets. While all are
// answered within their deadlines nobody is turned away for the sake of a shorter wait.
//
// The packets' CoDel drops at growing frequency until senders slow down. Callers
// here do not slow down one by one, and a retry is a new request.
type delay struct {
	above time.Time // since when the interval runs; zero: it does not
	lost  time.Time // when a request was lost last
	until time.Time // the newest of slow tenants go first until then
}

// watch follows the wait of the band's oldest synchronous request. It is called
// when requests come and go.
func (b *band) watch(now time.Time) {
	b.newestFirst = now.Before(b.delay.until)
	switch {
	case b.newestFirst || !b.slow(now):
		b.delay.above = time.Time{}
	case b.delay.above.IsZero() && !b.patient:
		oldest := b.sync.first
		b.delay.above = oldest.at.Add(oldest.target)
	}
}

// slow says that the band's oldest synchronous request waits for more than its target.
func (b *band) slow(now time.Time) bool {
	it := b.sync.first
	return it != nil && it.target > 0 && now.Sub(it.at) > it.target
}

// lose notes that a request was lost because of time or room. With an automatic
// target the line stands if that has gone on for the interval.
func (b *band) lose(now time.Time, interval time.Duration) {
	d := &b.delay
	if !b.patient || b.newestFirst || !b.slow(now) {
		return
	}
	if target := b.sync.first.target; d.above.IsZero() || now.Sub(d.lost) > calmTargets*target {
		d.above = now
	} else if b.standing(now, interval) {
		b.press(now, target)
	}
	d.lost = now
}

// standing says that the interval is over; 0 means as many times the target as CoDel's.
func (b *band) standing(now time.Time, interval time.Duration) bool {
	if b.delay.above.IsZero() {
		return false
	}
	if interval == 0 {
		interval = scale(b.sync.first.target, intervalTargets)
	}
	return now.Sub(b.delay.above) >= interval
}

// overdue gives the oldest synchronous request if it has to leave, or nil. The last
// one stays: without anybody the band would lose what it has earned towards a slot.
func (b *band) overdue(now time.Time) *item {
	it := b.sync.first
	if b.sync.n < 2 || it.target == 0 || now.Sub(it.at) <= overdueTargets*it.target {
		return nil
	}
	return it
}

// press keeps the newest first until it has been calm.
func (b *band) press(now time.Time, target time.Duration) {
	b.delay.until = now.Add(calmTargets * target)
	b.newestFirst = true
}

// controlled gives a request its target and says whether it has one.
func (c Config) controlled(it *item) bool {
	if it.durable || c.Target < 0 || c.Interval < 0 || mutantCountNotTime {
		return false
	}
	it.target = c.Target
	if c.Target == 0 {
		it.target = time.Duration(float64(it.expires.Sub(it.at)) * targetShare)
	}
	return true
}

// controlLocked is for a request that is about to join: it gives it its target, sees
// whether the line of its band stands, and lets those leave who are overdue.
func (l *Line) controlLocked(it *item, now time.Time) {
	b := &l.order.bands[it.band]
	b.watch(now)
	if !l.cfg.controlled(it) {
		return
	}
	if !b.patient && b.standing(now, l.cfg.Interval) {
		b.press(now, it.target)
	}
	if !b.newestFirst {
		return
	}
	if t := b.tenants[it.tenant]; t != nil && t.sync.n > 0 {
		oldest := t.sync.first
		t.slow = t.slow || now.Sub(oldest.at) > oldest.target
	}
	for range overdueAtOnce {
		v := b.overdue(now)
		if v == nil {
			return
		}
		b.press(now, v.target)
		err := errPastTarget(v, l.estimateLocked(v))
		l.tally.dropped++
		l.removeLocked(v, now)
		v.verdict <- err
	}
}

// crowdedLocked says that it, which waits already, finds no room in a line that stands.
func (l *Line) crowdedLocked(it *item, now time.Time) bool {
	b := &l.order.bands[it.band]
	if it.target == 0 || !b.newestFirst {
		return false
	}
	running := l.running.Load()
	ahead := b.before(it.turn.len()) - 1
	if ahead < int(running) || !it.turn.slow && l.holds.read().wait(ahead, running) <= it.target {
		return false
	}
	b.press(now, it.target)
	return true
}
