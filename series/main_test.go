package series_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/series"
)

var (
	seed = flag.Uint64("seed", 1, "seed of the draws of all tests of chance")
	// callsPerSecond is the traffic by day of the test of memory.
	callsPerSecond = flag.Float64("calls", 0.005, "calls a second by day that the test of memory makes")
	days           = flag.Int("days", 30, "for how many days it makes them")
)

// long is whether tests take the time that they would like to have. It is a function since
// go test caches by what the tests read of the environment, and not by what is read before.
func long() bool { return os.Getenv("FOREBAY_LONG") == "1" }

func TestMain(m *testing.M) {
	checks := "150"
	if long() {
		checks = "2000"
	}
	// The command line has the last word.
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.seed": "1", "rapid.steps": "60", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// noon is when the tests begin.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var (
	requests = series.Key{Metric: "requests"}
	failures = series.Key{Metric: "failures"}
	waiting  = series.Key{Metric: "waiting"}
	duration = series.Key{Metric: "duration"}
)

// tester is a test, also one of rapid's.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// newSet returns a set of a metric of each kind; what cfg says goes before.
func newSet(t tester, cfg series.Config) *series.Set {
	t.Helper()
	if cfg.Metrics == nil {
		cfg.Metrics = []series.Metric{
			{Name: "requests", Kind: series.Counter},
			{Name: "failures", Kind: series.Counter},
			{Name: "waiting", Kind: series.Gauge},
			{Name: "duration", Kind: series.Distribution, Unit: "s"},
		}
	}
	if cfg.Start.IsZero() {
		cfg.Start = noon
	}
	s, err := series.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s
}

// last returns the window of a length that ends at a time.
func last(d time.Duration, to time.Time) series.Window {
	return series.Window{From: to.Add(-d), To: to}
}

func operation(metric, value string) series.Key {
	return series.Key{Metric: metric, Label: "operation", Value: value}
}

// value demands that there is a value.
func value(t tester, s *series.Set, k series.Key, st series.Stat, w series.Window) float64 {
	t.Helper()
	p := s.Value(k, st, w)
	if !p.OK {
		t.Fatalf("there is no %s of %v", st, k)
	}
	return p.Value
}

// nothing demands that there is none.
func nothing(t tester, s *series.Set, k series.Key, st series.Stat, w series.Window) {
	t.Helper()
	if p := s.Value(k, st, w); p != (series.Point{}) {
		t.Errorf("%s of %v is %+v, want no value", st, k, p)
	}
}

func equal[T comparable](t tester, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
