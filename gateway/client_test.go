package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// newClient is a real client over a scripted provider.
func newClient(t testing.TB, p llm.Provider, change func(*forebay.Config)) *forebay.Client {
	t.Helper()
	cfg := forebay.Config{
		Providers:  map[string]llm.Provider{"script": p},
		Models:     map[string]forebay.Model{"haiku": {Targets: []forebay.Target{{Provider: "script", Model: "claude"}}}},
		Operations: map[string]forebay.Operation{"vc-analysis": {Model: "haiku", Prompt: "Analyse."}},
		Retry:      forebay.Retry{Max: -1},
	}
	if change != nil {
		change(&cfg)
	}
	c, err := forebay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func serveClient(t *testing.T, c *forebay.Client) string {
	t.Helper()
	g, err := gateway.New(gateway.Config{Client: c, Keys: keys()})
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, g)
}

// TestClientAnswers goes through gateway and client: a miss, hits in both forms,
// an operation, and what is known of each.
func TestClientAnswers(t *testing.T) {
	p := llmtest.Script(llmtest.OK("an answer"))
	addr := serveClient(t, newClient(t, p, nil))

	miss := send(t, addr, post(chatPath, chatBody))
	if miss.status != 200 || miss.header.Get("Cache-Status") != "forebay; fwd=uri-miss; stored" || miss.header.Get("X-Forebay-Attempts") != "1" ||
		miss.header.Get("X-Forebay-Provider") != "script" || miss.header.Get("X-Forebay-Model") != "claude" {
		t.Errorf("miss: %d %v", miss.status, miss.header)
	}
	hit := send(t, addr, post(chatPath, chatBody))
	if hit.body != miss.body || !strings.HasPrefix(hit.header.Get("Cache-Status"), "forebay; hit; ttl=") || hit.header.Get("Age") != "0" || hit.header.Get("X-Forebay-Cost-Usd") != "0" {
		t.Errorf("hit: %v %s", hit.header, hit.body)
	}
	streamed := send(t, addr, post(chatPath, streamBody))
	if !strings.Contains(streamed.header.Get("Cache-Status"), "hit") || !strings.HasSuffix(streamed.body, "data: [DONE]\n\n") {
		t.Errorf("streamed hit: %v %s", streamed.header, streamed.body)
	}
	for _, r := range []reply{miss, hit, streamed} {
		wantHeaders(t, r)
	}
	op := send(t, addr, post(opPath, `{"payload":{"a":1}}`))
	var got result
	if err := json.Unmarshal([]byte(op.body), &got); err != nil || !got.Success {
		t.Fatalf("operation: %v %s", err, op.body)
	}
	if diff := cmp.Diff(map[string]any{"text": "an answer"}, got.Result); diff != "" {
		t.Error(diff)
	}
	if n := len(p.Calls()); n != 2 {
		t.Errorf("%d calls", n)
	}
	for path, want := range map[string]string{"/v1/models": `"id":"haiku"`, "/v1/health": `"overall":"healthy"`, "/metrics": "forebay_"} {
		if r := send(t, addr, request("GET", path, "", "Authorization: Bearer "+adminKey)); r.status != 200 || !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %.300s", path, r.status, r.body)
		} else {
			wantHeaders(t, r)
		}
	}
}

// TestClientFails checks errors of the client: what is known of the call is in the
// headers all the same.
func TestClientFails(t *testing.T) {
	p := llmtest.Script()
	addr := serveClient(t, newClient(t, p, nil))
	for _, c := range []struct {
		name, raw string
		step      llmtest.Step
		status    int
		kind      llm.Kind
		attempts  string
	}{
		{"429", post(chatPath, chatBody), llmtest.Err(&llm.Error{Kind: llm.ProviderRateLimited, Message: "slow down", RetryAfter: 2 * time.Second}), 429, llm.ProviderRateLimited, "1"},
		{"rejected", post(chatPath, streamBody), llmtest.Fail(422), 422, llm.ProviderRejected, "1"},
		{"unknown model", post(chatPath, strings.Replace(chatBody, "haiku", "gpt", 1)), llmtest.OK("x"), 404, llm.CallerUnknownModel, "0"},
		{"unknown operation", post(chatPath, chatBody, "X-Forebay-Operation: nothing"), llmtest.OK("x"), 404, llm.CallerUnknownOperation, "0"},
		{"only if cached", post(chatPath, strings.Replace(chatBody, "hello", "new", 1), "Cache-Control: only-if-cached"), llmtest.OK("x"), 504, llm.CallerNotCached, "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.Set(c.step)
			r := send(t, addr, c.raw)
			if r.status != c.status || r.errorType() != string(c.kind) || r.header.Get("X-Forebay-Attempts") != c.attempts {
				t.Errorf("%d %s, %s attempts: %s", r.status, r.errorType(), r.header.Get("X-Forebay-Attempts"), r.body)
			}
			wantHeaders(t, r)
		})
	}
}

// TestClientGoneUpstream is a client that leaves a real client's call.
func TestClientGoneUpstream(t *testing.T) {
	for _, body := range []string{chatBody, streamBody} {
		p := llmtest.Script(llmtest.Hang())
		addr := serveClient(t, newClient(t, p, nil))
		leave(t, p, addr, post(chatPath, body), false)
	}
}

func ExampleNew() {
	client, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"script": llmtest.Script(llmtest.OK("Hello!"))},
		Models:    map[string]forebay.Model{"haiku": {Targets: []forebay.Target{{Provider: "script"}}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close(context.Background())
	g, err := gateway.New(gateway.Config{
		Client: client,
		Keys:   []access.Key{{Name: "web", Secret: "a-long-random-secret", Tenant: "acme"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"model":"haiku","messages":[{"role":"user","content":"Hi"}]}`))
	r.Header.Set("Authorization", "Bearer a-long-random-secret")
	for range 2 {
		w := httptest.NewRecorder()
		r.Body = httptest.NewRequest("POST", "/", strings.NewReader(`{"model":"haiku","messages":[{"role":"user","content":"Hi"}]}`)).Body
		g.ServeHTTP(w, r)
		status, _, _ := strings.Cut(w.Header().Get("Cache-Status"), "; ttl")
		fmt.Println(w.Code, status)
	}
	// Output:
	// 200 forebay; fwd=uri-miss; stored
	// 200 forebay; hit
}
