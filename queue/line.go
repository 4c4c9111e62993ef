package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Slots is what a line needs of a limiter. Both methods return at once, may be
// called concurrently and do not call the line.
type Slots interface {
	// TryAcquire takes a slot if one is free and says whether it did.
	TryAcquire() bool
	// Release gives one back.
	Release()
}

// Entry is what a line wants to know of a request.
type Entry struct {
	Priority llm.Priority
	// Tenant is whose turn it is within the band.
	Tenant string
	// Deadline is the end of the whole call. Zero means none: then MaxAge bounds the
	// wait. It matters to requests that have to wait; a request that finds a slot free
	// gets it without a look at the clock.
	Deadline time.Time
	// Bytes is what the request keeps in memory while it waits.
	Bytes int
}

// draining is added to the gate of a line that takes nobody in any more.
const draining = 1 << 40

// Line is the waiting line of one target. It may be used concurrently; NewLine makes it.
type Line struct {
	cfg   Config
	slots Slots

	// gate is the number of requests that wait, plus draining. While it is 0 a
	// request may take a slot without the lock. It is written under mu.
	//
	// No wake-up is lost: whoever joins raises the gate and then looks for a slot
	// once more; whoever leaves gives the slot back and then looks at the gate. In
	// whatever order the two meet, one of them sees the other.
	gate    atomic.Int64
	running atomic.Int64 // slots held by requests of this line
	started atomic.Int64 // requests that got a slot
	holds   holds

	mu    sync.Mutex // guards order, tally and the reading of holds; never held while waiting
	order order
	tally tally
}

// tally counts what Stats reports.
type tally struct {
	waited, refused, expired, displaced, cancelled, unmatched int64
}

// NewLine makes an empty line in front of slots. Values that Validate refuses
// count as the defaults.
func NewLine(cfg Config, slots Slots) *Line {
	cfg = cfg.withDefaults()
	return &Line{cfg: cfg, slots: slots, order: newOrder(cfg)}
}

// Enter returns with a slot, which Leave gives back, or with an *llm.Error. The
// duration is how long the request waited, 0 if it did not have to.
//
// PolicyOverloaded means no room (Limit queue.max, queue.max_bytes or queue.off) or no
// hope (deadline, queue.max_age), seen at the door or later: when the line is full,
// the newest request of the lowest band gives way to one of a higher band, and one
// of the tenant with the most waiting to another tenant of its band. Its RetryAfter is the estimated wait at its place,
// rounded up to whole seconds, from 1 s to 60 s. ForebayDraining means that Drain
// was called; CallerCancelled and CallerDeadline that ctx or the entry's deadline ended.
func (l *Line) Enter(ctx context.Context, e Entry) (wait time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		l.mu.Lock()
		l.tally.cancelled++
		l.mu.Unlock()
		return 0, callerGone(ctx)
	}
	if l.gate.Load() == 0 && l.tryStart(e.Priority) {
		return 0, nil
	}
	it := newItem(e)
	l.mu.Lock()
	err = l.joinLocked(it)
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	select {
	case err := <-it.verdict: // got a slot at once
		return 0, err
	default:
		return l.wait(ctx, it)
	}
}

func newItem(e Entry) *item {
	return &item{
		band: e.Priority.Index(), tenant: e.Tenant, deadline: e.Deadline,
		bytes: int64(max(e.Bytes, 0)), verdict: make(chan error, 1),
	}
}

// Leave gives back the slot that Enter took, after it was held for so long, and
// hands it to the next in line. A held of 0 says nothing about the target and is
// left out of the estimates. A Leave without an Enter changes nothing but a count.
func (l *Line) Leave(held time.Duration) {
	l.holds.record(held)
	if !l.finish() {
		l.mu.Lock()
		l.tally.unmatched++
		l.mu.Unlock()
		return
	}
	l.slots.Release()
	if l.gate.Load() != 0 {
		l.Wake()
	}
}

// Wake hands free slots to those who wait. Leave does so by itself; whoever makes
// room in another way (a higher limit, a slot given back behind the line's back)
// calls Wake.
func (l *Line) Wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dispatchLocked(time.Now())
}

// Drain refuses new requests from now on. Those who wait still get their slots.
func (l *Line) Drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate.Store(l.gate.Load() | draining)
}

// tryStart takes a slot if there is one for the band.
func (l *Line) tryStart(p llm.Priority) bool {
	if !l.slots.TryAcquire() {
		return false
	}
	if n := l.running.Add(1); l.cfg.QueueAt > 0 && n > int64(l.cfg.QueueAt) && p.Index() != critical {
		l.running.Add(-1)
		l.slots.Release()
		return false
	}
	l.started.Add(1)
	return true
}

// finish takes one off the running, if there is one.
func (l *Line) finish() bool {
	for {
		n := l.running.Load()
		if n <= 0 {
			return false
		}
		if l.running.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// joinLocked puts it into the line and looks for a slot; if there is none, it says
// why it may not stay, or nil. The look comes first: bounds are for those who wait.
func (l *Line) joinLocked(it *item) error {
	now := time.Now()
	it.at, it.expires = now, now.Add(l.cfg.MaxAge)
	if !it.deadline.IsZero() && it.deadline.Before(it.expires) {
		it.expires = it.deadline
	}
	if err := l.closedLocked(it, now); err != nil {
		l.dispatchLocked(now) // tryStart may have held a slot that another looked for
		return err
	}
	l.pushLocked(it)
	l.dispatchLocked(now)
	if it.turn == nil {
		return nil // its verdict is there
	}
	if err := l.admitLocked(it, now); err != nil {
		l.removeLocked(it)
		l.tally.refused++
		return err
	}
	l.tally.waited++
	return nil
}

// closedLocked is why it may not even join.
func (l *Line) closedLocked(it *item, now time.Time) error {
	switch {
	case l.gate.Load()&draining != 0:
		l.tally.refused++
		return errDraining()
	case !it.expires.After(now):
		l.tally.expired++
		return l.deadlinePassedLocked(it, now)
	}
	return nil
}

// admitLocked says whether it may wait, and makes room for it.
func (l *Line) admitLocked(it *item, now time.Time) error {
	if l.cfg.Off {
		return l.errOffLocked()
	}
	estimate := l.estimateLocked(it)
	if err := l.hopelessLocked(it, now, estimate); err != nil {
		return err
	}
	if l.cfg.MaxBytes >= 0 && l.order.bytes-l.order.bytesBelow(it.band) > l.cfg.MaxBytes {
		return l.errTooManyBytes(estimate)
	}
	for {
		var v *item
		switch {
		case l.order.waiting > l.cfg.Max:
			v = l.order.victim(it)
		case l.cfg.MaxBytes >= 0 && l.order.bytes > l.cfg.MaxBytes:
			v = l.order.lowest(it.band)
		default:
			return nil
		}
		if v == nil {
			return l.errFull(estimate)
		}
		l.displaceLocked(v)
	}
}

// displaceLocked sends a waiting request away to make room for another.
func (l *Line) displaceLocked(v *item) {
	err := l.errDisplaced(l.estimateLocked(v))
	l.tally.displaced++
	l.removeLocked(v)
	v.verdict <- err
}

// estimateLocked is how long it, which waits already, has to wait yet.
func (l *Line) estimateLocked(it *item) time.Duration {
	ahead := l.order.ahead(it.band, it.turn.items.Len(), it.at, true)
	return l.holds.read().wait(ahead, l.running.Load())
}

func (l *Line) pushLocked(it *item) {
	l.order.push(it)
	l.gate.Add(1)
}

func (l *Line) removeLocked(it *item) {
	l.order.remove(it)
	l.gate.Add(-1)
}

// dispatchLocked hands out slots in order until there is none or nobody is left to
// take one. Those who would not be answered in time leave without one.
func (l *Line) dispatchLocked(now time.Time) {
	for {
		onlyCritical := l.cfg.QueueAt > 0 && l.running.Load() >= int64(l.cfg.QueueAt)
		it := l.order.choose(onlyCritical)
		if it == nil {
			return
		}
		if err := l.lateLocked(it, now); err != nil {
			l.tally.expired++
			l.removeLocked(it)
			it.verdict <- err
			continue
		}
		if !l.slots.TryAcquire() {
			return
		}
		l.running.Add(1)
		l.started.Add(1)
		l.order.take(it)
		l.gate.Add(-1)
		it.verdict <- nil
	}
}

// wait waits for the verdict, the end of ctx or the time from which it is useless.
func (l *Line) wait(ctx context.Context, it *item) (time.Duration, error) {
	timer := time.NewTimer(time.Until(it.expires))
	defer timer.Stop()
	var err error
	select {
	case err = <-it.verdict:
	case <-timer.C:
		err = l.expire(it)
	case <-ctx.Done():
		err = l.abandon(ctx, it)
	}
	return time.Since(it.at), err
}

// expire ends a wait whose time is up, unless a verdict was faster.
func (l *Line) expire(it *item) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it.turn == nil {
		return <-it.verdict // sent under the lock: it is there
	}
	l.tally.expired++
	now := time.Now()
	err := l.deadlinePassedLocked(it, now)
	l.removeLocked(it)
	return err
}

// abandon ends the wait of a request whose caller is gone. A slot that it was
// given at the same moment goes to the next.
func (l *Line) abandon(ctx context.Context, it *item) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it.turn != nil {
		l.removeLocked(it)
	} else if err := <-it.verdict; err != nil {
		return err
	} else {
		l.started.Add(-1)
		l.finish()
		l.slots.Release()
		l.dispatchLocked(time.Now())
	}
	l.tally.cancelled++
	return callerGone(ctx)
}
