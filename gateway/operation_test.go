package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// result is the specification's form of an answer.
type result struct {
	Success              bool
	RequestID, Operation string
	Result               any
	Metadata             map[string]any
}

func TestOperation(t *testing.T) {
	b := newBackend(llmtest.OK("Good \"food\"."))
	b.meta = forebay.Meta{
		Provider: "bedrock-eu", Model: "claude", Attempts: 3, Fallback: degrade.Template, Degraded: true, Level: degrade.Partial,
		Cache: forebay.CacheResult{Status: forebay.CacheHit}, Timing: forebay.Timing{Queue: 140 * time.Millisecond},
		Usage: llm.Usage{Input: 10, Output: 5, CacheRead: 2},
	}
	addr := serve(t, newGateway(t, b, nil))
	r := send(t, addr, post(opPath, `{"payload": {"z": 1, "a": 9007199254740993, "name": "Zur \u00e4ltesten M\u00fchle"},
		"userId": "user-456", "personaType": "Der Profi", "priority": "high", "timeoutMs": 25000, "requestId": "req-123"}`))
	wantHeaders(t, r)
	var got result
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != 200 {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	delete(got.Metadata, "processingTime")
	want := result{
		Success: true, RequestID: "req-123", Operation: "vc-analysis", Result: map[string]any{"text": `Good "food".`},
		Metadata: map[string]any{
			"fromCache": true, "queueTime": 140.0, "provider": "bedrock-eu", "model": "claude", "tokenCount": 17.0,
			"fallback": "template", "degraded": true, "degradationLevel": "partial", "retryCount": 2.0,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if id := r.header.Get("X-Request-Id"); id != "req-123" {
		t.Errorf("x-request-id %q", id)
	}
	q := b.last(t)
	if q.ID != "req-123" || q.User != "user-456" || q.Persona != "Der Profi" || q.Priority != llm.High || q.Timeout != 25*time.Second ||
		q.Operation != "vc-analysis" || q.Model != "haiku" || q.Stream || q.Endpoint != llm.Chat {
		t.Errorf("the client got %+v", q)
	}
	const wantBody = `{"model":"haiku","messages":[{"role":"system","content":"Analyse."},` +
		`{"role":"user","content":"{\"a\":9007199254740993,\"name\":\"Zur ältesten Mühle\",\"z\":1}"}]}`
	if string(q.Body) != wantBody {
		t.Errorf("body\n%s\nwant\n%s", q.Body, wantBody)
	}
}

// TestOperationResult checks when a text is taken for a document.
func TestOperationResult(t *testing.T) {
	for text, want := range map[string]string{
		`{"score": 85}`:       `{"score": 85}`,
		" [1, 2]\n":           `[1, 2]`,
		`plain`:               `{"text":"plain"}`,
		`42`:                  `{"text":"42"}`,
		`{"a":1,"a":2}`:       `{"text":"{\"a\":1,\"a\":2}"}`,
		`{"cut": `:            `{"text":"{\"cut\": "}`,
		`{"a":1} and more`:    `{"text":"{\"a\":1} and more"}`,
		"":                    `{"text":""}`,
		"line\nbreak\ttab \"": `{"text":"line\nbreak\ttab \""}`,
	} {
		b := newBackend(llmtest.OK(text))
		r := send(t, serve(t, newGateway(t, b, nil)), post(opPath, `{"payload":null}`))
		var got struct{ Result json.RawMessage }
		if err := json.Unmarshal([]byte(r.body), &got); err != nil || string(got.Result) != want {
			t.Errorf("%q gives %s, want %s (%v)", text, got.Result, want, err)
		}
	}
}

// TestOperationControls checks that headers count where the body says nothing.
func TestOperationControls(t *testing.T) {
	b := newBackend(llmtest.OK("fine"))
	addr := serve(t, newGateway(t, b, nil))
	headers := []string{"X-Forebay-User: h", "X-Forebay-Priority: low", "X-Forebay-Timeout: 5s", "X-Forebay-Operation: content-generation", "X-Forebay-Cache: off"}
	send(t, addr, post(opPath, `{"payload":1,"userId":null,"model":"other"}`, headers...))
	q := b.last(t)
	if q.User != "h" || q.Priority != llm.Low || q.Timeout != 5*time.Second || q.Operation != "vc-analysis" || q.Model != "other" || !q.Cache.NoRead {
		t.Errorf("the client got %+v", q)
	}
	send(t, addr, post(opPath, `{"payload":1,"userId":"b","priority":"normal","timeoutMs":7000}`, headers...))
	if q = b.last(t); q.User != "b" || q.Priority != llm.Normal || q.Timeout != 7*time.Second {
		t.Errorf("the client got %+v", q)
	}
}

// TestOperationProblem checks the members of a problem.
func TestOperationProblem(t *testing.T) {
	b := newBackend(llmtest.Err(&llm.Error{
		Kind: llm.PolicyOverloaded, Message: "queue full", Limit: "queue.max", Value: "500", Fix: "Wait.", RetryAfter: 1500 * time.Millisecond,
	}))
	r := send(t, serve(t, newGateway(t, b, nil)), post(opPath, `{"payload":1,"requestId":"the-id"}`))
	var got map[string]any
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"success": false, "type": "urn:forebay:error:policy_overloaded", "title": "Service Unavailable", "status": 503.0,
		"detail": "queue full (queue.max = 500). Wait.", "error_type": "policy_overloaded", "limit": "queue.max", "value": "500",
		"fix": "Wait.", "support_id": "the-id", "requestId": "the-id", "retry_after_ms": 1500.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := r.header.Get("Retry-After") + r.header.Get("X-Should-Retry"); got != "2true" || !strings.HasPrefix(r.header.Get("Content-Type"), "application/problem") {
		t.Errorf("headers %v", r.header)
	}
}
