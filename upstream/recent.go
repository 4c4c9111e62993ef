package upstream

import (
	"cmp"
	"math"
	"sync/atomic"
	"time"
)

// recent is what the last answers of a target showed. It may be used concurrently; its
// zero value knows nothing.
type recent struct {
	streamed atomic.Uint64 // mean time to the first useful chunk of streams, in seconds
	whole    atomic.Uint64 // the same of whole answers: to their end
	output   atomic.Uint64 // mean tokens of an answer
	last     atomic.Int64  // when the last answer came, as Unix ns
	until    atomic.Int64  // Unix ns until which the target asked for patience
}

// The newest answer's weight in the means: of an answer that follows soon a tenth, so
// that the last ten or so count, and the more the longer there was none, so that a target that is
// seldom used is not judged by how it was long ago.
const (
	weightOfNew = 0.1
	forgetAfter = 10 * time.Second
)

// mostPatience bounds for how long one answer's Retry-After makes other calls prefer
// other targets. The call that got it obeys all of it.
const mostPatience = 30 * time.Second

func blend(mean *atomic.Uint64, value, weight float64) {
	old := math.Float64frombits(mean.Load())
	if old == 0 {
		weight = 1
	}
	mean.Store(math.Float64bits(old + weight*(value-old))) // one that is lost to another goroutine does no harm
}

// answered notes how long an answer took to show itself, and how long it was.
func (r *recent) answered(now time.Time, stream bool, first time.Duration, tokens int) {
	gap := time.Duration(now.UnixNano() - r.last.Swap(now.UnixNano()))
	weight := max(weightOfNew, 1-math.Exp(-gap.Seconds()/forgetAfter.Seconds()))
	mean := &r.whole
	if stream {
		mean = &r.streamed
	}
	blend(mean, first.Seconds(), weight)
	if tokens > 0 {
		blend(&r.output, float64(tokens), weight)
	}
}

// firstToken is the mean time to the first token; of whole answers, where nobody streams.
func (r *recent) firstToken() time.Duration {
	bits := cmp.Or(r.streamed.Load(), r.whole.Load())
	return time.Duration(math.Float64frombits(bits) * float64(time.Second))
}

func (r *recent) usualOutput() int { return int(math.Float64frombits(r.output.Load())) }

// patience notes that the target asked not to be called for d.
func (r *recent) patience(now time.Time, d time.Duration) {
	if d <= 0 {
		return
	}
	until := now.Add(min(d, mostPatience)).UnixNano()
	for {
		old := r.until.Load()
		if old >= until || r.until.CompareAndSwap(old, until) {
			return
		}
	}
}

func (r *recent) cooling(now time.Time) time.Duration {
	until := r.until.Load()
	if until == 0 {
		return 0
	}
	return max(time.Duration(until-now.UnixNano()), 0)
}
