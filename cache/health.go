package cache

import "time"

// When the store is left alone, and for how long.
const (
	tripAfter = 5 // failures in a row
	firstWait = time.Second
	maxWait   = 30 * time.Second
)

// health decides whether the store is asked at all. After some failures in a row it
// is left alone for a while, then one look-up probes it; each probe that fails doubles
// the while. It knows no time but what it is told.
type health struct {
	failures int
	wait     time.Duration // until the next probe; zero while the store is well
	until    time.Time
}

// allow reports whether the store may be asked now, and whether that is a probe. A
// probe that is never heard of again is followed by the next one all the same.
func (h *health) allow(now time.Time) (ok, probe bool) {
	if h.wait == 0 {
		return true, false
	}
	if now.Before(h.until) {
		return false, false
	}
	h.until = now.Add(h.wait)
	return true, true
}

// record tells how the store answered a look-up.
func (h *health) record(now time.Time, ok, probe bool) {
	switch {
	case ok && (probe || h.wait == 0):
		*h = health{}
	case ok:
		// Asked before the store failed: says nothing about how it is now.
	case probe:
		h.wait = min(2*h.wait, maxWait)
		h.until = now.Add(h.wait)
	case h.wait == 0:
		if h.failures++; h.failures >= tripAfter {
			h.wait, h.until = firstWait, now.Add(firstWait)
		}
	}
}
