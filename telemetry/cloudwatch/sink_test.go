package cloudwatch_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// api is a CloudWatch in memory that holds requests against its limits.
type api struct {
	t  *testing.T
	mu sync.Mutex // guards the rest
	// fail is asked before each request.
	fail     func(in *cw.PutMetricDataInput) error
	data     []types.MetricDatum
	requests int
}

func (a *api) PutMetricData(_ context.Context, in *cw.PutMetricDataInput, with ...func(*cw.Options)) (*cw.PutMetricDataOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests++
	if a.fail != nil {
		if err := a.fail(in); err != nil {
			return nil, err
		}
	}
	if err := checkData(in, time.Now()); err != nil {
		a.t.Errorf("CloudWatch would refuse: %v", err)
	}
	var o cw.Options
	for _, f := range with {
		f(&o)
	}
	if o.Retryer == nil || o.Retryer.MaxAttempts() != 1 {
		a.t.Error("the SDK would retry too")
	}
	a.data = append(a.data, in.MetricData...)
	return &cw.PutMetricDataOutput{}, nil
}

// checkData holds a request against the limits of PutMetricData.
func checkData(in *cw.PutMetricDataInput, now time.Time) error {
	if n := len(in.MetricData); n == 0 || n > 1000 {
		return fmt.Errorf("%d data", n)
	}
	for _, d := range in.MetricData {
		if len(d.Values) == 0 || len(d.Values) > 150 || len(d.Counts) != len(d.Values) {
			return fmt.Errorf("%s: %d values, %d counts", *d.MetricName, len(d.Values), len(d.Counts))
		}
		if len(d.Dimensions) > 30 || d.Unit == "" || d.StorageResolution == nil {
			return fmt.Errorf("%s: %+v", *d.MetricName, d)
		}
		if d.Timestamp.Before(now.Add(-14*24*time.Hour)) || d.Timestamp.After(now.Add(2*time.Hour)) {
			return fmt.Errorf("%s: of %v", *d.MetricName, d.Timestamp)
		}
		for i, v := range d.Values {
			if math.IsNaN(v) || math.Abs(v) > 1e108 || !(d.Counts[i] > 0) {
				return fmt.Errorf("%s: %v × %v", *d.MetricName, v, d.Counts[i])
			}
		}
		for _, dim := range d.Dimensions {
			if *dim.Value == "" || len(*dim.Value) > 1024 {
				return fmt.Errorf("%s: dimension %s=%q", *d.MetricName, *dim.Name, *dim.Value)
			}
		}
	}
	return nil
}

// taken is what CloudWatch has of one metric: its name with its dimensions.
type taken struct{ sum, count, least, most float64 }

func (a *api) metrics() map[string]taken {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[string]taken{}
	for _, d := range a.data {
		id := *d.MetricName
		for _, dim := range d.Dimensions {
			id += " " + *dim.Name + "=" + *dim.Value
		}
		m, known := all[id]
		if !known {
			m.least, m.most = math.Inf(1), math.Inf(-1)
		}
		for i, v := range d.Values {
			m.sum += v * d.Counts[i]
			m.count += d.Counts[i]
			m.least, m.most = min(m.least, v), max(m.most, v)
		}
		all[id] = m
	}
	return all
}

func newSink(t *testing.T, cfg cloudwatch.Config) *cloudwatch.Sink {
	t.Helper()
	s, err := cloudwatch.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func someCalls() []monitor.Call {
	ok := monitor.Call{Operation: "vc-analysis", Model: "haiku", Outcome: monitor.OK, Cache: "miss", Stream: true, Duration: 1500 * time.Millisecond, FirstToken: 300 * time.Millisecond}
	hit := monitor.Call{Operation: "vc-analysis", Model: "haiku", Outcome: monitor.OK, Cache: "hit", Duration: 2 * time.Millisecond}
	failing := monitor.Call{Operation: "chat", Model: "haiku", Outcome: monitor.Error, Cache: "miss", ErrorType: llm.ProviderRateLimited, Duration: 4 * time.Second}
	refused := monitor.Call{Operation: "chat", Model: "haiku", Outcome: monitor.Refused, Cache: "bypass", ErrorType: llm.PolicyOverloaded, Duration: time.Millisecond}
	wrong := monitor.Call{Operation: "chat", Outcome: monitor.Error, ErrorType: llm.CallerInvalidRequest, Cache: "off", Duration: time.Millisecond}
	return []monitor.Call{ok, hit, failing, refused, wrong}
}

// TestNames: what the specifications name arrives under these names, units and dimensions.
func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		s := newSink(t, cloudwatch.Config{Client: a, By: names.Dimensions()})
		for _, c := range someCalls() {
			s.Call(&c)
		}
		s.Usage(&monitor.Usage{Operation: "vc-analysis", Model: "haiku", Tokens: llm.Usage{Input: 100, Output: 20, CacheRead: 5}, CostMicroUSD: 2500})
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := a.metrics()
		for id, want := range map[string]taken{
			"RequestCount":                                {5, 5, 1, 1},
			"RequestCount Status=success":                 {3, 3, 1, 1},
			"RequestCount Status=failure":                 {2, 2, 1, 1},
			"RequestCount Operation=chat":                 {3, 3, 1, 1},
			"ErrorCount":                                  {2, 5, 0, 1},
			"ErrorCount Operation=vc-analysis":            {0, 2, 0, 0},
			"ErrorCount ErrorType=provider_rate_limited":  {1, 1, 1, 1},
			"ErrorCount ErrorType=policy_overloaded":      {1, 1, 1, 1},
			"ErrorCount ErrorType=caller_invalid_request": {1, 1, 1, 1},
			"ErrorRate":                          {200, 5, 0, 100},
			"ResponseTime":                       {5502, 3, 2, 4000},
			"ResponseTime Operation=vc-analysis": {1502, 2, 2, 1500},
			"TimeToFirstToken":                   {300, 1, 300, 300},
			"CacheHits":                          {1, 3, 0, 1},
			"CacheLookups":                       {3, 3, 1, 1},
			"CacheHitRate":                       {100, 3, 0, 100},
			"TokenUsage":                         {125, 1, 125, 125},
			"TokenUsage TokenType=input":         {100, 1, 100, 100},
			"TokenUsage TokenType=cache_read":    {5, 1, 5, 5},
			"TokenUsage Model=haiku":             {125, 1, 125, 125},
			"Cost":                               {0.0025, 1, 0.0025, 0.0025},
		} {
			if got[id] != want {
				t.Errorf("%s: %+v, want %+v", id, got[id], want)
			}
		}
		for id := range got {
			if strings.Contains(id, "TokenType") && !strings.HasPrefix(id, "TokenUsage") {
				t.Errorf("%s has a dimension that it should not have", id)
			}
		}
		units := map[string]types.StandardUnit{}
		for _, d := range a.data {
			units[*d.MetricName] = d.Unit
		}
		for _, m := range names.Metrics() {
			if u, sent := units[m.Name]; sent && string(u) != string(m.Unit) {
				t.Errorf("%s in %s, want %s", m.Name, u, m.Unit)
			}
		}
	})
}

// TestNoUserIsADimension: whatever a call is of, nothing of its user, tenant or words is
// published.
func TestNoUserIsADimension(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newSink(t, cloudwatch.Config{Writer: &out, By: names.Dimensions()})
		c := someCalls()[0]
		c.Tenant, c.User = "tenant-7", "user-123"
		s.Call(&c)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if out.Len() == 0 || strings.Contains(out.String(), "user-123") || strings.Contains(out.String(), "tenant-7") {
			t.Errorf("published: %s", out.String())
		}
	})
}

// TestSeriesAreBounded: what has no room counts in the metric for everything.
func TestSeriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		s := newSink(t, cloudwatch.Config{Client: a, MaxSeries: 10})
		for i := range 1000 {
			s.Call(&monitor.Call{Operation: fmt.Sprintf("made-up-%d", i), Outcome: monitor.OK, Cache: "off", Duration: time.Second})
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := a.metrics()
		with := 0
		for id := range all {
			if strings.Contains(id, "=") {
				with++
			}
		}
		if with != 10 || all["RequestCount"].count != 1000 {
			t.Errorf("%d series with dimensions, %v calls", with, all["RequestCount"].count)
		}
	})
}

// TestClosedSets: operations beyond the configured ones are "other".
func TestClosedSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		s := newSink(t, cloudwatch.Config{Client: a, Operations: []string{"chat"}})
		for _, operation := range []string{"chat", "", "stränge\n"} {
			s.Call(&monitor.Call{Operation: operation, Outcome: monitor.OK, Duration: time.Second})
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := a.metrics()
		for _, id := range []string{"RequestCount Operation=chat", "RequestCount Operation=default", "RequestCount Operation=other"} {
			if all[id].count != 1 {
				t.Errorf("%s: %+v", id, all[id])
			}
		}
	})
}

// TestCostBound: what the default configuration publishes costs what the documentation
// says: for four operations, all that calls and gauges give, and six types of errors.
func TestCostBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		m, err := monitor.New(monitor.Config{Operations: []string{"op-0", "op-1", "op-2", "op-3"}, Targets: []string{"t"}})
		if err != nil {
			t.Fatal(err)
		}
		m.Watch(monitor.Source{
			Queue: func() monitor.QueueSample { return monitor.QueueSample{} }, Jobs: func() monitor.JobSample { return monitor.JobSample{Up: true} },
			State: func() monitor.StateSample { return monitor.StateSample{BudgetSpent: map[string]float64{"b": 0.5}} },
		})
		s := newSink(t, cloudwatch.Config{Client: a, Gatherer: m.Registry()})
		kinds := []llm.Kind{"", llm.ProviderRateLimited, llm.PolicyOverloaded, llm.ProviderTimeout, llm.CallerInvalidRequest, llm.ProviderError, llm.CallerDeadline}
		for i := range 100 {
			kind := kinds[i%len(kinds)]
			outcome := monitor.OK
			if kind != "" {
				outcome = monitor.Error
			}
			s.Call(&monitor.Call{
				Operation: fmt.Sprintf("op-%d", i%4), Model: "m", Outcome: outcome, ErrorType: kind, Cache: "miss", Stream: true, Duration: time.Second,
				FirstToken: time.Millisecond, Usage: llm.Usage{Input: 1}, CostMicroUSD: 1,
			})
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		metrics := len(a.metrics())
		const perMonth = 0.30 // us-east-1, the first 10,000 metrics
		if usd := float64(metrics) * perMonth; usd > 20 || metrics < len(names.Metrics()) {
			t.Errorf("%d metrics cost $%.2f a month; want all %d, and at most $20", metrics, usd, len(names.Metrics()))
		} else {
			t.Logf("%d metrics cost $%.2f a month", metrics, usd)
		}
		if worst := float64(100+len(names.Metrics())) * perMonth; worst > 37 {
			t.Errorf("the bound itself costs $%.2f a month", worst)
		}
	})
}

// TestGauges: what is read from Prometheus.
func TestGauges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		m, err := monitor.New(monitor.Config{Targets: []string{"a", "b", "c"}, Budgets: []string{"day", "month"}})
		if err != nil {
			t.Fatal(err)
		}
		m.Watch(monitor.Source{
			Queue: func() monitor.QueueSample { return monitor.QueueSample{Waiting: [4]int{1, 2, 3, 4}} },
			State: func() monitor.StateSample {
				return monitor.StateSample{Users: 7, Connections: 9, UserCostMonthMicroUSD: 180_000, BudgetSpent: map[string]float64{"day": 0.2, "month": 0.9}, AlertingUp: true}
			},
		})
		m.SetBreaker("a", "open")
		m.SetBreaker("b", "open")
		m.Dropped("spans", 5)
		s := newSink(t, cloudwatch.Config{Client: a, Gatherer: m.Registry()})
		for range 2 {
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.Dropped("spans", 2)
		}
		all := a.metrics()
		for id, want := range map[string]taken{
			"QueueDepth": {20, 2, 10, 10}, "ConcurrentUsers": {14, 2, 7, 7}, "ActiveConnections": {18, 2, 9, 9}, "CostPerUser": {0.36, 2, 0.18, 0.18},
			"BudgetSpent": {180, 2, 90, 90}, "OpenBreakers": {4, 2, 2, 2}, "BreakerOpen": {200, 2, 100, 100}, "AlertingUp": {2, 2, 1, 1}, "DroppedItems": {7, 2, 2, 5},
		} {
			if all[id] != want {
				t.Errorf("%s: %+v, want %+v", id, all[id], want)
			}
		}
		if _, there := all["StoreUp"]; there {
			t.Error("a store that is not there is published")
		}
	})
}

// TestGaugesByLabel: what alarms judge by a label is published by it where that is wanted,
// and else as the worst of them.
func TestGaugesByLabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watched := func(by []names.Dimension) map[string]taken {
			a := &api{t: t}
			m, err := monitor.New(monitor.Config{Targets: []string{"eu/haiku", "us/haiku"}, Budgets: []string{"day", "month"}})
			if err != nil {
				t.Fatal(err)
			}
			m.Watch(monitor.Source{
				Queue: func() monitor.QueueSample { return monitor.QueueSample{Waiting: [4]int{1, 2, 3, 4}} },
				State: func() monitor.StateSample {
					return monitor.StateSample{BudgetSpent: map[string]float64{"day": 0.2, "month": 0.9}}
				},
				Cache: func() monitor.CacheSample { return monitor.CacheSample{Store: &monitor.StoreSample{Up: false}} },
				Jobs:  func() monitor.JobSample { return monitor.JobSample{Up: true} },
			})
			m.SetBreaker("eu/haiku", "open")
			s := newSink(t, cloudwatch.Config{Client: a, Gatherer: m.Registry(), By: by})
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			return a.metrics()
		}
		for by, want := range map[string]map[string]float64{
			"":         {"BreakerOpen": 100, "BudgetSpent": 90, "QueueDepth": 10, "StoreUp": 0},
			"Target":   {"BreakerOpen": 100, "BreakerOpen Target=eu/haiku": 100, "BreakerOpen Target=us/haiku": 0, "BudgetSpent": 90, "QueueDepth": 10},
			"Budget":   {"BreakerOpen": 100, "BudgetSpent": 90, "BudgetSpent Budget=day": 20, "BudgetSpent Budget=month": 90},
			"Priority": {"QueueDepth": 10, "QueueDepth Priority=low": 1, "QueueDepth Priority=critical": 4},
		} {
			dims := []names.Dimension{}
			if by != "" {
				dims = append(dims, names.Dimension(by))
			}
			got := watched(dims)
			for id, v := range want {
				if got[id] != (taken{v, 1, v, v}) {
					t.Errorf("by %q, %s: %+v, want %v", by, id, got[id], v)
				}
			}
			for id := range got {
				if strings.Contains(id, "=") && (by == "" || !strings.Contains(id, " "+by+"=")) {
					t.Errorf("by %q: %s", by, id)
				}
			}
		}
	})
}

// TestShareOfAMinute: of two breakers of which one was open for a quarter of a minute and
// the other half-open for half of it, the worse one is told; the sum is no share of anything.
func TestShareOfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		m, err := monitor.New(monitor.Config{Targets: []string{"eu/haiku", "us/haiku"}})
		if err != nil {
			t.Fatal(err)
		}
		s := newSink(t, cloudwatch.Config{Client: a, Gatherer: m.Registry(), By: []names.Dimension{names.Target}})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(20 * time.Second) // a reading of nothing
		m.SetBreaker("eu/haiku", "open")
		time.Sleep(15 * time.Second)
		m.SetBreaker("eu/haiku", "closed")
		m.SetBreaker("us/haiku", "half_open")
		time.Sleep(85 * time.Second)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		// Readings at 15, 30 and 45 s of the first minute, though what else there is is sent
		// within the second one, at four times of that, and at its end at 120 s.
		var first []string
		for _, d := range a.data {
			if *d.MetricName == "BreakerOpen" {
				id := d.Timestamp.Format("05 ")
				for _, dim := range d.Dimensions {
					id += *dim.Value
				}
				first = append(first, fmt.Sprintf("%s %s %.0f", d.Timestamp.Format("15:04"), strings.TrimSpace(id), d.Values[0]))
			}
			if len(d.Values) != 1 && *d.MetricName == "BreakerOpen" {
				t.Errorf("%v: an instance tells one share a minute", d.Values)
			}
		}
		want := []string{
			"00:00 00 33", "00:00 00 eu/haiku 33", "00:00 00 us/haiku 33",
			"00:01 00 100", "00:01 00 eu/haiku 0", "00:01 00 us/haiku 100",
			"00:02 00 100", "00:02 00 eu/haiku 0", "00:02 00 us/haiku 100",
		}
		if !slices.Equal(first, want) {
			t.Errorf("%q, want %q", first, want)
		}
	})
}

// TestCustom: the specification's user metrics under its names.
func TestCustom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		s := newSink(t, cloudwatch.Config{Client: a, Dimensions: map[string]string{"Stage": "test"}})
		custom := append(monitor.UserMetrics(),
			monitor.CustomMetric{Name: "lessons_done", Kind: monitor.CustomHistogram, Doc: "x", Labels: []monitor.CustomLabel{{Name: "plan", Values: []string{"free"}}}},
			monitor.CustomMetric{Name: "x", CloudWatch: "ResponseTime", Kind: monitor.CustomCounter, Doc: "taken"},
			monitor.CustomMetric{Name: "y", CloudWatch: "Stage", Kind: monitor.CustomCounter, Doc: "taken"})
		m, err := monitor.New(monitor.Config{Custom: custom})
		if err != nil {
			t.Fatal(err)
		}
		m.Attach(s)
		for name, value := range map[string]float64{"study_time": 90, "documents": 2, "queries": 1, "x": 1, "y": 1} {
			if err := m.Measure(name, value, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Measure("lessons_done", 3, map[string]string{"plan": "free"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := slices.Sorted(maps.Keys(a.metrics()))
		want := []string{"DocumentCount Stage=test", "LessonsDone Stage=test", "LessonsDone Stage=test plan=free", "QueryCount Stage=test", "StudyTime Stage=test"}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// TestFunctions: what the specification's trackResponseTime measures arrives by function,
// and in nothing that is about calls of models.
func TestFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		s := newSink(t, cloudwatch.Config{Client: a})
		m, err := monitor.New(monitor.Config{Functions: []string{"voice-learning-response-generator"}})
		if err != nil {
			t.Fatal(err)
		}
		m.Attach(s)
		status := 200
		h := m.TrackResponseTime("voice-learning-response-generator", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(1500 * time.Millisecond)
			w.WriteHeader(status)
		}))
		for _, status = range []int{200, 404, 503} {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		const of = " Function=voice-learning-response-generator"
		want := map[string]taken{"ResponseTime" + of: {4500, 3, 1500, 1500}, "RequestCount" + of: {3, 3, 1, 1}, "ErrorCount" + of: {1, 3, 0, 1}}
		if got := a.metrics(); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// TestCustomWithManyLabels: a datum has 30 dimensions at most; the metric stays without the
// labels that have no room.
func TestCustomWithManyLabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		fixed := map[string]string{}
		for i := range 29 {
			fixed[fmt.Sprint("d", i)] = "x"
		}
		s := newSink(t, cloudwatch.Config{Client: a, Dimensions: fixed})
		label := func(name string) monitor.CustomLabel {
			return monitor.CustomLabel{Name: name, Values: []string{"v"}}
		}
		one := monitor.CustomMetric{Name: "one", Labels: []monitor.CustomLabel{label("a")}}
		two := monitor.CustomMetric{Name: "two", Labels: []monitor.CustomLabel{label("a"), label("b")}}
		s.Measured(&one, 1, []string{"v"})
		s.Measured(&two, 1, []string{"v", "v"})
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, d := range a.data {
			count[*d.MetricName]++
		}
		if count["One"] != 2 || count["Two"] != 1 {
			t.Errorf("%v", count)
		}
	})
}

var errThrottled = &smithy.GenericAPIError{Code: "Throttling", Message: "Rate exceeded"}

// TestOutage: while CloudWatch is down data wait, bounded and in order; then they arrive
// with the times of their minutes.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := atomic.Bool{}
		down.Store(true)
		a := &api{t: t, fail: func(*cw.PutMetricDataInput) error {
			if down.Load() {
				return errThrottled
			}
			return nil
		}}
		var lost atomic.Int64
		s := newSink(t, cloudwatch.Config{Client: a, By: []names.Dimension{}, Spool: 40, OnDrop: func(n int64) { lost.Add(n) }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		for range 20 { // 4 data a minute: 80 of which 40 have room
			s.Call(&monitor.Call{Outcome: monitor.OK, Cache: "off", Duration: time.Second})
			time.Sleep(time.Minute)
		}
		if lost.Load() != 40 {
			t.Errorf("%d lost, want 40", lost.Load())
		}
		down.Store(false)
		time.Sleep(2 * time.Minute)
		a.mu.Lock()
		if len(a.data) != 40 {
			t.Errorf("%d arrived, want 40", len(a.data))
		}
		ordered := slices.IsSortedFunc(a.data, func(x, y types.MetricDatum) int { return x.Timestamp.Compare(*y.Timestamp) })
		oldest := time.Since(*a.data[0].Timestamp)
		a.mu.Unlock()
		if !ordered || oldest < 11*time.Minute || oldest > 13*time.Minute {
			t.Errorf("in order: %v; the oldest is of %v ago", ordered, oldest)
		}
		s.Call(&monitor.Call{Outcome: monitor.OK, Cache: "off", Duration: time.Second})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := a.metrics()["RequestCount"].count; n != 11 {
			t.Errorf("%v calls arrived, want 10 and the one of the end", n)
		}
	})
}

// TestBackoff: pauses grow and are bounded.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		a := &api{t: t, fail: func(*cw.PutMetricDataInput) error { return errThrottled }}
		var lost atomic.Int64
		s := newSink(t, cloudwatch.Config{Client: a, Jitter: func(most time.Duration) time.Duration {
			asked = append(asked, most)
			return most
		}, OnDrop: func(n int64) { lost.Add(n) }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		s.Call(&monitor.Call{Outcome: monitor.OK, Duration: time.Second})
		time.Sleep(10 * time.Minute)
		cancel()
		if err := <-ended; err == nil || lost.Load() == 0 {
			t.Errorf("what could not be sent is not told: %v, %d", err, lost.Load())
		}
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute}
		if len(asked) < len(want) || !slices.Equal(asked[:len(want)], want) {
			t.Errorf("pauses: %v", asked)
		}
	})
}

// TestTooOld: data that CloudWatch would not take any more are dropped and counted.
func TestTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		var lost atomic.Int64
		s := newSink(t, cloudwatch.Config{Client: a, OnDrop: func(n int64) { lost.Add(n) }, By: []names.Dimension{}})
		s.Call(&monitor.Call{Outcome: monitor.OK, Cache: "off", Duration: time.Second})
		time.Sleep(14 * 24 * time.Hour)
		s.Call(&monitor.Call{Outcome: monitor.OK, Cache: "off", Duration: time.Second})
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(a.data) != 4 || lost.Load() != 4 {
			t.Errorf("%d arrived, %d lost", len(a.data), lost.Load())
		}
	})
}

// TestOneBadDatum: CloudWatch refuses a request for one datum in it; the others arrive.
func TestOneBadDatum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t, fail: func(in *cw.PutMetricDataInput) error {
			for _, d := range in.MetricData {
				if *d.MetricName == "ErrorRate" {
					return &types.InvalidParameterValueException{Message: aws.String("no")}
				}
			}
			return nil
		}}
		var lost atomic.Int64
		s := newSink(t, cloudwatch.Config{Client: a, OnDrop: func(n int64) { lost.Add(n) }})
		for _, c := range someCalls() {
			s.Call(&c)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := a.metrics()
		if _, there := all["ErrorRate"]; there || all["RequestCount"].count != 5 || all["TimeToFirstToken"].count != 1 || lost.Load() != 1 {
			t.Errorf("%d lost of %v", lost.Load(), slices.Sorted(maps.Keys(all)))
		}
	})
}

// TestManySeries: requests hold at most 1,000 data.
func TestManySeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		s := newSink(t, cloudwatch.Config{Client: a, MaxSeries: 10_000})
		for i := range 500 {
			s.Call(&monitor.Call{Operation: fmt.Sprint("op-", i), Outcome: monitor.OK, Cache: "hit", Duration: time.Second})
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(a.data) < 2500 || a.requests != (len(a.data)+999)/1000 {
			t.Errorf("%d data in %d requests", len(a.data), a.requests)
		}
	})
}

// TestFaults: every fault of a configuration is named.
func TestFaults(t *testing.T) {
	_, err := cloudwatch.New(cloudwatch.Config{
		Namespace: "AWS/Mine", Dimensions: map[string]string{"Operation": "x", "Stage": " "}, By: []names.Dimension{"User", names.Model, names.Model},
		MaxSeries: -1, Interval: time.Hour, Resolution: 5 * time.Second, Spool: -1, Timeout: -1,
	})
	for _, key := range []string{"client, writer", "namespace", `dimensions: "Operation"`, "dimensions.Stage", `no dimension "User"`, "Model is there twice", "max_series", "interval", "resolution", "spool", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
}

// TestConcurrent: calls and flushes at the same time lose nothing.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{t: t}
		s := newSink(t, cloudwatch.Config{Client: a, Gatherer: prometheus.NewRegistry(), Resolution: time.Second})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 500 {
					for _, c := range someCalls() {
						s.Call(&c)
					}
				}
			})
		}
		all.Go(func() {
			for range 50 {
				if err := s.Flush(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		all.Wait()
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := a.metrics(); m["RequestCount"].count != 8*500*5 || m["ErrorCount"].sum != 8*500*2 {
			t.Errorf("%+v", m["RequestCount"])
		}
	})
}

func BenchmarkCall(b *testing.B) {
	s, err := cloudwatch.New(cloudwatch.Config{Writer: brokenWriter{}})
	if err != nil {
		b.Fatal(err)
	}
	c := someCalls()[0]
	c.Usage, c.CostMicroUSD = llm.Usage{Input: 100, Output: 10}, 77
	b.ReportAllocs()
	for b.Loop() {
		s.Call(&c)
	}
}
