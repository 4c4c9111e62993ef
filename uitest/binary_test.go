package uitest_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/uitest/internal/served"
)

// The keys of the configuration below.
const (
	operatorKey = "operator-0123456789abcdef"
	schoolKey   = "school-0123456789abcdef"
	otherKey    = "other-0123456789abcdef"
)

// binaryConfig has what the pages show: targets that fail at times, always and never, operations with and
// without fallbacks, a target that is slow enough for jobs to wait, budgets, and an alarm that fires at once.
const binaryConfig = `
listen: 127.0.0.1:0
store: {dir: store}
providers:
  quick: {type: simulated, latency_scale: 0.02, seed: 1, faults: ["status=503,share=0.1"]}
  spare: {type: simulated, latency_scale: 0.03, seed: 2}
  gone: {type: simulated, latency_scale: 0, faults: ["refuse"]}
  slow: {type: simulated, latency_scale: 0, faults: ["delay=10m"]}
models:
  large: {targets: [{provider: quick, model: large-2, region: north, price: {input: 2.5, output: 10}}, {provider: spare, model: large-2, region: south, price: {input: 2.5, output: 10}}]}
  small: {targets: [{provider: spare, model: small-2, price: {input: 0.15, output: 0.6}}]}
  lost: {targets: [{provider: gone, model: lost-1}]}
  slow: {targets: [{provider: slow, model: slow-1, max_concurrent: 1}]}
operations:
  chat: {model: large}
  note-summary: {model: small, cache: {scope: [tenant]}}
  default: {model: large}
  exam: {model: lost, fallback: [template, error]}
  report: {model: slow, deadline: 1h}
templates: {exam: {default: "The exam is not available. Please try again later."}}
jobs: {concurrency: 1}
budgets:
  school: {tenant: school, usd: 0.01, period: month}
  users: {tenant: "*", user: "*", usd: 1, kind: hard}
alarms:
  profile: interactive
  group: 0s
  notifiers: {log: {type: log}}
  definitions:
    many-calls: {severity: warning, metric: requests, stat: sum, window: 1m, op: ">", threshold: 10, every: 1s, message: There are many calls, do: Look at who makes them.}
keys:
  - {name: operator, secret: ` + operatorKey + `, tenant: school, scopes: [call, jobs, metrics, cache, admin]}
  - {name: school, secret: ` + schoolKey + `, tenant: school, scopes: [call, jobs]}
  - {name: other, secret: ` + otherKey + `, tenant: other, scopes: [call]}
`

// TestDashboardOfTheBinary has the pages talk to forebay as people run it, after a few hundred calls.
func TestDashboardOfTheBinary(t *testing.T) {
	s := newSuite(t)
	dir := t.TempDir()
	s.serve(t, dir, binaryConfig)
	s.callers(t)
	t.Run("login", s.login)
	t.Run("figures", s.figures)
	s.keepCalling(t)
	t.Run("pages", s.pages)
	t.Run("changes", s.changes)
	t.Run("live", s.live)
}

// serve builds forebay and starts it in a folder, where the file of configuration and what is stored are.
func (s *suite) serve(t *testing.T, dir, config string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // nothing may be compiled yet
	defer cancel()
	program, err := served.Build(ctx, "..", t.TempDir())
	must(t, err)
	file := filepath.Join(dir, "forebay.yaml")
	must(t, os.WriteFile(file, []byte(config), 0o600))
	gate, err := served.Start(program, file)
	must(t, err)
	t.Cleanup(func() {
		if err := gate.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("forebay's log ends with\n%s", tail(gate.Log(), 4000))
		}
		if _, err := os.Stat(filepath.Join("/proc", fmt.Sprint(gate.PID()))); err == nil {
			t.Errorf("the process %d is still there", gate.PID())
		}
	})
	s.url, s.key = gate.URL, operatorKey
}

// callers make the calls that the pages show: of several users, with hits, failures and fallbacks, jobs that
// wait behind one that takes long, a breaker that was forced and a silence.
func (s *suite) callers(t *testing.T) {
	t.Helper()
	school, other := served.Caller{URL: s.url, Key: schoolKey}, served.Caller{URL: s.url, Key: otherKey}
	var wg sync.WaitGroup
	for user := range 8 {
		wg.Go(func() {
			for n := range 35 {
				caller, operation, model := school, "chat", "large"
				switch n % 7 {
				case 2, 5:
					caller, operation, model = other, "note-summary", "small"
				case 3:
					operation, model = "exam", "lost"
				case 6:
					operation, model = "default", "lost" // nothing stands in
				}
				body := served.Chat(model, fmt.Sprintf("user-%d", user), fmt.Sprintf("question %d", n%20), n%3 == 0)
				if n == 34 {
					body["messages"] = "none" // the caller's own fault
				}
				_, _, err := caller.Post(t.Context(), "/v1/chat/completions", body, http.Header{"X-Forebay-Operation": {operation}})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for n := range 5 {
		body := map[string]any{"url": "/v1/chat/completions", "custom_id": fmt.Sprintf("row-%d", n), "body": served.Chat("slow", "user-1", fmt.Sprintf("report %d", n), false)}
		s.do(t, school, "/v1/jobs", body, http.Header{"X-Forebay-Operation": {"report"}})
	}
	operator := served.Caller{URL: s.url, Key: operatorKey}
	s.do(t, operator, "/v1/breakers", map[string]any{"target": "gone/lost-1", "action": "open", "reason": "It has been switched off."}, nil)
	s.do(t, operator, "/v1/alarms/silences", map[string]any{"alarm": "breaker-open", "for": "1h", "comment": "known since the morning"}, nil)
	s.do(t, operator, "/v1/cost", map[string]any{"user": "user-1", "ai_usd": 0.02, "compute_usd": 0.01, "storage_usd": 0.01}, nil)
}

// do sends a change that has to be taken.
func (s *suite) do(t *testing.T, c served.Caller, path string, body any, head http.Header) {
	t.Helper()
	status, text, err := c.Post(t.Context(), path, body, head)
	if err != nil || status < 200 || status > 299 {
		t.Fatalf("%s: %d %s %v", path, status, text, err)
	}
}

// keepCalling makes some calls a second until the test ends, so that there is something live.
func (s *suite) keepCalling(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		caller := served.Caller{URL: s.url, Key: schoolKey}
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			body := served.Chat("large", fmt.Sprintf("user-%d", n%8), fmt.Sprintf("later question %d", n%50), false)
			_, _, _ = caller.Post(ctx, "/v1/chat/completions", body, http.Header{"X-Forebay-Operation": {"chat"}}) // what fails is shown, too
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
}

// tail is the end of a text.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	_, rest, _ := strings.Cut(s[len(s)-n:], "\n")
	return rest
}
