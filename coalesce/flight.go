package coalesce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/forebay-ai/forebay/llm"
)

// chunkOverhead is what a kept chunk costs beside its bytes: the llm.Chunk (112
// bytes) and its share of a slice that grows by a quarter. It keeps a stream of tiny
// chunks within the same bounds.
const chunkOverhead = 128

// firstChunks is how many chunks a flight has room for at first: many have one.
const firstChunks = 2

// Causes of internal errors.
var (
	errNoStream = errors.New("cache: start returned neither a stream nor an error")
	errGoexit   = errors.New("cache: the call's goroutine was ended by runtime.Goexit")
)

// flight is one upstream call and those who share it. One goroutine at a time reads
// the stream and appends to chunks: the leader's as long as nobody else is aboard, then
// the flight's own.
type flight struct {
	flights  *Flights
	key      Key
	priority llm.Priority
	cancel   context.CancelFunc // ends the upstream call
	// upstream is the call's context, kept like Share.ctx: who reads is decided later.
	upstream context.Context
	stop     func() bool // ends the watch over the leader's context

	mu     sync.Mutex // guards everything below, and the Shares' fields that say so
	source llm.Stream // what start returned; nil before
	err    error      // how the stream ended, io.EOF or not; nil while it goes on
	// abandoned says that the leader left before the first chunk: no chunk comes any more.
	abandoned bool
	// solo says that the leader reads, in its own Next, for itself alone: most streams are
	// never shared, and a goroutine each would cost 8 KiB and two switches a chunk.
	solo    bool
	reading bool // the leader is at it
	// landing is closed once a call that its lone leader left while it read nothing has
	// ended; nil where that did not happen.
	landing chan struct{}

	chunks  []llm.Chunk // what is kept: all chunks, but for the first dropped ones
	dropped int         // chunks that were let go
	total   int64       // weight of all chunks so far
	held    int64       // weight of chunks
	spilled bool        // total has passed maxBuffer: nobody joins, and chunks are let go

	aboard  []*Share // participants; empty means that the flight is given up
	front   int64    // how far the fastest of them has read, in weight
	stalled bool     // the goroutine waits for room
	room    chan struct{}

	// Most flights have one participant; these save it two allocations.
	lead  Share
	seats [1]*Share
}

// newFlight makes a flight with its leader aboard.
func newFlight(leader context.Context, f *Flights, b boarding) *flight {
	fl := &flight{flights: f, key: b.key, priority: b.priority}
	fl.lead = Share{flight: fl, ctx: leader, wake: make(chan struct{}, 1), leader: true}
	fl.seats[0] = &fl.lead
	fl.aboard = fl.seats[:]
	return fl
}

// join adds a participant, or returns nil where it is too late for that.
func (f *flight) join(ctx context.Context) *Share {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.aboard) == 0 || f.spilled || f.err != nil {
		return nil
	}
	s := &Share{flight: f, ctx: ctx, wake: make(chan struct{}, 1), seat: len(f.aboard)}
	f.aboard = append(f.aboard, s)
	if f.solo && !f.reading { // else the leader hands over when it has its chunk
		f.solo = false
		go f.run()
	}
	return s
}

// takeOff makes the upstream call and reads up to the first chunk, on the leader's
// goroutine: most answers are whole by then, and handing them from goroutine to
// goroutine would cost more time than all the rest of a flight. What is left the leader
// reads too while it is alone, and else a goroutine of the flight's own.
func (f *flight) takeOff(leader, upstream context.Context, start Starter) {
	f.upstream = upstream
	f.stop = context.AfterFunc(leader, func() { f.abandon(leader.Err()) })
	err := error(errGoexit) // stays where start or the stream ends the goroutine
	defer func() {
		if err != nil {
			f.land(err)
		}
	}()
	if err = f.first(upstream, start); err == nil {
		err = f.handOver(leader)
	}
}

// handOver decides who reads from the first chunk on. It fails where the leader left
// while that came.
func (f *flight) handOver(leader context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.abandoned {
		return leader.Err()
	}
	if f.solo = len(f.aboard) == 1; !f.solo {
		go f.run()
	}
	return nil
}

// abandon is told that the leader's context has ended. Before the first chunk that ends
// the flight: those who share it try again, together. From the first chunk on the leader
// leaves like anybody else, and those who stay read on.
func (f *flight) abandon(why error) {
	f.mu.Lock()
	f.abandoned = f.total == 0 && f.err == nil
	early := f.abandoned
	f.mu.Unlock()
	if !early {
		f.lead.leave(llm.AsError(why))
		return
	}
	f.cancel() // before anybody is told to try again: two calls are never at work for one
	f.flights.forget(f)
	f.end(why)
}

// first makes the upstream call, publishes its first chunk, and reads on to the
// end where that chunk is the last one.
func (f *flight) first(ctx context.Context, start Starter) (err error) {
	defer recoverAs(&err)
	source, err := start(ctx)
	if err != nil {
		return err
	}
	if source == nil {
		return errNoStream
	}
	f.mu.Lock()
	f.source = source
	f.mu.Unlock()
	for {
		c, err := source.Next()
		if err != nil {
			return err
		}
		f.publish(c)
		if !c.Last {
			return nil
		}
	}
}

// run is the flight's goroutine: it relays what comes from then on.
func (f *flight) run() {
	err := error(errGoexit)
	defer func() { f.land(err) }()
	err = f.relay(f.upstream)
}

// read lets the leader read a chunk itself, if it is alone. It is false where the
// flight's goroutine reads.
func (f *flight) read() bool { return f.alone((*flight).one) }

// alone lets the leader do something with the source, if it is alone.
func (f *flight) alone(do func(*flight) error) bool {
	f.mu.Lock()
	f.reading = f.solo
	solo := f.solo
	f.mu.Unlock()
	if !solo {
		return false
	}
	err := error(errGoexit)
	defer func() { f.afterRead(err) }()
	err = do(f)
	return true
}

// awaitSource lets the leader wait for the next chunk, if it is alone. It is false where the
// flight's goroutine reads.
func (f *flight) awaitSource() bool { return f.alone((*flight).await) }

// await waits for the next chunk.
func (f *flight) await() (err error) {
	defer recoverAs(&err)
	llm.Await(f.source)
	return nil
}

// one reads one chunk and publishes it.
func (f *flight) one() (err error) {
	defer recoverAs(&err)
	c, err := f.source.Next()
	if err == nil {
		f.publish(c)
	}
	return err
}

// afterRead lands the flight or hands over to its goroutine, where the leader's read
// ended the stream or others came meanwhile.
func (f *flight) afterRead(err error) {
	f.mu.Lock()
	f.reading = false
	if len(f.aboard) == 0 && err == nil {
		err = context.Canceled // everybody has left
	}
	f.solo = err == nil && len(f.aboard) == 1 && f.lead.seat >= 0
	hand := err == nil && !f.solo
	f.mu.Unlock()
	if err != nil {
		f.land(err)
	} else if hand {
		go f.run()
	}
}

// land ends the flight: out of the table before anybody sees the end, so that whoever
// calls again because of it starts anew. The stream is closed before that too: who
// has seen the end finds its books closed.
func (f *flight) land(err error) {
	f.stop()
	f.flights.forget(f)
	if fault := f.closeSource(); fault != nil {
		err = fault
	}
	f.end(err)
	f.cancel()
	f.flights.landed()
}

// relay passes chunks on until the stream ends, and returns how it did.
func (f *flight) relay(ctx context.Context) (err error) {
	defer recoverAs(&err)
	for ctx.Err() == nil {
		f.awaitRoom(ctx)
		c, err := f.source.Next()
		if err != nil {
			return err
		}
		f.publish(c)
	}
	return ctx.Err() // everybody has left
}

// closeSource closes the stream, if there is one. What Close returns says nothing
// about an answer that has ended; a panic in it is an error.
func (f *flight) closeSource() (err error) {
	defer recoverAs(&err)
	if f.source != nil { // set by takeOff, before anybody else could read it here
		_ = f.source.Close()
	}
	return nil
}

// recoverAs turns a panic into an error: a fault in one call must not end the process.
func recoverAs(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("cache: panic in a shared call: %v\n%s", v, debug.Stack())
	}
}

// publish appends a chunk and wakes those who wait for it.
func (f *flight) publish(c llm.Chunk) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.abandoned {
		return // nobody may begin to read what is given up
	}
	if n := len(f.chunks); n == cap(f.chunks) { // by a quarter and not by doubling: thousands of flights wait at once
		f.chunks = append(make([]llm.Chunk, 0, n+n/4+firstChunks), f.chunks...)
	}
	f.chunks = append(f.chunks, c)
	f.total += weigh(c)
	f.held += weigh(c)
	if f.total > f.flights.maxBuffer {
		f.spilled = true
		f.trimLocked()
	}
	for _, s := range f.aboard {
		s.wakeLocked()
	}
	f.stalled = f.fullLocked()
}

// weigh is what a chunk counts against the bounds.
func weigh(c llm.Chunk) int64 { return int64(len(c.Raw)) + chunkOverhead }

// end tells everybody how the stream ended. The first end counts.
func (f *flight) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return
	}
	f.err = err
	for _, s := range f.aboard {
		s.wakeLocked()
	}
}

// endForLocked is the end as one participant sees it. Errors are copied: each call
// fills in its own. f.mu must be held.
func (f *flight) endForLocked(s *Share) error {
	if f.err == io.EOF { // not errors.Is: a failure may well have io.EOF for a cause
		return io.EOF
	}
	e := *llm.AsError(f.err)
	if _, direct := f.err.(*llm.Error); !direct {
		e.Err = f.err
	}
	// In the middle of an answer the others cannot try again, and it is not their
	// time that is up.
	if !s.leader && f.total > 0 && leadersOwn(e.Kind) {
		return &llm.Error{
			Kind: llm.ForebayUnavailable, Message: "the identical call that this one shared was given up",
			Fix: "Send the request again.", Err: f.err,
		}
	}
	return &e
}

// leadersOwn reports whether an error of this kind says that a caller's own time
// was up or that it went away.
func leadersOwn(k llm.Kind) bool { return k == llm.CallerDeadline || k == llm.CallerCancelled }
