//go:build linux

package faulttest_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// aMoment bounds trials in which nothing has to be waited for but pauses between
// retries, and aWhile those that wait for a bound up to four times.
const (
	aMoment = 4 * time.Second
	aWhile  = 8 * time.Second
)

// connections are rows 17, 19, 20 and 21: what happens below the protocol.
func connections() []fault {
	truncated := []string{"provider_truncated"}
	return []fault{
		{name: "reset-on-request", play: (*exchange).reset, bound: aMoment},
		{name: "close-on-request", play: (*exchange).cut, bound: aMoment},
		{name: "reset-mid-head", play: func(x *exchange) { x.send("HTTP/1.1 200 OK\r\nContent-Ty"); x.reset() }, bound: aMoment},
		{name: "close-mid-head", play: func(x *exchange) { x.send("HTTP/1.1 200 OK\r\nContent-Type: te"); x.cut() }, bound: aMoment},
		{name: "reset-before-token", play: func(x *exchange) { x.begin("alpha", 0); x.reset() }, bound: aMoment},
		{name: "reset-mid-body", play: func(x *exchange) { x.begin("alpha", 3); x.reset() }, after: true, kinds: truncated, bound: aMoment},
		{name: "never-answers", play: (*exchange).hang, bound: aWhile},
		{name: "half-a-head", play: func(x *exchange) { x.send("HTTP/1.1 200 OK\r\nX-Slow: "); x.hang() }, bound: aWhile},
		{name: "head-then-silence", play: func(x *exchange) { x.begin("alpha", 0); x.hang() }, bound: aWhile},
		{name: "byte-by-byte", play: dribble, keys: patientBounds, forms: "sh", bound: aWhile},
		{name: "byte-by-byte", play: dribble, forms: "w", bound: aWhile},
		{name: "comments-for-ever", play: func(x *exchange) {
			x.head(200, eventType)
			for x.rest(20 * time.Millisecond) {
				x.chunk(": ping\n\n")
			}
		}, forms: "sh", bound: aWhile},
		{name: "empty-deltas-for-ever", play: func(x *exchange) {
			x.head(200, eventType)
			for x.rest(20 * time.Millisecond) {
				x.chunk(event("{}", ""))
			}
		}, forms: "sh", bound: aWhile},
	}
}

// dribble sends an answer a byte at a time, without end.
func dribble(x *exchange) {
	if x.Stream {
		x.head(200, eventType)
		x.chunk("data: {")
	} else {
		x.head(200, "Content-Type: application/json", "Content-Length: 1000000")
		x.send("{")
	}
	for x.rest(100 * time.Millisecond) {
		if x.Stream {
			x.chunk(" ")
		} else {
			x.send(" ")
		}
	}
}

// streams are row 23: what stands in a stream. Those with a text are no faults.
func streams() []fault {
	raw := func(pieces ...string) play {
		return func(x *exchange) {
			x.head(200, eventType)
			for _, p := range pieces {
				x.chunk(p)
			}
			x.done()
		}
	}
	lines := func(end string) string { return strings.ReplaceAll(events("alpha"), "\n", end) }
	whole := events("alpha")
	umlaut := opening() + content("Grüße ☃ ") + ending()
	at := strings.Index(umlaut, "☃") + 1
	malformed := []string{"provider_malformed"}
	after := func(bad string) play {
		return func(x *exchange) { x.begin("alpha", 3); x.chunk(bad); x.chunk(ending()); x.done() }
	}
	fine := textOf("alpha")
	return []fault{
		{name: "crlf", play: raw(lines("\r\n")), fine: fine, forms: "sh", bound: aMoment},
		{name: "cr", play: raw(lines("\r")), fine: fine, forms: "sh", bound: aMoment},
		{name: "no-blank-behind-data", play: raw(strings.ReplaceAll(whole, "data: ", "data:")), fine: fine, forms: "sh", bound: aMoment},
		{name: "byte-order-mark", play: raw("\ufeff" + whole), fine: fine, forms: "sh", bound: aMoment},
		{name: "split-character", play: raw(umlaut[:at], umlaut[at:]), fine: "Grüße ☃ ", forms: "sh", bound: aMoment},
		{name: "single-bytes", play: func(x *exchange) {
			x.head(200, eventType)
			for i := range len(whole) {
				x.chunk(whole[i : i+1])
			}
			x.done()
		}, fine: fine, forms: "sh", bound: aMoment},
		{name: "data-behind-done", play: raw(whole+content("more")+doneEvent, content("and more")), fine: fine, forms: "sh", bound: aMoment},
		{name: "other-fields", play: raw("retry: 10\nid: 7\nevent: message\n"+opening(), ": note\n\n", strings.TrimPrefix(whole, opening())), fine: fine, forms: "sh", bound: aMoment},
		{name: "no-end-behind-done", play: raw(strings.TrimRight(whole, "\n")), fine: fine, forms: "sh", bound: aMoment},
		{name: "other-ids", play: raw(strings.Replace(whole, `"id":"c1"`, `"id":"c2"`, 3)), fine: fine, forms: "sh", bound: aMoment},
		{name: "trailers", play: func(x *exchange) {
			x.head(200, eventType, "Trailer: X-Late", "Transfer-Encoding: chunked")
			x.chunk(whole)
			x.send("0\r\nX-Late: 1\r\n\r\n")
		}, fine: fine, forms: "sh", bound: aMoment},
		{name: "streamed-unasked", play: raw(whole), fine: fine, forms: "w", bound: aMoment},
		{name: "whole-unasked", play: func(x *exchange) { x.answer(200, "application/json", completion(fine, "stop")) }, fine: fine, forms: "sh", bound: aMoment},

		{name: "no-data", play: raw("hello\n\nworld\n\n"), forms: "sh", bound: aMoment},
		{name: "empty-stream", play: raw(), forms: "sh", bound: aMoment},
		{name: "html", play: func(x *exchange) { x.answer(200, "text/html", "<html><body>Welcome</body></html>") }, bound: aMoment},
		{name: "html-as-events", play: raw("<html><body>\n\nWelcome</body></html>\n\n"), forms: "sh", bound: aMoment},
		{name: "html-as-json", play: func(x *exchange) { x.answer(200, "application/json", "<html></html>") }, bound: aMoment},
		{name: "number-for-event", play: after("data: 42\n\n"), forms: "sh", after: true, kinds: malformed, bound: aMoment},
		{name: "nested-100000", play: after("data: " + strings.Repeat("[", 100_000) + "\n\n"), forms: "sh", after: true, kinds: malformed, bound: aMoment},
		{name: "nested-in-choices", play: after(`data: {"choices":` + strings.Repeat("[", 100_000) + "\n\n"), forms: "sh", after: true, kinds: malformed, bound: aMoment},
		{name: "100-mb-line", play: func(x *exchange) {
			x.begin("alpha", 3)
			x.chunk(`data: {"choices":[{"index":0,"delta":{"content":"`)
			piece := strings.Repeat("a", 64<<10)
			for n := 0; n < 1600 && x.conn.ctx.Err() == nil; n++ {
				x.chunk(piece)
			}
			x.hang()
		}, forms: "sh", after: true, kinds: malformed, bound: aMoment},
		{name: "error-event-before-token", play: raw("data: " + errorBody("no", "server_error", "") + "\n\n"), forms: "sh", bound: aMoment},
		{name: "named-error-event", play: func(x *exchange) {
			x.begin("alpha", 3)
			x.chunk("event: error\ndata: {\"message\":\"it is over\"}\n\n")
			x.done()
		}, forms: "sh", after: true, kinds: []string{"provider_error", "provider_malformed"}, bound: aMoment},
		{name: "overloaded-event", play: func(x *exchange) {
			x.begin("alpha", 3)
			x.chunk("data: " + errorBody("try later", "overloaded_error", "") + "\n\n")
			x.done()
		}, forms: "sh", after: true, kinds: []string{"provider_overloaded", "provider_error"}, bound: aMoment},
	}
}

// messages are row 24: what is wrong with the HTTP message.
func messages() []fault {
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	body := completion(textOf("alpha"), "stop")
	sized := func(n int) string { return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, n, body) }
	send := func(text string) play {
		return func(x *exchange) { x.send(text); x.rest(20 * time.Millisecond); x.cut() }
	}
	bare := func(code int) play {
		return func(x *exchange) { x.send(fmt.Sprintf("HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n", code)) }
	}
	return []fault{
		{name: "length-too-long", play: send(sized(len(body) + 100)), forms: "w", bound: aMoment},
		{name: "length-too-short", play: send(sized(len(body) - 40)), forms: "w", bound: aMoment},
		{name: "length-negative", play: send(sized(-1)), bound: aMoment},
		{name: "length-huge", play: send(sized(1 << 60)), forms: "w", bound: aMoment},
		{name: "two-lengths", play: send(head + "Content-Length: 5\r\n" + strings.TrimPrefix(sized(len(body)), head)), bound: aMoment},
		{name: "gzip", play: gzipBomb, bound: aMoment},
		{name: "bad-chunk-size", play: send(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body), bound: aMoment},
		{name: "chunk-size-overflow", play: send(head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n" + body), bound: aMoment},
		{name: "bad-chunk-after", play: func(x *exchange) { x.begin("alpha", 3); x.send("zz\r\n" + ending()); x.cut() }, forms: "sh", after: true, kinds: []string{"provider_truncated", "provider_malformed"}, bound: aMoment},
		{name: "unknown-coding", play: send(head + "Transfer-Encoding: rot13\r\n\r\n" + body), bound: aMoment},
		{name: "early-hints-flood", play: func(x *exchange) {
			for range 2000 {
				x.send(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 50))
			}
			x.hang()
		}, bound: aWhile},
		{name: "101", play: send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello"), bound: aMoment},
		{name: "204", play: send("HTTP/1.1 204 No Content\r\n\r\n"), bound: aMoment},
		{name: "304", play: send("HTTP/1.1 304 Not Modified\r\n\r\n"), bound: aMoment},
		{name: "999", play: bare(999), bound: aMoment},
		{name: "599", play: bare(599), bound: aMoment},
		{name: "status-00", play: bare(0), bound: aMoment},
		{name: "huge-header", play: func(x *exchange) {
			x.send("HTTP/1.1 200 OK\r\nX-Huge: ")
			for range 4096 {
				x.send(strings.Repeat("a", 16<<10))
			}
			x.hang()
		}, bound: aWhile},
		{name: "many-headers", play: send("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Many: a\r\n", 200_000) + "\r\n"), bound: aWhile},
		{name: "not-http", play: send("SSH-2.0-OpenSSH_9.2\r\n"), bound: aMoment},
		{name: "http-9", play: send("HTTP/9.9 200 OK\r\n\r\n"), bound: aMoment},
		{name: "nul-in-header", play: send("HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 2\r\n\r\n{}"), bound: aMoment},
		{name: "bad-content-type", play: func(x *exchange) { x.answer(200, ";;;", body) }, bound: aMoment},
	}
}

// gzipBomb announces a coding that nobody asked for.
func gzipBomb(x *exchange) {
	x.head(200, "Content-Type: application/json", "Content-Encoding: gzip")
	for range 200 {
		x.chunk("\x1f\x8b" + strings.Repeat("\x00", 16<<10))
	}
	x.done()
}

// TestConnections is rows 17, 19, 20 and 21 of the catalogue of faults.
func TestConnections(t *testing.T) {
	f := newField(t)
	greeting := newUpstream(t, "greeting")
	greeting.greet(reset)
	f.add(fault{name: "reset-at-accept", at: greeting.url, bound: aMoment})
	for _, fl := range connections() {
		f.add(fl)
	}
	t.Log(f.run(t))
	if n := greeting.connected(); n > 4*len(forms) {
		t.Errorf("%d connections to an upstream that resets them, want at most four a call", n)
	}
}

// TestStreams is row 23: what stands in a stream.
func TestStreams(t *testing.T) {
	f := newField(t)
	for _, fl := range streams() {
		f.add(fl)
	}
	t.Log(f.run(t))
	for _, c := range f.a.seen("") {
		// What the sockets between hold is at most some 6 MiB (tcp_wmem, tcp_rmem).
		if c.Sent > 16<<20 {
			t.Errorf("%s: the gateway took %d bytes of a line that may have 1 MiB", c.Route, c.Sent)
		}
	}
}

// TestMessages is row 24: what is wrong with the HTTP message.
func TestMessages(t *testing.T) {
	f := newField(t)
	f.roughly = true
	for _, fl := range messages() {
		f.add(fl)
	}
	t.Log(f.run(t))
}

// TestEndless is the end of row 21: answers that never end are ended by the bounds of
// their size or by the deadline, and take no more memory than those bounds.
func TestEndless(t *testing.T) {
	a := newUpstream(t, "alpha")
	models := map[string][]target{"endless": {{url: a.url, keys: bounds}}, "slow": {{url: a.url, keys: bounds}}}
	g := start(t, setup{models: models, extra: "retry: {max: 0}\ndefaults: {deadline: 2s}\noperations: {held: {hold: all}}\n"})
	a.on("endless", func(x *exchange) {
		if x.Stream {
			x.head(200, eventType)
			for piece := content(strings.Repeat("on and on ", 50)); x.rest(5 * time.Millisecond); {
				x.chunk(strings.Repeat(piece, 50))
			}
			return
		}
		x.head(200, "Content-Type: application/json")
		for x.chunk(`{"id":"`); x.rest(time.Millisecond / 2); {
			x.chunk(strings.Repeat("a", 64<<10))
		}
	})
	a.on("slow", func(x *exchange) {
		x.begin("alpha", 1)
		for x.rest(10 * time.Millisecond) {
			if x.Stream {
				x.chunk(content("and on "))
			} else {
				x.send(" ")
			}
		}
	})
	var wg sync.WaitGroup
	for _, model := range []string{"endless", "slow"} {
		for _, fm := range forms {
			wg.Go(func() {
				q := question{model: model, id: model + fm.letter, stream: fm.stream}
				if fm.held {
					q.headers = []string{"X-Forebay-Operation", "held"}
				}
				got := g.ask(q)
				tail := *got
				tail.body = got.body[max(0, len(got.body)-1000):] // the end tells all
				tail.body = tail.body[strings.Index(tail.body, "\n\n")+1:]
				kinds := []string{"provider_timeout", "provider_malformed"}
				wrong := tail.broken(kinds...)
				if got.status != 200 {
					wrong = got.refused(got.status, kinds...)
				}
				if wrong != "" {
					t.Errorf("%s, %s: %s", model, fm.name, wrong)
				}
				if got.took() > 4*time.Second {
					t.Errorf("%s, %s: it took %s", model, fm.name, got.took())
				}
			})
		}
	}
	wg.Wait()
	if mb := g.peak(t); mb > 400 {
		t.Errorf("the gateway had %d MB", mb)
	}
	g.mustBeCalm(t, a)
}

// peak is the most memory that the gateway had, in MB.
func (g *gateway) peak(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+([0-9]+) kB`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no VmHWM in %s", text)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb / 1024
}

// TestSlotFreed: a call that nobody answers gives its slot back to those who wait.
func TestSlotFreed(t *testing.T) {
	a := newUpstream(t, "alpha")
	a.on("one", func(x *exchange) {
		if x.Nth == 1 && x.ID == "hangs" {
			x.hang()
			return
		}
		speak("alpha")(x)
	})
	g := start(t, setup{
		models: map[string][]target{"one": {{url: a.url, keys: bounds}}},
		extra:  "limits: {max_concurrent: 1}\nretry: {max: 0}\ndefaults: {deadline: 10s}\n",
	})
	first := make(chan *answer)
	go func() { first <- g.ask(question{model: "one", id: "hangs"}) }()
	for begun := time.Now(); len(a.seen("one")) == 0 && time.Since(begun) < patience; {
		time.Sleep(time.Millisecond)
	}
	second := g.ask(question{model: "one", id: "waits"})
	if wrong := second.complete(textOf("alpha"), false); wrong != "" {
		t.Error("behind the call that hangs: " + wrong)
	}
	if wrong := (<-first).refused(504, "provider_timeout"); wrong != "" {
		t.Error(wrong)
	}
	g.mustBeCalm(t, a)
}

// TestKeptConnection: a kept connection that breaks as a request comes is one failed
// call. The transport below must not send it again by itself.
func TestKeptConnection(t *testing.T) {
	a := newUpstream(t, "alpha")
	a.on("kept", func(x *exchange) {
		switch {
		case x.ID == "warm":
			speak("alpha")(x)
		case strings.HasPrefix(x.ID, "reset"):
			reset(x.conn.Conn)
			x.conn.markCut()
		default:
			x.cut()
		}
	})
	g := start(t, setup{models: map[string][]target{"kept": {{url: a.url, keys: bounds}}}, extra: "retry: {max: 0}\nbreaker: {enabled: false}\ncache: {enabled: false}\n"})
	for i := range size(20, 200) {
		if wrong := g.ask(question{model: "kept", id: "warm", stream: i%2 == 0}).complete(textOf("alpha"), i%2 == 0); wrong != "" {
			t.Fatal(wrong)
		}
		id := fmt.Sprintf("%s%d", []string{"reset", "close"}[i%2], i)
		if wrong := g.ask(question{model: "kept", id: id, stream: i%4 < 2}).refused(502, "provider_connection_failed"); wrong != "" {
			t.Error(wrong)
		}
		if calls := a.byID(id); len(calls) != 1 || calls[0].Conn != i+1 {
			t.Errorf("%s: %d calls, the first on connection %d, want one on the kept connection %d", id, len(calls), calls[0].Conn, i+1)
		}
	}
	g.mustBeCalm(t, a)
}

// connected counts the connections that were accepted.
func (u *upstream) connected() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.accepted
}
