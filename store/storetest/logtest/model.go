package logtest

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/requestlog"
)

// requestsModel compares a store with a slice under random operations.
func requestsModel(t *testing.T, s requestlog.Store) {
	m := &requestModel{s: s}
	// One store for all: each sequence begins by emptying it, which is an operation too.
	rapid.Check(t, func(r *rapid.T) {
		n, err := s.PruneRequests(t.Context(), time.Time{}, 0)
		if err != nil || int(n) != len(m.all) {
			r.Fatalf("emptying it removed %d entries, %v; want %d", n, err, len(m.all))
		}
		m.all = nil
		r.Repeat(map[string]func(*rapid.T){
			"append": m.append, "prune": m.prune, "erase": m.erase, "page": m.page, "all": m.check, "": m.one,
		})
	})
}

type requestModel struct {
	s    requestlog.Store
	all  []requestlog.Entry
	next int
}

func (m *requestModel) append(r *rapid.T) {
	n := rapid.IntRange(0, 30).Draw(r, "entries")
	batch := entries(m.next, m.next+n)
	m.next += n
	if err := m.s.AppendRequests(r.Context(), batch); err != nil {
		r.Fatal(err)
	}
	m.all = append(m.all, batch...)
}

func (m *requestModel) prune(r *rapid.T) {
	var cut time.Time
	if len(m.all) > 0 && rapid.Bool().Draw(r, "by time") {
		cut = m.all[rapid.IntRange(0, len(m.all)-1).Draw(r, "cut")].Start
	}
	keep := rapid.IntRange(-1, 200).Draw(r, "keep")
	before := len(m.all)
	m.all = slices.DeleteFunc(m.all, func(e requestlog.Entry) bool { return e.Start.Before(cut) })
	if keep >= 0 {
		m.all = m.all[max(0, len(m.all)-keep):]
	}
	n, err := m.s.PruneRequests(r.Context(), cut, int64(keep))
	if err != nil || int(n) != before-len(m.all) {
		r.Fatalf("%d entries were removed, %v; want %d", n, err, before-len(m.all))
	}
}

func (m *requestModel) erase(r *rapid.T) {
	tenant, user := rapid.SampledFrom([]string{"", "tenant-1", "tenant-2"}).Draw(r, "tenant"), rapid.SampledFrom([]string{"user-1", "user-2"}).Draw(r, "user")
	if err := m.s.EraseRequests(r.Context(), tenant, user); err != nil {
		r.Fatal(err)
	}
	for i := range m.all {
		if e := &m.all[i]; e.Tenant == tenant && e.User == user {
			e.User = requestlog.ErasedUser
		}
	}
}

// page reads one page somewhere, under a random filter.
func (m *requestModel) page(r *rapid.T) {
	some := func(name string, of ...string) string {
		return rapid.SampledFrom(append([]string{"", "", ""}, of...)).Draw(r, name)
	}
	q := requestlog.Query{Limit: rapid.IntRange(1, 20).Draw(r, "limit"), Filter: requestlog.Filter{
		Tenant: some("tenant", "tenant-1", "tenant-2"), User: some("user", "user-1", requestlog.ErasedUser), Operation: some("operation", "operation-1"),
		Outcome: some("outcome", "ok", "error", "degraded"), Cache: some("cache", "hit"), Failed: rapid.Bool().Draw(r, "failed"),
		MinDuration: time.Duration(rapid.IntRange(0, 3).Draw(r, "seconds")) * time.Second, ID: some("id", "req_1"),
	}}
	if len(m.all) > 0 {
		at := func(name string) requestlog.Entry { return m.all[rapid.IntRange(0, len(m.all)-1).Draw(r, name)] }
		if rapid.Bool().Draw(r, "from there") {
			q.Before = at("before").Seq
		}
		if rapid.Bool().Draw(r, "of a time") {
			q.From = at("from").Start
			q.To = q.From.Add(time.Duration(rapid.IntRange(0, 60).Draw(r, "span")) * time.Second)
		}
	}
	older := m.all
	if i := slices.IndexFunc(older, func(e requestlog.Entry) bool { return e.Seq == q.Before }); i >= 0 {
		older = older[:i]
	}
	same(r, "pages", pages(r, m.s, q), chosen(older, q.Filter))
}

// check looks at everything.
func (m *requestModel) check(r *rapid.T) {
	same(r, "all", pages(r, m.s, requestlog.Query{Limit: 500}), chosen(m.all, requestlog.Filter{}))
}

// one looks at one entry, after each operation.
func (m *requestModel) one(r *rapid.T) {
	if len(m.all) > 0 {
		want := m.all[len(m.all)/2]
		got, ok, err := m.s.Request(r.Context(), want.Seq)
		if !ok || err != nil {
			r.Fatalf("entry %d: %v, %v", want.Seq, ok, err)
		}
		same(r, "an entry", got, want)
	}
}
