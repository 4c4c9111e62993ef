package backlog_test

import (
	"slices"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// These are histories that long simulations have found: what became of a change is heard after what became of later ones.

// empty has the desk know of no queued job and no place that is taken.
func (r *rig) empty() {
	r.t.Helper()
	if s := r.Stats(r.now()); s.Queued+s.Reserved+s.Processing != 0 || s.Bytes != 0 {
		r.t.Errorf("the desk still has %+v", s)
	}
}

// TestCancelledBeforeTheRequeueingIsKnown: the place of a job that was requeued and cancelled is free again.
func TestCancelledBeforeTheRequeueingIsKnown(t *testing.T) {
	for _, c := range []struct {
		name   string
		forget bool
		answer func(r *rig, c *backlog.Change, queued *backlog.Job)
	}{
		{"applied", false, func(r *rig, c *backlog.Change, _ *backlog.Job) { r.Applied(r.now(), c) }},
		{"missed and read before", false, func(r *rig, c *backlog.Change, queued *backlog.Job) {
			queued.NotBefore = queued.Deadline // so that it is not taken for what the change made
			r.Missed(r.now(), c, queued)
		}},
		{"applied after a recovery", true, func(r *rig, c *backlog.Change, _ *backlog.Job) { r.Applied(r.now(), c) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, backlog.Config{Timeout: time.Hour})
			r.must(1, backlog.Spec{Bytes: 10})
			r.finish(r.claim(), fails(llm.ProviderRejected))
			requeue, e := r.Requeue(r.now(), r.jobs[1])
			if e != nil {
				t.Fatal(e)
			}
			r.jobs[1].Status = requeue.To // the store has made it, and the answer takes its time
			queued := *r.jobs[1]
			if c.forget {
				r.Fail()
				r.Restore()
			}
			cancel, e := r.Cancel(r.now(), r.jobs[1])
			if e != nil {
				t.Fatal(e)
			}
			r.made(cancel)
			c.answer(r, &requeue, &queued)
			r.empty()
		})
	}
}

// TestCancelledBeforeItsRequeueing: the late answer to a cancellation says nothing of the queueing after it.
func TestCancelledBeforeItsRequeueing(t *testing.T) {
	r := newRig(t, backlog.Config{Timeout: time.Hour})
	r.must(1, backlog.Spec{})
	first, _ := r.Cancel(r.now(), r.jobs[1])
	second, _ := r.Cancel(r.now(), r.jobs[1])
	ended := *r.made(first)
	requeue, e := r.Requeue(r.now(), r.jobs[1]) // in the same microsecond: the deadline is the same
	if e != nil {
		t.Fatal(e)
	}
	r.Missed(r.now(), &second, &ended)
	r.made(requeue)
	if j := r.claim(); j.ID != 1 {
		t.Errorf("claimed %+v", j)
	}
}

// TestCancelledTwiceBeforeItIsAccepted: the place of a job that has ended is given back by Accept, not before and not twice.
func TestCancelledTwiceBeforeItIsAccepted(t *testing.T) {
	for _, gone := range []bool{false, true} {
		r := newRig(t, backlog.Config{})
		j := &backlog.Job{ID: 1, Spec: backlog.Spec{Bytes: 10}}
		if e := r.Admit(r.now(), j); e != nil {
			t.Fatal(e)
		}
		stored := *j // and whoever lists jobs can see it already
		r.jobs[1] = &stored
		read := stored
		first, _ := r.Cancel(r.now(), &read)
		r.made(first)
		second, _ := r.Cancel(r.now(), &read)
		current := r.jobs[1]
		if gone {
			current = nil
		}
		second.To.Finished = second.To.Finished.Add(time.Second)
		r.Missed(r.now(), &second, current)
		r.Accept(r.now(), j)
		r.empty()
	}
}

// TestBandIsKeptFromOlderReads: what was read for a change that was missed may be older than a change of the band.
func TestBandIsKeptFromOlderReads(t *testing.T) {
	r := newRig(t, backlog.Config{})
	r.must(1, backlog.Spec{})
	read := *r.jobs[1]
	band, e := r.SetBand(r.now(), &read, llm.High)
	if e != nil {
		t.Fatal(e)
	}
	cancel, e := r.Cancel(r.now(), &read)
	if e != nil {
		t.Fatal(e)
	}
	r.made(band)
	r.Missed(r.now(), &cancel, &read)
	if j := r.claim(); j.Band != llm.High {
		t.Errorf("the claim moves it back to %s", j.Band)
	}
}

// TestLeaseIsKeptFromOlderReads: neither does such a read take a lease away that was got since.
func TestLeaseIsKeptFromOlderReads(t *testing.T) {
	r := newRig(t, backlog.Config{Timeout: time.Hour})
	r.must(1, backlog.Spec{})
	read := *r.jobs[1]
	claim, ok := r.Claim(r.now())
	if !ok {
		t.Fatal("nothing to claim")
	}
	cancel, e := r.Cancel(r.now(), &read)
	if e != nil {
		t.Fatal(e)
	}
	r.made(claim)
	r.Missed(r.now(), &cancel, &read)
	if !r.Holds(1, 1) {
		t.Fatal("the lease is forgotten")
	}
	r.mono += 5 * time.Second
	if due := r.Due(r.now()); len(due) != 1 || due[0].To.State != backlog.Processing {
		t.Errorf("due is %+v, not a renewal", due)
	}
	if _, ok := r.Finish(r.now(), 1, 1, backlog.Outcome{}); !ok {
		t.Error("the result was refused")
	}
}

// TestTwoAnswersOfAWebhook: Restore forgets that a webhook is being called, and it is called again. The store makes the notes
// of both, and the desk hears of them in any order: it looks at the webhook again as long as the store may have it as due.
func TestTwoAnswersOfAWebhook(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second bool // delivered
		lastMade      int
		heard         []int // in which order, where 0 stands for a call of the receiver that finds out that nothing is due
		missed        bool
	}{
		{name: "the later one first", first: false, second: true, lastMade: 1, heard: []int{2, 1}},
		{name: "the earlier one first", first: false, second: true, lastMade: 1, heard: []int{1, 2}},
		{name: "missed", first: false, second: true, lastMade: 1, heard: []int{1, 2}, missed: true},
		{name: "delivered and overtaken", first: true, second: false, lastMade: 2, heard: []int{2, 1}},
		{name: "delivered and overtaken in order", first: true, second: false, lastMade: 2, heard: []int{1, 2}},
		{name: "gone", first: false, second: true, lastMade: 1, heard: []int{1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, backlog.Config{Timeout: time.Hour})
			r.must(1, backlog.Spec{Webhook: true})
			r.finish(r.claim(), fails(llm.ProviderRejected))
			read := *r.jobs[1]
			call := func(delivered bool) backlog.Change {
				if ids := r.Hooks(r.now()); !slices.Equal(ids, []backlog.ID{1}) {
					t.Fatalf("%v are due", ids)
				}
				return r.HookDone(r.now(), &read, delivered, true)
			}
			changes := []backlog.Change{{}, call(c.first), {}}
			r.Fail()
			r.Restore()
			r.Load(r.now(), &read)
			if !slices.Contains(c.heard, 0) {
				changes[2] = call(c.second)
			} else if ids := r.Hooks(r.now()); len(ids) != 1 {
				t.Fatalf("%v are due", ids)
			}
			r.jobs[1].Status = changes[c.lastMade].To
			for _, n := range c.heard {
				switch {
				case n == 0:
					r.HookGone(1)
				case c.missed:
					current := read
					current.Status = changes[n].To
					current.Message = "as it was when it was read"
					r.Missed(r.now(), &changes[n], &current)
				default:
					r.Applied(r.now(), &changes[n])
				}
			}
			r.mono += time.Hour
			if ids := r.Hooks(r.now()); !slices.Equal(ids, []backlog.ID{1}) {
				t.Errorf("the store has it as due %s, and due are %v", r.jobs[1].Hook.Due, ids)
			}
			r.HookGone(1)
			if ids := r.Hooks(r.now().Add(time.Hour)); len(ids) != 0 {
				t.Errorf("%v are due once more", ids)
			}
		})
	}
}
