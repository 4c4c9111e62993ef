package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/memnet"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// chunks is a provider's stream of n events, each once next gives a value.
type chunks struct {
	ctx   context.Context
	left  int
	raw   []byte
	next  chan struct{}
	ended chan error // gets what ended the stream
}

func (s *chunks) Next() (llm.Chunk, error) {
	if s.left == 0 {
		return llm.Chunk{}, io.EOF
	}
	select {
	case <-s.next:
		s.left--
		return llm.Chunk{Raw: s.raw, Events: 1, Useful: true, Last: s.left == 0}, nil
	case <-s.ctx.Done():
		return llm.Chunk{}, llm.AsError(s.ctx.Err())
	}
}

func (s *chunks) Close() error {
	select {
	case s.ended <- s.ctx.Err():
	default:
	}
	return nil
}

func TestStream(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	addr := serve(t, newGateway(t, b, nil))
	r := send(t, addr, post(chatPath, streamBody))
	if r.status != 200 || !strings.HasSuffix(r.body, "data: [DONE]\n\n") || !strings.Contains(r.body, "fine") {
		t.Errorf("%d %s", r.status, r.body)
	}
	wantHeaders(t, r)
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no", "Content-Length": ""} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestChunksComeAtOnce checks that each chunk is with the client before the next
// one exists.
func TestChunksComeAtOnce(t *testing.T) {
	s := &chunks{left: 5, raw: []byte("data: {\"a\":1}\n\n"), next: make(chan struct{}), ended: make(chan error, 1)}
	b := newBackend(llmtest.Do(func(ctx context.Context, _ string, _ *llm.Request) (llm.Stream, error) {
		s.ctx = ctx
		return s, nil
	}))
	addr := serve(t, newGateway(t, b, nil))
	c := dial(t, addr, post(chatPath, streamBody))
	s.next <- struct{}{}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	event := make([]byte, len(s.raw))
	for i := range 5 {
		if i > 0 {
			s.next <- struct{}{}
		}
		if _, err := io.ReadFull(res.Body, event); err != nil || string(event) != string(s.raw) {
			t.Fatalf("event %d: %q %v", i, event, err)
		}
	}
	if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
		t.Errorf("then %q %v", rest, err)
	}
}

func dial(t *testing.T, addr, raw string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCutStream is a provider that stops in the middle: the client must see an
// error event and a broken body, never a clean end.
func TestCutStream(t *testing.T) {
	b := newBackend(llmtest.CutAfter(2))
	var log recorder
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Logger = log.logger() }))
	res, err := http.ReadResponse(bufio.NewReader(dial(t, addr, post(chatPath, streamBody, "X-Request-Id: the-id"))), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the body ends with %v", err)
	}
	events := strings.Split(strings.TrimSpace(string(body)), "\n\n")
	last := events[len(events)-1]
	if !strings.HasPrefix(last, `data: {"error":{`) || !strings.Contains(last, "provider_truncated") || !strings.Contains(last, "the-id") {
		t.Errorf("the last event is %q", last)
	}
	if len(events) != 3 || strings.Contains(string(body), "[DONE]") {
		t.Errorf("%d events: %q", len(events), body)
	}
	if lines := log.String(); !strings.Contains(lines, "error_type=provider_truncated") || !strings.Contains(lines, "cut=true") {
		t.Errorf("log: %s", lines)
	}
}

// TestFailedBeforeTheFirstChunk is a stream that fails while it still can be told
// by a status.
func TestFailedBeforeTheFirstChunk(t *testing.T) {
	b := newBackend(llmtest.CutAfter(0))
	addr := serve(t, newGateway(t, b, nil))
	r := send(t, addr, post(chatPath, streamBody))
	if r.status != 502 || r.errorType() != "provider_truncated" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", r.status, r.body)
	}
	wantHeaders(t, r)
}

// broken is a stream that panics behind its first chunk.
type broken struct{ told bool }

func (b *broken) Next() (llm.Chunk, error) {
	if b.told {
		panic("scripted panic")
	}
	b.told = true
	return llm.Chunk{Raw: []byte("data: {}\n\n")}, nil
}
func (*broken) Close() error { return nil }

// TestPanicInAStream breaks the connection: the client must not take what came for
// the whole answer.
func TestPanicInAStream(t *testing.T) {
	b := newBackend(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) { return &broken{}, nil }))
	addr := serve(t, newGateway(t, b, nil))
	res, err := http.ReadResponse(bufio.NewReader(dial(t, addr, post(chatPath, streamBody))), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != "data: {}\n\n" {
		t.Errorf("%q ends with %v", body, err)
	}
}

// TestClientGone is a client that leaves, at each stage of a call: the call
// upstream has to end within 100 ms.
func TestClientGone(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		step llmtest.Step
		read bool // the client has read something before it leaves
	}{
		"before the head, whole":  {chatBody, llmtest.Hang(), false},
		"before the head, stream": {streamBody, llmtest.Hang(), false},
		"in a stream":             {streamBody, llmtest.StallAfter(2), true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(c.step)
			addr := serve(t, newGateway(t, b, nil))
			leave(t, b.provider, addr, post(chatPath, c.body), c.read)
			if calls := b.provider.Calls(); !calls[0].Cancelled {
				t.Error("the call was not cancelled")
			}
		})
	}
}

// leave has a client leave a call: the one upstream has to end within 100 ms, at the first try or, since the
// machine may have other things to do, at one of the next.
func leave(t *testing.T, upstream *llmtest.Provider, addr, raw string, read bool) {
	t.Helper()
	took := time.Hour
	for try := 0; try < 5 && took > 100*time.Millisecond; try++ {
		conn := dial(t, addr, raw)
		if read {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		until(t, 5*time.Second, func() bool { now, _ := upstream.InFlight(); return now == 1 })
		_ = conn.Close()
		gone := time.Now()
		until(t, 5*time.Second, func() bool { now, _ := upstream.InFlight(); return now == 0 })
		took = time.Since(gone)
	}
	if took > 100*time.Millisecond {
		t.Errorf("the call upstream ended after %s", took)
	}
}

// until waits for ok, busily: what it waits for takes microseconds.
func until(t *testing.T, limit time.Duration, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
		select {
		case <-t.Context().Done():
		default:
		}
	}
}

// bubble runs f with g served in memory, on the fake clock, twice: streams are detached,
// or not.
func bubble(t *testing.T, change func(*gateway.Config), b func() *backend, f func(t *testing.T, b *backend, l *memnet.Listener)) {
	t.Helper()
	for _, detach := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			back := b()
			g := newGateway(t, back, change)
			l := memnet.Listen()
			s := g.Server()
			ln := g.WrapListener(l)
			if detach {
				ln.AllowDetach()
			}
			done := make(chan error, 1)
			go func() { done <- s.Serve(ln) }()
			f(t, back, l)
			_ = s.Close()
			<-done
			if err := ln.Drain(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSlowReader is a client that stops reading a stream: it is cut at the write
// deadline, and the call upstream is cancelled.
func TestSlowReader(t *testing.T) {
	var ended chan error
	back := func() *backend {
		ended = make(chan error, 1) // in the bubble, as all that waits there
		return newBackend(llmtest.Do(func(ctx context.Context, _ string, _ *llm.Request) (llm.Stream, error) {
			next := make(chan struct{})
			close(next)
			return &chunks{ctx: ctx, left: 1 << 30, raw: []byte("data: {}\n\n"), next: next, ended: ended}, nil
		}))
	}
	bubble(t, func(c *gateway.Config) { c.WriteTimeout = 2 * time.Second }, back, func(t *testing.T, _ *backend, l *memnet.Listener) {
		c, err := l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		start := time.Now()
		if _, err := io.WriteString(c, post(chatPath, streamBody)); err != nil {
			t.Fatal(err)
		}
		<-ended
		if took := time.Since(start); took < 1500*time.Millisecond || took > 2*time.Second {
			t.Errorf("cut after %s, want between 1.5 s and 2 s", took)
		}
	})
}

// TestSlowBody is a client that sends its body too slowly: 408, within the grace
// and the rate; and one that is slow but fast enough.
func TestSlowBody(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  time.Duration
		bytes  int
		status int
		after  time.Duration
	}{
		{"a byte each second", time.Second, 1, 408, 10 * time.Second},
		{"stops", time.Hour, 1, 408, 10 * time.Second},
		{"slow and steady", time.Second, 2048, 200, 32 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func() *backend { return newBackend(llmtest.OK("fine")) }, func(t *testing.T, _ *backend, l *memnet.Listener) {
				conn, err := l.Dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				body := chatBody + strings.Repeat(" ", 64<<10)
				head, _, _ := strings.Cut(post(chatPath, body), "\r\n\r\n")
				start := time.Now()
				stop := make(chan struct{})
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					_, _ = io.WriteString(conn, head+"\r\n\r\n")
					for i := 0; i < len(body); i += c.bytes {
						select {
						case <-time.After(c.every):
						case <-stop:
							return
						}
						if _, err := io.WriteString(conn, body[i:min(i+c.bytes, len(body))]); err != nil {
							return
						}
					}
				}()
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(res.Body)
				r := reply{res.StatusCode, res.Header, string(text), res.Trailer}
				if took := time.Since(start); r.status != c.status || took < c.after || took > c.after+2*time.Second {
					t.Errorf("%d after %s: %s", r.status, took, r.body)
				}
				if c.status == 408 && (r.errorType() != "caller_too_slow" || !strings.Contains(r.text(), "gateway.body_timeout = 10s, then 1024 bytes/s")) {
					t.Errorf("%s", r.body)
				}
				close(stop)
				_ = conn.Close()
				<-sent
			})
		})
	}
}

// TestUnreadBodyIsBounded is a client without a key that announces a body and
// sends nothing: its answer must not wait for the body for ever.
func TestUnreadBodyIsBounded(t *testing.T) {
	bubble(t, nil, func() *backend { return newBackend() }, func(t *testing.T, _ *backend, l *memnet.Listener) {
		conn, err := l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		start := time.Now()
		_, _ = io.WriteString(conn, "POST "+chatPath+" HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if took := time.Since(start); res.StatusCode != 401 || took > 10*time.Second {
			t.Errorf("%d after %s", res.StatusCode, took)
		}
	})
}

// TestSlowHeader is the slowloris: the connection is gone after five seconds.
func TestSlowHeader(t *testing.T) {
	bubble(t, nil, func() *backend { return newBackend() }, func(t *testing.T, _ *backend, l *memnet.Listener) {
		conn, err := l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		start := time.Now()
		_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n")
		_, err = io.ReadAll(conn)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("cut after %s: %v", took, err)
		}
	})
}

// TestPipelinedSmuggling sends a body with both framings and a request hidden
// behind it: nothing behind the first answer may be taken for a request.
func TestPipelinedSmuggling(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	addr := serve(t, newGateway(t, b, nil))
	raw := strings.Replace(request("POST", chatPath, "", auth, jsonBody, "Transfer-Encoding: chunked", "Content-Length: 4"), "Connection: close\r\n", "", 1) +
		fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(chatBody), chatBody) + strings.Replace(post(chatPath, chatBody), "Connection: close\r\n", "", 1)
	all, _ := io.ReadAll(dial(t, addr, raw))
	if n := strings.Count(string(all), "HTTP/1.1 200"); n != 1 || len(b.provider.Calls()) != 1 {
		t.Errorf("%d answers, %d calls: %s", n, len(b.provider.Calls()), all)
	}
}

// The price of a stream is known at its end, and said there.
func TestStreamPriceInTheTrailer(t *testing.T) {
	b := newBackend(llmtest.OK("one two three"))
	b.meta = forebay.Meta{Attempts: 1, CostMicroUSD: 1250}
	r := send(t, serve(t, newGateway(t, b, nil)), post(chatPath, streamBody))
	if r.status != 200 || r.header.Get("X-Forebay-Cost-Usd") != "" {
		t.Errorf("%d, head %v", r.status, r.header)
	}
	if got := r.trailer.Get("X-Forebay-Cost-Usd"); got != "0.00125" {
		t.Errorf("trailer says %q", got)
	}
}
