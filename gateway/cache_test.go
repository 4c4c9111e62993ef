package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
	"github.com/forebay-ai/forebay/warmup"
)

const (
	cacheKey   = "cache-key-secret" // scopes call and cache, tenant acme
	explainAt  = "/v1/cache/explain"
	chatQuery  = `{"model":"haiku","user":"ada","messages":[{"role":"user","content":" hello "}]}`
	otherQuery = `{"model":"haiku","user":"ada","messages":[{"role":"user","content":"good bye"}]}`
)

// realGateway serves a real client, whose provider speaks OpenAI's format.
func realGateway(t *testing.T) (addr string, c *forebay.Client) {
	t.Helper()
	answer := `{"id":"1","object":"chat.completion","model":"haiku","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}`
	p := llmtest.Script(llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) {
		return &one{chunk: llm.Chunk{
			Raw: []byte(answer), Events: 1, Last: true, Useful: true, Finish: llm.FinishStop, Usage: llm.Usage{Input: 3, Output: 1},
		}}, nil
	}))
	c, err := forebay.New(forebay.Config{
		Providers:  map[string]llm.Provider{"fake": p},
		Models:     map[string]forebay.Model{"haiku": {Targets: []forebay.Target{{Provider: "fake"}}}},
		Operations: map[string]forebay.Operation{"vc-analysis": {Model: "haiku", Prompt: "Be brief."}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	g, err := gateway.New(gateway.Config{Client: c, Keys: append(keys(), access.Key{
		Name: "cache", Secret: cacheKey, Tenant: "acme", Scopes: []string{"call", "cache"},
	})})
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, g), c
}

// one is a stream of one chunk.
type one struct {
	chunk llm.Chunk
	given bool
}

func (o *one) Next() (llm.Chunk, error) {
	if o.given {
		return llm.Chunk{}, io.EOF
	}
	o.given = true
	return o.chunk, nil
}

func (*one) Close() error { return nil }

// door is where a test asks.
type door struct {
	t    *testing.T
	addr string
}

// ask sends a request ("POST /path") with a key and wants a status.
func (d door) ask(status int, key, what, body string, headers ...string) string {
	d.t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r := send(d.t, d.addr, request(method, path, body, append([]string{"Authorization: Bearer " + key, jsonBody}, headers...)...))
	if r.status != status {
		d.t.Errorf("%s: %d %s, want %d", what, r.status, r.body, status)
	}
	wantHeaders(d.t, r)
	return r.body
}

func into[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Errorf("%v in %s", err, text)
	}
	return v
}

func TestExplainRoute(t *testing.T) {
	addr, _ := realGateway(t)
	x := into[forebay.Explanation](t, (door{t, addr}).ask(200, webKey, "POST "+explainAt, chatQuery))
	if !x.Cached || x.Found != "miss" || x.Scope["tenant"] != "acme" || x.Scope["user"] != "ada" || !strings.Contains(string(x.Canonical), `"content":"hello"`) || len(x.Omitted) != 2 {
		t.Errorf("%+v", x)
	}
	(door{t, addr}).ask(200, webKey, "POST "+chatPath, chatQuery)
	byQuery := into[forebay.Explanation](t, (door{t, addr}).ask(200, webKey, "GET "+explainAt+"?request="+url.QueryEscape(chatQuery), ""))
	byBody := into[forebay.Explanation](t, (door{t, addr}).ask(200, webKey, "GET "+explainAt, chatQuery))
	if byQuery.Key != x.Key || byBody.Key != x.Key || byQuery.Found != "hit" {
		t.Errorf("%+v, %+v, want the key %s", byQuery, byBody, x.Key)
	}
	if other := into[forebay.Explanation](t, (door{t, addr}).ask(200, adminKey, "POST "+explainAt, chatQuery)); other.Key == x.Key || other.Found != "miss" {
		t.Errorf("another tenant's: %+v", other)
	}
	if o := into[forebay.Explanation](t, (door{t, addr}).ask(200, webKey, "POST "+explainAt+"?path=/v1/operations/vc-analysis", `{"payload":{"b":1,"a":2},"userId":"bob"}`)); o.Operation != "vc-analysis" || o.Scope["user"] != "bob" {
		t.Errorf("%+v", o)
	}
	if o := into[forebay.Explanation](t, (door{t, addr}).ask(200, webKey, "POST "+explainAt+"?path=/v1/embeddings", `{"model":"haiku","input":" a "}`)); o.Endpoint != "embeddings" || !strings.Contains(string(o.Canonical), `" a "`) {
		t.Errorf("%+v", o)
	}
	if o := into[forebay.Explanation](t, (door{t, addr}).ask(200, webKey, "POST "+explainAt, chatQuery, "x-forebay-cache: ro")); o.Cached || o.Key != x.Key {
		t.Errorf("%+v", o)
	}
	for path, want := range map[string]string{
		explainAt + "?path=/v1/models":            "no calls are served at /v1/models",
		explainAt + "?path=/v1/operations/nobody": "there is no operation",
	} {
		status := map[bool]int{true: 404, false: 400}[strings.Contains(path, "nobody")]
		if body := (door{t, addr}).ask(status, webKey, "POST "+path, chatQuery); !strings.Contains(body, want) {
			t.Errorf("%s: %s", path, body)
		}
	}
	(door{t, addr}).ask(400, webKey, "POST "+explainAt, `{"model":"haiku"}`)
}

func TestCacheStatsRoute(t *testing.T) {
	addr, _ := realGateway(t)
	for range 3 {
		(door{t, addr}).ask(200, webKey, "POST "+chatPath, chatQuery)
	}
	(door{t, addr}).ask(403, webKey, "GET /v1/cache", "")
	s := into[gateway.CacheState](t, (door{t, addr}).ask(200, cacheKey, "GET /v1/cache", ""))
	if s.Hits != 2 || s.Misses != 1 || s.MissReasons["never_seen"] != 1 || s.Entries != 1 || s.SavedTokens != 8 || s.Top != nil || s.Store != nil || s.Operations["default"].Hits != 2 {
		t.Errorf("%+v", s)
	}
	s = into[gateway.CacheState](t, (door{t, addr}).ask(200, adminKey, "GET /v1/cache", ""))
	if len(s.Top) != 1 || s.Top[0].Hits != 2 || len(s.Top[0].Key) != 64 {
		t.Errorf("%+v", s.Top)
	}
}

func TestInvalidateRoute(t *testing.T) {
	addr, c := realGateway(t)
	const at = "/v1/cache/invalidate"
	warm := func() {
		for _, key := range []string{cacheKey, adminKey} {
			(door{t, addr}).ask(200, key, "POST "+chatPath, chatQuery)
			(door{t, addr}).ask(200, key, "POST "+chatPath, otherQuery)
		}
	}
	warm()
	for _, step := range []struct {
		key, body string
		gone      int64
	}{
		{cacheKey, `{"user":"bob"}`, 0},
		{cacheKey, `{"user":"ada","dry_run":true}`, 2},
		{cacheKey, `{"user":"ada"}`, 2},
		{cacheKey, `{}`, 0},
		{adminKey, `{"tenant":"acme"}`, 0},
		{adminKey, `{"model":"haiku"}`, 2},
	} {
		done := into[gateway.Invalidated](t, (door{t, addr}).ask(200, step.key, "POST "+at, step.body))
		if done.Memory != step.gone || done.DryRun != strings.Contains(step.body, "dry_run") {
			t.Errorf("%s: %+v, want %d", step.body, done, step.gone)
		}
	}
	warm()
	if done := into[gateway.Invalidated](t, (door{t, addr}).ask(200, adminKey, "POST "+at, `{"all_tenants":true}`)); done.Memory != 4 {
		t.Errorf("all tenants: %+v", done)
	}
	warm()
	x := into[forebay.Explanation](t, (door{t, addr}).ask(200, cacheKey, "POST "+explainAt, chatQuery))
	if done := into[gateway.Invalidated](t, (door{t, addr}).ask(200, cacheKey, "POST "+at, `{"key":"`+x.Key+`"}`)); done.Memory != 1 || done.Number == 0 {
		t.Errorf("by key: %+v", done)
	}
	for body, want := range map[string]string{
		`{"tenant":"ops"}`:        "reaches answers of its own tenant",
		`{"all_tenants":true}`:    "reaches answers of its own tenant",
		`{"key":"abc"}`:           "64 hexadecimal digits",
		`{"users":"a"}`:           "the member /users is not known",
		`{"user":7}`:              "the member /user has the wrong type",
		`{"user":"a","user":"b"}`: "",
		`{"User":"a"}`:            "the member /User is not known",
		`[]`:                      "",
		`{"user"`:                 "not JSON",
		`{"dry_run":"yes"}`:       "the member /dry_run has the wrong type",
	} {
		status := 400
		if strings.Contains(want, "own tenant") {
			status = 403
		}
		if got := (door{t, addr}).ask(status, cacheKey, "POST "+at, body); !strings.Contains(got, want) || strings.Contains(got, "Go ") {
			t.Errorf("%s: %s", body, got)
		}
	}
	if s := c.Cache().Stats(); s.Entries != 3 {
		t.Errorf("%d entries are left, want 3: a refused request changed something", s.Entries)
	}
	(door{t, addr}).ask(403, webKey, "POST "+at, `{}`)
}

func TestWarmupRoute(t *testing.T) {
	addr, c := realGateway(t)
	const at = "/v1/cache/warmup"
	lines := strings.Join([]string{
		chatQuery,
		`{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":` + otherQuery + `}`,
		`{"url":"/v1/operations/vc-analysis","body":{"payload":1,"userId":"bob"}}`,
		"",
		`{"body":` + otherQuery + `,"user":"eve","namespace":"n","ttl":"1h","operation":"vc-analysis"}`,
		`{"body":` + otherQuery + `,"tenant":"ops"}`,
		`{"body":` + otherQuery + `,"ttl":"soon"}`,
		`not JSON`,
		chatQuery, // once more
	}, "\n")
	report := func(body string) (last warmup.Report) {
		var n int64
		for line := range strings.Lines(body) {
			var told struct {
				warmup.Report
				Done bool
			}
			if err := json.Unmarshal([]byte(line), &told); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			if n++; told.Done == (n <= told.Requests) {
				t.Errorf("line %d says %s", n, line)
			}
			last = told.Report
		}
		return last
	}
	r := report((door{t, addr}).ask(200, cacheKey, "POST "+at+"?concurrency=1", lines))
	if r.Requests != 8 || r.Fetched != 4 || r.Cached != 1 || r.Failed != 3 || len(r.Failures) != 3 || !strings.Contains(r.Failures[0], "line 6: ") {
		t.Errorf("%+v", r)
	}
	if r = report((door{t, addr}).ask(200, adminKey, "POST "+at, `{"body":`+otherQuery+`,"tenant":"third"}`)); r.Fetched != 1 {
		t.Errorf("%+v", r)
	}
	if n, err := c.Cache().Count(t.Context(), cacheScope("third")); err != nil || n.Memory.Entries != 1 {
		t.Errorf("the other tenant has %+v %v", n, err)
	}
	if got := (door{t, addr}).ask(400, cacheKey, "POST "+at+"?concurrency=65", lines); !strings.Contains(got, "1 to 64") {
		t.Errorf("%s", got)
	}
	hit := send(t, addr, request("POST", chatPath, chatQuery, "Authorization: Bearer "+cacheKey, jsonBody))
	if !strings.HasPrefix(hit.header.Get("Cache-Status"), "forebay; hit") || hit.header.Get("Age") == "" {
		t.Errorf("not warm: %v", hit.header)
	}
}

func cacheScope(tenant string) cache.Scope { return cache.Scope{Tenant: tenant} }
