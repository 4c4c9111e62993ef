package observe

import "github.com/forebay-ai/forebay/series"

// The metrics of the series, by kind. Alarms, the dashboard and the command line name them.
const (
	Requests        = "requests"
	Failures        = "failures"
	Refused         = "refused"
	Good            = "good"
	Hits            = "hits"
	Misses          = "misses"
	Lookups         = "lookups"
	InputTokens     = "input_tokens"
	OutputTokens    = "output_tokens"
	Cost            = "cost"
	Saved           = "saved"
	Retries         = "retries"
	Attempts        = "attempts"
	AttemptFailures = "attempt_failures"
	Degraded        = "degraded"
	Dropped         = "dropped"

	Duration   = "duration"
	FirstToken = "first_token"
	PerToken   = "per_token"
	QueueWait  = "queue_wait"
	Overhead   = "overhead"
	Upstream   = "upstream"

	Waiting         = "waiting"
	OldestWait      = "oldest_wait"
	InFlight        = "in_flight"
	Limit           = "limit"
	BreakerOpen     = "breaker_open"
	BreakerHalfOpen = "breaker_half_open"
	JobsQueued      = "jobs_queued"
	JobsOldest      = "jobs_oldest"
	JobsDead        = "jobs_dead"
	StoreUp         = "store_up"
	AlertingUp      = "alerting_up"
	Users           = "users"
	Connections     = "connections"
	CacheEntries    = "cache_entries"
	CacheBytes      = "cache_bytes"
	UserCostMonth   = "user_cost_month"
	BudgetSpent     = "budget_spent"
	Degradation     = "degradation"
)

// The labels of the series.
const (
	ByOperation = "operation"
	ByModel     = "model"
	ByTarget    = "target"
	ByFault     = "fault"
	ByError     = "error"
	ByFallback  = "fallback"
	ByBand      = "band"
	ByBudget    = "budget"
)

// CustomPrefix begins the names of custom metrics, which are other people's.
const CustomPrefix = "custom_"

// Labels lists the labels that a metric of Metrics has.
func Labels(metric string) []string {
	switch metric {
	case Requests:
		return []string{ByOperation, ByModel}
	case Refused, Good, Hits, Misses, Lookups, Saved, Duration, FirstToken, PerToken:
		return []string{ByOperation, ByModel}
	case Failures:
		return []string{ByOperation, ByModel, ByFault, ByError}
	case InputTokens, OutputTokens, Cost:
		return []string{ByOperation, ByModel}
	case QueueWait, Waiting:
		return []string{ByBand}
	case Attempts, AttemptFailures, Upstream, InFlight, Limit, BreakerOpen, BreakerHalfOpen:
		return []string{ByTarget}
	case Degraded:
		return []string{ByFallback}
	case BudgetSpent:
		return []string{ByBudget}
	}
	return nil
}

// Labels lists the labels that a metric has, a custom one included.
func (o *Observer) Labels(metric string) []string {
	for _, c := range o.cfg.Custom {
		if CustomPrefix+c.Name != metric {
			continue
		}
		labels := make([]string, 0, len(c.Labels))
		for _, l := range c.Labels {
			labels = append(labels, l.Name)
		}
		return labels
	}
	return Labels(metric)
}

// Metrics describes the metrics. One table on purpose: rows read best together.
func Metrics() []series.Metric {
	const counter, gauge, distribution = series.Counter, series.Gauge, series.Distribution
	return []series.Metric{
		{Name: Requests, Kind: counter, Doc: "calls"},
		{Name: Failures, Kind: counter, Doc: "calls that got no answer, by no fault of their callers; by fault and error all of them"},
		{Name: Refused, Kind: counter, Doc: "calls that were not carried out: limits, budgets, policies"},
		{Name: Good, Kind: counter, Doc: "calls that were answered within the objective"},
		{Name: Hits, Kind: counter, Doc: "calls that the cache answered"},
		{Name: Misses, Kind: counter, Doc: "calls that the cache could have answered and did not"},
		{Name: Lookups, Kind: counter, Doc: "hits and misses together"},
		{Name: InputTokens, Kind: counter, Unit: "tokens", Doc: "tokens of prompts"},
		{Name: OutputTokens, Kind: counter, Unit: "tokens", Doc: "tokens of answers"},
		{Name: Cost, Kind: counter, Unit: "micro-USD", Doc: "what calls cost, in millionths of a dollar"},
		{Name: Saved, Kind: counter, Unit: "micro-USD", Doc: "what hits and shared calls did not cost"},
		{Name: Retries, Kind: counter, Doc: "attempts beyond the first of each call"},
		{Name: Attempts, Kind: counter, Doc: "calls of targets"},
		{Name: AttemptFailures, Kind: counter, Doc: "calls of targets that failed by the target's fault"},
		{Name: Degraded, Kind: counter, Doc: "calls that a fallback answered"},
		{Name: Dropped, Kind: counter, Doc: "measurements, log entries and notices that were lost"},
		{Name: Duration, Kind: distribution, Unit: "s", Doc: "calls that were carried out, from arrival to the end of the answer"},
		{Name: FirstToken, Kind: distribution, Unit: "s", Doc: "streams, from arrival to the first token"},
		{Name: PerToken, Kind: distribution, Unit: "s", Doc: "streams, time for each token after the first"},
		{Name: QueueWait, Kind: distribution, Unit: "s", Doc: "waits for a slot"},
		{Name: Overhead, Kind: distribution, Unit: "s", Doc: "what Forebay itself added"},
		{Name: Upstream, Kind: distribution, Unit: "s", Doc: "calls of targets"},
		{Name: Waiting, Kind: gauge, Doc: "calls that wait for a slot"},
		{Name: OldestWait, Kind: gauge, Unit: "s", Doc: "how long the one has waited that waits longest"},
		{Name: InFlight, Kind: gauge, Doc: "calls in progress"},
		{Name: Limit, Kind: gauge, Doc: "how many there may be"},
		{Name: BreakerOpen, Kind: gauge, Doc: "1 while the breaker is not closed: open, or half-open and waiting for its probes"},
		{Name: BreakerHalfOpen, Kind: gauge, Doc: "1 while the breaker is half-open"},
		{Name: JobsQueued, Kind: gauge, Doc: "durable jobs that wait"},
		{Name: JobsOldest, Kind: gauge, Unit: "s", Doc: "age of the oldest durable job that waits"},
		{Name: JobsDead, Kind: gauge, Doc: "dead letters"},
		{Name: StoreUp, Kind: gauge, Doc: "1 while every store works"},
		{Name: AlertingUp, Kind: gauge, Doc: "1 while every notifier works"},
		{Name: Users, Kind: gauge, Doc: "distinct users of the last five minutes"},
		{Name: Connections, Kind: gauge, Doc: "open connections of callers"},
		{Name: CacheEntries, Kind: gauge, Doc: "answers in the cache's memory"},
		{Name: CacheBytes, Kind: gauge, Unit: "bytes", Doc: "what they take"},
		{Name: UserCostMonth, Kind: gauge, Unit: "USD", Doc: "what the most expensive user has cost this month"},
		{Name: BudgetSpent, Kind: gauge, Doc: "share of a budget that is spent or reserved, 0 to 1 and above"},
		{Name: Degradation, Kind: gauge, Doc: "0 while every operation works as it should, up to 2"},
	}
}
