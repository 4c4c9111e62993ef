package series

import "math"

// The mapping of values to buckets is that of DDSketch (Masson, Rim, Lee: "DDSketch: a
// fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019):
// bucket k of magnitude holds [least·e^((k-1)·width), least·e^(k·width)), negative values
// have the negative numbers and 0 is for what is smaller than least. Buckets are the same
// everywhere, so that sketches merge without loss.
const (
	// width is the natural logarithm of how much wider each bucket is than the one below.
	// The middle of a bucket is then off by at most tanh(width/2), 0.99 %.
	width = 0.0198
	// least is the smallest magnitude that is told from zero: a nanosecond, a billionth.
	least = 1e-9
	// most is the largest magnitude that is taken: a petabyte, a billion dollars in
	// micro-dollars. Sums of as many as there can be stay far from infinity.
	most = 1e15
	// topBucket is the bucket of most: 1 + ⌊ln(most/least)/width⌋.
	topBucket = 2792
)

// bucketOf returns the bucket of v, whose magnitude is at most most.
func bucketOf(v float64) int {
	switch {
	case v >= least:
		return 1 + int(math.Log(v/least)/width)
	case v <= -least:
		return -1 - int(math.Log(-v/least)/width)
	}
	return 0
}

// valueOf returns the value in the middle of a bucket: the one whose relative error is the
// same towards both ends.
func valueOf(bucket int) float64 {
	if bucket == 0 {
		return 0
	}
	k := math.Abs(float64(bucket))
	low := least * math.Exp((k-1)*width)
	return math.Copysign(low*(1+math.Tanh(width/2)), float64(bucket))
}

// buckets counts values by bucket, in one piece from the lowest to the highest in use.
// The zero value is empty.
type buckets struct {
	low    int // the bucket of counts[0]
	counts []uint64
}

func (b *buckets) add(bucket int, n uint64) {
	i := bucket - b.low
	if uint(i) >= uint(len(b.counts)) {
		b.reach(bucket)
		i = bucket - b.low
	}
	b.counts[i] += n
}

// spare is by how many buckets more than asked for a piece grows, so that it does not grow
// with every new extreme: a factor of 1.9.
const spare = 32

// reach makes room for a bucket. What lies beyond counts in its array is zero.
func (b *buckets) reach(bucket int) {
	low, high, shift := bucket, bucket, 0
	if len(b.counts) > 0 {
		low, high = min(low, b.low), max(high, b.low+len(b.counts)-1)
	}
	low, high = max(low-spare, -topBucket), min(high+spare, topBucket)
	if len(b.counts) > 0 {
		shift = b.low - low
	}
	old, n := b.counts, high-low+1
	if n > cap(old) {
		b.counts = make([]uint64, n)
		copy(b.counts[shift:], old)
	} else {
		b.counts = old[:n]
		copy(b.counts[shift:], old)
		clear(b.counts[:min(shift, len(old))])
	}
	b.low = low
}

// reset empties b and keeps its memory.
func (b *buckets) reset() {
	clear(b.counts)
	b.counts = b.counts[:0]
}

func (b *buckets) merge(o *buckets) {
	for i, n := range o.counts {
		if n > 0 {
			b.add(o.low+i, n)
		}
	}
}

// at returns the bucket that holds the value of a rank, counted from 1.
func (b *buckets) at(rank uint64) int {
	for i, n := range b.counts {
		if n >= rank {
			return b.low + i
		}
		rank -= n
	}
	return b.low + len(b.counts) - 1
}
