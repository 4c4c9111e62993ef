package export_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/export"
	"github.com/forebay-ai/forebay/monitor"
)

func definition(metric, stat string, change func(*alarm.Definition)) alarm.Definition {
	d := alarm.Definition{
		Name: "the-test", Severity: alarm.Warning, Op: ">", Threshold: 5, Message: "Something.",
		Measure: alarm.Measure{Metric: metric, Stat: stat, Window: 5 * time.Minute},
	}
	if change != nil {
		change(&d)
	}
	return d
}

func newMonitor(t *testing.T, custom ...monitor.CustomMetric) *monitor.Monitor {
	t.Helper()
	m, err := monitor.New(monitor.Config{Custom: custom})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNames: every metric of a rule is one that package monitor shows, with those labels.
func TestNames(t *testing.T) {
	shown := map[string]monitor.MetricInfo{}
	for _, info := range newMonitor(t).Vocabulary() {
		shown[info.Name] = info
	}
	for name, bare := range export.Metrics() {
		info, ok := shown["forebay_"+bare]
		if !ok {
			t.Errorf("%s is exported as forebay_%s, which the monitor does not show", name, bare)
			continue
		}
		stat := map[string]string{"counter": "sum", "gauge": "last", "histogram": "p95"}[info.Kind]
		if _, err := export.PrometheusRules([]alarm.Definition{definition(name, stat, nil)}, ""); err != nil {
			t.Errorf("%s, which is a %s: %v", name, info.Kind, err)
		}
		for _, by := range []string{"operation", "model", "error", "fallback", "band", "target", "budget"} {
			d := definition(name, stat, func(d *alarm.Definition) { d.By = by })
			data, err := export.PrometheusRules([]alarm.Definition{d}, "")
			if err != nil {
				continue // it has no such label
			}
			there := map[string]string{"error": "error_type", "band": "priority"}[by]
			if there == "" {
				there = by
			}
			if !strings.Contains(strings.Join(info.Labels, " "), there) || !strings.Contains(string(data), ", "+there) {
				t.Errorf("%s by %s: %s has the labels %v", name, by, info.Name, info.Labels)
			}
		}
	}
}

func TestExpressions(t *testing.T) {
	documents := monitor.CustomMetric{Name: "documents", Doc: "Documents that users added.", Kind: monitor.CustomCounter, Labels: []monitor.CustomLabel{{Name: "subject", Values: []string{"maths"}}}}
	study := monitor.CustomMetric{Name: "study_time", Unit: "s", Doc: "Time that users studied.", Kind: monitor.CustomCounter}
	m := newMonitor(t, documents, study)
	for _, tt := range []struct {
		name string
		d    alarm.Definition
		want string
	}{
		{"cost is in micro-dollars", definition("cost", "sum", func(d *alarm.Definition) { d.Threshold = 2.5e6 }), `(sum by (job) (increase(forebay_cost_usd_total[5m]))) > 2.5`},
		{"cost of a call", definition("cost", "sum", func(d *alarm.Definition) { d.Over, d.Threshold = "requests", 2000 }), `> 0.002`},
		{"rate by target's error", definition("failures", "rate", func(d *alarm.Definition) { d.By = "error" }), `sum by (job, error_type) (rate(forebay_requests_total{outcome=~"error|refused",error_type!~"caller_.*"}[5m]))`},
		{"p50 by operation", definition("duration", "p50", func(d *alarm.Definition) { d.By = "operation" }), `histogram_quantile(0.5, sum by (job, operation, le) (rate(forebay_request_duration_seconds_bucket[5m])))`},
		{"max of a gauge", definition("in_flight", "max", func(d *alarm.Definition) { d.By = "target" }), `max_over_time((sum by (job, instance, target) (forebay_inflight_requests))[5m:15s])`},
		{"a short window", definition("requests", "sum", func(d *alarm.Definition) { d.Window = 10 * time.Second }), `[2m]`},
		{"custom", definition("custom_documents", "sum", func(d *alarm.Definition) { d.By = "subject" }), `sum by (job, subject) (increase(forebay_custom_documents_total[5m]))`},
		{"custom with a unit", definition("custom_study_time", "sum", nil), `increase(forebay_custom_study_time_`},
		{"template in words", definition("users", "last", func(d *alarm.Definition) { d.Message = `{{ "danger" }}` }), `summary: "{{\"{{\"}} \"danger\" }}"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := export.Rules(export.Config{Definitions: []alarm.Definition{tt.d}, Vocabulary: m.Vocabulary()})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(data), tt.want) {
				t.Errorf("no %s in:\n%s", tt.want, data)
			}
			if err := promtool(t, data, "tests: []\n"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	_, err := export.PrometheusRules([]alarm.Definition{
		definition("weather", "last", func(d *alarm.Definition) { d.Name = "no-metric" }),
		definition("custom_documents", "sum", func(d *alarm.Definition) { d.Name = "no-custom" }),
		definition("retries", "sum", func(d *alarm.Definition) { d.Name, d.By = "no-label", "target" }),
		definition("duration", "max", func(d *alarm.Definition) { d.Name = "no-stat" }),
		definition("user_cost_month", "last", func(d *alarm.Definition) { d.Name, d.Unit = "rupees", "INR" }),
		definition("users", "last", func(d *alarm.Definition) { d.Name, d.Op = "invalid", "=" }),
	}, "forebay")
	for _, part := range []string{"no-metric.metric", "no-custom.metric", "no-label.by", "no-stat.stat", "rupees.unit", "invalid.op"} {
		if err == nil || !strings.Contains(err.Error(), "alarms.definitions."+part) {
			t.Errorf("no fault of %s in %v", part, err)
		}
	}
}

func TestLeftOut(t *testing.T) {
	off := definition("users", "last", func(d *alarm.Definition) { d.Off = true })
	external := definition("AWS/Lambda Throttles", "sum", func(d *alarm.Definition) { d.Name, d.External = "throttles", true })
	data, err := export.PrometheusRules([]alarm.Definition{off, external}, "other")
	if err != nil {
		t.Fatal(err)
	}
	want := "# the-test is off.\n# throttles is judged where AWS/Lambda Throttles is measured.\ngroups:\n"
	if !strings.HasSuffix(string(data), want) {
		t.Errorf("got:\n%s", data)
	}
	if err := promtool(t, data, "tests: []\n"); err != nil {
		t.Error(err)
	}
}

func ExamplePrometheusRules() {
	data, err := export.PrometheusRules([]alarm.Definition{{
		Name: "store-down", Severity: alarm.Critical,
		Measure: alarm.Measure{Metric: "store_up", Stat: "last", Window: time.Minute},
		Op:      "<", Threshold: 1, M: 2, N: 3,
		Message: "A store does not take changes.", Do: "Look at the disk.",
	}}, "forebay")
	fmt.Printf("%s%v", data, err)
	// Output:
	// # Code generated by forebay from its alarms; DO NOT EDIT.
	// groups:
	//   - name: forebay
	//     interval: 15s
	//     rules:
	//       - alert: ForebayStoreDown
	//         expr: |-
	//           (min by (job, instance) (forebay_jobs_store_up)) < 1
	//         for: 20s
	//         keep_firing_for: 30s
	//         labels:
	//           severity: critical
	//           alarm: store-down
	//         annotations:
	//           summary: "A store does not take changes."
	//           description: "store_up is {{ $value | humanize }} (limit < 1). Look at the disk."
	// <nil>
}
