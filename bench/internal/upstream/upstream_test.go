package upstream_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/upstream"
)

func start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := upstream.New().Serve(ln); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { _ = ln.Close(); serving.Wait() })
	return "http://" + ln.Addr().String() + "/v1/chat/completions"
}

// ask uses net/http, so that a wrong framing does not go unnoticed.
func ask(t *testing.T, url, model string, stream, chunked bool) (*http.Response, string) {
	t.Helper()
	var body io.Reader = strings.NewReader(fmt.Sprintf(`{"model":%q,"messages":[],"stream":%v}`, model, stream))
	if chunked {
		body = struct{ io.Reader }{body} // of unknown length
	}
	res, err := http.Post(url, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", res.Status, err)
	}
	return res, string(text)
}

func TestWholeAnswers(t *testing.T) {
	url := start(t)
	for model, size := range map[string]int{upstream.Small: 690, upstream.Large: 2048, upstream.Words: 2048, upstream.Slow: 690, "another": 690} {
		for _, chunked := range []bool{false, true} {
			begin := time.Now()
			res, text := ask(t, url, model, false, chunked)
			var answer struct {
				Choices []struct{ Message struct{ Content string } }
				Usage   struct {
					Prompt int `json:"prompt_tokens"`
				}
			}
			if err := json.Unmarshal([]byte(text), &answer); err != nil || len(answer.Choices) != 1 || answer.Usage.Prompt == 0 {
				t.Errorf("%s: %v in %s", model, err, text)
			}
			if len(text) != size || res.ContentLength != int64(size) || res.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %d bytes, %v", model, len(text), res.Header)
			}
			if d := time.Since(begin); model == upstream.Slow && d < upstream.SlowDelay {
				t.Errorf("%s answered after %v", model, d)
			}
		}
	}
}

func TestStreams(t *testing.T) {
	res, text := ask(t, start(t), upstream.Small, true, false)
	if res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%v", res.Header)
	}
	events := strings.Split(strings.TrimSuffix(text, "\n\n"), "\n\n")
	if want := 1 + upstream.Chunks + 3; len(events) != want || events[want-1] != "data: [DONE]" {
		t.Fatalf("%d events, want %d: %s", len(events), want, text)
	}
	said := 0
	for _, e := range events[:len(events)-1] {
		var chunk struct {
			Object  string
			Choices []struct{ Delta struct{ Content string } }
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(e, "data: ")), &chunk); err != nil || chunk.Object != "chat.completion.chunk" {
			t.Errorf("%v in %s", err, e)
		}
		if len(chunk.Choices) == 1 && chunk.Choices[0].Delta.Content != "" {
			said++
		}
	}
	if said != upstream.Chunks {
		t.Errorf("%d chunks of text", said)
	}
}

// What is no request ends the connection and nothing else.
func TestGarbage(t *testing.T) {
	url := start(t)
	for _, garbage := range []string{"hello\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n", strings.Repeat("x", 1<<20)} {
		c, err := net.Dial("tcp", strings.Split(url, "/")[2])
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, garbage) // may fail: the other side need not read it all
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.ReadAll(c)
		_ = c.Close()
	}
	ask(t, url, upstream.Small, false, false)
}
