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

// few is counts in less room: those of one source within one step. Four billion
// calls within a step are beyond any target.
type few struct {
	total, failed, slow uint32
}

// window counts outcomes over a stretch of time that moves in steps, for each source
// and in all. The sums are kept up to date, so that reading them costs nothing;
// moving on costs one subtraction a step and source. It allocates nothing.
type window struct {
	step   time.Duration
	end    time.Duration // of the newest bucket
	newest int           // index of the newest bucket
	bucket [buckets][sources]few
	of     [sources]counts // the sums of each source
	sum    counts          // of all sources
	// recent holds the last outcomes, newest in bit 0, 1 for a failure. It sees a
	// target go bad after hours of good calls, which the sum dilutes. whose says
	// from which source each one was; its newest is at next-1.
	recent uint64
	whose  [recentCalls]uint8
	next   uint8
}

// advance drops what has become too old.
func (w *window) advance(now time.Duration) {
	behind := now - w.end
	if behind < 0 {
		return
	}
	if behind >= w.step*buckets {
		w.clear()
		w.end = now + w.step
		return
	}
	for ; behind >= 0; behind -= w.step {
		w.newest = (w.newest + 1) % buckets
		for i := range w.bucket[w.newest] {
			b := &w.bucket[w.newest][i]
			old := counts{total: int64(b.total), failed: int64(b.failed), slow: int64(b.slow)}
			w.of[i].subtract(old)
			w.sum.subtract(old)
			*b = few{}
		}
		w.end += w.step
	}
}

// record counts one call in the newest bucket.
func (w *window) record(source uint8, failed, slow bool) {
	w.recent <<= 1
	w.whose[w.next%recentCalls] = source
	w.next++
	b := &w.bucket[w.newest][source]
	b.total++
	c := counts{total: 1}
	if failed {
		b.failed++
		c.failed = 1
		w.recent |= 1
	}
	if slow {
		b.slow++
		c.slow = 1
	}
	w.of[source].add(c)
	w.sum.add(c)
}

// recentFailures is how many of the last 64 calls failed. The second result is
// false while the window holds fewer calls than that.
func (w *window) recentFailures() (int64, bool) {
	return int64(bits.OnesCount64(w.recent)), w.sum.total >= recentCalls
}

// recentOf counts the last 64 calls by source.
func (w *window) recentOf() (of [sources]counts) {
	for age := range uint8(recentCalls) {
		c := &of[w.whose[(w.next-1-age)%recentCalls]]
		c.total++
		c.failed += int64(w.recent >> age & 1)
	}
	return of
}

// clear forgets everything. The next step begins with the next look at it.
func (w *window) clear() {
	*w = window{step: w.step, end: -longest}
}
