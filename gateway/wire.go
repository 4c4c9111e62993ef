package gateway

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/llm"
)

// WrapListener returns l with connections that cut clients which stop reading, and
// that answer in JSON where net/http would write plain text by itself. A TLS
// listener belongs around the result, not inside it.
func (g *Gateway) WrapListener(l net.Listener) net.Listener {
	return &listener{Listener: l, gateway: g}
}

type listener struct {
	net.Listener
	gateway *Gateway
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, gateway: l.gateway}, nil
}

// conn is a connection to a client.
type conn struct {
	net.Conn
	gateway *Gateway
	armed   atomic.Int64 // when the write deadline was set last, in Unix nanoseconds
	// head is what goes behind the status line of the next answer. The goroutine that
	// serves the connection sets it and writes, so it needs no lock.
	head []byte
}

// connKey finds the connection in a request's context.
type connKey struct{}

// withConn is for http.Server.ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if own, ok := c.(*conn); ok {
		return context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

// writePiece bounds what one write deadline is for: a slow reader that takes 64
// KiB in WriteTimeout is slow, but alive.
const writePiece = 64 << 10

// Write writes b. One whole write that is a refusal of net/http's own goes out as
// an error body of ours instead.
func (c *conn) Write(b []byte) (int, error) {
	if isRefusal(b) {
		if _, err := c.writePieces(c.gateway.translate(b)); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	if c.head == nil || isInterim(b) {
		return c.writePieces(b)
	}
	// Some fifteen lines are in every answer of ours. Through net/http's header map,
	// which is filled, copied, sorted and written for each answer, they cost an eighth
	// of the CPU of a hit; here they cost a copy.
	status, rest := b[:bytes.IndexByte(b, '\n')+1], b[bytes.IndexByte(b, '\n')+1:]
	whole := append(append(append(make([]byte, 0, len(b)+len(c.head)), status...), c.head...), rest...)
	c.head = nil
	if _, err := c.writePieces(whole); err != nil {
		return 0, err
	}
	return len(b), nil
}

// isInterim says that b is not the beginning of a final answer.
func isInterim(b []byte) bool {
	return len(b) < len(statusPrefix)+3 || string(b[:len(statusPrefix)-2]) != statusPrefix[:len(statusPrefix)-2] || b[len(statusPrefix)] == '1'
}

func (c *conn) writePieces(b []byte) (written int, err error) {
	for {
		piece := b[written:min(len(b), written+writePiece)]
		if err := c.arm(); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(piece)
		written += n
		if err != nil || written >= len(b) {
			return written, err
		}
	}
}

// arm sets the deadline of the next write, unless a quarter of the bound has not
// passed since the last one was set: that spares most writes the call, and a
// client is still cut between three quarters of the bound and all of it.
func (c *conn) arm() error {
	now := time.Now()
	timeout := c.gateway.cfg.WriteTimeout
	if now.UnixNano()-c.armed.Load() < int64(timeout/4) {
		return nil
	}
	c.armed.Store(now.UnixNano())
	return c.Conn.SetWriteDeadline(now.Add(timeout))
}

// SetWriteDeadline ignores that net/http lifts the deadline after each request:
// every write sets its own.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	c.armed.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite ends the writing side, where the connection has one. net/http does
// that so that a client that still sends can read a refusal.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

const (
	statusPrefix = "HTTP/1.1 "
	// refusalHeaders is what net/http puts into each refusal that it writes past
	// the handler: headers too large, malformed requests, unknown transfer codings
	// and protocol versions (errorHeaders in its server.go).
	refusalHeaders = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	// expectationFailed begins the answer to an Expect that net/http does not know.
	// Answers of ours never have Connection as their first header.
	expectationFailed = "HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\n"
	// maxRefusal is above the longest refusal.
	maxRefusal = 512
)

// isRefusal recognises the refusals of net/http. Answers of ours have no plain-text
// body, and begin with another header.
func isRefusal(b []byte) bool {
	if len(b) > maxRefusal || len(b) < len(statusPrefix)+3 || string(b[:len(statusPrefix)]) != statusPrefix || b[len(statusPrefix)] < '4' {
		return false
	}
	return bytes.Contains(b, []byte(refusalHeaders)) || bytes.HasPrefix(b, []byte(expectationFailed))
}

// translate makes our answer to what net/http refused.
func (g *Gateway) translate(refusal []byte) []byte {
	status, _ := strconv.Atoi(string(refusal[len(statusPrefix) : len(statusPrefix)+3]))
	_, reason, _ := bytes.Cut(refusal, []byte("\r\n\r\n"))
	out := &plainWriter{header: http.Header{}}
	x := &visit{gateway: g, w: out, r: new(http.Request), start: time.Now()}
	x.id, x.trace = newID(), traceParent("")
	x.fail(g.refusalError(status, string(reason)))
	x.status = status // net/http's is finer than that of the kind
	x.record()

	out.header.Set("Connection", "close")
	out.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var b bytes.Buffer
	b.WriteString(statusPrefix + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	_ = out.header.Write(&b) // a buffer does not fail
	b.WriteString("\r\n")
	b.Write(out.body)
	return b.Bytes()
}

// plainWriter keeps an answer for translate.
type plainWriter struct {
	header http.Header
	body   []byte
}

func (w *plainWriter) Header() http.Header { return w.header }
func (w *plainWriter) WriteHeader(int)     {}
func (w *plainWriter) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}

// refusalError is the error behind a refusal of net/http's.
func (g *Gateway) refusalError(status int, reason string) *llm.Error {
	e := &llm.Error{Kind: llm.CallerInvalidRequest, Fix: "Send well-formed HTTP/1.1."}
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		e.Kind, e.Message = llm.CallerTooLarge, "request line and headers are over the limit"
		e.Limit, e.Value = "gateway.max_header", strconv.Itoa(g.cfg.MaxHeader)+" bytes"
		e.Fix = "Send fewer or shorter headers; prompts belong into the body."
	case http.StatusNotImplemented:
		e.Message, e.Fix = "the transfer coding is not supported", "Send the body with content-length, or chunked."
	case http.StatusExpectationFailed:
		e.Message, e.Fix = "the expectation is not supported", "Send expect: 100-continue, or no expect header."
	case http.StatusHTTPVersionNotSupported:
		e.Message = "the protocol version is not supported"
	default:
		e.Message = "the request is malformed"
		if _, detail, found := strings.Cut(reason, ": "); found {
			e.Message += ": " + form.Printable(detail, 100)
		}
	}
	return e
}
