package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	smithybearer "github.com/aws/smithy-go/auth/bearer"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/access/sigv4"
	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

const (
	pairID     = "FOREBAYWEB0000000001"
	pairSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	expiredID  = "FOREBAYEXPIRED000001"
	haiku      = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
	profile    = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0"
)

func pairKeys() []access.Key {
	return append(keys(),
		access.Key{Name: "sdk", Secret: pairSecret, AccessKeyID: pairID, Tenant: "acme", Bands: llm.Priorities[:]},
		access.Key{Name: "old", Secret: "old-secret-of-a-pair", AccessKeyID: expiredID, Expires: time.Unix(1, 0)},
		access.Key{Name: "figures", Secret: "figures-secret-of-a-pair", AccessKeyID: "FOREBAYFIGURES000001", Scopes: []string{access.Metrics}})
}

// sdk is an unmodified client of AWS's, but for what change does to its options.
func sdk(t testing.TB, addr string, change func(*bedrockruntime.Options)) *bedrockruntime.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := bedrockruntime.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String("http://" + addr + "/bedrock"),
		Credentials: credentials.NewStaticCredentialsProvider(pairID, pairSecret, ""),
		HTTPClient:  &http.Client{Transport: plain{transport}}, RetryMaxAttempts: 1,
	}
	if change != nil {
		change(&o)
	}
	return bedrockruntime.New(o)
}

// plain hides the WriteTo of bodies, which breaks connections under answers as quick as
// those here (docs/reference/http.md, on Go's SDK near a gateway).
type plain struct{ http.RoundTripper }

func (p plain) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.RoundTripper.RoundTrip(r)
}

// pairDoor serves a gateway over b whose keys have pairs.
func pairDoor(t testing.TB, b *backend) string {
	t.Helper()
	return serve(t, newGateway(t, b, func(c *gateway.Config) { c.Keys = pairKeys() }))
}

const (
	converseAnswer = `{"output":{"message":{"role":"assistant","content":[{"text":"Hello there"}]}},"stopReason":"end_turn","usage":{"inputTokens":9,"outputTokens":2,"totalTokens":11},"metrics":{"latencyMs":12}}`
	toolAnswer     = `{"output":{"message":{"role":"assistant","content":[{"toolUse":{"toolUseId":"t1","name":"weather","input":{"city":"Berlin"}}}]}},"stopReason":"tool_use","usage":{"inputTokens":9,"outputTokens":2,"totalTokens":11},"metrics":{"latencyMs":12}}`
	claudeAnswer   = `{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}`
	claudeBody     = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"hello"}]}`
)

// wholly answers with one body.
func wholly(body string) llmtest.Step {
	return llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) {
		return &llm.OneChunk{Chunk: llm.Chunk{Raw: []byte(body), Events: 1, Last: true, Useful: true, Finish: llm.FinishStop, Usage: llm.Usage{Input: 9, Output: 2}}}, nil
	})
}

// frames is a stream of events; err, where not nil, comes instead of its end.
type frames struct {
	raw [][]byte
	err error
}

func (f *frames) Next() (llm.Chunk, error) {
	if len(f.raw) == 0 {
		if f.err != nil {
			return llm.Chunk{}, f.err
		}
		return llm.Chunk{}, io.EOF
	}
	raw := f.raw[0]
	f.raw = f.raw[1:]
	return llm.Chunk{Raw: raw, Events: 1, Useful: true}, nil
}

func (f *frames) Close() error { return nil }

// inPieces answers with pairs of a type and a payload.
func inPieces(err error, events ...string) llmtest.Step {
	return llmtest.Do(func(context.Context, string, *llm.Request) (llm.Stream, error) {
		f := &frames{err: err}
		for i := 0; i < len(events); i += 2 {
			f.raw = append(f.raw, bedrock.AppendEvent(nil, events[i], []byte(events[i+1])))
		}
		return f, nil
	})
}

func greeting() []string {
	return []string{
		"messageStart", `{"role":"assistant"}`,
		"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hello"}}`,
		"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":" there"}}`,
		"contentBlockStop", `{"contentBlockIndex":0}`,
		"messageStop", `{"stopReason":"end_turn"}`,
		"metadata", `{"usage":{"inputTokens":9,"outputTokens":2,"totalTokens":11},"metrics":{"latencyMs":12}}`,
	}
}

func say(text string) []types.Message {
	return []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}}}}
}

func TestSDKConverse(t *testing.T) {
	for _, model := range []string{haiku, profile, "haiku", "meta/llama"} {
		b := newBackend(wholly(converseAnswer))
		b.meta = forebay.Meta{Provider: "bedrock-eu", Model: haiku, Attempts: 1, CostMicroUSD: 1500}
		var header http.Header
		client := sdk(t, pairDoor(t, b), func(o *bedrockruntime.Options) {
			o.HTTPClient = seeing{o.HTTPClient, func(r *http.Response) { header = r.Header }}
		})
		out, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: &model, Messages: say("hello")})
		if err != nil {
			t.Fatalf("%s: %v", model, err)
		}
		text := out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberText).Value
		if text != "Hello there" || out.StopReason != types.StopReasonEndTurn || *out.Usage.InputTokens != 9 {
			t.Errorf("%s: %q %v", model, text, out)
		}
		req := b.last(t)
		if req.Model != model || req.Stream || req.Endpoint != llm.Chat || req.Dialect.Name() != bedrock.NameConverse || req.Tenant != "acme" || req.Key != "sdk" ||
			string(req.Body) != `{"messages":[{"content":[{"text":"hello"}],"role":"user"}]}` {
			t.Errorf("%s: request %+v %s", model, req, req.Body)
		}
		for name, want := range map[string]string{"X-Forebay-Provider": "bedrock-eu", "X-Forebay-Cost-Usd": "0.0015", "X-Amzn-Requestid": req.ID, "X-Request-Id": req.ID} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

// seeing shows every answer.
type seeing struct {
	next bedrockruntime.HTTPClient
	see  func(*http.Response)
}

func (s seeing) Do(r *http.Request) (*http.Response, error) {
	res, err := s.next.Do(r)
	if err == nil {
		s.see(res)
	}
	return res, err
}

func TestSDKTools(t *testing.T) {
	model := haiku
	b := newBackend(wholly(toolAnswer))
	client := sdk(t, pairDoor(t, b), nil)
	tools := &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String("weather"), InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{"type": "object"})},
	}}}}
	out, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: &model, Messages: say("weather?"), ToolConfig: tools})
	if err != nil {
		t.Fatal(err)
	}
	use := out.Output.(*types.ConverseOutputMemberMessage).Value.Content[0].(*types.ContentBlockMemberToolUse).Value
	var input map[string]string
	if err := use.Input.UnmarshalSmithyDocument(&input); err != nil || *use.Name != "weather" || input["city"] != "Berlin" || out.StopReason != types.StopReasonToolUse {
		t.Errorf("%v %v %v", use, input, err)
	}
	b.provider.Set(inPieces(nil,
		"messageStart", `{"role":"assistant"}`,
		"contentBlockStart", `{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t1","name":"weather"}}}`,
		"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"city\":"}}}`,
		"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"toolUse":{"input":"\"Berlin\"}"}}}`,
		"contentBlockStop", `{"contentBlockIndex":0}`, "messageStop", `{"stopReason":"tool_use"}`,
		"metadata", `{"usage":{"inputTokens":9,"outputTokens":2,"totalTokens":11},"metrics":{"latencyMs":12}}`))
	streamed, err := client.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: &model, Messages: say("weather?"), ToolConfig: tools})
	if err != nil {
		t.Fatal(err)
	}
	arguments, name := "", ""
	for e := range streamed.GetStream().Events() {
		switch e := e.(type) {
		case *types.ConverseStreamOutputMemberContentBlockStart:
			name = *e.Value.Start.(*types.ContentBlockStartMemberToolUse).Value.Name
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			arguments += *e.Value.Delta.(*types.ContentBlockDeltaMemberToolUse).Value.Input
		}
	}
	if err := streamed.GetStream().Err(); err != nil || name != "weather" || arguments != `{"city":"Berlin"}` {
		t.Errorf("%s %s %v", name, arguments, err)
	}
}

// converseStream reads a stream to its end.
func converseStream(t *testing.T, client *bedrockruntime.Client) (text string, usage int32, err error) {
	t.Helper()
	out, err := client.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: say("hello")})
	if err != nil {
		return "", 0, err
	}
	defer out.GetStream().Close()
	for e := range out.GetStream().Events() {
		switch e := e.(type) {
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			text += e.Value.Delta.(*types.ContentBlockDeltaMemberText).Value
		case *types.ConverseStreamOutputMemberMetadata:
			usage = *e.Value.Usage.OutputTokens
		}
	}
	return text, usage, out.GetStream().Err()
}

func TestSDKStream(t *testing.T) {
	b := newBackend(inPieces(nil, greeting()...))
	client := sdk(t, pairDoor(t, b), nil)
	text, usage, err := converseStream(t, client)
	if err != nil || text != "Hello there" || usage != 2 {
		t.Errorf("%q %d %v", text, usage, err)
	}
	if req := b.last(t); !req.Stream || req.Dialect.Name() != bedrock.NameConverse {
		t.Errorf("%+v", req)
	}
}

// TestSDKStreamFails: what fails after the head is a typed error of the stream, and never
// a normal end.
func TestSDKStreamFails(t *testing.T) {
	cut := greeting()[:4]
	for _, c := range []struct {
		kind llm.Kind
		code string
	}{
		{llm.ProviderTruncated, "ModelStreamErrorException"},
		{llm.ProviderRateLimited, "ThrottlingException"},
		{llm.ProviderOverloaded, "ServiceUnavailableException"},
		{llm.ForebayInternal, "InternalServerException"},
		{llm.ProviderRejected, "ValidationException"},
	} {
		b := newBackend(inPieces(&llm.Error{Kind: c.kind, Message: "scripted"}, cut...))
		text, _, err := converseStream(t, sdk(t, pairDoor(t, b), nil))
		var api smithy.APIError
		if text != "Hello" || !errors.As(err, &api) || !strings.EqualFold(api.ErrorCode(), c.code) || !strings.Contains(err.Error(), "scripted") {
			t.Errorf("%s: %q %v", c.kind, text, err)
		}
	}
	var typed *types.ModelStreamErrorException
	b := newBackend(inPieces(&llm.Error{Kind: llm.ProviderTruncated, Message: "scripted"}, cut...))
	if _, _, err := converseStream(t, sdk(t, pairDoor(t, b), nil)); !errors.As(err, &typed) {
		t.Errorf("%T %v", err, err)
	}
}

func TestSDKInvoke(t *testing.T) {
	b := newBackend(wholly(claudeAnswer))
	var header http.Header
	client := sdk(t, pairDoor(t, b), func(o *bedrockruntime.Options) {
		o.HTTPClient = seeing{o.HTTPClient, func(r *http.Response) { header = r.Header }}
	})
	b.meta = forebay.Meta{Usage: llm.Usage{Input: 3, Output: 1}}
	for _, contentType := range []*string{nil, aws.String("application/json")} { // without one the SDK sends application/octet-stream
		out, err := client.InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{ModelId: aws.String(haiku), Body: []byte(claudeBody), ContentType: contentType})
		if err != nil || string(out.Body) != claudeAnswer || *out.ContentType != "application/json" {
			t.Fatalf("%v %v", out, err)
		}
		if in, n := header.Get("X-Amzn-Bedrock-Input-Token-Count"), header.Get("X-Amzn-Bedrock-Output-Token-Count"); in != "3" || n != "1" {
			t.Errorf("%s and %s tokens", in, n)
		}
	}
	if req := b.last(t); req.Dialect.Name() != bedrock.NameInvoke || string(req.Body) != claudeBody || req.Stream {
		t.Errorf("%+v", req)
	}
	b.provider.Set(wholly(`{"embedding":[0.5],"inputTextTokenCount":1}`))
	if _, err := client.InvokeModel(t.Context(), &bedrockruntime.InvokeModelInput{ModelId: aws.String("amazon.titan-embed-text-v2:0"), Body: []byte(`{"inputText":"a"}`)}); err != nil {
		t.Error(err)
	}
	if req := b.last(t); req.Endpoint != llm.Embeddings {
		t.Errorf("%+v", req)
	}
	b.provider.Set(inPieces(nil, "chunk", `{"bytes":"eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0="}`))
	streamed, err := client.InvokeModelWithResponseStream(t.Context(), &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String(haiku), Body: []byte(claudeBody)})
	if err != nil || *streamed.ContentType != "application/json" {
		t.Fatal(err)
	}
	var got string
	for e := range streamed.GetStream().Events() {
		got += string(e.(*types.ResponseStreamMemberChunk).Value.Bytes)
	}
	if streamed.GetStream().Err() != nil || got != `{"type":"message_stop"}` {
		t.Errorf("%q %v", got, streamed.GetStream().Err())
	}
	b.provider.Set(wholly(`{"embedding":[0.5],"inputTextTokenCount":1}`))
	guarded := &bedrockruntime.InvokeModelInput{ModelId: aws.String(haiku), Body: []byte(claudeBody), GuardrailIdentifier: aws.String("g1"), GuardrailVersion: aws.String("1")}
	if _, err := client.InvokeModel(t.Context(), guarded); err != nil {
		t.Error(err)
	}
	const want = "X-Amzn-Bedrock-Guardrailidentifier=g1\nX-Amzn-Bedrock-Guardrailversion=1"
	if req := b.last(t); req.Settings != want {
		t.Errorf("a guardrail is left out: %q", req.Settings)
	}
	conversing := &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
		&types.ContentBlockMemberDocument{Value: types.DocumentBlock{Name: aws.String("d"), Format: types.DocumentFormatPdf, Source: &types.DocumentSourceMemberS3Location{Value: types.S3Location{Uri: aws.String("s3://secret/d.pdf")}}}},
	}}}}
	var validation *types.ValidationException
	if _, err := client.Converse(t.Context(), conversing); !errors.As(err, &validation) || !strings.Contains(err.Error(), "S3") {
		t.Errorf("a location in S3: %v", err)
	}
}

// TestSDKErrors: every kind is an error that the SDK knows by its type, and it is tried
// again where that may help.
func TestSDKErrors(t *testing.T) {
	for _, c := range []struct {
		kind  llm.Kind
		tries int
		is    func(error) bool
	}{
		{llm.ProviderRateLimited, 3, is[*types.ThrottlingException]},
		{llm.PolicyRateLimited, 3, is[*types.ThrottlingException]},
		{llm.PolicyOverloaded, 3, is[*types.ServiceUnavailableException]},
		{llm.ProviderOverloaded, 3, is[*types.ServiceUnavailableException]},
		{llm.ForebayDraining, 3, is[*types.ServiceUnavailableException]},
		{llm.ForebayInternal, 3, is[*types.InternalServerException]},
		{llm.ProviderTimeout, 1, is[*types.ModelTimeoutException]},
		{llm.CallerInvalidRequest, 1, is[*types.ValidationException]},
		{llm.CallerForbidden, 1, is[*types.AccessDeniedException]},
		{llm.CallerUnknownModel, 1, is[*types.ResourceNotFoundException]},
	} {
		b := newBackend(llmtest.Err(&llm.Error{Kind: c.kind, Message: "scripted", Limit: "some.limit", Value: "7"}))
		client := sdk(t, pairDoor(t, b), func(o *bedrockruntime.Options) {
			o.RetryMaxAttempts = 3
			o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.Backoff = 3, retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		})
		_, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: say("hello")})
		if !c.is(err) || !strings.Contains(err.Error(), "scripted (some.limit = 7)") || !strings.Contains(err.Error(), "RequestID: req_") {
			t.Errorf("%s: %v", c.kind, err)
		}
		if n := len(b.provider.Calls()); n != c.tries {
			t.Errorf("%s: tried %d times, want %d", c.kind, n, c.tries)
		}
	}
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// sent changes requests after they were signed.
type sent struct {
	next   bedrockruntime.HTTPClient
	change func(*http.Request)
}

func (s sent) Do(r *http.Request) (*http.Response, error) {
	s.change(r)
	return s.next.Do(r)
}

// TestSDKCredentials: who may call, by what, and what the others are told.
func TestSDKCredentials(t *testing.T) {
	credential := func(id, secret string) func(*bedrockruntime.Options) {
		return func(o *bedrockruntime.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(id, secret, "")
		}
	}
	change := func(f func(*http.Request)) func(*bedrockruntime.Options) {
		return func(o *bedrockruntime.Options) { o.HTTPClient = sent{o.HTTPClient, f} }
	}
	token := func(secret string) func(*bedrockruntime.Options) {
		return func(o *bedrockruntime.Options) {
			o.BearerAuthTokenProvider = smithybearer.StaticTokenProvider{Token: smithybearer.Token{Value: secret}}
			o.AuthSchemePreference = []string{"httpBearerAuth"}
			o.BaseEndpoint = aws.String(strings.Replace(*o.BaseEndpoint, "http:", "https:", 1)) // the SDK sends tokens over TLS only
			o.HTTPClient = sent{o.HTTPClient, func(r *http.Request) { r.URL.Scheme = "http" }}  // which ends before the gateway
		}
	}
	header := func(name, value string) func(*bedrockruntime.Options) {
		return change(func(r *http.Request) { r.Header.Set(name, value) })
	}
	for _, c := range []struct {
		name, want, says string
		options          func(*bedrockruntime.Options)
	}{
		{"as it is", "", "", nil},
		{"another region", "", "", func(o *bedrockruntime.Options) { o.Region = "us-west-2" }},
		{"a bearer token", "", "", token(webKey)},
		{"the secret of a pair as bearer token", "", "", token(pairSecret)},
		{"an unknown bearer token", "UnrecognizedClientException", "not known", token("no-such-key-at-all")},
		{"another secret", "InvalidSignatureException", "secret access key", credential(pairID, "another-secret-entirely")},
		{"an unknown id", "UnrecognizedClientException", "not known", credential("AKIAIOSFODNN7EXAMPLE", pairSecret)},
		{"an expired pair", "UnrecognizedClientException", "expired", credential(expiredID, "old-secret-of-a-pair")},
		{"an expired pair with another secret", "InvalidSignatureException", "secret access key", credential(expiredID, "another-secret-entirely")},
		{"a pair for something else", "AccessDeniedException", "scope call", credential("FOREBAYFIGURES000001", "figures-secret-of-a-pair")},
		{"no credentials", "MissingAuthenticationTokenException", "no key", change(func(r *http.Request) { r.Header.Del("Authorization") })},
		{"ten minutes ago", "InvalidSignatureException", "Signature expired", change(ago(10 * time.Minute))},
		{"in ten minutes", "InvalidSignatureException", "not yet current", change(ago(-10 * time.Minute))},
		{"four minutes ago", "", "", change(ago(4 * time.Minute))},
		{"another body", "InvalidSignatureException", "", change(func(r *http.Request) {
			old, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(string(old), "hello", "jello", 1)))
		})},
		{"a signed header changed", "InvalidSignatureException", "", header("Content-Type", "application/json; charset=utf-8")},
		{"another path", "InvalidSignatureException", "", change(func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/bedrock/model/other/converse", "" })},
		{"another call", "InvalidSignatureException", "", change(func(r *http.Request) { r.URL.Path += "-stream"; r.URL.RawPath += "-stream" })},
		{"a header of AWS's unsigned", "IncompleteSignatureException", "x-amz-target", header("X-Amz-Target", "x")},
		{"a header of ours unsigned", "IncompleteSignatureException", "X-Forebay-Priority", header("X-Forebay-Priority", "critical")},
		{"a header of a proxy's", "", "", header("X-Forwarded-For", "10.0.0.1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBackend(wholly(converseAnswer))
			client := sdk(t, pairDoor(t, b), c.options)
			_, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: say("hello")})
			var api smithy.APIError
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.As(err, &api) || api.ErrorCode() != c.want || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%v, want %s", err, c.want)
			case c.want != "" && len(b.provider.Calls()) > 0:
				t.Error("the call was made")
			}
			if err != nil && strings.Contains(err.Error(), pairSecret) {
				t.Error("the error has the secret")
			}
		})
	}
}

// ago signs a request anew, as a client whose clock is off.
func ago(by time.Duration) func(*http.Request) {
	return func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		creds := aws.Credentials{AccessKeyID: pairID, SecretAccessKey: pairSecret}
		_ = v4.NewSigner().SignHTTP(r.Context(), creds, r, sigv4.PayloadHash(body), "bedrock", "eu-central-1", time.Now().Add(-by))
	}
}
