// Package telemetry sends what was measured to an OpenTelemetry collector, by OTLP over
// HTTP with protobuf.
//
// Metrics: all of a Prometheus registry under their own names, and beside them the
// instruments of the GenAI conventions (gen_ai.*), which an Exporter fills as a sink of
// package monitor. Traces: one span for each call, with spans for its stages below it,
// made after the call from its entry in the request log. The call's span has the ids
// that the gateway had announced in its answer's traceparent, so a caller finds it by
// them; it continues the caller's own trace where there is one.
//
// Nothing on a request's way waits for a collector. Calls to be traced stand in a bounded
// queue; what does not fit, and what the collector does not take, is counted and given
// up. Spans hold no prompts, no answers, no words of providers and no user's name.
package telemetry
