package telemetry

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/semconv/v1.41.0/genaiconv"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

// genAI is the instruments of the GenAI conventions. Towards providers we are a client,
// towards callers a server, and so there are both.
type genAI struct {
	operation  genaiconv.ClientOperationDuration
	firstChunk genaiconv.ClientOperationTimeToFirstChunk
	tokens     genaiconv.ClientTokenUsage
	request    genaiconv.ServerRequestDuration
	firstToken genaiconv.ServerTimeToFirstToken
	perToken   genaiconv.ServerTimePerOutputToken

	mu sync.RWMutex // guards sets
	// sets are the attributes of each combination that occurred, ready to be recorded
	// with: making them anew for each call would be most of its cost.
	sets map[setKey][]metric.RecordOption
}

// setKey is one combination of attributes.
type setKey struct {
	operation       genaiconv.OperationNameAttr
	provider, model string
	failure         llm.Kind
	tokens          genaiconv.TokenTypeAttr
}

// Bounds of the explicit buckets, from the conventions (v1.41.0, "GenAI metrics"): where
// they advise some for an instrument, these are them.
func boundsOf(name string) []float64 {
	switch name {
	case (genaiconv.ClientTokenUsage{}).Name():
		return []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
	case (genaiconv.ServerTimeToFirstToken{}).Name():
		return []float64{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0}
	case (genaiconv.ServerTimePerOutputToken{}).Name():
		return []float64{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5}
	}
	return []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
}

func newGenAI(m metric.Meter) (*genAI, error) {
	g := &genAI{sets: make(map[setKey][]metric.RecordOption)}
	bounds := func(name string) metric.HistogramOption {
		return metric.WithExplicitBucketBoundaries(boundsOf(name)...)
	}
	var err error
	if g.operation, err = genaiconv.NewClientOperationDuration(m, bounds(g.operation.Name())); err != nil {
		return nil, err
	}
	if g.firstChunk, err = genaiconv.NewClientOperationTimeToFirstChunk(m, bounds(g.firstChunk.Name())); err != nil {
		return nil, err
	}
	if g.tokens, err = genaiconv.NewClientTokenUsage(m, bounds(g.tokens.Name())); err != nil {
		return nil, err
	}
	if g.request, err = genaiconv.NewServerRequestDuration(m, bounds(g.request.Name())); err != nil {
		return nil, err
	}
	if g.firstToken, err = genaiconv.NewServerTimeToFirstToken(m, bounds(g.firstToken.Name())); err != nil {
		return nil, err
	}
	g.perToken, err = genaiconv.NewServerTimePerOutputToken(m, bounds(g.perToken.Name()))
	return g, err
}

// options gives the attributes of k. Beyond maxSets combinations there is one for all.
func (g *genAI) options(k setKey) []metric.RecordOption {
	g.mu.RLock()
	o, known := g.sets[k]
	full := len(g.sets) >= maxSets
	g.mu.RUnlock()
	if known {
		return o
	}
	if full {
		k = setKey{operation: k.operation, provider: other, model: other, tokens: k.tokens}
	}
	attrs := []attribute.KeyValue{
		semconv.GenAIOperationNameKey.String(string(k.operation)),
		semconv.GenAIProviderNameKey.String(providerName(k.provider)),
		semconv.GenAIRequestModel(valid(k.model)),
	}
	if k.failure != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(valid(string(k.failure))))
	}
	if k.tokens != "" {
		attrs = append(attrs, semconv.GenAITokenTypeKey.String(string(k.tokens)))
	}
	o = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.sets) < maxSets+64 { // room for the combinations that stand for all others
		g.sets[k] = o
	}
	return o
}

// other stands for names beyond the bound; it is OpenTelemetry's word.
const other = "_OTHER"

// Call implements monitor.Sink: durations as the caller saw them.
func (x *Exporter) Call(c *monitor.Call) {
	if c.Outcome == monitor.Refused || c.Duration <= 0 {
		return // it took microseconds, and would make latencies look best when things are worst
	}
	g, ctx := x.genai, context.Background()
	k := setKey{operation: operationName(c.Endpoint), provider: c.Provider, model: c.Model}
	if c.Outcome == monitor.OK && c.Stream && c.FirstToken > 0 {
		g.firstToken.Float64Histogram.Record(ctx, c.FirstToken.Seconds(), g.options(k)...)
		if c.OutputTokens > 1 && c.Provider != "" && c.Attempts > 0 {
			per := (c.Duration - c.FirstToken) / time.Duration(c.OutputTokens-1)
			g.perToken.Float64Histogram.Record(ctx, per.Seconds(), g.options(k)...)
		}
	}
	k.failure = c.ErrorType
	g.request.Float64Histogram.Record(ctx, c.Duration.Seconds(), g.options(k)...)
}

// Attempt implements monitor.Sink: durations as we saw them of a provider.
func (x *Exporter) Attempt(a *monitor.Attempt) {
	g, ctx := x.genai, context.Background()
	k := setKey{operation: operationName(a.Endpoint), provider: a.Provider, model: a.Model}
	if a.FirstToken > 0 {
		g.firstChunk.Float64Histogram.Record(ctx, a.FirstToken.Seconds(), g.options(k)...)
	}
	k.failure = a.ErrorType
	if a.Duration > 0 {
		g.operation.Float64Histogram.Record(ctx, a.Duration.Seconds(), g.options(k)...)
	}
}

// Usage implements monitor.Sink.
func (x *Exporter) Usage(u *monitor.Usage) {
	g, ctx := x.genai, context.Background()
	k := setKey{operation: operationName(u.Endpoint), provider: u.Provider, model: u.Model}
	if in := max(u.Tokens.Input, 0) + max(u.Tokens.CacheRead, 0) + max(u.Tokens.CacheWrite, 0); in > 0 {
		k.tokens = genaiconv.TokenTypeInput
		g.tokens.Int64Histogram.Record(ctx, in, g.options(k)...)
	}
	if u.Tokens.Output > 0 {
		k.tokens = genaiconv.TokenTypeOutput
		g.tokens.Int64Histogram.Record(ctx, u.Tokens.Output, g.options(k)...)
	}
}

// BreakerChanged implements monitor.Sink. The conventions know no breakers; the bridge
// sends forebay_breaker_transitions_total.
func (x *Exporter) BreakerChanged(_, _, _ string) {}

// operationName is the conventions' word for an endpoint.
func operationName(e llm.Endpoint) genaiconv.OperationNameAttr {
	switch e {
	case llm.Embeddings:
		return genaiconv.OperationNameEmbeddings
	case llm.Function:
		return genaiconv.OperationNameExecuteTool
	case llm.CountTokens:
		return genaiconv.OperationNameAttr(e) // the conventions have no word for it, and allow others
	}
	return genaiconv.OperationNameChat
}

// providerName is a provider's name in configuration; ours where no provider was asked.
func providerName(name string) string {
	if name == "" {
		return defaultService
	}
	return valid(name)
}

var _ monitor.Sink = (*Exporter)(nil)
