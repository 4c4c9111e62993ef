package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/config"
)

// echo is a provider over a socket that answers with what it was asked, and with the
// name of the user that the call was made for. The user is no part of what requests
// are compared by, so an answer that reaches somebody else says whose it was.
type echo struct {
	*httptest.Server
	calls atomic.Int64
	// answer, where it is set, is told the text and the user, and gives the answer.
	answer func(text, user string) string
}

func newEcho(t testing.TB) *echo {
	e := &echo{}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *echo) serve(w http.ResponseWriter, r *http.Request) {
	e.calls.Add(1)
	var ask struct {
		User     string
		Stream   bool
		Messages []struct{ Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || len(ask.Messages) == 0 {
		http.Error(w, `{"error":{"message":"what?","type":"invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	text := "echo for " + ask.User + ": " + ask.Messages[len(ask.Messages)-1].Content
	if e.answer != nil {
		text = e.answer(ask.Messages[len(ask.Messages)-1].Content, ask.User)
	}
	if !ask.Stream {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`, text)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for i, word := range strings.SplitAfter(text, " ") {
		fmt.Fprintf(w, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}]}\n\n", word)
		if i%2 == 0 {
			w.(http.Flusher).Flush()
			time.Sleep(200 * time.Microsecond) // so that others join and readers leave in the middle
		}
	}
	_, _ = fmt.Fprint(w, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
}

// configured reads a configuration from text.
func configured(t testing.TB, text string, flags map[string]string) *config.File {
	t.Helper()
	f, err := config.Read(config.Sources{Environ: []string{}, Path: "test.yaml", Content: []byte(text), Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return f
}
