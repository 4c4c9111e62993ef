package wire

import (
	"bytes"
	"cmp"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Detached is an answer in progress on an HTTP/1.1 connection that net/http has let go.
// While it serves an answer, net/http holds 10 KB of buffers for its connection and the
// stack that led to the handler; ten thousand streams that wait for their next event hold
// 150 MB of it. A Detached holds neither. At the answer's end the connection waits for
// its next request here, and goes back to its server with that one's first byte.
//
// It is an http.ResponseWriter for the rest of the answer. One goroutine writes, and ends
// it with exactly one End.
type Detached struct {
	conn   *Conn
	server *http.Server
	keep   bool   // the connection may take another request
	gone   func() // the client is gone
	// trailer is what Header gives: behind a detached head, only trailers are left.
	trailer http.Header
	step    func()        // what Do has done
	done    chan struct{} // step has returned
	number  uint32        // with the poller; 0 where that does not know it

	mu    sync.Mutex // guards all below
	ended bool
	broke bool   // reading failed: the client is gone
	next  []byte // of the next request, as far as it has come
	// lineEnds counts the bytes of line ends behind the body, which are nobody's.
	lineEnds int
}

// Detach takes an answer away from net/http, once its head was written and its body goes in
// chunks. From then on w must not be used, and the handler should return soon. gone is
// called, by another goroutine, when the client goes away before the answer's end, and
// must not block; the request's own context ends when the handler returns, and says
// nothing any more.
//
// It does nothing and returns nil where the answer is not on a connection of a Listener
// that detaches, or is not in chunks, as on HTTP/1.0, or the listener drains. The body of
// the request has to have been read whole.
func Detach(w http.ResponseWriter, r *http.Request, gone func()) *Detached {
	c := Of(r.Context())
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	hijacker, ok := w.(http.Hijacker) // who wraps an answer sees all of it
	if !ok || c == nil || server == nil || r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Method == http.MethodHead || w.Header().Get("Content-Length") != "" {
		return nil
	}
	d := &Detached{conn: c, server: server, gone: gone, done: make(chan struct{}, 1), keep: !r.Close && !strings.EqualFold(w.Header().Get("Connection"), "close")}
	if !c.listener.take(d) {
		return nil
	}
	early, err := hijack(w, hijacker)
	if err != nil {
		c.listener.leave(d)
		return nil
	}
	d.take(early)
	c.armed.Store(0) // net/http has lifted the deadline
	if d.next == nil && !c.listener.poll(d) {
		go d.watch()
	}
	return d
}

// hijack has net/http let go of the connection, and returns what it has read of the next
// request: a client need not wait for the answer.
func hijack(w http.ResponseWriter, h http.Hijacker) (early []byte, err error) {
	if err := http.NewResponseController(w).Flush(); err != nil { // what net/http still holds would be lost
		return nil, err
	}
	_, buffered, err := h.Hijack()
	if err != nil {
		return nil, err
	}
	early, _ = buffered.Reader.Peek(buffered.Reader.Buffered())
	return early, nil
}

// mostLineEnds is how many bytes of line ends may follow a body, as for net/http: old
// clients send them.
const mostLineEnds = 4

// take takes what came of the next request. It is called with the lock held, or by Detach.
func (d *Detached) take(b []byte) {
	for len(d.next) == 0 && len(b) > 0 && d.lineEnds < mostLineEnds && (b[0] == '\r' || b[0] == '\n') {
		d.lineEnds++
		b = b[1:]
	}
	d.next = append(d.next, b...)
}

// watch reads from the client: its end, or the first byte of its next request. A client
// that sent that one early is not watched, as by net/http.
func (d *Detached) watch() {
	var first [1]byte
	for {
		n, err := d.conn.Conn.Read(first[:])
		d.mu.Lock()
		d.take(first[:n])
		d.broke = d.broke || n == 0 && err != nil
		ended, broke, came := d.ended, d.broke, len(d.next) > 0
		d.mu.Unlock()
		switch {
		case !broke && !came:
		case ended:
			d.settle()
			return
		case broke:
			d.gone()
			return
		default:
			return // End settles it
		}
	}
}

// settle is what follows when the answer has ended and the client has said what next.
func (d *Detached) settle() {
	defer d.conn.listener.leave(d)
	if d.broke || len(d.next) == 0 {
		_ = d.conn.Close()
		return
	}
	var l once
	l.conn.Store(d.conn.handOver(d.next))
	_ = d.server.Serve(&l) // returns at once; a server that shuts down refuses it
}

// Do has another goroutine run step, which must not panic, and returns when it has. To read
// an event and to write it takes more stack than to wait for the next one, and a goroutine
// keeps what it once took: those of a crew, which few streams need at a time, keep it for
// all.
func (d *Detached) Do(step func()) {
	d.step = step
	select {
	case d.conn.listener.work <- d:
	default:
		go d.conn.listener.hand(d)
	}
	<-d.done
}

// Write sends b as a chunk.
func (d *Detached) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil // an empty chunk would be the end
	}
	chunk := d.conn.listener.chunk()
	defer d.conn.listener.chunks.Put(chunk)
	*chunk = append(strconv.AppendInt((*chunk)[:0], int64(len(b)), 16), "\r\n"...)
	if len(b) > largeChunk {
		if _, err := d.conn.writePieces(*chunk); err != nil {
			return 0, err
		}
		if n, err := d.conn.writePieces(b); err != nil {
			return n, err
		}
		_, err := d.conn.writePieces([]byte("\r\n"))
		return len(b), err
	}
	*chunk = append(append(*chunk, b...), "\r\n"...)
	if _, err := d.conn.writePieces(*chunk); err != nil {
		return 0, err
	}
	return len(b), nil
}

// largeChunk is from where on a chunk is not copied to go out in one write.
const largeChunk = 32 << 10

// Flush does nothing: every Write is sent.
func (d *Detached) Flush() {}

// Header is the answer's trailer. Its names have to have been announced in the head.
func (d *Detached) Header() http.Header {
	if d.trailer == nil {
		d.trailer = http.Header{}
	}
	return d.trailer
}

// WriteHeader does nothing: the head was written.
func (d *Detached) WriteHeader(int) {}

// End ends the answer. One that is not whole, or that cannot be ended properly, ends with
// its connection, so that no client takes it for whole.
func (d *Detached) End(whole bool) {
	if whole {
		whole = d.finish() == nil
	}
	alone := d.number != 0 && d.conn.listener.poller.remove(d) // nobody reads
	d.mu.Lock()
	idle := whole && d.keep && !d.broke && d.conn.listener.rest(d)
	known := d.broke || len(d.next) > 0
	d.ended = true
	if !idle {
		d.broke = true
		_ = d.conn.Close() // ends watch, too
	} else if !known {
		_ = d.conn.Conn.SetReadDeadline(idleUntil(d.server))
	}
	d.mu.Unlock()
	switch {
	case known, alone && !idle:
		d.settle()
	case alone:
		go d.watch()
	} // else watch is at work, and settles it
}

// idleUntil is how long a connection waits for its next request.
func idleUntil(s *http.Server) time.Time {
	if d := cmp.Or(s.IdleTimeout, s.ReadTimeout); d > 0 { // as net/http
		return time.Now().Add(d)
	}
	return time.Time{}
}

// finish writes the last chunk and the trailer.
func (d *Detached) finish() error {
	var end bytes.Buffer
	end.WriteString("0\r\n")
	_ = d.trailer.Write(&end) // nothing fails in memory
	end.WriteString("\r\n")
	_, err := d.conn.writePieces(end.Bytes())
	return err
}

// once is a listener that has one connection, until it is taken.
type once struct{ conn atomic.Pointer[Conn] }

var errOnce = errors.New("wire: the listener had one connection")

// Accept returns the connection the first time.
func (l *once) Accept() (net.Conn, error) {
	if c := l.conn.Swap(nil); c != nil {
		return c, nil
	}
	return nil, errOnce
}

// Close closes the connection if nobody took it. A server that shuts down calls it while
// Serve calls Accept.
func (l *once) Close() error {
	if c := l.conn.Swap(nil); c != nil {
		return c.Close()
	}
	return nil
}

// Addr stands for an address: nobody dials it.
func (l *once) Addr() net.Addr { return onceAddr{} }

type onceAddr struct{}

func (onceAddr) Network() string { return "tcp" }
func (onceAddr) String() string  { return "detached" }
