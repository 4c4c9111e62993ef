package cost_test

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/llm"
)

func ExamplePrice_MicroUSD() {
	price, err := cost.ParsePrice("1", "5", "0.10", "1.25") // dollars per million tokens
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(price.MicroUSD(llm.Usage{Input: 1_200, Output: 300, CacheRead: 10_000}), "micro-dollars")
	// Output: 3700 micro-dollars
}

func TestMicroUSD(t *testing.T) {
	const most = math.MaxInt64
	for _, test := range []struct {
		name  string
		price cost.Price
		usage llm.Usage
		want  int64
	}{
		{"nothing", cost.Price{}, llm.Usage{}, 0},
		{"no price", cost.Price{}, llm.Usage{Input: 1000, Output: 1000}, 0},
		{"a million tokens", cost.Price{Input: 250_000}, llm.Usage{Input: 1_000_000}, 250_000},
		{"each kind by itself", cost.Price{Input: 1_000_000, Output: 2_000_000, CacheRead: 3_000_000, CacheWrite: 4_000_000}, llm.Usage{Input: 1, Output: 10, CacheRead: 100, CacheWrite: 1000}, 4321},
		{"below half", cost.Price{Input: 499_999}, llm.Usage{Input: 1}, 0},
		{"a half goes up", cost.Price{Input: 500_000}, llm.Usage{Input: 1}, 1},
		{"one and a half goes up", cost.Price{Input: 500_000}, llm.Usage{Input: 3}, 2},
		{"rounded once, over the sum", cost.Price{Input: 400_000, Output: 400_000}, llm.Usage{Input: 1, Output: 1}, 1},
		{"four thirds of nothing", cost.Price{Input: 250_000, Output: 250_000, CacheRead: 250_000, CacheWrite: 250_000}, llm.Usage{Input: 1, Output: 1, CacheRead: 1, CacheWrite: 1}, 1},
		{"negative tokens", cost.Price{Input: 1_000_000, Output: 1_000_000}, llm.Usage{Input: -5, Output: 2}, 2},
		{"negative price", cost.Price{Input: -1_000_000, Output: 1_000_000}, llm.Usage{Input: 5, Output: 2}, 2},
		{"both negative", cost.Price{Input: -1_000_000}, llm.Usage{Input: -5}, 0},
		{"past 64 bits and back", cost.Price{Input: most}, llm.Usage{Input: 1_000_000}, most},
		{"one past the largest", cost.Price{Input: most, Output: 1_000_000}, llm.Usage{Input: 1_000_000, Output: 1}, most},
		{"everything at its most", cost.Price{Input: most, Output: most, CacheRead: most, CacheWrite: most}, llm.Usage{Input: most, Output: most, CacheRead: most, CacheWrite: most}, most},
		{"quotient of 64 bits", cost.Price{Input: 1 << 40}, llm.Usage{Input: 1 << 43}, most},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.price.MicroUSD(test.usage); got != test.want {
				t.Errorf("MicroUSD = %d, want %d", got, test.want)
			}
		})
	}
}

// The result equals that of arithmetic without bounds.
func TestMicroUSDAgainstBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 10_000_000))
		p := cost.Price{Input: n.Draw(t, "pi"), Output: n.Draw(t, "po"), CacheRead: n.Draw(t, "pr"), CacheWrite: n.Draw(t, "pw")}
		u := llm.Usage{Input: n.Draw(t, "ui"), Output: n.Draw(t, "uo"), CacheRead: n.Draw(t, "ur"), CacheWrite: n.Draw(t, "uw")}
		sum := new(big.Int)
		for _, pair := range [][2]int64{{p.Input, u.Input}, {p.Output, u.Output}, {p.CacheRead, u.CacheRead}, {p.CacheWrite, u.CacheWrite}} {
			sum.Add(sum, new(big.Int).Mul(big.NewInt(max(pair[0], 0)), big.NewInt(max(pair[1], 0))))
		}
		sum.Add(sum, big.NewInt(500_000))
		sum.Div(sum, big.NewInt(1_000_000))
		want := int64(math.MaxInt64)
		if sum.IsInt64() {
			want = sum.Int64()
		}
		if got := p.MicroUSD(u); got != want {
			t.Fatalf("MicroUSD(%+v, %+v) = %d, want %d", p, u, got, want)
		}
	})
}

func TestParseDollars(t *testing.T) {
	for amount, want := range map[string]int64{
		"0": 0, "0.25": 250_000, "15": 15_000_000, "$3.75": 3_750_000, " 1.10 ": 1_100_000, "0.075": 75_000,
		"0.000001": 1, "0.0000010": 1, "1e-2": 10_000, "2.5E1": 25_000_000, ".5": 500_000, "-0": 0, "-0.00": 0,
		"0.1": 100_000, "0.2": 200_000, "0.3": 300_000, "00012": 12_000_000, "0e300": 0, "0e-300": 0,
		"9223372036854.775807": math.MaxInt64, "1e12": 1_000_000_000_000_000_000,
	} {
		if got, err := cost.ParseDollars(amount); err != nil || got != want {
			t.Errorf("ParseDollars(%q) = %d, %v, want %d", amount, got, err, want)
		}
	}
	for amount, want := range map[string]string{
		"":                     "not a decimal",
		"$":                    "not a decimal",
		"free":                 "not a decimal",
		"1,5":                  "not a decimal",
		"1.":                   "not a decimal",
		"1.2.3":                "not a decimal",
		"0x10":                 "not a decimal",
		"1e":                   "not a decimal",
		"1e9999":               "not a decimal",
		"NaN":                  "not a decimal",
		"+1":                   "not a decimal",
		"--1":                  "not a decimal",
		"1_000":                "not a decimal",
		"-1":                   "negative",
		"-0.1":                 "negative",
		"0.0000001":            "finer than a micro-dollar",
		"0.00000000000001":     "finer than a micro-dollar",
		"9223372036854.775808": "too large",
		"1e300":                "too large",
		"99999999999999999999": "too large",
		"9223372036854.7758079999999999999999999999999999": "finer than a micro-dollar|too large",
		strings.Repeat("9", 10_000):                        "longer than 64 bytes",
	} {
		_, err := cost.ParseDollars(amount)
		if err == nil || !containsOneOf(err.Error(), want) {
			t.Errorf("ParseDollars(%.30q): error %v, want one about %q", amount, err, want)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("ParseDollars(%.30q): error of %d bytes", amount, len(err.Error()))
		}
	}
}

func containsOneOf(text, words string) bool {
	for word := range strings.SplitSeq(words, "|") {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func TestFromDollars(t *testing.T) {
	perToken := 7.5e-8
	for _, test := range []struct {
		amount float64
		want   int64
	}{
		{0, 0},
		{math.Copysign(0, -1), 0},
		{0.075, 75_000},
		{1.1, 1_100_000},
		{0.1 + 0.2, 300_000}, // 0.30000000000000004
		{perToken * 1e6, 75_000},
		{0.0000005, 1},
		{0.00000049, 0},
		{1e-300, 0},
		{9e12, 9_000_000_000_000_000_000},
	} {
		if got, err := cost.FromDollars(test.amount); err != nil || got != test.want {
			t.Errorf("FromDollars(%v) = %d, %v, want %d", test.amount, got, err, test.want)
		}
	}
	for _, amount := range []float64{-1, -1e-9, 1e13, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN()} {
		if got, err := cost.FromDollars(amount); err == nil {
			t.Errorf("FromDollars(%v) = %d without an error", amount, got)
		}
	}
}

// Any whole number of micro-dollars survives being written and read, as text and
// (as far as a float64 tells them apart) as a number.
func TestDollarsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micro := rapid.Int64Range(0, math.MaxInt64).Draw(t, "micro")
		text := fmt.Sprintf("%d.%06d", micro/1_000_000, micro%1_000_000)
		if got, err := cost.ParseDollars(text); err != nil || got != micro {
			t.Fatalf("ParseDollars(%q) = %d, %v", text, got, err)
		}
		small := micro % 1_000_000_000_000
		number, err := strconv.ParseFloat(fmt.Sprintf("%d.%06d", small/1_000_000, small%1_000_000), 64)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cost.FromDollars(number); err != nil || got != small {
			t.Fatalf("FromDollars(%v) = %d, %v, want %d", number, got, err, small)
		}
	})
}

func FuzzParseDollars(f *testing.F) {
	for _, seed := range []string{"0.25", "$15", "1e-2", "-1", "1.0000000", "9223372036854.775807", "e", "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, amount string) {
		got, err := cost.ParseDollars(amount)
		if err != nil {
			return
		}
		if got < 0 {
			t.Fatalf("ParseDollars(%q) = %d", amount, got)
		}
		exact, ok := new(big.Rat).SetString(strings.TrimPrefix(strings.TrimSpace(amount), "$"))
		if !ok {
			t.Fatalf("ParseDollars(%q) = %d, which is no number", amount, got)
		}
		if exact.Mul(exact, big.NewRat(1_000_000, 1)).Cmp(big.NewRat(got, 1)) != 0 {
			t.Fatalf("ParseDollars(%q) = %d, want %s", amount, got, exact)
		}
	})
}

func TestParsePrice(t *testing.T) {
	got, err := cost.ParsePrice("3", "15", "", "$3.75")
	want := cost.Price{Input: 3_000_000, Output: 15_000_000, CacheWrite: 3_750_000}
	if err != nil || got != want {
		t.Errorf("ParsePrice = %+v, %v, want %+v", got, err, want)
	}
	if _, err := cost.ParsePrice("3", "15", "x", ""); err == nil || !strings.Contains(err.Error(), "cache read price") {
		t.Errorf("error %v does not name the member", err)
	}
	if !(cost.Price{}).IsZero() || want.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestEstimate(t *testing.T) {
	for _, test := range []struct {
		prompt, output int
		want           llm.Usage
	}{
		{0, 0, llm.Usage{}},
		{-1, math.MinInt, llm.Usage{}},
		{1, 4, llm.Usage{Input: 1, Output: 1}},
		{5, 8, llm.Usage{Input: 2, Output: 2}},
		{math.MaxInt, 0, llm.Usage{Input: 1 << 61}},
	} {
		if got := cost.Estimate(test.prompt, test.output); got != test.want {
			t.Errorf("Estimate(%d, %d) = %+v, want %+v", test.prompt, test.output, got, test.want)
		}
	}
}

func BenchmarkMicroUSD(b *testing.B) {
	p := cost.Price{Input: 3_000_000, Output: 15_000_000, CacheRead: 300_000, CacheWrite: 3_750_000}
	u := llm.Usage{Input: 1200, Output: 300, CacheRead: 8000, CacheWrite: 100}
	b.ReportAllocs()
	for b.Loop() {
		if p.MicroUSD(u) == 0 {
			b.Fatal("free")
		}
	}
}
