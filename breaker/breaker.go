package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// State is closed, open or half-open. The zero value is Closed.
type State uint8

// The states.
const (
	Closed   State = iota // calls pass and are counted
	HalfOpen              // a few probes pass and decide
	Open                  // no call passes
)

var stateNames = [...]string{"closed", "half_open", "open"}

// String gives the state's name in lower case: a closed set, fit for a label.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler with the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Permit is the leave to make one call. It ends in exactly one Record or Cancel.
// Its zero value is nobody's leave: Record and Cancel ignore it.
type Permit struct {
	// gen is the state, counted from the first, that let the call pass.
	gen uint64
}

// Outcome is how a call ended.
type Outcome struct {
	// Failed says that the target failed (llm.Kind.CountsForBreaker).
	Failed bool
	// Took is how long the call took. It matters where Config.SlowCall is set.
	Took time.Duration
	// Reason says in a word why the call failed, such as an llm.Kind; it becomes
	// part of the reason for which the breaker opened. No prompts, no secrets.
	Reason string
}

// Snapshot is a breaker's state for people and for refusals.
type Snapshot struct {
	Name  string
	State State
	// Since is when the state began; zero for a breaker that was never open.
	Since time.Time
	// Reason is why the breaker opened or closed, such as "5 failures in a row:
	// provider_overloaded"; while it is half-open, why it had opened. Empty for a
	// breaker that was never open.
	Reason string
	// RetryAt is from when the first probe passes; zero unless State is Open.
	RetryAt time.Time
	// Consecutive is the number of failures since the last success. Failures, Slow
	// and Total count the calls within the window. While the breaker is not closed
	// they are what they were when it opened.
	Consecutive           int
	Failures, Slow, Total int64
}

// Breaker guards one target. It may be used concurrently; New makes it.
//
// Every method that depends on the time is handed it. Times should not go back:
// one that does counts as the latest seen where that matters.
type Breaker struct {
	// closed is the permit's number while the breaker is closed, else 0, so that
	// the common case of Allow needs no lock. It is written under mu.
	closed atomic.Uint64
	// state is machine.state, readable without the lock. It is written under mu.
	state atomic.Uint32

	mu      sync.Mutex // guards machine and telling; not held while OnChange runs
	machine machine
	telling bool // a goroutine is at work on machine.changes
}

// New makes a closed breaker. The name says which target it guards. Values that
// Validate refuses count as the defaults.
func New(name string, cfg Config) *Breaker {
	return newBreaker(name, cfg, rand.Float64)
}

func newBreaker(name string, cfg Config, jitter func() float64) *Breaker {
	b := &Breaker{machine: newMachine(name, cfg, jitter)}
	b.publishLocked()
	return b
}

// Allow says whether a call may be made now. If so, the permit has to come back by
// exactly one Record or Cancel, panics of the call included: a half-open breaker
// waits for its probes (and gives up on them after MaxOpenFor).
func (b *Breaker) Allow(now time.Time) (Permit, bool) {
	if gen := b.closed.Load(); gen != 0 {
		return Permit{gen: gen}, true
	}
	b.mu.Lock()
	p, ok := b.machine.allow(now)
	b.unlockAndTell()
	return p, ok
}

// Ready says whether Allow would let a call pass now, and changes nothing. Another
// call may be faster, so it decides nothing either: it saves the effort of
// preparing a call that has no chance.
func (b *Breaker) Ready(now time.Time) bool {
	if b.closed.Load() != 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine.ready(now)
}

// Record says how a call ended. Calls that an earlier state let through change nothing.
func (b *Breaker) Record(now time.Time, p Permit, o Outcome) {
	b.mu.Lock()
	b.machine.record(now, p, o)
	b.unlockAndTell()
}

// Cancel takes a call back whose end says nothing about the target: the caller
// left, the request was at fault, the target asked for patience (429).
func (b *Breaker) Cancel(p Permit) {
	b.mu.Lock()
	b.machine.cancel(p)
	b.mu.Unlock()
}

// Trip opens the breaker by hand, Off or not, for as long as a failure would.
func (b *Breaker) Trip(now time.Time, reason string) {
	b.mu.Lock()
	b.machine.open(now, reason)
	b.unlockAndTell()
}

// Reset closes the breaker by hand and forgets all that it counted. Calls that are
// still out change nothing when they end.
func (b *Breaker) Reset(now time.Time) {
	b.mu.Lock()
	b.machine.reset(now)
	b.unlockAndTell()
}

// State is the state as the last call left it: an open breaker stays Open until
// the first call after RetryAt becomes a probe. It takes no lock.
func (b *Breaker) State() State { return State(b.state.Load()) }

// Snapshot describes the breaker, its counts as of now.
func (b *Breaker) Snapshot(now time.Time) Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine.snapshot(now)
}

// publishLocked makes the state readable without the lock.
func (b *Breaker) publishLocked() {
	gen := b.machine.gen
	if b.machine.state != Closed {
		gen = 0
	}
	if b.closed.Load() == gen && b.State() == b.machine.state {
		return // the common case: leave the cache line to its readers
	}
	b.state.Store(uint32(b.machine.state))
	b.closed.Store(gen)
}

// unlockAndTell publishes the state, unlocks, and tells OnChange of what happened.
// One goroutine at a time does so, and goes on until nothing is left: thus the
// changes arrive in their order although no lock is held. Another goroutine's
// changes are told by the one at work.
func (b *Breaker) unlockAndTell() {
	b.publishLocked()
	if len(b.machine.changes) == 0 || b.telling {
		b.mu.Unlock()
		return
	}
	b.telling = true
	b.mu.Unlock()
	b.tell()
}

// tell ends with telling false, a panic of OnChange included.
func (b *Breaker) tell() {
	done := false
	defer func() {
		if !done { // OnChange panicked: the changes left go with the next one
			b.mu.Lock()
			b.telling = false
			b.mu.Unlock()
		}
	}()
	for {
		b.mu.Lock()
		if len(b.machine.changes) == 0 {
			b.telling, done = false, true
			b.mu.Unlock()
			return
		}
		c := b.machine.changes[0]
		b.machine.changes = b.machine.changes[1:]
		b.mu.Unlock()
		b.machine.cfg.OnChange(c)
	}
}
