package budget_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/budget"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// truth is the truth beside a Book: every reservation and every price, added up anew
// whenever something is asked.
type truth struct {
	rules []budget.Rule
	calls []*modelCall
	last  int // number that a call was given
}

type modelCall struct {
	id       string
	of       budget.Account
	estimate int64
	price    int64
	made     time.Time
	until    time.Time
	settled  bool
}

// counts says that c belongs to the same budget of r as a call of a at now.
func counts(r budget.Rule, c *modelCall, a budget.Account, now time.Time) bool {
	for _, part := range [][3]string{{r.Tenant, c.of.Tenant, a.Tenant}, {r.Key, c.of.Key, a.Key}, {r.User, c.of.User, a.User}, {r.Operation, c.of.Operation, a.Operation}} {
		switch part[0] {
		case "":
		case "*":
			if part[1] != part[2] {
				return false
			}
		default:
			if part[0] != part[1] || part[0] != part[2] {
				return false
			}
		}
	}
	if (r.Key == "*" || r.User == "*" || r.Operation == "*") && c.of.Tenant != a.Tenant {
		return false // each tenant's users, keys and operations are its own
	}
	layout := "2006-01-02"
	if r.Period == budget.Month {
		layout = "2006-01"
	}
	return c.made.UTC().Format(layout) == now.UTC().Format(layout)
}

// standing is what is spent and reserved, and the number of calls that are not settled.
func (m *truth) standing(r budget.Rule, a budget.Account, now time.Time) (spent, reserved int64, open int) {
	for _, c := range m.calls {
		if !counts(r, c, a, now) {
			continue
		}
		switch {
		case c.settled:
			spent += c.price
		default:
			open++
			if c.until.After(now) {
				reserved += c.estimate
			}
		}
	}
	return spent, reserved, open
}

func (m *truth) matching(a budget.Account) (rules []budget.Rule) {
	for _, r := range m.rules {
		if counts(r, &modelCall{of: a, made: noon}, a, noon) {
			rules = append(rules, r)
		}
	}
	return rules
}

func (m *truth) decide(a budget.Account, estimate int64, now time.Time) (refused, degrade bool) {
	for _, r := range m.matching(a) {
		spent, reserved, open := m.standing(r, a, now)
		room := spent < r.MicroUSD && spent+reserved+estimate <= r.MicroUSD || spent == 0 && open == 0 && estimate > r.MicroUSD
		refused = refused || !room && r.Kind == budget.Hard
		degrade = degrade || !room && r.Kind == budget.Degrade
	}
	return refused, degrade
}

func drawRule(t *rapid.T, name string) budget.Rule {
	part := func(label string, values ...string) string {
		return rapid.SampledFrom(append(values, "", "", "*")).Draw(t, name+"."+label)
	}
	return budget.Rule{
		Name: name, Tenant: part("tenant", "a", "b"), Key: part("key", "k"), User: part("user", "u", "v"), Operation: part("operation", "o"),
		Period: rapid.SampledFrom([]budget.Period{budget.Day, budget.Month}).Draw(t, name+".period"),
		Kind:   rapid.SampledFrom([]budget.Kind{budget.Hard, budget.Hard, budget.Degrade, budget.Soft}).Draw(t, name+".kind"),

		MicroUSD: rapid.Int64Range(1, 300).Draw(t, name+".limit"),
	}
}

func drawAccount(t *rapid.T) budget.Account {
	one := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
	return budget.Account{Tenant: one("tenant", "a", "b", ""), Key: one("key", "k", "l"), User: one("user", "u", "v", ""), Operation: one("operation", "o", "p")}
}

// A Book agrees with the truth after every step, over days and months.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &truth{}
		for i := range rapid.IntRange(1, 4).Draw(t, "rules") {
			m.rules = append(m.rules, drawRule(t, fmt.Sprint("r", i)))
		}
		b, err := budget.New(budget.Config{Rules: m.rules, Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		now := noon
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				a, estimate := drawAccount(t), rapid.Int64Range(0, 120).Draw(t, "estimate")
				refused, degrade := m.decide(a, estimate, now)
				m.last++
				id := fmt.Sprint("call ", m.last)
				d := b.Reserve(id, a, estimate, now)
				if d.Refused != refused || !refused && d.Degrade != degrade {
					t.Fatalf("%+v of %+v, %d: %+v; want refused %t, degrade %t", m.rules, a, estimate, d, refused, degrade)
				}
				if !refused {
					m.calls = append(m.calls, &modelCall{id: id, of: a, estimate: estimate, made: now, until: now.Add(time.Hour)})
				}
			},
			"settle": func(t *rapid.T) {
				if len(m.calls) == 0 {
					t.Skip()
				}
				c := rapid.SampledFrom(m.calls).Draw(t, "call")
				price := rapid.Int64Range(0, 150).Draw(t, "price")
				known := !c.settled && now.Before(c.until.Add(24*time.Hour)) && len(m.matching(c.of)) > 0
				if got := b.Settle(c.id, price, now); got != known {
					t.Fatalf("Settle = %t; want %t", got, known)
				}
				if known {
					c.settled, c.price = true, price
				}
			},
			"settle for": func(t *rapid.T) {
				c := &modelCall{of: drawAccount(t), price: rapid.Int64Range(0, 50).Draw(t, "price"), made: now, settled: true}
				b.SettleFor(c.of, c.price, now)
				m.calls = append(m.calls, c)
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.SampledFrom([]int{1, 30, 59, 60, 300, 1440, 10_000}).Draw(t, "minutes")) * time.Minute)
				m.calls = slices.DeleteFunc(m.calls, func(c *modelCall) bool { return !c.settled && !now.Before(c.until.Add(24*time.Hour)) })
			},
			"": func(t *rapid.T) {
				a := drawAccount(t)
				var want []string
				for _, r := range m.matching(a) {
					spent, reserved, _ := m.standing(r, a, now)
					want = append(want, fmt.Sprint(r.Name, spent, reserved))
				}
				var got []string
				for _, s := range b.StatesOf(a, now) {
					got = append(got, fmt.Sprint(s.Rule, s.Spent, s.Reserved))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%+v: %s", a, diff)
				}
			},
		})
	})
}

// However calls overlap, cancel, last and cost, what is spent of a hard budget stays
// within the bound of the package comment: the limit, or the one estimate above it, and what calls cost above their estimates.
func TestNeverOverrun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 1000).Draw(t, "limit")
		b, err := budget.New(budget.Config{Rules: []budget.Rule{{Name: "r", Period: budget.Month, Kind: budget.Hard, MicroUSD: limit}}})
		if err != nil {
			t.Fatal(err)
		}
		open := map[string]int64{}
		var above, largest, truth int64 // what calls cost above their estimates, the largest estimate, what they cost
		now := noon
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(t *rapid.T) {
				estimate := rapid.Int64Range(0, 1500).Draw(t, "estimate")
				id := rapid.StringN(1, 8, -1).Draw(t, "id")
				if _, taken := open[id]; taken {
					t.Skip()
				}
				if !b.Reserve(id, budget.Account{}, estimate, now).Refused {
					open[id] = estimate
					largest = max(largest, estimate)
				}
			},
			"end": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip()
				}
				id := rapid.SampledFrom(slices.Sorted(maps.Keys(open))).Draw(t, "call")
				price := rapid.Int64Range(0, 2*open[id]).Draw(t, "price")
				above += max(price-open[id], 0)
				truth += price
				if !b.Settle(id, price, now) {
					t.Fatal("a reservation was lost")
				}
				delete(open, id)
				now = now.Add(time.Second)
			},
			"": func(t *rapid.T) {
				s := b.States(now)[0]
				if s.Spent != truth || s.Spent+s.Reserved > max(limit, largest)+above {
					t.Fatalf("%+v: calls cost %d, %d above their estimates, of which the largest was %d", s, truth, above, largest)
				}
			},
		})
	})
}
