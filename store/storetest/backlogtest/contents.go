package backlogtest

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

func contentRules() []rule {
	return []rule{
		{"read gives a job with one of its parts", readParts},
		{"purge removes final jobs whose Keep has passed", purgeJobs},
		{"purge drops parts whose ResultUntil has passed", purgeResults},
		{"purge keeps to its limit and says when there is more", purgeLimits},
		{"remove takes final jobs and no others", removeFinal},
		{"remove of very many IDs", removeMany},
		{"what several remove at once is counted once", removeConcurrent},
		{"nothing is damaged", damagedNone},
		{"operations are paused and resumed", switchesPause},
		{"recovery of a store that has not failed does nothing", recoverNothing},
	}
}

// remove removes jobs, of which n are final.
func remove(t testing.TB, s backlog.Store, n int, ids ...backlog.ID) {
	t.Helper()
	got, err := s.Remove(t.Context(), ids...)
	if err != nil || got != n {
		t.Errorf("Remove = %d, %v; want %d", got, err, n)
	}
}

// purge purges to the end, and returns what that removed in all.
func purge(t testing.TB, s backlog.Store, now time.Time) (all backlog.Purged) {
	t.Helper()
	const limit = 5
	for range 10_000 {
		p, more, err := s.Purge(t.Context(), now, limit)
		must(t, err)
		if p.Jobs > limit || p.Results > limit || p.Jobs < 0 || p.Results < 0 {
			t.Fatalf("Purge removed %+v; the limit is %d", p, limit)
		}
		all.Jobs += p.Jobs
		all.Results += p.Results
		if !more {
			return all
		}
	}
	t.Fatal("Purge says that there is more and more")
	return all
}

func readParts(t *testing.T, s backlog.Store) {
	for n, j := range inserted(t, s, 0, 6) {
		c := to(j, status(backlog.Completed, n))
		var payload, result []byte
		if n%2 == 0 {
			c.Result, result = resultOf(n), resultOf(n)
		}
		if c.DropPayload = n >= 3; !c.DropPayload {
			payload = payloadOf(n)
		}
		apply(t, s, &j, c)
		holds(t, s, j, payload, result)
		holds(t, s, j, payload, result)
	}
}

// final is a status with the given end of the job and of its result.
func final(state backlog.State, n int, keep, result time.Time) backlog.Status {
	next := status(state, n)
	next.Keep, next.ResultUntil = keep, result
	return next
}

func purgeJobs(t *testing.T, s backlog.Store) {
	now := epoch.Add(24 * time.Hour)
	keeps := map[time.Time]bool{ // those that have passed
		{}: false, now: true, now.Add(-time.Microsecond): true, now.Add(time.Microsecond): false,
		now.Add(-1e5 * time.Hour): true, time.Unix(0, 0).UTC(): true, now.Add(1e6 * time.Hour): false,
	}
	n, want := 0, backlog.Purged{}
	var stay, gone []backlog.Job
	for _, state := range backlog.States() {
		for keep, passed := range keeps {
			j := finished(t, s, n, final(state, n, keep, time.Time{}))
			if state.Final() && passed {
				want.Jobs++
				gone = append(gone, j)
			} else {
				stay = append(stay, j)
			}
			n++
		}
	}
	if got := purge(t, s, epoch.Add(-1e6*time.Hour)); got != (backlog.Purged{}) {
		t.Errorf("long before, Purge removed %+v", got)
	}
	if got := purge(t, s, now.Add(999).In(time.FixedZone("east", 3600))); got != want {
		t.Errorf("Purge removed %+v; want %+v", got, want)
	}
	for _, j := range gone {
		hasNot(t, s, j.ID)
	}
	for _, j := range stay {
		n := int(j.ID>>22) - 1
		has(t, s, j)
		holds(t, s, j, payloadOf(n), resultOf(n))
	}
	if got := purge(t, s, now); got != (backlog.Purged{}) {
		t.Errorf("a second time, Purge removed %+v", got)
	}
	lists(t, s, "what is left", backlog.Query{}, stay)
}

func purgeResults(t *testing.T, s backlog.Store) {
	now := epoch.Add(24 * time.Hour)
	untils := map[time.Time]bool{ // those that have passed
		{}: false, now: true, now.Add(-time.Microsecond): true, now.Add(time.Microsecond): false,
		time.Unix(0, 0).UTC(): true, now.Add(time.Hour): false,
	}
	want := backlog.Purged{}
	var all []backlog.Job
	var payloads, results [][]byte // by number
	for _, state := range backlog.States() {
		for until, passed := range untils {
			for parts := range 4 { // bit 0: a result, bit 1: a payload
				n := len(all)
				j, payload, result := withParts(t, s, n, parts, final(state, n, now.Add(time.Hour), until))
				if state.Final() && passed {
					if payload, result = nil, nil; parts != 0 {
						want.Results++
					}
				}
				all, payloads, results = append(all, j), append(payloads, payload), append(results, result)
			}
		}
	}
	if got := purge(t, s, now); got != want {
		t.Errorf("Purge removed %+v; want %+v", got, want)
	}
	for n, j := range all {
		has(t, s, j)
		holds(t, s, j, payloads[n], results[n])
	}
	if got := purge(t, s, now); got != (backlog.Purged{}) {
		t.Errorf("a second time, Purge removed %+v", got)
	}
}

// withParts has a store take in job number n and change it, so that it has a result
// where bit 0 of parts is set, and a payload where bit 1 is.
func withParts(t testing.TB, s backlog.Store, n, parts int, next backlog.Status) (j backlog.Job, payload, result []byte) {
	t.Helper()
	j = inserted(t, s, n, n+1)[0]
	c := to(j, next)
	if parts&1 != 0 {
		c.Result, result = resultOf(n), resultOf(n)
	}
	if c.DropPayload = parts&2 == 0; !c.DropPayload {
		payload = payloadOf(n)
	}
	apply(t, s, &j, c)
	return j, payload, result
}

func purgeLimits(t *testing.T, s backlog.Store) {
	now := epoch.Add(24 * time.Hour)
	for n := range 30 {
		keep, until := now.Add(time.Hour), now.Add(-time.Hour)
		if n%2 == 0 {
			keep, until = until, time.Time{}
		}
		finished(t, s, n, final(backlog.Completed, n, keep, until))
	}
	for _, limit := range []int{0, -1} {
		if p, _, err := s.Purge(t.Context(), now, limit); err != nil || p != (backlog.Purged{}) {
			t.Errorf("Purge with a limit of %d = %+v, %v; want nothing", limit, p, err)
		}
	}
	p, more, err := s.Purge(t.Context(), now, 4)
	if err != nil || !more || p.Jobs > 4 || p.Results > 4 || p == (backlog.Purged{}) {
		t.Errorf("Purge with a limit of 4 = %+v, more %v, %v", p, more, err)
	}
	counts(t, s, map[backlog.State]int{backlog.Completed: 30 - p.Jobs})
	rest := purge(t, s, now)
	if jobs, results := p.Jobs+rest.Jobs, p.Results+rest.Results; jobs != 15 || results != 15 {
		t.Errorf("Purge removed %d jobs and %d results in all; want 15 of each", jobs, results)
	}
	if p, more, err := s.Purge(t.Context(), now, 4); err != nil || more || p != (backlog.Purged{}) {
		t.Errorf("Purge of nothing = %+v, more %v, %v; want no more", p, more, err)
	}
}

func removeFinal(t *testing.T, s backlog.Store) {
	remove(t, s, 0)
	remove(t, s, 0, idOf(1), 0, -1)
	var all []backlog.Job
	var ids []backlog.ID
	for n, state := range slices.Concat(backlog.States(), backlog.States()) {
		j := finished(t, s, n, final(state, n, epoch.Add(1e6*time.Hour), time.Time{}))
		all = append(all, j)
		ids = append(ids, j.ID, j.ID, j.ID+1) // twice, and one that is not there
	}
	// Those of the second half stay.
	half := len(all) / 2
	remove(t, s, 5, append([]backlog.ID{idOf(1000)}, ids[:3*half]...)...)
	for n, j := range all {
		if n < half && j.State.Final() {
			hasNot(t, s, j.ID)
			fails(t, "Apply to a job that was removed", s.Apply(t.Context(), to(j, status(backlog.Queued, n))), backlog.ErrNotFound)
			continue
		}
		has(t, s, j)
		holds(t, s, j, payloadOf(n), resultOf(n))
	}
	remove(t, s, 0, ids[:3*half]...)
	counts(t, s, map[backlog.State]int{
		backlog.Queued: 2, backlog.Processing: 2,
		backlog.Completed: 1, backlog.Failed: 1, backlog.Timeout: 1, backlog.Cancelled: 1, backlog.Dead: 1,
	})
	// What was removed may come anew.
	insert(t, s, job(4), payloadOf(4))
	has(t, s, job(4))
	holds(t, s, job(4), payloadOf(4), nil)
}

// removeMany has more IDs than a statement of SQL has room for.
func removeMany(t *testing.T, s backlog.Store) {
	ids := make([]backlog.ID, 0, 40_000)
	for n := range cap(ids) {
		ids = append(ids, idOf(n))
	}
	for _, n := range []int{0, 20_000, 39_999} {
		finished(t, s, n, status(backlog.Dead, n))
	}
	insert(t, s, job(5), payloadOf(5))
	remove(t, s, 3, ids...)
	counts(t, s, map[backlog.State]int{backlog.Queued: 1})
}

// removeConcurrent has callers remove and purge the same jobs at once.
func removeConcurrent(t *testing.T, s backlog.Store) {
	const callers, rounds, jobs = 6, 5, 10
	now := epoch.Add(24 * time.Hour)
	for range rounds {
		var ids []backlog.ID
		for n := range jobs {
			ids = append(ids, finished(t, s, n, final(backlog.Completed, n, now, time.Time{})).ID)
		}
		var gone atomic.Int32
		together(callers, func(i int) {
			if i%3 == 0 {
				p, _, err := s.Purge(t.Context(), now, jobs)
				if gone.Add(int32(p.Jobs)); err != nil {
					t.Error(err)
				}
				return
			}
			n, err := s.Remove(t.Context(), ids...)
			if gone.Add(int32(n)); err != nil {
				t.Error(err)
			}
		})
		if gone.Load() != jobs {
			t.Errorf("of %d jobs callers say that they removed %d", jobs, gone.Load())
		}
		counts(t, s, map[backlog.State]int{})
	}
}

func damagedNone(t *testing.T, s backlog.Store) {
	inserted(t, s, 0, 3)
	for _, limit := range []int{0, 1, 1000} {
		if all, err := s.Damaged(t.Context(), limit); err != nil || len(all) > 0 {
			t.Errorf("Damaged(%d) of a store in order = %+v, %v", limit, all, err)
		}
	}
}

// pauses checks which operations are paused, whatever their order.
func pauses(t testing.TB, s backlog.Store, want map[string]bool) {
	t.Helper()
	got, err := s.Paused(t.Context())
	must(t, err)
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("Paused = %.200q; want %.200q", got, slices.Sorted(maps.Keys(want)))
	}
}

func switchesPause(t *testing.T, s backlog.Store) {
	want := map[string]bool{}
	set := func(operation string, paused bool) {
		t.Helper()
		must(t, s.SetPaused(t.Context(), operation, paused))
		if delete(want, operation); paused {
			want[operation] = true
		}
		pauses(t, s, want)
	}
	pauses(t, s, want)
	set("one", false) // never paused
	set("one", true)
	set("one", true)
	set("", true) // the default operation
	set("two", true)
	set("ONE", false)
	set("one", false)
	set("one", false)
	for _, text := range oddTexts() {
		set(text, true)
	}
	for _, text := range oddTexts() {
		set(text, strings.HasPrefix(text, "a"))
	}
	// Jobs and switches do not touch one another.
	j := job(1)
	j.Operation = "two"
	insert(t, s, j, payloadOf(1))
	apply(t, s, &j, to(j, status(backlog.Completed, 1)))
	remove(t, s, 1, j.ID)
	pauses(t, s, want)
}

func recoverNothing(t *testing.T, s backlog.Store) {
	before := s.Exclusive()
	j := finished(t, s, 1, status(backlog.Completed, 1))
	must(t, s.SetPaused(t.Context(), "one", true))
	for range 3 {
		must(t, s.Recover(t.Context()))
		has(t, s, j)
		holds(t, s, j, payloadOf(1), resultOf(1))
		pauses(t, s, map[string]bool{"one": true})
		if s.Exclusive() != before {
			t.Error("Exclusive changes its mind")
		}
	}
	insert(t, s, job(2), payloadOf(2))
	has(t, s, job(2))
}
