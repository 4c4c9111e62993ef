package head_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/gateway/head"
)

func TestCallerTrace(t *testing.T) {
	const own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, tt := range map[string]struct {
		h    http.Header
		want string
	}{
		"none":           {nil, ""},
		"its own":        {http.Header{"Traceparent": {own}, "X-Amzn-Trace-Id": {"Root=1-5759e988-bd862e3fe1be46a994272793"}}, own},
		"X-Ray's":        {http.Header{"X-Amzn-Trace-Id": {"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}}, "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"},
		"X-Ray's, twice": {http.Header{"X-Amzn-Trace-Id": {"Root=1-5759e988-bd862e3fe1be46a994272793", "x"}}, ""},
		"nonsense":       {http.Header{"Traceparent": {"00-x"}, "X-Amzn-Trace-Id": {"Root=2-x"}}, ""},
	} {
		if got := head.CallerTrace(tt.h); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if got := head.CallerTrace(http.Header{"X-Amzn-Trace-Id": {"Root=1-5759e988-bd862e3fe1be46a994272793"}}); !strings.HasPrefix(got, "00-5759e988bd862e3fe1be46a994272793-") || !head.ValidTrace(got) {
		t.Errorf("without a parent: %q", got)
	}
}

// New traces begin with their time, as X-Ray wants it.
func TestTraceParent(t *testing.T) {
	got := head.TraceParent("")
	seconds, err := strconv.ParseInt(got[3:11], 16, 64)
	if err != nil || !head.ValidTrace(got) || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		t.Errorf("%q: %v", got, err)
	}
}
