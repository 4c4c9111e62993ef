package bedrock_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

func TestDecodeError(t *testing.T) {
	typed := func(name string) http.Header { return http.Header{"X-Amzn-Errortype": {name}} }
	for _, c := range []struct {
		name   string
		status int
		header http.Header
		body   string
		kind   llm.Kind
		code   string
		says   string
	}{
		{"header", 429, typed("ThrottlingException"), `{"message":"Too many requests"}`, llm.ProviderRateLimited, "ThrottlingException", "Too many requests"},
		{"address", 400, typed("ValidationException:http://internal.amazon.com/"), `{"message":"bad"}`, llm.ProviderRejected, "ValidationException", "bad"},
		{"body", 400, nil, `{"__type":"com.amazon.coral.validate#ValidationException","Message":"bad"}`, llm.ProviderRejected, "ValidationException", "bad"},
		{"code", 400, nil, `{"code":"ServiceQuotaExceededException","message":"quota"}`, llm.ProviderQuotaExceeded, "ServiceQuotaExceededException", "quota"},
		{"context", 400, typed("ValidationException"), `{"message":"Input is too long for requested model."}`, llm.ProviderContextExceeded, "ValidationException", "Input is too long for requested model."},
		{"signature", 403, typed("InvalidSignatureException"), `{"message":"Signature expired"}`, llm.ProviderAuthFailed, "InvalidSignatureException", "Signature expired"},
		{"access", 403, typed("AccessDeniedException"), `{"Message":"User: arn:aws:iam::1:user/x is not authorized"}`, llm.ProviderRejected, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized"},
		{"gone", 404, typed("ResourceNotFoundException"), `{"message":"This model version has reached the end of its life."}`, llm.ProviderRejected, "ResourceNotFoundException", "This model version has reached the end of its life."},
		{"model", 424, typed("ModelErrorException"), `{"originalMessage":"boom","originalStatusCode":500}`, llm.ProviderError, "ModelErrorException", "boom"},
		{"too slow", 408, typed("ModelTimeoutException"), `{"message":"x"}`, llm.ProviderTimeout, "ModelTimeoutException", "x"},
		{"not ready", 429, typed("ModelNotReadyException"), `{"message":"x"}`, llm.ProviderOverloaded, "ModelNotReadyException", "x"},
		{"load balancer", 503, nil, `<html><body>503 Service Unavailable</body></html>`, llm.ProviderOverloaded, "", "the provider answered with a page, not with JSON"},
		{"plain", 502, nil, "upstream\n  failed", llm.ProviderError, "", "upstream failed"},
		{"nothing", 500, nil, ``, llm.ProviderError, "", "the provider answered 500 Internal Server Error"},
		{"type alone", 500, typed("InternalServerException"), `{}`, llm.ProviderError, "InternalServerException", "the provider reported InternalServerException"},
		{"not known", 0, nil, `{}`, llm.ProviderError, "", "the provider reported an error without saying which"},
		{"another Forebay", 400, typed("ServiceQuotaExceededException"), `{"message":"x","error_type":"policy_budget_exceeded"}`, llm.ProviderQuotaExceeded, "ServiceQuotaExceededException", "x"},
		{"anthropic's", 0, nil, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, llm.ProviderOverloaded, "overloaded_error", "Overloaded"},
		{"keys", 403, typed("UnrecognizedClientException"), `{"message":"key AKIAIOSFODNN7EXAMPLE and Bearer abc.def and bedrock-api-key-YmVkcm9jay5hbWF6"}`, llm.ProviderAuthFailed, "UnrecognizedClientException", "key *** and *** and ***"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := bedrock.DecodeError(c.status, c.header, []byte(c.body))
			if e.Kind != c.kind || e.Code != c.code || e.Message != c.says || e.Status != c.status {
				t.Errorf("%s, %s, %q, %d", e.Kind, e.Code, e.Message, e.Status)
			}
		})
	}
	long := bedrock.DecodeError(400, nil, []byte(`{"message":"`+strings.Repeat("ü", 5000)+`"}`))
	if len(long.Message) > 500 {
		t.Errorf("%d bytes", len(long.Message))
	}
	wait := bedrock.DecodeError(429, http.Header{"X-Amzn-Errortype": {"ThrottlingException"}, "Retry-After": {"7"}}, nil)
	if wait.RetryAfter != 7*time.Second {
		t.Errorf("%v", wait.RetryAfter)
	}
	s := bedrock.ErrorSignal(400, http.Header{"X-Amzn-Errortype": {"ValidationException"}}, []byte(`{"message":"m"}`))
	want := failure.Signal{Dialect: failure.Bedrock, Status: 400, Code: "ValidationException", Message: "m", Header: s.Header}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEncodeError(t *testing.T) {
	name, body := bedrock.EncodeError(&llm.Error{
		Kind: llm.CallerInvalidRequest, Message: "no \"such\" thing", Limit: "max", Value: "3", Fix: "Send less.",
		Param: "messages", Code: "x", SupportID: "req-1", Err: http.ErrBodyNotAllowed,
	})
	want := `{"__type":"ValidationException","message":"no \"such\" thing (max = 3). Send less.","error_type":"caller_invalid_request","code":"x","param":"messages","support_id":"req-1"}`
	if name != "ValidationException" || string(body) != want {
		t.Errorf("%s, %s", name, body)
	}
	for _, c := range []struct {
		e      llm.Error
		name   string
		status int
	}{
		{llm.Error{Kind: llm.CallerUnauthenticated, Code: "InvalidSignatureException"}, "InvalidSignatureException", 403},
		{llm.Error{Kind: llm.CallerUnauthenticated, Code: "whatever"}, "UnrecognizedClientException", 403},
		{llm.Error{Kind: llm.ProviderRejected, Status: 404}, "ResourceNotFoundException", 404},
		{llm.Error{Kind: llm.ProviderRejected, Status: 403}, "AccessDeniedException", 403},
		{llm.Error{Kind: llm.ProviderRejected, Status: 409}, "ConflictException", 400},
		{llm.Error{Kind: llm.ProviderRejected, Status: 422}, "ValidationException", 400},
		{llm.Error{Kind: llm.ProviderRateLimited, Code: "ModelErrorException"}, "ThrottlingException", 429},
		{llm.Error{Kind: "not a kind"}, "InternalServerException", 500},
	} {
		if name, _ := bedrock.EncodeError(&c.e); name != c.name || bedrock.Status(&c.e) != c.status {
			t.Errorf("%+v: %s, %d", c.e, name, bedrock.Status(&c.e))
		}
	}
	for _, kind := range llm.Kinds() { // what goes out comes back as a fault of the provider's, or of the same kind
		e, n, err := bedrock.NextEvent(bedrock.ErrorEvent(&llm.Error{Kind: kind, Message: "m"}))
		if err != nil || n == 0 || !e.Exception || !strings.HasSuffix(e.Type, "Exception") || !strings.Contains(string(e.Payload), `"message":"m"`) {
			t.Errorf("%s: %+v, %v", kind, e, err)
		}
	}
}

func FuzzDecodeError(f *testing.F) {
	f.Add(400, "ValidationException:http://x", []byte(`{"message":"m"}`))
	f.Add(0, "", []byte(`{"error":{"type":"x","message":3}}`))
	f.Add(503, "#", []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, name string, body []byte) {
		e := bedrock.DecodeError(status, http.Header{"X-Amzn-Errortype": {name}}, body)
		if e.Kind.Domain() != llm.ProviderFault || e.Message == "" || len(e.Message) > 600 || len(e.Code) > 250 {
			t.Fatalf("%+v", e)
		}
		word, told := bedrock.EncodeError(e)
		if again := bedrock.DecodeError(bedrock.Status(e), http.Header{"X-Amzn-Errortype": {word}}, told); again.Message == "" {
			t.Fatalf("%s %s: %+v", word, told, again)
		}
	})
}
