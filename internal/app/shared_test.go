package app_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/forebay-ai/forebay/internal/app"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/store/dynamo"
)

// gateways are two of them on one set of tables, before one provider. Calls cost 7 dollars
// of the 30 that there are.
func gateways(t *testing.T) (a, b *served, upstream *echo) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "an-invented-secret")
	endpoint := awstest.Dynalite(t)
	tables := dynamo.Config{Queue: "two-queue", Cache: "two-cache", Ledger: "two-ledger", Control: "two-control"}
	awstest.Tables(t, dynamodb.NewFromConfig(awstest.Config(endpoint)), dynamo.Schemas(tables))
	upstream = newEcho(t)
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
providers: {echo: {type: openai, base_url: %q}}
models: {m: {targets: [{provider: echo, model: m, price: {output: 1000000}}]}}
budgets: {all: {usd: 30, kind: hard}}
keys: [{name: operator, secret: %s, scopes: [call, jobs, admin]}]
cache: {store_timeout: 5s}
store:
  master_key: %q
  dynamodb: {region: %s, endpoint: %q, interval: 100ms, queue: two-queue, cache: two-cache, ledger: two-ledger, control: two-control}
`, upstream.URL, adminSecret, strings.Repeat("5a", 32), awstest.Region, endpoint)
	return start(t, app.Options{File: configured(t, text, nil)}), start(t, app.Options{File: configured(t, text, nil)}), upstream
}

// asks is a question whose answer costs 7 dollars at most.
func asks(text string) string {
	return fmt.Sprintf(`{"model":"m","max_tokens":7,"messages":[{"role":"user","content":%q}]}`, text)
}

// TestGatewaysShareTables: what one gateway was answered the other gives as well, until either is told to forget it; jobs
// run wherever there is room; what one spent the other does not spend again; and both say what the tables cost.
func TestGatewaysShareTables(t *testing.T) {
	a, b, upstream := gateways(t)
	answered := func(s *served, text string) bool {
		before := upstream.calls.Load()
		if status, body, _ := s.call(asks(text), bearer(adminSecret)...); status != http.StatusOK || !strings.Contains(body, text) {
			t.Fatalf("%d %s", status, body)
		}
		return upstream.calls.Load() > before
	}
	if !answered(a, "one") {
		t.Fatal("the first question did not reach the provider")
	}
	eventually(t, "the other gateway has the answer", func() bool { return a.measured(`cache_store_written_total`) == 1 })
	if answered(b, "one") {
		t.Error("the other gateway asked the provider again")
	}

	a.ask("POST /v1/cache/invalidate", `{"model":"m"}`, http.StatusOK, nil, bearer(adminSecret)...)
	eventually(t, "the other gateway hears of the invalidation", func() bool { return answered(b, "one") })

	var j job
	b.ask("POST /v1/chat/completions", asks("as a job"), http.StatusAccepted, &j, append(bearer(adminSecret), "Prefer", "respond-async")...)
	a.ask("GET /v1/jobs/"+j.ID+"?wait=20s", "", http.StatusOK, &j, bearer(adminSecret)...)
	if _, result, _ := a.get(a.URL(), "/v1/jobs/"+j.ID+"/result", bearer(adminSecret)...); j.State != "completed" || !strings.Contains(result, "as a job") {
		t.Errorf("%+v: %s", j, result)
	}

	for _, s := range []*served{a, b} { // 3 calls were made
		eventually(t, "both know what was spent", func() bool { return s.spent() == 21e6 })
	}
	if !answered(a, "the fourth") {
		t.Error("the fourth question did not reach the provider")
	}
	eventually(t, "the other gateway knows of it", func() bool { return b.spent() == 28e6 })
	before := upstream.calls.Load()
	if status, body, _ := b.call(asks("the fifth"), bearer(adminSecret)...); status != http.StatusTooManyRequests || !strings.Contains(body, "budget") || upstream.calls.Load() != before {
		t.Errorf("the fifth question, for which there is no money: %d %s", status, body)
	}

	for _, s := range []*served{a, b} {
		for _, name := range []string{
			`dynamodb_units_total{call="cache.get",kind="read"}`, `dynamodb_calls_total{call="cache.get"}`,
			"dynamodb_connections", "dynamodb_connections_opened_total", "dynamodb_connections_reused_total",
		} {
			if s.measured(name) <= 0 {
				t.Errorf("%s is %v", name, s.measured(name))
			}
		}
	}
	if units := b.measured(`dynamodb_units_total{call="queue.insert",kind="write"}`); units < 1 || units > 4 {
		t.Errorf("a job was taken in at %v write units", units)
	}
}

// spent is what a gateway knows of the budget, in micro-dollars.
func (s *served) spent() int64 {
	s.t.Helper()
	var budgets struct {
		Data []struct {
			Spent int64 `json:"spent_micro_usd"`
		}
	}
	s.read("/v1/budgets", adminSecret, &budgets)
	if len(budgets.Data) != 1 {
		s.t.Fatalf("%+v", budgets)
	}
	return budgets.Data[0].Spent
}

// measured reads a metric, or 0 where it is not there.
func (s *served) measured(name string) float64 {
	s.t.Helper()
	_, text, _ := s.get(s.URL(), "/metrics", bearer(adminSecret)...)
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "forebay_"+name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return value
		}
	}
	return 0
}
