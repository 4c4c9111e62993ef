package observability_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	dto "github.com/prometheus/client_model/go"

	"github.com/forebay-ai/forebay/deploy/observability"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

// promtool runs it in a folder with the given files.
func promtool(t *testing.T, files map[string][]byte, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not on the PATH (Debian: apt-get install prometheus): expressions are checked by name alone")
	}
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func asYAML(t *testing.T, v any) []byte {
	t.Helper()
	b, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type object = map[string]any

// Every expression is valid as a recording rule.
func TestExpressionsAreValid(t *testing.T) {
	var rules []object
	for i, expr := range expressions(t) {
		rules = append(rules, object{"record": fmt.Sprintf("panel:%d", i), "expr": expr})
	}
	promtool(t, map[string][]byte{"rules.yml": asYAML(t, object{"groups": []object{{"name": "dashboard", "rules": rules}}})}, "check", "rules", "rules.yml")
}

// No panel is empty, and none shows what is not a number: when the gateway was never
// scraped, when it runs and nothing happens, and when everything happens.
func TestNoPanelIsEmpty(t *testing.T) {
	idle, busy := scrape(t, idling(t)), scrape(t, working(t))
	for name, input := range map[string][]object{"never scraped": nil, "idle": idle, "busy": busy} {
		t.Run(name, func(t *testing.T) {
			var tests []object
			for _, expr := range expressions(t) {
				tests = append(tests, object{
					// A value that equals itself is a number.
					"expr": "count((" + expr + ") == (" + expr + ")) > bool 0", "eval_time": "10m",
					"exp_samples": []object{{"labels": "{}", "value": 1}},
				})
				tests = append(tests, object{ // and all of them are numbers
					"expr": "count(" + expr + ") - count((" + expr + ") == (" + expr + "))", "eval_time": "10m",
					"exp_samples": []object{{"labels": "{}", "value": 0}},
				})
			}
			group := object{"interval": "15s", "promql_expr_test": tests}
			if input != nil {
				group["input_series"] = input
			}
			promtool(t, map[string][]byte{"test.yml": asYAML(t, object{"evaluation_interval": "15s", "tests": []object{group}})}, "test", "rules", "test.yml")
		})
	}
}

// What has values shows them: idle fall-backs do not hide them.
func TestPanelsShowValues(t *testing.T) {
	exprs := expressions(t)
	at := func(part string) string {
		i := slices.IndexFunc(exprs, func(e string) bool { return strings.Contains(e, part) })
		if i < 0 {
			t.Fatalf("no expression with %s", part)
		}
		return exprs[i]
	}
	var tests []object
	for _, test := range []struct {
		expr    string
		samples []object
	}{
		{at("forebay_users"), []object{{"labels": "{}", "value": 12}}},
		{at("sum by (priority) (forebay_queue_depth"), []object{
			{"labels": `{priority="low"}`, "value": 1},
			{"labels": `{priority="normal"}`, "value": 2},
			{"labels": `{priority="high"}`, "value": 3},
			{"labels": `{priority="critical"}`, "value": 4},
		}},
		{at("2 * forebay_breaker_state"), []object{
			{"labels": `{target="bedrock/haiku"}`, "value": 2}, {"labels": `{target="local/llama"}`, "value": 1}, {"labels": `{target="local/tiny"}`, "value": 0},
		}},
		{at("forebay_budget_spent_ratio"), []object{{"labels": `{budget="students"}`, "value": 0.75}}},
	} {
		tests = append(tests, object{"expr": test.expr, "eval_time": "10m", "exp_samples": test.samples})
	}
	group := object{"interval": "15s", "promql_expr_test": tests, "input_series": scrape(t, working(t))}
	promtool(t, map[string][]byte{"test.yml": asYAML(t, object{"evaluation_interval": "15s", "tests": []object{group}})}, "test", "rules", "test.yml")
}

// The example configuration is one. promtool before 3.8 does not know all of it.
func TestPrometheusConfiguration(t *testing.T) {
	config := observability.Prometheus()
	rules, err := os.ReadFile("forebay-rules.yaml") // of package alarm/export
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "promtool", "--version").CombinedOutput()
	if version := regexp.MustCompile(`version (\d+)\.(\d+)`).FindStringSubmatch(string(out)); err == nil && version != nil && version[1] == "2" {
		t.Logf("promtool %s.%s: without the lines on native histograms", version[1], version[2])
		config = regexp.MustCompile(`(?m)^.*_(native|classic)_histograms: true\n`).ReplaceAll(config, nil)
	}
	promtool(t, map[string][]byte{"prometheus.yml": config, "forebay-rules.yaml": rules}, "check", "config", "prometheus.yml")
}

var names = monitor.Config{
	Operations: []string{"chat"}, Models: []string{"haiku"}, Providers: []string{"bedrock"}, Targets: []string{"bedrock/haiku", "local/llama", "local/tiny"},
	Functions: []string{"generator"}, Budgets: []string{"students"}, Custom: monitor.UserMetrics(),
}

// idling is a gateway that runs, of which nobody wants anything.
func idling(t *testing.T) *monitor.Monitor {
	t.Helper()
	m, err := monitor.New(names)
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(monitor.Source{
		Queue: func() monitor.QueueSample { return monitor.QueueSample{InFlight: map[string]int{"local/llama": 0}} },
		Cache: func() monitor.CacheSample { return monitor.CacheSample{} },
		Jobs:  func() monitor.JobSample { return monitor.JobSample{Up: true} },
		State: func() monitor.StateSample { return monitor.StateSample{AlertingUp: true} },
	})
	return m
}

// working is one to which everything has happened.
func working(t *testing.T) *monitor.Monitor {
	t.Helper()
	m, err := monitor.New(names)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []monitor.Call{
		{Outcome: monitor.OK, Cache: "hit", SavedMicroUSD: 9},
		{Outcome: monitor.OK, Cache: "miss", Stream: true, FirstToken: time.Second, OutputTokens: 20, Attempts: 1, Usage: llm.Usage{Input: 10, Output: 5}, CostMicroUSD: 100},
		{Outcome: monitor.Degraded, ErrorType: llm.ProviderError, Fallback: "template", QueueWait: time.Second, Attempts: 2},
		{Outcome: monitor.Refused, ErrorType: llm.PolicyOverloaded},
	} {
		c.Operation, c.Model, c.Provider, c.Duration = "chat", "haiku", "bedrock", 2*time.Second
		c.CacheLookup, c.Upstream, c.Overhead = time.Microsecond, time.Second, time.Microsecond
		m.Record(&c)
	}
	m.RecordAttempt(&monitor.Attempt{Provider: "bedrock", Model: "haiku", Duration: time.Second, FirstToken: time.Millisecond})
	m.Retried(llm.ProviderError)
	m.QueueRefused("full")
	m.CacheStored(100)
	m.Dropped("spans", 1)
	m.BreakerChanged("bedrock/haiku", "closed", "open")
	m.BreakerChanged("local/llama", "open", "half_open")
	m.Watch(monitor.Source{
		Queue: func() monitor.QueueSample {
			return monitor.QueueSample{Waiting: [4]int{1, 2, 3, 4}, Oldest: time.Second, InFlight: map[string]int{"local/llama": 1}, Max: map[string]int{"local/llama": 2}}
		},
		Cache: func() monitor.CacheSample {
			return monitor.CacheSample{
				Entries: 1, Bytes: 2, Hits: 3, Misses: 4, HitsOnDisk: 1, MissReasons: map[string]int64{"expired": 4},
				Saved: map[string]monitor.Saving{"chat": {Tokens: 5}}, Store: &monitor.StoreSample{Up: true},
			}
		},
		Jobs: func() monitor.JobSample { return monitor.JobSample{Up: true, Queued: [4]int{1}} },
		Tables: func() monitor.TablesSample {
			return monitor.TablesSample{Calls: map[string]monitor.TableCalls{"cache.get": {Calls: 9, ReadUnits: 4.5}}, Connections: 5, Opened: 8, Reused: 4}
		},
		State: func() monitor.StateSample {
			return monitor.StateSample{Users: 12, Connections: 3, AlertingUp: true, Warning: 1, BudgetSpent: map[string]float64{"students": 0.75}}
		},
	})
	return m
}

// scrape is what Prometheus has after ten minutes of scraping m: gauges stay, and what
// counts has risen steadily to what it is.
func scrape(t *testing.T, m *monitor.Monitor) []object {
	t.Helper()
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var input []object
	add := func(name string, labels map[string]string, value float64, counts bool) {
		text := []string{`instance="a"`, `job="forebay"`}
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			text = append(text, fmt.Sprintf("%s=%q", k, labels[k]))
		}
		values := fmt.Sprintf("%gx60", value)
		if counts {
			values = fmt.Sprintf("0+%gx60", value)
		}
		input = append(input, object{"series": name + "{" + strings.Join(text, ",") + "}", "values": values})
	}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range s.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				add(f.GetName(), labels, s.GetCounter().GetValue(), true)
			case dto.MetricType_GAUGE:
				add(f.GetName(), labels, s.GetGauge().GetValue(), false)
			case dto.MetricType_HISTOGRAM:
				for _, b := range s.GetHistogram().GetBucket() {
					labels["le"] = fmt.Sprint(b.GetUpperBound())
					add(f.GetName()+"_bucket", labels, float64(b.GetCumulativeCount()), true)
				}
				labels["le"] = "+Inf"
				add(f.GetName()+"_bucket", labels, float64(s.GetHistogram().GetSampleCount()), true)
			}
		}
	}
	return input
}
