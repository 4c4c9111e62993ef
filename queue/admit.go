package queue

import (
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// joinLocked puts it into the line and looks for a slot; if there is none, it says
// where it stands or why it may not stay. The look comes first: bounds are for those who wait.
func (l *Line) joinLocked(it *item) (place llm.Place, err error) {
	now := time.Now()
	it.arrive(now, l.cfg.MaxAge)
	if err := l.closedLocked(it, now); err != nil {
		l.dispatchLocked(now) // tryStart may have held a slot that another looked for
		return place, err
	}
	l.controlLocked(it, now)
	l.pushLocked(it)
	l.dispatchLocked(now)
	if it.turn == nil {
		return place, nil // its verdict is there
	}
	if err := l.admitLocked(it, now); err != nil {
		l.loseLocked(it, now)
		l.order.retract(it)
		l.gate.Add(-1)
		l.tally.refused++
		return place, err
	}
	l.tally.waited++
	return l.placeLocked(it), nil
}

// arrive notes the time of arrival and how long it may wait.
func (it *item) arrive(now time.Time, maxAge time.Duration) {
	it.at, it.expires = now, it.deadline
	if most := now.Add(maxAge); !it.durable && (it.deadline.IsZero() || most.Before(it.deadline)) {
		it.expires = most
	}
}

// over says that its time to wait is up.
func (it *item) over(now time.Time) bool { return !it.expires.IsZero() && !it.expires.After(now) }

// closedLocked is why it may not even join.
func (l *Line) closedLocked(it *item, now time.Time) error {
	switch {
	case l.gate.Load()&draining != 0:
		l.tally.refused++
		return errDraining()
	case it.over(now):
		l.tally.expired++
		return l.deadlinePassedLocked(it, now)
	}
	return nil
}

// admitLocked says whether it, which is in the line already, may wait there, and
// makes room for it.
func (l *Line) admitLocked(it *item, now time.Time) error {
	if it.durable {
		return nil
	}
	if l.cfg.Off {
		return l.errOffLocked()
	}
	estimate := l.estimateLocked(it)
	if err := l.hopelessLocked(it, now, estimate); err != nil {
		return err
	}
	if l.crowdedLocked(it, now) {
		return errPastTarget(it, estimate)
	}
	return l.makeRoomLocked(it, estimate)
}

// makeRoomLocked sends others away until those who wait keep within the bounds, or
// says why it has to go itself.
func (l *Line) makeRoomLocked(it *item, estimate time.Duration) error {
	if l.cfg.MaxBytes >= 0 && l.order.bytes-l.order.bytesBelow(it.band) > l.cfg.MaxBytes {
		return l.errTooManyBytes(estimate)
	}
	for {
		var v *item
		switch {
		case l.order.synchronous() > l.cfg.Max:
			v = l.order.victim(it)
		case l.cfg.MaxBytes >= 0 && l.order.bytes > l.cfg.MaxBytes:
			v = l.order.lowest(it.band)
		default:
			return nil
		}
		if v == nil {
			return l.errFull(estimate)
		}
		err := l.errDisplaced(l.estimateLocked(v))
		l.tally.displaced++
		l.loseLocked(v, it.at)
		l.removeLocked(v, it.at)
		v.verdict <- err
	}
}

// loseLocked notes that it, which waits, goes without a slot because of time or room.
func (l *Line) loseLocked(it *item, now time.Time) {
	if !it.durable {
		l.order.bands[it.band].lose(now, l.cfg.Interval)
	}
}

// estimateLocked is how long it, which waits already, would have to wait yet if
// everybody came in order of arrival: what it can count on, whoever goes first.
func (l *Line) estimateLocked(it *item) time.Duration {
	ahead := l.order.ahead(it.band, it.turn.len(), it.at, true)
	return l.holds.read().wait(ahead, l.running.Load())
}

func (l *Line) pushLocked(it *item) {
	l.order.push(it)
	l.order.bands[it.band].watch(it.at)
	l.gate.Add(1)
}

func (l *Line) removeLocked(it *item, now time.Time) {
	l.order.remove(it)
	l.order.bands[it.band].watch(now)
	l.gate.Add(-1)
}

// dispatchLocked hands out slots in order until there is none or nobody is left to
// take one. Those who would not be answered in time leave without one.
func (l *Line) dispatchLocked(now time.Time) {
	for i := range l.order.bands {
		l.order.bands[i].watch(now)
	}
	for {
		onlyCritical := l.cfg.QueueAt > 0 && l.running.Load() >= int64(l.cfg.QueueAt)
		it := l.order.choose(onlyCritical)
		if it == nil {
			return
		}
		if err := l.lateLocked(it, now); err != nil {
			l.tally.expired++
			l.loseLocked(it, now)
			l.removeLocked(it, now)
			it.verdict <- err
			continue
		}
		if !l.slots.TryAcquire() {
			return
		}
		l.running.Add(1)
		l.started.Add(1)
		l.waits[it.band].record(now.Sub(it.at))
		l.order.take(it)
		l.order.bands[it.band].watch(now)
		l.gate.Add(-1)
		it.verdict <- nil
	}
}
