package limit

import "sync"

// retryBurst is how many retries a target may spend before its calls earn more.
// It lets the first failures after a quiet time be retried; 10 is what keeps 100
// calls in an outage within the budget of one tenth.
const retryBurst = 10

// RetryBudget bounds the share of calls that are repeated. Each call earns a
// fraction of a retry; a retry costs one. The zero value is full. All methods may be
// used concurrently.
type RetryBudget struct {
	mu    sync.Mutex // guards spent
	spent float64    // retries spent and not yet earned back, 0 to retryBurst
}

// Earn books one call with its share of a retry.
func (b *RetryBudget) Earn(share float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(b.spent-max(share, 0), 0)
}

// Spend takes one retry, if there is one. A negative share is no budget: every
// retry may go.
func (b *RetryBudget) Spend(share float64) bool {
	if share < 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent+1 > retryBurst {
		return false
	}
	b.spent++
	return true
}
