package backlog

import (
	"strconv"
	"strings"
	"time"
)

// longestMessage bounds what is kept of an error's text, in bytes: queued jobs hold it in memory.
const longestMessage = 500

// brief cuts a text to what is kept of it.
func brief(text string) string {
	if len(text) <= longestMessage {
		return text
	}
	const dots = "…"
	return strings.ToValidUTF8(text[:longestMessage-len(dots)], "") + dots
}

func itoa(n int) string { return strconv.Itoa(n) }

// idempotencyKept is how long an idempotency key leads to its job, from acceptance.
const idempotencyKept = day

// end makes a change end the item.
func (d *Desk) end(now time.Time, it *item, c *Change, s State) {
	d.finish(now, c, s, ending{it.retention, wallTime(it.enqueued), it.flags&hasHook != 0, it.flags&idempotent != 0})
}

// ending is what the end of a job needs to know of it.
type ending struct {
	retention           time.Duration
	enqueued            time.Time
	webhook, idempotent bool
}

// finish makes a change end its job.
func (d *Desk) finish(now time.Time, c *Change, s State, e ending) {
	to := &c.To
	to.State, to.Finished = s, stamp(now)
	to.LeaseUntil, to.NotBefore, to.Hook = time.Time{}, time.Time{}, Hook{}
	if s == Completed {
		to.Kind, to.Message = "", ""
	}
	kept := e.retention
	if s == Failed || s == Timeout || s == Dead {
		kept = d.cfg.DeadRetention
	}
	to.ResultUntil = stamp(to.Finished.Add(kept))
	to.Keep = to.ResultUntil
	if until := stamp(e.enqueued.Add(idempotencyKept)); e.idempotent && until.After(to.Keep) {
		to.Keep = until
	}
	if e.webhook {
		to.Hook.Due = to.Finished
	}
	c.DropPayload = dropsPayload(s) && !e.webhook // the payload has the webhook's address: HookDone drops it then
}

// dropsPayload says that nobody needs the payload of a job that ended so. The others can be requeued.
func dropsPayload(s State) bool { return s == Completed }
