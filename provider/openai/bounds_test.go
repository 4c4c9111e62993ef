package openai_test

import (
	"context"
	"errors"
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

func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		name, limit string
		stream      bool
		took        time.Duration
		handler     http.HandlerFunc
	}{
		{"no head", "first_byte_timeout", false, 120 * time.Second, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // the server sees the end of a connection only from then on
			<-r.Context().Done()
		}},
		{"head, then silence", "idle_timeout", true, 30 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			answer("text/event-stream", "")(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		{"silence after slow events", "idle_timeout", true, 3*29*time.Second + 30*time.Second, func(w http.ResponseWriter, r *http.Request) {
			answer("text/event-stream", "")(w, r)
			for _, event := range eventList()[:3] {
				_ = http.NewResponseController(w).Flush()
				time.Sleep(29 * time.Second)
				_, _ = io.WriteString(w, event)
			}
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		{"half a whole answer", "idle_timeout", false, 30 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			answer("application/json", wholeBody[:20])(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		{"half an error", "", false, 2 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(500)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		{"an error that trickles", "", false, 2 * time.Second, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(500)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(300 * time.Millisecond):
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, begin := inBubble(t, c.handler, nil), time.Now()
				_, err := collect(t, p, chat(c.stream))
				kind := llm.ProviderTimeout
				if c.limit == "" { // the status was there, and says what it is
					kind = llm.ProviderError
				}
				if e := want(t, err, kind); e.Limit != c.limit {
					t.Errorf("limit %q, want %q", e.Limit, c.limit)
				}
				if took := time.Since(begin); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
			})
		})
	}
}

// Time that the caller takes between two reads is not the provider's silence.
func TestSlowReaderIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inBubble(t, answer("text/event-stream", allEvents()), nil)
		s, err := p.Call(t.Context(), model, chat(true))
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			time.Sleep(time.Hour)
			_, err = s.Next()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%v, want io.EOF", err)
		}
	})
}

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

// A back end that leaves the body open after its end mark costs a connection, not time.
func TestOpenBodyAfterEndMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := inBubble(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer("text/event-stream", allEvents())(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}), nil)
		begin := time.Now()
		if _, err := collect(t, p, chat(true)); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 50*time.Millisecond {
			t.Errorf("the end took %v", took)
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
