package export_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/export"
	"github.com/forebay-ai/forebay/internal/awstest"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/observe"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

func TestMain(m *testing.M) { os.Exit(awstest.Run(m)) }

// onAWS is a profile with everything that there may be.
func onAWS(t *testing.T, profile string) export.CloudWatchConfig {
	t.Helper()
	definitions, err := alarm.InDollars(alarm.Profile(profile), nil)
	if err != nil {
		t.Fatal(err)
	}
	return export.CloudWatchConfig{
		Definitions:    append(definitions, export.BedrockAlarms()...),
		Functions:      []string{"voice-learning-response-generator", "voice-learning-semantic-search"},
		Tables:         []export.Table{{Name: "voice-learning-sessions", Indexes: []string{"ready"}}, {Name: "voice-learning-embeddings"}},
		Models:         []string{"eu.anthropic.claude-haiku-4-5-20251001-v1:0"},
		WarningActions: []string{"arn:aws:sns:eu-central-1:123456789012:warnings"}, CriticalActions: []string{"arn:aws:sns:eu-central-1:123456789012:pages"},
		DegradedActions: []string{"arn:aws:sns:eu-central-1:123456789012:status"},
	}
}

func rendered(t *testing.T, cfg export.CloudWatchConfig) export.CloudWatch {
	t.Helper()
	c, err := export.CloudWatchAlarms(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func alarmOf(t *testing.T, c export.CloudWatch, name string) cw.PutMetricAlarmInput {
	t.Helper()
	i := slices.IndexFunc(c.Alarms, func(a cw.PutMetricAlarmInput) bool { return *a.AlarmName == "forebay-"+name })
	if i < 0 {
		t.Fatalf("there is no alarm %s", name)
	}
	return c.Alarms[i]
}

// TestCommittedCloudWatch: the files in deploy are what the definitions give.
func TestCommittedCloudWatch(t *testing.T) {
	cfg := onAWS(t, alarm.Interactive)
	cfg.WarningActions, cfg.CriticalActions, cfg.DegradedActions = nil, nil, nil
	alarms, err := rendered(t, cfg).JSON()
	if err != nil {
		t.Fatal(err)
	}
	dashboard, err := export.CloudWatchDashboard(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"cloudwatch-alarms.json": alarms, "cloudwatch-dashboard.json": dashboard} {
		path := filepath.Join("..", "..", "deploy", "observability", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v; go test ./alarm/export -update writes it", err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s differs from the definitions (go test ./alarm/export -update writes it):\n%s", path, d)
		}
	}
}

// TestSpecification: the thresholds of the specification, in CloudWatch's words.
func TestSpecification(t *testing.T) {
	b := rendered(t, onAWS(t, alarm.Interactive))
	slow := alarmOf(t, b, "response-time-critical")
	if *slow.Namespace != "Forebay" || *slow.MetricName != "ResponseTime" || aws.ToString(slow.ExtendedStatistic) != "p95" || *slow.Threshold != 3000 ||
		aws.ToString(slow.EvaluateLowSampleCountPercentile) != "ignore" || *slow.Period != 120 || *slow.EvaluationPeriods != 3 || *slow.DatapointsToAlarm != 2 ||
		*slow.TreatMissingData != "notBreaching" || !slices.Equal(slow.AlarmActions, []string{"arn:aws:sns:eu-central-1:123456789012:pages"}) {
		t.Errorf("response time: %+v", slow)
	}
	if mean := alarmOf(t, b, "response-time-mean"); len(mean.Metrics) != 3 || *mean.Metrics[2].Expression != "IF(n1 >= 100, m1)" || *mean.Threshold != 1500 {
		t.Errorf("mean: %+v", mean)
	}
	failing := alarmOf(t, b, "error-rate-critical")
	if len(failing.Metrics) != 3 || *failing.Metrics[0].MetricStat.Metric.MetricName != "ErrorCount" || *failing.Metrics[1].MetricStat.Metric.MetricName != "RequestCount" ||
		*failing.Metrics[2].Expression != "IF(m2 >= 100, m1/m2)" || *failing.Threshold != 0.05 || !*failing.Metrics[2].ReturnData {
		t.Errorf("error rate: %+v", failing)
	}
	if hits := alarmOf(t, b, "hit-rate-low"); *hits.Threshold != 0.4 || hits.ComparisonOperator != types.ComparisonOperatorLessThanThreshold || *hits.Metrics[2].Expression != "IF(m2 >= 200, m1/m2)" {
		t.Errorf("hit rate: %+v", hits)
	}
	if cost := alarmOf(t, b, "user-cost"); *cost.MetricName != "CostPerUser" || math.Abs(*cost.Threshold-15.0/83) > 1e-9 || cost.Statistic != types.StatisticMaximum {
		t.Errorf("cost: %+v", cost)
	}
	throttled := alarmOf(t, b, "lambda-throttling-voice-learning-semantic-search")
	if *throttled.Namespace != "AWS/Lambda" || *throttled.MetricName != "Throttles" || *throttled.Threshold != 10 || *throttled.Dimensions[0].Value != "voice-learning-semantic-search" || *throttled.Period != 60 {
		t.Errorf("lambda: %+v", throttled)
	}
	table := alarmOf(t, b, "dynamodb-throttling-voice-learning-sessions")
	if len(table.Metrics) != 9 || *table.TreatMissingData != "ignore" || !strings.Contains(*table.Metrics[8].Expression, "FILL(m1, 0) + FILL(m2, 0)") {
		t.Errorf("table: %+v", table)
	}
	if index := alarmOf(t, b, "dynamodb-write-throttling-voice-learning-sessions-ready"); *index.Dimensions[0].Name != "GlobalSecondaryIndexName" || *index.Dimensions[1].Value != "voice-learning-sessions" {
		t.Errorf("index: %+v", index)
	}
	if model := alarmOf(t, b, "bedrock-throttling-eu.anthropic.claude-haiku-4-5-20251001-v1:0"); *model.MetricName != "InvocationThrottles" {
		t.Errorf("model: %+v", model)
	}
	a := rendered(t, onAWS(t, alarm.Analysis))
	for name, want := range map[string]float64{
		"response-time-warning": 25_000, "response-time-critical": 30_000, "error-rate-warning": 0.05, "error-rate-critical": 0.10,
		"queue-depth-warning": 50, "queue-depth-critical": 100, "hit-rate-low": 0.30, "budget-spent": 90,
	} {
		if got := alarmOf(t, a, name); *got.Threshold != want {
			t.Errorf("%s: %v, want %v", name, *got.Threshold, want)
		}
	}
}

// TestComposites: a burn rate is one alarm over its windows, and the service's is one over
// what callers feel.
func TestComposites(t *testing.T) {
	c := rendered(t, onAWS(t, alarm.Analysis))
	rules := map[string]string{}
	for _, a := range c.Composites {
		rules[*a.AlarmName] = *a.AlarmRule
	}
	const burn = `(ALARM("forebay-budget-burn-critical-1h") AND ALARM("forebay-budget-burn-critical-5m")) OR (ALARM("forebay-budget-burn-critical-6h") AND ALARM("forebay-budget-burn-critical-30m"))`
	if got := rules["forebay-budget-burn-critical"]; got != burn {
		t.Errorf("burn: %s", got)
	}
	long := alarmOf(t, c, "budget-burn-critical-1h")
	if *long.Threshold != 0.144 || *long.Metrics[0].MetricStat.Period != 3600 || *long.ActionsEnabled || len(long.AlarmActions) != 0 || *long.Metrics[2].Expression != "IF(m2 >= 20, m1/m2)" {
		t.Errorf("%+v", long)
	}
	const degraded = `ALARM("forebay-response-time-critical") OR ALARM("forebay-error-rate-critical") OR ALARM("forebay-queue-depth-critical") OR ALARM("forebay-budget-burn-critical") OR ALARM("forebay-store-down")`
	if got := rules["forebay-service-degraded"]; got != degraded {
		t.Errorf("degraded: %s", got)
	}
}

// TestServerless: between invocations nothing is measured, and that is no alarm.
func TestServerless(t *testing.T) {
	cfg := onAWS(t, alarm.Standard)
	cfg.Serverless = true
	c := rendered(t, cfg)
	if slices.ContainsFunc(c.Alarms, func(a cw.PutMetricAlarmInput) bool { return *a.TreatMissingData == "breaching" }) || !slices.ContainsFunc(c.Left, func(s string) bool { return strings.HasPrefix(s, "no-measurements") }) {
		t.Errorf("left out: %q", c.Left)
	}
}

// TestByLabel: an alarm by operation is one for each.
func TestByLabel(t *testing.T) {
	d := alarm.Profile(alarm.Analysis)[1]
	d.By = "operation"
	if _, err := export.CloudWatchAlarms(export.CloudWatchConfig{Definitions: []alarm.Definition{d}}); err == nil || !strings.Contains(err.Error(), "name them") {
		t.Errorf("without names: %v", err)
	}
	c := rendered(t, export.CloudWatchConfig{Definitions: []alarm.Definition{d}, Dimensions: map[string]string{"Stage": "prod"}, Values: map[string][]string{"operation": {"chat", "vc-analysis"}}})
	a := alarmOf(t, c, d.Name+"-vc-analysis")
	if len(c.Alarms) != 2 || len(a.Dimensions) != 2 || *a.Dimensions[0].Name != "Operation" || *a.Dimensions[0].Value != "vc-analysis" || *a.Dimensions[1].Value != "prod" {
		t.Errorf("%+v", a)
	}
	if len(c.Composites) != 1 || !strings.Contains(*c.Composites[0].AlarmRule, "-chat") {
		t.Errorf("%+v", c.Composites)
	}
}

// gauges are alarms on gauges by a label, as a file of configuration may have them.
func gauges() []alarm.Definition {
	one := func(name, metric, by, stat string, threshold float64) alarm.Definition {
		return alarm.Definition{
			Name: name, Severity: alarm.Warning, Measure: alarm.Measure{Metric: metric, Stat: stat, By: by, Window: time.Minute},
			Op: ">", Threshold: threshold, M: 2, N: 3, Message: "m",
		}
	}
	return []alarm.Definition{
		one("open", "breaker_open", "target", "mean", 0.5), one("opened", "breaker_open", "target", "max", 0.5),
		one("spent", "budget_spent", "budget", "last", 0.9), one("waits", "waiting", "band", "mean", 20),
	}
}

// TestGaugesByLabel: what the process judges for each value of a label has an alarm for
// each of them where the metric is published so, and else one over the worst of them. An
// average over targets or instances would be neither.
func TestGaugesByLabel(t *testing.T) {
	values := map[string][]string{"target": {"eu/haiku", "us/größer"}, "budget": {"day", "month"}, "band": {"low", "critical"}}
	rolled := rendered(t, export.CloudWatchConfig{Definitions: gauges()[:3], Values: values})
	if len(rolled.Alarms) != 3 {
		t.Errorf("%d alarms", len(rolled.Alarms))
	}
	each := rendered(t, export.CloudWatchConfig{Definitions: gauges(), Values: values, By: []names.Dimension{names.Target, names.Budget, names.Priority}})
	if len(each.Alarms) != 8 {
		t.Errorf("%d alarms", len(each.Alarms))
	}
	for name, want := range map[string]struct {
		of        export.CloudWatch
		metric    string
		stat      types.Statistic
		threshold float64
		dimension string
	}{
		"open":            {rolled, "BreakerOpen", types.StatisticMaximum, 50, ""},
		"opened":          {rolled, "BreakerOpen", types.StatisticMaximum, 0, ""},
		"spent":           {rolled, "BudgetSpent", types.StatisticMaximum, 90, ""},
		"open-eu/haiku":   {each, "BreakerOpen", types.StatisticMaximum, 50, "Target=eu/haiku"},
		"open-us/größer":  {each, "BreakerOpen", types.StatisticMaximum, 50, "Target=us/gr??er"},
		"opened-eu/haiku": {each, "BreakerOpen", types.StatisticMaximum, 0, "Target=eu/haiku"},
		"spent-month":     {each, "BudgetSpent", types.StatisticMaximum, 90, "Budget=month"},
		"waits-critical":  {each, "QueueDepth", types.StatisticAverage, 20, "Priority=critical"},
	} {
		a := alarmOf(t, want.of, name)
		dimension := ""
		for _, d := range a.Dimensions {
			dimension += *d.Name + "=" + *d.Value
		}
		if *a.MetricName != want.metric || a.Statistic != want.stat || *a.Threshold != want.threshold || dimension != want.dimension || *a.DatapointsToAlarm != 2 {
			t.Errorf("%s: %s %s > %v of %q", name, *a.MetricName, a.Statistic, *a.Threshold, dimension)
		}
	}
}

// TestLabelsThatCannotBe: where neither an alarm for each value nor one over the worst says
// what the definition says, there is no alarm that says something else.
func TestLabelsThatCannotBe(t *testing.T) {
	below := gauges()[2] // the least spent budget is not published
	below.Name, below.Op = "unspent", "<"
	least := gauges()[0] // a breaker that never was closed
	least.Name, least.Stat = "never-closed", "min"
	byModel := alarm.Profile(alarm.Analysis)[0]
	byModel.By = "model"
	fallback := gauges()[0]
	fallback.Name, fallback.Metric, fallback.By = "odd", "users", "fallback"
	cfg := export.CloudWatchConfig{Definitions: []alarm.Definition{gauges()[3], below, least, byModel, fallback}, Values: map[string][]string{"model": {"haiku"}, "band": {"low"}, "budget": {"day"}}}
	_, err := export.CloudWatchAlarms(cfg)
	for _, text := range []string{
		"waits.by: QueueDepth is not published by band; add Priority to metrics.cloudwatch.by", "unspent.by: BudgetSpent is not published by budget",
		"never-closed.stat", byModel.Name + ".by: ResponseTime is not published by model", "odd.by: ConcurrentUsers cannot be published by fallback",
	} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in %v", text, err)
		}
	}
}

// TestCustomByLabel: a custom metric with one label is published by it.
func TestCustomByLabel(t *testing.T) {
	m, err := monitor.New(monitor.Config{Custom: []monitor.CustomMetric{{
		Name: "lessons", Kind: monitor.CustomCounter, Doc: "x", Labels: []monitor.CustomLabel{{Name: "plan", Values: []string{"free", "paid"}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	d := alarm.Definition{
		Name: "few", Severity: alarm.Warning, Measure: alarm.Measure{Metric: "custom_lessons", Stat: "sum", By: "plan", Window: time.Hour}, Op: "<", Threshold: 10, Message: "m",
	}
	c := rendered(t, export.CloudWatchConfig{Definitions: []alarm.Definition{d}, Vocabulary: m.Vocabulary(), Values: map[string][]string{"plan": {"free", "paid"}}})
	if a := alarmOf(t, c, "few-paid"); len(c.Alarms) != 2 || *a.MetricName != "Lessons" || len(a.Dimensions) != 1 || *a.Dimensions[0].Name != "plan" || *a.Dimensions[0].Value != "paid" {
		t.Errorf("%+v", c.Alarms)
	}
}

// TestCloudWatchFaults: what cannot be said is named, all at once.
func TestCloudWatchFaults(t *testing.T) {
	rupees := alarm.Profile(alarm.Interactive)[5]
	unknown := alarm.Definition{Name: "x", Severity: alarm.Warning, Measure: alarm.Measure{Metric: "oldest_wait", Stat: "last", Window: time.Minute}, Op: ">", Threshold: 1, Message: "m"}
	week := unknown
	week.Name, week.Metric, week.Window, week.N = "y", "waiting", 4*24*time.Hour, 2
	week.M = 2
	_, err := export.CloudWatchAlarms(export.CloudWatchConfig{Definitions: []alarm.Definition{rupees, unknown, week}})
	for _, word := range []string{"user-cost.unit", "alarms.definitions.x.metric", "2 periods of 345600 s"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named in %v", word, err)
		}
	}
}

// TestCheck: our own rules refuse what CloudWatch refuses.
func TestCheck(t *testing.T) {
	for name, spoil := range map[string]func(*cw.PutMetricAlarmInput){
		"period":          func(a *cw.PutMetricAlarmInput) { a.Metrics[0].MetricStat.Period = aws.Int32(45) },
		"returned":        func(a *cw.PutMetricAlarmInput) { a.Metrics[0].ReturnData = aws.Bool(true) },
		"no id":           func(a *cw.PutMetricAlarmInput) { a.Metrics[0].Id = aws.String("M1") },
		"at most 10":      func(a *cw.PutMetricAlarmInput) { a.Metrics = slices.Repeat(a.Metrics, 4) },
		"actions":         func(a *cw.PutMetricAlarmInput) { a.OKActions = make([]string, 6) },
		"a number":        func(a *cw.PutMetricAlarmInput) { a.Threshold = aws.Float64(math.NaN()) },
		"missing data":    func(a *cw.PutMetricAlarmInput) { a.TreatMissingData = nil },
		"search":          func(a *cw.PutMetricAlarmInput) { a.Metrics[2].Expression = aws.String("SEARCH('x', 'Sum', 60)") },
		"same time":       func(a *cw.PutMetricAlarmInput) { a.MetricName = aws.String("x") },
		"m is from":       func(a *cw.PutMetricAlarmInput) { a.DatapointsToAlarm = aws.Int32(9) },
		"characters":      func(a *cw.PutMetricAlarmInput) { a.AlarmName = aws.String(strings.Repeat("x", 256)) },
		"at most 86400 s": func(a *cw.PutMetricAlarmInput) { a.EvaluationPeriods = aws.Int32(1000) },
	} {
		c := rendered(t, onAWS(t, alarm.Analysis))
		i := slices.IndexFunc(c.Alarms, func(a cw.PutMetricAlarmInput) bool { return *a.AlarmName == "forebay-error-rate-critical" })
		spoil(&c.Alarms[i])
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := rendered(t, onAWS(t, alarm.Analysis))
	c.Composites[0].AlarmRule = aws.String(`ALARM("nobody")`)
	c.Alarms = append(c.Alarms, c.Alarms[0])
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "nobody") || !strings.Contains(err.Error(), "there twice") {
		t.Errorf("%v", err)
	}
}

// TestAlarmCost: what the alarms cost is what the documentation says.
func TestAlarmCost(t *testing.T) {
	cfg := onAWS(t, alarm.Interactive)
	cfg.Functions, cfg.Tables, cfg.Models = cfg.Functions[:1], cfg.Tables[1:], nil
	c := rendered(t, cfg)
	t.Logf("%d alarms, %d composite ones: $%.2f a month", len(c.Alarms), len(c.Composites), c.MonthlyUSD())
	if usd := c.MonthlyUSD(); usd < 3 || usd > 8 {
		t.Errorf("$%.2f a month", usd)
	}
}

// TestNamesAreSeries: each metric that claims to carry one of alarms carries one that there
// is, in a unit that fits, and custom metrics are found.
func TestNamesAreSeries(t *testing.T) {
	known := map[string]string{}
	for _, m := range observe.Metrics() {
		known[m.Name] = m.Unit
	}
	seen := map[string]bool{}
	for _, m := range names.Metrics() {
		if seen[m.Name] || m.Doc == "" {
			t.Errorf("%s is there twice, or says nothing", m.Name)
		}
		seen[m.Name] = true
		if m.Series == "" {
			continue
		}
		unit, ok := known[m.Series]
		want := map[string]float64{"s": 1000, "micro-USD": 1e-6}[unit]
		if unit == "s" && m.Unit == names.Seconds || want == 0 {
			want = 1
		}
		if m.Unit == names.Percent {
			want = 100
		}
		if !ok || m.Scale != want {
			t.Errorf("%s of %s (%s): a scale of %v, want %v", m.Name, m.Series, unit, m.Scale, want)
		}
	}
	vocabulary, err := monitor.New(monitor.Config{Custom: monitor.UserMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range vocabulary.Vocabulary() {
		for name := range strings.SplitSeq(info.CloudWatch, ", ") {
			if name != "" && !seen[name] && !info.Custom {
				t.Errorf("%s is called %s in CloudWatch, and not published", info.Name, name)
			}
		}
	}
	d := alarm.Definition{Name: "idle", Severity: alarm.Warning, Measure: alarm.Measure{Metric: "custom_study_time", Stat: "sum", Window: time.Hour}, Op: "<", Threshold: 60, Message: "m"}
	c := rendered(t, export.CloudWatchConfig{Definitions: []alarm.Definition{d}, Vocabulary: vocabulary.Vocabulary()})
	if a := alarmOf(t, c, "idle"); *a.MetricName != "StudyTime" || *a.Threshold != 60 || *a.Period != 3600 {
		t.Errorf("%+v", a)
	}
}

// TestDashboard: alarms first, thresholds drawn, no more than CloudWatch takes.
func TestDashboard(t *testing.T) {
	cfg := onAWS(t, alarm.Interactive)
	cfg.Region, cfg.Account = "ap-south-1", "123456789012"
	cfg.Dimensions = map[string]string{"Stage": "prod"}
	body, err := export.CloudWatchDashboard(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Widgets []struct {
			Type                string
			X, Y, Width, Height int
			Properties          struct {
				Title       string
				Alarms      []string
				Metrics     [][]any
				Annotations struct{ Horizontal []struct{ Value float64 } }
			}
		}
	}
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	first := d.Widgets[0]
	if first.Type != "alarm" || first.Y != 0 || first.Width != 24 || !slices.Contains(first.Properties.Alarms, "arn:aws:cloudwatch:ap-south-1:123456789012:alarm:forebay-service-degraded") ||
		slices.Contains(first.Properties.Alarms, "arn:aws:cloudwatch:ap-south-1:123456789012:alarm:forebay-budget-burn-critical-1h") {
		t.Errorf("%+v", first)
	}
	seen := map[[2]int]bool{}
	for _, w := range d.Widgets {
		if seen[[2]int{w.X, w.Y}] {
			t.Errorf("%s lies on another", w.Properties.Title)
		}
		seen[[2]int{w.X, w.Y}] = true
		for _, m := range w.Properties.Annotations.Horizontal {
			if math.IsInf(m.Value, 0) || m.Value <= 0 {
				t.Errorf("%s: a threshold of %v", w.Properties.Title, m.Value)
			}
		}
	}
	for _, text := range []string{`"IF(m2 > 0, 100*m1/m2)"`, `SEARCH('{\"Forebay\",Operation,Stage} MetricName=\"ResponseTime\" Stage=\"prod\"', 'p95', 60)`, `"ConsumedWriteCapacityUnits"`, `"voice-learning-sessions"`, `"value": 3000`, `"value": 40`} {
		if !strings.Contains(string(body), text) {
			t.Errorf("%s is not in it", text)
		}
	}
	if strings.Contains(string(body), "Forebay\\\",Target") {
		t.Error("it searches for what is not published")
	}
	cfg.By = []names.Dimension{names.Target}
	if body, err = export.CloudWatchDashboard(cfg); err != nil || !strings.Contains(string(body), `SEARCH('{\"Forebay\",Target,Stage}`) || strings.Contains(string(body), "Operation,Stage") {
		t.Errorf("by target: %v", err)
	}
	for i := range 200 {
		cfg.Functions = append(cfg.Functions, fmt.Sprint("f", i))
	}
	if _, err := export.CloudWatchDashboard(cfg); err == nil || !strings.Contains(err.Error(), "at most 500") {
		t.Errorf("600 widgets: %v", err)
	}
}

// modelled checks requests against AWS's own model of the service.
const modelled = `
import json, sys
try:
    import botocore.session
    from botocore.validate import ParamValidator
except ImportError as e:
    print(e, file=sys.stderr); sys.exit(3)
service = botocore.session.get_session().get_service_model("cloudwatch")
document = json.load(sys.stdin)
for operation, requests in document.items():
    shape = service.operation_model(operation).input_shape
    for request in requests:
        report = ParamValidator().validate(request, shape)
        if report.has_errors():
            print(operation, request.get("AlarmName"), report.generate_report())
`

// python finds the Python that has AWS's models.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "python"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.CommandContext(t.Context(), path, "-c", "import botocore.validate").Run() == nil {
			return path
		}
	}
	t.Skip("python3 with botocore is not here (pip install 'moto[server]==5.2.1'): the alarms are not held against AWS's model")
	return ""
}

// TestServiceModel: AWS's own model takes all of it.
func TestServiceModel(t *testing.T) {
	interpreter := python(t)
	check := func(document any) string {
		t.Helper()
		in, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), interpreter, "-c", modelled)
		cmd.Stdin = strings.NewReader(string(in))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	var alarms, composites, dashboards []any
	for _, profile := range []string{alarm.Standard, alarm.Analysis, alarm.Interactive} {
		cfg := onAWS(t, profile)
		text, err := rendered(t, cfg).JSON()
		if err != nil {
			t.Fatal(err)
		}
		var document struct{ MetricAlarms, CompositeAlarms []any }
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		body, err := export.CloudWatchDashboard(cfg)
		if err != nil {
			t.Fatal(err)
		}
		alarms, composites = append(alarms, document.MetricAlarms...), append(composites, document.CompositeAlarms...)
		dashboards = append(dashboards, map[string]any{"DashboardName": profile, "DashboardBody": string(body)})
	}
	requests := map[string]any{"PutMetricAlarm": alarms, "PutCompositeAlarm": composites, "PutDashboard": dashboards}
	if report := check(requests); report != "" {
		t.Error(report)
	}
	alarms[0].(map[string]any)["Periods"] = 3 // the check itself can fail
	if report := check(requests); !strings.Contains(report, "Periods") {
		t.Errorf("an unknown member is taken: %q", report)
	}
}

// TestAlarmsOnMoto: what is made is what is described.
func TestAlarmsOnMoto(t *testing.T) {
	client := cw.NewFromConfig(awstest.Config(awstest.Moto(t)), func(o *cw.Options) { o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801) })
	cfg := onAWS(t, alarm.Interactive)
	cfg.Definitions, cfg.By = append(cfg.Definitions, gauges()...), []names.Dimension{names.Target, names.Budget, names.Priority}
	cfg.Values = map[string][]string{"target": {"eu/haiku", "us/größer"}, "budget": {"day"}, "band": {"low"}}
	c := rendered(t, cfg)
	for i := range c.Alarms {
		if _, err := client.PutMetricAlarm(t.Context(), &c.Alarms[i]); err != nil {
			t.Fatalf("%s: %v", *c.Alarms[i].AlarmName, err)
		}
	}
	described := map[string]types.MetricAlarm{}
	pages := cw.NewDescribeAlarmsPaginator(client, &cw.DescribeAlarmsInput{AlarmNamePrefix: aws.String("forebay-")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.MetricAlarms {
			described[*a.AlarmName] = a
		}
	}
	if len(described) != len(c.Alarms) {
		t.Errorf("%d of %d are there", len(described), len(c.Alarms))
	}
	for _, a := range c.Alarms {
		got := described[*a.AlarmName]
		if aws.ToFloat64(got.Threshold) != *a.Threshold || aws.ToInt32(got.EvaluationPeriods) != *a.EvaluationPeriods || aws.ToString(got.TreatMissingData) != *a.TreatMissingData ||
			aws.ToString(got.MetricName) != aws.ToString(a.MetricName) || len(got.Metrics) != len(a.Metrics) || aws.ToString(got.ExtendedStatistic) != aws.ToString(a.ExtendedStatistic) ||
			got.ComparisonOperator != a.ComparisonOperator {
			t.Errorf("%s: %+v", *a.AlarmName, got)
		}
	}
	body, err := export.CloudWatchDashboard(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutDashboard(t.Context(), &cw.PutDashboardInput{DashboardName: aws.String("forebay"), DashboardBody: aws.String(string(body))}); err != nil {
		t.Fatal(err)
	}
	kept, err := client.GetDashboard(t.Context(), &cw.GetDashboardInput{DashboardName: aws.String("forebay")})
	if err != nil || *kept.DashboardBody != string(body) {
		t.Errorf("the dashboard came back otherwise: %v", err)
	}
	if _, err := client.GetDashboard(t.Context(), &cw.GetDashboardInput{DashboardName: aws.String("nobody")}); errors.Is(err, nil) {
		t.Error("a dashboard that is not there")
	}
}
