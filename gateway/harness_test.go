package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The secrets of the test gateway's keys.
const (
	webKey     = "web-key-secret"     // call; low, normal, high
	bareKey    = "bare-key-secret"    // what a key has by default
	adminKey   = "admin-key-secret"   // every scope and band
	expiredKey = "expired-key-secret" // over
	metricsKey = "metrics-key-secret" // metrics alone
	jobsKey    = "jobs-key-secret"    // call and jobs; tenant acme; low and normal
	otherKey   = "other-key-secret"   // the same of the tenant umbrella
)

func keys() []access.Key {
	return []access.Key{
		{Name: "web", Secret: webKey, Tenant: "acme", Scopes: []string{"call"}, Bands: []llm.Priority{llm.Low, llm.Normal, llm.High}},
		{Name: "bare", Secret: bareKey},
		{Name: "admin", Secret: adminKey, Tenant: "ops", Scopes: access.Scopes(), Bands: llm.Priorities[:]},
		{Name: "expired", Secret: expiredKey, Expires: time.Unix(1, 0)},
		{Name: "metrics", Secret: metricsKey, Scopes: []string{"metrics"}},
		{Name: "jobs", Secret: jobsKey, Tenant: "acme", Scopes: []string{"call", "jobs"}},
		{Name: "other", Secret: otherKey, Tenant: "umbrella", Scopes: []string{"call", "jobs"}},
	}
}

// backend is a client that follows a script. The zero value of a member means
// that it plays no part.
type backend struct {
	provider *llmtest.Provider
	jobs     *shelf // nil where there are no durable jobs

	mu       sync.Mutex // guards what follows
	meta     forebay.Meta
	requests []*llm.Request
	exchange forebay.Exchange
	passed   forebay.ExchangeAnswer
	ready    error
	health   forebay.HealthState
	panics   bool
	noting   []string // members that do not reach the model
}

func newBackend(steps ...llmtest.Step) *backend {
	return &backend{provider: llmtest.Script(steps...), health: forebay.Healthy}
}

func (b *backend) see(req *llm.Request) forebay.Meta {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = append(b.requests, req)
	req.Notes.Dropped(b.noting...)
	if b.panics {
		panic("scripted panic")
	}
	return b.meta
}

// last is the latest request.
func (b *backend) last(t *testing.T) *llm.Request {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 {
		t.Fatal("no request came to the client")
	}
	return b.requests[len(b.requests)-1]
}

func (b *backend) Do(ctx context.Context, req *llm.Request) (*forebay.Response, error) {
	meta := b.see(req)
	s, err := b.provider.Call(ctx, req.Model, req)
	if err != nil {
		return nil, err
	}
	res, err := llm.Collect(s)
	if err != nil {
		return nil, err
	}
	return &forebay.Response{Response: res, Meta: meta}, nil
}

type stream struct {
	llm.Stream
	meta forebay.Meta
}

func (s stream) Await() { llm.Await(s.Stream) }

func (s stream) Meta() forebay.Meta { return s.meta }

func (b *backend) Stream(ctx context.Context, req *llm.Request) (gateway.Answer, error) {
	meta := b.see(req)
	s, err := b.provider.Call(ctx, req.Model, req)
	if err != nil {
		return nil, err
	}
	return stream{s, meta}, nil
}

func (b *backend) Forward(_ context.Context, model string, x forebay.Exchange) (forebay.ExchangeAnswer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.exchange = x
	return b.passed, nil
}

func (b *backend) Models(context.Context) ([]llm.ModelInfo, error) {
	return []llm.ModelInfo{{ID: "haiku", OwnedBy: "forebay"}, {ID: "meta/llama", OwnedBy: "forebay"}}, nil
}

func (b *backend) Operation(name string) (forebay.Operation, bool) {
	return forebay.Operation{Model: "haiku", Prompt: "Analyse."}, slices.Contains(b.Operations(), name)
}

func (b *backend) Operations() []string { return []string{"content-generation", "vc-analysis"} }

func (b *backend) Health() forebay.Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	return forebay.Health{Overall: b.health}
}

func (b *backend) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready
}

func (b *backend) Load() forebay.Load {
	return forebay.Load{Limit: 510, Remaining: 507, Wait: 1500 * time.Millisecond}
}

// newGateway makes a gateway over b; change may alter its configuration.
func newGateway(t testing.TB, b *backend, change func(*gateway.Config)) *gateway.Gateway {
	t.Helper()
	cfg := gateway.Config{Keys: keys(), Version: "test"}
	if change != nil {
		change(&cfg)
	}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") })
	client := newClient(t, b.provider, nil) // has cache and targets for the gateway
	parts := gateway.Parts{Caller: b, Catalog: b, Condition: b, Operated: client, Metrics: metrics, Cache: client.Cache()}
	if b.jobs != nil {
		parts.Submitter, parts.Jobs = b.jobs, b.jobs
	}
	g, err := gateway.NewWith(cfg, parts)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// serve starts g on a loopback socket and returns its address.
func serve(t testing.TB, g *gateway.Gateway) string {
	t.Helper()
	l, err := g.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.AllowDetach()
	s := g.Server()
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = l.Drain(ctx) // what a test left in progress
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

// reply is an answer as it came.
type reply struct {
	status int
	header http.Header
	body   string
	// trailer is what came behind the body.
	trailer http.Header
}

// errorType is the error's kind, from either form of body.
func (r reply) errorType() string {
	var body struct {
		ErrorType string `json:"error_type"`
		Error     struct {
			ErrorType string `json:"error_type"`
		}
	}
	_ = json.Unmarshal([]byte(r.body), &body)
	return body.ErrorType + body.Error.ErrorType
}

// text is the error's message as people read it.
func (r reply) text() string {
	var body struct {
		Detail string
		Error  struct{ Message string }
	}
	_ = json.Unmarshal([]byte(r.body), &body)
	return body.Detail + body.Error.Message
}

// send writes raw to a connection of its own and reads the answer.
func send(t testing.TB, addr, raw string) reply {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	wrote := make(chan struct{})
	go func() { // beside reading: a refusal may come before all is written
		defer close(wrote)
		_, _ = io.WriteString(c, raw)
	}()
	r := readReply(t, c, raw)
	_ = c.Close()
	<-wrote
	return r
}

// readReply reads the answer to raw.
func readReply(t testing.TB, c net.Conn, raw string) reply {
	t.Helper()
	method, _, _ := strings.Cut(raw, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer to %.80q: %v", raw, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("answer to %.80q: %v", raw, err)
	}
	return reply{res.StatusCode, res.Header, string(body), res.Trailer}
}

// post is a request with a body, the key web and more header lines.
func post(path, body string, headers ...string) string {
	return request("POST", path, body, append([]string{"Authorization: Bearer " + webKey, "Content-Type: application/json"}, headers...)...)
}

// request is a request as it goes over the wire.
func request(method, path, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, path)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

const (
	chatPath = "/v1/chat/completions"
	chatBody = `{"model":"haiku","messages":[{"role":"user","content":"hello"}]}`
	// streamBody asks for the same in pieces.
	streamBody = `{"model":"haiku","stream":true,"messages":[{"role":"user","content":"hello"}]}`
	opPath     = "/v1/operations/vc-analysis"
)

// always are the headers that every answer has.
var always = []string{
	"Content-Type", "X-Request-Id", "Traceparent", "Cache-Status", "Server-Timing",
	"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests",
	"X-Forebay-Provider", "X-Forebay-Model", "X-Forebay-Attempts", "X-Forebay-Fallback",
	"X-Forebay-Degradation", "X-Forebay-Queue-Ms",
}

// wantHeaders checks that the headers of every answer are there, once each.
func wantHeaders(t testing.TB, r reply) {
	t.Helper()
	for _, name := range always {
		if n := len(r.header[name]); n != 1 || r.header[name][0] == "" {
			t.Errorf("header %s is there %d times: %q", name, n, r.header[name])
		}
	}
	if r.status >= 400 && r.header.Get("X-Should-Retry") == "" {
		t.Error("an error without x-should-retry")
	}
}

// recorder is a logger that keeps its lines.
type recorder struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.Write(p)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.String()
}

func (r *recorder) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
