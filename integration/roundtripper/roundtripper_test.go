package roundtripper_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/integration/intercept"
	"github.com/forebay-ai/forebay/integration/roundtripper"
	"github.com/forebay-ai/forebay/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	answer = `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`
	piece  = `data: {"id":"1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}` + "\n\n"
	end    = `data: {"id":"1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
)

// client is one whose only target sends the original.
func client(t testing.TB) *forebay.Client {
	t.Helper()
	c, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"original": intercept.Provider{}},
		Models:    map[string]forebay.Model{"*": {Targets: []forebay.Target{{Provider: "original"}}}},
		Retry:     forebay.Retry{Max: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// server counts what gets to it.
func server(t testing.TB, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	n := new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s, n
}

// post sends a body as an SDK would.
func post(t testing.TB, hc *http.Client, url, key, body string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	res, err := hc.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res, string(text), err
}

func transport(t testing.TB) *http.Client {
	base := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(base.CloseIdleConnections)
	return &http.Client{Transport: roundtripper.New(client(t), roundtripper.Config{Base: base})}
}

const chat = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`

// An answer is had once a credential and host; nobody gets another one's.
func TestHit(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != chat || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("the original is %s %s", r.URL, body)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, strings.Replace(answer, "hello", r.Header.Get("Authorization"), 1))
	}
	a, na := server(t, h)
	b, nb := server(t, h)
	hc := transport(t)
	for _, c := range []struct {
		url, key, cache string
		a, b            int64
	}{
		{a.URL, "one", "miss", 1, 0},
		{a.URL, "one", "hit", 1, 0},
		{a.URL, "two", "miss", 2, 0},
		{b.URL, "one", "miss", 2, 1},
		{b.URL, "one", "hit", 2, 1},
	} {
		res, text, err := post(t, hc, c.url+"/v1/chat/completions", c.key, chat)
		if err != nil || res.StatusCode != 200 || !strings.Contains(text, "Bearer "+c.key) || res.Header.Get("X-Forebay-Cache") != c.cache || na.Load() != c.a || nb.Load() != c.b {
			t.Errorf("%+v: %v %v %s; %d and %d calls", c, err, res.Header, text, na.Load(), nb.Load())
		}
	}
}

func TestStream(t *testing.T) {
	s, n := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, piece)
		w.(http.Flusher).Flush()
		if strings.Contains(string(body), "cut") {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, end)
	})
	hc := transport(t)
	for range 2 {
		res, text, err := post(t, hc, s.URL+"/v1/chat/completions", "k", strings.Replace(chat, "{", `{"stream":true,`, 1))
		if err != nil || text != piece+end || res.Header.Get("Content-Type") != "text/event-stream" || n.Load() != 1 {
			t.Errorf("%v %q, %d calls", err, text, n.Load())
		}
	}
	// A stream that breaks says so, and never ends as if it were whole.
	_, text, err := post(t, hc, s.URL+"/v1/chat/completions", "k", strings.Replace(strings.Replace(chat, "hi", "cut", 1), "{", `{"stream":true,`, 1))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(text, "provider_truncated") {
		t.Errorf("%v %q", err, text)
	}
}

func TestErrors(t *testing.T) {
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasPrefix(r.URL.Path, "/model/") {
			w.Header().Set("X-Amzn-Errortype", "ValidationException")
			w.WriteHeader(400)
			fmt.Fprint(w, `{"message":"no such model"}`)
			return
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(429)
		fmt.Fprint(w, `{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}`)
	})
	hc := transport(t)
	res, text, _ := post(t, hc, s.URL+"/v1/chat/completions", "k", chat)
	if res.StatusCode != 429 || !strings.Contains(text, "provider_rate_limited") || res.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, text)
	}
	res, text, _ = post(t, hc, s.URL+"/model/eu.amazon.nova-lite-v1%3A0/converse", "k", `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`)
	if res.StatusCode != 400 || res.Header.Get("X-Amzn-Errortype") != "ValidationException" || !strings.Contains(text, "no such model") {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, text)
	}
}

// What is not known goes to the base transport as it is.
func TestUntouched(t *testing.T) {
	var saw string
	s, n := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		saw = r.Method + " " + r.URL.String() + " " + string(body)
		w.WriteHeader(http.StatusTeapot)
	})
	hc := transport(t)
	for path, body := range map[string]string{
		"/v1/files":                     `x`,
		"/v1/chat/completions":          `{"model":"m","model":"n"}`, // not well formed
		"/v1/chat/completions?twice=1":  `{`,
		"/model/m/count-tokens":         `{}`,
		"/model/a/b/converse":           `{"messages":1}`,
		"/v1/audio/transcriptions":      ``,
		"/v1/chat/completions#fragment": `[]`,
	} {
		before := n.Load()
		res, _, _ := post(t, hc, s.URL+path, "k", body)
		path, _, _ = strings.Cut(path, "#")
		if want := "POST " + path + " " + body; res.StatusCode != http.StatusTeapot || saw != want || n.Load() != before+1 {
			t.Errorf("%d: %s, want %s", res.StatusCode, saw, want)
		}
	}
}

func ExampleNew() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("the server is asked")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answer)
	}))
	defer api.Close()
	client, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"original": intercept.Provider{}},
		Models:    map[string]forebay.Model{"*": {Targets: []forebay.Target{{Provider: "original"}}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close(context.Background())
	base := &http.Transport{DisableKeepAlives: true}
	hc := &http.Client{Transport: roundtripper.New(client, roundtripper.Config{Base: base})} // for any SDK
	for range 2 {
		res, err := hc.Post(api.URL+"/v1/chat/completions", "application/json", strings.NewReader(chat))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(res.Status, res.Header.Get("X-Forebay-Cache"))
		_ = res.Body.Close()
	}
	// Output:
	// the server is asked
	// 200 OK miss
	// 200 OK hit
}
