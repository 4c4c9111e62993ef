package monitor

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/llm"
)

// metrics is every metric that events change, and the descriptions of those that
// a scrape asks for.
type metrics struct {
	requests                     *prometheus.CounterVec
	duration, stage              *prometheus.HistogramVec
	firstToken, queueWait        *prometheus.HistogramVec
	overhead                     prometheus.Histogram
	tokens                       *prometheus.CounterVec
	attempts                     *prometheus.CounterVec
	upstream, upstreamFirstToken *prometheus.HistogramVec
	refused, retries             *prometheus.CounterVec
	transitions                  *prometheus.CounterVec
	good, dropped                *prometheus.CounterVec
	perToken, function           *prometheus.HistogramVec
	stored, storedBytes          prometheus.Counter
	objective                    prometheus.Gauge
	build                        prometheus.Gauge
	jobs                         *jobMetrics

	// By stage and by band: known beforehand, so that they are looked up once and
	// are there, at zero, from the first scrape.
	stages [len(stageOrder)]prometheus.Observer
	waits  [len(llm.Priorities)]prometheus.Observer

	pulled pulledDescs
}

var stageOrder = [...]Stage{StageCache, StageQueue, StageUpstream, StageFirstToken}

// Bounds of classic buckets, in seconds. The specification's thresholds (3, 25, 30
// and 45 s) are bounds, and 1 to 20 s is finer than usual, because that is where
// model calls are: the buckets of the GenAI conventions misjudge p99 there by a sixth.
var (
	callBuckets = []float64{
		0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75,
		1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12.5, 15, 17.5, 20, 25, 30, 45, 60, 90, 120,
	}
	stageBuckets = []float64{
		0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
		1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 30, 45, 60, 120,
	}
	overheadBuckets = []float64{
		0.00001, 0.000025, 0.00005, 0.000075, 0.0001, 0.00015, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1,
	}
	// Those that the GenAI conventions advise for this metric, and finer ones below
	// them, where fast models are.
	tokenBuckets = []float64{
		0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5,
	}
)

const (
	// nativeFactor divides each power of two into eight buckets: quantiles within 5 %.
	nativeFactor = 1.1
	// From nativeZero (2^-20 s, about 1 µs) up to an hour there are 254 native
	// buckets. A histogram that never has more is never reset or coarsened, and its
	// sums stay exact.
	nativeZero    = 1.0 / (1 << 20)
	nativeBuckets = 256
)

// newMetrics declares the metrics. One straight list on purpose: it is the
// vocabulary, to be read from top to bottom.
func newMetrics(cfg Config, d declare) *metrics {
	m := &metrics{
		requests: d.counters("requests_total", "Calls, by how they ended.",
			"operation", "model", "outcome", "error_type", "cache", "fallback"),
		duration: d.histograms("request_duration_seconds", "Duration of calls that were carried out, from arrival to the end of the answer.",
			callBuckets, "operation", "cache"),
		stage: d.histograms("stage_duration_seconds", "Duration of the stages of calls.",
			stageBuckets, "stage"),
		firstToken: d.histograms("time_to_first_token_seconds", "Time from a call's arrival to its first useful chunk.",
			callBuckets, "model"),
		queueWait: d.histograms("queue_wait_seconds", "Time that calls waited for a slot.",
			stageBuckets, "priority"),
		tokens: d.counters("tokens_total", "Tokens that calls used, by kind.",
			"operation", "model", "direction"),
		attempts: d.counters("attempts_total", "Calls to providers, by the kind of failure.",
			"provider", "model", "error_type"),
		upstream: d.histograms("upstream_duration_seconds", "Duration of calls to providers.",
			callBuckets, "provider", "model"),
		upstreamFirstToken: d.histograms("upstream_time_to_first_token_seconds", "Time from the start of a call to a provider to its first useful chunk.",
			callBuckets, "provider", "model"),
		refused:     d.counters("queue_rejected_total", "Calls that the waiting line refused.", "reason"),
		retries:     d.counters("retries_total", "Repeated attempts, by the failure that they follow.", "reason"),
		transitions: d.counters("breaker_transitions_total", "Changes of state of circuit breakers.", "target", "from", "to"),
		good: d.counters("good_requests_total", "Calls that were answered without a fallback, within the objective.",
			"operation", "model"),
		perToken: d.histograms("time_per_output_token_seconds", "Time between tokens of streamed answers of models, after the first.",
			tokenBuckets, "model"),
		function: d.histograms("function_duration_seconds", "Duration of an embedder's own functions, by class of status.",
			callBuckets, "function", "status"),
		dropped: d.counters("dropped_total", "What was given up so that no call had to wait for it.", "what"),
		pulled:  newPulledDescs(d),
	}
	m.overhead = prometheus.NewHistogram(d.histogram("overhead_seconds", "Time that Forebay itself added to calls.", overheadBuckets))
	m.stored = prometheus.NewCounter(prometheus.CounterOpts(d.counter("cache_stored_total", "Answers put into the cache.")))
	m.storedBytes = prometheus.NewCounter(prometheus.CounterOpts(d.counter("cache_stored_bytes_total", "Bytes of answers put into the cache.")))
	m.objective = prometheus.NewGauge(prometheus.GaugeOpts(d.gauge("objective_seconds", "How long a good call may take.")))
	m.objective.Set(cfg.Objective.Seconds())
	m.build = buildInfo(d, cfg)
	m.jobs = newJobMetrics(d)
	for i, s := range stageOrder {
		m.stages[i] = m.stage.WithLabelValues(string(s))
	}
	for i, p := range llm.Priorities {
		m.waits[i] = m.queueWait.WithLabelValues(p.String())
	}
	for _, what := range DroppedKinds() {
		m.dropped.WithLabelValues(what)
	}
	for _, reason := range cfg.RefusalReasons {
		m.refused.WithLabelValues(reason)
	}
	return m
}

func (m *metrics) collectors() []prometheus.Collector {
	return append(m.jobs.collectors(),
		m.requests, m.duration, m.stage, m.firstToken, m.queueWait, m.overhead, m.tokens, m.attempts,
		m.upstream, m.upstreamFirstToken, m.refused, m.retries, m.transitions, m.stored, m.storedBytes, m.build,
		m.good, m.perToken, m.function, m.dropped, m.objective,
	)
}

// buildInfo is the metric that is always 1 and says which build runs.
func buildInfo(d declare, cfg Config) prometheus.Gauge {
	version, revision := cfg.Version, cfg.Revision
	if info, ok := debug.ReadBuildInfo(); ok {
		if version == "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && revision == "" {
				revision = s.Value
			}
		}
	}
	opts := prometheus.GaugeOpts(d.gauge("build_info", "The build that runs; always 1.", "version", "revision", "go_version"))
	opts.ConstLabels = prometheus.Labels{
		"version": orUnknown(version), "revision": orUnknown(revision), "go_version": runtime.Version(),
	}
	g := prometheus.NewGauge(opts)
	g.Set(1)
	return g
}

func orUnknown(value string) string {
	if value == "" {
		return "unknown"
	}
	return value
}
