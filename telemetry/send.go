package telemetry

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
)

// describe makes what every export says of this process. What the environment says
// stands above the generated instance id, what is configured above the environment.
func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	configured := []attribute.KeyValue{}
	if cfg.ServiceName != "" {
		configured = append(configured, semconv.ServiceName(valid(cfg.ServiceName)))
	}
	if cfg.Version != "" {
		configured = append(configured, semconv.ServiceVersion(valid(cfg.Version)))
	}
	return resource.New(ctx,
		// Two instances of one service must not write into the same series.
		resource.WithAttributes(semconv.ServiceName(defaultService), semconv.ServiceInstanceID(randomTrace().String())),
		resource.WithFromEnv(),
		resource.WithAttributes(configured...),
	)
}

// runMetrics exports metrics at each interval, and once more at the end.
func (x *Exporter) runMetrics(ctx context.Context) {
	tick := time.NewTicker(x.cfg.Interval)
	defer tick.Stop()
	fault := fault{what: "metrics", log: x.cfg.Logger}
	data := &metricdata.ResourceMetrics{}
	for {
		select {
		case <-tick.C:
			fault.told(x.exportMetrics(ctx, data), 0, time.Now())
		case <-x.stop:
			fault.told(x.exportMetrics(ctx, data), 0, time.Now())
			return
		case <-ctx.Done():
			return
		}
	}
}

// exportMetrics sends the present state of all metrics. Nothing is lost where it fails:
// the next export has the same sums and more.
func (x *Exporter) exportMetrics(ctx context.Context, data *metricdata.ResourceMetrics) error {
	ctx, cancel := context.WithTimeout(ctx, exportTimeout)
	defer cancel()
	if err := x.reader.Collect(ctx, data); err != nil {
		return err
	}
	return x.metrics.Export(ctx, data)
}

// runSpans makes spans of what is observed and exports them in batches, until it is
// stopped; then it sends what is left. What it cannot send it counts.
func (x *Exporter) runSpans(ctx context.Context) {
	fault := fault{what: "traces", log: x.cfg.Logger}
	for {
		batch, last := x.nextBatch(ctx)
		if n := int64(len(batch)); n > 0 {
			err := x.exportSpans(ctx, batch)
			if err != nil {
				x.cfg.OnDrop(n)
			}
			fault.told(err, n, time.Now())
		}
		if last {
			x.dropRest()
			return
		}
	}
}

// dropRest counts what nobody will send any more.
func (x *Exporter) dropRest() {
	n := int64(0)
	for {
		select {
		case <-x.queue:
			n++
			continue
		default:
		}
		if n > 0 {
			x.cfg.OnDrop(n)
		}
		return
	}
}

// nextBatch waits for a call, and then a moment for more. last says that there is
// nothing after this batch that should be sent.
func (x *Exporter) nextBatch(ctx context.Context) (batch []*observed, last bool) {
	select {
	case o := <-x.queue:
		batch = append(batch, o)
	case <-x.stop:
	case <-ctx.Done():
		return nil, true
	}
	wait := time.NewTimer(batchWait)
	defer wait.Stop()
	for len(batch) < batchSize {
		select {
		case o := <-x.queue:
			batch = append(batch, o)
			continue
		default:
		}
		select {
		case o := <-x.queue:
			batch = append(batch, o)
		case <-wait.C:
			return batch, false
		case <-x.stop:
			return batch, len(x.queue) == 0
		case <-ctx.Done():
			return batch, true
		}
	}
	return batch, false
}

func (x *Exporter) exportSpans(ctx context.Context, batch []*observed) error {
	for _, o := range batch {
		o.spans(ctx, x.tracer)
	}
	ctx, cancel := context.WithTimeout(ctx, exportTimeout)
	defer cancel()
	return x.spans.ExportSpans(ctx, x.made.take())
}

// collector is a span processor that keeps ended spans until they are taken. Only one
// goroutine uses it.
type collector struct{ ended []trace.ReadOnlySpan }

// OnStart implements trace.SpanProcessor.
func (c *collector) OnStart(context.Context, trace.ReadWriteSpan) {}

// OnEnd implements trace.SpanProcessor.
func (c *collector) OnEnd(s trace.ReadOnlySpan) { c.ended = append(c.ended, s) }

// Shutdown implements trace.SpanProcessor.
func (c *collector) Shutdown(context.Context) error { return nil }

// ForceFlush implements trace.SpanProcessor.
func (c *collector) ForceFlush(context.Context) error { return nil }

func (c *collector) take() []trace.ReadOnlySpan {
	all := c.ended
	c.ended = nil
	return all
}

// logEvery is how often a fault that stays is logged.
const logEvery = time.Minute

// fault logs that exports fail, rarely, and that they work again.
type fault struct {
	what    string
	log     *slog.Logger
	since   time.Time // the first failure; zero while exports work
	logged  time.Time
	dropped int64
}

// told takes the end of one export, of n calls.
func (f *fault) told(err error, n int64, now time.Time) {
	switch {
	case err == nil && f.since.IsZero():
	case err == nil:
		f.log.Info("the collector takes "+f.what+" again", "after", now.Sub(f.since).Round(time.Second), "calls_dropped", f.dropped)
		f.since, f.logged, f.dropped = time.Time{}, time.Time{}, 0
	default:
		f.dropped += n
		if f.since.IsZero() {
			f.since = now
		}
		if f.logged.IsZero() || now.Sub(f.logged) >= logEvery {
			f.log.Warn("the collector does not take "+f.what, "error", err, "since", f.since, "calls_dropped", f.dropped)
			f.logged = now
		}
	}
}
