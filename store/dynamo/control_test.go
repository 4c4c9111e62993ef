package dynamo_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/fleet"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/store/storetest"
)

// fewer has rapid try less: each of its steps is some requests here.
func fewer(t testing.TB) {
	t.Helper()
	checks := "8"
	if long() {
		checks = "25"
	}
	old := flag.Lookup("rapid.checks").Value.String()
	must(t, flag.Set("rapid.checks", checks))
	t.Cleanup(func() { _ = flag.Set("rapid.checks", old) })
}

func TestControl(t *testing.T) {
	storetest.Fleet(t, func(t *testing.T) fleet.Store { return openStore(t, newTables(t)).Control() })
}

// A beat of a small fleet costs a write unit and a read unit.
func TestControlCosts(t *testing.T) {
	s := openStore(t, newTables(t))
	c := s.Control()
	m := fleet.Member{ID: "a", Demand: map[string]float64{"openai/gpt-4.1": 0.5, "bedrock/haiku": 0.25}, Open: []string{"openai/gpt-4.1"}}
	for n := range 5 {
		m.ID, m.Beat = fmt.Sprint("gateway ", n), uint64(n)
		_, err := c.Beat(t.Context(), m)
		must(t, err)
	}
	before := s.Stats()
	_, err := c.Beat(t.Context(), m)
	must(t, err)
	if reads, writes := used(s, before, "fleet.beat"); reads != 1 || writes != 1 {
		t.Errorf("a beat costs %v read and %v write units", reads, writes)
	}
}

// gateway is a gateway as far as it shares: a quota, a budget, and what it let pass.
type gateway struct {
	*fleet.Fleet
	quota *limit.Quota
	book  *budget.Book
	share float64
	down  int // beats that failed
	spent int64
}

const (
	quotaPerMinute = 6000
	budgetMicroUSD = 10_000
	callMicroUSD   = 10
)

// newGateway makes a gateway on a store that is its own, as a process would have it.
func newGateway(t testing.TB, id string, store fleet.Store) *gateway {
	t.Helper()
	g := &gateway{quota: limit.NewQuota(limit.QuotaConfig{RequestsPerMinute: quotaPerMinute})}
	var err error
	g.book, err = budget.New(budget.Config{Shared: true, Rules: []budget.Rule{{
		Name: "all", Tenant: "t", Period: budget.Month, Kind: budget.Hard, MicroUSD: budgetMicroUSD,
	}}})
	must(t, err)
	g.Fleet, err = fleet.New(fleet.Config{
		ID: id, Store: store,
		Demand: func(now time.Time) map[string]fleet.Demand {
			return map[string]fleet.Demand{"p/m": fleet.Demand(g.quota.Demand(now))}
		},
		SetShare: func(_ string, share float64) { g.share = share; g.quota.SetShare(time.Now(), share) },
		Changes: func(now time.Time) (all []fleet.Spending) {
			for _, c := range g.book.Changes(now) {
				all = append(all, fleet.Spending{Tenant: c.Tenant, User: c.User, At: c.At, MicroUSD: c.Spent, Reserved: c.Reserved})
			}
			return all
		},
		Spent: func(member string, all []fleet.Spending, now time.Time) {
			for _, c := range all {
				g.book.Elsewhere(member, []budget.Change{{Account: budget.Account{Tenant: c.Tenant, User: c.User}, At: c.At, Spent: c.MicroUSD, Reserved: c.Reserved}}, now)
			}
		},
	})
	must(t, err)
	return g
}

// call makes calls until the budget or the most are reached, and says how many passed.
func (g *gateway) call(most int) (passed int) {
	who := budget.Account{Tenant: "t", User: "u"}
	for range most {
		id := fmt.Sprint(g.spent)
		if g.book.Reserve(id, who, callMicroUSD, time.Now()).Refused {
			return passed
		}
		g.book.Settle(id, callMicroUSD, time.Now())
		g.spent += callMicroUSD
		passed++
	}
	return passed
}

// TestFleetsShare has two and four gateways on one table, in fair and in bad weather. All make as many calls as they may. What they spend
// together is the budget and at most what each spends within two intervals beyond it, and their shares of the quota add up to one
// at every moment.
func TestFleetsShare(t *testing.T) {
	for _, test := range []struct {
		gateways int
		bad      float64
	}{{2, 0}, {4, 0}, {4, 0.05}} {
		t.Run(fmt.Sprint(test.gateways, " gateways, ", test.bad), func(t *testing.T) {
			cfg, w := stormy(t)
			var all []*gateway
			for n := range test.gateways {
				g := newGateway(t, fmt.Sprint("g", n), openStore(t, cfg).Control())
				must(t, g.Join(t.Context()))
				all = append(all, g)
			}
			w.set(test.bad, test.bad, test.bad)
			const perBeat = 5
			over := 0
			for beats := 0; over < test.gateways; beats++ {
				if beats > 1000 {
					t.Fatal("the budget is never spent")
				}
				over = 0
				for _, g := range all {
					if g.call(perBeat) < perBeat {
						over++
					}
					if err := g.Join(t.Context()); err != nil { // one beat
						g.down++
					}
					checkShares(t, all)
				}
			}
			w.set(0, 0, 0)
			spent, failed := int64(0), 0
			for _, g := range all {
				spent += g.spent
				failed += g.down
			}
			// Each beat that failed may have let the others go on for one beat more.
			bound := int64(budgetMicroUSD + (2*test.gateways+failed)*perBeat*callMicroUSD)
			if spent < budgetMicroUSD || spent > bound {
				t.Errorf("%d gateways spent %d of %d; %d is allowed", test.gateways, spent, budgetMicroUSD, bound)
			}
			for range 60 {
				for _, g := range all {
					must(t, g.Join(t.Context()))
					checkShares(t, all)
				}
			}
			for _, g := range all {
				if equal := 1 / float64(test.gateways); g.share < equal-0.05 || g.share > equal+0.05 {
					t.Errorf("a gateway has %v of the quota", g.share)
				}
				if s := g.book.States(time.Now())[0]; s.Spent != spent {
					t.Errorf("a gateway knows of %d spent, of %d", s.Spent, spent)
				}
			}
		})
	}
}

func checkShares(t testing.TB, all []*gateway) {
	t.Helper()
	sum := 0.0
	for _, g := range all {
		sum += g.share
	}
	if sum > 1.0000001 {
		t.Fatalf("the shares add up to %v", sum)
	}
}

// Gateways go on without their tables, and take up what they missed when those are back.
func TestFleetWithoutTables(t *testing.T) {
	cfg, w := stormy(t)
	a, b := newGateway(t, "a", openStore(t, cfg).Control()), newGateway(t, "b", openStore(t, cfg).Control())
	beat := func(want bool) {
		for _, g := range []*gateway{a, b} {
			if err := g.Join(t.Context()); (err == nil) != want {
				t.Fatalf("a beat: %v", err)
			}
		}
	}
	for range 10 {
		beat(true)
	}
	w.setDown(true)
	for range 5 {
		if a.call(10) != 10 {
			t.Fatal("a gateway does not go on")
		}
		beat(false)
	}
	if a.share == 0 || b.share == 0 {
		t.Errorf("shares %v and %v", a.share, b.share)
	}
	w.setDown(false)
	for range 4 {
		beat(true)
	}
	if s := b.book.States(time.Now())[0]; s.Spent != a.spent {
		t.Errorf("%d of %d arrived", s.Spent, a.spent)
	}
}

// News of a gateway of an older version have no time; who joins hears them. What is damaged is an error all the same.
func TestNewsWithoutATime(t *testing.T) {
	cfg := newTables(t)
	c := openStore(t, cfg).Control()
	for n := range uint64(2) {
		must(t, c.Tell(t.Context(), "old", fleet.News{Number: n + 1, At: time.Now(), Spent: []fleet.Spending{{Tenant: "t", MicroUSD: 5}}}))
	}
	_, err := c.Beat(t.Context(), fleet.Member{ID: "old", Beat: 1, News: 2})
	must(t, err)
	change := func(update string, values map[string]types.AttributeValue) {
		t.Helper()
		out, err := cfg.Client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &cfg.Control})
		must(t, err)
		for _, it := range out.Items {
			if it["spent"] == nil {
				continue
			}
			_, err := cfg.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: &cfg.Control, Key: map[string]types.AttributeValue{"pk": it["pk"], "sk": it["sk"]},
				UpdateExpression: &update, ExpressionAttributeNames: map[string]string{"#a": "at"}, ExpressionAttributeValues: values,
			})
			must(t, err)
		}
	}
	change("REMOVE #a", nil)
	all, err := c.Told(t.Context(), "old", 0)
	must(t, err)
	if len(all) != 2 || !all[0].At.IsZero() || len(all[1].Spent) != 1 {
		t.Errorf("without a time: %+v", all)
	}
	heard := int64(0)
	f, err := fleet.New(fleet.Config{ID: "new", Store: c, Spent: func(_ string, all []fleet.Spending, _ time.Time) {
		for _, s := range all {
			heard += s.MicroUSD
		}
	}})
	must(t, err)
	must(t, f.Join(t.Context()))
	if heard != 10 {
		t.Errorf("who joins hears of %d of 10", heard)
	}
	change("SET #a = :a", map[string]types.AttributeValue{":a": &types.AttributeValueMemberS{Value: "noon"}})
	if all, err := c.Told(t.Context(), "old", 0); err == nil {
		t.Errorf("with a damaged time: %+v", all)
	}
}
