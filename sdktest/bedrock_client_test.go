package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	// pairID and pairSecret are what callers sign with.
	pairID     = "FOREBAYPAIR000000001"
	pairSecret = "the-secret-access-key-of-a-caller+/="
	// figuresID and figuresSecret are a pair that may call nothing.
	figuresID     = "FOREBAYFIGURES000001"
	figuresSecret = "the-secret-access-key-of-a-reader"
)

// Ids of models as callers have them.
const (
	haiku   = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
	profile = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
	titan   = "amazon.titan-embed-text-v2:0"
)

// awsClient is the unmodified SDK, with what a test wants to see of its work.
type awsClient struct {
	*bedrockruntime.Client
	attempts atomic.Int32 // requests that it sent
}

// aws is AWS's SDK in front of the gateway. Its retries are its own, but come at once.
func (r *rig) aws(t *testing.T, change ...func(*bedrockruntime.Options)) *awsClient {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	c := &awsClient{}
	o := bedrockruntime.Options{
		Region: region, BaseEndpoint: aws.String(r.gateway.url + "/bedrock"),
		Credentials: credentials.NewStaticCredentialsProvider(pairID, pairSecret, ""),
		HTTPClient: &http.Client{Transport: carrier(func(r *http.Request) (*http.Response, error) {
			c.attempts.Add(1)
			// smithy-go 1.28.8 closes a body as soon as the answer's head is there, and its
			// WriteTo then reports EOF as an error, for which net/http breaks the connection under
			// the answer. AWS is too far away for that; a gateway on this machine is not. Without
			// WriteTo nothing is wrong.
			if r.Body != nil {
				r.Body = struct{ io.ReadCloser }{r.Body}
			}
			return transport.RoundTrip(r)
		})},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		}),
	}
	for _, f := range change {
		f(&o)
	}
	c.Client = bedrockruntime.New(o)
	return c
}

// once has the SDK try nothing again.
func once(o *bedrockruntime.Options) { o.Retryer = aws.NopRetryer{} }

// carrier sends requests.
type carrier func(*http.Request) (*http.Response, error)

func (f carrier) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// through puts f between the SDK, which has signed, and the connection.
func through(f func(r *http.Request, send carrier) (*http.Response, error)) func(*bedrockruntime.Options) {
	return func(o *bedrockruntime.Options) {
		client := o.HTTPClient.(*http.Client)
		next := client.Transport.RoundTrip
		o.HTTPClient = &http.Client{Transport: carrier(func(r *http.Request) (*http.Response, error) { return f(r, next) })}
	}
}

// wantAttempts checks how many requests the SDK sent since the last check.
func (c *awsClient) wantAttempts(t *testing.T, want int32) {
	t.Helper()
	if got := c.attempts.Swap(0); got != want {
		t.Errorf("the SDK made %d attempts, want %d", got, want)
	}
}

// user is a conversation of one message.
func user(words string, more ...types.ContentBlock) []types.Message {
	content := append([]types.ContentBlock{&types.ContentBlockMemberText{Value: words}}, more...)
	return []types.Message{{Role: types.ConversationRoleUser, Content: content}}
}

// asking is a request of Converse.
func asking(model, words string) *bedrockruntime.ConverseInput {
	return &bedrockruntime.ConverseInput{ModelId: &model, Messages: user(words)}
}

// streaming is a request of ConverseStream.
func streaming(model, words string) *bedrockruntime.ConverseStreamInput {
	return &bedrockruntime.ConverseStreamInput{ModelId: &model, Messages: user(words)}
}

// said is the text of an answer.
func said(out *bedrockruntime.ConverseOutput) string {
	if out == nil {
		return ""
	}
	text := ""
	if m, ok := out.Output.(*types.ConverseOutputMemberMessage); ok {
		for _, c := range m.Value.Content {
			if c, ok := c.(*types.ContentBlockMemberText); ok {
				text += c.Value
			}
		}
	}
	return text
}

// tool is a tool that an answer asks for.
type tool struct{ id, name, input string }

// called are the tools that a message asks for.
func called(t *testing.T, out *bedrockruntime.ConverseOutput) (all []tool) {
	t.Helper()
	for _, c := range out.Output.(*types.ConverseOutputMemberMessage).Value.Content {
		if use, ok := c.(*types.ContentBlockMemberToolUse); ok {
			var input any
			if err := use.Value.Input.UnmarshalSmithyDocument(&input); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(input)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, tool{*use.Value.ToolUseId, *use.Value.Name, string(text)})
		}
	}
	return all
}

// heard is what a stream of Converse brought.
type heard struct {
	text, stop string
	tool       tool
	deltas     int
	usage      *types.TokenUsage
	err        error
}

// hear reads a stream to its end, as the SDK's documentation shows it.
func hear(out *bedrockruntime.ConverseStreamOutput, err error) heard {
	if err != nil {
		return heard{err: err}
	}
	s := out.GetStream()
	defer s.Close()
	var got heard
	for event := range s.Events() {
		switch e := event.(type) {
		case *types.ConverseStreamOutputMemberContentBlockStart:
			if use, ok := e.Value.Start.(*types.ContentBlockStartMemberToolUse); ok {
				got.tool.id, got.tool.name = *use.Value.ToolUseId, *use.Value.Name
			}
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			got.deltas++
			switch d := e.Value.Delta.(type) {
			case *types.ContentBlockDeltaMemberText:
				got.text += d.Value
			case *types.ContentBlockDeltaMemberToolUse:
				got.tool.input += *d.Value.Input
			}
		case *types.ConverseStreamOutputMemberMessageStop:
			got.stop = string(e.Value.StopReason)
		case *types.ConverseStreamOutputMemberMetadata:
			got.usage = e.Value.Usage
		}
	}
	got.err = s.Err()
	return got
}

// header are the headers of an answer.
func header(t *testing.T, m middleware.Metadata) http.Header {
	t.Helper()
	res, ok := awsmiddleware.GetRawResponse(m).(*smithyhttp.Response)
	if !ok {
		t.Fatal("the SDK shows no answer")
	}
	return res.Header
}

// is says that err is an error of the SDK's type E.
func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// code is an error's type as AWS names it.
func code(err error) string {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return ""
	}
	return e.ErrorCode()
}

// mustFail checks an error's type and parts of what it says.
func mustFail(t *testing.T, err error, want string, parts ...string) {
	t.Helper()
	if err == nil || code(err) != want {
		t.Errorf("the error is %v, want %s", err, want)
		return
	}
	says(t, "the error", err.Error(), parts...)
	for _, secret := range []string{pairSecret, roleSecret, roleToken, bedrockToken} {
		if strings.Contains(err.Error(), secret) {
			t.Error("the error has a secret")
		}
	}
}

// fronts are the two kinds of providers that a caller of the Bedrock door may have
// behind it: one that speaks as the caller does, and one that is translated for.
func fronts(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	for name, s := range map[string]setup{
		"Bedrock": {bedrock: newBedrock(t, true)},
		"OpenAI":  {},
	} {
		t.Run(name, func(t *testing.T) { f(t, newRig(t, s)) })
	}
}

// ended returns a context that ends before a test does, so that an SDK that hangs says so.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// drain reads a body to its end.
func drain(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b)
}
