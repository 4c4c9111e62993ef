package show

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/ledger"
)

// part is what a row says about a dimension.
func part(by string, r *ledger.Row) string {
	switch ledger.Dimension(by) {
	case ledger.ByDay:
		return r.Day.Format(time.DateOnly)
	case ledger.ByMonth:
		return r.Day.Format("2006-01")
	case ledger.ByTenant:
		return r.Tenant
	case ledger.ByUser:
		return r.User
	case ledger.ByKey:
		return r.Key
	case ledger.ByOperation:
		return r.Operation
	case ledger.ByProvider:
		return r.Provider
	}
	return r.Model
}

// Cost writes a report as a table, the total last.
func Cost(w io.Writer, c *console.CostReport) error {
	head := make([]any, 0, len(c.By)+6)
	for _, by := range c.By {
		head = append(head, Clean(by))
	}
	if len(c.By) == 0 {
		head = append(head, "")
	}
	numbers := len(head) + 1
	t := newTable(numbers, append(head, "calls", "hits", "tokens in", "tokens out", Clean(c.Currency), "saved", "compute, storage")...)
	row := func(names []any, a *ledger.Amounts) {
		in := a.Usage.Input + a.Usage.CacheRead + a.Usage.CacheWrite
		t.AppendRow(append(names, count(a.Calls), count(a.Hits), count(in), count(a.Usage.Output), money(a.MicroUSD, c.Rate), money(a.SavedMicroUSD, c.Rate),
			money(a.ComputeMicroUSD+a.StorageMicroUSD, c.Rate)))
	}
	for i := range c.Rows {
		var names []any
		for _, by := range c.By {
			names = append(names, dash(part(by, &c.Rows[i])))
		}
		row(names, &c.Rows[i].Amounts)
	}
	total := make([]any, max(len(c.By), 1))
	for i := range total {
		total[i] = ""
	}
	total[0] = "total"
	row(total, &c.Total)
	if err := write(w, t); err != nil {
		return err
	}
	return note(w, c)
}

// note says what the amounts of a report are.
func note(w io.Writer, c *console.CostReport) error {
	text := fmt.Sprintf("from %s up to %s", Clean(c.From), Clean(c.To))
	if c.Currency != "USD" {
		text += fmt.Sprintf(", a dollar at %g %s of %s", c.Rate, Clean(c.Currency), Clean(c.RateDate))
	}
	if c.Truncated {
		text += "; there are more rows (--limit)"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// CostCSV writes a report for spreadsheets: amounts in the currency with six decimals.
func CostCSV(w io.Writer, c *console.CostReport) error {
	out := csv.NewWriter(w)
	head := append([]string{}, c.By...)
	head = append(head, "calls", "hits", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost", "saved", "compute", "storage", "currency")
	if err := out.Write(head); err != nil {
		return err
	}
	amount := func(micro int64) string { return strconv.FormatFloat(float64(micro)/1e6*c.Rate, 'f', 6, 64) }
	rows := c.Rows
	if len(c.By) == 0 {
		rows = []ledger.Row{{Amounts: c.Total}}
	}
	for i := range rows {
		r := &rows[i]
		var line []string
		for _, by := range c.By {
			line = append(line, formula(Clean(part(by, r))))
		}
		for _, n := range []int64{r.Calls, r.Hits, r.Usage.Input, r.Usage.Output, r.Usage.CacheRead, r.Usage.CacheWrite} {
			line = append(line, strconv.FormatInt(n, 10))
		}
		line = append(line, amount(r.MicroUSD), amount(r.SavedMicroUSD), amount(r.ComputeMicroUSD), amount(r.StorageMicroUSD), c.Currency)
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// formula keeps a spreadsheet from running a name as a formula, as OWASP advises; the wide
// forms are for those that read them as the narrow ones.
func formula(s string) string {
	if c, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune("=+-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20", c) {
		return "'" + s
	}
	return s
}

// Budgets writes budgets as a table.
func Budgets(w io.Writer, all []budget.State) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No budget is in use. Budgets stand under budgets in the configuration.")
		return err
	}
	t := newTable(5, "budget", "kind", "of", "until", "USD", "spent", "reserved", "left", "")
	for i := range all {
		b := &all[i]
		state := ""
		switch {
		case b.Exhausted:
			state = "spent"
		case b.Warned:
			state = "nearly spent"
		}
		t.AppendRow([]any{
			Clean(b.Rule), string(b.Kind), dash(owner(b)), b.To.Format(time.DateOnly), money(b.Limit, 1), money(b.Spent, 1), money(b.Reserved, 1),
			money(max(b.Limit-b.Spent-b.Reserved, 0), 1), state,
		})
	}
	return write(w, t)
}

// owner is whose budget it is.
func owner(b *budget.State) string {
	text := ""
	for _, p := range []string{b.Tenant, b.Key, b.User, b.Operation} {
		if p != "" && text != "" {
			text += ", "
		}
		text += p
	}
	return text
}

// Allocation writes how a shared cost is divided.
func Allocation(w io.Writer, a *console.CostAllocation) error {
	t := newTable(2, a.By, a.Driver, "USD")
	for _, s := range a.Shares {
		t.AppendRow([]any{dash(s.Name), count(s.Driver), money(s.MicroUSD, 1)})
	}
	t.AppendRow([]any{"total", "", money(a.MicroUSD, 1)})
	return write(w, t)
}
