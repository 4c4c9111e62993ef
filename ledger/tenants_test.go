package ledger_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
)

// Budgets of users are restored for each tenant's own, also by a rule that names no tenant.
func TestRestoreByTenant(t *testing.T) {
	s := ledgertest.NewMemory()
	users := budget.Rule{Name: "users", User: "*", Period: budget.Month, Kind: budget.Hard, MicroUSD: 100}
	l := open(t, s, users)
	for tenant, cost := range map[string]int64{"a": 90, "b": 20} {
		if err := l.Track(ledger.Account{Tenant: tenant, User: "u"}, cost, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, l)
	for _, l := range []*ledger.Ledger{l, open(t, s, users)} {
		for tenant, cost := range map[string]int64{"a": 90, "b": 20, "c": 0} {
			states := l.BudgetsOf(budget.Account{Tenant: tenant, User: "u"}, time.Now())
			if len(states) != 1 || states[0].Spent != cost || states[0].Tenant != tenant {
				t.Errorf("%s: %+v", tenant, states)
			}
			own := l.BudgetsOfTenant(tenant, time.Now())
			if cost > 0 && (len(own) != 1 || own[0].Spent != cost) || cost == 0 && len(own) != 0 {
				t.Errorf("%s: %+v", tenant, own)
			}
		}
	}
	without, err := ledger.Open(t.Context(), ledger.Config{Store: s})
	if err != nil || without.BudgetsOfTenant("a", time.Now()) != nil {
		t.Errorf("%v", err)
	}
}
