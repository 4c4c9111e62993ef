package policychain_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/bench/policychain"
	"github.com/forebay-ai/forebay/limit"
)

func forebay(t testing.TB, quota limit.QuotaConfig) policychain.Chain {
	t.Helper()
	chain, err := policychain.Forebay(quota)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func chains(t testing.TB) map[string]policychain.Chain {
	return map[string]policychain.Chain{
		"chain/forebay":           forebay(t, limit.QuotaConfig{}),
		"chain/forebay-quota":     forebay(t, limit.QuotaConfig{TokensPerMinute: 1_000_000_000, RequestsPerMinute: 1_000_000_000}),
		"chain/failsafe-adaptive": policychain.FailsafeAdaptive(),
		"chain/failsafe-bulkhead": policychain.FailsafeBulkhead(),
		"chain/failsafe-short":    policychain.FailsafeShort(),
		"breaker/forebay":         policychain.ForebayBreaker(),
		"breaker/gobreaker":       policychain.Gobreaker(),
		"breaker/gobreaker-5m":    policychain.GobreakerWindow(),
	}
}

func well(context.Context) error { return nil }

// What is measured does its work: calls pass, failures are repeated where there are
// retries, and a target that fails always is soon left alone.
func TestChainsDoTheirWork(t *testing.T) {
	for name := range chains(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chain := chains(t)[name]
				for range 100 {
					if err := chain(t.Context(), well); err != nil {
						t.Fatal(err)
					}
				}
				calls := 0
				err := chain(t.Context(), func(context.Context) error {
					if calls++; calls > 1 {
						return nil
					}
					return policychain.ErrFailed
				})
				if retries := name[0] == 'c'; (err == nil) != retries || calls > 2 {
					t.Errorf("one failure: %v after %d calls", err, calls)
				}
				calls = 0
				for range 100 {
					if err := chain(t.Context(), func(context.Context) error { calls++; return policychain.ErrFailed }); err == nil {
						t.Fatal("no error of a target that fails")
					}
				}
				if calls > 100 { // with retries alone 400
					t.Errorf("%d calls of targets that fail always", calls)
				}
			})
		})
	}
}

// Calls above the slots wait for one, and their deadline ends the wait.
func TestSlots(t *testing.T) {
	for _, name := range []string{"chain/forebay", "chain/failsafe-adaptive", "chain/failsafe-bulkhead"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chain := chains(t)[name]
				most, busy := 0, 0
				done := make(chan error, 15)
				for range 15 {
					go func() {
						done <- chain(t.Context(), func(context.Context) error {
							busy++ // one goroutine at a time runs in this test's bubble: the others sleep
							most = max(most, busy)
							time.Sleep(time.Second)
							busy--
							return nil
						})
					}()
					synctest.Wait()
				}
				for range 15 {
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
				if most > 20 { // ten at each of two targets
					t.Errorf("%d at once", most)
				}
			})
		})
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := forebay(t, limit.QuotaConfig{})(ctx, func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkPolicies(b *testing.B) {
	all := chains(b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		chain := all[name]
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := chain(ctx, well); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPoliciesParallel(b *testing.B) {
	all := chains(b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		chain := all[name]
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := chain(ctx, well); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkClient is Forebay's whole request path around the same policies, for
// information.
func BenchmarkClient(b *testing.B) {
	chain, stop, err := policychain.Client()
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	b.ReportAllocs()
	for b.Loop() {
		if err := chain(b.Context(), well); err != nil {
			b.Fatal(err)
		}
	}
}
