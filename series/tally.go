package series

import "math"

// tally is what is known of measurements: of a step, or of several merged. Merging is
// exact but for the rounding of sums: whole numbers up to 2^53 are summed without any.
type tally struct {
	count    int64
	sum      float64
	min, max float64 // of gauges and distributions, where count > 0
	last     float64 // of gauges: the value at lastAt, Unix nanoseconds
	lastAt   int64
	buckets  buckets // of distributions
	restored bool    // a block of an earlier process is part of it
}

// empty says that there is nothing in it.
func (t *tally) empty() bool { return t.count == 0 }

// reset empties t and keeps its memory.
func (t *tally) reset() {
	kept := t.buckets
	kept.reset()
	*t = tally{buckets: kept}
}

// add counts one measurement.
func (t *tally) add(kind Kind, v float64, nano int64) {
	t.count++
	t.sum += v
	if kind == Counter {
		return
	}
	if t.count == 1 {
		t.min, t.max = v, v
	} else {
		t.min, t.max = min(t.min, v), max(t.max, v)
	}
	if kind == Distribution {
		t.buckets.add(bucketOf(v), 1)
	} else if nano >= t.lastAt || t.count == 1 {
		t.last, t.lastAt = v, nano
	}
}

// merge adds what o knows.
func (t *tally) merge(o *tally) {
	t.mergeSums(o)
	t.buckets.merge(&o.buckets)
}

// mergeSums adds all that o knows but for its buckets.
func (t *tally) mergeSums(o *tally) {
	t.restored = t.restored || o.restored
	if o.count == 0 {
		return
	}
	if t.count == 0 {
		t.min, t.max, t.last, t.lastAt = o.min, o.max, o.last, o.lastAt
	} else {
		t.min, t.max = min(t.min, o.min), max(t.max, o.max)
		if o.lastAt >= t.lastAt {
			t.last, t.lastAt = o.last, o.lastAt
		}
	}
	t.count += o.count
	t.sum += o.sum
}

// percentile returns the smallest value that at least percent of 100 values do not exceed
// (nearest rank), off by at most 1 %. Values between ±1e-9 count as 0.
func (t *tally) percentile(percent uint64) float64 {
	count := uint64(t.count)
	rank := (count/100)*percent + ((count%100)*percent+99)/100
	v := valueOf(t.buckets.at(max(rank, 1)))
	return math.Max(t.min, math.Min(t.max, v))
}

// stat returns a statistic of what is not empty; false where the kind has none of that
// name. A rate is not one: it needs to know the time.
func (t *tally) stat(kind Kind, st Stat) (float64, bool) {
	switch {
	case st == Count:
		return float64(t.count), true
	case st == Sum:
		return t.sum, kind != Gauge
	case kind == Counter:
		return 0, false
	case st == Min:
		return t.min, true
	case st == Max:
		return t.max, true
	case st == Mean:
		return t.sum / float64(t.count), true
	case st == Last:
		return t.last, kind == Gauge
	}
	percent := percentOf(st)
	if percent == 0 || kind != Distribution {
		return 0, false
	}
	return t.percentile(percent), true
}

// percentOf returns the percentage of a percentile; 0 for other statistics.
func percentOf(st Stat) uint64 {
	switch st {
	case P50:
		return 50
	case P90:
		return 90
	case P95:
		return 95
	case P99:
		return 99
	}
	return 0
}
