//go:build linux

package faulttest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// call is one that reached an upstream.
type call struct {
	Upstream string
	Route    string // the first segment of the path: the case that it belongs to
	ID       string // the first word of the prompt
	Conn     int    // the connection, counted from 1
	Nth      int    // of the calls with this route and ID, from 1
	Header   http.Header
	Body     string
	Stream   bool

	At        time.Time // the request had come
	FirstByte time.Time // of the answer; zero for none
	Gone      time.Time // the gateway closed the connection before the script had ended; zero where it did not
	Ended     time.Time // the script had ended
	Sent      int       // bytes of the answer, head included
}

// upstream is a provider of which every byte is scripted.
type upstream struct {
	name     string
	url      string // http://host:port
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex // guards what follows; not held while a script plays
	plays    map[string]play
	greeting func(net.Conn) // takes accepted connections over; nil for none
	calls    []*call
	counts   map[string]int
	conns    map[*connection]bool
	accepted int
	closed   bool
}

// play answers one request. It runs on the goroutine of the connection.
type play func(x *exchange)

// newUpstream opens an upstream on a loopback port. Routes without a script are
// answered with the upstream's own text.
func newUpstream(t testing.TB, name string) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveUpstream(t, name, "http://"+l.Addr().String(), l)
}

func serveUpstream(t testing.TB, name, url string, l net.Listener) *upstream {
	u := &upstream{name: name, url: url, listener: l, plays: map[string]play{}, counts: map[string]int{}, conns: map[*connection]bool{}}
	u.wg.Go(u.accept)
	t.Cleanup(u.close)
	return u
}

// on sets the script of a route.
func (u *upstream) on(route string, p play) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.plays[route] = p
}

// greet lets f take over every connection as soon as it is accepted.
func (u *upstream) greet(f func(net.Conn)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.greeting = f
}

func (u *upstream) accept() {
	for {
		c, err := u.listener.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		u.accepted++
		k := &connection{Conn: c, number: u.accepted, up: u}
		k.ctx, k.cancel = context.WithCancel(context.Background())
		u.conns[k] = true
		closed, greeting := u.closed, u.greeting
		u.mu.Unlock()
		if closed {
			k.shut()
			continue
		}
		if greeting != nil {
			u.wg.Go(func() { defer k.shut(); greeting(c) })
			continue
		}
		next := make(chan *call)
		u.wg.Go(func() { k.read(next) })
		u.wg.Go(func() { k.serve(next) })
	}
}

// close ends the upstream and waits until all its connections are gone.
func (u *upstream) close() {
	u.listener.Close()
	u.mu.Lock()
	u.closed = true
	for k := range u.conns {
		k.cancel()
		k.Close()
	}
	u.mu.Unlock()
	u.wg.Wait()
}

// closeIdle closes the connections that no call is on.
func (u *upstream) closeIdle() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k := range u.conns {
		if k.current == nil {
			k.Close()
		}
	}
}

// seen copies the calls of a route, or all with "".
func (u *upstream) seen(route string) []call {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []call
	for _, c := range u.calls {
		if route == "" || c.Route == route {
			all = append(all, *c)
		}
	}
	return all
}

// byID copies the calls of an ID.
func (u *upstream) byID(id string) []call {
	return slices.DeleteFunc(u.seen(""), func(c call) bool { return c.ID != id })
}

// playing counts the calls whose script has not ended.
func (u *upstream) playing() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for k := range u.conns {
		if k.current != nil {
			n++
		}
	}
	return n
}

// connection is one from a gateway.
type connection struct {
	net.Conn
	number int
	up     *upstream
	ctx    context.Context // ends when the gateway is gone
	cancel context.CancelFunc

	// Guarded by the upstream's mu.
	current *call
	cut     bool // a script closed the connection
}

// shut ends the connection.
func (k *connection) shut() {
	k.cancel()
	k.Close()
	k.up.mu.Lock()
	defer k.up.mu.Unlock()
	delete(k.up.conns, k)
}

// read reads requests, and sees when the gateway leaves.
func (k *connection) read(next chan<- *call) {
	defer close(next)
	defer k.left()
	lines := bufio.NewReader(k)
	for {
		r, err := http.ReadRequest(lines)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		c := k.note(r, body)
		select {
		case next <- c:
		case <-k.ctx.Done():
			return
		}
	}
}

// left notes that the gateway closed the connection, unless a script did.
func (k *connection) left() {
	now := time.Now()
	k.up.mu.Lock()
	if c := k.current; c != nil && c.Gone.IsZero() && !k.cut {
		c.Gone = now
	}
	k.up.mu.Unlock()
	k.cancel()
}

// note writes a request into the log.
func (k *connection) note(r *http.Request, body []byte) *call {
	var b struct {
		Stream   bool `json:"stream"`
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	_ = json.Unmarshal(body, &b) // what is no chat completion has no ID
	c := &call{Upstream: k.up.name, Conn: k.number, Header: r.Header, Body: string(body), Stream: b.Stream, At: time.Now()}
	c.Route, _, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if len(b.Messages) > 0 {
		c.ID, _, _ = strings.Cut(b.Messages[0].Content, " ")
	}
	k.up.mu.Lock()
	defer k.up.mu.Unlock()
	k.up.counts[c.Route+" "+c.ID]++
	c.Nth = k.up.counts[c.Route+" "+c.ID]
	k.up.calls = append(k.up.calls, c)
	k.current = c
	return c
}

// serve plays the scripts.
func (k *connection) serve(next <-chan *call) {
	defer k.shut()
	for c := range next {
		k.up.mu.Lock()
		p := k.up.plays[c.Route]
		k.up.mu.Unlock()
		if p == nil {
			p = speak(k.up.name)
		}
		p(&exchange{call: c, conn: k})
		k.up.mu.Lock()
		k.current = nil
		c.Ended = time.Now()
		cut := k.cut
		k.up.mu.Unlock()
		if cut {
			break
		}
	}
	k.Close()
	for range next { // until the reader has ended
	}
}

// exchange is a call while its script plays. The fields of the call that change then
// are the upstream's.
type exchange struct {
	*call
	conn *connection
}

// send writes bytes as they are. Errors do not matter to a script: what follows
// fails too, and the log says what was sent.
func (x *exchange) send(text string) {
	if x.conn.ctx.Err() != nil {
		return
	}
	u := x.conn.up
	u.mu.Lock()
	if x.FirstByte.IsZero() {
		x.FirstByte = time.Now()
	}
	u.mu.Unlock()
	n, _ := io.WriteString(x.conn, text)
	u.mu.Lock()
	x.Sent += n
	u.mu.Unlock()
}

// head writes status and headers; without a length or a coding among them the body is
// chunked.
func (x *exchange) head(status int, lines ...string) {
	all := strings.ToLower(strings.Join(lines, "\n"))
	if !strings.Contains(all, "content-length:") && !strings.Contains(all, "transfer-encoding:") {
		lines = append(lines, "Transfer-Encoding: chunked")
	}
	x.send(fmt.Sprintf("HTTP/1.1 %d %s\r\n%s\r\n\r\n", status, http.StatusText(status), strings.Join(lines, "\r\n")))
}

// chunk writes a piece of a chunked body.
func (x *exchange) chunk(text string) {
	if text != "" && x.conn.ctx.Err() == nil {
		x.send(fmt.Sprintf("%x\r\n%s\r\n", len(text), text))
	}
}

// done ends a chunked body. The connection goes on.
func (x *exchange) done() { x.send("0\r\n\r\n") }

// answer writes a whole answer.
func (x *exchange) answer(status int, contentType, body string, lines ...string) {
	x.head(status, append(lines, "Content-Type: "+contentType, fmt.Sprintf("Content-Length: %d", len(body)))...)
	x.send(body)
}

// rest pauses. It says whether the gateway is still there.
func (x *exchange) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-x.conn.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// hang waits until the gateway is gone.
func (x *exchange) hang() { <-x.conn.ctx.Done() }

// cut closes the connection. What was sent still arrives.
func (x *exchange) cut() {
	x.conn.markCut()
	x.conn.Close()
}

// reset closes the connection with a RST. What was sent before may be lost, so a
// moment is left for it.
func (x *exchange) reset() {
	x.rest(5 * time.Millisecond)
	x.conn.markCut()
	reset(x.conn.Conn)
}

func (k *connection) markCut() {
	k.up.mu.Lock()
	defer k.up.mu.Unlock()
	k.cut = true
}

// reset closes c with a RST.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.Close()
}

// errBusy says that something is still in progress.
var errBusy = errors.New("still in progress")

// idle waits until no script plays.
func (u *upstream) idle(bound time.Duration) error {
	for begun := time.Now(); u.playing() > 0; time.Sleep(2 * time.Millisecond) {
		if time.Since(begun) > bound {
			return fmt.Errorf("upstream %s: %q: %w after %s", u.name, u.busy(), errBusy, bound)
		}
	}
	return nil
}

// busy are the routes of the calls in progress, and what was sent of them.
func (u *upstream) busy() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []string
	for k := range u.conns {
		if c := k.current; c != nil {
			all = append(all, fmt.Sprintf("%s (%d bytes, gateway gone: %t)", c.Route, c.Sent, !c.Gone.IsZero()))
		}
	}
	return all
}
