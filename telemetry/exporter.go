package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	promBridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/forebay-ai/forebay/requestlog"
)

const (
	// scope names who measured, in metrics and spans.
	scope = "github.com/forebay-ai/forebay"
	// queueSize bounds calls that wait for their spans to be made: at 200 calls a second
	// ten seconds' worth, the time for which an export is retried.
	queueSize = 2048
	// batchSize bounds calls in one export, and batchWait how long the first of them
	// waits for the others.
	batchSize = 256
	batchWait = time.Second
	// exportTimeout bounds one export, all its retries included.
	exportTimeout = 10 * time.Second
	// maxSets bounds series of the gen_ai metrics, as the conventions' SDK does for one
	// instrument.
	maxSets = 2000
)

// Exporter sends metrics and spans. It is a sink of package monitor, and all its
// methods are safe for concurrent use.
type Exporter struct {
	cfg   Config
	genai *genAI
	queue chan *observed

	reader  *metric.ManualReader
	client  *http.Client
	metrics *otlpmetrichttp.Exporter
	spans   *otlptrace.Exporter
	made    *collector
	tracer  oteltrace.Tracer

	closed atomic.Bool
	stop   chan struct{} // closed by Close: send what is left, and end
	cancel context.CancelFunc
	end    sync.Once
	work   sync.WaitGroup
}

// Start begins to export. The error names every fault of cfg; a collector that does not
// answer is none. It goes on until Close, and not with ctx's end: a gateway that is told
// to stop ends its context first, and what its last calls left is to be sent after that.
func Start(ctx context.Context, cfg Config) (*Exporter, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	x := &Exporter{cfg: cfg, queue: make(chan *observed, queueSize), stop: make(chan struct{}), made: &collector{}}
	if err := x.connect(ctx); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	ctx, x.cancel = context.WithCancel(context.WithoutCancel(ctx))
	x.work.Go(func() { x.runMetrics(ctx) })
	x.work.Go(func() { x.runSpans(ctx) })
	return x, nil
}

// connect makes the parts. It opens no connection.
func (x *Exporter) connect(ctx context.Context) error {
	base, err := x.cfg.base()
	if err != nil {
		return err
	}
	x.client = &http.Client{
		Transport: newTransport(),
		Timeout:   exportTimeout,
		// A redirect would carry the headers, and the keys in them, to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	headers := make(map[string]string, len(x.cfg.Headers))
	for name, value := range x.cfg.Headers {
		headers[name] = value.Reveal()
	}
	x.metrics, err = otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(base+"/v1/metrics"), otlpmetrichttp.WithHTTPClient(x.client),
		otlpmetrichttp.WithHeaders(headers), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}))
	if err != nil {
		return err
	}
	x.spans, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(base+"/v1/traces"), otlptracehttp.WithHTTPClient(x.client),
		otlptracehttp.WithHeaders(headers), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 4 * time.Second, MaxElapsedTime: exportTimeout}))
	if err != nil {
		return err
	}
	return x.provide(ctx)
}

// provide makes the SDK's parts, which know nothing of where things are sent.
func (x *Exporter) provide(ctx context.Context) error {
	described, err := describe(ctx, x.cfg)
	if err != nil {
		return err
	}
	x.tracer = trace.NewTracerProvider(trace.WithResource(described), trace.WithSampler(trace.AlwaysSample()),
		trace.WithIDGenerator(idsOfContext{}), trace.WithSpanProcessor(x.made)).Tracer(scope, oteltrace.WithInstrumentationVersion(x.cfg.Version))
	var options []metric.ManualReaderOption
	if x.cfg.Gatherer != nil {
		options = append(options, metric.WithProducer(promBridge.NewMetricProducer(promBridge.WithGatherer(&gatherer{x.cfg.Gatherer}))))
	}
	x.reader = metric.NewManualReader(options...)
	provider := metric.NewMeterProvider(metric.WithResource(described), metric.WithReader(x.reader), metric.WithCardinalityLimit(maxSets))
	x.genai, err = newGenAI(provider.Meter(scope))
	return err
}

// Observe makes spans of a finished call. traceparent is the one that the gateway
// announced: its trace and span id are those of the call's span. parent is the caller's,
// in the same form, or a span id alone; empty where there is none, and ignored where it
// is of another trace. A call without a valid traceparent is not traced. Observe keeps no
// reference to e and never blocks: with a full queue the call is dropped and counted.
func (x *Exporter) Observe(e *requestlog.Entry, traceparent, parent string) {
	ids, ok := parseIDs(traceparent, parent)
	if !ok || !ids.sampled(x.cfg.SampleRatio) {
		return
	}
	if x.closed.Load() || len(x.queue) == cap(x.queue) { // before the copy, which costs more
		x.cfg.OnDrop(1)
		return
	}
	o := &observed{entry: *e, ids: ids}
	o.entry.Attempts = append([]requestlog.Attempt(nil), e.Attempts...)
	select {
	case x.queue <- o:
	default:
		x.cfg.OnDrop(1)
	}
}

// Close sends what is left and ends. When ctx ends it gives up what it has not sent,
// counts it, and returns ctx's error. Calls that are observed afterwards are dropped.
func (x *Exporter) Close(ctx context.Context) error {
	x.closed.Store(true)
	x.end.Do(func() { close(x.stop) })
	var gaveUp error
	unwatch := context.AfterFunc(ctx, x.cancel)
	x.work.Wait()
	x.dropRest() // what came in between
	x.client.CloseIdleConnections()
	if !unwatch() {
		gaveUp = context.Cause(ctx)
	}
	x.cancel()
	return gaveUp
}
