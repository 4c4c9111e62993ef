package backlogtest

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// Faulty is a store whose disk a test can make fail.
type Faulty struct {
	Store backlog.Store
	// Fail has the next write to the disk, or the next sync, fail. Nil skips what needs it.
	Fail func()
	// Fill fills the disk, or makes room again. Nil skips what needs it.
	Fill func(full bool)
}

// Failing checks what a store does when its disk fails or is full. open returns an
// empty store, and has it closed by t.Cleanup where it needs to be.
func Failing(t *testing.T, open func(t *testing.T) Faulty) {
	for _, rule := range []struct {
		name  string
		needs func(f Faulty) bool
		check func(t *testing.T, f Faulty)
	}{
		{"after a failure nothing is written until it is recovered", Faulty.fails, failedStops},
		{"what was acknowledged outlasts a failure", Faulty.fails, failedKeeps},
		{"on a full disk changes still work", Faulty.fills, filledChanges},
	} {
		t.Run(rule.name, func(t *testing.T) {
			f := open(t)
			if !rule.needs(f) {
				t.Skip("this test has no way to make the store's disk fail in this way")
			}
			rule.check(t, f)
		})
	}
}

func (f Faulty) fails() bool { return f.Fail != nil }
func (f Faulty) fills() bool { return f.Fill != nil }

// failedStops does not say whether the change is made whose write or sync failed: it is
// whole, whichever.
func failedStops(t *testing.T, f Faulty) {
	s, ctx := f.Store, t.Context()
	for n := range 5 {
		first, second := finished(t, s, 10*n, final(backlog.Failed, 10*n, epoch, time.Time{})), inserted(t, s, 10*n+1, 10*n+2)[0]
		c, taken := to(second, status(backlog.Completed, n)), job(10*n+2)
		c.Result = resultOf(n)
		f.Fail()
		if n%2 == 0 {
			fails(t, "the Apply that meets the failure", s.Apply(ctx, c), backlog.ErrFailed)
		} else {
			_, err := s.Insert(ctx, &taken, payloadOf(10*n+2), time.Time{})
			fails(t, "the Insert that meets the failure", err, backlog.ErrFailed)
		}
		for range 2 {
			other := job(10*n + 3)
			_, err := s.Insert(ctx, &other, payloadOf(10*n+3), time.Time{})
			fails(t, "Insert after a failure", err, backlog.ErrFailed)
			fails(t, "Apply after a failure", s.Apply(ctx, to(first, status(backlog.Queued, n))), backlog.ErrFailed)
			_, err = s.Remove(ctx, first.ID)
			fails(t, "Remove after a failure", err, backlog.ErrFailed)
			_, _, err = s.Purge(ctx, epoch, 10)
			fails(t, "Purge after a failure", err, backlog.ErrFailed)
			fails(t, "SetPaused after a failure", s.SetPaused(ctx, "one", true), backlog.ErrFailed)
		}
		must(t, s.Recover(ctx))
		must(t, s.Recover(ctx))
		has(t, s, first)
		holds(t, s, first, payloadOf(10*n), resultOf(10*n))
		pauses(t, s, map[string]bool{})
		hasNot(t, s, idOf(10*n+3))
		made(t, s, second, c, payloadOf(10*n+1))
		takenIn(t, s, taken, payloadOf(10*n+2))
		remove(t, s, 1, first.ID)
	}
}

// failedKeeps has the disk fail while jobs are taken in and changed.
func failedKeeps(t *testing.T, f Faulty) {
	const workers, enough, tooMany = 8, 50, 200_000
	s, ctx := f.Store, t.Context()
	var all, perhaps, doubtful [workers][]backlog.Job
	var taken atomic.Int32
	together(workers, func(w int) {
		for n := w; n < tooMany; n += workers {
			j := job(n)
			if _, err := s.Insert(ctx, &j, payloadOf(n), time.Time{}); err != nil {
				fails(t, "Insert while the disk fails", err, backlog.ErrFailed)
				doubtful[w] = append(doubtful[w], j)
				return
			}
			c := to(j, status(backlog.Processing, n))
			err := s.Apply(ctx, c)
			changed := j
			if changed.Status = c.To; err == nil {
				j = changed
			}
			all[w], perhaps[w] = append(all[w], j), append(perhaps[w], changed)
			if err != nil {
				fails(t, "Apply while the disk fails", err, backlog.ErrFailed)
				return
			}
			if taken.Add(1) == enough {
				f.Fail()
			}
		}
		t.Error("a store whose disk failed goes on taking in jobs")
	})
	must(t, s.Recover(ctx))
	stillHas(t, s, slices.Concat(all[:]...), slices.Concat(perhaps[:]...))
	for _, j := range slices.Concat(doubtful[:]...) {
		takenIn(t, s, j, payloadOf(int(j.ID>>22)-1))
	}
}

// filledChanges fills the disk with jobs. Those that are there can be claimed and
// completed.
func filledChanges(t *testing.T, f Faulty) {
	const tooMany = 10_000
	s := f.Store
	all := inserted(t, s, 0, 10)
	f.Fill(true)
	refused := -1
	for n := 10; n < tooMany && refused < 0; n++ {
		j := job(n)
		_, err := s.Insert(t.Context(), &j, payloadOf(n), time.Time{})
		switch {
		case err == nil:
			all = append(all, j)
		case errors.Is(err, backlog.ErrFull):
			refused = n
		default:
			t.Fatalf("Insert on a full disk: %v; want ErrFull", err)
		}
	}
	if refused < 0 {
		t.Fatalf("a full disk takes in %d jobs", tooMany)
	}
	hasNot(t, s, idOf(refused))
	for n := range 10 {
		apply(t, s, &all[n], to(all[n], status(backlog.Processing, n)))
		c := to(all[n], status(backlog.Completed, n))
		c.Result, c.DropPayload = resultOf(n), true
		apply(t, s, &all[n], c)
		holds(t, s, all[n], nil, resultOf(n))
		j := job(refused)
		_, err := s.Insert(t.Context(), &j, make([]byte, 1<<20), time.Time{})
		fails(t, "Insert of a large job on a full disk", err, backlog.ErrFull)
	}
	f.Fill(false)
	insert(t, s, job(refused), payloadOf(refused))
	lists(t, s, "all", backlog.Query{Limit: 10_000}, append(all, job(refused)))
}
