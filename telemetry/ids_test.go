package telemetry

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/requestlog"
)

// Whatever callers send as their trace: what is taken is what stood there, and what is
// not taken changes nothing.
func FuzzTraceparent(f *testing.F) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, s := range []string{good, "", good + "-x", "01" + good[2:] + "-x", strings.ToUpper(good), good[:54], "ff" + good[2:], "00-" + strings.Repeat("0", 32) + good[35:], "1111111111111111"} {
		f.Add(good, s)
		f.Add(s, good)
	}
	f.Fuzz(func(t *testing.T, traceparent, parent string) {
		i, ok := parseIDs(traceparent, parent)
		if !ok {
			return
		}
		if got := hex.EncodeToString(i.trace[:]) + "-" + hex.EncodeToString(i.span[:]); got != traceparent[3:52] {
			t.Errorf("%q is read as %s", traceparent, got)
		}
		if !i.trace.IsValid() || !i.span.IsValid() || i.parent == i.span && i.parentSampled {
			t.Errorf("%q and %q give %+v", traceparent, parent, i)
		}
		if i.parent.IsValid() && !strings.Contains(parent, hex.EncodeToString(i.parent[:])) {
			t.Errorf("the parent of %q is %s", parent, i.parent)
		}
		x := &Exporter{cfg: Config{}.withDefaults(), queue: make(chan *observed, 1)}
		x.Observe(&requestlog.Entry{}, traceparent, parent)
	})
}
