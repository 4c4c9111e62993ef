package breaker

import "time"

// longest bounds durations and the time that a breaker knows of, so that sums of
// them do not overflow: 36 years.
const longest = time.Duration(1 << 60)

// clock makes a line that never goes back out of the times that callers hand in,
// counted from the first of them.
//
// Goroutines read the time and then wait for a lock, so a time a little before the
// latest is usual: it counts as the latest. One that is earlier by more than slack
// says that the clock was set back: from there the line goes on.
type clock struct {
	slack  time.Duration
	base   time.Time
	latest time.Duration
}

func (c *clock) at(now time.Time) time.Duration {
	if c.base.IsZero() {
		c.base = now
	}
	at := min(now.Sub(c.base), longest)
	switch {
	case at >= c.latest:
		c.latest = at
	case c.latest-at > c.slack:
		c.base = now.Add(-c.latest)
	}
	return c.latest
}

// when is the time at a point of the line, zero for none (a negative point).
func (c *clock) when(at time.Duration) time.Time {
	if at < 0 {
		return time.Time{}
	}
	return c.base.Add(at)
}
