package limit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/forebay-ai/forebay/limit"
	"pgregory.net/rapid"
)

// TestRetryBudgetHoldsFromAnyStart draws any mixture of calls and failures, and looks at
// all stretches of 1,000 calls and more in it: retries are at most their share.
func TestRetryBudgetHoldsFromAnyStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.SampledFrom([]float64{0.002, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2}).Draw(t, "share")
		var b limit.RetryBudget
		var retries []int // before each call
		total := 0
		for range rapid.IntRange(1, 6).Draw(t, "phases") {
			tries := rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "tries a call")
			every := rapid.IntRange(1, 20).Draw(t, "every")
			for n := range rapid.IntRange(1, 1500).Draw(t, "calls") {
				retries = append(retries, total)
				b.Earn(share)
				for range tries {
					if n%every == 0 && b.Spend(share) {
						total++
					}
				}
			}
		}
		retries = append(retries, total)
		const least = 1000
		worst := 0.0 // the most that a stretch which may end here has gained on its share
		for end := least; end < len(retries); end++ {
			begin := end - least
			worst = min(worst, float64(retries[begin])-share*float64(begin))
			if over := float64(retries[end]) - share*float64(end) - worst; over > 1e-6 {
				t.Fatalf("%.2f retries more than %v of the calls, up to call %d", over, share, end)
			}
		}
	})
}

// TestRetryBudgetInAnOutage: 1,000 requests that all fail, from full and from empty
// budgets, make at most 1,100 calls.
func TestRetryBudgetInAnOutage(t *testing.T) {
	for _, before := range []int{0, 5000} {
		var b limit.RetryBudget
		for range before {
			b.Earn(0.1)
			b.Spend(0.1)
		}
		calls := 0
		for range 1000 {
			b.Earn(0.1)
			calls++
			for range 3 {
				if b.Spend(0.1) {
					calls++
				}
			}
		}
		if calls > 1100 || calls < 1085 {
			t.Errorf("%d calls for 1,000 requests after an outage of %d", calls, before)
		}
	}
}

// The first failures after a quiet time are repeated, and 200 good calls after an
// outage are quiet enough for all ten of them.
func TestRetryBudgetAfterAQuietTime(t *testing.T) {
	for share, want := range map[float64]int{0.001: 1, 0.01: 1, 0.02: 2, 0.1: 10, 1: 10, -1: 20, 0: 0} {
		var b limit.RetryBudget
		for round := range 2 {
			got := 0
			for range 20 {
				if b.Spend(share) {
					got++
				}
			}
			if got != want {
				t.Errorf("share %v, round %d: %d retries at once, want %d", share, round, got, want)
			}
			for range 3000 {
				b.Earn(share)
			}
		}
	}
}

func TestRetryBudgetConcurrently(t *testing.T) {
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
	if n := spent.Load(); n < 900 || n > 910 {
		t.Errorf("%d retries for 10,000 calls, want 10 and 0.09 a call", n)
	}
}

func TestRetryBudgets(t *testing.T) {
	b := limit.NewRetryBudgets(2)
	a, c := b.Of("a"), b.Of("c")
	if a == c || b.Of("a") != a || b.Of("c") != c {
		t.Error("two tenants share a budget, or one has two")
	}
	rest := b.Of("x")
	if rest == a || rest == c || b.Of("y") != rest || b.Of("a") != a {
		t.Error("those over the bound do not share one budget")
	}
	for range 20 {
		rest.Spend(0.1)
	}
	if b.Of("z").Spend(0.1) || !a.Spend(0.1) {
		t.Error("the shared budget is not shared, or is everybody's")
	}
	if n := testing.AllocsPerRun(100, func() { b.Of("c"); b.Of("unknown") }); n != 0 {
		t.Errorf("%v allocations to look budgets up", n)
	}
	zero := limit.NewRetryBudgets(0)
	for i := range limit.DefaultBudgets + 10 {
		zero.Of(fmt.Sprint(i))
	}
	if zero.Of("9999") == zero.Of("10000") || zero.Of("10000") != zero.Of("10001") {
		t.Error("zero is not 10,000 budgets")
	}
}

// Whoever asks for one tenant at once gets one budget.
func TestRetryBudgetsConcurrently(t *testing.T) {
	b := limit.NewRetryBudgets(50)
	var wg sync.WaitGroup
	var got [8][100]*limit.RetryBudget
	for i := range got {
		wg.Go(func() {
			for n := range got[i] {
				got[i][n] = b.Of(fmt.Sprint(n))
			}
		})
	}
	wg.Wait()
	own := map[*limit.RetryBudget]bool{}
	for n := range got[0] {
		for i := range got {
			if again := b.Of(fmt.Sprint(n)); got[i][n] != again {
				t.Fatalf("tenant %d has two budgets", n)
			}
			own[got[i][n]] = true
		}
	}
	if len(own) != 51 {
		t.Errorf("%d budgets, want 50 and the shared one", len(own))
	}
}

func ExampleRetryBudget() {
	var b limit.RetryBudget
	calls := 0
	for range 1000 { // every request fails, and would be tried again three times
		b.Earn(0.1)
		calls++
		for tries := 0; tries < 3 && b.Spend(0.1); tries++ {
			calls++
		}
	}
	fmt.Println(calls, "calls for 1,000 requests")
	// Output: 1099 calls for 1,000 requests
}

func BenchmarkRetryBudget(b *testing.B) {
	budgets := limit.NewRetryBudgets(0)
	b.ReportAllocs()
	for b.Loop() {
		budgets.Of("tenant").Earn(0.1)
	}
}
