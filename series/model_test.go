package series_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/series"
)

// TestAgainstNaiveModel measures, asks, crashes, restores and moves the clock at random,
// beside a model that keeps every measurement. Sums, counts and extremes have to be the
// same, percentiles within 1 %.
func TestAgainstNaiveModel(t *testing.T) {
	compared, skipped := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := &model{disk: disk{}, now: noon, newest: noon, latest: noon, start: noon, runs: 1}
		m.set = newSet(t, series.Config{Start: noon})
		t.Repeat(map[string]func(*rapid.T){
			"measure": m.measure,
			"wait":    func(t *rapid.T) { m.forward(rapid.Int64Range(0, 90_000).Draw(t, "ms")) },
			"sleep":   func(t *rapid.T) { m.forward(rapid.Int64Range(0, 12*3600_000).Draw(t, "ms")) },
			"leap":    func(t *rapid.T) { m.forward(rapid.Int64Range(0, 40*24*3600_000).Draw(t, "ms")) },
			"back":    m.back,
			"save":    m.save,
			"crash":   m.crash,
			"ask":     m.ask,
			"chart":   m.chart,
		})
		compared, skipped = compared+m.compared, skipped+m.skipped
	})
	t.Logf("%d answers were the same; %d could not be compared", compared, skipped)
	if compared < skipped {
		t.Error("most answers could not be compared")
	}
}

type sample struct {
	series.Key
	value float64
	at    time.Time
}

type model struct {
	set      *series.Set
	disk     disk
	samples  []sample
	saved    int       // how many of samples the disk has
	now      time.Time // of the caller
	newest   time.Time // when the set was last told the time
	latest   time.Time // the latest time that there ever was
	start    time.Time // of this run
	runs     int
	compared int
	skipped  int
}

// retention is what the documentation says.
var retention = []struct{ step, keep time.Duration }{{10 * time.Second, time.Hour}, {time.Minute, day}, {10 * time.Minute, 7 * day}, {time.Hour, 30 * day}}

func (m *model) forward(ms int64) {
	m.now = m.now.Add(time.Duration(ms) * time.Millisecond)
	if m.now.After(m.latest) {
		m.latest = m.now
	}
}

// back moves the clock to at most half an hour before the latest time that there was.
func (m *model) back(t *rapid.T) {
	to := m.now.Add(-time.Duration(rapid.Int64Range(0, 1800_000).Draw(t, "ms")) * time.Millisecond)
	if to.After(m.latest.Add(-30 * time.Minute)) {
		m.now = to
	}
}

func (m *model) measure(t *rapid.T) {
	keys := []series.Key{requests, operation("requests", "a"), waiting, duration, operation("duration", "a")}
	k := rapid.SampledFrom(keys).Draw(t, "key")
	for range rapid.IntRange(1, 20).Draw(t, "n") {
		m.forward(rapid.SampledFrom([]int64{0, 1, 700, 9_000}).Draw(t, "later"))
		// Fractions of two, whose sums are exact.
		v := float64(rapid.Int64Range(0, 1<<30).Draw(t, "v")) / 1024
		switch k.Metric {
		case "requests":
			m.set.Add(k, v, m.now)
		case "waiting":
			m.set.Set(k, v, m.now)
		default:
			m.set.Observe(k, v, m.now)
		}
		m.samples = append(m.samples, sample{k, v, m.now})
		m.newest = m.now.Truncate(10 * time.Second)
	}
}

func (m *model) save(t *rapid.T) {
	blocks := m.set.Dirty(m.now)
	m.newest = m.now.Truncate(10 * time.Second)
	if rapid.Bool().Draw(t, "fails") {
		m.set.Unsaved(blocks)
		return
	}
	m.disk.save(blocks)
	m.saved = len(m.samples)
}

// crash loses what was not saved, begins anew and restores, before or after the first
// measurements, once or twice.
func (m *model) crash(t *rapid.T) {
	m.samples = slices.Clip(m.samples[:m.saved])
	m.start, m.runs = m.now, m.runs+1
	m.newest = m.now.Truncate(10 * time.Second)
	m.set = newSet(t, series.Config{Start: m.now})
	if rapid.Bool().Draw(t, "measure before") {
		m.measure(t)
	}
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		m.disk.restore(t, m.set)
	}
}

// rounded rounds a window as Value documents it.
func (m *model) rounded(w series.Window) series.Window {
	find := func(at time.Time) time.Duration {
		for _, r := range retention {
			if !at.Truncate(r.step).Before(m.newest.Add(-r.keep)) {
				return r.step
			}
		}
		return time.Hour
	}
	if oldest := m.newest.Add(-30 * day); w.From.Before(oldest) {
		w.From = oldest
	}
	w.From = w.From.Truncate(time.Second)
	w.From = w.From.Truncate(find(w.From))
	step := find(w.To.Add(-1))
	w.To = w.To.Add(step - 1).Truncate(step)
	return w
}

// known says that no answer for a rounded window depends on what may have been forgotten
// when the clock was further ahead.
func (m *model) known(w series.Window) bool {
	for _, r := range retention {
		from, to := m.newest.Add(-r.keep-r.step), m.latest.Add(-r.keep+r.step)
		if m.latest.Sub(m.newest) > 10*time.Second && w.From.Before(to) && w.To.After(from) {
			return false
		}
	}
	return true
}

func (m *model) ask(t *rapid.T) {
	to := m.now.Add(time.Duration(rapid.Int64Range(0, 20_000).Draw(t, "ahead")) * time.Millisecond)
	if rapid.Bool().Draw(t, "past") {
		to = m.now.Add(-time.Duration(rapid.Int64Range(0, 35*24*3600_000).Draw(t, "ago")) * time.Millisecond)
	}
	length := rapid.SampledFrom([]int64{60_000, 300_000, 3600_000, 6 * 3600_000, 86400_000, 3 * 86400_000, 7 * 86400_000, 30 * 86400_000, 33 * 86400_000}).Draw(t, "length")
	asked := last(time.Duration(length+rapid.Int64Range(0, 59_999).Draw(t, "more"))*time.Millisecond, to)
	w := m.rounded(asked)
	if !w.From.Before(w.To) {
		return
	}
	if !m.known(w) {
		m.skipped++
		return
	}
	for _, k := range []series.Key{requests, operation("requests", "a"), waiting, duration, operation("duration", "a")} {
		m.compare(t, k, w, func(st series.Stat) series.Point { return m.set.Value(k, st, asked) })
	}
}

func (m *model) chart(t *rapid.T) {
	to := m.now.Add(time.Duration(rapid.Int64Range(0, 20_000).Draw(t, "ahead")) * time.Millisecond)
	length := rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 6 * time.Hour, day, 7 * day, 30 * day}).Draw(t, "length")
	w := last(length, to)
	step := m.set.Step(w, rapid.IntRange(1, 100).Draw(t, "points"))
	k := rapid.SampledFrom([]series.Key{requests, waiting, duration}).Draw(t, "key")
	charts := map[series.Stat][]series.Point{}
	for st := range m.expect(k, series.Window{}) {
		charts[st] = m.set.Steps(k, st, w, step)
	}
	for i := range charts[series.Count] {
		from := w.From.Truncate(step).Add(time.Duration(i) * step)
		x := series.Window{From: from, To: from.Add(step)}
		if from.Before(m.newest.Add(-30*day)) || !m.known(x) {
			m.skipped++
			continue
		}
		m.compare(t, k, x, func(st series.Stat) series.Point { return charts[st][i] })
	}
}

// compare checks all statistics of a key over a rounded window.
func (m *model) compare(t *rapid.T, k series.Key, w series.Window, answer func(series.Stat) series.Point) {
	for st, want := range m.expect(k, w) {
		got := answer(st)
		if want.Count == 0 {
			// A Counter is 0 from the start of the run on; of before, other tests tell.
			if got.Count != 0 || got.Value != 0 || got.OK && k.Metric != "requests" {
				t.Fatalf("%s of %v over %v is %+v, want nothing", st, k, w, got)
			}
			continue
		}
		m.compared++
		same := got.Value == want.Value
		switch {
		case st == series.P50 || st == series.P99:
			same = near(got.Value, want.Value)
		case st == series.Last: // of two at the same time, either
			same = slices.ContainsFunc(m.samples, func(x sample) bool {
				return x.Key == k && x.value == got.Value && !x.at.Before(w.From) && x.at.Before(w.To) && x.at.Equal(m.lastOf(k, w))
			})
		}
		if !got.OK || got.Count != want.Count || !same {
			t.Fatalf("%s of %v over %v is %+v, want %+v; newest %v latest %v now %v samples %v", st, k, w, got, want, m.newest, m.latest, m.now, m.samples)
		}
	}
}

func (m *model) lastOf(k series.Key, w series.Window) (at time.Time) {
	for _, x := range m.samples {
		if x.Key == k && !x.at.Before(w.From) && x.at.Before(w.To) && x.at.After(at) {
			at = x.at
		}
	}
	return at
}

// expect computes the statistics from the samples.
func (m *model) expect(k series.Key, w series.Window) map[series.Stat]series.Point {
	var values []float64
	sum := 0.0
	for _, x := range m.samples {
		if x.Key == k && !x.at.Before(w.From) && x.at.Before(w.To) {
			values = append(values, x.value)
			sum += x.value
		}
	}
	slices.Sort(values)
	point := func(v float64) series.Point { return series.Point{Value: v, Count: int64(len(values)), OK: true} }
	want := map[series.Stat]series.Point{series.Count: point(float64(len(values)))}
	if k.Metric != "waiting" {
		want[series.Sum] = point(sum)
	}
	if k.Metric == "requests" {
		return want
	}
	low, high := math.NaN(), math.NaN()
	if len(values) > 0 {
		low, high = values[0], values[len(values)-1]
	}
	want[series.Min], want[series.Max], want[series.Mean] = point(low), point(high), point(sum/float64(len(values)))
	if k.Metric == "waiting" {
		want[series.Last] = point(0)
		return want
	}
	for st, percent := range map[series.Stat]int{series.P50: 50, series.P99: 99} {
		if len(values) > 0 {
			want[st] = point(nearestRank(values, percent))
		} else {
			want[st] = point(0)
		}
	}
	return want
}
