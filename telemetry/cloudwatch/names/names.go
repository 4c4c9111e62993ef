// Package names is the vocabulary of Forebay's metrics in CloudWatch: for each its name,
// unit and dimensions. Who publishes them (package cloudwatch) and who makes alarms and
// dashboards of them (package alarm/export) go by the same list, and so does the page
// docs/cloudwatch.md. It is data and imports nothing of this module.
//
// The names are those of the two specifications where they have one. A ratio is never
// published as a number of its own: ErrorRate and CacheHitRate are one sample of 0 or 100
// for each call, so that their average is the ratio over any time and any number of
// instances, and the counts that it is made of are there as well.
package names

// Namespace is where the metrics are in CloudWatch where nothing else is configured.
const Namespace = "Forebay"

// Unit is a unit of CloudWatch.
type Unit string

// The units.
const (
	Milliseconds Unit = "Milliseconds"
	Seconds      Unit = "Seconds"
	Count        Unit = "Count"
	Percent      Unit = "Percent"
	Bytes        Unit = "Bytes"
	None         Unit = "None" // amounts of money, in US dollars
)

// Kind is how the values of a metric come about. The set is closed.
type Kind uint8

// The kinds.
const (
	Event  Kind = iota // a value for each call: its distribution counts
	Amount             // a value for each call: its sum counts
	Sample             // read now and then from the metrics of Prometheus
	Share              // 0 or 1, read like a Sample: how much of the minute it was 1
	Growth             // by how much a counter of Prometheus rose
)

// Dimension is what a metric can be told apart by, beside the metric for everything.
type Dimension string

// The dimensions.
const (
	Operation Dimension = "Operation"
	Model     Dimension = "Model"
	ErrorType Dimension = "ErrorType"
	Status    Dimension = "Status"    // success or failure
	TokenType Dimension = "TokenType" // input, output, cache_read, cache_write
	Target    Dimension = "Target"    // provider/model
	Budget    Dimension = "Budget"
	Priority  Dimension = "Priority" // low, normal, high, critical
	Function  Dimension = "Function" // an embedder's own, of monitor.Monitor.TrackResponseTime
)

// Dimensions lists them.
func Dimensions() []Dimension {
	return []Dimension{Operation, Model, ErrorType, Status, TokenType, Target, Budget, Priority, Function}
}

// OfLabel finds the dimension that stands for a label by which alarms are judged.
func OfLabel(label string) (Dimension, bool) {
	d, ok := map[string]Dimension{
		"operation": Operation, "model": Model, "error": ErrorType, "target": Target, "budget": Budget, "band": Priority,
	}[label]
	return d, ok
}

// Prometheus is the label in Prometheus that has the values of d; empty for those whose
// metrics are not read there.
func (d Dimension) Prometheus() string {
	return map[Dimension]string{Target: "target", Budget: "budget", Priority: "priority"}[d]
}

// Metric is one metric.
type Metric struct {
	Name string
	Unit Unit
	Kind Kind
	// By are the dimensions that it can have, one at a time.
	By []Dimension
	// Series is the metric of alarms that it carries, and Scale how many of its unit are
	// one of that one's. Empty where there is none.
	Series string
	Scale  float64
	// Prometheus is where a Sample, Share or Growth is read, after the namespace, of
	// everything that there is of them; Label and those of its values that are Among choose
	// the part of it, and all of it where Label is empty; Fold says how series are put together.
	Prometheus []string
	Label      string
	Among      []string
	Fold       Fold
	// Spec says which of the specifications has the name: A, B or both. Empty for ours.
	Spec string
	Doc  string
}

// Fold is how the series of one metric of Prometheus become one value.
type Fold uint8

// The folds.
const (
	Sum Fold = iota
	Max
	Min
)

// The names that others go by.
const (
	ResponseTime      = "ResponseTime"
	RequestCount      = "RequestCount"
	ErrorCount        = "ErrorCount"
	ErrorRate         = "ErrorRate"
	CacheHits         = "CacheHits"
	CacheLookups      = "CacheLookups"
	CacheHitRate      = "CacheHitRate"
	TokenUsage        = "TokenUsage"
	Cost              = "Cost"
	TimeToFirstToken  = "TimeToFirstToken"
	QueueDepth        = "QueueDepth"
	ConcurrentUsers   = "ConcurrentUsers"
	ActiveConnections = "ActiveConnections"
	CostPerUser       = "CostPerUser"
	OldestJobAge      = "OldestJobAge"
	DeadLetters       = "DeadLetters"
	BreakerOpen       = "BreakerOpen"
	OpenBreakers      = "OpenBreakers"
	StoreUp           = "StoreUp"
	AlertingUp        = "AlertingUp"
	BudgetSpent       = "BudgetSpent"
	DroppedItems      = "DroppedItems"
)

// Metrics lists all metrics that are published, but for the embedder's own. One table on
// purpose: rows read best together.
func Metrics() []Metric {
	by := func(d ...Dimension) []Dimension { return d }
	read := func(from ...string) []string { return from }
	return []Metric{
		{Name: ResponseTime, Unit: Milliseconds, Kind: Event, By: by(Operation, Model, Function), Series: "duration", Scale: 1000, Spec: "A, B", Doc: "Calls that were carried out, from arrival to the end of the answer."},
		{Name: RequestCount, Unit: Count, Kind: Amount, By: by(Operation, Model, Status, Function), Series: "requests", Scale: 1, Spec: "A, B", Doc: "Calls; by Function those of a program's own handlers, which are in no other figure."},
		{Name: ErrorCount, Unit: Count, Kind: Amount, By: by(Operation, Model, ErrorType, Function), Series: "failures", Scale: 1, Spec: "A, B", Doc: "Calls that got no answer, by no fault of their callers; by ErrorType all errors, by Function answers of status 5xx. Zero is published too."},
		{Name: ErrorRate, Unit: Percent, Kind: Event, Spec: "B", Doc: "100 for each call that counts in ErrorCount, 0 for each other: use Average."},
		{Name: CacheHits, Unit: Count, Kind: Amount, By: by(Operation), Series: "hits", Scale: 1, Doc: "Calls that the cache answered. Zero is published too."},
		{Name: CacheLookups, Unit: Count, Kind: Amount, By: by(Operation), Series: "lookups", Scale: 1, Doc: "Calls that the cache answered or could have answered."},
		{Name: CacheHitRate, Unit: Percent, Kind: Event, Spec: "A, B", Doc: "100 for each hit, 0 for each other look-up: use Average."},
		{Name: TokenUsage, Unit: Count, Kind: Amount, By: by(Operation, Model, TokenType), Spec: "A", Doc: "Tokens of all kinds and attempts."},
		{Name: Cost, Unit: None, Kind: Amount, By: by(Operation, Model), Series: "cost", Scale: 1e-6, Spec: "B", Doc: "What calls cost, in US dollars."},
		{Name: TimeToFirstToken, Unit: Milliseconds, Kind: Event, By: by(Model), Series: "first_token", Scale: 1000, Doc: "Streams, from arrival to the first useful chunk."},

		{Name: QueueDepth, Unit: Count, Kind: Sample, By: by(Priority), Series: "waiting", Scale: 1, Prometheus: read("queue_depth"), Spec: "A, B", Doc: "Calls that wait for a slot."},
		{Name: ConcurrentUsers, Unit: Count, Kind: Sample, Series: "users", Scale: 1, Prometheus: read("users"), Spec: "B", Doc: "Distinct users of the last five minutes, of one instance."},
		{Name: ActiveConnections, Unit: Count, Kind: Sample, Series: "connections", Scale: 1, Prometheus: read("connections"), Spec: "B", Doc: "Open connections of callers."},
		{Name: CostPerUser, Unit: None, Kind: Sample, Series: "user_cost_month", Scale: 1, Prometheus: read("user_cost_month_usd"), Fold: Max, Spec: "B", Doc: "What the most expensive user has cost this month, in US dollars. Never one metric for each user."},
		{Name: OldestJobAge, Unit: Seconds, Kind: Sample, Series: "jobs_oldest", Scale: 1, Prometheus: read("jobs_oldest_seconds"), Fold: Max, Doc: "Age of the oldest durable job that waits."},
		{Name: DeadLetters, Unit: Count, Kind: Sample, Series: "jobs_dead", Scale: 1, Prometheus: read("jobs_dead"), Doc: "Jobs that were given up and are kept."},
		{Name: BreakerOpen, Unit: Percent, Kind: Share, By: by(Target), Series: "breaker_open", Scale: 100, Prometheus: read("breaker_state"), Label: "state", Among: read("open", "half_open"), Fold: Max, Doc: "How much of the minute a target's circuit breaker was open or half-open; for everything that of the target where it was most."},
		{Name: OpenBreakers, Unit: Count, Kind: Sample, Scale: 1, Prometheus: read("breaker_state"), Label: "state", Among: read("open"), Doc: "Targets whose circuit breaker is open."},
		{Name: StoreUp, Unit: Count, Kind: Sample, Series: "store_up", Scale: 1, Prometheus: read("jobs_store_up", "cache_store_up"), Fold: Min, Doc: "1 while the stores of jobs and answers work."},
		{Name: AlertingUp, Unit: Count, Kind: Sample, Series: "alerting_up", Scale: 1, Prometheus: read("alerting_up"), Fold: Min, Doc: "1 while every notifier works."},
		{Name: BudgetSpent, Unit: Percent, Kind: Sample, By: by(Budget), Series: "budget_spent", Scale: 100, Prometheus: read("budget_spent_ratio"), Fold: Max, Doc: "Spent share of the fullest budget."},
		{Name: DroppedItems, Unit: Count, Kind: Growth, Series: "dropped", Scale: 1, Prometheus: read("dropped_total"), Doc: "Measurements, log entries and notices that were lost."},
	}
}

// OfSeries finds the metric that carries a metric of alarms.
func OfSeries(series string) (Metric, bool) {
	for _, m := range Metrics() {
		if m.Series == series && series != "" {
			return m, true
		}
	}
	return Metric{}, false
}

// DefaultBy is what metrics are told apart by where nothing else is configured.
func DefaultBy() []Dimension { return []Dimension{Operation, ErrorType, Function} }
