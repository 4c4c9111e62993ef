package monitor

import "slices"

// What may be dropped rather than hold up a request, as label values.
const (
	droppedSink  = "sink"   // a sink panicked
	droppedWatch = "sample" // a Source panicked
)

// DroppedKinds lists what Dropped knows: entries of the request log, measurements of
// windows (series), records of the ledger, spans, notices of alarms; and what this
// package counts itself: calls that a sink failed to take, and samples that a Source
// failed to give.
func DroppedKinds() []string {
	return []string{"request_log", "series", "ledger", "spans", "notices", "cloudwatch", droppedSink, droppedWatch}
}

// Dropped counts n things that were given up so that no request had to wait for them.
// What is outside DroppedKinds is counted as "other"; n below 1 changes nothing.
func (m *Monitor) Dropped(what string, n int64) {
	if n <= 0 {
		return
	}
	if !slices.Contains(DroppedKinds(), what) {
		what = labelOther
	}
	m.metrics.dropped.WithLabelValues(what).Add(float64(n))
}
