package backlog

import (
	"time"
)

// Load takes in a job as the store has it: at recovery, and from listings of a store
// that other processes use as well, which may be old. A queued job may be claimed from then
// on. One that another worker processes is watched, and taken over when its lease has not
// moved for Config.Lease; with Config.Exclusive that worker is gone, and the change that takes the
// job from it is said at once (ok is true). Of a final job the webhook is scheduled if it is due.
//
// The time left until the deadline is what the clock says, but at most the job's timeout: a clock that
// was set back while no process ran does not let jobs live for years.
func (d *Desk) Load(now time.Time, j *Job) (c Change, ok bool) {
	t := d.at(now)
	if it := d.items[j.ID]; it != nil && (it.where == reserved || it.flight != 0 || it.outdates(j)) {
		return Change{}, false
	}
	if it := d.take(now, j); it != nil && it.where == watched && it.due <= t {
		return d.lose(now, it), true
	}
	return Change{}, false
}

// outdates says that the desk knows of something that happened after j was read.
func (it *item) outdates(j *Job) bool {
	if j.Attempt != int(it.attempt) {
		return j.Attempt < int(it.attempt)
	}
	switch {
	case it.where == leased || it.where == watched: // everything else of this attempt comes later
		return false
	case j.State == Processing:
		return true
	case j.State.Final(): // of this queueing, or of one before it was requeued
		return micros(j.Deadline) < it.wallDeadline
	}
	return false
}

// take makes the desk's memory of a job what j says, and returns its item if it has one then.
// No change of it is under way that could say otherwise.
func (d *Desk) take(now time.Time, j *Job) *item {
	it := d.items[j.ID]
	if j.State.Final() {
		if it != nil {
			d.over(it)
		}
		d.schedule(now, j)
		return nil
	}
	if it == nil {
		it = d.item(j)
		d.move(it, held)
		it.wallDeadline = 0 // not timed yet
	}
	mine := it.where == leased && int(it.attempt) == j.Attempt && it.more.worker == j.Worker
	if d.refresh(now, it, j); j.State == Processing {
		d.hold(it, j, mine)
		return it
	}
	it.due = it.deadline - int64(j.Deadline.Sub(j.NotBefore)) // as far from the deadline as it was
	if j.NotBefore.IsZero() {
		it.due = d.last
	}
	it.flags &^= spent | unstarted
	d.enqueued = max(d.enqueued, it.enqueued)
	d.settle(d.last, it)
	return it
}

// refresh brings what does not depend on the state up to date.
func (d *Desk) refresh(now time.Time, it *item, j *Job) {
	if it.band().priority != j.Band {
		if it.where == ready || it.where == delayed {
			d.move(it, held)
		}
		d.toBand(it, j.Band)
	}
	if wall := micros(j.Deadline); wall != it.wallDeadline {
		d.expiry.remove(it)
		it.wallDeadline = wall
		left := max(j.Deadline.Sub(now.Round(0)), 0)
		if j.Timeout > 0 {
			left = min(left, j.Timeout)
		}
		it.deadline = d.last + int64(left)
		if f := d.former[it.id]; f != nil && f.wallDeadline == wall {
			it.deadline = f.deadline
		}
	}
	if it.attempt != int32(j.Attempt) { // what was known of the lease before says nothing of this one
		it.flags &^= spent | unstarted
	}
	it.attempt, it.retries, it.deaths = int32(j.Attempt), int16(min(j.Retries, 1<<15-1)), int16(min(j.Deaths, 1<<15-1))
	if it.more != nil || !j.Started.IsZero() || j.Kind != "" {
		m := it.extra()
		m.started, m.kind, m.message = micros(j.Started), j.Kind, j.Message
	}
}

// hold puts an item that is processing where it belongs: mine says that this desk had its lease already.
func (d *Desk) hold(it *item, j *Job, mine bool) {
	f := d.former[it.id]
	switch own := f != nil && j.Worker == d.cfg.Worker; {
	case mine:
		d.lease(it)
		return
	case own && f.where == leased && int(f.attempt) == j.Attempt:
		it.flags |= f.flags & spent
		*it.extra() = *f.more
		it.more.wallLease = micros(j.LeaseUntil)
		if d.cfg.Exclusive { // nobody else could have it, however long the store was away
			it.more.until = d.last + int64(d.cfg.Lease)
		}
		it.more.said = d.last
		d.move(it, leased)
		d.lease(it)
		return
	case own && f.where == claiming && int(f.attempt)+1 == j.Attempt:
		it.flags |= unstarted
	}
	d.watch(it, j)
}

// lease puts an own lease into order: it is renewed T/3 after it was said, or runs out. One that is kept is renewed only.
func (d *Desk) lease(it *item) {
	d.leases.remove(it)
	d.arm(it)
	renewal := it.more.said + int64(d.cfg.Lease/3)
	switch {
	case it.ending():
		it.due = renewal
	case it.flags&spent == 0:
		it.due = min(it.more.until, renewal)
	default:
		it.due = it.more.until
	}
	d.leases.push(it)
}

// watch waits for a movement of another worker's lease, for as long as a lease lasts.
func (d *Desk) watch(it *item, j *Job) {
	m := it.extra()
	still := it.where == watched && m.wallLease == micros(j.LeaseUntil) && m.worker == j.Worker
	m.wallLease, m.worker = micros(j.LeaseUntil), j.Worker
	if !still {
		d.meet(j.Worker)
		it.due = d.last + int64(d.cfg.Lease)
		if d.cfg.Exclusive || it.flags&unstarted != 0 {
			it.due = d.last
		}
	}
	d.expiry.remove(it)
	if it.where == watched {
		d.leases.remove(it)
	} else {
		d.move(it, watched)
	}
	d.leases.push(it)
}
