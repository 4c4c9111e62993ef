package monitor_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

func Example() {
	m, err := monitor.New(monitor.Config{Operations: []string{"vc-analysis"}, Models: []string{"haiku"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	m.Record(&monitor.Call{
		Operation: "vc-analysis", Model: "haiku", Outcome: monitor.OK, Cache: "miss",
		Duration: 2 * time.Second, Usage: llm.Usage{Input: 1200, Output: 300}, CostMicroUSD: 2700,
	})
	m.Record(&monitor.Call{Operation: "vc-analysis", Model: "haiku", Outcome: monitor.Refused, ErrorType: llm.PolicyOverloaded})
	s := m.Summary()
	fmt.Println(s.Requests, "calls,", s.Failures, "failed,", s.Tokens, "tokens,", s.CostMicroUSD, "micro-dollars")
	// Output: 2 calls, 1 failed, 1500 tokens, 2700 micro-dollars
}

func make1(t testing.TB, cfg monitor.Config) *monitor.Monitor {
	t.Helper()
	m, err := monitor.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var names = monitor.Config{
	Operations: []string{"vc-analysis", "chat"},
	Models:     []string{"haiku", "sonnet"},
	Providers:  []string{"bedrock-eu", "local"},
	Targets:    []string{"bedrock-eu/haiku", "local/llama"},
	Functions:  []string{"response-generator"},
	Budgets:    []string{"students"},
	Custom: append(monitor.UserMetrics(),
		monitor.CustomMetric{Name: "open_tabs", Unit: "tabs", Doc: "Tabs that are open.", Kind: monitor.CustomGauge},
		monitor.CustomMetric{
			Name: "grade", Unit: "ratio", Doc: "How good answers were.", Kind: monitor.CustomHistogram,
			Labels: []monitor.CustomLabel{{Name: "course", Values: []string{"maths", "physics"}}, {Name: "level", Values: []string{"1", "2", "3"}}},
		}),
}

// fullCall has a value for everything.
func fullCall() *monitor.Call {
	return &monitor.Call{
		Operation: "vc-analysis", Model: "haiku", Provider: "bedrock-eu", Priority: llm.High,
		Outcome: monitor.Degraded, ErrorType: llm.ProviderTimeout, Cache: "miss", Fallback: "template", Stream: true,
		Duration: 3 * time.Second, CacheLookup: 20 * time.Microsecond, QueueWait: 40 * time.Millisecond,
		Upstream: 900 * time.Millisecond, FirstToken: time.Second, Overhead: 35 * time.Microsecond,
		Usage: llm.Usage{Input: 100, Output: 20, CacheRead: 7, CacheWrite: 3}, CostMicroUSD: 1234, Attempts: 2,
		Tenant: "acme", User: "ada", OutputTokens: 21, SavedMicroUSD: 567, Endpoint: llm.Chat,
	}
}

func source() monitor.Source {
	return monitor.Source{
		Jobs: jobSample,
		Tables: func() monitor.TablesSample {
			return monitor.TablesSample{
				Calls:       map[string]monitor.TableCalls{"cache.get": {Calls: 9, Throttled: 2, Failed: 1, ReadUnits: 4.5}, "queue.insert": {Calls: 3, WriteUnits: 6}},
				Connections: 5, Opened: 8, Reused: 4,
			}
		},
		State: func() monitor.StateSample {
			return monitor.StateSample{
				Users: 12, Connections: 34, UserCostMonthMicroUSD: 180_000, Warning: 2, Critical: 1, AlertingUp: true, Degradation: 3,
				BudgetSpent: map[string]float64{"students": 0.75, "made up": 0.25, "too": 0.5},
			}
		},
		Queue: func() monitor.QueueSample {
			return monitor.QueueSample{
				Waiting: [4]int{1, 2, 3, 4}, Oldest: 1500 * time.Millisecond,
				InFlight: map[string]int{"bedrock-eu/haiku": 5, "x": 1, "y": 2}, Max: map[string]int{"bedrock-eu/haiku": 10, "local/llama": -1},
			}
		},
		Cache: func() monitor.CacheSample {
			return monitor.CacheSample{
				Entries: 11, Bytes: 2048, Hits: 30, Misses: 12, Evictions: 2, HitsOnDisk: 10, StaleHits: 1, Damaged: 3, Invalidations: 4,
				MissReasons: map[string]int64{"never_seen": 7, "expired": 3},
				Saved: map[string]monitor.Saving{
					"vc-analysis": {Tokens: 100, CostMicroUSD: 750_000}, "made up": {Tokens: 3}, "too": {Tokens: 4},
				},
				Store: &monitor.StoreSample{Pending: 5, Written: 6, Dropped: 7, BytesUnpacked: 50, BytesPacked: 25},
			}
		},
	}
}

// useEverything touches every metric once.
func useEverything(m *monitor.Monitor) {
	m.Record(fullCall())
	m.RecordAttempt(&monitor.Attempt{Provider: "bedrock-eu", Model: "haiku", ErrorType: llm.ProviderTimeout, Duration: time.Second, FirstToken: time.Millisecond})
	m.BreakerChanged("local/llama", "closed", "open")
	m.QueueRefused("full")
	m.Retried(llm.ProviderTimeout)
	m.CacheStored(2048)
	m.Watch(source())
	m.Dropped("spans", 3)
	for name, labels := range map[string]map[string]string{"study_time": nil, "documents": nil, "queries": nil, "open_tabs": nil, "grade": {"course": "maths"}} {
		if err := m.Measure(name, 0.5, labels); err != nil {
			panic(err)
		}
	}
	h := m.TrackResponseTime("response-generator", http.NotFoundHandler())
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

func gather(t testing.TB, m *monitor.Monitor) []*dto.MetricFamily {
	t.Helper()
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return !strings.HasPrefix(f.GetName(), "forebay_") })
}

// series lists counters and gauges as "name{label=value,…}" and histograms as
// their sum and count.
func series(t testing.TB, m *monitor.Monitor) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, f := range gather(t, m) {
		for _, s := range f.GetMetric() {
			var labels []string
			for _, l := range s.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := strings.TrimPrefix(f.GetName(), "forebay_")
			at := "{" + strings.Join(labels, ",") + "}"
			switch {
			case s.Counter != nil:
				all[name+at] = s.Counter.GetValue()
			case s.Gauge != nil:
				all[name+at] = s.Gauge.GetValue()
			default:
				all[name+"_count"+at] = float64(s.Histogram.GetSampleCount())
				all[name+"_sum"+at] = s.Histogram.GetSampleSum()
			}
		}
	}
	return all
}

func expect(t *testing.T, got map[string]float64, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s = %v (there: %v), want %v", name, v, ok, value)
		}
	}
}

func TestPromlint(t *testing.T) {
	m := make1(t, names)
	useEverything(m)
	problems, err := promlint.NewWithMetricFamilies(gather(t, m)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// The vocabulary: dashboards and alarms are written against these names.
func TestVocabulary(t *testing.T) {
	m := make1(t, names)
	useEverything(m)
	want := map[string]string{
		"forebay_requests_total":                       "cache,error_type,fallback,model,operation,outcome",
		"forebay_request_duration_seconds":             "cache,operation",
		"forebay_stage_duration_seconds":               "stage",
		"forebay_time_to_first_token_seconds":          "model",
		"forebay_overhead_seconds":                     "",
		"forebay_tokens_total":                         "direction,model,operation",
		"forebay_cost_usd_total":                       "model,operation",
		"forebay_attempts_total":                       "error_type,model,provider",
		"forebay_upstream_duration_seconds":            "model,provider",
		"forebay_upstream_time_to_first_token_seconds": "model,provider",
		"forebay_retries_total":                        "reason",
		"forebay_cache_stored_total":                   "",
		"forebay_cache_stored_bytes_total":             "",
		"forebay_cache_entries":                        "",
		"forebay_cache_bytes":                          "",
		"forebay_cache_hits_total":                     "tier",
		"forebay_cache_misses_total":                   "reason",
		"forebay_cache_evictions_total":                "",
		"forebay_cache_stale_hits_total":               "",
		"forebay_cache_damaged_total":                  "",
		"forebay_cache_invalidations_total":            "",
		"forebay_cache_saved_tokens_total":             "operation",
		"forebay_cache_saved_usd_total":                "operation",
		"forebay_cache_store_up":                       "",
		"forebay_cache_store_pending_bytes":            "",
		"forebay_cache_store_written_total":            "",
		"forebay_cache_store_dropped_total":            "",
		"forebay_cache_store_unpacked_bytes_total":     "",
		"forebay_cache_store_packed_bytes_total":       "",
		"forebay_queue_depth":                          "priority",
		"forebay_queue_oldest_wait_seconds":            "",
		"forebay_queue_wait_seconds":                   "priority",
		"forebay_queue_rejected_total":                 "reason",
		"forebay_inflight_requests":                    "target",
		"forebay_inflight_requests_limit":              "target",
		"forebay_breaker_state":                        "state,target",
		"forebay_jobs":                                 "priority,state",
		"forebay_jobs_oldest_seconds":                  "priority",
		"forebay_jobs_bytes":                           "",
		"forebay_jobs_dead":                            "",
		"forebay_jobs_damaged":                         "",
		"forebay_jobs_store_up":                        "",
		"forebay_job_events_total":                     "event,priority",
		"forebay_job_wait_seconds":                     "priority",
		"forebay_job_run_seconds":                      "priority",
		"forebay_breaker_transitions_total":            "from,target,to",
		"forebay_build_info":                           "go_version,revision,version",
		"forebay_good_requests_total":                  "model,operation",
		"forebay_objective_seconds":                    "",
		"forebay_time_per_output_token_seconds":        "model",
		"forebay_saved_usd_total":                      "model,operation",
		"forebay_dropped_total":                        "what",
		"forebay_dynamodb_calls_total":                 "call",
		"forebay_dynamodb_throttled_total":             "call",
		"forebay_dynamodb_failed_total":                "call",
		"forebay_dynamodb_units_total":                 "call,kind",
		"forebay_dynamodb_connections":                 "",
		"forebay_dynamodb_connections_opened_total":    "",
		"forebay_dynamodb_connections_reused_total":    "",
		"forebay_function_duration_seconds":            "function,status",
		"forebay_users":                                "",
		"forebay_connections":                          "",
		"forebay_user_cost_month_usd":                  "",
		"forebay_budget_spent_ratio":                   "budget",
		"forebay_alarms_firing":                        "severity",
		"forebay_alerting_up":                          "",
		"forebay_degradation_level":                    "",
		"forebay_custom_study_time_seconds_total":      "",
		"forebay_custom_documents_total":               "",
		"forebay_custom_queries_total":                 "",
		"forebay_custom_open_tabs":                     "",
		"forebay_custom_grade_ratio":                   "course,level",
	}
	got := map[string]string{}
	for _, f := range gather(t, m) {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		got[f.GetName()] = strings.Join(labels, ",")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	vocabularySays(t, m, want)
}

// vocabularySays checks that what Vocabulary says is what is shown, also before anything
// was recorded.
func vocabularySays(t *testing.T, m *monitor.Monitor, want map[string]string) {
	t.Helper()
	said := map[string]string{}
	for _, info := range make1(t, names).Vocabulary() {
		slices.Sort(info.Labels)
		said[info.Name] = strings.Join(info.Labels, ",")
		if info.Doc == "" || !strings.HasSuffix(info.Doc, ".") || !slices.Contains([]string{"counter", "gauge", "histogram"}, info.Kind) {
			t.Errorf("%s: kind %q, doc %q", info.Name, info.Kind, info.Doc)
		}
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("Vocabulary (-want +said):\n%s", diff)
	}
	for _, f := range gather(t, m) {
		for _, info := range m.Vocabulary() {
			if info.Name == f.GetName() && info.Kind != strings.ToLower(f.GetType().String()) {
				t.Errorf("%s is a %s, and said to be a %s", info.Name, f.GetType(), info.Kind)
			}
		}
	}
}

// Every metric of the specification has its name here.
func TestSpecificationsNames(t *testing.T) {
	found := map[string]bool{}
	for _, info := range make1(t, names).Vocabulary() {
		for _, name := range strings.Split(info.CloudWatch, ", ") {
			found[name] = true
		}
	}
	for _, name := range []string{
		"ResponseTime", "RequestCount", "TokenUsage", "CacheHitRate", "ErrorCount", "ErrorRate", "ConcurrentUsers", "ActiveConnections",
		"QueueDepth", "CostPerUser", "StudyTime", "DocumentCount", "QueryCount", "OpenTabs",
	} {
		if !found[name] {
			t.Errorf("no metric is %s", name)
		}
	}
}

func TestRecord(t *testing.T) {
	m := make1(t, names)
	useEverything(m)
	expect(t, series(t, m), map[string]float64{
		"requests_total{cache=miss,error_type=provider_timeout,fallback=template,model=haiku,operation=vc-analysis,outcome=degraded}": 1,
		"request_duration_seconds_sum{cache=miss,operation=vc-analysis}":                                                              3,
		"request_duration_seconds_count{cache=miss,operation=vc-analysis}":                                                            1,
		"stage_duration_seconds_sum{stage=cache}":                                                                                     0.00002,
		"stage_duration_seconds_sum{stage=queue}":                                                                                     0.04,
		"stage_duration_seconds_sum{stage=upstream}":                                                                                  0.9,
		"stage_duration_seconds_sum{stage=first_token}":                                                                               1,
		"time_to_first_token_seconds_sum{model=haiku}":                                                                                1,
		"queue_wait_seconds_sum{priority=high}":                                                                                       0.04,
		"queue_wait_seconds_count{priority=low}":                                                                                      0,
		"overhead_seconds_sum{}":                                                                                                      0.000035,
		"tokens_total{direction=input,model=haiku,operation=vc-analysis}":                                                             100,
		"tokens_total{direction=output,model=haiku,operation=vc-analysis}":                                                            20,
		"tokens_total{direction=cache_read,model=haiku,operation=vc-analysis}":                                                        7,
		"tokens_total{direction=cache_write,model=haiku,operation=vc-analysis}":                                                       3,
		"cost_usd_total{model=haiku,operation=vc-analysis}":                                                                           0.001234,
		"attempts_total{error_type=provider_timeout,model=haiku,provider=bedrock-eu}":                                                 1,
		"upstream_duration_seconds_sum{model=haiku,provider=bedrock-eu}":                                                              1,
		"upstream_time_to_first_token_seconds_sum{model=haiku,provider=bedrock-eu}":                                                   0.001,
		"queue_rejected_total{reason=full}":                                                                                           1,
		"queue_rejected_total{reason=deadline}":                                                                                       0,
		"retries_total{reason=provider_timeout}":                                                                                      1,
		"cache_stored_total{}":                                                                                                        1,
		"cache_stored_bytes_total{}":                                                                                                  2048,
		"time_per_output_token_seconds_sum{model=haiku}":                                                                              0.1,
		"saved_usd_total{model=haiku,operation=vc-analysis}":                                                                          0.000567,
		"dropped_total{what=spans}":                                                                                                   3,
		"dropped_total{what=series}":                                                                                                  0,
		"function_duration_seconds_count{function=response-generator,status=4xx}":                                                     1,
		"good_requests_total{model=haiku,operation=vc-analysis}":                                                                      0,
		"objective_seconds{}":                                                                                                         30,
		"users{}":                                                                                                                     12,
		"connections{}":                                                                                                               34,
		"user_cost_month_usd{}":                                                                                                       0.18,
		"alarms_firing{severity=warning}":                                                                                             2,
		"alarms_firing{severity=critical}":                                                                                            1,
		"alerting_up{}":                                                                                                               1,
		"degradation_level{}":                                                                                                         3,
		"budget_spent_ratio{budget=students}":                                                                                         0.75,
		"budget_spent_ratio{budget=other}":                                                                                            0.5,
	})
}

// Good calls are those that were answered, by no fallback, within the objective.
func TestGoodput(t *testing.T) {
	cfg := names
	cfg.Objective = 3 * time.Second
	m := make1(t, cfg)
	sink := &recorder{}
	m.Attach(sink)
	for _, test := range []struct {
		outcome monitor.Outcome
		took    time.Duration
		good    bool
	}{
		{monitor.OK, time.Second, true},
		{monitor.OK, 3 * time.Second, true},
		{monitor.OK, 0, true}, // a hit faster than the clock
		{monitor.OK, 3*time.Second + 1, false},
		{monitor.Degraded, time.Second, false},
		{monitor.Error, time.Second, false},
		{monitor.Refused, time.Second, false},
		{monitor.Cancelled, time.Second, false},
	} {
		m.Record(&monitor.Call{Operation: "chat", Outcome: test.outcome, Duration: test.took, Good: !test.good})
		if got := sink.calls[len(sink.calls)-1].Good; got != test.good {
			t.Errorf("%s in %v: good is %v", test.outcome, test.took, got)
		}
	}
	expect(t, series(t, m), map[string]float64{"good_requests_total{model=none,operation=chat}": 3, "objective_seconds{}": 3})
}

// Only streams of a model say how fast its tokens come.
func TestTimePerOutputToken(t *testing.T) {
	m := make1(t, names)
	stream := func(change func(*monitor.Call)) {
		c := &monitor.Call{Model: "haiku", Outcome: monitor.OK, Stream: true, Duration: 3 * time.Second, FirstToken: time.Second, OutputTokens: 201}
		change(c)
		m.Record(c)
	}
	stream(func(*monitor.Call) {})
	stream(func(c *monitor.Call) { c.Cache = "collapsed" })
	stream(func(c *monitor.Call) { c.Cache = "hit" })
	stream(func(c *monitor.Call) { c.Cache = "stale_hit" })
	stream(func(c *monitor.Call) { c.Stream = false })
	stream(func(c *monitor.Call) { c.FirstToken = 0 })
	stream(func(c *monitor.Call) { c.OutputTokens = 1 })
	stream(func(c *monitor.Call) { c.OutputTokens = -5 })
	stream(func(c *monitor.Call) { c.FirstToken = 4 * time.Second })
	expect(t, series(t, m), map[string]float64{
		"time_per_output_token_seconds_count{model=haiku}": 2, "time_per_output_token_seconds_sum{model=haiku}": 0.02,
	})
}

func TestAbsentAndUnknownLabels(t *testing.T) {
	m := make1(t, names)
	m.Record(&monitor.Call{})
	m.Record(&monitor.Call{
		Operation: "x", Model: "y", Outcome: "z", ErrorType: "boom", Cache: "warm", Fallback: "guess", Priority: 77,
		QueueWait: time.Second, Usage: llm.Usage{Input: -1, Output: -1}, CostMicroUSD: -1,
	})
	m.RecordAttempt(&monitor.Attempt{})
	m.RecordAttempt(&monitor.Attempt{Provider: "\xff", Model: "\xff", ErrorType: "\xff"})
	m.QueueRefused("")
	m.QueueRefused("mood")
	m.Retried("")
	m.Retried("mood")
	m.CacheStored(-5)
	expect(t, series(t, m), map[string]float64{
		"requests_total{cache=none,error_type=none,fallback=none,model=none,operation=default,outcome=none}":    1,
		"requests_total{cache=other,error_type=other,fallback=other,model=other,operation=other,outcome=other}": 1,
		"queue_wait_seconds_count{priority=critical}":                                                           1,
		"attempts_total{error_type=none,model=none,provider=none}":                                              1,
		"attempts_total{error_type=other,model=other,provider=other}":                                           1,
		"queue_rejected_total{reason=none}":                                                                     1,
		"queue_rejected_total{reason=other}":                                                                    1,
		"retries_total{reason=none}":                                                                            1,
		"retries_total{reason=other}":                                                                           1,
		"cache_stored_bytes_total{}":                                                                            0,
	})
}

// 10,000 calls with names that nobody configured, in every place where a caller or
// a provider might put one, add a handful of series and no more.
func TestSeriesAreBounded(t *testing.T) {
	m := make1(t, names)
	m.Watch(monitor.Source{Queue: func() monitor.QueueSample {
		inflight := map[string]int{}
		for i := range 10_000 {
			inflight[fmt.Sprint("target-", i)] = 1
		}
		return monitor.QueueSample{InFlight: inflight, Max: inflight}
	}})
	for i := range 10_000 {
		name := fmt.Sprintf("hostile-%d\xff\n", i)
		c := fullCall()
		c.Operation, c.Model, c.Provider, c.Cache, c.Fallback = name, name, name, name, name
		c.Tenant, c.User, c.Endpoint = name, name, llm.Endpoint(name)
		c.ErrorType, c.Outcome = llm.Kind(name), monitor.Outcome(name)
		m.Record(c)
		m.RecordAttempt(&monitor.Attempt{Provider: name, Model: name, ErrorType: llm.Kind(name), Duration: 1, FirstToken: 1})
		m.BreakerChanged(name, name, name)
		m.SetBreaker(name, name)
		m.QueueRefused(name)
		m.Retried(llm.Kind(name))
		m.Dropped(name, 1)
		m.RecordUsage(&monitor.Usage{Operation: name, Model: name, Provider: name, CostMicroUSD: 1})
		if err := m.Measure("grade", 1, map[string]string{"course": name, "level": name}); err != nil {
			t.Fatal(err)
		}
		h := m.TrackResponseTime(name, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200 + i%800) }))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	m.Watch(monitor.Source{State: func() monitor.StateSample {
		spent := map[string]float64{}
		for i := range 10_000 {
			spent[fmt.Sprint("budget-", i)] = 1
		}
		return monitor.StateSample{BudgetSpent: spent}
	}})
	got := series(t, m)
	if got["custom_grade_ratio_count{course=other,level=other}"] != 10_000 {
		t.Error("values of made-up labels are not counted under other")
	}
	if got["requests_total{cache=other,error_type=other,fallback=other,model=other,operation=other,outcome=other}"] != 10_000 {
		t.Error("the calls are not counted under other")
	}
	if got["inflight_requests{target=other}"] != 10_000 {
		t.Error("the targets are not added up under other")
	}
	if len(got) > 110 {
		t.Errorf("%d series", len(got))
	}
	for name := range got {
		if strings.Contains(name, "hostile") {
			t.Errorf("series %q", name)
		}
	}
}

// 100,000 micro-dollars in different portions are a tenth of a dollar, not 0.09999.
func TestSumsAreExact(t *testing.T) {
	m := make1(t, names)
	c := fullCall()
	c.CostMicroUSD, c.Usage = 1, llm.Usage{Input: 3}
	for range 30_000 {
		m.Record(c)
	}
	c.CostMicroUSD = 7
	for range 10_000 {
		m.Record(c)
	}
	expect(t, series(t, m), map[string]float64{
		"cost_usd_total{model=haiku,operation=vc-analysis}":                                                                           0.1,
		"tokens_total{direction=input,model=haiku,operation=vc-analysis}":                                                             120_000,
		"requests_total{cache=miss,error_type=provider_timeout,fallback=template,model=haiku,operation=vc-analysis,outcome=degraded}": 40_000,
		"request_duration_seconds_count{cache=miss,operation=vc-analysis}":                                                            40_000,
		"request_duration_seconds_sum{cache=miss,operation=vc-analysis}":                                                              120_000,
	})
	if s := m.Summary(); s.CostMicroUSD != 100_000 || s.Tokens != 120_000 || s.Requests != 40_000 {
		t.Errorf("Summary = %+v", s)
	}
}
