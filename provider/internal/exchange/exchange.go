package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// Exchange is one HTTP call: the request, its bounds in time, and the answer as
// far as it has come. It is made for one goroutine; only Release may be called
// from another one.
type Exchange struct {
	line     *Line
	model    string
	request  *http.Request // its context is the call's own, ended by cancel
	response *http.Response
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	headCame atomic.Bool // from then on the timer bounds silence, not the first byte
	sawEOF   bool
	timed    bool // the timer bounds the rest of the body, not each read
	secrets  *Secrets
	mask     mask // of what Read returns
	body     bytes.Reader
	id       [1]string
	trace    [1]string
}

// Shared by all calls; nobody changes it.
var jsonType = []string{"application/json"}

// Request is what will be sent. Whoever changes it does so before Send, and changes no
// value of its header that came with Call.
func (x *Exchange) Request() *http.Request { return x.request }

// Bounds returns the bounds of the call.
func (x *Exchange) Bounds() *Bounds { return &x.line.cfg.Bounds }

// Header is the header of the answer. It is there once Send has returned nil.
func (x *Exchange) Header() http.Header { return x.response.Header }

// Status is the status of the answer. It is there once Send has returned nil.
func (x *Exchange) Status() int { return x.response.StatusCode }

// Identify adds the headers by which the call can be found in logs and traces. What
// cannot stand in a header is left out rather than failing the call as if the provider had.
func (x *Exchange) Identify(req *llm.Request) {
	h := x.request.Header
	if req.ID != "" && ValidValue(req.ID) {
		x.id[0] = req.ID
		h["X-Request-Id"] = x.id[:]
	}
	if req.TraceParent != "" && ValidValue(req.TraceParent) {
		x.trace[0] = req.TraceParent
		h["Traceparent"] = x.trace[:]
	}
}

// Send makes the call and returns when the head of the answer is there. An error
// releases the exchange.
func (x *Exchange) Send() error {
	if err := x.request.Context().Err(); err != nil {
		x.Release()
		return x.about(llm.AsError(err))
	}
	x.timer = time.AfterFunc(bound(x.line.cfg.Bounds.FirstByte), x.timeIsUp)
	res, err := x.line.cfg.Transport.RoundTrip(x.request)
	if err != nil {
		err = x.unanswered(err)
		x.Release()
		return err
	}
	x.response = res
	x.headCame.Store(true)
	x.timer.Stop()
	return nil
}

// forever stands for no bound: timers cannot be without one.
const forever = time.Duration(1<<63 - 1)

func bound(d time.Duration) time.Duration {
	if d < 0 {
		return forever
	}
	return d
}

func (x *Exchange) timeIsUp() {
	if x.headCame.Load() {
		x.cancel(x.line.idle)
		return
	}
	x.cancel(x.line.noFirstByte)
}

// Read reads the answer's body within the idle bound, without our own keys. Its errors
// other than io.EOF are *llm.Error.
func (x *Exchange) Read(b []byte) (int, error) {
	if len(x.mask.keys) == 0 {
		return x.read(b)
	}
	for {
		start := x.mask.begin(b)
		if start == len(b) { // a buffer too small for a key: what is held goes out as it is
			return start, nil
		}
		n, err := x.read(b[start:])
		nothing := n == 0
		if n = x.mask.end(b[:start+n], err != nil); n > 0 || nothing || err != nil {
			return n, err
		}
	}
}

func (x *Exchange) read(b []byte) (int, error) {
	if !x.timed {
		x.timer.Reset(bound(x.line.cfg.Bounds.Idle))
	}
	n, err := x.response.Body.Read(b)
	if !x.timed {
		x.timer.Stop()
	}
	if errors.Is(err, io.EOF) {
		x.sawEOF = true
		return n, io.EOF
	}
	if err != nil {
		return n, x.broken(err)
	}
	return n, nil
}

// firstRead bounds the memory that a head can claim for a body that may never come.
const firstRead = 1 << 20

// slowestBody is how many bytes a second of a whole answer have to come once it has begun
// for as long as IdleTimeout: it was written before its head was sent, and a network that
// carries less carries nothing.
const slowestBody = 64

// dribbles says that a body of so many bytes, begun at a time, comes too slowly.
func (x *Exchange) dribbles(bytes int, began time.Time) *llm.Error {
	idle, took := bound(x.line.cfg.Bounds.Idle), time.Since(began)
	if took < idle || float64(bytes) >= slowestBody*took.Seconds() {
		return nil
	}
	return x.about(timeoutError(failure.Slow, "the provider's answer comes too slowly, byte by byte", "idle_timeout", idle))
}

// ReadAll reads the body, of at most so many bytes, into memory of its announced size
// where there is one.
func (x *Exchange) ReadAll(most int64) ([]byte, error) {
	began := time.Now()
	announced := x.response.ContentLength
	if announced > most {
		return nil, tooLarge(most)
	}
	// One byte more than announced, so that the read that fills it sees the end.
	size := min(announced+1, firstRead)
	if announced < 0 {
		size = 4 << 10
	}
	body := make([]byte, 0, size)
	for {
		if cap(body)-len(body) < x.mask.room() {
			body = slices.Grow(body, max(len(body), x.mask.room()))
		}
		n, err := x.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > most:
			return nil, tooLarge(most)
		case err == io.EOF: // Read returns the bare value
			return body, nil
		case err != nil:
			return body, err
		}
		if slow := x.dribbles(len(body), began); slow != nil {
			return body, slow
		}
	}
}

// drainFor bounds how long the end of a connection's body is waited for once the
// end mark was read. It is there already, or one packet away; a server that keeps
// the body open after its end mark loses the connection instead.
const drainFor = 50 * time.Millisecond

// Drain reads what is left behind the end mark, so that the connection can be used
// again.
func (x *Exchange) Drain() {
	if x.sawEOF {
		return
	}
	x.timer.Reset(drainFor)
	defer x.timer.Stop()
	var rest [512]byte
	for range 8 {
		if _, err := x.response.Body.Read(rest[:]); err != nil {
			return
		}
	}
}

// Release ends the exchange, and the call upstream if it still runs. It may be
// called more than once and from any goroutine.
func (x *Exchange) Release() {
	if x.timer != nil {
		x.timer.Stop()
	}
	x.cancel(x.line.closed)
	if x.response != nil {
		_ = x.response.Body.Close() // what it could report, the reads have reported
	}
}
