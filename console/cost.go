package console

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// maxRows bounds the rows of a report, and the values of one POST /v1/measurements.
	maxRows = 1000
	// maxName bounds names that callers send, in bytes: the books keep no longer ones.
	maxName = 256
)

var dimensions = []ledger.Dimension{
	ledger.ByDay, ledger.ByMonth, ledger.ByTenant, ledger.ByUser, ledger.ByKey, ledger.ByOperation, ledger.ByProvider, ledger.ByModel,
}

// mostBooked bounds one booking of costs from elsewhere, in dollars.
const mostBooked = 10_000

// plain says that a name has at least so many bytes, none too many, and prints.
func plain(name string, least int) bool {
	return len(name) >= least && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) })
}

// noLedger refuses where no books are kept.
func (c *Console) noLedger() error {
	if c.cfg.Ledger != nil {
		return nil
	}
	return &llm.Error{Kind: llm.CallerNotFound, Message: "no books are kept here", Fix: "Set cost.enabled."}
}

// span reads the days from and to; without them it is the present month.
func span(q url.Values) (from, to time.Time, err error) {
	now := time.Now().UTC()
	from = time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	to = from.AddDate(0, 1, 0)
	if given, err := moment(q, "from"); err != nil {
		return from, to, err
	} else if !given.IsZero() {
		from = given.UTC().Truncate(24 * time.Hour)
	}
	if given, err := moment(q, "to"); err != nil {
		return from, to, err
	} else if !given.IsZero() {
		to = given.UTC().Truncate(24 * time.Hour)
	}
	if !from.Before(to) {
		return from, to, fault("to", "is not after from", "Send two dates such as from=2026-11-01&to=2026-12-01; to is the first day that does not count.")
	}
	return from, to, nil
}

// groups reads what sums are grouped by.
func groups(q url.Values) ([]ledger.Dimension, error) {
	text := q.Get("by")
	if text == "" {
		return nil, nil
	}
	var by []ledger.Dimension
	for name := range strings.SplitSeq(text, ",") {
		if d := ledger.Dimension(name); slices.Contains(dimensions, d) && !slices.Contains(by, d) {
			by = append(by, d)
			continue
		}
		names := make([]string, 0, len(dimensions))
		for _, d := range dimensions {
			names = append(names, string(d))
		}
		return nil, fault("by", fmt.Sprintf("has %.32q%s", name, near.DidYouMean(name, names)), "Send some of "+strings.Join(names, ", ")+", each once, with commas between.")
	}
	return by, nil
}

// cost serves GET /v1/cost.
func (c *Console) cost(v *gateway.Visit) error {
	if err := c.noLedger(); err != nil {
		return err
	}
	q, err := v.Query([]string{"from", "to", "by", "currency", "tenant", "user", "key", "operation", "provider", "model", "limit"})
	if err != nil {
		return err
	}
	from, to, err := span(q)
	if err != nil {
		return err
	}
	by, err := groups(q)
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", 100, 1, maxRows)
	if err != nil {
		return err
	}
	own := tenant(v)
	if own != "" && q.Get("tenant") != "" && q.Get("tenant") != own {
		return foreign(own)
	}
	report := CostReport{From: from.Format(time.DateOnly), To: to.Format(time.DateOnly), By: []string{}, Currency: "USD", Rate: 1, Rows: []ledger.Row{}}
	if err := c.currency(&report, q.Get("currency"), to); err != nil {
		return err
	}
	query := ledger.Query{
		From: from, To: to, Tenant: cmp.Or(own, q.Get("tenant")), User: q.Get("user"), Key: q.Get("key"),
		Operation: q.Get("operation"), Provider: q.Get("provider"), Model: q.Get("model"),
	}
	if err := c.spent(v.Request.Context(), &report, query, by, int(limit)); err != nil {
		return err
	}
	for _, d := range by {
		report.By = append(report.By, string(d))
	}
	return v.JSON(http.StatusOK, report)
}

// spent adds the total and the rows of a report.
func (c *Console) spent(ctx context.Context, report *CostReport, query ledger.Query, by []ledger.Dimension, limit int) error {
	total, err := c.cfg.Ledger.Spend(ctx, query)
	if err != nil {
		return err
	}
	if len(total) > 0 {
		report.Total = total[0].Amounts
	}
	if len(by) == 0 {
		return nil
	}
	query.By, query.Limit = by, limit+1
	rows, err := c.cfg.Ledger.Spend(ctx, query)
	if err != nil {
		return err
	}
	report.Truncated = len(rows) > limit
	report.Rows = append(report.Rows, rows[:min(len(rows), limit)]...)
	return nil
}

// analysis serves GET /v1/cost/analysis.
func (c *Console) analysis(v *gateway.Visit) error {
	if err := c.noLedger(); err != nil {
		return err
	}
	q, err := v.Query([]string{"from", "to"})
	if err != nil {
		return err
	}
	from, to, err := span(q)
	if err != nil {
		return err
	}
	a, err := c.cfg.Ledger.Analyse(v.Request.Context(), from, to, tenant(v))
	if err != nil {
		return err
	}
	return v.JSON(http.StatusOK, a)
}

// allocation serves GET /v1/cost/allocation.
func (c *Console) allocation(v *gateway.Visit) error {
	if err := c.noLedger(); err != nil {
		return err
	}
	q, err := v.Query([]string{"from", "to", "usd", "by", "driver"})
	if err != nil {
		return err
	}
	from, to, err := span(q)
	if err != nil {
		return err
	}
	usd, err := strconv.ParseFloat(q.Get("usd"), 64)
	if err != nil || !(usd >= 0 && usd <= 1e9) {
		return fault("usd", fmt.Sprintf("has the value %.32q", q.Get("usd")), "Send the shared cost in dollars, such as 65.")
	}
	by, err := groups(q)
	if err != nil || len(by) > 1 {
		return cmp.Or(err, fault("by", "has more than one dimension", "Send one, such as user."))
	}
	a := ledger.Allocation{
		From: from, To: to, MicroUSD: int64(math.Round(usd * 1e6)), By: ledger.ByUser, Driver: ledger.Driver(cmp.Or(q.Get("driver"), string(ledger.ByRequests))),
	}
	if len(by) == 1 {
		a.By = by[0]
	}
	if a.Driver == ledger.ByWeights {
		return fault("driver", "needs numbers from elsewhere, which this route does not take", "Send requests, tokens or compute.")
	}
	shares, err := c.cfg.Ledger.Allocated(v.Request.Context(), a)
	if err != nil {
		return err
	}
	return v.JSON(http.StatusOK, CostAllocation{
		From: from.Format(time.DateOnly), To: to.Format(time.DateOnly), By: string(a.By), Driver: string(a.Driver), MicroUSD: a.MicroUSD,
		Shares: append([]ledger.Share{}, shares...),
	})
}

// currency sets that of a report, at the rate of its end or of today.
func (c *Console) currency(r *CostReport, name string, to time.Time) error {
	if name == "" || name == "USD" {
		return nil
	}
	at := time.Now()
	if to.Before(at) {
		at = to
	}
	rate, ok := c.cfg.Rates.At(name, at)
	if !ok {
		return fault("currency", fmt.Sprintf("has the value %.16q, for which there is no rate", name), "Send one of USD, "+strings.Join(c.cfg.Rates.Currencies(), ", ")+", or set cost.rates.")
	}
	r.Currency, r.Rate, r.RateDate = name, float64(rate.Micro)/1e6, rate.From.Format(time.DateOnly)
	return nil
}

// budgets serves GET /v1/budgets.
func (c *Console) budgets(v *gateway.Visit) error {
	if err := c.noLedger(); err != nil {
		return err
	}
	if _, err := v.Query(nil); err != nil {
		return err
	}
	list := BudgetList{Object: "list", Data: []budget.State{}}
	list.Data = append(list.Data, c.tenantBudgets(v, time.Now())...)
	return v.JSON(http.StatusOK, list)
}

// usage serves GET /v1/me/usage.
func (c *Console) usage(v *gateway.Visit) error {
	if err := c.noLedger(); err != nil {
		return err
	}
	if _, err := v.Query(nil); err != nil {
		return err
	}
	from, to, err := span(url.Values{})
	if err != nil {
		return err
	}
	ctx, g := v.Request.Context(), v.Caller
	answer := Usage{
		Key: g.Name, Tenant: g.Tenant, From: from.Format(time.DateOnly), To: to.Format(time.DateOnly), Currency: "USD",
		Days: []ledger.Row{}, Models: []ledger.Row{}, Budgets: []budget.State{},
	}
	query := ledger.Query{From: from, To: to, Tenant: g.Tenant, Key: g.Name}
	for _, part := range []struct {
		by   []ledger.Dimension
		into func([]ledger.Row)
	}{
		{nil, func(rows []ledger.Row) {
			if len(rows) > 0 {
				answer.Total = rows[0].Amounts
			}
		}},
		{[]ledger.Dimension{ledger.ByDay}, func(rows []ledger.Row) { answer.Days = append(answer.Days, rows...) }},
		{[]ledger.Dimension{ledger.ByModel}, func(rows []ledger.Row) { answer.Models = append(answer.Models, rows...) }},
	} {
		query.By = part.by
		rows, err := c.cfg.Ledger.Spend(ctx, query)
		if err != nil {
			return err
		}
		part.into(rows)
	}
	slices.SortFunc(answer.Days, func(a, b ledger.Row) int { return a.Day.Compare(b.Day) })
	answer.Budgets = append(answer.Budgets, c.ownBudgets(v)...)
	return v.JSON(http.StatusOK, answer)
}

// tenantBudgets are those of the caller's tenant, or all.
func (c *Console) tenantBudgets(v *gateway.Visit, now time.Time) []budget.State {
	if own := tenant(v); own != "" {
		return c.cfg.Ledger.BudgetsOfTenant(own, now)
	}
	return c.cfg.Ledger.Budgets(now)
}

// ownBudgets are those that the caller's calls count in. Of one for all tenants together it
// is told whether it is spent, not how much.
func (c *Console) ownBudgets(v *gateway.Visit) []budget.State {
	all := c.cfg.Ledger.BudgetsOf(budget.Account{Tenant: v.Caller.Tenant, Key: v.Caller.Name}, time.Now())
	for i := range all {
		if b := &all[i]; b.Tenant != v.Caller.Tenant && b.Key != v.Caller.Name {
			b.Limit, b.Spent, b.Reserved = 0, 0, 0
		}
	}
	return all
}

// bookCost serves POST /v1/cost.
func (c *Console) bookCost(v *gateway.Visit) error {
	if err := c.noLedger(); err != nil {
		return err
	}
	var in NewCost
	if err := v.Read(&in); err != nil {
		return err
	}
	if !plain(in.User, 1) {
		return &llm.Error{Kind: llm.CallerInvalidRequest, Param: "user", Message: "user is missing, longer than 256 bytes, or has characters that do not print", Fix: "Say whose cost it is."}
	}
	if !plain(in.Operation, 0) {
		return &llm.Error{Kind: llm.CallerInvalidRequest, Param: "operation", Message: "operation is longer than 256 bytes, or has characters that do not print", Fix: "Leave it out, or send another name."}
	}
	var amounts [3]int64
	names := [...]string{"ai_usd", "compute_usd", "storage_usd"}
	for i, usd := range []float64{in.AI, in.Compute, in.Storage} {
		if !(usd >= 0 && usd <= mostBooked) {
			return &llm.Error{
				Kind: llm.CallerInvalidRequest, Param: names[i], Message: names[i] + " is below 0 or too large for one booking", Limit: "one booking", Value: fmt.Sprintf("$%d", mostBooked),
				Fix: "Send dollars, such as 0.05; book more in parts.",
			}
		}
		amounts[i] = int64(math.Round(usd * 1e6))
	}
	err := c.audit(v.Request.Context(), v, "cost.book", map[string]string{"user": in.User, "usd": fmt.Sprint(in.AI + in.Compute + in.Storage)})
	if err != nil {
		return err
	}
	account := ledger.Account{Day: time.Now().UTC(), Tenant: v.Caller.Tenant, User: in.User, Key: v.Caller.Name, Operation: cmp.Or(in.Operation, "default")}
	if err := c.cfg.Ledger.Track(account, amounts[0], amounts[1], amounts[2]); err != nil {
		return err
	}
	return v.JSON(http.StatusAccepted, in)
}

// measure serves POST /v1/measurements.
func (c *Console) measure(v *gateway.Visit) error {
	var in struct {
		NewMeasurement
		Data []NewMeasurement `json:"data,omitempty"`
	}
	if err := v.Read(&in); err != nil {
		return err
	}
	all := in.Data
	if in.Metric != "" || len(all) == 0 {
		all = append(all, in.NewMeasurement)
	}
	if len(all) > maxRows {
		return &llm.Error{Kind: llm.CallerTooLarge, Param: "data", Message: "there are too many values", Limit: "data", Value: "1000", Fix: "Send fewer at once."}
	}
	for i, m := range all {
		if err := c.cfg.Monitor.Measure(m.Metric, m.Value, m.Labels); err != nil {
			e := *llm.AsError(err)
			e.Message = fmt.Sprintf("value %d of %d: %s; those before it were taken", i+1, len(all), e.Message)
			return &e
		}
	}
	return v.JSON(http.StatusAccepted, map[string]int{"taken": len(all)})
}
