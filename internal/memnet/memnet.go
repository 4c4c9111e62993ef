// Package memnet is a network inside the process: a listener and its dialer over
// net.Pipe. HTTP that goes through it works inside a testing/synctest bubble,
// where a goroutine that waits on a real socket would hold the fake clock still.
//
// It is for tests and for wiring parts of one process together. It has no
// addresses, no buffers and no deadlines of its own beyond those of net.Pipe: a
// write ends when the other side has read it.
package memnet

import (
	"context"
	"net"
	"sync"
)

// Listener accepts the connections that its Dial makes. It is safe for
// concurrent use.
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen returns a listener that accepts until it is closed.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for a Dial. After Close it returns net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial. Connections that were made stay open.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns an address that names the network and nothing else.
func (l *Listener) Addr() net.Addr { return addr{} }

// Dial connects to the listener once something accepts. It ignores the network
// and the address, so that it fits http.Transport.DialContext and
// net.Dialer.DialContext. It fails with net.ErrClosed after Close and with ctx's
// error when that ends first.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	server, client := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// addr is the one address of every in-memory network.
type addr struct{}

func (addr) Network() string { return "memory" }
func (addr) String() string  { return "memory" }
