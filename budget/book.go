package budget

import (
	"math"
	"sync"
	"time"
)

// The defaults of Config.
const (
	defaultMaxAccounts = 100_000
	// defaultLease is longer than a call takes: the default deadline of one is 45 s.
	defaultLease = 10 * time.Minute
)

const (
	// maxEstimate bounds one reservation, in micro-dollars: some 70 million dollars. Sums of 100,000 of
	// them stay within an int64.
	maxEstimate = 1 << 46
	// remember is how long a reservation whose lease has ended is known, so that the price
	// goes into the period in which it was made: the longest deadline of a call.
	remember = 24 * time.Hour
	// maxRemembered bounds those reservations.
	maxRemembered = 65_536
)

// Config configures New.
type Config struct {
	// Rules are the budgets. All that match a call apply to it.
	Rules []Rule
	// MaxAccounts bounds the budgets of single values ("*"), which is to say the memory: some
	// 300 bytes each. Values beyond it share one account of the rule, named Other, until its
	// period ends: they are refused sooner rather than not at all. Zero means 100,000.
	MaxAccounts int
	// Lease is how long a reservation lasts that is not settled: longer than any call
	// takes, or concurrent calls can overrun a budget after all. Zero means 10 minutes.
	Lease time.Duration
	// Shared has the book note what Changes gives, for the books of other gateways.
	Shared bool
}

// Book keeps the state of all budgets. All methods may be called concurrently; none blocks
// on anything but the others.
type Book struct {
	rules []rule
	lease time.Duration
	max   int

	mu       sync.Mutex // guards all below
	accounts map[accountKey]*account
	holds    map[string]*hold
	leases   leases
	ended    int       // of holds: those whose lease is over
	latest   time.Time // the latest time that the book was given
	sweepAt  int       // accounts at which those that say nothing are dropped
	swept    time.Time // when that was done last
	news     *news     // nil where nobody else is told
}

// New makes a book in which nothing is spent. The error names every fault of cfg by its configuration key.
func New(cfg Config) (*Book, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Book{lease: cfg.Lease, max: cfg.MaxAccounts, accounts: map[accountKey]*account{}, holds: map[string]*hold{}}
	if b.lease == 0 {
		b.lease = defaultLease
	}
	if b.max == 0 {
		b.max = defaultMaxAccounts
	}
	b.sweepAt = min(firstSweep, b.max)
	for _, r := range cfg.Rules {
		b.rules = append(b.rules, newRule(r))
	}
	if cfg.Shared {
		b.news = newNews()
	}
	return b, nil
}

// Rules returns the rules as they were configured.
func (b *Book) Rules() []Rule {
	rules := make([]Rule, len(b.rules))
	for i := range b.rules {
		rules[i] = b.rules[i].Rule
	}
	return rules
}

// Lease is how long a reservation lasts that is not settled.
func (b *Book) Lease() time.Duration { return b.lease }

// Matches says that a rule applies to the calls of a.
func (b *Book) Matches(a Account) bool { return b.matches(a) }

func (b *Book) matches(a Account) bool {
	for i := range b.rules {
		if b.rules[i].matches(a) {
			return true
		}
	}
	return false
}

// Reserve reserves the estimated price of a call, in micro-dollars, in every budget that applies to a,
// or in none of them where a hard one has no room. An estimate below zero counts as zero. id has to be unique among the
// reservations that are not settled; a second one under the same id takes the place of
// the first. A decision that refuses reserves nothing; every other one has to be settled. Where no rule matches, nothing is reserved and the decision is zero.
func (b *Book) Reserve(id string, a Account, microUSD int64, now time.Time) Decision {
	return b.ReserveUntil(id, a, microUSD, now, now.Add(b.lease))
}

// ReserveUntil is Reserve with a lease of its own: for calls that may take longer than others.
func (b *Book) ReserveUntil(id string, a Account, microUSD int64, now, until time.Time) Decision {
	estimate := min(max(microUSD, 0), maxEstimate)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advanceLocked(now)
	var some [8]*account // no allocation for a call that is refused
	accounts := b.matchedLocked(some[:0], a, now)
	if len(accounts) == 0 {
		return Decision{}
	}
	d := decide(accounts, estimate)
	if d.Refused {
		b.dropIdleLocked(accounts)
		return d
	}
	old := b.holds[id]
	h := b.holdLocked(id, accounts, estimate, until)
	h.made = now
	b.news.reserve(h, a)
	if old != nil {
		b.endLocked(old)
	}
	if decisive := d.account(accounts); decisive != nil {
		d.State = decisive.state()
	}
	return d
}

// Settle ends a reservation and books the call's real price, in micro-dollars, in the
// budgets and periods in which it was made: once, and in full, whatever the estimate was
// and also when the lease has ended. It is false where no such reservation is known: it was
// settled, or its lease ended more than a day ago. Then nothing is booked: see SettleFor.
func (b *Book) Settle(id string, microUSD int64, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advanceLocked(now)
	h := b.holds[id]
	if h == nil {
		return false
	}
	for _, acc := range h.accounts {
		acc.spent = addUp(acc.spent, microUSD)
	}
	b.news.spend(h.of, microUSD, h.made)
	b.endLocked(h)
	return true
}

// SettleFor books a price, in micro-dollars, for which nothing was reserved, in every
// budget that applies to a, in the period of at.
func (b *Book) SettleFor(a Account, microUSD int64, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spendLocked(a, microUSD, at)
	if b.news != nil && b.matches(a) {
		b.news.spend(a, microUSD, at)
	}
}

// Restore is SettleFor for what was spent before the book was made. What belongs to a period that had ended by the latest time the
// book was given is left out.
func (b *Book) Restore(a Account, at time.Time, microUSD int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spendLocked(a, microUSD, at)
}

// Advance tells the book the time: leases that are over end. Reserve and Settle do the same.
func (b *Book) Advance(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advanceLocked(now)
}

func (b *Book) spendLocked(a Account, microUSD int64, at time.Time) {
	if microUSD <= 0 {
		return
	}
	b.sweepLocked(b.latest)
	for i := range b.rules {
		if r := &b.rules[i]; r.matches(a) {
			if _, to := bounds(r.Period, at); to.After(b.latest) {
				acc := b.accountLocked(i, a, at)
				acc.spent = addUp(acc.spent, microUSD)
			}
		}
	}
}

// matchedLocked appends the accounts that apply to a at now, in the order of the rules.
func (b *Book) matchedLocked(accounts []*account, a Account, now time.Time) []*account {
	b.sweepLocked(now) // before any account is found that it might drop
	for i := range b.rules {
		if b.rules[i].matches(a) {
			accounts = append(accounts, b.accountLocked(i, a, now))
		}
	}
	return accounts
}

// addUp adds b, or nothing if it is negative, and sticks at the largest value.
func addUp(a, b int64) int64 {
	if b <= 0 {
		return a
	}
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
