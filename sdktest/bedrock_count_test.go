package sdktest

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

// counting is a request of CountTokens for the words of a user.
func counting(model, words string) *bedrockruntime.CountTokensInput {
	return &bedrockruntime.CountTokensInput{ModelId: &model, Input: &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{
		Messages: user(words), System: []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: "Be brief."}},
	}}}
}

// TestBedrockCountTokens: a count is Bedrock's own, signed with the gateway's credentials,
// for the model that an alias means; it costs nothing, and is refused as other calls are.
func TestBedrockCountTokens(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, models: `  fast: {targets: [{provider: bedrock, model: "` + haiku + `"}]}`})
	client := r.aws(t)
	out, err := client.CountTokens(ended(t), counting("fast", "hello"))
	if err != nil {
		t.Fatal(err)
	}
	calls := s.took()
	if len(calls) != 1 || calls[0].Action != "count-tokens" || calls[0].Model != haiku || int(*out.InputTokens) != len(calls[0].Body) {
		t.Fatalf("%d tokens; the provider got %+v", *out.InputTokens, calls)
	}
	says(t, "the body", calls[0].Body, `{"input":{"converse":{`, `"system":[{"text":"Be brief."}]`, `"hello"`)
	h := header(t, out.ResultMetadata)
	for name, want := range map[string]string{"X-Forebay-Provider": "bedrock", "X-Forebay-Model": haiku, "X-Forebay-Attempts": "1", "X-Forebay-Cost-Usd": "0"} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	invoke := &bedrockruntime.CountTokensInput{ModelId: aws.String("fast"), Input: &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: []byte(claudeHello)}}}
	if _, err := client.CountTokens(ended(t), invoke); err != nil {
		t.Error(err)
	}
	if calls := s.took(); len(calls) != 1 || !strings.HasPrefix(calls[0].Body, `{"input":{"invokeModel":{"body":"`) {
		t.Errorf("the provider got %+v", calls)
	}
	client.wantAttempts(t, 2)

	s.plans(trouble{status: 400, errorType: "ValidationException", times: 1})
	_, err = client.CountTokens(ended(t), counting("fast", "of a model that cannot"))
	mustFail(t, err, "ValidationException", "planned")
	s.plans(trouble{status: 429, errorType: "ThrottlingException", times: 9})
	_, err = client.CountTokens(ended(t), counting("fast", "too many"), once)
	mustFail(t, err, "ThrottlingException")
	s.plans()
	_, err = client.CountTokens(ended(t), counting("unheard-of", "hello"))
	mustFail(t, err, "ResourceNotFoundException", "unheard-of")
	s.took()
	_, err = r.aws(t, pairOf(figuresID, figuresSecret)).CountTokens(ended(t), counting("fast", "hello"))
	mustFail(t, err, "AccessDeniedException")
	_, err = r.aws(t, pairOf(pairID, "another-secret")).CountTokens(ended(t), counting("fast", "hello"))
	mustFail(t, err, "InvalidSignatureException")
	if calls := s.took(); len(calls) != 0 {
		t.Errorf("the provider got %+v", calls)
	}
}

// TestBedrockCountTokensElsewhere: other providers do not count, and are not asked.
func TestBedrockCountTokensElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	client := r.aws(t)
	_, err := client.CountTokens(ended(t), counting("m1", "hello"))
	mustFail(t, err, "ValidationException", "does not count tokens")
	client.wantAttempts(t, 1)
	if log := r.calls(t); log.Total != 0 {
		t.Errorf("the provider got %+v", log)
	}
}

// pairOf has the SDK sign with another pair.
func pairOf(id, secret string) func(*bedrockruntime.Options) {
	return func(o *bedrockruntime.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(id, secret, "")
	}
}
