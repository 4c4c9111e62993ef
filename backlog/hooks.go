package backlog

import "time"

// delivery is a webhook that is to be called.
type delivery struct {
	id  ID
	due int64
	pos int32 // index in Desk.hooks; -1 while somebody works on it
}

// hookPauses are those of the Standard Webhooks specification, after the first attempt
// and each one that follows it.
var hookPauses = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour,
}

// schedule notes when the webhook of a final job is due, unless that is known.
func (d *Desk) schedule(now time.Time, j *Job) {
	if h := d.deliveries[j.ID]; h == nil || h.pos >= 0 {
		d.answered(now, j.ID, j.Hook)
	}
}

// answered brings the delivery of a job's webhook up to date.
func (d *Desk) answered(now time.Time, id ID, hook Hook) {
	h := d.deliveries[id]
	if hook.Due.IsZero() {
		if h != nil {
			d.hooks.remove(h)
			delete(d.deliveries, id)
		}
		return
	}
	if h == nil {
		h = &delivery{id: id, pos: -1}
		d.deliveries[id] = h
	}
	d.hooks.remove(h)
	// A clock that was set back lets nobody wait longer than the longest pause.
	pause := min(hook.Due.Sub(now.Round(0)), hookPauses[len(hookPauses)-1]*11/10)
	h.due = d.last + int64(max(pause, 0))
	d.hooks.push(h)
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
// requeued meanwhile: the answer is the zero Change, and nothing is to be applied.
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
	return c
}

// HookGone says that the job of a webhook that Hooks gave out is not there any more.
func (d *Desk) HookGone(id ID) { d.answered(d.base, id, Hook{}) }

// missedHook goes by what the store says of the job.
func (d *Desk) missedHook(now time.Time, id ID, current *Job) {
	switch {
	case current == nil, !current.State.Final():
		d.answered(now, id, Hook{})
	default:
		d.answered(now, id, current.Hook)
	}
}
