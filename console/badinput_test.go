package console_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/gateway"
)

// fault is what a refusal says.
type fault struct {
	Type   string `json:"error_type"`
	Param  string `json:"param"`
	Detail string `json:"detail"`
}

var long = strings.Repeat("x", 600)

// queries are wrong parameters, by path: what is wrong, the parameter that is named, and
// what the message says of the bound or of the way out.
var queries = []struct{ path, param, says string }{
	{"/v1/overview?window=0s", "window", "1m to 30d"},
	{"/v1/overview?window=59s", "window", "1m to 30d"},
	{"/v1/overview?window=31d", "window", "1m to 30d"},
	{"/v1/overview?window=-1h", "window", "1m to 30d"},
	{"/v1/overview?window=NaNd", "window", "1m to 30d"},
	{"/v1/overview?window=1e300d", "window", "1m to 30d"},
	{"/v1/overview?window=soon", "window", `"soon"`},
	{"/v1/overview?windw=1h", "windw", "did you mean window"},
	{"/v1/overview?window=1h&window=2h", "window", "more than once"},
	{"/v1/operations?window=x", "window", "1m to 30d"},
	{"/v1/operations?by=user", "by", "operation, model, target"},
	{"/v1/operations?by=" + long, "by", "operation, model, target"},
	{"/v1/series", "q", "Send 1 to 16"},
	{"/v1/series?" + strings.Repeat("q=sum:requests&", 17), "q", "17 times"},
	{"/v1/series?q=sum:requests&window=40d", "window", "1m to 30d"},
	{"/v1/series?q=sum:requests&to=-1", "to", "from 0 to"},
	{"/v1/series?q=sum:requests&to=99999999999999", "to", "from 0 to"},
	{"/v1/series?q=sum:requests&to=now", "to", "a whole number"},
	{"/v1/series?q=sum:requests&by=opration", "by", "did you mean operation"},
	{"/v1/series?q=", "q", "series/metrics"},
	{"/v1/series?q=p95", "q", "series/metrics"},
	{"/v1/series?q=sum:", "q", "series/metrics"},
	{"/v1/series?q=:requests", "q", "sum rate"},
	{"/v1/series?q=sum:reqests", "q", "did you mean requests"},
	{"/v1/series?q=p95:requests", "q", "which is a counter"},
	{"/v1/series?q=sum:duration", "q", "which is a distribution"},
	{"/v1/series?q=p95:waiting", "q", "which is a gauge"},
	{"/v1/series?q=ratio:hits", "q", "ratio:hits/lookups"},
	{"/v1/series?q=ratio:hits/", "q", "ratio:hits/lookups"},
	{"/v1/series?q=ratio:/hits", "q", "series/metrics"},
	{"/v1/series?q=ratio:hits/lokups", "q", "did you mean lookups"},
	{"/v1/series?q=ratio:hits/duration", "q", "which is a distribution"},
	{"/v1/series?q=ratio:waiting/requests", "q", "which is a gauge"},
	{"/v1/series?q=ratio:hits/lookups/requests", "q", "series/metrics"},
	{"/v1/series/metrics?q=1", "q", "no parameters"},
	{"/v1/requests?limit=0", "limit", "from 1 to 500"},
	{"/v1/requests?limit=501", "limit", "from 1 to 500"},
	{"/v1/requests?limit=ten", "limit", "from 1 to 500"},
	{"/v1/requests?limit=99999999999999999999", "limit", "from 1 to 500"},
	{"/v1/requests?before=-1", "before", "from 0 to"},
	{"/v1/requests?min_duration=fast", "min_duration", "such as 2s"},
	{"/v1/requests?min_duration=-2s", "min_duration", "such as 2s"},
	{"/v1/requests?min_usd=NaN", "min_usd", "such as 0.01"},
	{"/v1/requests?min_usd=-1", "min_usd", "such as 0.01"},
	{"/v1/requests?min_usd=Inf", "min_usd", "such as 0.01"},
	{"/v1/requests?failed=yes", "failed", "true or false"},
	{"/v1/requests?from=yesterday", "from", "2026-11-01"},
	{"/v1/requests?to=2026-13-01", "to", "2026-11-01"},
	{"/v1/requests?modl=m", "modl", "did you mean model"},
	{"/v1/requests?prompt=secret", "prompt", "Use before, limit"},
	{"/v1/events?failed=1", "failed", "true or false"},
	{"/v1/events?limit=5", "limit", "is not known"},
	{"/v1/breakers/history?window=0", "window", "1m to 30d"},
	{"/v1/breakers/history?target=x", "target", "Use window"},
	{"/v1/alarms?name=x", "name", "no parameters"},
	{"/v1/alarms/history?limit=0", "limit", "from 1 to 500"},
	{"/v1/alarms/history?limit=501", "limit", "from 1 to 500"},
	{"/v1/alarms/history?before=x", "before", "a whole number"},
	{"/v1/cost?by=usr", "by", "did you mean user"},
	{"/v1/cost?by=user,user", "by", "each once"},
	{"/v1/cost?by=user,", "by", "with commas between"},
	{"/v1/cost?by=prompt", "by", "day, month, tenant, user, key, operation, provider, model"},
	{"/v1/cost?from=1.11.2026", "from", "2026-11-01"},
	{"/v1/cost?from=2000-01-02&to=2000-01-02", "to", "the first day that does not count"},
	{"/v1/cost?from=2000-03-01", "to", "is not after from"},
	{"/v1/cost?currency=inr", "currency", "INR"},
	{"/v1/cost?currency=XXX", "currency", "cost.rates"},
	{"/v1/cost?limit=0", "limit", "from 1 to 1000"},
	{"/v1/cost?limit=1001", "limit", "from 1 to 1000"},
	{"/v1/cost/analysis?by=user", "by", "Use from, to"},
	{"/v1/cost/analysis?to=x", "to", "2026-11-01"},
	{"/v1/budgets?tenant=a", "tenant", "no parameters"},
	{"/v1/config?key=x", "key", "no parameters"},
	{"/v1/me?x=1", "x", "no parameters"},
	{"/v1/me/usage?month=11", "month", "no parameters"},
}

// Every parameter that is wrong is refused by name, with what may be sent.
func TestWrongParameters(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		for _, x := range queries {
			status, text := w.ask(http.MethodGet, x.path, adminKey, "")
			var f fault
			if err := json.Unmarshal([]byte(text), &f); err != nil || status != http.StatusBadRequest || f.Type != "caller_invalid_request" {
				t.Errorf("%.80s: %d %.300s", x.path, status, text)
				continue
			}
			if f.Param != x.param || !strings.Contains(f.Detail, x.param) || !strings.Contains(f.Detail, x.says) {
				t.Errorf("%.80s: parameter %q: %s", x.path, f.Param, f.Detail)
			}
			if len(f.Detail) > 500 {
				t.Errorf("%.80s: a message of %d bytes", x.path, len(f.Detail))
			}
		}
	})
}

// Every body that is wrong is refused by the name of its member, and changes nothing.
func TestWrongBodies(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		for _, x := range []struct {
			method, path, body string
			status             int
			param, says        string
		}{
			{"POST", "/v1/cost", ``, 400, "", ""},
			{"POST", "/v1/cost", `[]`, 400, "", ""},
			{"POST", "/v1/cost", `{"user":"u","ai":1}`, 400, "/ai", "not known"},
			{"POST", "/v1/cost", `{"ai_usd":1}`, 400, "user", "user is missing"},
			{"POST", "/v1/cost", `{"user":"` + long + `"}`, 400, "user", "256 bytes"},
			{"POST", "/v1/cost", `{"user":"u","operation":"` + long + `"}`, 400, "operation", "256 bytes"},
			{"POST", "/v1/cost", `{"user":"u","ai_usd":-0.01}`, 400, "ai_usd", "below 0"},
			{"POST", "/v1/cost", `{"user":"u","compute_usd":-1}`, 400, "compute_usd", "below 0"},
			{"POST", "/v1/cost", `{"user":"u","storage_usd":1e10}`, 400, "storage_usd", "$10000"},
			{"POST", "/v1/cost", `{"user":"u","storage_usd":"1"}`, 400, "/storage_usd", "wrong type"},
			{"POST", "/v1/measurements", `{}`, 400, "", "tickets"},
			{"POST", "/v1/measurements", `{"metric":"ticket","value":1,"labels":{"plan":"free"}}`, 400, "", "tickets"},
			{"POST", "/v1/measurements", `{"metric":"tickets","value":-1,"labels":{"plan":"free"}}`, 400, "", "value 1 of 1"},
			{"POST", "/v1/measurements", `{"metric":"tickets","value":1,"labels":{"plann":"free"}}`, 400, "", "plan"},
			{"POST", "/v1/measurements", `{"data":[{"metric":"tickets","value":1,"labels":{"plan":"free"}},{"metric":"no"}]}`, 400, "", "value 2 of 2"},
			{"POST", "/v1/measurements", `{"data":[` + strings.Repeat(`{"metric":"tickets"},`, 1000) + `{"metric":"tickets"}]}`, 413, "data", "1000"},
			{"POST", "/v1/alarms/silences", `{"for":"1h"}`, 400, "alarm", "GET /v1/alarms"},
			{"POST", "/v1/alarms/silences", `{"alarm":"breaker-opn","for":"1h"}`, 400, "alarm", "did you mean breaker-open"},
			{"POST", "/v1/alarms/silences", `{"alarm":"*"}`, 400, "for", "1m to 30d"},
			{"POST", "/v1/alarms/silences", `{"alarm":"*","for":"59s"}`, 400, "for", "1m to 30d"},
			{"POST", "/v1/alarms/silences", `{"alarm":"*","for":"31d"}`, 400, "for", "such as 2h"},
			{"POST", "/v1/alarms/silences", `{"alarm":"*","for":"-2h"}`, 400, "for", "1m to 30d"},
			{"POST", "/v1/alarms/silences", `{"alarm":"*","for":"NaNd"}`, 400, "for", "1m to 30d"},
			{"POST", "/v1/alarms/silences", `{"alarm":"*","for":"1h","comment":"` + long + `"}`, 400, "comment", "500 bytes"},
			{"POST", "/v1/alarms/silences", `{"alarm":"*","for":"1h","of":"` + long + `"}`, 400, "of", "256 bytes"},
			{"POST", "/v1/alarms/silences", `{"alarm":"*","for":"1h","until":"x"}`, 400, "/until", "not known"},
			{"POST", "/v1/alarms/test", `{"notifier":"godd"}`, 400, "notifier", "did you mean good"},
			{"POST", "/v1/alarms/test", `{"name":"good"}`, 400, "/name", "not known"},
			{"DELETE", "/v1/alarms/silences/silence-0", ``, 404, "", "there is no silence"},
			{"GET", "/v1/requests/0", ``, 404, "", "there is no call"},
			{"GET", "/v1/requests/x", ``, 404, "", `no call "x"`},
			{"GET", "/v1/requests/-1", ``, 404, "", "GET /v1/requests"},
			{"GET", "/v1/requests/99999999999999999999", ``, 404, "", "GET /v1/requests"},
			{"POST", "/v1/overview", `{}`, 405, "", ""},
			{"PUT", "/v1/cost", `{}`, 405, "", ""},
		} {
			status, text := w.ask(x.method, x.path, adminKey, x.body)
			var f fault
			if err := json.Unmarshal([]byte(text), &f); err != nil || status != x.status {
				t.Errorf("%s %s %.80s: %d, want %d: %.300s", x.method, x.path, x.body, status, x.status, text)
				continue
			}
			if x.param != "" && f.Param != x.param || !strings.Contains(f.Detail, x.says) {
				t.Errorf("%s %s %.80s: parameter %q: %s", x.method, x.path, x.body, f.Param, f.Detail)
			}
		}
		var list console.AlarmList
		w.read("/v1/alarms", adminKey, &list)
		if len(list.Silences) != 0 {
			t.Errorf("a refused silence is there: %+v", list.Silences)
		}
		var report console.CostReport
		w.read("/v1/cost", adminKey, &report)
		if report.Total.MicroUSD != 0 {
			t.Errorf("a refused cost is booked: %+v", report.Total)
		}
	})
}

// plain are questions without parameters.
var plain = []string{
	"/v1/overview", "/v1/operations", "/v1/series?q=p95:duration&q=sum:requests&q=ratio:hits/lookups&q=last:waiting", "/v1/series/metrics", "/v1/requests",
	"/v1/breakers/history", "/v1/alarms", "/v1/alarms/history", "/v1/cost", "/v1/cost?by=user,model", "/v1/cost?currency=INR&by=day", "/v1/cost/analysis", "/v1/budgets", "/v1/config",
	"/v1/me", "/v1/me/usage",
}

// Where nothing has happened yet, every question has an answer, and no list in it is null.
func TestNothingHappened(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		for _, path := range plain {
			status, text := w.ask(http.MethodGet, path, adminKey, "")
			if status != http.StatusOK || !json.Valid([]byte(text)) {
				t.Errorf("%s: %d %s", path, status, text)
			}
			if strings.Contains(text, ":null") {
				t.Errorf("%s: %s", path, text)
			}
		}
	})
}

// Without log, books and notifiers the rest works, and those who ask for them are told
// which setting there is.
func TestPartsThatAreNotThere(t *testing.T) {
	inWorld(t, options{bare: true}, func(t *testing.T, w *world) {
		for path, says := range map[string]string{
			"/v1/requests": "requests.enabled", "/v1/requests/1": "requests.enabled", "/v1/cost": "cost.enabled", "/v1/cost/analysis": "cost.enabled",
			"/v1/budgets": "cost.enabled", "/v1/me/usage": "cost.enabled",
		} {
			if status, text := w.ask(http.MethodGet, path, adminKey, ""); status != http.StatusNotFound || !strings.Contains(text, says) {
				t.Errorf("%s: %d %s", path, status, text)
			}
		}
		for path, says := range map[string]string{"/v1/alarms/test": "alarms.notifiers", "/v1/cost": "cost.enabled"} {
			if status, text := w.ask(http.MethodPost, path, adminKey, `{}`); status != http.StatusNotFound || !strings.Contains(text, says) {
				t.Errorf("%s: %d %s", path, status, text)
			}
		}
		for _, path := range []string{"/v1/overview", "/v1/operations", "/v1/alarms", "/v1/config", "/v1/me", "/v1/series?q=sum:requests"} {
			if status, text := w.ask(http.MethodGet, path, adminKey, ""); status != http.StatusOK {
				t.Errorf("%s: %d %s", path, status, text)
			}
		}
		if status, text := w.ask(http.MethodPost, "/v1/measurements", callKey, `{"metric":"tickets","value":2,"labels":{"plan":"paid"}}`); status != http.StatusAccepted {
			t.Errorf("a measurement: %d %s", status, text)
		}
		if e := w.listen("/v1/events", adminKey); len(e.until(t, "totals")) != 1 {
			t.Error("the stream does not begin with the totals")
		}
	})
}

// Every route asks for its scope, and for a key.
func TestScopes(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		c, err := console.New(console.Config{Client: w.client, Observer: w.observer})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Endpoints() {
			path := strings.NewReplacer("{seq}", "1", "{id}", "x").Replace(e.Pattern)
			want := map[string]bool{"": false, callKey: e.Scope == access.Call || e.Scope == gateway.ScopeAny, webKey: e.Scope != access.Admin && e.Scope != access.Costs, costsKey: e.Scope == access.Costs || e.Scope == gateway.ScopeAny}
			for key, allowed := range want {
				if path == "/v1/events" && allowed {
					continue // it does not end
				}
				body := ""
				if e.Method == http.MethodPost {
					body = `{}`
				}
				status, text := w.ask(e.Method, path, key, body)
				if refused := status == http.StatusUnauthorized || status == http.StatusForbidden; refused == allowed {
					t.Errorf("%s %s with the key %q: %d %.200s", e.Method, path, key, status, text)
				}
			}
			if e.Doc == "" {
				t.Errorf("%s says nothing of itself", e.Pattern)
			}
		}
		if lines := w.audit.seen(); len(lines) > 0 {
			t.Errorf("what was refused is recorded as a change: %q", lines)
		}
	})
}

// OperatorPaths names routes that there are.
func TestOperatorPaths(t *testing.T) {
	inWorld(t, options{bare: true}, func(t *testing.T, w *world) {
		c, err := console.New(console.Config{Client: w.client, Observer: w.observer})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range console.OperatorPaths() {
			if !slices.ContainsFunc(c.Endpoints(), func(e gateway.Endpoint) bool {
				return e.Pattern == path || strings.HasSuffix(path, "/") && strings.HasPrefix(e.Pattern, path)
			}) {
				t.Errorf("nothing is served at %s", path)
			}
		}
		for _, cfg := range []console.Config{{}, {Client: w.client}, {Observer: w.observer}} {
			if _, err := console.New(cfg); err == nil {
				t.Errorf("%+v makes a console", cfg)
			}
		}
	})
}
