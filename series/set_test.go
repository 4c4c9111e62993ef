package series_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/series"
)

const day = 24 * time.Hour

func TestNewListsAllFaults(t *testing.T) {
	_, err := series.New(series.Config{
		Metrics:   []series.Metric{{Name: "Ünfit"}, {Name: "a"}, {Name: "a"}, {Name: "b", Kind: 7}, {Name: "_running"}, {Name: strings.Repeat("x", 129)}},
		MaxSeries: -1,
	})
	for _, key := range []string{"Metrics[0].Name", "Metrics[2].Name", "Metrics[3].Kind", "Metrics[4].Name", "Metrics[5].Name", "MaxSeries", "Start"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("the error does not name %s: %v", key, err)
		}
	}
	var e *llm.Error
	if !errors.As(err, &e) || e.Kind != llm.CallerInvalidRequest {
		t.Errorf("the error is %#v", err)
	}
	if _, err = series.New(series.Config{Start: noon}); err == nil {
		t.Error("a set without metrics was made")
	}
}

func TestCounter(t *testing.T) {
	s := newSet(t, series.Config{})
	for i := range 3600 {
		s.Add(requests, 2, noon.Add(time.Duration(i)*time.Second))
	}
	now := noon.Add(time.Hour)
	for _, x := range []struct {
		window time.Duration
		sum    float64
	}{{10 * time.Second, 20}, {time.Minute, 120}, {5 * time.Minute, 600}, {time.Hour, 7200}, {day, 7200}, {7 * day, 7200}, {30 * day, 7200}, {400 * day, 7200}} {
		p := s.Value(requests, series.Sum, last(x.window, now))
		if want := (series.Point{Value: x.sum, Count: int64(x.sum) / 2, OK: true}); p != want {
			t.Errorf("over %s: %+v, want %+v", x.window, p, want)
		}
		equal(t, "the rate over "+x.window.String(), value(t, s, requests, series.Rate, last(x.window, now)), 2)
	}
	equal(t, "count", value(t, s, requests, series.Count, last(time.Minute, now)), 60)
	for _, st := range []series.Stat{series.Last, series.Min, series.Max, series.Mean, series.P50, "p42", ""} {
		nothing(t, s, requests, st, last(time.Minute, now))
	}
	nothing(t, s, requests, series.Sum, series.Window{From: now, To: noon})
	nothing(t, s, requests, series.Sum, series.Window{})
	nothing(t, s, series.Key{Metric: "unknown"}, series.Sum, last(time.Minute, now))
}

// The step in progress counts as far as it has come, and its time as well.
func TestTheNewestStepIsPartOfAWindow(t *testing.T) {
	s := newSet(t, series.Config{})
	now := noon.Add(4 * time.Second)
	s.Add(requests, 8, now)
	equal(t, "sum", value(t, s, requests, series.Sum, last(time.Minute, now)), 8)
	equal(t, "rate", value(t, s, requests, series.Rate, last(time.Minute, now)), 2)
	later := noon.Add(72 * time.Second)
	s.Add(requests, 1, later)
	equal(t, "sum", value(t, s, requests, series.Sum, last(time.Minute, later)), 1)
}

func TestGauge(t *testing.T) {
	s := newSet(t, series.Config{})
	for i, v := range []float64{3, 9, -1, 5} {
		s.Set(waiting, v, noon.Add(time.Duration(i)*7*time.Second))
	}
	w := last(time.Minute, noon.Add(30*time.Second))
	for st, want := range map[series.Stat]float64{series.Last: 5, series.Min: -1, series.Max: 9, series.Mean: 4, series.Count: 4} {
		equal(t, string(st), value(t, s, waiting, st, w), want)
	}
	for _, st := range []series.Stat{series.Sum, series.Rate, series.P50} {
		nothing(t, s, waiting, st, w)
	}
	nothing(t, s, waiting, series.Last, last(time.Minute, noon.Add(5*time.Minute)))
}

func TestDistribution(t *testing.T) {
	s := newSet(t, series.Config{})
	for i := 1; i <= 100; i++ {
		s.Observe(duration, float64(i), noon.Add(time.Duration(i)*100*time.Millisecond))
	}
	w := last(time.Minute, noon.Add(20*time.Second))
	for st, want := range map[series.Stat]float64{series.Sum: 5050, series.Count: 100, series.Mean: 50.5, series.Min: 1, series.Max: 100, series.Rate: 5} {
		equal(t, string(st), value(t, s, duration, st, w), want)
	}
	nothing(t, s, duration, series.Last, w)
	for _, st := range []series.Stat{series.Count, series.Sum, series.Rate, series.P99} {
		nothing(t, s, duration, st, last(time.Minute, noon.Add(time.Hour)))
	}
}

func TestRatio(t *testing.T) {
	s := newSet(t, series.Config{})
	w := last(5*time.Minute, noon.Add(time.Minute))
	equal(t, "without calls", s.Ratio(failures, requests, w), series.Point{})
	s.Add(requests, 1, noon)
	s.Add(requests, 3, noon)
	equal(t, "without failures", s.Ratio(failures, requests, w), series.Point{Value: 0, Count: 2, OK: true})
	s.Add(failures, 1, noon)
	equal(t, "a quarter", s.Ratio(failures, requests, w), series.Point{Value: 0.25, Count: 2, OK: true})
	equal(t, "of a gauge", s.Ratio(waiting, requests, w), series.Point{})
	equal(t, "over a gauge", s.Ratio(requests, waiting, w), series.Point{})
	equal(t, "of what is not known", s.Ratio(series.Key{Metric: "x"}, requests, w), series.Point{})
	equal(t, "before the start", s.Ratio(failures, requests, last(time.Minute, noon.Add(-time.Hour))), series.Point{})
}

func equalPoints(t *testing.T, what string, got, want []series.Point) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// No data is not zero: before the start there is none, since then a Counter is 0.
func TestZeroAndNothing(t *testing.T) {
	s := newSet(t, series.Config{})
	zero, none := series.Point{OK: true}, series.Point{}
	equal(t, "before", s.Value(failures, series.Sum, last(time.Hour, noon)), none)
	equal(t, "since", s.Value(failures, series.Sum, last(time.Hour, noon.Add(time.Minute))), zero)
	equal(t, "of a label", s.Value(operation("failures", "x"), series.Rate, last(time.Hour, noon.Add(time.Minute))), zero)
	equal(t, "of a gauge", s.Value(waiting, series.Last, last(time.Hour, noon.Add(time.Minute))), none)
	s.Add(failures, 1, noon.Add(30*time.Second))
	w := series.Window{From: noon.Add(-time.Minute), To: noon.Add(time.Minute)}
	equalPoints(t, "steps", s.Steps(failures, series.Sum, w, 30*time.Second), []series.Point{none, none, zero, {Value: 1, Count: 1, OK: true}})
	s.Set(waiting, 0, noon)
	equalPoints(t, "steps", s.Steps(waiting, series.Max, w, time.Minute), []series.Point{none, {Count: 1, OK: true}})
}

func TestSteps(t *testing.T) {
	s := newSet(t, series.Config{})
	for i := range 48 * 60 { // two days, one a minute
		s.Add(requests, 1, noon.Add(time.Duration(i)*time.Minute))
	}
	now := noon.Add(2 * day)
	s.Dirty(now)
	for _, x := range []struct {
		window, step time.Duration
	}{{10 * time.Minute, time.Minute}, {day, 10 * time.Minute}, {day, time.Hour}, {30 * day, 6 * time.Hour}} {
		w := last(x.window, now)
		points := s.Steps(requests, series.Sum, w, x.step)
		equal(t, "points", len(points), int(x.window/x.step))
		for i, p := range points {
			at := w.From.Add(time.Duration(i) * x.step)
			want := series.Point{Value: x.step.Minutes(), Count: int64(x.step.Minutes()), OK: true}
			if at.Before(noon) {
				want = series.Point{}
			}
			equal(t, x.step.String()+" at "+at.String(), p, want)
		}
	}
	days := s.Steps(requests, series.Sum, last(3*day, noon.Add(36*time.Hour)), day)
	equalPoints(t, "days", days, []series.Point{{}, {Value: 720, Count: 720, OK: true}, {Value: 1440, Count: 1440, OK: true}})
}

// Where data is kept in coarser steps than asked for, it is counted once all the same.
func TestStepsFinerThanTheData(t *testing.T) {
	s := newSet(t, series.Config{})
	const n = 10 * 24 * 60
	for i := range n {
		s.Add(requests, 1, noon.Add(time.Duration(i)*time.Minute))
		s.Observe(duration, 1, noon.Add(time.Duration(i)*time.Minute))
	}
	now := noon.Add(n * time.Minute)
	for _, x := range []struct{ window, step time.Duration }{{2 * time.Hour, 10 * time.Second}, {2 * time.Hour, 30 * time.Second}, {2 * day, time.Minute}, {9 * day, 10 * time.Minute}} {
		for _, shift := range []time.Duration{0, -7 * time.Second, -59 * time.Minute} {
			w := last(x.window, now.Add(shift))
			var sum, count float64
			for _, p := range s.Steps(requests, series.Sum, w, x.step) {
				sum += p.Value
			}
			for _, p := range s.Steps(duration, series.Count, w, x.step) {
				count += p.Value
			}
			// The first and the last step may be of an hour.
			if want := x.window.Minutes(); math.Abs(sum-want) > 60 || sum != count {
				t.Errorf("%s in steps of %s: %v and %v measurements, want about %v", x.window, x.step, sum, count, want)
			}
		}
	}
}

func TestStepsThatCannotBe(t *testing.T) {
	s := newSet(t, series.Config{})
	for _, step := range []time.Duration{0, -time.Minute, time.Nanosecond, 15 * time.Second, 10*time.Second + 1} {
		if p := s.Steps(requests, series.Sum, last(time.Hour, noon), step); p != nil {
			t.Errorf("steps of %s are %v", step, p)
		}
	}
	if p := s.Steps(requests, series.Sum, last(30*day, noon), 10*time.Second); p != nil {
		t.Errorf("there are %d points", len(p))
	}
	if p := s.Steps(requests, series.Sum, series.Window{From: noon, To: noon}, time.Minute); p != nil {
		t.Errorf("an empty window has %d points", len(p))
	}
	far := series.Window{From: time.Time{}, To: time.Unix(1<<60, 0)}
	if p := s.Steps(requests, series.Sum, far, 1<<62); p != nil {
		t.Errorf("there are %d points", len(p))
	}
	s.Value(requests, series.Sum, far)
	equal(t, "points of an unknown metric", len(s.Steps(series.Key{Metric: "x"}, series.Sum, last(time.Hour, noon), time.Minute)), 60)
}

func TestStep(t *testing.T) {
	s := newSet(t, series.Config{})
	now := noon
	for _, x := range []struct {
		window time.Duration
		points int
		want   time.Duration
	}{
		{time.Minute, 0, 10 * time.Second},
		{15 * time.Minute, 0, 10 * time.Second},
		{time.Hour, 0, 20 * time.Second},
		{time.Hour, 360, 10 * time.Second},
		{61 * time.Minute, 400, time.Minute},
		{6 * time.Hour, 0, 2 * time.Minute},
		{day, 0, 10 * time.Minute},
		{7 * day, 0, time.Hour},
		{30 * day, 0, 6 * time.Hour},
		{30 * day, 1000, time.Hour},
		{400 * day, 0, day},
	} {
		got := s.Step(last(x.window, now), x.points)
		equal(t, x.window.String(), got, x.want)
		if s.Steps(requests, series.Sum, last(x.window, now), got) == nil {
			t.Errorf("%s has no steps of %s", x.window, got)
		}
	}
}

func TestMaxSeries(t *testing.T) {
	s := newSet(t, series.Config{MaxSeries: 100})
	for round := range 2 {
		for i := range 10_000 {
			s.Add(operation("requests", strconv.Itoa(i)), 1, noon)
		}
		equal(t, "Dropped", s.Dropped(), int64(9_900*(round+1)))
	}
	w := last(time.Minute, noon.Add(10*time.Second))
	equal(t, "other", value(t, s, operation("requests", series.Other), series.Sum, w), 2*9_900)
	equal(t, "the first", value(t, s, operation("requests", "0"), series.Sum, w), 2)
	// That it was never raised is not known.
	nothing(t, s, operation("requests", "9999"), series.Sum, w)
	nothing(t, s, operation("requests", "never"), series.Sum, w)
	equal(t, "values", len(s.Values("requests", "operation")), 101)
	// Whole metrics are always taken, and labels that are made up have the same bound.
	s.Add(failures, 1, noon)
	equal(t, "failures", value(t, s, failures, series.Sum, w), 1)
	for i := range 10_000 {
		s.Add(series.Key{Metric: "requests", Label: strconv.Itoa(i), Value: "x"}, 1, noon)
	}
	equal(t, "Dropped", s.Dropped(), 2*9_900+10_000)
	if blocks := len(s.Dirty(noon)); blocks > 4*(100+104)+1 {
		t.Errorf("there are %d blocks", blocks)
	}
}

func TestValues(t *testing.T) {
	s := newSet(t, series.Config{})
	for _, v := range []string{"c", "a", "b", "a"} {
		s.Add(operation("requests", v), 1, noon)
	}
	s.Add(requests, 1, noon)
	if diff := cmp.Diff([]string{"a", "b", "c"}, s.Values("requests", "operation")); diff != "" {
		t.Error(diff)
	}
	equal(t, "of another label", len(s.Values("requests", "model")), 0)
	equal(t, "of none", len(s.Values("requests", "")), 0)
	equal(t, "metrics", len(s.Metrics()), 4)
}

// A key that nothing was measured under for 30 days makes room for others.
func TestKeysAreForgotten(t *testing.T) {
	s := newSet(t, series.Config{MaxSeries: 10})
	now := noon
	for range 40 {
		for i := range 10 {
			s.Add(operation("requests", now.Format("0102")+strconv.Itoa(i)), 1, now)
		}
		for range 100 { // days later
			now = now.Add(day)
			s.Dirty(now)
		}
	}
	equal(t, "Dropped", s.Dropped(), 0)
	equal(t, "values", len(s.Values("requests", "operation")), 0)
}
