package budget

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// States returns every budget in the period of now: in the order of the rules, and of a
// rule's the one first of which the largest share is spent. Budgets of single values ("*") are there once
// something was reserved or spent in them, and the first 1,000 of each rule.
func (b *Book) States(now time.Time) []State {
	return b.states(now, func(*rule, *account) bool { return true })
}

// StatesOfTenant returns what States does of the budgets that are a tenant's alone: those of rules that name it, and those
// that it, or its users, keys and operations, have for themselves ("*"). Budgets that several tenants share are not
// among them. The bound of 1,000 a rule is the tenant's own. It looks at every account, as States does.
func (b *Book) StatesOfTenant(tenant string, now time.Time) []State {
	return b.states(now, func(r *rule, acc *account) bool {
		switch {
		case acc == nil:
			return r.Tenant == tenant && tenant != ""
		case r.tenant == each:
			return acc.tenant == tenant && !acc.other
		}
		return r.tenant == tenant && tenant != ""
	})
}

// states returns the wanted budgets in the period of now. wanted must not use b; the account it is asked about is nil for a
// rule in whose budget nothing is.
func (b *Book) states(now time.Time, wanted func(*rule, *account) bool) []State {
	b.mu.Lock()
	b.advanceLocked(now)
	groups := make([][]State, len(b.rules))
	for _, acc := range b.accounts {
		if !now.Before(acc.began) && now.Before(acc.ends) && wanted(acc.of, acc) {
			groups[acc.rule] = append(groups[acc.rule], acc.state())
		}
	}
	b.mu.Unlock()
	var all []State
	for i, states := range groups {
		if r := &b.rules[i]; len(states) == 0 && !r.starred && wanted(r, nil) {
			states = []State{r.unused(r.Account(), now)}
		}
		slices.SortFunc(states, func(a, b State) int {
			return cmp.Or(cmp.Compare(b.Spent, a.Spent), cmp.Compare(b.Reserved, a.Reserved), strings.Compare(a.Tenant, b.Tenant),
				strings.Compare(a.Key, b.Key), strings.Compare(a.User, b.User), strings.Compare(a.Operation, b.Operation))
		})
		all = append(all, states[:min(len(states), statesShown)]...)
	}
	return all
}

// StatesOf returns the budgets that apply to a, in the order of the rules, in the period of now.
func (b *Book) StatesOf(a Account, now time.Time) []State {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advanceLocked(now)
	accounts := b.matchedLocked(nil, a, now)
	states := make([]State, len(accounts))
	for i, acc := range accounts {
		states[i] = acc.state()
	}
	b.dropIdleLocked(accounts)
	return states
}

// Share is what is spent of the budget: 0 and above, 1 where it is just spent.
func (s State) Share() float64 {
	if s.Limit <= 0 {
		return 0
	}
	return float64(s.Spent) / float64(s.Limit)
}

// Fits says that an estimate would have room if no call were in progress: that a refusal
// may pass before the period ends.
func (s State) Fits(microUSD int64) bool {
	sum, carry := bits.Add64(uint64(max(s.Spent, 0)), uint64(max(microUSD, 0)), 0)
	if carry == 0 && s.Spent < s.Limit && sum <= uint64(max(s.Limit, 0)) {
		return true
	}
	return s.Spent == 0 && microUSD > s.Limit
}

// Starred says that values have budgets of their own: that some member is "*".
func (r Rule) Starred() bool {
	return r.Tenant == each || r.Key == each || r.User == each || r.Operation == each
}

// Account gives the members that say whose calls a rule is about.
func (r Rule) Account() Account {
	return Account{Tenant: r.Tenant, Key: r.Key, User: r.User, Operation: r.Operation}
}

// unused is the state of a budget of which nothing is spent.
func (r *rule) unused(a Account, now time.Time) State {
	from, to := bounds(r.Period, now)
	acc := account{of: r, began: from, ends: to, accountKey: accountKey{tenant: a.Tenant, key: a.Key, user: a.User, operation: a.Operation}}
	return acc.state()
}
