package backlogtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/google/go-cmp/cmp"
)

// epoch is when the suites' jobs are from, in whole microseconds; any time does.
var epoch = time.Date(2026, time.March, 1, 12, 0, 0, 123456000, time.UTC)

// idOf is the ID of job number n. There is room between two of them.
func idOf(n int) backlog.ID { return backlog.ID(n+1) << 22 }

// digest is a value of its own for each text and number.
func digest(text string, n int) [32]byte { return sha256.Sum256(fmt.Appendf(nil, "%s %d", text, n)) }

// payloadOf is the sealed payload of job number n.
func payloadOf(n int) []byte { return fmt.Appendf(nil, "payload %d %x", n, digest("payload", n)) }

// job is job number n as it is accepted. It differs from all others in every part.
func job(n int) backlog.Job {
	text := func(what string) string { return fmt.Sprintf("%s %d", what, n) }
	at := epoch.Add(time.Duration(n) * time.Millisecond)
	timeout := time.Duration(n+1) * time.Second
	return backlog.Job{
		ID: idOf(n),
		Spec: backlog.Spec{
			Tenant: text("tenant"), User: text("user"), Key: text("key"), Operation: text("operation"),
			Endpoint: text("endpoint"), Model: text("model"), CustomID: text("custom"),
			Enqueued: at, Timeout: timeout, Retention: time.Duration(n+1) * time.Hour,
			Bytes: len(payloadOf(n)), Idempotency: digest("idempotency", n), Digest: digest("digest", n), Webhook: n%2 == 1,
		},
		Status: backlog.Status{State: backlog.Queued, Band: llm.Priorities[n%len(llm.Priorities)], Deadline: at.Add(timeout)},
	}
}

// status is a status in which every part is set, and none as in status number n+1.
func status(state backlog.State, n int) backlog.Status {
	kinds := []llm.Kind{llm.ProviderTimeout, llm.CallerCancelled, llm.ForebayInternal}
	at := func(part int) time.Time {
		return epoch.Add(time.Duration(n)*time.Hour + time.Duration(part)*time.Second)
	}
	return backlog.Status{
		State: state, Band: llm.Priorities[n%len(llm.Priorities)],
		Attempt: n + 1, Retries: n + 2, Deaths: n + 3,
		NotBefore: at(1), Deadline: at(2), LeaseUntil: at(3), Worker: fmt.Sprint("worker ", n),
		Started: at(4), Finished: at(5),
		Kind: kinds[n%len(kinds)], Message: fmt.Sprint("message ", n),
		Keep: at(6), ResultUntil: at(7),
		Hook: backlog.Hook{Due: at(8), Attempts: n + 4, Delivered: n%2 == 0},
	}
}

// unlike says how what a store gave differs from what it was given; it is empty where
// they agree to the bit.
func unlike(want, got backlog.Job) string {
	if want == got {
		return ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return diff
	}
	return fmt.Sprintf("the same times, but not in UTC or with a monotonic reading: %+v", got)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails checks which error an operation gave.
func fails(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v; want %v", what, got, want)
	}
}

// insert has a store take in a job with a payload.
func insert(t testing.TB, s backlog.Store, j backlog.Job, payload []byte) {
	t.Helper()
	found, err := s.Insert(t.Context(), &j, payload, time.Time{})
	must(t, err)
	if found != (backlog.Job{}) {
		t.Errorf("Insert of a new job returns %+v; want the zero Job", found)
	}
}

// inserted has a store take in jobs with the numbers from n up to m, without m.
func inserted(t testing.TB, s backlog.Store, n, m int) []backlog.Job {
	t.Helper()
	var all []backlog.Job
	for ; n < m; n++ {
		insert(t, s, job(n), payloadOf(n))
		all = append(all, job(n))
	}
	return all
}

// to is the change of j, as it is now, to a status.
func to(j backlog.Job, next backlog.Status) *backlog.Change {
	return &backlog.Change{ID: j.ID, From: j.State, Attempt: j.Attempt, To: next}
}

// apply makes a change, and notes in j what that means.
func apply(t testing.TB, s backlog.Store, j *backlog.Job, c *backlog.Change) {
	t.Helper()
	must(t, s.Apply(t.Context(), c))
	j.Status = c.To
}

// finished has a store take in job number n and makes it final, with a result.
func finished(t testing.TB, s backlog.Store, n int, next backlog.Status) backlog.Job {
	t.Helper()
	j := inserted(t, s, n, n+1)[0]
	c := to(j, next)
	c.Result = resultOf(n)
	apply(t, s, &j, c)
	return j
}

// resultOf is the sealed result of job number n.
func resultOf(n int) []byte { return fmt.Appendf(nil, "result %d", n) }

// has checks that Get and List give back a job as it is.
func has(t testing.TB, s backlog.Store, want backlog.Job) {
	t.Helper()
	got, err := s.Get(t.Context(), want.ID)
	if err != nil {
		t.Errorf("Get(%d): %v", want.ID, err)
		return
	}
	if diff := unlike(want, got); diff != "" {
		t.Errorf("Get returns a job changed (-written +read):\n%s", diff)
	}
	page, err := s.List(t.Context(), backlog.Query{After: want.ID - 1, Limit: 1})
	if err != nil || len(page) != 1 {
		t.Errorf("List of one job: %d of them, %v", len(page), err)
		return
	}
	if diff := unlike(want, page[0]); diff != "" {
		t.Errorf("List returns a job changed (-written +read):\n%s", diff)
	}
}

// hasNot checks that there is no job of an ID, whoever asks.
func hasNot(t testing.TB, s backlog.Store, id backlog.ID) {
	t.Helper()
	j, err := s.Get(t.Context(), id)
	if fails(t, fmt.Sprintf("Get(%d)", id), err, backlog.ErrNotFound); j != (backlog.Job{}) {
		t.Errorf("Get(%d) returns %+v although it fails", id, j)
	}
	for _, part := range []backlog.Part{backlog.Payload, backlog.Result} {
		_, sealed, err := s.Read(t.Context(), id, part)
		if fails(t, fmt.Sprintf("Read(%d)", id), err, backlog.ErrNotFound); sealed != nil {
			t.Errorf("Read(%d) returns %q although it fails", id, sealed)
		}
	}
	page, err := s.List(t.Context(), backlog.Query{After: max(id, 1) - 1, Limit: 1})
	if must(t, err); len(page) == 1 && page[0].ID == id {
		t.Errorf("List has the job %d, which Get does not find", id)
	}
}

// holds checks the parts of a job, and that Read returns the job with them.
func holds(t testing.TB, s backlog.Store, want backlog.Job, payload, result []byte) {
	t.Helper()
	for part, sealed := range map[backlog.Part][]byte{backlog.Payload: payload, backlog.Result: result} {
		j, got, err := s.Read(t.Context(), want.ID, part)
		if err != nil {
			t.Errorf("Read(%d, %d): %v", want.ID, part, err)
			continue
		}
		if diff := unlike(want, j); diff != "" {
			t.Errorf("Read returns a job changed (-written +read):\n%s", diff)
		}
		if !bytes.Equal(got, sealed) || sealed == nil && got != nil {
			t.Errorf("part %d of job %d is %.40q, %d bytes; want %.40q, %d bytes", part, want.ID, got, len(got), sealed, len(sealed))
		}
	}
}

// counts checks what the census says, states without jobs apart.
func counts(t testing.TB, s backlog.Store, want map[backlog.State]int) {
	t.Helper()
	got, err := s.Census(t.Context(), nil)
	must(t, err)
	if diff := cmp.Diff(want, positive(got)); diff != "" {
		t.Errorf("Census (-want +got):\n%s", diff)
	}
}

// countsOf is counts of one tenant's jobs.
func countsOf(t testing.TB, s backlog.Store, tenant string, want map[backlog.State]int) {
	t.Helper()
	got, err := s.Census(t.Context(), &tenant)
	must(t, err)
	if diff := cmp.Diff(want, positive(got)); diff != "" {
		t.Errorf("Census of %.40q (-want +got):\n%s", tenant, diff)
	}
}

func positive(counts map[backlog.State]int) map[backlog.State]int {
	counts = maps.Clone(counts)
	maps.DeleteFunc(counts, func(_ backlog.State, n int) bool { return n == 0 })
	if counts == nil {
		counts = map[backlog.State]int{}
	}
	return counts
}

// lists checks what a query gives.
func lists(t testing.TB, s backlog.Store, what string, q backlog.Query, want []backlog.Job) {
	t.Helper()
	got, err := s.List(t.Context(), q)
	must(t, err)
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("%s: %d jobs; want %d: %d is missing", what, len(got), len(want), want[i].ID)
		case i >= len(want):
			t.Errorf("%s: %d jobs; want %d: %d is too many", what, len(got), len(want), got[i].ID)
		case got[i] != want[i]:
			t.Errorf("%s: at place %d is job %d; want %d (-want +got):\n%s", what, i, got[i].ID, want[i].ID, unlike(want[i], got[i]))
		default:
			continue
		}
		return
	}
}

// together runs f n times at once, and waits for all.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			f(i)
		})
	}
	close(begin)
	all.Wait()
}

// over is a context that has ended.
func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// impatient is a context that ends when it is looked at for the n-th time, which is
// to say somewhere in an operation.
type impatient struct {
	context.Context
	done chan struct{}

	mu sync.Mutex // guards n
	n  int
}

func newImpatient(n int) *impatient {
	return &impatient{Context: context.Background(), done: make(chan struct{}), n: n}
}

func (c *impatient) look() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 {
		close(c.done)
	}
	return c.n <= 0
}

func (c *impatient) Done() <-chan struct{} {
	c.look()
	return c.done
}

func (c *impatient) Err() error {
	if c.look() {
		return context.Canceled
	}
	return nil
}
