package console_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/requestlog"
)

// book books calls of both tenants: 3 of a for 300 micro-dollars each, 2 of b for 1,000.
func (w *world) book() {
	for n := range 5 {
		r := cost.Record{RequestID: fmt.Sprint(n), Tenant: "a", User: "alice", Key: "web", Operation: "chat", Provider: "p", Model: "m", MicroUSD: 300, At: time.Now()}
		if n > 2 {
			r.Tenant, r.User, r.Key, r.MicroUSD = "b", "bob", "other", 1000
		}
		w.books.Settle(r)
	}
}

// Tenants see costs, budgets and usage of their own only; admins see all.
func TestCostsOfTenants(t *testing.T) {
	rules := []budget.Rule{
		{Name: "each", Tenant: "*", Period: budget.Month, Kind: budget.Soft, MicroUSD: 1000},
		{Name: "all", Period: budget.Month, Kind: budget.Soft, MicroUSD: 10_000},
	}
	inWorld(t, options{rules: rules}, func(t *testing.T, w *world) {
		w.book()
		for _, x := range []struct {
			key     string
			total   int64
			tenants []string
			budgets []string
		}{
			{adminKey, 2900, []string{"b", "a"}, []string{"each a", "each b", "all "}},
			{webKey, 900, []string{"a"}, []string{"each a"}},
			{otherKey, 2000, []string{"b"}, []string{"each b"}},
		} {
			var report console.CostReport
			w.read("/v1/cost?by=tenant", x.key, &report)
			var tenants []string
			for _, r := range report.Rows {
				tenants = append(tenants, r.Tenant)
			}
			if report.Total.MicroUSD != x.total || !slices.Equal(tenants, x.tenants) {
				t.Errorf("%s: %d of %v", x.key, report.Total.MicroUSD, tenants)
			}
			var a ledger.Analysis
			w.read("/v1/cost/analysis", x.key, &a)
			if a.ModelsMicroUSD != x.total {
				t.Errorf("%s: the analysis is about %d", x.key, a.ModelsMicroUSD)
			}
			var list console.BudgetList
			w.read("/v1/budgets", x.key, &list)
			var budgets []string
			for _, b := range list.Data {
				budgets = append(budgets, b.Rule+" "+b.Tenant)
			}
			slices.Sort(budgets)
			want := slices.Sorted(slices.Values(x.budgets))
			if !slices.Equal(budgets, want) {
				t.Errorf("%s: budgets %q, want %q", x.key, budgets, want)
			}
			var o console.Overview
			w.read("/v1/overview", x.key, &o)
			for _, b := range o.Budgets {
				if x.key != adminKey && b.Tenant != x.tenants[0] {
					t.Errorf("%s: the overview has the budget of %q", x.key, b.Tenant)
				}
			}
			if o.CostTodayMicroUSD != x.total {
				t.Errorf("%s: today has cost %d", x.key, o.CostTodayMicroUSD)
			}
		}
		var own console.Usage
		w.read("/v1/me/usage", otherKey, &own)
		if own.Total.MicroUSD != 2000 || own.Tenant != "b" || len(own.Days) != 1 || len(own.Models) != 1 || len(own.Budgets) != 2 {
			t.Errorf("%+v", own)
		}
		w.read("/v1/me/usage", adminKey, &own)
		if own.Total.MicroUSD != 0 {
			t.Errorf("the admin's own key has cost %+v", own.Total)
		}
		for _, path := range []string{"/v1/cost?tenant=a", "/v1/requests?tenant=a", "/v1/events?tenant=a"} {
			if status, text := w.ask(http.MethodGet, path, otherKey, ""); status != http.StatusForbidden || !strings.Contains(text, `tenant \"b\" alone`) {
				t.Errorf("%s: %d %s", path, status, text)
			}
		}
		var report console.CostReport
		w.read("/v1/cost?tenant=b&by=user", adminKey, &report)
		if report.Total.MicroUSD != 2000 || len(report.Rows) != 1 || report.Rows[0].User != "bob" {
			t.Errorf("%+v", report)
		}
	})
}

// A report has the most expensive rows first, says that there are more, and can be in
// another currency.
func TestReports(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		w.book()
		var report console.CostReport
		w.read("/v1/cost?by=user&limit=1&currency=INR", adminKey, &report)
		if !report.Truncated || len(report.Rows) != 1 || report.Rows[0].User != "bob" || report.Total.MicroUSD != 2900 {
			t.Errorf("%+v", report)
		}
		if report.Currency != "INR" || report.Rate != 80.5 || report.RateDate != "1999-01-01" || report.From != "2000-01-01" || report.To != "2000-02-01" {
			t.Errorf("%+v", report)
		}
		w.read("/v1/cost?by=user&limit=2&from=2000-01-01&to=2000-01-02", adminKey, &report)
		if report.Truncated = report.Truncated && len(report.Rows) < 2; len(report.Rows) != 2 {
			t.Errorf("%+v", report)
		}
		w.read("/v1/cost?from=1999-12-01&to=2000-01-01", adminKey, &report)
		if report.Total.MicroUSD != 0 {
			t.Errorf("December has %+v", report.Total)
		}
	})
}

// What callers book is theirs, whatever they say.
func TestBooking(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		if status, text := w.ask(http.MethodPost, "/v1/cost", costsKey, `{"user":"u","ai_usd":0.05,"compute_usd":0.000246,"storage_usd":0.01}`); status != http.StatusAccepted {
			t.Fatalf("%d %s", status, text)
		}
		var report console.CostReport
		w.read("/v1/cost?by=tenant,user,key,operation", adminKey, &report)
		want := []ledger.Row{{
			Account: ledger.Account{Tenant: "b", User: "u", Key: "costs", Operation: "default"},
			Amounts: ledger.Amounts{MicroUSD: 50_000, ComputeMicroUSD: 246, StorageMicroUSD: 10_000},
		}}
		if diff := cmp.Diff(want, report.Rows); diff != "" {
			t.Error(diff)
		}
	})
}

// entry is a call that is over.
func entry(n int, change func(*requestlog.Entry)) *requestlog.Entry {
	e := &requestlog.Entry{
		ID: fmt.Sprint("call-", n), Start: time.Now(), Tenant: "a", User: "alice", Key: "web", Operation: "chat", Endpoint: "chat", Model: "m", Priority: "normal",
		Provider: "p", Answered: "m", Outcome: "ok", Cache: "miss", Duration: time.Duration(n) * time.Second, MicroUSD: int64(n) * 100,
		Attempts: []requestlog.Attempt{{Target: "p/m", Duration: time.Second}},
	}
	if change != nil {
		change(e)
	}
	return e
}

// The log is read page by page, without a gap and without a repetition, also while calls
// come in, and under every filter.
func TestPagesOfCalls(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		for n := range 100 {
			w.log.Add(entry(n, func(e *requestlog.Entry) {
				switch n % 10 {
				case 1:
					e.Tenant, e.Key = "b", "other"
				case 2:
					e.Outcome, e.ErrorType = "error", llm.ProviderError
				case 3:
					e.Cache, e.MicroUSD = "hit", 0
				case 4:
					e.Outcome, e.Fallback, e.User, e.Operation = "degraded", "template", "bob", "other"
				case 5:
					e.Outcome, e.ErrorType = "refused", llm.PolicyBudgetExceeded
				case 6:
					e.Model, e.Provider = "large", "q"
				}
			}))
		}
		time.Sleep(time.Second)
		for query, want := range map[string]int{
			"": 100, "tenant=b": 10, "key=other": 10, "failed=true": 20, "failed=false": 100, "outcome=error": 10, "error_type=provider_error": 10, "cache=hit": 10,
			"fallback=template": 10, "user=bob": 10, "operation=other": 10, "model=large": 10, "provider=q": 10, "id=call-7": 1, "min_duration=90s": 10,
			"min_usd=0.009": 9, "min_usd=0.000246": 87, "from=2000-01-02": 0, "to=2000-01-01": 0, "from=2000-01-01&to=2000-01-02": 100,
			"user=alice&failed=true": 20, "user=nobody": 0, "model=m%27%20OR%201%3D1": 0,
		} {
			var seqs []int64
			before, pages := int64(0), 0
			for more := true; more; pages++ {
				var list console.RequestList
				w.read(fmt.Sprintf("/v1/requests?limit=7&before=%d&%s", before, query), adminKey, &list)
				for _, e := range list.Data {
					if seqs = append(seqs, e.Seq); len(e.Attempts) > 0 {
						t.Errorf("%s: call %d has its attempts in the list", query, e.Seq)
					}
				}
				if len(list.Data) > 7 || pages > 100 {
					t.Fatalf("%s: page %d has %d calls", query, pages, len(list.Data))
				}
				if query == "" && pages == 2 {
					w.log.Add(entry(500, nil)) // newer than what is being read
					time.Sleep(time.Second)
				}
				before, more = list.Next, list.Next != 0
			}
			if !slices.IsSortedFunc(seqs, func(a, b int64) int { return int(b - a) }) || len(slices.Compact(slices.Clone(seqs))) != len(seqs) {
				t.Errorf("%s: %v", query, seqs)
			}
			if got := len(seqs); got != want && got != want+1 { // with the one that came in
				t.Errorf("%s: %d calls, want %d", query, got, want)
			}
		}
		var list console.RequestList
		w.read("/v1/requests?limit=500", otherKey, &list)
		if len(list.Data) != 10 {
			t.Errorf("tenant b sees %d calls", len(list.Data))
		}
		mine, theirs := list.Data[0].Seq, list.Data[0].Seq-1
		var one requestlog.Entry
		w.read(fmt.Sprint("/v1/requests/", mine), otherKey, &one)
		if len(one.Attempts) != 1 {
			t.Errorf("%+v", one)
		}
		unknown := func(seq int64) string {
			status, text := w.ask(http.MethodGet, fmt.Sprint("/v1/requests/", seq), otherKey, "")
			if status != http.StatusNotFound {
				t.Errorf("call %d: %d %s", seq, status, text)
			}
			var f fault
			if err := json.Unmarshal([]byte(text), &f); err != nil {
				t.Fatal(err)
			}
			return strings.ReplaceAll(f.Detail, fmt.Sprint(seq), "N")
		}
		if a, b := unknown(theirs), unknown(123_456); a != b {
			t.Errorf("a call of another tenant is told from one that is not there: %q, %q", a, b)
		}
	})
}

// numbers are the values of a line; -1 where nothing was measured.
func numbers(l console.SeriesLine) (all []float64) {
	for _, v := range l.Values {
		if v == nil {
			all = append(all, -1)
			continue
		}
		all = append(all, *v)
	}
	return all
}

// A series has the steps that were measured, gaps included; ratios are of sums, and lines
// are by the values of a label.
func TestSeries(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		ok := monitor.Call{Operation: "chat", Model: "m", Outcome: monitor.OK, Cache: "hit", Duration: time.Second, Priority: llm.Normal}
		miss := ok
		miss.Cache, miss.Operation = "miss", "search"
		w.call(3, ok)
		w.call(1, miss)
		time.Sleep(30 * time.Second) // two steps of nothing between
		w.call(2, miss)
		var s console.SeriesAnswer
		w.read("/v1/series?window=1m&q=sum:requests&q=ratio:hits/lookups&q=p50:duration&q=rate:requests&q=last:users", adminKey, &s)
		if s.StepSeconds != 10 || len(s.Series) != 5 {
			t.Fatalf("%+v", s)
		}
		start := time.Now().Add(-30 * time.Second).Unix()
		at := int(start-s.From) / 10
		for i, want := range [][]float64{{4, 0, 0, 2}, {0.75, -1, -1, 0}, {1, -1, -1, 1}, {0.4, 0, 0, -1}} {
			got := numbers(s.Series[i])
			if len(got) < at+4 {
				t.Fatalf("%s: %v from %d, want a value at %d", s.Series[i].Query, got, s.From, start)
			}
			for n, v := range want {
				if diff := got[at+n] - v; diff > 0.011 || diff < -0.011 {
					t.Errorf("%s: %v, want %v at %d", s.Series[i].Query, got, want, at)
					break
				}
			}
		}
		for i, want := range []console.SeriesLine{
			{Query: "sum:requests", Metric: "requests", Stat: "sum"},
			{Query: "ratio:hits/lookups", Metric: "hits", Stat: "ratio", Unit: "share"},
			{Query: "p50:duration", Metric: "duration", Stat: "p50", Unit: "s"},
		} {
			got := s.Series[i]
			got.Values = nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// Lines are by the values of a label; a metric that does not have it has none. Every
// window has its steps, also one of long ago.
func TestSeriesByLabelAndWindow(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		for n := range 100 { // more values than one answer has lines
			w.call(1, monitor.Call{Operation: fmt.Sprint("op-", n), Model: "m", Outcome: monitor.OK, Duration: time.Second})
		}
		if err := w.client.Monitor().Measure("tickets", 2, map[string]string{"plan": "paid"}); err != nil {
			t.Fatal(err)
		}
		var s console.SeriesAnswer
		w.read("/v1/series?q=sum:requests&by=operation", adminKey, &s)
		if len(s.Series) != 64 || s.Series[0].Of == "" {
			t.Errorf("%d lines", len(s.Series))
		}
		w.read("/v1/series?q=last:waiting&by=operation", adminKey, &s)
		if len(s.Series) != 0 {
			t.Errorf("%+v", s.Series)
		}
		w.read("/v1/series?q=sum:custom_tickets&by=plan", adminKey, &s)
		if len(s.Series) != 1 || s.Series[0].Of != "paid" {
			t.Errorf("%+v", s.Series)
		}
		for _, window := range []string{"1m", "15m", "1h", "6h", "1d", "7d", "30d"} {
			for _, to := range []string{"", "&to=0", "&to=946684800"} {
				w.read("/v1/series?q=sum:requests&window="+window+to, adminKey, &s)
				if n := len(s.Series[0].Values); n < 6 || n > 201 {
					t.Errorf("%s%s: %d steps of %d s", window, to, n, s.StepSeconds)
				}
			}
		}
		var list console.MetricList
		w.read("/v1/series/metrics", webKey, &list)
		for _, m := range list.Data {
			if m.Doc == "" || len(m.Stats) == 0 {
				t.Errorf("%+v", m)
			}
			if m.Name == "custom_tickets" && !slices.Equal(m.Labels, []string{"plan"}) {
				t.Errorf("%+v", m)
			}
		}
	})
}

// The overview sums up what the observer was told, and says what is wrong, the worst first.
func TestOverview(t *testing.T) {
	rules := []budget.Rule{{Name: "small", Tenant: "a", Period: budget.Month, Kind: budget.Hard, MicroUSD: 900}, {Name: "near", Tenant: "a", Period: budget.Month, Kind: budget.Soft, MicroUSD: 1000}}
	inWorld(t, options{rules: rules}, func(t *testing.T, w *world) {
		w.book()
		w.call(8, monitor.Call{Operation: "chat", Model: "m", Outcome: monitor.OK, Cache: "miss", Duration: time.Second, Tenant: "a", User: "alice"})
		w.call(1, monitor.Call{Operation: "slow", Model: "m", Outcome: monitor.OK, Cache: "hit", Duration: 5 * time.Second, SavedMicroUSD: 7})
		w.call(1, monitor.Call{Operation: "broken", Model: "m", Outcome: monitor.Error, ErrorType: llm.ProviderError, Duration: time.Second})
		w.observer.Attempt(&monitor.Attempt{Provider: "p", Model: "m", ErrorType: llm.ProviderError, Duration: time.Second})
		time.Sleep(11 * time.Second) // to the next judgement
		var o console.Overview
		w.read("/v1/overview?window=5m", adminKey, &o)
		if o.Totals.Requests != 10 || o.Totals.Failures != 1 || o.Totals.ErrorRate != 0.1 || o.Totals.SavedMicroUSD != 7 || o.Objective.Met != 0.8 || o.Objective.Seconds != 2 || o.Faults["provider"] != 1 || o.Version != "1.2.3" {
			t.Errorf("%+v", o)
		}
		if o.Slowest[0].Name != "slow" || len(o.Failing) != 1 || o.Failing[0].Name != "broken" || o.Totals.ConcurrentUsers != 1 {
			t.Errorf("slowest %+v, failing %+v", o.Slowest, o.Failing)
		}
		var what []string
		for _, p := range o.Problems {
			what = append(what, string(p.Severity)+": "+p.What+" > "+p.Page)
			if p.Why == "" || p.Do == "" {
				t.Errorf("%+v", p)
			}
		}
		want := []string{"critical: A breaker is open: p/m > alarms", "critical: The budget small is spent > cost", "warning: The budget near is nearly spent > cost"}
		if diff := cmp.Diff(want, what); diff != "" {
			t.Error(diff)
		}
		w.read("/v1/overview?operation=slow", adminKey, &o)
		if o.Totals.Requests != 1 || o.Objective.Met != 0 {
			t.Errorf("%+v", o.Totals)
		}
		for by, want := range map[string]string{"operation": "chat", "model": "m", "target": "p/m"} {
			var list console.OperationList
			w.read("/v1/operations?by="+by, adminKey, &list)
			if list.By != by || len(list.Data) == 0 || list.Data[0].Name != want {
				t.Errorf("by %s: %+v", by, list)
			}
		}
	})
}

// Breakers' changes are there, oldest first, with the states at the window's start.
func TestBreakerHistory(t *testing.T) {
	inWorld(t, options{bare: true}, func(t *testing.T, w *world) {
		w.observer.BreakerChanged("q/n", "closed", "open")
		time.Sleep(2 * time.Hour)
		w.observer.BreakerChanged("q/n", "open", "half_open")
		time.Sleep(time.Minute)
		w.observer.BreakerChanged("q/n", "half_open", "closed")
		var list console.TransitionList
		w.read("/v1/breakers/history", webKey, &list)
		if diff := cmp.Diff(map[string]string{"q/n": "open", "p/m": "closed"}, list.States); diff != "" {
			t.Error(diff)
		}
		if len(list.Data) != 2 || list.Data[0].To != "half_open" || list.Data[1].From != "half_open" || list.To.Sub(list.From) != time.Hour {
			t.Errorf("%+v", list)
		}
	})
}

// Silences and tests are recorded before they take effect, and do not without a record.
func TestChangesAreAudited(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		silence := `{"alarm":"breaker-open","of":"p/m","for":"2h","comment":"maintenance"}`
		w.audit.fail(errors.New("the disk is full"))
		for _, x := range [][3]string{{"POST", "/v1/alarms/silences", silence}, {"POST", "/v1/alarms/test", `{}`}, {"DELETE", "/v1/alarms/silences/silence-1", ""}} {
			if status, text := w.ask(x[0], x[1], adminKey, x[2]); status != http.StatusInternalServerError || strings.Contains(text, "disk") {
				t.Errorf("%v: %d %s", x, status, text)
			}
		}
		var list console.AlarmList
		w.read("/v1/alarms", webKey, &list)
		if len(list.Silences) != 0 || list.Notifiers[0].Sent != 0 {
			t.Errorf("what could not be recorded was done: %+v", list)
		}
		w.audit.fail(nil)
		status, text := w.ask(http.MethodPost, "/v1/alarms/silences", adminKey, silence)
		var made struct{ ID, By string }
		if err := json.Unmarshal([]byte(text), &made); err != nil || status != http.StatusCreated || made.By != "admin" {
			t.Fatalf("%d %s", status, text)
		}
		w.read("/v1/alarms", webKey, &list)
		if len(list.Silences) != 1 || list.Silences[0].Until.Sub(list.Silences[0].From) != 2*time.Hour || len(list.Data) != 2 || list.Profile != "standard" {
			t.Errorf("%+v", list)
		}
		if status, text := w.ask(http.MethodDelete, "/v1/alarms/silences/"+made.ID, adminKey, ""); status != http.StatusOK {
			t.Errorf("%d %s", status, text)
		}
		if status, _ := w.ask(http.MethodDelete, "/v1/alarms/silences/"+made.ID, adminKey, ""); status != http.StatusNotFound {
			t.Errorf("a silence ends twice: %d", status)
		}
		var result console.AlarmTest
		if _, text = w.ask(http.MethodPost, "/v1/alarms/test", adminKey, ""); json.Unmarshal([]byte(text), &result) != nil || len(result.Data) != 2 || !result.Data[0].OK || result.Data[1].Error != "it is full" {
			t.Errorf("%s", text)
		}
		if _, text = w.ask(http.MethodPost, "/v1/alarms/test", adminKey, `{"notifier":"good"}`); json.Unmarshal([]byte(text), &result) != nil || len(result.Data) != 1 {
			t.Errorf("%s", text)
		}
		want := []string{
			`admin alarm.silence {"alarm":"breaker-open","comment":"maintenance","for":"2h","of":"p/m"}`,
			`admin alarm.unsilence {"id":"` + made.ID + `"}`, `admin alarm.unsilence {"id":"` + made.ID + `"}`,
			`admin alarm.test {"notifier":""}`, `admin alarm.test {"notifier":"good"}`,
		}
		if diff := cmp.Diff(want, w.audit.seen()); diff != "" {
			t.Error(diff)
		}
	})
}

// The history of alarms is read page by page.
func TestAlarmHistory(t *testing.T) {
	inWorld(t, options{}, func(t *testing.T, w *world) {
		for range 3 {
			w.observer.Attempt(&monitor.Attempt{Provider: "p", Model: "m", ErrorType: llm.ProviderError, Duration: time.Second})
			time.Sleep(3 * time.Minute)
		}
		var h console.AlarmHistory
		w.read("/v1/alarms/history", webKey, &h)
		var seen []string
		for before := int64(0); ; before = h.Next {
			w.read(fmt.Sprintf("/v1/alarms/history?name=breaker-open&limit=4&before=%d", before), webKey, &h)
			for _, e := range h.Data {
				if e.To == "firing" || e.From == "firing" {
					seen = append(seen, string(e.To)+" "+e.Of)
				}
			}
			if h.Next == 0 {
				break
			}
		}
		if len(seen) != 6 || seen[0] != "ok p/m" || seen[1] != "firing p/m" {
			t.Errorf("%q", seen)
		}
		w.read("/v1/alarms/history?name=error-rate", webKey, &h)
		for _, e := range h.Data {
			if e.Name != "error-rate" {
				t.Errorf("%+v", e)
			}
		}
	})
}

// A key is told what it may do; the dashboard's token is that of the request's session.
func TestMe(t *testing.T) {
	inWorld(t, options{readOnly: true}, func(t *testing.T, w *world) {
		for key, want := range map[string]console.Session{
			adminKey: {Key: "admin", Tenant: "a", Scopes: []string{"call", "jobs", "metrics", "cache", "costs", "admin"}, ReadOnly: true},
			callKey:  {Key: "call", Tenant: "a", Scopes: []string{"call"}, ReadOnly: true},
		} {
			var got console.Session
			w.read("/v1/me", key, &got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		var list console.ConfigList
		w.read("/v1/config", webKey, &list)
		if len(list.Data) != 1 || list.File != "forebay.yaml" || list.Data[0].Key != "listen" {
			t.Errorf("%+v", list)
		}
	})
}
