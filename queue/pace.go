package queue

import (
	"slices"
	"sync/atomic"
	"time"
)

// holdsKept is how many hold times the estimates rest on: enough for a mean within
// a few percent where calls are alike, few enough to follow a target that changes.
const holdsKept = 128

// holds remembers how long slots were held last. record is lock-free; read is for
// one goroutine at a time.
type holds struct {
	n    atomic.Uint64
	last [holdsKept]atomic.Int64 // nanoseconds

	pace   pace   // of the first asOf holds
	asOf   uint64 // value of n
	sorted [holdsKept]int64
}

// pace sums up hold times. All zero means that there is no sample yet.
type pace struct {
	mean, median, p95 time.Duration
}

// record adds one hold time. Times of 0 and less are no samples.
func (h *holds) record(d time.Duration) {
	if d > 0 {
		h.last[(h.n.Add(1)-1)%holdsKept].Store(int64(d))
	}
}

// read sums up the last holds. It is at most 7 holds behind, because sorting costs
// about a microsecond.
func (h *holds) read() pace {
	n := h.n.Load()
	if n == h.asOf || n > 16 && n-h.asOf < 8 {
		return h.pace
	}
	h.asOf = n
	known := h.sorted[:0]
	var sum time.Duration
	for i := range min(n, holdsKept) {
		if d := h.last[i].Load(); d > 0 { // 0: counted, but not stored yet
			known = append(known, d)
			sum += time.Duration(d) / holdsKept // divided first: the sum can not overflow
		}
	}
	if len(known) == 0 {
		return h.pace
	}
	slices.Sort(known)
	h.pace = pace{
		mean:   time.Duration(float64(sum) * holdsKept / float64(len(known))),
		median: time.Duration(known[(len(known)-1)/2]),
		p95:    time.Duration(known[(len(known)-1)*95/100]),
	}
	return h.pace
}

// wait estimates how long a request waits behind so many others while slots are
// handed back by so many calls in progress.
func (p pace) wait(ahead int, running int64) time.Duration {
	return scale(p.mean, float64(ahead+1)/float64(max(running, 1)))
}

// need is the time a call should have left when it gets its slot: what 19 of 20
// calls take, but no more than half of the time left at its arrival, so that a few
// long calls do not shut out the short ones, and no less than what half of the
// calls take.
func (p pace) need(left time.Duration) time.Duration {
	return max(p.median, min(p.p95, left/2))
}

// scale multiplies without overflow.
func scale(d time.Duration, by float64) time.Duration {
	const most = 24 * time.Hour
	if f := float64(d) * by; f < float64(most) {
		return time.Duration(f)
	}
	return most
}
