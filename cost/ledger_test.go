package cost_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
)

func ExampleMemory() {
	ledger := cost.NewMemory(cost.MemoryConfig{})
	ledger.Settle(cost.Record{Tenant: "matbakh", User: "user-456", Operation: "vc-analysis", Model: "haiku", Usage: llm.Usage{Input: 1200, Output: 300}, MicroUSD: 2700})
	ledger.Settle(cost.Record{Tenant: "matbakh", User: "user-456", Operation: "vc-analysis", Model: "haiku", Usage: llm.Usage{Input: 800, Output: 100}, MicroUSD: 1300})
	for _, t := range ledger.Totals() {
		fmt.Println(t.Tenant, t.User, t.Operation, t.Model, t.Calls, t.Usage.Total(), t.MicroUSD)
	}
	// Output: matbakh user-456 vc-analysis haiku 2 2400 4000
}

func record(tenant, user string, micro int64) cost.Record {
	return cost.Record{Tenant: tenant, User: user, Operation: "op", Model: "m", Usage: llm.Usage{Input: 10, Output: 1}, MicroUSD: micro}
}

func TestTotalsAndSums(t *testing.T) {
	m := cost.NewMemory(cost.MemoryConfig{})
	m.Settle(record("b", "u2", 5))
	m.Settle(record("a", "u2", 7))
	m.Settle(record("a", "u1", 1))
	estimated := record("a", "u1", 2)
	estimated.Estimated = true
	estimated.Model = "n"
	m.Settle(estimated)
	one := func(micro int64) cost.Counts {
		return cost.Counts{Calls: 1, Usage: llm.Usage{Input: 10, Output: 1}, MicroUSD: micro}
	}
	guessed := one(2)
	guessed.Estimated = 1
	if diff := cmp.Diff([]cost.Total{
		{Tenant: "a", User: "u1", Operation: "op", Model: "m", Counts: one(1)},
		{Tenant: "a", User: "u1", Operation: "op", Model: "n", Counts: guessed},
		{Tenant: "a", User: "u2", Operation: "op", Model: "m", Counts: one(7)},
		{Tenant: "b", User: "u2", Operation: "op", Model: "m", Counts: one(5)},
	}, m.Totals()); diff != "" {
		t.Errorf("Totals (-want +got):\n%s", diff)
	}
	sum := func(calls, estimated, micro int64) cost.Counts {
		return cost.Counts{Calls: calls, Estimated: estimated, Usage: llm.Usage{Input: 10 * calls, Output: calls}, MicroUSD: micro}
	}
	if diff := cmp.Diff([]cost.Sum{{Tenant: "a", Counts: sum(3, 1, 10)}, {Tenant: "b", Counts: sum(1, 0, 5)}}, m.ByTenant()); diff != "" {
		t.Errorf("ByTenant (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]cost.Sum{
		{Tenant: "a", User: "u1", Counts: sum(2, 1, 3)},
		{Tenant: "a", User: "u2", Counts: sum(1, 0, 7)},
		{Tenant: "b", User: "u2", Counts: sum(1, 0, 5)},
	}, m.ByUser()); diff != "" {
		t.Errorf("ByUser (-want +got):\n%s", diff)
	}
	if err := m.Reserve(context.Background(), &llm.Request{}); err != nil {
		t.Errorf("Reserve: %v", err)
	}
}

func TestEmptyLedger(t *testing.T) {
	m := cost.NewMemory(cost.MemoryConfig{})
	if len(m.Totals())+len(m.ByTenant())+len(m.ByUser()) != 0 {
		t.Error("an empty ledger reports something")
	}
}

// Names come from callers: whatever they invent, the ledger keeps its size and
// loses no micro-dollar.
func TestAccountsAreBounded(t *testing.T) {
	m := cost.NewMemory(cost.MemoryConfig{MaxAccounts: 100})
	for i := range 10_000 {
		m.Settle(record("t", fmt.Sprint("user-", i), 3))
	}
	m.Settle(record("t", "user-0", 3)) // known accounts go on
	totals := m.Totals()
	if len(totals) != 101 {
		t.Fatalf("%d accounts, want 100 and the one for the others", len(totals))
	}
	last := totals[100]
	want := cost.Total{
		Tenant: cost.Other, User: cost.Other, Operation: cost.Other, Model: cost.Other, Overflow: true,
		Counts: cost.Counts{Calls: 9_900, Usage: llm.Usage{Input: 99_000, Output: 9_900}, MicroUSD: 29_700},
	}
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("the others (-want +got):\n%s", diff)
	}
	if got := sumOf(totals); got.Calls != 10_001 || got.MicroUSD != 30_003 {
		t.Errorf("%d calls and %d micro-dollars, want 10001 and 30003", got.Calls, got.MicroUSD)
	}
}

func TestDefaultMaxAccounts(t *testing.T) {
	m := cost.NewMemory(cost.MemoryConfig{})
	for i := range 100_010 {
		m.Settle(record("t", fmt.Sprint("user-", i), 1))
	}
	if got := len(m.Totals()); got != 100_001 {
		t.Errorf("%d accounts, want 100001", got)
	}
}

// A tenant may be called "other": its sum is not mixed with the overflow.
func TestTenantNamedOther(t *testing.T) {
	m := cost.NewMemory(cost.MemoryConfig{MaxAccounts: 1})
	m.Settle(cost.Record{Tenant: "other", User: "other", Operation: "other", Model: "other", MicroUSD: 1})
	m.Settle(record("t", "u", 2))
	sums := m.ByTenant()
	if len(sums) != 2 || sums[0].Overflow || sums[0].MicroUSD != 1 || !sums[1].Overflow || sums[1].MicroUSD != 2 {
		t.Errorf("ByTenant = %+v", sums)
	}
}

func TestLongNamesGetNoAccount(t *testing.T) {
	m := cost.NewMemory(cost.MemoryConfig{})
	m.Settle(record("t", strings.Repeat("x", 257), 1))
	m.Settle(record("t", strings.Repeat("x", 256), 1))
	totals := m.Totals()
	if len(totals) != 2 || totals[0].Overflow || !totals[1].Overflow {
		t.Errorf("Totals = %+v", totals)
	}
}

func TestSumsSaturate(t *testing.T) {
	m := cost.NewMemory(cost.MemoryConfig{})
	for _, micro := range []int64{math.MaxInt64, math.MaxInt64, -5} {
		r := record("t", "u", micro)
		r.Usage = llm.Usage{Input: micro, Output: micro, CacheRead: micro, CacheWrite: micro}
		m.Settle(r)
	}
	const most = math.MaxInt64
	want := cost.Counts{Calls: 3, Usage: llm.Usage{Input: most, Output: most, CacheRead: most, CacheWrite: most}, MicroUSD: most}
	if diff := cmp.Diff(want, m.Totals()[0].Counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Random records beside a plain map: the totals agree, and so do both sums.
func TestLedgerAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := cost.NewMemory(cost.MemoryConfig{MaxAccounts: 1000})
		model := map[[2]string]int64{}
		byTenant := map[string]int64{}
		for range rapid.IntRange(0, 200).Draw(t, "records") {
			tenant, user := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant"), rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "user")
			micro := rapid.Int64Range(0, 1e9).Draw(t, "micro")
			m.Settle(record(tenant, user, micro))
			model[[2]string{tenant, user}] += micro
			byTenant[tenant] += micro
		}
		got := map[[2]string]int64{}
		for _, s := range m.ByUser() {
			got[[2]string{s.Tenant, s.User}] = s.MicroUSD
		}
		if diff := cmp.Diff(model, got); diff != "" {
			t.Fatalf("by user (-want +got):\n%s", diff)
		}
		names := make([]string, 0, 3)
		for _, s := range m.ByTenant() {
			names = append(names, s.Tenant)
			if s.MicroUSD != byTenant[s.Tenant] {
				t.Fatalf("tenant %s: %d, want %d", s.Tenant, s.MicroUSD, byTenant[s.Tenant])
			}
		}
		if !slices.Equal(names, slices.Sorted(maps.Keys(byTenant))) {
			t.Fatalf("tenants %v are not sorted or not all", names)
		}
	})
}

func TestConcurrentSettle(t *testing.T) {
	m := cost.NewMemory(cost.MemoryConfig{MaxAccounts: 50})
	const workers, each = 8, 2000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				m.Settle(record("t", fmt.Sprint((i*7+w)%80), 2))
				if i%500 == 0 {
					m.Totals()
				}
			}
		})
	}
	wg.Wait()
	totals := m.Totals()
	if len(totals) != 51 {
		t.Errorf("%d accounts, want 51", len(totals))
	}
	if got := sumOf(totals); got.Calls != workers*each || got.MicroUSD != 2*workers*each || got.Usage.Input != 10*workers*each {
		t.Errorf("sum %+v, want %d calls", got, workers*each)
	}
}

func sumOf(totals []cost.Total) (sum cost.Counts) {
	for _, t := range totals {
		sum.Calls += t.Calls
		sum.MicroUSD += t.MicroUSD
		sum.Usage.Input += t.Usage.Input
	}
	return sum
}

func TestSettleOfAKnownAccountDoesNotAllocate(t *testing.T) {
	m := cost.NewMemory(cost.MemoryConfig{MaxAccounts: 1})
	known, other := record("tenant", "user", 1), record("tenant", "another", 1)
	m.Settle(known)
	for _, r := range []cost.Record{known, other} {
		if got := testing.AllocsPerRun(1000, func() { m.Settle(r) }); got != 0 {
			t.Errorf("%s: %v allocations", r.User, got)
		}
	}
}

func BenchmarkSettle(b *testing.B) {
	m := cost.NewMemory(cost.MemoryConfig{})
	records := make([]cost.Record, 1024)
	for i := range records {
		records[i] = cost.Record{Tenant: "tenant-7", User: fmt.Sprintf("user-%08d", i), Operation: "vc-analysis", Model: "eu.anthropic.claude-haiku-4-5", Usage: llm.Usage{Input: 1000, Output: 200}, MicroUSD: 2000}
	}
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			m.Settle(records[i%len(records)])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				m.Settle(records[i%len(records)])
			}
		})
	})
}

func BenchmarkTotalsOf100000(b *testing.B) {
	m := cost.NewMemory(cost.MemoryConfig{})
	for i := range 100_000 {
		m.Settle(record("t", fmt.Sprint("user-", i), 1))
	}
	for b.Loop() {
		m.Totals()
	}
}
