package backlog

import (
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// BandStats describes one band at one moment.
type BandStats struct {
	// Queued counts jobs that are not claimed, Delayed those of them that wait for their
	// next attempt, Parked those of them whose operation is paused.
	Queued, Delayed, Parked int
	// Processing counts the jobs that this desk holds leases on or is claiming, Watched
	// those that other workers hold.
	Processing, Watched int
	// Oldest is how long ago the oldest queued job was accepted; zero without one.
	Oldest time.Duration
	// EstimatedWait is what the last job in the band will wait; zero while nothing is
	// known: before the first job of the band has ended.
	EstimatedWait time.Duration
	// Hold is how long a job took from claim to end on average, of the last 128.
	Hold time.Duration
}

// Stats describes a desk at one moment. The counts are since it was made.
type Stats struct {
	// Bands are by llm.Priority.Index: low, normal, high, critical.
	Bands [len(llm.Priorities)]BandStats
	// Queued, Delayed, Processing and Watched are the sums over the bands.
	Queued, Delayed, Processing, Watched int
	// Reserved counts jobs that were admitted or are being requeued and are not known to
	// be stored; they are not counted as queued.
	Reserved int
	// Bytes is the size of the sealed payloads of queued and reserved jobs.
	Bytes int64
	// Accepted counts jobs that were stored, Requeued those that came back by hand.
	Accepted, Requeued int64
	// Claimed counts claims that were made.
	Claimed int64
	// Completed, Failed, Timeouts, Cancelled and Dead count jobs that ended so.
	Completed, Failed, Timeouts, Cancelled, Dead int64
	// Retries counts failed attempts that were queued again, Deaths leases that were
	// lost, Released those handed back or queued again because nothing was called.
	Retries, Deaths, Released int64
	// Fenced counts results and hand-backs that were refused: without the lease.
	Fenced int64
	// Refused counts jobs that were not admitted.
	Refused int64
	// DrainRate is how many jobs ended a second, over the last minute.
	DrainRate float64
	// Paused lists the paused operations in order.
	Paused []string
	// Draining says that Drain was called; StoreFailed that Fail was, and not Restore.
	Draining, StoreFailed bool
}

// counts are kept in plain words.
type counts struct {
	accepted, requeued, claimed, retries, deaths, released, fenced, refused int64
	final                                                                   [Dead + 1]int64
}

// tally counts a change that was made; it is the item of which it was awaited, or nil.
func (d *Desk) tally(c *Change, k flight, it *item) {
	if c.To.State.Final() {
		if k != 0 {
			d.n.final[c.To.State]++
			d.drained.add(d.last)
		}
	}
	switch {
	case k == flightClaim:
		d.n.claimed++
	case k == flightRequeue:
		d.n.requeued++
	case k != flightEnd || it == nil:
	case c.To.Deaths > int(it.deaths):
		d.n.deaths++
	case c.To.Retries > int(it.retries):
		d.n.retries++
	case c.To.State == Queued:
		d.n.released++
	}
}

// Stats describes the desk now. It costs as much as there are tenants, operations and delayed jobs.
func (d *Desk) Stats(now time.Time) Stats {
	t := d.at(now)
	n := &d.n
	s := Stats{
		Bytes: d.bytes, Accepted: n.accepted, Requeued: n.requeued, Claimed: n.claimed,
		Completed: n.final[Completed], Failed: n.final[Failed], Timeouts: n.final[Timeout], Cancelled: n.final[Cancelled], Dead: n.final[Dead],
		Retries: n.retries, Deaths: n.deaths, Released: n.released, Fenced: n.fenced, Refused: n.refused,
		DrainRate: d.drained.perSecond(t), Paused: d.Paused(), Draining: d.draining, StoreFailed: d.failed,
	}
	for i := range d.bands {
		b, bs := &d.bands[i], &s.Bands[i]
		bs.Queued, bs.Delayed, bs.Parked = b.in[ready]+b.in[delayed]+b.in[held], b.in[delayed], b.parked
		bs.Processing, bs.Watched = b.busy(), b.in[watched]
		bs.Oldest = d.age(now, b.oldest())
		bs.Hold = b.holds.mean()
		if bs.Queued > 0 {
			bs.EstimatedWait = d.wait(b, bs.Queued-1)
		}
		s.Queued += bs.Queued
		s.Delayed += bs.Delayed
		s.Processing += bs.Processing
		s.Watched += bs.Watched
		s.Reserved += b.in[reserved]
	}
	return s
}

// oldest is the oldest job that is ready or delayed, or nil.
func (b *band) oldest() *item {
	var first *item
	see := func(it *item) {
		if it != nil && (first == nil || older(it, first)) {
			first = it
		}
	}
	for _, t := range b.turns {
		for _, l := range t.lines {
			see(l.head())
		}
	}
	for _, it := range b.delayed.items {
		see(it)
	}
	return first
}

// age is how long ago an item was accepted. Of one that never was requeued or loaded the desk's own clock
// knows; else the wall clock says, and never less than zero.
func (d *Desk) age(now time.Time, it *item) time.Duration {
	if it == nil {
		return 0
	}
	if it.wallDeadline-it.enqueued == it.timeout.Microseconds() {
		return max(it.timeout-time.Duration(it.deadline-d.last), 0)
	}
	return max(now.Round(0).Sub(wallTime(it.enqueued)), 0)
}

// holdsKept is how many times the estimates rest on: enough for a mean within a few
// percent where jobs are alike, few enough to follow a change.
const holdsKept = 128

// holds remembers how long the last jobs took from claim to end.
type holds struct {
	last [holdsKept]int64
	n    uint64
	sum  int64
}

func (h *holds) add(t time.Duration) {
	at := &h.last[h.n%holdsKept]
	v := min(max(int64(t), 1), int64(365*day)/holdsKept) // the sum can not overflow
	h.sum += v - *at
	*at = v
	h.n++
}

// mean is zero while nothing is known.
func (h *holds) mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return time.Duration(h.sum / int64(min(h.n, holdsKept)))
}

// rateSeconds is over how many seconds a rate is taken.
const rateSeconds = 60

// rate counts what happened in each of the last seconds.
type rate struct {
	second [rateSeconds]int64 // which second the count is of
	count  [rateSeconds]int64
}

func (r *rate) add(t int64) {
	s := t / int64(time.Second)
	i := s % rateSeconds
	if r.second[i] != s {
		r.second[i], r.count[i] = s, 0
	}
	r.count[i]++
}

// perSecond leaves out the second that is not over, and takes what there is of the first minute.
func (r *rate) perSecond(t int64) float64 {
	s := t / int64(time.Second)
	var n int64
	for i := range r.second {
		if r.second[i] < s && s-r.second[i] < rateSeconds {
			n += r.count[i]
		}
	}
	return float64(n) / float64(max(min(s, rateSeconds-1), 1))
}
