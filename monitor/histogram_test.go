package monitor_test

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/monitor"
)

// exact is the nearest-rank quantile.
func exact(sorted []time.Duration, q float64) time.Duration {
	rank := int(math.Ceil(q*float64(len(sorted)) - 1e-9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// The promise: off by at most 2 %, and a nanosecond for rounding.
func within(t interface {
	Helper()
	Fatalf(string, ...any)
}, q float64, got, want time.Duration,
) {
	t.Helper()
	if diff := math.Abs(float64(got - want)); diff > 0.02*float64(want)+1 {
		t.Fatalf("quantile %v = %v, want %v within 2 %%: off by %.3f %%", q, got, want, 100*diff/float64(want))
	}
}

func TestQuantileError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Drawn by exponent, so that every size between 1 µs and 4 h is as likely.
		exponent := rapid.Float64Range(3, math.Log10(float64(4*time.Hour)))
		var h monitor.Histogram
		var values []time.Duration
		var sum time.Duration
		for range rapid.IntRange(1, 300).Draw(t, "n") {
			d := time.Duration(math.Pow(10, exponent.Draw(t, "exponent")))
			h.Observe(d)
			values = append(values, d)
			sum += d
		}
		slices.Sort(values)
		if h.Count() != int64(len(values)) || h.Sum() != sum {
			t.Fatalf("count %d and sum %v, want %d and %v", h.Count(), h.Sum(), len(values), sum)
		}
		for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1, rapid.Float64Range(0, 1).Draw(t, "q")} {
			within(t, q, h.Quantile(q), exact(values, q))
		}
	})
}

// Every bucket's edges, from both sides: that is where the error is largest.
func TestQuantileErrorAtEdges(t *testing.T) {
	for i := range 599 {
		edge := time.Duration(1000 * math.Pow(1.04, float64(i)))
		for _, d := range []time.Duration{edge - 1, edge, edge + 1} {
			if d < time.Microsecond || d > 4*time.Hour {
				continue
			}
			var h monitor.Histogram
			h.Observe(d)
			within(t, 0.5, h.Quantile(0.5), d)
		}
	}
}

func TestHistogramAtItsEnds(t *testing.T) {
	var h monitor.Histogram
	if h.Quantile(0.5) != 0 || h.Count() != 0 || h.Sum() != 0 {
		t.Error("an empty histogram reports something")
	}
	for _, d := range []time.Duration{math.MinInt64, -1, 0, 1, 999} {
		h.Observe(d)
	}
	if got := h.Quantile(1); got != time.Microsecond {
		t.Errorf("below the range: %v, want 1 µs", got)
	}
	if got := h.Sum(); got != 1000 {
		t.Errorf("sum %d, want 1000: negative durations count as zero", got)
	}
	h.Observe(math.MaxInt64)
	h.Observe(math.MaxInt64)
	if got := h.Quantile(1); got < 4*time.Hour || got > 5*time.Hour {
		t.Errorf("above the range: %v", got)
	}
	if got := h.Sum(); got != math.MaxInt64 {
		t.Errorf("sum %d: it has to stick at the largest value", got)
	}
	if h.Quantile(-1) != h.Quantile(0) || h.Quantile(2) != h.Quantile(1) || h.Quantile(math.NaN()) != h.Quantile(0) {
		t.Error("quantiles outside 0 to 1 are not taken into it")
	}
}

func TestMergeIsTheUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.SliceOf(rapid.Map(rapid.Int64Range(0, int64(time.Hour)), func(n int64) time.Duration { return time.Duration(n) }))
		var a, b, all monitor.Histogram
		for _, d := range durations.Draw(t, "a") {
			a.Observe(d)
			all.Observe(d)
		}
		for _, d := range durations.Draw(t, "b") {
			b.Observe(d)
			all.Observe(d)
		}
		a.Merge(&b)
		if a.Count() != all.Count() || a.Sum() != all.Sum() {
			t.Fatalf("count %d, sum %v, want %d, %v", a.Count(), a.Sum(), all.Count(), all.Sum())
		}
		for _, q := range []float64{0, 0.5, 0.99, 1} {
			if a.Quantile(q) != all.Quantile(q) {
				t.Fatalf("quantile %v: %v, want %v", q, a.Quantile(q), all.Quantile(q))
			}
		}
	})
}

func TestHistogramConcurrently(t *testing.T) {
	var h monitor.Histogram
	var wg sync.WaitGroup
	const workers, each = 8, 5000
	for range workers {
		wg.Go(func() {
			for i := range each {
				h.Observe(time.Duration(i) * time.Microsecond)
				if i%1000 == 0 {
					h.Quantile(0.99)
				}
			}
		})
	}
	wg.Wait()
	if want := workers * time.Duration(each*(each-1)/2) * time.Microsecond; h.Count() != workers*each || h.Sum() != want {
		t.Errorf("count %d, sum %v, want %d, %v", h.Count(), h.Sum(), workers*each, want)
	}
}

func BenchmarkHistogramObserve(b *testing.B) {
	var h monitor.Histogram
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Observe(time.Duration(i&0xffff) * 10 * time.Microsecond)
	}
}
