package telemetry_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	ours    = "00-" + traceID + "-00f067aa0ba902b7-00"
	callers = "00-" + traceID + "-1111111111111111-01"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// entry is a call that waited, failed at one target, was answered by the next, late, and
// then by a fallback: it has every stage.
func entry() *requestlog.Entry {
	return &requestlog.Entry{
		ID: "req-1", Start: began, Tenant: "acme", User: "SECRET-user", Key: "SECRET-key", Operation: "vc-analysis",
		Endpoint: "chat", Model: "haiku", Priority: "high", Stream: true, Provider: "bedrock-eu", Answered: "claude-haiku",
		Region: "eu-central-1", Outcome: "degraded", ErrorType: llm.ProviderTimeout, Cache: "miss", CacheReason: "expired",
		Fallback: "template", Duration: 5 * time.Second, Lookup: 20 * time.Microsecond, Queue: 300 * time.Millisecond,
		Upstream: time.Second, FirstToken: 2 * time.Second, Overhead: 35 * time.Microsecond,
		Usage: llm.Usage{Input: 100, Output: 20, CacheRead: 7, CacheWrite: 3}, MicroUSD: 1234, SavedMicroUSD: 5,
		Attempts: []requestlog.Attempt{
			{Target: "bedrock-eu/haiku", Region: "eu-central-1", Start: 200 * time.Millisecond, Waited: 200 * time.Millisecond, Duration: time.Second, ErrorType: llm.ProviderError},
			{Target: "local/llama/8b", Start: 1300 * time.Millisecond, Waited: 50 * time.Millisecond, Duration: 2 * time.Second, FirstToken: 700 * time.Millisecond, ErrorType: llm.ProviderTimeout},
		},
	}
}

func start(t *testing.T, cfg telemetry.Config) *telemetry.Exporter {
	t.Helper()
	x, err := telemetry.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close(ended()) })
	return x
}

// ended is a context that is over.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func closed(t *testing.T, x *telemetry.Exporter) {
	t.Helper()
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// shape is a span as the tests compare it.
type shape struct {
	Name, Parent, Kind string
	From, To           time.Duration // since the call's start
	Failed             bool
}

func shapeOf(s *tracepb.Span, names map[string]string) shape {
	return shape{
		Name: s.Name, Parent: names[hex.EncodeToString(s.ParentSpanId)], Kind: strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"),
		From: time.Unix(0, int64(s.StartTimeUnixNano)).Sub(began), To: time.Unix(0, int64(s.EndTimeUnixNano)).Sub(began),
		Failed: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR,
	}
}

func attributes(s *tracepb.Span) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes {
		text := a.Value.String()
		all[a.Key] = strings.Trim(text[strings.Index(text, ":")+1:], `"`)
	}
	return all
}

// The ids are those that were announced, the timestamps exact to the nanosecond, and
// there is one span for each stage.
func TestSpansOfACall(t *testing.T) {
	r := newReceiver(t)
	x := start(t, telemetry.Config{Endpoint: r.URL, ServiceName: "gw", Version: "v1", Headers: map[string]llm.Secret{"Api-Key": "s3cret"}})
	x.Observe(entry(), ours, callers)
	closed(t, x)

	names := map[string]string{"1111111111111111": "caller"}
	var got []shape
	for _, s := range r.spans {
		id := hex.EncodeToString(s.SpanId)
		if of, there := names[id]; there {
			t.Errorf("%s and %s have one id", s.Name, of)
		}
		names[id] = s.Name
		if id := hex.EncodeToString(s.TraceId); id != traceID {
			t.Errorf("%s has trace %s", s.Name, id)
		}
	}
	for _, s := range r.spans {
		got = append(got, shapeOf(s, names))
	}
	ms := time.Millisecond
	if diff := cmp.Diff([]shape{
		{"cache", "chat haiku", "INTERNAL", 0, 20 * time.Microsecond, false},
		{"queue", "chat haiku", "INTERNAL", 0, 200 * ms, false},
		{"chat haiku", "chat haiku", "CLIENT", 200 * ms, 1200 * ms, true},
		{"queue", "chat haiku", "INTERNAL", 1250 * ms, 1300 * ms, false},
		{"chat llama/8b", "chat haiku", "CLIENT", 1300 * ms, 3300 * ms, true},
		{"queue", "chat haiku", "INTERNAL", 3300 * ms, 3350 * ms, false},
		{"fallback template", "chat haiku", "INTERNAL", 3350 * ms, 5 * time.Second, false},
		{"chat haiku", "caller", "SERVER", 0, 5 * time.Second, false},
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	call := r.spans[len(r.spans)-1]
	if id := hex.EncodeToString(call.SpanId); id != "00f067aa0ba902b7" {
		t.Errorf("the call's span is %s, and another was announced", id)
	}
	if diff := cmp.Diff(map[string]string{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "bedrock-eu", "gen_ai.request.model": "haiku", "gen_ai.response.model": "claude-haiku",
		"gen_ai.request.stream": "true", "gen_ai.response.time_to_first_chunk": "2", "gen_ai.usage.input_tokens": "110", "gen_ai.usage.output_tokens": "20",
		"gen_ai.usage.cache_read.input_tokens": "7", "gen_ai.usage.cache_creation.input_tokens": "3", "error.type": "provider_timeout",
		"cloud.region": "eu-central-1", "forebay.request_id": "req-1", "forebay.tenant": "acme", "forebay.operation": "vc-analysis",
		"forebay.priority": "high", "forebay.outcome": "degraded", "forebay.cache.status": "miss", "forebay.cache.reason": "expired",
		"forebay.fallback": "template", "forebay.attempts": "2", "forebay.cost_usd": "0.001234", "forebay.saved_usd": "5e-06",
		"forebay.overhead_seconds": "3.5e-05", "forebay.job": "false",
	}, attributes(call)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.resource["service.name"] != "gw" || r.resource["service.version"] != "v1" || r.resource["service.instance.id"] == "" {
		t.Errorf("resource %v", r.resource)
	}
	if got := r.headers.Get("Api-Key"); got != "s3cret" {
		t.Errorf("the header is %q", got)
	}
	for _, s := range r.spans {
		if strings.Contains(s.String(), "SECRET") {
			t.Errorf("a span tells who the user is: %v", s)
		}
	}
}

func TestWhoDecidesOnTraces(t *testing.T) {
	low := "00-4bf92f3577b34da60000000000000001-00f067aa0ba902b7-00"
	high := "00-4bf92f3577b34da6ffffffffffffffff-00f067aa0ba902b7-00"
	for _, test := range []struct {
		name, traceparent, parent string
		ratio                     float64
		want                      string // the parent's span id, or none for no span
	}{
		{"no parent, all", ours, "", 0, ""},
		{"no parent, none", ours, "", -1, "none"},
		{"no parent, below the ratio", low, "", 0.1, ""},
		{"no parent, above the ratio", high, "", 0.1, "none"},
		{"sampled parent", ours, callers, -1, "1111111111111111"},
		{"parent that is not sampled", ours, callers[:53] + "00", 1, "none"},
		{"span id alone", ours[:53] + "01", "1111111111111111", -1, "1111111111111111"},
		{"parent of another trace", ours, strings.Replace(callers, "4bf9", "aaaa", 1), 1, ""},
		{"parent of a later version", ours, "01" + callers[2:] + "-more", -1, "1111111111111111"},
		{"itself as parent", ours, ours, 1, ""},
		{"broken parent", ours, "00-zz", 1, ""},
		{"broken span id", ours, "zzzzzzzzzzzzzzzz", 1, ""},
		{"no traceparent", "", callers, 1, "none"},
		{"zero trace", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", 1, "none"},
		{"zero span", "00-" + traceID + "-0000000000000000-01", "", 1, "none"},
		{"version ff", "ff" + ours[2:], "", 1, "none"},
		{"version with capitals", "0A" + ours[2:], "", 1, "none"},
		{"version 00 with more", ours + "-more", "", 1, "none"},
		{"flags that are none", ours[:53] + "0x", "", 1, "none"},
		{"capitals", strings.ToUpper(ours), "", 1, "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newReceiver(t)
			x := start(t, telemetry.Config{Endpoint: r.URL, SampleRatio: test.ratio})
			x.Observe(&requestlog.Entry{Start: began, Duration: time.Second, Model: "m"}, test.traceparent, test.parent)
			closed(t, x)
			got := "none"
			if spans := r.named("chat m"); len(spans) == 1 {
				got = hex.EncodeToString(spans[0].ParentSpanId)
				if id := "00-" + hex.EncodeToString(spans[0].TraceId) + "-" + hex.EncodeToString(spans[0].SpanId); id != test.traceparent[:52] {
					t.Errorf("the span is %s", id)
				}
			}
			if got != test.want {
				t.Errorf("parent %q, want %q", got, test.want)
			}
		})
	}
}

// Whose fault an error is decides whether the call's span failed.
func TestWhichSpansFail(t *testing.T) {
	for kind, want := range map[llm.Kind]bool{
		"": false, llm.CallerInvalidRequest: false, llm.CallerCancelled: false,
		llm.PolicyOverloaded: true, llm.ProviderError: true, llm.ForebayInternal: true,
	} {
		r := newReceiver(t)
		x := start(t, telemetry.Config{Endpoint: r.URL})
		x.Observe(&requestlog.Entry{Start: began, Model: "m", ErrorType: kind}, ours, "")
		closed(t, x)
		if got := shapeOf(r.named("chat m")[0], nil).Failed; got != want {
			t.Errorf("%q: failed is %v", kind, got)
		}
	}
}

// What is not text must not cost the whole export.
func TestHostileText(t *testing.T) {
	r := newReceiver(t)
	x := start(t, telemetry.Config{Endpoint: r.URL})
	bad := "\xff" + strings.Repeat("ü", 1000)
	e := &requestlog.Entry{
		ID: bad, Start: began, Tenant: bad, Operation: bad, Endpoint: bad, Model: bad, Priority: bad, Provider: bad, Answered: bad, Region: bad,
		Outcome: bad, ErrorType: llm.Kind(bad), Cache: bad, CacheReason: bad, Fallback: bad, Duration: -time.Hour,
		Attempts: []requestlog.Attempt{{Target: bad, Region: bad, ErrorType: llm.Kind(bad), Duration: -time.Hour, Waited: time.Hour}},
	}
	x.Observe(e, ours, "")
	x.Call(&monitor.Call{Endpoint: llm.Endpoint(bad), Model: bad, Provider: bad, ErrorType: llm.Kind(bad), Outcome: monitor.Error, Duration: time.Second})
	closed(t, x)
	if r.count() != 4 || r.metric("gen_ai.server.request.duration") == nil {
		t.Errorf("%d spans, metric %v", r.count(), r.metric("gen_ai.server.request.duration"))
	}
	for _, s := range r.spans {
		for key, value := range attributes(s) {
			if len(value) > 4*256 { // as printed
				t.Errorf("%s has %d bytes", key, len(value))
			}
		}
	}
}

// A collector that answers nothing blocks nobody; what it does not take is counted.
func TestSlowCollector(t *testing.T) {
	release := make(chan struct{})
	var hung atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hung.Add(1); <-release }))
	defer server.Close()
	defer close(release)
	var dropped atomic.Int64
	var log safeBuffer
	x := start(t, telemetry.Config{
		Endpoint: server.URL, OnDrop: func(n int64) { dropped.Add(n) }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	const calls = 20_000
	begun := time.Now()
	for range calls {
		x.Observe(entry(), ours, "")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("%d calls waited %v for the collector", calls, took)
	}
	if n := dropped.Load(); n < calls-2048-512 {
		t.Errorf("%d dropped of %d", n, calls)
	}
	if err := x.Close(ended()); err == nil {
		t.Error("Close gave up and says nothing")
	}
	if n := dropped.Load(); n != calls {
		t.Errorf("%d of %d calls are counted as dropped, and none was sent", n, calls)
	}
	x.Observe(entry(), ours, "")
	if n := dropped.Load(); n != calls+1 {
		t.Error("a call after the end is not counted")
	}
	if lines := strings.Count(log.String(), "\n"); lines > 2 {
		t.Errorf("%d lines of log:\n%s", lines, log.String())
	}
}

// safeBuffer is a bytes.Buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A collector that refuses what it is sent: nothing is sent twice, all of it is counted.
func TestCollectorThatRefuses(t *testing.T) {
	r := newReceiver(t)
	r.status = []int{http.StatusBadRequest}
	var dropped atomic.Int64
	x := start(t, telemetry.Config{Endpoint: r.URL, OnDrop: func(n int64) { dropped.Add(n) }})
	x.Observe(entry(), ours, "")
	x.Observe(entry(), ours, "")
	closed(t, x)
	if r.count() != 0 || dropped.Load() != 2 {
		t.Errorf("%d spans came, %d calls dropped", r.count(), dropped.Load())
	}
}

// A collector that is overloaded for a moment gets the batch again.
func TestCollectorThatRecovers(t *testing.T) {
	r := newReceiver(t)
	r.status = []int{http.StatusServiceUnavailable}
	var dropped atomic.Int64
	x := start(t, telemetry.Config{Endpoint: r.URL, OnDrop: func(n int64) { dropped.Add(n) }})
	x.Observe(entry(), ours, "")
	closed(t, x)
	if r.count() != 8 || dropped.Load() != 0 {
		t.Errorf("%d spans came, %d calls dropped", r.count(), dropped.Load())
	}
}

// Many calls are sent in few requests, none twice and none lost.
func TestBatches(t *testing.T) {
	r := newReceiver(t)
	var dropped atomic.Int64
	x := start(t, telemetry.Config{Endpoint: r.URL, OnDrop: func(n int64) { dropped.Add(n) }})
	const calls = 1500
	for i := range calls {
		x.Observe(&requestlog.Entry{Start: began, Model: "m"}, fmt.Sprintf("00-%032x-%016x-00", i+1, i+1), "")
	}
	closed(t, x)
	seen := map[string]bool{}
	for _, s := range r.spans {
		seen[string(s.TraceId)] = true
	}
	if len(seen) != calls || r.count() != calls || dropped.Load() != 0 {
		t.Errorf("%d traces, %d spans, %d dropped", len(seen), r.count(), dropped.Load())
	}
	if n := len(r.came); n > 1+calls/256+2 {
		t.Errorf("%d requests", n)
	}
}

// What the last calls left is sent after the context that it was started with has ended.
func TestEndOfContextIsNotTheEnd(t *testing.T) {
	r := newReceiver(t)
	ctx, cancel := context.WithCancel(t.Context())
	x, err := telemetry.Start(ctx, telemetry.Config{Endpoint: r.URL})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	x.Observe(entry(), ours, "")
	closed(t, x)
	if r.count() != 8 {
		t.Errorf("%d spans", r.count())
	}
}

func TestNoRedirects(t *testing.T) {
	other := newReceiver(t)
	server := httptest.NewServer(http.RedirectHandler(other.URL+"/v1/traces", http.StatusTemporaryRedirect))
	defer server.Close()
	x := start(t, telemetry.Config{Endpoint: server.URL, Headers: map[string]llm.Secret{"Api-Key": "s3cret"}})
	x.Observe(entry(), ours, "")
	closed(t, x)
	if other.headers != nil {
		t.Error("the key went to another host")
	}
}

func TestFaults(t *testing.T) {
	_, err := telemetry.Start(t.Context(), telemetry.Config{
		Endpoint: "ftp://key:SECRET@x/?q", Interval: time.Millisecond, SampleRatio: 2,
		Headers: map[string]llm.Secret{"Content-Type": "x", "a b": "x", "X": "SECRET\n"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, fault := range []string{"endpoint:", "interval: 1ms", "sample_ratio: 2", `headers: "Content-Type"`, `headers: "a b"`, `the value of "X"`} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("missing %s in:\n%v", fault, err)
		}
	}
	if strings.Contains(err.Error(), "SECRET") {
		t.Errorf("the error tells a secret: %v", err)
	}
	for endpoint, fault := range map[string]string{
		"": "give the collector's URL", "http://": "names no host", "http://a b": "not a URL", "https://x?k=SECRET": "use headers", "http://\x7f": "not a URL",
	} {
		if _, err := telemetry.Start(t.Context(), telemetry.Config{Endpoint: endpoint}); err == nil || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
