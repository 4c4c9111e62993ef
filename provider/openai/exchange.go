package openai

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

// exchange is one HTTP call: the request, its bounds in time, and the answer as
// far as it has come. It is made for one goroutine; only release may be called
// from another one.
type exchange struct {
	provider *Provider
	model    string
	request  *http.Request // its context is the call's own, ended by cancel
	response *http.Response
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	headCame atomic.Bool // from then on the timer bounds silence, not the first byte
	sawEOF   bool
	timed    bool // the timer bounds the rest of the body, not each read
	mask     mask // of what Read returns
	body     bytes.Reader
	id       [1]string
	trace    [1]string
}

// begin prepares a call. Whoever begins one must release it, or hand it to a
// stream that does.
func (p *Provider) begin(ctx context.Context, template *http.Request, body []byte) *exchange {
	ctx, cancel := context.WithCancelCause(ctx)
	x := &exchange{provider: p, cancel: cancel, request: template.WithContext(ctx), mask: mask{keys: p.keys}}
	header := make(http.Header, len(p.fixed)+4)
	for name, values := range p.fixed {
		header[name] = values
	}
	x.request.Header = header
	if body != nil {
		header["Content-Type"] = jsonType
		x.body.Reset(body)
		x.request.Body = io.NopCloser(&x.body)
		x.request.ContentLength = int64(len(body))
		if p.mayRepeat() {
			x.request.GetBody = func() (io.ReadCloser, error) { return p.again(body) }
		}
	}
	return x
}

// again gives net/http the body for another try, unless it turned out meanwhile that
// the back end speaks HTTP/2.
func (p *Provider) again(body []byte) (io.ReadCloser, error) {
	if p.http2.Load() {
		return nil, errSentOnce
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

var errSentOnce = errors.New("the provider broke a call off over HTTP/2, which is not sent again")

// Shared by all calls; nobody changes them.
var (
	jsonType     = []string{"application/json"}
	acceptJSON   = jsonType
	acceptEvents = []string{"text/event-stream"}
)

// describe adds the headers that depend on the request. What cannot stand in a
// header is left out rather than failing the call as if the provider had.
func (x *exchange) describe(req *llm.Request) {
	h := x.request.Header
	h["Accept"] = acceptJSON
	if req.Stream {
		h["Accept"] = acceptEvents
	}
	if req.ID != "" && validValue(req.ID) {
		x.id[0] = req.ID
		h["X-Request-Id"] = x.id[:]
	}
	if req.TraceParent != "" && validValue(req.TraceParent) {
		x.trace[0] = req.TraceParent
		h["Traceparent"] = x.trace[:]
	}
}

// send makes the call and returns when the head of the answer is there. An error
// releases the exchange.
func (x *exchange) send() error {
	if err := x.request.Context().Err(); err != nil {
		x.release()
		return x.provider.about(x.model, llm.AsError(err))
	}
	x.timer = time.AfterFunc(bound(x.provider.cfg.FirstByteTimeout), x.timeIsUp)
	res, err := x.provider.cfg.Transport.RoundTrip(x.request)
	if err != nil {
		err = x.unanswered(err)
		x.release()
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

func (x *exchange) timeIsUp() {
	if x.headCame.Load() {
		x.cancel(x.provider.idle)
		return
	}
	x.cancel(x.provider.noFirstByte)
}

// Read reads the answer's body within the idle bound, without our own keys. Its errors
// other than io.EOF are *llm.Error.
func (x *exchange) Read(b []byte) (int, error) {
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

func (x *exchange) read(b []byte) (int, error) {
	if !x.timed {
		x.timer.Reset(bound(x.provider.cfg.IdleTimeout))
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
func (x *exchange) dribbles(bytes int, began time.Time) *llm.Error {
	idle, took := bound(x.provider.cfg.IdleTimeout), time.Since(began)
	if took < idle || float64(bytes) >= slowestBody*took.Seconds() {
		return nil
	}
	return x.provider.about(x.model, timeoutError(failure.Slow, "the provider's answer comes too slowly, byte by byte", "idle_timeout", idle))
}

// readAll reads the body, into memory of its announced size where there is one.
func (x *exchange) readAll(most int64) ([]byte, error) {
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

// drain reads what is left behind the end mark, so that the connection can be used
// again.
func (x *exchange) drain() {
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

// release ends the exchange, and the call upstream if it still runs. It may be
// called more than once and from any goroutine.
func (x *exchange) release() {
	if x.timer != nil {
		x.timer.Stop()
	}
	x.cancel(x.provider.closed)
	if x.response != nil {
		_ = x.response.Body.Close() // what it could report, the reads have reported
	}
}
