package intercept_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/integration/intercept"
	"github.com/forebay-ai/forebay/llm"
)

const whole = `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}`

func client(t *testing.T) *forebay.Client {
	t.Helper()
	c, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"original": intercept.Provider{}},
		Models:    map[string]forebay.Model{"*": {Targets: []forebay.Target{{Provider: "original"}}}},
		Retry:     forebay.Retry{Max: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func request(text string) *llm.Request {
	return &llm.Request{
		ID: "r", Tenant: "t", Model: "m", Endpoint: llm.Chat, Dialect: openai.Dialect{},
		Body: []byte(`{"model":"m","messages":[{"role":"user","content":"` + text + `"}]}`),
	}
}

// answer is what a transport gives.
func answer(status int, body io.Reader, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(body)}
}

// Each way in which an original fails has its kind, and is an answer of the API.
func TestFailures(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, whole)
	_ = z.Close()
	for name, e := range map[string]struct {
		res  *http.Response
		err  error
		want llm.Kind
	}{
		"no connection":    {nil, &url.Error{Op: "Post", URL: "x", Err: errors.New("refused")}, llm.ProviderConnectionFailed},
		"time":             {nil, &url.Error{Op: "Post", URL: "x", Err: os.ErrDeadlineExceeded}, llm.ProviderTimeout},
		"known":            {nil, llm.Errorf(llm.ProviderAuthFailed, "no"), llm.ProviderAuthFailed},
		"status":           {answer(503, strings.NewReader(`{}`)), nil, llm.ProviderOverloaded},
		"encoded":          {answer(200, &packed, "Content-Encoding", "gzip"), nil, llm.ProviderMalformed},
		"not the protocol": {answer(200, strings.NewReader(`<html>`)), nil, llm.ProviderMalformed},
		"cut":              {answer(200, io.MultiReader(strings.NewReader(whole[:20]), broken{})), nil, llm.ProviderTruncated},
	} {
		// Each has a client of its own: the breaker would open.
		res := intercept.Do(t.Context(), client(t), intercept.Call{Request: request(name), Send: func(context.Context, string, []byte) (*http.Response, error) {
			return e.res, e.err
		}})
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != e.want.Status() || !strings.Contains(string(text), string(e.want)) {
			t.Errorf("%s: %v, %d, %s, want %s", name, err, res.StatusCode, text, e.want)
		}
		_ = res.Body.Close()
	}
}

// broken is a connection that breaks.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A call that nobody intercepted has nothing to send.
func TestNoOriginal(t *testing.T) {
	if _, err := client(t).Do(t.Context(), request("x")); llm.KindOf(err) != llm.ForebayUnavailable {
		t.Error(err)
	}
}

func TestRecognised(t *testing.T) {
	for path, want := range map[string]bool{
		"/v1/chat/completions": true, "/openai/deployments/x/chat/completions": true, "/v1/embeddings": true,
		"/model/eu.x%2Fy/converse": true, "/base/model/m/invoke-with-response-stream": true,
		"/v1/completions": false, "/model//converse": false, "/model/m/count-tokens": false, "/model/a/b/converse": false, "/": false, "": false,
	} {
		r, err := http.NewRequest("POST", "http://h"+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		if got := intercept.Recognised(r); got != want {
			t.Errorf("%s: %v", path, got)
		}
		r.Method = "GET"
		if intercept.Recognised(r) {
			t.Errorf("GET %s is recognised", path)
		}
	}
}

// FuzzRead: whatever is read is a request that can be run, and nothing is a crash.
func FuzzRead(f *testing.F) {
	f.Add("/v1/chat/completions", []byte(`{"model":"m","messages":[{"role":"user","content":"x"}]}`))
	f.Add("/model/amazon.titan-embed-text-v2%3A0/invoke", []byte(`{"inputText":"x"}`))
	f.Add("/model/m/converse-stream", []byte(`{"messages":[{"role":"user","content":[{"text":"x"}]}]}`))
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		u, err := url.Parse("http://h" + path)
		if err != nil {
			return
		}
		r := &http.Request{Method: "POST", URL: u, Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{"Content-Type": {"application/json"}}}
		req := &llm.Request{ID: "r"}
		if !intercept.Recognised(r) || !intercept.Read(req, r, body) {
			return
		}
		if req.Dialect == nil || req.Endpoint == "" || req.Model == "" || !bytes.Equal(req.Body, body) {
			t.Fatalf("%+v", req)
		}
		if name := req.Dialect.Name(); name == bedrock.NameConverse && req.Endpoint != llm.Chat {
			t.Fatalf("%+v", req)
		}
		if _, err := req.Dialect.Canonical(nil, req, false); err != nil {
			t.Fatalf("what was read has no canonical form: %v", err)
		}
	})
}
