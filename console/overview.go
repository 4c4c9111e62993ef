package console

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/observe"
	"github.com/forebay-ai/forebay/series"
)

// shown is how many operations the overview names.
const shown = 5

// part is what figures are about: all, or one value of a label.
type part struct{ label, value string }

func (p part) key(metric string) series.Key {
	return series.Key{Metric: metric, Label: p.label, Value: p.value}
}

// totals sums up a window.
func (c *Console) totals(p part, w series.Window) Totals {
	set := c.cfg.Observer.Series()
	sum := func(metric string) float64 { return set.Value(p.key(metric), series.Sum, w).Value }
	at := func(metric string, st series.Stat) float64 { return set.Value(p.key(metric), st, w).Value }
	t := Totals{
		Requests: int64(sum(observe.Requests)), Failures: int64(sum(observe.Failures)), Refused: int64(sum(observe.Refused)),
		P50: at(observe.Duration, series.P50), P95: at(observe.Duration, series.P95), P99: at(observe.Duration, series.P99),
		FirstTokenP50: at(observe.FirstToken, series.P50), FirstTokenP95: at(observe.FirstToken, series.P95),
		HitRate:     set.Ratio(p.key(observe.Hits), p.key(observe.Lookups), w).Value,
		InputTokens: int64(sum(observe.InputTokens)), OutputTokens: int64(sum(observe.OutputTokens)),
		MicroUSD: int64(sum(observe.Cost)), SavedMicroUSD: int64(sum(observe.Saved)),
	}
	t.PerSecond = at(observe.Requests, series.Rate)
	if p.label == observe.ByTarget {
		t.Requests, t.Failures = int64(sum(observe.Attempts)), int64(sum(observe.AttemptFailures))
		t.PerSecond = at(observe.Attempts, series.Rate)
		t.P50, t.P95, t.P99 = at(observe.Upstream, series.P50), at(observe.Upstream, series.P95), at(observe.Upstream, series.P99)
	}
	if p == (part{}) {
		t.OverheadP99 = at(observe.Overhead, series.P99)
		t.Waiting, t.InFlight = int(at(observe.Waiting, series.Last)), int(at(observe.InFlight, series.Last))
		t.ConcurrentUsers = int64(at(observe.Users, series.Last))
	}
	if t.Requests > 0 {
		t.ErrorRate = float64(t.Failures) / float64(t.Requests)
	}
	return t
}

// rows sums up every value of a label.
func (c *Console) rows(label string, w series.Window) []OperationRow {
	metric := observe.Requests
	if label == observe.ByTarget {
		metric = observe.Attempts
	}
	rows := []OperationRow{}
	for _, name := range c.cfg.Observer.Series().Values(metric, label) {
		row := OperationRow{Name: name, Totals: c.totals(part{label, name}, w)}
		if row.Requests > 0 {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b OperationRow) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Name, b.Name))
	})
	return rows
}

// best are the first rows by a figure, the largest first, without those that have none.
func best(rows []OperationRow, figure func(*OperationRow) float64) []OperationRow {
	found := slices.DeleteFunc(slices.Clone(rows), func(r OperationRow) bool { return figure(&r) == 0 })
	slices.SortStableFunc(found, func(a, b OperationRow) int { return cmp.Compare(figure(&b), figure(&a)) })
	return found[:min(len(found), shown)]
}

// overview serves GET /v1/overview.
func (c *Console) overview(v *gateway.Visit) error {
	q, err := v.Query([]string{"window", "operation"})
	if err != nil {
		return err
	}
	span, err := window(q, 15*time.Minute)
	if err != nil {
		return err
	}
	now := time.Now()
	w := series.Window{From: now.Add(-span), To: now}
	var p part
	if name := q.Get("operation"); name != "" {
		p = part{observe.ByOperation, name}
	}
	rows := c.rows(observe.ByOperation, w)
	o := Overview{
		At: now.UTC(), Started: c.cfg.Observer.Started().UTC(), Version: c.cfg.Version, WindowSeconds: span.Seconds(),
		Health: c.cfg.Client.Health(), Totals: c.totals(p, w), Faults: c.faults(w), Objective: c.objective(p, w),
		Alarms:  append([]alarm.Status{}, c.firing(v)...),
		Slowest: best(rows, func(r *OperationRow) float64 { return r.P95 }), Failing: best(rows, func(r *OperationRow) float64 { return r.ErrorRate }),
		Budgets: []budget.State{},
	}
	if err := c.money(v, &o, now); err != nil {
		return err
	}
	o.Problems = c.problems(&o)
	return v.JSON(http.StatusOK, &o)
}

// faults counts failed calls by whose fault it was.
func (c *Console) faults(w series.Window) map[string]int64 {
	faults := map[string]int64{}
	for _, d := range []llm.Domain{llm.CallerFault, llm.PolicyFault, llm.ProviderFault, llm.ForebayFault} {
		k := series.Key{Metric: observe.Failures, Label: observe.ByFault, Value: string(d)}
		faults[string(d)] = int64(c.cfg.Observer.Series().Value(k, series.Sum, w).Value)
	}
	return faults
}

func (c *Console) objective(p part, w series.Window) Objective {
	o := Objective{Seconds: c.cfg.Observer.Objective().Seconds(), Met: 1}
	if met := c.cfg.Observer.Series().Ratio(p.key(observe.Good), p.key(observe.Requests), w); met.OK {
		o.Met = met.Value
	}
	return o
}

// money adds what calls have cost today, and the budgets that are nearly spent.
func (c *Console) money(v *gateway.Visit, o *Overview, now time.Time) error {
	if c.cfg.Ledger == nil {
		return nil
	}
	for _, b := range c.tenantBudgets(v, now) {
		if b.Warned || b.Exhausted {
			o.Budgets = append(o.Budgets, b)
		}
	}
	day := now.UTC().Truncate(24 * time.Hour)
	rows, err := c.cfg.Ledger.Spend(v.Request.Context(), ledger.Query{From: day, To: day.AddDate(0, 0, 1), Tenant: tenant(v)})
	if err != nil {
		return err
	}
	for _, r := range rows {
		o.CostTodayMicroUSD += r.MicroUSD
	}
	return nil
}

// operations serves GET /v1/operations.
func (c *Console) operations(v *gateway.Visit) error {
	q, err := v.Query([]string{"window", "by"})
	if err != nil {
		return err
	}
	span, err := window(q, time.Hour)
	if err != nil {
		return err
	}
	by := cmp.Or(q.Get("by"), observe.ByOperation)
	if !slices.Contains([]string{observe.ByOperation, observe.ByModel, observe.ByTarget}, by) {
		return fault("by", fmt.Sprintf("has the value %.32q", by), "Send one of operation, model, target.")
	}
	now := time.Now()
	rows := c.rows(by, series.Window{From: now.Add(-span), To: now})
	return v.JSON(http.StatusOK, OperationList{Object: "list", By: by, Data: rows})
}
