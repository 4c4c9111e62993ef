package openai_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/provider/internal/wiretest"
	"github.com/forebay-ai/forebay/provider/openai"
	"github.com/forebay-ai/forebay/provider/simulated"
)

// wire is the format as the shared suites want it.
func wire() *wiretest.Format {
	return &wiretest.Format{
		Whole: wholeBody, WholeType: "application/json", Events: eventList(), StreamType: "text/event-stream",
		Refusal: `{"error":{"message":"no","type":"x"}}`, Model: model, Request: chat,
		Streams: func(_ *http.Request, body []byte) bool { return bytes.Contains(body, []byte(`"stream":true`)) },
		Open: func(t *testing.T, address string, transport http.RoundTripper) llm.Provider {
			return open(t, openai.Config{Name: "test", BaseURL: address + "/v1", APIKey: key, Transport: transport})
		},
	}
}

func TestConformance(t *testing.T) { wire().Conformance(t) }

// The simulated back end as a real upstream.
func TestConformanceAgainstSimulated(t *testing.T) {
	llmtest.TestProvider(t, llmtest.Harness{
		Model: model, Request: chat, Sockets: true,
		New: func(t *testing.T, b llmtest.Behaviour) llmtest.Backend {
			sim := simulate(t, simulatedFault(b))
			called, cancelled := make(chan struct{}, 100), make(chan struct{}, 100)
			handler := sim.Handler()
			p := start(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				called <- struct{}{}
				defer func() {
					if r.Context().Err() != nil {
						cancelled <- struct{}{}
					}
				}()
				handler.ServeHTTP(w, r)
			}, nil)
			return llmtest.Backend{Provider: p, Called: called, Cancelled: cancelled}
		},
	})
}

func simulate(t *testing.T, faults ...string) *simulated.Provider {
	t.Helper()
	var cfg simulated.Config
	for _, text := range faults {
		if text == "" {
			continue
		}
		f, err := simulated.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Faults = append(cfg.Faults, f)
	}
	sim, err := simulated.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

func simulatedFault(b llmtest.Behaviour) string {
	return map[llmtest.Does]string{
		llmtest.Hangs:   "hang",
		llmtest.Stalls:  fmt.Sprintf("stall=%d", b.After),
		llmtest.Cuts:    fmt.Sprintf("cut=%d", b.After),
		llmtest.NoEnd:   "no_end",
		llmtest.Refuses: fmt.Sprintf("status=%d", b.Status),
	}[b.Does]
}

// The back end sees within 100 ms that a caller has gone, before the head of a
// whole answer and within a stream. The fastest of a few tries counts: the others
// show how busy the machine is.
func TestCancelReachesTheBackEnd(t *testing.T) {
	for _, b := range []llmtest.Behaviour{{Does: llmtest.Hangs}, {Does: llmtest.Stalls, After: 2}} {
		h := wire().Backend(b)
		p := start(t, h.ServeHTTP, nil)
		best := time.Hour
		for try := 0; try < 5 && best > 100*time.Millisecond; try++ {
			ctx, cancel := context.WithCancel(t.Context())
			var calling sync.WaitGroup
			calling.Go(func() {
				if s, err := p.Call(ctx, model, chat(b.Does == llmtest.Stalls)); err == nil {
					_, _ = llm.Collect(s)
				}
			})
			<-h.Called
			begin := time.Now()
			cancel()
			<-h.Cancelled
			best = min(best, time.Since(begin))
			calling.Wait()
		}
		if best > 100*time.Millisecond {
			t.Errorf("%s: the back end saw the end after %v", b.Does, best)
		}
	}
}

// Every fault of the simulated back end, over a socket, is seen as what it is: the
// same kind that a call within the process sees.
func TestSimulatedFaultsOverSockets(t *testing.T) {
	for _, c := range []struct {
		fault  string
		stream bool
		kind   llm.Kind
	}{
		{"", false, ""},
		{"", true, ""},
		{"status=503,retry_after=2s", false, llm.ProviderOverloaded},
		{"status=429,retry_after=1500ms", true, llm.ProviderRateLimited},
		{"status=401", true, llm.ProviderAuthFailed},
		{"status=599", false, llm.ProviderError},
		{"refuse", false, llm.ProviderConnectionFailed},
		{"refuse", true, llm.ProviderConnectionFailed},
		{"cut=2", true, llm.ProviderTruncated},
		{"cut", true, llm.ProviderTruncated},
		{"cut", false, llm.ProviderTruncated},
		{"garbage=1", true, llm.ProviderMalformed},
		{"garbage", false, llm.ProviderMalformed},
		{"error_event=2", true, llm.ProviderError},
		{"error_event", false, llm.ProviderError},
		{"no_end", true, llm.ProviderTruncated},
		{"no_end", false, llm.ProviderMalformed},
		{"hang", false, llm.ProviderTimeout},
		{"stall=3", true, llm.ProviderTimeout},
		{"stall", false, llm.ProviderTimeout},
		{"trickle=10us", true, ""},
		{"trickle=10us", false, ""},
	} {
		t.Run(fmt.Sprintf("%s stream %v", c.fault, c.stream), func(t *testing.T) {
			sim := simulate(t, c.fault)
			p := start(t, sim.Handler().ServeHTTP, func(cfg *openai.Config) {
				if c.kind == llm.ProviderTimeout { // the others come sooner or later
					cfg.FirstByteTimeout, cfg.IdleTimeout = soon, soon
				}
			})
			res, err := collect(t, p, chat(c.stream))
			if got := llm.KindOf(err); got != c.kind {
				t.Fatalf("%v, want kind %q", err, c.kind)
			}
			if err == nil && (res.Usage.Output == 0 || !strings.Contains(string(res.Body), "[simulated]")) {
				t.Errorf("usage %+v, body %s", res.Usage, res.Body)
			}
			if _, wait, ok := strings.Cut(c.fault, "retry_after="); ok && llm.AsError(err).RetryAfter.String() != normal(wait) {
				t.Errorf("retry after %v, want %s", llm.AsError(err).RetryAfter, wait)
			}
		})
	}
}

func normal(wait string) string { return strings.Replace(wait, "1500ms", "1.5s", 1) }

func TestModelsAndForwardAgainstSimulated(t *testing.T) {
	srv := httptest.NewServer(simulate(t).Handler())
	t.Cleanup(srv.Close)
	p := open(t, openai.Config{BaseURL: srv.URL + "/v1/"})
	models, err := p.Models(t.Context())
	if err != nil || len(models) != 2 || models[0].OwnedBy != "simulated" {
		t.Errorf("models %+v, %v", models, err)
	}
	for _, c := range []struct {
		method, path, query, body string
		status                    int
		want                      string
	}{
		{"GET", "/chat/completions", "limit=1", "", 200, `"object":"list"`},
		{"GET", "/chat/completions/abc", "", "", 200, `"id":"abc"`},
		{"POST", "/chat/completions/abc", "", `{"metadata":{"a":"b"}}`, 200, `"metadata":{"a":"b"}`},
		{"DELETE", "/chat/completions/abc", "", "", 200, `"deleted":true`},
		{"GET", "/chat/completions/abc/messages", "", "", 200, `"data":[{`},
		{"POST", "/chat/completions/abc", "", `{`, 400, `"error"`},
	} {
		var body []byte
		if c.body != "" {
			body = []byte(c.body)
		}
		status, contentType, got, err := p.Forward(t.Context(), c.method, c.path, c.query, body)
		if err != nil || status != c.status || contentType != "application/json" || !strings.Contains(string(got), c.want) {
			t.Errorf("%s %s: %d %s %s, %v", c.method, c.path, status, contentType, got, err)
		}
	}
}
