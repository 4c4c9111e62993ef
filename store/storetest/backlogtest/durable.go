package backlogtest

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

// Lasting is a store that outlasts the process.
type Lasting struct {
	Store backlog.Store
	// Close closes the store, so that it can be opened again. It waits for the
	// operations in progress; those that begin later fail.
	Close func() error
}

// place is where a Lasting store is, and how it is opened there.
type place struct {
	dir  string
	open func(t *testing.T, dir string) Lasting
	now  Lasting
}

// close closes the store, where one is open.
func (p *place) close(t testing.TB) {
	t.Helper()
	if p.now.Close != nil {
		f := p.now.Close
		p.now.Close = nil
		if err := f(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// reopen closes the store, where one is open, and opens it again.
func (p *place) reopen(t *testing.T) backlog.Store {
	t.Helper()
	p.close(t)
	p.now = p.open(t, p.dir)
	return p.now.Store
}

// newPlace is a place of a test's own. The store there is closed at the test's end.
func newPlace(t *testing.T, open func(t *testing.T, dir string) Lasting) *place {
	p := &place{dir: t.TempDir(), open: open}
	t.Cleanup(func() { p.close(t) })
	return p
}

// Durable checks that a store which is closed and opened again has all that it had.
// open opens the store in dir, or makes it. What an end without Close does, and a
// power cut, is for each implementation to check.
func Durable(t *testing.T, open func(t *testing.T, dir string) Lasting) {
	for _, rule := range []struct {
		name  string
		check func(t *testing.T, p *place)
	}{
		{"jobs and their parts are found again", durableJobs},
		{"what is gone stays gone", durableGone},
		{"an idempotency key counts after reopening", durableKeys},
		{"switches are found again", durableSwitches},
		{"a closed store does nothing", durableClosed},
		{"closing while it is used loses nothing", durableClosing},
		{"model", func(t *testing.T, p *place) {
			Model(t, p.reopen(t), func() backlog.Store { return p.reopen(t) })
		}},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, newPlace(t, open)) })
	}
}

func durableJobs(t *testing.T, p *place) {
	s := p.reopen(t)
	const jobs = 40
	var all []backlog.Job
	var payloads, results [][]byte // by number
	for n := range jobs {
		next := status(backlog.States()[n%7], n)
		j, payload, result := withParts(t, s, n, n%4, next)
		c := to(j, next)
		c.Relaxed = true // an orderly end is no power cut
		if c.To.Message = "relaxed"; n%3 == 0 {
			apply(t, s, &j, c)
		}
		all, payloads, results = append(all, j), append(payloads, payload), append(results, result)
	}
	large, payload := job(jobs), bytes.Repeat([]byte("large"), 1<<18)
	large.Bytes = len(payload)
	insert(t, s, large, payload)
	all, payloads, results = append(all, large), append(payloads, payload), append(results, nil)
	want, err := s.Census(t.Context(), nil)
	must(t, err)
	for range 3 {
		s = p.reopen(t)
		for n, j := range all {
			has(t, s, j)
			holds(t, s, j, payloads[n], results[n])
		}
		counts(t, s, positive(want))
		// It works as before, too.
		j := inserted(t, s, 200, 201)[0]
		apply(t, s, &j, to(j, status(backlog.Dead, 1)))
		has(t, s, j)
		remove(t, s, 1, j.ID)
		before := all[5].Status
		apply(t, s, &all[5], to(all[5], status(backlog.Processing, 50)))
		apply(t, s, &all[5], to(all[5], before))
	}
}

func durableGone(t *testing.T, p *place) {
	s := p.reopen(t)
	now := epoch.Add(24 * time.Hour)
	removed := finished(t, s, 1, final(backlog.Dead, 1, now.Add(time.Hour), time.Time{}))
	remove(t, s, 1, removed.ID)
	purged := finished(t, s, 2, final(backlog.Failed, 2, now, now))
	dropped := finished(t, s, 3, final(backlog.Completed, 3, now.Add(time.Hour), now))
	purge(t, s, now)
	for range 2 {
		s = p.reopen(t)
		hasNot(t, s, removed.ID)
		hasNot(t, s, purged.ID)
		has(t, s, dropped)
		holds(t, s, dropped, nil, nil)
		if got := purge(t, s, now); got != (backlog.Purged{}) {
			t.Errorf("Purge removed %+v again", got)
		}
	}
}

func durableKeys(t *testing.T, p *place) {
	s := p.reopen(t)
	first := inserted(t, s, 1, 2)[0]
	again := job(2)
	again.Idempotency = first.Idempotency
	for n := range 3 {
		s = p.reopen(t)
		exists(t, s, again, time.Time{}, first)
		apply(t, s, &first, to(first, status(backlog.Processing, n)))
	}
	remove(t, s, 0, first.ID)
	apply(t, s, &first, to(first, status(backlog.Cancelled, 9)))
	remove(t, s, 1, first.ID)
	s = p.reopen(t)
	insert(t, s, again, payloadOf(2))
}

func durableSwitches(t *testing.T, p *place) {
	s := p.reopen(t)
	want := map[string]bool{}
	for _, text := range oddTexts() {
		must(t, s.SetPaused(t.Context(), text, true))
		want[text] = true
	}
	must(t, s.SetPaused(t.Context(), "7", false))
	delete(want, "7")
	for range 2 {
		s = p.reopen(t)
		pauses(t, s, want)
	}
	for text := range want {
		must(t, s.SetPaused(t.Context(), text, false))
	}
	pauses(t, p.reopen(t), map[string]bool{})
}

func durableClosed(t *testing.T, p *place) {
	s := p.reopen(t)
	all := []backlog.Job{finished(t, s, 1, status(backlog.Completed, 1)), finished(t, s, 3, status(backlog.Completed, 3))}
	exclusive := s.Exclusive()
	p.close(t)
	for op, f := range operations() {
		err := f(t.Context(), s)
		if err == nil {
			t.Errorf("%s of a closed store succeeds", op)
		}
		for _, other := range []error{
			backlog.ErrNotFound, backlog.ErrConflict, backlog.ErrExists, backlog.ErrFull, backlog.ErrFailed, backlog.ErrDamaged,
		} {
			if errors.Is(err, other) {
				t.Errorf("%s of a closed store: %v, which says something else", op, err)
			}
		}
	}
	if s.Exclusive() != exclusive {
		t.Error("Exclusive changes its mind when the store is closed")
	}
	s = p.reopen(t)
	lists(t, s, "all, after a closed store was used", backlog.Query{}, all)
	pauses(t, s, map[string]bool{})
}

// durableClosing closes the store while jobs are taken in and changed. Each that was
// acknowledged is there when it is opened again, in its last state.
func durableClosing(t *testing.T, p *place) {
	const workers, enough, tooMany = 8, 50, 200_000
	s := p.reopen(t)
	var all, perhaps [workers][]backlog.Job // perhaps: as they would be after a change without an answer
	var taken, working atomic.Int32
	working.Store(workers)
	together(workers+1, func(w int) {
		if w == workers {
			for taken.Load() < enough && working.Load() > 0 {
				time.Sleep(time.Millisecond)
			}
			p.close(t)
			return
		}
		defer working.Add(-1)
		for n := w; n < tooMany; n += workers {
			j := job(n)
			if _, err := s.Insert(t.Context(), &j, payloadOf(n), time.Time{}); err != nil {
				return
			}
			taken.Add(1)
			c := to(j, status(backlog.Processing, n))
			err := s.Apply(t.Context(), c)
			changed := j
			if changed.Status = c.To; err == nil {
				j = changed
			}
			all[w], perhaps[w] = append(all[w], j), append(perhaps[w], changed)
			if err != nil {
				return
			}
		}
		t.Error("a store that is closed goes on taking in jobs")
	})
	if taken.Load() < enough {
		t.Errorf("the store took in %d jobs and no more; want it to go on until it is closed", taken.Load())
	}
	stillHas(t, p.reopen(t), slices.Concat(all[:]...), slices.Concat(perhaps[:]...))
}

// stillHas checks that jobs are there as they are in all, or else in perhaps.
func stillHas(t testing.TB, s backlog.Store, all, perhaps []backlog.Job) {
	t.Helper()
	for i, j := range all {
		got, payload, err := s.Read(t.Context(), j.ID, backlog.Payload)
		if err != nil || got != j && got != perhaps[i] || len(payload) != j.Bytes {
			t.Errorf("a job that was acknowledged: Read = %+v with %q, %v; want %+v", got, payload, err, j)
		}
	}
}
