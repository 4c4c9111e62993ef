package backlogtest

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/backlog"
)

func listRules() []rule {
	return []rule{
		{"jobs are listed in the order of their IDs", listOrder},
		{"each filter selects, alone and with others", listFilters},
		{"filters compare texts byte by byte", listTexts},
		{"a list has what changes have made of the jobs", listChanges},
		{"pages follow one another in both directions", listPages},
		{"pages go on while jobs come and go", listMoving},
		{"a page is bounded", listBounds},
		{"the census counts by state", censusCounts},
		{"the census of a tenant counts its jobs alone", censusOfTenants},
	}
}

func byID(a, b backlog.Job) int { return cmp.Compare(a.ID, b.ID) }

// reversed are jobs from the last to the first.
func reversed(all []backlog.Job) []backlog.Job {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

func listOrder(t *testing.T, s backlog.Store) {
	lists(t, s, "an empty store", backlog.Query{}, nil)
	lists(t, s, "an empty store, the newest first", backlog.Query{Newest: true}, nil)
	var all []backlog.Job
	for _, n := range rand.New(rand.NewPCG(1, 2)).Perm(40) {
		j := job(n)
		j.Enqueued = job((n * 7) % 40).Enqueued // another order
		insert(t, s, j, payloadOf(n))
		all = append(all, j)
	}
	ends := job(50)
	ends.ID = 1
	insert(t, s, ends, payloadOf(50))
	all = append(all, ends)
	ends = job(51)
	ends.ID = math.MaxInt64
	insert(t, s, ends, payloadOf(51))
	all = append(all, ends)
	slices.SortFunc(all, byID)
	lists(t, s, "all", backlog.Query{}, all)
	lists(t, s, "the newest first", backlog.Query{Newest: true}, reversed(all))
	lists(t, s, "behind the last", backlog.Query{After: math.MaxInt64}, nil)
	lists(t, s, "below the first", backlog.Query{After: 1, Newest: true}, nil)
}

// family are jobs such that each filter has some of each other's jobs, and misses some.
func family(t testing.TB, s backlog.Store) []backlog.Job {
	t.Helper()
	states := backlog.States()
	var all []backlog.Job
	for n := range 64 {
		bit := func(i int) string { return fmt.Sprint(n >> i & 1) }
		j := job(n)
		j.Tenant, j.User, j.Operation, j.CustomID = "tenant "+bit(0), "user "+bit(1), "operation "+bit(2), "custom "+bit(3)
		if n%5 == 0 {
			j.User, j.Operation, j.CustomID = "", "", ""
		}
		insert(t, s, j, payloadOf(n))
		next := status(states[n%len(states)], n)
		if n>>4&1 == 0 {
			next.Hook.Due = backlog.Hook{}.Due
		}
		apply(t, s, &j, to(j, next))
		all = append(all, j)
	}
	return all
}

// selects is the contract's sentence on queries, apart from pages.
func selects(q backlog.Query, j backlog.Job) bool {
	switch {
	case q.Tenant != nil && j.Tenant != *q.Tenant,
		q.User != nil && j.User != *q.User,
		q.Operation != nil && j.Operation != *q.Operation,
		q.CustomID != "" && j.CustomID != q.CustomID,
		q.HooksDue && j.Hook.Due.IsZero(),
		len(q.States) > 0 && !slices.Contains(q.States, j.State):
		return false
	}
	return true
}

// selected are the jobs that a query selects, in its order.
func selected(q backlog.Query, all []backlog.Job) []backlog.Job {
	var some []backlog.Job
	for _, j := range all {
		if selects(q, j) {
			some = append(some, j)
		}
	}
	slices.SortFunc(some, byID)
	if q.Newest {
		slices.Reverse(some)
	}
	return some
}

// filters are the filters of a query, each as what it does to one.
func filters() map[string]func(*backlog.Query) {
	text := func(s string) *string { return &s }
	return map[string]func(*backlog.Query){
		"tenant":          func(q *backlog.Query) { q.Tenant = text("tenant 1") },
		"user":            func(q *backlog.Query) { q.User = text("user 0") },
		"user empty":      func(q *backlog.Query) { q.User = text("") },
		"operation":       func(q *backlog.Query) { q.Operation = text("operation 1") },
		"operation empty": func(q *backlog.Query) { q.Operation = text("") },
		"custom ID":       func(q *backlog.Query) { q.CustomID = "custom 0" },
		"hooks due":       func(q *backlog.Query) { q.HooksDue = true },
		"one state":       func(q *backlog.Query) { q.States = []backlog.State{backlog.Queued} },
		"two states":      func(q *backlog.Query) { q.States = []backlog.State{backlog.Dead, backlog.Queued, backlog.Dead} },
		"no states":       func(q *backlog.Query) { q.States = []backlog.State{} },
		"every state":     func(q *backlog.Query) { q.States = backlog.States() },
		"another tenant":  func(q *backlog.Query) { q.Tenant = text("tenant") },
		"tenant empty":    func(q *backlog.Query) { q.Tenant = text("") },
		"another state":   func(q *backlog.Query) { q.States = []backlog.State{0, 99} },
		"newest":          func(q *backlog.Query) { q.Newest = true },
		"after":           func(q *backlog.Query) { q.After = idOf(40) },
	}
}

func listFilters(t *testing.T, s backlog.Store) {
	all := family(t, s)
	check := func(name string, q backlog.Query) {
		t.Helper()
		want := selected(q, all)
		if q.After != 0 {
			want = slices.DeleteFunc(want, func(j backlog.Job) bool { return q.Newest == (j.ID >= q.After) || j.ID == q.After })
		}
		lists(t, s, name, q, want)
	}
	for name, f := range filters() {
		var q backlog.Query
		f(&q)
		check(name, q)
		for also, g := range filters() {
			both := q
			g(&both)
			check(name+", "+also, both)
		}
	}
	names := slices.Sorted(maps.Keys(filters()))
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var q backlog.Query
		var used []string
		for _, name := range names {
			if random.IntN(4) == 0 {
				filters()[name](&q)
				used = append(used, name)
			}
		}
		check(strings.Join(used, ", "), q)
	}
}

// listTexts has a job for each odd text, in each field that is selected by.
func listTexts(t *testing.T, s backlog.Store) {
	for n, text := range oddTexts() {
		j := job(n)
		j.Tenant, j.User, j.Operation, j.CustomID = text, text, text, text
		insert(t, s, j, payloadOf(n))
	}
	for n, text := range oddTexts() {
		want := job(n)
		want.Tenant, want.User, want.Operation, want.CustomID = text, text, text, text
		for name, q := range map[string]backlog.Query{
			"tenant": {Tenant: &text}, "user": {User: &text}, "operation": {Operation: &text}, "custom ID": {CustomID: text},
		} {
			if q.CustomID == "" && name == "custom ID" {
				continue // selects all
			}
			lists(t, s, fmt.Sprintf("%s %.40q", name, text), q, []backlog.Job{want})
		}
	}
}

func listChanges(t *testing.T, s backlog.Store) {
	j := inserted(t, s, 0, 3)[1]
	for n, state := range slices.Concat(backlog.States(), backlog.States()) {
		next := status(state, n)
		if n%2 == 0 {
			next.Hook.Due = backlog.Hook{}.Due
		}
		apply(t, s, &j, to(j, next))
		all := []backlog.Job{job(0), j, job(2)}
		for _, of := range backlog.States() {
			for _, due := range []bool{false, true} {
				q := backlog.Query{States: []backlog.State{of}, HooksDue: due}
				lists(t, s, fmt.Sprintf("%v, hooks due %v, of a job that is %v", of, due, state), q, selected(q, all))
			}
		}
	}
}

func listPages(t *testing.T, s backlog.Store) {
	all := family(t, s)
	tenant := "tenant 1"
	for _, q := range []backlog.Query{
		{},
		{Tenant: &tenant},
		{States: []backlog.State{backlog.Queued, backlog.Dead}},
		{Tenant: &tenant, HooksDue: true},
		{CustomID: "custom 1", States: []backlog.State{backlog.Completed}},
	} {
		for _, q.Newest = range []bool{false, true} {
			for _, q.Limit = range []int{1, 2, 7, 31, 32, 33, 63, 64, 65, 1000} {
				rest := selected(q, all)
				for q.After = 0; ; q.After = rest[q.Limit-1].ID {
					if q.After != 0 {
						rest = rest[q.Limit:]
					}
					lists(t, s, fmt.Sprintf("the page behind %d: %+v", q.After, q), q, rest[:min(q.Limit, len(rest))])
					if len(rest) < q.Limit || t.Failed() {
						break
					}
				}
			}
		}
	}
	// Behind an ID that no job has.
	lists(t, s, "behind a gap", backlog.Query{After: idOf(20) + 1, Limit: 2}, all[21:23])
	lists(t, s, "below a gap", backlog.Query{After: idOf(20) - 1, Limit: 2, Newest: true}, reversed(all[18:20]))
}

func listMoving(t *testing.T, s backlog.Store) {
	for _, ahead := range []int{1, -1} {
		walkMoving(t, s, ahead)
		left, err := s.List(t.Context(), backlog.Query{Limit: 10_000})
		must(t, err)
		for _, j := range left {
			remove(t, s, 1, j.ID)
		}
	}
}

// walkMoving walks over pages in the direction ahead; between them the job that the page
// ended with goes, and one before it and one behind it, and others come on both sides.
func walkMoving(t *testing.T, s backlog.Store, ahead int) {
	const jobs, limit = 80, 7
	due, gone := map[backlog.ID]bool{}, map[backlog.ID]bool{} // what has to be seen, and must not be
	come := func(n int) {
		if j := finished(t, s, n, status(backlog.Failed, n)); !gone[j.ID] {
			due[j.ID] = true
		}
	}
	for n := range jobs {
		come(2 * n)
	}
	for q := (backlog.Query{Limit: limit, Newest: ahead < 0}); ; {
		page, err := s.List(t.Context(), q)
		must(t, err)
		for _, j := range page {
			if q.After != 0 && (j.ID > q.After) == q.Newest || gone[j.ID] {
				t.Fatalf("newest first %v: job %d stands behind %d", q.Newest, j.ID, q.After)
			}
			delete(due, j.ID)
			q.After, gone[j.ID] = j.ID, true
		}
		if len(page) < limit {
			break
		}
		last := int(q.After>>22) - 1
		for _, n := range []int{last, last - 4*ahead, last + 4*ahead} {
			delete(due, idOf(n))
			gone[idOf(n)] = true
			_, err := s.Remove(t.Context(), idOf(n))
			must(t, err)
		}
		gone[idOf(last-3*ahead)] = true
		come(last - 3*ahead)
		come(last + 3*ahead)
	}
	if len(due) > 0 {
		t.Errorf("newest first %v: the walk missed %d jobs", ahead < 0, len(due))
	}
}

// listBounds has more jobs than a page may have.
func listBounds(t *testing.T, s backlog.Store) {
	const most, writers = 10_000, 32
	var all []backlog.Job
	for n := range most + 3 {
		all = append(all, job(n))
	}
	together(writers, func(w int) {
		for n := w; n < len(all); n += writers {
			if _, err := s.Insert(t.Context(), &all[n], payloadOf(n), epoch); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for limit, want := range map[int]int{
		0: 100, -1: 100, math.MinInt: 100, 1: 1, 99: 99, 101: 101, most - 1: most - 1, most: most, most + 1: most, math.MaxInt: most,
	} {
		lists(t, s, fmt.Sprint("limit ", limit), backlog.Query{Limit: limit}, all[:want])
		lists(t, s, fmt.Sprint("the newest first, limit ", limit), backlog.Query{Limit: limit, Newest: true}, reversed(all[len(all)-want:]))
	}
	lists(t, s, "the last page", backlog.Query{Limit: most, After: all[most-1].ID}, all[most:])
	counts(t, s, map[backlog.State]int{backlog.Queued: len(all)})
}

// censusOfTenants has texts for tenants that differ in a byte.
func censusOfTenants(t *testing.T, s backlog.Store) {
	want := map[string]map[backlog.State]int{"nobody": {}}
	for i, tenant := range oddTexts() {
		want[tenant] = map[backlog.State]int{}
		for n := 3 * i; n < 3*i+1+i%3; n++ {
			j := job(n)
			j.Tenant = tenant
			insert(t, s, j, payloadOf(n))
			apply(t, s, &j, to(j, status(backlog.States()[n%7], n)))
			want[tenant][j.State]++
		}
	}
	for tenant, states := range want {
		countsOf(t, s, tenant, states)
	}
	first := oddTexts()[0]
	page, err := s.List(t.Context(), backlog.Query{Tenant: &first})
	must(t, err)
	for _, j := range page {
		want[first][j.State]--
		apply(t, s, &j, to(j, status(backlog.Cancelled, 1)))
		want[first][j.State]++
	}
	for tenant, states := range want {
		countsOf(t, s, tenant, positive(states))
	}
	for _, j := range page {
		remove(t, s, 1, j.ID)
	}
	countsOf(t, s, first, map[backlog.State]int{})
}

func censusCounts(t *testing.T, s backlog.Store) {
	counts(t, s, map[backlog.State]int{})
	want := map[backlog.State]int{}
	for n := range 30 {
		j := inserted(t, s, n, n+1)[0]
		state := backlog.States()[n%len(backlog.States())]
		if n%3 > 0 {
			apply(t, s, &j, to(j, status(backlog.Processing, n)))
			apply(t, s, &j, to(j, status(state, n+1)))
		}
		want[j.State]++
		counts(t, s, want)
		if n%4 == 0 && j.State.Final() {
			want[j.State]--
			remove(t, s, 1, j.ID)
			counts(t, s, positive(want))
		}
		want = positive(want)
	}
}
