//go:build linux

package faulttest_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// moment is when a client leaves.
type moment struct {
	name string
	// leave plays the client up to the moment, on a connection of its own.
	leave func(d *departures, c net.Conn, q question)
	// quiet: nothing has reached the upstream by then.
	quiet bool
	// over: the upstream may have ended its answer by then.
	over bool
	// streamed: there are only streams.
	streamed bool
}

var moments = []moment{
	{name: "before the headers are complete", quiet: true, leave: func(_ *departures, c net.Conn, q question) {
		head, _ := rawRequest(q)
		_, _ = io.WriteString(c, head[:len(head)/2])
	}},
	{name: "mid body", quiet: true, leave: func(_ *departures, c net.Conn, q question) {
		head, body := rawRequest(q)
		_, _ = io.WriteString(c, head+body[:len(body)/2])
	}},
	{name: "before the first byte", leave: func(d *departures, c net.Conn, q question) {
		head, body := rawRequest(q)
		_, _ = io.WriteString(c, head+body)
		d.await(q.id)
	}},
	{name: "mid stream", streamed: true, leave: func(d *departures, c net.Conn, q question) {
		head, body := rawRequest(q)
		_, _ = io.WriteString(c, head+body)
		d.readUntil(c, "alpha2")
	}},
	{name: "at the last byte", over: true, leave: func(d *departures, c net.Conn, q question) {
		head, body := rawRequest(q)
		_, _ = io.WriteString(c, head+body)
		if q.stream {
			d.readUntil(c, "alpha7")
		}
		d.await(q.id)
		d.tell(q.id) // and now the last byte is on its way, and so is the client
	}},
}

// rawRequest is a request as it stands on the wire.
func rawRequest(q question) (head, body string) {
	body = q.text()
	head = fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", secret, len(body))
	return head, body
}

// readUntil reads until a word has come.
func (d *departures) readUntil(c net.Conn, word string) {
	_ = c.SetReadDeadline(time.Now().Add(arrival))
	lines := bufio.NewReader(c)
	for {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, word) {
			return
		}
		if err != nil {
			d.lost.Store(true)
			return
		}
	}
}

// departures are clients that leave, at one moment.
type departures struct {
	signals sync.Map // two channels by ID: of what the upstream and the client have come to
	left    sync.Map // by ID, when the client closed its connection
	lost    atomic.Bool
}

// arrival bounds the time until a call has come to the moment. Where one does not come
// to it, the clients behind it are spared.
const arrival = 10 * time.Second

// signal is closed by one side when it has come to the moment.
type signal struct{ upstream, client chan struct{} }

func (d *departures) at(id string) signal {
	s, _ := d.signals.LoadOrStore(id, signal{make(chan struct{}), make(chan struct{})})
	return s.(signal)
}

// await waits until the upstream has come to the moment.
func (d *departures) await(id string) {
	select {
	case <-d.at(id).upstream:
	case <-time.After(arrival):
		d.lost.Store(true)
	}
}

func (d *departures) tell(id string) { close(d.at(id).client) }

// script is the upstream of a moment: it comes to it and goes on for as long as
// somebody listens.
func (d *departures) script(m *moment) play {
	return func(x *exchange) {
		if x.Nth > 1 || strings.HasPrefix(x.ID, "well") {
			speak("alpha")(x)
			return
		}
		switch m.name {
		case "mid stream":
			x.begin("alpha", 3)
			for x.rest(20 * time.Millisecond) {
				x.chunk(content("and on "))
			}
		case "at the last byte":
			d.ending(x)
		default:
			close(d.at(x.ID).upstream)
			x.hang()
		}
	}
}

// ending sends all but the end, and the end when the client is about to leave.
func (d *departures) ending(x *exchange) {
	s := d.at(x.ID)
	body := completion(textOf("alpha"), "stop")
	if x.Stream {
		x.begin("alpha", tokens)
		x.chunk(event("{}", "stop"))
	} else {
		x.head(200, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)))
		x.send(body[:len(body)-1])
	}
	close(s.upstream)
	select {
	case <-s.client:
	case <-x.conn.ctx.Done():
		return
	case <-time.After(patience):
		return
	}
	if x.Stream {
		x.chunk(doneEvent)
		x.done()
	} else {
		x.send(body[len(body)-1:])
	}
}

// TestDisconnects is row 12: clients that leave at five moments. The upstream is
// cancelled within 100 ms (p99, without the machine's stalls), nothing is called
// again, nothing of it is kept or held against the provider, and what was used so far is
// booked.
func TestDisconnects(t *testing.T) {
	for i := range moments {
		t.Run(moments[i].name, func(t *testing.T) { moments[i].test(t, size(100, 2000)) })
	}
}

func (m *moment) test(t *testing.T, n int) {
	d := &departures{}
	a := newUpstream(t, "alpha")
	a.on("left", d.script(m))
	g := start(t, setup{models: map[string][]target{"left": {{url: a.url, keys: patientBounds}}}, extra: "defaults: {deadline: 60s}\n"})
	before := g.metrics(t)
	address := strings.TrimPrefix(g.url, "http://")
	machine := watchStalls(t)
	each(n, 12, func(i int) {
		if d.lost.Load() {
			return
		}
		c, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			t.Errorf("dial: %v", err)
			return
		}
		q := question{model: "left", id: fmt.Sprintf("n%d", i), stream: m.streamed || i%2 == 0}
		m.leave(d, c, q)
		if m.over {
			time.Sleep(rand.N(time.Millisecond)) // on both sides of the last byte
		}
		d.left.Store(q.id, time.Now())
		if i%4 < 2 {
			reset(c)
		} else {
			c.Close()
		}
	})
	if d.lost.Load() {
		t.Fatalf("a call did not come to the moment; the upstream has %d calls", len(a.seen("left")))
	}
	last := time.Now()
	if found := wait(time.Second, func() string {
		if n := a.playing(); n > 0 {
			return fmt.Sprintf("%d calls go on upstream %s after the last client left", n, time.Since(last).Round(time.Millisecond))
		}
		return ""
	}); found != "" {
		t.Error(found)
	}
	m.judgeUpstream(t, d, a, n, machine())
	m.judgeBooks(t, before, g.metrics(t), n)
	m.judgeCache(t, g, a, n)
	g.mustBeCalm(t, a)
}

// stall is a time for which the machine did not let this process run.
type stall struct{ from, to time.Time }

type stalls []stall

// within is how much of the time between two moments was stalls: of each, what both have
// in common.
func (all stalls) within(from, to time.Time) (sum time.Duration) {
	for _, s := range all {
		sum += max(0, min(to.Sub(from), to.Sub(s.from), s.to.Sub(from), s.to.Sub(s.from)))
	}
	return sum
}

// watchStalls notes when the machine has this process wait, until what it returns is called.
func watchStalls(t *testing.T) func() stalls {
	const beat, least = 2 * time.Millisecond, 5 * time.Millisecond
	done, seen := make(chan struct{}), make(chan stalls, 1)
	go func() {
		var all stalls
		for {
			due := time.Now().Add(beat)
			select {
			case <-done:
				seen <- all
				return
			case <-time.After(beat):
				if now := time.Now(); now.Sub(due) >= least {
					all = append(all, stall{due, now})
				}
			}
		}
	}()
	end := sync.OnceValue(func() stalls {
		close(done)
		return <-seen
	})
	t.Cleanup(func() { end() })
	return end
}

// judgeUpstream reads the upstream's log, and leaves out what the machine added.
func (m *moment) judgeUpstream(t *testing.T, d *departures, a *upstream, n int, machine stalls) {
	calls := a.seen("left")
	switch {
	case m.quiet && len(calls) != 0:
		t.Errorf("%d calls upstream of clients that had not asked yet", len(calls))
	case !m.quiet && len(calls) != n:
		t.Errorf("%d calls upstream for %d clients: some were repeated, or not made", len(calls), n)
	}
	var lags []time.Duration
	var most time.Duration
	completed := 0
	for _, c := range calls {
		left, _ := d.left.Load(c.ID)
		switch {
		case c.Gone.IsZero() && m.over:
			completed++
		case c.Gone.IsZero():
			t.Errorf("%s: the call upstream was not cancelled", c.ID)
		default:
			added := machine.within(left.(time.Time), c.Gone)
			most = max(most, added)
			lags = append(lags, c.Gone.Sub(left.(time.Time))-added)
		}
	}
	if len(lags) == 0 {
		t.Logf("%d clients; %d calls upstream, %d of them complete", n, len(calls), completed)
		return
	}
	slices.Sort(lags)
	share := size(95, 99) // of a hundred calls the last ones tell of the machine alone
	late := lags[len(lags)*share/100]
	t.Logf("%d clients; %d calls cancelled upstream (%d complete): p50 %s, p%d %s, max %s, without the machine's stalls of up to %s", n, len(lags), completed, lags[len(lags)/2], share, late, lags[len(lags)-1], most)
	if late > 100*time.Millisecond {
		t.Errorf("p%d from the client's leaving to the upstream's cancellation is %s without the machine's stalls, want at most 100 ms", share, late)
	}
}

// judgeBooks compares the metrics before and after.
func (m *moment) judgeBooks(t *testing.T, before, after metrics, n int) {
	grown := func(name string, words ...string) float64 {
		return after.sum(name, words...) - before.sum(name, words...)
	}
	for name, words := range map[string][]string{
		"forebay_retries_total":             nil,
		"forebay_breaker_transitions_total": nil,
		"forebay_attempts_total":            {`error_type="provider_`},
	} {
		if g := grown(name, words...); g != 0 {
			t.Errorf("%s %v grew by %v", name, words, g)
		}
	}
	if open := after.sum("forebay_breaker_state", `state="closed"`, `target="left-0/up"`); open != 1 {
		t.Error("the breaker is not closed")
	}
	kept, output := grown("forebay_cache_stored_total"), grown("forebay_tokens_total", `direction="output"`)
	cancelled := grown("forebay_requests_total", `outcome="cancelled"`)
	t.Logf("cancelled: %v, kept: %v, output tokens: %v, dollars: %.6f", cancelled, kept, output, grown("forebay_cost_usd_total"))
	switch {
	case m.over:
		return // some were complete before the client was gone
	case kept != 0:
		t.Errorf("%v answers were kept", kept)
	case m.quiet && output != 0:
		t.Errorf("%v tokens of calls that were not made", output)
	case !m.quiet && cancelled != float64(n):
		t.Errorf("%v calls count as cancelled, want %d", cancelled, n)
	}
	if m.streamed && (output < float64(3*n) || grown("forebay_cost_usd_total") <= 0) {
		t.Errorf("%v output tokens are booked, want at least the %d that came", output, 3*n)
	}
}

// judgeCache asks some of the questions again: what was not complete comes from the
// upstream. And a call of somebody who stays goes as ever.
func (m *moment) judgeCache(t *testing.T, g *gateway, a *upstream, n int) {
	for i := range min(n, 20) {
		q := question{model: "left", id: fmt.Sprintf("n%d", i), stream: m.streamed || i%2 == 0}
		before := a.byRoute("left", q.id)
		if m.quiet {
			q.id = fmt.Sprintf("well%d", i)
		}
		got := g.ask(q)
		if wrong := got.complete(textOf("alpha"), q.stream); wrong != "" {
			t.Error("asked again: " + wrong)
		}
		if !m.quiet && !m.over && a.byRoute("left", q.id) == before {
			t.Errorf("asked again, %s comes from the cache: %s", q.id, got)
		}
	}
}
