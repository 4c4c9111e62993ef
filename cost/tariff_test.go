package cost_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
)

func day(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

// stepped is a tariff that is cut on 1 October and has a second band since.
func stepped() cost.Tariff {
	return cost.Tariff{
		Steps: []cost.Step{
			{Bands: []cost.Band{{Price: cost.Price{Input: 3_000_000, Output: 15_000_000}}}},
			{From: day("2026-10-01"), Bands: []cost.Band{
				{UpTo: 200_000, Price: cost.Price{Input: 2_000_000, Output: 10_000_000, CacheRead: 200_000, CacheWrite: 2_500_000, CacheWriteHour: 4_000_000}},
				{Price: cost.Price{Input: 4_000_000, Output: 15_000_000, CacheRead: 400_000, CacheWrite: 5_000_000, CacheWriteHour: 8_000_000}},
			}},
		},
		Variants: map[cost.Tier][]cost.Step{cost.Batch: {{Bands: []cost.Band{{Price: cost.Price{Input: 1_000_000, Output: 5_000_000}}}}}},
	}
}

func ExampleTariff_MicroUSD() {
	tariff := stepped()
	u := llm.Usage{Input: 1000, Output: 100}
	fmt.Println(tariff.MicroUSD(u, day("2026-09-30")), "micro-dollars in September")
	fmt.Println(tariff.MicroUSD(u, day("2026-10-01")), "micro-dollars in October")
	fmt.Println(tariff.CallMicroUSD(cost.Call{Usage: u, Tier: cost.Batch, At: day("2026-10-01")}), "micro-dollars in a batch")
	// Output:
	// 4500 micro-dollars in September
	// 3000 micro-dollars in October
	// 1500 micro-dollars in a batch
}

func TestTariffBoundaries(t *testing.T) {
	tariff, october := stepped(), day("2026-10-01")
	for name, tt := range map[string]struct {
		at     time.Time
		prompt int64
		want   int64
	}{
		"before everything":          {time.Time{}.AddDate(-1, 0, 0), 1, 3_000_000},
		"the last nanosecond before": {october.Add(-1), 1, 3_000_000},
		"the moment itself":          {october, 1, 2_000_000},
		"in another zone":            {october.In(time.FixedZone("IST", 5*3600+1800)), 1, 2_000_000},
		"as long as the band":        {october, 200_000, 2_000_000},
		"one token longer":           {october, 200_001, 4_000_000},
		"the longest":                {october, math.MaxInt64, 4_000_000},
		"negative":                   {october, -1, 2_000_000},
	} {
		if got := tariff.PriceAt(tt.at, tt.prompt).Input; got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	if got := (cost.Tariff{}).PriceAt(october, 1); !got.IsZero() {
		t.Errorf("the zero tariff costs %+v", got)
	}
	if got := (cost.Tariff{Steps: []cost.Step{{}}}).PriceAt(october, 1); !got.IsZero() {
		t.Errorf("a step without bands costs %+v", got)
	}
	bounded := cost.Tariff{Steps: []cost.Step{{Bands: []cost.Band{{UpTo: 5, Price: cost.Price{Input: 7}}}}}}
	if got := bounded.PriceAt(october, 10).Input; got != 7 {
		t.Errorf("a prompt longer than every band costs %d", got)
	}
}

// The whole prompt decides the band, what a cache had included, and the whole call is
// charged by it.
func TestCachedTokensCountForTheBand(t *testing.T) {
	tariff, october := stepped(), day("2026-10-01")
	short := llm.Usage{Input: 100_000, CacheRead: 50_000, CacheWrite: 50_000, Output: 10}
	if got, want := tariff.MicroUSD(short, october), int64(200_000+10_000+125_000+100); got != want {
		t.Errorf("200,000 tokens: %d, want %d", got, want)
	}
	long := llm.Usage{Input: 100_000, CacheRead: 50_001, CacheWrite: 50_000, Output: 10}
	if got, want := tariff.MicroUSD(long, october), int64(400_000+20_000+250_000+150); got != want {
		t.Errorf("200,001 tokens: %d, want %d", got, want)
	}
	endless := llm.Usage{Input: math.MaxInt64, CacheRead: math.MaxInt64, CacheWrite: 1}
	if got := tariff.MicroUSD(endless, october); got != math.MaxInt64 {
		t.Errorf("endless: %d", got)
	}
}

func TestHourWrites(t *testing.T) {
	tariff, october := stepped(), day("2026-10-01")
	u := llm.Usage{CacheWrite: 1_000}
	for hour, want := range map[int64]int64{-5: 2_500, 0: 2_500, 400: 3_100, 1_000: 4_000, 5_000: 4_000} {
		if got := tariff.CallMicroUSD(cost.Call{Usage: u, HourWrites: hour, At: october}); got != want {
			t.Errorf("%d for an hour: %d, want %d", hour, got, want)
		}
	}
	plain := cost.Price{CacheWrite: 2_500_000} // without a price for an hour
	if got := plain.MicroUSDWithHour(u, 1_000); got != 2_500 {
		t.Errorf("without a price of its own: %d", got)
	}
	most := cost.Price{Input: math.MaxInt64, Output: math.MaxInt64, CacheRead: math.MaxInt64, CacheWrite: math.MaxInt64, CacheWriteHour: math.MaxInt64}
	all := llm.Usage{Input: math.MaxInt64, Output: math.MaxInt64, CacheRead: math.MaxInt64, CacheWrite: math.MaxInt64}
	if got := most.MicroUSDWithHour(all, math.MaxInt64/2); got != math.MaxInt64 {
		t.Errorf("everything at its most: %d", got)
	}
}

func TestTiers(t *testing.T) {
	tariff := stepped()
	if !tariff.Has(cost.Batch) || tariff.Has(cost.Flex) || !tariff.Has("") || !tariff.Has(cost.Standard) {
		t.Error("Has is wrong")
	}
	at, u := day("2026-10-02"), llm.Usage{Input: 1000}
	for tier, want := range map[cost.Tier]int64{"": 2000, cost.Standard: 2000, cost.Batch: 1000, cost.Flex: 2000, "odd": 2000} {
		if got := tariff.CallMicroUSD(cost.Call{Usage: u, Tier: tier, At: at}); got != want {
			t.Errorf("%q: %d, want %d", tier, got, want)
		}
	}
	if !(cost.Tariff{}).IsZero() || tariff.IsZero() || cost.Fixed(cost.Price{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestTariffValidate(t *testing.T) {
	if err := stepped().Validate(); err != nil {
		t.Error(err)
	}
	bad := cost.Tariff{
		Steps: []cost.Step{
			{From: day("2026-10-01"), Bands: []cost.Band{{UpTo: 10}}},
			{From: day("2026-10-01"), Bands: []cost.Band{{Price: cost.Price{CacheWriteHour: -1}}, {UpTo: 20}, {UpTo: 20}, {}}},
			{From: day("2026-09-01")},
		},
		Variants: map[cost.Tier][]cost.Step{"fast": {{}}, cost.Standard: nil, cost.Flex: {}},
	}
	err := bad.Validate()
	for _, want := range []string{
		"standard, step 1, band 1: the last band has no bound", "standard, step 2: it begins on 2026-10-01, not after",
		"standard, step 2, band 1: only the last", "standard, step 2, band 1: a price is negative", "step 2, band 3: it ends at 20",
		"standard, step 3: no prices", `"fast" is not a tier`, `"standard" is not a tier`, "flex: no prices",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %q in %v", want, err)
		}
	}
}

// A tariff without bands and steps is a price, and more of anything never costs less
// within one band.
func TestTariffProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<40)
		p := cost.Price{Input: n.Draw(t, "i"), Output: n.Draw(t, "o"), CacheRead: n.Draw(t, "r"), CacheWrite: n.Draw(t, "w")}
		u := llm.Usage{Input: n.Draw(t, "ui"), Output: n.Draw(t, "uo"), CacheRead: n.Draw(t, "ur"), CacheWrite: n.Draw(t, "uw")}
		at := time.Unix(rapid.Int64Range(-1<<35, 1<<35).Draw(t, "at"), 0)
		got := cost.Fixed(p).MicroUSD(u, at)
		if want := p.MicroUSD(u); got != want {
			t.Fatalf("fixed: %d, want %d", got, want)
		}
		more := u.Plus(llm.Usage{Input: n.Draw(t, "mi"), Output: n.Draw(t, "mo"), CacheRead: n.Draw(t, "mr")})
		if p.MicroUSD(more) < got {
			t.Fatalf("%+v costs less than %+v", more, u)
		}
		p.CacheWriteHour = rapid.Int64Range(p.CacheWrite, 1<<41).Draw(t, "hour")
		hour := n.Draw(t, "hours")
		if with := p.MicroUSDWithHour(u, hour); with < got {
			t.Fatalf("dearer writes cost less: %d, %d", with, got)
		}
	})
}

func TestEstimateCall(t *testing.T) {
	p := cost.Price{Input: 2_000_000, Output: 10_000_000, CacheRead: 200_000, CacheWrite: 2_500_000}
	for _, tt := range []struct {
		price          cost.Price
		prompt, output int
		want           int64
	}{
		{p, 4_000, 500, 2_500 + 5_000},
		{p, 3_997, 500, 2_500 + 5_000}, // a started token counts
		{cost.Price{Input: 2_000_000, Output: 10_000_000}, 4_000, 500, 2_000 + 5_000},
		{p, -1, -1, 0},
		{p, 0, 0, 0},
		{cost.Price{}, 4_000, 500, 0},
		{p, math.MaxInt, math.MaxInt, math.MaxInt64},
	} {
		if got := cost.EstimateCall(tt.price, tt.prompt, tt.output); got != tt.want {
			t.Errorf("EstimateCall(%+v, %d, %d) = %d, want %d", tt.price, tt.prompt, tt.output, got, tt.want)
		}
	}
	// An estimate is not below what a call of that size costs, whatever the cache does.
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<30)
		price := cost.Price{Input: n.Draw(t, "i"), Output: n.Draw(t, "o"), CacheWrite: n.Draw(t, "w")}
		price.CacheRead = rapid.Int64Range(0, price.Input).Draw(t, "r")
		prompt, output := rapid.IntRange(0, 1<<20).Draw(t, "prompt"), rapid.IntRange(0, 1<<16).Draw(t, "output")
		tokens := cost.Estimate(prompt, 0).Input
		fresh := rapid.Int64Range(0, tokens).Draw(t, "fresh")
		read := rapid.Int64Range(0, tokens-fresh).Draw(t, "read")
		u := llm.Usage{Input: fresh, CacheRead: read, CacheWrite: tokens - fresh - read, Output: rapid.Int64Range(0, int64(output)).Draw(t, "written")}
		if got, is := cost.EstimateCall(price, prompt, output), price.MicroUSD(u); got < is {
			t.Fatalf("estimate %d is below %d", got, is)
		}
	})
	tariff := stepped()
	if got, want := tariff.Estimate(800_004, 0, day("2026-10-01")), int64(5_000_000)*200_001/1_000_000; got != want {
		t.Errorf("Estimate beyond the band: %d, want %d", got, want)
	}
}

func TestTariffDoesNotAllocate(t *testing.T) {
	tariff, at, u := stepped(), day("2026-11-01"), llm.Usage{Input: 1200, Output: 300}
	if n := testing.AllocsPerRun(100, func() {
		_ = tariff.MicroUSD(u, at)
		_ = tariff.CallMicroUSD(cost.Call{Usage: u, Tier: cost.Batch, At: at})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTariffMicroUSD(b *testing.B) {
	tariff, at, u := stepped(), day("2026-11-01"), llm.Usage{Input: 1200, Output: 300, CacheRead: 8000}
	b.ReportAllocs()
	for b.Loop() {
		if tariff.MicroUSD(u, at) == 0 {
			b.Fatal("free")
		}
	}
}
