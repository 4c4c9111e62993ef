package failure_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// decisions are failures as they come, with what the request path has to do about each.
var decisions = []struct {
	name                              string
	signal                            failure.Signal
	kind                              llm.Kind
	retry, failOver, breaker, limiter bool
}{
	{"bedrock throttles", failure.Signal{Dialect: "bedrock", Status: 429, Type: "ThrottlingException"}, llm.ProviderRateLimited, true, true, false, true},
	{"bedrock throttles by header", failure.Signal{Dialect: "bedrock", Status: 429, Header: http.Header{"X-Amzn-Errortype": {"ThrottlingException:http://internal.amazon.com/coral/"}}}, llm.ProviderRateLimited, true, true, false, true},
	{"bedrock throttles with a namespace", failure.Signal{Dialect: "bedrock", Status: 400, Type: "com.amazon.coral.service#ThrottlingException"}, llm.ProviderRateLimited, true, true, false, true},
	{"bedrock throttles in a stream", failure.Signal{Dialect: "bedrock", Type: "throttlingException"}, llm.ProviderRateLimited, true, true, false, true},
	{"bedrock throttles for the day", failure.Signal{Dialect: "bedrock", Status: 429, Type: "ThrottlingException", Message: "Too many tokens per day, please wait before trying again."}, llm.ProviderQuotaExceeded, false, true, false, false},
	{"bedrock loads the model", failure.Signal{Dialect: "bedrock", Status: 429, Type: "ModelNotReadyException"}, llm.ProviderOverloaded, true, true, true, true},
	{"bedrock's model is slow", failure.Signal{Dialect: "bedrock", Status: 408, Type: "ModelTimeoutException"}, llm.ProviderTimeout, true, true, true, false},
	{"bedrock's model fails", failure.Signal{Dialect: "bedrock", Status: 424, Type: "ModelErrorException"}, llm.ProviderError, true, true, true, false},
	{"bedrock's model fails, status alone", failure.Signal{Dialect: "bedrock", Status: 424}, llm.ProviderError, true, true, true, false},
	{"bedrock's model fails in its stream", failure.Signal{Dialect: "bedrock", Type: "modelStreamErrorException"}, llm.ProviderError, true, true, true, false},
	{"bedrock fails", failure.Signal{Dialect: "bedrock", Status: 500, Type: "InternalServerException"}, llm.ProviderError, true, true, true, false},
	{"bedrock has no capacity", failure.Signal{Dialect: "bedrock", Status: 503, Type: "ServiceUnavailableException"}, llm.ProviderOverloaded, true, true, true, true},
	{"bedrock's quota", failure.Signal{Dialect: "bedrock", Status: 400, Type: "ServiceQuotaExceededException"}, llm.ProviderQuotaExceeded, false, true, false, false},
	{"bedrock refuses the request", failure.Signal{Dialect: "bedrock", Status: 400, Type: "ValidationException"}, llm.ProviderRejected, false, false, false, false},
	{"bedrock refuses the role", failure.Signal{Dialect: "bedrock", Status: 403, Type: "AccessDeniedException"}, llm.ProviderRejected, false, false, false, false},
	{"bedrock refuses the key", failure.Signal{Dialect: "bedrock", Status: 403, Type: "UnrecognizedClientException"}, llm.ProviderAuthFailed, false, true, true, false},
	{"bedrock has no such model", failure.Signal{Dialect: "bedrock", Status: 404, Type: "ResourceNotFoundException"}, llm.ProviderRejected, false, false, false, false},
	{"bedrock's window", failure.Signal{Dialect: "bedrock", Status: 400, Type: "ValidationException", Message: "Input is too long for requested model."}, llm.ProviderContextExceeded, false, false, false, false},
	{"bedrock's filter", failure.Signal{Dialect: "bedrock", Status: 400, Type: "ValidationException", Message: "The generated image(s) has been blocked by our content filters."}, llm.ProviderFiltered, false, false, false, false},

	{"anthropic overloaded", failure.Signal{Dialect: "anthropic", Status: 529, Type: "overloaded_error"}, llm.ProviderOverloaded, true, true, true, true},
	{"anthropic overloaded in a stream", failure.Signal{Dialect: "anthropic", Type: "overloaded_error"}, llm.ProviderOverloaded, true, true, true, true},
	{"anthropic overloaded behind a gateway", failure.Signal{Dialect: "openai", Status: 500, Type: "overloaded_error"}, llm.ProviderOverloaded, true, true, true, true},
	{"anthropic's rate", failure.Signal{Dialect: "anthropic", Status: 429, Type: "rate_limit_error"}, llm.ProviderRateLimited, true, true, false, true},
	{"anthropic's key", failure.Signal{Dialect: "anthropic", Status: 401, Type: "authentication_error"}, llm.ProviderAuthFailed, false, true, true, false},
	{"anthropic's permission", failure.Signal{Dialect: "anthropic", Status: 403, Type: "permission_error"}, llm.ProviderAuthFailed, false, true, true, false},
	{"anthropic has no such model", failure.Signal{Dialect: "anthropic", Status: 404, Type: "not_found_error"}, llm.ProviderRejected, false, false, false, false},
	{"anthropic's body bound", failure.Signal{Dialect: "anthropic", Status: 413, Type: "request_too_large"}, llm.ProviderRejected, false, false, false, false},
	{"anthropic fails", failure.Signal{Dialect: "anthropic", Status: 500, Type: "api_error"}, llm.ProviderError, true, true, true, false},
	{"anthropic wants money", failure.Signal{Dialect: "anthropic", Status: 402, Type: "billing_error"}, llm.ProviderQuotaExceeded, false, true, false, false},
	{"anthropic wants money the old way", failure.Signal{Dialect: "anthropic", Status: 400, Type: "invalid_request_error", Message: "Your credit balance is too low to access the Anthropic API."}, llm.ProviderQuotaExceeded, false, true, false, false},
	{"anthropic is slow", failure.Signal{Dialect: "anthropic", Status: 504, Type: "timeout_error"}, llm.ProviderTimeout, true, true, true, false},
	{"anthropic's window", failure.Signal{Dialect: "anthropic", Status: 400, Type: "invalid_request_error", Message: "prompt is too long: 215537 tokens > 200000 maximum"}, llm.ProviderContextExceeded, false, false, false, false},
	{"anthropic's window with max_tokens", failure.Signal{Dialect: "anthropic", Status: 400, Type: "invalid_request_error", Message: "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"}, llm.ProviderContextExceeded, false, false, false, false},
	{"anthropic's filter", failure.Signal{Dialect: "anthropic", Status: 400, Type: "invalid_request_error", Message: "Output blocked by content filtering policy"}, llm.ProviderFiltered, false, false, false, false},

	{"openai's rate", failure.Signal{Dialect: "openai", Status: 429, Type: "tokens", Code: "rate_limit_exceeded"}, llm.ProviderRateLimited, true, true, false, true},
	{"openai's quota", failure.Signal{Dialect: "openai", Status: 429, Type: "insufficient_quota", Code: "insufficient_quota"}, llm.ProviderQuotaExceeded, false, true, false, false},
	{"openai's minute is smaller than the request", failure.Signal{Dialect: "openai", Status: 429, Type: "tokens", Code: "rate_limit_exceeded", Message: "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 45000."}, llm.ProviderQuotaExceeded, false, true, false, false},
	{"openai's window", failure.Signal{Dialect: "openai", Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded"}, llm.ProviderContextExceeded, false, false, false, false},
	{"one string is too long", failure.Signal{Dialect: "openai", Status: 400, Type: "invalid_request_error", Code: "string_above_max_length", Message: "Invalid 'messages[0].content': string too long."}, llm.ProviderRejected, false, false, false, false},
	{"azure's filter", failure.Signal{Dialect: "openai", Status: 400, Code: "400", Inner: "ResponsibleAIPolicyViolation"}, llm.ProviderFiltered, false, false, false, false},
	{"openrouter's moderation", failure.Signal{Dialect: "openai", Status: 403, Message: "openai/gpt-4o requires moderation on OpenAI. Your input was flagged for \"violence\"."}, llm.ProviderFiltered, false, false, false, false},
	{"deepseek's filter", failure.Signal{Dialect: "openai", Status: 400, Type: "invalid_request_error", Message: "Content Exists Risk"}, llm.ProviderFiltered, false, false, false, false},
	{"deepseek wants money", failure.Signal{Dialect: "openai", Status: 402, Message: "Insufficient Balance"}, llm.ProviderQuotaExceeded, false, true, false, false},
	{"vLLM's window", failure.Signal{Dialect: "openai", Status: 400, Type: "BadRequestError", Message: "This model's maximum context length is 4096 tokens. However, you requested 5000"}, llm.ProviderContextExceeded, false, false, false, false},
	{"vLLM's newer window", failure.Signal{Dialect: "openai", Status: 400, Type: "BadRequestError", Message: "The decoder prompt (length 40000) is longer than the maximum model length of 32768."}, llm.ProviderContextExceeded, false, false, false, false},
	{"llama.cpp's window with 500", failure.Signal{Dialect: "openai", Status: 500, Message: "the request exceeds the available context size, try increasing it"}, llm.ProviderContextExceeded, false, false, false, false},
	{"ollama's window", failure.Signal{Dialect: "openai", Status: 400, Message: "the input length exceeds the context length"}, llm.ProviderContextExceeded, false, false, false, false},
	{"ollama busy", failure.Signal{Dialect: "openai", Status: 503, Message: "server busy, please try again. maximum pending requests exceeded"}, llm.ProviderOverloaded, true, true, true, true},
	{"cloudflare 520", failure.Signal{Dialect: "openai", Status: 520}, llm.ProviderError, true, true, true, false},
	{"cloudflare 521", failure.Signal{Dialect: "openai", Status: 521}, llm.ProviderConnectionFailed, true, true, true, false},
	{"cloudflare 524", failure.Signal{Dialect: "openai", Status: 524}, llm.ProviderTimeout, true, true, true, false},
	{"cloudflare 526", failure.Signal{Dialect: "openai", Status: 526}, llm.ProviderConnectionFailed, false, true, true, false},
	{"999", failure.Signal{Dialect: "openai", Status: 999}, llm.ProviderError, true, true, true, false},
	{"101", failure.Signal{Dialect: "openai", Status: 101}, llm.ProviderMalformed, false, true, true, false},
	{"304", failure.Signal{Dialect: "openai", Status: 304}, llm.ProviderMalformed, false, true, true, false},
	{"200 with an error", failure.Signal{Dialect: "openai", Status: 200, Type: "server_error"}, llm.ProviderError, true, true, true, false},
	{"nothing", failure.Signal{}, llm.ProviderError, true, true, true, false},
	{"a word of nobody's", failure.Signal{Status: 418, Code: "teapot"}, llm.ProviderRejected, false, false, false, false},

	{"certificate", failure.Signal{Transport: failure.Certificate}, llm.ProviderConnectionFailed, false, true, true, false},
	{"no such host", failure.Signal{Transport: failure.NoSuchHost}, llm.ProviderConnectionFailed, false, true, true, false},
	{"refused", failure.Signal{Dialect: "openai", Transport: failure.Refused}, llm.ProviderConnectionFailed, true, true, true, false},
	{"truncated, whatever was said before", failure.Signal{Status: 200, Code: "content_filter", Transport: failure.Truncated}, llm.ProviderTruncated, true, true, true, false},
	{"unknown transport", failure.Signal{Status: 400, Transport: "gremlins"}, llm.ProviderError, true, true, true, false},

	{"forebay behind forebay drains", failure.Signal{Status: 503, Code: "forebay_draining"}, llm.ProviderOverloaded, true, true, true, true},
	{"forebay behind forebay, in a stream", failure.Signal{Type: "server_error", Code: "x", Inner: "provider_truncated"}, llm.ProviderTruncated, true, true, true, false},
}

func TestClassify(t *testing.T) {
	for _, d := range decisions {
		t.Run(d.name, func(t *testing.T) {
			v := failure.Classify(d.signal)
			got := []any{v.Kind, v.Retry, v.FailOver, v.Breaker, v.Limiter}
			want := []any{d.kind, d.retry, d.failOver, d.breaker, d.limiter}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v\n%s", v.Rule, diff)
			}
		})
	}
}

// classes are numbers of a class that have no row of their own.
var classes = map[int]int{1: 101, 3: 399, 4: 499, 5: 599}

// A row that another one hides would be a decision that is never taken.
func TestEveryRowDecides(t *testing.T) {
	rules := failure.Rules()
	for _, r := range rules {
		s := failure.Signal{Dialect: r.Dialect, Transport: r.Transport, Status: r.Status, Inner: strings.ToUpper(r.Word), Message: "Sorry: " + strings.ToUpper(r.Text) + "!"}
		if n, ok := classes[r.Status]; ok {
			s.Status = n
		}
		if got := failure.Classify(s).Rule; got != r {
			t.Errorf("%+v is hidden by %+v", r, got)
		}
		switch {
		case r.Kind.Domain() != llm.ProviderFault:
			t.Errorf("%+v is not the provider's fault", r)
		case r.Why == "" || strings.HasSuffix(r.Why, "."):
			t.Errorf("%+v says %q", r, r.Why)
		case r.Word != strings.ToLower(r.Word) || r.Text != strings.ToLower(r.Text):
			t.Errorf("%+v is not in lower case", r)
		case r.NoRetry && !r.Kind.Retryable():
			t.Errorf("%+v forbids what the kind does not allow", r)
		}
	}
	if last := rules[len(rules)-1]; last != (failure.Rule{Kind: llm.ProviderError, Why: last.Why}) {
		t.Errorf("the last row is %+v", last)
	}
	rules[0] = failure.Rule{}
	if failure.Rules()[0] == rules[0] {
		t.Error("whoever asks for the table can change it")
	}
}

// Every word of another Forebay has a row, so that two in a row see the same failure.
func TestForebaysOwnWords(t *testing.T) {
	for _, k := range llm.Kinds() {
		v := failure.Classify(failure.Signal{Dialect: "openai", Code: string(k)})
		if k.Domain() == llm.ProviderFault && v.Kind != k {
			t.Errorf("%s is read as %s", k, v.Kind)
		}
		if k.Domain() == llm.PolicyFault && v.Rule == failure.Rules()[len(failure.Rules())-1] {
			t.Errorf("%s has no row", k)
		}
	}
}

func TestShouldRetry(t *testing.T) {
	for _, test := range []struct {
		value         string
		status        int
		retry, noMore bool
	}{
		{"false", 500, false, true},
		{" False", 429, false, true},
		{"true", 500, true, false},
		{"true", 400, false, false}, // the table decides
		{"", 503, true, false},
		{"0", 503, true, false},
	} {
		v := failure.Classify(failure.Signal{Status: test.status, Header: http.Header{"X-Should-Retry": {test.value}}})
		if v.Retry != test.retry || v.NoRetry != test.noMore {
			t.Errorf("%q with %d: retry %v, no retry %v", test.value, test.status, v.Retry, v.NoRetry)
		}
		if test.status != 400 && !v.FailOver {
			t.Errorf("%q with %d: no fail-over", test.value, test.status)
		}
	}
}

// Whatever comes, the decision is one of the table's, follows from the kind, and the
// wait is within its bounds.
func TestAnySignal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"ThrottlingException", "insufficient_quota", "content_filter", "overloaded_error"}))
		s := failure.Signal{
			Dialect: rapid.SampledFrom([]string{"", "openai", "anthropic", "bedrock", "x"}).Draw(t, "dialect"),
			Status:  rapid.IntRange(-1, 1100).Draw(t, "status"),
			Code:    word.Draw(t, "code"), Type: word.Draw(t, "type"), Inner: word.Draw(t, "inner"),
			Message: rapid.OneOf(rapid.String(), rapid.StringMatching(`try again in [0-9]{1,12}(ms|s|m|h|days)`)).Draw(t, "message"),
			Hint:    rapid.OneOf(rapid.String(), rapid.StringMatching(`-?[0-9]{1,12}s?`)).Draw(t, "hint"),
			Header:  http.Header{"Retry-After": {rapid.String().Draw(t, "after")}, "X-Should-Retry": {rapid.SampledFrom([]string{"true", "false"}).Draw(t, "should")}},
		}
		checkVerdict(t, s)
	})
}

type fataler interface{ Fatalf(string, ...any) }

func checkVerdict(t fataler, s failure.Signal) {
	v := failure.Classify(s)
	k := v.Kind
	if k != v.Rule.Kind || v.FailOver != k.TryNext() || v.Breaker != k.CountsForBreaker() || v.Limiter != k.FeedsLimiter() ||
		v.Retry != (k.Retryable() && !v.NoRetry) || k.Domain() != llm.ProviderFault {
		t.Fatalf("%+v gives %+v", s, v)
	}
	if v.RetryAfter < 0 || v.RetryAfter > llm.MaxRetryAfter {
		t.Fatalf("%+v: wait %v", s, v.RetryAfter)
	}
	if (k == llm.ProviderFiltered || k == llm.ProviderContextExceeded) && (v.Retry || v.FailOver || v.Breaker) {
		t.Fatalf("%+v: a refusal is routed around", s)
	}
}

func FuzzClassify(f *testing.F) {
	for _, d := range decisions {
		f.Add(d.signal.Dialect, d.signal.Status, d.signal.Code, d.signal.Type, d.signal.Message, "3")
	}
	f.Add("openai", 429, "", "", "Please try again in 99999999999999999999h", "1e9")
	f.Fuzz(func(t *testing.T, dialect string, status int, code, kind, message, after string) {
		h := http.Header{"Retry-After": {after}, "X-Amzn-Errortype": {code}, "Anthropic-Ratelimit-Tokens-Reset": {after}}
		checkVerdict(t, failure.Signal{Dialect: dialect, Status: status, Code: code, Type: kind, Message: message, Hint: after, Header: h})
	})
}

func ExampleClassify() {
	v := failure.Classify(failure.Signal{
		Dialect: failure.OpenAI, Status: 429, Type: "tokens", Code: "rate_limit_exceeded",
		Message: "Rate limit reached for gpt-4o on tokens per min (TPM). Please try again in 1.5s.",
	})
	fmt.Println(v.Kind, "retry:", v.Retry, "in:", v.RetryAfter, "breaker:", v.Breaker)
	// Output: provider_rate_limited retry: true in: 1.5s breaker: false
}
