package sdktest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

// TestBedrockErrors: what Bedrock refuses is the same typed error behind the gateway. Its
// trouble with our credentials does not look like the caller's.
func TestBedrockErrors(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: quick})
	client := r.aws(t, once)
	for _, c := range []struct {
		status      int
		errorType   string
		want, kind  string
		typed       func(error) bool
		statusOfOur int
	}{
		{429, "ThrottlingException", "ThrottlingException", "provider_rate_limited", is[*types.ThrottlingException], 429},
		{400, "ValidationException", "ValidationException", "provider_rejected", is[*types.ValidationException], 400},
		{404, "ResourceNotFoundException", "ResourceNotFoundException", "provider_rejected", is[*types.ResourceNotFoundException], 404},
		{408, "ModelTimeoutException", "ModelTimeoutException", "provider_timeout", is[*types.ModelTimeoutException], 408},
		{424, "ModelErrorException", "ModelErrorException", "provider_error", is[*types.ModelErrorException], 424},
		{429, "ModelNotReadyException", "ModelNotReadyException", "provider_overloaded", is[*types.ModelNotReadyException], 429},
		{500, "InternalServerException", "InternalServerException", "provider_error", is[*types.InternalServerException], 500},
		{503, "ServiceUnavailableException", "ServiceUnavailableException", "provider_overloaded", is[*types.ServiceUnavailableException], 503},
		{400, "ServiceQuotaExceededException", "ServiceQuotaExceededException", "provider_quota_exceeded", is[*types.ServiceQuotaExceededException], 400},
		{403, "AccessDeniedException", "AccessDeniedException", "", is[*types.AccessDeniedException], 403},
		{403, "UnrecognizedClientException", "ModelErrorException", "provider_auth_failed", is[*types.ModelErrorException], 424},
		{403, "ExpiredTokenException", "ModelErrorException", "provider_auth_failed", is[*types.ModelErrorException], 424},
	} {
		t.Run(c.errorType, func(t *testing.T) {
			s.plans(trouble{status: c.status, errorType: c.errorType})
			for name, call := range map[string]func(string) error{
				"whole": func(words string) error {
					_, err := client.Converse(ended(t), asking(haiku, words))
					return err
				},
				"streamed": func(words string) error { return hear(client.ConverseStream(ended(t), streaming(haiku, words))).err },
				"invoke": func(words string) error {
					_, err := client.InvokeModel(ended(t), &bedrockruntime.InvokeModelInput{ModelId: new(haiku), Body: []byte(strings.Replace(claudeHello, "hello", words, 1))})
					return err
				},
			} {
				err := call(c.errorType + " " + name) // each its own question: a refusal is repeated for a minute
				mustFail(t, err, c.want, fmt.Sprintf("StatusCode: %d", c.statusOfOur), "RequestID: req_")
				if !c.typed(err) {
					t.Errorf("%s: %T", name, err)
				}
			}
		})
	}
}

// TestBedrockRefusals: what the gateway itself refuses is typed too, and final.
func TestBedrockRefusals(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{
		bedrock: s, config: "gateway: {max_body: 2KiB}",
		models: `  chat: {targets: [{provider: bedrock, model: "` + haiku + `"}]}`,
	})
	client := r.aws(t)
	for _, c := range []struct {
		name, want string
		ask        *bedrockruntime.ConverseInput
		typed      func(error) bool
		says       string
	}{
		{"an unknown model", "ResourceNotFoundException", asking("chta", "hello"), is[*types.ResourceNotFoundException], "chat"},
		{"a body that is too large", "ValidationException", asking("chat", strings.Repeat("x", 3<<10)), is[*types.ValidationException], "gateway.max_body"},
		{"no messages", "ValidationException", &bedrockruntime.ConverseInput{ModelId: new("chat")}, is[*types.ValidationException], "messages"},
		{"a path that leads elsewhere", "ValidationException", asking("a/../b", "hello"), is[*types.ValidationException], "path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client.Converse(ended(t), c.ask)
			mustFail(t, err, c.want, c.says)
			if !c.typed(err) {
				t.Errorf("%T", err)
			}
			client.wantAttempts(t, 1)
		})
	}
	if calls := s.took(); len(calls) != 0 {
		t.Errorf("the provider got %d calls of requests that were refused", len(calls))
	}
}

// TestBedrockRetries: how often the SDK comes, and how often the provider is called for it.
// The SDK knows no x-should-retry: it tries three times what it takes for passing, and each
// time it comes again the gateway makes one attempt, so that 2 + 1 + 1 reach the provider.
func TestBedrockRetries(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: "retry: {max: 1, base: 1ms, budget: 100%}\nbreaker: {enabled: false}\ncache: {enabled: false}"})
	client := r.aws(t)
	for _, c := range []struct {
		status    int
		errorType string
		sdk       int32
		provider  int
	}{
		{http.StatusTooManyRequests, "ThrottlingException", 3, 4},
		{http.StatusInternalServerError, "InternalServerException", 3, 4},
		{http.StatusServiceUnavailable, "ServiceUnavailableException", 3, 4},
		{http.StatusRequestTimeout, "ModelTimeoutException", 1, 2},
		{http.StatusFailedDependency, "ModelErrorException", 1, 2},
		{http.StatusBadRequest, "ValidationException", 1, 1},
		{http.StatusForbidden, "AccessDeniedException", 1, 1},
		{http.StatusNotFound, "ResourceNotFoundException", 1, 1},
	} {
		t.Run(c.errorType, func(t *testing.T) {
			s.took()
			s.plans(trouble{status: c.status, errorType: c.errorType})
			_, err := client.Converse(ended(t), asking(haiku, c.errorType))
			mustFail(t, err, c.errorType)
			client.wantAttempts(t, c.sdk)
			if calls := s.took(); len(calls) != c.provider {
				t.Errorf("the provider got %d calls, want %d", len(calls), c.provider)
			}
		})
	}
	t.Run("once only", func(t *testing.T) { // the gateway mends it, and the SDK sees nothing
		s.plans(trouble{status: 503, errorType: "ServiceUnavailableException", times: 1})
		out, err := client.Converse(ended(t), asking(haiku, "once only"))
		if err != nil || header(t, out.ResultMetadata).Get("X-Forebay-Attempts") != "2" {
			t.Errorf("%v, %v", out, err)
		}
		client.wantAttempts(t, 1)
	})
}

// TestBedrockSDKReturns: the SDK with all its defaults comes back after a refusal that
// passes, and gets its answer; streams too, as long as they have not begun.
func TestBedrockSDKReturns(t *testing.T) {
	t.Parallel()
	s := newBedrock(t, true)
	r := newRig(t, setup{bedrock: s, config: quick + "cache: {enabled: false}"})
	client := r.aws(t, func(o *bedrockruntime.Options) { o.Retryer = retry.NewStandard() })
	s.plans(trouble{status: 429, errorType: "ThrottlingException", times: 1})
	out, err := client.Converse(ended(t), asking(haiku, "hello"))
	if err != nil || said(out) != "You said: hello" {
		t.Errorf("%q, %v", said(out), err)
	}
	client.wantAttempts(t, 2)
	s.plans(trouble{status: 503, errorType: "ServiceUnavailableException", times: 1})
	if got := hear(client.ConverseStream(ended(t), streaming(haiku, "hello"))); got.err != nil || got.text != "You said: hello" {
		t.Errorf("%+v", got)
	}
	client.wantAttempts(t, 2)
}
