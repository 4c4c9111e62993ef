package backlog

import (
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// atOnce is how many changes or hooks are said by one call; Wake says now while there are more.
const atOnce = 1000

// Due says the changes whose time has come, up to 1,000: renewals of leases every T/3; the end of
// jobs whose deadline passed, queued or processing; jobs whose lease ran out, which are queued again or
// dead: this desk's own, by the monotonic clock (the process was stopped), and those of
// others that have not moved for T. From then on the results of lost leases are refused. A caller ends
// the runs of jobs for which Holds is false.
func (d *Desk) Due(now time.Time) []Change {
	t := d.at(now)
	if d.failed {
		return nil
	}
	if t > d.formerEnd {
		d.former = nil
	}
	var due []Change
	for it, ok := d.expiry.first(); ok && it.deadline <= t && len(due) < atOnce; it, ok = d.expiry.first() {
		d.expiry.remove(it)
		if it.flight == 0 { // else it is armed again by what becomes of that change
			due = append(due, d.expire(now, it))
		}
	}
	for it, ok := d.leases.first(); ok && it.due <= t && len(due) < atOnce; it, ok = d.leases.first() {
		due = append(due, d.attend(now, it))
	}
	return due
}

// expire ends an item whose deadline passed.
func (d *Desk) expire(now time.Time, it *item) Change {
	c := Change{ID: it.id, From: Queued, Attempt: int(it.attempt), To: it.status()}
	c.To.Kind, c.To.Message = llm.CallerDeadline, it.allowed()+" in the queue"
	if it.where == leased {
		c.From, c.To.Message = Processing, it.allowed()+" during attempt "+itoa(int(it.attempt))
		c.To.Worker = it.more.worker
	} else if m := it.more; m != nil && m.message != "" {
		c.To.Message += ", the last attempt: " + m.message
	}
	c.To.Message = brief(c.To.Message)
	d.end(now, it, &c, Timeout)
	it.flight |= flightEnd
	it.flags |= spent
	it.flags &^= kept
	if it.where == leased {
		d.leases.remove(it)
	} else {
		d.move(it, held)
	}
	return c
}

// allowed begins a message about a deadline.
func (it *item) allowed() string { return "the deadline of " + it.timeout.String() + " passed" }

// attend does what is due with a lease: it renews an own one, and ends one that was lost.
func (d *Desk) attend(now time.Time, it *item) Change {
	if it.where == watched || it.more.until <= d.last && !it.ending() { // that one ends when the store says so
		return d.lose(now, it)
	}
	d.leases.remove(it)
	c := d.from(it)
	c.To.State, c.To.Worker, c.Relaxed = Processing, d.cfg.Worker, d.cfg.RelaxedClaims
	c.To.LeaseUntil = stamp(now).Add(d.cfg.Lease)
	if micros(c.To.LeaseUntil) == it.more.wallLease { // the clock was set back by just that much; others watch for a movement
		c.To.LeaseUntil = c.To.LeaseUntil.Add(time.Microsecond)
	}
	it.flight |= flightRenew
	it.more.said = d.last
	return c
}

// lose takes a job from a worker that shows no sign of life.
func (d *Desk) lose(now time.Time, it *item) Change {
	c := d.from(it)
	if it.where == watched { // whoever has it may be alive after all, and renew it
		c.LeaseUntil = wallTime(it.more.wallLease)
		delete(d.peers, it.more.worker) // nothing is left to it until it moves
	}
	c.To.Kind, c.To.Message = llm.ForebayInternal, brief(fmt.Sprintf("worker %s lost the lease of attempt %d: it died or stalled", it.more.worker, it.attempt))
	left := time.Duration(it.deadline - d.last)
	switch {
	case it.flags&unstarted != 0:
		c.To.Kind, c.To.Message = "", ""
		d.again(it, &c, 0)
	case left <= 0:
		c.To.Kind, c.To.Message = llm.CallerDeadline, brief(it.allowed()+", and "+c.To.Message)
		d.end(now, it, &c, Timeout)
	case c.To.Deaths >= d.cfg.Deaths:
		c.To.Deaths++
		c.To.Message = brief(fmt.Sprintf("%d leases were lost (jobs.lost_leases = %d), the last time: %s", c.To.Deaths, d.cfg.Deaths, c.To.Message))
		d.end(now, it, &c, Dead)
	default: // one death may be anybody's fault; a job that was there twice lets others go first
		var pause time.Duration
		if c.To.Deaths > 0 {
			pause = d.draw(min(d.backoff(c.To.Deaths), left/2))
		}
		c.To.Deaths++
		d.again(it, &c, pause)
	}
	d.endLease(it, &c)
	return c
}

// Wake is when Due, Hooks or Claim have something next; ok is false where nothing will come by
// itself. While something is to be done already, it is now.
func (d *Desk) Wake(now time.Time) (next time.Time, ok bool) {
	t := d.at(now)
	if d.failed {
		return time.Time{}, false
	}
	const never = int64(1<<63 - 1)
	first := never
	if it, ok := d.expiry.first(); ok {
		first = min(first, it.deadline)
	}
	if it, ok := d.leases.first(); ok {
		first = min(first, it.due)
	}
	if h, ok := d.hooks.first(); ok {
		first = min(first, h.due)
	}
	for i := range d.bands {
		b := &d.bands[i]
		if d.draining || b.busy() >= d.cfg.Concurrency {
			continue
		}
		if d.claimable(b, t) != nil {
			first = t
			continue
		}
		if it, ok := b.delayed.first(); ok {
			first = min(first, it.due)
		}
		if len(d.peers) > 0 && b.left > 0 {
			first = min(first, b.left)
		}
	}
	if first == never {
		return time.Time{}, false
	}
	return now.Add(time.Duration(max(first-t, 0))), true
}
