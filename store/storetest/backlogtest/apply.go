package backlogtest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
)

func applyRules() []rule {
	return []rule{
		{"a change replaces the status and nothing else", applyReplaces},
		{"a change begins from a state and an attempt", applyFrom},
		{"a change may begin from a lease", applyLease},
		{"a change of a job that is not there", applyNotFound},
		{"a result is stored with its change", applyResult},
		{"a payload is dropped with its change", applyDrops},
		{"a relaxed change is seen at once", applyRelaxed},
		{"of concurrent changes one wins", applyConcurrent},
		{"no reader sees half a change", applyTorn},
	}
}

func applyReplaces(t *testing.T, s backlog.Store) {
	all := inserted(t, s, 0, 3)
	j := all[1]
	// From every state to every state: which ones make sense is not the store's concern.
	n := 0
	for _, from := range backlog.States() {
		for _, next := range backlog.States() {
			apply(t, s, &j, to(j, status(from, n)))
			apply(t, s, &j, to(j, status(next, n+1)))
			has(t, s, j)
			n += 2
		}
	}
	// The whole status: what is zero in it is zero from then on.
	apply(t, s, &j, to(j, backlog.Status{State: backlog.Queued}))
	has(t, s, j)
	holds(t, s, j, payloadOf(1), nil)
	has(t, s, all[0])
	has(t, s, all[2])
}

// refused checks that a change is not made.
func refused(t testing.TB, s backlog.Store, what string, c backlog.Change, now backlog.Job) {
	t.Helper()
	c.To, c.Result, c.DropPayload = status(backlog.Completed, 77), []byte("a result that must not be stored"), true
	fails(t, what, s.Apply(t.Context(), &c), backlog.ErrConflict)
	has(t, s, now)
}

func applyFrom(t *testing.T, s backlog.Store) {
	j := inserted(t, s, 1, 2)[0]
	for n, state := range backlog.States() {
		c := to(j, status(state, n))
		c.Result = resultOf(n)
		apply(t, s, &j, c)
		for _, from := range append(backlog.States(), 0) {
			for _, attempt := range []int{0, j.Attempt - 1, j.Attempt, j.Attempt + 1} {
				if from != state || attempt != j.Attempt {
					refused(t, s, fmt.Sprintf("Apply from %v, attempt %d, of a job that is %v, attempt %d", from, attempt, state, j.Attempt),
						backlog.Change{ID: j.ID, From: from, Attempt: attempt}, j)
				}
			}
		}
		holds(t, s, j, payloadOf(1), resultOf(n))
	}
}

func applyLease(t *testing.T, s backlog.Store) {
	j := inserted(t, s, 1, 2)[0]
	until := epoch.Add(time.Minute)
	lease := func(until time.Time) backlog.Status {
		next := status(backlog.Processing, 1)
		next.LeaseUntil = until
		return next
	}
	apply(t, s, &j, to(j, lease(until)))
	for _, other := range []time.Time{until.Add(time.Microsecond), until.Add(-time.Microsecond), until.Add(time.Hour), time.Unix(0, 0)} {
		refused(t, s, fmt.Sprintf("Apply from the lease until %v of one until %v", other, until),
			backlog.Change{ID: j.ID, From: j.State, Attempt: j.Attempt, LeaseUntil: other}, j)
	}
	// As it was stored, in another zone, and with what a store does not keep.
	for _, same := range []time.Time{until, until.In(time.FixedZone("east", 7200)), until.Add(999)} {
		c := to(j, lease(until))
		c.LeaseUntil = same
		apply(t, s, &j, c)
	}
	// Whoever set it has nanoseconds and a monotonic reading, and passes the same again.
	now := time.Now().Add(time.Hour)
	must(t, s.Apply(t.Context(), to(j, lease(now))))
	c := to(j, lease(until))
	c.LeaseUntil = now
	apply(t, s, &j, c)
	has(t, s, j)
	// A renewed lease is not that any more.
	refused(t, s, "Apply from a lease that was renewed", backlog.Change{ID: j.ID, From: j.State, Attempt: j.Attempt, LeaseUntil: now}, j)
	// A job without a lease has none of any time.
	apply(t, s, &j, to(j, lease(time.Time{})))
	refused(t, s, "Apply from a lease of a job without one", backlog.Change{ID: j.ID, From: j.State, Attempt: j.Attempt, LeaseUntil: until}, j)
}

func applyNotFound(t *testing.T, s backlog.Store) {
	j := inserted(t, s, 1, 2)[0]
	for _, id := range []backlog.ID{idOf(0), idOf(1) + 1, idOf(2), 0, -1} {
		for _, from := range []backlog.State{backlog.Queued, 0} {
			c := to(j, status(backlog.Processing, 1))
			c.ID, c.From, c.Result = id, from, resultOf(1)
			fails(t, fmt.Sprintf("Apply to job %d", id), s.Apply(t.Context(), c), backlog.ErrNotFound)
			hasNot(t, s, id)
		}
	}
	has(t, s, j)
	counts(t, s, map[backlog.State]int{backlog.Queued: 1})
}

func applyResult(t *testing.T, s backlog.Store) {
	inserted(t, s, 0, 3)
	j := job(1)
	step := func(state backlog.State, n int, result, want []byte) {
		t.Helper()
		c := to(j, status(state, n))
		c.Result = result
		apply(t, s, &j, c)
		holds(t, s, j, payloadOf(1), want)
	}
	step(backlog.Processing, 1, nil, nil)
	step(backlog.Completed, 2, resultOf(2), resultOf(2))
	step(backlog.Completed, 3, nil, resultOf(2)) // as for a webhook that was delivered
	step(backlog.Completed, 4, resultOf(4), resultOf(4))
	step(backlog.Queued, 5, nil, resultOf(4))
	step(backlog.Completed, 6, []byte{0}, []byte{0})
	step(backlog.Completed, 7, []byte{}, []byte{})
	holds(t, s, job(0), payloadOf(0), nil)
	holds(t, s, job(2), payloadOf(2), nil)
}

func applyDrops(t *testing.T, s backlog.Store) {
	inserted(t, s, 0, 3)
	j := job(1)
	c := to(j, status(backlog.Processing, 1))
	apply(t, s, &j, c)
	holds(t, s, j, payloadOf(1), nil)
	c = to(j, status(backlog.Completed, 2))
	c.Result, c.DropPayload = resultOf(2), true
	apply(t, s, &j, c)
	holds(t, s, j, nil, resultOf(2))
	c = to(j, status(backlog.Completed, 3))
	c.DropPayload = true // dropped already
	apply(t, s, &j, c)
	holds(t, s, j, nil, resultOf(2))
	has(t, s, j) // Bytes says what it was
	holds(t, s, job(0), payloadOf(0), nil)
	holds(t, s, job(2), payloadOf(2), nil)
}

func applyRelaxed(t *testing.T, s backlog.Store) {
	j := inserted(t, s, 1, 2)[0]
	for n := range 20 {
		c := to(j, status(backlog.Processing, n))
		c.Relaxed, c.Result = n%3 != 0, resultOf(n)
		apply(t, s, &j, c)
		has(t, s, j)
		holds(t, s, j, payloadOf(1), resultOf(n))
	}
	lists(t, s, "jobs that are processing", backlog.Query{States: []backlog.State{backlog.Processing}}, []backlog.Job{j})
	counts(t, s, map[backlog.State]int{backlog.Processing: 1})
	c := to(job(1), status(backlog.Completed, 1))
	c.Relaxed = true
	fails(t, "a relaxed change from a former status", s.Apply(t.Context(), c), backlog.ErrConflict)
}

// applyConcurrent has workers claim one job at once, renew their leases and complete
// it. Of those that begin from one status exactly one may succeed.
func applyConcurrent(t *testing.T, s backlog.Store) {
	const workers = 8
	j := inserted(t, s, 1, 2)[0]
	for round := range 30 {
		var winner atomic.Int32
		winner.Store(-1)
		together(workers, func(i int) {
			c := to(j, status(backlog.State(2+round%2), round))
			c.To.Worker, c.Result, c.Relaxed = fmt.Sprint(i), resultOf(i), i%2 == 1 && round%3 == 0
			if round%2 == 1 {
				c.LeaseUntil = j.LeaseUntil
			}
			switch err := s.Apply(t.Context(), c); {
			case err == nil:
				if !winner.CompareAndSwap(-1, int32(i)) {
					t.Error("of concurrent changes from one status two were made")
				}
			case !errors.Is(err, backlog.ErrConflict):
				t.Error(err)
			}
		})
		i := int(winner.Load())
		if i < 0 {
			t.Fatal("of concurrent changes from one status none was made")
		}
		j.Status = status(backlog.State(2+round%2), round)
		j.Worker = fmt.Sprint(i)
		has(t, s, j)
		holds(t, s, j, payloadOf(1), resultOf(i))
	}
}

// applyTorn changes a job again and again, so that all its parts tell the same number,
// while others look at it.
func applyTorn(t *testing.T, s backlog.Store) {
	const changes, looks = 150, 300
	j := inserted(t, s, 1, 2)[0]
	c := to(j, status(backlog.Processing, 0))
	c.Result = resultOf(0)
	apply(t, s, &j, c)
	id := j.ID
	reads := []func() (backlog.Job, []byte, error){
		func() (backlog.Job, []byte, error) { return s.Read(t.Context(), id, backlog.Result) },
		func() (backlog.Job, []byte, error) {
			got, err := s.Get(t.Context(), id)
			return got, nil, err
		},
		func() (backlog.Job, []byte, error) {
			page, err := s.List(t.Context(), backlog.Query{States: []backlog.State{backlog.Processing}})
			if err != nil || len(page) != 1 {
				return backlog.Job{}, nil, fmt.Errorf("a page of %d jobs; want 1 (%w)", len(page), err)
			}
			return page[0], nil, nil
		},
	}
	var looking atomic.Int32
	looking.Store(int32(len(reads)))
	together(len(reads)+1, func(i int) {
		if i < len(reads) {
			defer looking.Add(-1)
			look(t, looks, reads[i])
			return
		}
		for n := 1; n <= changes || looking.Load() > 0; n++ {
			c := to(j, status(backlog.Processing, n))
			c.Result, c.Relaxed = resultOf(n), n%2 == 0
			if err := s.Apply(t.Context(), c); err != nil {
				t.Error(err)
				return
			}
			j.Status = c.To
		}
	})
}

// look reads n times a job that goes through the numbers, and checks that each time its
// parts tell one number, which is none from before.
func look(t testing.TB, n int, read func() (backlog.Job, []byte, error)) {
	for before := 0; n > 0; n-- {
		got, result, err := read()
		number := got.Attempt - 1
		switch {
		case err != nil:
			t.Error(err)
			return
		case got.Status != status(backlog.Processing, number), result != nil && string(result) != string(resultOf(number)):
			t.Errorf("a reader saw half a change: %+v with the result %q", got.Status, result)
			return
		case number < before:
			t.Errorf("a reader saw change %d after change %d", number, before)
			return
		}
		before = number
	}
}
