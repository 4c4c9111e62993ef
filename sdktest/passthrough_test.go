package sdktest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// recorder stands between the gateway and the provider and keeps the bodies of
// requests as they came.
type recorder struct {
	mu     sync.Mutex // guards bodies
	bodies [][]byte
}

// before returns the URL of a proxy in front of upstream that records.
func (c *recorder) before(t *testing.T, upstream string) string {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		c.bodies = append(c.bodies, body)
		c.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// take returns the one body since the last call.
func (c *recorder) take(t *testing.T) []byte {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bodies) != 1 {
		t.Fatalf("the provider got %d requests, want 1", len(c.bodies))
	}
	body := c.bodies[0]
	c.bodies = nil
	return body
}

// TestUnusualPassesThrough: strict means malformed, not unusual. What OpenAI would
// judge is OpenAI's to judge, and gets there byte for byte.
func TestUnusualPassesThrough(t *testing.T) {
	t.Parallel()
	var upstream recorder
	r := newRig(t, setup{via: func(url string) string { return upstream.before(t, url) }})
	var sent []byte
	client := r.client(t, option.WithMiddleware(func(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		sent, req.Body = body, io.NopCloser(bytes.NewReader(body))
		return next(req)
	}))
	set := option.WithJSONSet
	for _, c := range []struct {
		name    string
		options []option.RequestOption
	}{
		{"nothing unusual", nil},
		{"stream_options without stream", []option.RequestOption{set("stream_options", map[string]any{"include_usage": true})}},
		{"stream_options null", []option.RequestOption{set("stream_options", nil)}},
		{"stream null", []option.RequestOption{set("stream", nil)}},
		{"max_tokens 0", []option.RequestOption{set("max_tokens", 0)}},
		{"max_completion_tokens 0", []option.RequestOption{set("max_completion_tokens", 0)}},
		{"negative max_tokens", []option.RequestOption{set("max_tokens", -1)}},
		{"unknown members", []option.RequestOption{set("x_vendor", map[string]any{"deep": []any{1, nil, "ü"}}), set("reasoning", "much")}},
		{"unknown members of a message", []option.RequestOption{set("messages.0.x_vendor", true), set("messages.0.cache_control", map[string]any{"type": "ephemeral"})}},
		{"an unknown role", []option.RequestOption{set("messages.0.role", "narrator")}},
		{"numbers beyond float64", []option.RequestOption{
			set("seed", json.RawMessage("-9223372036854775808")), set("x_big", json.RawMessage("123456789012345678901234567890")),
			set("temperature", json.RawMessage("0.10000000000000000000001")), set("x_exp", json.RawMessage("1E+2")),
		}},
		{"escapes", []option.RequestOption{set("x_escaped", json.RawMessage(`"\u0041\/\ud83d\ude00\u0000"`))}},
		{"temperature out of range", []option.RequestOption{set("temperature", 99)}},
		{"n", []option.RequestOption{set("n", 2)}},
		{"metadata and store", []option.RequestOption{set("metadata", map[string]any{"a": "b"}), set("store", true)}},
		{"empty tools", []option.RequestOption{set("tools", []any{}), set("stop", nil), set("logit_bias", map[string]any{})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := append(c.options, option.WithHeader("X-Forebay-Cache", "off"))
			got, err := client.Chat.Completions.New(t.Context(), question("m1", "Hello"), options...)
			if err != nil {
				t.Fatalf("%v: %s", err, raw(err))
			}
			if len(got.Choices) == 0 {
				t.Errorf("no answer: %s", got.RawJSON())
			}
			if arrived := upstream.take(t); !bytes.Equal(arrived, sent) {
				t.Errorf("the provider got\n%s\nand the SDK sent\n%s", arrived, sent)
			}
		})
	}
	t.Run("a stream", func(t *testing.T) {
		got := listen(client.Chat.Completions.NewStreaming(t.Context(), question("m1", "Hello"),
			set("x_vendor", json.RawMessage("1.0")), set("max_tokens", 0), option.WithHeader("X-Forebay-Cache", "off")))
		if got.err != nil {
			t.Fatal(got.err)
		}
		if arrived := upstream.take(t); !bytes.Equal(arrived, sent) {
			t.Errorf("the provider got\n%s\nand the SDK sent\n%s", arrived, sent)
		}
	})
	t.Run("embeddings", func(t *testing.T) {
		if _, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
			Model: "vectors", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a weir")},
		}, set("input_type", "query"), set("truncate", json.RawMessage(`"END"`))); err != nil {
			t.Fatalf("%v: %s", err, raw(err))
		}
		if arrived := upstream.take(t); !bytes.Equal(arrived, sent) {
			t.Errorf("the provider got\n%s\nand the SDK sent\n%s", arrived, sent)
		}
	})
}
