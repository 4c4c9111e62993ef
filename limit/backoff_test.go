package limit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/limit"
)

func TestBackoff(t *testing.T) {
	const base, most = 100 * time.Millisecond, 5 * time.Second
	for n := range 100 {
		bound := most
		if n < 6 {
			bound = base << n
		}
		var longest time.Duration
		for range 1000 {
			d := limit.Backoff(n, base, most)
			if d < 0 || d > bound {
				t.Fatalf("repetition %d: %s is outside 0 to %s", n, d, bound)
			}
			longest = max(longest, d)
		}
		if longest < bound*9/10 {
			t.Errorf("repetition %d: none of 1,000 came near %s: %s", n, bound, longest)
		}
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !limit.Pause(t.Context(), time.Second) || time.Since(began) != time.Second {
			t.Errorf("paused for %s", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if limit.Pause(ctx, time.Minute) || limit.Pause(ctx, 0) {
			t.Error("an ended context is not told")
		}
	})
}
