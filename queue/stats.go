package queue

import (
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Pressure says how full a line is, by Config.Warn and Config.Critical. A closed
// set, fit for a label.
type Pressure string

// The pressures.
const (
	PressureNone     Pressure = "none"
	PressureWarn     Pressure = "warn"
	PressureCritical Pressure = "critical"
)

// Stats describes a line at one moment. The counts are since the start:
//
//	Entered = Started + Waiting + Refused + Expired + Displaced + Dropped + Cancelled
//	Started = Running + Left
type Stats struct {
	// Running is the number of slots held, Waiting the number of requests that wait,
	// and Durable how many of these are claimed jobs.
	Running, Waiting, Durable int
	// ByPriority counts those who wait and OldestWait is how long the oldest of
	// them has waited, by llm.Priority.Index: 0 is low, 3 critical.
	ByPriority [len(llm.Priorities)]int
	OldestWait [len(llm.Priorities)]time.Duration
	// WaitMedian and WaitP95 are how long they waited, of the last 128 requests of each band that
	// got a slot after a wait. Zero means that there was none.
	WaitMedian, WaitP95 [len(llm.Priorities)]time.Duration
	// NewestFirst says in which bands the newest requests go first, because they
	// have been past Config.Target for too long.
	NewestFirst [len(llm.Priorities)]bool
	// Bytes is what the waiting requests hold, without claimed jobs.
	Bytes int64
	// EstimatedWait is what a normal request of a tenant without others would wait
	// if it came now; 0 while nobody waits, and before the first call has ended.
	EstimatedWait time.Duration
	// HoldMean is how long a slot was held on average over the last 128 calls.
	HoldMean time.Duration
	// Pressure compares Waiting without Durable with Config.Warn and Config.Critical.
	Pressure Pressure
	// Draining says that no new request is taken in.
	Draining bool

	// Entered counts calls of Enter, Started those that got a slot, Waited those
	// that had to wait for what became of them, Left the slots given back.
	Entered, Started, Waited, Left int64
	// Refused counts requests turned away at the door, Expired those whose time was
	// up, Displaced those that gave way to a better claim, Dropped those that had
	// waited too long by Config.Target, Cancelled those whose caller left.
	Refused, Expired, Displaced, Dropped, Cancelled int64
	// Unmatched counts calls of Leave without an Enter: a fault in the caller's code.
	Unmatched int64
}

// Stats describes the line now. While requests enter and leave without waiting,
// Started and Running may be apart by those in between.
func (l *Line) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	running, started := l.running.Load(), l.started.Load()
	p := l.holds.read()
	s := Stats{
		Running: int(running), Waiting: l.order.waiting, Durable: l.order.durable, Bytes: l.order.bytes, HoldMean: p.mean,
		Pressure: l.pressureLocked(), Draining: l.gate.Load()&draining != 0,
		Started: started, Waited: l.tally.waited, Left: max(started-running, 0),
		Refused: l.tally.refused, Expired: l.tally.expired, Displaced: l.tally.displaced, Dropped: l.tally.dropped,
		Cancelled: l.tally.cancelled, Unmatched: l.tally.unmatched,
	}
	s.Entered = s.Started + int64(s.Waiting) + s.Refused + s.Expired + s.Displaced + s.Dropped + s.Cancelled
	for i := range l.order.bands {
		b := &l.order.bands[i]
		if s.ByPriority[i] = b.all.n; s.ByPriority[i] > 0 {
			s.OldestWait[i] = now.Sub(b.all.first.at)
		}
		waits := l.waits[i].read()
		s.WaitMedian[i], s.WaitP95[i] = waits.median, waits.p95
		b.watch(now)
		s.NewestFirst[i] = b.newestFirst
	}
	if s.Waiting > 0 {
		s.EstimatedWait = p.wait(l.order.ahead(llm.Normal.Index(), 1, now, false), running)
	}
	return s
}

func (l *Line) pressureLocked() Pressure {
	switch {
	case l.order.synchronous() >= l.cfg.Critical:
		return PressureCritical
	case l.order.synchronous() >= l.cfg.Warn:
		return PressureWarn
	}
	return PressureNone
}
