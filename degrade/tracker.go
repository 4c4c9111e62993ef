package degrade

import (
	"sync/atomic"
	"time"
)

// fallbackWindow is how long one fallback answer keeps its operation at Partial:
// long enough for a scrape or a look at the health page to see it.
const fallbackWindow = time.Minute

// Tracker knows when each operation last answered with a fallback, and tells the
// Level from that and from the state of the targets. It reads no clock: callers
// say what time it is. It is safe for concurrent use, takes no lock and does not
// grow: operations that it was not made with share one place.
type Tracker struct {
	last    map[string]*atomic.Int64 // time of the last fallback, by operation; the map never changes
	unknown atomic.Int64             // the same for all other operations
	any     atomic.Int64             // the same for the whole system
}

// NewTracker makes a Tracker for the operations that are configured.
func NewTracker(operations []string) *Tracker {
	t := &Tracker{last: make(map[string]*atomic.Int64, len(operations))}
	for _, name := range operations {
		t.last[name] = new(atomic.Int64)
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
	raise(t.of(operation), now.UnixNano())
	raise(&t.any, now.UnixNano())
}

// Level is the level of one operation at now, of whose targets (the targets of its
// model) so many are open, which is to say take no calls. It is Full when all are
// open, Partial when some are or when the operation was answered by a fallback in
// the last minute, and else None. An operation without targets is never Full.
func (t *Tracker) Level(operation string, openTargets, targets int, now time.Time) Level {
	return level(t.of(operation).Load(), openTargets, targets, now)
}

// Overall is the level of the whole system at now: the same rule over all targets
// and all operations.
func (t *Tracker) Overall(openTargets, targets int, now time.Time) Level {
	return level(t.any.Load(), openTargets, targets, now)
}

func level(last int64, openTargets, targets int, now time.Time) Level {
	switch {
	case targets > 0 && openTargets >= targets:
		return Full
	case openTargets > 0:
		return Partial
	case last != 0 && now.UnixNano()-last < int64(fallbackWindow):
		return Partial
	}
	return None
}

func (t *Tracker) of(operation string) *atomic.Int64 {
	if last := t.last[operation]; last != nil {
		return last
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
