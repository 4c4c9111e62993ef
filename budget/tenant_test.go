package budget_test

import (
	"fmt"
	"testing"

	"github.com/forebay-ai/forebay/budget"
	"github.com/google/go-cmp/cmp"
)

// What "*" stands for is a tenant's own: no tenant spends the budget of another's user, key or operation of the same name.
func TestStarredValuesAreATenantsOwn(t *testing.T) {
	for _, r := range []budget.Rule{{User: "*"}, {Key: "*"}, {Operation: "*"}} {
		r.Name, r.Period, r.Kind, r.MicroUSD = "own", budget.Day, budget.Hard, 100
		b := newBook(t, r)
		a := budget.Account{Tenant: "a", Key: "k", User: "u", Operation: "o"}
		other := a
		other.Tenant = "b"
		b.SettleFor(a, 100, noon)
		if d := b.Reserve("1", other, 10, noon); d.Refused {
			t.Errorf("%+v: another tenant's budget is spent: %+v", r, d.State)
		}
		if d := b.Reserve("2", a, 10, noon); !d.Refused || d.State.Tenant != "a" {
			t.Errorf("%+v: %+v", r, d)
		}
		if s := b.StatesOf(other, noon); len(s) != 1 || s[0].Tenant != "b" || s[0].Reserved != 10 {
			t.Errorf("%+v: %+v", r, s)
		}
	}
}

// A small tenant sees its budgets, however many dearer ones there are of others.
func TestStatesOfTenant(t *testing.T) {
	rule := func(name, tenant, user string) budget.Rule {
		return budget.Rule{Name: name, Tenant: tenant, User: user, Period: budget.Day, Kind: budget.Soft, MicroUSD: 100}
	}
	b := newBook(t, rule("all", "", ""), rule("each", "*", ""), rule("users", "", "*"), rule("small", "small", ""), rule("large", "large", ""),
		rule("asha", "", "asha"))
	for n := range 1500 {
		b.SettleFor(budget.Account{Tenant: "large", User: fmt.Sprint("u", n)}, 50, noon)
	}
	b.SettleFor(budget.Account{Tenant: "small", User: "u1"}, 1, noon)
	b.SettleFor(budget.Account{}, 2, noon)
	states := func(tenant string) (list []string) {
		for _, s := range b.StatesOfTenant(tenant, noon) {
			list = append(list, fmt.Sprintf("%s %s/%s %d", s.Rule, s.Tenant, s.User, s.Spent))
		}
		return list
	}
	if diff := cmp.Diff([]string{"each small/ 1", "users small/u1 1", "small small/ 1"}, states("small")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"each / 2", "users / 2"}, states("")); diff != "" { // without a tenant
		t.Error(diff)
	}
	if n := len(states("large")); n != 1000+2 {
		t.Errorf("%d budgets of the large tenant", n)
	}
	if got := states("nobody"); got != nil {
		t.Errorf("%q", got)
	}
	if diff := cmp.Diff([]string{"small small/ 0"}, func() (list []string) { // nothing is spent of it
		for _, s := range newBook(t, rule("small", "small", ""), rule("all", "", "")).StatesOfTenant("small", noon) {
			list = append(list, fmt.Sprintf("%s %s/%s %d", s.Rule, s.Tenant, s.User, s.Spent))
		}
		return list
	}()); diff != "" {
		t.Error(diff)
	}
}

// The account of the values for which there was no room belongs to no tenant.
func TestOtherIsNoTenants(t *testing.T) {
	b, err := budget.New(budget.Config{MaxAccounts: 1, Rules: []budget.Rule{{Name: "users", User: "*", Period: budget.Day, Kind: budget.Soft, MicroUSD: 100}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		b.SettleFor(budget.Account{Tenant: "t", User: fmt.Sprint("u", n)}, 1, noon)
	}
	if s := b.StatesOfTenant(budget.Other, noon); len(s) != 0 {
		t.Errorf("%+v", s)
	}
	if s := b.States(noon); len(s) != 2 || s[0].Tenant != budget.Other || s[0].Spent != 2 {
		t.Errorf("%+v", s)
	}
}
