package bedrock_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// models are ids of every form that the API reference has, and some that nobody should use.
var models = []string{
	"anthropic.claude-3-haiku-20240307-v1:0",
	model,
	"global.anthropic.claude-sonnet-4-5-20250929-v1:0",
	"amazon.titan-embed-text-v2:0:8k",
	"arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
	"arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-8b-instruct-v1:0",
	"odd id+with%2Fall of=it&ä~_-.?#",
	"..a/../b",
}

// captured is a request as it left.
type captured struct {
	target string // the request target: what stands in the request line
	host   string
	header http.Header
	length int64
	body   []byte
}

// capture is a transport that keeps the last request and gives a fixed answer.
type capture struct {
	last  captured
	calls int
}

func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	c.last = captured{target: r.URL.RequestURI(), host: host, header: r.Header.Clone(), length: r.ContentLength}
	c.calls++
	if r.Body != nil {
		c.last.body, _ = io.ReadAll(r.Body)
	}
	contentType, body := jsonType, wholeBody
	if strings.HasSuffix(r.URL.Path, "-stream") {
		contentType, body = streamType, allEvents()
	}
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

// Do makes it an HTTP client for the SDK.
func (c *capture) Do(r *http.Request) (*http.Response, error) { return c.RoundTrip(r) }

// verify checks the signature of what was sent.
func verify(t *testing.T, c captured, region string) (signedHeaders string) {
	t.Helper()
	signedHeaders, fault := checkSignature(c, region)
	if fault != "" {
		t.Error(fault)
	}
	return signedHeaders
}

// checkSignature computes Signature Version 4 over what was sent, as AWS's documentation
// has it and without AWS's code, and says where the request differs.
func checkSignature(c captured, region string) (signedHeaders, fault string) {
	authorization := c.header.Get("Authorization")
	var parts [3]string
	if n, _ := fmt.Sscanf(strings.ReplaceAll(authorization, ",", " "), "AWS4-HMAC-SHA256 Credential=%s SignedHeaders=%s Signature=%s", &parts[0], &parts[1], &parts[2]); n != 3 {
		return "", fmt.Sprintf("Authorization: %q", authorization)
	}
	date := c.header.Get("X-Amz-Date")
	scope := date[:8] + "/" + region + "/bedrock/aws4_request"
	if parts[0] != keyID+"/"+scope {
		return "", fmt.Sprintf("credential %q, want %s", parts[0], keyID+"/"+scope)
	}
	path, query, _ := strings.Cut(c.target, "?")
	if query != "" {
		return "", "the request has a query: " + query
	}
	canonical := "POST\n" + encodeAgain(path) + "\n\n"
	for _, name := range strings.Split(parts[1], ";") {
		value := strings.Join(c.header.Values(name), ",")
		switch name {
		case "host":
			value = c.host
		case "content-length":
			value = fmt.Sprint(c.length)
		}
		canonical += name + ":" + strings.Join(strings.Fields(value), " ") + "\n"
	}
	canonical += "\n" + parts[1] + "\n" + hexOf(c.body)
	key := mac(mac(mac(mac([]byte("AWS4"+secret), date[:8]), region), "bedrock"), "aws4_request")
	wanted := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hexOf([]byte(canonical))))
	if parts[2] != wanted {
		return parts[1], fmt.Sprintf("signature %s, computed %s over\n%s", parts[2], wanted, canonical)
	}
	return parts[1], ""
}

// encodeAgain escapes a path that is escaped already, as every service but S3 wants it.
func encodeAgain(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~/", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, text)
	return h.Sum(nil)
}

func hexOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// On a real socket, after net/http has written the request.
func TestSignatureOnTheWire(t *testing.T) {
	var got captured
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		got = captured{target: r.RequestURI, host: r.Host, header: r.Header.Clone(), length: r.ContentLength}
		got.body, _ = io.ReadAll(r.Body)
		both(w, r)
	}, nil)
	for _, id := range models {
		for _, stream := range []bool{false, true} {
			req := chat(stream)
			req.Model = id
			if _, err := collect(t, p, req); err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			if signed := verify(t, got, "eu-central-1"); signed != "content-length;content-type;host;x-amz-date;x-amz-security-token" {
				t.Errorf("signed headers %s", signed)
			}
			if !bytes.Equal(got.body, req.Body) {
				t.Errorf("sent %s, authorised were %s", got.body, req.Body)
			}
			for name, value := range map[string]string{"X-Request-Id": "req-1", "Traceparent": req.TraceParent, "User-Agent": "forebay", "X-Amz-Security-Token": token, "Content-Type": jsonType} {
				if got.header.Get(name) != value {
					t.Errorf("%s: %q, want %q", name, got.header.Get(name), value)
				}
			}
		}
	}
}

// without takes out of the SDK's requests what ours do not have: an id of the invocation
// and the number of the try.
func without(s *middleware.Stack) error {
	_, _ = s.Build.Remove("ClientRequestID")
	return s.Finalize.Insert(middleware.FinalizeMiddlewareFunc("without", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		in.Request.(*smithyhttp.Request).Header.Del("Amz-Sdk-Request")
		return next.HandleFinalize(ctx, in)
	}), "Signing", middleware.Before)
}

// The same call by AWS's own client, at the same moment: target, host, signed headers and
// signature are the same, letter for letter.
func TestSameSignatureAsTheSDK(t *testing.T) {
	for _, id := range models {
		for _, stream := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) { // where the time stands still
				sdk, ours := sdkRequest(t, id, stream), &capture{}
				p := open(t, bedrock.Config{Region: "eu-central-1", Credentials: who(), Transport: ours})
				req := chat(stream)
				req.Model, req.Body = id, sdk.body
				if _, err := collect(t, p, req); err != nil {
					t.Fatal(err)
				}
				if got := ours.last; got.target != sdk.target || got.host != sdk.host {
					t.Errorf("%s %s, the SDK has %s %s", got.host, got.target, sdk.host, sdk.target)
				}
				for _, name := range []string{"X-Amz-Date", "Content-Type", "Authorization"} {
					if got := ours.last.header.Get(name); got == "" || got != sdk.header.Get(name) {
						t.Errorf("%s: %s\nthe SDK has %s", name, got, sdk.header.Get(name))
					}
				}
				verify(t, sdk, "eu-central-1")
				verify(t, ours.last, "eu-central-1")
			})
		}
	}
}

func sdkRequest(t *testing.T, id string, stream bool) captured {
	t.Helper()
	c := &capture{}
	client := bedrockruntime.New(bedrockruntime.Options{
		Region: "eu-central-1", Credentials: who(), HTTPClient: c, RetryMaxAttempts: 1,
		APIOptions: []func(*middleware.Stack) error{without},
	})
	messages := []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "count"}}}}
	var err error
	if stream {
		var out *bedrockruntime.ConverseStreamOutput
		if out, err = client.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(id), Messages: messages}); err == nil {
			err = out.GetStream().Close()
		}
	} else {
		_, err = client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(id), Messages: messages})
	}
	if err != nil || c.calls != 1 {
		t.Fatalf("%d calls, %v", c.calls, err)
	}
	return c.last
}

// Hosts by region are those of the SDK's own rules.
func TestHostsByRegion(t *testing.T) {
	for _, region := range []string{"eu-central-1", "us-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "ap-southeast-2"} {
		endpoint, err := bedrockruntime.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), bedrockruntime.EndpointParameters{Region: aws.String(region)})
		if err != nil {
			t.Fatal(err)
		}
		c := &capture{}
		p := open(t, bedrock.Config{Region: region, Credentials: who(), Transport: c})
		if _, err := collect(t, p, chat(false)); err != nil {
			t.Fatal(err)
		}
		if c.last.host != endpoint.URI.Host {
			t.Errorf("%s: host %s, the SDK has %s", region, c.last.host, endpoint.URI.Host)
		}
		verify(t, c.last, region)
	}
}

// A base path of the endpoint stays in front of the path, and is signed.
func TestEndpointWithPath(t *testing.T) {
	for _, endpoint := range []string{"https://127.0.0.1:1/gate/bedrock/", "https://127.0.0.1:1/a%2Fb"} {
		c := &capture{}
		p := open(t, bedrock.Config{Region: "eu-central-1", Endpoint: endpoint, Credentials: who(), Transport: c})
		if _, err := collect(t, p, chat(false)); err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(strings.TrimPrefix(endpoint, "https://127.0.0.1:1"), "/")
		if want := base + "/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"; c.last.target != want {
			t.Errorf("target %s, want %s", c.last.target, want)
		}
		verify(t, c.last, "eu-central-1")
	}
}

// A bearer key is sent instead of a signature, and nothing is loaded for it.
func TestBearerKey(t *testing.T) {
	c := &capture{}
	p := open(t, bedrock.Config{Region: "eu-central-1", APIKey: apiKey, Transport: c})
	if _, err := collect(t, p, chat(true)); err != nil {
		t.Fatal(err)
	}
	if got := c.last.header; got.Get("Authorization") != "Bearer "+apiKey || got.Get("X-Amz-Date") != "" {
		t.Errorf("header %v", got)
	}
}

// Which path a call takes, and what is not sent at all.
func TestActions(t *testing.T) {
	c := &capture{}
	p := open(t, bedrock.Config{Name: "test", Region: "eu-central-1", Credentials: who(), Transport: c})
	for _, test := range []struct {
		dialect  llm.Dialect
		endpoint llm.Endpoint
		stream   bool
		model    string
		action   string
		kind     llm.Kind
	}{
		{dialect.Converse{}, llm.Chat, false, model, "converse", ""},
		{dialect.Converse{}, llm.Chat, true, model, "converse-stream", ""},
		{dialect.Converse{}, llm.Embeddings, false, model, "", llm.ForebayInternal},
		{dialect.Converse{}, llm.Function, false, model, "", llm.ForebayInternal},
		{nil, llm.Chat, false, model, "", llm.ForebayInternal},
		{dialect.Converse{}, llm.Chat, false, "..", "", llm.CallerInvalidRequest},
		{dialect.Converse{}, llm.Chat, false, ".", "", llm.CallerInvalidRequest},
		{dialect.Converse{}, llm.Chat, false, strings.Repeat("m", 2049), "", llm.CallerInvalidRequest},
	} {
		before := c.calls
		req := chat(test.stream)
		req.Dialect, req.Endpoint, req.Model = test.dialect, test.endpoint, test.model
		_, err := collect(t, p, req)
		if test.kind != "" {
			if e := want(t, err, test.kind); c.calls != before {
				t.Errorf("a call was made in spite of %v", e)
			}
			continue
		}
		if err != nil || !strings.HasSuffix(c.last.target, "/"+test.action) {
			t.Errorf("%s: %s, %v", test.action, c.last.target, err)
		}
	}
}
