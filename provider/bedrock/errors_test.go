package bedrock_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

// rejects answers with a status, an error type as AWS's header has it, and a body.
func rejects(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", jsonType)
		w.Header().Set("X-Amzn-Requestid", "8f5c5e5a-1111-2222-3333-444455556666")
		if kind != "" {
			w.Header().Set("X-Amzn-Errortype", kind+":http://internal.amazon.com/coral/com.amazon.bedrock/")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Every row that the table of failures has for Bedrock, as an answer in which the header
// names the type, as one in which the body does, and as an exception within a stream.
func TestEveryErrorRow(t *testing.T) {
	statuses := map[llm.Kind]int{
		llm.ProviderRateLimited: 429, llm.ProviderOverloaded: 503, llm.ProviderError: 500, llm.ProviderTimeout: 408,
		llm.ProviderAuthFailed: 403, llm.ProviderQuotaExceeded: 400, llm.ProviderRejected: 400, llm.ProviderFiltered: 400, llm.ProviderContextExceeded: 400,
	}
	rows := 0
	for _, rule := range failure.Rules() {
		if rule.Dialect != failure.Bedrock || rule.Word == "" {
			continue
		}
		rows++
		t.Run(rule.Word+" "+rule.Text, func(t *testing.T) {
			message := "It failed: " + rule.Text + "."
			status := statuses[rule.Kind]
			for how, h := range map[string]http.HandlerFunc{
				"header": rejects(status, rule.Word, fmt.Sprintf(`{"message":%q}`, message)),
				"body":   rejects(status, "", fmt.Sprintf(`{"__type":%q,"message":%q}`, "com.amazon.bedrock#"+rule.Word, message)),
			} {
				p := start(t, h, nil)
				for _, stream := range []bool{false, true} {
					_, err := p.Call(t.Context(), model, chat(stream))
					e := want(t, err, rule.Kind)
					if e.Status != status || !strings.Contains(e.Message, "It failed") || !strings.Contains(e.Error(), "8f5c5e5a-1111") {
						t.Errorf("%s: status %d, %v", how, e.Status, e)
					}
				}
			}
			p := start(t, answer(streamType, eventList()[0]+eventList()[1]+frame("exception", rule.Word, fmt.Sprintf(`{"message":%q}`, message))), nil)
			res, err := collect(t, p, chat(true))
			want(t, err, rule.Kind)
			if string(res.Body) != eventList()[0]+eventList()[1] {
				t.Errorf("before the exception came %q", res.Body)
			}
		})
	}
	if rows < 20 {
		t.Errorf("%d rows", rows)
	}
}

// Error bodies that are pages, cut, empty or endless leave the status to say what it is.
func TestErrorBodies(t *testing.T) {
	for _, body := range []string{"", "<html><h1>503</h1></html>", `{"message":"cut of`, "null", "[]", `{"message":` + strings.Repeat("[", 10_000), strings.Repeat("x", 1<<20)} {
		_, err := collect(t, start(t, rejects(503, "", body), nil), chat(false))
		if e := want(t, err, llm.ProviderOverloaded); len(e.Text()) > 2000 {
			t.Errorf("a text of %d bytes", len(e.Text()))
		}
	}
}

func TestRetryAfter(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("X-Should-Retry", "false")
		rejects(429, "ThrottlingException", `{"message":"Too many tokens, please wait before trying again."}`)(w, r)
	}, nil)
	_, err := collect(t, p, chat(true))
	if e := want(t, err, llm.ProviderRateLimited); e.RetryAfter != 7*time.Second || !e.NoRetry || e.Code != "ThrottlingException" {
		t.Errorf("%+v", e)
	}
}

// What is no answer of Bedrock's: pages, redirects, another framing, an encoding.
func TestNotBedrock(t *testing.T) {
	events := allEvents()
	for _, c := range []struct {
		name, contentType, body string
		stream                  bool
	}{
		{"page", "text/html", "<html>Sorry</html>", false},
		{"page for a stream", "text/html", "<html>Sorry</html>", true},
		{"page that says JSON", jsonType, "<html>Sorry</html>", false},
		{"nothing", jsonType, "", false},
		{"no type", "", wholeBody, false},
		{"text", "text/plain", wholeBody, false},
		{"JSON for a stream", jsonType, wholeBody, true},
		{"server-sent events", "text/event-stream", "data: {}\n\n", true},
		{"stream for a whole answer", streamType, events, false},
		{"an object that is no answer", jsonType, `{"ok":true}`, false},
		{"no JSON", jsonType, "hello", false},
		{"messages that are none", streamType, "hello, this is not an event stream at all", true},
		{"a message that is no JSON", streamType, frame("event", "messageStart", "hello"), true},
		{"a damaged message", streamType, strings.Replace(events, "two", "tow", 1), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := collect(t, start(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Type"] = nil
				if c.contentType != "" {
					w.Header().Set("Content-Type", c.contentType)
				}
				w.Header().Set("X-Amzn-Requestid", "id-of-the-call")
				_, _ = io.WriteString(w, c.body)
			}, nil), chat(c.stream))
			if e := want(t, err, llm.ProviderMalformed); e.Err == nil || !strings.Contains(e.Err.Error(), "id-of-the-call") {
				t.Errorf("the cause has no request id: %v", e.Err)
			}
		})
	}
	for _, status := range []int{301, 307, 304} {
		_, err := collect(t, start(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", status)
		}, nil), chat(false))
		if e := want(t, err, llm.ProviderMalformed); !e.NoRetry || !strings.Contains(e.Fix, "region and endpoint") {
			t.Errorf("%d: %+v", status, e)
		}
	}
	_, err := collect(t, start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		answer(jsonType, wholeBody)(w, r)
	}, nil), chat(false))
	want(t, err, llm.ProviderMalformed)
}

// A type with a parameter is the type.
func TestContentTypeWithParameter(t *testing.T) {
	for contentType, stream := range map[string]bool{"application/json; charset=utf-8": false, "Application/VND.amazon.eventstream;x=y": true} {
		body := wholeBody
		if stream {
			body = allEvents()
		}
		if _, err := collect(t, start(t, answer(contentType, body), nil), chat(stream)); err != nil {
			t.Errorf("%s: %v", contentType, err)
		}
	}
}

// A refusal of the signature that a wrong clock explains says so.
func TestWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{time.Second, -time.Hour, time.Hour} {
		_, err := collect(t, start(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			rejects(403, "InvalidSignatureException", `{"message":"Signature expired"}`)(w, r)
		}, nil), chat(false))
		e := want(t, err, llm.ProviderAuthFailed)
		if skewed := strings.Contains(e.Fix, "clock"); skewed != (ahead.Abs() > time.Minute) {
			t.Errorf("%v: %s", ahead, e.Fix)
		}
	}
}
