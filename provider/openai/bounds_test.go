package openai_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
)

func TestBounds(t *testing.T) { wire().Bounds(t) }

func TestUnboundedTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inBubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour)
			answer("text/event-stream", eventList()[0])(w, r)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Hour)
			_, _ = io.WriteString(w, done)
		}), func(cfg *openai.Config) { cfg.FirstByteTimeout, cfg.IdleTimeout = -1, -1 })
		if _, err := collect(t, p, chat(true)); err != nil {
			t.Error(err)
		}
	})
}

// The end of the body may come some time behind the end mark; the connection is used
// again all the same.
func TestLateEndOfBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		p := inBubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer("text/event-stream", allEvents())(w, r)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}), func(cfg *openai.Config) {
			tr, _ := cfg.Transport.(*http.Transport)
			dial := tr.DialContext
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials++
				return dial(ctx, network, addr)
			}
		})
		for range 3 {
			if _, err := collect(t, p, chat(true)); err != nil {
				t.Fatal(err)
			}
		}
		if dials != 1 {
			t.Errorf("%d connections for calls one after the other, want 1", dials)
		}
	})
}

func TestSizes(t *testing.T) {
	small := func(cfg *openai.Config) { cfg.MaxBody, cfg.MaxEvent, cfg.MaxStream = 300, 250, 900 }
	long := strings.Replace(wholeBody, "one", strings.Repeat("one", 100), 1)
	unsized := func(w http.ResponseWriter, r *http.Request) {
		answer("application/json", long[:10])(w, r)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, long[10:])
	}
	for _, c := range []struct {
		name, limit string
		stream      bool
		handler     http.HandlerFunc
	}{
		{"body", "max_body_bytes", false, answer("application/json", long)},
		{"body of unknown length", "max_body_bytes", false, unsized},
		{"event", "max_event_bytes", true, answer("text/event-stream", "data: {\"x\":\""+strings.Repeat("x", 300)+"\"}\n\n")},
		{"stream", "max_stream_bytes", true, answer("text/event-stream", strings.Repeat(eventList()[1], 10))},
	} {
		_, err := collect(t, start(t, c.handler, small), chat(c.stream))
		if e := want(t, err, llm.ProviderMalformed); e.Limit != c.limit {
			t.Errorf("%s: limit %q, want %q", c.name, e.Limit, c.limit)
		}
	}
}
