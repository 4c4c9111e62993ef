package series_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/series"
)

var percentiles = []struct {
	stat    series.Stat
	percent int
}{{series.P50, 50}, {series.P90, 90}, {series.P95, 95}, {series.P99, 99}}

// nearestRank returns the smallest value that percent of 100 values do not exceed.
func nearestRank(sorted []float64, percent int) float64 {
	return sorted[max(1, (len(sorted)*percent+99)/100)-1]
}

// near says that a percentile keeps the promise: 1 %, and 1e-9 around zero.
func near(got, want float64) bool {
	return math.Abs(got-want) <= math.Max(0.01*math.Abs(want), 1e-9)
}

// distributions are draws of one value each.
func distributions(r *rand.Rand) map[string]func(i int) float64 {
	return map[string]func(int) float64{
		"uniform":     func(int) float64 { return r.Float64() * 30 },
		"exponential": func(int) float64 { return r.ExpFloat64() * 2 },
		"bimodal": func(int) float64 { // hits of a cache, and calls of a model
			if r.Float64() < 0.6 {
				return math.Abs(0.002 + 0.0004*r.NormFloat64())
			}
			return math.Abs(8 + 2*r.NormFloat64())
		},
		"log-normal": func(int) float64 { return math.Exp(r.NormFloat64()) },
		"Pareto":     func(int) float64 { return math.Min(math.Pow(1-r.Float64(), -1/0.7), 1e15) },
		"constant":   func(int) float64 { return 1.2345 },
		"two values": func(i int) float64 { return [2]float64{1e-9, 1e15}[i%2] },
		"all scales": func(int) float64 { return math.Pow(10, r.Float64()*24-9) },
		"both signs": func(int) float64 { return math.Copysign(math.Pow(10, r.Float64()*24-9), r.Float64()-0.5) },
		"zeros":      func(i int) float64 { return float64(i % 3) },
		"descending": func(i int) float64 { return 1e6 / float64(i+1) },
		"ascending":  func(i int) float64 { return float64(i+1) * 1e-6 },
		"at buckets' edges": func(i int) float64 { // where the estimate is off the most
			return 1e-9 * math.Exp(0.0198*float64(1000+i%50)) * (1 + 1e-12*float64(i%3-1))
		},
	}
}

func TestPercentilesAreWithinOnePercent(t *testing.T) {
	sizes := []int{1, 2, 3, 10, 99, 100, 101, 1000, 20_000}
	if long() {
		sizes = append(sizes, 200_000)
	}
	for name, draw := range distributions(rand.New(rand.NewPCG(*seed, 1))) {
		t.Run(name, func(t *testing.T) {
			for _, n := range sizes {
				s := newSet(t, series.Config{})
				values := make([]float64, n)
				for i := range values {
					values[i] = draw(i)
					// Over three hours, so that every tier has a part in the answer.
					s.Observe(duration, values[i], noon.Add(time.Duration(i)*(3*time.Hour/time.Duration(n))))
				}
				slices.Sort(values)
				w := series.Window{From: noon, To: noon.Add(3 * time.Hour)}
				for _, p := range percentiles {
					if got, want := value(t, s, duration, p.stat, w), nearestRank(values, p.percent); !near(got, want) {
						t.Errorf("%s of %d values is %g, want %g: off by %.3f %%", p.stat, n, got, want, 100*(got/want-1))
					}
				}
				equal(t, "min", value(t, s, duration, series.Min, w), values[0])
				equal(t, "max", value(t, s, duration, series.Max, w), values[n-1])
				equal(t, "count", value(t, s, duration, series.Count, w), float64(n))
			}
		})
	}
}

// Whatever values there are, on whatever steps they fall: one percent.
func TestPercentilesOfAnything(t *testing.T) {
	anything := rapid.OneOf(
		rapid.Float64Range(-1e15, 1e15),
		rapid.Float64Range(-1, 1),
		rapid.Map(rapid.Float64Range(-9, 15), func(e float64) float64 { return math.Pow(10, e) }),
		rapid.SampledFrom([]float64{0, 1e-9, -1e-9, math.SmallestNonzeroFloat64, 1e15, -1e15, 1, math.Nextafter(1, 2)}),
	)
	rapid.Check(t, func(t *rapid.T) {
		s := newSet(t, series.Config{})
		values := rapid.SliceOfN(anything, 1, 300).Draw(t, "values")
		apart := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "apart"))
		for i, v := range values {
			s.Observe(duration, v, noon.Add(time.Duration(i)*apart))
		}
		slices.Sort(values)
		w := series.Window{From: noon, To: noon.Add(time.Duration(len(values)) * apart).Add(time.Minute)}
		for _, p := range percentiles {
			if got := s.Value(duration, p.stat, w); !got.OK || !near(got.Value, nearestRank(values, p.percent)) {
				t.Fatalf("%s is %+v, want %g", p.stat, got, nearestRank(values, p.percent))
			}
		}
	})
}

// Sketches merge without loss: of whatever steps a window is made of, the answer is the
// same as of one step with all values.
func TestMergingLosesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 2))
	for name, draw := range distributions(r) {
		whole, parts := newSet(t, series.Config{}), newSet(t, series.Config{})
		for i := range 1000 {
			v := draw(i)
			whole.Observe(duration, v, noon)
			// In any order of steps: some of them are written to twice.
			parts.Observe(duration, v, noon.Add(time.Duration(r.Int64N(int64(50*time.Minute)))))
		}
		w := series.Window{From: noon, To: noon.Add(50 * time.Minute)}
		for _, p := range percentiles {
			equal(t, name+" "+string(p.stat), value(t, parts, duration, p.stat, w), value(t, whole, duration, p.stat, w))
		}
	}
}

func TestValuesThatAreNone(t *testing.T) {
	s := newSet(t, series.Config{})
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1.1e15, -1.1e15, math.MaxFloat64} {
		s.Observe(duration, v, noon)
		s.Set(waiting, v, noon)
		s.Add(requests, v, noon)
	}
	s.Add(requests, -1, noon)
	s.Observe(requests, 1, noon) // of another kind
	s.Observe(series.Key{Metric: "unknown"}, 1, noon)
	s.Observe(series.Key{Metric: "duration", Label: "operation"}, 1, noon)
	s.Observe(series.Key{Metric: "duration", Value: "x"}, 1, noon)
	s.Observe(duration, 1, time.Time{})
	s.Observe(duration, 1, time.Unix(1<<60, 0))
	equal(t, "Dropped", s.Dropped(), 18+7)
	nothing(t, s, duration, series.Count, last(time.Hour, noon.Add(time.Second)))
	nothing(t, s, waiting, series.Last, last(time.Hour, noon.Add(time.Second)))
}

// latency draws the factor of a call's time: log-normal, as models' answers are.
func latency(r *rand.Rand) float64 { return math.Exp(0.6 * r.NormFloat64()) }
