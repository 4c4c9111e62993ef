package breaker

import (
	"math/bits"
	"time"
)

// buckets is how many steps a window moves in: 10 s each of the default 5 min.
const buckets = 30

// recentCalls is how many outcomes the fast look back holds: the bits of a word.
const recentCalls = 64

// counts are calls by how they ended.
type counts struct {
	total, failed, slow int64
}

func (c *counts) add(o counts) {
	c.total += o.total
	c.failed += o.failed
	c.slow += o.slow
}

func (c *counts) subtract(o counts) {
	c.total -= o.total
	c.failed -= o.failed
	c.slow -= o.slow
}

// window counts outcomes over a stretch of time that moves in steps. The sum is
// kept up to date, so that reading it costs nothing; moving on costs one
// subtraction a step. It allocates nothing.
type window struct {
	step   time.Duration
	end    time.Time // of the newest bucket; zero before the first outcome
	newest int       // index of the newest bucket
	bucket [buckets]counts
	sum    counts
	// recent holds the last outcomes, newest in bit 0, 1 for a failure. It sees a
	// target go bad after hours of good calls, which the sum dilutes.
	recent uint64
}

// advance drops what has become too old. A time before the newest bucket counts
// as in it: clocks are not asked to be monotonic here.
func (w *window) advance(now time.Time) {
	behind := now.Sub(w.end)
	if behind < 0 {
		return
	}
	if behind >= w.step*buckets {
		w.clear()
		w.end = now.Add(w.step)
		return
	}
	for ; behind >= 0; behind -= w.step {
		w.newest = (w.newest + 1) % buckets
		w.sum.subtract(w.bucket[w.newest])
		w.bucket[w.newest] = counts{}
		w.end = w.end.Add(w.step)
	}
}

// record counts one call.
func (w *window) record(now time.Time, failed, slow bool) {
	w.advance(now)
	c := counts{total: 1}
	w.recent <<= 1
	if failed {
		c.failed = 1
		w.recent |= 1
	}
	if slow {
		c.slow = 1
	}
	w.bucket[w.newest].add(c)
	w.sum.add(c)
}

// recentFailures is how many of the last 64 calls failed. The second result is
// false while the window holds fewer calls than that.
func (w *window) recentFailures() (int64, bool) {
	return int64(bits.OnesCount64(w.recent)), w.sum.total >= recentCalls
}

// clear forgets everything.
func (w *window) clear() {
	*w = window{step: w.step}
}
