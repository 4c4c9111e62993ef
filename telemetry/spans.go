package telemetry

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
)

// observed is a call that waits for its spans.
type observed struct {
	entry requestlog.Entry
	ids   ids
}

// spans makes the call's span and those of its stages: look-up, each wait for a slot,
// each attempt, fallback.
func (o *observed) spans(ctx context.Context, tracer trace.Tracer) {
	e := &o.entry
	operation := operationName(llm.Endpoint(e.Endpoint))
	inCall, call := tracer.Start(o.ids.context(ctx), string(operation)+" "+valid(e.Model),
		trace.WithTimestamp(e.Start), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(o.attributes()...))
	inCall = context.WithValue(inCall, idsKey{}, nil) // the stages have ids of their own

	at := func(d time.Duration) time.Time { return e.Start.Add(d) }
	stage := func(name string, from, to time.Duration, attrs ...attribute.KeyValue) {
		_, s := tracer.Start(inCall, name, trace.WithTimestamp(at(from)), trace.WithAttributes(attrs...))
		s.End(trace.WithTimestamp(at(max(from, to))))
	}
	if e.Lookup > 0 {
		stage("cache", 0, e.Lookup, attribute.String("forebay.cache.status", valid(e.Cache)))
	}
	reached, waited := e.Lookup, time.Duration(0)
	for i := range e.Attempts {
		a := &e.Attempts[i]
		if a.Waited > 0 {
			stage("queue", a.Start-a.Waited, a.Start, attribute.String("forebay.target", valid(a.Target)))
			waited += a.Waited
		}
		o.attempt(inCall, tracer, i)
		reached = max(reached, a.Start+a.Duration)
	}
	if rest := e.Queue - waited; rest > 0 { // a wait that led to no attempt
		stage("queue", reached, reached+rest)
		reached += rest
	}
	if e.Fallback != "" {
		stage("fallback "+valid(e.Fallback), reached, e.Duration, attribute.String("forebay.fallback", valid(e.Fallback)))
	}
	fail(call, e.ErrorType, e.ErrorType.Domain() != llm.CallerFault && e.Fallback == "")
	call.End(trace.WithTimestamp(at(e.Duration)))
}

// attempt makes the span of one call of a provider.
func (o *observed) attempt(ctx context.Context, tracer trace.Tracer, i int) {
	a := &o.entry.Attempts[i]
	provider, model, _ := strings.Cut(valid(a.Target), "/")
	operation := operationName(llm.Endpoint(o.entry.Endpoint))
	attrs := []attribute.KeyValue{
		semconv.GenAIOperationNameKey.String(string(operation)),
		semconv.GenAIProviderNameKey.String(provider),
		semconv.GenAIRequestModel(model),
		attribute.Int("forebay.attempt", i+1),
	}
	if a.Region != "" {
		attrs = append(attrs, semconv.CloudRegion(valid(a.Region)))
	}
	if a.FirstToken > 0 {
		attrs = append(attrs, semconv.GenAIResponseTimeToFirstChunk(a.FirstToken.Seconds()))
	}
	from := o.entry.Start.Add(a.Start)
	_, s := tracer.Start(ctx, string(operation)+" "+model, trace.WithTimestamp(from),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	fail(s, a.ErrorType, true)
	s.End(trace.WithTimestamp(from.Add(max(a.Duration, 0))))
}

// fail notes an error by its kind. ours says that it makes the span a failed one: a
// server's span is none where its caller was at fault.
func fail(s trace.Span, kind llm.Kind, ours bool) {
	if kind == "" {
		return
	}
	s.SetAttributes(semconv.ErrorTypeKey.String(valid(string(kind))))
	if ours {
		s.SetStatus(codes.Error, valid(string(kind)))
	}
}

// attributes describe the whole call. No user, no content.
func (o *observed) attributes() []attribute.KeyValue {
	e := &o.entry
	attrs := []attribute.KeyValue{
		semconv.GenAIOperationNameKey.String(string(operationName(llm.Endpoint(e.Endpoint)))),
		semconv.GenAIProviderNameKey.String(providerName(e.Provider)),
		semconv.GenAIRequestModel(valid(e.Model)),
		semconv.GenAIRequestStream(e.Stream),
		attribute.String("forebay.outcome", valid(e.Outcome)),
		attribute.String("forebay.cache.status", valid(e.Cache)),
		attribute.Int("forebay.attempts", len(e.Attempts)),
		attribute.Float64("forebay.cost_usd", float64(e.MicroUSD)/1e6),
		attribute.Float64("forebay.saved_usd", float64(e.SavedMicroUSD)/1e6),
		attribute.Float64("forebay.overhead_seconds", e.Overhead.Seconds()),
		attribute.Bool("forebay.job", e.Job),
	}
	for _, text := range []struct{ key, value string }{
		{"forebay.request_id", e.ID},
		{"forebay.tenant", e.Tenant},
		{"forebay.operation", e.Operation},
		{"forebay.priority", e.Priority},
		{"forebay.cache.reason", e.CacheReason},
		{"forebay.fallback", e.Fallback},
		{string(semconv.GenAIResponseModelKey), e.Answered},
		{string(semconv.CloudRegionKey), e.Region},
	} {
		if text.value != "" {
			attrs = append(attrs, attribute.String(text.key, valid(text.value)))
		}
	}
	if e.FirstToken > 0 {
		attrs = append(attrs, semconv.GenAIResponseTimeToFirstChunk(e.FirstToken.Seconds()))
	}
	return append(attrs, usage(e.Usage)...)
}

func usage(u llm.Usage) []attribute.KeyValue {
	if u.IsZero() {
		return nil
	}
	return []attribute.KeyValue{
		// The conventions count cached tokens as input too.
		semconv.GenAIUsageInputTokens(int(u.Input + u.CacheRead + u.CacheWrite)),
		semconv.GenAIUsageOutputTokens(int(u.Output)),
		semconv.GenAIUsageCacheReadInputTokens(int(u.CacheRead)),
		semconv.GenAIUsageCacheCreationInputTokens(int(u.CacheWrite)),
	}
}

// maxText bounds one attribute.
const maxText = 256

// valid gives s as protobuf can carry it: one string that is not UTF-8 would make a whole
// export fail.
func valid(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "�")
}
