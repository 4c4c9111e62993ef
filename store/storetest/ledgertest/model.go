package ledgertest

import (
	"maps"
	"slices"
	"testing"

	"github.com/forebay-ai/forebay/ledger"
	"pgregory.net/rapid"
)

func durable(t *testing.T, open Open) {
	s, reopen := open(t)
	if reopen == nil {
		t.Log("this store does not last")
		return
	}
	write(t, s, ledger.Batch{
		Postings: []ledger.Posting{{Account: account(0), Amounts: amounts(1)}, {Account: account(1), Amounts: amounts(2)}},
		Held:     []ledger.Hold{hold(0), hold(1)},
	})
	write(t, s, ledger.Batch{Released: []string{hold(0).ID}, Postings: []ledger.Posting{{Account: account(0), Amounts: amounts(3)}}})
	for range 2 {
		s = reopen()
		has(t, s, ledger.Query{By: all()},
			ledger.Row{Account: account(0), Amounts: sum(amounts(1), amounts(3))}, ledger.Row{Account: account(1), Amounts: amounts(2)})
		held(t, s, hold(1))
	}
	post(t, s, ledger.Posting{Account: account(1), Amounts: amounts(4)})
	if err := s.ErasePostings(t.Context(), account(0).Tenant, account(0).User); err != nil {
		t.Fatal(err)
	}
	s = reopen()
	gone := account(0)
	gone.User = Erased
	has(t, s, ledger.Query{By: all()},
		ledger.Row{Account: gone, Amounts: sum(amounts(1), amounts(3))}, ledger.Row{Account: account(1), Amounts: sum(amounts(2), amounts(4))})
}

// model compares a store with Memory under random operations.
func model(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		s, reopen := open(t)
		truth := NewMemory()
		rt.Repeat(map[string]func(*rapid.T){
			"post": func(rt *rapid.T) {
				b := drawBatch(rt)
				write(t, s, b)
				write(t, truth, b)
			},
			"erase": func(rt *rapid.T) {
				tenant, user := drawName(rt, "tenant"), drawName(rt, "user")
				for _, store := range []ledger.Store{s, truth} {
					if err := store.ErasePostings(t.Context(), tenant, user); err != nil {
						rt.Fatal(err)
					}
				}
			},
			"reopen": func(rt *rapid.T) {
				if reopen == nil {
					rt.Skip()
				}
				s = reopen()
			},
			"spend": func(rt *rapid.T) {
				q := drawQuery(rt)
				want, err := truth.Spend(t.Context(), q)
				if err != nil {
					rt.Fatal(err)
				}
				has(t, s, q, want...)
				left, err := truth.Holds(t.Context())
				if err != nil {
					rt.Fatal(err)
				}
				held(t, s, left...)
			},
		})
	})
}

func drawName(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, label)
}

func drawAccount(t *rapid.T) ledger.Account {
	return ledger.Account{
		Day: day(rapid.IntRange(0, 5).Draw(t, "day")), Tenant: drawName(t, "tenant"), User: drawName(t, "user"),
		Key: drawName(t, "key"), Operation: "o", Provider: drawName(t, "provider"), Model: drawName(t, "model"),
	}
}

func drawBatch(t *rapid.T) ledger.Batch {
	var b ledger.Batch
	for range rapid.IntRange(0, 6).Draw(t, "postings") {
		b.Postings = append(b.Postings, ledger.Posting{Account: drawAccount(t), Amounts: amounts(rapid.Int64Range(0, 1e6).Draw(t, "amount"))})
	}
	taken := map[int]bool{}
	for range rapid.IntRange(0, 3).Draw(t, "held") {
		if n := rapid.IntRange(0, 9).Draw(t, "hold"); !taken[n] {
			taken[n] = true
			b.Held = append(b.Held, hold(n))
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "released") {
		if n := rapid.IntRange(0, 9).Draw(t, "hold"); !taken[n] {
			b.Released = append(b.Released, hold(n).ID)
		}
	}
	return b
}

func drawQuery(t *rapid.T) ledger.Query {
	q := ledger.Query{Limit: everything, By: rapid.SliceOfDistinct(rapid.SampledFrom(ledger.Dimensions()), rapid.ID[ledger.Dimension]).Draw(t, "by")}
	if rapid.Bool().Draw(t, "bounded") {
		q.From, q.To = day(rapid.IntRange(0, 6).Draw(t, "from")), day(rapid.IntRange(0, 6).Draw(t, "to"))
	}
	filters := map[string]*string{"tenant": &q.Tenant, "user": &q.User, "key": &q.Key, "provider": &q.Provider, "model": &q.Model}
	for _, label := range slices.Sorted(maps.Keys(filters)) {
		if rapid.IntRange(0, 3).Draw(t, "filter "+label) == 0 {
			*filters[label] = drawName(t, label)
		}
	}
	return q
}
