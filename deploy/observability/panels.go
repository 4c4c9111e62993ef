package observability

import "strings"

// panel is one panel of the dashboard, before it has a place.
type panel struct {
	title, doc, unit string
	kind             string // stat, timeseries, state-timeline, bargauge
	width            int    // of 24
	stack            bool
	queries          []query
	// bad and worse are the values from which a stat is yellow and red; both 0: none.
	bad, worse float64
	// named gives values a word and a colour, for states.
	named []word
}

// query is one expression with the template of its legend.
type query struct{ expr, legend string }

// word is a value's name and colour.
type word struct{ value, text, colour string }

// page is a row of the dashboard; its name is that of the page in /ui/ that shows the same.
type page struct {
	name   string
	panels []panel
}

// some gives expr, and value where it has no result: a panel that says "No data" leaves
// open whether nothing happens or nothing is measured. on() lets any result stand for all.
func some(expr, value string) string { return "(" + expr + ") or on() vector(" + value + ")" }

// number leaves out NaN, which quantiles and ratios are where nothing happened.
func number(expr, value string) string { return some("("+expr+") >= 0", value) }

// rate is the rate of a counter by labels; empty for all together.
func rate(metric, matchers, by string) string {
	return "sum" + grouped(by) + " (rate(" + selector(metric, matchers) + "[$__rate_interval]))"
}

// quantile is a percentile of a histogram by labels.
func quantile(q, metric, matchers, by string) string {
	le := "le"
	if by != "" {
		le += ", " + by
	}
	return number("histogram_quantile("+q+", "+rate(metric+"_bucket", matchers, le)+")", "0")
}

func ratio(part, whole, idle string) string { return number(part+" / "+whole, idle) }

func grouped(by string) string {
	if by == "" {
		return ""
	}
	return " by (" + by + ")"
}

// selector chooses the instances that the dashboard's variable names.
func selector(metric, matchers string) string {
	return metric + "{" + strings.Trim(`instance=~"$instance", `+matchers, ", ") + "}"
}

// chosen is the operations that the dashboard's variable names.
const chosen = `operation=~"$operation"`

// ours are the failures that are not the caller's fault, as the alarms count them.
const ours = `outcome=~"error|refused", error_type!~"caller_.*"`

func pages() []page {
	return []page{overview(), operations(), requests(), cache(), queue(), reliability(), alarms(), cost()}
}

func overview() page {
	failing := ratio(rate("forebay_requests_total", ours, ""), rate("forebay_requests_total", "", ""), "0")
	return page{"Overview", []panel{
		{title: "Calls per second", unit: "reqps", kind: "stat", width: 4, queries: []query{{some(rate("forebay_requests_total", "", ""), "0"), ""}}},
		{
			title: "Good calls", unit: "percentunit", kind: "stat", width: 4,
			doc:     "Share of calls that were answered without a fallback within the objective, callers' own faults left out.",
			queries: []query{{ratio(rate("forebay_good_requests_total", "", ""), rate("forebay_requests_total", `error_type!~"caller_.*"`, ""), "1"), ""}},
		},
		{title: "Errors", doc: "Share of calls that failed by no fault of their callers.", unit: "percentunit", kind: "stat", width: 4, bad: 0.05, worse: 0.10, queries: []query{{failing, ""}}},
		{title: "Response time, p95", unit: "s", kind: "stat", width: 4, queries: []query{{quantile("0.95", "forebay_request_duration_seconds", "", ""), ""}}},
		{title: "Cache hit rate", unit: "percentunit", kind: "stat", width: 4, queries: []query{{hitRate(), ""}}},
		{title: "Users in five minutes", unit: "short", kind: "stat", width: 4, queries: []query{{some("sum("+selector("forebay_users", "")+")", "0"), ""}}},
		{
			title: "Response time", doc: "Calls that were carried out, with the objective.", unit: "s", kind: "timeseries", width: 12,
			queries: []query{
				{quantile("0.50", "forebay_request_duration_seconds", "", ""), "p50"},
				{quantile("0.95", "forebay_request_duration_seconds", "", ""), "p95"},
				{quantile("0.99", "forebay_request_duration_seconds", "", ""), "p99"},
				{some("max("+selector("forebay_objective_seconds", "")+")", "30"), "objective"},
			},
		},
		{
			title: "How calls end", unit: "reqps", kind: "timeseries", width: 12, stack: true,
			queries: []query{{some(rate("forebay_requests_total", "", "outcome"), "0"), "{{outcome}}"}},
		},
	}}
}

// hitRate is as the alarms have it: of calls, not of look-ups, which refreshing makes too.
func hitRate() string {
	return ratio(rate("forebay_requests_total", `cache=~"hit|stale_hit"`, ""), rate("forebay_requests_total", `cache=~"hit|stale_hit|miss|stale"`, ""), "0")
}

func operations() page {
	return page{"Operations", []panel{
		{title: "Response time by operation, p95", unit: "s", kind: "timeseries", width: 12, queries: []query{{quantile("0.95", "forebay_request_duration_seconds", chosen, "operation"), "{{operation}}"}}},
		{title: "Calls by operation", unit: "reqps", kind: "timeseries", width: 12, queries: []query{{some(rate("forebay_requests_total", chosen, "operation"), "0"), "{{operation}}"}}},
		{title: "Errors by kind", unit: "reqps", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_requests_total", chosen+`, error_type!="none"`, "error_type"), "0"), "{{error_type}}"}}},
		{title: "Tokens per second", unit: "short", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_tokens_total", chosen, "direction"), "0"), "{{direction}}"}}},
		{title: "Time to first token, p95", unit: "s", kind: "timeseries", width: 12, queries: []query{{quantile("0.95", "forebay_time_to_first_token_seconds", "", "model"), "{{model}}"}}},
		{title: "Time per output token, p95", unit: "s", kind: "timeseries", width: 12, queries: []query{{quantile("0.95", "forebay_time_per_output_token_seconds", "", "model"), "{{model}}"}}},
		{title: "Functions, p95", doc: "The embedder's own functions, as TrackResponseTime measures them.", unit: "s", kind: "timeseries", width: 12, queries: []query{{quantile("0.95", "forebay_function_duration_seconds", "", "function"), "{{function}}"}}},
		{title: "Tokens by model", unit: "short", kind: "timeseries", width: 12, queries: []query{{some(rate("forebay_tokens_total", chosen, "model"), "0"), "{{model}}"}}},
	}}
}

func requests() page {
	return page{"Requests", []panel{
		{title: "Stages, p95", unit: "s", kind: "timeseries", width: 12, queries: []query{{quantile("0.95", "forebay_stage_duration_seconds", "", "stage"), "{{stage}}"}}},
		{
			title: "Own overhead", doc: "What Forebay added: the time to the first chunk without waiting and upstream.", unit: "s", kind: "timeseries", width: 12,
			queries: []query{{quantile("0.50", "forebay_overhead_seconds", "", ""), "p50"}, {quantile("0.99", "forebay_overhead_seconds", "", ""), "p99"}},
		},
		{title: "In progress by target", unit: "short", kind: "timeseries", width: 12, queries: []query{
			{some("sum by (target) ("+selector("forebay_inflight_requests", "")+")", "0"), "{{target}}"},
			{some("sum("+selector("forebay_inflight_requests_limit", "")+")", "0"), "limit of all"},
		}},
		{title: "Connections", unit: "short", kind: "timeseries", width: 12, queries: []query{{some("sum("+selector("forebay_connections", "")+")", "0"), "open"}}},
	}}
}

func cache() page {
	return page{"Cache", []panel{
		{title: "Hit rate", unit: "percentunit", kind: "timeseries", width: 12, queries: []query{{hitRate(), "hit rate"}}},
		{title: "What the cache did", unit: "reqps", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_requests_total", chosen, "cache"), "0"), "{{cache}}"}}},
		{title: "Why there was no hit", unit: "reqps", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_cache_misses_total", "", "reason"), "0"), "{{reason}}"}}},
		{title: "Hits by tier", unit: "reqps", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_cache_hits_total", "", "tier"), "0"), "{{tier}}"}}},
		{title: "Compression", doc: "Bytes that compression saved, as a share of those before it.", unit: "percentunit", kind: "timeseries", width: 12, queries: []query{{
			number("1 - "+rate("forebay_cache_store_packed_bytes_total", "", "")+" / "+rate("forebay_cache_store_unpacked_bytes_total", "", ""), "0"), "saved",
		}}},
		{title: "Bytes in memory", unit: "bytes", kind: "timeseries", width: 12, queries: []query{{some("sum("+selector("forebay_cache_bytes", "")+")", "0"), "bytes"}}},
		{title: "Answers in memory", unit: "short", kind: "stat", width: 6, queries: []query{{some("sum("+selector("forebay_cache_entries", "")+")", "0"), ""}}},
		{title: "Stored answers that were damaged", unit: "short", kind: "stat", width: 6, bad: 1, worse: 10, queries: []query{{some("sum("+selector("forebay_cache_damaged_total", "")+")", "0"), ""}}},
		{title: "Store of the cache", doc: "1 while look-ups use it; 1 too where there is none.", unit: "short", kind: "stat", width: 6, named: []word{{"0", "down", "red"}, {"1", "up", "green"}}, queries: []query{{some("min("+selector("forebay_cache_store_up", "")+")", "1"), ""}}},
		{title: "Tokens saved per second", unit: "short", kind: "stat", width: 6, queries: []query{{some(rate("forebay_cache_saved_tokens_total", "", ""), "0"), ""}}},
	}}
}

func queue() page {
	return page{"Queue", []panel{
		{title: "Waiting by band", unit: "short", kind: "timeseries", width: 12, stack: true, queries: []query{{some("sum by (priority) ("+selector("forebay_queue_depth", "")+")", "0"), "{{priority}}"}}},
		{title: "Wait by band, p95", unit: "s", kind: "timeseries", width: 12, queries: []query{{quantile("0.95", "forebay_queue_wait_seconds", "", "priority"), "{{priority}}"}}},
		{title: "Refused by reason", unit: "reqps", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_queue_rejected_total", "", "reason"), "0"), "{{reason}}"}}},
		{title: "Oldest", unit: "s", kind: "timeseries", width: 12, queries: []query{
			{some("max("+selector("forebay_queue_oldest_wait_seconds", "")+")", "0"), "call"},
			{some("max("+selector("forebay_jobs_oldest_seconds", "")+")", "0"), "job"},
		}},
		{title: "Jobs", unit: "short", kind: "timeseries", width: 12, stack: true, queries: []query{{some("sum by (state) ("+selector("forebay_jobs", "")+")", "0"), "{{state}}"}}},
		{title: "What happened to jobs", unit: "ops", kind: "timeseries", width: 12, queries: []query{{some(rate("forebay_job_events_total", "", "event"), "0"), "{{event}}"}}},
	}}
}

func reliability() page {
	states := []word{{"0", "closed", "green"}, {"1", "half-open", "yellow"}, {"2", "open", "red"}}
	// The states are a series each, of which one is 1; on a timeline they are one line.
	state := "max by (target) (2 * " + selector("forebay_breaker_state", `state="open"`) + " + on (instance, job, target) " + selector("forebay_breaker_state", `state="half_open"`) + ")"
	return page{"Reliability", []panel{
		{title: "Breakers", unit: "short", kind: "state-timeline", width: 24, named: states, queries: []query{{some(state, "0"), "{{target}}"}}},
		{title: "Changes of breakers", doc: "Also those that were over between two scrapes.", unit: "short", kind: "timeseries", width: 12, queries: []query{{some("sum by (target, to) (increase("+selector("forebay_breaker_transitions_total", "")+"[$__rate_interval]))", "0"), "{{target}} {{to}}"}}},
		{title: "Attempts by failure", unit: "reqps", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_attempts_total", "", "provider, error_type"), "0"), "{{provider}} {{error_type}}"}}},
		{title: "Retries by the failure before", unit: "reqps", kind: "timeseries", width: 12, queries: []query{{some(rate("forebay_retries_total", "", "reason"), "0"), "{{reason}}"}}},
		{title: "Fallbacks", unit: "reqps", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_requests_total", `fallback!="none"`, "fallback"), "0"), "{{fallback}}"}}},
		{title: "Providers, p95", unit: "s", kind: "timeseries", width: 12, queries: []query{{quantile("0.95", "forebay_upstream_duration_seconds", "", "provider, model"), "{{provider}}/{{model}}"}}},
		{title: "Degradation level", unit: "short", kind: "timeseries", width: 12, queries: []query{{some("max("+selector("forebay_degradation_level", "")+")", "0"), "level"}}},
	}}
}

func alarms() page {
	up := []word{{"0", "broken", "red"}, {"1", "works", "green"}}
	return page{"Alarms", []panel{
		{title: "Firing", unit: "short", kind: "timeseries", width: 12, stack: true, queries: []query{{some("sum by (severity) ("+selector("forebay_alarms_firing", "")+")", "0"), "{{severity}}"}}},
		{title: "Alerting", unit: "short", kind: "stat", width: 4, named: up, queries: []query{{some("min("+selector("forebay_alerting_up", "")+")", "1"), ""}}},
		{title: "Store of jobs", unit: "short", kind: "stat", width: 4, named: up, queries: []query{{some("min("+selector("forebay_jobs_store_up", "")+")", "1"), ""}}},
		{title: "Dead letters", unit: "short", kind: "stat", width: 4, bad: 1, worse: 100, queries: []query{{some("sum("+selector("forebay_jobs_dead", "")+")", "0"), ""}}},
		{title: "Dropped", doc: "What was given up so that no call had to wait for it.", unit: "short", kind: "timeseries", width: 12, queries: []query{{some(rate("forebay_dropped_total", "", "what"), "0"), "{{what}}"}}},
		{title: "Builds", unit: "short", kind: "stat", width: 12, queries: []query{{some("count by (version, revision) ("+selector("forebay_build_info", "")+")", "0"), "{{version}} {{revision}}"}}},
	}}
}

func cost() page {
	hourly := func(metric, by string) string {
		return some("3600 * "+rate(metric, chosen, by), "0")
	}
	return page{"Cost", []panel{
		{title: "Cost per hour by model", unit: "currencyUSD", kind: "timeseries", width: 12, stack: true, queries: []query{{hourly("forebay_cost_usd_total", "model"), "{{model}}"}}},
		{title: "Cost per hour by operation", unit: "currencyUSD", kind: "timeseries", width: 12, stack: true, queries: []query{{hourly("forebay_cost_usd_total", "operation"), "{{operation}}"}}},
		{title: "Saved per hour", doc: "By hits and by shared calls.", unit: "currencyUSD", kind: "timeseries", width: 12, queries: []query{{hourly("forebay_saved_usd_total", "operation"), "{{operation}}"}}},
		{title: "Budgets, spent share", unit: "percentunit", kind: "bargauge", width: 6, bad: 0.8, worse: 1, queries: []query{{some("max by (budget) ("+selector("forebay_budget_spent_ratio", "")+")", "0"), "{{budget}}"}}},
		{title: "DynamoDB, capacity units per second", doc: "What the tables took that gateways share.", unit: "short", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_dynamodb_units_total", "", "call, kind"), "0"), "{{call}} {{kind}}"}}},
		{title: "DynamoDB, refused for want of capacity", unit: "reqps", kind: "timeseries", width: 12, stack: true, queries: []query{{some(rate("forebay_dynamodb_throttled_total", "", "call"), "0"), "{{call}}"}}},
		{title: "Most expensive user, this month", unit: "currencyUSD", kind: "stat", width: 6, queries: []query{{some("max("+selector("forebay_user_cost_month_usd", "")+")", "0"), ""}}},
	}}
}
