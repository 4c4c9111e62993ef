package backlog

import "time"

// delivery is a webhook that is to be called.
type delivery struct {
	id      ID
	due     int64
	attempt int32 // of the end that it tells of: a job that was requeued has another one
	pos     int32 // index in Desk.hooks; -1 while somebody works on it
	said    Hook  // what the change that is under way makes of the job's; zero while there is none
	doubt   int64 // when it is due by a change that Restore forgot and that was reported meanwhile; 0: none
}

// hookPauses are those of the Standard Webhooks specification, after the first attempt
// and each one that follows it.
var hookPauses = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour,
}

// schedule notes when the webhook of a final job is due, unless that is known.
func (d *Desk) schedule(now time.Time, j *Job) {
	if h := d.deliveries[j.ID]; h == nil || h.pos >= 0 || int(h.attempt) < j.Attempt {
		d.answered(now, j.ID, &j.Status)
	}
}

// answered brings the delivery of a webhook up to date with what the store says of its job, which is final.
// What is known of a later requeueing or end of the job counts for more.
func (d *Desk) answered(now time.Time, id ID, s *Status) {
	if it := d.items[id]; s.Hook.Due.IsZero() || it != nil && int(it.attempt) > s.Attempt {
		d.undeliver(id, s.Attempt)
		return
	}
	h := d.deliveries[id]
	switch {
	case h != nil && int(h.attempt) > s.Attempt:
		return
	case h == nil:
		h = &delivery{id: id, pos: -1}
		d.deliveries[id] = h
	}
	h.attempt = int32(s.Attempt)
	d.hookAt(h, d.dueOf(now, &s.Hook))
}

// dueOf is when a webhook is due on the desk's own clock. A wall clock that was set back lets nobody wait
// longer than the longest pause.
func (d *Desk) dueOf(now time.Time, h *Hook) int64 {
	pause := min(h.Due.Sub(now.Round(0)), hookPauses[len(hookPauses)-1]*11/10)
	return d.last + int64(max(pause, 0))
}

// noted takes in what became of a change that HookDone said: s is what the store has of the job's end.
//
// Restore forgets such changes, and the webhook may be given out again before they are made. The store then
// makes both, and nobody knows which one it made last: until neither says that the webhook is due, it is
// looked at again.
func (d *Desk) noted(now time.Time, c *Change, s *Status) {
	h := d.deliveries[c.ID]
	if h == nil || int(h.attempt) != s.Attempt || h.pos < 0 && h.said == c.To.Hook && h.doubt == 0 {
		d.answered(now, c.ID, s)
		return
	}
	is, due := !s.Hook.Due.IsZero(), d.dueOf(now, &s.Hook)
	switch {
	case h.pos >= 0: // it is looked at when it is due, or before if this one says so
		if is && due < h.due {
			d.hookAt(h, due)
		}
	case h.said != c.To.Hook: // somebody works on it
		if is {
			h.doubt = max(due, 1)
		}
	case is:
		d.hookAt(h, due)
	default:
		d.hookAt(h, h.doubt)
	}
}

// hookAt has a webhook given out when it is due.
func (d *Desk) hookAt(h *delivery, due int64) {
	d.hooks.remove(h)
	h.due, h.said, h.doubt = due, Hook{}, 0
	d.hooks.push(h)
}

// undeliver forgets the webhook of a job's end at this attempt or before.
func (d *Desk) undeliver(id ID, attempt int) {
	if h := d.deliveries[id]; h != nil && int(h.attempt) <= attempt {
		d.hooks.remove(h)
		delete(d.deliveries, id)
	}
}

// Hooks says of which final jobs the webhook is to be called now, up to 1,000: each once until
// what HookDone says was applied or missed.
func (d *Desk) Hooks(now time.Time) []ID {
	t := d.at(now)
	var ids []ID
	for h, ok := d.hooks.first(); ok && h.due <= t && len(ids) < atOnce && !d.failed; h, ok = d.hooks.first() {
		d.hooks.remove(h)
		ids = append(ids, h.id)
	}
	return ids
}

// HookDone says the change that notes an attempt at the webhook of j, which the caller has
// just read and which is final: delivered, or to be tried again if it may be. It is tried
// while the result is kept, and Config.HookAttempts times at most. A job that is not final was
// requeued meanwhile: the answer is the zero Change, whose ID is 0, and nothing is to be applied.
func (d *Desk) HookDone(now time.Time, j *Job, delivered, again bool) Change {
	d.at(now)
	if !j.State.Final() {
		d.HookGone(j.ID)
		return Change{}
	}
	c := Change{ID: j.ID, From: j.State, Attempt: j.Attempt, To: j.Status}
	h := &c.To.Hook
	h.Attempts++
	h.Delivered, h.Due = delivered, time.Time{}
	if !delivered && again && h.Attempts < d.cfg.HookAttempts {
		pause := hookPauses[min(h.Attempts, len(hookPauses))-1]
		pause += d.draw(pause/5) - pause/10
		if due := stamp(now.Add(pause)); due.Before(j.ResultUntil) {
			h.Due = due
		}
	}
	c.DropPayload = h.Due.IsZero() && dropsPayload(j.State)
	if known := d.deliveries[j.ID]; known != nil && known.pos < 0 {
		known.said = *h
	}
	return c
}

// HookGone says that there is nothing to tell of a job that Hooks gave out: it is not there any more,
// was requeued, or its webhook is not due. An end that came meanwhile is told of nevertheless.
func (d *Desk) HookGone(id ID) {
	switch h := d.deliveries[id]; {
	case h == nil || h.pos >= 0:
	case h.doubt != 0:
		d.hookAt(h, h.doubt)
	default:
		delete(d.deliveries, id)
	}
}

// missedHook goes by what the store says of the job, whose end at an attempt had a webhook. That may be
// older than what is known of a later end.
func (d *Desk) missedHook(now time.Time, c *Change, current *Job) {
	final := current != nil && current.State.Final()
	if final && current.Attempt == c.Attempt {
		d.noted(now, c, &current.Status)
		return
	}
	d.undeliver(c.ID, c.Attempt)
	if final {
		d.schedule(now, current)
	}
}
