package bedrock_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// invoke is a call of InvokeModel with Anthropic's body.
func invoke(stream bool, endpoint llm.Endpoint, model, body string) *llm.Request {
	return &llm.Request{ID: "req-2", Endpoint: endpoint, Model: model, Stream: stream, Dialect: dialect.Invoke{}, Body: []byte(body)}
}

const claudeBody = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":10,"messages":[{"role":"user","content":"count"}]}`

// part is one message of InvokeModelWithResponseStream.
func part(payload string) string {
	return frame("event", "chunk", fmt.Sprintf(`{"bytes":%q}`, base64.StdEncoding.EncodeToString([]byte(payload))))
}

func TestInvoke(t *testing.T) {
	const whole = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[{"type":"text","text":"one two"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2,"cache_read_input_tokens":7}}`
	stream := part(`{"type":"message_start","message":{"id":"msg_1","role":"assistant","model":"claude-haiku-4-5","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}`) +
		part(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`) +
		part(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one two"}}`) +
		part(`{"type":"content_block_stop","index":0}`) +
		part(`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`) +
		part(`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":2,"invocationLatency":7,"firstByteLatency":3}}`)
	var paths []string
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.RequestURI)
		if strings.HasSuffix(r.URL.Path, "/invoke-with-response-stream") {
			answer(streamType, stream)(w, r)
			return
		}
		answer(jsonType, whole)(w, r)
	}, nil)
	for _, streamed := range []bool{false, true} {
		res, err := collect(t, p, invoke(streamed, llm.Chat, model, claudeBody))
		if err != nil {
			t.Fatal(err)
		}
		if res.Usage.Input != 3 || res.Usage.Output != 2 || res.Finish != llm.FinishStop || string(res.Body) != map[bool]string{false: whole, true: stream}[streamed] {
			t.Errorf("%+v", res)
		}
	}
	want := []string{"/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke", "/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke-with-response-stream"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}

// Embeddings are calls of InvokeModel. What a body does not count, the header does.
func TestEmbeddings(t *testing.T) {
	for _, c := range []struct {
		model, request, answer string
		input                  int64
	}{
		{"amazon.titan-embed-text-v2:0", `{"inputText":"hello"}`, `{"embedding":[0.1,-0.2],"inputTextTokenCount":3}`, 3},
		{"cohere.embed-multilingual-v3", `{"texts":["hello"],"input_type":"search_document"}`, `{"id":"x","texts":["hello"],"embeddings":[[0.1,-0.2]],"response_type":"embeddings_floats"}`, 4},
	} {
		p := start(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Amzn-Bedrock-Input-Token-Count", "4")
			answer(jsonType, c.answer)(w, r)
		}, nil)
		res, err := collect(t, p, invoke(false, llm.Embeddings, c.model, c.request))
		if err != nil || res.Usage.Input != c.input || string(res.Body) != c.answer {
			t.Errorf("%s: %+v, %v", c.model, res, err)
		}
	}
}

// A body of InvokeModel is one model's own: another family's model is not given it.
func TestInvokeForAnotherFamily(t *testing.T) {
	c := &capture{}
	p := open(t, bedrock.Config{Name: "test", Region: "eu-central-1", Credentials: who(), Transport: c})
	for to, refused := range map[string]bool{
		"amazon.nova-lite-v1:0": true, "meta.llama3-8b-instruct-v1:0": true,
		"anthropic.claude-sonnet-4-5-20250929-v1:0":                                        false,
		"arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2c3d4": false,
	} {
		before := c.calls
		s, err := p.Call(t.Context(), to, invoke(false, llm.Chat, model, claudeBody))
		if err == nil {
			_ = s.Close()
		}
		if refused {
			want(t, err, llm.CallerInvalidRequest)
		}
		if called := c.calls > before; called == refused {
			t.Errorf("%s: called %v, %v", to, called, err)
		}
	}
}

// What a model does not take is left out and noted, or refused; everything else is sent as
// it was authorised, byte for byte.
func TestUnsupportedMembers(t *testing.T) {
	const opus = "eu.anthropic.claude-opus-4-7-v1:0"
	body := `{ "messages":[{"role":"user","content":[{"text":"é 😀"}]}], "inferenceConfig":{"temperature":0.5,"maxTokens":10}, "requestMetadata":{"a":"b"} }`
	for _, c := range []struct {
		on, model string
		dropped   []string
		refused   bool
	}{
		{bedrock.Drop, opus, []string{"inferenceConfig.temperature"}, false},
		{"", opus, []string{"inferenceConfig.temperature"}, false},
		{bedrock.Refuse, opus, nil, true},
		{bedrock.Refuse, model, nil, false},
		{bedrock.Drop, model, nil, false},
		{bedrock.Drop, "unknown.model-v1:0", nil, false},
	} {
		sent := &capture{}
		p := open(t, bedrock.Config{Name: "test", Region: "eu-central-1", Credentials: who(), Transport: sent, OnUnsupported: c.on})
		req := chat(false)
		req.Model, req.Body, req.Notes = c.model, []byte(body), &llm.Notes{}
		_, err := collect(t, p, req)
		if c.refused {
			if e := want(t, err, llm.CallerInvalidRequest); sent.calls != 0 || !strings.Contains(e.Text(), "temperature") {
				t.Errorf("%d calls, %v", sent.calls, e)
			}
			continue
		}
		if dropped, _ := req.Notes.List(); err != nil || !slices.Equal(dropped, c.dropped) {
			t.Errorf("%s: dropped %q, %v", c.model, dropped, err)
		}
		if same := bytes.Equal(sent.last.body, req.Body); same != (c.dropped == nil) || string(req.Body) != body || c.dropped != nil && bytes.Contains(sent.last.body, []byte("temperature")) {
			t.Errorf("%s: sent %s", c.model, sent.last.body)
		}
		verify(t, sent.last, "eu-central-1") // over what is sent, not over what was authorised
	}
}

func TestCountTokens(t *testing.T) {
	var target, body string
	reply := `{"inputTokens":42}`
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		target, body = r.RequestURI, string(b)
		answer(jsonType, reply)(w, r)
	}, nil)
	for _, stream := range []bool{false, true} {
		n, err := p.CountTokens(t.Context(), "", chat(stream))
		if err != nil || n != 42 {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if target != "/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens" || body != `{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"count"}]}]}}}` {
		t.Errorf("%s %s", target, body)
	}
	if _, err := p.CountTokens(t.Context(), "anthropic.claude-3-haiku-20240307-v1:0", invoke(true, llm.Chat, model, claudeBody)); err != nil || !strings.Contains(target, "claude-3-haiku") || !strings.Contains(body, `{"invokeModel":{"body":"`) {
		t.Errorf("%s %s, %v", target, body, err)
	}
	for _, reply = range []string{`{}`, `{"inputTokens":-1}`, "<html>", ""} {
		_, err := p.CountTokens(t.Context(), "", chat(false))
		want(t, err, llm.ProviderMalformed)
	}
	refusing := start(t, rejects(400, "ValidationException", `{"message":"The provided model doesn't support counting tokens."}`), nil)
	_, err := refusing.CountTokens(t.Context(), "", chat(false))
	want(t, err, llm.ProviderRejected)
}

// A back end that repeats what it was sent hands our secrets to nobody: not in errors, whose
// words are AWS's own where it refuses a signature, and not in answers.
func TestSecretsAreNotPassedOn(t *testing.T) {
	for name, change := range map[string]func(*bedrock.Config){
		"signed": func(*bedrock.Config) {},
		"bearer": func(c *bedrock.Config) { c.Credentials, c.APIKey = nil, apiKey },
	} {
		var how atomic.Value
		p := start(t, func(w http.ResponseWriter, r *http.Request) {
			echo := r.Header.Get("X-Amz-Security-Token") + r.Header.Get("Authorization")
			if name == "signed" {
				echo += secret // which it cannot know
			}
			switch how.Load() {
			case "error":
				rejects(403, "InvalidSignatureException", fmt.Sprintf(`{"message":%q}`, "The Canonical String for this request should have been "+echo))(w, r)
			case "type":
				w.Header().Set("X-Amzn-Requestid", echo)
				rejects(500, "", fmt.Sprintf(`{"__type":%q,"message":"x"}`, echo))(w, r)
			case "whole":
				answer(jsonType, strings.Replace(wholeBody, "two", echo, 1))(w, r)
			case "page":
				answer("text/"+echo, echo)(w, r)
			case "stream":
				answer(streamType, eventList()[0]+frame("event", "contentBlockDelta", fmt.Sprintf(`{"delta":{"text":%q}}`, echo))+strings.Join(eventList()[1:], ""))(w, r)
			case "exception":
				answer(streamType, frame("exception", "internalServerException", fmt.Sprintf(`{"message":%q}`, echo)))(w, r)
			}
		}, change)
		for kind, failing := range map[string]llm.Kind{
			"error": llm.ProviderAuthFailed, "type": llm.ProviderError, "page": llm.ProviderMalformed,
			"whole": "", "stream": llm.ProviderMalformed, "exception": llm.ProviderMalformed,
		} {
			how.Store(kind)
			res, err := collect(t, p, chat(kind == "stream" || kind == "exception"))
			if failing != "" {
				want(t, err, failing)
			} else if err != nil {
				t.Errorf("%s %s: %v", name, kind, err)
			}
			for _, canary := range []string{secret, token, apiKey} {
				if bytes.Contains(res.Body, []byte(canary)) {
					t.Errorf("%s %s: a secret stands in %s", name, kind, res.Body)
				}
			}
		}
	}
	p := open(t, bedrock.Config{Region: "eu-central-1", APIKey: apiKey})
	if text := fmt.Sprintf("%v %+v", bedrock.Config{APIKey: apiKey}, p); strings.Contains(text[:min(len(text), 200)], apiKey) {
		t.Error("the configuration prints the key")
	}
}

// The provider's own transport over TLS: HTTP/2 where the server speaks it, HTTP/1 where not.
func TestOverTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		protocol := ""
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			protocol = r.Proto
			both(w, r)
		}))
		srv.EnableHTTP2 = h2
		srv.StartTLS()
		t.Cleanup(srv.Close)
		p := open(t, bedrock.Config{Region: "eu-central-1", Endpoint: srv.URL, Credentials: who(), FirstByteTimeout: 5 * time.Second})
		roots := x509.NewCertPool()
		roots.AddCert(srv.Certificate())
		bedrock.Trust(p, roots)
		for _, stream := range []bool{false, true, true} {
			if _, err := collect(t, p, chat(stream)); err != nil {
				t.Fatal(err)
			}
		}
		if want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[h2]; protocol != want {
			t.Errorf("spoke %s, want %s", protocol, want)
		}
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(both)) // with a stranger's certificate
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)           // the handshake that fails on purpose
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, err := collect(t, open(t, bedrock.Config{Name: "test", Region: "eu-central-1", Endpoint: srv.URL, Credentials: who()}), chat(false))
	if e := want(t, err, llm.ProviderConnectionFailed); !e.NoRetry || !strings.Contains(e.Fix, "region and endpoint") {
		t.Errorf("%+v", e)
	}
}

func TestResidency(t *testing.T) {
	for _, c := range []struct{ region, model, want string }{
		{"eu-central-1", model, "eu"},
		{"eu-central-1", "amazon.nova-lite-v1:0", "eu"},
		{"eu-central-1", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", ""},
		{"eu-central-1", "us.amazon.nova-lite-v1:0", ""},
		{"eu-central-1", "", ""},
		{"eu-central-1", "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2", ""},
		{"eu-central-1", "arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0", ""},
		{"eu-central-1", "xx.amazon.nova-lite-v1:0", ""},
		{"eu-west-2", "eu.amazon.nova-lite-v1:0", ""},
		{"eu-west-2", "amazon.nova-lite-v1:0", ""},
		{"eu-central-2", "amazon.nova-lite-v1:0", ""},
		{"us-east-1", "us.amazon.nova-lite-v1:0", "us"},
		{"us-gov-west-1", "us-gov.anthropic.claude-3-haiku-20240307-v1:0", "us-gov"},
		{"us-gov-west-1", "amazon.titan-embed-text-v2:0", "us-gov"},
		{"ca-central-1", "us.amazon.nova-lite-v1:0", ""},
		{"ap-northeast-1", "jp.anthropic.claude-haiku-4-5-20251001-v1:0", "jp"},
		{"ap-northeast-1", "apac.amazon.nova-lite-v1:0", "apac"},
		{"ap-northeast-1", "amazon.nova-lite-v1:0", "jp"},
		{"ap-southeast-2", "au.anthropic.claude-haiku-4-5-20251001-v1:0", "au"},
		{"ap-south-1", "amazon.nova-lite-v1:0", "apac"},
		{"eusc-de-east-1", "amazon.nova-lite-v1:0", "eu"},
		{"sa-east-1", "amazon.nova-lite-v1:0", ""},
	} {
		if got := bedrock.Residency(c.region, c.model); got != c.want {
			t.Errorf("%s from %s: %q, want %q", c.model, c.region, got, c.want)
		}
	}
}

// What InvokeModel has in headers reaches Bedrock, signed like the rest, and nothing else
// that stands beside a body does.
func TestSettings(t *testing.T) {
	var got http.Header
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		answer(jsonType, `{"type":"message","role":"assistant","content":[{"type":"text","text":"one"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}`)(w, r)
	}, nil)
	req := invoke(false, llm.Chat, model, claudeBody)
	req.Settings = llm.MakeSettings(map[string]string{"X-Amzn-Bedrock-GuardrailIdentifier": "gr-1", "X-Amz-Date": "never", "Authorization": "never"})
	if _, err := collect(t, p, req); err != nil {
		t.Fatal(err)
	}
	if got.Get("X-Amzn-Bedrock-Guardrailidentifier") != "gr-1" || !strings.Contains(got.Get("Authorization"), "x-amzn-bedrock-guardrailidentifier") || strings.Contains(got.Get("X-Amz-Date")+got.Get("Authorization"), "never") {
		t.Error(got)
	}
	if _, err := collect(t, p, invoke(false, llm.Chat, model, claudeBody)); err != nil || got.Get("X-Amzn-Bedrock-Guardrailidentifier") != "" {
		t.Errorf("the next call has it too: %v, %v", err, got)
	}
}
