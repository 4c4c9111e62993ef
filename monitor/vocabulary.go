package monitor

import (
	"slices"
	"strings"
)

// MetricInfo describes one metric.
type MetricInfo struct {
	// Name is its name in Prometheus, Kind counter, gauge or histogram.
	Name, Kind string
	// Unit is seconds, bytes, tokens, USD, ratio, a custom metric's own word, or empty
	// for plain numbers.
	Unit string
	// Labels are in the order of declaration.
	Labels []string
	Doc    string
	// CloudWatch is its name in the specification and in CloudWatch; several, of one
	// metric's different readings, stand with commas between. Empty where it has none.
	CloudWatch string
	// OTel is the instrument of the OpenTelemetry conventions that carries the same
	// measurement. Empty where they have none: then it is sent under Name.
	OTel string
	// Custom says that the embedder declared it.
	Custom bool
}

// Vocabulary lists every metric that this monitor may ever show, in the order of names,
// whether it has series already or not. It leaves out the metrics of the Go runtime and
// of the process.
func (m *Monitor) Vocabulary() []MetricInfo {
	all := slices.Clone(m.vocabulary)
	for i := range all {
		all[i].Labels = slices.Clone(all[i].Labels)
	}
	slices.SortFunc(all, func(a, b MetricInfo) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// names are those of one metric in other vocabularies.
type names struct{ cloudWatch, otel string }

// namesElsewhere gives a metric's names in the specification (as CloudWatch has them)
// and in the GenAI conventions of OpenTelemetry, v1.41.0.
func namesElsewhere(name string) names {
	switch name {
	case "requests_total":
		return names{cloudWatch: "RequestCount, ErrorCount, ErrorRate"}
	case "request_duration_seconds":
		return names{"ResponseTime", "gen_ai.server.request.duration"}
	case "function_duration_seconds":
		return names{cloudWatch: "ResponseTime"}
	case "tokens_total":
		return names{"TokenUsage", "gen_ai.client.token.usage"}
	case "cache_hits_total", "cache_misses_total":
		return names{cloudWatch: "CacheHitRate"}
	case "queue_depth":
		return names{cloudWatch: "QueueDepth"}
	case "cost_usd_total":
		return names{cloudWatch: "Cost"}
	case "user_cost_month_usd":
		return names{cloudWatch: "CostPerUser"}
	case "users":
		return names{cloudWatch: "ConcurrentUsers"}
	case "connections":
		return names{cloudWatch: "ActiveConnections"}
	case "upstream_duration_seconds":
		return names{otel: "gen_ai.client.operation.duration"}
	case "upstream_time_to_first_token_seconds":
		return names{otel: "gen_ai.client.operation.time_to_first_chunk"}
	case "time_to_first_token_seconds":
		return names{otel: "gen_ai.server.time_to_first_token"}
	case "time_per_output_token_seconds":
		return names{otel: "gen_ai.server.time_per_output_token"}
	}
	return names{}
}

// unitOf reads the unit out of a metric's name, where Prometheus wants it to stand.
func unitOf(name string) string {
	for _, unit := range []struct{ word, name string }{
		{"_seconds", "seconds"},
		{"_bytes", "bytes"},
		{"_usd", "USD"},
		{"tokens_total", "tokens"},
		{"_ratio", "ratio"},
	} {
		if strings.Contains(name, unit.word) {
			return unit.name
		}
	}
	return ""
}

// isTotal says that a name is a counter's.
func isTotal(name string) bool { return strings.HasSuffix(name, "_total") }
