package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/forebay-ai/forebay/gateway/wire"
)

// door is a listener with the server that serves it.
type door struct {
	name   string // the configuration's key for its address, for messages
	http   *http.Server
	ln     *wire.Listener
	cancel context.CancelFunc // ends the contexts of all its requests
	conns  sync.WaitGroup     // counts connections until their handlers have returned
	done   chan struct{}      // closed when Serve has returned
}

// newDoor makes a door of a server and a listener that nobody else uses.
func newDoor(name string, server *http.Server, ln *wire.Listener) *door {
	base, cancel := context.WithCancel(context.Background())
	d := &door{name: name, http: server, ln: ln, cancel: cancel, done: make(chan struct{})}
	ln.AllowDetach()
	server.BaseContext = func(net.Listener) context.Context { return base }
	server.ConnState = d.count
	return d
}

// count counts connections that net/http serves. It calls count for a new one before
// Serve accepts the next, so that nothing is added once Serve has returned; one that
// comes back from a detached answer is served while Shutdown waits for that.
func (d *door) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		d.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		d.conns.Done()
	}
}

// serve takes connections until the door is closed. Any other end is an error.
func (d *door) serve() error {
	defer close(d.done)
	if err := d.http.Serve(d.ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}

// close ends a door that serves: it takes no more connections, and those that are
// at work have until ctx ends. What is left then is broken off, which the error
// says. When it returns every handler has returned.
func (d *door) close(ctx context.Context) error {
	d.ln.Quiesce()
	err := d.http.Shutdown(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("connections were still at work and are closed")
		}
		err = fmt.Errorf("%s: %w", d.name, errors.Join(err, d.http.Close()))
	}
	if broken := d.drain(ctx); err == nil {
		err = broken
	}
	// After a broken connection net/http ends the request's context, unless the
	// client has sent more than one request at once: so they are ended here as well.
	d.cancel()
	<-d.done
	d.conns.Wait()
	return err
}

// drain ends the answers that net/http has let go.
func (d *door) drain(ctx context.Context) error {
	if err := d.ln.Drain(ctx); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}

// leave ends a door that never served.
func (d *door) leave() error {
	d.cancel()
	return errors.Join(d.ln.Close(), d.drain(context.Background()))
}
