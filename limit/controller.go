package limit

import (
	"sync"
	"time"
)

// Controller moves the bound of one Limiter between 1 and the bound that the limiter
// was made with, which is also where it begins. It has nothing to tune. It may be used
// concurrently; NewController makes it.
//
// Three things tell it that a target has more calls than it can take: refusals for load,
// a time to the first token and a time between tokens that are longer than is
// usual for the target. How long an answer takes in all says nothing: long answers are not
// overload. What is usual it learns from calls in quiet times, by the size of the
// prompt.
//
// It lowers the bound at most once a round trip, by as much as the signs say: to the
// calls that were not refused, or that the target works on while the others wait (by
// Little's law). It raises the bound while all that is allowed is in use and goes well,
// first by 1 and then by ever more; towards a bound that was too much before, by 1 and
// seldom, so that at most 4 % of calls are refused for it. Where a lower bound
// does not make a slow target faster, calls were not to blame, and the bound goes back.
//
// Like every policy it is pure: time comes from the caller.
type Controller struct {
	limiter *Limiter
	off     bool

	mu    sync.Mutex // guards what follows, and the order of the limiter's bounds
	begin time.Time  // of the law's clock
	law   law
}

// NewController makes the controller of l. One with cfg.Off, or of a limiter without a
// bound, never changes it.
func NewController(l *Limiter, cfg ControllerConfig) *Controller {
	most := l.Max()
	return &Controller{limiter: l, off: cfg.Off || most == Unbounded, law: newLaw(most)}
}

// Observe learns from a call, or a part of one. It returns true when the bound moved
// up: then those who wait for a slot are to be woken. A call gives its slot back
// after it was observed. It takes about 100 ns and allocates nothing.
func (c *Controller) Observe(now time.Time, s Sample) (changed bool) {
	if c.off {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tickLocked(now)
	if s.Start.IsZero() {
		s.Start = now.Add(-s.Took)
	}
	s.InFlight = max(s.InFlight, 1)
	before := c.law.bound
	c.law.observe(&s, s.Start.Sub(c.begin), c.limiter.InFlight())
	if c.law.bound != before {
		c.limiter.SetMax(c.law.bound)
	}
	return c.law.bound > before
}

// SlowStart begins again at a tenth of the configured bound, at least 2, and doubles it
// every second while calls go well, so that all of it is back within 5 s. Call it
// when the target comes back from an outage: a target whose caches are cold
// must not get everything at once. It is 2 and not 1 because one call that takes long would
// hold up all others.
func (c *Controller) SlowStart(now time.Time) {
	if c.off {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tickLocked(now)
	c.law.slowStart(c.limiter.InFlight())
	c.limiter.SetMax(c.law.bound)
}

// Snapshot is the state now.
func (c *Controller) Snapshot(now time.Time) ControllerSnapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return ControllerSnapshot{Bound: c.limiter.Max(), Ceiling: c.law.ceiling}
	}
	c.tickLocked(now)
	s := ControllerSnapshot{Bound: c.law.bound, Ceiling: c.law.ceiling, Reason: c.law.why}
	if c.law.why != "" {
		s.Moved = c.begin.Add(c.law.moved)
	}
	if c.law.typical > 0 {
		s.FirstToken = time.Duration(max(c.law.typical-pad, 0))
	}
	return s
}

// tickLocked moves the law's clock to now. It never goes back.
func (c *Controller) tickLocked(now time.Time) {
	if c.begin.IsZero() {
		c.begin = now
	}
	c.law.now = max(c.law.now, now.Sub(c.begin))
}
