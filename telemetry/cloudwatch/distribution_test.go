package cloudwatch_test

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch"
)

// published sends values of one metric and gives what CloudWatch gets of them.
func published(t *testing.T, all []float64) (values, counts []float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { // so that no minute ends in between
		a := &api{t: t}
		s := newSink(t, cloudwatch.Config{Client: a})
		c := monitor.CustomMetric{Name: "x", Kind: monitor.CustomGauge}
		for _, v := range all {
			s.Measured(&c, v, nil)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(a.data) != 1 {
			t.Fatalf("%d data", len(a.data))
		}
		values, counts = a.data[0].Values, a.data[0].Counts
	})
	return values, counts
}

// quantile is the smallest value that the share q does not exceed, as CloudWatch has it of
// values with counts.
func quantile(values, counts []float64, q float64) float64 {
	var all, seen float64
	for _, n := range counts {
		all += n
	}
	for i, n := range counts {
		if seen += n; seen >= math.Ceil(q*all-1e-9) {
			return values[i]
		}
	}
	return values[len(values)-1]
}

func ones(n int) []float64 { return slices.Repeat([]float64{1}, n) }

// TestDistribution: whatever the values are, count and extremes are exact, the sum is up to
// rounding, and values ascend.
func TestDistribution(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		of := rapid.OneOf(rapid.Float64Range(-1e6, 1e15), rapid.Float64Range(0, 100), rapid.Map(rapid.IntRange(0, 5), func(i int) float64 { return float64(i) }))
		in := rapid.SliceOfN(of, 1, 600).Draw(rt, "values")
		for i, v := range in {
			if math.Abs(v) < 1e-108 { // CloudWatch takes nothing smaller
				in[i] = 0
			}
		}
		values, counts := published(t, in)
		var sum, count, size float64
		for i := range values {
			sum += values[i] * counts[i]
			count += counts[i]
			if counts[i] != math.Trunc(counts[i]) || i > 0 && values[i] < values[i-1] {
				rt.Fatalf("%v × %v", values, counts)
			}
		}
		want := 0.0
		for _, v := range in {
			want += v
			size += math.Abs(v)
		}
		if len(values) > 150 || count != float64(len(in)) || math.Abs(sum-want) > 1e-9*size {
			rt.Fatalf("%d values, count %v of %d, sum %v of %v", len(values), count, len(in), sum, want)
		}
		if values[0] != slices.Min(in) || values[len(values)-1] != slices.Max(in) {
			rt.Fatalf("extremes %v and %v, want %v and %v", values[0], values[len(values)-1], slices.Min(in), slices.Max(in))
		}
	})
}

// TestPercentiles: within 1 % where a minute's values differ by at most a factor of 18, and
// within 4 % up to a factor of 100,000.
func TestPercentiles(t *testing.T) {
	for _, test := range []struct{ span, within float64 }{{18, 0.02}, {300, 0.04}, {100_000, 0.08}} {
		var in []float64
		for i := range 20_000 {
			in = append(in, math.Pow(test.span, float64(i)/20_000)) // evenly in logarithms
		}
		values, counts := published(t, in)
		if len(values) < 60 || len(values) > 150 || values[0] != in[0] || values[len(values)-1] != in[len(in)-1] {
			t.Errorf("%d values from %v to %v", len(values), values[0], values[len(values)-1])
		}
		var sum, want float64
		for i := range values {
			sum += values[i] * counts[i]
		}
		for _, v := range in {
			want += v
		}
		if math.Abs(sum-want) > 1e-9*want {
			t.Errorf("a sum of %v, want %v", sum, want)
		}
		for _, q := range []float64{0.5, 0.9, 0.95, 0.99, 0.999} {
			got, want := quantile(values, counts, q), quantile(in, ones(len(in)), q)
			if off := math.Abs(got-want) / want; off > test.within {
				t.Errorf("p%v of a factor of %v: %v, want %v (%.1f %% off)", 100*q, test.span, got, want, 100*off)
			}
		}
	}
}

// TestOddValues: what is no number is left out; what is too small is zero.
func TestOddValues(t *testing.T) {
	values, counts := published(t, []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, 5e-320, 0, -3, 7})
	if !slices.Equal(values, []float64{-3, 0, 7}) || !slices.Equal(counts, []float64{1, 2, 1}) {
		t.Errorf("%v × %v", values, counts)
	}
}
