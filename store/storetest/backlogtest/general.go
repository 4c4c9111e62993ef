package backlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

func generalRules() []rule {
	return []rule{
		{"no reference is kept", nothingRetained},
		{"what is returned belongs to the caller", resultsOwned},
		{"times are kept to the microsecond", timesKept},
		{"odd texts come back as they are", textsKept},
		{"large parts come back as they are", partsKept},
		{"extreme numbers come back as they are", numbersKept},
		{"an ended context", contextEnded},
		{"a context that ends on the way", contextEnds},
		{"concurrent use", concurrentUse},
	}
}

// oddTexts are texts that are easily changed or confused on the way to a disk and back.
func oddTexts() []string {
	return []string{
		"", "a", "A", "a ", " a", "a\x00", "a\x00b", "\x00", "\xff\xfe", "a\x80", "\u00e9", "e\u0301", "ß", "ss",
		"\U0001f469\u200d\U0001f52c", "\ufeff", "\ufffd", "%", "_", "a%", "*", "7", "007", "7.0", "1e3", "1000", "NULL", "null",
		"'; DROP TABLE jobs; --", `"quoted"`, `\`, "\r\n\t", strings.Repeat("x", 1024), strings.Repeat("x", 1023) + "y",
	}
}

func nothingRetained(t *testing.T, s backlog.Store) {
	j, payload := job(2), payloadOf(2)
	_, err := s.Insert(t.Context(), &j, payload, time.Time{})
	must(t, err)
	j = job(9)
	clear(payload)
	has(t, s, job(2))
	holds(t, s, job(2), payloadOf(2), nil)

	want := job(2)
	c := to(want, status(backlog.Completed, 2))
	c.Result = resultOf(2)
	apply(t, s, &want, c)
	clear(c.Result)
	*c = backlog.Change{}
	has(t, s, want)
	holds(t, s, want, payloadOf(2), resultOf(2))
	if j != job(9) {
		t.Error("the store changed a job that it was given")
	}
}

func resultsOwned(t *testing.T, s backlog.Store) {
	j := finished(t, s, 1, status(backlog.Completed, 1))
	finished(t, s, 2, status(backlog.Completed, 2))
	must(t, s.SetPaused(t.Context(), "one", true))
	states := []backlog.State{backlog.Completed, backlog.Dead}
	for range 3 {
		for _, part := range []backlog.Part{backlog.Payload, backlog.Result} {
			_, sealed, err := s.Read(t.Context(), j.ID, part)
			must(t, err)
			clear(sealed)
		}
		page, err := s.List(t.Context(), backlog.Query{States: states})
		must(t, err)
		clear(page)
		census, err := s.Census(t.Context(), nil)
		must(t, err)
		clear(census)
		census[backlog.Dead] = 7
		paused, err := s.Paused(t.Context())
		must(t, err)
		clear(paused)
		if !slices.Equal(states, []backlog.State{backlog.Completed, backlog.Dead}) {
			t.Error("List changed the query that it was given")
		}
		has(t, s, j)
		holds(t, s, j, payloadOf(1), resultOf(1))
		counts(t, s, map[backlog.State]int{backlog.Completed: 2})
		pauses(t, s, map[string]bool{"one": true})
	}
}

// timesOf are all times of a job.
func timesOf(j *backlog.Job) []*time.Time {
	return []*time.Time{
		&j.Enqueued, &j.NotBefore, &j.Deadline, &j.LeaseUntil, &j.Started, &j.Finished, &j.Keep, &j.ResultUntil, &j.Hook.Due,
	}
}

// timesKept puts each odd time into each field, by Insert and by Apply.
func timesKept(t *testing.T, s backlog.Store) {
	east := time.FixedZone("east", 3*3600)
	odd := []time.Time{
		{},
		epoch, epoch.Add(time.Microsecond), epoch.Add(999), epoch.Add(1001), epoch.In(east), time.Now(), time.Now().In(time.Local),
		time.Unix(0, 0), time.Unix(0, 1000), time.Unix(-1, 999_999_000), time.Unix(-1, 1), time.Time{}.In(east),
		time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	}
	for n := range odd {
		given := job(n)
		given.State = backlog.Queued
		for i, at := range timesOf(&given) {
			*at = odd[(n+i)%len(odd)]
		}
		want := given
		for _, at := range timesOf(&want) {
			*at = time.UnixMicro(at.UnixMicro()).UTC()
		}
		insert(t, s, given, payloadOf(n))
		has(t, s, want)
		for i, at := range timesOf(&given)[1:] {
			*at = odd[(2*n+i+1)%len(odd)]
		}
		must(t, s.Apply(t.Context(), to(given, given.Status)))
		want.Status = given.Status
		for _, at := range timesOf(&want) {
			*at = time.UnixMicro(at.UnixMicro()).UTC()
		}
		has(t, s, want)
	}
}

func textsKept(t *testing.T, s backlog.Store) {
	for n, text := range oddTexts() {
		j := job(n)
		j.Tenant, j.User, j.Key, j.Operation = text, text+"1", text+"2", text+"3"
		j.Endpoint, j.Model, j.CustomID, j.Worker, j.Message = text+"4", text+"5", text+"6", text+"7", text+"8"
		insert(t, s, j, payloadOf(n))
		has(t, s, j)
		next := status(backlog.Failed, n)
		next.Worker, next.Message = text+"9", text
		apply(t, s, &j, to(j, next))
		has(t, s, j)
	}
	j := inserted(t, s, 1000, 1001)[0]
	for n, kind := range append(llm.Kinds(), "") {
		next := status(backlog.Failed, n)
		next.Kind = kind
		apply(t, s, &j, to(j, next))
		has(t, s, j)
	}
}

func partsKept(t *testing.T, s backlog.Store) {
	for n, size := range []int{1, 2, 255, 4095, 4096, 4097, 65_535, 65_536, 300_000, 1 << 20} {
		payload, result := make([]byte, size), make([]byte, size)
		for i := range payload {
			payload[i], result[i] = byte(i*7>>3+n), byte(i*11>>2-n)
		}
		j := job(n)
		j.Bytes = size
		insert(t, s, j, payload)
		holds(t, s, j, payload, nil)
		c := to(j, status(backlog.Completed, n))
		c.Result = result
		apply(t, s, &j, c)
		holds(t, s, j, payload, result)
	}
}

func numbersKept(t *testing.T, s backlog.Store) {
	for n, j := range []backlog.Job{
		{ID: 1},
		{ID: math.MaxInt64},
		{ID: math.MaxInt32 + 1},
		{ID: math.MaxInt64 - 1},
		{ID: 1 << 53, Spec: backlog.Spec{Timeout: time.Microsecond, Retention: math.MaxInt64 / 1000 * 1000}},
		{ID: 1<<53 + 1, Spec: backlog.Spec{Timeout: math.MaxInt64 / 1000 * 1000, Retention: time.Microsecond}},
	} {
		j.Enqueued, j.State, j.Bytes = epoch, backlog.Queued, len(payloadOf(n))
		insert(t, s, j, payloadOf(n))
		has(t, s, j)
		for _, band := range llm.Priorities {
			next := status(backlog.Queued, n)
			next.Band, next.Attempt, next.Retries, next.Deaths, next.Hook.Attempts = band, math.MaxInt-int(band)-1, math.MaxInt, math.MaxInt-1, math.MaxInt-2
			apply(t, s, &j, to(j, next))
			has(t, s, j)
		}
		refused(t, s, "Apply from a great attempt", backlog.Change{ID: j.ID, From: j.State, Attempt: j.Attempt - 1}, j)
		holds(t, s, j, payloadOf(n), nil)
	}
	refilled := job(50)
	for i := range refilled.Digest {
		refilled.Digest[i], refilled.Idempotency[i] = 0xff, 0
	}
	refilled.Idempotency[0] = 1
	insert(t, s, refilled, payloadOf(50))
	has(t, s, refilled)
}

// contextEnded allows that a store does what it is asked for nevertheless, now or a
// little later, and that it does not. It does not allow half of it, or an error that says
// something else.
func contextEnded(t *testing.T, s backlog.Store) {
	first, third := finished(t, s, 1, status(backlog.Completed, 1)), finished(t, s, 3, status(backlog.Completed, 3))
	ctx := over()
	for op, f := range operations() {
		if err := f(ctx, s); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v; want context.Canceled", op, err)
		}
	}
	takenIn(t, s, job(2), payloadOf(2))
	c := changed(first)
	made(t, s, first, &c, payloadOf(1))
	_, err := s.Remove(t.Context(), third.ID) // removed already, perhaps
	must(t, err)
	hasNot(t, s, third.ID)
}

// changed is the change that operations make.
func changed(j backlog.Job) backlog.Change {
	return backlog.Change{ID: j.ID, From: backlog.Completed, Attempt: status(0, 1).Attempt, To: status(backlog.Dead, 1), Result: []byte("changed")}
}

// operations are all operations of a store, with arguments for which they succeed where
// jobs 1 and 3 are completed: 1 is changed, 2 inserted, 3 removed.
func operations() map[string]func(context.Context, backlog.Store) error {
	return map[string]func(context.Context, backlog.Store) error{
		"Insert": func(ctx context.Context, s backlog.Store) error {
			j := job(2)
			_, err := s.Insert(ctx, &j, payloadOf(2), time.Time{})
			return err
		},
		"Apply": func(ctx context.Context, s backlog.Store) error {
			c := changed(job(1))
			return s.Apply(ctx, &c)
		},
		"Get": func(ctx context.Context, s backlog.Store) error { _, err := s.Get(ctx, idOf(1)); return err },
		"Read": func(ctx context.Context, s backlog.Store) error {
			_, _, err := s.Read(ctx, idOf(1), backlog.Payload)
			return err
		},
		"Find": func(ctx context.Context, s backlog.Store) error {
			_, err := s.Find(ctx, job(1).Idempotency, epoch)
			return err
		},
		"List":               func(ctx context.Context, s backlog.Store) error { _, err := s.List(ctx, backlog.Query{}); return err },
		"Census":             func(ctx context.Context, s backlog.Store) error { _, err := s.Census(ctx, nil); return err },
		"Census of a tenant": func(ctx context.Context, s backlog.Store) error { _, err := s.Census(ctx, new("tenant 1")); return err },
		"Purge":              func(ctx context.Context, s backlog.Store) error { _, _, err := s.Purge(ctx, epoch, 10); return err },
		"Remove":             func(ctx context.Context, s backlog.Store) error { _, err := s.Remove(ctx, idOf(3)); return err },
		"Damaged":            func(ctx context.Context, s backlog.Store) error { _, err := s.Damaged(ctx, 10); return err },
		"SetPaused":          func(ctx context.Context, s backlog.Store) error { return s.SetPaused(ctx, "one", true) },
		"Paused":             func(ctx context.Context, s backlog.Store) error { _, err := s.Paused(ctx); return err },
		"Recover":            func(ctx context.Context, s backlog.Store) error { return s.Recover(ctx) },
	}
}

// takenIn inserts a job that a former Insert, whose answer did not come, has taken in
// or not or will yet. It is there whole then.
func takenIn(t testing.TB, s backlog.Store, j backlog.Job, payload []byte) {
	t.Helper()
	found, err := s.Insert(t.Context(), &j, payload, time.Time{})
	if err != nil && (!errors.Is(err, backlog.ErrExists) || found != j) {
		t.Errorf("Insert of a job that was perhaps taken in = %+v, %v", found, err)
	}
	has(t, s, j)
	holds(t, s, j, payload, nil)
}

// made makes a change that a former Apply, whose answer did not come, has made or not
// or will yet. The job is as after the change then, whole.
func made(t testing.TB, s backlog.Store, j backlog.Job, c *backlog.Change, payload []byte) {
	t.Helper()
	if err := s.Apply(t.Context(), c); err != nil && !errors.Is(err, backlog.ErrConflict) {
		t.Errorf("Apply of a change that was perhaps made: %v", err)
	}
	j.Status = c.To
	has(t, s, j)
	holds(t, s, j, payload, c.Result)
}

// contextEnds ends the context somewhere in an operation, so that it stops at many places.
func contextEnds(t *testing.T, s backlog.Store) {
	for n := range 40 {
		j := job(n)
		_, err := s.Insert(newImpatient(n+1), &j, payloadOf(n), time.Time{})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Insert with a context that ends: %v; want context.Canceled", err)
		}
		if err == nil {
			has(t, s, j)
			holds(t, s, j, payloadOf(n), nil)
		}
		takenIn(t, s, j, payloadOf(n))
		c := to(j, status(backlog.Completed, n))
		c.Result, c.DropPayload = resultOf(n), true
		if err = s.Apply(newImpatient(n+1), c); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Apply with a context that ends: %v; want context.Canceled", err)
		}
		if now, getErr := s.Get(t.Context(), j.ID); getErr != nil || err == nil && now.Status != c.To {
			t.Errorf("Apply returned %v; then Get = %+v, %v", err, now, getErr)
		}
		made(t, s, j, c, nil)
	}
}

// concurrentUse has each worker take jobs of its own through their lives, where it sees
// what it did, while others look at all of them.
func concurrentUse(t *testing.T, s backlog.Store) {
	const workers, each = 8, 8
	done := make(chan struct{})
	var readers sync.WaitGroup
	for _, newest := range []bool{false, true} {
		readers.Go(func() {
			for {
				page, err := s.List(t.Context(), backlog.Query{Newest: newest})
				if err != nil || !slices.IsSortedFunc(page, func(a, b backlog.Job) int { return byID(a, b) * map[bool]int{false: 1, true: -1}[newest] }) {
					t.Errorf("a page of %d jobs, %v; want it in order", len(page), err)
				}
				if census, err := s.Census(t.Context(), nil); err != nil || len(census) > 0 && census[0] > 0 {
					t.Errorf("Census = %v, %v", census, err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	together(workers, func(w int) {
		for n := w * each; n < (w+1)*each; n++ {
			if err := live(t.Context(), s, n); err != nil {
				t.Error(err)
				return
			}
		}
	})
	close(done)
	readers.Wait()
	counts(t, s, map[backlog.State]int{backlog.Completed: workers * each / 2})
	for n := range workers * each {
		if n%2 == 0 {
			hasNot(t, s, idOf(n))
		}
	}
}

// live takes job number n through its life, and says what was not as it should be.
func live(ctx context.Context, s backlog.Store, n int) error {
	j := job(n)
	if _, err := s.Insert(ctx, &j, payloadOf(n), time.Time{}); err != nil {
		return err
	}
	for step, state := range []backlog.State{backlog.Processing, backlog.Processing, backlog.Queued, backlog.Processing, backlog.Completed} {
		c := to(j, status(state, 10*n+step))
		c.Relaxed = step%2 == 1
		if state.Final() {
			c.Result, c.DropPayload = resultOf(n), true
		}
		if err := s.Apply(ctx, c); err != nil {
			return fmt.Errorf("job %d, step %d: %w", n, step, err)
		}
		stale := *c
		stale.Result = []byte("of a worker that lost its lease")
		if err := s.Apply(ctx, &stale); !errors.Is(err, backlog.ErrConflict) {
			return fmt.Errorf("job %d, step %d: the same change again: %w; want ErrConflict", n, step, err)
		}
		j.Status = c.To
		if got, err := s.Get(ctx, j.ID); err != nil || got != j {
			return fmt.Errorf("job %d, step %d: Get = %+v, %w; want %+v", n, step, got, err, j)
		}
	}
	_, result, err := s.Read(ctx, j.ID, backlog.Result)
	if err != nil || !bytes.Equal(result, resultOf(n)) {
		return fmt.Errorf("job %d: Read = %q, %w; want %q", n, result, err, resultOf(n))
	}
	if n%2 == 0 {
		if removed, err := s.Remove(ctx, j.ID); err != nil || removed != 1 {
			return fmt.Errorf("job %d: Remove = %d, %w; want 1", n, removed, err)
		}
	}
	return nil
}
