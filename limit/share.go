package limit

import "time"

// wanted is what was asked of a quota since somebody last wanted to know.
type wanted struct {
	since    int64 // microseconds of the quota's clock
	requests int64
	tokens   int64 // by what was used, as far as that is known by now
	short    bool  // somebody was told to wait
}

// Demand is what part of a quota was asked for.
type Demand struct {
	// Used is the part of the whole quota, not of the share, that was used up in the time asked about: 1
	// is all of it, and more than 1 is possible for a while.
	Used float64
	// Short says that somebody was told to wait: more was wanted than Used.
	Short bool
}

// SetShare lets the quota give no more than this part of what its provider grants, from 0 to 1, because the rest is
// other gateways'. What is there beyond the new bound is gone; a larger share fills up with time, so that what one
// gateway gives up and another one takes over is not given twice. A bound that is set stays at least 1 a minute. It starts
// at 1. A nil Quota ignores it.
func (q *Quota) SetShare(now time.Time, share float64) {
	if q == nil {
		return
	}
	if !(share >= 0) { // also where it is no number
		share = 0
	}
	share = min(share, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advanceLocked(now)
	q.share = share
	q.requests.bound(part(q.cfg.RequestsPerMinute, share))
	q.tokens.bound(part(q.cfg.TokensPerMinute, share))
}

// part is the part of a bound, rounded down, and at least 1: 0 would mean no bound.
func part(perMinute int, share float64) int64 {
	if perMinute == 0 {
		return 0
	}
	return max(int64(float64(perMinute)*share), 1)
}

// Demand is what was asked of the quota since the call before, or since its first use. Of a nil Quota it is zero.
func (q *Quota) Demand(now time.Time) Demand {
	if q == nil {
		return Demand{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advanceLocked(now)
	w := q.wanted
	q.wanted = wanted{since: q.now}
	minutes := float64(q.now-w.since) / float64(minute)
	d := Demand{Short: w.short}
	if minutes <= 0 {
		return d
	}
	if n := q.cfg.RequestsPerMinute; n > 0 {
		d.Used = float64(w.requests) / minutes / float64(n)
	}
	if n := q.cfg.TokensPerMinute; n > 0 {
		d.Used = max(d.Used, float64(w.tokens)/minutes/float64(n))
	}
	return d
}

// bound changes what the bucket gains a minute, and holds at most. What is owed is cut to the new bound's worth.
func (b *bucket) bound(perMinute int64) {
	b.perMinute = perMinute
	b.units = min(max(b.units, -debtMinutes*perMinute*minute), perMinute*minute)
}
