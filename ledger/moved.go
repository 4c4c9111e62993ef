package ledger

import "slices"

// A user that is erased has sums that shrink, and those of "erased" grow by as much and by what budgets did not know of. Budgets keep
// what they were told of the user, so it must not be told again of "erased".

// erase notes that a user's sums were moved, all but what is pending still. Where tenants are not told apart it cannot know how much of
// the sum that was: then moved finds out, as it does where another process erased.
func (r *refreshing) erase(tenant, user string, p *pending) {
	if r == nil || !slices.Contains(r.query.By, ByTenant) || !slices.Contains(r.query.By, ByUser) {
		return
	}
	left := map[Account]int64{}
	p.each(func(a Account, sum *Amounts) {
		if a.Tenant == tenant && a.User == user {
			group := r.query.group(&a)
			left[group] = addUp(left[group], sum.MicroUSD)
		}
	})
	moved := map[Account]int64{}
	for a, known := range r.known {
		if a.Tenant == tenant && a.User == user {
			r.known[a] = min(left[a], known)
			moved[ofErased(a)] = addUp(moved[ofErased(a)], known-r.known[a])
		}
	}
	for to, sum := range moved {
		r.known[to] = addUp(r.known[to], sum)
	}
}

// ofErased is the group to which a user's sums move.
func ofErased(a Account) Account {
	a.User = erased
	return a
}

// shrunk are the users' groups that are known to have had more, in order, by the groups to which their sums move.
func (r *refreshing) shrunk(sums map[Account]*Amounts) map[Account][]Account {
	all := map[Account][]Account{}
	for a, known := range r.known {
		if a.User != "" && a.User != erased && known > spentOf(sums, a) {
			all[ofErased(a)] = append(all[ofErased(a)], a)
		}
	}
	for _, from := range all {
		slices.SortFunc(from, func(x, y Account) int { return compareAccounts(&x, &y) })
	}
	return all
}

// moved is what budgets have to be told where the sum of to, which is a group of "erased", grew while those of from shrank: by
// what it grew beyond that, first as the users' own, of whom it can be no more than they have now. Where a sum shrank by more than
// was moved, the store was read in the midst of an erasure: that one is left for the next time. A user who was erased by another process and
// then spent as much again before anybody looked has no sum that shrank: what is beyond it is told, as the spending of "erased".
func (r *refreshing) moved(to Account, from []Account, sums map[Account]*Amounts) (fresh []Row) {
	now := spentOf(sums, to)
	more := now - r.known[to]
	users := from[:0]
	for _, a := range from {
		if gap := r.known[a] - spentOf(sums, a); gap <= more {
			more -= gap
			r.known[a] = spentOf(sums, a)
			users = append(users, a)
		}
	}
	r.known[to] = now
	for _, a := range users {
		part := min(more, r.known[a])
		more -= part
		fresh = append(fresh, told(a, part))
	}
	return append(fresh, told(to, more))
}

func spentOf(sums map[Account]*Amounts, a Account) int64 {
	if sum := sums[a]; sum != nil {
		return sum.MicroUSD
	}
	return 0
}

func told(a Account, microUSD int64) Row {
	return Row{Account: a, Amounts: Amounts{MicroUSD: microUSD}}
}
