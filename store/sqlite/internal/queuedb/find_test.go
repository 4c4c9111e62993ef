package queuedb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// TestFindUnknownBecomesKnown has whoever submits go away while his job is being taken in:
// who looks for it by its key learns what became of it, and that stays so.
func TestFindUnknownBecomesKnown(t *testing.T) {
	b := open(t)
	there := 0
	for n := range 20 {
		j := job(n)
		j.Idempotency = [32]byte{1, byte(n)}
		release := hold(t, b)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		if _, err := b.Insert(ctx, &j, payload(n), time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Insert = %v", err)
		}
		cancel()
		time.AfterFunc(5*time.Millisecond, release)
		found, err := b.Find(t.Context(), j.Idempotency, time.Time{})
		insert(t, b, 1000+n) // behind it
		switch now, getErr := b.Get(t.Context(), j.ID); {
		case err == nil && found == j && now == j:
			there++
		case !errors.Is(err, backlog.ErrNotFound) || !errors.Is(getErr, backlog.ErrNotFound):
			t.Errorf("Find = %+v, %v; then Get = %+v, %v", found, err, now, getErr)
		}
	}
	if there == 0 {
		t.Error("all were withdrawn: the test shows nothing")
	}
}

// TestTenantCensus counts a tenant's jobs over several pieces of a walk.
func TestTenantCensus(t *testing.T) {
	jobs := 20_000
	if long() {
		jobs = 100_000
	}
	b := filled(t, jobs)
	want := (jobs + 6) / 7
	for n := range 3 {
		apply(t, b, claim(7*n))
	}
	tenant := job(0).Tenant
	began := time.Now()
	census, err := b.Census(t.Context(), &tenant)
	t.Logf("%d of %d jobs in %v", want, jobs, time.Since(began))
	if got := fmt.Sprint(census); err != nil || got != fmt.Sprint(map[backlog.State]int{backlog.Queued: want - 3, backlog.Processing: 3}) {
		t.Errorf("%v, %v; want %d in all", census, err, want)
	}
}
