package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A collector that is away for an hour, with an export each second, is a line a minute.
func TestFaultsAreLoggedRarely(t *testing.T) {
	var log bytes.Buffer
	f := fault{what: "traces", log: slog.New(slog.NewTextHandler(&log, nil))}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.told(nil, 5, now)
	if log.Len() > 0 {
		t.Errorf("logged while all is well: %s", log.String())
	}
	for range 3600 {
		now = now.Add(time.Second)
		f.told(errors.New("connection refused"), 2, now)
	}
	if n := strings.Count(log.String(), "\n"); n != 60 {
		t.Errorf("%d lines in an hour", n)
	}
	log.Reset()
	f.told(nil, 1, now.Add(time.Second))
	if got := log.String(); !strings.Contains(got, "takes traces again") || !strings.Contains(got, "after=1h0m0s") || !strings.Contains(got, "calls_dropped=7200") {
		t.Errorf("the end of it is told as %q", got)
	}
	f.told(errors.New("again"), 1, now.Add(2*time.Second))
	if got := log.String(); !strings.Contains(got, "calls_dropped=1\n") {
		t.Errorf("the next one is told as %q", got)
	}
}
