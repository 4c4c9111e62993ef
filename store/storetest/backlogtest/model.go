package backlogtest

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Model runs random operations on a store and on a plain map, and compares after each
// what they keep. reopen closes the store and opens it again; nil means that it cannot.
// What the store has at first is removed. With FOREBAY_LONG=1 in the environment it does
// as many runs as rapid's flags say (100), otherwise the first 25 of them.
func Model(t *testing.T, s backlog.Store, reopen func() backlog.Store) {
	const few = 25
	m := &model{t: t, store: s, reopen: reopen}
	runs, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		// One that failed is repeated by rapid until it is small.
		if runs++; runs > few && !failed && os.Getenv("FOREBAY_LONG") == "" {
			return
		}
		passed := false
		defer func() { failed = failed || !passed }()
		m.reset(rt)
		rt.Repeat(m.steps())
		m.parts(rt)
		passed = true
	})
}

// steps are the operations, those that bring jobs on more often than those that remove
// them. What has no name runs after each.
func (m *model) steps() map[string]func(*rapid.T) {
	steps := map[string]func(*rapid.T){
		"":       m.compare,
		"insert": m.insert, "insert another": m.insert,
		"apply": m.apply, "apply again": m.apply, "apply once more": m.apply,
		"find": m.find, "list": m.list, "purge": m.purge, "remove": m.remove, "pause": m.pause, "parts": m.parts,
	}
	if m.reopen != nil {
		steps["reopen"] = func(rt *rapid.T) {
			if rapid.Bool().Draw(rt, "reopen") {
				m.store = m.reopen()
			}
			m.parts(rt)
		}
	}
	return steps
}

// So few jobs, keys, texts and times that operations meet.
const (
	modelJobs  = 9
	modelKeys  = 3
	modelTimes = 4
)

type model struct {
	t      *testing.T
	store  backlog.Store
	reopen func() backlog.Store
	jobs   map[backlog.ID]*modelJob
	paused map[string]bool
}

type modelJob struct {
	job             backlog.Job
	payload, result []byte
}

// reset empties the store.
func (m *model) reset(rt *rapid.T) {
	m.jobs, m.paused = map[backlog.ID]*modelJob{}, map[string]bool{}
	ctx := m.t.Context()
	page, err := m.store.List(ctx, backlog.Query{Limit: 10_000})
	m.must(rt, err)
	for _, j := range page {
		if !j.State.Final() {
			m.must(rt, m.store.Apply(ctx, to(j, backlog.Status{State: backlog.Cancelled})))
		}
		_, err := m.store.Remove(ctx, j.ID)
		m.must(rt, err)
	}
	operations, err := m.store.Paused(ctx)
	m.must(rt, err)
	for _, o := range operations {
		m.must(rt, m.store.SetPaused(ctx, o, false))
	}
}

func (m *model) must(rt *rapid.T, err error) {
	if err != nil {
		rt.Fatal(err)
	}
}

// ids are the IDs of all jobs, ascending.
func (m *model) ids() []backlog.ID { return slices.Sorted(maps.Keys(m.jobs)) }

func (m *model) insert(rt *rapid.T) {
	j := job(rapid.IntRange(0, modelJobs-1).Draw(rt, "job"))
	j.Tenant, j.CustomID = drawText(rt, "tenant"), drawText(rt, "custom")
	j.Enqueued = drawTime(rt, "enqueued")
	j.Idempotency = [32]byte{}
	if n := rapid.IntRange(0, modelKeys).Draw(rt, "key"); n > 0 {
		j.Idempotency = digest("key", n)
	}
	j.Status = drawStatus(rt, backlog.Queued)
	payload := rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(rt, "payload")
	j.Bytes = len(payload)
	since := drawTime(rt, "since")

	newest := m.newest(j.Idempotency, since)
	found, err := m.store.Insert(m.t.Context(), &j, payload, since)
	switch taken := m.jobs[j.ID] != nil; {
	case !newest.IsZero():
		k := m.jobs[found.ID]
		if !errors.Is(err, backlog.ErrExists) || k == nil || k.job != found || found.Idempotency != j.Idempotency || !found.Enqueued.Equal(newest) {
			rt.Fatalf("Insert under a key that a job has = %+v, %v", found, err)
		}
	case taken && errors.Is(err, backlog.ErrExists) && found == backlog.Job{}:
	case taken || err != nil || found != backlog.Job{}:
		rt.Fatalf("Insert = %+v, %v; the ID is taken: %v", found, err, taken)
	default:
		m.jobs[j.ID] = &modelJob{job: j, payload: payload}
	}
}

// newest is when the last of the jobs under a key was enqueued that were after since;
// zero where there is none.
func (m *model) newest(key [32]byte, since time.Time) (newest time.Time) {
	for _, k := range m.jobs {
		if k.job.Idempotency == key && key != [32]byte{} && k.job.Enqueued.After(since) && k.job.Enqueued.After(newest) {
			newest = k.job.Enqueued
		}
	}
	return newest
}

func (m *model) find(rt *rapid.T) {
	key, since := digest("key", rapid.IntRange(1, modelKeys).Draw(rt, "key")), drawTime(rt, "since")
	newest := m.newest(key, since)
	found, err := m.store.Find(m.t.Context(), key, since)
	if newest.IsZero() {
		if !errors.Is(err, backlog.ErrNotFound) || found != (backlog.Job{}) {
			rt.Fatalf("Find where there is nothing = %+v, %v", found, err)
		}
		return
	}
	if k := m.jobs[found.ID]; err != nil || k == nil || k.job != found || found.Idempotency != key || !found.Enqueued.Equal(newest) {
		rt.Fatalf("Find under a key that a job has = %+v, %v", found, err)
	}
}

func (m *model) apply(rt *rapid.T) {
	c := backlog.Change{ID: idOf(rapid.IntRange(0, modelJobs-1).Draw(rt, "job")), From: backlog.Queued}
	k := m.jobs[c.ID]
	if k != nil {
		c = *to(k.job, backlog.Status{})
	}
	switch rapid.IntRange(0, 7).Draw(rt, "condition") {
	case 0:
		c.From = drawState(rt)
	case 1:
		c.Attempt = rapid.IntRange(0, 3).Draw(rt, "attempt")
	case 2:
		c.LeaseUntil = drawTime(rt, "lease")
	case 3:
		if k != nil {
			c.LeaseUntil = k.job.LeaseUntil
		}
	}
	c.To = drawStatus(rt, drawState(rt))
	if rapid.IntRange(0, 2).Draw(rt, "has a result") == 0 {
		c.Result = rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(rt, "result")
	}
	c.DropPayload = rapid.IntRange(0, 3).Draw(rt, "drop") == 0
	c.Relaxed = rapid.Bool().Draw(rt, "relaxed")
	want := change(k, &c)
	if err := m.store.Apply(m.t.Context(), &c); !errors.Is(err, want) {
		rt.Fatalf("Apply(%+v): %v; want %v", c, err, want)
	}
}

// change makes a change of the map's job, or says why not.
func change(k *modelJob, c *backlog.Change) error {
	switch {
	case k == nil:
		return backlog.ErrNotFound
	case c.From != k.job.State || c.Attempt != k.job.Attempt || !c.LeaseUntil.IsZero() && !c.LeaseUntil.Equal(k.job.LeaseUntil):
		return backlog.ErrConflict
	}
	k.job.Status = c.To
	if c.Result != nil {
		k.result = c.Result
	}
	if c.DropPayload {
		k.payload = nil
	}
	return nil
}

func (m *model) list(rt *rapid.T) {
	q := backlog.Query{
		After: idOf(rapid.IntRange(0, modelJobs).Draw(rt, "after")), Newest: rapid.Bool().Draw(rt, "newest"),
		Limit: rapid.IntRange(1, 5).Draw(rt, "limit"), HooksDue: rapid.IntRange(0, 3).Draw(rt, "hooks due") == 0,
	}
	if rapid.Bool().Draw(rt, "from the beginning") {
		q.After = 0
	}
	if rapid.Bool().Draw(rt, "of a tenant") {
		tenant := drawText(rt, "tenant")
		q.Tenant = &tenant
	}
	if rapid.IntRange(0, 2).Draw(rt, "of a custom ID") == 0 {
		q.CustomID = drawText(rt, "custom")
	}
	if rapid.Bool().Draw(rt, "of states") {
		q.States = rapid.SliceOfN(rapid.SampledFrom(backlog.States()), 1, 4).Draw(rt, "states")
	}
	m.page(rt, q)
}

// page compares one page of a list.
func (m *model) page(rt *rapid.T, q backlog.Query) {
	var want []backlog.Job
	ids := m.ids()
	if q.Newest {
		slices.Reverse(ids)
	}
	for _, id := range ids {
		behind := q.After == 0 || id > q.After != q.Newest && id != q.After
		if behind && len(want) < q.Limit && selects(q, m.jobs[id].job) {
			want = append(want, m.jobs[id].job)
		}
	}
	got, err := m.store.List(m.t.Context(), q)
	if m.must(rt, err); !slices.Equal(want, got) {
		rt.Fatalf("List(%+v) (-want +got):\n%s", q, cmp.Diff(want, got))
	}
}

// purge does one piece of a purge. Which jobs go is the store's choice.
func (m *model) purge(rt *rapid.T) {
	now, limit := drawTime(rt, "now"), rapid.IntRange(1, 4).Draw(rt, "limit")
	passed := func(k *modelJob, until time.Time) bool {
		return k.job.State.Final() && !until.IsZero() && !until.After(now)
	}
	p, more, err := m.store.Purge(m.t.Context(), now, limit)
	if m.must(rt, err); p.Jobs > limit || p.Results > limit || more && p == (backlog.Purged{}) {
		rt.Fatalf("Purge with a limit of %d removed %+v, more %v", limit, p, more)
	}
	jobs, results, perhaps := 0, 0, 0 // perhaps: results of jobs that went as well
	for id, k := range m.jobs {
		dropped := (k.payload != nil || k.result != nil) && passed(k, k.job.ResultUntil) // or to be
		_, payload, err := m.store.Read(m.t.Context(), id, backlog.Payload)
		switch {
		case errors.Is(err, backlog.ErrNotFound):
			if !passed(k, k.job.Keep) {
				rt.Fatalf("Purge at %v removed %+v", now, k.job)
			}
			if delete(m.jobs, id); dropped {
				perhaps++
			}
			jobs++
			continue
		case err != nil:
			rt.Fatal(err)
		case !more && passed(k, k.job.Keep):
			rt.Fatalf("Purge at %v left %+v", now, k.job)
		}
		_, result, err := m.store.Read(m.t.Context(), id, backlog.Result)
		if m.must(rt, err); dropped && payload == nil && result == nil {
			results++
			k.payload, k.result = nil, nil
		} else if dropped && !more {
			rt.Fatalf("Purge at %v left the parts of %+v", now, k.job)
		}
	}
	if jobs != p.Jobs || p.Results < results || p.Results > results+perhaps {
		rt.Fatalf("Purge says that it removed %+v; gone are %d jobs and the parts of %d others", p, jobs, results)
	}
}

func (m *model) remove(rt *rapid.T) {
	var ids []backlog.ID
	want := map[backlog.ID]bool{}
	for range rapid.IntRange(0, 3).Draw(rt, "IDs") {
		id := idOf(rapid.IntRange(0, modelJobs).Draw(rt, "job"))
		ids = append(ids, id)
		if k := m.jobs[id]; k != nil && k.job.State.Final() {
			want[id] = true
		}
	}
	if n, err := m.store.Remove(m.t.Context(), ids...); err != nil || n != len(want) {
		rt.Fatalf("Remove(%v) = %d, %v; want %d", ids, n, err, len(want))
	}
	for id := range want {
		delete(m.jobs, id)
	}
}

func (m *model) pause(rt *rapid.T) {
	operation, paused := drawText(rt, "operation"), rapid.Bool().Draw(rt, "paused")
	m.must(rt, m.store.SetPaused(m.t.Context(), operation, paused))
	if delete(m.paused, operation); paused {
		m.paused[operation] = true
	}
}

// compare checks that the store has the jobs that the map has, whoever asks.
func (m *model) compare(rt *rapid.T) {
	ctx := m.t.Context()
	census, mine := map[backlog.State]int{}, map[backlog.State]int{}
	tenant := "a"
	for n := range modelJobs {
		id := idOf(n)
		got, err := m.store.Get(ctx, id)
		k := m.jobs[id]
		if k == nil {
			if !errors.Is(err, backlog.ErrNotFound) {
				rt.Fatalf("Get(%d) = %+v, %v; want ErrNotFound", id, got, err)
			}
			continue
		}
		if census[k.job.State]++; k.job.Tenant == tenant {
			mine[k.job.State]++
		}
		if m.must(rt, err); got != k.job {
			rt.Fatalf("Get (-want +got):\n%s", unlike(k.job, got))
		}
	}
	m.page(rt, backlog.Query{Limit: modelJobs + 1})
	m.page(rt, backlog.Query{Limit: 3, Newest: true, After: idOf(modelJobs / 2)})
	for of, want := range map[*string]map[backlog.State]int{nil: census, &tenant: mine} {
		counted, err := m.store.Census(ctx, of)
		m.must(rt, err)
		if diff := cmp.Diff(want, positive(counted)); diff != "" {
			rt.Fatalf("Census, of a tenant %v (-want +got):\n%s", of != nil, diff)
		}
	}
	paused, err := m.store.Paused(ctx)
	m.must(rt, err)
	if slices.Sort(paused); !slices.Equal(paused, slices.Sorted(maps.Keys(m.paused))) {
		rt.Fatalf("Paused = %q; want %v", paused, m.paused)
	}
}

// parts checks that each job carries what the map says.
func (m *model) parts(rt *rapid.T) {
	for _, id := range m.ids() {
		k := m.jobs[id]
		for part, want := range map[backlog.Part][]byte{backlog.Payload: k.payload, backlog.Result: k.result} {
			j, sealed, err := m.store.Read(m.t.Context(), id, part)
			if m.must(rt, err); j != k.job || !bytes.Equal(sealed, want) {
				rt.Fatalf("Read(%d, %d) = %+v with %q; want %+v with %q", id, part, j, sealed, k.job, want)
			}
		}
	}
}

func drawText(rt *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, label)
}

func drawState(rt *rapid.T) backlog.State {
	return rapid.SampledFrom(backlog.States()).Draw(rt, "state")
}

func drawTime(rt *rapid.T, label string) time.Time {
	return epoch.Add(time.Duration(rapid.IntRange(0, modelTimes-1).Draw(rt, label)) * time.Microsecond)
}

func drawStatus(rt *rapid.T, state backlog.State) backlog.Status {
	next := status(state, rapid.IntRange(0, 2).Draw(rt, "status"))
	for i, at := range []*time.Time{&next.LeaseUntil, &next.Keep, &next.ResultUntil, &next.Hook.Due} {
		if *at = (time.Time{}); rapid.IntRange(0, 2).Draw(rt, "has a time") > 0 {
			*at = drawTime(rt, [...]string{"lease until", "keep", "result until", "hook due"}[i])
		}
	}
	return next
}
