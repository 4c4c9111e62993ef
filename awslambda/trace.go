package awslambda

import (
	"context"
	"os"
	"strings"
)

// xrayOf is the trace of an invocation, as X-Ray writes it; empty where there is none.
func xrayOf(ctx context.Context) string {
	// The runtime's loop keeps it under this key, and in the environment where one
	// invocation runs at a time.
	if id, ok := ctx.Value("x-amzn-trace-id").(string); ok { //nolint:staticcheck // not our key
		return id
	}
	return os.Getenv("_X_AMZN_TRACE_ID")
}

// TraceParent turns X-Ray's header (Root=1-5759e988-bd86…;Parent=53995c3f42cd8ad8;Sampled=1)
// into a W3C traceparent of the same trace. It is empty where id has no root or no
// parent that can be used.
func TraceParent(id string) string {
	var root, parent, sampled string
	for part := range strings.SplitSeq(id, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Root":
			root = value
		case "Parent":
			parent = value
		case "Sampled":
			sampled = value
		}
	}
	version, rest, _ := strings.Cut(root, "-")
	seconds, unique, _ := strings.Cut(rest, "-")
	trace := seconds + unique
	if version != "1" || len(seconds) != 8 || len(unique) != 24 || !hex(trace) || len(parent) != 16 || !hex(parent) {
		return ""
	}
	flags := "00"
	if sampled == "1" {
		flags = "01"
	}
	return "00-" + trace + "-" + parent + "-" + flags
}

// hex says that s has lower-case hexadecimal digits only, and not only zeros.
func hex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}
