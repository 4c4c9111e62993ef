package replay_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/internal/replay"
)

func withHeader(h http.HandlerFunc, pairs ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			w.Header().Add(pairs[i], pairs[i+1])
		}
		h(w, r)
	}
}

func abortAfter(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(w, r)
		panic(http.ErrAbortHandler)
	}
}

func TestEveryEndHasItsClass(t *testing.T) {
	one := func(class string) replay.Counts {
		c := replay.Counts{Planned: 1}
		*map[string]*int{"answered": &c.Answered, "degraded": &c.Degraded, "refused": &c.Refused, "failed": &c.Failed}[class] = 1
		return c
	}
	const errEvent = `data: {"error":{"message":"cut","error_type":"provider_truncated"}}` + "\n\n"
	tests := []struct {
		name   string
		stream float64
		answer http.HandlerFunc
		class  string
		label  string
	}{
		{"whole", 0, ok, "answered", ""},
		{"stream", 1, ok, "answered", ""},
		{"fallback none", 0, withHeader(ok, "x-forebay-fallback", "none"), "answered", ""},
		{"whole fallback", 0, withHeader(ok, "x-forebay-fallback", "template"), "degraded", "template"},
		{"stream fallback", 1, withHeader(ok, "x-forebay-fallback", "cached"), "degraded", "cached"},
		{"label without end", 0, withHeader(ok, "x-forebay-fallback", string(make70())), "degraded", "other"},
		{"429 policy", 0, write(429, `{"error":{"message":"m","error_type":"policy_rate_limited"}}`), "refused", "policy_rate_limited"},
		{"503 policy by code", 0, write(503, `{"error":{"message":"m","code":"policy_overloaded"}}`), "refused", "policy_overloaded"},
		{"503 problem+json", 1, write(503, `{"title":"t","error_type":"policy_breaker_open"}`), "refused", "policy_breaker_open"},
		{"429 provider", 0, write(429, `{"error":{"error_type":"provider_rate_limited"}}`), "failed", "provider_rate_limited"},
		{"503 draining", 0, write(503, `{"error":{"error_type":"forebay_draining"}}`), "failed", "forebay_draining"},
		{"400 policy", 0, write(400, `{"error":{"error_type":"policy_blocked"}}`), "failed", "policy_blocked"},
		{"unknown error_type", 0, write(429, `{"error":{"error_type":"policy_invented","type":7}}`), "failed", "http_429"},
		{"no error body", 0, write(502, `<html>`), "failed", "http_502"},
		{"204", 0, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "failed", "http_204"},
		{"redirect", 0, withHeader(write(302, ``), "Location", "/elsewhere"), "failed", "http_302"},
		{"error body cut", 0, withHeader(write(500, `{`), "Content-Length", "10"), "failed", "truncated"},
		{"no head", 0, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "failed", "connection"},
		{"whole cut", 0, withHeader(write(200, wholeAnswer[:20]), "Content-Length", "100"), "failed", "truncated"},
		{"not JSON", 0, write(200, `hello`), "failed", "malformed"},
		{"no choices", 0, write(200, `{"choices":[]}`), "failed", "malformed"},
		{"error with 200", 0, write(200, `{"choices":[1],"error":{"message":"m"}}`), "failed", "malformed"},
		{"stream for whole", 0, events(textChunk + doneEvent), "failed", "malformed"},
		{"whole for stream", 1, write(200, wholeAnswer), "failed", "malformed"},
		{"clean end without mark", 1, events(textChunk), "failed", "truncated"},
		{"aborted before mark", 1, abortAfter(events(textChunk)), "failed", "truncated"},
		{"aborted after mark", 1, abortAfter(events(textChunk + doneEvent)), "failed", "truncated"},
		{"error event", 1, events(textChunk + errEvent + doneEvent), "failed", "provider_truncated"},
		{"error event first", 1, events(errEvent), "failed", "provider_truncated"},
		{"error event without type", 1, events(textChunk + `data: {"error":{"message":"m"}}` + "\n\n" + doneEvent), "failed", "error_event"},
		{"named error event", 1, events("event: error\ndata: {}\n\n" + doneEvent), "failed", "error_event"},
		{"null error", 1, events(`data: {"choices":[],"error":null}` + "\n\n" + doneEvent), "answered", ""},
		{"comments and CRLF", 1, events(": ping\r\n\r\ndata:[DONE]\r\n\r\n"), "answered", ""},
		{"chunk after mark", 1, events(doneEvent + textChunk), "failed", "malformed"},
		{"chunk not JSON", 1, events("data: hello\n\n" + doneEvent), "failed", "malformed"},
		{"endless line", 1, events("data: " + string(make([]byte, 2<<20))), "failed", "too_large"},
		{"endless error", 0, write(500, string(make([]byte, 1<<20))), "failed", "too_large"},
		{"too late", 0, func(w http.ResponseWriter, r *http.Request) { time.Sleep(61 * time.Second); ok(w, r) }, "failed", "timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, cfg, stop := serve(t, tt.answer)
				defer stop()
				cfg.Trace, cfg.Stream = arrivals(0), tt.stream
				rep := mustRun(t, t.Context(), cfg)
				if diff := cmp.Diff(one(tt.class), rep.Counts); diff != "" {
					t.Errorf("class (-want +got):\n%s%v", diff, rep.Failures)
				}
				labels := map[string]map[string]int{"degraded": rep.Degradations, "refused": rep.Refusals, "failed": rep.Failures}[tt.class]
				if tt.label != "" && labels[tt.label] != 1 {
					t.Errorf("labels %v, want %s", labels, tt.label)
				}
			})
		})
	}
}

func make70() []byte {
	b := make([]byte, 70)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

func TestHeadersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n int
		answers := []http.HandlerFunc{
			withHeader(ok, "Cache-Status", "forebay; hit; ttl=30", "Server-Timing", "cache;dur=0.25, total;dur=1"),
			withHeader(ok, "Cache-Status", "cdn; hit", "Cache-Status", "forebay; fwd=uri-miss; stored", "x-forebay-attempts", "3",
				"x-forebay-queue-ms", "140.5", "x-forebay-cost-usd", "0.000125",
				"Server-Timing", `cache;dur=0.5, queue;desc="wait";dur=140.5, upstream;dur=800, total;dur=941`),
			withHeader(ok, "Cache-Status", "forebay; fwd=stale; collapsed", "x-forebay-queue-ms", "0", "x-forebay-attempts", "1"),
			withHeader(ok, "Cache-Status", "forebay; fwd=bypass", "x-forebay-queue-ms", "-1", "x-forebay-cost-usd", "much", "Server-Timing", "total;dur=x"),
			withHeader(ok, "Cache-Status", "forebay; fwd=stale", "Server-Timing", ",;;,other;dur=7"),
			withHeader(ok, "Cache-Status", `"`),
			func(w http.ResponseWriter, r *http.Request) { // of a stream, the price comes at its end
				w.Header().Set("Trailer", "x-forebay-cost-usd")
				ok(w, r)
				w.Header().Set("x-forebay-cost-usd", "0.5")
			},
		}
		_, cfg, stop := serve(t, func(w http.ResponseWriter, r *http.Request) { n++; answers[n-1](w, r) })
		defer stop()
		for i := range answers {
			cfg.Trace = append(cfg.Trace, replay.Arrival{At: time.Duration(i) * time.Second})
		}
		cfg.Stream = 1
		rep := mustRun(t, t.Context(), cfg)
		same := func(n int, v float64) replay.Summary {
			return replay.Summary{Count: n, P50: v, P90: v, P95: v, P99: v, Max: v}
		}
		want := &replay.Report{
			SchemaVersion: replay.SchemaVersion, Settings: rep.Settings, Counts: replay.Counts{Planned: 7, Answered: 7},
			OfferedPerSecond: 7.0 / 6, GoodputPerSecond: 7.0 / 6, WallSeconds: 6,
			Latency: same(7, 0), TTFT: same(7, 0), Wait: same(1, 140.5),
			Stages: map[string]replay.Summary{
				"cache": {Count: 2, P50: 0.25, P90: 0.5, P95: 0.5, P99: 0.5, Max: 0.5},
				"queue": same(1, 140.5), "upstream": same(1, 800),
				"total": {Count: 2, P50: 1, P90: 941, P95: 941, P99: 941, Max: 941},
			},
			Cache:    map[string]int{"hit": 1, "miss": 1, "collapsed": 1, "bypass": 1, "stale": 1},
			Refusals: map[string]int{}, Degradations: map[string]int{}, Failures: map[string]int{},
			Attempts: replay.Attempts{Total: 4, Repeated: 2}, Tokens: replay.Tokens{Input: 21, Output: 14}, CostUSD: 0.500125,
		}
		if diff := cmp.Diff(want, rep); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestFirstTokenCountsFromTheIntendedStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg, stop := serve(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			events(roleChunk)(w, r) // a role is nothing to read yet
			time.Sleep(time.Second)
			events(textChunk)(w, r)
			time.Sleep(time.Second)
			events(textChunk+doneEvent)(w, r)
		})
		defer stop()
		cfg.Trace, cfg.Stream = arrivals(0, time.Second), 1
		rep := mustRun(t, t.Context(), cfg)
		if rep.TTFT.Count != 2 || rep.TTFT.P50 != 2000 || rep.TTFT.Max != 2000 || rep.Latency.Max != 3000 {
			t.Errorf("ttft %+v, latency %+v", rep.TTFT, rep.Latency)
		}
	})
}
