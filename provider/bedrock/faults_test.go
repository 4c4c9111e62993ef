package bedrock_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/provider/bedrock"
)

// A stream that is cut anywhere, by a clean close that nothing in HTTP gives away and be
// it between two messages, is no success; behind its last message it is one.
func TestCutAtEveryByte(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: " + streamType + "\r\nConnection: close\r\n\r\n"
	all := allEvents()
	var at atomic.Int64
	p := start(t, func(_ http.ResponseWriter, r *http.Request) {}, func(cfg *bedrock.Config) {
		cfg.Transport = canned(func() (http.Header, io.Reader) {
			return http.Header{"Content-Type": {streamType}}, strings.NewReader(all[:at.Load()])
		})
	})
	overSocket := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, head+all[:at.Load()])
		_ = conn.Close()
	}, nil)
	boundaries := map[int]bool{}
	for i, n := 0, 0; i < len(eventList()); i++ {
		boundaries[n] = true
		n += len(eventList()[i])
	}
	for cut := range len(all) + 1 {
		at.Store(int64(cut))
		calls := []*bedrock.Provider{p}
		if boundaries[cut] || cut == len(all) {
			calls = append(calls, overSocket)
		}
		for _, p := range calls {
			res, err := collect(t, p, chat(true))
			switch {
			case cut == len(all) && err != nil:
				t.Fatalf("the whole stream: %v", err)
			case cut < len(all) && llm.KindOf(err) != llm.ProviderTruncated:
				t.Fatalf("cut at %d of %d: %v, %q", cut, len(all), err, res.Body)
			}
		}
	}
}

// canned answers without a network.
type canned func() (http.Header, io.Reader)

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	header, body := c()
	return &http.Response{StatusCode: 200, Header: header, ContentLength: -1, Body: io.NopCloser(body)}, nil
}

// Chunks do not depend on how the bytes come: here one by one.
func TestByteByByte(t *testing.T) {
	p := start(t, nil, func(cfg *bedrock.Config) {
		cfg.Transport = canned(func() (http.Header, io.Reader) {
			return http.Header{"Content-Type": {streamType}}, oneByOne{strings.NewReader(allEvents())}
		})
	})
	res, err := collect(t, p, chat(true))
	if err != nil || string(res.Body) != allEvents() || res.Usage.Output != 3 || res.Finish != llm.FinishStop {
		t.Errorf("%+v, %v", res, err)
	}
}

type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(b []byte) (int, error) { return o.r.Read(b[:1]) }

// A whole answer that comes byte by byte keeps the idle bound, and is given up all the same.
func TestDribble(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		answer(jsonType, "{")(w, r)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}, func(c *bedrock.Config) { c.IdleTimeout = 300 * time.Millisecond })
	begin := time.Now()
	_, err := collect(t, p, chat(false))
	want(t, err, llm.ProviderTimeout)
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestSizes(t *testing.T) {
	small := func(cfg *bedrock.Config) { cfg.MaxBody, cfg.MaxEvent, cfg.MaxStream = 300, 250, 900 }
	long := strings.Replace(wholeBody, "one", strings.Repeat("one", 100), 1)
	for _, c := range []struct {
		name, limit string
		stream      bool
		handler     http.HandlerFunc
	}{
		{"body", "max_body_bytes", false, answer(jsonType, long)},
		{"body of unknown length", "max_body_bytes", false, func(w http.ResponseWriter, r *http.Request) {
			answer(jsonType, long[:10])(w, r)
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, long[10:])
		}},
		{"message", "max_event_bytes", true, answer(streamType, frame("event", "messageStart", fmt.Sprintf(`{"x":%q}`, strings.Repeat("x", 300))))},
		{"stream", "max_stream_bytes", true, answer(streamType, strings.Repeat(eventList()[1], 10))},
	} {
		_, err := collect(t, start(t, c.handler, small), chat(c.stream))
		if e := want(t, err, llm.ProviderMalformed); e.Limit != c.limit {
			t.Errorf("%s: limit %q, want %q", c.name, e.Limit, c.limit)
		}
	}
}

// What has no end costs no more than its bound, and what sockets hold beside it.
func TestEndlessAnswersAreCut(t *testing.T) {
	const most, fair = 100 << 20, 32 << 20
	for name, c := range map[string]struct {
		contentType, piece string
		stream             bool
	}{
		"messages": {streamType, strings.Repeat(eventList()[1], 100), true},
		"message":  {streamType, "\x7f\xff\xff\xff" + strings.Repeat("x", 64<<10), true},
		"body":     {jsonType, strings.Repeat(" ", 64<<10), false},
	} {
		var sent atomic.Int64
		p := start(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", c.contentType)
			for sent.Load() < most {
				n, err := io.WriteString(w, c.piece)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		}, func(cfg *bedrock.Config) { cfg.MaxBody, cfg.MaxStream = 4<<20, 4<<20 })
		_, err := collect(t, p, chat(c.stream))
		want(t, err, llm.ProviderMalformed)
		if n := sent.Load(); n > fair {
			t.Errorf("%s: %d MiB were taken", name, n>>20)
		}
	}
}

// A connection is used again after an answer, whole or streamed, and after an error; and
// one whose call was cancelled does not count against max_conns.
func TestConnections(t *testing.T) {
	var mu sync.Mutex // guards remotes
	remotes := map[string]int{}
	gone := make(chan struct{}, 1)
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		remotes[r.RemoteAddr]++
		mu.Unlock()
		switch r.Header.Get("X-Request-Id") {
		case "hang":
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			gone <- struct{}{}
		case "fail":
			rejects(500, "InternalServerException", `{"message":"x"}`)(w, r)
		default:
			both(w, r)
		}
	}, func(cfg *bedrock.Config) { cfg.MaxConns = 1 })
	for i := range 6 {
		req := chat(i%2 == 0)
		if i%3 == 2 {
			req.ID = "fail"
		}
		_, err := collect(t, p, req)
		if kind := llm.KindOf(err); (req.ID == "fail") != (kind == llm.ProviderError) {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if len(remotes) != 1 {
		t.Errorf("%d connections for calls one after the other", len(remotes))
	}
	req := chat(true)
	req.ID = "hang"
	ctx, cancel := contextWithCancel(t)
	var calling sync.WaitGroup
	calling.Go(func() {
		time.Sleep(20 * time.Millisecond)
		cancel()
	})
	_, err := p.Call(ctx, model, req)
	want(t, err, llm.CallerCancelled)
	<-gone
	calling.Wait()
	if _, err := collect(t, p, chat(true)); err != nil { // the one connection is free again
		t.Error(err)
	}
}
