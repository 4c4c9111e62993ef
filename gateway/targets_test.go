package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// audit keeps what it is told, or refuses it.
type audit struct {
	mu    sync.Mutex // guards lines
	lines []string
	fault error
}

func (a *audit) Audit(_ context.Context, actor, action string, details map[string]string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fault != nil {
		return a.fault
	}
	a.lines = append(a.lines, strings.Join([]string{actor, action, details["target"], details["reason"]}, " | "))
	return nil
}

// targetsGateway serves a client whose provider fails.
func targetsGateway(t *testing.T, a *audit) string {
	t.Helper()
	p := llmtest.Script(llmtest.Fail(llm.ProviderError))
	return serveClient(t, newClient(t, p, func(cfg *forebay.Config) {
		cfg.Auditor = a
		cfg.Models["haiku"] = forebay.Model{Targets: []forebay.Target{{Provider: "script", Model: "claude", Region: "eu-central-1", Residency: "eu"}}}
	}))
}

func bearer(key string) string { return "Authorization: Bearer " + key }

// listed is the only target that GET /v1/targets tells of.
func listed(t *testing.T, addr string) forebay.TargetStatus {
	t.Helper()
	r := send(t, addr, request("GET", "/v1/targets", "", bearer(metricsKey)))
	wantHeaders(t, r)
	var list gateway.TargetList
	if err := json.Unmarshal([]byte(r.body), &list); err != nil || r.status != 200 || list.Object != "list" || len(list.Data) != 1 {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return list.Data[0]
}

func TestTargets(t *testing.T) {
	addr := targetsGateway(t, &audit{})
	first := listed(t, addr)
	if first.Name != "script/claude" || first.Region != "eu-central-1" || first.Residency != "eu" || first.Breaker.State != breaker.Closed || first.Breaker.Share != 1 {
		t.Errorf("%+v", first)
	}
	for range 6 {
		send(t, addr, post(chatPath, chatBody))
	}
	got := listed(t, addr).Breaker
	if got.State != breaker.Open || got.Forced || got.Since.IsZero() || got.RetryAt.Before(got.Since) || !strings.Contains(got.Reason, "5 failures in a row, all of one tenant: provider_error") {
		t.Errorf("%+v", got)
	}
}

func TestBreakersByHand(t *testing.T) {
	a := &audit{}
	addr := targetsGateway(t, a)
	change := func(action string) forebay.TargetStatus {
		t.Helper()
		body := `{"target":"script/claude","action":"` + action + `","reason":"maintenance, 14:00"}`
		r := send(t, addr, request("POST", "/v1/breakers", body, bearer(adminKey), jsonBody))
		wantHeaders(t, r)
		var status forebay.TargetStatus
		if err := json.Unmarshal([]byte(r.body), &status); err != nil || r.status != 200 || status.Name != "script/claude" {
			t.Fatalf("%s: %d %s: %v", action, r.status, r.body, err)
		}
		if now := listed(t, addr); now.Breaker != status.Breaker {
			t.Errorf("%s: answered %+v, and it is %+v", action, status.Breaker, now.Breaker)
		}
		return status
	}
	if b := change("open").Breaker; b.State != breaker.Open || !b.Forced || b.Reason != "forced open: maintenance, 14:00" {
		t.Errorf("open: %+v", b)
	}
	if r := send(t, addr, post(chatPath, chatBody)); r.errorType() != string(llm.PolicyBreakerOpen) || !strings.Contains(r.text(), "maintenance, 14:00") {
		t.Errorf("a call while it is forced open: %d %s", r.status, r.body)
	}
	if b := change("close").Breaker; b.State != breaker.Closed || !b.Forced {
		t.Errorf("close: %+v", b)
	}
	for range 10 {
		if r := send(t, addr, post(chatPath, chatBody)); r.errorType() != string(llm.ProviderError) {
			t.Errorf("a call while it is forced closed: %d %s", r.status, r.body)
		}
	}
	if b := change("reset").Breaker; b.State != breaker.Closed || b.Forced || b.Total != 0 {
		t.Errorf("reset: %+v", b)
	}
	const want = "admin | breaker.open | script/claude | maintenance, 14:00\n" +
		"admin | breaker.close | script/claude | maintenance, 14:00\nadmin | breaker.reset | script/claude | maintenance, 14:00"
	if got := strings.Join(a.lines, "\n"); got != want {
		t.Errorf("audited:\n%s", got)
	}
}

// TestBreakerNotAudited: what cannot be recorded is not done.
func TestBreakerNotAudited(t *testing.T) {
	addr := targetsGateway(t, &audit{fault: errors.New("disk full")})
	r := send(t, addr, request("POST", "/v1/breakers", `{"target":"script/claude","action":"open"}`, bearer(adminKey), jsonBody))
	if r.status < 500 || strings.Contains(r.body, "disk full") || listed(t, addr).Breaker.State != breaker.Closed {
		t.Errorf("%d %s, and then %+v", r.status, r.body, listed(t, addr).Breaker)
	}
}

func TestTargetsRefused(t *testing.T) {
	addr := targetsGateway(t, &audit{})
	for _, c := range []struct {
		name, method, path, key, body string
		status                        int
		kind                          llm.Kind
		text                          string
	}{
		{"no key", "GET", "/v1/targets", "", "", 401, llm.CallerUnauthenticated, "no key"},
		{"no scope", "GET", "/v1/targets", jobsKey, "", 403, llm.CallerForbidden, "scope metrics"},
		{"a parameter", "GET", "/v1/targets?name=x", metricsKey, "", 400, llm.CallerInvalidRequest, "name"},
		{"another method", "POST", "/v1/targets", adminKey, "{}", 405, llm.CallerMethodNotAllowed, "GET"},
		{"metrics is not admin", "POST", "/v1/breakers", metricsKey, `{"target":"script/claude","action":"open"}`, 403, llm.CallerForbidden, "scope admin"},
		{"no body", "POST", "/v1/breakers", adminKey, "", 400, llm.CallerInvalidRequest, "body"},
		{"no target", "POST", "/v1/breakers", adminKey, `{"action":"open"}`, 400, llm.CallerInvalidRequest, "GET /v1/targets lists them"},
		{"no action", "POST", "/v1/breakers", adminKey, `{"target":"script/claude"}`, 400, llm.CallerInvalidRequest, "Send one of open, close, reset."},
		{"unknown action", "POST", "/v1/breakers", adminKey, `{"target":"script/claude","action":"ajar"}`, 400, llm.CallerInvalidRequest, "Send one of open, close, reset."},
		{"unknown target", "POST", "/v1/breakers", adminKey, `{"target":"script/opus","action":"open"}`, 404, llm.CallerNotFound, "script/claude"},
		{"unknown member", "POST", "/v1/breakers", adminKey, `{"target":"script/claude","action":"open","reasons":"x"}`, 400, llm.CallerInvalidRequest, "did you mean reason?"},
		{"a reason that does not print", "POST", "/v1/breakers", adminKey, `{"target":"script/claude","action":"open","reason":"a\nb"}`, 400, llm.CallerInvalidRequest, "reason"},
		{"a long reason", "POST", "/v1/breakers", adminKey, `{"target":"script/claude","action":"open","reason":"` + strings.Repeat("x", 257) + `"}`, 400, llm.CallerInvalidRequest, "256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			if c.key != "" {
				headers = append(headers, bearer(c.key))
			}
			if c.body != "" {
				headers = append(headers, jsonBody)
			}
			r := send(t, addr, request(c.method, c.path, c.body, headers...))
			wantHeaders(t, r)
			if r.status != c.status || r.errorType() != string(c.kind) || !strings.Contains(r.text(), c.text) {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	if s := listed(t, addr).Breaker; s.Forced || s.State != breaker.Closed {
		t.Errorf("a refused change was made: %+v", s)
	}
}

// TestTargetsScopes: admin may look too, and metrics that are public are not targets.
func TestTargetsScopes(t *testing.T) {
	c := newClient(t, llmtest.Script(llmtest.OK("fine")), nil)
	g, err := gateway.New(gateway.Config{Client: c, Keys: keys(), PublicMetrics: true})
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, g)
	for key, status := range map[string]int{metricsKey: 200, adminKey: 200, webKey: 403, "": 401} {
		var headers []string
		if key != "" {
			headers = append(headers, bearer(key))
		}
		if r := send(t, addr, request("GET", "/v1/targets", "", headers...)); r.status != status {
			t.Errorf("key %q: %d %s", key, r.status, r.body)
		}
	}
	if r := send(t, addr, request("GET", "/metrics", "")); r.status != 200 {
		t.Errorf("/metrics: %d", r.status)
	}
	g, err = gateway.New(gateway.Config{Client: c, Open: true})
	if err != nil {
		t.Fatal(err)
	}
	addr = serve(t, g)
	if r := send(t, addr, request("GET", "/v1/targets", "")); r.status != 200 {
		t.Errorf("an open gateway: %d %s", r.status, r.body)
	}
	if r := send(t, addr, request("POST", "/v1/breakers", `{"target":"script/claude","action":"open"}`, jsonBody)); r.status != 403 {
		t.Errorf("an open gateway lets anybody open a breaker: %d %s", r.status, r.body)
	}
}
