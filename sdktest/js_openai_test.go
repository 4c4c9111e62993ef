package sdktest

import (
	"encoding/json"
	"strings"
	"testing"
)

// chatTurn is a chat of one message.
func chatTurn(model, words string, more ...any) map[string]any {
	input := map[string]any{"model": model, "messages": []any{map[string]any{"role": "user", "content": words}}}
	for i := 0; i < len(more); i += 2 {
		input[more[i].(string)] = more[i+1]
	}
	return input
}

func chatTools() []any {
	return []any{map[string]any{"type": "function", "function": map[string]any{
		"name": "weather", "parameters": map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}},
	}}}
}

// TestJavaScriptOpenAI: the openai package, with a provider that speaks as it does, and with
// Bedrock, for which all is translated.
func TestJavaScriptOpenAI(t *testing.T) {
	t.Parallel()
	fronts(t, func(t *testing.T, r *rig) {
		embeddings := "m1"
		if r.bedrock != nil {
			embeddings = titan
		}
		stream := []any{"stream", true, "stream_options", map[string]any{"include_usage": true}}
		tools := []any{"tools", chatTools(), "tool_choice", "required"}
		got := r.javascript(t, job{SDK: "openai", Calls: []sdkCall{
			{Op: "chat", Input: chatTurn(haiku, "one two three")},
			{Op: "chat", Input: chatTurn(haiku, "four five six", stream...)},
			{Op: "chat", Input: chatTurn(haiku, "What is the weather in Berlin?", tools...)},
			{Op: "chat", Input: chatTurn(haiku, "What is the weather in Rome?", append(stream, tools...)...)},
			{Op: "embeddings", Input: map[string]any{"model": embeddings, "input": "three small words"}},
		}})
		for i, o := range got {
			if o.Error != nil || o.Requests != 1 || len(o.Usage) == 0 {
				t.Errorf("call %d: %+v, error %+v", i, o, o.Error)
			}
		}
		if t.Failed() {
			return
		}
		if o := got[0]; o.Text == "" || o.Stop != "stop" {
			t.Errorf("%+v", o)
		}
		if o := got[1]; o.Text == "" || o.Stop != "stop" || o.Deltas < 3 {
			t.Errorf("the stream: %+v", o)
		}
		if o := got[2]; o.Stop != "tool_calls" || !strings.Contains(string(o.Message), `"name":"weather"`) {
			t.Errorf("a tool: %+v %s", o, o.Message)
		}
		if o := got[3]; o.Stop != "tool_calls" || o.Tool.Name != "weather" || !json.Valid([]byte(o.Arguments)) {
			t.Errorf("a streamed tool: %+v", o)
		}
		if o := got[4]; len(o.Vectors) != 1 || o.Vectors[0] == 0 {
			t.Errorf("embeddings: %+v", o)
		}
		if r.bedrock != nil && (got[0].Text != "You said: one two three" || got[1].Text != "You said: four five six" || got[4].Vectors[0] != 3) {
			t.Errorf("%q, %q, %v", got[0].Text, got[1].Text, got[4].Vectors)
		}
	})
}

// TestJavaScriptOpenAIErrors: errors by their classes. This package obeys x-should-retry, so
// that it repeats nothing that the gateway has repeated.
func TestJavaScriptOpenAIErrors(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: "retry: {max: 1, base: 1ms, budget: 100%}\nbreaker: {enabled: false}\n"})
	plan := []struct {
		wrong    trouble
		name     string
		status   int
		kind     string
		provider int
	}{
		{trouble{status: 429, errorType: "ThrottlingException", times: 2}, "RateLimitError", 429, "rate_limit_error", 2},
		{trouble{status: 503, errorType: "ServiceUnavailableException", times: 2}, "InternalServerError", 503, "server_error", 2},
		{trouble{status: 500, errorType: "InternalServerException", times: 2}, "InternalServerError", 502, "server_error", 2},
		{trouble{status: 400, errorType: "ValidationException", times: 1}, "BadRequestError", 400, "invalid_request_error", 1},
		{trouble{status: 403, errorType: "AccessDeniedException", times: 1}, "PermissionDeniedError", 403, "", 1},
		{trouble{status: 404, errorType: "ResourceNotFoundException", times: 1}, "NotFoundError", 404, "not_found_error", 1},
		{trouble{status: 503, errorType: "ServiceUnavailableException", times: 1}, "", 0, "", 2}, // the gateway mends it
	}
	var calls []sdkCall
	var troubles []trouble
	provider := 0
	for i, p := range plan {
		calls = append(calls, sdkCall{Op: "chat", Input: chatTurn(haiku, "question "+string(rune('a'+i)))})
		troubles = append(troubles, p.wrong)
		provider += p.provider
	}
	s.plans(troubles...)
	for i, o := range r.javascript(t, job{SDK: "openai", Calls: calls}) {
		p := plan[i]
		if o.failure() != p.name || o.Requests != 1 {
			t.Errorf("%+v: %d requests and %+v, want %s", p.wrong, o.Requests, o.Error, p.name)
		}
		if e := o.Error; e != nil && (e.Status != p.status || p.kind != "" && e.Type != p.kind || e.Should != "false" || e.Code == "") {
			t.Errorf("%+v: %+v", p.wrong, e)
		}
	}
	if n := len(s.took()); n != provider {
		t.Errorf("the provider got %d calls, want %d", n, provider)
	}
	s.plans(trouble{cut: true, after: 3, times: 1})
	got := r.javascript(t, job{SDK: "openai", Calls: []sdkCall{
		{Op: "chat", Input: chatTurn(haiku, "cut off", "stream", true)},
		{Op: "chat", Input: chatTurn(haiku, "hello"), Client: map[string]any{"apiKey": "sk-no-such-key"}},
	}})
	if o := got[0]; o.failure() != "APIError" || o.Text == "" || o.Requests != 1 {
		t.Errorf("a stream that was cut: %+v %+v", o, o.Error)
	}
	if o := got[1]; o.failure() != "AuthenticationError" || o.Requests != 1 || o.Error.Status != 401 {
		t.Errorf("a wrong key: %+v %+v", o, o.Error)
	}
}
