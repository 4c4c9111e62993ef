package limit

import "sync"

// The budget has to hold in whatever 1,000 calls one looks at: burst + 1,000 x what a
// call earns <= 1,000 x share. So what may be spent ahead is taken off what is earned.
const (
	// retryBurst is how many retries may be spent ahead of their calls at most: the
	// first failures after a quiet time are repeated.
	retryBurst = 10
	// burstCalls is how many calls a budget's burst is earned by at the least.
	burstCalls = 100
	// budgetCalls is from how many calls on retries are at most the share of calls.
	budgetCalls = 1000
)

// DefaultBudgets is how many tenants have a budget of their own where the number is 0.
const DefaultBudgets = 10_000

// RetryBudget bounds the share of calls that are repeated: among any 1,000 or more
// calls in a row there are at most share x calls retries, in an outage too. (With a
// share below 0.002 that holds among 2/share calls: one retry is always possible.)
// Each call earns a part of a retry; a retry costs one. The zero value is full. All
// methods may be used concurrently; the share should be the same in all calls.
type RetryBudget struct {
	mu    sync.Mutex // guards spent
	spent float64    // retries spent and not yet earned back, 0 to retryBurst
}

// Earn books one call. The share is how many retries there may be per call, such as
// 0.1; 0 and less earn nothing.
func (b *RetryBudget) Earn(share float64) {
	if !(share > 0) { // NaN included
		return
	}
	earned := max(share-burst(share)/budgetCalls, share/2)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(b.spent-earned, 0)
}

// Spend takes one retry, if there is one, and says whether it did. A share of 0 allows
// none. A negative share is no budget: every retry may go.
func (b *RetryBudget) Spend(share float64) bool {
	switch {
	case share < 0:
		return true
	case !(share > 0):
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent+1 > burst(share) {
		return false
	}
	b.spent++
	return true
}

// burst is how many retries a full budget allows at once: what 100 calls bring, at
// least 1.
func burst(share float64) float64 {
	return min(max(share*burstCalls, 1), retryBurst)
}

// RetryBudgets are the budgets of tenants, so that one tenant's failures do not use up
// the retries of others. It may be used concurrently; NewRetryBudgets makes it.
type RetryBudgets struct {
	max    int
	shared RetryBudget

	mu     sync.RWMutex // guards tenants, not what the budgets hold
	tenant map[string]*RetryBudget
}

// NewRetryBudgets makes budgets for up to max tenants: those that come later share
// one, so that made-up names cannot fill the memory. Zero or less means DefaultBudgets.
func NewRetryBudgets(max int) *RetryBudgets {
	if max <= 0 {
		max = DefaultBudgets
	}
	return &RetryBudgets{max: max, tenant: map[string]*RetryBudget{}}
}

// Of is the budget of a tenant, from now on always the same one. Callers without a
// tenant have the budget of the empty name.
func (b *RetryBudgets) Of(tenant string) *RetryBudget {
	b.mu.RLock()
	budget, full := b.tenant[tenant], len(b.tenant) >= b.max
	b.mu.RUnlock()
	switch {
	case budget != nil:
		return budget
	case full:
		return &b.shared
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if budget := b.tenant[tenant]; budget != nil {
		return budget
	}
	if len(b.tenant) >= b.max {
		return &b.shared
	}
	budget = new(RetryBudget)
	b.tenant[tenant] = budget
	return budget
}
