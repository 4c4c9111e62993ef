package backlogtest

import (
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

func insertRules() []rule {
	return []rule{
		{"a job that is taken in comes back whole", insertRoundTrip},
		{"what was not taken in is not found", insertNotFound},
		{"an ID is taken once", insertTaken},
		{"under an idempotency key the job that has it is returned", insertIdempotent},
		{"an idempotency key counts for jobs enqueued after since", insertSince},
		{"a job without an idempotency key is like no other", insertKeyless},
		{"an idempotency key is free when its job is gone", insertFreed},
		{"find gives the job that insert would return", findsAsInsert},
		{"find gives nothing where insert would take the job in", findsNothing},
		{"of concurrent jobs under one key one is taken in", insertConcurrentKey},
		{"of concurrent jobs with one ID one is taken in", insertConcurrentID},
	}
}

func insertRoundTrip(t *testing.T, s backlog.Store) {
	all := inserted(t, s, 0, 10)
	full := job(20)
	full.Status = status(backlog.Queued, 20)
	insert(t, s, full, payloadOf(20))
	for n, j := range all {
		has(t, s, j)
		holds(t, s, j, payloadOf(n), nil)
	}
	has(t, s, full)
	holds(t, s, full, payloadOf(20), nil)
}

func insertNotFound(t *testing.T, s backlog.Store) {
	hasNot(t, s, idOf(1))
	inserted(t, s, 1, 3)
	for _, id := range []backlog.ID{idOf(0), idOf(1) - 1, idOf(1) + 1, idOf(3), 1, math.MaxInt64, 0, -1, -idOf(1), math.MinInt64} {
		hasNot(t, s, id)
	}
}

func insertTaken(t *testing.T, s backlog.Store) {
	first := inserted(t, s, 1, 2)[0]
	second := job(2)
	second.ID = first.ID
	for range 2 {
		found, err := s.Insert(t.Context(), &second, payloadOf(2), time.Time{})
		fails(t, "Insert of an ID that is taken", err, backlog.ErrExists)
		if found != (backlog.Job{}) {
			t.Errorf("where only the ID is taken, Insert returns %+v; want the zero Job", found)
		}
		has(t, s, first)
		holds(t, s, first, payloadOf(1), nil)
		counts(t, s, map[backlog.State]int{backlog.Queued: 1})
	}
	// Its idempotency key was not taken either.
	insert(t, s, job(2), payloadOf(2))
}

// finds checks that Find gives a job.
func finds(t testing.TB, s backlog.Store, since time.Time, want backlog.Job) {
	t.Helper()
	found, err := s.Find(t.Context(), want.Idempotency, since)
	if err != nil {
		t.Errorf("Find under the key of job %d: %v", want.ID, err)
		return
	}
	if diff := unlike(want, found); diff != "" {
		t.Errorf("Find does not return the job that has the key (-want +got):\n%s", diff)
	}
}

// findsNot checks that Find gives no job.
func findsNot(t testing.TB, s backlog.Store, key [32]byte, since time.Time) {
	t.Helper()
	found, err := s.Find(t.Context(), key, since)
	if fails(t, "Find where there is nothing", err, backlog.ErrNotFound); found != (backlog.Job{}) {
		t.Errorf("Find returns %+v although it fails", found)
	}
}

// exists checks that Insert refuses j for the sake of another job, which Find finds.
func exists(t testing.TB, s backlog.Store, j backlog.Job, since time.Time, want backlog.Job) {
	t.Helper()
	finds(t, s, since, want)
	found, err := s.Insert(t.Context(), &j, []byte("another payload"), since)
	fails(t, "Insert under a key that a job has", err, backlog.ErrExists)
	if diff := unlike(want, found); diff != "" {
		t.Errorf("Insert does not return the job that has the key (-want +got):\n%s", diff)
	}
}

func insertIdempotent(t *testing.T, s backlog.Store) {
	first := inserted(t, s, 1, 2)[0]
	inserted(t, s, 5, 8) // with keys of their own
	again := job(2)
	again.Idempotency = first.Idempotency
	exists(t, s, again, time.Time{}, first)
	// As it is now, whatever has become of it.
	apply(t, s, &first, to(first, status(backlog.Processing, 3)))
	exists(t, s, again, time.Time{}, first)
	apply(t, s, &first, to(first, status(backlog.Completed, 4)))
	exists(t, s, again, time.Time{}, first)
	// The ID is the job's own or another's: the key comes first.
	exists(t, s, job(1), time.Time{}, first)
	again.ID = idOf(6)
	exists(t, s, again, time.Time{}, first)
	hasNot(t, s, idOf(2))
	has(t, s, first)
	has(t, s, job(6))
	holds(t, s, first, payloadOf(1), nil)
	// A key that differs in one bit is another.
	near := job(3)
	near.Idempotency = first.Idempotency
	near.Idempotency[31] ^= 1
	insert(t, s, near, payloadOf(3))
	counts(t, s, map[backlog.State]int{backlog.Queued: 4, backlog.Completed: 1})
}

func insertSince(t *testing.T, s backlog.Store) {
	first := inserted(t, s, 1, 2)[0]
	second := job(2)
	second.Idempotency = first.Idempotency
	for _, since := range []time.Time{{}, time.Unix(0, 0), first.Enqueued.Add(-time.Hour), first.Enqueued.Add(-time.Microsecond)} {
		exists(t, s, second, since, first)
	}
	// At since itself is not after it.
	found, err := s.Insert(t.Context(), &second, payloadOf(2), first.Enqueued)
	if err != nil || found != (backlog.Job{}) {
		t.Errorf("Insert under the key of a job that was enqueued at since: %+v, %v; want it to be taken in", found, err)
	}
	has(t, s, first)
	has(t, s, second)
	third := job(3)
	third.Idempotency = first.Idempotency
	exists(t, s, third, first.Enqueued, second)
	exists(t, s, third, time.Time{}, second) // of two the one that was enqueued last
	_, err = s.Insert(t.Context(), &third, payloadOf(3), second.Enqueued.Add(time.Hour))
	must(t, err)
	has(t, s, third)
	// The ID is taken whatever the key says.
	found, err = s.Insert(t.Context(), &second, payloadOf(2), third.Enqueued)
	if !errors.Is(err, backlog.ErrExists) || found != (backlog.Job{}) {
		t.Errorf("where only the ID is taken, Insert returns %+v, %v; want the zero Job and ErrExists", found, err)
	}
}

func insertKeyless(t *testing.T, s backlog.Store) {
	for n := range 4 {
		j := job(n)
		j.Idempotency = [32]byte{}
		insert(t, s, j, payloadOf(n))
		has(t, s, j)
	}
}

func insertFreed(t *testing.T, s backlog.Store) {
	under := func(n int) backlog.Job {
		j := job(n)
		j.Idempotency = digest("idempotency", 1)
		return j
	}
	removed := finished(t, s, 1, status(backlog.Failed, 1))
	exists(t, s, under(2), time.Time{}, removed)
	remove(t, s, 1, removed.ID)
	insert(t, s, under(2), payloadOf(2))
	purged := under(2)
	apply(t, s, &purged, to(purged, status(backlog.Completed, 2)))
	exists(t, s, under(3), time.Time{}, purged)
	purge(t, s, purged.Keep)
	insert(t, s, under(3), payloadOf(3))
	insert(t, s, job(4), payloadOf(4))
	has(t, s, under(3))
}

func findsAsInsert(t *testing.T, s backlog.Store) {
	all := inserted(t, s, 0, 4)
	last := job(9) // under the same key, enqueued later but with a smaller ID
	last.Idempotency, last.Enqueued = all[1].Idempotency, epoch.Add(time.Hour)
	last.ID = idOf(0) + 1
	for n, j := range all {
		for _, since := range []time.Time{{}, time.Unix(0, 0), j.Enqueued.Add(-1), j.Enqueued.Add(-time.Microsecond).In(time.FixedZone("east", 3600))} {
			finds(t, s, since, j)
		}
		// As it is now, whatever has become of it.
		for _, state := range backlog.States() {
			c := to(j, status(state, n))
			c.Relaxed = true // it is seen at once all the same
			apply(t, s, &j, c)
			finds(t, s, time.Time{}, j)
		}
		all[n] = j
	}
	_, err := s.Insert(t.Context(), &last, payloadOf(9), all[1].Enqueued)
	must(t, err)
	finds(t, s, time.Time{}, last)
	finds(t, s, all[1].Enqueued, last)
	apply(t, s, &last, to(last, status(backlog.Completed, 9)))
	remove(t, s, 1, last.ID)
	finds(t, s, time.Time{}, all[1])
}

func findsNothing(t *testing.T, s backlog.Store) {
	first := job(1)
	findsNot(t, s, first.Idempotency, time.Time{})
	keyless := job(2)
	keyless.Idempotency = [32]byte{}
	insert(t, s, keyless, payloadOf(2))
	findsNot(t, s, [32]byte{}, time.Time{})
	findsNot(t, s, first.Idempotency, time.Time{})
	counts(t, s, map[backlog.State]int{backlog.Queued: 1}) // nothing was taken in, and no key
	insert(t, s, first, payloadOf(1))
	for _, since := range []time.Time{first.Enqueued, first.Enqueued.Add(999), first.Enqueued.Add(time.Hour)} {
		findsNot(t, s, first.Idempotency, since)
	}
	near := first.Idempotency
	near[31] ^= 1
	findsNot(t, s, near, time.Time{})
	findsNot(t, s, [32]byte{}, time.Time{})
	apply(t, s, &first, to(first, status(backlog.Dead, 1)))
	finds(t, s, time.Time{}, first)
	remove(t, s, 1, first.ID)
	findsNot(t, s, first.Idempotency, time.Time{})
}

func insertConcurrentKey(t *testing.T, s backlog.Store) {
	const callers = 8
	for round := range 20 {
		var taken [callers]backlog.Job
		var firsts atomic.Int32
		together(callers, func(i int) {
			n := round*callers + i
			j := job(n)
			j.Idempotency = digest("round", round)
			found, err := s.Insert(t.Context(), &j, payloadOf(n), time.Time{})
			switch {
			case err == nil:
				firsts.Add(1)
				taken[i] = j
			case errors.Is(err, backlog.ErrExists):
				taken[i] = found
			default:
				t.Error(err)
			}
		})
		if firsts.Load() != 1 {
			t.Errorf("of %d concurrent jobs under one key %d were taken in", callers, firsts.Load())
		}
		for _, j := range taken {
			if j != taken[0] {
				t.Errorf("one caller was given the job %d, another %d", taken[0].ID, j.ID)
			}
		}
		finds(t, s, time.Time{}, taken[0])
		counts(t, s, map[backlog.State]int{backlog.Queued: round + 1})
	}
}

func insertConcurrentID(t *testing.T, s backlog.Store) {
	const callers = 8
	for round := range 20 {
		var winner atomic.Int32
		winner.Store(-1)
		together(callers, func(i int) {
			n := round*callers + i
			j := job(n)
			j.ID = idOf(round)
			_, err := s.Insert(t.Context(), &j, payloadOf(n), time.Time{})
			switch {
			case err == nil:
				if !winner.CompareAndSwap(-1, int32(n)) {
					t.Error("of concurrent jobs with one ID two were taken in")
				}
			case !errors.Is(err, backlog.ErrExists):
				t.Error(err)
			}
		})
		n := int(winner.Load())
		if n < 0 {
			t.Fatal("of concurrent jobs with one ID none was taken in")
		}
		want := job(n)
		want.ID = idOf(round)
		has(t, s, want)
		holds(t, s, want, payloadOf(n), nil)
	}
}
