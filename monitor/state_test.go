package monitor_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

func TestBreakers(t *testing.T) {
	m := make1(t, names)
	state := func(target, state string) string {
		return fmt.Sprintf("breaker_state{state=%s,target=%s}", state, target)
	}
	got := series(t, m)
	for _, target := range names.Targets {
		expect(t, got, map[string]float64{state(target, "closed"): 1, state(target, "half_open"): 0, state(target, "open"): 0})
	}
	if _, there := got[state("other", "closed")]; there {
		t.Error("a breaker of nobody")
	}
	m.BreakerChanged("local/llama", "closed", "open")
	m.BreakerChanged("local/llama", "open", "half_open")
	m.SetBreaker("bedrock-eu/haiku", "open")
	expect(t, series(t, m), map[string]float64{
		state("local/llama", "closed"): 0, state("local/llama", "half_open"): 1, state("local/llama", "open"): 0,
		state("bedrock-eu/haiku", "closed"): 0, state("bedrock-eu/haiku", "half_open"): 0, state("bedrock-eu/haiku", "open"): 1,
		"breaker_transitions_total{from=closed,target=local/llama,to=open}":    1,
		"breaker_transitions_total{from=open,target=local/llama,to=half_open}": 1,
	})
	m.BreakerChanged("local/llama", "half_open", "broken")
	m.SetBreaker("nobody's", "open")
	expect(t, series(t, m), map[string]float64{
		state("local/llama", "closed"): 0, state("local/llama", "half_open"): 0, state("local/llama", "open"): 0,
		state("other", "open"): 1,
		"breaker_transitions_total{from=half_open,target=local/llama,to=other}": 1,
	})
}

func TestWatch(t *testing.T) {
	m := make1(t, names)
	if _, there := series(t, m)["queue_depth{priority=low}"]; there {
		t.Error("a queue that nobody watches")
	}
	stop := m.Watch(source())
	m.Watch(source())
	m.Watch(monitor.Source{}) // has nothing to say
	expect(t, series(t, m), map[string]float64{
		"queue_depth{priority=low}": 2, "queue_depth{priority=normal}": 4, "queue_depth{priority=high}": 6, "queue_depth{priority=critical}": 8,
		"queue_oldest_wait_seconds{}":                        1.5,
		"dynamodb_calls_total{call=cache.get}":               9,
		"dynamodb_calls_total{call=queue.insert}":            3,
		"dynamodb_throttled_total{call=cache.get}":           2,
		"dynamodb_failed_total{call=cache.get}":              1,
		"dynamodb_units_total{call=cache.get,kind=read}":     4.5,
		"dynamodb_units_total{call=queue.insert,kind=write}": 6,
		"dynamodb_connections{}":                             5,
		"dynamodb_connections_opened_total{}":                8,
		"dynamodb_connections_reused_total{}":                4,
		"inflight_requests{target=bedrock-eu/haiku}":         10,
		"inflight_requests{target=other}":                    6,
		"inflight_requests_limit{target=bedrock-eu/haiku}":   20,
		"cache_entries{}":                                    22,
		"cache_bytes{}":                                      4096,
		"cache_hits_total{tier=memory}":                      40,
		"cache_hits_total{tier=store}":                       20,
		"cache_misses_total{reason=never_seen}":              14,
		"cache_misses_total{reason=expired}":                 6,
		"cache_misses_total{reason=other}":                   4,
		"cache_evictions_total{}":                            4,
		"cache_stale_hits_total{}":                           2,
		"cache_damaged_total{}":                              6,
		"cache_invalidations_total{}":                        8,
		"cache_saved_tokens_total{operation=vc-analysis}":    200,
		"cache_saved_usd_total{operation=vc-analysis}":       1.5,
		"cache_saved_tokens_total{operation=other}":          14,
		"cache_store_up{}":                                   0,
		"cache_store_pending_bytes{}":                        10,
		"cache_store_written_total{}":                        12,
		"cache_store_dropped_total{}":                        14,
		"cache_store_unpacked_bytes_total{}":                 100,
		"cache_store_packed_bytes_total{}":                   50,
	})
	if _, there := series(t, m)["inflight_requests_limit{target=local/llama}"]; there {
		t.Error("a limit of a target that has none")
	}
	stop()
	stop()
	expect(t, series(t, m), map[string]float64{"queue_depth{priority=low}": 1, "cache_entries{}": 11})
}

// Usage that is told apart from its call lands in the same sums, and only there.
func TestRecordUsage(t *testing.T) {
	m := make1(t, names)
	m.Record(&monitor.Call{Operation: "chat", Model: "haiku", Outcome: monitor.OK})
	if _, there := series(t, m)["cost_usd_total{model=haiku,operation=chat}"]; there {
		t.Error("a call without usage makes series of usage")
	}
	m.RecordUsage(&monitor.Usage{Operation: "chat", Model: "haiku", Tokens: llm.Usage{Input: 5, Output: -1, CacheWrite: 2}, CostMicroUSD: 9})
	m.RecordUsage(&monitor.Usage{Operation: "chat", Model: "haiku", Tokens: llm.Usage{Output: 1}, CostMicroUSD: -9})
	m.RecordUsage(&monitor.Usage{Operation: "invented", Model: "invented", CostMicroUSD: 1})
	expect(t, series(t, m), map[string]float64{
		"tokens_total{direction=input,model=haiku,operation=chat}":       5,
		"tokens_total{direction=output,model=haiku,operation=chat}":      1,
		"tokens_total{direction=cache_read,model=haiku,operation=chat}":  0,
		"tokens_total{direction=cache_write,model=haiku,operation=chat}": 2,
		"cost_usd_total{model=haiku,operation=chat}":                     0.000009,
		"cost_usd_total{model=other,operation=other}":                    0.000001,
	})
	if s := m.Summary(); s.Requests != 1 || s.Tokens != 8 || s.CostMicroUSD != 10 {
		t.Errorf("%+v", s)
	}
}

// A source may use the monitor: nothing is held while it is asked.
func TestSourceMayUseTheMonitor(t *testing.T) {
	m := make1(t, names)
	var stop func()
	stop = m.Watch(monitor.Source{Cache: func() monitor.CacheSample {
		m.Record(fullCall())
		stop()
		return monitor.CacheSample{Entries: 1}
	}})
	expect(t, series(t, m), map[string]float64{"cache_entries{}": 1})
}

func TestSummary(t *testing.T) {
	m := make1(t, names)
	if diff := cmp.Diff(monitor.Summary{Stages: []monitor.StageSummary{
		{Stage: monitor.StageCache}, {Stage: monitor.StageQueue}, {Stage: monitor.StageUpstream}, {Stage: monitor.StageFirstToken},
	}}, m.Summary()); diff != "" {
		t.Errorf("before the first call (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		outcome monitor.Outcome
		kind    llm.Kind
		cache   string
		failed  int64
	}{
		{monitor.OK, "", "hit", 0},
		{monitor.OK, "", "miss", 0},
		{monitor.OK, "", "stale", 0},
		{monitor.OK, "", "collapsed", 0},
		{monitor.OK, "", "bypass", 0},
		{monitor.Degraded, llm.ProviderError, "off", 0},
		{monitor.Cancelled, llm.CallerCancelled, "", 0},
		{monitor.Cancelled, "", "", 0},
		{monitor.Error, llm.CallerInvalidRequest, "", 0},
		{monitor.Error, llm.CallerDeadline, "", 0},
		{monitor.Refused, llm.CallerForbidden, "", 0},
		{monitor.Refused, llm.PolicyOverloaded, "", 1},
		{monitor.Refused, llm.PolicyBudgetExceeded, "", 1},
		{monitor.Error, llm.ProviderTimeout, "", 1},
		{monitor.Error, llm.ForebayInternal, "", 1},
		{monitor.Error, "", "", 1},
		{monitor.Error, "unheard_of", "", 1},
	} {
		before := m.Summary().Failures
		m.Record(&monitor.Call{Outcome: c.outcome, ErrorType: c.kind, Cache: c.cache})
		if got := m.Summary().Failures - before; got != c.failed {
			t.Errorf("%s %s counts as %d failures, want %d", c.outcome, c.kind, got, c.failed)
		}
	}
	s := m.Summary()
	if s.Requests != 17 || s.Failures != 6 || s.ErrorRate != 6.0/17 || s.Hits != 1 || s.Misses != 2 {
		t.Errorf("%+v", s)
	}
}

func TestSummaryPercentiles(t *testing.T) {
	m := make1(t, names)
	for i := 1; i <= 1000; i++ {
		d := time.Duration(i) * time.Millisecond
		m.Record(&monitor.Call{
			Outcome: monitor.OK, Duration: d, CacheLookup: d / 1000, QueueWait: d / 10, Upstream: d / 2, FirstToken: d / 4, Overhead: d / 100,
		})
	}
	s := m.Summary()
	ms := time.Millisecond
	within(t, 0.50, s.P50, 500*ms)
	within(t, 0.95, s.P95, 950*ms)
	within(t, 0.99, s.P99, 990*ms)
	within(t, 0.50, s.OverheadP50, 5*ms)
	within(t, 0.99, s.OverheadP99, 9900*time.Microsecond)
	for i, divisor := range []time.Duration{1000, 10, 2, 4} {
		within(t, 0.95, s.Stages[i].P95, 950*ms/divisor)
		if s.Stages[i].Count != 1000 {
			t.Errorf("%s: %d calls", s.Stages[i].Stage, s.Stages[i].Count)
		}
	}
}

// Scrapes and summaries run beside calls, and no call is lost or counted twice.
func TestConcurrency(t *testing.T) {
	m := make1(t, names)
	const workers, each = 8, 500
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				c := fullCall()
				c.Operation = []string{"vc-analysis", "chat", "invented"}[i%3]
				c.Cache = []string{"hit", "miss"}[(i+w)%2]
				m.Record(c)
				m.RecordAttempt(&monitor.Attempt{Provider: "local", Model: "haiku", Duration: time.Second})
				m.BreakerChanged("local/llama", "closed", "open")
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			stop := m.Watch(source())
			if _, err := m.Registry().Gather(); err != nil {
				t.Error(err)
			}
			if s := m.Summary(); s.Failures > s.Requests || s.ErrorRate > 1 {
				t.Errorf("%+v", s)
			}
			stop()
		}
	})
	wg.Wait()
	var calls, dollars, durations float64
	for name, value := range series(t, m) {
		switch {
		case hasPrefix(name, "requests_total{"):
			calls += value
		case hasPrefix(name, "cost_usd_total{"):
			dollars += value
		case hasPrefix(name, "request_duration_seconds_count{"):
			durations += value
		}
	}
	const n = workers * each
	if calls != n || durations != n || int64(dollars*1e6+0.5) != n*1234 {
		t.Errorf("%v calls, %v durations, %v dollars, want %d calls of 1234 micro-dollars", calls, durations, dollars, n)
	}
	if s := m.Summary(); s.Requests != n || s.CostMicroUSD != n*1234 || s.Tokens != n*130 || s.Hits+s.Misses != n {
		t.Errorf("%+v", s)
	}
}

func hasPrefix(s, prefix string) bool { return len(s) >= len(prefix) && s[:len(prefix)] == prefix }

func TestRecordDoesNotAllocate(t *testing.T) {
	m := make1(t, names)
	call, attempt := fullCall(), &monitor.Attempt{Provider: "local", Model: "haiku", ErrorType: llm.ProviderError, Duration: time.Second, FirstToken: 3 * time.Millisecond}
	invented := fullCall()
	invented.Operation, invented.Model = "invented", "invented"
	grade := map[string]string{"course": "maths", "level": "2"}
	m.Attach(nobody{}) // a sink alone does not make it allocate
	usage := &monitor.Usage{Operation: "chat", Model: "haiku", Tokens: llm.Usage{Input: 10}, CostMicroUSD: 3}
	for name, f := range map[string]func(){
		"RecordUsage":   func() { m.RecordUsage(usage) },
		"Record":        func() { m.Record(call) },
		"Record, other": func() { m.Record(invented) },
		"RecordAttempt": func() { m.RecordAttempt(attempt) },
		"CacheStored":   func() { m.CacheStored(100) },
		"SetBreaker":    func() { m.SetBreaker("local/llama", "open") },
		"Dropped":       func() { m.Dropped("spans", 1) },
		"Measure":       func() { _ = m.Measure("grade", 0.5, grade) },
	} {
		f()
		if got := testing.AllocsPerRun(1000, f); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
