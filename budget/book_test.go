package budget_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/budget"
	"github.com/google/go-cmp/cmp"
)

// noon is a time in the middle of a day and of a month.
var noon = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

func newBook(t testing.TB, rules ...budget.Rule) *budget.Book {
	t.Helper()
	b, err := budget.New(budget.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func daily(kind budget.Kind, limit int64) budget.Rule {
	return budget.Rule{Name: "r", Period: budget.Day, Kind: kind, MicroUSD: limit}
}

func ExampleBook() {
	b, err := budget.New(budget.Config{Rules: []budget.Rule{{
		Name: "students", Tenant: "school", User: "*", Period: budget.Month, Kind: budget.Hard, MicroUSD: 180_000, // 15 rupees
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	student := budget.Account{Tenant: "school", User: "asha"}
	fmt.Println(b.Reserve("call-1", student, 100_000, now).Refused)
	fmt.Println(b.Reserve("call-2", student, 100_000, now).Refused) // both might cost too much together
	b.Settle("call-1", 60_000, now)                                 // it cost less
	fmt.Println(b.Reserve("call-2", student, 100_000, now).Refused)
	fmt.Println(b.StatesOf(student, now)[0].Spent, b.StatesOf(student, now)[0].Reserved)
	// Output:
	// false
	// true
	// false
	// 60000 100000
}

// spent and reserved of the only budget that applies to a.
func standing(b *budget.Book, a budget.Account, now time.Time) [2]int64 {
	s := b.StatesOf(a, now)[0]
	return [2]int64{s.Spent, s.Reserved}
}

func TestRoom(t *testing.T) {
	for _, test := range []struct {
		name                    string
		spent, reserved, wanted int64
		passes                  bool
	}{
		{"exactly what is left", 50, 30, 20, true},
		{"one more than what is left", 50, 30, 21, false},
		{"all of it at once", 0, 0, 100, true},
		{"more than the limit, untouched", 0, 0, 101, true},
		{"more than the limit, something is spent", 1, 0, 101, false},
		{"more than the limit, something is reserved", 0, 1, 101, false},
		{"beside one that is more than the limit", 0, 5000, 1, false},
		{"nothing is left", 100, 0, 1, false},
		{"nothing is left for what costs nothing either", 100, 0, 0, false},
		{"a call that costs nothing while all is reserved", 0, 100, 0, true},
		{"overspent", 400, 0, 0, false},
		{"below zero is zero", 50, 50, -7, true},
		{"absurd", 0, 1, math.MaxInt64, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for kind, want := range map[budget.Kind]budget.Decision{
				budget.Hard: {Refused: true}, budget.Degrade: {Degrade: true}, budget.Soft: {Warn: true},
			} {
				b := newBook(t, daily(kind, 100))
				b.SettleFor(budget.Account{}, test.spent, noon)
				if test.reserved > 0 {
					// The book is told of it before anything was spent, so that it has room.
					b = newBook(t, daily(kind, 100))
					b.Reserve("first", budget.Account{}, test.reserved, noon)
					b.SettleFor(budget.Account{}, test.spent, noon)
				}
				d := b.Reserve("x", budget.Account{}, test.wanted, noon)
				if d.Warn && kind != budget.Soft {
					d.Warn = false // it is nearly spent beside being full
				}
				if test.passes {
					want = budget.Decision{Warn: kind == budget.Soft && test.spent >= 80}
				}
				if d.Refused != want.Refused || d.Degrade != want.Degrade || d.Warn != want.Warn {
					t.Errorf("%s: %+v; want %+v", kind, d, want)
				}
				if got := standing(b, budget.Account{}, noon)[1] - test.reserved; kind == budget.Hard && !test.passes && got != 0 {
					t.Errorf("a refused call reserved %d", got)
				}
			}
		})
	}
}

func TestSettle(t *testing.T) {
	var all budget.Account
	b := newBook(t, daily(budget.Hard, 100))
	b.Reserve("a", all, 60, noon)
	b.Reserve("b", all, 40, noon)
	if !b.Settle("a", 250, noon) { // above its estimate: in full
		t.Error("a reservation is not known")
	}
	if got := standing(b, all, noon); got != [2]int64{250, 40} {
		t.Errorf("%v", got)
	}
	if b.Settle("a", 250, noon) || b.Settle("nobody", 1, noon) {
		t.Error("settled twice")
	}
	b.Settle("b", -5, noon)
	b.SettleFor(all, 3, noon)
	b.SettleFor(all, -3, noon)
	if got := standing(b, all, noon); got != [2]int64{253, 0} {
		t.Errorf("%v", got)
	}
	b.SettleFor(all, math.MaxInt64, noon)
	if got := standing(b, all, noon); got != [2]int64{math.MaxInt64, 0} {
		t.Errorf("%v", got)
	}
}

// A second reservation under an ID takes the place of the first, unless it is refused.
func TestTheSameID(t *testing.T) {
	var all budget.Account
	b := newBook(t, daily(budget.Hard, 100))
	b.Reserve("a", all, 60, noon)
	if d := b.Reserve("a", all, 50, noon); !d.Refused {
		t.Errorf("%+v", d)
	}
	b.Reserve("a", all, 30, noon)
	if got := standing(b, all, noon); got != [2]int64{0, 30} {
		t.Errorf("%v", got)
	}
	b.Settle("a", 7, noon)
	if got := standing(b, all, noon); got != [2]int64{7, 0} {
		t.Errorf("%v", got)
	}
}

// A lease ends by itself. A price that comes later is booked once, and not beside the estimate.
func TestLeases(t *testing.T) {
	var all budget.Account
	b := newBook(t, daily(budget.Hard, 100))
	b.Reserve("a", all, 60, noon)
	b.ReserveUntil("long", all, 30, noon, noon.Add(time.Hour))
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	if got := standing(b, all, at(10*time.Minute-1)); got != [2]int64{0, 90} {
		t.Errorf("before its end: %v", got)
	}
	if got := standing(b, all, at(10*time.Minute)); got != [2]int64{0, 30} {
		t.Errorf("at its end: %v", got)
	}
	if d := b.Reserve("b", all, 70, at(11*time.Minute)); d.Refused {
		t.Errorf("%+v", d)
	}
	if !b.Settle("a", 50, at(12*time.Minute)) {
		t.Error("a call that outlived its lease is not known")
	}
	if got := standing(b, all, at(12*time.Minute)); got != [2]int64{50, 100} {
		t.Errorf("after it: %v", got)
	}
	if b.Settle("a", 50, at(12*time.Minute)) {
		t.Error("counted twice")
	}
	b.Settle("b", 1, at(12*time.Minute))
	b.Settle("long", 1, at(59*time.Minute))
	if got := standing(b, all, at(59*time.Minute)); got != [2]int64{52, 0} {
		t.Errorf("in the end: %v", got)
	}
	// Who never settles is forgotten a day after the lease's end.
	b.Reserve("lost", all, 9, at(0))
	b.Advance(at(24*time.Hour + 10*time.Minute))
	if b.Settle("lost", 9, at(24*time.Hour+10*time.Minute)) {
		t.Error("a lost call was still known")
	}
}

// A call that is above the limit by itself passes alone, also behind the end of its lease.
func TestOneAboveTheLimit(t *testing.T) {
	var all budget.Account
	b := newBook(t, daily(budget.Hard, 100))
	if b.Reserve("a", all, 1000, noon).Refused {
		t.Error("it does not pass")
	}
	late := noon.Add(11 * time.Minute)
	if !b.Reserve("b", all, 1000, late).Refused {
		t.Error("a second one passes beside it")
	}
	b.Settle("a", 0, late)
	if b.Reserve("c", all, 1000, late).Refused {
		t.Error("it does not pass once the first has cost nothing")
	}
}

func TestPeriods(t *testing.T) {
	var all budget.Account
	b := newBook(t, budget.Rule{Name: "d", Period: budget.Day, Kind: budget.Hard, MicroUSD: 100},
		budget.Rule{Name: "m", Period: budget.Month, Kind: budget.Hard, MicroUSD: 150})
	last := time.Date(2026, time.November, 30, 23, 59, 59, 0, time.FixedZone("west", 0))
	b.Reserve("a", all, 80, last)
	next := last.Add(2 * time.Second) // December
	east := next.In(time.FixedZone("east", -10*3600))
	if d := b.Reserve("b", all, 100, east); d.Refused {
		t.Errorf("the new period is not empty: %+v", d)
	}
	b.Settle("a", 90, next) // into November
	states := func(now time.Time) (got [][2]int64) {
		for _, s := range b.States(now) {
			got = append(got, [2]int64{s.Spent, s.Reserved})
		}
		return got
	}
	if diff := cmp.Diff([][2]int64{{0, 100}, {0, 100}}, states(next)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][2]int64{{90, 0}, {90, 0}}, states(last)); diff != "" {
		t.Error("the clock went back: " + diff)
	}
	b.Settle("b", 100, next)
	// The next day, the month has 50 left and says when it ends.
	d := b.Reserve("c", all, 60, next.Add(24*time.Hour))
	if !d.Refused || d.State.Rule != "m" || !d.State.To.Equal(time.Date(2027, time.January, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", d)
	}
	// Both are full: the one that lasts longer is named.
	d = b.Reserve("c", all, 60, next)
	if !d.Refused || d.State.Rule != "m" {
		t.Errorf("%+v", d)
	}
}

func TestRulesMatch(t *testing.T) {
	rule := func(name string, a budget.Account) budget.Rule {
		return budget.Rule{Name: name, Tenant: a.Tenant, Key: a.Key, User: a.User, Operation: a.Operation, Period: budget.Day, Kind: budget.Soft, MicroUSD: 100}
	}
	b := newBook(t, rule("all", budget.Account{}), rule("tenant", budget.Account{Tenant: "t"}),
		rule("users", budget.Account{Tenant: "t", User: "*"}), rule("pairs", budget.Account{Key: "*", Operation: "*"}))
	calls := map[string]budget.Account{
		"1": {Tenant: "t", User: "u", Key: "k", Operation: "o"}, "2": {Tenant: "t", User: "v", Key: "k", Operation: "o"},
		"3": {Tenant: "s", User: "u", Key: "k", Operation: "p"}, "4": {Tenant: "t"},
	}
	for id, a := range calls {
		b.Reserve(id, a, 1, noon)
		if !b.Matches(a) {
			t.Errorf("%+v matches nothing", a)
		}
	}
	var got []string
	for _, s := range b.States(noon) {
		got = append(got, fmt.Sprintf("%s %s/%s/%s/%s %d", s.Rule, s.Tenant, s.User, s.Key, s.Operation, s.Reserved))
	}
	want := []string{
		"all /// 4", "tenant t/// 3", "users t/// 1", "users t/u// 1", "users t/v// 1",
		"pairs t//k/o 2", "pairs s//k/p 1", "pairs t/// 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if one := newBook(t, rule("one", budget.Account{Tenant: "t"})); one.Matches(budget.Account{Tenant: "T"}) {
		t.Error("a rule for one tenant matches another")
	}
	if d := newBook(t, rule("one", budget.Account{Tenant: "t"})).Reserve("x", budget.Account{}, 1, noon); d != (budget.Decision{}) {
		t.Errorf("no rule matches: %+v", d)
	}
}

// A call is reserved in all budgets or in none.
func TestAllOrNothing(t *testing.T) {
	b := newBook(t, budget.Rule{Name: "wide", Period: budget.Month, Kind: budget.Hard, MicroUSD: 1000},
		budget.Rule{Name: "own", User: "*", Period: budget.Day, Kind: budget.Hard, MicroUSD: 10})
	u := budget.Account{User: "u"}
	b.SettleFor(u, 9, noon)
	if d := b.Reserve("x", u, 5, noon); !d.Refused || d.State.Rule != "own" {
		t.Errorf("%+v", d)
	}
	for _, s := range b.States(noon) {
		if s.Reserved != 0 || s.Spent != 9 {
			t.Errorf("%+v", s)
		}
	}
}

func TestDecisions(t *testing.T) {
	rules := []budget.Rule{
		{Name: "soft", Period: budget.Day, Kind: budget.Soft, MicroUSD: 100, Warn: 0.5},
		{Name: "degrade", Period: budget.Day, Kind: budget.Degrade, MicroUSD: 200},
		{Name: "hard", Period: budget.Day, Kind: budget.Hard, MicroUSD: 300},
	}
	b := newBook(t, rules...)
	for _, want := range []struct {
		decision budget.Decision
		rule     string
	}{
		{budget.Decision{}, ""},                                 // 40
		{budget.Decision{}, ""},                                 // 80: warned from 50 spent, and 40 are
		{budget.Decision{Warn: true}, "soft"},                   // 120
		{budget.Decision{Warn: true}, "soft"},                   // 160
		{budget.Decision{Warn: true}, "soft"},                   // 200
		{budget.Decision{Warn: true, Degrade: true}, "degrade"}, // 240
		{budget.Decision{Warn: true, Degrade: true}, "degrade"}, // 280
		{budget.Decision{Warn: true, Degrade: true, Refused: true}, "hard"},
	} {
		d := b.Reserve("x", budget.Account{}, 40, noon)
		if d.State.Rule != want.rule {
			t.Errorf("decided by %q; want %q", d.State.Rule, want.rule)
		}
		if d.State = (budget.State{}); d != want.decision {
			t.Errorf("%+v; want %+v", d, want.decision)
		}
		if !d.Refused {
			b.Settle("x", 40, noon)
		}
	}
}

// The number of accounts is bounded; those without room share one, until the period ends.
func TestOverflow(t *testing.T) {
	b, err := budget.New(budget.Config{MaxAccounts: 10, Rules: []budget.Rule{
		{Name: "users", User: "*", Period: budget.Day, Kind: budget.Hard, MicroUSD: 100},
		{Name: "all", Period: budget.Day, Kind: budget.Soft, MicroUSD: 100},
	}})
	if err != nil {
		t.Fatal(err)
	}
	user := func(i int) budget.Account { return budget.Account{User: fmt.Sprint("u", i)} }
	for i := range 50 {
		b.SettleFor(user(i), 1, noon)
	}
	users := slices.DeleteFunc(b.States(noon), func(s budget.State) bool { return s.Rule != "users" })
	if len(users) != 10 || users[0].User != budget.Other || users[0].Spent != 41 {
		t.Errorf("%d accounts, first %+v", len(users), users[0])
	}
	if got := standing(b, user(49), noon); got != [2]int64{41, 0} {
		t.Errorf("a user of the shared account has %v", got)
	}
	if !b.Reserve("x", user(77), 60, noon).Refused {
		t.Error("the shared account is not bounded")
	}
	// One whose name is "other" has an account of its own, or shares it like all.
	if got := standing(b, budget.Account{User: budget.Other}, noon); got != [2]int64{41, 0} {
		t.Errorf("%v", got)
	}
	tomorrow := noon.Add(24 * time.Hour)
	for i := range 8 {
		if d := b.Reserve(fmt.Sprint("y", i), user(100+i), 60, tomorrow); d.Refused {
			t.Errorf("the next day, %+v", d)
		}
	}
	if got := standing(b, user(100), tomorrow); got != [2]int64{0, 60} {
		t.Errorf("the next day, %v", got)
	}
}

// What costs nothing leaves nothing behind: names that callers invent do not fill the book.
func TestNothingIsLeftBehind(t *testing.T) {
	b, err := budget.New(budget.Config{MaxAccounts: 10, Rules: []budget.Rule{{Name: "users", User: "*", Period: budget.Day, Kind: budget.Hard, MicroUSD: 100}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		u := budget.Account{User: fmt.Sprint("u", i)}
		id := fmt.Sprint(i)
		b.Reserve(id, u, 5, noon)
		b.Settle(id, 0, noon)
		if n := b.Accounts(); n != 0 {
			t.Fatalf("%d accounts of nothing", n)
		}
		b.StatesOf(u, noon)
		if n := b.Accounts(); n != 0 {
			t.Fatalf("%d accounts of a question", n)
		}
	}
}

// Accounts of past periods make room, and none is lost that is in use: not even while it is looked for.
func TestSweep(t *testing.T) {
	b := newBook(t, budget.Rule{Name: "users", User: "*", Period: budget.Day, Kind: budget.Hard, MicroUSD: 100},
		budget.Rule{Name: "pairs", User: "*", Key: "*", Period: budget.Day, Kind: budget.Hard, MicroUSD: 100})
	at := noon
	const users = 1500
	for day := range 3 {
		for i := range users {
			u := budget.Account{User: fmt.Sprint("u", i), Key: "k"}
			id := fmt.Sprint(day, "-", i)
			b.Reserve(id, u, 70, at)
			if i%2 == 0 {
				b.Settle(id, 60, at)
			}
			if d := b.Reserve("more", u, 50, at); !d.Refused {
				t.Fatalf("day %d: %+v of user %d is lost: %+v", day, b.StatesOf(u, at), i, d)
			}
			at = at.Add(time.Second)
		}
		at = at.Add(24 * time.Hour)
	}
	if n := b.Accounts(); n > 4*users {
		t.Errorf("%d accounts of %d users", n, users)
	}
}

func TestRestore(t *testing.T) {
	rules := []budget.Rule{
		{Name: "d", User: "*", Period: budget.Day, Kind: budget.Hard, MicroUSD: 100},
		{Name: "m", User: "*", Period: budget.Month, Kind: budget.Hard, MicroUSD: 100},
	}
	b := newBook(t, rules...)
	b.Advance(noon)
	u := budget.Account{User: "u"}
	b.Restore(u, noon.AddDate(0, -1, 0), 1)
	b.Restore(u, noon.AddDate(0, 0, -1), 20)
	b.Restore(u, noon, 30)
	var got []string
	for _, s := range b.States(noon) {
		got = append(got, fmt.Sprint(s.Rule, s.Spent))
	}
	if diff := cmp.Diff([]string{"d30", "m50"}, got); diff != "" {
		t.Error(diff)
	}
	if n := b.Accounts(); n != 2 {
		t.Errorf("%d accounts: those of past periods take room", n)
	}
}

func TestStates(t *testing.T) {
	b := newBook(t, budget.Rule{Name: "m", Tenant: "t", Period: budget.Month, Kind: budget.Degrade, MicroUSD: 200})
	want := budget.State{
		Rule: "m", Kind: budget.Degrade, Period: budget.Month, Tenant: "t", Limit: 200,
		From: time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC),
	}
	check := func() {
		t.Helper()
		if diff := cmp.Diff([]budget.State{want}, b.States(noon)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]budget.State{want}, b.StatesOf(budget.Account{Tenant: "t"}, noon)); diff != "" {
			t.Error(diff)
		}
	}
	check()
	for _, step := range []struct {
		microUSD          int64
		warned, exhausted bool
	}{{159, false, false}, {1, true, false}, {39, true, false}, {1, true, true}, {100, true, true}} {
		b.SettleFor(budget.Account{Tenant: "t"}, step.microUSD, noon)
		want.Spent += step.microUSD
		want.Warned, want.Exhausted = step.warned, step.exhausted
		check()
	}
	if s := (budget.State{Limit: 200, Spent: 300}).Share(); s != 1.5 {
		t.Errorf("%v", s)
	}
	if s := (budget.State{Spent: 300}).Share(); s != 0 {
		t.Errorf("%v", s)
	}
	if s := (budget.State{Limit: 10, Spent: 4, Reserved: 6}); !s.Fits(6) || s.Fits(7) || s.Fits(math.MaxInt64) {
		t.Error("Fits is wrong")
	}
}

func TestFaults(t *testing.T) {
	_, err := budget.New(budget.Config{
		MaxAccounts: -1, Lease: -time.Second,
		Rules: []budget.Rule{
			{},
			{Name: "100%d", Period: "week", Kind: "firm", MicroUSD: -1, Warn: 1.5},
			{Name: "twice", Period: budget.Day, Kind: budget.Soft, MicroUSD: 1, Warn: math.NaN()},
			{Name: "twice", Period: budget.Day, Kind: budget.Soft, MicroUSD: 1},
		},
	})
	want := []string{
		"budgets.max_accounts: ", "budgets.lease: ", "budgets: a budget has no name", "budgets.100%d.period: ", "budgets.100%d.kind: ",
		"budgets.100%d.usd: ", "budgets.100%d.warn: ", "budgets.twice.warn: ", "budgets.twice: two",
	}
	for _, text := range want {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v\ndoes not say %q", err, text)
		}
	}
	if _, err := budget.New(budget.Config{Rules: make([]budget.Rule, 1001)}); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("%v", err)
	}
}

// Of many calls at once no more pass than fit.
func TestConcurrentCalls(t *testing.T) {
	const limit, estimate, callers = 10_000, 70, 64
	b := newBook(t, daily(budget.Hard, limit), budget.Rule{Name: "own", User: "*", Period: budget.Month, Kind: budget.Hard, MicroUSD: limit / 4})
	rounds := 200
	if long() {
		rounds = 5000
	}
	var wg sync.WaitGroup
	for w := range callers {
		wg.Go(func() {
			u := budget.Account{User: fmt.Sprint("u", w%8)}
			for i := range rounds {
				id := fmt.Sprint(w, "-", i)
				if !b.Reserve(id, u, estimate, noon).Refused {
					for _, s := range b.StatesOf(u, noon) {
						if s.Spent+s.Reserved > s.Limit {
							t.Errorf("%+v", s)
						}
					}
					b.Settle(id, int64(i%estimate), noon)
				}
			}
		})
	}
	wg.Wait()
	for _, s := range b.States(noon) {
		if s.Reserved != 0 || s.Spent > s.Limit {
			t.Errorf("%+v", s)
		}
	}
}

func BenchmarkReserveSettle(b *testing.B) {
	book := newBook(b, budget.Rule{Name: "all", Period: budget.Month, Kind: budget.Hard, MicroUSD: math.MaxInt64},
		budget.Rule{Name: "users", Tenant: "*", User: "*", Period: budget.Day, Kind: budget.Hard, MicroUSD: math.MaxInt64})
	a := budget.Account{Tenant: "t", User: "user-4711", Key: "k", Operation: "chat"}
	b.ReportAllocs()
	for b.Loop() {
		book.Reserve("hold", a, 100, noon)
		book.Settle("hold", 90, noon)
	}
}
