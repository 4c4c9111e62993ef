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
	// Durable marks a claimed job, whose number is bounded where it is claimed. It
	// has its place by band, tenant and arrival like everybody. But it waits until its
	// Deadline, even if waiting is switched off, takes none of the places of
	// Config.Max and Config.MaxBytes, gives way to nobody, is not refused because
	// its wait looks hopeless, and is first in, first out at all times. It gets no slot any
	// more when the time left is too short for the call.
	Durable bool
	// Waiting is told when the request begins and ends to wait. It may be nil.
	Waiting *llm.Waiting
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

	mu    sync.Mutex // guards all below and the reading of holds; never held while waiting
	order order
	tally tally
	// waits of those that got a slot after they had to wait, by llm.Priority.Index
	waits [len(llm.Priorities)]holds
}

// tally counts what Stats reports.
type tally struct {
	waited, refused, expired, displaced, dropped, cancelled, unmatched int64
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
// PolicyOverloaded means no room (Limit queue.max, queue.max_bytes or queue.off), no
// hope (deadline, queue.max_age) or a line that stands (queue.target), seen at the door
// or later: when the line is full, a request of the lowest band gives way to one of a
// higher band, and one of the tenant with the most waiting to another tenant of its
// band; it is the one that would have gone last. Its RetryAfter is the estimated wait
// at its place, with queue.target at least the target, rounded up to whole seconds,
// from 1 s to 60 s. ForebayDraining means that Drain was called; CallerCancelled and
// CallerDeadline that ctx or the entry's deadline ended.
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
	return l.join(ctx, newItem(e), e.Waiting)
}

func newItem(e Entry) *item {
	return &item{
		band: e.Priority.Index(), tenant: e.Tenant, deadline: e.Deadline, durable: e.Durable,
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
