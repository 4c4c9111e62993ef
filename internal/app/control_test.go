package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/app"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// TestControl asks both addresses for every route that there is.
func TestControl(t *testing.T) {
	s := start(t, app.Options{File: file(t, map[string]string{"control": "127.0.0.1:0"}), Client: scripted(t, llmtest.Script(llmtest.OK("fine")))})
	operators := map[string]bool{
		"/metrics": true, "/v1/cache": true, "/v1/cache/invalidate": true, "/v1/cache/warmup": true, "/v1/jobs/pause": true, "/v1/jobs/resume": true,
		"/v1/targets": true, "/v1/breakers": true,
	}
	both := map[string]bool{"/healthz": true, "/readyz": true, "/v1/health": true, "/v1/cache/explain": true}
	for _, r := range gateway.Routes() {
		path := strings.NewReplacer("{id...}", "some/id", "{id}", "some-id", "{operation}", "vc-analysis").Replace(r.Pattern)
		for base, served := range map[string]bool{s.URL(): !operators[r.Pattern], s.ControlURL(): operators[r.Pattern] || both[r.Pattern] || strings.HasPrefix(r.Pattern, "/v1/jobs")} {
			req, err := http.NewRequestWithContext(t.Context(), r.Method, base+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			status, body, header := s.send(req)
			refused := status == http.StatusNotFound && strings.Contains(body, "nothing is served at this address")
			if refused == served {
				t.Errorf("%s %s at %s: %d %s", r.Method, path, base, status, body)
			}
			if refused && (header.Get("Content-Type") != "application/json" || header.Get("X-Request-Id") == "" || !strings.Contains(body, "caller_not_found")) {
				t.Errorf("%s %s at %s: not the gateway's refusal: %v %s", r.Method, path, base, header, body)
			}
		}
	}
	for _, path := range []string{"/nothing", "/metrics/", "//metrics", "/v1/metrics", "/metrics%2f"} {
		for _, base := range []string{s.URL(), s.ControlURL()} {
			if status, body, _ := s.get(base, path); status != http.StatusNotFound {
				t.Errorf("%s at %s gives %d %s", path, base, status, body)
			}
		}
	}
}

// TestControlMessages holds the refusals fast that are put together here and in
// the gateway.
func TestControlMessages(t *testing.T) {
	s := start(t, app.Options{File: file(t, map[string]string{"control": "127.0.0.1:0"})})
	for address, want := range map[string]string{
		s.ControlURL() + "/v1/models": "nothing is served at this address but the dashboard, metrics, health and what operators see and run. ",
		s.URL() + "/metrics":          "nothing is served at this address under this path: the address of control has it. ",
	} {
		if _, body, _ := s.get(address, ""); !strings.Contains(body, want) {
			t.Errorf("%s gives %s", address, body)
		}
	}
}

// TestControlKeys checks that the control address asks for the same keys and
// refuses the same pages as the address of calls.
func TestControlKeys(t *testing.T) {
	f := file(t, map[string]string{"control": "127.0.0.1:0"})
	f.Keys = []config.Key{
		{Name: "caller", Secret: "0123456789abcdef0123", Scopes: []string{"call"}},
		{Name: "scraper", Secret: "fedcba9876543210fedc", Scopes: []string{"metrics"}},
	}
	s := start(t, app.Options{File: f})
	for _, tt := range []struct {
		path, key string
		want      int
	}{
		{"/healthz", "", 200},
		{"/readyz", "", 200},
		{"/metrics", "", 401},
		{"/v1/health", "", 401},
		{"/metrics", "0123456789abcdef0123", 403},
		{"/metrics", "fedcba9876543210fedc", 200},
		{"/v1/health", "0123456789abcdef0123", 200},
	} {
		var header []string
		if tt.key != "" {
			header = []string{"Authorization", "Bearer " + tt.key}
		}
		if status, body, _ := s.get(s.ControlURL(), tt.path, header...); status != tt.want {
			t.Errorf("%s with the key %q: %d %s, want %d", tt.path, tt.key, status, body, tt.want)
		}
	}
	open := start(t, app.Options{File: file(t, map[string]string{"control": "127.0.0.1:0"})})
	if status, body, _ := open.get(open.ControlURL(), "/metrics", "Origin", "https://evil.example"); status != http.StatusForbidden {
		t.Errorf("a web page of another origin reads the measurements: %d %.100s", status, body)
	}
}
