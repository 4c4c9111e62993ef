package openai_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	dialect "github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
)

func silent() *log.Logger { return log.New(io.Discard, "", 0) }

func TestConfigReportsEveryFault(t *testing.T) {
	_, err := openai.New(openai.Config{
		BaseURL: "ftp://example.com", APIKey: "a\nb", ConnectTimeout: -1, FirstByteTimeout: -2, IdleTimeout: -2,
		MaxBody: -1, MaxStream: -1, MaxEvent: -1, MaxIdleConns: -1, MaxConns: -1,
		Headers: map[string]llm.Secret{"bad name": "x", "Idempotency-Key": "x", "host": "x", "X-Ok": "a\r\nb"},
	})
	for _, want := range []string{
		"base_url", "api_key", "connect_timeout", "first_byte_timeout", "idle_timeout", "max_body_bytes", "max_stream_bytes",
		"max_event_bytes", "max_idle_conns", "max_conns", `"bad name"`, "Idempotency-Key cannot", "host cannot", "X-Ok",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestBaseURL(t *testing.T) {
	for base, want := range map[string]string{
		"":                                  "missing",
		"://":                               "not a URL",
		"example.com/v1":                    "only http and https",
		"http:///v1":                        "no host",
		"https://u:password@example.com":    "must not hold a user",
		"https://example.com/v1?key=x":      "query",
		"https://example.com/v1#x":          "fragment",
		"https://example.com/v1":            "",
		"http://127.0.0.1:11434/v1/":        "",
		"https://example.com/openai/v1//":   "",
		"https://[::1]:8000/proxy%2Fabc/v1": "",
	} {
		_, err := openai.New(openai.Config{BaseURL: base})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", base, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want it to say %q", base, err, want)
		case err != nil && strings.Contains(err.Error(), "password@"):
			t.Errorf("%s: the error repeats the password: %v", base, err)
		}
	}
}

func Example() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"model":"m-1","choices":[{"message":{"content":"Hello!"},"finish_reason":"stop"}]}`)
	}))
	defer srv.Close()
	p, err := openai.New(openai.Config{Name: "local", BaseURL: srv.URL + "/v1", APIKey: "sk-not-a-real-key"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	s, err := p.Call(context.Background(), "m", &llm.Request{
		Endpoint: llm.Chat, Model: "m", Dialect: dialect.Dialect{},
		Body: []byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}]}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	chunk, err := s.Next()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(chunk.Text(), chunk.Model, chunk.Finish)
	// Output: Hello! m-1 stop
}
