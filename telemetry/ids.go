package telemetry

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/forebay-ai/forebay/telemetry/xray"
)

// ids are those of one call's span, and of the span that it belongs to.
type ids struct {
	trace trace.TraceID
	span  trace.SpanID
	// parent is the caller's span; not valid where there is none. parentSampled is the
	// caller's decision.
	parent        trace.SpanID
	parentSampled bool
}

// parseIDs reads what Observe is given. Without a valid traceparent ok is false.
func parseIDs(traceparent, parent string) (i ids, ok bool) {
	var flags byte
	if i.trace, i.span, flags, ok = parseTraceparent(traceparent); !ok {
		return i, false
	}
	if len(parent) == 16 {
		span, err := trace.SpanIDFromHex(parent)
		if err == nil {
			i.parent, i.parentSampled = span, flags&sampledFlag != 0
		}
		return i, true
	}
	if of, span, flags, valid := parseTraceparent(parent); valid && of == i.trace && span != i.span {
		i.parent, i.parentSampled = span, flags&sampledFlag != 0
	}
	return i, true
}

// sampledFlag is the one flag of a traceparent: the caller records this trace.
const sampledFlag = 1

// traceparentSize is that of version 00: 2 digits, 32, 16 and 2, with dashes between.
const traceparentSize = 55

// parseTraceparent reads a traceparent of W3C Trace Context, of version 00 or of a later
// one that begins like it.
func parseTraceparent(s string) (id trace.TraceID, span trace.SpanID, flags byte, ok bool) {
	if len(s) < traceparentSize || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" {
		return id, span, 0, false
	}
	if len(s) > traceparentSize && (s[:2] == "00" || s[traceparentSize] != '-') {
		return id, span, 0, false
	}
	id, err := trace.TraceIDFromHex(s[3:35])
	if err != nil {
		return id, span, 0, false
	}
	if span, err = trace.SpanIDFromHex(s[36:52]); err != nil {
		return id, span, 0, false
	}
	_, okVersion := hexByte(s[:2])
	flags, okFlags := hexByte(s[53:55])
	return id, span, flags, okVersion && okFlags
}

func hexByte(s string) (b byte, ok bool) {
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			b = b<<4 | (c - '0')
		case c >= 'a' && c <= 'f':
			b = b<<4 | (c - 'a' + 10)
		default:
			return 0, false
		}
	}
	return b, true
}

// sampled says whether the call is traced: as the caller decided, else by the trace id,
// so that everyone with the same ratio chooses the same traces. It reads the bits that
// OpenTelemetry's own sampler reads.
func (i ids) sampled(ratio float64) bool {
	if i.parent.IsValid() {
		return i.parentSampled
	}
	if ratio >= 1 {
		return true
	}
	if ratio <= 0 {
		return false
	}
	return binary.BigEndian.Uint64(i.trace[8:16])>>1 < uint64(ratio*math.MaxInt64)
}

// context is the one in which the call's span is started.
func (i ids) context(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, idsKey{}, i)
	if !i.parent.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: i.trace, SpanID: i.parent, TraceFlags: trace.FlagsSampled, Remote: true,
	}))
}

type idsKey struct{}

// idsOfContext gives spans the ids that their context names, and random ones to those
// whose context names none: the stages below a call.
type idsOfContext struct{}

// NewIDs implements trace.IDGenerator of the SDK.
func (g idsOfContext) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if i, ok := ctx.Value(idsKey{}).(ids); ok {
		return i.trace, i.span
	}
	id := randomTrace()
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements trace.IDGenerator of the SDK.
func (idsOfContext) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if i, ok := ctx.Value(idsKey{}).(ids); ok {
		return i.span
	}
	var id trace.SpanID
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1) // never all zero, which is no id
	return id
}

func randomTrace() trace.TraceID { return xray.TraceID(time.Now()) }
