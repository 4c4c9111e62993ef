package budget

import (
	"errors"
	"fmt"
	"math"
	"time"
)

const (
	// maxRules bounds what one call is compared with.
	maxRules = 1000
	// mostAccounts bounds what can be configured: 10 million accounts are some 3 GB.
	mostAccounts = 10_000_000
	maxLease     = 7 * 24 * time.Hour // the longest deadline of a job
	defaultWarn  = 0.8
)

// each is the value of a rule's member that gives each value a budget of its own.
const each = "*"

// rule is a Rule as it is worked with.
type rule struct {
	Rule
	starred bool // some member is "*"
	// tenant is Rule's, but "*" where another member is and none is named: names of users, keys and
	// operations are a tenant's own, and nobody may spend the budget of another tenant's user.
	tenant string
	warnAt int64 // spent, from which on it is said
}

func newRule(r Rule) rule {
	warn := r.Warn
	if warn == 0 {
		warn = defaultWarn
	}
	at := math.Ceil(warn * float64(r.MicroUSD))
	made := rule{Rule: r, warnAt: r.MicroUSD, starred: r.Starred()}
	made.tenant = r.Tenant
	if made.starred && r.Tenant == "" {
		made.tenant = each
	}
	if at < float64(r.MicroUSD) {
		made.warnAt = max(int64(at), 1)
	}
	return made
}

// matches says that the rule applies to calls of a. A call without a user has the empty user for one:
// leaving a name out evades no budget.
func (r *rule) matches(a Account) bool {
	return fits(r.Tenant, a.Tenant) && fits(r.Key, a.Key) && fits(r.User, a.User) && fits(r.Operation, a.Operation)
}

func fits(pattern, value string) bool { return pattern == "" || pattern == each || pattern == value }

// own is value where each has a budget of its own, else what the rule says.
func own(pattern, value string) string {
	if pattern == each {
		return value
	}
	return pattern
}

// bounds are the beginning and the end of the period that at is in. The end is exclusive.
func bounds(p Period, at time.Time) (from, to time.Time) {
	year, month, day := at.UTC().Date()
	if p == Month {
		from = time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		return from, from.AddDate(0, 1, 0)
	}
	from = time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	return from, from.AddDate(0, 0, 1)
}

// Validate reports every fault at once, each with its configuration key, or nil.
func (cfg Config) Validate() error {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if n := len(cfg.Rules); n > maxRules {
		fault("budgets", "%d budgets are too many; use up to %d", n, maxRules)
	}
	if n := cfg.MaxAccounts; n < 0 || n > mostAccounts {
		fault("budgets.max_accounts", "%d is outside 0 to %d", n, mostAccounts)
	}
	if cfg.Lease < 0 || cfg.Lease > maxLease {
		fault("budgets.lease", "%v is outside 0 to %v", cfg.Lease, maxLease)
	}
	names := map[string]bool{}
	for _, r := range cfg.Rules {
		at := "budgets." + r.Name
		if r.Name == "" {
			fault("budgets", "a budget has no name")
		}
		if names[r.Name] {
			fault(at, "two budgets have this name")
		}
		names[r.Name] = true
		if err := r.validate(at); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (r Rule) validate(at string) error {
	var faults []error
	if r.Period != Day && r.Period != Month {
		faults = append(faults, fmt.Errorf("%s.period: %q is not a period; use %s or %s", at, r.Period, Day, Month))
	}
	if r.Kind != Soft && r.Kind != Hard && r.Kind != Degrade {
		faults = append(faults, fmt.Errorf("%s.kind: %q is not a kind; use %s, %s or %s", at, r.Kind, Soft, Hard, Degrade))
	}
	if r.MicroUSD <= 0 {
		faults = append(faults, fmt.Errorf("%s.usd: a budget has to be above zero", at))
	}
	if !(r.Warn >= 0 && r.Warn <= 1) { // also where it is no number
		faults = append(faults, fmt.Errorf("%s.warn: %v is outside 0 to 1", at, r.Warn))
	}
	return errors.Join(faults...)
}
