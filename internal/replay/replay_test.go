package replay_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/internal/memnet"
	"github.com/forebay-ai/forebay/internal/replay"
	"github.com/forebay-ai/forebay/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// body is what the tests look at in a request.
type body struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	} `json:"messages"`
	MaxTokens int  `json:"max_tokens"`
	Stream    bool `json:"stream"`
	Options   *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

func (b body) prompt() string { return b.Messages[0].Content }

// seen is a request as the fake gateway got it.
type seen struct {
	at     time.Duration // since the start of the server
	raw    string
	header http.Header
	body   body
}

// fakeGateway answers with answer and remembers what it was sent.
type fakeGateway struct {
	mu   sync.Mutex // guards seen
	seen []seen
}

// calls returns what has come so far.
func (g *fakeGateway) calls() []seen {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen
}

// serve starts a gateway inside the bubble; the Config it returns talks to it.
// stop must run before the bubble ends.
func serve(tb interface{ Errorf(string, ...any) }, answer http.HandlerFunc) (g *fakeGateway, cfg replay.Config, stop func()) {
	g = &fakeGateway{}
	start := time.Now()
	l := memnet.Listen()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Since(start)
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return // the run was cancelled while it sent
		}
		s := seen{at: at, raw: string(raw), header: r.Header}
		if err := json.Unmarshal(raw, &s.body); err != nil || r.URL.Path != "/v1/chat/completions" || r.Method != http.MethodPost {
			tb.Errorf("%s %s: %v in %s", r.Method, r.URL.Path, err, raw)
		}
		g.mu.Lock()
		g.seen = append(g.seen, s)
		g.mu.Unlock()
		r.Header.Set("Test-Stream", map[bool]string{true: "yes"}[s.body.Stream])
		answer(w, r)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) }) // ends with ErrServerClosed
	transport := &http.Transport{DialContext: l.Dial, MaxIdleConnsPerHost: 100}
	cfg = replay.Config{URL: "http://gateway", Model: "m", Transport: transport}
	return g, cfg, func() {
		transport.CloseIdleConnections()
		_ = server.Shutdown(context.Background()) // waits for the handlers; nothing bounds it
		serving.Wait()
	}
}

const (
	wholeAnswer = `{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`
	roleChunk   = `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n"
	textChunk   = `data: {"choices":[{"index":0,"delta":{"content":"hi \"error\" "}}]}` + "\n\n"
	usageChunk  = `data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}` + "\n\n"
	doneEvent   = "data: [DONE]\n\n"
)

// ok answers in the form that was asked for.
func ok(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Test-Stream") == "yes" {
		events(roleChunk+textChunk+usageChunk+doneEvent)(w, r)
		return
	}
	write(http.StatusOK, wholeAnswer)(w, r)
}

func write(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func events(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, body)
		_ = http.NewResponseController(w).Flush()
	}
}

func arrivals(at ...time.Duration) []replay.Arrival {
	out := make([]replay.Arrival, len(at))
	for i, d := range at {
		out[i] = replay.Arrival{At: d, PromptTokens: 10, OutputTokens: 5}
	}
	return out
}

func mustRun(t *testing.T, ctx context.Context, cfg replay.Config) *replay.Report {
	t.Helper()
	rep, err := replay.Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := rep.Check(); err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Every answer takes 10 s; a closed loop would send one call in that time.
		g, cfg, stop := serve(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Second)
			ok(w, r)
		})
		defer stop()
		cfg.Trace = arrivals(0, time.Minute, 2*time.Minute, 3*time.Minute, 7*time.Minute)
		cfg.Speed = 60
		rep := mustRun(t, t.Context(), cfg)

		want := []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 7 * time.Second}
		for i, s := range g.calls() {
			if s.at != want[i] {
				t.Errorf("call %d came after %v, want %v", i, s.at, want[i])
			}
		}
		if rep.Counts.Answered != 5 || rep.Latency.P50 != 10_000 || rep.Latency.Max != 10_000 || rep.WallSeconds != 17 {
			t.Errorf("counts %+v, latency %+v, wall %v s", rep.Counts, rep.Latency, rep.WallSeconds)
		}
		if rep.OfferedPerSecond != 5.0/7 || rep.GoodputPerSecond != 5.0/17 {
			t.Errorf("offered %v, goodput %v", rep.OfferedPerSecond, rep.GoodputPerSecond)
		}
	})
}

func TestOffsetAndLimitStartAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, cfg, stop := serve(t, ok)
		defer stop()
		cfg.Trace = arrivals(0, time.Hour, time.Hour+time.Second, 2*time.Hour)
		cfg.Offset, cfg.Limit = 1, 2
		rep := mustRun(t, t.Context(), cfg)
		calls := g.calls()
		if rep.Counts.Planned != 2 || calls[0].at != 0 || calls[1].at != time.Second {
			t.Errorf("%+v; at %v and %v", rep.Counts, calls[0].at, calls[1].at)
		}
	})
}

func TestOverMaxInFlightIsUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg, stop := serve(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(1500 * time.Millisecond)
			ok(w, r)
		})
		defer stop()
		cfg.Trace = arrivals(0, time.Second, 2*time.Second, 3*time.Second)
		cfg.MaxInFlight = 1
		rep := mustRun(t, t.Context(), cfg)
		if rep.Counts.Answered != 2 || rep.Counts.Unsent != 2 {
			t.Errorf("%+v", rep.Counts)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg, stop := serve(t, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(1500 * time.Millisecond):
				ok(w, r)
			case <-r.Context().Done():
			}
		})
		defer stop()
		cfg.Trace = arrivals(0, time.Second, 2*time.Second, 3*time.Second, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 2200*time.Millisecond)
		defer cancel()
		rep := mustRun(t, ctx, cfg)
		want := replay.Counts{Planned: 5, Answered: 1, Cancelled: 4} // two in progress, two not sent
		if rep.Counts != want || rep.WallSeconds != 2.2 {
			t.Errorf("%+v after %v s", rep.Counts, rep.WallSeconds)
		}
	})
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg, stop := serve(t, ok)
		defer stop()
		cfg.Trace = arrivals(0, time.Second, 2*time.Second)
		var told []replay.Progress
		cfg.Progress = func(p replay.Progress) { told = append(told, p) }
		mustRun(t, t.Context(), cfg)
		if len(told) < 8 || len(told) > 9 {
			t.Fatalf("told %d times in 2 s", len(told))
		}
		if first := (replay.Progress{Planned: 3, Sent: 1, Done: 1, Elapsed: 250 * time.Millisecond}); told[0] != first {
			t.Errorf("first %+v", told[0])
		}
		if last := (replay.Progress{Planned: 3, Sent: 3, Done: 3, Elapsed: 2 * time.Second}); told[len(told)-1] != last {
			t.Errorf("last %+v", told[len(told)-1])
		}
	})
}

// Whatever the gateway does and whenever the run ends, every call is counted once.
func TestNothingIsLost(t *testing.T) {
	endings := []http.HandlerFunc{
		ok, write(429, `{"error":{"error_type":"policy_rate_limited"}}`), write(500, `oops`),
		events(textChunk), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Forebay-Fallback", "template")
			ok(w, r)
		},
		func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(rt, "calls")
		trace := make([]replay.Arrival, n)
		for i := 1; i < n; i++ {
			gap := time.Duration(rapid.IntRange(0, 300).Draw(rt, "gap")) * time.Millisecond
			trace[i] = replay.Arrival{At: trace[i-1].At + gap, PromptTokens: 2, OutputTokens: 1}
		}
		script := rapid.SliceOfN(rapid.IntRange(0, len(endings)-1), n, n).Draw(rt, "endings")
		end := time.Duration(rapid.IntRange(1, 20_000).Draw(rt, "end")) * time.Millisecond
		inFlight := rapid.IntRange(1, 20).Draw(rt, "inFlight")
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			_, cfg, stop := serve(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				next := script[0]
				script = script[1:]
				mu.Unlock()
				time.Sleep(100 * time.Millisecond)
				endings[next](w, r)
			})
			defer stop()
			cfg.Trace, cfg.MaxInFlight, cfg.Timeout = trace, inFlight, 5*time.Second
			cfg.Stream, cfg.Repeat = 0.5, 0.3
			ctx, cancel := context.WithTimeout(t.Context(), end)
			defer cancel()
			if rep := mustRun(t, ctx, cfg); rep.Counts.Planned != n {
				t.Errorf("planned %d of %d", rep.Counts.Planned, n)
			}
		})
	})
}

func TestFaultyConfig(t *testing.T) {
	_, err := replay.Run(t.Context(), replay.Config{
		Offset: -1, Limit: -1, Speed: -1, URL: "gateway:80", Operation: "a b", Key: "k\n", Users: -1, Repeat: 2, Stream: -0.1,
		Timeout: -1, MaxInFlight: -1, Priorities: map[llm.Priority]float64{llm.Low: 0}, Model: "\xff",
	})
	if llm.KindOf(err) != llm.CallerInvalidRequest {
		t.Fatalf("%v", err)
	}
	for _, field := range []string{
		"Trace", "Offset", "Limit", "Speed", "URL", "Model", "Operation", "Key", "Users", "Repeat", "Stream", "Timeout", "MaxInFlight", "Priorities",
	} {
		if !strings.Contains(err.Error(), ": "+field+" ") {
			t.Errorf("%s is not named in %q", field, err)
		}
	}
	slow := replay.Config{Trace: arrivals(0, time.Hour), Speed: 1e-9, URL: "http://g", Model: "m"}
	if _, err := replay.Run(t.Context(), slow); err == nil || !strings.Contains(err.Error(), "longer than a year") {
		t.Errorf("a run of centuries: %v", err)
	}
}
