package bedrock_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	dialect "github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
	"github.com/forebay-ai/forebay/provider/internal/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(awstest.Main{M: m}) }

const (
	model = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"

	keyID  = "AKIDEXAMPLECANARY000"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYCANARYSECRET"
	token  = "IQoJb3JpZ2luX2VjCANARYTOKEN//////////wEaCWV1LWNlbnRyYWwtMSJHMEUCIQ=="

	wholeBody = `{"metrics":{"latencyMs":551},"output":{"message":{"content":[{"text":"one two three"}],"role":"assistant"}},` +
		`"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":3,"totalTokens":6}}`

	jsonType   = "application/json"
	streamType = "application/vnd.amazon.eventstream"
)

// frame is one message of an event stream, as AWS's own encoder makes it.
func frame(kind, name, payload string) string {
	m := eventstream.Message{Payload: []byte(payload)}
	m.Headers.Set(":message-type", eventstream.StringValue(kind))
	m.Headers.Set(":"+kind+"-type", eventstream.StringValue(name))
	m.Headers.Set(":content-type", eventstream.StringValue(jsonType))
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
		panic(err)
	}
	return b.String()
}

// eventList is a streamed answer, message by message, the last one included.
func eventList() []string {
	delta := func(text string) string {
		return frame("event", "contentBlockDelta", fmt.Sprintf(`{"contentBlockIndex":0,"delta":{"text":%q}}`, text))
	}
	return []string{
		frame("event", "messageStart", `{"role":"assistant"}`),
		delta("one "), delta("two "), delta("three"),
		frame("event", "contentBlockStop", `{"contentBlockIndex":0}`),
		frame("event", "messageStop", `{"stopReason":"end_turn"}`),
		frame("event", "metadata", `{"metrics":{"latencyMs":551},"usage":{"inputTokens":3,"outputTokens":3,"totalTokens":6}}`),
	}
}

func allEvents() string { return strings.Join(eventList(), "") }

// chat is a call of Converse or ConverseStream.
func chat(stream bool) *llm.Request {
	return &llm.Request{
		ID: "req-1", Endpoint: llm.Chat, Model: model, Stream: stream, Dialect: dialect.Converse{},
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Body: []byte(`{ "messages":[{"role":"user","content":[{"text":"count"}]}], "unknown":{"b":1,"a":1e2},` +
			` "guardrailConfig":{"guardrailIdentifier":"gr1","guardrailVersion":"1"}, "serviceTier":{"type":"flex"} }`),
	}
}

// who are the credentials of the tests.
func who() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(keyID, secret, token)
}

// start serves h on a real socket and returns a provider for it.
func start(t testing.TB, h http.HandlerFunc, change func(*bedrock.Config)) *bedrock.Provider {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	cfg := bedrock.Config{Name: "test", Region: "eu-central-1", Endpoint: srv.URL, Credentials: who()}
	if change != nil {
		change(&cfg)
	}
	return open(t, cfg)
}

func open(t testing.TB, cfg bedrock.Config) *bedrock.Provider {
	t.Helper()
	p, err := bedrock.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// inBubble serves h in memory, for tests in a bubble of the fake clock.
func inBubble(t *testing.T, h http.Handler, change func(*bedrock.Config)) *bedrock.Provider {
	t.Helper()
	cfg := bedrock.Config{Name: "test", Region: "eu-central-1", Endpoint: "http://memory", Credentials: who(), Transport: wiretest.Memory(t, h)}
	if change != nil {
		change(&cfg)
	}
	return open(t, cfg)
}

func collect(t testing.TB, p llm.Provider, req *llm.Request) (llm.Response, error) {
	t.Helper()
	s, err := p.Call(t.Context(), req.Model, req)
	if err != nil {
		return llm.Response{}, err
	}
	return llm.Collect(s)
}

// answer writes an answer of a type.
func answer(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

// both answers calls of Converse and ConverseStream as each is asked for.
func both(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "-stream") {
		answer(streamType, allEvents())(w, r)
		return
	}
	answer(jsonType, wholeBody)(w, r)
}

func want(t *testing.T, err error, kind llm.Kind) *llm.Error {
	t.Helper()
	if llm.KindOf(err) != kind {
		t.Fatalf("%v, want kind %q", err, kind)
	}
	e := llm.AsError(err)
	if e.Provider != "test" || e.Model == "" {
		t.Errorf("the error names provider %q and model %q", e.Provider, e.Model)
	}
	for _, text := range []string{e.Error(), fmt.Sprintf("%+v", *e)} {
		for _, canary := range []string{secret, token, apiKey} {
			if strings.Contains(text, canary) {
				t.Errorf("a secret stands in %s", text)
			}
		}
	}
	return e
}

// apiKey is a Bedrock API key.
const apiKey = "bedrock-api-key-CANARY0123456789abcdef"

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

func contains(text, part string) bool { return strings.Contains(text, part) }
