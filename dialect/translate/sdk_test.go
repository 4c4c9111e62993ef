package translate_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/dialect/translate"
	"github.com/forebay-ai/forebay/llm"
)

// client is the AWS SDK's own, whose calls of Converse are answered by chat's answers. It
// keeps what the provider of chat was asked.
func client(t *testing.T, inner *answering) *bedrockruntime.Client {
	t.Helper()
	p := translate.Provider(inner, openai.Dialect{})
	return bedrockruntime.New(bedrockruntime.Options{
		Region: "eu-central-1", RetryMaxAttempts: 1, BaseEndpoint: aws.String("http://bedrock.invalid"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
		}),
		HTTPClient: exchanger(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			stream := strings.HasSuffix(r.URL.Path, "/converse-stream")
			s, err := p.Call(t.Context(), "gpt", converseRequest(string(body), stream))
			if err != nil {
				t.Errorf("the SDK's request is refused: %v: %s", err, body)
				return nil, err
			}
			answer, err := llm.Relay(s, nil)
			if err != nil {
				return nil, err
			}
			kind := "application/json"
			if stream {
				kind = "application/vnd.amazon.eventstream"
			}
			return &http.Response{
				StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
				Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(answer)),
			}, nil
		}),
	})
}

type exchanger func(*http.Request) (*http.Response, error)

func (e exchanger) Do(r *http.Request) (*http.Response, error) { return e(r) }

var sdkMessages = []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
	&types.ContentBlockMemberText{Value: "Hi"},
	&types.ContentBlockMemberImage{Value: types.ImageBlock{Format: types.ImageFormatPng, Source: &types.ImageSourceMemberBytes{Value: []byte("PNG")}}},
}}}

var sdkTools = &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
	Name: aws.String("a"), InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{"type": "object"})},
}}}}

// TestSDKReadsWholeAnswers checks that the AWS SDK's requests are taken, and that it reads
// the answers.
func TestSDKReadsWholeAnswers(t *testing.T) {
	inner := &answering{body: []byte(`{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello","tool_calls":[{"id":"t1","type":"function","function":{"name":"a","arguments":"{\"x\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":3}}}`)}
	out, err := client(t, inner).Converse(t.Context(), &bedrockruntime.ConverseInput{
		ModelId: aws.String("m"), Messages: sdkMessages, ToolConfig: sdkTools,
		InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(7), Temperature: aws.Float32(0.5), StopSequences: []string{"x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"model":"gpt","max_completion_tokens":7,"stop":["x"],"temperature":0.5,"tools":[{"type":"function","function":{"name":"a","parameters":{"type":"object"}}}],"messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image_url","image_url":{"url":"data:image/png;base64,UE5H"}}]}]}`
	if diff := cmp.Diff(parsed([]byte(want)), parsed(inner.seen[0].Body)); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	message := out.Output.(*types.ConverseOutputMemberMessage).Value
	use := message.Content[1].(*types.ContentBlockMemberToolUse).Value
	var arguments map[string]any
	if err := use.Input.UnmarshalSmithyDocument(&arguments); err != nil {
		t.Fatal(err)
	}
	if text := message.Content[0].(*types.ContentBlockMemberText).Value; text != "Hello" || *use.Name != "a" || *use.ToolUseId != "t1" || len(arguments) != 1 ||
		out.StopReason != types.StopReasonToolUse || *out.Usage.InputTokens != 7 || *out.Usage.CacheReadInputTokens != 3 || *out.Usage.TotalTokens != 15 || out.Metrics.LatencyMs == nil {
		t.Errorf("read %q, %+v, %v, %+v", text, use, out.StopReason, out.Usage)
	}
}

// TestSDKReadsStreams checks the same of streams.
func TestSDKReadsStreams(t *testing.T) {
	inner := &answering{body: bytes.Join(chatEvents(), nil)}
	out, err := client(t, inner).ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String("m"), Messages: sdkMessages, ToolConfig: sdkTools})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	say := func(s string) { got = append(got, s) }
	stream := out.GetStream()
	for e := range stream.Events() {
		switch e := e.(type) {
		case *types.ConverseStreamOutputMemberMessageStart:
			say("start " + string(e.Value.Role))
		case *types.ConverseStreamOutputMemberContentBlockStart:
			say("tool " + *e.Value.Start.(*types.ContentBlockStartMemberToolUse).Value.Name)
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			switch d := e.Value.Delta.(type) {
			case *types.ContentBlockDeltaMemberText:
				say("text " + d.Value)
			case *types.ContentBlockDeltaMemberToolUse:
				say("input " + *d.Value.Input)
			case *types.ContentBlockDeltaMemberReasoningContent:
				say("thought " + d.Value.(*types.ReasoningContentBlockDeltaMemberText).Value)
			}
		case *types.ConverseStreamOutputMemberContentBlockStop:
			say("stop")
		case *types.ConverseStreamOutputMemberMessageStop:
			say("end " + string(e.Value.StopReason))
		case *types.ConverseStreamOutputMemberMetadata:
			say("usage")
			if *e.Value.Usage.InputTokens != 7 || *e.Value.Usage.CacheReadInputTokens != 3 || *e.Value.Usage.OutputTokens != 5 {
				t.Errorf("usage %+v", e.Value.Usage)
			}
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"start assistant", "thought Hm", "stop", "text Hel", "text lo\n", "stop", "tool a", `input {"x":`, "input 1}", "stop", "tool b", "stop", "end tool_use", "usage",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
