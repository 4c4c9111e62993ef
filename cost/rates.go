package cost

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// USD is the currency of every amount that is kept; other currencies are for showing
// amounts and for limits that are set in them.
const USD = "USD"

// Rate is what a dollar is worth in another currency from a day on.
type Rate struct {
	// Currency is an ISO 4217 code: three capital letters.
	Currency string
	// From is when the rate begins to hold.
	From time.Time
	// Micro is the value of one dollar in millionths of the currency: ₹83 are 83,000,000.
	Micro int64
	// Source says where the rate comes from, for people.
	Source string
}

// Rates are dated exchange rates. The zero Rates know dollars alone. They are not changed
// by their methods, which may be called concurrently.
type Rates struct {
	all []Rate // by currency, then by From
}

// defaultRates are yearly averages of the US Internal Revenue Service up to 2024 and
// reference rates of the European Central Bank for single days after that, for rupees
// across the euro. They go stale: whoever shows amounts in another currency, or sets
// limits in one, gives rates of his own.
var defaultRates = [...]struct {
	currency, from string
	micro          int64
	source         string
}{
	{"EUR", "2023-01-01", 924_000, "IRS, yearly averages of 2023 and 2024"},
	{"EUR", "2025-02-28", 960_523, "ECB reference rate of that day: 1.0411 USD"},
	{"EUR", "2025-06-30", 853_242, "ECB reference rate of that day: 1.1720 USD"},
	{"INR", "2023-01-01", 82_572_000, "IRS, yearly average of 2023"},
	{"INR", "2024-01-01", 83_677_000, "IRS, yearly average of 2024"},
	{"INR", "2025-12-31", 89_870_000, "ECB reference rates of that day"},
	{"INR", "2026-03-05", 91_650_000, "ECB reference rates of that day"},
}

// DefaultRates returns the rates that are built in.
func DefaultRates() Rates {
	var all []Rate
	for _, r := range defaultRates {
		from, err := time.Parse(time.DateOnly, r.from)
		if err != nil {
			continue // a test reads every date
		}
		all = append(all, Rate{Currency: r.currency, From: from, Micro: r.micro, Source: r.source})
	}
	rates, _ := NewRates(all) // a test checks them
	return rates
}

// NewRates returns rates, in any order, or every fault of them, joined: codes that are
// none, rates that are not above zero, two rates of a currency from the same moment on.
func NewRates(all []Rate) (Rates, error) {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Rate) int {
		if c := strings.Compare(a.Currency, b.Currency); c != 0 {
			return c
		}
		return a.From.Compare(b.From)
	})
	var faults []error
	for i, r := range sorted {
		switch {
		case !validCurrency(r.Currency):
			faults = append(faults, fmt.Errorf("rates: %.20q is not a currency: three capital letters, such as INR", r.Currency))
		case r.Currency == USD:
			faults = append(faults, errors.New("rates: USD is what the others are compared with, and has no rate"))
		case r.Micro <= 0:
			faults = append(faults, fmt.Errorf("rates: %s from %s: the rate is not above zero", r.Currency, r.From.Format(time.DateOnly)))
		case i > 0 && r.Currency == sorted[i-1].Currency && r.From.Equal(sorted[i-1].From):
			faults = append(faults, fmt.Errorf("rates: %s has two rates from %s", r.Currency, r.From.Format(time.DateOnly)))
		}
	}
	if len(faults) > 0 {
		return Rates{}, errors.Join(faults...)
	}
	return Rates{all: sorted}, nil
}

func validCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// With returns r with other's rates instead of its own for every currency that other has.
func (r Rates) With(other Rates) Rates {
	all := slices.Clone(other.all)
	for _, rate := range r.all {
		if !slices.ContainsFunc(other.all, func(o Rate) bool { return o.Currency == rate.Currency }) {
			all = append(all, rate)
		}
	}
	merged, _ := NewRates(all) // both are in order, and no currency is in both
	return merged
}

// All returns every rate, by currency and date. The slice is the caller's.
func (r Rates) All() []Rate { return slices.Clone(r.all) }

// Currencies returns the codes that Convert knows, USD first. The slice is the caller's.
func (r Rates) Currencies() []string {
	codes := []string{USD}
	for _, rate := range r.all {
		if codes[len(codes)-1] != rate.Currency {
			codes = append(codes, rate.Currency)
		}
	}
	return codes
}

// At returns the rate of a currency that holds at a moment; before its first rate, that
// one. It is false for a currency without rates, USD among them.
func (r Rates) At(currency string, at time.Time) (Rate, bool) {
	var found Rate
	ok := false
	for _, rate := range r.all {
		if rate.Currency == currency && (!ok || !rate.From.After(at)) {
			found, ok = rate, true
		}
	}
	return found, ok
}

// Convert gives an amount of micro-dollars in millionths of a currency, at the rate that
// holds at a moment. It is exact but for one rounding at the end, to the nearest
// millionth, halves away from zero, so that an amount and its negative stay each other's
// negative; sums are converted after they are summed. What no int64 holds is the largest
// or smallest that it does. The error is for a currency without a rate and names those
// that have one.
func (r Rates) Convert(microUSD int64, currency string, at time.Time) (int64, error) {
	if currency == USD {
		return microUSD, nil
	}
	rate, ok := r.At(currency, at)
	if !ok {
		return 0, fmt.Errorf("no exchange rate for %.20q: there are rates for %s", currency, strings.Join(r.Currencies(), ", "))
	}
	return scale(microUSD, rate.Micro, microPerUnit), nil
}

// ToUSD is the way back: what an amount of a currency, in millionths, is in micro-dollars.
// It rounds as Convert does.
func (r Rates) ToUSD(micro int64, currency string, at time.Time) (int64, error) {
	if currency == USD {
		return micro, nil
	}
	rate, ok := r.At(currency, at)
	if !ok {
		return 0, fmt.Errorf("no exchange rate for %.20q: there are rates for %s", currency, strings.Join(r.Currencies(), ", "))
	}
	return scale(micro, microPerUnit, rate.Micro), nil
}

// scale is amount * by / per, rounded to the nearest, halves away from zero. by and per
// are above zero.
func scale(amount, by, per int64) int64 {
	negative := amount < 0
	size := uint64(amount)
	if negative {
		size = -size // also right for the smallest int64
	}
	s := sum128{}
	s.hi, s.lo = bits.Mul64(size, uint64(by))
	// Halves: half of an odd divisor lies between two values, and the lower one is right.
	s.add(0, uint64(per)/2)
	if s.hi >= uint64(per) {
		return saturated(negative)
	}
	quotient, _ := bits.Div64(s.hi, s.lo, uint64(per))
	switch {
	case negative && quotient > math.MaxInt64:
		return saturated(negative)
	case negative:
		return -int64(quotient)
	case quotient > math.MaxInt64:
		return math.MaxInt64
	}
	return int64(quotient)
}

func saturated(negative bool) int64 {
	if negative {
		return math.MinInt64
	}
	return math.MaxInt64
}
