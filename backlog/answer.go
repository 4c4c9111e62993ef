package backlog

import "time"

// kind is which change is under way.
func (c *Change) kind() flight {
	switch {
	case c.From == Queued && c.To.State == Processing:
		return flightClaim
	case c.From == Processing && c.To.State == Processing:
		return flightRenew
	case c.From == Queued && c.To.State == Queued:
		return flightBand
	case c.From.Final() && c.To.State == Queued:
		return flightRequeue
	case c.To.State == Cancelled && !c.From.Final():
		return flightCancel
	case c.From.Final():
		return 0 // a webhook
	}
	return flightEnd
}

// awaited gives the item of which c is under way, or nil: it ended, or began anew, meanwhile.
func (d *Desk) awaited(c *Change, k flight) *item {
	it := d.busy[c.ID]
	if it == nil {
		it = d.items[c.ID]
	}
	if it == nil || it.flight&k == 0 || micros(c.To.Deadline) != it.wallDeadline {
		return nil
	}
	if int(it.attempt) != c.Attempt && k != flightCancel {
		return nil
	}
	return it
}

// Applied says that the store made a change. After a claim the answer says whether to run the
// job. It is false where the desk has forgotten the change, or knows that it was overtaken by others.
func (d *Desk) Applied(now time.Time, c *Change) bool {
	t, k := d.at(now), c.kind()
	it := d.awaited(c, k)
	d.tally(c, k, it)
	if k == flightRequeue {
		d.undeliver(c.ID, c.Attempt) // nobody is told any more that it had ended
	}
	switch {
	case k == 0:
		d.noted(now, c, &c.To)
		return true
	case c.To.State.Final():
		d.ended(c)
		d.answered(now, c.ID, &c.To)
		return it != nil
	case it == nil && k == flightRequeue:
		return d.revive(t, c)
	case k == flightRequeue && it.flags&over != 0:
		d.remove(it)
		return true
	case it == nil:
		d.belated(now, c, k)
		return false
	}
	d.land(t, it, c, k)
	return true
}

// ended forgets the item of a job that a change has ended, if it knows of nothing later.
func (d *Desk) ended(c *Change) {
	it := d.items[c.ID]
	if it == nil {
		it = d.former[c.ID] // Restore forgot it, and it may be revived
	}
	switch {
	case it == nil || micros(c.To.Deadline) != it.wallDeadline || c.Attempt < int(it.attempt):
	case it.flight&flightRequeue != 0 && c.Attempt == int(it.attempt): // it ended so before it was requeued
	case it.where == reserved || d.items[c.ID] != nil:
		d.over(it)
	}
}

// over forgets the item of a job that has ended. One that is reserved keeps its place until somebody says that
// the job was stored: Accept gives it back.
func (d *Desk) over(it *item) {
	if it.where == reserved {
		it.flags |= over
		return
	}
	d.remove(it)
}

// land brings an item up to date after a change that did not end its job.
func (d *Desk) land(t int64, it *item, c *Change, k flight) {
	if it.flight &^= k; it.flight == 0 {
		it.flags &^= banded
	}
	switch k {
	case flightClaim:
		d.claimed(it, c)
		return
	case flightRenew:
		d.renewed(it, c)
		return
	case flightBand:
		d.toBand(it, c.To.Band)
		if it.flight != 0 {
			it.flags |= banded
		}
	case flightRequeue:
		it.due, it.attempt = t, int32(c.To.Attempt)
	case flightEnd:
		it.flight &^= flightRenew // it can not be made any more
		it.flags &^= spent | unstarted | kept
		it.retries, it.deaths = int16(c.To.Retries), int16(c.To.Deaths)
		it.more.kind, it.more.message = c.To.Kind, c.To.Message
		it.due = it.more.again
	}
	d.settle(t, it)
}

// belated makes the best of a change that was made and of which nobody knew, because Restore forgot it:
// the job is what the change made of it, unless more is known. Nobody runs what it claimed.
func (d *Desk) belated(now time.Time, c *Change, k flight) {
	it := d.items[c.ID]
	j := Job{ID: c.ID, Status: c.To}
	if it == nil || it.where == reserved || it.flight != 0 || it.outdates(&j) {
		return
	}
	j.Timeout = it.timeout
	if it = d.take(now, &j); it != nil && it.where == watched && k == flightClaim && c.To.Worker == d.cfg.Worker {
		it.flags |= unstarted
	}
}

// revive takes in a job that was requeued while Restore forgot it. Whoever loaded the others may
// have read before that.
func (d *Desk) revive(t int64, c *Change) bool {
	it := d.former[c.ID]
	if it == nil || it.flight != flightRequeue || it.flags&over != 0 || d.items[c.ID] != nil {
		return false
	}
	delete(d.former, c.ID)
	l := d.lineOf(&d.bands[c.To.Band.Index()], it.line.turn.tenant, it.line.op.name)
	l.settleIn(it)
	it.flight, it.where, it.due, it.attempt = 0, held, t, int32(c.To.Attempt)
	d.items[c.ID] = it
	d.count(it, 1)
	d.settle(t, it)
	return true
}

// claimed begins a lease. In a store that others use it counts from when the claim was said, because they may
// have seen it since; else from now, so that a slow disk costs no lease.
func (d *Desk) claimed(it *item, c *Change) {
	m := it.more
	m.claimed, m.kind, m.message = d.last, "", ""
	m.started, m.worker = micros(c.To.Started), c.To.Worker
	it.attempt++
	d.move(it, leased)
	d.renewed(it, c)
}

func (d *Desk) renewed(it *item, c *Change) {
	m := it.more
	m.wallLease = micros(c.To.LeaseUntil)
	if m.until = m.said + int64(d.cfg.Lease); d.cfg.Exclusive {
		m.until = d.last + int64(d.cfg.Lease)
	}
	if it.flight&flightEnd == 0 || it.ending() {
		d.lease(it)
	}
}

// Missed says that the store did not make a change, or that nobody knows, and what the store says
// of the job now; nil means that the job is gone. If that is what the change would have made of it, the change
// counts as made, and the answer is that of Applied; else it is false. A job on which a change was missed for no reason of its own is offered again at once:
// whoever reports such misses makes pauses.
func (d *Desk) Missed(now time.Time, c *Change, current *Job) bool {
	d.at(now)
	k := c.kind()
	if current != nil && k != 0 && made(&c.To, &current.Status) {
		return d.Applied(now, c)
	}
	if k == 0 {
		d.missedHook(now, c, current)
		return false
	}
	d.miss(now, c, k, current)
	return false
}

// miss makes the desk's memory of a job what the store says, unless other changes of it say more.
func (d *Desk) miss(now time.Time, c *Change, k flight, current *Job) {
	it := d.awaited(c, k)
	switch {
	case it == nil:
		if d.items[c.ID] == nil && current != nil && d.former != nil && !d.failed {
			d.take(now, current) // Restore may have forgotten it: better to be wrong about a job than to lose it
		}
		return
	case k == flightRequeue:
		ended := it.flags&over != 0
		d.remove(it)
		if current != nil && (!ended || current.State.Final()) { // else it was read before the end
			d.take(now, current)
		}
		return
	}
	it.flight &^= k
	if it.flight != 0 { // what becomes of the others says more
		d.among(it)
		return
	}
	if current == nil {
		d.over(it)
		return
	}
	if it.where == claiming {
		d.move(it, held)
	}
	d.reread(now, it, current)
}

// reread makes the desk's memory of a job what the store said while a change was under way that was missed,
// but for what the desk has heard since.
func (d *Desk) reread(now time.Time, it *item, current *Job) {
	j := *current
	if it.flags&banded != 0 {
		j.Band = it.band().priority
	}
	it.flags &^= banded
	if it.where == reserved || !it.outdates(&j) {
		d.take(now, &j)
		return
	}
	d.stay(it)
}

// among has an item go on of which a change was not made while others are under way.
func (d *Desk) among(it *item) {
	switch {
	case it.where == claiming && it.flight&flightClaim == 0:
		d.settle(d.last, it)
	case it.ending() && it.flight&flightRenew == 0:
		d.lease(it)
	}
}

// stay has an item go on as it was before a change that was not made.
func (d *Desk) stay(it *item) {
	switch it.where {
	case reserved:
	case leased:
		d.lease(it)
	case watched:
		d.leases.remove(it)
		d.leases.push(it)
	default:
		d.settle(d.last, it)
	}
}

// Undone says that the store surely did not make a change (ErrBusy): the job is as it was before the change was said, as far
// as the desk knows, and what was due is due again, but for a lease of another worker that was
// to be ended: it has to stand still for Config.Lease once more. Whoever reports such changes makes pauses.
func (d *Desk) Undone(now time.Time, c *Change) {
	t := d.at(now)
	k := c.kind()
	if k == 0 {
		if h := d.deliveries[c.ID]; h != nil && int(h.attempt) == c.Attempt && h.pos < 0 && h.said == c.To.Hook {
			d.hookAt(h, t)
		}
		return
	}
	it := d.awaited(c, k)
	if it == nil {
		return
	}
	if k == flightRequeue { // it has ended, and nobody looks after it
		d.remove(it)
		return
	}
	if k == flightEnd && it.where == watched && !d.cfg.Exclusive && it.flags&unstarted == 0 {
		it.due = t + int64(d.cfg.Lease) // its worker had no capacity to renew the lease either: it is watched anew
	}
	if it.flight &^= k; it.flight != 0 {
		d.among(it)
		return
	}
	it.flags &^= banded
	d.stay(it)
}

// made says that b is what a change to a would have made.
func made(a, b *Status) bool {
	same := func(a, b time.Time) bool { return micros(a) == micros(b) }
	return a.State == b.State && a.Band == b.Band && a.Attempt == b.Attempt && a.Retries == b.Retries && a.Deaths == b.Deaths &&
		a.Worker == b.Worker && same(a.NotBefore, b.NotBefore) && same(a.Deadline, b.Deadline) &&
		same(a.LeaseUntil, b.LeaseUntil) && same(a.Finished, b.Finished)
}
