package cost_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/cost"
)

func rates(t *testing.T, all ...cost.Rate) cost.Rates {
	t.Helper()
	r, err := cost.NewRates(all)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ExampleRates_Convert() {
	// The specification counts with 83 rupees to the dollar: 15 rupees a student are
	// 180,723 micro-dollars.
	rates, err := cost.NewRates([]cost.Rate{{Currency: "INR", Micro: 83_000_000}})
	if err != nil {
		fmt.Println(err)
		return
	}
	rupees, _ := rates.Convert(65_000_000, "INR", time.Now())
	dollars, _ := rates.ToUSD(15_000_000, "INR", time.Now())
	fmt.Printf("₹%d.%02d, %d micro-dollars\n", rupees/1_000_000, rupees%1_000_000/10_000, dollars)
	// Output: ₹5395.00, 180723 micro-dollars
}

func TestRatesByDate(t *testing.T) {
	r := rates(t,
		cost.Rate{Currency: "INR", From: day("2026-06-01"), Micro: 92_000_000},
		cost.Rate{Currency: "EUR", From: day("2026-01-01"), Micro: 850_000},
		cost.Rate{Currency: "INR", From: day("2026-01-01"), Micro: 90_000_000},
	)
	for _, tt := range []struct {
		amount   int64
		currency string
		at       time.Time
		want     int64
	}{
		{1_000_000, "USD", day("2026-01-01"), 1_000_000},
		{1_000_000, "INR", day("2025-01-01"), 90_000_000}, // before the first: the first
		{1_000_000, "INR", day("2026-05-31"), 90_000_000},
		{1_000_000, "INR", day("2026-06-01"), 92_000_000},
		{1_000_000, "EUR", day("2030-01-01"), 850_000},
		{10, "EUR", day("2026-01-01"), 9}, // 8.5, halves away from zero
		{-10, "EUR", day("2026-01-01"), -9},
		{1, "EUR", day("2026-01-01"), 1}, // 0.85
		{0, "EUR", day("2026-01-01"), 0},
		{math.MaxInt64, "INR", day("2026-01-01"), math.MaxInt64},
		{math.MinInt64, "INR", day("2026-01-01"), math.MinInt64},
	} {
		if got, err := r.Convert(tt.amount, tt.currency, tt.at); err != nil || got != tt.want {
			t.Errorf("Convert(%d, %s, %s) = %d, %v, want %d", tt.amount, tt.currency, tt.at.Format(time.DateOnly), got, err, tt.want)
		}
	}
	for _, convert := range []func(int64, string, time.Time) (int64, error){r.Convert, r.ToUSD} {
		if _, err := convert(1, "GBP", time.Now()); err == nil || !strings.Contains(err.Error(), "USD, EUR, INR") {
			t.Errorf("unknown currency: %v", err)
		}
	}
	if got := r.Currencies(); !slices.Equal(got, []string{"USD", "EUR", "INR"}) {
		t.Error(got)
	}
	if _, ok := r.At("USD", time.Now()); ok {
		t.Error("USD has a rate")
	}
	if _, err := (cost.Rates{}).Convert(1, "USD", time.Now()); err != nil {
		t.Error(err)
	}
}

// The result is the nearest value, halves away from zero, by arithmetic without bounds.
func TestConvertAgainstBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.OneOf(rapid.Int64Range(1, math.MaxInt64), rapid.Int64Range(1, 200_000_000)).Draw(t, "rate")
		amount := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1_000_000_000, 1_000_000_000)).Draw(t, "amount")
		r, err := cost.NewRates([]cost.Rate{{Currency: "INR", Micro: rate}})
		if err != nil {
			t.Fatal(err)
		}
		check := func(name string, got, by, per int64) {
			two := new(big.Int).Mul(big.NewInt(amount), big.NewInt(by))
			two.Abs(two).Mul(two, big.NewInt(2)).Add(two, big.NewInt(per))
			two.Div(two, new(big.Int).Mul(big.NewInt(per), big.NewInt(2)))
			if amount < 0 {
				two.Neg(two)
			}
			want := int64(math.MaxInt64)
			if two.IsInt64() {
				want = two.Int64()
			} else if amount < 0 {
				want = math.MinInt64
			}
			if got != want {
				t.Fatalf("%s of %d at %d: %d, want %d", name, amount, rate, got, want)
			}
		}
		to, _ := r.Convert(amount, "INR", time.Time{})
		check("Convert", to, rate, 1_000_000)
		back, _ := r.ToUSD(amount, "INR", time.Time{})
		check("ToUSD", back, 1_000_000, rate)
	})
}

func TestNewRatesFaults(t *testing.T) {
	_, err := cost.NewRates([]cost.Rate{
		{Currency: "inr", Micro: 1},
		{Currency: "RUPEES", Micro: 1},
		{Currency: "USD", Micro: 1_000_000},
		{Currency: "EUR", From: day("2026-01-01")},
		{Currency: "INR", From: day("2026-01-01"), Micro: -1},
		{Currency: "JPY", From: day("2026-01-01"), Micro: 150_000_000},
		{Currency: "JPY", From: day("2026-01-01"), Micro: 151_000_000},
	})
	for _, want := range []string{`"inr" is not a currency`, `"RUPEES" is not`, "USD is what", "EUR from 2026-01-01: the rate is not above zero", "INR from", "JPY has two rates from 2026-01-01"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %q in %v", want, err)
		}
	}
}

func TestDefaultRates(t *testing.T) {
	r := cost.DefaultRates()
	if got := r.Currencies(); !slices.Equal(got, []string{"USD", "EUR", "INR"}) {
		t.Fatal(got)
	}
	all := r.All()
	if len(all) != 7 { // one that cannot be read would be missing
		t.Errorf("%d rates", len(all))
	}
	for _, rate := range all {
		if rate.Source == "" || rate.From.IsZero() || rate.Micro < 500_000 || rate.Micro > 200_000_000 {
			t.Errorf("%+v", rate)
		}
	}
	all[0].Micro = 1
	if cmp.Equal(all, r.All()) {
		t.Error("All shares its slice")
	}
}

func TestRatesWith(t *testing.T) {
	own := rates(t, cost.Rate{Currency: "INR", Micro: 83_000_000}, cost.Rate{Currency: "JPY", Micro: 150_000_000})
	r := cost.DefaultRates().With(own)
	if got := r.Currencies(); !slices.Equal(got, []string{"USD", "EUR", "INR", "JPY"}) {
		t.Error(got)
	}
	if got, err := r.Convert(1_000_000, "INR", day("2026-11-01")); err != nil || got != 83_000_000 {
		t.Error(got, err)
	}
	eur, _ := r.Convert(1_000_000, "EUR", day("2026-11-01"))
	if usual, _ := cost.DefaultRates().Convert(1_000_000, "EUR", day("2026-11-01")); eur != usual {
		t.Errorf("euros changed: %d, %d", eur, usual)
	}
}
