package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// TestHeadersOnEveryAnswer asks every route, with and without a key, and every kind
// of error on every route that runs calls, whole and streamed.
func TestHeadersOnEveryAnswer(t *testing.T) {
	b := newBackend()
	b.passed = forebay.ExchangeAnswer{Status: 200, ContentType: "application/json", Body: []byte(`{"object":"list"}`)}
	b.jobs = newShelf()
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.WebhookSecret = func(string) []byte { return make([]byte, 32) } }))
	for _, route := range gateway.Routes() {
		path := strings.NewReplacer("{operation}", "vc-analysis", "{id...}", "haiku", "{id}", "chatcmpl-1").Replace(route.Pattern)
		status, body := 200, ""
		if strings.HasPrefix(path, "/v1/jobs") {
			path, status, body = jobRoute(b.jobs, route)
		}
		switch {
		case body != "":
		case strings.HasSuffix(path, "/count-tokens"):
			body = `{"input":{"converse":` + turn + `}}`
		case strings.HasPrefix(path, "/bedrock/"):
			body = turn
		case strings.Contains(path, "operations"):
			body = `{"payload":1}`
		case path == "/v1/embeddings":
			body = `{"model":"haiku","input":"a"}`
		case path == "/v1/cache/invalidate":
			body = `{"operation":"vc-analysis"}`
		case path == "/v1/breakers":
			body = `{"target":"script/claude","action":"reset"}`
		case path == "/v1/cache/explain":
			body = chatBody
		case route.Method == "POST":
			body = chatBody
		}
		name := route.Method + " " + path
		t.Run(name, func(t *testing.T) {
			b.provider.Set(llmtest.OK("fine"))
			r := send(t, addr, request(route.Method, path, body, "Authorization: Bearer "+adminKey, jsonBody))
			if r.status != status {
				t.Errorf("%d %s", r.status, r.body)
			}
			wantHeaders(t, r)
			r = send(t, addr, request(route.Method, path, body, jsonBody))
			wanted := map[bool]int{true: 200, false: 401}[route.Scope == "public"]
			if strings.HasPrefix(path, "/bedrock/") {
				wanted = 403 // as AWS's services answer
			}
			if r.status != wanted {
				t.Errorf("without a key: %d, want %d", r.status, wanted)
			}
			wantHeaders(t, r)
		})
	}
	for _, kind := range llm.Kinds() {
		for _, raw := range []string{post(chatPath, chatBody), post(chatPath, streamBody), post("/v1/embeddings", `{"model":"haiku","input":"a"}`), post(opPath, `{"payload":1}`)} {
			path := strings.Fields(raw)[1]
			t.Run(fmt.Sprintf("%s %s %v", kind, path, strings.Contains(raw, "stream")), func(t *testing.T) {
				b.provider.Set(llmtest.Err(&llm.Error{Kind: kind, Message: "scripted", RetryAfter: 1234 * time.Millisecond}))
				r := send(t, addr, raw)
				wantHeaders(t, r)
				if r.status != kind.Status() || r.errorType() != string(kind) {
					t.Errorf("got %d %s, want %d", r.status, r.errorType(), kind.Status())
				}
				got := []string{r.header.Get("Retry-After"), r.header.Get("Retry-After-Ms"), r.header.Get("X-Should-Retry")}
				retry := gateway.ShouldRetry(&llm.Error{Kind: kind, RetryAfter: time.Second})
				if diff := cmp.Diff([]string{"2", "1234", strconv.FormatBool(retry)}, got); diff != "" {
					t.Error(diff)
				}
				wantType := "application/json"
				if path == opPath {
					wantType = "application/problem+json"
				}
				if got := r.header.Get("Content-Type"); got != wantType {
					t.Errorf("content type %s, want %s", got, wantType)
				}
			})
		}
	}
}

// TestMetaHeaders checks what the headers say of a call, against what is known of it.
func TestMetaHeaders(t *testing.T) {
	type headers map[string]string
	for _, c := range []struct {
		name string
		meta forebay.Meta
		want headers
	}{
		{"hit", forebay.Meta{
			Provider: "bedrock-eu", Model: "claude", Level: degrade.None,
			Cache:  forebay.CacheResult{Status: forebay.CacheHit, Age: 189 * time.Second, TTL: 86211 * time.Second},
			Timing: forebay.Timing{Cache: 200 * time.Microsecond},
		}, headers{
			"Cache-Status": "forebay; hit; ttl=86211", "Age": "189", "X-Forebay-Provider": "bedrock-eu", "X-Forebay-Model": "claude",
			"X-Forebay-Attempts": "0", "X-Forebay-Cost-Usd": "0", "X-Forebay-Fallback": "none", "X-Forebay-Degradation": "none",
		}},
		{"miss", forebay.Meta{
			Provider: "p", Model: "m", Attempts: 2, CostMicroUSD: 1_234_500, Level: degrade.Partial,
			Cache:  forebay.CacheResult{Status: forebay.CacheMiss, Stored: true},
			Timing: forebay.Timing{Queue: 140 * time.Millisecond, Upstream: 812 * time.Millisecond},
		}, headers{
			"Cache-Status": "forebay; fwd=uri-miss; stored", "Age": "", "X-Forebay-Attempts": "2", "X-Forebay-Cost-Usd": "1.2345",
			"X-Forebay-Queue-Ms": "140", "X-Forebay-Degradation": "partial",
		}},
		{"not stored", forebay.Meta{Cache: forebay.CacheResult{Status: forebay.CacheMiss}}, headers{"Cache-Status": "forebay; fwd=uri-miss"}},
		{"expired", forebay.Meta{Cache: forebay.CacheResult{Status: forebay.CacheExpired, Stored: true}}, headers{"Cache-Status": "forebay; fwd=stale; stored"}},
		{"stale answer", forebay.Meta{
			Cache: forebay.CacheResult{Status: forebay.CacheExpired, Age: time.Hour, Detail: forebay.DetailStaleIfError}, Fallback: degrade.Cached, Level: degrade.Full,
		}, headers{"Cache-Status": "forebay; fwd=stale; detail=stale-if-error", "Age": "3600", "X-Forebay-Fallback": "cached", "X-Forebay-Degradation": "full"}},
		{"stale while revalidate", forebay.Meta{
			Cache: forebay.CacheResult{Status: forebay.CacheStaleHit, Age: time.Hour, TTL: -5 * time.Second},
		}, headers{"Cache-Status": "forebay; hit; ttl=-5", "Age": "3600"}},
		{"refusal", forebay.Meta{
			Cache: forebay.CacheResult{Status: forebay.CacheHit, Detail: forebay.DetailNegative},
		}, headers{"Cache-Status": "forebay; hit; detail=negative"}},
		{"similar", forebay.Meta{
			Cache: forebay.CacheResult{Status: forebay.CacheMiss, Age: time.Minute, Detail: forebay.DetailSimilar}, Fallback: degrade.Similar,
		}, headers{"Cache-Status": "forebay; fwd=uri-miss; detail=similar", "Age": "60", "X-Forebay-Fallback": "similar"}},
		{"collapsed", forebay.Meta{Cache: forebay.CacheResult{Status: forebay.CacheCollapsed}}, headers{"Cache-Status": "forebay; fwd=uri-miss; collapsed"}},
		{"bypass", forebay.Meta{Cache: forebay.CacheResult{Status: forebay.CacheBypass}}, headers{"Cache-Status": "forebay; fwd=bypass"}},
		{"off", forebay.Meta{Cache: forebay.CacheResult{Status: forebay.CacheOff}}, headers{"Cache-Status": "forebay; fwd=bypass"}},
		{"hostile model", forebay.Meta{Model: "a\r\nX-Evil: 1\r\n" + strings.Repeat("m", 999)}, headers{
			"X-Forebay-Model": "a??X-Evil: 1??" + strings.Repeat("m", 242) + "...", "X-Evil": "",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBackend(llmtest.OK("fine"))
			b.meta = c.meta
			addr := serve(t, newGateway(t, b, nil))
			r := send(t, addr, post(chatPath, chatBody))
			got := headers{}
			for name := range c.want {
				got[name] = r.header.Get(name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			wantHeaders(t, r)
			for _, name := range []string{"Cache-Status"} {
				if _, err := httpsfv.UnmarshalList(r.header[name]); err != nil {
					t.Errorf("%s: %q is no structured field: %v", name, r.header[name], err)
				}
			}
			wantTimings(t, r.header.Get("Server-Timing"), c.meta.Timing)
		})
	}
}

// wantTimings checks the syntax of a Server-Timing and that it says what it should.
func wantTimings(t *testing.T, header string, timing forebay.Timing) {
	t.Helper()
	got := map[string]float64{}
	for metric := range strings.SplitSeq(header, ", ") {
		name, value, ok := strings.Cut(metric, ";dur=")
		ms, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			t.Fatalf("Server-Timing %q", header)
		}
		got[name] = ms
	}
	for name, d := range map[string]time.Duration{"cache": timing.Cache, "queue": timing.Queue, "upstream": timing.Upstream} {
		if got[name] != float64(d.Microseconds())/1000 {
			t.Errorf("%s takes %v ms in %q, want %s", name, got[name], header, d)
		}
	}
	if _, ok := got["total"]; !ok {
		t.Errorf("no total in %q", header)
	}
}

func TestRequestIDAndTrace(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	addr := serve(t, newGateway(t, b, nil))
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r := send(t, addr, post(chatPath, chatBody, "X-Request-Id: my-id/1", "Traceparent: "+trace))
	if got := r.header.Get("X-Request-Id"); got != "my-id/1" {
		t.Errorf("request id %q", got)
	}
	sent := b.last(t)
	if sent.ID != "my-id/1" || sent.TraceParent != r.header.Get("Traceparent") {
		t.Errorf("the client got id %q and trace %q", sent.ID, sent.TraceParent)
	}
	if sent.TraceParent[:36] != trace[:36] || sent.TraceParent[52:] != "-01" || sent.TraceParent == trace {
		t.Errorf("traceparent %q does not continue %q", sent.TraceParent, trace)
	}
	ids := map[string]bool{}
	for range 100 {
		id := send(t, addr, request("GET", "/healthz", "", "X-Request-Id: "+strings.Repeat("x", 129))).header.Get("X-Request-Id")
		if len(id) != 26 || !strings.HasPrefix(id, "req_") || ids[id] {
			t.Fatalf("request id %q", id)
		}
		ids[id] = true
	}
}

func TestTraceParent(t *testing.T) {
	const span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for inbound, continues := range map[string]bool{
		span:                        true,
		"cc" + span[2:] + "-future": true,
		"":                          false,
		span[:54]:                   false,
		span + "-x":                 false,
		"ff" + span[2:]:             false,
		"cc" + span[2:] + "x":       false,
		strings.ToUpper(span):       false,
		"00-" + strings.Repeat("0", 32) + span[35:]: false,
		span[:36] + strings.Repeat("0", 16) + "-01": false,
	} {
		got := gateway.TraceParent(inbound)
		if len(got) != 55 || got[:3] != "00-" || got[2] != '-' || got[35] != '-' || got[52] != '-' {
			t.Errorf("%q gives %q", inbound, got)
		}
		if continues != (got[3:35] == span[3:35]) {
			t.Errorf("%q gives %q: continued is not %v", inbound, got, continues)
		}
	}
}

func TestDollars(t *testing.T) {
	for micro, want := range map[int64]string{
		-5: "0", 0: "0", 1: "0.000001", 10: "0.00001", 1500: "0.0015", 999_999: "0.999999", 1_000_000: "1", 1_200_000: "1.2", 12_000_001: "12.000001",
	} {
		if got := gateway.Dollars(micro); got != want {
			t.Errorf("%d gives %s, want %s", micro, got, want)
		}
	}
}

// TestRetryAdvice checks that every kind has its advice, and the rule of those that
// depend on the time to wait.
func TestRetryAdvice(t *testing.T) {
	for _, kind := range llm.Kinds() {
		if !gateway.Advised(kind) {
			t.Errorf("%s has no advice", kind)
		}
		if kind.Domain() == llm.CallerFault && kind != llm.CallerTooSlow && gateway.ShouldRetry(&llm.Error{Kind: kind, RetryAfter: time.Second}) {
			t.Errorf("%s is the caller's fault and shall be retried", kind)
		}
	}
	for wait, want := range map[time.Duration]bool{0: false, time.Millisecond: true, time.Minute: true, time.Minute + 1: false} {
		for _, kind := range []llm.Kind{llm.PolicyOverloaded, llm.PolicyBreakerOpen} {
			if got := gateway.ShouldRetry(&llm.Error{Kind: kind, RetryAfter: wait}); got != want {
				t.Errorf("%s after %s: %v", kind, wait, got)
			}
		}
		for _, kind := range llm.Kinds() { // it was tried again already
			if kind.Domain() == llm.ProviderFault && gateway.ShouldRetry(&llm.Error{Kind: kind, RetryAfter: wait}) {
				t.Errorf("%s after %s: SDKs would multiply our own tries", kind, wait)
			}
		}
	}
}

// TestControls checks what headers and body become for the client.
func TestControls(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	addr := serve(t, newGateway(t, b, nil))
	type asked struct {
		Tenant, Key, User, Operation, Persona, Model string
		Priority                                     llm.Priority
		Timeout                                      time.Duration
		Cache                                        llm.CacheDirectives
	}
	base := func(change func(*asked)) asked {
		a := asked{Tenant: "acme", Key: "web", Model: "haiku"}
		change(&a)
		return a
	}
	withUser := strings.Replace(chatBody, "{", `{"user":"body-user","cache":{"no-store":true,"ttl":60},`, 1)
	longUser := strings.Replace(chatBody, "{", `{"user":"`+strings.Repeat("u", 999)+`",`, 1)
	for _, c := range []struct {
		name, raw string
		want      asked
	}{
		{"nothing", post(chatPath, chatBody), base(func(*asked) {})},
		{
			"all", post(chatPath, chatBody, "X-Forebay-User: Jürgen", "X-Forebay-Persona: Der Profi", "X-Forebay-Operation: vc-analysis",
				"X-Forebay-Priority: HIGH", "X-Forebay-Timeout: 25s", "X-Forebay-Cache: ro", "X-Forebay-Cache-Ttl: 10m", "X-Forebay-Cache-Namespace: ns"),
			base(func(a *asked) {
				a.User, a.Persona, a.Operation, a.Priority, a.Timeout = "Jürgen", "Der Profi", "vc-analysis", llm.High, 25*time.Second
				a.Cache = llm.CacheDirectives{NoWrite: true, TTL: 10 * time.Minute, Namespace: "ns"}
			}),
		},
		{
			"milliseconds and seconds", post(chatPath, chatBody, "X-Forebay-Timeout: 2500", "X-Forebay-Cache-Ttl: 90"),
			base(func(a *asked) { a.Timeout, a.Cache.TTL = 2500*time.Millisecond, 90*time.Second }),
		},
		{
			"cache-control", post(chatPath, chatBody, "Cache-Control: No-Cache, max-age=60", "Cache-Control: only-if-cached"),
			base(func(a *asked) {
				a.Cache = llm.CacheDirectives{NoRead: true, MaxAge: time.Minute, OnlyIfCached: true}
			}),
		},
		{"max-age 0", post(chatPath, chatBody, "Cache-Control: max-age=0"), base(func(a *asked) { a.Cache.NoRead = true })},
		{"off", post(chatPath, chatBody, "X-Forebay-Cache: off"), base(func(a *asked) { a.Cache.NoRead, a.Cache.NoWrite = true, true })},
		{"rw does not lift no-store", post(chatPath, chatBody, "X-Forebay-Cache: rw", "Cache-Control: no-store"), base(func(a *asked) { a.Cache.NoWrite = true })},
		{"from the body", post(chatPath, withUser), base(func(a *asked) {
			a.User, a.Cache = "body-user", llm.CacheDirectives{NoWrite: true, TTL: time.Minute}
		})},
		{"header before body", post(chatPath, withUser, "X-Forebay-User: u", "X-Forebay-Cache-Ttl: 5m"), base(func(a *asked) {
			a.User, a.Cache = "u", llm.CacheDirectives{NoWrite: true, TTL: 5 * time.Minute}
		})},
		{"long user of the body", post(chatPath, longUser), base(func(a *asked) {
			a.User = "sha256:"
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := send(t, addr, c.raw); r.status != 200 {
				t.Fatalf("%d %s", r.status, r.body)
			}
			q := b.last(t)
			got := asked{q.Tenant, q.Key, q.User, q.Operation, q.Persona, q.Model, q.Priority, q.Timeout, q.Cache}
			if strings.HasPrefix(c.want.User, "sha256:") && strings.HasPrefix(got.User, "sha256:") && len(got.User) == 71 {
				got.User = "sha256:" // which hash is for nobody to see
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if q.Dialect.Name() != "openai" || q.Endpoint != llm.Chat || q.Arrived.IsZero() {
				t.Errorf("dialect %s, endpoint %s, arrived %s", q.Dialect.Name(), q.Endpoint, q.Arrived)
			}
		})
	}
}

func TestFallbackDenied(t *testing.T) {
	for _, body := range []string{chatBody, streamBody} {
		for value, denied := range map[string]bool{"allow": false, "deny": true} {
			b := newBackend(llmtest.OK("fine"))
			addr := serve(t, newGateway(t, b, nil))
			send(t, addr, post(chatPath, body, "X-Forebay-Fallback: "+value))
			if q := b.last(t); q.NoFallback != denied {
				t.Errorf("%s: NoFallback is %v", value, q.NoFallback)
			}
		}
	}
}

func TestPanicBecomesAnAnswer(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	b.panics = true
	var log recorder
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Logger = log.logger() }))
	r := send(t, addr, post(chatPath, chatBody))
	id := r.header.Get("X-Request-Id")
	if r.status != 500 || r.errorType() != "forebay_internal" || !strings.Contains(r.text(), id) {
		t.Errorf("%d %s", r.status, r.body)
	}
	wantHeaders(t, r)
	if lines := log.String(); !strings.Contains(lines, id) || !strings.Contains(lines, "scripted panic") || !strings.Contains(lines, "harness_test.go") {
		t.Errorf("the log has no stack: %s", lines)
	}
	b.mu.Lock()
	b.panics = false
	b.mu.Unlock()
	if r := send(t, addr, post(chatPath, chatBody)); r.status != 200 {
		t.Errorf("afterwards: %d", r.status)
	}
}

// TestLog checks what a request's line has and what it must not have.
func TestLog(t *testing.T) {
	b := newBackend(llmtest.Fail(429))
	var log recorder
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Logger, c.LogRequests = log.logger(), true }))
	body := strings.Replace(chatBody, "hello", "my-prompt", 1)
	r := send(t, addr, post(chatPath+"?q=my-query", body))
	lines := log.String()
	for _, want := range []string{"level=INFO", r.header.Get("X-Request-Id"), "route=" + chatPath, "status=429", "tenant=acme", "key=web", "error_type=provider_rate_limited"} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %s in %s", want, lines)
		}
	}
	for _, never := range []string{webKey, "my-prompt", "my-query"} {
		if strings.Contains(lines, never) {
			t.Errorf("%s is in %s", never, lines)
		}
	}
}

func TestStatusRoutes(t *testing.T) {
	b := newBackend()
	addr := serve(t, newGateway(t, b, nil))
	get := func(path string) reply {
		return send(t, addr, request("GET", path, "", "Authorization: Bearer "+adminKey))
	}
	for path, want := range map[string]string{
		"/healthz": "alive", "/readyz": "ready", "/v1/health": `"overall":"healthy"`, "/metrics": "up 1",
		"/v1/models": `"meta/llama"`, "/v1/models/meta%2Fllama": `"id":"meta/llama"`, "/v1/models/meta/llama": `"id":"meta/llama"`,
		"/": `"version":"test"`,
	} {
		if r := get(path); r.status != 200 || !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	b.mu.Lock()
	b.health, b.ready = forebay.Unhealthy, &llm.Error{Kind: llm.ForebayDraining, Message: "shutting down", RetryAfter: time.Second}
	b.mu.Unlock()
	if r := get("/v1/health"); r.status != 503 || !strings.Contains(r.body, `"overall":"unhealthy"`) {
		t.Errorf("unhealthy: %d %s", r.status, r.body)
	}
	if r := get("/readyz"); r.status != 503 || r.errorType() != "forebay_draining" || r.header.Get("X-Should-Retry") != "true" {
		t.Errorf("draining: %d %s", r.status, r.body)
	}
	if r := get("/healthz"); r.status != 200 {
		t.Errorf("alive while draining: %d", r.status)
	}
	if r := send(t, addr, request("HEAD", "/healthz", "")); r.status != 200 || r.body != "" || r.header.Get("Content-Length") != "18" {
		t.Errorf("HEAD: %d %q %q", r.status, r.body, r.header.Get("Content-Length"))
	}
	var index struct{ Routes []struct{ Path string } }
	if err := json.Unmarshal([]byte(get("/").body), &index); err != nil || len(index.Routes) != len(gateway.Routes()) {
		t.Errorf("index: %v, %d routes", err, len(index.Routes))
	}
}

func TestStored(t *testing.T) {
	b := newBackend()
	b.passed = forebay.ExchangeAnswer{Status: 404, ContentType: "text/html", Body: []byte("<script>")}
	addr := serve(t, newGateway(t, b, nil))
	r := send(t, addr, request("POST", chatPath+"/chatcmpl-1?limit=2", `{"metadata":{}}`, "Authorization: Bearer "+adminKey, jsonBody))
	want := forebay.Exchange{Method: "POST", Path: "/chat/completions/chatcmpl-1", Query: "limit=2", Body: []byte(`{"metadata":{}}`)}
	if diff := cmp.Diff(want, b.exchange); diff != "" {
		t.Error(diff)
	}
	if r.status != 404 || r.body != "<script>" || r.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d %s %q", r.status, r.header.Get("Content-Type"), r.body)
	}
}

// TestNothingOfTheProviderPasses checks that an error's cause stays inside.
func TestCauseStaysInside(t *testing.T) {
	b := newBackend(llmtest.Err(&llm.Error{Kind: llm.ForebayInternal, Message: "internal error", Err: errors.New("secret detail")}))
	var log recorder
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Logger = log.logger() }))
	r := send(t, addr, post(chatPath, chatBody))
	if r.status != http.StatusInternalServerError || strings.Contains(r.body, "secret detail") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if !strings.Contains(log.String(), "secret detail") {
		t.Error("the cause is not in the log")
	}
}
