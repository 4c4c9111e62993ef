package budget_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/budget"
)

func sharedBook(t testing.TB, rules ...budget.Rule) *budget.Book {
	t.Helper()
	b, err := budget.New(budget.Config{Rules: rules, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestChanges(t *testing.T) {
	rule := daily(budget.Hard, 1000)
	a, b := sharedBook(t, rule), sharedBook(t, rule)
	ada := budget.Account{Tenant: "t", User: "ada"}
	tell := func(now time.Time) { b.Elsewhere("a", a.Changes(now), now) }
	a.Reserve("1", ada, 300, noon)
	a.Reserve("2", ada, 100, noon)
	tell(noon)
	if got := standing(b, ada, noon); got != [2]int64{0, 400} {
		t.Errorf("two calls in progress: %v", got)
	}
	a.Settle("1", 250, noon)
	a.SettleFor(ada, 50, noon)
	tell(noon)
	tell(noon) // there is nothing new
	if got := standing(b, ada, noon); got != [2]int64{300, 100} {
		t.Errorf("one has ended: %v", got)
	}
	a.Settle("2", 0, noon)
	tell(noon)
	if got := standing(b, ada, noon); got != [2]int64{300, 0} {
		t.Errorf("both have: %v", got)
	}
	if changes := b.Changes(noon); len(changes) != 0 {
		t.Errorf("what others spent is told to others: %+v", changes)
	}
	if changes := newBook(t, rule).Changes(noon); changes != nil {
		t.Errorf("a book of its own tells %+v", changes)
	}
}

// What a gateway had reserved ends by itself, and so here does what it told of that.
func TestReservationsOfTheGone(t *testing.T) {
	rule := daily(budget.Hard, 1000)
	a, b := sharedBook(t, rule), sharedBook(t, rule)
	ada := budget.Account{Tenant: "t"}
	a.Reserve("1", ada, 900, noon)
	b.Elsewhere("a", a.Changes(noon), noon)
	if !b.Reserve("2", ada, 200, noon).Refused {
		t.Error("what another gateway has reserved does not count")
	}
	late := noon.Add(10*time.Minute + time.Second)
	if b.Reserve("2", ada, 200, late).Refused {
		t.Error("it counts for good")
	}
	if diff := cmp.Diff([]budget.Change{{Account: ada, At: late}}, a.Changes(late)); diff != "" {
		t.Error(diff)
	}
}

// TestSharedBooksAgree: after all have told one another everything, all books say the same, and what they say is what was paid.
func TestSharedBooksAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := []budget.Rule{daily(budget.Hard, 5000), {Name: "each", Tenant: "t", User: "*", Period: budget.Month, Kind: budget.Hard, MicroUSD: 1500}}
		books := []*budget.Book{sharedBook(t, rules...), sharedBook(t, rules...), sharedBook(t, rules...)}
		now, paid := noon, map[string]int64{}
		type call struct {
			book int
			id   string
			user string
			at   time.Time
		}
		var open []call
		tell := func(from int) {
			changes := books[from].Changes(now)
			for i, b := range books {
				if i != from {
					b.Elsewhere(fmt.Sprint(from), changes, now)
				}
			}
		}
		for n := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			book := rapid.IntRange(0, 2).Draw(rt, "book")
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				user := rapid.SampledFrom([]string{"ada", "bob"}).Draw(rt, "user")
				c := call{book, fmt.Sprint("call ", n), user, now}
				if !books[book].Reserve(c.id, budget.Account{Tenant: "t", User: user}, rapid.Int64Range(0, 300).Draw(rt, "estimate"), now).Refused {
					open = append(open, c)
				}
			case 1:
				if len(open) > 0 {
					c := open[0]
					open = open[1:]
					price := rapid.Int64Range(0, 300).Draw(rt, "price")
					books[c.book].Settle(c.id, price, now)
					paid[c.user] += price
				}
			case 2:
				tell(book)
			case 3:
				now = now.Add(time.Second)
			}
		}
		for from := range books {
			tell(from)
		}
		for user, want := range paid {
			a := budget.Account{Tenant: "t", User: user}
			for i, b := range books {
				if got := b.StatesOf(a, now)[1].Spent; got != want {
					rt.Fatalf("book %d says that %s spent %d, not %d", i, user, got, want)
				}
				if diff := cmp.Diff(books[0].StatesOf(a, now), b.StatesOf(a, now)); diff != "" {
					rt.Fatalf("books 0 and %d: %s", i, diff)
				}
			}
		}
	})
}
