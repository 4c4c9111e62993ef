package logdb_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// posting is posting number n, whose parts follow from its number.
func posting(n int) ledger.Posting {
	pick := func(name string, of, by int) string { return fmt.Sprintf("%s-%d", name, n/by%of) }
	return ledger.Posting{
		Account: ledger.Account{
			Day: time.Date(2026, 1, 20+n%40, 0, 0, 0, 0, time.UTC), Tenant: pick("tenant", 2, 3), User: pick("user", 5, 1), Key: pick("key", 2, 7),
			Operation: pick("operation", 3, 2), Provider: "bedrock", Model: pick("model", 2, 5),
		},
		Amounts: ledger.Amounts{
			Calls: 1, Usage: llm.Usage{Input: int64(n % 1000), Output: int64(n % 77), CacheRead: int64(n % 5), CacheWrite: int64(n % 3)},
			MicroUSD: int64(n * 7 % 10_007), ComputeMicroUSD: int64(n % 11), StorageMicroUSD: int64(n % 2), Hits: int64(n % 4), SavedMicroUSD: int64(n % 9),
			EstimatedMicroUSD: int64(n % 6),
		},
	}
}

func post(t testing.TB, l *ledgerOf, b ledger.Batch) {
	t.Helper()
	must(t, l.Post(t.Context(), b))
}

// ledgerOf is a store of books.
type ledgerOf struct{ ledger.Store }

// add adds amounts up.
func add(to *ledger.Amounts, a ledger.Amounts) {
	to.Calls += a.Calls
	to.Usage = to.Usage.Plus(a.Usage)
	to.MicroUSD += a.MicroUSD
	to.ComputeMicroUSD += a.ComputeMicroUSD
	to.StorageMicroUSD += a.StorageMicroUSD
	to.Hits += a.Hits
	to.SavedMicroUSD += a.SavedMicroUSD
	to.EstimatedMicroUSD += a.EstimatedMicroUSD
}

// sums is what Spend gives of postings.
func sums(all []ledger.Posting, q ledger.Query) []ledger.Row {
	rows := map[ledger.Account]*ledger.Row{}
	for _, p := range all {
		if !q.From.IsZero() && p.Day.Before(q.From) || !q.To.IsZero() && !p.Day.Before(q.To) ||
			q.Tenant != "" && q.Tenant != p.Tenant || q.User != "" && q.User != p.User || q.Key != "" && q.Key != p.Key ||
			q.Operation != "" && q.Operation != p.Operation || q.Model != "" && q.Model != p.Model || q.Provider != "" && q.Provider != p.Provider {
			continue
		}
		var k ledger.Account
		for _, d := range q.By {
			switch d {
			case ledger.ByDay:
				k.Day = p.Day
			case ledger.ByMonth:
				k.Day = time.Date(p.Day.Year(), p.Day.Month(), 1, 0, 0, 0, 0, time.UTC)
			case ledger.ByTenant:
				k.Tenant = p.Tenant
			case ledger.ByUser:
				k.User = p.User
			case ledger.ByKey:
				k.Key = p.Key
			case ledger.ByOperation:
				k.Operation = p.Operation
			case ledger.ByProvider:
				k.Provider = p.Provider
			case ledger.ByModel:
				k.Model = p.Model
			}
		}
		if rows[k] == nil {
			rows[k] = &ledger.Row{Account: k}
		}
		add(&rows[k].Amounts, p.Amounts)
	}
	var list []ledger.Row
	for _, r := range rows {
		list = append(list, *r)
	}
	sortRows(list)
	return list
}

func total(r ledger.Row) int64 { return r.MicroUSD + r.ComputeMicroUSD + r.StorageMicroUSD }

func sortRows(all []ledger.Row) {
	slices.SortFunc(all, func(a, b ledger.Row) int {
		return cmp.Or(cmp.Compare(total(b), total(a)), a.Day.Compare(b.Day), strings.Compare(fmt.Sprint(a.Account), fmt.Sprint(b.Account)))
	})
}

func checkSpend(t interface {
	Helper()
	Errorf(string, ...any)
	Context() context.Context
}, l ledger.Store, all []ledger.Posting, q ledger.Query,
) {
	t.Helper()
	got, err := l.Spend(t.Context(), q)
	if err != nil {
		t.Errorf("%+v: %v", q, err)
		return
	}
	for i := range got {
		if i > 0 && total(got[i]) > total(got[i-1]) {
			t.Errorf("%+v: row %d is more expensive than the one before", q, i)
		}
	}
	sortRows(got)
	if diff := gocmp.Diff(sums(all, q), got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%+v (-want +got):\n%.2000s", q, diff)
	}
}

func queries() []ledger.Query {
	feb, day := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 25, 0, 0, 0, 0, time.UTC)
	return []ledger.Query{
		{},
		{By: []ledger.Dimension{ledger.ByDay}},
		{By: []ledger.Dimension{ledger.ByMonth}},
		{By: []ledger.Dimension{ledger.ByMonth, ledger.ByUser}},
		{By: []ledger.Dimension{ledger.ByTenant, ledger.ByKey, ledger.ByOperation, ledger.ByProvider, ledger.ByModel}},
		{From: feb},
		{To: feb},
		{From: day, To: feb, By: []ledger.Dimension{ledger.ByUser}},
		{From: day, To: day.AddDate(0, 0, 1)},
		{From: feb, To: day},
		{Tenant: "tenant-1", From: day, To: feb, By: []ledger.Dimension{ledger.ByDay}},
		{Tenant: "tenant-1", User: "user-2", From: feb, To: feb.AddDate(0, 1, 0)},
		{Tenant: "tenant-0", By: []ledger.Dimension{ledger.ByUser}},
		{User: "user-3", Key: "key-1"},
		{Operation: "operation-2", Model: "model-1", Provider: "bedrock"},
		{Tenant: "nobody"},
		{Tenant: "tenant-1", From: feb, To: feb},
		{Tenant: "tenant-1", From: feb, To: day},
		{User: "erased", By: []ledger.Dimension{ledger.ByTenant}},
	}
}

func TestLedgerSums(t *testing.T) {
	dir := t.TempDir()
	var all []ledger.Posting
	for round := range 3 {
		l := &ledgerOf{openLedger(t, dir)}
		for n := range 100 {
			batch := ledger.Batch{}
			for i := range n % 7 {
				batch.Postings = append(batch.Postings, posting(1000*round+17*n+i))
			}
			post(t, l, batch)
			all = append(all, batch.Postings...)
		}
		for _, q := range queries() {
			checkSpend(t, l, all, q)
		}
		must(t, l.Store.(interface{ Verify(context.Context) error }).Verify(t.Context()))
		must(t, l.Store.(interface{ Close() error }).Close())
	}
}

func TestLedgerModel(t *testing.T) {
	l := openLedger(t, t.TempDir())
	var all []ledger.Posting
	holds := map[string]ledger.Hold{}
	next := 0
	rapid.Check(t, func(r *rapid.T) {
		r.Repeat(map[string]func(*rapid.T){
			"post": func(r *rapid.T) {
				var b ledger.Batch
				for range rapid.IntRange(0, 10).Draw(r, "postings") {
					b.Postings = append(b.Postings, posting(rapid.IntRange(0, 5000).Draw(r, "number")))
				}
				for range rapid.IntRange(0, 3).Draw(r, "held") {
					next++
					h := ledger.Hold{ID: fmt.Sprint("hold-", next), Account: posting(next).Account, MicroUSD: int64(next), Expires: epoch.Add(time.Duration(next) * time.Microsecond)}
					b.Held = append(b.Held, h)
					holds[h.ID] = h
				}
				for range rapid.IntRange(0, 3).Draw(r, "released") {
					id := fmt.Sprint("hold-", rapid.IntRange(1, next+1).Draw(r, "hold"))
					b.Released = append(b.Released, id)
					delete(holds, id)
				}
				if err := l.Post(r.Context(), b); err != nil {
					r.Fatal(err)
				}
				all = append(all, b.Postings...)
			},
			"spend": func(r *rapid.T) { checkSpend(r, l, all, rapid.SampledFrom(queries()).Draw(r, "query")) },
			"erase": func(r *rapid.T) {
				tenant, user := rapid.SampledFrom([]string{"tenant-0", "tenant-1"}).Draw(r, "tenant"), fmt.Sprint("user-", rapid.IntRange(0, 4).Draw(r, "user"))
				if err := l.ErasePostings(r.Context(), tenant, user); err != nil {
					r.Fatal(err)
				}
				for i := range all {
					if all[i].Tenant == tenant && all[i].User == user {
						all[i].User = "erased"
					}
				}
				for id, h := range holds {
					if h.Tenant == tenant && h.User == user {
						h.User = "erased"
						holds[id] = h
					}
				}
			},
			"holds": func(r *rapid.T) {
				got, err := l.Holds(r.Context())
				if err != nil {
					r.Fatal(err)
				}
				there := map[string]ledger.Hold{}
				for _, h := range got {
					there[h.ID] = h
				}
				if diff := gocmp.Diff(holds, there); diff != "" {
					r.Fatal(diff)
				}
			},
		})
	})
	must(t, l.Verify(t.Context()))
}

// TestLedgerRefuses leaves out what cannot be written for reasons of its own, and writes the rest of the batch.
func TestLedgerRefuses(t *testing.T) {
	l := openLedger(t, t.TempDir())
	must(t, l.Run(`CREATE TEMP TRIGGER cursed BEFORE INSERT ON main.books WHEN NEW.user = 'cursed' BEGIN SELECT RAISE(ABORT, 'cursed'); END`))
	must(t, l.Run(`CREATE TEMP TRIGGER held BEFORE INSERT ON main.holds WHEN NEW.user = 'cursed' BEGIN SELECT RAISE(ABORT, 'cursed'); END`))
	cursed := posting(3)
	cursed.User = "cursed"
	all := []ledger.Posting{posting(3), posting(4)}
	hold := func(id string, a ledger.Account) ledger.Hold {
		return ledger.Hold{ID: id, Account: a, MicroUSD: 1, Expires: epoch}
	}
	var refused *ledger.RefusedError
	err := l.Post(t.Context(), ledger.Batch{
		Postings: []ledger.Posting{all[0], cursed, all[1], cursed}, Held: []ledger.Hold{hold("1", cursed.Account), hold("2", all[0].Account)},
	})
	if !errors.As(err, &refused) || refused.Rows != 3 || sqlfile.CodeOf(err) == 0 {
		t.Errorf("%v", err)
	}
	if holds, err := l.Holds(t.Context()); err != nil || len(holds) != 1 || holds[0].ID != "2" {
		t.Errorf("%+v, %v", holds, err)
	}
	var e *llm.Error
	q := ledger.Query{By: []ledger.Dimension{ledger.ByDay, ledger.ByTenant, ledger.ByUser}}
	checkSpend(t, l, all, q)
	must(t, l.Verify(t.Context()))
	if _, err := l.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{"week"}}); !errors.As(err, &e) || e.Kind != llm.CallerInvalidRequest {
		t.Errorf("Spend by week = %v", err)
	}
	if err := l.ErasePostings(t.Context(), "tenant-1", ""); !errors.As(err, &e) || e.Kind != llm.CallerInvalidRequest {
		t.Errorf("ErasePostings of nobody = %v", err)
	}
	if rows, err := l.Spend(t.Context(), ledger.Query{By: q.By, Limit: 2}); err != nil || len(rows) != 2 {
		t.Errorf("with a limit of 2: %d rows, %v", len(rows), err)
	}
}

// TestLedgerUnsynced goes on after a sync that failed: the file is opened anew, with all
// that was answered.
func TestLedgerUnsynced(t *testing.T) {
	l := openLedger(t, t.TempDir())
	must(t, l.Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{posting(1)}}))
	l.Unsync()
	must(t, l.Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{posting(2)}}))
	checkSpend(t, l, []ledger.Posting{posting(1), posting(2)}, ledger.Query{By: []ledger.Dimension{ledger.ByDay}})
	must(t, l.Close())
	must(t, l.Close())
	if err := l.Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{posting(2)}}); !errors.Is(err, sqlfile.ErrClosed) {
		t.Errorf("Post after Close = %v", err)
	}
}
