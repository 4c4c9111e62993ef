package backlog

import (
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Cancel says the change that ends a job which nobody wants any more. j is what the store says of it;
// it may be another process's. The error is CallerConflict for a job that has ended.
func (d *Desk) Cancel(now time.Time, j *Job) (Change, *llm.Error) {
	d.at(now)
	if j.State.Final() {
		return Change{}, conflict("the job has ended already: it is "+j.State.String(), "Nothing is left to be done.")
	}
	c := Change{ID: j.ID, From: j.State, Attempt: j.Attempt, To: j.Status}
	c.To.Kind, c.To.Message = llm.CallerCancelled, "the job was cancelled"
	d.finish(now, &c, Cancelled, ending{j.Retention, j.Enqueued, j.Webhook, j.Idempotency != [32]byte{}})
	d.handle(&c)
	return c, nil
}

// SetBand says the change that moves a queued job to another band. j is what the store says of it. The
// errors are CallerConflict for a job that is not queued, is being claimed or moved, and CallerInvalidRequest
// for a band that there is not.
func (d *Desk) SetBand(now time.Time, j *Job, band llm.Priority) (Change, *llm.Error) {
	d.at(now)
	if band < llm.Low || band > llm.Critical {
		return Change{}, invalid("priority", "there is no such priority: "+band.String(), "Use low, normal, high or critical.")
	}
	it := d.items[j.ID]
	if j.State != Queued || it != nil && !it.where.queued() {
		return Change{}, conflict("only a queued job can change its priority: it is "+stateOf(it, j).String(), "Cancel it and submit it again.")
	}
	if it != nil && it.where == reserved { // whoever submits it does not know its name yet
		return Change{}, conflict("the job is being stored", "Send the request again.")
	}
	if it != nil && it.flight&flightBand != 0 { // both would be made, in an order that nobody knows
		return Change{}, conflict("the job's priority is being changed", "Send the request again.")
	}
	c := Change{ID: j.ID, From: Queued, Attempt: j.Attempt, To: j.Status}
	c.To.Band = band
	d.handle(&c)
	return c, nil
}

// stateOf is what the desk knows of a job, which may be newer than what was read.
func stateOf(it *item, j *Job) State {
	if it != nil && !it.where.queued() {
		return Processing
	}
	return j.State
}

// handle notes that a change by hand is under way: a job that waits is not claimed meanwhile.
func (d *Desk) handle(c *Change) {
	it := d.items[c.ID]
	if it == nil || micros(c.To.Deadline) != it.wallDeadline || int(it.attempt) != c.Attempt {
		return // not ours, or we know something else: the store says
	}
	it.flight |= c.kind()
	if it.where == ready || it.where == delayed {
		d.move(it, held)
	}
}

// Requeue says the change that queues a job which has ended once more, with a new deadline after its
// timeout, without counted retries and lost leases, in the place of its acceptance. j is what the store says of
// it. The errors are CallerConflict for a job that has not ended, is being requeued or has nothing left to
// be called with, and those of Admit.
func (d *Desk) Requeue(now time.Time, j *Job) (Change, *llm.Error) {
	t := d.at(now)
	if e := d.requeueable(now, j); e != nil {
		return Change{}, e
	}
	c := Change{ID: j.ID, From: j.State, Attempt: j.Attempt, To: Status{
		State: Queued, Band: j.Band, Attempt: j.Attempt, Deadline: stamp(now.Add(j.Timeout)),
	}}
	c.To.Attempt++ // changes that were said before and arrive only now must not find the job as it was
	again := *j
	again.Status = c.To
	it := d.item(&again)
	it.deadline = t + int64(j.Timeout)
	it.attempt = int32(j.Attempt)
	it.flight = flightRequeue
	return c, nil
}

func (d *Desk) requeueable(now time.Time, j *Job) *llm.Error {
	switch {
	case !j.State.Final():
		return conflict("the job has not ended: it is "+j.State.String(), "Wait for its end.")
	case dropsPayload(j.State):
		return conflict("a "+j.State.String()+" job can not be requeued: what it was called with is gone", "Submit it again.")
	case d.items[j.ID] != nil:
		return conflict("the job is being requeued", "Ask for the job to see its state.")
	case !j.ResultUntil.After(now):
		return conflict("the job ended too long ago: what it was called with is gone", "Submit it again.")
	}
	if e := d.closed(); e != nil {
		return e
	}
	if e := d.room(j.Band, j.Tenant, j.Timeout, j.Bytes); e != nil {
		d.n.refused++
		return e
	}
	return nil
}

func conflict(message, fix string) *llm.Error {
	return &llm.Error{Kind: llm.CallerConflict, Message: message, Fix: fix}
}
