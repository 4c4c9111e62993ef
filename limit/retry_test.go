package limit_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/forebay-ai/forebay/limit"
)

// TestRetryBudget has a target that fails from the first call on: retries are the
// share of calls that was granted, and the burst.
func TestRetryBudget(t *testing.T) {
	var b limit.RetryBudget
	var spent atomic.Int64
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 1000 {
				b.Earn(0.1)
				if b.Spend(0.1) {
					spent.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := spent.Load(); n < 990 || n > 1010 {
		t.Errorf("%d retries for 10,000 calls, want a tenth and at most 10 more", n)
	}
	if !b.Spend(-1) {
		t.Error("a negative share is a budget")
	}
	none := limit.RetryBudget{}
	for range 10 {
		none.Spend(0)
	}
	if none.Earn(-5); none.Spend(0) {
		t.Error("more than the burst without anything earned")
	}
}
