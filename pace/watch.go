package pace

import (
	"context"
	"io"
	"math"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Watch ends the context of a stream that does not keep its pace. Begin and End enclose
// each read; nothing is counted in between, when it is the reader who takes his time. They
// are for one goroutine, Stop may be called from any. A nil Watch lets everything pass.
type Watch struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc

	mu      sync.Mutex // guards what follows
	meter   Meter
	reading bool
	stopped bool
	since   time.Time     // of the read in progress
	waited  time.Duration // in the read in progress, before its last Pause
	looks   time.Time     // when the timer looks next
	frame   int           // bytes of the shortest event so far: what an event of one character has
	fault   *llm.Error    // why the attempt was ended; nil while it was not
}

// NewWatch begins to watch. The context ends when the stream is too slow, with what
// Meter.Fault says as its cause, or at Stop, which has to be called.
func NewWatch(ctx context.Context, cfg Config) (context.Context, *Watch) {
	w := &Watch{meter: NewMeter(cfg)}
	ctx, w.cancel = context.WithCancelCause(ctx)
	left, _ := w.leftLocked() // nobody else has it yet
	w.looks = time.Now().Add(left)
	w.timer = time.AfterFunc(left, w.look)
	return ctx, w
}

// look ends the attempt if the read in progress takes too long, and else comes again
// when it would.
func (w *Watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault != nil || w.stopped {
		return
	}
	now := time.Now()
	left, bounded := w.leftLocked()
	if !w.reading { // Begin sets the timer: who does not read is not watched
		w.looks = now.Add(never)
		return
	}
	if bounded {
		left -= now.Sub(w.since)
	}
	if left <= 0 {
		w.fault = w.meter.Fault()
		w.cancel(w.fault)
		return
	}
	w.looks = now.Add(left)
	w.timer.Reset(left)
}

const (
	// forNow is how long a watch sleeps that has nothing to watch for.
	forNow = time.Hour
	// never is when a timer looks that is not set.
	never = time.Duration(math.MaxInt64) / 2
)

// leftLocked is how long the next read may take, or when to look again where it is not
// bounded.
func (w *Watch) leftLocked() (left time.Duration, bounded bool) {
	if left, bounded = w.meter.Left(); !bounded {
		return forNow, false
	}
	return max(left, time.Millisecond), true
}

// Begin says that a read begins at now, or goes on after a Pause.
func (w *Watch) Begin(now time.Time) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading, w.since = true, now.Add(-w.waited)
	left, _ := w.leftLocked()
	left = max(left-w.waited, time.Millisecond)
	if due := now.Add(left); due.Before(w.looks) && !w.stopped {
		w.looks = due
		w.timer.Reset(left)
	}
}

// Pause says that what the read is for is there, and that it has not been taken yet: from now on it
// is the reader who takes his time. The next Begin goes on where this one stopped.
func (w *Watch) Pause(now time.Time) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading, w.waited = false, now.Sub(w.since)
}

// End notes what a read brought, and gives the read's error, or what made us end it.
func (w *Watch) End(now time.Time, c llm.Chunk, err error) error {
	if w == nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reading, w.waited = false, 0
	if w.fault != nil && err != nil && err != io.EOF {
		return w.fault
	}
	waited := now.Sub(w.since)
	w.meter.Waited(waited, w.charactersLocked(&c, waited), c.Useful)
	return err
}

// seldom is the wait for a chunk from which on its text is counted: at the default rate
// a stream with shorter ones is fast enough with a character in each.
const seldom = time.Second / 5

// charactersLocked guesses how many characters a chunk brings without a look into it:
// what its events have over the shortest one. Where all events are alike that is too
// little by far, so of chunks that come seldom the text is counted.
func (w *Watch) charactersLocked(c *llm.Chunk, waited time.Duration) int {
	if c.Events == 0 || !c.Useful {
		return 0
	}
	if each := len(c.Raw) / c.Events; w.frame == 0 || each < w.frame {
		w.frame = each
	}
	n := len(c.Raw) - c.Events*(w.frame-1)
	if waited >= seldom && c.Text != nil {
		n = max(n, len(c.Text()))
	}
	return n
}

// Stop ends the watch and the attempt's context.
func (w *Watch) Stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.timer.Stop()
	w.cancel(context.Canceled)
}
