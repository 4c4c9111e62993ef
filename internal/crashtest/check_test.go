//go:build linux

package crashtest_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The checker compares what was seen with what is there. Its rules have the names of
// the queue's guarantees:
//
//	I1 no loss            I2 no phantom        I3 unknown submissions are whole or not there
//	I4 one stable result  I5 no needless run   I6 no worker without a lease stores a result
//	I7 first in, first out within a band       I8 nothing is counted that is not there
type checker struct {
	*evidence
	stored map[string]view        // by ID
	named  map[string][]view      // by custom ID
	of     map[string][]operation // by name
	calls  map[string][]call      // by name
	found  []string
}

// maxRetries is the queue's default (MAX_RETRIES).
const maxRetries = 3

// slack is what the machine may delay the noting of a call or of an end by, without
// the order of the two being wrong.
const slack = 250 * time.Millisecond

// check returns the violations.
func check(e *evidence) []string {
	c := &checker{evidence: e, stored: map[string]view{}, named: map[string][]view{}, of: map[string][]operation{}, calls: map[string][]call{}}
	for _, v := range e.Stored {
		c.stored[v.ID] = v
		c.named[v.CustomID] = append(c.named[v.CustomID], v)
	}
	for _, o := range e.Operations {
		c.of[o.Name] = append(c.of[o.Name], o)
	}
	for _, k := range e.Calls {
		c.calls[k.Name] = append(c.calls[k.Name], k)
	}
	for _, v := range e.Stored {
		c.origin(v)
		c.runs(v)
		c.fencing(v)
	}
	for name, operations := range c.of {
		c.losses(name, operations)
		c.identity(name, operations)
		c.stability(name, operations)
	}
	c.order()
	c.conservation()
	slices.Sort(c.found)
	return c.found
}

func (c *checker) violated(rule, format string, a ...any) {
	c.found = append(c.found, rule+": "+fmt.Sprintf(format, a...))
}

// losses: a job that was acknowledged is there, has ended, and was never away.
func (c *checker) losses(name string, operations []operation) {
	for _, o := range operations {
		if o.ID == "" {
			continue
		}
		if o.Status == 404 && o.Kind != "result" {
			c.violated("I1", "%s was acknowledged as %s, and at %s %s found no such job", name, o.ID, o.Return, o.Kind)
		}
		if o.Outcome != ok {
			continue
		}
		v, there := c.stored[o.ID]
		switch {
		case !there:
			c.violated("I1", "%s was acknowledged as %s at %s and is gone", name, o.ID, o.Return)
		case v.CustomID != name:
			c.violated("I1", "%s was acknowledged as %s, which is now %q", name, o.ID, v.CustomID)
		case !v.final():
			c.violated("I1", "%s (%s) is %s and does not end", name, o.ID, v.State)
		default:
			continue
		}
		return // once is enough
	}
}

// origin: what is stored was asked for.
func (c *checker) origin(v view) {
	asked := slices.ContainsFunc(c.of[v.CustomID], func(o operation) bool { return o.Kind == "submit" && o.Outcome != refused })
	if !asked {
		c.violated("I2", "%s (%q, %s) was never submitted, or was refused", v.ID, v.CustomID, v.State)
	}
}

// identity: one submission is one job, however often it was sent under its key.
func (c *checker) identity(name string, operations []operation) {
	var ids []string
	sent, keyed := 0, false
	for _, o := range operations {
		if o.Kind == "otherbody" && o.Outcome == ok {
			c.violated("I3", "another body under the key of %s was accepted as %s", name, o.ID)
		}
		if o.Kind != "submit" {
			continue
		}
		keyed = o.Keyed
		if o.Outcome != refused {
			sent++
		}
		if o.Outcome == ok && !slices.Contains(ids, o.ID) {
			ids = append(ids, o.ID)
		}
	}
	allowed := sent
	if keyed {
		allowed = min(sent, 1)
	}
	if there := c.named[name]; len(there) > allowed || len(ids) > allowed {
		c.violated("I3", "%s was sent %d times (with key: %v), is %d jobs, and was answered with %v", name, sent, keyed, len(there), ids)
	}
}

// stability: a job that has ended stays as it is, and so does its result.
func (c *checker) stability(name string, operations []operation) {
	var end *operation // the first that saw the end
	for i, o := range operations {
		if (view{State: o.State}).final() && (end == nil || o.Return < end.Return) {
			end = &operations[i]
		}
	}
	result := ""
	for _, o := range operations {
		if end != nil && o.State != "" && o.State != end.State && (o.Call > end.Return || (view{State: o.State}).final()) {
			c.violated("I4", "%s was %s at %s and %s at %s", name, end.State, end.Return, o.State, o.Return)
			return
		}
		if o.Kind == "result" && o.Status == 404 {
			c.violated("I4", "the result of %s (%s) was not found at %s", name, o.ID, o.Return)
		}
		if o.Kind != "result" || o.Outcome != ok {
			continue
		}
		if readAnswer(name, o.Result) == 0 {
			c.violated("I4", "the result of %s is not its answer: %.300s", name, o.Result)
			return
		}
		if result != "" && result != o.Result {
			c.violated("I4", "the result of %s changed from %.300s to %.300s", name, result, o.Result)
			return
		}
		result = o.Result
	}
	for _, v := range c.named[name] {
		if end != nil && v.State != end.State {
			c.violated("I4", "%s was %s and is %s", name, end.State, v.State)
		}
		now, read := c.Results[v.ID]
		if read && v.State == "completed" && readAnswer(name, now) == 0 {
			c.violated("I4", "the result of %s is not its answer: %.300s", name, now)
		}
		if read && result != "" && now != result {
			c.violated("I4", "the result of %s was %.300s and is %.300s", name, result, now)
		}
	}
}

// runs: a job ran once, and once more for each retry and each end of a process that
// its life overlapped; and never after its result was seen.
func (c *checker) runs(v view) {
	calls := c.calls[v.CustomID]
	if len(calls) == 0 {
		if v.State == "completed" {
			c.violated("I4", "%s is completed and its provider was never called", v.CustomID)
		}
		return
	}
	begun, seen := time.Duration(-1), time.Duration(-1)
	for _, o := range c.of[v.CustomID] {
		if o.Kind == "submit" && (begun < 0 || o.Call < begun) {
			begun = o.Call
		}
		if (o.Kind == "result" && o.Outcome == ok || o.State == "completed") && (seen < 0 || o.Return < seen) {
			seen = o.Return
		}
	}
	last := calls[0].Start
	for _, k := range calls {
		last = max(last, k.Start)
		if seen >= 0 && k.Start > seen+slack {
			c.violated("I5", "%s: call %d began at %s, after its result was seen at %s", v.CustomID, k.Number, k.Start, seen)
		}
	}
	overlaps := c.interruptions(begun, last)
	if c.Forgiving {
		overlaps = max(overlaps, v.LostLeases)
	}
	if len(calls) > v.Attempt {
		c.violated("I5", "%s was called %d times in %d attempts", v.CustomID, len(calls), v.Attempt)
	}
	if most := 1 + maxRetries + overlaps; len(calls) > most {
		c.violated("I5", "%s was called %d times: once, %d retries and %d interruptions allow %d", v.CustomID, len(calls), maxRetries, overlaps, most)
	}
}

// interruptions counts the spans that begin within a time.
func (c *checker) interruptions(from, to time.Duration) int {
	n := 0
	for _, s := range c.Spans {
		if s.From <= to && s.To >= from {
			n++
		}
	}
	return n
}

// fencing: the stored result is that of the last worker. Between two calls of a job
// with an interruption between them a second worker took the job over; an answer to the
// first call that was stored nevertheless came from a worker without its lease.
func (c *checker) fencing(v view) {
	result, read := c.Results[v.ID]
	number := readAnswer(v.CustomID, result)
	if !read || v.State != "completed" || number == 0 {
		return
	}
	calls := c.calls[v.CustomID]
	if number > len(calls) {
		c.violated("I6", "%s has the answer to call %d of %d", v.CustomID, number, len(calls))
		return
	}
	stored := calls[number-1]
	for _, k := range calls[number:] {
		for _, s := range c.Spans {
			if stored.Start < s.From && k.Start > s.To+slack/10 {
				c.violated("I6", "%s has the answer to call %d, of %s, and was called again at %s, after %s from %s to %s",
					v.CustomID, number, stored.Start, k.Start, s.Kind, s.From, s.To)
				return
			}
		}
	}
}

// late is by how much a job may be called after one that came later. Several are
// claimed at once, and the machine is busy.
const late = time.Second

// first is a job's first attempt.
type first struct {
	name, band           string
	asked, acked, called time.Duration
	once                 bool // it had no other attempt
}

// order: within a band, of two jobs the one that was acknowledged before the other was
// sent is called first. Jobs that were claimed more than once say nothing, as the first
// claim may have ended before its call.
func (c *checker) order() {
	bands := map[string][]first{}
	for _, v := range c.Stored {
		if len(c.calls[v.CustomID]) == 0 {
			continue
		}
		f := first{name: v.CustomID, asked: -1, acked: -1, called: c.calls[v.CustomID][0].Start, once: v.Attempt == 1}
		for _, o := range c.of[v.CustomID] {
			if o.Kind != "submit" {
				continue
			}
			if f.asked < 0 || o.Call < f.asked {
				f.asked = o.Call
			}
			if o.Outcome == ok && (f.acked < 0 || o.Return < f.acked) {
				f.acked = o.Return
			}
			f.band = o.Band
		}
		bands[f.band] = append(bands[f.band], f)
	}
	for band, jobs := range bands {
		c.orderOf(band, jobs)
	}
}

func (c *checker) orderOf(band string, jobs []first) {
	byAck := slices.Clone(jobs)
	byAck = slices.DeleteFunc(byAck, func(f first) bool { return f.acked < 0 || !f.once })
	slices.SortFunc(byAck, func(a, b first) int { return cmp.Compare(a.acked, b.acked) })
	slices.SortFunc(jobs, func(a, b first) int { return cmp.Compare(a.asked, b.asked) })
	var latest first
	i := 0
	for _, b := range jobs {
		for ; i < len(byAck) && byAck[i].acked < b.asked; i++ {
			if byAck[i].called > latest.called {
				latest = byAck[i]
			}
		}
		if latest.called > b.called+late && !c.asleep(b.called, latest.called) {
			c.violated("I7", "%s (%s) was acknowledged at %s and called at %s; %s was sent at %s and called at %s",
				latest.name, band, latest.acked, latest.called, b.name, b.asked, b.called)
		}
	}
}

// asleep says whether the gateway slept within a time: what it had claimed waited.
func (c *checker) asleep(from, to time.Duration) bool {
	return slices.ContainsFunc(c.Spans, func(s span) bool { return s.Kind == sleepKind && s.From <= to && s.To >= from })
}

// conservation: every job is counted once, in its state, and none is damaged.
func (c *checker) conservation() {
	states := map[string]int{}
	for _, v := range c.Stored {
		states[v.State]++
	}
	f := c.Figures
	for state, n := range map[string]int{
		"queued": f.Queued, "processing": f.Processing, "completed": f.Completed, "failed": f.Failed,
		"timeout": f.Timeout, "cancelled": f.Cancelled, "dead": f.Dead,
	} {
		if states[state] != n {
			c.violated("I8", "%d jobs are %s, and %d are counted", states[state], state, n)
		}
	}
	if f.Damaged != 0 {
		c.violated("I8", "%d jobs are damaged", f.Damaged)
	}
}

// summary is the beginning of a list of violations.
func summary(found []string) string {
	const most = 25
	text := strings.Join(found[:min(len(found), most)], "\n")
	if len(found) > most {
		text += fmt.Sprintf("\n… and %d more", len(found)-most)
	}
	return text
}
