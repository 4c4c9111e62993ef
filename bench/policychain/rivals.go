package policychain

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/sony/gobreaker/v2"
)

// retry is failsafe-go's retry policy with Forebay's settings, budget included.
func retry() failsafe.Policy[any] {
	return retrypolicy.NewBuilder[any]().WithMaxRetries(retries).WithBackoff(retryBase, retryCap).WithJitterFactor(0.5).
		WithBudget(budget.NewBuilder().WithMaxRate(retryShare).Build()).Build()
}

// failsafeBreaker opens by the rate within five minutes: failsafe-go has one rule at a time.
func failsafeBreaker() failsafe.Policy[any] {
	return circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(failureRate, minVolume, 5*time.Minute).WithDelay(time.Second).
		WithSuccessThreshold(3).Build()
}

// run is a chain of failsafe-go's.
func run(policies ...failsafe.Policy[any]) Chain {
	executor := failsafe.With(policies...)
	return func(ctx context.Context, call Call) error {
		return executor.WithContext(ctx).RunWithExecution(func(e failsafe.Execution[any]) error { return call(e.Context()) })
	}
}

// FailsafeBulkhead is failsafe-go with retries, a breaker, a fixed number of slots with a
// line in front, and a deadline.
func FailsafeBulkhead() Chain {
	return run(timeout.New[any](deadline), retry(), failsafeBreaker(), bulkhead.NewBuilder[any](slots).WithMaxWaitTime(deadline).Build())
}

// FailsafeAdaptive is failsafe-go with retries, a breaker, an adaptive number of slots
// with a line in front, and a deadline: what comes nearest to Forebay's.
func FailsafeAdaptive() Chain {
	return run(timeout.New[any](deadline), retry(), failsafeBreaker(),
		adaptivelimiter.NewBuilder[any]().WithLimits(1, slots, slots).WithQueueing(2, 3).Build())
}

// FailsafeShort is failsafe-go's shortest chain: retries, a breaker that only counts
// failures in a row, and slots; no budget, no line, no deadline.
func FailsafeShort() Chain {
	return run(retrypolicy.NewBuilder[any]().WithMaxRetries(retries).WithBackoff(retryBase, retryCap).Build(),
		circuitbreaker.NewBuilder[any]().WithFailureThreshold(consecutive).Build(), bulkhead.New[any](slots))
}

// Gobreaker is sony/gobreaker as it comes: counts without a window.
func Gobreaker() Chain {
	return alone(gobreaker.Settings{Name: "alone"})
}

// GobreakerWindow is sony/gobreaker with counts over five minutes in steps of ten seconds, as
// Forebay's breaker keeps them.
func GobreakerWindow() Chain {
	return alone(gobreaker.Settings{
		Name: "alone", MaxRequests: 3, Interval: 5 * time.Minute, BucketPeriod: 10 * time.Second, Timeout: time.Second,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= consecutive || c.Requests >= minVolume && float64(c.TotalFailures) > failureRate*float64(c.Requests)
		},
	})
}

func alone(settings gobreaker.Settings) Chain {
	b := gobreaker.NewCircuitBreaker[struct{}](settings)
	return func(ctx context.Context, call Call) error {
		_, err := b.Execute(func() (struct{}, error) { return struct{}{}, call(ctx) })
		return err
	}
}
