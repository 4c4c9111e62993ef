package series_test

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/series"
)

// A clock that goes wrong in every way neither stops a set nor fills the memory.
func TestClocksThatJump(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 3))
	s := newSet(t, series.Config{})
	rounds := 4_000
	if long() {
		rounds = 50_000
	}
	now := noon
	for i := range rounds {
		switch r.IntN(6) {
		case 0:
			now = now.Add(time.Duration(r.Int64N(int64(400 * day))))
		case 1:
			now = now.Add(-time.Duration(r.Int64N(int64(400 * day))))
		case 2:
			now = time.Unix(r.Int64N(9_100_000_000), 0)
		case 3:
			now = time.Time{}
		default:
			now = now.Add(time.Duration(r.Int64N(int64(time.Minute))))
		}
		s.Add(requests, 1, now)
		s.Set(waiting, 1, now)
		s.Observe(duration, r.ExpFloat64(), now)
		if i%50 == 0 {
			w := last(time.Duration(r.Int64N(int64(40*day))), now)
			s.Value(duration, series.P99, w)
			s.Steps(requests, series.Rate, w, s.Step(w, 0))
			s.Dirty(now)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	blocks := len(s.Dirty(noon))
	runtime.KeepAlive(s)
	s = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int64(before.HeapAlloc) - int64(after.HeapAlloc)
	t.Logf("%d KB for three series after %d jumps, %d blocks", held>>10, rounds, blocks)
	if held > 4<<20 {
		t.Errorf("it holds %d bytes", held)
	}
}

// After a jump of months and back, what is measured then is right.
func TestTheClockComesBack(t *testing.T) {
	s := newSet(t, series.Config{})
	s.Add(requests, 1, noon)
	s.Add(requests, 10, noon.Add(90*day))
	s.Dirty(noon.Add(90 * day))
	now := noon.Add(time.Minute)
	s.Add(requests, 100, now)
	equal(t, "the last minute", value(t, s, requests, series.Sum, last(time.Minute, now.Add(time.Second))), 100)
	s.Add(requests, 1000, now.Add(-40*time.Second)) // and a little further back
	equal(t, "the last minute", value(t, s, requests, series.Sum, last(time.Minute, now.Add(time.Second))), 1100)
	equal(t, "ten seconds of it", value(t, s, requests, series.Sum, series.Window{From: now.Add(-40 * time.Second), To: now.Add(-30 * time.Second)}), 1000)
}

// What a set with 178 series holds after a month of traffic: a gateway with twelve
// operations on six models, a fifth of the calls at night. With -calls=2 it takes 80 million
// measurements, some minutes, and 23 MB.
func TestMemoryOfAMonth(t *testing.T) {
	perSecond := *callsPerSecond
	if long() {
		perSecond *= 10
	}
	s, measured := traffic(t, *days, perSecond)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	runtime.KeepAlive(s)
	s = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := float64(before.HeapAlloc-after.HeapAlloc) / 1e6
	t.Logf("%.1f MB after %d measurements", held, measured)
	if held > 40 {
		t.Errorf("the set holds %.1f MB, want at most 40", held)
	}
}

// traffic feeds a set of 178 series for some days as a gateway would.
func traffic(t testing.TB, days int, perSecond float64) (*series.Set, int) {
	counters := []string{"requests", "failures", "good", "hits", "input_tokens", "cost"}
	times := []string{"duration", "overhead", "first_token"}
	var metrics []series.Metric
	for _, m := range counters {
		metrics = append(metrics, series.Metric{Name: m, Kind: series.Counter})
	}
	for _, m := range times {
		metrics = append(metrics, series.Metric{Name: m, Kind: series.Distribution})
	}
	metrics = append(metrics, series.Metric{Name: "waiting", Kind: series.Gauge}, series.Metric{Name: "in_flight", Kind: series.Gauge})
	s := newSet(t, series.Config{Metrics: metrics, Start: noon})
	r := rand.New(rand.NewPCG(*seed, 4))
	now, measured := noon, 0
	for now.Before(noon.Add(time.Duration(days) * day)) {
		rate := perSecond
		if now.Hour() < 6 || now.Hour() > 20 {
			rate /= 5
		}
		now = now.Add(time.Duration(r.ExpFloat64() / rate * 1e9))
		names := [2]string{strconv.Itoa(min(int(r.ExpFloat64()*3), 11)), strconv.Itoa(min(int(r.ExpFloat64()*1.5), 5))}
		keys := func(m string) [3]series.Key {
			return [3]series.Key{{Metric: m}, {Metric: m, Label: "operation", Value: names[0]}, {Metric: m, Label: "model", Value: names[1]}}
		}
		failed := r.Float64() < 0.01
		for i, m := range counters {
			if m == "failures" && !failed || m == "hits" && r.Float64() < 0.6 {
				continue
			}
			for _, k := range keys(m) {
				s.Add(k, float64(1+r.IntN(1+i*i*100)), now)
				measured++
			}
		}
		for i, m := range times {
			for _, k := range keys(m) {
				s.Observe(k, []float64{3, 0.001, 0.5}[i]*latency(r), now)
				measured++
			}
		}
		s.Set(series.Key{Metric: "waiting"}, float64(r.IntN(5)), now)
		s.Set(series.Key{Metric: "in_flight", Label: "target", Value: names[1]}, float64(r.IntN(5)), now)
	}
	return s, measured
}
