package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/store/storetest"
)

// BenchmarkJob is a job from Submit to Completed, with a handler that does nothing, over
// the store in memory. BenchmarkStore is what that store takes of it.
func BenchmarkJob(b *testing.B) {
	payload := make([]byte, 1000)
	r := idleRig(b, func(c *jobs.Config) {
		c.Desk.Max, c.Desk.MaxBytes, c.Desk.Timeout = 1<<30, -1, time.Hour
		c.Observe = nil
	})
	done := make(chan struct{}, 1<<16)
	r.script = func(context.Context, *jobs.Task) ([]byte, error) {
		done <- struct{}{}
		return payload[:100], nil
	}
	r.run()
	s := submission("")
	s.Payload = payload
	b.ReportAllocs()
	n := 0
	before := cpu()
	for b.Loop() {
		if _, _, err := r.q.Submit(context.Background(), s); err != nil {
			b.Fatal(err)
		}
		if n++; n > 64 { // a few at a time
			<-done
		}
	}
	for range min(n, 64) {
		<-done
	}
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(n), "cpu-µs/op")
}

func BenchmarkStore(b *testing.B) {
	store := storetest.NewBacklog()
	payload := make([]byte, 1000)
	ctx := context.Background()
	var ids backlog.IDs
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		j := backlog.Job{ID: ids.Next(time.Now()), Spec: backlog.Spec{Tenant: "acme"}, Status: backlog.Status{State: backlog.Queued}}
		_, err := store.Insert(ctx, &j, payload, time.Time{})
		claimed, ended := j.Status, j.Status
		claimed.State, claimed.Attempt = backlog.Processing, 1
		ended.State, ended.Attempt = backlog.Completed, 1
		err1 := store.Apply(ctx, &backlog.Change{ID: j.ID, From: backlog.Queued, To: claimed})
		_, _, err2 := store.Read(ctx, j.ID, backlog.Payload)
		err3 := store.Apply(ctx, &backlog.Change{ID: j.ID, From: backlog.Processing, Attempt: 1, To: ended, Result: payload[:100], DropPayload: true})
		if err != nil || err1 != nil || err2 != nil || err3 != nil {
			b.Fatal(err, err1, err2, err3)
		}
	}
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}
