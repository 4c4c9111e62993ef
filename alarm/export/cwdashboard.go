package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// Limits of dashboards (CloudWatch's page of quotas). A row is 24 wide.
const (
	mostWidgets       = 500
	mostWidgetMetrics = 500
	mostMetrics       = 2500
	rowWidth          = 24
	rowHeight         = 6
	alarmsHeight      = 4
)

// board is the body of a dashboard.
type board struct {
	Start          string   `json:"start"`
	PeriodOverride string   `json:"periodOverride"`
	Widgets        []widget `json:"widgets"`
}

type widget struct {
	Type       string     `json:"type"`
	X          int        `json:"x"`
	Y          int        `json:"y"`
	Width      int        `json:"width"`
	Height     int        `json:"height"`
	Properties properties `json:"properties"`
}

type properties struct {
	Title       string       `json:"title"`
	Alarms      []string     `json:"alarms,omitempty"`
	Metrics     [][]any      `json:"metrics,omitempty"`
	View        string       `json:"view,omitempty"`
	Stacked     bool         `json:"stacked,omitempty"`
	Region      string       `json:"region,omitempty"`
	Period      int          `json:"period,omitempty"`
	Stat        string       `json:"stat,omitempty"`
	YAxis       *axes        `json:"yAxis,omitempty"`
	Annotations *annotations `json:"annotations,omitempty"`
}

type axes struct {
	Left axis `json:"left"`
}

type axis struct {
	Label string   `json:"label,omitempty"`
	Min   *float64 `json:"min,omitempty"`
	Max   *float64 `json:"max,omitempty"`
}

type annotations struct {
	Horizontal []annotation `json:"horizontal"`
}

type annotation struct {
	Label string  `json:"label"`
	Value float64 `json:"value"`
}

// CloudWatchDashboard makes the body of a dashboard: in its first row the alarms' states,
// below it what the specification wants to see (response time by operation, success and failure, error
// and hit rate as ratios of sums, tokens, cost, queue, users), and then AWS's own metrics
// of the functions, tables and models that cfg names. Thresholds are drawn where the alarms
// have them.
func CloudWatchDashboard(cfg CloudWatchConfig) ([]byte, error) {
	cfg = cfg.withDefaults()
	alarms, err := CloudWatchAlarms(cfg)
	if err != nil {
		return nil, err
	}
	d := drawing{cfg: cfg}
	d.status(alarms)
	d.ours()
	d.theirs()
	if err := d.check(); err != nil {
		return nil, err
	}
	return indented(d.board)
}

// drawing is a dashboard in the making.
type drawing struct {
	cfg   CloudWatchConfig
	board board
	x, y  int // of the next widget
}

// status is the row of the alarms' states.
func (d *drawing) status(alarms CloudWatch) {
	d.board.Start, d.board.PeriodOverride = "-PT8H", "inherit"
	arn := fmt.Sprintf("arn:aws:cloudwatch:%s:%s:alarm:", d.cfg.Region, d.cfg.Account)
	var all []string
	for i := range alarms.Composites {
		all = append(all, arn+*alarms.Composites[i].AlarmName)
	}
	for i := range alarms.Alarms {
		if *alarms.Alarms[i].ActionsEnabled { // the parts of others say nothing by themselves
			all = append(all, arn+*alarms.Alarms[i].AlarmName)
		}
	}
	d.board.Widgets = append(d.board.Widgets, widget{Type: "alarm", Width: rowWidth, Height: alarmsHeight, Properties: properties{Title: "Alarms", Alarms: all}})
	d.y = alarmsHeight
}

// graph is one widget: lines of metrics and expressions.
type graph struct {
	title   string
	unit    string
	stacked bool
	lines   [][]any
	marks   []annotation
}

// add adds a widget; one without any line is left out.
func (d *drawing) add(g graph) {
	g.lines = slices.DeleteFunc(g.lines, func(line []any) bool { return line == nil })
	if len(g.lines) == 0 {
		return
	}
	zero := 0.0
	p := properties{
		Title: g.title, Metrics: g.lines, View: "timeSeries", Stacked: g.stacked, Region: d.cfg.Region, Period: 60,
		YAxis: &axes{Left: axis{Label: g.unit, Min: &zero}},
	}
	if len(g.marks) > 0 {
		p.Annotations = &annotations{Horizontal: g.marks}
	}
	const width = rowWidth / 3
	d.board.Widgets = append(d.board.Widgets, widget{Type: "metric", X: d.x, Y: d.y, Width: width, Height: rowHeight, Properties: p})
	if d.x += width; d.x >= rowWidth {
		d.newRow()
	}
}

func (d *drawing) newRow() {
	if d.x > 0 {
		d.x, d.y = 0, d.y+rowHeight
	}
}

// options are the last element of a line.
type options map[string]any

// line is one of our metrics.
func (d *drawing) line(name string, o options) []any {
	line := []any{d.cfg.Namespace, name}
	for _, key := range slices.Sorted(maps.Keys(d.cfg.Dimensions)) {
		line = append(line, key, d.cfg.Dimensions[key])
	}
	return append(line, o)
}

// by is one of our metrics for each value of a dimension, and nothing where it is not
// published by it. A search finds the operations that there will be; it is for dashboards
// alone.
func (d *drawing) by(name string, of names.Dimension, stat string) []any {
	if !slices.Contains(d.cfg.By, of) {
		return nil
	}
	schema := append([]string{`"` + d.cfg.Namespace + `"`, string(of)}, slices.Sorted(maps.Keys(d.cfg.Dimensions))...)
	query := fmt.Sprintf(`{%s} MetricName="%s"`, strings.Join(schema, ","), name)
	for _, key := range slices.Sorted(maps.Keys(d.cfg.Dimensions)) {
		query += fmt.Sprintf(` %s="%s"`, key, d.cfg.Dimensions[key])
	}
	return []any{options{"expression": fmt.Sprintf("SEARCH('%s', '%s', 60)", query, stat), "id": "s1", "label": ""}}
}

// ratio are the lines of a share in percent, out of two sums.
func (d *drawing) ratio(part, whole, label string) [][]any {
	hidden := func(id string) options { return options{"id": id, "stat": "Sum", "visible": false} }
	return [][]any{
		d.line(part, hidden("m1")), d.line(whole, hidden("m2")),
		{options{"expression": "IF(m2 > 0, 100*m1/m2)", "id": "e1", "label": label}},
	}
}

// marks are the thresholds of the alarms on a metric of alarms, in the unit of the graph.
func (d *drawing) marks(metric string, scale float64) []annotation {
	var all []annotation
	for _, a := range d.cfg.Definitions {
		if a.Off || a.External || a.Metric != metric || len(a.Burn) > 0 || a.Missing == alarm.MissingIsBad {
			continue
		}
		mark := annotation{Label: string(a.Severity) + ": " + a.Name, Value: rendering{Definition: a, m: names.Metric{Scale: scale}, over: names.Metric{Scale: 1}}.threshold()}
		all = append(all, mark)
	}
	return all
}

// ours are the widgets of Forebay's metrics. One list on purpose: it is the dashboard from
// top to bottom.
func (d *drawing) ours() {
	stat := func(stat, label string) options { return options{"stat": stat, "label": label} }
	d.add(graph{
		title: "Response time", unit: "ms", marks: d.marks("duration", 1000),
		lines: [][]any{d.line(names.ResponseTime, stat("Average", "mean")), d.line(names.ResponseTime, stat("p95", "p95")), d.line(names.ResponseTime, stat("p99", "p99"))},
	})
	d.add(graph{title: "Response time by operation (p95)", unit: "ms", lines: [][]any{d.by(names.ResponseTime, names.Operation, "p95")}})
	d.add(graph{title: "Time to first token", unit: "ms", lines: [][]any{d.line(names.TimeToFirstToken, stat("p50", "p50")), d.line(names.TimeToFirstToken, stat("p95", "p95"))}})
	d.add(graph{
		title: "Calls: success and failure", unit: "calls a minute", stacked: true, lines: [][]any{
			d.line(names.RequestCount, options{"id": "m1", "stat": "Sum", "visible": false}),
			{options{"expression": "m1-m2", "id": "e1", "label": "success"}},
			d.line(names.ErrorCount, options{"id": "m2", "stat": "Sum", "label": "failure"}),
		},
	})
	d.add(graph{title: "Error rate", unit: "%", lines: d.ratio(names.ErrorCount, names.RequestCount, names.ErrorRate), marks: d.marks("failures", 100)})
	d.add(graph{title: "Errors by type", unit: "calls a minute", stacked: true, lines: [][]any{d.by(names.ErrorCount, names.ErrorType, "Sum")}})
	d.add(graph{title: "Cache hit rate", unit: "%", lines: d.ratio(names.CacheHits, names.CacheLookups, names.CacheHitRate), marks: d.marks("hits", 100)})
	d.add(graph{title: "Tokens", unit: "tokens a minute", lines: [][]any{d.line(names.TokenUsage, stat("Sum", "all")), d.by(names.TokenUsage, names.Operation, "Sum")}})
	d.add(graph{title: "Cost", unit: "USD a minute", lines: [][]any{d.line(names.Cost, stat("Sum", "all")), d.by(names.Cost, names.Operation, "Sum")}})
	d.add(graph{title: "Queue depth", unit: "calls", lines: [][]any{d.line(names.QueueDepth, stat("Average", "mean")), d.line(names.QueueDepth, stat("Maximum", "most"))}, marks: d.marks("waiting", 1)})
	d.add(graph{title: "Users and connections of an instance", lines: [][]any{d.line(names.ConcurrentUsers, stat("Maximum", "users")), d.line(names.ActiveConnections, stat("Maximum", "connections"))}, marks: d.marks("users", 1)})
	d.add(graph{title: "Most expensive user of the month", unit: "USD", lines: [][]any{d.line(names.CostPerUser, stat("Maximum", "month to date"))}, marks: d.marks("user_cost_month", 1)})
	d.add(graph{title: "Durable jobs: oldest", unit: "s", lines: [][]any{d.line(names.OldestJobAge, stat("Maximum", "age"))}, marks: d.marks("jobs_oldest", 1)})
	d.add(graph{title: "Circuit breakers: open", unit: "% of a minute", lines: [][]any{d.line(names.BreakerOpen, stat("Maximum", "worst target")), d.by(names.BreakerOpen, names.Target, "Maximum")}, marks: d.marks("breaker_open", 100)})
	d.add(graph{title: "Reliability", lines: [][]any{d.line(names.OpenBreakers, stat("Maximum", "open breakers")), d.line(names.DeadLetters, stat("Maximum", "dead letters")), d.line(names.DroppedItems, stat("Sum", "measurements lost"))}})
	d.add(graph{title: "Budgets", unit: "%", lines: [][]any{d.line(names.BudgetSpent, stat("Maximum", "fullest")), d.by(names.BudgetSpent, names.Budget, "Maximum")}, marks: d.marks("budget_spent", 100)})
}

// theirs are the widgets of AWS's own metrics.
func (d *drawing) theirs() {
	d.newRow()
	for _, f := range d.cfg.Functions {
		of := func(metric string, o options) []any { return []any{spaceLambda, metric, "FunctionName", f, o} }
		d.add(graph{title: f + ": invocations", lines: [][]any{of("Invocations", options{"stat": "Sum"}), of("Errors", options{"stat": "Sum"}), of("Throttles", options{"stat": "Sum"})}})
		d.add(graph{title: f + ": duration", unit: "ms", lines: [][]any{of("Duration", options{"stat": "p50", "label": "p50"}), of("Duration", options{"stat": "p95", "label": "p95"}), of("Duration", options{"stat": "p99", "label": "p99"})}})
		d.add(graph{title: f + ": concurrency", lines: [][]any{of("ConcurrentExecutions", options{"stat": "Maximum"})}})
	}
	for _, t := range d.cfg.Tables {
		of := func(metric string, o options) []any { return []any{spaceDynamoDB, metric, "TableName", t.Name, o} }
		d.add(graph{title: t.Name + ": capacity used", unit: "units a minute", lines: [][]any{of("ConsumedReadCapacityUnits", options{"stat": "Sum"}), of("ConsumedWriteCapacityUnits", options{"stat": "Sum"})}})
		lines := [][]any{of("ReadThrottleEvents", options{"stat": "Sum"}), of("WriteThrottleEvents", options{"stat": "Sum"})}
		for _, index := range t.Indexes {
			lines = append(lines, []any{spaceDynamoDB, "WriteThrottleEvents", "TableName", t.Name, "GlobalSecondaryIndexName", index, options{"stat": "Sum", "label": index}})
		}
		d.add(graph{title: t.Name + ": throttles", lines: lines})
		latency := func(operation string) []any {
			return []any{spaceDynamoDB, "SuccessfulRequestLatency", "TableName", t.Name, "Operation", operation, options{"stat": "p99", "label": operation}}
		}
		d.add(graph{title: t.Name + ": latency (p99)", unit: "ms", lines: [][]any{latency("GetItem"), latency("PutItem"), latency("UpdateItem"), latency("Query")}})
	}
	for _, m := range d.cfg.Models {
		of := func(metric string, o options) []any { return []any{spaceBedrock, metric, "ModelId", m, o} }
		d.add(graph{title: m + ": calls", lines: [][]any{of("Invocations", options{"stat": "Sum"}), of("InvocationThrottles", options{"stat": "Sum"}), of("InvocationServerErrors", options{"stat": "Sum"}), of("InvocationClientErrors", options{"stat": "Sum"})}})
		d.add(graph{title: m + ": latency", unit: "ms", lines: [][]any{of("InvocationLatency", options{"stat": "p50", "label": "p50"}), of("InvocationLatency", options{"stat": "p99", "label": "p99"})}})
		d.add(graph{title: m + ": tokens", unit: "tokens a minute", lines: [][]any{of("InputTokenCount", options{"stat": "Sum"}), of("OutputTokenCount", options{"stat": "Sum"})}})
	}
}

// check holds the dashboard against CloudWatch's limits.
func (d *drawing) check() error {
	metrics := 0
	for _, w := range d.board.Widgets {
		metrics += len(w.Properties.Metrics)
		if len(w.Properties.Metrics) > mostWidgetMetrics || w.X+w.Width > rowWidth {
			return fmt.Errorf("cloudwatch dashboard: the widget %q is too large", w.Properties.Title)
		}
	}
	if len(d.board.Widgets) > mostWidgets || metrics > mostMetrics {
		return fmt.Errorf("cloudwatch dashboard: %d widgets with %d metrics: at most %d with %d; name fewer functions, tables and models",
			len(d.board.Widgets), metrics, mostWidgets, mostMetrics)
	}
	return nil
}
