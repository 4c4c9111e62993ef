package exchange

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// Config says what a line leads to and within which bounds.
type Config struct {
	// Name is the provider's name in errors.
	Name string
	// Where names the configuration keys that say where the back end is, for advice in
	// errors: base_url.
	Where string
	// Bounds are those of every call.
	Bounds Bounds
	// Plain says that the back end is called without TLS, and so over HTTP/1.
	Plain bool
	// ProxyFromEnvironment honours HTTPS_PROXY and its like.
	ProxyFromEnvironment bool
	// Transport makes the calls. Nil means a transport of the line's own. One from
	// elsewhere must not follow redirects or retry calls of which it has sent anything.
	Transport http.RoundTripper
	// Secrets are what no answer and no error may repeat, of calls that bring none of
	// their own. Nil means that there are none.
	Secrets *Secrets
	// Decode reads an error answer, whose body may be cut or missing. The status of what
	// it returns is set behind it.
	Decode func(status int, header http.Header, body []byte) *llm.Error
	// IDHeader is the header in which the back end says its id of a call; errors about an
	// answer have it in their cause, for the log. Empty means that there is none.
	IDHeader string
}

// Line is a back end as calls reach it. It is safe for concurrent use and starts no
// goroutine but those of net/http; Close ends the idle ones.
type Line struct {
	cfg   Config
	http2 atomic.Bool // the back end speaks HTTP/2

	ownTransport bool // tells http2

	// Why a call of ours was cancelled; compared by identity, returned as copies.
	noFirstByte, idle, closed *llm.Error
}

// New makes a line. Its bounds have been checked. It makes no connection.
func New(cfg Config) *Line {
	l := &Line{cfg: cfg}
	l.cfg.Bounds = cfg.Bounds.withDefaults()
	if cfg.Secrets == nil {
		l.cfg.Secrets = &Secrets{}
	}
	if cfg.Transport == nil {
		t := l.cfg.Bounds.transport(l.shookHands)
		if cfg.ProxyFromEnvironment {
			t.Proxy = http.ProxyFromEnvironment
		}
		l.cfg.Transport, l.ownTransport = t, true
	}
	l.noFirstByte = timeoutError(failure.HeaderTimeout, "the provider did not begin to answer in time", "first_byte_timeout", l.cfg.Bounds.FirstByte)
	l.idle = timeoutError(failure.Idle, "the provider fell silent within its answer", "idle_timeout", l.cfg.Bounds.Idle)
	l.closed = llm.Errorf(llm.CallerCancelled, "the stream was closed")
	return l
}

// Bounds returns the bounds, with the defaults in place of what was zero.
func (l *Line) Bounds() Bounds { return l.cfg.Bounds }

// Transport returns what makes the calls.
func (l *Line) Transport() http.RoundTripper { return l.cfg.Transport }

// Close closes the idle connections. Calls in progress go on.
func (l *Line) Close() error {
	if t, ok := l.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// shookHands notes which protocol was agreed on.
func (l *Line) shookHands(s tls.ConnectionState) error {
	if s.NegotiatedProtocol == "h2" {
		l.http2.Store(true)
	}
	return nil
}

// mayRepeat says whether net/http may be given the means to send a call's body again.
// Over HTTP/1 it uses them for one thing: a kept connection that was found dead before a
// byte was written. Over HTTP/2 it sends up to seven times, waiting in between, and also
// where a server that has seen the call resets it with PROTOCOL_ERROR: that is for the
// one layer that retries to decide. Of a transport that is not ours nobody knows what
// it speaks over TLS.
func (l *Line) mayRepeat() bool {
	return !l.http2.Load() && (l.cfg.Plain || l.ownTransport)
}

// again gives net/http the body for another try, unless it turned out meanwhile that
// the back end speaks HTTP/2.
func (l *Line) again(body []byte) (io.ReadCloser, error) {
	if l.http2.Load() {
		return nil, errSentOnce
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

var errSentOnce = errors.New("the provider broke a call off over HTTP/2, which is not sent again")

// Call is what one exchange sends.
type Call struct {
	// Model is the model in errors; may be empty.
	Model string
	// Request has method, URL and protocol. It is copied, its URL and Host shared; its
	// header and body are not looked at.
	Request *http.Request
	// Header is sent with the call. The map is copied, its values are shared.
	Header http.Header
	// Body is sent as JSON, unless it is nil. It is not changed.
	Body []byte
	// Secrets are what neither answer nor errors may repeat. Nil means the line's.
	Secrets *Secrets
}

// Begin prepares a call. Whoever begins one must release it, or hand it to a
// stream that does.
func (l *Line) Begin(ctx context.Context, c Call) *Exchange {
	ctx, cancel := context.WithCancelCause(ctx)
	x := &Exchange{line: l, model: c.Model, cancel: cancel, request: c.Request.WithContext(ctx), secrets: c.Secrets}
	if x.secrets == nil {
		x.secrets = l.cfg.Secrets
	}
	x.mask.keys = x.secrets.keys
	header := make(http.Header, len(c.Header)+4)
	for name, values := range c.Header {
		header[name] = values
	}
	x.request.Header = header
	if body := c.Body; body != nil {
		header["Content-Type"] = jsonType
		x.body.Reset(body)
		x.request.Body = io.NopCloser(&x.body)
		x.request.ContentLength = int64(len(body))
		if l.mayRepeat() {
			x.request.GetBody = func() (io.ReadCloser, error) { return l.again(body) }
		}
	}
	return x
}

// About returns a copy of e that names the provider and a model and holds no secret of
// the line's, for errors of a call that was never begun.
func (l *Line) About(model string, e *llm.Error) *llm.Error { return l.about(model, e, l.cfg.Secrets) }

// about is a copy because e may be shared, and because callers add to their errors.
func (l *Line) about(model string, e *llm.Error, s *Secrets) *llm.Error {
	c := *e
	c.Provider, c.Model = l.cfg.Name, model
	s.clean(&c)
	return &c
}
