package degrade

import (
	"sync/atomic"
	"time"
)

const (
	// fallbackWindow is how long one fallback answer keeps its operation at Partial:
	// long enough for a scrape or a look at the health page to see it.
	fallbackWindow = time.Minute
	// shedWindow is how long one refused call does: two intervals of a scraper that
	// looks each 15 s. It is shorter than that of fallbacks because overload ends by
	// itself, and whoever balances load by the level must see that it has.
	shedWindow = 30 * time.Second
)

// Tracker knows when each operation last answered with a fallback and last refused
// a call for want of room, and tells the Level from that and from the state of the
// targets. It reads no clock: callers say what time it is. It is safe for concurrent
// use, takes no lock and does not grow: operations that it was not made with share
// one place. Recovery needs nobody: what happened stops to count when its time is over.
type Tracker struct {
	operations map[string]*marks // by operation; the map never changes
	unknown    marks             // of all other operations
	any        marks             // of the whole system
}

// marks are the times of what last happened, in nanoseconds since 1970; 0 is never.
type marks struct{ fallback, shed atomic.Int64 }

// NewTracker makes a Tracker for the operations that are configured.
func NewTracker(operations []string) *Tracker {
	t := &Tracker{operations: make(map[string]*marks, len(operations))}
	for _, name := range operations {
		t.operations[name] = new(marks)
	}
	return t
}

// Observe notes that operation was answered at now, and whether by a fallback.
// Answers without a fallback change nothing: one call that got through does not
// show that the others do.
func (t *Tracker) Observe(operation string, fallback bool, now time.Time) {
	if !fallback {
		return
	}
	raise(&t.of(operation).fallback, now.UnixNano())
	raise(&t.any.fallback, now.UnixNano())
}

// Shed notes that a call of operation was refused at now for want of room: the line
// was full, or the wait too long for it. Refusals that are the caller's own doing,
// such as a bound of its key, are none.
func (t *Tracker) Shed(operation string, now time.Time) {
	raise(&t.of(operation).shed, now.UnixNano())
	raise(&t.any.shed, now.UnixNano())
}

// Level is the level of one operation at now, of whose targets (the targets of its
// model) so many are open, which is to say take no calls. It is Full when all are
// open; Partial when some are, when the operation was answered by a fallback in the
// last minute, or when a call of it was refused for want of room in the last 30 s;
// and else None. An operation without targets is never Full.
func (t *Tracker) Level(operation string, openTargets, targets int, now time.Time) Level {
	return t.of(operation).level(openTargets, targets, now)
}

// Overall is the level of the whole system at now: the same rule over all targets
// and all operations.
func (t *Tracker) Overall(openTargets, targets int, now time.Time) Level {
	return t.any.level(openTargets, targets, now)
}

// Reasons says why the level of an operation is what it is, in the order of Reason's
// constants; nil where the level is None, and never empty where it is not. Of the
// operation's targets so many are open, and regionDown says that a whole region of
// them is; it is looked at only where targets are open.
func (t *Tracker) Reasons(operation string, openTargets int, regionDown bool, now time.Time) []Reason {
	return t.of(operation).reasons(openTargets, regionDown, now)
}

// OverallReasons says the same of the whole system.
func (t *Tracker) OverallReasons(openTargets int, regionDown bool, now time.Time) []Reason {
	return t.any.reasons(openTargets, regionDown, now)
}

func (m *marks) level(openTargets, targets int, now time.Time) Level {
	switch {
	case targets > 0 && openTargets >= targets:
		return Full
	case openTargets > 0, within(&m.fallback, fallbackWindow, now), within(&m.shed, shedWindow, now):
		return Partial
	}
	return None
}

func (m *marks) reasons(openTargets int, regionDown bool, now time.Time) []Reason {
	var all []Reason
	for _, one := range [...]struct {
		reason Reason
		holds  bool
	}{
		{ReasonFallback, within(&m.fallback, fallbackWindow, now)},
		{ReasonShedding, within(&m.shed, shedWindow, now)},
		{ReasonBreakerOpen, openTargets > 0},
		{ReasonRegionDown, openTargets > 0 && regionDown},
	} {
		if one.holds {
			all = append(all, one.reason)
		}
	}
	return all
}

// within says whether something happened less than window before now.
func within(last *atomic.Int64, window time.Duration, now time.Time) bool {
	at := last.Load()
	return at != 0 && now.UnixNano()-at < int64(window)
}

func (t *Tracker) of(operation string) *marks {
	if m := t.operations[operation]; m != nil {
		return m
	}
	return &t.unknown
}

// raise sets last to at unless it is later already: callers may arrive out of order.
func raise(last *atomic.Int64, at int64) {
	for {
		seen := last.Load()
		if seen != 0 && seen >= at || last.CompareAndSwap(seen, at) {
			return
		}
	}
}
