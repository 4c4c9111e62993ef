// Package limit decides how much one target gets.
//
// A Limiter bounds how many calls are in progress to it at once: two atomic numbers. It
// never blocks and keeps no line: who has to wait, for how long and in which order
// is package queue's business. A Controller moves the bound of a Limiter to what the target
// takes. A Quota keeps requests and tokens per minute within what the provider grants. A
// RetryBudget bounds the share of calls that are repeated, for a target or a tenant.
//
// None of them has a clock, a goroutine or a network: time comes from the caller.
package limit

import (
	"fmt"
	"sync/atomic"
)

// DefaultMaxConcurrent is the bound where the configuration names none
// (MAX_CONCURRENT_REQUESTS of the specification).
const DefaultMaxConcurrent = 10

// Unbounded is the value of MaxConcurrent and SetMax that lifts the bound.
const Unbounded = -1

// Config says how many calls one target takes at once. The zero value is the default.
type Config struct {
	// MaxConcurrent bounds calls in progress to one target. -1 means no bound.
	// Zero means 10 (MAX_CONCURRENT_REQUESTS).
	MaxConcurrent int
}

// Validate reports what is wrong with the configuration, naming the
// configuration key, its value and what to do.
func (c Config) Validate() error {
	if c.MaxConcurrent < Unbounded {
		return fmt.Errorf("limits.max_concurrent: %d is not possible; use the number of calls at once, or -1 for no bound", c.MaxConcurrent)
	}
	return nil
}

// Limiter counts the calls in progress to one target and refuses those over the
// bound. It is lock-free and may be used concurrently; New makes it.
type Limiter struct {
	max       atomic.Int64 // Unbounded, or at least 1
	inflight  atomic.Int64 // never below 0
	unmatched atomic.Int64
}

// New makes a limiter with nothing in progress. Values that Validate refuses
// count as the nearest one that it accepts.
func New(c Config) *Limiter {
	l := new(Limiter)
	switch {
	case c.MaxConcurrent == 0:
		l.max.Store(DefaultMaxConcurrent)
	case c.MaxConcurrent < 0:
		l.max.Store(Unbounded)
	default:
		l.max.Store(int64(c.MaxConcurrent))
	}
	return l
}

// TryAcquire takes a slot if one is free and says whether it did. It never
// blocks. Each true needs one Release.
func (l *Limiter) TryAcquire() bool {
	for {
		n := l.inflight.Load()
		if most := l.max.Load(); n >= most && most != Unbounded {
			return false
		}
		if l.inflight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives a slot back. A Release without a slot taken changes nothing but
// the count that Unmatched gives: it must not make room that is not there.
func (l *Limiter) Release() {
	for {
		n := l.inflight.Load()
		if n == 0 {
			l.unmatched.Add(1)
			return
		}
		if l.inflight.CompareAndSwap(n, n-1) {
			return
		}
	}
}

// InFlight is the number of slots taken. It is over Max for a while after SetMax
// has lowered the bound.
func (l *Limiter) InFlight() int { return int(l.inflight.Load()) }

// Max is the bound, or -1 where there is none.
func (l *Limiter) Max() int { return int(l.max.Load()) }

// SetMax changes the bound from now on. -1 lifts it; every other value below 1
// counts as 1, so that a control loop can not shut a target off. Slots that are
// taken stay taken: after a lower bound TryAcquire refuses until enough of them
// came back. Whoever raises the bound wakes those who wait for a slot
// (queue.Line.Wake): the limiter does not know them.
func (l *Limiter) SetMax(n int) {
	if n < 1 && n != Unbounded {
		n = 1
	}
	l.max.Store(int64(n))
}

// Unmatched counts the calls of Release that had no slot to give back. Anything
// but 0 is a fault in the caller's code.
func (l *Limiter) Unmatched() int64 { return l.unmatched.Load() }
