package telemetry_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is a small OTLP/HTTP collector.
type receiver struct {
	*httptest.Server
	came chan string // the path of each request that was taken

	mu       sync.Mutex // guards the rest
	spans    []*tracepb.Span
	resource map[string]string
	metrics  map[string]*metricspb.Metric // the newest of each name
	headers  http.Header
	status   []int // answers to give first
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{came: make(chan string, 1000), metrics: map[string]*metricspb.Metric{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body := io.Reader(req.Body)
	if req.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.headers = req.Header.Clone()
	if req.URL.Path == "/v1/traces" && len(r.status) > 0 {
		status := r.status[0]
		r.status = r.status[1:]
		w.WriteHeader(status)
		return
	}
	switch req.URL.Path {
	case "/v1/traces":
		err = r.takeTraces(raw)
	case "/v1/metrics":
		err = r.takeMetrics(raw)
	default:
		http.NotFound(w, req)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case r.came <- req.URL.Path:
	default:
	}
}

func (r *receiver) takeTraces(raw []byte) error {
	var in coltrace.ExportTraceServiceRequest
	if err := proto.Unmarshal(raw, &in); err != nil {
		return err
	}
	for _, rs := range in.ResourceSpans {
		r.resource = map[string]string{}
		for _, a := range rs.Resource.Attributes {
			r.resource[a.Key] = a.Value.GetStringValue()
		}
		for _, ss := range rs.ScopeSpans {
			r.spans = append(r.spans, ss.Spans...)
		}
	}
	return nil
}

func (r *receiver) takeMetrics(raw []byte) error {
	var in colmetrics.ExportMetricsServiceRequest
	if err := proto.Unmarshal(raw, &in); err != nil {
		return err
	}
	for _, rm := range in.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				r.metrics[m.Name] = m
			}
		}
	}
	return nil
}

// named returns the spans of this name.
func (r *receiver) named(name string) []*tracepb.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*tracepb.Span
	for _, s := range r.spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.spans)
}

func (r *receiver) metric(name string) *metricspb.Metric {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.metrics[name]
}
