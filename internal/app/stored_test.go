package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/forebay-ai/forebay/internal/app"
)

// ending is one way in which a provider's answer may end.
type ending struct {
	name   string
	status int    // 0: 200
	whole  string // body of a whole answer
	stream string // events of a streamed one; a missing [DONE] cuts it
	stored bool
	only   string // "whole" or "stream": the other has no such ending
	cut    bool   // the connection breaks behind the body
}

func choice(message, finish string) string {
	return `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant",` + message + `},"finish_reason":` + finish + `}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
}

func event(delta, finish string) string {
	return `data: {"id":"1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{` + delta + `},"finish_reason":` + finish + "}]}\n\n"
}

const done = "data: [DONE]\n\n"

// One table on purpose: it is the list of what may be kept.
func endings() []ending {
	text, call := `"content":"fine"`, `"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]`
	two := `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"},{"index":1,"message":{"role":"assistant","content":"b"},"finish_reason":%s}]}`
	return []ending{
		{name: "complete", whole: choice(text, `"stop"`), stream: event(text, "null") + event("", `"stop"`) + done, stored: true},
		{name: "as long as allowed", whole: choice(text, `"length"`), stream: event(text, "null") + event("", `"length"`) + done, stored: true},
		{name: "tool call", whole: choice(`"content":null,`+call, `"tool_calls"`), stream: event(call, "null") + event("", `"tool_calls"`) + done},
		{name: "tool call that says stop", whole: choice(`"content":null,`+call, `"stop"`), stream: event(call, "null") + event("", `"stop"`) + done},
		{name: "old function call", whole: choice(`"content":null,"function_call":{"name":"f","arguments":"{}"}`, `"function_call"`), stream: event(`"function_call":{"name":"f","arguments":"{}"}`, "null") + event("", `"function_call"`) + done},
		{name: "refusal", whole: choice(`"content":null,"refusal":"no"`, `"stop"`), stream: event(`"refusal":"no"`, "null") + event("", `"stop"`) + done},
		{name: "content filter", whole: choice(text, `"content_filter"`), stream: event(text, "null") + event("", `"content_filter"`) + done},
		{name: "no finish reason", whole: choice(text, "null"), stream: event(text, "null") + done},
		{name: "unknown finish reason", whole: choice(text, `"tired"`), stream: event(text, "null") + event("", `"tired"`) + done},
		{name: "second choice filtered", whole: fmt.Sprintf(two, `"content_filter"`), only: "whole"},
		{name: "second choice unfinished", whole: fmt.Sprintf(two, "null"), only: "whole"},
		{name: "two complete choices", whole: fmt.Sprintf(two, `"stop"`), only: "whole", stored: true},
		{name: "no end mark", stream: event(text, "null") + event("", `"stop"`), only: "stream"},
		{name: "error event", stream: event(text, "null") + `data: {"error":{"message":"overloaded","type":"server_error"}}` + "\n\n", only: "stream"},
		{name: "error event and end mark", stream: event(text, "null") + `data: {"error":{"message":"overloaded","type":"server_error"}}` + "\n\n" + done, only: "stream"},
		{name: "garbage in the middle", stream: event(text, "null") + "data: {garbage\n\n" + done, only: "stream"},
		{name: "cut connection", whole: choice(text, `"stop"`)[:60], stream: event(text, "null"), cut: true},
		{name: "error in a 200", whole: `{"error":{"message":"overloaded","type":"server_error"}}`, only: "whole"},
		{name: "not JSON", whole: `<html>fine</html>`, only: "whole"},
		{name: "server error", status: 500, whole: `{"error":{"message":"broken"}}`, stream: `{"error":{"message":"broken"}}`},
		{name: "rate limit", status: 429, whole: `{"error":{"message":"slow down"}}`, stream: `{"error":{"message":"slow down"}}`},
		{name: "too large", whole: choice(`"content":"`+strings.Repeat("x", 70<<10)+`"`, `"stop"`), stream: event(`"content":"`+strings.Repeat("x", 70<<10)+`"`, "null") + event("", `"stop"`) + done},
	}
}

// TestOnlyCompleteAnswersAreStored asks twice for each ending of an answer, over
// sockets: the second time shows whether the first answer was kept.
func TestOnlyCompleteAnswersAreStored(t *testing.T) {
	for _, e := range endings() {
		for _, form := range []string{"whole", "stream"} {
			if e.only != "" && e.only != form {
				continue
			}
			t.Run(e.name+" "+form, func(t *testing.T) {
				if got := keeps(t, e, form == "stream", ""); got != e.stored {
					t.Errorf("stored: %v, want %v", got, e.stored)
				}
			})
		}
	}
}

// TestStoredByPolicy has an operation that keeps what others do not.
func TestStoredByPolicy(t *testing.T) {
	for _, e := range endings() {
		kept := map[string]string{"tool call": "tool_calls", "tool call that says stop": "tool_calls", "refusal": "refusal", "content filter": "content_filter"}[e.name]
		if kept == "" {
			continue
		}
		for _, stream := range []bool{false, true} {
			if !keeps(t, e, stream, kept) || keeps(t, e, stream, map[bool]string{true: "refusal", false: "tool_calls"}[kept != "refusal"]) {
				t.Errorf("%s (stream %v) is not kept just where the operation says so", e.name, stream)
			}
		}
	}
}

// keeps asks twice and reports whether the second answer came from the cache.
func keeps(t *testing.T, e ending, stream bool, policy string) bool {
	t.Helper()
	var calls atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		e.write(w, stream)
	}))
	defer upstream.Close()
	text := fmt.Sprintf("listen: 127.0.0.1:0\nproviders: {up: {type: openai, base_url: %q}}\nmodels: {\"*\": {targets: [{provider: up}]}}\n"+
		"retry: {max: 0}\ncache: {max_entry: 64KiB}\n", upstream.URL)
	if policy != "" {
		text += "defaults: {cache: {store: [" + policy + "]}}\n"
	}
	s := start(t, app.Options{File: configured(t, text, nil)})
	body := fmt.Sprintf(`{"model":"m","stream":%v,"n":1,"messages":[{"role":"user","content":"hello"}]}`, stream)
	for range 2 {
		res, err := s.client.Do(s.chat(body))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = res.Body.Read(make([]byte, 1))
		drainBody(res)
	}
	s.stop()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	return calls.Load() == 1
}

// drainBody reads a body that may break off.
func drainBody(res *http.Response) {
	buf := make([]byte, 32<<10)
	for {
		if _, err := res.Body.Read(buf); err != nil {
			_ = res.Body.Close()
			return
		}
	}
}

func (e *ending) write(w http.ResponseWriter, stream bool) {
	body, contentType := e.whole, "application/json"
	if stream {
		body = e.stream
		if e.status == 0 {
			contentType = "text/event-stream"
		}
	}
	w.Header().Set("Content-Type", contentType)
	if e.cut {
		w.Header().Set("Content-Length", "1000")
	}
	if e.status != 0 {
		w.WriteHeader(e.status)
	}
	_, _ = w.Write([]byte(body))
	if e.cut {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}
