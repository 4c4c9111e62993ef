package simulated_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/internal/memnet"
	"github.com/forebay-ai/forebay/provider/simulated"
)

// serve serves p in memory, for tests in a bubble of the fake clock.
func serve(t *testing.T, p *simulated.Provider) *http.Client {
	t.Helper()
	l := memnet.Listen()
	srv := &http.Server{Handler: p.Handler()}
	var served sync.WaitGroup
	served.Go(func() { _ = srv.Serve(l) })
	transport := &http.Transport{DialContext: l.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = srv.Close()
		served.Wait()
	})
	return &http.Client{Transport: transport}
}

// send makes a request and reads its answer; err is what reading the body gave.
func send(t *testing.T, c *http.Client, method, path, body string) (res *http.Response, got string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://memory"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", "caller-1")
	if res, err = c.Do(req); err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/v1/chat/completions", string(chatBody(false, "")), 200, `"content":"[simulated] `},
		{"POST", "/chat/completions", string(chatBody(false, "")), 200, `"object":"chat.completion"`},
		{"POST", "/v1/chat/completions", string(chatBody(true, "")), 200, "data: [DONE]"},
		{"POST", "/v1/chat/completions", `{"model":"m"}`, 400, "[simulated] "},
		{"POST", "/v1/chat/completions", `{"model":"m","model":"n","messages":[{}]}`, 400, "[simulated] "},
		{"POST", "/v1/embeddings", `{"model":"m","input":["a","b"],"dimensions":3}`, 200, `"index":1`},
		{"POST", "/v1/embeddings", `{"model":"m","input":"a","dimensions":99999999}`, 400, "too many numbers"},
		{"GET", "/v1/models", "", 200, `"owned_by":"simulated"`},
		{"GET", "/v1/models/org/name", "", 200, `"id":"org/name"`},
		{"GET", "/v1/chat/completions", "", 200, `"has_more":false`},
		{"GET", "/v1/chat/completions/completion_id", "", 200, `"id":"completion_id"`},
		{"POST", "/v1/chat/completions/completion_id", `{"metadata":{"foo":"string"}}`, 200, `"metadata":{"foo":"string"}`},
		{"POST", "/v1/chat/completions/completion_id", `[]`, 400, "metadata"},
		{"DELETE", "/v1/chat/completions/completion_id", "", 200, `"deleted":true`},
		{"PUT", "/v1/chat/completions/completion_id", "", 405, "GET, POST and DELETE"},
		{"GET", "/v1/chat/completions/completion_id/messages?limit=0", "", 200, `"role":"user"`},
		{"GET", "/v1/nothing", "", 404, "no route GET /v1/nothing"},
		{"GET", "/simulated/faults", "", 200, `"faults": []`},
		{"GET", "/simulated/config", "", 200, `"capacity": 0`},
		{"GET", "/simulated/calls", "", 200, `"total": 0`},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				res, body, err := send(t, serve(t, provider(t, simulated.Config{})), c.method, c.path, c.body)
				if err != nil || res.StatusCode != c.status || !strings.Contains(body, c.want) {
					t.Fatalf("%v %v %s, want %d with %s", res, err, body, c.status, c.want)
				}
				if res.Header.Get("X-Simulated") != "true" {
					t.Errorf("not labelled: %v", res.Header)
				}
				if strings.HasPrefix(body, "{") && !json.Valid([]byte(body)) {
					t.Errorf("not JSON: %s", body)
				}
			})
		})
	}
}

func TestLargeBodyIsRefused(t *testing.T) {
	h := provider(t, simulated.Config{}).Handler()
	for _, length := range []int64{33 << 20, -1} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/embeddings", io.LimitReader(zeros{}, 33<<20))
		r.ContentLength = length
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "33554432") {
			t.Errorf("length %d: %d %s, want 413 with the bound", length, w.Code, w.Body)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// Chunks leave when they are due, not all at the end.
func TestStreamIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, simulated.Config{Scale: 1, Words: 3, Latency: simulated.Latency{
			FirstToken: simulated.LogNormal{Median: time.Second}, PerToken: simulated.LogNormal{Median: 100 * time.Millisecond},
		}})
		res, err := serve(t, p).Post("http://memory/v1/chat/completions", "application/json", strings.NewReader(string(chatBody(true, ""))))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		begin := time.Now()
		lines := bufio.NewScanner(res.Body)
		for event := 0; lines.Scan(); {
			if !strings.HasPrefix(lines.Text(), "data: ") {
				continue
			}
			if at, want := time.Since(begin), time.Duration(event)*100*time.Millisecond; at != want {
				t.Errorf("event %d came after %v, want %v", event, at, want)
			}
			event++
		}
		log := p.Calls()
		if len(log.Calls) != 1 || log.Calls[0].Chunks != 7 || log.Calls[0].RequestID != "" || log.Calls[0].Path != "/v1/chat/completions" {
			t.Errorf("log %+v", log)
		}
	})
}

func TestFaultsOverHTTP(t *testing.T) {
	for _, c := range []struct {
		fault  string
		stream bool
		status int // 0: no head
		whole  bool
		tail   string
	}{
		{"status=503,retry_after=1500ms", false, 503, true, "}"},
		{"refuse", false, 0, false, ""},
		{"cut=2", true, 200, false, "\n\n"},
		{"cut", true, 200, false, ""},
		{"cut", false, 200, false, ""},
		{"garbage=1", true, 200, true, "data: [DONE]\n\n"},
		{"garbage", false, 200, true, "garbage"},
		{"error_event=2", true, 200, true, "}}\n\n"},
		{"error_event", false, 200, true, "}}"},
		{"no_end", true, 200, true, "\n\n"},
		{"no_end", false, 200, true, ""},
		{"trickle=1s", true, 200, true, "data: [DONE]\n\n"},
		{"trickle=1s", false, 200, true, "}}"},
	} {
		t.Run(fmt.Sprintf("%s stream %v", c.fault, c.stream), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := provider(t, simulated.Config{Faults: []simulated.Fault{fault(t, c.fault)}})
				res, body, err := send(t, serve(t, p), "POST", "/v1/chat/completions", string(chatBody(c.stream, "")))
				if got := err == nil; got != c.whole {
					t.Errorf("reading gave %v, want a whole body: %v", err, c.whole)
				}
				if c.status == 0 {
					if res != nil {
						t.Errorf("status %d, want none", res.StatusCode)
					}
					return
				}
				if res.StatusCode != c.status || !strings.HasSuffix(body, c.tail) {
					t.Errorf("status %d, body %q, want %d with %q in the end", res.StatusCode, body, c.status, c.tail)
				}
				if strings.Contains(c.fault, "retry_after") && (res.Header.Get("Retry-After") != "2" || res.Header.Get("Retry-After-Ms") != "1500") {
					t.Errorf("headers %v", res.Header)
				}
				if strings.HasPrefix(c.fault, "cut=2") && strings.Count(body, "\n\n") != 2 {
					t.Errorf("%q has not two events", body)
				}
				synctest.Wait()
				log := p.Calls()
				if log.InFlight != 0 || log.Faulty != 1 || len(log.Calls) != 1 || log.Calls[0].Faults[0] != fault(t, c.fault) || log.Calls[0].RequestID != "caller-1" {
					t.Errorf("log %+v", log)
				}
			})
		})
	}
}

// hang and stall keep the place until the caller leaves, and see that at once.
func TestLeavingIsSeen(t *testing.T) {
	for _, text := range []string{"hang", "stall=2", "delay=1h", "trickle=1h"} {
		t.Run(text, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := provider(t, simulated.Config{Faults: []simulated.Fault{fault(t, text)}})
				c := serve(t, p)
				c.Timeout = time.Minute
				_, _, err := send(t, c, "POST", "/v1/chat/completions", string(chatBody(true, "")))
				if err == nil {
					t.Error("the call came to an end")
				}
				synctest.Wait()
				log := p.Calls()
				if log.InFlight != 0 || log.Outcomes[simulated.Cancelled] != 1 || log.Calls[0].Milliseconds != 60_000 {
					t.Errorf("log %+v, want one cancelled after a minute", log)
				}
			})
		})
	}
}

func TestCapacityOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := provider(t, simulated.Config{Capacity: 1, Faults: []simulated.Fault{fault(t, "delay=1m")}})
		c := serve(t, p)
		var first sync.WaitGroup
		first.Go(func() { _, _, _ = send(t, c, "POST", "/v1/embeddings", `{"model":"m","input":"a"}`) })
		synctest.Wait()
		res, body, err := send(t, c, "POST", "/v1/embeddings", `{"model":"m","input":"a"}`)
		if err != nil || res.StatusCode != 429 || res.Header.Get("Retry-After") != "1" {
			t.Errorf("%v %v %s, want 429 with Retry-After: 1", res, err, body)
		}
		first.Wait()
		res, _, err = send(t, c, "GET", "/v1/models", "")
		if err != nil || res.StatusCode != 200 {
			t.Errorf("models: %v, %v", res, err)
		}
	})
}

func TestControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, provider(t, simulated.Config{}))
		chatStatus := func() int {
			res, _, err := send(t, c, "POST", "/v1/chat/completions", string(chatBody(false, "")))
			if err != nil {
				t.Fatal(err)
			}
			return res.StatusCode
		}
		steps := []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"PUT", "/simulated/faults", `["status=500","latency=2,from=1h"]`, 200, `"fault": "latency=2,from=1h0m0s"`},
			{"PUT", "/simulated/faults", `["explode"]`, 400, "unknown key"},
			{"PUT", "/simulated/faults", `{"faults":[]}`, 400, "cannot unmarshal"},
			{"PUT", "/simulated/faults", `[] []`, 400, "more than one"},
			{"GET", "/simulated/faults", "", 200, `"fault": "status=500"`},
		}
		for _, s := range steps {
			res, body, err := send(t, c, s.method, s.path, s.body)
			if err != nil || res.StatusCode != s.status || !strings.Contains(body, s.want) {
				t.Errorf("%s %s %s: %v %v %s", s.method, s.path, s.body, res, err, body)
			}
		}
		if got := chatStatus(); got != 500 {
			t.Errorf("status %d with the fault, want 500", got)
		}
		if _, body, _ := send(t, c, "DELETE", "/simulated/faults", ""); !strings.Contains(body, `"faults": []`) {
			t.Errorf("after DELETE: %s", body)
		}
		if got := chatStatus(); got != 200 {
			t.Errorf("status %d without the fault, want 200", got)
		}
		for _, s := range []struct {
			body   string
			status int
			want   string
		}{
			{`{"scale":0.5}`, 200, `"scale": 0.5`},
			{`{"capacity":7}`, 200, "\"capacity\": 7,\n  \"scale\": 0.5"},
			{`{"capacity":-1}`, 400, "below zero"},
			{`{"scale":-1}`, 400, "scale"},
			{`{"speed":1}`, 400, "speed"},
		} {
			res, body, err := send(t, c, "PUT", "/simulated/config", s.body)
			if err != nil || res.StatusCode != s.status || !strings.Contains(body, s.want) {
				t.Errorf("config %s: %v %v %s", s.body, res, err, body)
			}
		}
		if _, body, _ := send(t, c, "GET", "/simulated/calls", ""); !strings.Contains(body, `"total": 2`) || !strings.Contains(body, `"status": 500`) {
			t.Errorf("calls %s", body)
		}
		if _, body, _ := send(t, c, "DELETE", "/simulated/calls", ""); !strings.Contains(body, `"total": 0`) {
			t.Errorf("calls after DELETE %s", body)
		}
	})
}

func TestForwardWithinTheProcess(t *testing.T) {
	p := provider(t, simulated.Config{})
	status, contentType, body, err := p.Forward(t.Context(), "GET", "/chat/completions/x", "", nil)
	if err != nil || status != 200 || contentType != "application/json" || !strings.Contains(string(body), `"id":"x"`) {
		t.Errorf("%d %s %s %v", status, contentType, body, err)
	}
	for _, path := range []string{"/models", "/chat/completions/x/y", "/chat/completionsx"} {
		if status, _, _, _ := p.Forward(t.Context(), "GET", path, "", nil); status != 404 {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}
	if status, _, _, _ := p.Forward(t.Context(), "POST", "/chat/completions", "", nil); status != 405 {
		t.Errorf("POST of the list: status %d, want 405", status)
	}
}

// The cost of an answer without latency, network included in neither.
func BenchmarkHandler(b *testing.B) {
	p, err := simulated.New(simulated.Config{})
	if err != nil {
		b.Fatal(err)
	}
	h := p.Handler()
	for _, stream := range []bool{false, true} {
		body := string(chatBody(stream, ""))
		b.Run(fmt.Sprintf("stream %v", stream), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req, err := http.NewRequestWithContext(b.Context(), "POST", "/v1/chat/completions", strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				h.ServeHTTP(discard{http.Header{}}, req)
			}
		})
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
