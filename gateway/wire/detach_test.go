package wire_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/forebay-ai/forebay/gateway/wire"
	"github.com/forebay-ai/forebay/internal/memnet"
)

// away is a server whose answers are detached behind their first word, and then do as the
// test says.
type away struct {
	ln     *wire.Listener
	server *http.Server
	dial   func() (net.Conn, error)
	went   chan *wire.Detached // each answer that was detached
	gone   chan struct{}       // a client that is
	kept   chan struct{}       // an answer that was not detached
}

// serveAway serves on l, which AllowDetach was called on.
func serveAway(t *testing.T, l net.Listener, dial func() (net.Conn, error)) *away {
	t.Helper()
	a := &away{
		ln: wire.Listen(l, wire.Config{WriteTimeout: 2 * time.Second}), dial: dial,
		went: make(chan *wire.Detached, 8), gone: make(chan struct{}, 8), kept: make(chan struct{}, 8),
	}
	a.ln.AllowDetach()
	a.server = &http.Server{
		ConnContext: wire.Context, IdleTimeout: 5 * time.Second, ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(a.answer),
	}
	done := make(chan error, 1)
	go func() { done <- a.server.Serve(a.ln) }()
	t.Cleanup(func() {
		_ = a.server.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = a.ln.Drain(ctx)
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if n := a.ln.Open(); n != 0 {
			t.Errorf("%d connections are left open", n)
		}
	})
	return a
}

// overTCP serves on real sockets.
func overTCP(t *testing.T) *away {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveAway(t, l, func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) })
}

// inMemory serves in memory: there a goroutine waits for each client.
func inMemory(t *testing.T) *away {
	t.Helper()
	l := memnet.Listen()
	return serveAway(t, l, func() (net.Conn, error) { return l.Dial(t.Context(), "", "") })
}

func (a *away) answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path == "/whole" {
		_, _ = io.WriteString(w, "whole")
		return
	}
	w.Header().Set("Trailer", "X-End")
	_, _ = io.WriteString(w, "first ")
	if r.URL.Path == "/flushed" {
		w.(http.Flusher).Flush()
	}
	d := wire.Detach(w, r, func() {
		select {
		case a.gone <- struct{}{}:
		default: // told often enough
		}
	})
	if d == nil {
		a.kept <- struct{}{}
		return
	}
	a.went <- d
}

// client is a connection that asks by hand.
type client struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (a *away) client(t *testing.T) *client {
	t.Helper()
	c, err := a.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{Conn: c, t: t, in: bufio.NewReader(c)}
}

// ask sends a request.
func (c *client) ask(path string, lines ...string) {
	c.t.Helper()
	text := "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\nbody"
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Error(err)
	}
}

// begin asks for an answer and returns it once it is detached and has begun to arrive.
func (c *client) begin(a *away, lines ...string) *wire.Detached {
	c.t.Helper()
	c.ask("/", lines...)
	came := make(chan struct{})
	go func() {
		defer close(came)
		_, _ = c.in.Peek(1)
	}()
	d := <-a.went
	<-came
	return d
}

// answer reads an answer, and its trailer.
func (c *client) answer() (body string, trailer http.Header, err error) {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return "", nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), res.Trailer, err
}

// want reads an answer that is whole.
func (c *client) want(body string) {
	c.t.Helper()
	if got, _, err := c.answer(); err != nil || got != body {
		c.t.Errorf("%q, %v; want %q", got, err, body)
	}
}

// say writes words of an answer, by the crew.
func say(t *testing.T, d *wire.Detached, words ...string) {
	t.Helper()
	for _, w := range words {
		d.Do(func() {
			if n, err := io.WriteString(d, w); err != nil || n != len(w) {
				t.Errorf("%d of %d bytes: %v", n, len(w), err)
			}
		})
	}
}

// Answers of all sizes come whole, with their trailers, and the connection serves one
// request after the other, detached or not.
func TestDetachedAnswers(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *away{"TCP": overTCP, "memory": inMemory} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			c := a.client(t)
			large := strings.Repeat("0123456789abcdef", 20<<10)
			for i, words := range [][]string{{"and last"}, nil, {"", "a", ""}, {large, "x", large[:32<<10], large[:32<<10+1]}} {
				for _, path := range []string{"/", "/flushed", "/whole"} {
					c.ask(path)
					if path == "/whole" {
						c.want("whole")
						continue
					}
					go func() {
						d := <-a.went
						say(t, d, words...)
						d.Header().Set("X-End", fmt.Sprint(i))
						d.End(true)
					}()
					body, trailer, err := c.answer()
					if want := "first " + strings.Join(words, ""); err != nil || body != want || trailer.Get("X-End") != fmt.Sprint(i) {
						t.Errorf("%s: %d bytes of %d, trailer %v, %v", path, len(body), len(want), trailer, err)
					}
				}
			}
			if n := a.ln.Open(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

// A client that asks again before the answer's end is answered in turn, whether net/http
// has read of it or not.
func TestDetachedPipelined(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		a := overTCP(t)
		c := a.client(t)
		c.ask("/")
		c.ask("/whole")
		d := <-a.went
		say(t, d, "and last")
		d.End(true)
		c.want("first and last")
		c.want("whole")
	})
	t.Run("during the answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := inMemory(t)
			c := a.client(t)
			d := c.begin(a)
			go c.ask("/whole") // takes until it is read
			synctest.Wait()
			go func() {
				say(t, d, "and last")
				d.End(true)
			}()
			c.want("first and last")
			c.want("whole")
		})
	})
}

// What has to end with its connection does.
func TestDetachedCloses(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		whole bool
		err   error // of the answer
	}{
		{"the client asks for it", []string{"Connection: close"}, true, nil},
		{"the answer is not whole", nil, false, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := overTCP(t)
			client := a.client(t)
			d := client.begin(a, c.lines...)
			say(t, d, "and last")
			d.End(c.whole)
			if _, _, err := client.answer(); !errors.Is(err, c.err) {
				t.Errorf("%v, want %v", err, c.err)
			}
			if _, err := client.in.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("the connection: %v", err)
			}
		})
	}
}

// A client that is gone is told of at once, whether it closes or resets, and where nobody
// writes.
func TestDetachedClientGone(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *away{"TCP": overTCP, "memory": inMemory} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			for range 3 {
				c := a.client(t)
				d := c.begin(a)
				if tcp, ok := c.Conn.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				_ = c.Close()
				<-a.gone
				d.End(true)
			}
		})
	}
}

// Answers that are not in chunks, or that nobody may detach, stay with net/http.
func TestNotDetached(t *testing.T) {
	a := overTCP(t)
	c := a.client(t)
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-a.kept
	c.want("first ")
	c = a.client(t)
	if _, err := io.WriteString(c, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-a.kept
	if d := wire.Detach(nil, &http.Request{}, nil); d != nil {
		t.Error("detached from nothing")
	}
}

// A connection waits for its next request as long as the server's idle time, and is then
// closed.
func TestDetachedIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		c := a.client(t)
		for range 2 {
			d := c.begin(a)
			go d.End(true)
			c.want("first ")
			time.Sleep(4 * time.Second)
		}
		began := time.Now()
		if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("closed after %v more, want 1 s", waited)
		}
	})
}

// A reader that takes nothing is given up at the write timeout.
func TestDetachedSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		c := a.client(t)
		d := c.begin(a)
		began := time.Now()
		for range 1 << 10 {
			if _, err := d.Write(make([]byte, 1<<10)); err != nil {
				break
			}
		}
		if waited := time.Since(began); waited != 2*time.Second {
			t.Errorf("given up after %v, want 2 s", waited)
		}
		d.End(false)
	})
}

// Drain waits for answers, closes what is idle, and breaks off what is late.
func TestDrain(t *testing.T) {
	a := overTCP(t)
	idle, busy := a.client(t), a.client(t)
	idle.begin(a).End(true)
	idle.want("first ")
	d := busy.begin(a)
	if err := a.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	drained := make(chan error, 1)
	go func() { drained <- a.ln.Drain(t.Context()) }()
	if _, err := idle.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection: %v", err)
	}
	select {
	case err := <-drained:
		t.Fatalf("drained with an answer in progress: %v", err)
	default:
	}
	say(t, d, "and last")
	d.End(true)
	busy.want("first and last")
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if _, err := busy.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last answer: %v", err)
	}

	b := overTCP(t)
	late := b.client(t)
	d = late.begin(b)
	_ = b.server.Shutdown(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	go func() {
		<-b.gone
		d.End(false)
	}()
	if err := b.ln.Drain(ctx); err == nil {
		t.Error("an answer was broken off, and nobody says so")
	}
	if _, _, err := late.answer(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an answer that was broken off: %v", err)
	}
}

// Many streams on few hands: each gets its own words in order.
func TestCrew(t *testing.T) {
	a := overTCP(t)
	const streams, words = 100, 50
	done := make(chan error, streams)
	for i := range streams {
		c := a.client(t)
		d := c.begin(a)
		go func() {
			for n := range words {
				say(t, d, fmt.Sprintf("%d:%d ", i, n))
			}
			d.End(true)
		}()
		go func() {
			var want strings.Builder
			want.WriteString("first ")
			for n := range words {
				fmt.Fprintf(&want, "%d:%d ", i, n)
			}
			got, _, err := c.answer()
			if err == nil && got != want.String() {
				err = fmt.Errorf("stream %d: %q", i, got)
			}
			done <- err
		}()
	}
	for range streams {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A connection that waits for a request keeps nothing of the answer before it alive.
func TestDetachedForgets(t *testing.T) {
	a := overTCP(t)
	c := a.client(t)
	kept := func() weak.Pointer[[1 << 20]byte] {
		d, call := c.begin(a), new([1 << 20]byte)
		d.Do(func() {
			call[0] = 1
			d.End(true)
		})
		return weak.Make(call)
	}()
	c.want("first ")
	for range 100 { // the hand that did it has to have gone on
		if runtime.GC(); kept.Value() == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it is kept")
}

// Line ends behind a body are nobody's, as for net/http.
func TestDetachedLineEnds(t *testing.T) {
	for _, when := range []string{"at once", "later"} {
		for _, ends := range []string{"\r\n", "\n\n\n\n"} {
			a := overTCP(t)
			c := a.client(t)
			if when == "at once" {
				c.ask("/")
				_, _ = io.WriteString(c, ends)
				(<-a.went).End(true)
			} else {
				c.begin(a).End(true)
				_, _ = io.WriteString(c, ends)
			}
			c.want("first ")
			c.ask("/whole")
			c.want("whole")
		}
	}
}

// While a server shuts down, connections that wait are closed at once, and others behind
// their answers: a request that comes then would be lost.
func TestQuiesce(t *testing.T) {
	a := overTCP(t)
	idle, busy := a.client(t), a.client(t)
	idle.begin(a).End(true)
	idle.want("first ")
	d := busy.begin(a)
	a.ln.Quiesce()
	if _, err := idle.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("a connection that waits: %v", err)
	}
	d.End(true)
	busy.want("first ")
	if _, err := busy.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("behind its answer: %v", err)
	}
	late := a.client(t)
	late.ask("/")
	<-a.kept
	late.want("first ")
}

// wrapped is an answer that somebody looks at on its way.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Who wraps an answer sees all of it.
func TestWrappedStays(t *testing.T) {
	a := overTCP(t)
	a.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.answer(wrapped{w}, r) })
	c := a.client(t)
	c.ask("/")
	<-a.kept
	c.want("first ")
}
