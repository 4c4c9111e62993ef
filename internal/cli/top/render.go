package top

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/health"
)

// Options say how a page looks. The zero value is a page of 80 columns without colour.
type Options struct {
	// Width is how many columns the terminal has. 0 means 80; below 40 it is 40. No line is
	// longer.
	Width int
	// Height is how many lines the page may have: operations beyond are summed up in one
	// line. At least three are shown. 0 means no bound.
	Height int
	// Colour marks states with colours of ANSI terminals. Without it the page has no escape
	// sequences, and says the same.
	Colour bool
	// Sort is the order of operations. Empty means ByRequests.
	Sort Sort
}

// Sort is an order of operations. The set is closed; anything else is ByRequests.
type Sort string

// The orders. All but ByName begin with the largest.
const (
	ByRequests Sort = "requests"
	ByLatency  Sort = "p95"
	ByErrors   Sort = "errors"
	ByCost     Sort = "cost"
	ByName     Sort = "name"
)

// What is listed at most; there is a line that says how many more there are.
const (
	mostProblems = 5
	mostBudgets  = 3
)

const (
	defaultWidth = 80
	leastWidth   = 40
	leastRows    = 3
)

// Render writes one page to w in one piece: state, problems, alarms, totals, budgets, and
// the operations. An overview that is nil has no page but a line that says so. What the
// gateway told is shown without its control characters, so that no name can move the
// cursor. The error is that of w.
func Render(w io.Writer, o *console.Overview, ops []console.OperationRow, opts Options) error {
	p := &page{opts: opts, width: max(cmp.Or(opts.Width, defaultWidth), leastWidth)}
	if o == nil {
		p.line("The gateway has not answered yet.")
	} else {
		p.head(o)
		p.problems(o.Problems)
		p.alarms(o.Alarms)
		p.totals(o)
		p.budgets(o.Budgets)
		p.operations(o, ops)
	}
	_, err := w.Write(p.text.Bytes())
	return err
}

// page is a page in progress.
type page struct {
	opts  Options
	width int
	text  bytes.Buffer
	lines int
}

// line writes one line, cut to the width.
func (p *page) line(s string) {
	s = strings.TrimRight(s, " ")
	if text.StringWidthWithoutEscSequences(s) > p.width {
		s = strings.TrimRight(text.Snip(s, p.width, "…"), " ")
	}
	p.text.WriteString(s)
	p.text.WriteByte('\n')
	p.lines++
}

// wrapped writes a text over as many lines as it needs, each after an indent but the first,
// which comes after a head.
func (p *page) wrapped(head, s string) {
	indent := text.StringWidthWithoutEscSequences(head)
	for i, line := range strings.Split(text.WrapSoft(s, p.width-indent), "\n") {
		if i > 0 {
			head = strings.Repeat(" ", indent)
		}
		p.line(head + line)
	}
}

// section begins a part of the page.
func (p *page) section(name string) {
	p.line("")
	p.line(p.paint(bold, name))
}

// head says what is shown, and how the gateway is: the state is left, the time is right,
// and what is between gives way where there is no room.
func (p *page) head(o *console.Overview) {
	state := string(o.Health.Overall)
	left := "forebay " + clean(o.Version) + "  " + p.paint(stateColour(o.Health.Overall), strings.ToUpper(cmp.Or(clean(state), "unknown")))
	right := o.At.UTC().Format("15:04:05") + " UTC"
	between := []string{"last " + span(o.WindowSeconds)}
	if !o.Started.IsZero() {
		between = append(between, "up "+span(o.At.Sub(o.Started).Seconds()))
	}
	if level := string(o.Health.Degradation.Level); level != "" && level != "none" {
		between = append(between, "degradation "+clean(level))
	}
	room := p.width - len(right) - 2
	for _, part := range between {
		if text.StringWidthWithoutEscSequences(left)+2+text.StringWidthWithoutEscSequences(part) <= room {
			left += "  " + part
		}
	}
	left = text.Snip(left, room, "…")
	p.line(left + strings.Repeat(" ", p.width-text.StringWidthWithoutEscSequences(left)-len(right)) + right)
}

func stateColour(s health.State) colour {
	switch s {
	case health.Healthy:
		return green
	case health.Degraded:
		return yellow
	}
	return red
}

func severityColour(s alarm.Severity) colour {
	if s == alarm.Critical {
		return red
	}
	return yellow
}

// problems lists what is wrong, why, and what to do.
func (p *page) problems(problems []console.Problem) {
	if len(problems) == 0 {
		return
	}
	p.section("PROBLEMS")
	for i := range problems[:min(len(problems), mostProblems)] {
		x := &problems[i]
		head := fmt.Sprintf("%-9s ", clean(string(x.Severity)))
		p.wrapped(p.paint(severityColour(x.Severity), head), clean(x.What))
		indent := strings.Repeat(" ", len(head))
		if x.Why != "" {
			p.wrapped(indent, clean(x.Why))
		}
		if x.Do != "" {
			p.wrapped(indent+"-> ", clean(x.Do))
		}
	}
	p.more(len(problems)-mostProblems, "problem")
}

// more says how many things are not shown.
func (p *page) more(n int, thing string) {
	switch {
	case n == 1:
		p.line("and 1 more " + thing)
	case n > 1:
		p.line(fmt.Sprintf("and %d more %ss", n, thing))
	}
}

// alarms names those that fire, in one paragraph.
func (p *page) alarms(statuses []alarm.Status) {
	var names []string
	for i := range statuses {
		x := &statuses[i]
		if x.State != alarm.Firing {
			continue
		}
		name := clean(x.Name)
		if x.Of != "" {
			name += " (" + clean(x.Of) + ")"
		}
		if x.Silenced {
			name += " [silenced]"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return
	}
	p.line("")
	p.wrapped(p.paint(red, fmt.Sprintf("%d firing ", len(names))), strings.Join(names, ", "))
}

// budgets shows those that are nearly spent.
func (p *page) budgets(states []budget.State) {
	if len(states) == 0 {
		return
	}
	p.section("BUDGETS")
	for i := range states[:min(len(states), mostBudgets)] {
		x := &states[i]
		share := 0.0
		if x.Limit > 0 {
			share = float64(x.Spent) / float64(x.Limit)
		}
		c := yellow
		if x.Exhausted {
			c = red
		}
		head := p.paint(c, fmt.Sprintf("%6s ", percent(share)))
		p.wrapped(head, fmt.Sprintf("of %s: %s of %s %s%s", budgetName(x), money(x.Spent), money(x.Limit), periodText(x.Period), kindText(x.Kind)))
	}
	p.more(len(states)-mostBudgets, "budget")
}

func budgetName(x *budget.State) string {
	name := clean(x.Rule)
	for _, part := range []struct{ what, value string }{{"tenant", x.Tenant}, {"key", x.Key}, {"user", x.User}, {"operation", x.Operation}} {
		if part.value != "" {
			name += ", " + part.what + " " + clean(part.value)
		}
	}
	return name
}

func periodText(p budget.Period) string {
	if p == budget.Day {
		return "today"
	}
	return "this " + clean(string(p))
}

func kindText(k budget.Kind) string {
	switch k {
	case budget.Hard:
		return "; then calls are refused"
	case budget.Degrade:
		return "; then a cheaper model answers"
	}
	return ""
}

// totals sums the window up. A part that does not fit into a line goes into the next.
func (p *page) totals(o *console.Overview) {
	t := &o.Totals
	p.section("TOTALS")
	if t.Requests == 0 {
		p.parts("calls", []string{"none in the last " + span(o.WindowSeconds)})
	} else {
		p.parts("calls", []string{count(t.Requests), rate(t.PerSecond) + "/s", p.paint(errorColour(t.ErrorRate), percent(t.ErrorRate)+" failed"), count(t.Refused) + " refused", faults(o.Faults)})
		p.parts("time", []string{
			"p50 " + p.seconds(t.P50, o.Objective.Seconds), "p95 " + p.seconds(t.P95, o.Objective.Seconds), "p99 " + p.seconds(t.P99, o.Objective.Seconds),
			objective(o.Objective),
		})
		p.parts("", []string{"first token p50 " + seconds(t.FirstTokenP50), "p95 " + seconds(t.FirstTokenP95), "own overhead p99 " + seconds(t.OverheadP99)})
	}
	p.parts("now", []string{count(int64(t.InFlight)) + " in flight", count(int64(t.Waiting)) + " waiting", count(t.ConcurrentUsers) + " users"})
	p.parts("cost", []string{money(t.MicroUSD), "saved " + money(t.SavedMicroUSD), "today " + money(o.CostTodayMicroUSD)})
	if t.Requests != 0 {
		p.parts("tokens", []string{count(t.InputTokens) + " in", count(t.OutputTokens) + " out", percent(t.HitRate) + " of calls answered by the cache"})
	}
}

func objective(o console.Objective) string {
	if o.Seconds <= 0 {
		return ""
	}
	return percent(o.Met) + " answered within " + strconv.FormatFloat(o.Seconds, 'g', 6, 64) + "s"
}

// faults says whose fault failed calls were, the callers' own included.
func faults(by map[string]int64) string {
	var parts []string
	for _, domain := range slices.Sorted(maps.Keys(by)) {
		if n := by[domain]; n > 0 {
			parts = append(parts, clean(domain)+" "+count(n))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "faults: " + strings.Join(parts, ", ")
}

// parts writes what belongs together, with two spaces between.
func (p *page) parts(head string, parts []string) {
	const indent = 7
	line := fmt.Sprintf("%-*s", indent, head)
	empty := true
	for _, part := range parts {
		if part == "" {
			continue
		}
		if !empty && text.StringWidthWithoutEscSequences(line)+2+text.StringWidthWithoutEscSequences(part) > p.width {
			p.line(line)
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += "  "
		}
		line += part
		empty = false
	}
	p.line(line)
}

// errorColour is that of a share of failed calls: the specification's warning is at 5 %,
// its critical alarm at 10 %.
func errorColour(share float64) colour {
	switch {
	case share > 0.10:
		return red
	case share > 0.05:
		return yellow
	}
	return plain
}

// seconds marks a percentile that is above the objective.
func (p *page) seconds(v, objective float64) string {
	if objective > 0 && v > objective {
		return p.paint(red, seconds(v))
	}
	return seconds(v)
}

// span is a length of time in its two largest units.
func span(s float64) string {
	d := time.Duration(s * float64(time.Second)).Round(time.Second)
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	pair := func(a int, unit string, b int, smaller string) string {
		if b == 0 {
			return fmt.Sprintf("%d%s", a, unit)
		}
		return fmt.Sprintf("%d%s %d%s", a, unit, b, smaller)
	}
	switch {
	case days > 0:
		return pair(days, "d", hours, "h")
	case hours > 0:
		return pair(hours, "h", minutes, "m")
	}
	return pair(minutes, "m", int(d.Seconds())%60, "s")
}
