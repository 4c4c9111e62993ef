package openai_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/provider/openai"
)

// soon is a bound for things that do not happen, on the real clock.
const soon = 100 * time.Millisecond

// want checks a kind and that the error names its target and tells no secret.
func want(t *testing.T, err error, kind llm.Kind) *llm.Error {
	t.Helper()
	var e *llm.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error %v, want kind %s", err, kind)
	}
	if e.Provider == "" {
		t.Errorf("the error does not name the provider: %+v", e)
	}
	if strings.Contains(fmt.Sprintf("%+v %v", *e, e), key) {
		t.Errorf("the error tells the key: %v", e)
	}
	return e
}

func TestRequestOnTheWire(t *testing.T) {
	var got *http.Request
	var body []byte
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		answer("application/json", wholeBody)(w, r)
	}, func(cfg *openai.Config) {
		cfg.Headers = map[string]llm.Secret{"openai-organization": "org", "api-key": "other"}
	})
	req := chat(false)
	if _, err := collect(t, p, req); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(body, req.Body) {
		t.Errorf("body %q, want %q", body, req.Body)
	}
	wantHeader := http.Header{
		"Accept": {"application/json"}, "Api-Key": {"other"}, "Authorization": {"Bearer " + key},
		"Content-Length": {fmt.Sprint(len(req.Body))}, "Content-Type": {"application/json"},
		"Openai-Organization": {"org"}, "Traceparent": {req.TraceParent}, "User-Agent": {"forebay"}, "X-Request-Id": {"req-1"},
	}
	if diff := cmp.Diff(wantHeader, got.Header); diff != "" {
		t.Errorf("headers: %s", diff)
	}
	if got.Method != "POST" || got.URL.Path != "/v1/chat/completions" {
		t.Errorf("%s %s", got.Method, got.URL)
	}

	// What cannot stand in a header must not fail the call as if the provider had.
	odd := chat(true)
	odd.ID, odd.TraceParent = "a\r\nb", "ü"
	if _, err := collect(t, p, odd); err != nil {
		t.Fatal(err)
	}
	if h := got.Header; h.Get("X-Request-Id") != "" || h.Get("Traceparent") != "" || h.Get("Accept") != "text/event-stream" {
		t.Errorf("headers %v", h)
	}
}

func TestPathsBelowTheBase(t *testing.T) {
	for base, want := range map[string]string{
		"": "/chat/completions", "/": "/chat/completions", "/v1": "/v1/chat/completions", "/v1/": "/v1/chat/completions",
		"/a%2Fb": "/a%2Fb/chat/completions",
	} {
		var uri string
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			uri = r.RequestURI
			answer("application/json", wholeBody)(w, r)
		}))
		p := open(t, openai.Config{BaseURL: srv.URL + base})
		if _, err := collect(t, p, chat(false)); err != nil || uri != want {
			t.Errorf("base %q: called %s (%v), want %s", base, uri, err, want)
		}
		if _, _, _, err := p.Forward(t.Context(), "GET", "/chat/completions/a b", "limit=2", nil); err != nil || uri != want+"/a%20b?limit=2" {
			t.Errorf("base %q: called %s (%v)", base, uri, err)
		}
		_ = p.Close()
		srv.Close()
	}
}

func TestAnotherModelChangesNothingElse(t *testing.T) {
	var body []byte
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		answer("application/json", wholeBody)(w, r)
	}, nil)
	req := chat(false)
	s, err := p.Call(t.Context(), "gpt-other", req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := llm.Collect(s); err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(string(req.Body), model, "gpt-other", 1); string(body) != want {
		t.Errorf("body %s, want %s", body, want)
	}
	req.Body = []byte(`{`)
	if _, err := p.Call(t.Context(), "gpt-other", req); llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Errorf("a body that is not JSON: %v", err)
	}
}

func TestEmbeddings(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/embeddings" {
			t.Errorf("path %s", r.URL.Path)
		}
		answer("application/json", `{"object":"list","data":[{"embedding":[0.1]}],"model":"e","usage":{"prompt_tokens":2,"total_tokens":2}}`)(w, r)
	}, nil)
	req := chat(false)
	req.Endpoint, req.Body = llm.Embeddings, []byte(`{"model":"gpt-test","input":"a"}`)
	res, err := collect(t, p, req)
	if err != nil || res.Usage.Input != 2 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestRefusesWhatItCannotSend(t *testing.T) {
	p := open(t, openai.Config{BaseURL: "http://127.0.0.1:1"})
	foreign, none, function := chat(false), chat(false), chat(false)
	foreign.Dialect, none.Dialect, function.Endpoint = llmtest.Dialect{}, nil, llm.Function
	for _, req := range []*llm.Request{foreign, none, function} {
		_, err := p.Call(t.Context(), model, req)
		want(t, err, llm.ForebayInternal)
	}
}

// What back ends answer, and what it counts as.
func TestAnswers(t *testing.T) {
	status := func(code int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if header != "" {
				w.Header().Set(header, value)
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name    string
		stream  bool
		handler http.HandlerFunc
		kind    llm.Kind
	}{
		{"json", false, answer("application/json; charset=utf-8", wholeBody), ""},
		{"json without a type", false, status(200, "Content-Type", "", wholeBody), ""},
		{"json of another type", false, answer("application/problem+json", wholeBody), ""},
		{"json as text", false, answer("text/plain", wholeBody), ""},
		{"201", false, status(201, "Content-Type", "application/json", wholeBody), ""},
		{"events", true, answer("text/event-stream", allEvents()), ""},
		{"events with a charset", true, answer(`text/event-stream;charset="UTF-8"`, allEvents()), ""},
		{"events for a whole answer", false, answer("text/event-stream", allEvents()), ""},
		{"json for a stream", true, answer("application/json", wholeBody), ""},
		{"cut events for a whole answer", false, answer("text/event-stream", eventList()[1]), llm.ProviderTruncated},
		{"garbage events for a whole answer", false, answer("text/event-stream", "data: x\n\n"+done), llm.ProviderMalformed},
		{"error body for a stream", true, answer("application/json", `{"error":{"message":"x","type":"overloaded_error"}}`), llm.ProviderOverloaded},
		{"error body with 200", false, answer("application/json", `{"error":{"message":"x","type":"overloaded_error"}}`), llm.ProviderOverloaded},
		{"page", false, answer("text/html", "<html>hello</html>"), llm.ProviderMalformed},
		{"page for a stream", true, answer("text/html", "<html>hello</html>"), llm.ProviderMalformed},
		{"page as json", false, answer("application/json", "<html>hello</html>"), llm.ProviderMalformed},
		{"strange type", false, answer("image/png", "x"), llm.ProviderMalformed},
		{"broken type", false, answer("a/b/c;;", "x"), llm.ProviderMalformed},
		{"nothing", false, answer("application/json", ""), llm.ProviderMalformed},
		{"nothing for a stream", true, answer("text/event-stream", ""), llm.ProviderTruncated},
		{"204", false, status(204, "", "", ""), llm.ProviderMalformed},
		{"304", false, status(304, "", "", ""), llm.ProviderMalformed},
		{"307", false, status(307, "Location", "http://127.0.0.1:1/", ""), llm.ProviderMalformed},
		{"101", false, status(101, "Upgrade", "x", ""), llm.ProviderMalformed},
		{"999", false, status(999, "", "", ""), llm.ProviderError},
		{"said to be gzip", false, status(200, "Content-Encoding", "gzip", wholeBody), llm.ProviderMalformed},
		{"gzip", false, status(200, "Content-Encoding", "gzip", zipped(wholeBody)), llm.ProviderMalformed},
		{"400", false, status(400, "", "", `{"error":{"message":"bad"}}`), llm.ProviderRejected},
		{"filter", false, status(400, "", "", `{"error":{"message":"bad","code":"content_filter"}}`), llm.ProviderFiltered},
		{"401", true, status(401, "", "", ""), llm.ProviderAuthFailed},
		{"quota", false, status(429, "", "", `{"error":{"code":"insufficient_quota"}}`), llm.ProviderQuotaExceeded},
		{"429", false, status(429, "Retry-After", "7", ""), llm.ProviderRateLimited},
		{"500 with a page", false, status(500, "Content-Type", "text/html", "<html>"), llm.ProviderError},
		{"529", false, status(529, "", "", ""), llm.ProviderOverloaded},
		{"large error", false, status(500, "", "", strings.Repeat("x", 1<<20)), llm.ProviderError},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := collect(t, start(t, c.handler, nil), chat(c.stream))
			if c.kind != "" {
				if e := want(t, err, c.kind); c.name == "429" && e.RetryAfter != 7*time.Second {
					t.Errorf("retry after %v, want 7s", e.RetryAfter)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.HasPrefix(string(res.Body), "data: "); got != c.stream {
				t.Errorf("stream %v was answered with %.60s", c.stream, res.Body)
			}
			if c.stream && !strings.HasSuffix(string(res.Body), done) {
				t.Errorf("no end mark: %s", res.Body)
			}
			if res.Usage != (llm.Usage{Input: 3, Output: 3}) || res.Finish != llm.FinishStop || res.Model != "gpt-test-1" {
				t.Errorf("usage %+v, finish %s, model %s", res.Usage, res.Finish, res.Model)
			}
		})
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestRedirectIsNotFollowedAndGetsNoKey(t *testing.T) {
	var reached atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer target.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		p := start(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, code) }, nil)
		_, err := collect(t, p, chat(false))
		if e := want(t, err, llm.ProviderMalformed); e.Status != code {
			t.Errorf("status %d, want %d", e.Status, code)
		}
		if _, err := p.Models(t.Context()); err == nil {
			t.Error("models were redirected")
		}
		if _, _, _, err := p.Forward(t.Context(), "GET", "/chat/completions", "", nil); err == nil {
			t.Error("stored completions were redirected")
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the target of the redirect was called %d times", n)
	}
}

// net/http must not send a call again that the back end may have seen.
func TestNoRetryByTheTransport(t *testing.T) {
	var calls atomic.Int32
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if calls.Add(1) == 1 { // the first call leaves a kept connection behind
			answer("application/json", wholeBody)(w, r)
			return
		}
		panic(http.ErrAbortHandler)
	}, nil)
	if _, err := collect(t, p, chat(false)); err != nil {
		t.Fatal(err)
	}
	_, err := collect(t, p, chat(false))
	want(t, err, llm.ProviderConnectionFailed)
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls reached the back end, want 2", n)
	}
}

// Connections are used again after whole answers, streams, errors and pages.
func TestConnectionsAreReused(t *testing.T) {
	var connections atomic.Int32
	var handler atomic.Value
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.Load().(http.HandlerFunc)(w, r)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	p := open(t, openai.Config{BaseURL: srv.URL})
	late := func(w http.ResponseWriter, r *http.Request) {
		answer("text/event-stream", allEvents())(w, r)
		_ = http.NewResponseController(w).Flush() // the end of the body comes in a packet of its own
	}
	for _, h := range []http.HandlerFunc{
		answer("application/json", wholeBody), answer("text/event-stream", allEvents()), late,
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
	} {
		handler.Store(h)
		for range 3 {
			for _, stream := range []bool{true, false} {
				if _, err := collect(t, p, chat(stream)); err != nil && llm.KindOf(err) != llm.ProviderError {
					t.Fatal(err)
				}
			}
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for calls one after the other, want 1", n)
	}
}

func TestKeyIsScrubbed(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		sent := r.Header.Get("Authorization") + " " + r.Header.Get("X-Custom")
		w.Header().Set("X-Echo", sent)
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"error":{"message":%q,"code":%q}}`, "you sent "+sent, sent)
	}
	const custom = "custom-secret-value"
	p := start(t, echo, func(cfg *openai.Config) { cfg.Headers = map[string]llm.Secret{"X-Custom": custom} })
	_, err := collect(t, p, chat(false))
	if e := want(t, err, llm.ProviderRejected); strings.Contains(fmt.Sprint(e, e.Code), custom) {
		t.Errorf("the error tells the header: %v", e)
	}
	_, _, body, err := p.Forward(t.Context(), "GET", "/chat/completions", "", nil)
	if err != nil || strings.Contains(string(body), key) || strings.Contains(string(body), custom) || len(body) == 0 {
		t.Errorf("forwarded %s, %v", body, err)
	}
	// Nor may it come out of a stream, or of a head that net/http refuses and quotes.
	event := start(t, answer("text/event-stream", `data: {"error":{"message":"key `+key+`"}}`+"\n\n"), nil)
	_, err = collect(t, event, chat(true))
	want(t, err, llm.ProviderError)
	_, err = collect(t, raw(t, "HTTP/1.1 "+key+"\r\n\r\n"), chat(true))
	want(t, err, llm.ProviderConnectionFailed)
}

func TestForwardRefuses(t *testing.T) {
	p := open(t, openai.Config{BaseURL: "http://127.0.0.1:1"})
	for _, c := range [][3]string{
		{"PATCH", "/chat/completions", ""},
		{"GET", "/models", ""},
		{"GET", "/chat/completionsx", ""},
		{"GET", "/chat/completions/", ""},
		{"GET", "/chat/completions/..", ""},
		{"GET", "/chat/completions/../models", ""},
		{"GET", "/chat/completions/%2e%2e", ""},
		{"GET", "/chat/completions/a\\b", ""},
		{"GET", "/chat/completions/a/other", ""},
		{"GET", "/chat/completions/a/messages/b", ""},
		{"GET", "/chat/completions/a?b", ""},
		{"GET", "/chat/completions", "a=b c"},
		{"GET", "/chat/completions", "a=b\r\nX: y"},
	} {
		_, _, _, err := p.Forward(t.Context(), c[0], c[1], c[2], nil)
		if llm.KindOf(err) != llm.CallerInvalidRequest {
			t.Errorf("%q: %v, want it refused", c, err)
		}
	}
}

// A kept connection that died before anything was written is replaced; that is
// the one repetition that net/http may make.
func TestDeadConnectionIsReplaced(t *testing.T) {
	var calls atomic.Int32
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		answer("application/json", wholeBody)(w, r)
	}, nil)
	if _, err := collect(t, p, chat(false)); err != nil {
		t.Fatal(err)
	}
	closing := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused {
				_ = info.Conn.Close() // as if it had died between the pool and the first byte
			}
		},
	})
	s, err := p.Call(closing, model, chat(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := llm.Collect(s); err != nil {
		t.Fatal(err)
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls reached the back end, want 2", n)
	}
}
