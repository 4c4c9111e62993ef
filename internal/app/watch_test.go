package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/internal/app"
	"github.com/forebay-ai/forebay/requestlog"
)

// The keys of watched files.
const (
	adminSecret = "admin-secret-0123456789"
	webSecret   = "web-secret-01234567890"
	otherSecret = "other-secret-0123456789"
	costsSecret = "costs-secret-0123456789"
)

// watchedFile is a configuration with one provider at upstream, two tenants and prices.
func watchedFile(t *testing.T, upstream, dir, more string) *config.File {
	t.Helper()
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
providers:
  p: {type: openai, base_url: %q}
models:
  m: {targets: [{provider: p, model: m, price: {input: 1, output: 2}}]}
  small: {targets: [{provider: p, model: small, price: {input: 0.1, output: 0.2}}]}
keys:
  - {name: admin, secret: %s, tenant: a, scopes: [call, admin]}
  - {name: web, secret: %s, tenant: a, scopes: [call, metrics]}
  - {name: other, secret: %s, tenant: b, scopes: [call, metrics]}
  - {name: books, secret: %s, tenant: a, scopes: [costs]}
%s
`, upstream, adminSecret, webSecret, otherSecret, costsSecret, more)
	if dir != "" {
		text += fmt.Sprintf("store: {dir: %q}\n", dir)
	}
	f, err := config.Read(config.Sources{Environ: []string{}, Path: "test.yaml", Content: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// priced is a provider that takes 1,000 tokens for every prompt and gives 500, and counts.
func priced(t *testing.T, pause time.Duration) (url string, calls *atomic.Int64) {
	t.Helper()
	calls = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		time.Sleep(pause)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500}}`))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1", calls
}

// priceOf is what such a call costs: 1,000 tokens at 1 and 500 at 2 dollars a million.
const priceOf = 2000

func askFor(n int, user string) string {
	return fmt.Sprintf(`{"model":"m","user":%q,"max_tokens":500,"messages":[{"role":"user","content":"question %d %s"}]}`, user, n, strings.Repeat("x", 4000))
}

func bearer(secret string) []string { return []string{"Authorization", "Bearer " + secret} }

// read asks for a path of the API and reads the answer.
func (s *served) read(path, secret string, into any) {
	s.t.Helper()
	status, body, _ := s.get(s.URL(), path, bearer(secret)...)
	if status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		s.t.Fatalf("%s: %v in %s", path, err, body)
	}
}

// Calls are seen everywhere: overview, series, log, books. All of it is found again after
// a restart, and none of it by another tenant.
func TestWatchedOverARestart(t *testing.T) {
	url, _ := priced(t, 0)
	dir := t.TempDir()
	s := start(t, app.Options{File: watchedFile(t, url, dir, "")})
	for n := range 6 {
		if status, body, _ := s.call(askFor(n%3, "u1"), bearer(webSecret)...); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	if status, _, _ := s.call(askFor(1, "u2"), bearer(otherSecret)...); status != http.StatusOK {
		t.Fatal(status)
	}
	check := func(s *served) {
		t.Helper()
		eventually(t, "the log has 7 calls", func() bool {
			var list console.RequestList
			s.read("/v1/requests", adminSecret, &list)
			return len(list.Data) == 7
		})
		var o console.Overview
		s.read("/v1/overview?window=1h", webSecret, &o)
		if o.Totals.Requests != 7 || o.Totals.MicroUSD != 4*priceOf || o.Totals.SavedMicroUSD != 3*priceOf || o.Totals.HitRate < 0.42 || o.Totals.HitRate > 0.43 {
			t.Errorf("%+v", o.Totals)
		}
		var cost console.CostReport
		s.read("/v1/cost?by=user", webSecret, &cost)
		if cost.Total.MicroUSD != 3*priceOf || cost.Total.SavedMicroUSD != 3*priceOf || cost.Total.Hits != 3 || cost.Total.Calls != 6 || len(cost.Rows) != 1 {
			t.Errorf("tenant a: %+v", cost)
		}
		s.read("/v1/cost?by=tenant", adminSecret, &cost)
		if cost.Total.MicroUSD != 4*priceOf || len(cost.Rows) != 2 {
			t.Errorf("all tenants: %+v", cost)
		}
		var list console.RequestList
		s.read("/v1/requests", otherSecret, &list)
		if len(list.Data) != 1 || list.Data[0].Tenant != "b" || list.Data[0].MicroUSD != priceOf {
			t.Errorf("tenant b sees %+v", list.Data)
		}
		var own console.Usage
		s.read("/v1/me/usage", otherSecret, &own)
		if own.Total.MicroUSD != priceOf || own.Key != "other" || len(own.Days) != 1 {
			t.Errorf("%+v", own)
		}
		var first requestlog.Entry
		s.read("/v1/requests/1", adminSecret, &first)
		if len(first.Attempts) != 1 || first.Attempts[0].Target != "p/m" || first.Cache != "miss" || first.CacheKey == "" {
			t.Errorf("%+v", first)
		}
		if status, _, _ := s.get(s.URL(), "/v1/requests/1", bearer(otherSecret)...); status != http.StatusNotFound {
			t.Errorf("tenant b reads a call of tenant a: %d", status)
		}
		if status, _, _ := s.get(s.URL(), "/v1/cost?tenant=a", bearer(otherSecret)...); status != http.StatusForbidden {
			t.Errorf("tenant b reads the cost of tenant a: %d", status)
		}
	}
	check(s)
	s.stop()
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	check(start(t, app.Options{File: watchedFile(t, url, dir, "")}))
}

// A hard budget bounds what many calls at once cost, and a restart forgets nothing of it.
func TestHardBudgetOverHTTP(t *testing.T) {
	url, calls := priced(t, 20*time.Millisecond)
	dir := t.TempDir()
	const budget = "budgets:\n  all: {tenant: a, usd: 0.05, kind: hard, period: month}\n" // 25 calls
	var answered atomic.Int64                                                             // the first question that was
	run := func() (passed, refused int64) {
		s := start(t, app.Options{File: watchedFile(t, url, dir, budget)})
		var ok, no atomic.Int64
		var wg sync.WaitGroup
		for n := range 60 {
			wg.Go(func() {
				status, body, _ := s.call(askFor(1000+n, "u"), bearer(webSecret)...)
				switch {
				case status == http.StatusOK:
					ok.Add(1)
					answered.CompareAndSwap(0, int64(1000+n))
				case status == http.StatusTooManyRequests && strings.Contains(body, "policy_budget_exceeded"):
					no.Add(1)
				default:
					t.Errorf("%d %s", status, body)
				}
			})
		}
		wg.Wait()
		var list console.BudgetList
		s.read("/v1/budgets", webSecret, &list)
		if len(list.Data) != 1 || list.Data[0].Spent != calls.Load()*priceOf || list.Data[0].Spent > 50_000 || list.Data[0].Reserved != 0 {
			t.Errorf("%+v after %d calls", list.Data, calls.Load())
		}
		// After the restart it is in the store, which is left alone for a while where it is slow.
		eventually(t, "the cache answers under a spent budget", func() bool {
			status, _, head := s.call(askFor(int(answered.Load()), "u"), bearer(webSecret)...)
			return status == http.StatusOK && strings.Contains(head.Get("Cache-Status"), "; hit")
		})
		s.stop()
		if err := s.wait(); err != nil {
			t.Fatal(err)
		}
		return ok.Load(), no.Load()
	}
	if passed, refused := run(); passed == 0 || passed > 25 || passed+refused != 60 {
		t.Errorf("%d passed, %d were refused", passed, refused)
	}
	run()
	if n := calls.Load(); n > 25 || n < 23 {
		t.Errorf("%d calls for a budget of 25", n)
	}
}

// A budget of the kind degrade has calls answered by the smaller model.
func TestDegradingBudget(t *testing.T) {
	url, _ := priced(t, 0)
	s := start(t, app.Options{File: watchedFile(t, url, "", `
budgets:
  first: {usd: 0.003, kind: degrade}
defaults:
  cache: {off: true}
  fallback: [simplified, error]
  simplified: {model: small}
`)})
	for n := range 4 {
		status, body, head := s.call(askFor(n, "u"), bearer(webSecret)...)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		if got, want := head.Get("X-Forebay-Fallback") == "simplified", n > 0; got != want {
			t.Errorf("call %d: simplified %t, want %t (%v)", n, got, want, head)
		}
	}
	var cost console.CostReport
	s.read("/v1/cost", adminSecret, &cost)
	if cost.Total.MicroUSD != priceOf+3*priceOf/10 {
		t.Errorf("%+v", cost.Total)
	}
}

// What callers tell is measured and booked; what they may not do is refused.
func TestToldByCallers(t *testing.T) {
	url, _ := priced(t, 0)
	s := start(t, app.Options{File: watchedFile(t, url, t.TempDir(), `
monitor:
  user_metrics: true
  custom:
    tickets: {kind: counter, doc: Tickets that were closed., labels: {plan: [free, paid]}}
`)})
	post := func(path, secret, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		status, text, _ := s.send(req, bearer(secret)...)
		return status, text
	}
	for _, x := range []struct {
		path, secret, body string
		status             int
		says               string
	}{
		{"/v1/measurements", webSecret, `{"metric":"tickets","value":2,"labels":{"plan":"paid"}}`, 202, `"taken":1`},
		{"/v1/measurements", webSecret, `{"data":[{"metric":"study_time","value":60},{"metric":"documents","value":1}]}`, 202, `"taken":2`},
		{"/v1/measurements", webSecret, `{"metric":"ticket","value":2}`, 400, "tickets"},
		{"/v1/cost", webSecret, `{"user":"user123","ai_usd":1,"compute_usd":0,"storage_usd":0}`, 403, "costs"},
		{"/v1/cost", costsSecret, `{"user":"user123","ai_usd":0.05,"compute_usd":0.02,"storage_usd":0.01}`, 202, "user123"},
		{"/v1/cost", costsSecret, `{"user":"user123","ai_usd":-1,"compute_usd":0,"storage_usd":0}`, 400, "below 0"},
		{"/v1/alarms/silences", webSecret, `{"alarm":"*","for":"1h"}`, 403, "admin"},
		{"/v1/alarms/silences", adminSecret, `{"alarm":"breaker-opn","for":"1h"}`, 400, "breaker-open"},
		{"/v1/alarms/silences", adminSecret, `{"alarm":"breaker-open","for":"1h"}`, 201, "breaker-open"},
	} {
		if status, text := post(x.path, x.secret, x.body); status != x.status || !strings.Contains(text, x.says) {
			t.Errorf("%s %s: %d %s", x.path, x.body, status, text)
		}
	}
	var cost console.CostReport
	s.read("/v1/cost?by=user", webSecret, &cost)
	if len(cost.Rows) != 1 || cost.Rows[0].User != "user123" || cost.Rows[0].MicroUSD != 50_000 || cost.Rows[0].ComputeMicroUSD != 20_000 || cost.Rows[0].StorageMicroUSD != 10_000 {
		t.Errorf("%+v", cost.Rows)
	}
	var line console.SeriesAnswer
	s.read("/v1/series?q=sum:custom_tickets&window=5m", webSecret, &line)
	sum := 0.0
	for _, v := range line.Series[0].Values {
		if v != nil {
			sum += *v
		}
	}
	if sum != 2 {
		t.Errorf("the series of tickets sums up to %v", sum)
	}
	if _, metrics, _ := s.get(s.URL(), "/metrics", bearer(webSecret)...); !strings.Contains(metrics, `forebay_custom_tickets_total{plan="paid"} 2`) {
		t.Error("the metric of tickets is not there")
	}
}

// Events come as they happen, those of other tenants to nobody but admins.
func TestLiveEvents(t *testing.T) {
	url, _ := priced(t, 0)
	s := start(t, app.Options{File: watchedFile(t, url, "", "")})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/v1/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+webSecret)
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	next := func(event string) string {
		for lines.Scan() {
			if lines.Text() == "event: "+event && lines.Scan() {
				return strings.TrimPrefix(lines.Text(), "data: ")
			}
		}
		t.Fatalf("no event %s: %v", event, lines.Err())
		return ""
	}
	next("totals")
	s.call(askFor(1, "foreign"), bearer(otherSecret)...)
	s.call(askFor(1, "own"), bearer(webSecret)...)
	if got := next("request"); !strings.Contains(got, `"user":"own"`) {
		t.Errorf("%s", got)
	}
}

// The dashboard is served beside calls, or at the control address where there is one, with
// its API. It logs in by key.
func TestWhereTheDashboardIs(t *testing.T) {
	url, _ := priced(t, 0)
	for _, control := range []string{"", "control: 127.0.0.1:0\n"} {
		s := start(t, app.Options{File: watchedFile(t, url, "", control)})
		at, elsewhere := s.URL(), s.ControlURL()
		if control != "" {
			at, elsewhere = elsewhere, at
		}
		for path, want := range map[string]int{"/ui/": 200, "/v1/overview": 200, "/v1/me": 200, "/v1/alarms": 200, "/v1/requests": 200} {
			if status, body, _ := s.get(at, path, bearer(adminSecret)...); status != want {
				t.Errorf("control %q: %s: %d %.200s", control, path, status, body)
			}
		}
		if elsewhere == "" {
			continue
		}
		for path, want := range map[string]int{"/ui/": 404, "/v1/overview": 404, "/v1/requests": 404, "/v1/me/usage": 200} {
			if status, body, _ := s.get(elsewhere, path, bearer(adminSecret)...); status != want {
				t.Errorf("at the address of calls: %s: %d %.200s", path, status, body)
			}
		}
	}
}
