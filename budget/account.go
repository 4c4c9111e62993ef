package budget

import (
	"strings"
	"time"
)

// Other is the name, in States, of the account that takes the values for which there was no room.
const Other = "other"

const (
	firstSweep  = 1024
	sweepPause  = 10 * time.Second // at most so often: it looks at every account
	statesShown = 1000
)

// accountKey names one budget of one rule in one period. Periods have accounts of their
// own, so that a reservation is settled where it was made, whatever the clock did since.
type accountKey struct {
	rule                         int
	tenant, key, user, operation string // the values of "*", else what the rule says
	from                         int64  // Unix seconds
	other                        bool   // the account of values that found no room
}

// account is what was spent and reserved of it.
type account struct {
	accountKey
	of              *rule
	began, ends     time.Time
	spent, reserved int64
	holds           int // that will be settled here, also those whose lease is over
}

// accountLocked finds the account of the i-th rule for calls of a at the given time, or opens it.
func (b *Book) accountLocked(i int, a Account, at time.Time) *account {
	r := &b.rules[i]
	from, to := bounds(r.Period, at)
	key := accountKey{
		rule: i, from: from.Unix(),
		tenant: own(r.tenant, a.Tenant), key: own(r.Key, a.Key), user: own(r.User, a.User), operation: own(r.Operation, a.Operation),
	}
	if acc := b.accounts[key]; acc != nil {
		return acc
	}
	if r.starred && !b.roomLocked(key) {
		key = r.otherKey(i, key.from)
		if acc := b.accounts[key]; acc != nil {
			return acc
		}
	}
	acc := &account{accountKey: key.clone(), of: r, began: from, ends: to}
	b.accounts[acc.accountKey] = acc
	return acc
}

// otherKey names the account that values share.
func (r *rule) otherKey(i int, from int64) accountKey {
	return accountKey{
		rule: i, from: from, other: true,
		tenant: own(r.tenant, Other), key: own(r.Key, Other), user: own(r.User, Other), operation: own(r.Operation, Other),
	}
}

// roomLocked says that a new value may have an account of its own. Once values share one,
// all new ones do until the period ends: their spending could not be told apart any more.
func (b *Book) roomLocked(key accountKey) bool {
	return b.accounts[b.rules[key.rule].otherKey(key.rule, key.from)] == nil && len(b.accounts) < b.max
}

// sweepLocked drops the accounts of past periods and those in which nothing is, once there are many.
func (b *Book) sweepLocked(now time.Time) {
	if len(b.accounts) < b.sweepAt || now.Sub(b.swept).Abs() < sweepPause {
		return
	}
	for key, acc := range b.accounts {
		if acc.holds == 0 && (acc.spent == 0 || !acc.ends.After(now)) {
			delete(b.accounts, key)
		}
	}
	b.swept = now
	b.sweepAt = min(max(firstSweep, 2*len(b.accounts)), b.max)
}

// dropIdleLocked forgets those accounts in which nothing is.
func (b *Book) dropIdleLocked(accounts []*account) {
	for _, acc := range accounts {
		if acc.holds == 0 && acc.spent == 0 {
			delete(b.accounts, acc.accountKey)
		}
	}
}

// clone copies the names, which may be slices of a request.
func (k accountKey) clone() accountKey {
	k.tenant, k.key = strings.Clone(k.tenant), strings.Clone(k.key)
	k.user, k.operation = strings.Clone(k.user), strings.Clone(k.operation)
	return k
}

// room says that a call of this estimate fits. See the package comment.
func (acc *account) room(estimate int64) bool {
	limit := acc.of.MicroUSD
	if estimate > limit {
		return acc.spent == 0 && acc.holds == 0
	}
	return acc.spent < limit && estimate <= limit-acc.spent-acc.reserved
}

func (acc *account) warned() bool { return acc.spent >= acc.of.warnAt }

func (acc *account) state() State {
	return State{
		Rule: acc.of.Name, Kind: acc.of.Kind, Period: acc.of.Period,
		Tenant: acc.tenant, Key: acc.key, User: acc.user, Operation: acc.operation,
		From: acc.began, To: acc.ends, Limit: acc.of.MicroUSD, Spent: acc.spent, Reserved: acc.reserved,
		Warned: acc.warned(), Exhausted: acc.spent >= acc.of.MicroUSD,
	}
}

// decide says what becomes of a call with this estimate, without reserving it.
func decide(accounts []*account, estimate int64) Decision {
	var d Decision
	var refused, degraded, warned *account
	for _, acc := range accounts {
		full := !acc.room(estimate)
		switch {
		case full && acc.of.Kind == Hard:
			// The budget that lasts longest says when another try makes sense.
			if refused == nil || acc.ends.After(refused.ends) {
				refused = acc
			}
		case full && acc.of.Kind == Degrade && degraded == nil:
			degraded = acc
		}
		if warned == nil && (acc.warned() || full && acc.of.Kind == Soft) {
			warned = acc
		}
	}
	d.Refused, d.Degrade, d.Warn = refused != nil, degraded != nil, warned != nil
	for _, decisive := range []*account{refused, degraded, warned} {
		if decisive != nil {
			d.State = decisive.state()
			break
		}
	}
	return d
}

// account is the one whose state the decision has.
func (d *Decision) account(accounts []*account) *account {
	for _, acc := range accounts {
		if d.State.Rule == acc.of.Name {
			return acc
		}
	}
	return nil
}
