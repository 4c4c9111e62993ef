package bedrock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

// server answers the SDK without a network, and counts how often it was asked.
type server struct {
	status int
	header http.Header
	body   []byte
	asked  int
	sent   []byte
}

func (s *server) Do(r *http.Request) (*http.Response, error) {
	s.asked++
	if r.Body != nil {
		s.sent, _ = io.ReadAll(r.Body)
	}
	return &http.Response{
		StatusCode: s.status, Status: http.StatusText(s.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: s.header, Body: io.NopCloser(bytes.NewReader(s.body)), ContentLength: int64(len(s.body)), Request: r,
	}, nil
}

// sdk is the unmodified client of AWS, with its own decisions about retries, but without
// waiting between them.
func sdk(s *server) *bedrockruntime.Client {
	return bedrockruntime.New(bedrockruntime.Options{
		Region: "eu-central-1", HTTPClient: s, BaseEndpoint: aws.String("http://bedrock.test"),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			o.RateLimiter = ratelimit.None
		}),
	})
}

var hello = &bedrockruntime.ConverseInput{
	ModelId:  aws.String("eu.anthropic.claude-haiku-4-5-20251001-v1:0"),
	Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "hello"}}}},
}

// TestErrorsOfTheSDK tells AWS's SDK of an error of every kind: the type that it makes of
// it, and whether it tries again.
func TestErrorsOfTheSDK(t *testing.T) {
	want := map[llm.Kind]string{
		llm.CallerInvalidRequest: "400 ValidationException", llm.CallerUnauthenticated: "403 UnrecognizedClientException",
		llm.CallerForbidden: "403 AccessDeniedException", llm.CallerNotFound: "404 ResourceNotFoundException",
		llm.CallerMethodNotAllowed: "405 UnknownOperationException", llm.CallerUnknownOperation: "404 ResourceNotFoundException",
		llm.CallerUnknownModel: "404 ResourceNotFoundException", llm.CallerTooLarge: "413 ValidationException",
		llm.CallerTooSlow: "408 RequestTimeoutException, tried 3 times", llm.CallerUnsupportedMedia: "415 ValidationException",
		llm.CallerConflict: "400 ConflictException", llm.CallerDeadline: "408 ModelTimeoutException",
		llm.CallerCancelled: "408 ModelTimeoutException", llm.CallerNotCached: "404 ResourceNotFoundException",
		llm.PolicyOverloaded: "503 ServiceUnavailableException, tried 3 times", llm.PolicyRateLimited: "429 ThrottlingException, tried 3 times",
		llm.PolicyBudgetExceeded: "400 ServiceQuotaExceededException", llm.PolicyBlocked: "400 ValidationException",
		llm.PolicyBreakerOpen: "503 ServiceUnavailableException, tried 3 times", llm.PolicyResidency: "403 AccessDeniedException",
		llm.ProviderRateLimited: "429 ThrottlingException, tried 3 times", llm.ProviderOverloaded: "503 ServiceUnavailableException, tried 3 times",
		llm.ProviderError: "500 InternalServerException, tried 3 times", llm.ProviderTimeout: "408 ModelTimeoutException",
		llm.ProviderConnectionFailed: "503 ServiceUnavailableException, tried 3 times", llm.ProviderTruncated: "500 InternalServerException, tried 3 times",
		llm.ProviderMalformed: "500 InternalServerException, tried 3 times", llm.ProviderAuthFailed: "424 ModelErrorException",
		llm.ProviderQuotaExceeded: "400 ServiceQuotaExceededException", llm.ProviderRejected: "400 ValidationException",
		llm.ProviderFiltered: "400 ValidationException", llm.ProviderContextExceeded: "400 ValidationException",
		llm.ForebayInternal: "500 InternalServerException, tried 3 times", llm.ForebayUnavailable: "503 ServiceUnavailableException, tried 3 times",
		llm.ForebayDraining: "503 ServiceUnavailableException, tried 3 times",
	}
	got := map[llm.Kind]string{}
	for _, kind := range llm.Kinds() {
		said, err := told(&llm.Error{Kind: kind, Message: "what happened", SupportID: "req-1"})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		got[kind] = said
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

// told is what the SDK makes of an error: status, code and tries. Types that its model
// has must be those types.
func told(e *llm.Error) (string, error) {
	name, body := bedrock.EncodeError(e)
	s := &server{status: bedrock.Status(e), body: body, header: http.Header{"X-Amzn-Errortype": {name}, "Content-Type": {"application/json"}}}
	_, err := sdk(s).Converse(context.Background(), hello)
	var api smithy.APIError
	if !errors.As(err, &api) {
		return "", fmt.Errorf("no API error: %w", err)
	}
	if api.ErrorMessage() != "what happened" {
		return "", fmt.Errorf("message %q", api.ErrorMessage())
	}
	var generic *smithy.GenericAPIError
	if modelled := !strings.HasPrefix(name, "Unrec") && !strings.HasPrefix(name, "Unkn") && !strings.HasPrefix(name, "RequestT"); errors.As(err, &generic) == modelled {
		return "", fmt.Errorf("%T for %s", api, name)
	}
	said := fmt.Sprintf("%d %s", s.status, api.ErrorCode())
	if s.asked > 1 {
		said += fmt.Sprintf(", tried %d times", s.asked)
	}
	return said, nil
}

// TestProviderErrorsOfTheSDK passes Bedrock's own errors on: the caller gets the type and
// the status that Bedrock gave.
func TestProviderErrorsOfTheSDK(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		said   string
	}{
		{"ModelErrorException", 424, "424 ModelErrorException"},
		{"ModelNotReadyException", 429, "429 ModelNotReadyException"},
		{"ModelTimeoutException", 408, "408 ModelTimeoutException"},
		{"AccessDeniedException", 403, "403 AccessDeniedException"},
		{"ResourceNotFoundException", 404, "404 ResourceNotFoundException"},
		{"ThrottlingException", 429, "429 ThrottlingException, tried 3 times"},
		{"ServiceQuotaExceededException", 400, "400 ServiceQuotaExceededException"},
	} {
		h := http.Header{"X-Amzn-Errortype": {c.name + ":http://internal.amazon.com/coral/com.amazon.bedrock/"}}
		e := bedrock.DecodeError(c.status, h, []byte(`{"message":"what happened"}`))
		if said, err := told(e); err != nil || said != c.said {
			t.Errorf("%s: %s, %v", c.name, said, err)
		}
	}
}

// TestErrorEventOfTheSDK cuts a stream with an exception: the SDK gives what came before,
// then the typed error, and tries nothing again.
func TestErrorEventOfTheSDK(t *testing.T) {
	want := map[llm.Kind]string{
		llm.ProviderRateLimited: "ThrottlingException", llm.ProviderQuotaExceeded: "ThrottlingException",
		llm.ProviderOverloaded: "ServiceUnavailableException", llm.ForebayDraining: "ServiceUnavailableException",
		llm.ProviderError: "ModelStreamErrorException", llm.ProviderTruncated: "ModelStreamErrorException",
		llm.ProviderMalformed: "ModelStreamErrorException", llm.ProviderConnectionFailed: "ModelStreamErrorException",
		llm.ProviderTimeout: "modelTimeoutException", llm.CallerDeadline: "modelTimeoutException",
		llm.ForebayInternal: "InternalServerException", llm.CallerInvalidRequest: "ValidationException",
		llm.ProviderFiltered: "ValidationException", llm.PolicyBlocked: "ValidationException",
	}
	for kind, code := range want {
		stream := bedrock.AppendEvent(nil, "messageStart", []byte(`{"role":"assistant"}`))
		stream = bedrock.AppendEvent(stream, "contentBlockDelta", []byte(`{"contentBlockIndex":0,"delta":{"text":"hel"}}`))
		stream = append(stream, bedrock.ErrorEvent(&llm.Error{Kind: kind, Message: "what happened", SupportID: "req-1"})...)
		s := &server{status: 200, body: stream, header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}}
		out, err := sdk(s).ConverseStream(context.Background(), &bedrockruntime.ConverseStreamInput{ModelId: hello.ModelId, Messages: hello.Messages})
		if err != nil {
			t.Fatal(err)
		}
		events := 0
		for range out.GetStream().Events() {
			events++
		}
		err = out.GetStream().Err()
		out.GetStream().Close()
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != code || api.ErrorMessage() != "what happened" || events != 2 || s.asked != 1 {
			t.Errorf("%s: %d events, asked %d times, %v", kind, events, s.asked, err)
		}
	}
}

// TestStreamsOfTheSDK gives the SDK what Compose and Reshape make.
func TestStreamsOfTheSDK(t *testing.T) {
	req := &llm.Request{ID: "1", Endpoint: llm.Chat, Model: "eu.anthropic.claude-haiku-4-5", Stream: true, Dialect: bedrock.Converse{}}
	s := &server{status: 200, body: bedrock.Converse{}.Compose(req, "good day"), header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}}
	out, err := sdk(s).ConverseStream(context.Background(), &bedrockruntime.ConverseStreamInput{ModelId: hello.ModelId, Messages: hello.Messages})
	if err != nil {
		t.Fatal(err)
	}
	said, ended := "", false
	for e := range out.GetStream().Events() {
		switch e := e.(type) {
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			if text, ok := e.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
				said += text.Value
			}
		case *types.ConverseStreamOutputMemberMetadata:
			ended = e.Value.Usage != nil && *e.Value.Usage.TotalTokens == 0
		}
	}
	if err := out.GetStream().Err(); err != nil || said != "good day" || !ended {
		t.Errorf("%q, %v, %v", said, ended, err)
	}
	out.GetStream().Close()

	if _, err := bedrock.ParseConverse(s.sent); err != nil {
		t.Errorf("what the SDK sends: %v\n%s", err, s.sent)
	}
	s = &server{status: 200, body: bedrock.Invoke{}.Compose(req, "good day"), header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}}
	chunks, err := sdk(s).InvokeModelWithResponseStream(context.Background(), &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: hello.ModelId, Body: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	var last []byte
	for e := range chunks.GetStream().Events() {
		if part, ok := e.(*types.ResponseStreamMemberChunk); ok {
			last = part.Value.Bytes
		}
	}
	if err := chunks.GetStream().Err(); err != nil || !strings.HasPrefix(string(last), `{"type":"message_stop"`) {
		t.Errorf("%s, %v", last, err)
	}
	chunks.GetStream().Close()
}
