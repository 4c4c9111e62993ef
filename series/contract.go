package series

import (
	"context"
	"time"
)

// Key names one series: a metric as a whole, where Label is empty, or one value of one
// of its labels, such as {"requests", "operation", "vc-analysis"}. Keys come from closed
// sets.
type Key struct{ Metric, Label, Value string }

// Kind is what a metric is. The set is closed.
type Kind uint8

// The kinds.
const (
	Counter      Kind = iota // amounts that add up
	Gauge                    // a state that is sampled
	Distribution             // values whose percentiles count
)

// Metric describes one metric of a Set.
type Metric struct {
	Name string
	Kind Kind
	Unit string // for people: "s", "tokens", "USD", "" for plain numbers
	Doc  string
}

// Stat is what is asked of a series over a window. The set is closed.
type Stat string

// The statistics. Those of a Counter: Sum and Rate. Of a Gauge: Last, Min, Max and Mean.
// Of a Distribution: Count, Sum, Mean, Min, Max, Rate and the percentiles.
const (
	Sum   Stat = "sum"
	Rate  Stat = "rate" // a second
	Count Stat = "count"
	Last  Stat = "last"
	Min   Stat = "min"
	Max   Stat = "max"
	Mean  Stat = "mean"
	P50   Stat = "p50"
	P90   Stat = "p90"
	P95   Stat = "p95"
	P99   Stat = "p99"
)

// Window is a span of time: From is inclusive, To exclusive.
type Window struct{ From, To time.Time }

// Point is a statistic's value. OK is false where nothing was measured: then there is no
// value, which is not zero. (A Counter that was never raised is 0 as soon as the set
// covers the window.)
type Point struct {
	Value float64
	// Count is how many measurements are behind it.
	Count int64
	OK    bool
}

// Block is a part of a series in the form in which it is stored: one step of one tier.
type Block struct {
	Key
	Step  time.Duration
	Start time.Time
	Data  []byte
}

// Store keeps blocks. Its methods may be called concurrently.
type Store interface {
	// SaveSeries keeps blocks, all or none; one with the key, step and start of an older
	// one replaces it.
	SaveSeries(ctx context.Context, blocks []Block) error
	// LoadSeries calls yield for every block that starts at or after from(step), in no
	// order, until yield returns false.
	LoadSeries(ctx context.Context, from func(step time.Duration) time.Time, yield func(Block) bool) error
	// PruneSeries removes blocks of a step that start before t.
	PruneSeries(ctx context.Context, step time.Duration, t time.Time) error
}
