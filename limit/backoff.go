package limit

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is how long to pause before repetition n, counted from 0: a random time up to
// a bound that doubles from base to most (full jitter, the AWS Architecture Blog's
// "Exponential Backoff And Jitter").
func Backoff(n int, base, most time.Duration) time.Duration {
	bound := most
	if n < 62 && base<<n>>n == base { // no bit was lost
		bound = min(base<<n, most)
	}
	return rand.N(max(bound, 0) + 1)
}

// Pause waits for d and reports whether ctx was still alive at the end.
func Pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
