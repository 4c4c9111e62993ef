package bedrockmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/integration/bedrockmw"
	"github.com/forebay-ai/forebay/integration/intercept"
	"github.com/forebay-ai/forebay/llm"
)

const whole = `{"output":{"message":{"role":"assistant","content":[{"text":"hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":5,"outputTokens":7,"totalTokens":12},"metrics":{"latencyMs":3}}`

// events are a ConverseStream answer.
func events() []byte {
	var b []byte
	for _, e := range [][2]string{
		{"messageStart", `{"role":"assistant"}`},
		{"contentBlockDelta", `{"delta":{"text":"hello"},"contentBlockIndex":0}`},
		{"contentBlockStop", `{"contentBlockIndex":0}`},
		{"messageStop", `{"stopReason":"end_turn"}`},
		{"metadata", `{"usage":{"inputTokens":5,"outputTokens":7,"totalTokens":12},"metrics":{"latencyMs":3}}`},
	} {
		b = bedrock.AppendEvent(b, e[0], []byte(e[1]))
	}
	return b
}

// world is a Bedrock of its own, an SDK client for it behind a forebay.Client, and how often
// network and credentials were touched.
type world struct {
	sdk         *bedrockruntime.Client
	calls, keys atomic.Int64
}

func newWorld(t testing.TB) *world {
	w := &world{}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKID/") {
			t.Errorf("the original is not signed: %v", r.Header)
		}
		switch {
		case strings.Contains(string(body), "throttle"):
			out.Header().Set("X-Amzn-Errortype", "ThrottlingException")
			out.WriteHeader(429)
			fmt.Fprint(out, `{"message":"too many"}`)
		case strings.HasSuffix(r.URL.Path, "/converse"):
			out.Header().Set("Content-Type", "application/json")
			fmt.Fprint(out, whole)
		case strings.HasSuffix(r.URL.Path, "/converse-stream"):
			out.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
			all := events()
			if strings.Contains(string(body), "cut") {
				all = all[:len(all)/2]
			}
			_, _ = out.Write(all)
		case strings.HasSuffix(r.URL.Path, "/invoke"):
			out.Header().Set("Content-Type", "application/json")
			fmt.Fprint(out, `{"type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":7}}`)
		default:
			out.Header().Set("Content-Type", "application/json")
			fmt.Fprint(out, `{"inputTokens":42}`)
		}
	}))
	t.Cleanup(server.Close)
	client := originals(t)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	sdk := bedrockruntime.New(bedrockruntime.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), HTTPClient: &http.Client{Transport: base},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			w.keys.Add(1)
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
	})
	w.sdk = bedrockmw.Wrap(sdk, client, bedrockmw.Config{})
	return w
}

func input(text string) *bedrockruntime.ConverseInput {
	return &bedrockruntime.ConverseInput{
		ModelId:  aws.String("eu.amazon.nova-lite-v1:0"),
		Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}}}},
	}
}

func TestConverse(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		out, err := w.sdk.Converse(t.Context(), input("hi"))
		if err != nil {
			t.Fatal(err)
		}
		text := out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value
		if text != "hello" || out.StopReason != types.StopReasonEndTurn || *out.Usage.TotalTokens != 12 {
			t.Errorf("%+v", out)
		}
	}
	if w.calls.Load() != 1 || w.keys.Load() != 1 {
		t.Errorf("%d calls, credentials asked for %d times: a hit touches neither", w.calls.Load(), w.keys.Load())
	}
}

func TestConverseStream(t *testing.T) {
	w := newWorld(t)
	read := func(text string) (said string, kinds int, err error) {
		t.Helper()
		in := input(text)
		out, err := w.sdk.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: in.ModelId, Messages: in.Messages})
		if err != nil {
			return "", 0, err
		}
		stream := out.GetStream()
		defer stream.Close()
		for e := range stream.Events() {
			kinds++
			if d, ok := e.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
				said += d.Value.Delta.(*types.ContentBlockDeltaMemberText).Value
			}
		}
		return said, kinds, stream.Err()
	}
	for range 2 {
		if said, kinds, err := read("hi"); said != "hello" || kinds != 5 || err != nil {
			t.Errorf("%q, %d events, %v", said, kinds, err)
		}
	}
	if w.calls.Load() != 1 {
		t.Errorf("%d calls", w.calls.Load())
	}
	// One that was cut is an error, which the SDK alone would not tell.
	if said, _, err := read("cut"); err == nil {
		t.Errorf("a stream that was cut ended well, with %q", said)
	}
}

func TestInvokeModelAndErrors(t *testing.T) {
	w := newWorld(t)
	invoke := &bedrockruntime.InvokeModelInput{
		ModelId: aws.String("anthropic.claude-3-haiku-20240307-v1:0"), ContentType: aws.String("application/json"),
		Body: []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}`),
	}
	for range 2 {
		out, err := w.sdk.InvokeModel(t.Context(), invoke)
		if err != nil || !strings.Contains(string(out.Body), "hello") {
			t.Fatal(out, err)
		}
	}
	if w.calls.Load() != 1 {
		t.Errorf("%d calls", w.calls.Load())
	}
	var throttled *types.ThrottlingException
	if _, err := w.sdk.Converse(t.Context(), input("throttle")); !errors.As(err, &throttled) || w.calls.Load() != 2 {
		t.Errorf("%v after %d calls", err, w.calls.Load())
	}
	if _, err := w.sdk.Converse(t.Context(), &bedrockruntime.ConverseInput{}); err == nil || !strings.Contains(err.Error(), "ModelId") {
		t.Errorf("an input that is none: %v", err)
	}
	// Other operations go their own way.
	in := input("count")
	count, err := w.sdk.CountTokens(t.Context(), &bedrockruntime.CountTokensInput{ModelId: in.ModelId, Input: &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{Messages: in.Messages}}})
	if err != nil || *count.InputTokens != 42 {
		t.Error(count, err)
	}
}

// A call whose credentials cannot be had was not sent.
func TestNoCredentials(t *testing.T) {
	client, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"original": intercept.Provider{}},
		Models:    map[string]forebay.Model{"*": {Targets: []forebay.Target{{Provider: "original"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	sdk := bedrockruntime.New(bedrockruntime.Options{Region: "eu-central-1", BaseEndpoint: aws.String("http://127.0.0.1:1"), Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("none here")
	})})
	if _, err := bedrockmw.Wrap(sdk, client, bedrockmw.Config{}).Converse(t.Context(), input("hi")); err == nil || !strings.Contains(err.Error(), "could not send") {
		t.Errorf("%v", err)
	}
}

// originals is a client whose one target is the SDK's own way, once.
func originals(t testing.TB) *forebay.Client {
	t.Helper()
	client, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"original": intercept.Provider{}},
		Models:    map[string]forebay.Model{"*": {Targets: []forebay.Target{{Provider: "original"}}}},
		Retry:     forebay.Retry{Max: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}
