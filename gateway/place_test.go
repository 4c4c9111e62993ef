package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/memnet"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// line is a provider in front of which calls wait: ahead calls are ahead, and every
// second one less.
func line(ahead int, wait time.Duration, then func(ctx context.Context) (llm.Stream, error)) llmtest.Step {
	return llmtest.Do(func(ctx context.Context, _ string, req *llm.Request) (llm.Stream, error) {
		var left atomic.Int64
		left.Store(int64(ahead))
		place := func() (llm.Place, bool) {
			n := left.Load()
			return llm.Place{Ahead: int(n), Wait: time.Duration(n) * wait}, true
		}
		first, _ := place()
		req.Waiting.Begin(first, place)
		defer req.Waiting.End()
		for left.Load() > 0 {
			select {
			case <-time.After(time.Second):
				left.Add(-1)
			case <-ctx.Done():
				return nil, llm.AsError(ctx.Err())
			}
		}
		req.Waiting.End()
		return then(ctx)
	})
}

func answered(context.Context) (llm.Stream, error) {
	next := make(chan struct{})
	close(next)
	return &chunks{ctx: context.Background(), left: 1, raw: []byte("data: {\"choices\":[]}\n\ndata: [DONE]\n\n"), next: next, ended: make(chan error, 1)}, nil
}

// queued is a call that waits.
type queued struct {
	announce time.Duration
	step     func() llmtest.Step
	raw      string
	meta     forebay.Meta
}

// in sends the call to a gateway and gives the answer, its end, and when its head came.
func (q queued) in(t *testing.T, check func(t *testing.T, r reply, err error, took time.Duration)) {
	t.Helper()
	raw := q.raw
	bubble(t, func(c *gateway.Config) { c.Announce = q.announce }, func() *backend { b := newBackend(q.step()); b.meta = q.meta; return b }, func(t *testing.T, _ *backend, l *memnet.Listener) {
		c, err := l.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		start := time.Now()
		_, _ = io.WriteString(c, raw)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		body, err := io.ReadAll(res.Body)
		check(t, reply{res.StatusCode, res.Header, string(body), res.Trailer}, err, took)
	})
}

// TestPlaceInStream tells the reader of a stream where its call stands, once a second
// from the second on that the configuration names.
func TestPlaceInStream(t *testing.T) {
	meta := forebay.Meta{
		Provider: "p", Model: "m", Attempts: 2, CostMicroUSD: 1500, Level: degrade.Partial,
		Cache: forebay.CacheResult{Status: forebay.CacheMiss, Stored: true}, Timing: forebay.Timing{Queue: 4 * time.Second},
	}
	step := func() llmtest.Step { return line(4, 850*time.Millisecond, answered) }
	// The line moves at whole seconds: a little later the order of the two is sure.
	queued{2100 * time.Millisecond, step, post(chatPath, streamBody), meta}.in(t, func(t *testing.T, r reply, err error, took time.Duration) {
		const want = ": queue position=2 wait_ms=1700\n\n: queue position=1 wait_ms=850\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n"
		if r.status != 200 || err != nil || r.body != want || took != 2100*time.Millisecond {
			t.Errorf("%d after %s: %q %v", r.status, took, r.body, err)
		}
		wantHeaders(t, r)
		for name, want := range map[string]string{
			"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Forebay-Queue-Position": "4", "Cache-Status": "forebay",
			"X-Forebay-Provider": "none", "X-Forebay-Model": "none", "X-Forebay-Attempts": "0", "X-Forebay-Cost-Usd": "",
		} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if diff := cmp.Diff(http.Header{
			"Cache-Status": {"forebay; fwd=uri-miss; stored"}, "X-Forebay-Provider": {"p"}, "X-Forebay-Model": {"m"}, "X-Forebay-Attempts": {"2"}, "X-Forebay-Cost-Usd": {"0.0015"},
			"X-Forebay-Fallback": {"none"}, "X-Forebay-Degradation": {"partial"}, "X-Forebay-Queue-Ms": {"4000"},
			"X-Forebay-Region": {"none"}, "X-Forebay-Dropped": {"none"}, "X-Forebay-Template": {"none"},
		}, r.trailer); diff != "" {
			t.Error(diff)
		}
	})
	queued{0, step, post(chatPath, streamBody), meta}.in(t, func(t *testing.T, r reply, _ error, took time.Duration) {
		if n := strings.Count(r.body, ": queue position="); took != 2*time.Second || n == 0 {
			t.Errorf("the head after %s, %d comments", took, n)
		}
	})
	queued{100 * time.Millisecond, func() llmtest.Step { return line(2, 0, answered) }, post(chatPath, streamBody), meta}.in(t, func(t *testing.T, r reply, _ error, _ time.Duration) {
		if !strings.HasPrefix(r.body, ": queue position=2\n\n: queue position=1\n\ndata: ") {
			t.Errorf("%q", r.body)
		}
	})
}

// TestPlaceInHead tells in the head how many were ahead, where there is no comment.
func TestPlaceInHead(t *testing.T) {
	failed := func(context.Context) (llm.Stream, error) {
		return nil, &llm.Error{Kind: llm.ProviderError, Message: "no"}
	}
	for name, c := range map[string]struct {
		raw      string
		announce time.Duration
		ahead    int
		then     func(context.Context) (llm.Stream, error)
		status   int
		position string
	}{
		"whole":             {post(chatPath, chatBody), 0, 4, answered, 200, "4"},
		"error":             {post(chatPath, chatBody), 0, 4, failed, 502, "4"},
		"operation's error": {post(opPath, `{"payload":1}`), 0, 4, failed, 502, "4"},
		"stream, off":       {post(chatPath, streamBody), -1, 4, answered, 200, "4"},
		"failed stream":     {post(chatPath, streamBody), -1, 4, failed, 502, "4"},
		"short stream":      {post(chatPath, streamBody), 3500 * time.Millisecond, 3, answered, 200, "3"},
		"next":              {post(chatPath, chatBody), 0, 0, answered, 200, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			queued{c.announce, func() llmtest.Step { return line(c.ahead, time.Second, c.then) }, c.raw, forebay.Meta{}}.in(t, func(t *testing.T, r reply, err error, took time.Duration) {
				if r.status != c.status || err != nil || r.header.Get("X-Forebay-Queue-Position") != c.position || strings.Contains(r.body, ": queue") || took != time.Duration(c.ahead)*time.Second {
					t.Errorf("%d after %s: %v %v %q", r.status, took, err, r.header, r.body)
				}
				wantHeaders(t, r)
			})
		})
	}
	r := send(t, serve(t, newGateway(t, newBackend(llmtest.OK("fine")), nil)), post(chatPath, streamBody))
	if _, there := r.header["X-Forebay-Queue-Position"]; there {
		t.Error("a call that did not wait has a position")
	}
}

// TestSlowProviderIsNoQueue is a call that does not wait for a slot: nothing is
// announced, however long it takes.
func TestSlowProviderIsNoQueue(t *testing.T) {
	step := func() llmtest.Step {
		return llmtest.Do(func(ctx context.Context, _ string, _ *llm.Request) (llm.Stream, error) {
			time.Sleep(20 * time.Second)
			return nil, &llm.Error{Kind: llm.ProviderTimeout, Message: "no"}
		})
	}
	queued{0, step, post(chatPath, streamBody), forebay.Meta{}}.in(t, func(t *testing.T, r reply, err error, took time.Duration) {
		if r.status != 504 || took != 20*time.Second {
			t.Errorf("%d after %s", r.status, took)
		}
	})
}

// TestAnnouncedFailure is a call that fails when its head is out: an error event and a
// broken connection, never a clean end.
func TestAnnouncedFailure(t *testing.T) {
	steps := map[string]func(context.Context) (llm.Stream, error){
		"in the call": func(context.Context) (llm.Stream, error) {
			return nil, &llm.Error{Kind: llm.PolicyOverloaded, Message: "no hope"}
		},
		"at the first chunk": func(ctx context.Context) (llm.Stream, error) {
			return llmtest.Script(llmtest.Err(&llm.Error{Kind: llm.PolicyOverloaded, Message: "no hope"})).Call(ctx, "m", &llm.Request{Body: []byte(streamBody), Dialect: openai.Dialect{}, Stream: true})
		},
		"by a panic": func(context.Context) (llm.Stream, error) { panic("scripted panic") },
	}
	for name, then := range steps {
		t.Run(name, func(t *testing.T) {
			step := func() llmtest.Step { return line(3, time.Second, then) }
			queued{500 * time.Millisecond, step, post(chatPath, streamBody, "X-Request-Id: the-id"), forebay.Meta{}}.in(t, func(t *testing.T, r reply, err error, _ time.Duration) {
				if r.status != 200 || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(r.body, ": queue position=3") || strings.Contains(r.body, "[DONE]") {
					t.Errorf("%d %v %q", r.status, err, r.body)
				}
				if event := `data: {"error":{`; name != "by a panic" && (!strings.Contains(r.body, event) || !strings.Contains(r.body, "policy_overloaded") || !strings.Contains(r.body, "the-id")) {
					t.Errorf("%q", r.body)
				}
			})
		})
	}
}

// TestNoPlaceBehindTheHead is a line that never says that the wait is over: from the
// first chunk on the answer belongs to the handler alone.
func TestNoPlaceBehindTheHead(t *testing.T) {
	for name, announce := range map[string]time.Duration{"announced": time.Second, "not announced": 3500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			step := func() llmtest.Step {
				return llmtest.Do(func(ctx context.Context, _ string, req *llm.Request) (llm.Stream, error) {
					req.Waiting.Begin(llm.Place{Ahead: 7}, func() (llm.Place, bool) { return llm.Place{Ahead: 7}, true })
					next := make(chan struct{})
					go func() {
						for range 4 {
							time.Sleep(3 * time.Second)
							next <- struct{}{}
						}
					}()
					return &chunks{ctx: ctx, left: 4, raw: []byte("data: {}\n\n"), next: next, ended: make(chan error, 1)}, nil
				})
			}
			queued{announce, step, post(chatPath, streamBody), forebay.Meta{}}.in(t, func(t *testing.T, r reply, err error, _ time.Duration) {
				_, rest, _ := strings.Cut(r.body, "data: ")
				if err != nil || strings.Contains(rest, "position") || strings.HasPrefix(r.body, ": queue") != (name == "announced") {
					t.Errorf("%v %q", err, r.body)
				}
			})
		})
	}
}

// TestAnnouncedClientGone is a client that leaves while it waits, and one that stops
// reading: the call ends.
func TestAnnouncedClientGone(t *testing.T) {
	for name, leaves := range map[string]bool{"leaves": true, "stops reading": false} {
		t.Run(name, func(t *testing.T) {
			back := func() *backend { return newBackend(line(1000, time.Second, answered)) }
			bubble(t, func(c *gateway.Config) { c.WriteTimeout = 2 * time.Second }, back, func(t *testing.T, b *backend, l *memnet.Listener) {
				c, err := l.Dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_, _ = io.WriteString(c, post(chatPath, streamBody))
				if leaves {
					res, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = res.Body.Read(make([]byte, 1))
					_ = c.Close()
				}
				time.Sleep(5 * time.Second)
				if now, _ := b.provider.InFlight(); now != 0 {
					t.Error("the call goes on")
				}
			})
		})
	}
}

// TestDecodersSkipPlaces reads an announced stream with the dialect's own decoder: it
// finds the same answer as without the comments.
func TestDecodersSkipPlaces(t *testing.T) {
	provider := llmtest.Script(llmtest.OK("one two three"))
	s, err := provider.Call(t.Context(), "m", &llm.Request{Endpoint: llm.Chat, Body: []byte(streamBody), Dialect: openai.Dialect{}, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	res, err := llm.Collect(s)
	if err != nil {
		t.Fatal(err)
	}
	announced := append([]byte(": queue position=12 wait_ms=3400\n\n: queue position=11\n\n"), res.Body...)
	read := func(body []byte) (text string) {
		r := openai.NewReader(bytes.NewReader(body), openai.ReaderOptions{})
		for {
			c, err := r.Next()
			if err == io.EOF {
				return text
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Text != nil {
				text += c.Text()
			}
		}
	}
	if got, want := read(announced), read(res.Body); got != want || want == "" {
		t.Errorf("%q, want %q", got, want)
	}
}
