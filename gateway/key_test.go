package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// TestNewReportsEveryFault checks that a wrong configuration is refused with all of
// its faults, and that no secret is in the message.
func TestNewReportsEveryFault(t *testing.T) {
	_, err := gateway.New(gateway.Config{
		MaxBody: -1, BodyRate: -5, Open: true,
		Keys: []access.Key{
			{Name: "a", Secret: "same-secret-12"},
			{Name: "a", Secret: "same-secret-12"},
			{Name: "", Secret: "another-secret"},
			{Name: "b", Secret: "short77"},
			{Name: "c", Secret: ""},
			{Name: "d", Secret: " leading space"},
			{Name: "e", Secret: "käse-is-not-ascii"},
			{Name: "f", Secret: "scoped-secret", Scopes: []string{"calls", "root"}},
			{Name: "g", Secret: "banded-secret", Bands: []llm.Priority{9}},
			{Name: "h i", Secret: "spaced-name-secret", Tenant: "x/y"},
			{Name: "long", Secret: llm.Secret(strings.Repeat("s", 513))},
		},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"Client is missing", "MaxBody is negative", "BodyRate is negative", "Open and Keys exclude each other",
		`key 2 ("a"): the name is taken`, `key 2 ("a"): it has the same secret as key "a"`, `key 3 (""): a name has 1 to 64`,
		`key 4 ("b"): the secret has 7 characters: give 8 to 512`, `key 5 ("c"): the secret has 0 characters`,
		`key 6 ("d"): the secret has characters`, `key 7 ("e"): the secret has characters`,
		`unknown scope "calls" (did you mean call?): one of call, stored, jobs, metrics, cache, costs, admin`, `unknown scope "root"`,
		`key 9 ("g"): unknown band priority(9): one of low, normal, high, critical`, `tenant "x/y"`, "the secret has 513 characters",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	for _, secret := range []string{"same-secret", "short77", "banded-secret"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in the message", secret)
		}
	}
	if _, err := gateway.New(gateway.Config{}); err == nil || !strings.Contains(err.Error(), "no keys: give at least one, or set Open") {
		t.Errorf("no keys: %v", err)
	}
}

// TestBands checks which band a call gets that asks for none.
func TestBands(t *testing.T) {
	for _, c := range []struct {
		bands []llm.Priority
		want  llm.Priority
	}{
		{nil, llm.Normal},
		{[]llm.Priority{llm.Low}, llm.Low},
		{[]llm.Priority{llm.Critical, llm.High}, llm.High},
		{[]llm.Priority{llm.High, llm.Low}, llm.Low},
		{llm.Priorities[:], llm.Normal},
	} {
		b := newBackend(llmtest.OK("fine"))
		g := newGateway(t, b, func(cfg *gateway.Config) {
			cfg.Keys = []access.Key{{Name: "k", Secret: "My API Key", Bands: c.bands}}
		})
		r := httptest.NewRequest("POST", chatPath, strings.NewReader(chatBody))
		r.Header.Set("Authorization", "Bearer My API Key")
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if got := b.last(t).Priority; got != c.want {
			t.Errorf("%v gives %s, want %s", c.bands, got, c.want)
		}
		if got := b.last(t).Tenant; got != "default" {
			t.Errorf("tenant %q", got)
		}
	}
}

func TestKeyExpires(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	g := newGateway(t, b, func(c *gateway.Config) {
		c.Keys = []access.Key{{Name: "k", Secret: "some-secret", Expires: time.Now().Add(time.Hour)}}
	})
	r := httptest.NewRequest("GET", "/v1/models", nil)
	r.Header.Set("X-Api-Key", "some-secret")
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Errorf("an hour before its end: %d", w.Code)
	}
}

// TestOpen checks what a gateway without keys does and refuses.
func TestOpen(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	g := newGateway(t, b, func(c *gateway.Config) { c.Keys, c.Open = nil, true })
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0"} {
		if l, err := g.Listen(addr); err == nil || !strings.Contains(err.Error(), "loopback only") {
			t.Errorf("%s: %v", addr, err)
			_ = l.Close()
		}
	}
	addr := serve(t, g)
	for name, c := range map[string]struct {
		path, host string
		headers    []string
		status     int
	}{
		"program":           {chatPath, addr, nil, 200},
		"any key":           {chatPath, addr, []string{"Authorization: Bearer whatever"}, 200},
		"every band":        {chatPath, addr, []string{"X-Forebay-Priority: critical"}, 200},
		"its own page":      {chatPath, "localhost:80", []string{"Origin: http://localhost:80", "Sec-Fetch-Site: same-origin"}, 200},
		"foreign page":      {chatPath, addr, []string{"Origin: https://evil.example"}, 403},
		"no origin":         {chatPath, addr, []string{"Origin: null"}, 403},
		"cross-site":        {chatPath, addr, []string{"Sec-Fetch-Site: cross-site"}, 403},
		"rebinding":         {chatPath, "evil.example", []string{"Origin: http://evil.example"}, 403},
		"other port":        {chatPath, "127.0.0.1:1", []string{"Origin: http://127.0.0.1:2"}, 403},
		"stored, no scope":  {chatPath + "/x", addr, nil, 403},
		"stored and posted": {chatPath + "/x", addr, []string{"X-Api-Key: whatever"}, 403},
	} {
		raw := strings.Replace(request("POST", c.path, chatBody, append(c.headers, jsonBody)...), "Host: localhost", "Host: "+c.host, 1)
		if r := send(t, addr, raw); r.status != c.status {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if q := b.last(t); q.Tenant != "default" || q.Key != "anonymous" {
		t.Errorf("tenant %q, key %q", q.Tenant, q.Key)
	}
	if r := send(t, addr, request("GET", "/metrics", "")); r.status != 200 {
		t.Errorf("metrics: %d", r.status)
	}
}

func TestPublicMetrics(t *testing.T) {
	g := newGateway(t, newBackend(), func(c *gateway.Config) { c.PublicMetrics = true })
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 || w.Body.String() != "up 1\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestRoutes walks the table: every route has a scope that keys can have or is
// public, says what it does, and is served to nobody without that scope. A route
// without a scope fails here.
func TestRoutes(t *testing.T) {
	secret := func(scope string) string { return "secret-of-" + scope }
	b := newBackend(llmtest.OK("fine"))
	g := newGateway(t, b, func(c *gateway.Config) {
		c.Keys = nil
		for _, s := range access.Scopes() {
			c.Keys = append(c.Keys, access.Key{Name: s, Secret: llm.Secret(secret(s)), Scopes: []string{s}})
		}
	})
	known := map[string]bool{"public": true}
	for _, s := range access.Scopes() {
		known[s] = true
	}
	open := map[string]bool{"GET /": true, "GET /healthz": true, "GET /readyz": true}
	seen := map[string]bool{}
	for _, route := range gateway.Routes() {
		name := route.Method + " " + route.Pattern
		if !known[route.Scope] || route.Doc == "" || route.Method == "" || !strings.HasPrefix(route.Pattern, "/") {
			t.Errorf("%s: scope %q, doc %q", name, route.Scope, route.Doc)
		}
		if (route.Scope == "public") != open[name] {
			t.Errorf("%s: scope %q is not what this test knows to be public", name, route.Scope)
		}
		if seen[name] {
			t.Errorf("%s stands twice in the table", name)
		}
		seen[name] = true
		path := strings.NewReplacer("{operation}", "vc-analysis", "{id...}", "haiku", "{id}", "x").Replace(route.Pattern)
		for _, key := range append(access.Scopes(), "") {
			r := httptest.NewRequest(route.Method, path, nil)
			if key != "" {
				r.Header.Set("Authorization", "Bearer "+secret(key))
			}
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			refused := w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden
			admins := slices.Contains([]string{"cache", "jobs", "metrics"}, route.Scope)
			if allowed := route.Scope == "public" || key == route.Scope || admins && key == "admin"; allowed == refused {
				t.Errorf("%s with the scope %q: %d", name, key, w.Code)
			}
		}
	}
}

// TestPathTricks asks for what needs a key under many spellings without one: none
// may come through.
func TestPathTricks(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	addr := serve(t, newGateway(t, b, nil))
	for _, route := range gateway.Routes() {
		if route.Scope == "public" {
			continue
		}
		path := strings.NewReplacer("{operation}", "vc-analysis", "{id...}", "haiku", "{id}", "x").Replace(route.Pattern)
		for _, spelling := range []string{
			path, "/" + path, path + "/", path + "/.", "/." + path, "/healthz/.." + path, "/healthz;" + path, path + ";x", path + "%00",
			strings.ToUpper(path), strings.Replace(path, "v1", "v%31", 1), strings.ReplaceAll(path, "/", "%2f"), strings.ReplaceAll(path, "/", "%5c"),
			path + "?x=/healthz", path + "#/healthz", "http://gateway/healthz/../" + path,
		} {
			if strings.HasPrefix(spelling, "%") {
				continue // no path at all
			}
			raw := request(route.Method, spelling, chatBody, jsonBody)
			if r := send(t, addr, raw); r.status != 401 && r.status != 404 && r.status != 405 && (r.status != 403 || !strings.Contains(r.body, `"caller_unauthenticated"`)) {
				t.Errorf("%s %s: %d %s", route.Method, spelling, r.status, r.body)
			}
		}
	}
	if n := len(b.provider.Calls()); n != 0 {
		t.Errorf("%d calls came through", n)
	}
}

func ExampleRoutes() {
	for _, r := range gateway.Routes()[:3] {
		fmt.Println(r.Method, r.Pattern, r.Scope)
	}
	// Output:
	// POST /v1/chat/completions call
	// POST /v1/embeddings call
	// GET /v1/models call
}
