package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/forebay-ai/forebay/access/sigv4"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/llm"
)

const converseBody = `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`

// signedRequest is a request to the Bedrock door as a signer other than an SDK makes it.
func signedRequest(t testing.TB, addr, path, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	creds := aws.Credentials{AccessKeyID: pairID, SecretAccessKey: pairSecret}
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, r, sigv4.PayloadHash([]byte(body)), "bedrock", "eu-central-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

// do sends a request by client and reads the answer.
func do(t testing.TB, client *http.Client, r *http.Request) reply {
	t.Helper()
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body), res.Trailer}
}

func plainClient(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// again is r to be sent once more, byte for byte, but for headers that are not signed.
func again(t testing.TB, r *http.Request, headers ...string) *http.Request {
	t.Helper()
	c := r.Clone(t.Context())
	c.Body, _ = r.GetBody()
	for i := 0; i < len(headers); i += 2 {
		c.Header.Set(headers[i], headers[i+1])
	}
	return c
}

const conversePath = "/bedrock/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"

// TestReplayRefused: a request that was captured is of no use to who sends it again.
func TestReplayRefused(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	addr, client := pairDoor(t, b), plainClient(t)
	plain := signedRequest(t, addr, conversePath, converseBody)
	ids := signedRequest(t, addr, conversePath, converseBody, "Amz-Sdk-Invocation-Id", "a", "Amz-Sdk-Request", "attempt=1")
	boto := signedRequest(t, addr, conversePath, strings.Replace(converseBody, "hello", "hello boto3", 1))
	boto.Header.Set("Amz-Sdk-Invocation-Id", "a") // behind the signature, as boto3 does
	for i, c := range []struct {
		r     *http.Request
		taken bool
	}{
		{plain, true},
		{again(t, plain), false},
		{again(t, plain, "X-Request-Id", "another"), false},
		{ids, true},
		{again(t, ids), false},
		{again(t, ids, "X-Request-Id", "another"), false},
		{boto, true},
		{again(t, boto), false},
		{again(t, boto, "Amz-Sdk-Invocation-Id", "b"), true}, // another call of the same second
		{again(t, boto, "Amz-Sdk-Invocation-Id", "b"), false},
	} {
		r := do(t, client, c.r)
		if c.taken != (r.status == 200) || !c.taken && (r.status != 403 || r.header.Get("X-Amzn-Errortype") != "InvalidSignatureException" || !strings.Contains(r.body, "was sent before")) {
			t.Errorf("%d: %d %s", i, r.status, r.body)
		}
	}
	if n := len(b.provider.Calls()); n != 4 {
		t.Errorf("%d calls were made", n)
	}
	lenient := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Keys, c.RepeatedSignatures = pairKeys(), sigv4.AllowRepeats }))
	r := signedRequest(t, lenient, conversePath, converseBody)
	for range 2 {
		if res := do(t, client, again(t, r)); res.status != 200 {
			t.Errorf("%d %s", res.status, res.body)
		}
	}
}

// TestEqualCalls: programs that make the same call at the same moment are not taken for
// replays.
func TestEqualCalls(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	client := sdk(t, pairDoor(t, b), nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(haiku), Messages: say("hello")}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(b.provider.Calls()); n != 50 {
		t.Errorf("%d calls", n)
	}
}

// TestSignedForms are ways of signing that are refused, each by name.
func TestSignedForms(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	addr, client := pairDoor(t, b), plainClient(t)
	presigned := signedRequest(t, addr, conversePath+"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Signature=00", converseBody)
	presigned.Header.Del("Authorization")
	other := signedRequest(t, addr, conversePath, converseBody)
	other.Header.Set("Authorization", strings.Replace(other.Header.Get("Authorization"), "/bedrock/", "/sqs/", 1))
	asymmetric := signedRequest(t, addr, conversePath, converseBody)
	asymmetric.Header.Set("Authorization", strings.Replace(asymmetric.Header.Get("Authorization"), "HMAC", "ECDSA-P256", 1))
	for name, c := range map[string]struct {
		r          *http.Request
		kind, says string
	}{
		"presigned":         {presigned, "IncompleteSignatureException", "signed in its query"},
		"unsigned payload":  {signedRequest(t, addr, conversePath, converseBody, "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), "IncompleteSignatureException", "UNSIGNED-PAYLOAD"},
		"chunked signing":   {signedRequest(t, addr, conversePath, converseBody, "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), "IncompleteSignatureException", "chunk by chunk"},
		"another's hash":    {signedRequest(t, addr, conversePath, converseBody, "X-Amz-Content-Sha256", sigv4.PayloadHash(nil)), "InvalidSignatureException", ""},
		"another service":   {other, "InvalidSignatureException", "service sqs"},
		"another algorithm": {asymmetric, "IncompleteSignatureException", "algorithm"},
	} {
		r := do(t, client, c.r)
		if r.status != 403 || r.header.Get("X-Amzn-Errortype") != c.kind || !strings.Contains(r.body, c.says) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		wantHeaders(t, r)
	}
	ok := signedRequest(t, addr, conversePath, converseBody, "X-Amz-Content-Sha256", sigv4.PayloadHash([]byte(converseBody)), "X-Forebay-Priority", "critical")
	if r := do(t, client, ok); r.status != 200 || b.last(t).Priority != llm.Critical {
		t.Errorf("with a hash of the body: %d %s", r.status, r.body)
	}
	tampered := signedRequest(t, addr, conversePath, converseBody, "X-Amz-Content-Sha256", sigv4.PayloadHash([]byte(converseBody)))
	tampered.Body = io.NopCloser(strings.NewReader(strings.Replace(converseBody, "hello", "jello", 1)))
	if r := do(t, client, tampered); r.status != 403 || r.header.Get("X-Amzn-Errortype") != "InvalidSignatureException" {
		t.Errorf("another body behind its hash: %d %s", r.status, r.body)
	}
	on := signedRequest(t, addr, chatPath, chatBody)
	if r := do(t, client, on); r.status != 401 {
		t.Errorf("a signature on another door: %d %s", r.status, r.body)
	}
}

// TestSignedBodyBounds: the body that is read to check a signature has its bound.
func TestSignedBodyBounds(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	addr := serve(t, newGateway(t, b, func(c *gateway.Config) { c.Keys, c.MaxBody = pairKeys(), 1024 }))
	client := plainClient(t)
	long := strings.Replace(converseBody, "hello", strings.Repeat("h", 2000), 1)
	if r := do(t, client, signedRequest(t, addr, conversePath, long)); r.status != 413 || r.header.Get("X-Amzn-Errortype") != "ValidationException" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestModelPaths: what is between model/ and the path's last segment is the model's id,
// in whichever way it is escaped; what could be seen in two ways is refused.
func TestModelPaths(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	addr := pairDoor(t, b)
	for path, want := range map[string]string{
		"model/haiku/converse":                           "haiku",
		"model/anthropic.claude-3-haiku-v1:0/converse":   "anthropic.claude-3-haiku-v1:0",
		"model/anthropic.claude-3-haiku-v1%3A0/converse": "anthropic.claude-3-haiku-v1:0",
		"model/anthropic.claude-3-haiku-v1%3a0/converse": "anthropic.claude-3-haiku-v1:0",
		"model/meta%2Fllama/converse":                    "meta/llama",
		"model/meta%2fllama/converse":                    "meta/llama",
		"model/meta/llama/converse":                      "meta/llama",
		"model/arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x-v1:0/converse":               "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x-v1:0",
		"model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2Feu.x-v1%3A0/converse": "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x-v1:0",
		"model/x%2Finvoke/converse": "x/invoke",
		"model/x/invoke/converse":   "x/invoke",
		"model/converse/converse":   "converse",
		"model/%68aiku/converse":    "haiku",
		// Not served, or refused:
		"model//converse": "", "model/converse": "", "model/haiku/converse/": "", "model/haiku/Converse": "", "model/haiku/%63onverse": "",
		"model/haiku%2Fconverse": "", "model%2Fhaiku/converse": "", "%6dodel/haiku/converse": "", "model/../haiku/converse": "", "model/haiku/../converse": "",
		"model/./haiku/converse": "", "model/%2e%2e/converse": "", "model/%2E%2E%2Fjobs/converse": "", "model/a//b/converse": "", "model/a%2F%2Fb/converse": "",
		"model/a%2F/converse": "", "model/%2Fa/converse": "", "model/a%253A0/converse": "", "model/a%252Fb/converse": "", "model/a%5Cb/converse": "",
		"model/a%00/converse": "", "model/a%0d%0ab/converse": "", "model/a%20b/converse": "", "model/%C3%A4/converse": "", "model/a;b/converse": "", "model/a%3Fb/converse": "",
		"model/haiku/converse%3Fx": "", "model/haiku/": "", "model/" + strings.Repeat("a", 257) + "/converse": "", "": "", "model": "", "models/haiku/converse": "",
	} {
		before := len(b.provider.Calls())
		r := send(t, addr, post("/bedrock/"+path, converseBody))
		called := len(b.provider.Calls()) > before
		switch {
		case want != "" && (r.status != 200 || b.last(t).Model != want):
			t.Errorf("%s: %d %s", path, r.status, r.body)
		case want == "" && (r.status != 404 && r.status != 400 || called):
			t.Errorf("%s: %d %s", path, r.status, r.body)
		case want == "" && !strings.HasPrefix(path, "%") && r.header.Get("X-Amzn-Errortype") == "" && !strings.Contains(path, "%00"):
			t.Errorf("%s: an error that is none of AWS's: %s", path, r.body)
		}
	}
	for _, path := range []string{"/%62edrock/model/haiku/converse", "/bedrock%2Fmodel/haiku/converse", "//bedrock/model/haiku/converse", "/x/../bedrock/model/haiku/converse", "/BEDROCK/model/haiku/converse"} {
		if r := send(t, addr, post(path, converseBody)); r.status != 404 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	if r := send(t, addr, request("GET", "/bedrock/model/haiku/converse", "", "Authorization: Bearer "+webKey)); r.status != 405 || r.header.Get("Allow") != "POST" || r.header.Get("X-Amzn-Errortype") != "UnknownOperationException" {
		t.Errorf("%d %v", r.status, r.header)
	}
}

// TestBedrockControls: headers mean what they mean on the other doors.
func TestBedrockControls(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	b.jobs = newShelf()
	addr := pairDoor(t, b)
	r := send(t, addr, post("/bedrock/model/haiku/converse", converseBody, "X-Forebay-Priority: high", "X-Forebay-Operation: vc-analysis", "X-Forebay-Timeout: 2s", "X-Forebay-User: u1", "Cache-Control: no-cache"))
	req := b.last(t)
	if r.status != 200 || req.Priority != llm.High || req.Operation != "vc-analysis" || req.Timeout != 2*time.Second || req.User != "u1" || !req.Cache.NoRead {
		t.Errorf("%d %+v", r.status, req)
	}
	wantHeaders(t, r)
	for name, raw := range map[string]string{
		"unknown header": post("/bedrock/model/haiku/converse", converseBody, "X-Forebay-Prio: high"),
		"no JSON":        post("/bedrock/model/haiku/converse", "{"),
		"no messages":    post("/bedrock/model/haiku/converse", "{}"),
		"streamed job":   request("POST", "/bedrock/model/haiku/converse-stream", converseBody, "Authorization: Bearer "+jobsKey, jsonBody, "Prefer: respond-async"),
	} {
		if r := send(t, addr, raw); r.status != 400 || r.header.Get("X-Amzn-Errortype") != "ValidationException" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	async := send(t, addr, request("POST", "/bedrock/model/haiku/converse", converseBody, "Authorization: Bearer "+jobsKey, jsonBody, "Prefer: respond-async"))
	if async.status != 202 || !strings.HasPrefix(async.header.Get("Location"), "/v1/jobs/") {
		t.Errorf("%d %v %s", async.status, async.header, async.body)
	}
	inside := send(t, addr, request("POST", "/v1/jobs", `{"url":"/bedrock/model/meta%2Fllama/converse","body":`+converseBody+`}`, "Authorization: Bearer "+jobsKey, jsonBody))
	if inside.status != 202 {
		t.Errorf("%d %s", inside.status, inside.body)
	}
}

// TestDropped: members that did not reach the model are told on every door.
func TestDropped(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	addr := pairDoor(t, b)
	b.noting = []string{"logit_bias", "messages[0].name"}
	for _, raw := range []string{post(chatPath, chatBody), post("/bedrock/model/haiku/converse", converseBody)} {
		if r := send(t, addr, raw); r.header.Get("X-Forebay-Dropped") != "logit_bias, messages[0].name" {
			t.Errorf("%q", r.header.Get("X-Forebay-Dropped"))
		}
	}
	b.noting = nil
	for i := range 40 {
		b.noting = append(b.noting, fmt.Sprintf("member_number_%d", i))
	}
	if got := send(t, addr, post(chatPath, chatBody)).header.Get("X-Forebay-Dropped"); len(got) < 200 || len(got) > 260 {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// TestOpenBedrock: without keys an SDK signs with whatever it has.
func TestOpenBedrock(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	client := sdk(t, serve(t, newGateway(t, b, func(c *gateway.Config) { c.Keys, c.Open = nil, true })), nil)
	if _, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String("haiku"), Messages: say("hello")}); err != nil {
		t.Error(err)
	}
}

// TestClientBedrock goes through gateway and client, which knows the model by the name
// in the path: a miss and a hit.
func TestClientBedrock(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	g, err := gateway.New(gateway.Config{Client: newClient(t, b.provider, nil), Keys: pairKeys()})
	if err != nil {
		t.Fatal(err)
	}
	var status []string
	client := sdk(t, serve(t, g), func(o *bedrockruntime.Options) {
		o.HTTPClient = seeing{o.HTTPClient, func(r *http.Response) { status = append(status, r.Header.Get("Cache-Status")) }}
	})
	for range 2 {
		if _, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String("haiku"), Messages: say("hello")}); err != nil {
			t.Fatal(err)
		}
	}
	if len(status) != 2 || !strings.Contains(status[0], "uri-miss") || !strings.Contains(status[1], "hit") {
		t.Errorf("%q", status)
	}
	var missing *types.ResourceNotFoundException
	if _, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String("gpt"), Messages: say("hello")}); !errors.As(err, &missing) {
		t.Errorf("an unknown model: %v", err)
	}
}
