package cost

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/llm"
)

// microPerUnit is both: micro-dollars in a dollar, and tokens in the unit that
// prices are given for.
const microPerUnit = 1_000_000

// Price is what a model charges, in micro-dollars per million tokens of each
// kind: $0.25 per million is 250,000. The zero Price costs nothing. Negative
// members count as zero.
type Price struct {
	// Input is the price of prompt tokens that no prompt cache had.
	Input int64
	// Output is the price of tokens that the model wrote.
	Output int64
	// CacheRead and CacheWrite are the prices of prompt tokens read from, and
	// written to, the provider's prompt cache, for the time that it keeps them where
	// nothing else is asked for.
	CacheRead, CacheWrite int64
	// CacheWriteHour is the price of prompt tokens written to stay for an hour. Zero
	// means that they cost what CacheWrite says.
	CacheWriteHour int64
}

// IsZero reports whether every member is zero: tokens are counted and cost nothing.
func (p Price) IsZero() bool { return p == Price{} }

// MicroUSD is the price of u in micro-dollars. The four products are summed in
// 128 bits and rounded once, halves up. The result is never negative; one that no
// int64 holds is math.MaxInt64. Negative counts are taken as zero.
func (p Price) MicroUSD(u llm.Usage) int64 { return p.MicroUSDWithHour(u, 0) }

// MicroUSDWithHour is MicroUSD where hour tokens of u.CacheWrite, and at most all of
// them, were written to stay for an hour.
func (p Price) MicroUSDWithHour(u llm.Usage, hour int64) int64 {
	if p.CacheWriteHour <= 0 {
		hour = 0
	}
	hour = max(0, min(hour, u.CacheWrite))
	var s sum128
	s.addProduct(p.Input, u.Input)
	s.addProduct(p.Output, u.Output)
	s.addProduct(p.CacheRead, u.CacheRead)
	s.addProduct(p.CacheWrite, u.CacheWrite-hour)
	s.addProduct(p.CacheWriteHour, hour)
	return s.perMillion()
}

// sum128 is an unsigned sum. Four products of non-negative int64 values and the
// rounding term fit: 4 * (2^63-1)^2 is below 2^128 by 2^66. Of five products, those of
// the two kinds of cache writes share one count, and are together no more than one.
type sum128 struct{ hi, lo uint64 }

func (s *sum128) addProduct(a, b int64) {
	if a <= 0 || b <= 0 {
		return
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	s.add(hi, lo)
}

func (s *sum128) add(hi, lo uint64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry)
}

// perMillion divides by a million, rounds halves up and saturates.
func (s sum128) perMillion() int64 {
	s.add(0, microPerUnit/2)
	if s.hi >= microPerUnit { // the quotient needs more than 64 bits
		return math.MaxInt64
	}
	quotient, _ := bits.Div64(s.hi, s.lo, microPerUnit)
	return int64(min(quotient, math.MaxInt64))
}

// ParseDollars reads an amount such as "0.25", "15", "1e-2" or "$3.75" and gives
// it in micro-dollars: the unit of Price's members where the amount is a price per
// million tokens. It refuses amounts that are negative, finer than a micro-dollar
// (more than six decimals), or more than an int64 holds. It never goes through a
// floating-point number.
func ParseDollars(amount string) (int64, error) {
	micro, exact, err := parseDecimal(amount)
	switch {
	case err != nil:
		return 0, err
	case !exact:
		return 0, fmt.Errorf("amount %q is finer than a micro-dollar: at most six decimals", shorten(amount))
	}
	return micro, nil
}

// FromDollars is ParseDollars for a number that a decoder has already read: it
// takes the shortest decimal that reads back as the same number, so 0.075 is
// 75,000 and nothing else. What is finer than a micro-dollar is rounded, halves
// up, because numbers that were computed (7.5e-8 a token, times a million) carry
// a tail that nobody wrote.
func FromDollars(amount float64) (int64, error) {
	micro, _, err := parseDecimal(strconv.FormatFloat(amount, 'e', -1, 64))
	return micro, err
}

// ParsePrice makes a Price from four amounts in dollars per million tokens, each
// as ParseDollars reads it. An empty amount is zero.
func ParsePrice(input, output, cacheRead, cacheWrite string) (Price, error) {
	var p Price
	for _, part := range []struct {
		name, amount string
		into         *int64
	}{
		{"input", input, &p.Input},
		{"output", output, &p.Output},
		{"cache read", cacheRead, &p.CacheRead},
		{"cache write", cacheWrite, &p.CacheWrite},
	} {
		if part.amount == "" {
			continue
		}
		micro, err := ParseDollars(part.amount)
		if err != nil {
			return Price{}, fmt.Errorf("%s price: %w", part.name, err)
		}
		*part.into = micro
	}
	return p, nil
}

// parseDecimal reads a decimal number as micro-units, halves rounded up. exact
// says that nothing was rounded away.
func parseDecimal(amount string) (micro int64, exact bool, err error) {
	digits, exponent, err := splitDecimal(amount)
	if err != nil || digits == "" {
		return 0, err == nil, err
	}
	// The amount is digits * 10^exponent millionths, and digits has no zero in front.
	whole := len(digits) + exponent // digits before the point
	switch {
	case whole > maxDigits:
		return 0, false, errTooLarge(amount)
	case whole < 0:
		return 0, false, nil
	}
	kept, rest := digits, ""
	if exponent < 0 {
		kept, rest = digits[:whole], digits[whole:]
	} else {
		kept += strings.Repeat("0", exponent)
	}
	micro, err = strconv.ParseInt("0"+kept, 10, 64)
	roundUp := rest != "" && rest[0] >= '5'
	if err != nil || (roundUp && micro == math.MaxInt64) {
		return 0, false, errTooLarge(amount)
	}
	if roundUp {
		micro++
	}
	return micro, strings.Trim(rest, "0") == "", nil
}

// maxDigits is how many digits math.MaxInt64 has.
const maxDigits = 19

// maxAmountBytes is more than any amount needs: 19 digits before the point and a
// tail. It keeps hostile configuration from costing anything.
const maxAmountBytes = 64

// splitDecimal cuts "$12.50e1" into its digits, "1250" without leading zeros, and
// the power of ten that makes millionths of them.
func splitDecimal(amount string) (digits string, exponent int, err error) {
	if len(amount) > maxAmountBytes {
		return "", 0, fmt.Errorf("amount %q is longer than %d bytes", shorten(amount), maxAmountBytes)
	}
	text, negative := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(amount), "$"), "-")
	exponent = 6
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		power, err := strconv.Atoi(text[i+1:])
		if err != nil || power < -400 || power > 400 { // float64 ends at 1e308 and 5e-324
			return "", 0, errNotDecimal(amount)
		}
		exponent += power
		text = text[:i]
	}
	whole, fraction, hasPoint := strings.Cut(text, ".")
	digits = whole + fraction
	if digits == "" || (hasPoint && fraction == "") || strings.Trim(digits, "0123456789") != "" {
		return "", 0, errNotDecimal(amount)
	}
	digits = strings.TrimLeft(digits, "0")
	if negative && digits != "" {
		return "", 0, fmt.Errorf("amount %q is negative", amount)
	}
	return digits, exponent - len(fraction), nil
}

func errNotDecimal(amount string) error {
	return fmt.Errorf("amount %q is not a decimal number of dollars, such as 0.25", shorten(amount))
}

func errTooLarge(amount string) error {
	return fmt.Errorf("amount %q is too large: at most %d dollars", shorten(amount), int64(math.MaxInt64/microPerUnit))
}

func shorten(text string) string {
	if len(text) > maxAmountBytes {
		return strings.ToValidUTF8(text[:maxAmountBytes], "") + "…"
	}
	return text
}
