package monitor

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/llm"
)

// pulledDescs describes the metrics whose values are asked for at a scrape.
type pulledDescs struct {
	cost, saved, breaker                   *prometheus.Desc
	depth, oldest, inflight, inflightLimit *prometheus.Desc
	entries, bytes                         *prometheus.Desc
	hits, misses, evictions                *prometheus.Desc
	staleHits, damaged, invalidations      *prometheus.Desc
	savedTokens, savedCost                 *prometheus.Desc
	store                                  storeDescs
	jobs                                   jobDescs
	state                                  stateDescs
	tables                                 tableDescs
}

// storeDescs describes the metrics of the cache's persistent tier.
type storeDescs struct {
	up, pending, written, dropped, unpacked, packed *prometheus.Desc
}

func (d storeDescs) all() []*prometheus.Desc {
	return []*prometheus.Desc{d.up, d.pending, d.written, d.dropped, d.unpacked, d.packed}
}

func newPulledDescs(d declare) pulledDescs {
	desc := d.desc
	return pulledDescs{
		cost:          desc("cost_usd_total", "Price of calls in US dollars, all attempts included.", "operation", "model"),
		saved:         desc("saved_usd_total", "US dollars that calls did not cost because their answers were in the cache or shared.", "operation", "model"),
		breaker:       desc("breaker_state", "Whether a target's circuit breaker is in this state (1) or not (0).", "target", "state"),
		depth:         desc("queue_depth", "Calls that wait for a slot.", "priority"),
		oldest:        desc("queue_oldest_wait_seconds", "How long the call that waits longest has waited."),
		inflight:      desc("inflight_requests", "Calls in progress at a target.", "target"),
		inflightLimit: desc("inflight_requests_limit", "How many calls may be in progress at a target.", "target"),
		entries:       desc("cache_entries", "Answers in the cache."),
		bytes:         desc("cache_bytes", "Bytes of the answers in the cache."),
		hits:          desc("cache_hits_total", "Look-ups that found a usable answer.", "tier"),
		misses:        desc("cache_misses_total", "Look-ups that found none.", "reason"),
		evictions:     desc("cache_evictions_total", "Answers that were dropped from memory to make room."),
		staleHits:     desc("cache_stale_hits_total", "Expired answers that were given while new ones were fetched."),
		damaged:       desc("cache_damaged_total", "Stored answers that failed their check and were not used."),
		invalidations: desc("cache_invalidations_total", "Calls that made stored answers void."),
		savedTokens:   desc("cache_saved_tokens_total", "Tokens that hits did not have to be asked for again.", "operation"),
		savedCost:     desc("cache_saved_usd_total", "US dollars that hits did not cost again.", "operation"),
		store: storeDescs{
			up:       desc("cache_store_up", "Whether look-ups use the persistent tier (1) or let it rest after failures (0)."),
			pending:  desc("cache_store_pending_bytes", "Bytes of answers that wait to be written to the persistent tier."),
			written:  desc("cache_store_written_total", "Answers that were written to the persistent tier."),
			dropped:  desc("cache_store_dropped_total", "Answers that could not be written to the persistent tier."),
			unpacked: desc("cache_store_unpacked_bytes_total", "Bytes of stored answers that were compressed, before it."),
			packed:   desc("cache_store_packed_bytes_total", "Bytes of stored answers that were compressed, after it."),
		},
		jobs:   newJobDescs(desc),
		state:  newStateDescs(d),
		tables: newTableDescs(d),
	}
}

// pull is the collector of these metrics. Costs are here too, though calls change
// them: they are kept as whole micro-dollars, and so stay exact where a sum of
// floating-point dollars would drift.
type pull struct{ monitor *Monitor }

// Describe implements prometheus.Collector.
func (p *pull) Describe(ch chan<- *prometheus.Desc) {
	d := p.monitor.metrics.pulled
	for _, desc := range slices.Concat(d.store.all(), d.jobs.all(), d.state.all(), d.tables.all(), []*prometheus.Desc{
		d.cost, d.saved, d.breaker, d.depth, d.oldest, d.inflight, d.inflightLimit, d.entries, d.bytes, d.hits, d.misses, d.evictions,
		d.staleHits, d.damaged, d.invalidations, d.savedTokens, d.savedCost,
	}) {
		ch <- desc
	}
}

// Collect implements prometheus.Collector. It asks every Source.
func (p *pull) Collect(ch chan<- prometheus.Metric) {
	m := p.monitor
	m.mu.Lock()
	sources := slices.Collect(maps.Values(m.sources))
	sums := maps.Clone(m.sums)
	m.mu.Unlock()

	e := emitter{ch}
	for k, sum := range sums {
		operation, model := m.words.operation.name(k.operation), m.words.model.name(k.model)
		e.counter(m.metrics.pulled.cost, float64(sum.cost.Load())/1e6, operation, model)
		e.counter(m.metrics.pulled.saved, float64(sum.saved.Load())/1e6, operation, model)
	}
	p.collectBreakers(e)
	p.collectQueues(e, sources)
	p.collectCaches(e, sources)
	p.collectJobs(e, sources)
	p.collectState(e, sources)
	p.collectTables(e, sources)
}

func (p *pull) collectBreakers(e emitter) {
	m := p.monitor
	for number := range m.breakers {
		// One reading for all series of a target: exactly one of them is 1.
		now := breakerState(m.breakers[number].Load())
		if now == breakerUnset {
			continue
		}
		for _, state := range breakerStates {
			e.gauge(m.metrics.pulled.breaker, oneIf(state == now), m.words.target.name(uint32(number)), state.String())
		}
	}
}

func (p *pull) collectQueues(e emitter, sources []Source) {
	var waiting [len(llm.Priorities)]int
	var oldest time.Duration
	inFlight, limits := map[string]int{}, map[string]int{}
	asked := false
	for _, src := range sources {
		if src.Queue == nil {
			continue
		}
		var q QueueSample
		if !p.monitor.ask(func() { q = src.Queue() }) {
			continue
		}
		asked = true
		for i, n := range q.Waiting {
			waiting[i] += n
		}
		oldest = max(oldest, q.Oldest)
		p.addByTarget(inFlight, q.InFlight)
		p.addByTarget(limits, q.Max)
	}
	if !asked {
		return
	}
	d := p.monitor.metrics.pulled
	for i, priority := range llm.Priorities {
		e.gauge(d.depth, float64(waiting[i]), priority.String())
	}
	e.gauge(d.oldest, oldest.Seconds())
	for target, n := range inFlight {
		e.gauge(d.inflight, float64(n), target)
	}
	for target, n := range limits {
		e.gauge(d.inflightLimit, float64(n), target)
	}
}

// addByTarget adds what one source says, targets outside the closed set as "other".
func (p *pull) addByTarget(sum, part map[string]int) {
	for target, n := range part {
		if n < 0 {
			continue // no bound
		}
		sum[p.monitor.words.target.label(target)] += n
	}
}

// emitter sends values to a scrape. A value that cannot be made fails the scrape's
// part instead of the process.
type emitter struct{ ch chan<- prometheus.Metric }

func (e emitter) gauge(d *prometheus.Desc, value float64, labels ...string) {
	e.send(d, prometheus.GaugeValue, value, labels)
}

func (e emitter) counter(d *prometheus.Desc, value float64, labels ...string) {
	e.send(d, prometheus.CounterValue, value, labels)
}

func (e emitter) send(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels []string) {
	metric, err := prometheus.NewConstMetric(d, kind, value, labels...)
	if err != nil {
		metric = prometheus.NewInvalidMetric(d, err)
	}
	e.ch <- metric
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
