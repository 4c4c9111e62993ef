package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/mattn/go-isatty"
)

// WriteTable prints the report for people, within 80 columns: with lines and bold
// heads on a terminal, as plain aligned columns elsewhere. Rows that count
// nothing are left out, except for the classes.
func (r *Report) WriteTable(w io.Writer) error {
	out := &printer{w: w, pretty: isTerminal(w)}
	out.counts(r)
	out.durations(r)
	out.facts(r)
	return out.err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && isatty.IsTerminal(f.Fd())
}

// printer writes tables one below the other and keeps the first error.
type printer struct {
	w      io.Writer
	pretty bool
	some   bool // a table was written
	err    error
}

// table writes rows under heads. The first column is left-aligned, those that
// follow are right-aligned, except for textColumns (counted from 1).
func (p *printer) table(heads table.Row, rows []table.Row, textColumns ...int) {
	if p.err != nil || len(rows) == 0 {
		return
	}
	t := table.NewWriter()
	t.SetStyle(p.style())
	t.AppendHeader(heads)
	t.AppendRows(rows)
	columns := make([]table.ColumnConfig, 0, len(heads))
	for i := 2; i <= len(heads); i++ {
		align := text.AlignRight
		if slices.Contains(textColumns, i) {
			align = text.AlignLeft
		}
		columns = append(columns, table.ColumnConfig{Number: i, Align: align, AlignHeader: align, WidthMax: 44, WidthMaxEnforcer: text.WrapSoft})
	}
	t.SetColumnConfigs(columns)
	if p.some {
		_, p.err = io.WriteString(p.w, "\n")
	}
	p.some = true
	for line := range strings.SplitSeq(t.Render(), "\n") {
		if p.err == nil {
			_, p.err = fmt.Fprintln(p.w, strings.TrimRight(line, " "))
		}
	}
}

func (p *printer) style() table.Style {
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	if p.pretty {
		style.Color.Header = text.Colors{text.Bold}
		return style
	}
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	return style
}

func (p *printer) counts(r *Report) {
	c := r.Counts
	share := func(n int) string { return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(max(1, c.Planned))) }
	p.table(table.Row{"calls", "count", "share", "of which"}, []table.Row{
		{"answered", c.Answered, share(c.Answered), ""},
		{"degraded", c.Degraded, share(c.Degraded), list(r.Degradations)},
		{"refused", c.Refused, share(c.Refused), list(r.Refusals)},
		{"failed", c.Failed, share(c.Failed), list(r.Failures)},
		{"unsent", c.Unsent, share(c.Unsent), ""},
		{"cancelled", c.Cancelled, share(c.Cancelled), ""},
		{"all", c.Planned, share(c.Planned), ""},
	}, 4)
}

func (p *printer) durations(r *Report) {
	var rows []table.Row
	add := func(name string, s Summary) {
		if s.Count > 0 {
			rows = append(rows, table.Row{name, s.Count, fixed(s.P50), fixed(s.P90), fixed(s.P95), fixed(s.P99), fixed(s.Max)})
		}
	}
	add("latency", r.Latency)
	add("first token", r.TTFT)
	for _, name := range stages {
		add("stage "+name, r.Stages[name])
	}
	add("waits", r.Wait)
	add("refusals", r.Refusal)
	p.table(table.Row{"milliseconds", "count", "p50", "p90", "p95", "p99", "max"}, rows)
}

func (p *printer) facts(r *Report) {
	rows := []table.Row{
		{"goodput", fmt.Sprintf("%.1f/s of %.1f/s offered, %.1f s in all", r.GoodputPerSecond, r.OfferedPerSecond, r.WallSeconds)},
	}
	if len(r.Cache) > 0 {
		rows = append(rows, table.Row{"cache", list(r.Cache)})
	}
	if r.Attempts.Total > 0 {
		rows = append(rows, table.Row{"attempts", fmt.Sprintf("%d, %d of them repeated", r.Attempts.Total, r.Attempts.Repeated)})
	}
	rows = append(rows,
		table.Row{"tokens", fmt.Sprintf("%d in, %d out", r.Tokens.Input, r.Tokens.Output)},
		table.Row{"cost", fmt.Sprintf("$%.4f", r.CostUSD)},
		table.Row{"start lag", fmt.Sprintf("%s ms at most", fixed(r.StartLagMaxMS))},
	)
	p.table(table.Row{"what", "how much"}, rows, 2)
}

// list gives counts by label, the largest first.
func list(counts map[string]int) string {
	labels := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
	s := ""
	for i, label := range labels {
		if i > 0 {
			s += ", "
		}
		s += label + " " + strconv.Itoa(counts[label])
	}
	return s
}

// fixed prints milliseconds with as many decimals as their size deserves.
func fixed(ms float64) string {
	if ms >= 1000 {
		return strconv.FormatFloat(ms, 'f', 0, 64)
	}
	return strconv.FormatFloat(ms, 'f', 2, 64)
}
