package backlog

import (
	"fmt"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// The bounds of a RetryAfter: less than a second does not fit the header, and a queue
// is another one after ten minutes.
const (
	leastRetryAfter = time.Second
	mostRetryAfter  = 10 * time.Minute
)

// Admit decides whether a new job is taken in, by its ID, Spec and Band. If so it fills in
// what is open: Timeout and Retention where they are zero, Enqueued where it is zero or not
// later than the last job's, and the Status; and it keeps a place for the job until
// Accept or Reject. Errors: CallerInvalidRequest for times out of bounds, CallerTooLarge,
// PolicyOverloaded when there is no room or no hope of an end before the deadline,
// ForebayDraining, ForebayUnavailable while the store has failed.
func (d *Desk) Admit(now time.Time, j *Job) *llm.Error {
	t := d.at(now)
	if e := d.admit(j); e != nil {
		d.n.refused++
		return e
	}
	if j.Enqueued.IsZero() {
		j.Enqueued = now.UTC()
	}
	// Later jobs have later times, whatever the clock does, as exactly as stores keep them.
	if micros(j.Enqueued) <= d.enqueued {
		j.Enqueued = wallTime(d.enqueued + 1)
	}
	d.enqueued = micros(j.Enqueued)
	j.Status = Status{State: Queued, Band: j.Band, Deadline: stamp(now.Add(j.Timeout))}
	it := d.item(j)
	it.deadline = t + int64(j.Timeout)
	return nil
}

func (d *Desk) admit(j *Job) *llm.Error {
	if e := d.closed(); e != nil {
		return e
	}
	if e := d.bounds(j); e != nil {
		return e
	}
	if d.items[j.ID] != nil {
		return &llm.Error{Kind: llm.ForebayInternal, Message: "the job's id is taken", Fix: "Send the request again.", RetryAfter: leastRetryAfter}
	}
	return d.room(j.Band, j.Tenant, j.Timeout, j.Bytes)
}

// closed is why nothing is taken in at all.
func (d *Desk) closed() *llm.Error {
	switch {
	case d.failed:
		return &llm.Error{
			Kind: llm.ForebayUnavailable, Message: "the store of jobs has failed and is being recovered",
			Fix: "Send the request again later.", RetryAfter: leastRetryAfter,
		}
	case d.draining:
		return &llm.Error{
			Kind: llm.ForebayDraining, Message: "this instance is shutting down",
			Fix: "Send the request again; another instance will take it.", RetryAfter: leastRetryAfter,
		}
	}
	return nil
}

// bounds checks what the job asks for and fills in what it does not say.
func (d *Desk) bounds(j *Job) *llm.Error {
	if j.Band < llm.Low || j.Band > llm.Critical {
		return invalid("priority", "there is no such priority: "+j.Band.String(), "Use low, normal, high or critical.")
	}
	for _, b := range []struct {
		param          string
		value          *time.Duration
		fallback, most time.Duration
	}{
		{"timeout", &j.Timeout, d.cfg.Timeout, d.cfg.MaxTimeout},
		{"retention", &j.Retention, d.cfg.Retention, d.cfg.MaxRetention},
	} {
		switch {
		case *b.value == 0:
			*b.value = b.fallback
		case *b.value < 0:
			return invalid(b.param, "the "+b.param+" is negative", "Use a duration above 0, or leave it out.")
		case *b.value > b.most:
			e := invalid(b.param, "the "+b.param+" is longer than allowed", "Use a shorter one.")
			e.Limit, e.Value = "jobs.max_"+b.param, b.most.String()
			return e
		}
	}
	if d.cfg.MaxBytes > 0 && int64(j.Bytes) > d.cfg.MaxBytes {
		return &llm.Error{
			Kind: llm.CallerTooLarge, Message: "the job is larger than all jobs together may be",
			Limit: "jobs.max_bytes", Value: strconv.FormatInt(d.cfg.MaxBytes, 10), Fix: "Send a smaller request, or raise jobs.max_bytes.",
		}
	}
	return nil
}

func invalid(param, message, fix string) *llm.Error {
	return &llm.Error{Kind: llm.CallerInvalidRequest, Message: message, Param: param, Fix: fix}
}

// room is why there is no place for one more job: first by time, then by number, then by bytes.
func (d *Desk) room(p llm.Priority, tenant string, timeout time.Duration, bytes int) *llm.Error {
	b := &d.bands[p.Index()]
	mean := b.holds.mean()
	wait := d.wait(b, b.ahead(tenant))
	switch queued := d.queued(); {
	case wait > 0 && wait+mean > timeout:
		return overloaded(fmt.Sprintf("no hope of an end in time: the wait would be about %s and a job takes about %s", round(wait), round(mean)),
			"deadline", timeout.String(), "Send the request again later, or with a longer timeout.", wait+mean-timeout)
	case queued >= d.cfg.Max:
		return overloaded("the queue of jobs is full", "jobs.max", strconv.Itoa(d.cfg.Max),
			"Send the request again later, or raise jobs.max.", mean/time.Duration(d.cfg.Concurrency))
	case d.cfg.MaxBytes > 0 && d.bytes+int64(bytes) > d.cfg.MaxBytes:
		return overloaded("the queued jobs hold too many bytes", "jobs.max_bytes", strconv.FormatInt(d.cfg.MaxBytes, 10),
			"Send the request again later, or raise jobs.max_bytes.", mean/time.Duration(d.cfg.Concurrency))
	}
	return nil
}

func overloaded(message, limit, value, fix string, estimate time.Duration) *llm.Error {
	estimate = min(max(estimate, leastRetryAfter), mostRetryAfter)
	return &llm.Error{
		Kind: llm.PolicyOverloaded, Message: message, Limit: limit, Value: value, Fix: fix,
		RetryAfter: (estimate + time.Second - 1).Truncate(time.Second),
	}
}

// round makes a duration readable.
func round(d time.Duration) string {
	if d >= time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// Accept says that an admitted job is stored: from now on it may be claimed.
func (d *Desk) Accept(now time.Time, j *Job) {
	it := d.items[j.ID]
	d.n.accepted++
	switch {
	case it == nil: // forgotten by Restore; if it has ended since, a claim will tell
		d.take(now, j)
		return
	case it.flags&over != 0:
		d.remove(it)
		return
	case it.where != reserved || it.flight&flightRequeue != 0:
		return // it was loaded already
	}
	if mutantDropAfterAccept && d.queued() >= d.cfg.Max {
		d.remove(it)
		return
	}
	it.fresh = d.at(now) + int64(freshFor)
	d.settle(d.last, it)
}

// Reject says that an admitted job was not stored: its place is free again.
func (d *Desk) Reject(j *Job) {
	if it := d.items[j.ID]; it != nil && it.where == reserved && it.flight&flightRequeue == 0 {
		d.remove(it)
	}
}

// queued counts the jobs that Max bounds.
func (d *Desk) queued() int {
	n := 0
	for i := range d.bands {
		for p := reserved; p.queued(); p++ {
			n += d.bands[i].in[p]
		}
	}
	return n
}

// ahead estimates how many jobs are claimed before one that a tenant adds now: tenants
// take turns, so that each other one has as many turns as this one, and not more than it has jobs.
func (b *band) ahead(tenant string) int {
	own, others := 0, b.active
	if t := b.turns[tenant]; t != nil && t.waiting > 0 {
		own, others = t.waiting, others-1
	}
	return min(b.waiting(), own+(own+1)*others)
}

// wait estimates how long a job waits behind so many others; zero means that it does
// not wait, or that nothing is known because no job has ended yet. A band in which
// jobs wait has all its claims in use, and each of them ends after the mean time.
func (d *Desk) wait(b *band, ahead int) time.Duration {
	if b.busy()+ahead < d.cfg.Concurrency {
		return 0
	}
	const most = 365 * day
	if w := float64(b.holds.mean()) * float64(ahead+1) / float64(d.cfg.Concurrency); w < float64(most) {
		return time.Duration(w)
	}
	return most
}

// Place estimates how many jobs of its band are claimed before a queued one, itself counted, and
// how long that takes from the latest now that the desk was told. ok is false for jobs that
// are not queued. Of a paused operation it says what would be if it were resumed.
func (d *Desk) Place(id ID) (place int, wait time.Duration, ok bool) {
	it := d.items[id]
	if it == nil || !it.where.queued() {
		return 0, 0, false
	}
	b, t := it.band(), it.line.turn
	own, others := 0, b.active
	if t.waiting > 0 {
		others--
	}
	if it.where == ready && it.pos < 0 { // those that come back into the middle are few and old
		own = len(it.line.back.items) + min(int(it.seq-it.line.first.seq), it.line.listed-1)
	} else if it.where == reserved {
		own = it.line.len()
	}
	ahead := min(max(b.waiting()-1, 0), own+(own+1)*others)
	wait = d.wait(b, ahead)
	if it.where == delayed {
		wait = max(wait, time.Duration(it.due-d.last))
	}
	return ahead + 1, wait, true
}
