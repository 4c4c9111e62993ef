package ledgertest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/google/go-cmp/cmp"
)

func spendRules() []rule {
	return []rule{
		{"nothing is in an empty store", empty},
		{"postings to one account add up", addsUp},
		{"accounts that differ in one part are apart", apart},
		{"each filter matches exactly", filters},
		{"days are bounded, the end exclusive", days},
		{"rows are grouped by each dimension", dimensions},
		{"rows are grouped by several dimensions", several},
		{"months are in UTC, across the end of a year", months},
		{"the most expensive rows come first, up to the limit", limits},
		{"rows that cost the same come in a fixed order", ties},
		{"groups are asked for by name", named},
		{"sums of large amounts are exact", large},
		{"sums stick at the largest value", stuck},
		{"names are compared byte by byte", odd},
		{"a user's name is erased", erased},
	}
}

func empty(t *testing.T, s ledger.Store) {
	has(t, s, ledger.Query{})
	for _, d := range ledger.Dimensions() {
		has(t, s, ledger.Query{By: []ledger.Dimension{d}})
	}
	held(t, s)
	post(t, s)
	post(t, s, ledger.Posting{Account: account(0)}) // of nothing
	has(t, s, ledger.Query{})
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByTenant}})
}

func addsUp(t *testing.T, s ledger.Store) {
	post(t, s, ledger.Posting{Account: account(0), Amounts: amounts(1)}, ledger.Posting{Account: account(0), Amounts: amounts(1000)})
	post(t, s, ledger.Posting{Account: account(0), Amounts: amounts(1_000_000)})
	has(t, s, ledger.Query{}, ledger.Row{Amounts: sum(amounts(1), amounts(1000), amounts(1_000_000))})
	// Each member by itself: none lands in another's column.
	for i, of := range members() {
		b := account(i)
		b.Tenant = "apart"
		var one ledger.Amounts
		*of(&one) = int64(i + 1)
		post(t, s, ledger.Posting{Account: b, Amounts: one})
		has(t, s, ledger.Query{Tenant: "apart", User: b.User}, ledger.Row{Amounts: one})
	}
}

// members are the members of Amounts.
func members() []func(*ledger.Amounts) *int64 {
	return []func(*ledger.Amounts) *int64{
		func(a *ledger.Amounts) *int64 { return &a.Calls },
		func(a *ledger.Amounts) *int64 { return &a.Usage.Input },
		func(a *ledger.Amounts) *int64 { return &a.Usage.Output },
		func(a *ledger.Amounts) *int64 { return &a.Usage.CacheRead },
		func(a *ledger.Amounts) *int64 { return &a.Usage.CacheWrite },
		func(a *ledger.Amounts) *int64 { return &a.MicroUSD },
		func(a *ledger.Amounts) *int64 { return &a.ComputeMicroUSD },
		func(a *ledger.Amounts) *int64 { return &a.StorageMicroUSD },
		func(a *ledger.Amounts) *int64 { return &a.Hits },
		func(a *ledger.Amounts) *int64 { return &a.SavedMicroUSD },
		func(a *ledger.Amounts) *int64 { return &a.EstimatedMicroUSD },
	}
}

// parts are the parts of an account that are texts.
func parts() map[ledger.Dimension]func(*ledger.Account) *string {
	return map[ledger.Dimension]func(*ledger.Account) *string{
		ledger.ByTenant:    func(a *ledger.Account) *string { return &a.Tenant },
		ledger.ByUser:      func(a *ledger.Account) *string { return &a.User },
		ledger.ByKey:       func(a *ledger.Account) *string { return &a.Key },
		ledger.ByOperation: func(a *ledger.Account) *string { return &a.Operation },
		ledger.ByProvider:  func(a *ledger.Account) *string { return &a.Provider },
		ledger.ByModel:     func(a *ledger.Account) *string { return &a.Model },
	}
}

// all groups by everything.
func all() []ledger.Dimension {
	return slices.DeleteFunc(ledger.Dimensions(), func(d ledger.Dimension) bool { return d == ledger.ByMonth })
}

func apart(t *testing.T, s ledger.Store) {
	base := account(0)
	rows := []ledger.Row{{Account: base, Amounts: usd(1)}}
	next := base
	next.Day = day(1)
	rows = append(rows, ledger.Row{Account: next, Amounts: usd(2)})
	for _, d := range slices.Sorted(maps.Keys(parts())) {
		other := base
		*parts()[d](&other) = ""
		rows = append(rows, ledger.Row{Account: other, Amounts: usd(int64(len(rows) + 1))})
	}
	for _, r := range rows {
		post(t, s, ledger.Posting(r))
	}
	has(t, s, ledger.Query{By: all()}, rows...)
}

func filters(t *testing.T, s ledger.Store) {
	for i := range 3 {
		post(t, s, ledger.Posting{Account: account(i), Amounts: amounts(int64(i + 1))})
	}
	a := account(1)
	for d, q := range map[ledger.Dimension]ledger.Query{
		ledger.ByTenant: {Tenant: a.Tenant}, ledger.ByUser: {User: a.User}, ledger.ByKey: {Key: a.Key},
		ledger.ByOperation: {Operation: a.Operation}, ledger.ByProvider: {Provider: a.Provider}, ledger.ByModel: {Model: a.Model},
	} {
		has(t, s, q, ledger.Row{Amounts: amounts(2)})
		q.By = all()
		has(t, s, q, ledger.Row{Account: a, Amounts: amounts(2)})
		if d != ledger.ByTenant {
			q.Tenant = "tenant 2"
			has(t, s, q)
		}
	}
	has(t, s, ledger.Query{Tenant: "tenant"})
	has(t, s, ledger.Query{Tenant: "TENANT 1"})
	has(t, s, ledger.Query{Tenant: "tenant _"})
	has(t, s, ledger.Query{Tenant: "%"})
	has(t, s, ledger.Query{}, ledger.Row{Amounts: sum(amounts(1), amounts(2), amounts(3))})
}

func days(t *testing.T, s ledger.Store) {
	for i := range 6 { // over the end of a month
		a := account(0)
		a.Day = day(i)
		post(t, s, ledger.Posting{Account: a, Amounts: usd(1 << i)})
	}
	for from := range 7 {
		for to := range 7 {
			var want []ledger.Row
			if sum := int64(1<<max(to, from) - 1<<from); sum > 0 {
				want = []ledger.Row{{Amounts: usd(sum)}}
			}
			has(t, s, ledger.Query{From: day(from), To: day(to)}, want...)
		}
	}
	has(t, s, ledger.Query{From: day(2)}, ledger.Row{Amounts: usd(60)})
	has(t, s, ledger.Query{To: day(2)}, ledger.Row{Amounts: usd(3)})
}

func dimensions(t *testing.T, s ledger.Store) {
	for i := range 5 {
		post(t, s, ledger.Posting{Account: account(i), Amounts: amounts(int64(1 << i))})
	}
	for d, part := range parts() {
		var want []ledger.Row
		for i := range 5 {
			a := account(i)
			r := ledger.Row{Amounts: amounts(int64(1 << i))}
			*part(&r.Account) = *part(&a)
			want = append(want, r)
		}
		has(t, s, ledger.Query{By: []ledger.Dimension{d}}, want...)
	}
	var want []ledger.Row
	for i := range 5 {
		want = append(want, ledger.Row{Account: ledger.Account{Day: day(i)}, Amounts: amounts(int64(1 << i))})
	}
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByDay}}, want...)
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByMonth, ledger.ByDay}}, want...)
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByDay, ledger.ByMonth}}, want...)
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByMonth}},
		ledger.Row{Account: ledger.Account{Day: time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)}, Amounts: sum(amounts(1), amounts(2), amounts(4))},
		ledger.Row{Account: ledger.Account{Day: time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)}, Amounts: sum(amounts(8), amounts(16))})
}

func several(t *testing.T, s ledger.Store) {
	want := map[ledger.Account]ledger.Amounts{}
	for i := range 60 {
		a := ledger.Account{
			Day: day(i % 5), Tenant: fmt.Sprint("t", i%2), User: fmt.Sprint("u", i%3), Key: "k",
			Operation: fmt.Sprint("o", i%4), Provider: "p", Model: fmt.Sprint("m", i%5),
		}
		post(t, s, ledger.Posting{Account: a, Amounts: amounts(int64(i))})
		group := ledger.Account{Day: time.Date(a.Day.Year(), a.Day.Month(), 1, 0, 0, 0, 0, time.UTC), User: a.User, Model: a.Model}
		want[group] = sum(want[group], amounts(int64(i)))
	}
	var rows []ledger.Row
	for a, amounts := range want {
		rows = append(rows, ledger.Row{Account: a, Amounts: amounts})
	}
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByModel, ledger.ByMonth, ledger.ByUser}}, rows...)
}

func months(t *testing.T, s ledger.Store) {
	a := account(0)
	var want []ledger.Row
	for i, at := range []time.Time{
		time.Date(2026, time.December, 31, 0, 0, 0, 0, time.UTC), time.Date(2027, time.January, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2028, time.February, 29, 0, 0, 0, 0, time.UTC),
	} {
		a.Day = at
		post(t, s, ledger.Posting{Account: a, Amounts: usd(int64(i + 1))})
		first := ledger.Account{Day: time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)}
		want = append(want, ledger.Row{Account: first, Amounts: usd(int64(i + 1))})
	}
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByMonth}}, want...)
}

func limits(t *testing.T, s ledger.Store) {
	var rows []ledger.Row
	for i := range 20 {
		n := (i*7)%20 + 1 // each once, in no order
		a := ledger.Account{Day: day(0), Tenant: fmt.Sprint("t", i)}
		post(t, s, ledger.Posting{Account: a, Amounts: usd(int64(n))})
		rows = append(rows, ledger.Row{Account: ledger.Account{Tenant: a.Tenant}, Amounts: usd(int64(n))})
	}
	slices.SortFunc(rows, func(a, b ledger.Row) int { return int(b.MicroUSD - a.MicroUSD) })
	for _, limit := range []int{1, 2, 19, 20, 21} {
		got, err := s.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByTenant}, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rows[:min(limit, 20)], got); diff != "" {
			t.Errorf("the first %d, in their order: %s", limit, diff)
		}
		has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByTenant}, Limit: limit}, rows[:min(limit, 20)]...)
	}
}

func large(t *testing.T, s ledger.Store) {
	const third = (1<<63 - 1) / 3
	for range 3 {
		post(t, s, ledger.Posting{Account: account(0), Amounts: usd(third - 1)})
	}
	has(t, s, ledger.Query{}, ledger.Row{Amounts: usd(3*third - 3)})
}

// stuck has one account at its limit, which must not stop the books of the others.
func stuck(t *testing.T, s ledger.Store) {
	var full, half ledger.Amounts
	for _, of := range members() {
		*of(&full), *of(&half) = math.MaxInt64, math.MaxInt64/2+3
	}
	at := func(user string) ledger.Account { return ledger.Account{Day: day(0), Tenant: "t", User: user} }
	for range 3 {
		post(t, s, ledger.Posting{Account: at("u"), Amounts: half}, ledger.Posting{Account: at("v"), Amounts: amounts(1)})
	}
	post(t, s, ledger.Posting{Account: at("w"), Amounts: half}, ledger.Posting{Account: at("w"), Amounts: full}, ledger.Posting{Account: at("w"), Amounts: full})
	post(t, s, ledger.Posting{Account: at("v"), Amounts: ledger.Amounts{MicroUSD: -5, Calls: 1}}) // below zero is zero
	v := sum(amounts(1), amounts(1), amounts(1), ledger.Amounts{Calls: 1})
	rows := []ledger.Row{
		{Account: ledger.Account{User: "u"}, Amounts: full}, {Account: ledger.Account{User: "w"}, Amounts: full}, {Account: ledger.Account{User: "v"}, Amounts: v},
	}
	has(t, s, ledger.Query{By: []ledger.Dimension{ledger.ByUser}}, rows...)
	for _, by := range [][]ledger.Dimension{nil, {ledger.ByTenant}, {ledger.ByMonth}} {
		got, err := s.Spend(t.Context(), ledger.Query{By: by})
		if err != nil || len(got) != 1 || got[0].Amounts != full {
			t.Fatalf("%v: %+v, %v", by, got, err)
		}
	}
	for limit := 1; limit <= 3; limit++ { // in their order
		got, err := s.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByUser}, Limit: limit})
		if diff := cmp.Diff(rows[:limit], got); diff != "" || err != nil {
			t.Errorf("%v: %s", err, diff)
		}
	}
	// One part alone is at its end: what it costs in all is too.
	one := ledger.Account{Day: day(1), Tenant: "one"}
	post(t, s, ledger.Posting{Account: one, Amounts: ledger.Amounts{MicroUSD: math.MaxInt64, ComputeMicroUSD: 7}})
	has(t, s, ledger.Query{Tenant: "one"}, ledger.Row{Amounts: ledger.Amounts{MicroUSD: math.MaxInt64, ComputeMicroUSD: 7}})
	for _, user := range []string{"u", "w"} {
		if err := s.ErasePostings(t.Context(), "t", user); err != nil {
			t.Fatal(err)
		}
	}
	has(t, s, ledger.Query{User: Erased}, ledger.Row{Amounts: full})
}

func ties(t *testing.T, s ledger.Store) {
	var rows []ledger.Row
	for i := range 64 {
		a := ledger.Account{Day: day(0), Tenant: fmt.Sprint("t", i/8%2), User: fmt.Sprint("u", (7*i)%64)}
		m := ledger.Amounts{Hits: 1, SavedMicroUSD: int64(i / 2 % 2), Calls: int64(i / 4 % 2)}
		if i%2 == 0 {
			m.StorageMicroUSD = 1
		}
		post(t, s, ledger.Posting{Account: a, Amounts: m})
		a.Day = time.Time{}
		rows = append(rows, ledger.Row{Account: a, Amounts: m})
	}
	slices.SortFunc(rows, ledger.CompareRows)
	for limit := 1; limit <= 65; limit++ {
		got, err := s.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByUser, ledger.ByTenant}, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rows[:min(limit, 64)], got); diff != "" {
			t.Fatalf("the first %d: %s", limit, diff)
		}
	}
}

func named(t *testing.T, s ledger.Store) {
	for i := range 4 {
		a := account(i)
		a.User = "" // an empty name is a name
		post(t, s, ledger.Posting{Account: account(i), Amounts: amounts(int64(i))}, ledger.Posting{Account: a, Amounts: usd(int64(100 + i))})
	}
	a := account(1)
	q := ledger.Query{By: []ledger.Dimension{ledger.ByTenant, ledger.ByUser}, Groups: []ledger.Account{a, {Tenant: account(2).Tenant}, account(1), {Tenant: "none"}}}
	has(t, s, q, ledger.Row{Account: ledger.Account{Tenant: a.Tenant, User: a.User}, Amounts: amounts(1)}, ledger.Row{Account: ledger.Account{Tenant: account(2).Tenant}, Amounts: usd(102)})
	q.Tenant, q.From, q.To = a.Tenant, day(0), day(5)
	has(t, s, q, ledger.Row{Account: ledger.Account{Tenant: a.Tenant, User: a.User}, Amounts: amounts(1)})
	q = ledger.Query{By: []ledger.Dimension{ledger.ByMonth}, Groups: []ledger.Account{{Day: time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)}}}
	has(t, s, q, ledger.Row{Account: ledger.Account{Day: q.Groups[0].Day}, Amounts: sum(amounts(3), usd(103))})
	q = ledger.Query{By: []ledger.Dimension{ledger.ByDay, ledger.ByModel}, Groups: []ledger.Account{account(0)}}
	has(t, s, q, ledger.Row{Account: ledger.Account{Day: a.Day.AddDate(0, 0, -1), Model: account(0).Model}, Amounts: sum(amounts(0), usd(100))})
	q.Groups = []ledger.Account{}
	has(t, s, q)
}

func odd(t *testing.T, s ledger.Store) {
	var rows []ledger.Row
	for i, text := range []string{
		"a", "A", " a", "a ", "ä", "a\u0308", "a\x00", "a\x00b", "'; --", `"`, "%", "_", "1", "1.0", "01", "null", strings.Repeat("x", 256), "𝔸",
	} {
		a := ledger.Account{Day: day(0), Tenant: text, User: text, Key: text, Operation: text, Provider: text, Model: text}
		rows = append(rows, ledger.Row{Account: a, Amounts: usd(int64(i + 1))})
		post(t, s, ledger.Posting{Account: a, Amounts: usd(int64(i + 1))})
		has(t, s, ledger.Query{Tenant: text, User: text, By: all()}, rows[i])
	}
	has(t, s, ledger.Query{By: all()}, rows...)
}

func erased(t *testing.T, s ledger.Store) {
	at := func(tenant, user string, n int) ledger.Account {
		return ledger.Account{Day: day(n), Tenant: tenant, User: user, Key: "k", Operation: "o", Provider: "p", Model: "m"}
	}
	for n := range 2 {
		for i, a := range []ledger.Account{at("t", "u", n), at("t", "v", n), at("t", "w", n), at("other", "u", n), at("t", "", n)} {
			post(t, s, ledger.Posting{Account: a, Amounts: amounts(int64(10*n + i))})
		}
	}
	for _, user := range []string{"u", "v", "v", "nobody"} {
		if err := s.ErasePostings(t.Context(), "t", user); err != nil {
			t.Fatal(err)
		}
	}
	var want []ledger.Row
	for n := range 2 {
		k := int64(10 * n)
		want = append(want,
			ledger.Row{Account: at("t", Erased, n), Amounts: sum(amounts(k), amounts(k+1))},
			ledger.Row{Account: at("t", "w", n), Amounts: amounts(k + 2)},
			ledger.Row{Account: at("other", "u", n), Amounts: amounts(k + 3)},
			ledger.Row{Account: at("t", "", n), Amounts: amounts(k + 4)})
	}
	has(t, s, ledger.Query{By: all()}, want...)
	post(t, s, ledger.Posting{Account: at("t", Erased, 0), Amounts: usd(7)}, ledger.Posting{Account: at("t", "u", 0), Amounts: usd(5)})
	want[0].Amounts = sum(want[0].Amounts, usd(7))
	has(t, s, ledger.Query{By: all()}, append(want, ledger.Row{Account: at("t", "u", 0), Amounts: usd(5)})...)
}
