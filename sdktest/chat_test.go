package sdktest

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

func TestChatWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	client := r.client(t)
	want, err := r.direct(t).Chat.Completions.New(t.Context(), question("m1", "What is a forebay?"))
	if err != nil {
		t.Fatal(err)
	}
	r.forget(t)

	var first, second *http.Response
	got, err := client.Chat.Completions.New(t.Context(), question("m1", "What is a forebay?"), option.WithResponseInto(&first))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.RawJSON(), got.RawJSON()); diff != "" {
		t.Errorf("the answer is not the provider's:\n%s", diff)
	}
	u := got.Usage
	if got.ID == "" || got.Model != "m1" || choice(got).FinishReason != "stop" || choice(got).Message.Content == "" ||
		u.PromptTokens == 0 || u.CompletionTokens == 0 || u.TotalTokens != u.PromptTokens+u.CompletionTokens {
		t.Errorf("the answer lacks something: %s", got.RawJSON())
	}
	says(t, "the first Cache-Status", first.Header.Get("Cache-Status"), "fwd=uri-miss", "stored")

	again, err := client.Chat.Completions.New(t.Context(), question("m1", "What is a forebay?"), option.WithResponseInto(&second))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.RawJSON(), again.RawJSON()); diff != "" {
		t.Errorf("the hit is not the provider's answer:\n%s", diff)
	}
	says(t, "the second Cache-Status", second.Header.Get("Cache-Status"), "forebay; hit; ttl=")
	if a, b := first.Header.Get("X-Forebay-Attempts"), second.Header.Get("X-Forebay-Attempts"); a != "1" || b != "0" {
		t.Errorf("attempts %q and %q, want 1 and 0", a, b)
	}
	log := r.calls(t)
	if log.Total != 1 || len(log.Calls) != 1 {
		t.Fatalf("the provider got %d calls, want 1", log.Total)
	}
	if id := first.Header.Get("X-Request-Id"); id == "" || id != log.Calls[0].RequestID {
		t.Errorf("the caller's request id is %q, the provider's %q", id, log.Calls[0].RequestID)
	}
}

// weather is a tool with a parameter of each kind that arguments have.
func weather() openai.ChatCompletionToolUnionParam {
	return openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "weather", Description: openai.String("The weather of the next days"),
		Parameters: shared.FunctionParameters{
			"type": "object",
			"properties": map[string]any{
				"city": map[string]any{"type": "string"},
				"days": map[string]any{"type": "integer", "minimum": 3},
				"unit": map[string]any{"enum": []string{"C"}},
			},
			"required": []string{"city", "days", "unit"},
		},
	})
}

func TestTools(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	client := r.client(t)
	ask := question("m1", "How is the weather? [call tool]")
	ask.Tools = []openai.ChatCompletionToolUnionParam{weather()}
	got, err := client.Chat.Completions.New(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	message := choice(got).Message
	if choice(got).FinishReason != "tool_calls" || len(message.ToolCalls) != 1 {
		t.Fatalf("no tool call: %s", got.RawJSON())
	}
	call := message.ToolCalls[0].AsFunction()
	var arguments struct {
		City string
		Days int
		Unit string
	}
	if err := json.Unmarshal([]byte(call.Function.Arguments), &arguments); err != nil {
		t.Fatalf("arguments %q: %v", call.Function.Arguments, err)
	}
	if call.ID == "" || call.Function.Name != "weather" || arguments.City == "" || arguments.Days < 3 || arguments.Unit != "C" {
		t.Errorf("the call does not fit the tool: %s", call.RawJSON())
	}

	streamed := listen(client.Chat.Completions.NewStreaming(t.Context(), ask))
	if streamed.err != nil || streamed.finish != "tool_calls" {
		t.Fatalf("streamed: %v, finish reason %q", streamed.err, streamed.finish)
	}
	calls := choice(&streamed.whole).Message.ToolCalls
	if len(calls) != 1 || calls[0].ID != call.ID || calls[0].Function.Name != "weather" || calls[0].Function.Arguments != call.Function.Arguments {
		t.Errorf("the streamed calls are %v, want one like %s", calls, call.RawJSON())
	}

	ask.Messages = append(ask.Messages, message.ToParam(), openai.ToolMessage(`{"days":["sunny"]}`, call.ID))
	final, err := client.Chat.Completions.New(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if c := choice(final); c.FinishReason != "stop" || c.Message.Content == "" {
		t.Errorf("no text follows the tool's result: %s", final.RawJSON())
	}
	if log := r.calls(t); log.Total != 3 {
		t.Errorf("the provider got %d calls, want 3: tool calls are not served from the cache", log.Total)
	}
}

func TestModels(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{models: `  house/blend: {targets: [{provider: sim, model: simulated-chat}]}
  "*": {targets: [{provider: sim}]}`})
	client := r.client(t)
	page, err := client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range page.Data {
		ids = append(ids, m.ID)
	}
	if diff := cmp.Diff([]string{"house/blend", "simulated-chat", "simulated-embedding"}, ids); diff != "" {
		t.Errorf("models:\n%s", diff)
	}
	for _, id := range ids {
		m, err := client.Models.Get(t.Context(), id)
		if err != nil || m.ID != id || m.OwnedBy == "" || m.Object != "model" {
			t.Errorf("model %q: %v, %v", id, m, err)
		}
	}
	_, err = client.Models.Get(t.Context(), "simulated-chta")
	e := apiError(t, err)
	if e.StatusCode != http.StatusNotFound || e.Code != "caller_unknown_model" || e.Param != "model" {
		t.Errorf("an unknown model: status %d, %s", e.StatusCode, e.RawJSON())
	}
	says(t, "the message", e.Message, "simulated-chta", "simulated-chat", "GET /v1/models")
}
