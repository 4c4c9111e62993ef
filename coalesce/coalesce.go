// Package coalesce lets identical calls in progress share one upstream call: the first
// makes it, and all of them read its answer as it arrives, from the first chunk.
//
// It knows nothing of what makes calls identical: that is the caller's key. It keeps
// nothing once a call has ended.
package coalesce

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/forebay-ai/forebay/llm"
)

// The defaults of Config.
const (
	defaultMaxBuffer = 8 << 20
	defaultReadAhead = 1 << 20
)

// maxReruns bounds how often a call joins another one after the call it had joined
// ended with its leader's own fault.
const maxReruns = 3

// Config bounds the memory of shared calls. Values of zero and below mean
// the defaults.
type Config struct {
	// MaxBuffer is how many bytes of one answer are kept for those who join late
	// or read slowly. An answer that outgrows it takes no new participants, and a
	// participant that falls behind the fastest by more than this is cut off.
	// Default 8 MiB.
	MaxBuffer int64
	// ReadAhead is how many bytes of a shared answer are read from upstream before the
	// fastest participant has taken them; at most MaxBuffer. Default 1 MiB.
	ReadAhead int64
}

// Key names a call. Calls with the same key are taken to be identical.
type Key [32]byte

// Flights lets identical calls in progress share one upstream call. The first
// caller of a key leads: its start runs once, and everybody who asks for the same
// key before the answer is complete gets all of that answer, from the first chunk.
// All methods may be used concurrently.
type Flights struct {
	maxBuffer, readAhead int64

	// mu guards what follows. A flight's own mutex may be taken under it, never
	// the other way round.
	mu      sync.Mutex
	table   map[Key]*flight // the flight that newcomers of a key may join
	running int             // flights whose call goes on, those not in table included
	closed  bool
	idle    chan struct{} // closed when running falls to zero; nil while nobody waits
}

// New makes a Flights. It starts nothing.
func New(cfg Config) *Flights {
	f := &Flights{maxBuffer: cfg.MaxBuffer, readAhead: cfg.ReadAhead, table: make(map[Key]*flight)}
	if f.maxBuffer <= 0 {
		f.maxBuffer = defaultMaxBuffer
	}
	if f.readAhead <= 0 {
		f.readAhead = defaultReadAhead
	}
	f.readAhead = min(f.readAhead, f.maxBuffer)
	return f
}

// Starter makes the upstream call of a flight.
type Starter func(ctx context.Context) (llm.Stream, error)

// Do joins the call of k that is in progress, or makes one with start. It returns
// once the first chunk (or the end of an empty answer) is there, so that a failure
// before that is Do's own error. Every error is an *llm.Error, and each caller's is
// a copy of its own.
//
// start, and the reading up to the first chunk, run on the goroutine of the caller
// that leads: one that goes away by then ends the upstream call, and those who stay
// make one more, together. From the first chunk on a leader that is alone reads the stream
// in its own Next, and only as fast as that is called; once somebody has joined, the flight
// has a goroutine of its own, and a leader that goes away hands over to those who stay. The
// context of start has the values of the caller's; from the first chunk on neither its
// deadline nor its cancellation: it ends when the last participant has left. A participant
// whose ctx ends leaves at once, whatever the others and upstream are doing; but for a
// leader that was joined within its own read of a chunk: it leaves when that has come.
//
// Between a caller's look into the cache and its Do, the flight that it would have
// joined may have ended and its answer been stored: start should look once more, or
// the call is made twice. An answer that is stored before its stream returns io.EOF
// is never missed: the flight can be joined until then.
//
// A caller joins only flights of its own priority or above, so that it never waits
// in a slower line than its own; otherwise it starts a flight that newcomers join
// instead of the old one. A flight that fails before its first chunk with an error of the
// caller's domain has failed for its leader's reasons, such as a short deadline:
// the others try again, together where they can.
func (f *Flights) Do(ctx context.Context, k Key, p llm.Priority, start Starter) (*Share, error) {
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, llm.AsError(err)
		}
		s, upstream, err := f.board(ctx, boarding{key: k, priority: p, start: start, alone: try > maxReruns})
		if err != nil {
			return nil, err
		}
		if upstream != nil {
			s.flight.takeOff(ctx, upstream, start)
		}
		if err = s.await(); err == nil || err == io.EOF {
			return s, nil
		}
		s.leave(nil)
		if !s.shallRerun(err, try) {
			return nil, err
		}
	}
}

// boarding is what a caller of Do wants.
type boarding struct {
	key      Key
	priority llm.Priority
	start    Starter
	// alone makes a flight of the caller's own, whatever is in progress.
	alone bool
}

// board joins the flight in progress, or makes one for the caller to lead: then it
// returns the context of the upstream call too.
func (f *Flights) board(ctx context.Context, b boarding) (*Share, context.Context, error) {
	f.mu.Lock()
	s, err := f.joinLocked(ctx, b)
	f.mu.Unlock()
	if s != nil || err != nil {
		return s, nil, err
	}
	// The context is made outside the lock: it may be of the caller's own kind.
	upstream, cancel := context.WithCancel(context.WithoutCancel(ctx))
	fl := newFlight(ctx, f, b)
	fl.cancel = cancel
	f.mu.Lock()
	if s, err = f.joinLocked(ctx, b); s != nil || err != nil {
		f.mu.Unlock()
		cancel() // somebody was faster
		return s, nil, err
	}
	f.table[b.key] = fl
	f.running++
	f.mu.Unlock()
	return &fl.lead, upstream, nil
}

// joinLocked joins the flight in progress. It returns nil where there is none that
// the caller may join. f.mu must be held.
func (f *Flights) joinLocked(ctx context.Context, b boarding) (*Share, error) {
	if f.closed {
		return nil, &llm.Error{Kind: llm.ForebayDraining, Message: "shutting down", Fix: "Send the request again."}
	}
	fl := f.table[b.key]
	if fl == nil || b.alone || fl.priority < b.priority {
		return nil, nil
	}
	return fl.join(ctx), nil
}

// forget takes fl out of the table, so that later calls start anew.
func (f *Flights) forget(fl *flight) {
	f.mu.Lock()
	if f.table[fl.key] == fl {
		delete(f.table, fl.key)
	}
	f.mu.Unlock()
}

// landed counts a flight off whose call has ended.
func (f *Flights) landed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	if f.running == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// Close takes no more calls (they fail with ForebayDraining) and waits until those
// in progress have ended and their streams are closed. It cancels nothing: a flight
// ends when its answer does or when its last participant leaves. The error, an
// *llm.Error, says how many were still running when ctx ended.
func (f *Flights) Close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	if f.running == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == 0 {
		return nil
	}
	return &llm.Error{
		Kind:    llm.ForebayDraining,
		Message: fmt.Sprintf("%d shared calls were still running at the end of the drain", f.running),
		Err:     ctx.Err(),
	}
}
