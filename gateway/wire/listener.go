package wire

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Listener takes connections that behave as its Config says. It may be used
// concurrently; Listen makes it.
type Listener struct {
	net.Listener
	config Config
	open   atomic.Int64
	work   chan *Detached // for those of the crew who are idle
	idle   atomic.Int64   // so many of them
	chunks sync.Pool      // of *[]byte, for chunks with their frames
	polled sync.Once      // guards poller
	poller *poller        // nil until it is wanted, and where there is none

	detaches atomic.Bool

	mu       sync.Mutex // guards all below
	draining bool
	away     map[*Detached]bool // what net/http has let go; true for those that wait for a request
	empty    chan struct{}      // closed when it drains and nothing is away
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &Conn{Conn: c, listener: l}, nil
}

// Open is how many connections are open.
func (l *Listener) Open() int { return int(l.open.Load()) }

// AllowDetach has Detach work on connections of this listener. It is for whoever calls
// Drain: http.Server.Shutdown does not wait for what net/http has let go. It is not for
// servers whose keep-alives are switched off: connections are kept behind such answers.
func (l *Listener) AllowDetach() { l.detaches.Store(true) }

// Quiesce closes the connections that wait for a request, and has the others closed behind
// their answers; nothing is detached any more. It comes before http.Server.Shutdown, which
// closes such connections as well.
func (l *Listener) Quiesce() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return
	}
	l.draining = true
	for d, idle := range l.away {
		if idle {
			_ = d.conn.Close() // whoever waits on it sees that
		}
	}
	if len(l.away) == 0 {
		close(l.empty)
	}
}

// Drain waits until every detached answer has ended. What has not when ctx ends is broken
// off, which the error says. When it returns, nothing is detached, nor will be. The server
// has to have been shut down or closed before.
func (l *Listener) Drain(ctx context.Context) (err error) {
	l.Quiesce()
	defer l.stopPolling()
	select {
	case <-l.empty:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	for d, idle := range l.away {
		if _ = d.conn.Close(); !idle {
			d.gone()
			err = errors.New("connections were still at work and are closed")
		}
	}
	l.mu.Unlock()
	<-l.empty
	return err
}

// chunk is room for a chunk with its frame.
func (l *Listener) chunk() *[]byte {
	if b, ok := l.chunks.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

// poll has the poller watch the client of d, if it can.
func (l *Listener) poll(d *Detached) bool {
	var c syscall.Conn
	switch own := d.conn.Conn.(type) { // others may have read more than they gave
	case *net.TCPConn:
		c = own
	case *net.UnixConn:
		c = own
	default:
		return false
	}
	l.polled.Do(func() { l.poller = newPoller() })
	return l.poller.add(d, c)
}

// stopPolling ends the poller, for good.
func (l *Listener) stopPolling() {
	l.polled.Do(func() {})
	l.poller.close()
}

// mostIdle is how many of a listener's crew wait for work, and idleFor for how long.
const (
	mostIdle = 16
	idleFor  = time.Second
)

// hand is one of the crew, whose first work is that of d.
func (l *Listener) hand(d *Detached) {
	patience := time.NewTimer(idleFor)
	defer patience.Stop()
	for d != nil {
		step := d.step
		d.step = nil // an answer that has ended keeps nothing alive
		step()
		step = nil
		d.done <- struct{}{}
		d = nil
		if l.idle.Add(1) <= mostIdle {
			patience.Reset(idleFor)
			select {
			case d = <-l.work:
			case <-l.empty:
			case <-patience.C:
			}
		}
		l.idle.Add(-1)
	}
}

// take counts an answer that is about to be detached, if one may be.
func (l *Listener) take(d *Detached) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.detaches.Load() || l.draining {
		return false
	}
	l.away[d] = false
	return true
}

// rest notes that a connection waits for its next request, if it may.
func (l *Listener) rest(d *Detached) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.draining {
		l.away[d] = true
	}
	return !l.draining
}

// leave is the end of what take began.
func (l *Listener) leave(d *Detached) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.away, d)
	if l.draining && len(l.away) == 0 {
		close(l.empty)
	}
}
