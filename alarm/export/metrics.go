package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/monitor"
)

// kind is what a metric is in Prometheus.
type kind uint8

const (
	counter kind = iota
	gauge
	histogram
)

// metric is where a metric of an alarm is found in Prometheus.
type metric struct {
	kind kind
	name string // without the namespace
	// match are the label matchers that choose its part of the metric, and labels the
	// names there of the labels that an alarm may have as its By.
	match  string
	labels map[string]string
	// sum is how a gauge's series of one instance are put together: sum, max or min.
	sum string
	// scale is what a value there is multiplied by; 0 means 1.
	scale float64
}

// The parts of requests_total. Failures are what package monitor counts as such.
const (
	failed  = `outcome=~"error|refused",error_type!~"caller_.*"`
	hits    = `hit|stale_hit`
	misses  = `miss|stale`
	million = 1e6
)

// metrics lists the metrics of package series that package monitor shows as well. One
// table on purpose: rows read best together.
func metrics() map[string]metric {
	call := map[string]string{"operation": "operation", "model": "model"}
	failing := map[string]string{"operation": "operation", "model": "model", "error": "error_type"}
	operation := map[string]string{"operation": "operation"}
	model := map[string]string{"model": "model"}
	target := map[string]string{"target": "target"}
	band := map[string]string{"band": "priority"}
	return map[string]metric{
		"requests":         {kind: counter, name: "requests_total", labels: call},
		"failures":         {kind: counter, name: "requests_total", match: failed, labels: failing},
		"refused":          {kind: counter, name: "requests_total", match: `outcome="refused"`, labels: call},
		"degraded":         {kind: counter, name: "requests_total", match: `outcome="degraded"`, labels: map[string]string{"fallback": "fallback"}},
		"good":             {kind: counter, name: "good_requests_total", labels: call},
		"hits":             {kind: counter, name: "requests_total", match: `cache=~"` + hits + `"`, labels: call},
		"misses":           {kind: counter, name: "requests_total", match: `cache=~"` + misses + `"`, labels: call},
		"lookups":          {kind: counter, name: "requests_total", match: `cache=~"` + hits + "|" + misses + `"`, labels: call},
		"input_tokens":     {kind: counter, name: "tokens_total", match: `direction="input"`, labels: call},
		"output_tokens":    {kind: counter, name: "tokens_total", match: `direction="output"`, labels: call},
		"cost":             {kind: counter, name: "cost_usd_total", labels: call, scale: million},
		"saved":            {kind: counter, name: "saved_usd_total", labels: call, scale: million},
		"retries":          {kind: counter, name: "retries_total"},
		"attempts":         {kind: counter, name: "attempts_total"},
		"attempt_failures": {kind: counter, name: "attempts_total", match: `error_type=~"provider_.*"`},
		"dropped":          {kind: counter, name: "dropped_total"},

		"duration":    {kind: histogram, name: "request_duration_seconds", labels: operation},
		"first_token": {kind: histogram, name: "time_to_first_token_seconds", labels: model},
		"per_token":   {kind: histogram, name: "time_per_output_token_seconds", labels: model},
		"queue_wait":  {kind: histogram, name: "queue_wait_seconds", labels: band},
		"overhead":    {kind: histogram, name: "overhead_seconds"},
		"upstream":    {kind: histogram, name: "upstream_duration_seconds"},

		"waiting":           {kind: gauge, name: "queue_depth", labels: band, sum: "sum"},
		"oldest_wait":       {kind: gauge, name: "queue_oldest_wait_seconds", sum: "max"},
		"in_flight":         {kind: gauge, name: "inflight_requests", labels: target, sum: "sum"},
		"limit":             {kind: gauge, name: "inflight_requests_limit", labels: target, sum: "sum"},
		"breaker_open":      {kind: gauge, name: "breaker_state", match: `state!="closed"`, labels: target, sum: "max"},
		"breaker_half_open": {kind: gauge, name: "breaker_state", match: `state="half_open"`, labels: target, sum: "max"},
		"jobs_queued":       {kind: gauge, name: "jobs", match: `state="queued"`, sum: "sum"},
		"jobs_oldest":       {kind: gauge, name: "jobs_oldest_seconds", sum: "max"},
		"jobs_dead":         {kind: gauge, name: "jobs_dead", sum: "sum"},
		"store_up":          {kind: gauge, name: "jobs_store_up", sum: "min"},
		"alerting_up":       {kind: gauge, name: "alerting_up", sum: "min"},
		"users":             {kind: gauge, name: "users", sum: "sum"},
		"connections":       {kind: gauge, name: "connections", sum: "sum"},
		"cache_entries":     {kind: gauge, name: "cache_entries", sum: "sum"},
		"cache_bytes":       {kind: gauge, name: "cache_bytes", sum: "sum"},
		"user_cost_month":   {kind: gauge, name: "user_cost_month_usd", sum: "max"},
		"budget_spent":      {kind: gauge, name: "budget_spent_ratio", labels: map[string]string{"budget": "budget"}, sum: "max"},
		"degradation":       {kind: gauge, name: "degradation_level", sum: "max"},
	}
}

// Metrics lists the metrics of alarms that have a name in Prometheus, sorted, with these
// names after the namespace.
func Metrics() map[string]string {
	all := map[string]string{}
	for name, m := range metrics() {
		all[name] = m.name
	}
	return all
}

const customPrefix = "custom_"

// metricOf finds a definition's metric, and checks that it has the label and the kind that
// the definition wants.
func metricOf(d alarm.Definition, name string, cfg Config) (metric, error) {
	m, ok := metrics()[name]
	if rest, custom := strings.CutPrefix(name, customPrefix); custom {
		m, ok = customOf(rest, cfg)
	}
	if !ok {
		return m, fmt.Errorf("alarms.definitions.%s.metric: %s has no name in Prometheus; leave the alarm out, or use one of %s",
			d.Name, name, strings.Join(slices.Sorted(maps.Keys(metrics())), ", "))
	}
	if d.By != "" && m.labels[d.By] == "" {
		return m, fmt.Errorf("alarms.definitions.%s.by: %s has no label for %s in Prometheus", d.Name, name, d.By)
	}
	if !slices.Contains(statsOf(m.kind), d.Stat) {
		return m, fmt.Errorf("alarms.definitions.%s.stat: Prometheus has no %s of %s; use one of %s", d.Name, d.Stat, name, strings.Join(statsOf(m.kind), ", "))
	}
	return m, nil
}

func statsOf(k kind) []string {
	switch k {
	case counter:
		return []string{"sum", "rate"}
	case gauge:
		return []string{"last", "min", "max", "mean"}
	}
	return []string{"count", "sum", "mean", "rate", "p50", "p90", "p95", "p99"}
}

// customOf finds a custom metric: NAME, NAME_UNIT, or either with _total at its end.
func customOf(name string, cfg Config) (metric, bool) {
	for _, info := range cfg.Vocabulary {
		bare, ours := strings.CutPrefix(info.Name, cfg.Namespace+"_"+customPrefix)
		if !ours || !info.Custom || !isCustom(strings.TrimSuffix(bare, "_total"), name, info) {
			continue
		}
		m := metric{kind: map[string]kind{"counter": counter, "gauge": gauge, "histogram": histogram}[info.Kind], name: customPrefix + bare, labels: map[string]string{}, sum: "max"}
		for _, l := range info.Labels {
			m.labels[l] = l
		}
		return m, true
	}
	return metric{}, false
}

func isCustom(bare, name string, info monitor.MetricInfo) bool {
	if bare == name {
		return true
	}
	unit, ok := strings.CutPrefix(bare, name+"_")
	return ok && strings.EqualFold(unit, strings.ReplaceAll(info.Unit, " ", "_"))
}
