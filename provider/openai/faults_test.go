package openai_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/openai"
)

const eventHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

// A stream that is cut anywhere, by a clean close that nothing in HTTP gives away, is
// no success; but behind its end mark it is one.
func TestCutAtEveryOffset(t *testing.T) {
	all := allEvents()
	var at atomic.Int64
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, eventHead+all[:at.Load()])
		_ = conn.Close()
	}, nil)
	complete := strings.Index(all, "[DONE]") + len("[DONE]")
	for cut := range len(all) + 1 {
		at.Store(int64(cut))
		for _, stream := range []bool{true, false} {
			res, err := collect(t, p, chat(stream))
			switch {
			case cut >= complete && err != nil:
				t.Fatalf("cut at %d, behind the end mark: %v", cut, err)
			case cut < complete && llm.KindOf(err) != llm.ProviderTruncated:
				t.Fatalf("cut at %d of %d: %v, %q", cut, len(all), err, res.Body)
			}
		}
	}
}

// What servers send as events, and what comes of it.
func TestOddStreams(t *testing.T) {
	events := allEvents()
	content := func(text string) string {
		return fmt.Sprintf(`data: {"id":"c","model":"gpt-test-1","choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`, text) + "\n\n"
	}
	for _, c := range []struct {
		name, body string
		kind       llm.Kind
		text       string
	}{
		{"CRLF", strings.ReplaceAll(events, "\n", "\r\n"), "", "one two three"},
		{"CR", strings.ReplaceAll(events, "\n", "\r"), "", "one two three"},
		{"mixed", strings.Replace(strings.Replace(events, "\n\n", "\r\n\r", 1), "\n\n", "\r\r\n", 1), "", "one two three"},
		{"comments and blank lines", ": ping\n\n\n\n" + strings.ReplaceAll(events, "\n\n", "\n\n: ping\n\n"), "", "one two three"},
		{"no data fields", "hello\nworld\n\n", llm.ProviderTruncated, ""},
		{"behind the end mark", events + "data: {\"error\":{\"message\":\"late\"}}\n\n" + content("four"), "", "one two three"},
		{"garbage", content("one ") + "data: {\"choices\":[}\n\n" + events, llm.ProviderMalformed, ""},
		{"no JSON", content("one ") + "data: hello\n\n" + events, llm.ProviderMalformed, ""},
		{"page", "<html><body>Sorry</body></html>", llm.ProviderTruncated, ""},
		{"page in an event", "data: <html>\n\n", llm.ProviderMalformed, ""},
		{"error event at once", "data: {\"error\":{\"message\":\"x\",\"type\":\"overloaded_error\"}}\n\n", llm.ProviderOverloaded, ""},
		{"error event in the middle", content("one ") + "event: error\ndata: {\"message\":\"x\",\"code\":429}\n\n", llm.ProviderRateLimited, ""},
		{"error object in the middle", content("one ") + "data: {\"id\":\"c\",\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}],\"error\":{\"code\":502,\"message\":\"x\"}}\n\n" + done, llm.ProviderError, ""},
		{"filter in the middle", content("one ") + "data: {\"error\":{\"message\":\"x\",\"code\":\"content_filter\"}}\n\n", llm.ProviderFiltered, ""},
		// SGLang has an id for each choice, and others one for each chunk.
		{"ids that interleave", interleaved(), "", "one two three"},
		{"no end mark", strings.TrimSuffix(events, done), llm.ProviderTruncated, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, answer("text/event-stream", c.body), nil)
			text, err := textOf(t, p)
			if c.kind == "" && (err != nil || text != c.text) || c.kind != "" && llm.KindOf(err) != c.kind {
				t.Errorf("%q, %v; want kind %q", text, err, c.kind)
			}
			if c.kind != "" {
				want(t, err, c.kind)
			}
		})
	}
}

// interleaved is the stream with another id in every second event.
func interleaved() string {
	list := eventList()
	for i := range list {
		if i%2 == 1 {
			list[i] = strings.Replace(list[i], "chatcmpl-1", "chatcmpl-2", 1)
		}
	}
	return strings.Join(list, "")
}

func textOf(t *testing.T, p *openai.Provider) (string, error) {
	t.Helper()
	s, err := p.Call(t.Context(), model, chat(true))
	if err != nil {
		return "", err
	}
	defer s.Close()
	var text strings.Builder
	for n := 0; ; n++ {
		if n%2 == 1 { // now and then apart, which changes nothing
			llm.Await(s)
		}
		c, err := s.Next()
		if err == io.EOF {
			return text.String(), nil
		}
		if err != nil {
			return text.String(), err
		}
		if c.Text != nil {
			text.WriteString(c.Text())
		}
	}
}

// Characters that two packets share are read as one.
func TestUTF8SplitAcrossReads(t *testing.T) {
	body := strings.Replace(allEvents(), "three", "drei – 日本 🎉", 1)
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range len(body) {
			_, _ = io.WriteString(w, body[i:i+1])
			_ = http.NewResponseController(w).Flush()
		}
	}, nil)
	if text, err := textOf(t, p); err != nil || text != "one two drei – 日本 🎉" {
		t.Errorf("%q, %v", text, err)
	}
}

// endless writes piece until the client hangs up or most bytes went out, and says how
// many did.
func endless(sent *atomic.Int64, head http.Header, piece string, most int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for name, values := range head {
			w.Header()[name] = values
		}
		for sent.Load() < most {
			n, err := io.WriteString(w, piece)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}
}

// What has no end costs no more than its bound, and what sockets hold beside it.
func TestEndlessAnswersAreCut(t *testing.T) {
	const most, fair = 100 << 20, 32 << 20
	events, whole := http.Header{"Content-Type": {"text/event-stream"}}, http.Header{"Content-Type": {"application/json"}}
	packed := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
	piece := strings.Repeat("x", 64<<10)
	for _, c := range []struct {
		name, limit string
		stream      bool
		handler     func(*atomic.Int64) http.HandlerFunc
	}{
		{"line", "max_event_bytes", true, func(n *atomic.Int64) http.HandlerFunc { return endless(n, events, piece, most) }},
		{"events", "max_stream_bytes", true, func(n *atomic.Int64) http.HandlerFunc {
			return endless(n, events, strings.Repeat(eventList()[1], 100), most)
		}},
		{"body", "max_body_bytes", false, func(n *atomic.Int64) http.HandlerFunc { return endless(n, whole, piece, most) }},
		{"gzip", "", false, func(n *atomic.Int64) http.HandlerFunc { return endless(n, packed, zipped(piece), most) }},
		{"error", "", false, func(n *atomic.Int64) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusInternalServerError)
				endless(n, nil, piece, most)(w, r)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sent atomic.Int64
			p := start(t, c.handler(&sent), func(cfg *openai.Config) { cfg.MaxBody, cfg.MaxStream = 4<<20, 4<<20 })
			_, err := collect(t, p, chat(c.stream))
			if e := llm.AsError(err); e.Limit != c.limit || e.Kind != llm.ProviderMalformed && e.Kind != llm.ProviderError {
				t.Errorf("%v, limit %q", err, e.Limit)
			}
			if n := sent.Load(); n > fair {
				t.Errorf("%d MiB were taken", n>>20)
			}
		})
	}
}

// Trailers are read and change nothing; our key in one goes to nobody.
func TestTrailers(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Late")
		answer("text/event-stream", allEvents())(w, r)
		w.Header().Set("X-Late", r.Header.Get("Authorization"))
		w.Header().Set(http.TrailerPrefix+"Content-Type", "text/html")
	}, nil)
	for range 2 {
		if text, err := textOf(t, p); err != nil || text != "one two three" {
			t.Errorf("%q, %v", text, err)
		}
	}
}

// A body that reports an error in spite of its status is what it says, and its head
// still tells when to try again and whether.
func TestErrorBodyWithStatus200(t *testing.T) {
	for _, stream := range []bool{true, false} {
		p := start(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.Header().Set("X-Should-Retry", "false")
			answer("application/json", `{"error":{"message":"slow down","type":"rate_limit_error"}}`)(w, r)
		}, nil)
		_, err := collect(t, p, chat(stream))
		if e := want(t, err, llm.ProviderRateLimited); e.RetryAfter != 7*time.Second || !e.NoRetry {
			t.Errorf("stream %v: %+v", stream, e)
		}
	}
}

// Two Forebays in a row: what the one behind has tried is not tried again here.
func TestShouldRetryIsPassedUp(t *testing.T) {
	for value, wanted := range map[string]bool{"false": true, "true": false} {
		p := start(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Should-Retry", value)
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, `{"error":{"message":"x","type":"server_error","code":"provider_timeout","error_type":"provider_timeout"}}`)
		}, nil)
		_, err := collect(t, p, chat(false))
		if e := want(t, err, llm.ProviderTimeout); e.NoRetry != wanted {
			t.Errorf("x-should-retry: %s gives %v", value, e.NoRetry)
		}
	}
}

// A back end that repeats our key in what should be an answer hands it to nobody,
// wherever the key is cut.
func TestKeyInAnAnswer(t *testing.T) {
	whole := strings.Replace(wholeBody, "two", key, 1)
	events := strings.Replace(allEvents(), "two", key, 1)
	for _, c := range []struct {
		contentType, body string
		stream            bool
	}{{"application/json", whole, false}, {"text/event-stream", events, true}, {"application/json", whole, true}, {"text/event-stream", events, false}} {
		first := strings.Index(c.body, key)
		for cut := first - 1; cut <= first+len(key)+1; cut++ {
			p := start(t, func(w http.ResponseWriter, r *http.Request) {
				answer(c.contentType, c.body[:cut])(w, r)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
				_, _ = io.WriteString(w, c.body[cut:])
			}, nil)
			res, err := collect(t, p, chat(c.stream))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(res.Body), strings.Repeat("*", len(key))); strings.Contains(string(res.Body), key[:8]) || n != 1 {
				t.Fatalf("cut at %d: %s", cut, res.Body)
			}
		}
	}
	// What only looks like the beginning of a key stays, and so do settings.
	text := strings.Replace(wholeBody, "two", key[:len(key)-1]+" my-organisation-name "+key[:4], 1)
	p := start(t, answer("application/json", text), func(cfg *openai.Config) {
		cfg.Headers = map[string]llm.Secret{"X-Title": "my-organisation-name"}
	})
	if res, err := collect(t, p, chat(false)); err != nil || string(res.Body) != text {
		t.Errorf("%s, %v", res.Body, err)
	}
}

func TestForwardMasksItsContentType(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; echo="+key)
	}, nil)
	_, contentType, _, err := p.Forward(t.Context(), "GET", "/chat/completions", "", nil)
	if err != nil || strings.Contains(contentType, key) {
		t.Errorf("%s, %v", contentType, err)
	}
}
