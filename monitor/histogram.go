package monitor

import (
	"math"
	"sync/atomic"
	"time"
)

// The buckets grow by 4 % each, and a quantile is given as the value in the middle
// of its bucket (2γ/(γ+1) times its lower bound), which is off by at most
// (γ-1)/(γ+1) = 1.96 %. 600 of them reach from one microsecond to over four hours.
const (
	bucketGrowth  = 1.04
	logGrowth     = 0.039220713153281329 // ln(1.04)
	bucketCount   = 600
	smallestValue = time.Microsecond
)

// Histogram counts durations so that quantiles can be had in the process, without
// a metrics server. A quantile between 1 µs and 4 hours is off by at most 2 %, and
// rounded to a nanosecond; anything shorter counts as 1 µs, anything longer as the
// largest value. It takes 4.8 KB, never allocates, and is safe for concurrent use
// without locks. The zero Histogram is empty and ready.
type Histogram struct {
	buckets [bucketCount]atomic.Uint64
	sum     atomic.Int64 // nanoseconds
}

// Observe counts d. Negative durations count as zero.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	h.buckets[bucketOf(d)].Add(1)
	addSaturating(&h.sum, int64(d))
}

// bucketOf gives the bucket i with growth^(i-1) < d <= growth^i microseconds.
func bucketOf(d time.Duration) int {
	if d <= smallestValue {
		return 0
	}
	i := int(math.Ceil(math.Log(float64(d)/float64(smallestValue)) / logGrowth))
	return min(i, bucketCount-1)
}

// valueOf gives the middle of bucket i.
func valueOf(i int) time.Duration {
	if i == 0 {
		return smallestValue
	}
	upper := float64(smallestValue) * math.Pow(bucketGrowth, float64(i))
	return time.Duration(math.Round(upper * 2 / (bucketGrowth + 1)))
}

// Merge adds what other has counted. Observations that arrive meanwhile may or
// may not be part of it.
func (h *Histogram) Merge(other *Histogram) {
	for i := range other.buckets {
		if n := other.buckets[i].Load(); n > 0 {
			h.buckets[i].Add(n)
		}
	}
	addSaturating(&h.sum, other.sum.Load())
}

// Count is how many durations were counted.
func (h *Histogram) Count() int64 {
	var n uint64
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return int64(n)
}

// Sum is the sum of all durations, exact up to the largest time.Duration, where it
// sticks.
func (h *Histogram) Sum() time.Duration { return time.Duration(h.sum.Load()) }

// Quantile gives the smallest counted value that at least the share q of all
// counted values does not exceed: 0.5 is the median, 0 the minimum, 1 the maximum.
// q is taken into that range. It is 0 where nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	var counts [bucketCount]uint64 // one reading, so that rank and buckets agree
	var total uint64
	for i := range h.buckets {
		counts[i] = h.buckets[i].Load()
		total += counts[i]
	}
	if total == 0 {
		return 0
	}
	rank := rankOf(q, total)
	for i, n := range counts {
		if n >= rank {
			return valueOf(i)
		}
		rank -= n
	}
	return valueOf(bucketCount - 1)
}

// rankOf is the nearest rank, 1 to total, of q.
func rankOf(q float64, total uint64) uint64 {
	if !(q > 0) { // NaN too
		return 1
	}
	if q >= 1 {
		return total
	}
	// 0.07 * 100 is a little over 7 in floating point, and must not become rank 8.
	return min(max(uint64(math.Ceil(q*float64(total)-1e-9)), 1), total)
}

// addSaturating adds n, or nothing if it is negative, and sticks at the largest value.
func addSaturating(to *atomic.Int64, n int64) {
	if n <= 0 {
		return
	}
	for {
		old := to.Load()
		sum := old + n
		if sum < old {
			sum = math.MaxInt64
		}
		if to.CompareAndSwap(old, sum) {
			return
		}
	}
}
