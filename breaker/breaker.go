package breaker

import (
	"fmt"
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

// UnmarshalText implements encoding.TextUnmarshaler: it reads what MarshalText writes.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("breaker: %.40q is no state; use closed, half_open or open", text)
}

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
	// Source is a hash of whose call it was, such as its tenant; 0 where that is not
	// known. The failures of one source alone do not open a breaker while the target
	// serves others well; see the package's comment.
	Source uint64
}

// Snapshot is a breaker's state for people and for refusals.
type Snapshot struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Forced says that it was opened or closed by hand and stays so until Reset.
	Forced bool `json:"forced"`
	// Since is when the state began, or was forced; zero for a breaker that was never
	// open or forced.
	Since time.Time `json:"since,omitzero"`
	// Reason is why the breaker opened or closed, such as "5 failures in a row:
	// provider_overloaded"; while it is half-open, why it had opened. Empty for a
	// breaker that was never open. It begins with "forced" while Forced is set.
	Reason string `json:"reason,omitempty"`
	// RetryAt is from when the first probe passes; zero unless State is Open, and
	// where it is forced.
	RetryAt time.Time `json:"retry_at,omitzero"`
	// Share is what Breaker.Share returns.
	Share float64 `json:"share"`
	// Consecutive is the number of failures since the last success. Failures, Slow
	// and Total count the calls within the window. While the breaker is not closed
	// they are what they were when it opened.
	Consecutive int   `json:"consecutive"`
	Failures    int64 `json:"failures"`
	Slow        int64 `json:"slow"`
	Total       int64 `json:"total"`
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
	// ramp is machine.ramp, readable without the lock. It is written under mu.
	ramp    atomic.Pointer[time.Time]
	rampFor time.Duration // never changes

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
	b.rampFor = b.machine.cfg.Ramp
	b.publishLocked()
	return b
}

// Allow says whether a call of an unknown source may be made now; AllowSource is better
// where the source is known. If so, the permit has to come back by
// exactly one Record or Cancel, panics of the call included: a half-open breaker
// waits for its probes (and gives up on them after MaxOpenFor).
func (b *Breaker) Allow(now time.Time) (Permit, bool) {
	if gen := b.closed.Load(); gen != 0 {
		return Permit{gen: gen}, true
	}
	return b.AllowSource(now, 0)
}

// AllowSource is Allow for a call whose Outcome.Source will be source. A breaker that
// opened on the failures of one source alone lets the calls of others pass as probes
// at once; one success among them closes it.
func (b *Breaker) AllowSource(now time.Time, source uint64) (Permit, bool) {
	if gen := b.closed.Load(); gen != 0 {
		return Permit{gen: gen}, true
	}
	b.mu.Lock()
	p, ok := b.machine.allow(now, source)
	b.unlockAndTell()
	return p, ok
}

// Ready says whether Allow would let a call pass now, and changes nothing. Another
// call may be faster, so it decides nothing either: it saves the effort of
// preparing a call that has no chance.
func (b *Breaker) Ready(now time.Time) bool { return b.ReadySource(now, 0) }

// ReadySource is to AllowSource what Ready is to Allow.
func (b *Breaker) ReadySource(now time.Time, source uint64) bool {
	if b.closed.Load() != 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.machine.ready(b.machine.clock.at(now), source)
}

// Share is the part of its usual calls that the target should be given: 1 in the common
// case, 0 while the breaker is not closed (probes are no share), and after it closed a
// tenth, growing to 1 over Config.Ramp in proportion to the time. It is advice, for the
// choice among targets and for a limiter that starts low: Allow does not refuse because
// of it. It takes no lock.
func (b *Breaker) Share(now time.Time) float64 {
	if b.State() != Closed {
		return 0
	}
	return grown(b.ramp.Load(), now, b.rampFor)
}

// rampFrom is the share that a ramp begins with.
const rampFrom = 0.1

// grown is the share at now of a ramp that began at from; nil is no ramp. A clock that
// was set back by more than the ramp ends it.
func grown(from *time.Time, now time.Time, ramp time.Duration) float64 {
	if from == nil {
		return 1
	}
	past := now.Sub(*from)
	if past >= ramp || past < -ramp {
		return 1
	}
	return rampFrom + (1-rampFrom)*max(float64(past)/float64(ramp), 0)
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

// Trip opens the breaker by hand, Off or not, for as long as a failure would. It does
// nothing to a breaker that is forced open or closed.
func (b *Breaker) Trip(now time.Time, reason string) {
	b.mu.Lock()
	b.machine.trip(now, reason)
	b.unlockAndTell()
}

// ForceOpen opens the breaker by hand, Off or not, and keeps it so: no call and no
// probe passes until Reset or ForceClosed. Calls that are still out change nothing.
func (b *Breaker) ForceOpen(now time.Time, reason string) {
	b.mu.Lock()
	b.machine.force(now, Open, reason)
	b.unlockAndTell()
}

// ForceClosed closes the breaker by hand and keeps it so: outcomes are counted from
// zero, and none opens it until Reset or ForceOpen. There is no ramp.
func (b *Breaker) ForceClosed(now time.Time, reason string) {
	b.mu.Lock()
	b.machine.force(now, Closed, reason)
	b.unlockAndTell()
}

// Reset ends what ForceOpen or ForceClosed began, closes the breaker by hand and forgets
// all that it counted. Calls that are still out change nothing when they end. If the
// breaker was not closed, its share is ramped up.
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
	b.ramp.Store(b.machine.ramp)
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
