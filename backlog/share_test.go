package backlog_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// other loads a job that another worker processes.
func (r *rig) other(id backlog.ID) {
	r.Load(r.now(), &backlog.Job{ID: id, Spec: backlog.Spec{Tenant: "z"}, Status: backlog.Status{
		State: backlog.Processing, Attempt: 4, Worker: "other", Deadline: r.now().Add(time.Hour), LeaseUntil: r.now().Add(time.Minute),
	}})
}

// A job that could not be taken from a worker for want of capacity is not taken from it before its lease stood still for
// as long again: the worker could not renew it either.
func TestNoCapacityToTakeAJob(t *testing.T) {
	r := newRig(t, backlog.Config{Lease: 15 * time.Second})
	r.other(1)
	for range 3 {
		r.mono += 14 * time.Second
		if due := r.Due(r.now()); len(due) != 0 {
			t.Fatalf("%+v is due 14 s after the lease moved, or there was no capacity", due)
		}
		r.mono += time.Second
		due := r.Due(r.now())
		if len(due) != 1 || due[0].ID != 1 || due[0].To.State != backlog.Queued {
			t.Fatalf("%+v is due; want the job of a worker that shows no sign of life", due)
		}
		r.mono += 9 * time.Second
		r.Undone(r.now(), &due[0])
	}
	exclusive := newRig(t, backlog.Config{Exclusive: true})
	j := &backlog.Job{ID: 1, Status: backlog.Status{State: backlog.Processing, Attempt: 1, Worker: "former", Deadline: exclusive.now().Add(time.Hour)}}
	c, ok := exclusive.Load(exclusive.now(), j)
	if exclusive.Undone(exclusive.now(), &c); !ok || len(exclusive.Due(exclusive.now())) != 1 {
		t.Error("nobody else can be alive in a store of one process, and it waits nevertheless")
	}
}

// Nothing is left to workers that are gone.
func TestNothingIsLeftToNobody(t *testing.T) {
	r := newRig(t, backlog.Config{Lease: 15 * time.Second, Concurrency: 1000})
	r.other(1000)
	for id := range backlog.ID(50) {
		r.Load(r.now(), &backlog.Job{ID: id + 1, Spec: backlog.Spec{Tenant: "a"}, Status: backlog.Status{State: backlog.Queued, Deadline: r.now().Add(time.Hour)}})
	}
	for {
		if _, ok := r.Claim(r.now()); !ok {
			break
		}
	}
	if !r.Left() {
		t.Fatal("none of 50 jobs is left to the other worker")
	}
	r.mono += 15 * time.Second
	if r.Due(r.now()); r.Left() {
		t.Error("jobs are left to a worker that shows no sign of life")
	}
}
