package backlog

import "fmt"

// Inspect tells what the desk knows of a job, for the reports of failed simulations.
func (d *Desk) Inspect(id ID) string {
	it := d.items[id]
	if it == nil {
		return "unknown"
	}
	var until int64
	if it.more != nil {
		until = it.more.until - d.last
	}
	return fmt.Sprintf("lease ends in %d, place %d, changes under way %b, enqueued %d, due in %d, deadline in %d, attempt %d, flags %b, band %s",
		until, it.where, it.flight, it.enqueued, it.due-d.last, it.deadline-d.last, it.attempt, it.flags, it.band().priority)
}
