package ledger_test

import (
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest/ledgertest"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func ExampleAllocate() {
	fmt.Println(ledger.Allocate(100, map[string]int64{"asha": 1, "ravi": 1, "meera": 1}))
	// Output: map[asha:34 meera:33 ravi:33]
}

func TestAllocate(t *testing.T) {
	for _, test := range []struct {
		total        int64
		driver, want map[string]int64
	}{
		{10, map[string]int64{"a": 1}, map[string]int64{"a": 10}},
		{10, map[string]int64{"a": 1, "b": 2}, map[string]int64{"a": 3, "b": 7}},
		{10, map[string]int64{"a": 1, "b": 0, "c": -5}, map[string]int64{"a": 10, "b": 0, "c": 0}},
		{-10, map[string]int64{"a": 1, "b": 2}, map[string]int64{"a": -3, "b": -7}},
		{0, map[string]int64{"a": 1}, map[string]int64{"a": 0}},
		{10, nil, map[string]int64{"other": 10}},
		{10, map[string]int64{"a": 0}, map[string]int64{"other": 10}},
		{math.MaxInt64, map[string]int64{"a": math.MaxInt64, "b": math.MaxInt64}, map[string]int64{"a": 1 << 62, "b": 1<<62 - 1}},
		{math.MinInt64, map[string]int64{"a": 3, "b": 1}, map[string]int64{"a": -3 << 61, "b": -1 << 61}},
	} {
		if diff := cmp.Diff(test.want, ledger.Allocate(test.total, test.driver)); diff != "" {
			t.Errorf("%d by %v: %s", test.total, test.driver, diff)
		}
	}
}

// The parts add up exactly, and none is a whole unit from its exact share.
func TestAllocateProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64().Draw(t, "total")
		driver := rapid.MapOfN(rapid.String(), rapid.Int64Range(0, math.MaxInt64), 1, 20).Draw(t, "driver")
		sum := new(big.Int)
		for _, n := range driver {
			sum.Add(sum, big.NewInt(n))
		}
		if sum.Sign() == 0 {
			t.Skip()
		}
		given := new(big.Int)
		for name, part := range ledger.Allocate(total, driver) {
			given.Add(given, big.NewInt(part))
			// |part*sum - total*driver| < sum
			off := new(big.Int).Mul(big.NewInt(part), sum)
			off.Sub(off, new(big.Int).Mul(big.NewInt(total), big.NewInt(driver[name])))
			if off.CmpAbs(sum) >= 0 {
				t.Fatalf("%q gets %d of %d for %d of %v", name, part, total, driver[name], sum)
			}
		}
		if given.Cmp(big.NewInt(total)) != 0 {
			t.Fatalf("%v of %d are given", given, total)
		}
	})
}

func TestAllocated(t *testing.T) {
	l := open(t, ledgertest.NewMemory())
	for i := range 3 {
		user := fmt.Sprint("u", i)
		for range i + 1 {
			l.Settle(record(call("1", "t", user, 1), 1))
		}
		if err := l.Track(ledger.Account{Tenant: "t", User: user}, 0, int64(10-5*i), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		a    ledger.Allocation
		want []ledger.Share
	}{
		{ledger.Allocation{Driver: ledger.ByRequests}, []ledger.Share{{"u2", 3, 50}, {"u1", 2, 33}, {"u0", 1, 17}}},
		{ledger.Allocation{Driver: ledger.ByTokens}, []ledger.Share{{"u2", 9, 50}, {"u1", 6, 33}, {"u0", 3, 17}}},
		{ledger.Allocation{Driver: ledger.ByCompute}, []ledger.Share{{"u0", 10, 67}, {"u1", 5, 33}, {"u2", 0, 0}}},
		{ledger.Allocation{Driver: ledger.ByWeights, Weights: map[string]int64{"x": 1, "y": 3}}, []ledger.Share{{"y", 3, 75}, {"x", 1, 25}}},
		{ledger.Allocation{Driver: ledger.ByRequests, From: time.Now().AddDate(1, 0, 0)}, []ledger.Share{{"other", 0, 100}}},
	} {
		test.a.MicroUSD, test.a.By = 100, ledger.ByUser
		got, err := l.Allocated(t.Context(), test.a)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("by %s: %s", test.a.Driver, diff)
		}
	}
	for _, a := range []ledger.Allocation{{Driver: "weather", By: ledger.ByUser}, {Driver: ledger.ByRequests, By: "weather"}} {
		if _, err := l.Allocated(t.Context(), a); llm.KindOf(err) != llm.CallerInvalidRequest {
			t.Errorf("%v", err)
		}
	}
}

// The specification's own figures: 65 dollars a month instead of 150, for 1,000 students.
func ExampleAnalysis_Text() {
	day := func(month time.Month) time.Time { return time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC) }
	const usd = 1_000_000
	a := ledger.Analyse([]ledger.Row{
		{Account: ledger.Account{Provider: "bedrock"}, Amounts: ledger.Amounts{
			Calls: 40_000, MicroUSD: 30 * usd, ComputeMicroUSD: 24 * usd, StorageMicroUSD: 11 * usd,
		}},
		{Account: ledger.Account{Provider: string(ledger.ByCache)}, Amounts: ledger.Amounts{Hits: 60_000, SavedMicroUSD: 70 * usd}},
		{Account: ledger.Account{Provider: string(ledger.BySharing)}, Amounts: ledger.Amounts{Hits: 9_000, SavedMicroUSD: 10 * usd}},
		{Account: ledger.Account{Provider: string(ledger.ByCheaperModel)}, Amounts: ledger.Amounts{SavedMicroUSD: 5 * usd}},
	})
	a.From, a.To, a.Users = day(time.November), day(time.December), 1000
	fmt.Print(a.Text(nil))
	// Output:
	// from 2026-11-01 to 2026-11-30, 40000 calls
	//
	// models                   $30.00
	// compute                  $24.00
	// storage                  $11.00
	// with optimisation        $65.00
	// saved by the cache       $70.00
	// saved by shared calls    $10.00
	// saved by cheaper models  $5.00
	// without optimisation     $150.00
	// reduction                56.7 %
	// per user (1000)          $0.065
}

func TestText(t *testing.T) {
	got := ledger.Analysis{ModelsMicroUSD: 1, ComputeMicroUSD: 1_100_000, StorageMicroUSD: -2_000_010, EstimatedMicroUSD: 1}.Text(nil)
	want := "models                   $0.000001\ncompute                  $1.10\nstorage                  $-2.00001\n" +
		"with optimisation        $0.00\nsaved by the cache       $0.00\nsaved by shared calls    $0.00\nsaved by cheaper models  $0.00\n" +
		"without optimisation     $0.00\nreduction                0.0 %\nof it estimated          $0.000001\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	rupees := ledger.Analysis{ModelsMicroUSD: 2_000_000}.Text(func(micro int64) string { return fmt.Sprint("₹", micro*83/1_000_000) })
	if want := "models                   ₹166\n"; rupees[:len(want)] != want {
		t.Errorf("%s", rupees)
	}
}
