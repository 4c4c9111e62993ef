// Package wire is what lies between the gateway and its clients' connections: writes
// that give a client up which stops reading, on HTTP/1 for each connection and on
// HTTP/2 for each stream; heads of answers that go past net/http's header map; our
// answers in place of those that net/http writes by itself; and answers that last, which
// leave net/http. It knows bytes, and nothing of routes, calls or errors.
package wire

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// Config says how connections behave.
type Config struct {
	// WriteTimeout bounds each write of up to 64 KiB. It has to be positive.
	WriteTimeout time.Duration
	// Refusal makes the whole answer, status line included, in place of one that
	// net/http writes by itself on HTTP/1: with this status, and this text for its body.
	Refusal func(status int, reason string) []byte
}

// Listen returns l with connections that behave as c says.
func Listen(l net.Listener, c Config) *Listener {
	return &Listener{Listener: l, config: c, work: make(chan *Detached), away: map[*Detached]bool{}, empty: make(chan struct{})}
}

// Conn is a connection to a client.
type Conn struct {
	net.Conn
	listener *Listener
	closed   atomic.Bool  // or handed over
	armed    atomic.Int64 // when the write deadline was set last, in Unix nanoseconds
	// head is what goes behind the status line of the next answer. The goroutine that
	// serves the connection sets it and writes, so it needs no lock.
	head []byte
	// early is what came before the connection was handed over: it is read first.
	early []byte
	// preface counts the bytes that came and are those of HTTP/2's preface; -1 once one
	// was not. Whoever reads counts, and one goroutine reads at a time.
	preface int
	http2   atomic.Bool // all of the preface has come: what is written are frames
}

// Close closes the connection. What was handed over is not this one's to close.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.listener.open.Add(-1)
	return c.Conn.Close()
}

// Detaches says whether Detach works here.
func (c *Conn) Detaches() bool { return c.listener.detaches.Load() }

// handOver returns the connection anew, for another server's goroutine, that reads early
// first.
func (c *Conn) handOver(early []byte) *Conn {
	if c.closed.Swap(true) {
		return c
	}
	return &Conn{Conn: c.Conn, listener: c.listener, early: early}
}

// connKey finds the connection in a request's context.
type connKey struct{}

// Context is for http.Server.ConnContext: it lets Of find the connection.
func Context(ctx context.Context, c net.Conn) context.Context {
	if own, ok := c.(*Conn); ok {
		return context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

// Of is the connection of a request with this context, or nil where it is not one of
// this package's. Over HTTP/2 a connection belongs to many requests at once.
func Of(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

// Say has lines put behind the status line of the next answer: whole header lines, each
// with its line end. It is for HTTP/1, and for the goroutine that serves the request.
func (c *Conn) Say(lines []byte) { c.head = lines }

const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Read reads from the client, and sees whether it speaks HTTP/2.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := 0, error(nil)
	if len(c.early) > 0 {
		n = copy(b, c.early)
		c.early = c.early[n:]
	} else {
		n, err = c.Conn.Read(b)
	}
	for i := 0; i < n && c.preface >= 0 && c.preface < len(clientPreface); i++ {
		if b[i] != clientPreface[c.preface] {
			c.preface = -1
			break
		}
		if c.preface++; c.preface == len(clientPreface) {
			c.http2.Store(true)
		}
	}
	return n, err
}

// writePiece bounds what one write deadline is for: a slow reader that takes 64
// KiB in WriteTimeout is slow, but alive.
const writePiece = 64 << 10

// Write writes b. One whole write that is a refusal of net/http's own goes out as
// an answer of ours instead. Frames of HTTP/2 go out as they are: what is in them may
// look like anything.
func (c *Conn) Write(b []byte) (int, error) {
	if c.http2.Load() {
		return c.writePieces(b)
	}
	if IsRefusal(b) {
		if _, err := c.writePieces(c.refusal(b)); err != nil {
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

func (c *Conn) writePieces(b []byte) (written int, err error) {
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
func (c *Conn) arm() error {
	now := time.Now()
	if now.UnixNano()-c.armed.Load() < int64(c.listener.config.WriteTimeout/4) {
		return nil
	}
	c.armed.Store(now.UnixNano())
	return c.Conn.SetWriteDeadline(now.Add(c.listener.config.WriteTimeout))
}

// SetWriteDeadline ignores that net/http lifts the deadline after each request:
// every write sets its own.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	c.armed.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite ends the writing side, where the connection has one. net/http does
// that so that a client that still sends can read a refusal.
func (c *Conn) CloseWrite() error {
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

// IsRefusal recognises the refusals of net/http. Answers of ours have no plain-text
// body, and begin with another header.
func IsRefusal(b []byte) bool {
	if len(b) > maxRefusal || len(b) < len(statusPrefix)+3 || string(b[:len(statusPrefix)]) != statusPrefix || b[len(statusPrefix)] < '4' {
		return false
	}
	return bytes.Contains(b, []byte(refusalHeaders)) || bytes.HasPrefix(b, []byte(expectationFailed))
}

// refusal makes our answer of one of net/http's.
func (c *Conn) refusal(b []byte) []byte {
	status, _ := strconv.Atoi(string(b[len(statusPrefix) : len(statusPrefix)+3]))
	_, reason, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	return c.listener.config.Refusal(status, string(reason))
}
