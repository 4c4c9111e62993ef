package monitor

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/forebay-ai/forebay/llm"
)

// Config configures New. The zero Config is a monitor without any name of its own:
// every operation, model, provider and target is "other".
type Config struct {
	// Registry takes the metrics. Nil means a registry of the monitor's own, which
	// has the metrics of the Go runtime and of the process as well.
	Registry *prometheus.Registry
	// Namespace begins every metric's name. Empty means forebay.
	Namespace string
	// Operations, Models and Providers are the closed sets of these labels: the
	// names in configuration. Models has the names that callers may ask for and the
	// providers' own names.
	Operations, Models, Providers []string
	// Targets names the targets as breakers and limits know them. Their breakers
	// count as closed until SetBreaker says otherwise.
	Targets []string
	// RefusalReasons is the closed set of reasons for QueueRefused. Nil means those
	// of DefaultRefusalReasons.
	RefusalReasons []string
	// Objective is how long a good call may take: forebay_good_requests_total counts
	// calls that were answered without a fallback within it. 0 means 30 s, the
	// specification's target for a response.
	Objective time.Duration
	// Custom declares metrics of the embedder's own, for Measure. At most 64.
	Custom []CustomMetric
	// Functions is the closed set of names for TrackResponseTime.
	Functions []string
	// Budgets is the closed set of names of budgets in StateSample.
	Budgets []string
	// Version and Revision are the labels of the build's metric. Empty means what
	// the binary's build information says.
	Version, Revision string
}

// DefaultRefusalReasons lists why a waiting line refuses calls: no room, no hope
// before the deadline, the deadline passed while waiting, gave way to a better
// claim, the caller went away, shutting down.
func DefaultRefusalReasons() []string {
	return []string{"full", "deadline", "delay", "expired", "displaced", "cancelled", "draining"}
}

// defaultNamespace begins the names of all metrics.
const defaultNamespace = "forebay"

// defaultObjective is the specification's target for a response.
const defaultObjective = 30 * time.Second

// Monitor measures. All methods are safe for concurrent use.
type Monitor struct {
	registry *prometheus.Registry
	words    vocabulary
	metrics  *metrics
	handler  http.Handler

	calls    seriesCache[callKey, callSeries]
	usages   seriesCache[usageKey, usageSeries]
	attempts seriesCache[attemptKey, attemptSeries]
	breakers []atomic.Int32 // breakerState by the number of the target
	custom   map[string]*custom
	totals   totals
	sinks    sinks

	objective  time.Duration
	vocabulary []MetricInfo

	mu      sync.Mutex // guards the three below; not held while a Source is asked
	sources map[int]Source
	nextID  int
	sums    map[usageKey]*moneySums
}

// New makes a Monitor and registers its metrics. The error names every fault of
// cfg, or says that the registry has metrics of these names already.
func New(cfg Config) (*Monitor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	m := &Monitor{
		registry:  cfg.Registry,
		words:     newVocabulary(cfg),
		custom:    make(map[string]*custom, len(cfg.Custom)),
		objective: cfg.Objective,
		sources:   make(map[int]Source),
		sums:      make(map[usageKey]*moneySums),
	}
	m.calls.make = m.newCallSeries
	m.usages.make = m.newUsageSeries
	m.attempts.make = m.newAttemptSeries
	m.breakers = make([]atomic.Int32, len(m.words.target.names))
	for _, target := range cfg.Targets {
		m.SetBreaker(target, breakerClosed.String())
	}
	d := declare{namespace: cfg.Namespace, noted: &m.vocabulary}
	m.metrics = newMetrics(cfg, d)
	for _, c := range cfg.Custom {
		m.custom[c.Name] = newCustom(d, c)
	}
	if err := m.register(); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry:            m.registry,
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError, // one bad collector of the embedder's must not hide the rest
		MaxRequestsInFlight: maxScrapes,
	})
	return m, nil
}

// maxScrapes bounds scrapes at a time: two servers and a curious human, doubled.
// More get 503.
const maxScrapes = 6

// Validate returns every fault of c, joined, without making a Monitor. What the Registry of
// c has already is not looked at.
func (c Config) Validate() error {
	if err := c.withDefaults().check(); err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Namespace == "" {
		c.Namespace = defaultNamespace
	}
	if c.RefusalReasons == nil {
		c.RefusalReasons = DefaultRefusalReasons()
	}
	if c.Objective == 0 {
		c.Objective = defaultObjective
	}
	return c
}

func (c Config) check() error {
	var faults []error
	faults = append(faults, checkNamespace(c.Namespace))
	for _, set := range []struct {
		field  string
		values []string
	}{
		{"operations", c.Operations},
		{"models", c.Models},
		{"providers", c.Providers},
		{"targets", c.Targets},
		{"refusal reasons", c.RefusalReasons},
		{"functions", c.Functions},
		{"budgets", c.Budgets},
		{"version", []string{c.Version, c.Revision}},
	} {
		faults = append(faults, checkValues(set.field, set.values)...)
	}
	if c.Objective < 0 {
		faults = append(faults, fmt.Errorf("objective: %v: has to be above 0", c.Objective))
	}
	faults = append(faults, checkCustom(c.Custom, c.Namespace)...)
	return errors.Join(faults...)
}

// register enters all metrics into the registry, or none.
func (m *Monitor) register() error {
	all := append(m.metrics.collectors(), &pull{monitor: m})
	for _, c := range m.custom {
		all = append(all, c.collector)
	}
	if m.registry == nil {
		m.registry = prometheus.NewRegistry()
		all = append(all, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	for i, c := range all {
		if err := m.registry.Register(c); err != nil {
			for _, done := range all[:i] {
				m.registry.Unregister(done)
			}
			return err
		}
	}
	return nil
}

// Handler serves the metrics of the registry in the formats of Prometheus and
// OpenMetrics, native histograms included where the scraper asks for protobuf.
func (m *Monitor) Handler() http.Handler { return m.handler }

// Registry is where the metrics are registered, so that an embedder can add its own.
func (m *Monitor) Registry() *prometheus.Registry { return m.registry }

// Watch asks src from now on, at each scrape; the answers of several sources are
// added up. stop ends that; it may be called more than once, and a scrape that is
// under way may still ask once.
func (m *Monitor) Watch(src Source) (stop func()) {
	if src.Jobs != nil {
		m.metrics.jobs.series()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.nextID
	m.nextID++
	m.sources[id] = src
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.sources, id)
	}
}

// QueueRefused counts a call that the waiting line refused. A reason outside
// Config.RefusalReasons is counted as "other".
func (m *Monitor) QueueRefused(reason string) {
	m.metrics.refused.WithLabelValues(m.words.reason.label(reason)).Inc()
}

// Retried counts a repeated attempt, by the kind of the failure that it follows.
func (m *Monitor) Retried(reason llm.Kind) {
	m.metrics.retries.WithLabelValues(m.words.errorType.label(string(reason))).Inc()
}

// CacheStored counts an answer that was put into the cache, and its bytes.
func (m *Monitor) CacheStored(bytes int) {
	m.metrics.stored.Inc()
	m.metrics.storedBytes.Add(float64(max(bytes, 0)))
}
