package backlog

import (
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Claim says the next claim to make; ok is false while there is none: nothing that may
// be claimed, no room in a band that has something, Drain or Fail. Bands do not wait for one
// another: each may have Config.Concurrency jobs claimed. Within a band tenants take turns,
// and the jobs of one tenant come by Enqueued and ID; retries wait for their NotBefore. Where
// other workers have jobs of the store each leaves a part of them to the others, for a few seconds at most.
func (d *Desk) Claim(now time.Time) (c Change, ok bool) {
	t := d.at(now)
	if d.draining || d.failed {
		return Change{}, false
	}
	for i := range d.bands {
		b := &d.bands[len(d.bands)-1-i]
		if it := d.claimable(b, t); it != nil {
			return d.claim(now, it), true
		}
	}
	return Change{}, false
}

// claimable is the job of a band that is claimed next, or nil. Those whose deadline
// has passed are put aside for Due.
func (d *Desk) claimable(b *band, t int64) *item {
	if b.busy() >= d.cfg.Concurrency {
		return nil
	}
	d.promote(b, t)
	next := b.next
	if len(d.peers) > 0 {
		d.part(t)
		next = func() *item { return d.shared(b, t) }
	}
	it := next()
	for ; it != nil && it.deadline <= t; it = next() {
		d.move(it, held)
	}
	return it
}

func (d *Desk) claim(now time.Time, it *item) Change {
	it.band().rotate(it.line.turn)
	c := Change{ID: it.id, From: Queued, Attempt: int(it.attempt), To: it.status(), Relaxed: d.cfg.RelaxedClaims}
	c.To.State, c.To.Worker = Processing, d.cfg.Worker
	c.To.Attempt++
	c.To.LeaseUntil = stamp(now).Add(d.cfg.Lease)
	if c.To.Started.IsZero() {
		c.To.Started = stamp(now)
	}
	it.extra().said = d.last
	it.flight |= flightClaim
	d.move(it, claiming)
	return c
}

// Holds says that this desk has the lease of a job at an attempt, as far as it knew when
// it was last told the time. A caller asks after Applied, before it starts a job, and
// while it runs one: without the lease its result will not be taken.
func (d *Desk) Holds(id ID, attempt int) bool { return d.holding(id, attempt) != nil }

func (d *Desk) holding(id ID, attempt int) *item {
	it := d.busy[id]
	if it == nil || it.where != leased || it.flight&flightEnd != 0 {
		return nil
	}
	if mutantNoFencing {
		return it
	}
	// A renewal that is under way may still prolong the lease: the store says.
	if int(it.attempt) != attempt || it.more.until <= d.last && it.flight&flightRenew == 0 {
		return nil
	}
	return it
}

// Outcome is how one attempt of a job ended.
type Outcome struct {
	// Err is nil for a completed job. Its kind decides what happens else: retryable kinds
	// are repeated; kinds that say that nothing was called (forebay_unavailable,
	// forebay_draining, policy_overloaded, policy_breaker_open) are tried again later
	// without counting; with every other one the job has failed.
	Err error
	// Result is the sealed result of a completed job.
	Result []byte
	// RetryAfter is how long the provider wants to be left alone; zero if it did not say.
	// The error's own counts as well.
	RetryAfter time.Duration
	// Poison says that the handler panicked: the job is dead at once.
	Poison bool
	// TimedOut says that the attempt ended because the job's deadline passed.
	TimedOut bool
}

// Finish says the change that ends an attempt: to a final state, or back to the queue with
// a pause. ok is false where this desk has no lease of that attempt any more: it ran out,
// or the job was cancelled; the result must be thrown away then. Until the change is reported the lease is renewed
// where other processes could take it, so that a store without capacity does not cost the result.
//
// Between attempts lies a pause that is drawn between 0 and Config.BackoffBase, which doubles
// with each retry, and at least RetryAfter. A drawn pause is shortened to half of the time that
// is left. If the provider wants to be left alone until after the deadline, the job ends as
// Timeout at once, with the provider's error: with more time it would have been tried again,
// and the caller need not wait for what can not come. Retries used up end as Dead.
func (d *Desk) Finish(now time.Time, id ID, attempt int, o Outcome) (c Change, ok bool) {
	t := d.at(now)
	it := d.holding(id, attempt)
	if it == nil {
		d.n.fenced++
		return Change{}, false
	}
	c = d.from(it)
	e := d.outcome(now, it, &o, &c)
	if e == nil || !nothingCalled(e.Kind) {
		it.band().holds.add(time.Duration(t - it.more.claimed))
		it.idle = 0
	} else if it.idle < 100 {
		it.idle++
	}
	d.endLease(it, &c)
	d.keepLease(it)
	return c, true
}

// from begins a change that ends the lease of an item.
func (d *Desk) from(it *item) Change {
	return Change{ID: it.id, From: Processing, Attempt: int(it.attempt), To: it.status()}
}

// endLease notes that a change which ends the item's lease is under way.
func (d *Desk) endLease(it *item, c *Change) {
	it.flight |= flightEnd
	it.flags |= spent
	it.flags &^= kept
	d.leases.remove(it)
	if c.To.State != Queued {
		c.To.Worker = it.more.worker
	}
}

// keepLease has the lease of an item renewed while its worker's end is under way, where others would take it.
func (d *Desk) keepLease(it *item) {
	if d.cfg.Exclusive {
		return
	}
	if it.flags |= kept; it.flight&flightRenew == 0 {
		d.lease(it)
	}
}

// outcome fills in what an attempt ends with, and returns its error.
func (d *Desk) outcome(now time.Time, it *item, o *Outcome, c *Change) *llm.Error {
	if o.Err == nil && !o.Poison && !o.TimedOut {
		c.Result = o.Result
		d.end(now, it, c, Completed)
		return nil
	}
	e := &llm.Error{Kind: llm.ForebayInternal, Message: "the attempt ended without a reason"}
	if o.Err != nil {
		e = llm.AsError(o.Err)
	}
	c.To.Kind, c.To.Message = e.Kind, brief(e.Text())
	switch {
	case o.Poison:
		c.To.Message = brief("the handler panicked: " + e.Text())
		d.end(now, it, c, Dead)
	case o.TimedOut || it.deadline <= d.last:
		if e.Kind != llm.CallerDeadline {
			c.To.Message = brief(it.allowed() + " during attempt " + itoa(c.To.Attempt) + ": " + e.Text())
		}
		d.end(now, it, c, Timeout)
	case nothingCalled(e.Kind):
		d.again(it, c, d.idlePause(it, max(o.RetryAfter, e.RetryAfter)))
	case e.Kind.Retryable():
		d.retry(now, it, c, max(o.RetryAfter, e.RetryAfter))
	default:
		d.end(now, it, c, Failed)
	}
	return e
}

// nothingCalled says that an attempt ended before a provider was called: it says
// nothing about the job.
func nothingCalled(k llm.Kind) bool {
	switch k {
	case llm.ForebayUnavailable, llm.ForebayDraining, llm.PolicyOverloaded, llm.PolicyBreakerOpen, llm.PolicyBudgetExceeded:
		return true
	}
	return false
}

// retry queues an item again after a failure, or ends it.
func (d *Desk) retry(now time.Time, it *item, c *Change, wanted time.Duration) {
	if c.To.Retries >= d.cfg.Retries {
		c.To.Message = brief("given up after " + itoa(c.To.Retries+1) + " failed attempts, the last one: " + c.To.Message)
		d.end(now, it, c, Dead)
		return
	}
	left := time.Duration(it.deadline - d.last)
	pause := max(d.draw(min(d.backoff(c.To.Retries+1), left/2)), wanted)
	if pause >= left {
		c.To.Message = brief("the next attempt could not start before the deadline, the last one: " + c.To.Message)
		d.end(now, it, c, Timeout)
		return
	}
	c.To.Retries++
	d.again(it, c, pause)
}

// idlePause is how long an item waits after nothing was called: longer each time, and so that it is
// tried once more before the deadline, since whoever refused may be wrong about the time.
func (d *Desk) idlePause(it *item, wanted time.Duration) time.Duration {
	left := time.Duration(it.deadline - d.last)
	if left <= d.cfg.BackoffBase {
		return left // as good as over: the deadline will say so
	}
	window := d.backoff(int(it.idle) + 1)
	return min(max(window/2+d.draw(window/2), wanted), left/2)
}

// again makes a change queue the item, to be claimed after a pause. NotBefore is as far from the
// deadline as it will be on the desk's own clock, which may be another distance from a wall clock that was set.
func (d *Desk) again(it *item, c *Change, pause time.Duration) {
	c.To.State, it.more.again = Queued, d.last
	if pause > 0 {
		left := time.Duration(it.deadline - d.last - int64(pause)).Truncate(time.Microsecond)
		it.more.again = it.deadline - int64(left)
		c.To.NotBefore = c.To.Deadline.Add(-left)
	}
}

// Release says the change that hands a lease back: the job is queued again in its place, and neither
// a retry nor a lost lease is counted. ok is false without the lease, as with Finish.
func (d *Desk) Release(now time.Time, id ID, attempt int) (c Change, ok bool) {
	d.at(now)
	it := d.holding(id, attempt)
	if it == nil {
		d.n.fenced++
		return Change{}, false
	}
	c = d.from(it)
	d.again(it, &c, 0)
	d.endLease(it, &c)
	d.keepLease(it)
	return c, true
}
