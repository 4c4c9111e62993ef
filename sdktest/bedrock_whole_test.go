package sdktest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// TestBedrockWhole: Converse to a provider that speaks it. What the SDK wrote is what
// arrives there, byte for byte, and what came back is what the SDK reads.
func TestBedrockWhole(t *testing.T) {
	t.Parallel()
	for name, encrypted := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			s := newBedrock(t, encrypted)
			r := newRig(t, setup{bedrock: s})
			var sent string
			client := r.aws(t, through(func(r *http.Request, send carrier) (*http.Response, error) {
				sent = drain(t, r.Body)
				r.Body = io.NopCloser(strings.NewReader(sent))
				return send(r)
			}))
			for _, model := range []string{haiku, profile, "meta/llama-3:8b", "anthropic.claude-3-haiku-20240307-v1:0"} {
				out, err := client.Converse(ended(t), asking(model, "Grüße & <tags>"))
				if err != nil {
					t.Fatalf("%s: %v", model, err)
				}
				if said(out) != "You said: Grüße & <tags>" || out.StopReason != types.StopReasonEndTurn ||
					*out.Usage.InputTokens != 30 || *out.Usage.CacheReadInputTokens != 5 || *out.Metrics.LatencyMs != 7 {
					t.Errorf("%s: %q %+v", model, said(out), out)
				}
				h := header(t, out.ResultMetadata)
				for name, want := range map[string]string{
					"X-Forebay-Provider": "bedrock", "X-Forebay-Model": model, "X-Forebay-Attempts": "1", "X-Amzn-Requestid": h.Get("X-Request-Id"),
				} {
					if h.Get(name) != want || want == "" {
						t.Errorf("%s: %s is %q, want %q", model, name, h.Get(name), want)
					}
				}
				calls := s.took()
				if len(calls) != 1 || calls[0].Model != model || calls[0].Body != sent || calls[0].Proto != name || calls[0].Action != "converse" {
					t.Errorf("%s: the provider got %+v, the SDK sent %s", model, calls, sent)
				}
				for name, values := range calls[0].Header {
					if text := strings.Join(values, " "); strings.Contains(text, pairID) || strings.HasPrefix(name, "Amz-Sdk") {
						t.Errorf("the provider got the caller's %s: %s", name, text)
					}
				}
			}
			client.wantAttempts(t, 4)
		})
	}
}

// TestBedrockToken: the gateway calls Bedrock with a key instead of signatures.
func TestBedrockToken(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, tokens: true})
	out, err := r.aws(t).Converse(ended(t), asking(haiku, "hello"))
	if err != nil || said(out) != "You said: hello" {
		t.Fatalf("%q, %v", said(out), err)
	}
	if got := s.took()[0].Header.Get("Authorization"); got != "Bearer "+bedrockToken {
		t.Errorf("authorization %q", got)
	}
}

// TestBedrockTranslated: the same SDK reaches a provider that speaks OpenAI's protocol, and
// gets what an OpenAI SDK would get.
func TestBedrockTranslated(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	client := r.aws(t)
	want, err := r.direct(t).Chat.Completions.New(t.Context(), question("m1", "Hello"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.Converse(ended(t), asking("m1", "Hello"))
	if err != nil {
		t.Fatal(err)
	}
	if said(out) == "" || out.StopReason != types.StopReasonEndTurn || *out.Usage.OutputTokens == 0 || *out.Usage.TotalTokens != *out.Usage.InputTokens+*out.Usage.OutputTokens {
		t.Errorf("%q %+v", said(out), out)
	}
	if said(out) != choice(want).Message.Content || int64(*out.Usage.InputTokens) != want.Usage.PromptTokens {
		t.Errorf("translated %q, directly %q", said(out), choice(want).Message.Content)
	}
	got := hear(client.ConverseStream(ended(t), streaming("m1", "Hello there")))
	if got.err != nil || got.text == "" || got.stop != "end_turn" || got.usage == nil || *got.usage.OutputTokens == 0 || got.deltas < 2 {
		t.Errorf("the stream: %+v", got)
	}
	log := r.calls(t)
	if log.Total != 3 || log.Calls[1].Path != "/v1/chat/completions" || log.Calls[1].Model != "m1" || !log.Calls[2].Stream {
		t.Errorf("the provider's log: %+v", log)
	}
	_, err = client.InvokeModel(ended(t), &bedrockruntime.InvokeModelInput{ModelId: aws.String("m1"), Body: []byte(claudeHello)})
	mustFail(t, err, "ValidationException", "Converse")
}

// TestBedrockCached: the second of two equal calls comes from the cache, whichever form
// of stream or whole asked for it.
func TestBedrockCached(t *testing.T) {
	t.Parallel()
	fronts(t, func(t *testing.T, r *rig) {
		client := r.aws(t)
		var texts []string
		for _, want := range []string{"forebay; fwd=uri-miss; stored", "forebay; hit; "} {
			out, err := client.Converse(ended(t), asking(haiku, "Say it again"))
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, said(out))
			if status := header(t, out.ResultMetadata).Get("Cache-Status"); !strings.HasPrefix(status, want) {
				t.Errorf("cache-status %q, want %q", status, want)
			}
		}
		for _, want := range []string{"forebay; fwd=uri-miss; stored", "forebay; hit; "} {
			var metadata middleware.Metadata
			out, err := client.ConverseStream(ended(t), streaming(haiku, "Say it again"))
			if out != nil {
				metadata = out.ResultMetadata
			}
			got := hear(out, err)
			if got.err != nil {
				t.Fatal(got.err)
			}
			texts = append(texts, got.text)
			status := header(t, metadata).Get("Cache-Status")
			if !strings.HasPrefix(status, "forebay; hit; ") && !strings.HasPrefix(status, "forebay; fwd=uri-miss") {
				t.Errorf("the stream's cache-status %q, want %q", status, want)
			}
		}
		for _, text := range texts {
			if text == "" || text != texts[0] {
				t.Errorf("equal questions have the answers %q", texts)
			}
		}
		if n := r.upstreamCalls(t); n > 2 {
			t.Errorf("the provider got %d calls of four that are equal", n)
		}
	})
}

// upstreamCalls is how many calls the provider got.
func (r *rig) upstreamCalls(t *testing.T) int {
	t.Helper()
	if r.bedrock != nil {
		return len(r.bedrock.took())
	}
	return r.calls(t).Total
}

// weatherTool is a tool for models on Bedrock.
func weatherTool() *types.ToolConfiguration {
	return &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String("weather"), Description: aws.String("The weather of a city."),
		InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{
			"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"},
		})},
	}}}}
}

// TestBedrockTools: a model asks for a tool, whole and streamed, and gets its result.
func TestBedrockTools(t *testing.T) {
	t.Parallel()
	fronts(t, func(t *testing.T, r *rig) {
		client := r.aws(t)
		ask := asking(haiku, "What is the weather in Berlin?")
		ask.ToolConfig = weatherTool()
		ask.ToolConfig.ToolChoice = &types.ToolChoiceMemberAny{}
		out, err := client.Converse(ended(t), ask)
		if err != nil {
			t.Fatal(err)
		}
		tools := called(t, out)
		if out.StopReason != types.StopReasonToolUse || len(tools) != 1 || tools[0].name != "weather" || tools[0].id == "" || !json.Valid([]byte(tools[0].input)) {
			t.Fatalf("%s %+v", out.StopReason, tools)
		}
		got := hear(client.ConverseStream(ended(t), &bedrockruntime.ConverseStreamInput{ModelId: ask.ModelId, Messages: ask.Messages, ToolConfig: ask.ToolConfig}))
		if got.err != nil || got.stop != "tool_use" || got.tool.name != "weather" || got.tool.id == "" || !json.Valid([]byte(got.tool.input)) {
			t.Errorf("the stream: %+v", got)
		}
		if r.bedrock != nil && (tools[0] != tool{toolUseID, "weather", `{"city":"Berlin"}`} || got.tool != tools[0]) {
			t.Errorf("%+v and streamed %+v", tools[0], got.tool)
		}
		answer := asking(haiku, "What is the weather in Berlin?")
		answer.ToolConfig = weatherTool()
		answer.Messages = append(ask.Messages, out.Output.(*types.ConverseOutputMemberMessage).Value, types.Message{
			Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberToolResult{Value: types.ToolResultBlock{
				ToolUseId: &tools[0].id, Status: types.ToolResultStatusSuccess,
				Content: []types.ToolResultContentBlock{&types.ToolResultContentBlockMemberJson{Value: document.NewLazyDocument(map[string]any{"sky": "clear"})}},
			}}},
		})
		out, err = client.Converse(ended(t), answer)
		if err != nil {
			t.Fatal(err)
		}
		if r.bedrock != nil && said(out) != `It is {"sky":"clear"} by `+toolUseID+`.` {
			t.Errorf("after the tool's result: %q", said(out))
		}
	})
}

// TestBedrockImage: pictures arrive with every byte.
func TestBedrockImage(t *testing.T) {
	t.Parallel()
	fronts(t, func(t *testing.T, r *rig) {
		picture := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 300<<10)...)
		ask := asking(haiku, "What is this?")
		ask.Messages = user("What is this?", &types.ContentBlockMemberImage{Value: types.ImageBlock{
			Format: types.ImageFormatPng, Source: &types.ImageSourceMemberBytes{Value: picture},
		}})
		out, err := r.aws(t).Converse(ended(t), ask)
		if err != nil || said(out) == "" {
			t.Fatalf("%q, %v", said(out), err)
		}
		if r.bedrock != nil && said(out) != "You said: What is this? I see a png of 307208 bytes." {
			t.Errorf("%q", said(out))
		}
	})
}

const claudeHello = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":"hello"}]}`

// TestBedrockInvoke: bodies in the models' own forms.
func TestBedrockInvoke(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s})
	client := r.aws(t)
	out, err := client.InvokeModel(ended(t), &bedrockruntime.InvokeModelInput{ModelId: aws.String(haiku), Body: []byte(claudeHello), ContentType: aws.String("application/json")})
	if err != nil || !strings.Contains(string(out.Body), `"text":"You said: hello"`) || *out.ContentType != "application/json" {
		t.Fatalf("%+v, %v", out, err)
	}
	if h := header(t, out.ResultMetadata); h.Get("X-Amzn-Bedrock-Input-Token-Count") != "30" || h.Get("X-Amzn-Bedrock-Output-Token-Count") != "12" {
		t.Errorf("counts of tokens: %v", h)
	}
	if calls := s.took(); len(calls) != 1 || calls[0].Body != claudeHello {
		t.Errorf("the provider got %+v", calls)
	}
	embedded, err := client.InvokeModel(ended(t), &bedrockruntime.InvokeModelInput{ModelId: aws.String(titan), Body: []byte(`{"inputText":"three small words"}`)})
	if err != nil || string(embedded.Body) != `{"embedding":[0.5,-0.25,17],"inputTextTokenCount":3}` {
		t.Fatalf("%+v, %v", embedded, err)
	}
	streamed, err := client.InvokeModelWithResponseStream(ended(t), &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String(haiku), Body: []byte(claudeHello)})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := chunks(streamed); err != nil || text != "You said: hello" {
		t.Errorf("the stream: %q, %v", text, err)
	}
	s.took()
	if _, err = client.InvokeModel(ended(t), &bedrockruntime.InvokeModelInput{
		ModelId: aws.String(haiku), Body: []byte(claudeHello), GuardrailIdentifier: aws.String("g1"), GuardrailVersion: aws.String("1"),
	}); err != nil {
		t.Fatal(err)
	}
	// An answer that no guardrail looked at would do for a call without one.
	if calls := s.took(); len(calls) != 1 || calls[0].Header.Get("X-Amzn-Bedrock-Guardrailidentifier") != "g1" || calls[0].Header.Get("X-Amzn-Bedrock-Guardrailversion") != "1" {
		t.Errorf("the guardrail's call at the provider: %+v", calls)
	}
}

// chunks reads the text of a stream in Anthropic's form.
func chunks(out *bedrockruntime.InvokeModelWithResponseStreamOutput) (text string, err error) {
	s := out.GetStream()
	defer s.Close()
	for event := range s.Events() {
		chunk, ok := event.(*types.ResponseStreamMemberChunk)
		if !ok {
			continue
		}
		var e struct{ Delta struct{ Text string } }
		if err := json.Unmarshal(chunk.Value.Bytes, &e); err != nil {
			return text, err
		}
		text += e.Delta.Text
	}
	return text, s.Err()
}

// TestBedrockHeaders: headers of the gateway's own are signed with the rest, and obeyed.
func TestBedrockHeaders(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{bedrock: newBedrock(t, true)})
	with := func(name, value string) func(*bedrockruntime.Options) {
		return func(o *bedrockruntime.Options) {
			o.APIOptions = append(o.APIOptions, smithyhttp.AddHeaderValue(name, value))
		}
	}
	out, err := r.aws(t).Converse(ended(t), asking(haiku, "hello"), with("X-Forebay-Priority", "critical"), with("Cache-Control", "no-store"))
	if err != nil {
		t.Fatal(err)
	}
	if status := header(t, out.ResultMetadata).Get("Cache-Status"); strings.Contains(status, "stored") {
		t.Errorf("cache-status %q of a call that forbids it", status)
	}
	_, err = r.aws(t).Converse(ended(t), asking(haiku, "hello"), with("X-Forebay-Priority", "urgent"))
	mustFail(t, err, "ValidationException", "low, normal, high, critical")
}
