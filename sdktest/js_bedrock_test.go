package sdktest

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// turn is a conversation of one message, in the form that all SDKs but Go's take.
func turn(model, words string) map[string]any {
	return map[string]any{"modelId": model, "messages": []any{map[string]any{"role": "user", "content": []any{map[string]any{"text": words}}}}}
}

// with is a request with one more member.
func with(input map[string]any, name string, value any) map[string]any {
	input[name] = value
	return input
}

// toolConfig is the tool of weatherTool.
func toolConfig() map[string]any {
	schema := map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}}
	return map[string]any{
		"tools":      []any{map[string]any{"toolSpec": map[string]any{"name": "weather", "inputSchema": map[string]any{"json": schema}}}},
		"toolChoice": map[string]any{"any": map[string]any{}},
	}
}

// TestJavaScriptBedrock: the AWS SDK for JavaScript speaks HTTP/2 from the start and signs
// :authority, on a plain connection.
func TestJavaScriptBedrock(t *testing.T) {
	t.Parallel()
	fronts(t, func(t *testing.T, r *rig) {
		calls := []sdkCall{
			{Op: "converse", Input: turn(profile, "one two three")},
			{Op: "converse", Input: turn(profile, "one two three")},
			{Op: "converse-stream", Input: turn(haiku, "four five six")},
			{Op: "converse", Input: with(turn(haiku, "What is the weather in Berlin?"), "toolConfig", toolConfig())},
			{Op: "converse-stream", Input: with(turn(haiku, "What is the weather in Rome?"), "toolConfig", toolConfig())},
		}
		if r.bedrock != nil {
			calls = append(calls, sdkCall{Op: "invoke", Input: map[string]any{"modelId": haiku, "body": claudeHello}},
				sdkCall{Op: "invoke", Input: map[string]any{"modelId": titan, "body": `{"inputText":"three small words"}`}},
				sdkCall{Op: "invoke-stream", Input: map[string]any{"modelId": haiku, "body": claudeHello}},
				sdkCall{Op: "count-tokens", Input: map[string]any{"modelId": haiku, "input": map[string]any{"converse": map[string]any{"messages": turn(haiku, "hello")["messages"]}}}})
		}
		got := r.javascript(t, job{SDK: "bedrock", Calls: calls})
		for i, o := range got {
			if o.Error != nil || o.Requests != 1 || !strings.Contains(o.Signed, ":authority") {
				t.Fatalf("call %d: %+v, error %+v", i, o, o.Error)
			}
		}
		for i, status := range []string{"forebay; fwd=uri-miss; stored", "forebay; hit; "} {
			if o := got[i]; o.Text == "" || o.Text != got[0].Text || o.Stop != "end_turn" || !strings.HasPrefix(o.Headers["cache-status"], status) {
				t.Errorf("%+v, want %s", o, status)
			}
		}
		if o := got[2]; o.Text == "" || o.Stop != "end_turn" || o.Deltas < 2 || o.Usage["outputTokens"] == nil {
			t.Errorf("the stream: %+v", o)
		}
		if o := got[3]; o.Stop != "tool_use" || !strings.Contains(string(o.Message), `"name":"weather"`) {
			t.Errorf("a tool: %+v %s", o, o.Message)
		}
		if o := got[4]; o.Stop != "tool_use" || o.Tool.Name != "weather" || o.Tool.ToolUseID == "" || !json.Valid([]byte(o.Arguments)) {
			t.Errorf("a streamed tool: %+v", o)
		}
		if r.bedrock == nil {
			return
		}
		if got[0].Text != "You said: one two three" || got[2].Text != "You said: four five six" {
			t.Errorf("%q and %q", got[0].Text, got[2].Text)
		}
		if !strings.Contains(got[5].Text, `"text":"You said: hello"`) || !strings.HasPrefix(got[6].Text, `{"embedding":[0.5`) || got[7].Text != "You said: hello" {
			t.Errorf("invoked: %q, %q, %q", got[5].Text, got[6].Text, got[7].Text)
		}
		if n, err := strconv.Atoi(got[8].Text); err != nil || n < len(`{"input":{"converse":{}}}`) {
			t.Errorf("counted: %q", got[8].Text)
		}
	})
}

// TestJavaScriptErrors: errors by their classes, and how often this SDK tries: three
// times what may pass, and no stream that has begun.
func TestJavaScriptErrors(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: quick, target: ", idle_timeout: 400ms"})
	plan := []struct {
		wrong    trouble
		op       string
		name     string
		status   int
		requests int
	}{
		{trouble{status: 429, errorType: "ThrottlingException", times: 3}, "converse", "ThrottlingException", 429, 3},
		{trouble{status: 503, errorType: "ServiceUnavailableException", times: 3}, "converse-stream", "ServiceUnavailableException", 503, 3},
		{trouble{status: 500, errorType: "InternalServerException", times: 3}, "converse", "InternalServerException", 500, 3},
		{trouble{status: 400, errorType: "ValidationException", times: 1}, "converse", "ValidationException", 400, 1},
		{trouble{status: 403, errorType: "AccessDeniedException", times: 1}, "converse", "AccessDeniedException", 403, 1},
		{trouble{status: 404, errorType: "ResourceNotFoundException", times: 1}, "converse-stream", "ResourceNotFoundException", 404, 1},
		{trouble{status: 408, errorType: "ModelTimeoutException", times: 1}, "converse", "ModelTimeoutException", 408, 1},
		{trouble{cut: true, after: 3, times: 1}, "converse-stream", "ModelStreamErrorException", 0, 1},
		{trouble{broken: true, after: 3, times: 1}, "converse-stream", "ModelStreamErrorException", 0, 1},
		{trouble{errorType: "throttlingException", after: 3, times: 1}, "converse-stream", "ThrottlingException", 0, 1},
		{trouble{status: 503, errorType: "ServiceUnavailableException", times: 1}, "converse", "", 0, 2}, // and then it succeeds
	}
	var calls []sdkCall
	var troubles []trouble
	for i, p := range plan {
		calls = append(calls, sdkCall{Op: p.op, Input: turn(haiku, "question "+string(rune('a'+i)))})
		troubles = append(troubles, p.wrong)
	}
	s.plans(troubles...)
	for i, o := range r.javascript(t, job{SDK: "bedrock", Calls: calls}) {
		p := plan[i]
		if o.failure() != p.name || o.Requests != p.requests {
			t.Errorf("%+v: %d requests and %+v, want %d and %s", p.wrong, o.Requests, o.Error, p.requests, p.name)
		}
		if o.Error != nil && (!o.Error.Typed || p.status != 0 && o.Error.Status != p.status) {
			t.Errorf("%+v: %+v", p.wrong, o.Error)
		}
		if p.wrong.after > 0 && o.Text == "" {
			t.Errorf("%+v: nothing came before it", p.wrong)
		}
	}
}

// TestJavaScriptSignatures: wrong and replayed signatures over HTTP/2, and a clock that this
// SDK sets by itself.
func TestJavaScriptSignatures(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: "cache: {enabled: false}"})
	pair := func(id, secret string) map[string]any {
		return map[string]any{"credentials": map[string]any{"accessKeyId": id, "secretAccessKey": secret}}
	}
	plan := []struct {
		call     sdkCall
		name     string
		requests int
		provider int
	}{
		{sdkCall{Client: pair(pairID, "another-secret-access-key")}, "InvalidSignatureException", 1, 0},
		{sdkCall{Client: pair("AKIAIOSFODNN7EXAMPLE", pairSecret)}, "UnrecognizedClientException", 1, 0},
		{sdkCall{Client: pair(figuresID, figuresSecret)}, "AccessDeniedException", 1, 0},
		{sdkCall{Tamper: "body"}, "InvalidSignatureException", 1, 0},
		{sdkCall{Tamper: "replay"}, "", 1, 1},
		{sdkCall{Client: map[string]any{"systemClockOffset": -600_000}}, "", 2, 1},
	}
	for _, p := range plan {
		p.call.Op, p.call.Input = "converse", turn(haiku, "hello")
		o := r.javascript(t, job{SDK: "bedrock", Calls: []sdkCall{p.call}})[0]
		if o.failure() != p.name || o.Requests != p.requests || p.name != "" && o.Error.Status != http.StatusForbidden {
			t.Errorf("%+v: %d requests and %+v, want %d and %q", p.call, o.Requests, o.Error, p.requests, p.name)
		}
		if p.call.Tamper == "replay" && o.Replayed != "403 InvalidSignatureException" {
			t.Errorf("the replayed request: %q", o.Replayed)
		}
		if calls := s.took(); len(calls) != p.provider {
			t.Errorf("%+v: the provider got %d calls, want %d", p.call, len(calls), p.provider)
		}
	}
}

// TestJavaScriptBearer: the variable that AWS's SDKs take a bearer token from, over TLS.
func TestJavaScriptBearer(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{bedrock: newBedrock(t, true)})
	front, ca := r.tlsFront(t), filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{operatorKey: "", "no-such-key-at-all": "UnrecognizedClientException"} {
		o := r.javascript(t, job{SDK: "bedrock", URL: front.URL, Credentials: map[string]string{}, Calls: []sdkCall{
			{Op: "converse", Input: turn(haiku, "hello")}, {Op: "converse-stream", Input: turn(haiku, "hello again")},
		}}, "AWS_BEARER_TOKEN_BEDROCK="+token, "NODE_EXTRA_CA_CERTS="+ca)
		for _, o := range o {
			if o.failure() != want || o.Signed != "" || want == "" && !strings.HasPrefix(o.Text, "You said: hello") {
				t.Errorf("%s: %+v %+v", token, o, o.Error)
			}
		}
	}
}
