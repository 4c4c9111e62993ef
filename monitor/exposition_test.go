package monitor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

// Durations of calls that were not carried out would make latency look best when
// things are worst.
func TestWhichDurationsCount(t *testing.T) {
	for _, test := range []struct {
		outcome monitor.Outcome
		kind    llm.Kind
		want    float64
	}{
		{monitor.OK, "", 1},
		{monitor.Degraded, llm.ProviderError, 1},
		{monitor.Error, llm.ProviderTimeout, 1},
		{monitor.Error, llm.ForebayInternal, 1},
		{monitor.Error, "", 1},
		{monitor.Error, llm.CallerDeadline, 1},
		{monitor.Cancelled, llm.CallerCancelled, 1},
		{monitor.Error, llm.CallerInvalidRequest, 0},
		{monitor.Refused, llm.PolicyOverloaded, 0},
		{monitor.Refused, llm.CallerForbidden, 0},
	} {
		m := make1(t, names)
		m.Record(&monitor.Call{Operation: "chat", Outcome: test.outcome, ErrorType: test.kind, Cache: "miss", Duration: time.Second})
		expect(t, series(t, m), map[string]float64{"request_duration_seconds_count{cache=miss,operation=chat}": test.want})
		if got := m.Summary().P50 > 0; got != (test.want == 1) {
			t.Errorf("%s %s: in the summary: %v", test.outcome, test.kind, got)
		}
	}
}

func TestNativeAndClassicBuckets(t *testing.T) {
	m := make1(t, names)
	useEverything(m)
	histograms := 0
	for _, f := range gather(t, m) {
		for _, s := range f.GetMetric() {
			h := s.GetHistogram()
			if h == nil || h.GetSampleCount() == 0 {
				continue
			}
			histograms++
			if h.GetSchema() != 3 || len(h.GetPositiveSpan()) == 0 {
				t.Errorf("%s: native schema %d with %d spans, want schema 3 (factor 1.1)", f.GetName(), h.GetSchema(), len(h.GetPositiveSpan()))
			}
			var bounds []float64
			for _, b := range h.GetBucket() {
				bounds = append(bounds, b.GetUpperBound())
			}
			switch f.GetName() {
			case "forebay_overhead_seconds":
				if bounds[0] != 0.00001 {
					t.Errorf("overhead begins at %v, want 10 µs", bounds[0])
				}
				continue
			case "forebay_time_per_output_token_seconds", "forebay_custom_grade_ratio":
				continue // no calls
			}
			for _, threshold := range []float64{3, 25, 30, 45} { // of the specification
				if !slices.Contains(bounds, threshold) {
					t.Errorf("%s: no bucket ends at %v s", f.GetName(), threshold)
				}
			}
		}
	}
	if histograms < 9 {
		t.Errorf("%d histograms with values", histograms)
	}
}

// From a microsecond to an hour a native histogram keeps its resolution; and
// whatever comes beyond, it is never reset: its sums stay whole.
func TestNativeHistogramsKeepWhatTheyHave(t *testing.T) {
	m := make1(t, names)
	c := fullCall()
	n := 0
	check := func() {
		t.Helper()
		expect(t, series(t, m), map[string]float64{"request_duration_seconds_count{cache=miss,operation=vc-analysis}": float64(n)})
	}
	d := time.Microsecond
	for ; d <= time.Hour; d += d/20 + 1 {
		c.Duration = d
		m.Record(c)
		n++
	}
	check()
	for _, f := range gather(t, m) {
		if f.GetName() == "forebay_request_duration_seconds" {
			if h := f.GetMetric()[0].GetHistogram(); h.GetSchema() != 3 || h.GetZeroThreshold() > 1e-6 {
				t.Errorf("coarsened to schema %d, zero below %v s", h.GetSchema(), h.GetZeroThreshold())
			}
		}
	}
	for ; d > 0 && d < 100_000*time.Hour; d += d/20 + 1 {
		c.Duration = d
		m.Record(c)
		n++
	}
	check()
}

func TestHandler(t *testing.T) {
	m := make1(t, names)
	useEverything(m)
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(rec.Result().Body)
	if err != nil || rec.Code != http.StatusOK {
		t.Fatalf("status %d, %v", rec.Code, err)
	}
	for _, line := range []string{
		`forebay_breaker_state{state="open",target="local/llama"} 1`,
		`forebay_queue_depth{priority="critical"} 4`,
		"go_goroutines ", "process_start_time_seconds ", "forebay_build_info{",
	} {
		if !strings.Contains(string(body), line) {
			t.Errorf("no %q in the answer", line)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	rec = httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, req)
	if got := rec.Header().Get("Content-Type"); rec.Code != http.StatusOK || !strings.Contains(got, "protobuf") {
		t.Errorf("a scraper that wants native histograms gets %d %q", rec.Code, got)
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	_, err := monitor.New(monitor.Config{
		Namespace: "4bay", Operations: []string{"a\xff"}, Models: []string{strings.Repeat("x", 300)}, Version: "\xfe",
		Providers: []string{"ok"}, Targets: []string{"\xff"}, RefusalReasons: []string{"\xff"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, fault := range []string{"namespace:", "operations:", "models: a name of 300 bytes: at most 256", "targets:", "refusal reasons:", "version:"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("missing: %s\nin:\n%v", fault, err)
		}
	}
	if strings.Contains(err.Error(), "providers:") {
		t.Errorf("a fault that is none: %v", err)
	}
}

// A registry that has the names already stays as it was.
func TestRegistryInUse(t *testing.T) {
	registry := prometheus.NewRegistry()
	taken := prometheus.NewCounter(prometheus.CounterOpts{Name: "forebay_retries_total", Help: "Somebody else's."})
	registry.MustRegister(taken)
	if _, err := monitor.New(monitor.Config{Registry: registry}); err == nil || !strings.Contains(err.Error(), "forebay_retries_total") {
		t.Fatalf("error %v", err)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Errorf("%d families left, %v", len(families), err)
	}
	if m := make1(t, monitor.Config{Registry: registry, Namespace: "second"}); m.Registry() != registry {
		t.Error("another registry")
	}
}
