package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/storetest"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// queued is a job that may be inserted.
func queued(id backlog.ID) *backlog.Job {
	return &backlog.Job{
		ID:     id,
		Spec:   backlog.Spec{Tenant: "acme", Enqueued: noon, Bytes: 7, Idempotency: [32]byte{byte(id)}},
		Status: backlog.Status{State: backlog.Queued, Deadline: noon.Add(time.Minute)},
	}
}

// claim moves a job of the given attempt from a state to Processing.
func claim(id backlog.ID, from backlog.State, attempt int) *backlog.Change {
	return &backlog.Change{
		ID: id, From: from, Attempt: attempt,
		To: backlog.Status{State: backlog.Processing, Attempt: attempt + 1, LeaseUntil: noon.Add(time.Second)},
	}
}

func insert(t testing.TB, b *storetest.MemoryBacklog, ids ...backlog.ID) {
	t.Helper()
	for _, id := range ids {
		if _, err := b.Insert(t.Context(), queued(id), []byte("payload"), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("%s: %v; want %v", what, got, want)
	}
}

// state is what is kept of a job, whatever the faults.
func state(b *storetest.MemoryBacklog, id backlog.ID) backlog.State {
	for _, r := range b.Records() {
		if r.Job.ID == id {
			return r.Job.State
		}
	}
	return 0
}

func TestBacklogFail(t *testing.T) {
	b := storetest.NewBacklog()
	insert(t, b, 1)
	ctx, fault := t.Context(), errors.New("a fault")
	b.Fail(fault, 2, storetest.OpApply, storetest.OpRead)
	_, err := b.Get(ctx, 1)
	wantErr(t, "Get, which is not to fail", err, nil)
	wantErr(t, "the first Apply", b.Apply(ctx, claim(1, backlog.Queued, 0)), fault)
	_, _, err = b.Read(ctx, 1, backlog.Payload)
	wantErr(t, "Read", err, fault)
	if got := state(b, 1); got != backlog.Queued {
		t.Errorf("after changes that failed the job is %v", got)
	}
	wantErr(t, "the next Apply", b.Apply(ctx, claim(1, backlog.Queued, 0)), nil)
	b.Fail(fault, 0)
	b.Fail(fault, 1)
	_, err = b.Census(ctx, nil)
	wantErr(t, "any operation", err, fault)
	_, err = b.Census(ctx, nil)
	wantErr(t, "the one after it", err, nil)
}

func TestBacklogLoseAck(t *testing.T) {
	b := storetest.NewBacklog()
	ctx, fault := t.Context(), errors.New("no answer")
	b.LoseAck(fault, 3, storetest.OpInsert, storetest.OpApply)
	_, err := b.Insert(ctx, queued(1), []byte("payload"), time.Time{})
	wantErr(t, "Insert", err, fault)
	found, err := b.Insert(ctx, queued(1), []byte("payload"), time.Time{})
	if wantErr(t, "Insert again", err, fault); found != (backlog.Job{}) {
		t.Errorf("an Insert whose answer is lost returns %+v", found)
	}
	wantErr(t, "Apply", b.Apply(ctx, claim(1, backlog.Queued, 0)), fault)
	if got := state(b, 1); got != backlog.Processing {
		t.Errorf("after a change whose answer was lost the job is %v", got)
	}
	wantErr(t, "Apply again", b.Apply(ctx, claim(1, backlog.Queued, 0)), backlog.ErrConflict)
}

func TestBacklogFull(t *testing.T) {
	b := storetest.NewBacklog()
	insert(t, b, 1)
	b.Full(true)
	ctx := t.Context()
	_, err := b.Insert(ctx, queued(2), []byte("payload"), time.Time{})
	wantErr(t, "Insert into a full store", err, backlog.ErrFull)
	_, err = b.Insert(ctx, queued(1), []byte("payload"), time.Time{})
	wantErr(t, "Insert under a key that a job has", err, backlog.ErrExists)
	wantErr(t, "Apply in a full store", b.Apply(ctx, claim(1, backlog.Queued, 0)), nil)
	b.Full(false)
	insert(t, b, 2)
}

func TestBacklogFailStop(t *testing.T) {
	for name, stop := range map[string]func(*storetest.MemoryBacklog){
		"told to":         (*storetest.MemoryBacklog).FailStop,
		"a failed sync":   func(b *storetest.MemoryBacklog) { b.Fail(backlog.ErrFailed, 1, storetest.OpApply) },
		"made, and fails": func(b *storetest.MemoryBacklog) { b.LoseAck(backlog.ErrFailed, 1, storetest.OpApply) },
	} {
		t.Run(name, func(t *testing.T) {
			b := storetest.NewBacklog()
			insert(t, b, 1, 2)
			stop(b)
			ctx := t.Context()
			wantErr(t, "the first Apply", b.Apply(ctx, claim(1, backlog.Queued, 0)), backlog.ErrFailed)
			for range 2 {
				wantErr(t, "the next", b.Apply(ctx, claim(2, backlog.Queued, 0)), backlog.ErrFailed)
				_, err := b.Insert(ctx, queued(3), nil, time.Time{})
				wantErr(t, "Insert", err, backlog.ErrFailed)
				wantErr(t, "SetPaused", b.SetPaused(ctx, "one", true), backlog.ErrFailed)
				_, err = b.Get(ctx, 2)
				wantErr(t, "Get", err, nil)
			}
			b.Fail(backlog.ErrFailed, 1, storetest.OpRecover)
			wantErr(t, "a Recover that fails", b.Recover(ctx), backlog.ErrFailed)
			wantErr(t, "Apply after it", b.Apply(ctx, claim(2, backlog.Queued, 0)), backlog.ErrFailed)
			wantErr(t, "Recover", b.Recover(ctx), nil)
			wantErr(t, "Apply after it", b.Apply(ctx, claim(2, backlog.Queued, 0)), nil)
			if got, made := state(b, 1), name == "made, and fails"; (got == backlog.Processing) != made {
				t.Errorf("after the failure the job is %v", got)
			}
		})
	}
}

func TestBacklogDamage(t *testing.T) {
	b := storetest.NewBacklog()
	insert(t, b, 1, 2)
	if b.Damage(3, noon) || !b.Damage(1, noon) {
		t.Error("Damage says of the wrong jobs that they are there")
	}
	_, err := b.Get(t.Context(), 1)
	wantErr(t, "Get", err, backlog.ErrDamaged)
	if all := b.Records(); len(all) != 2 || !all[0].Damaged || all[0].Job != *queued(1) || all[1].Damaged {
		t.Errorf("Records = %+v", all)
	}
}

func TestBacklogPowerCut(t *testing.T) {
	b := storetest.NewBacklog()
	insert(t, b, 1, 2)
	for attempt, relaxed := range []bool{true, true, false, true, true} {
		c := claim(1, backlog.Queued, attempt)
		if attempt > 0 {
			c.From = backlog.Processing
		}
		c.Relaxed, c.Result = relaxed, fmt.Appendf(nil, "result %d", attempt)
		wantErr(t, "Apply", b.Apply(t.Context(), c), nil)
	}
	if all := b.Records(); !all[0].Relaxed || all[1].Relaxed {
		t.Errorf("Records = %+v; want relaxed changes of the first", all)
	}
	for range 2 {
		b.PowerCut()
		all := b.Records()
		if all[0].Job.Attempt != 3 || string(all[0].Result) != "result 2" || all[0].Relaxed || all[1].Job != *queued(2) {
			t.Errorf("after a power cut: %+v", all)
		}
	}
}

func TestBacklogSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := storetest.NewBacklog()
		b.Slow(time.Second)
		b.Slow(0, storetest.OpGet)
		b.Slow(3*time.Second, storetest.OpApply)
		begin := time.Now()
		insert(t, b, 1)
		if _, err := b.Get(t.Context(), 1); err != nil || time.Since(begin) != time.Second {
			t.Errorf("Insert and Get took %v, %v; want 1s", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		wantErr(t, "Apply", b.Apply(ctx, claim(1, backlog.Queued, 0)), context.DeadlineExceeded)
		if took := time.Since(begin); took != 3*time.Second || state(b, 1) != backlog.Queued {
			t.Errorf("after %v the job is %v", took, state(b, 1))
		}
		// Slow operations do not hold up one another.
		var all sync.WaitGroup
		for id := range backlog.ID(10) {
			all.Go(func() { _, _ = b.Insert(t.Context(), queued(10+id), nil, time.Time{}) })
		}
		all.Wait()
		if took := time.Since(begin); took != 4*time.Second {
			t.Errorf("ten slow operations at once took %v; want 1s", took-3*time.Second)
		}
	})
}

func TestBacklogIntercept(t *testing.T) {
	b := storetest.NewBacklog()
	fault := errors.New("a fault")
	var seen []string
	b.Intercept(func(op string) error {
		b.Records() // nothing is locked
		if seen = append(seen, op); op == storetest.OpPurge {
			return fault
		}
		return nil
	})
	insert(t, b, 1)
	_, _, err := b.Purge(t.Context(), noon, 10)
	wantErr(t, "Purge", err, fault)
	b.Intercept(nil)
	insert(t, b, 2)
	if got := fmt.Sprint(seen); got != "[insert purge]" {
		t.Errorf("the operations were %s", got)
	}
}

func TestBacklogClosed(t *testing.T) {
	b := storetest.NewBacklog()
	insert(t, b, 1)
	b.FailStop()
	wantErr(t, "Close", b.Close(), nil)
	_, err := b.Get(t.Context(), 1)
	wantErr(t, "Get", err, storetest.ErrClosed)
	b.Reopen()
	insert(t, b, 2)
	if b.Share(true); b.Exclusive() {
		t.Error("a store that is shared says that it is exclusive")
	}
}

// A store loses the answer to a claim: whoever claims reads the job to know.
func ExampleMemoryBacklog_LoseAck() {
	ctx := context.Background()
	b := storetest.NewBacklog()
	job := backlog.Job{ID: 1, Status: backlog.Status{State: backlog.Queued}}
	if _, err := b.Insert(ctx, &job, []byte("sealed"), time.Time{}); err != nil {
		fmt.Println(err)
	}
	b.LoseAck(errors.New("the connection broke"), 1, storetest.OpApply)
	err := b.Apply(ctx, &backlog.Change{
		ID: 1, From: backlog.Queued, To: backlog.Status{State: backlog.Processing, Attempt: 1, Worker: "w1"},
	})
	now, _ := b.Get(ctx, 1)
	fmt.Println(err, "- the job is", now.State, "by", now.Worker)
	// Output: the connection broke - the job is processing by w1
}
