package uitest_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/uitest/internal/browser"
	"github.com/forebay-ai/forebay/uitest/internal/served"
)

// sentCalls is how many calls callers has made and the gateway has taken, jobs apart.
const sentCalls = 8 * 34

// figures compares what the pages show with what was sent and with what the API says. Nothing may call meanwhile.
func (s *suite) figures(t *testing.T) {
	api := served.Caller{URL: s.url, Key: s.key}
	var o console.Overview
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) { // what is counted is not yet what is asked for
		must(t, api.Get(t.Context(), "/v1/overview?window=1h", &o))
		var log console.RequestList
		must(t, api.Get(t.Context(), "/v1/requests?limit=500", &log))
		if o.Totals.Requests >= sentCalls && int64(len(log.Data)) == o.Totals.Requests {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d calls were sent; the overview has %d and the log %d", sentCalls, o.Totals.Requests, len(log.Data))
		}
	}
	p := s.tab(t, desk)
	s.show(t, p, "overview?window=1h")
	t.Logf("%d calls, %d failed, %d refused, hit rate %.3f, %d micro-dollars", o.Totals.Requests, o.Totals.Failures, o.Totals.Refused, o.Totals.HitRate, o.Totals.MicroUSD)
	if o.Totals.Failures+o.Totals.Refused == 0 || o.Totals.HitRate == 0 || o.Totals.MicroUSD == 0 || o.Totals.SavedMicroUSD == 0 {
		t.Errorf("there is not all that the pages should show: %+v", o.Totals)
	}
	for label, want := range map[string]string{
		"Calls":      fmt.Sprintf("%d in this time", o.Totals.Requests),
		"Errors":     fmt.Sprintf("%d failed, %d of them refused", o.Totals.Failures, o.Totals.Refused),
		"Cache hits": "saved " + money(o.Totals.SavedMicroUSD),
		"Cost today": money(o.Totals.MicroUSD) + " in this time",
	} {
		if got := value[string](t, p, statOf(label)+`?.querySelector(".stat-note").innerText ?? ""`); got != want {
			t.Errorf("overview: below %s it says %q, not %q", label, got, want)
		}
	}
	if got, want := value[string](t, p, statOf("Cache hits")+`?.querySelector(".stat-value").innerText ?? ""`), fmt.Sprintf("%.1f %%", 100*o.Totals.HitRate); got != want {
		t.Errorf("overview: the hit rate is %q, not %q", got, want)
	}
	s.operationFigures(t, p, api)
	s.otherFigures(t, p, api)
}

// operationFigures are the rows of the page Operations.
func (s *suite) operationFigures(t *testing.T, p *browser.Page, api served.Caller) {
	var list console.OperationList
	must(t, api.Get(t.Context(), "/v1/operations?window=1h", &list))
	s.show(t, p, "operations?window=1h")
	if len(list.Data) < 3 {
		t.Errorf("there are %d operations", len(list.Data))
	}
	for _, row := range list.Data {
		cells := value[[]string](t, p, fmt.Sprintf(`[...([...document.querySelectorAll("tbody tr")].find((r) => r.innerText.includes(%s))?.querySelectorAll("td, th") ?? [])].map((c) => c.innerText.split("\n")[0].trim())`, quoted(row.Name)))
		found := false
		for _, c := range cells {
			found = found || c == strconv.FormatInt(row.Requests, 10)
		}
		if !found {
			t.Errorf("operations: %s has %d calls, and the row is %q", row.Name, row.Requests, cells)
		}
	}
}

// otherFigures are those of Cost, Queue and Requests.
func (s *suite) otherFigures(t *testing.T, p *browser.Page, api served.Caller) {
	var cost console.CostReport
	must(t, api.Get(t.Context(), "/v1/cost?by=user", &cost))
	s.show(t, p, "cost")
	if got, want := value[string](t, p, statOf("Calls")+`?.querySelector(".stat-value").innerText ?? ""`), strconv.FormatInt(cost.Total.Calls, 10); got != want {
		t.Errorf("cost: there are %s calls, not %s", got, want)
	}
	all := cost.Total.MicroUSD + cost.Total.ComputeMicroUSD + cost.Total.StorageMicroUSD
	if got, want := value[string](t, p, statOf("Spent")+`?.querySelector(".stat-value").innerText ?? ""`), money(all); got != want {
		t.Errorf("cost: %s are spent, not %s", got, want)
	}
	var jobs struct{ Data []struct{ ID, State string } }
	must(t, api.Get(t.Context(), "/v1/jobs?state=queued", &jobs))
	s.show(t, p, "queue?state=queued")
	rows := value[int](t, p, `document.querySelector("#job-list").closest("section").querySelectorAll("[data-row]").length`)
	if len(jobs.Data) == 0 || rows != len(jobs.Data) {
		t.Errorf("queue: %d rows for %d queued jobs", rows, len(jobs.Data))
	}
	var log console.RequestList
	must(t, api.Get(t.Context(), "/v1/requests?failed=true&limit=500", &log))
	s.show(t, p, "requests?failed=true")
	rows = value[int](t, p, `document.querySelectorAll("tbody [data-row]").length`)
	if len(log.Data) == 0 || rows != min(len(log.Data), 50) {
		t.Errorf("requests: %d rows for %d failed calls", rows, len(log.Data))
	}
}

// statOf finds a figure by its label.
func statOf(label string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".stat")].find((e) => e.querySelector(".stat-label").innerText === %s)`, quoted(label))
}

// money is an amount as the pages write it.
func money(micro int64) string {
	v := float64(micro) / 1e6
	digits := 6
	switch size := math.Abs(v); {
	case size == 0:
		digits = 0
	case size >= 0.995:
		digits = 2
	case size >= 0.0995:
		digits = 3
	case size >= 0.0001:
		digits = 5
	}
	return "$" + strconv.FormatFloat(v, 'f', digits, 64)
}
