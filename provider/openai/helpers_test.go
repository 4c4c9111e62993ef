package openai_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	dialect "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/internal/wiretest"
	"github.com/forebay-ai/forebay/provider/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	model = "gpt-test"
	key   = "sk-canary-0123456789"

	wholeBody = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-test-1","choices":[{"index":0,` +
		`"message":{"role":"assistant","content":"one two three"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}}`
	done = "data: [DONE]\n\n"
)

// eventList is a streamed answer, event by event, end mark included.
func eventList() []string {
	chunk := `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-test-1","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}` + "\n\n"
	return []string{
		fmt.Sprintf(chunk, `{"role":"assistant","content":""}`, "null"),
		fmt.Sprintf(chunk, `{"content":"one "}`, "null"),
		fmt.Sprintf(chunk, `{"content":"two "}`, "null"),
		fmt.Sprintf(chunk, `{"content":"three"}`, "null"),
		fmt.Sprintf(chunk, `{}`, `"stop"`),
		`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-test-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}}` + "\n\n",
		done,
	}
}

func chat(stream bool) *llm.Request {
	return &llm.Request{
		ID: "req-1", Endpoint: llm.Chat, Model: model, Stream: stream, Dialect: dialect.Dialect{},
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Body: fmt.Appendf(nil, `{ "model":%q, "stream":%v, "unknown":{"b":1,"a":1e2}, "stream_options":{"include_usage":true},`+
			` "messages":[{"role":"user","content":"count"}] }`, model, stream),
	}
}

// start serves h on a real socket and returns a provider for it.
func start(t *testing.T, h http.HandlerFunc, change func(*openai.Config)) *openai.Provider {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	cfg := openai.Config{Name: "test", BaseURL: srv.URL + "/v1", APIKey: key}
	if change != nil {
		change(&cfg)
	}
	return open(t, cfg)
}

func open(t *testing.T, cfg openai.Config) *openai.Provider {
	t.Helper()
	p, err := openai.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// inBubble serves h in memory, for tests in a bubble of the fake clock.
func inBubble(t *testing.T, h http.Handler, change func(*openai.Config)) *openai.Provider {
	t.Helper()
	cfg := openai.Config{Name: "test", BaseURL: "http://memory/v1", APIKey: key, Transport: wiretest.Memory(t, h)}
	if change != nil {
		change(&cfg)
	}
	return open(t, cfg)
}

func collect(t *testing.T, p llm.Provider, req *llm.Request) (llm.Response, error) {
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

func allEvents() string { return strings.Join(eventList(), "") }
