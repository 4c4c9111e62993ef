package gateway_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
)

func counting(in types.CountTokensInput) *bedrockruntime.CountTokensInput {
	return &bedrockruntime.CountTokensInput{ModelId: aws.String(haiku), Input: in}
}

// TestSDKCountTokens: a count is a call of the model that is named, of an endpoint of its
// own, with the body whose tokens are counted.
func TestSDKCountTokens(t *testing.T) {
	b := newBackend(wholly(`{"inputTokens":42}`))
	client := sdk(t, pairDoor(t, b), nil)
	out, err := client.CountTokens(t.Context(), counting(&types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{Messages: say("hello")}}))
	if err != nil || *out.InputTokens != 42 {
		t.Fatalf("%+v, %v", out, err)
	}
	req := b.last(t)
	if req.Endpoint != llm.CountTokens || req.Model != haiku || req.Stream || req.Tenant != "acme" || req.Key != "sdk" ||
		req.Dialect != (bedrock.Converse{}) || string(req.Body) != `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}` && string(req.Body) != `{"messages":[{"content":[{"text":"hello"}],"role":"user"}]}` {
		t.Errorf("%+v %s", req, req.Body)
	}
	if _, err := client.CountTokens(t.Context(), counting(&types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: []byte(claudeBody)}})); err != nil {
		t.Error(err)
	}
	if req := b.last(t); req.Endpoint != llm.CountTokens || req.Dialect != (bedrock.Invoke{}) || string(req.Body) != claudeBody {
		t.Errorf("%+v %s", req, req.Body)
	}

	var validation *types.ValidationException
	for name, in := range map[string]types.CountTokensInput{
		"no JSON":       &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: []byte("{")}},
		"no object":     &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: []byte("[]")}},
		"a place in S3": &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{Messages: inS3()}},
		"an empty body": &types.CountTokensInputMemberInvokeModel{Value: types.InvokeModelTokensRequest{Body: []byte{}}},
	} {
		n := len(b.requests)
		if _, err := client.CountTokens(t.Context(), counting(in)); !errors.As(err, &validation) || len(b.requests) != n {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := sdk(t, pairDoor(t, b), func(o *bedrockruntime.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(pairID, "another secret", "")
	})
	if _, err := wrong.CountTokens(t.Context(), counting(&types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{Messages: say("hello")}})); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a wrong signature: %v", err)
	}
}

// turn is the body of a conversation.
const turn = `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`

func inS3() []types.Message {
	return []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{
		&types.ContentBlockMemberDocument{Value: types.DocumentBlock{Name: aws.String("d"), Format: types.DocumentFormatPdf, Source: &types.DocumentSourceMemberS3Location{Value: types.S3Location{Uri: aws.String("s3://secret/d.pdf")}}}},
	}}}
}

// What CountTokens takes is read strictly, and it is no job and no answer of the cache's.
func TestCountTokensOverTheWire(t *testing.T) {
	const path = "/bedrock/model/haiku/count-tokens"
	d, s, b := jobDoor(t)
	b.provider.Set(wholly(`{"inputTokens":42}`))
	const good = `{"input":{"converse":` + turn + `}}`
	for name, c := range map[string]struct {
		body, header, fault string
		status              int
	}{
		"good":          {good, "", "", 200},
		"nothing":       {`{}`, "", "input", 400},
		"both":          {`{"input":{"converse":{},"invokeModel":{"body":"e30="}}}`, "", "input", 400},
		"null":          {`{"input":{"converse":null}}`, "", "input", 400},
		"a list":        {`{"input":{"converse":[]}}`, "", "input", 400},
		"more":          {`{"input":{"converse":{}},"max":1}`, "", "/max", 400},
		"twice":         {`{"input":{"converse":{},"converse":{}}}`, "", "more than once", 400},
		"no base64":     {`{"input":{"invokeModel":{"body":"{}"}}}`, "", "invokeModel", 400},
		"a guardrail":   {good, "X-Amzn-Bedrock-GuardrailIdentifier: g1", "x-amzn-bedrock-guardrailidentifier", 400},
		"asked for job": {good, "Prefer: respond-async", "prefer", 400},
	} {
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		r := d.tell(adminKey, "POST "+path, c.body, headers...)
		if r.status != c.status || !strings.Contains(r.body, c.fault) || c.status == 200 && r.body != `{"inputTokens":42}` || c.status == 400 && r.header.Get("X-Amzn-Errortype") != "ValidationException" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	for _, what := range []string{"POST /v1/jobs", "GET /v1/cache/explain?path=" + path} {
		if r := d.tell(adminKey, what, `{"url":"`+path+`","body":`+good+`}`); r.status != 400 || !strings.Contains(r.body, "count-tokens cannot be named here") {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	if r := d.tell(adminKey, "GET "+path, ""); r.status != http.StatusMethodNotAllowed {
		t.Errorf("%d %s", r.status, r.body)
	}
	if len(s.all) != 0 {
		t.Error("a job was made")
	}
}

// TestGuardrailHeaders: what InvokeModel's headers ask for goes with the call and with the
// job that is made of it, and is refused where it would not be heard. What else has such a
// name is told as dropped.
func TestGuardrailHeaders(t *testing.T) {
	const (
		guard   = "X-Amzn-Bedrock-GuardrailIdentifier: g1"
		version = "X-Amzn-Bedrock-GuardrailVersion: 2"
		want    = "X-Amzn-Bedrock-Guardrailidentifier=g1\nX-Amzn-Bedrock-Guardrailversion=2"
		invoke  = "/bedrock/model/anthropic.claude-x/invoke"
	)
	d, s, b := jobDoor(t)
	b.provider.Set(wholly(claudeAnswer))
	for name, c := range map[string]struct{ what, body string }{
		"invoke":             {"POST " + invoke, claudeBody},
		"invoke as a job":    {"POST /v1/jobs", `{"url":"` + invoke + `","body":` + claudeBody + `}`},
		"invoke, async":      {"POST " + invoke, claudeBody},
		"invoke as a stream": {"POST " + invoke + "-with-response-stream", claudeBody},
	} {
		headers := []string{guard, version}
		if strings.Contains(name, "async") {
			headers = append(headers, "Prefer: respond-async")
		}
		var seen *llm.Request
		if r := d.tell(adminKey, c.what, c.body, headers...); r.status/100 != 2 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
			continue
		} else if r.status == 202 {
			for _, k := range s.all {
				seen = k.req
			}
			clear(s.all)
		} else {
			seen = b.last(t)
		}
		if seen.Settings != want {
			t.Errorf("%s: %q", name, seen.Settings)
		}
	}

	for _, c := range [][2]string{
		{"POST /v1/jobs", `{"url":"/bedrock/model/haiku/converse","body":` + turn + `}`},
		{"POST /v1/jobs", `{"url":"/v1/chat/completions","body":` + chatBody + `}`},
		{"POST /v1/jobs", `{"url":"/v1/embeddings","body":{"model":"e","input":"a"}}`},
		{"POST /v1/jobs", `{"url":"/v1/operations/vc-analysis","body":{"payload":1}}`},
		{"POST /bedrock/model/haiku/converse", turn},
		{"POST /v1/chat/completions", chatBody},
		{"POST /v1/embeddings", `{"model":"e","input":"a"}`},
		{"POST /v1/operations/vc-analysis", `{"payload":1}`},
		{"POST /v1/cache/explain", chatBody},
	} {
		r := d.tell(adminKey, c[0], c[1], guard)
		if r.status != 400 || !strings.Contains(r.body, "x-amzn-bedrock-guardrailidentifier") {
			t.Errorf("%s: %d %s", c, r.status, r.body)
		}
		if r := d.tell(adminKey, c[0], c[1], "X-Amzn-Bedrock-GuardrailIdentifier: ", guard); r.status != 400 || !strings.Contains(r.body, "x-amzn-bedrock-guardrailidentifier") {
			t.Errorf("%s, behind an empty one: %d %s", c, r.status, r.body)
		}
		if r := d.tell(adminKey, c[0], c[1], "X-Amzn-Bedrock-Guardrail-Strength: 3"); r.status != 400 || !strings.Contains(r.body, "x-amzn-bedrock-guardrail-strength") {
			t.Errorf("%s, with one not known: %d %s", c, r.status, r.body)
		}
		if r := d.tell(adminKey, c[0], c[1], "X-Amzn-Bedrock-Trace: DISABLED"); strings.Contains(r.body, "x-amzn") {
			t.Errorf("%s, asking for nothing: %d %s", c, r.status, r.body)
		}
	}
	clear(s.all)
	for header, dropped := range map[string]string{
		"X-Amzn-Bedrock-Guardrail-Strength: 3": "refused", "X-Amzn-Bedrock-Request-Metadata: {}": "X-Amzn-Bedrock-Request-Metadata", "X-Amzn-Bedrock-Accept: */*": "",
	} {
		n := len(b.requests)
		r := d.tell(adminKey, "POST "+invoke, claudeBody, header)
		if refused := r.status == 400 && len(b.requests) == n; refused != (dropped == "refused") || !refused && r.header.Get("X-Forebay-Dropped") != dropped {
			t.Errorf("%s: %d %v %s", header, r.status, r.header, r.body)
		}
	}
}

// TestSDKWithoutTheDoor: an SDK whose endpoint lacks the path of the door is told so, in words
// that it shows.
func TestSDKWithoutTheDoor(t *testing.T) {
	b := newBackend(wholly(converseAnswer))
	addr := pairDoor(t, b)
	for _, model := range []string{haiku, profile} {
		client := sdk(t, addr, func(o *bedrockruntime.Options) { o.BaseEndpoint = aws.String("http://" + addr) })
		_, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: &model, Messages: say("hello")})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), "end in /bedrock") {
			t.Errorf("%v", err)
		}
	}
	for _, path := range []string{"/model/haiku", "/model/haiku/foo", "/models/converse"} {
		if r := send(t, addr, post(path, turn)); r.status != 404 || r.errorType() != "caller_not_found" || r.header.Get("X-Amzn-Errortype") != "" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}
