package openai_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// providerErrors are error answers in the shapes that providers and gateways give them.
var providerErrors = []struct {
	name    string
	status  int
	body    string
	kind    llm.Kind
	message string
	code    string
}{
	{"rate limit", 429, `{"error":{"message":"slow","type":"tokens","code":"rate_limit_exceeded"}}`, llm.ProviderRateLimited, "slow", "rate_limit_exceeded"},
	{"quota", 429, `{"error":{"message":"pay","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, llm.ProviderQuotaExceeded, "pay", "insufficient_quota"},
	{"quota by type", 429, `{"error":{"message":"pay","type":"insufficient_quota","code":null}}`, llm.ProviderQuotaExceeded, "pay", "insufficient_quota"},
	{"payment", 402, `{"error":{"message":"Insufficient Balance"}}`, llm.ProviderQuotaExceeded, "Insufficient Balance", ""},
	{"key", 401, `{"error":{"message":"no","code":"invalid_api_key"}}`, llm.ProviderAuthFailed, "no", "invalid_api_key"},
	{"key with 400", 400, `{"error":{"message":"no","code":"invalid_api_key"}}`, llm.ProviderAuthFailed, "no", "invalid_api_key"},
	{"forbidden", 403, `{"error":{"message":"no","type":"permission_error"}}`, llm.ProviderAuthFailed, "no", "permission_error"},
	{"no such model", 404, `{"error":{"message":"gone","type":"invalid_request_error","code":"model_not_found"}}`, llm.ProviderRejected, "gone", "model_not_found"},
	{"bad request", 400, `{"error":{"message":"bad","type":"invalid_request_error","param":"n","code":null}}`, llm.ProviderRejected, "bad", "invalid_request_error"},
	{"too long", 400, `{"error":{"message":"long","code":"context_length_exceeded"}}`, llm.ProviderContextExceeded, "long", "context_length_exceeded"},
	{"too large", 413, `{"error":{"message":"big"}}`, llm.ProviderRejected, "big", ""},
	{"content filter", 400, `{"error":{"message":"no","code":"content_filter","innererror":{"code":"x"}}}`, llm.ProviderFiltered, "no", "content_filter"},
	{"content filter within", 400, `{"error":{"message":"no","code":"400","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, llm.ProviderFiltered, "no", "400"},
	{"policy", 400, `{"error":{"message":"no","code":"content_policy_violation"}}`, llm.ProviderFiltered, "no", "content_policy_violation"},
	{"request timeout", 408, ``, llm.ProviderTimeout, "the provider answered 408 Request Timeout", ""},
	{"gateway timeout", 504, ``, llm.ProviderTimeout, "the provider answered 504 Gateway Timeout", ""},
	{"unavailable", 503, `{"error":{"message":"busy","type":"server_error"}}`, llm.ProviderOverloaded, "busy", "server_error"},
	{"overloaded", 529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, llm.ProviderOverloaded, "Overloaded", "overloaded_error"},
	{"server error", 500, `{"error":{"message":"oops","type":"server_error"}}`, llm.ProviderError, "oops", "server_error"},
	{"bad gateway page", 502, "<html>\r\n<head><title>502 Bad\n Gateway</title></head>", llm.ProviderError, "the provider answered with a page: 502 Bad Gateway", ""},
	{"page without title", 500, "<html><body>x", llm.ProviderError, "the provider answered with a page, not with JSON", ""},
	{"plain text", 500, "upstream\n connect error", llm.ProviderError, "upstream connect error", ""},
	{"redirect", 302, "", llm.ProviderMalformed, "the provider answered 302 Found", ""},
	{"text error", 404, `{"error":"model 'x' not found"}`, llm.ProviderRejected, "model 'x' not found", ""},
	{"gateway's shape", 500, `{"status":"failure","message":"x-config invalid"}`, llm.ProviderError, "x-config invalid", "failure"},
	{"problem details", 503, `{"type":"about:blank","title":"Busy","status":503,"detail":"come back"}`, llm.ProviderOverloaded, "come back", "about:blank"},
	{"problem title", 400, `{"title":"Bad"}`, llm.ProviderRejected, "Bad", ""},
	{"detail list", 422, `{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}`, llm.ProviderRejected, "field required", ""},
	{"errors list", 403, `{"errors":[{"code":"x","message":"not allowed"}]}`, llm.ProviderAuthFailed, "not allowed", "x"},
	{"array of error", 400, `[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]`, llm.ProviderRejected, "bad", "INVALID_ARGUMENT"},
	{"vLLM's shape", 400, `{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}`, llm.ProviderRejected, "too long", "BadRequestError"},
	{"in a stream", 0, `{"error":{"message":"x","type":"server_error"}}`, llm.ProviderError, "x", "server_error"},
	{"number in a stream", 0, `{"error":{"message":"x","code":429}}`, llm.ProviderRateLimited, "x", ""},
	{"word in a stream", 0, `{"error":{"message":"x","type":"overloaded_error"}}`, llm.ProviderOverloaded, "x", "overloaded_error"},
	{"status 200", 200, `{"error":{"message":"x","type":"invalid_request_error"}}`, llm.ProviderRejected, "x", "invalid_request_error"},
	{"nothing at all", 0, ``, llm.ProviderError, "the provider reported an error without saying which", ""},
	{"wrong types", 400, `{"error":{"message":7,"type":[],"code":{},"param":1}}`, llm.ProviderRejected, "the provider answered 400 Bad Request", ""},
}

func TestDecodeError(t *testing.T) {
	for _, test := range providerErrors {
		t.Run(test.name, func(t *testing.T) {
			e := openai.DecodeError(test.status, nil, []byte(test.body))
			if e.Kind != test.kind || e.Message != test.message || e.Code != test.code {
				t.Errorf("got %s, %q, code %q; want %s, %q, code %q", e.Kind, e.Message, e.Code, test.kind, test.message, test.code)
			}
			if test.status >= 300 && e.Status != test.status {
				t.Errorf("status %d, want %d", e.Status, test.status)
			}
		})
	}
	if e := openai.DecodeError(400, nil, []byte(`{"error":{"message":"m","param":"messages[0].role"}}`)); e.Param != "messages[0].role" {
		t.Errorf("param %q", e.Param)
	}
}

func TestDecodeErrorRetryAfter(t *testing.T) {
	date := http.Header{"Date": {"Sun, 01 Mar 2026 12:00:00 GMT"}, "Retry-After": {"Sun, 01 Mar 2026 12:00:09 GMT"}}
	reset := http.Header{"X-Ratelimit-Reset-Requests": {"6m0s"}}
	for _, test := range []struct {
		name   string
		status int
		header http.Header
		want   time.Duration
	}{
		{"by the provider's clock", 503, date, 9 * time.Second},
		{"reset of a rate limit", 429, reset, 6 * time.Minute},
		{"reset has nothing to do with it", 500, reset, 0},
		{"none", 429, nil, 0},
	} {
		if e := openai.DecodeError(test.status, test.header, nil); e.RetryAfter != test.want {
			t.Errorf("%s: %v, want %v", test.name, e.RetryAfter, test.want)
		}
	}
}

// What a body says of when to try again, wherever it stands.
func TestDecodeErrorHints(t *testing.T) {
	for body, want := range map[string]time.Duration{
		`{"error":{"message":"Please try again in 1.5s.","code":"rate_limit_exceeded"}}`:                                                                                             1500 * time.Millisecond,
		`[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"x"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"13s"}]}}]`: 13 * time.Second,
		`{"error":{"message":"x","retry_after":2.5}}`:                    2500 * time.Millisecond,
		`{"error":{"message":"x","retry_after":"350ms"}}`:                350 * time.Millisecond,
		`{"error":"Model m is currently loading","estimated_time":20.0}`: 20 * time.Second,
		`{"error":{"message":"x","retry_after":null}}`:                   0,
		`{"error":{"message":"x","retry_after":-1}}`:                     0,
		`{"error":{"message":"x","retry_after":1e9}}`:                    0,
		`{"error":{"message":"x","retry_after":{"a":1}}}`:                0,
		`{"error":{"message":"x","details":"retryDelay"}}`:               0,
		`{"error":{"message":"x","details":[{"retryDelay":"-3s"}]}}`:     0,
	} {
		if e := openai.DecodeError(429, nil, []byte(body)); e.RetryAfter != want {
			t.Errorf("%s: %v, want %v", body, e.RetryAfter, want)
		}
	}
}

func TestDecodeErrorObeysShouldRetry(t *testing.T) {
	for value, want := range map[string]bool{"false": true, "true": false, "": false} {
		e := openai.DecodeError(500, http.Header{"X-Should-Retry": {value}}, nil)
		if e.NoRetry != want {
			t.Errorf("x-should-retry: %q gives %v", value, e.NoRetry)
		}
	}
}

// The answers of other dialects are read well enough for failure.Classify.
func TestErrorSignal(t *testing.T) {
	for _, test := range []struct {
		body                 string
		code, kind, inner, m string
	}{
		{`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, "", "overloaded_error", "", "Overloaded"},
		{`{"__type":"com.amazon#ThrottlingException","message":"slow"}`, "", "com.amazon#ThrottlingException", "", "slow"},
		{`{"Message":"no access"}`, "", "", "", "no access"},
		{`{"error":{"message":"m","type":"server_error","code":"x","error_type":"provider_truncated"}}`, "x", "server_error", "provider_truncated", "m"},
		{`{"error":{"message":"m","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, "content_filter", "", "ResponsibleAIPolicyViolation", "m"},
	} {
		s := openai.ErrorSignal(400, nil, []byte(test.body))
		if s.Code != test.code || s.Type != test.kind || s.Inner != test.inner || s.Message != test.m || s.Status != 400 || s.Dialect != "openai" {
			t.Errorf("%s: %+v", test.body, s)
		}
	}
}

func TestDecodeErrorKeepsSecretsBack(t *testing.T) {
	for _, text := range []string{
		"Incorrect API key provided: sk-proj-ab12****wxyz. You can find",
		"key sk-SECRET1234567890SECRET", "header Authorization: Bearer SECRET.abc-def", "bearer  SECRET", "gsk_SECRETSECRET", "AIzaSECRETSECRET12345", "AKIASECRETSECRET1234",
	} {
		body, _ := json.Marshal(map[string]any{"error": map[string]any{"message": text, "code": text, "param": text}})
		e := openai.DecodeError(401, nil, body)
		for _, said := range []string{e.Message, e.Code, e.Param, openai.DecodeError(500, nil, []byte(text)).Message} {
			if strings.Contains(said, "SECRET") || strings.Contains(said, "ab12") || !strings.Contains(said, "***") {
				t.Errorf("%q became %q", text, said)
			}
		}
	}
}

func FuzzDecodeError(f *testing.F) {
	f.Add(429, []byte(`{"error":{"message":"`+strings.Repeat("é", 900)+`","code":"x"}}`))
	f.Add(500, []byte("<title>\xff</title>"))
	f.Add(0, []byte(`[{"error":{"code":-1e99,"details":[[]]}}]`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := openai.DecodeError(status, nil, body)
		if len(e.Message) > 500 || e.Message == "" || !utf8.ValidString(e.Message) || e.Kind.Domain() != llm.ProviderFault {
			t.Fatalf("%s: %d bytes: %q", e.Kind, len(e.Message), e.Message)
		}
		if !json.Valid(openai.EncodeError(e)) {
			t.Fatalf("not JSON: %s", openai.EncodeError(e))
		}
	})
}

// errorTypes are errors with OpenAI's word for each.
var errorTypes = []struct {
	e    llm.Error
	want string
}{
	{llm.Error{Kind: llm.CallerInvalidRequest}, "invalid_request_error"},
	{llm.Error{Kind: llm.CallerUnauthenticated}, "authentication_error"},
	{llm.Error{Kind: llm.CallerForbidden}, "permission_error"},
	{llm.Error{Kind: llm.CallerUnknownModel}, "not_found_error"},
	{llm.Error{Kind: llm.CallerTooLarge}, "invalid_request_error"},
	{llm.Error{Kind: llm.ProviderRateLimited}, "rate_limit_error"},
	{llm.Error{Kind: llm.PolicyBudgetExceeded}, "rate_limit_error"},
	{llm.Error{Kind: llm.ProviderTimeout}, "timeout_error"},
	{llm.Error{Kind: llm.ProviderError}, "server_error"},
	{llm.Error{Kind: llm.ProviderRejected, Status: 404, Code: "model_not_found", Param: "model"}, "not_found_error"},
}

func TestEncodeError(t *testing.T) {
	e := &llm.Error{
		Kind: llm.PolicyOverloaded, Message: "queue full: \"500\"", Limit: "queue.max_size", Value: "500", Fix: "Retry in 4 s.",
		SupportID: "req_1", Err: errors.New("secret cause"),
	}
	want := `{"error":{"message":"queue full: \"500\" (queue.max_size = 500). Retry in 4 s.","type":"server_error","param":null,` +
		`"code":"policy_overloaded","error_type":"policy_overloaded","support_id":"req_1"}}`
	if diff := cmp.Diff(want, string(openai.EncodeError(e))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("data: "+want+"\n\n", string(openai.ErrorEvent(e))); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	for _, test := range errorTypes {

		var got struct {
			Error struct {
				Type, Code, Param, Message string
				ErrorType                  string `json:"error_type"`
			}
		}
		if err := json.Unmarshal(openai.EncodeError(&test.e), &got); err != nil {
			t.Fatal(err)
		}
		code := test.e.Code
		if code == "" {
			code = string(test.e.Kind)
		}
		if got.Error.Type != test.want || got.Error.Code != code || got.Error.ErrorType != string(test.e.Kind) || got.Error.Param != test.e.Param {
			t.Errorf("%s: %+v", test.e.Kind, got.Error)
		}
	}
}

// What ErrorEvent writes, Reader reads as an error, whatever the kind.
func TestErrorEventFailsTheStream(t *testing.T) {
	for _, kind := range llm.Kinds() {
		event := openai.ErrorEvent(&llm.Error{Kind: kind, Message: "x\n\ndata: [DONE]\n\n"})
		if o := read(openai.ReaderOptions{}, event); o.Kind == "" || o.Kind == llm.ProviderTruncated && kind != llm.ProviderTruncated || o.Events > 0 {
			t.Errorf("%s: %+v", kind, o)
		}
	}
}
