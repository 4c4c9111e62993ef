package telemetry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry"
)

// points gives the sum of each series of a histogram, by its attributes.
func points(m *metricspb.Metric) map[string]float64 {
	all := map[string]float64{}
	for _, p := range m.GetHistogram().GetDataPoints() {
		var labels []string
		for _, a := range p.Attributes {
			labels = append(labels, strings.TrimPrefix(a.Key, "gen_ai.")+"="+a.Value.GetStringValue())
		}
		all[strings.Join(labels, ",")] = p.GetSum()
	}
	return all
}

// Through the monitor, as calls are recorded: the registry and the conventions' own.
func TestMetrics(t *testing.T) {
	r := newReceiver(t)
	m, err := monitor.New(monitor.Config{Operations: []string{"chat"}, Models: []string{"haiku"}, Providers: []string{"bedrock"}})
	if err != nil {
		t.Fatal(err)
	}
	x := start(t, telemetry.Config{Endpoint: r.URL, Gatherer: m.Registry()})
	m.Attach(x)
	m.Record(&monitor.Call{
		Operation: "chat", Model: "haiku", Provider: "bedrock", Outcome: monitor.OK, Stream: true, Attempts: 1, Cache: "miss",
		Duration: 3 * time.Second, FirstToken: time.Second, OutputTokens: 101,
	})
	m.Record(&monitor.Call{Model: "haiku", Outcome: monitor.OK, Cache: "hit", Stream: true, Duration: time.Second, FirstToken: time.Second / 2, OutputTokens: 100})
	m.Record(&monitor.Call{Model: "haiku", Provider: "bedrock", Outcome: monitor.Error, ErrorType: llm.ProviderTimeout, Duration: 2 * time.Second})
	m.Record(&monitor.Call{Model: "haiku", Outcome: monitor.Refused, ErrorType: llm.PolicyOverloaded, Duration: 2 * time.Second})
	m.RecordAttempt(&monitor.Attempt{Provider: "bedrock", Model: "haiku", Duration: 2 * time.Second, FirstToken: time.Second})
	m.RecordAttempt(&monitor.Attempt{Provider: "bedrock", Model: "haiku", Endpoint: llm.Embeddings, Duration: time.Second, ErrorType: llm.ProviderError})
	m.RecordUsage(&monitor.Usage{Model: "haiku", Provider: "bedrock", Tokens: llm.Usage{Input: 10, Output: 5, CacheRead: 2, CacheWrite: 1}})
	m.RecordUsage(&monitor.Usage{Model: "haiku", CostMicroUSD: 1})
	m.BreakerChanged("x", "closed", "open")
	closed(t, x)
	for name, want := range map[string]map[string]float64{
		"gen_ai.server.request.duration": {
			"operation.name=chat,provider.name=bedrock,request.model=haiku":                             3,
			"operation.name=chat,provider.name=forebay,request.model=haiku":                             1,
			"error.type=provider_timeout,operation.name=chat,provider.name=bedrock,request.model=haiku": 2,
		},
		"gen_ai.server.time_to_first_token": {
			"operation.name=chat,provider.name=bedrock,request.model=haiku": 1,
			"operation.name=chat,provider.name=forebay,request.model=haiku": 0.5,
		},
		"gen_ai.server.time_per_output_token": {"operation.name=chat,provider.name=bedrock,request.model=haiku": 0.02},
		"gen_ai.client.operation.duration": {
			"operation.name=chat,provider.name=bedrock,request.model=haiku":                                 2,
			"error.type=provider_error,operation.name=embeddings,provider.name=bedrock,request.model=haiku": 1,
		},
		"gen_ai.client.operation.time_to_first_chunk": {"operation.name=chat,provider.name=bedrock,request.model=haiku": 1},
		"gen_ai.client.token.usage": {
			"operation.name=chat,provider.name=bedrock,request.model=haiku,token.type=input":  13,
			"operation.name=chat,provider.name=bedrock,request.model=haiku,token.type=output": 5,
		},
	} {
		if diff := cmp.Diff(want, points(r.metric(name))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := r.metric("forebay_requests_total").GetSum().GetDataPoints(); len(got) != 4 {
		t.Errorf("%d series of the registry's requests: %v", len(got), got)
	}
	if h := r.metric("forebay_request_duration_seconds").GetExponentialHistogram(); len(h.GetDataPoints()) == 0 || h.DataPoints[0].Scale != 3 {
		t.Errorf("native histograms do not come as exponential ones: %v", h)
	}
}

// Every instrument that the vocabulary names has been sent, and has the name and unit of
// the conventions.
func TestVocabularyNamesWhatIsSent(t *testing.T) {
	r := newReceiver(t)
	x := start(t, telemetry.Config{Endpoint: r.URL})
	x.Call(&monitor.Call{Provider: "p", Outcome: monitor.OK, Stream: true, Attempts: 1, Duration: 3 * time.Second, FirstToken: time.Second, OutputTokens: 3})
	x.Attempt(&monitor.Attempt{Duration: time.Second, FirstToken: time.Second})
	x.Usage(&monitor.Usage{Tokens: llm.Usage{Input: 1}})
	closed(t, x)
	m, err := monitor.New(monitor.Config{})
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, info := range m.Vocabulary() {
		if info.OTel != "" {
			named[info.OTel] = true
			if r.metric(info.OTel) == nil {
				t.Errorf("%s is to be sent as %s, and nothing is", info.Name, info.OTel)
			}
		}
	}
	for name, metric := range r.metrics {
		if !named[name] {
			t.Errorf("%s is sent, and no metric of the vocabulary names it", name)
		}
		if want := map[bool]string{true: "{token}", false: "s"}[name == "gen_ai.client.token.usage"]; metric.Unit != want {
			t.Errorf("%s has the unit %q", name, metric.Unit)
		}
	}
}

func TestSeriesAreBounded(t *testing.T) {
	r := newReceiver(t)
	x := start(t, telemetry.Config{Endpoint: r.URL})
	for i := range 10_000 {
		x.Call(&monitor.Call{Model: fmt.Sprint("invented-", i), User: fmt.Sprint(i), Outcome: monitor.OK, Duration: time.Second})
	}
	closed(t, x)
	got := points(r.metric("gen_ai.server.request.duration"))
	var sum float64
	for _, seconds := range got {
		sum += seconds
	}
	if len(got) > 2001 || sum != 10_000 {
		t.Errorf("%d series with %v s", len(got), sum)
	}
}

// Each interval has its export, also while nothing happens, and a registry that fails in
// part gives the rest.
func TestIntervalAndPartOfARegistry(t *testing.T) {
	r := newReceiver(t)
	good := prometheus.NewRegistry()
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "fine", Help: "Fine."})
	good.MustRegister(gauge)
	x := start(t, telemetry.Config{Endpoint: strings.TrimPrefix(r.URL, "http://"), Insecure: true, Interval: time.Second, Gatherer: prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, _ := good.Gather()
		return families, errors.New("a part is broken")
	})})
	if path := <-r.came; path != "/v1/metrics" {
		t.Errorf("%s came", path)
	}
	if r.metric("fine") == nil {
		t.Error("what could be gathered is not sent")
	}
	closed(t, x)
}

func TestRecordingDoesNotAllocate(t *testing.T) {
	x := start(t, telemetry.Config{Endpoint: "http://127.0.0.1:1"})
	c := &monitor.Call{Model: "haiku", Provider: "p", Outcome: monitor.OK, Stream: true, Attempts: 1, Duration: 3 * time.Second, FirstToken: time.Second, OutputTokens: 3}
	u := &monitor.Usage{Model: "haiku", Provider: "p", Tokens: llm.Usage{Input: 10, Output: 5}}
	a := &monitor.Attempt{Model: "haiku", Provider: "p", Duration: time.Second, FirstToken: time.Second}
	for name, f := range map[string]func(){"call": func() { x.Call(c) }, "usage": func() { x.Usage(u) }, "attempt": func() { x.Attempt(a) }} {
		f()
		if n := testing.AllocsPerRun(500, f); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	x, err := telemetry.Start(b.Context(), telemetry.Config{Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		b.Fatal(err)
	}
	c := &monitor.Call{Model: "haiku", Provider: "p", Outcome: monitor.OK, Stream: true, Attempts: 1, Duration: 3 * time.Second, FirstToken: time.Second, OutputTokens: 3}
	b.ReportAllocs()
	for b.Loop() {
		x.Call(c)
	}
	_ = x.Close(ended())
}
