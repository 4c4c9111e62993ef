package head

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/telemetry/xray"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewID makes a request id: "req_" and 128 random bits in 22 characters. It has to
// be unique, not secret, so the fast generator will do.
func NewID() string {
	b := [26]byte{'r', 'e', 'q', '_'}
	for half := 4; half < len(b); half += 11 {
		v := rand.Uint64()
		for i := range 11 { // 62^11 > 2^64
			b[half+i] = base62[v%62]
			v /= 62
		}
	}
	return string(b[:])
}

// The parts of a W3C traceparent: version-trace-span-flags.
const (
	traceLen   = 55
	traceIDEnd = 35
	spanIDEnd  = 52
)

// TraceParent continues the trace that a caller brings with a span of our own, or
// starts a trace that is not sampled. A traceparent that does not follow the
// specification is ignored, as the specification asks.
func TraceParent(inbound string) string {
	var b [traceLen]byte
	if ValidTrace(inbound) {
		copy(b[:], inbound[:traceLen])
	} else {
		copy(b[:], "00-")
		id := xray.TraceID(time.Now()) // so that X-Ray can have the trace too
		hex.Encode(b[3:traceIDEnd], id[:])
		b[traceIDEnd] = '-'
		copy(b[spanIDEnd:], "-00")
	}
	copy(b[:], "00") // we write version 00 whatever we read
	putHex(b[traceIDEnd+1:spanIDEnd], rand.Uint64()|1)
	return string(b[:])
}

func putHex(dst []byte, v uint64) {
	for i := range dst {
		dst[i] = "0123456789abcdef"[v>>60]
		v <<= 4
	}
}

// CallerTrace is the trace that a caller's headers name, as a traceparent: its own, or
// X-Ray's, which load balancers and API Gateway send. It is empty where there is none.
func CallerTrace(h http.Header) string {
	if inbound := h.Get("Traceparent"); ValidTrace(inbound) {
		return inbound
	}
	if values := h[xray.Header]; len(values) == 1 {
		if t, ok := xray.Parse(values[0]); ok {
			return t.Traceparent()
		}
	}
	return ""
}

// ValidTrace says that s is a traceparent of version 00, or of a later version
// that begins like one.
func ValidTrace(s string) bool {
	if len(s) < traceLen || s[2] != '-' || s[traceIDEnd] != '-' || s[spanIDEnd] != '-' || s[:2] == "ff" {
		return false
	}
	if len(s) > traceLen && (s[:2] == "00" || s[traceLen] != '-') {
		return false
	}
	return lowerHex(s[:2]) && lowerHex(s[3:traceIDEnd]) && lowerHex(s[traceIDEnd+1:spanIDEnd]) && lowerHex(s[spanIDEnd+1:traceLen]) &&
		strings.Trim(s[3:traceIDEnd], "0") != "" && strings.Trim(s[traceIDEnd+1:spanIDEnd], "0") != ""
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
