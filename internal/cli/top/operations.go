package top

import (
	"cmp"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/forebay-ai/forebay/console"
)

// column is one column of the table. Those with the lowest rank go first where the
// terminal is narrow.
type column struct {
	head string
	rank int
	cell func(p *page, o *console.Overview, x *console.OperationRow) string
}

// columns are all columns, from left to right, after the name.
func columns() []column {
	type row = console.OperationRow
	return []column{
		{"calls", 2, func(_ *page, _ *console.Overview, x *row) string { return count(x.Requests) }},
		{"/s", 8, func(_ *page, _ *console.Overview, x *row) string { return rate(x.PerSecond) }},
		{"p50", 9, func(p *page, o *console.Overview, x *row) string { return p.seconds(x.P50, o.Objective.Seconds) }},
		{"p95", 10, func(p *page, o *console.Overview, x *row) string { return p.seconds(x.P95, o.Objective.Seconds) }},
		{"p99", 7, func(p *page, o *console.Overview, x *row) string { return p.seconds(x.P99, o.Objective.Seconds) }},
		{"token p95", 1, func(_ *page, _ *console.Overview, x *row) string { return seconds(x.FirstTokenP95) }},
		{"errors", 10, func(p *page, _ *console.Overview, x *row) string {
			if x.Requests == 0 {
				return nothing
			}
			return p.paint(errorColour(x.ErrorRate), percent(x.ErrorRate))
		}},
		{"refused", 1, func(_ *page, _ *console.Overview, x *row) string { return count(x.Refused) }},
		{"hits", 6, func(_ *page, _ *console.Overview, x *row) string {
			if x.Requests == 0 {
				return nothing
			}
			return percent(x.HitRate)
		}},
		{"waiting", 1, func(_ *page, _ *console.Overview, x *row) string { return count(int64(x.Waiting)) }},
		{"tokens", 0, func(_ *page, _ *console.Overview, x *row) string { return count(x.InputTokens + x.OutputTokens) }},
		{"cost", 5, func(_ *page, _ *console.Overview, x *row) string { return money(x.MicroUSD) }},
		{"saved", 0, func(_ *page, _ *console.Overview, x *row) string { return money(x.SavedMicroUSD) }},
	}
}

// operations writes the table, with as many rows as there is room for.
func (p *page) operations(o *console.Overview, rows []console.OperationRow) {
	p.section("OPERATIONS")
	if len(rows) == 0 {
		p.line("none was called")
		return
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, p.opts.Sort.compare)
	shown := len(rows)
	if p.opts.Height > 0 {
		// A line for the heads, one for what is not shown.
		if room := p.opts.Height - p.lines - 1; shown > room {
			shown = min(shown, max(room-1, leastRows))
		}
	}
	for _, line := range p.table(o, rows[:shown]) {
		p.line(line)
	}
	p.more(len(rows)-shown, "operation")
}

// compare orders rows, equal ones by name.
func (s Sort) compare(a, b console.OperationRow) int {
	order := 0
	switch s {
	case ByName:
	case ByLatency:
		order = cmp.Compare(b.P95, a.P95)
	case ByErrors:
		order = cmp.Or(cmp.Compare(b.ErrorRate, a.ErrorRate), cmp.Compare(b.Failures, a.Failures))
	case ByCost:
		order = cmp.Compare(b.MicroUSD, a.MicroUSD)
	default:
		order = cmp.Compare(b.Requests, a.Requests)
	}
	return cmp.Or(order, cmp.Compare(a.Name, b.Name))
}

// leastName is how much of a name is shown before a column has to go for it.
const leastName = 16

// table returns the lines of a table that is as wide as the page at most: it leaves columns
// out, and then cuts names.
func (p *page) table(o *console.Overview, rows []console.OperationRow) []string {
	kept := columns()
	cells := make([][]string, len(kept))
	widths := make([]int, len(kept))
	for i, c := range kept {
		widths[i] = len(c.head)
		for j := range rows {
			cell := c.cell(p, o, &rows[j])
			cells[i] = append(cells[i], cell)
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(cell))
		}
	}
	names, longest := make([]string, len(rows)), len("operation")
	for i := range rows {
		names[i] = clean(rows[i].Name)
		longest = max(longest, text.StringWidthWithoutEscSequences(names[i]))
	}
	use, room := fit(kept, widths, p.width, min(longest, leastName))
	heads := table.Row{"operation"}
	for _, i := range use {
		heads = append(heads, kept[i].head)
	}
	t := newTable(heads)
	for j := range rows {
		row := table.Row{text.Snip(names[j], max(room, leastName/2), "…")}
		for _, i := range use {
			row = append(row, cells[i][j])
		}
		t.AppendRow(row)
	}
	return strings.Split(t.Render(), "\n")
}

// fit returns the columns that there is room for beside a name of some length, and the room
// that is then left for names.
func fit(all []column, widths []int, width, name int) (use []int, room int) {
	order := make([]int, len(all))
	for i := range all {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return all[b].rank - all[a].rank })
	room = width
	for _, i := range order {
		if room-gap-widths[i] < name {
			break
		}
		room -= gap + widths[i]
		use = append(use, i)
	}
	slices.Sort(use)
	return use, room
}

// gap is between columns.
const gap = 2

// newTable returns a table without lines: names left, numbers right.
func newTable(heads table.Row) table.Writer {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", strings.Repeat(" ", gap)
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(heads)
	var configs []table.ColumnConfig
	for i := 1; i < len(heads); i++ {
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(configs)
	return t
}
