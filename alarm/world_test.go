package alarm_test

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/forebay-ai/forebay/alarm"
)

// step is the simulator's step: what is measured within one has the same time.
const step = 10 * time.Second

// model is how a system behaves at one moment. Incidents change it.
type model struct {
	calls             float64 // in a step
	hitRate           float64
	failing           float64 // share of calls
	median, sigma     float64 // of the durations of calls that the cache does not answer, in s
	floor             float64 // every call takes that long at least, hits too
	slowShare         float64 // share of calls that take slowFor
	slowFor           float64
	waiting, users    float64
	userCost          float64 // rupees
	jobsOldest, dead  float64
	storeUp, alerting float64
	dropped           float64 // log entries in a step
	budgetSpent       float64
	open              map[string]float64 // breakers
	blind             bool               // gauges are not sampled
}

// world is a small model of a system, and an alarm.Source of its measurements: a step
// after the other, with a daily load curve, noise, and harmless incidents now and then.
type world struct {
	start   time.Time
	profile string
	rng     *rand.Rand
	step    int
	// coldAt is the step at which the cache was empty.
	coldAt int
	// sums are running totals: sums[k][i] is what was counted before step i.
	sums   map[string][]float64
	gauges map[string][]float64
	// buckets are running totals of the durations' histogram, tenths of a power of ten apart.
	buckets [][bucketCount]int32
	totals  []float64 // of durations, running
	blipEnd int
}

const (
	bucketCount  = 60
	bucketsOfTen = 10
	bucketLowest = 1e-3
	dayOfSteps   = int(24 * time.Hour / step)
	usdPerRupee  = 1.0 / 83
)

// start of the simulations: a Sunday, midnight.
func simStart() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

func newWorld(profile string, seed uint64, steps int) *world {
	w := &world{
		start: simStart(), profile: profile, rng: rand.New(rand.NewPCG(seed, uint64(len(profile)))),
		sums: map[string][]float64{}, gauges: map[string][]float64{}, coldAt: -dayOfSteps,
	}
	for _, name := range []string{"requests", "failures", "hits", "lookups", "dropped"} {
		w.sums[name] = make([]float64, steps+20)
	}
	w.buckets = make([][bucketCount]int32, steps+20)
	w.totals = make([]float64, steps+20)
	return w
}

func (w *world) now() time.Time { return w.start.Add(time.Duration(w.step) * step) }

// clean is the system without an incident at the present step: by day forty times the load
// of the night's.
func (w *world) clean() model {
	day := 0.5 - 0.5*math.Cos(2*math.Pi*float64(w.step%dayOfSteps)/float64(dayOfSteps))
	m := model{
		calls: 2 + 78*day, hitRate: 0.6, failing: 0.003, median: 5, sigma: 0.4,
		waiting: 3 * day * w.rng.Float64(), users: 40 + 300*day + 20*w.rng.Float64(),
		userCost: 5 + 7*float64(w.step)/float64(3*dayOfSteps), jobsOldest: 200 * w.rng.Float64(),
		storeUp: 1, alerting: 1, budgetSpent: 0.3 + 0.4*day,
		open: map[string]float64{"a": 0, "b": 0, "c": 0},
	}
	if w.profile == alarm.Interactive {
		m.calls, m.median, m.sigma = 10+190*day, 0.9, 0.45
	}
	m.hitRate *= 1 - math.Exp(-float64(w.step-w.coldAt)/60) // full in some ten minutes
	// What happens now and then and is no reason to be told: twice the load for half a minute
	// with a line that gets long for a moment, and a breaker that opens once and closes.
	if w.rng.IntN(700) == 0 && w.step > w.blipEnd+60 {
		w.blipEnd = w.step + 3
	}
	if w.step < w.blipEnd {
		m.calls *= 2
		m.waiting = 60 * w.rng.Float64()
		m.open["b"] = 1
	}
	m.calls *= math.Exp(0.2 * w.rng.NormFloat64())
	return m
}

// advance simulates one step in which the system behaves as m.
func (w *world) advance(m model) {
	n := w.poisson(m.calls)
	for range n {
		w.call(m)
	}
	w.count("dropped", m.dropped)
	if !m.blind {
		w.gauge("waiting", m.waiting)
		w.gauge("users", m.users)
		w.gauge("user_cost_month", m.userCost*usdPerRupee)
		w.gauge("jobs_oldest", m.jobsOldest)
		w.gauge("jobs_dead", m.dead)
		w.gauge("store_up", m.storeUp)
		w.gauge("alerting_up", m.alerting)
		w.gauge("budget_spent/monthly", m.budgetSpent)
		for target, open := range m.open {
			w.gauge("breaker_open/"+target, open)
		}
	}
	w.step++
	// The next step's totals go on from this one's; calls that end later are already there.
	for _, s := range w.sums {
		s[w.step+1] += s[w.step]
	}
	w.totals[w.step+1] += w.totals[w.step]
	for i := range w.buckets[w.step+1] {
		w.buckets[w.step+1][i] += w.buckets[w.step][i]
	}
}

// call simulates one call, which is measured when it ends.
func (w *world) call(m model) {
	if w.rng.Float64() < m.failing {
		w.count("requests", 1)
		w.count("failures", 1)
		return
	}
	w.count("lookups", 1)
	seconds := max(m.floor, 0.005)
	if hit := w.rng.Float64() < m.hitRate; hit {
		w.count("hits", 1)
	} else {
		seconds = max(m.floor, m.median*math.Exp(m.sigma*w.rng.NormFloat64()))
	}
	if m.slowShare > 0 && w.rng.Float64() < m.slowShare {
		seconds = m.slowFor
	}
	end := w.step + int((w.rng.Float64()*step.Seconds()+seconds)/step.Seconds())
	if end+1 >= len(w.totals) {
		return
	}
	w.sums["requests"][end+1]++
	w.totals[end+1] += seconds
	b := int(math.Log10(seconds/bucketLowest) * bucketsOfTen)
	w.buckets[end+1][min(max(b, 0), bucketCount-1)]++
}

func (w *world) count(metric string, n float64) { w.sums[metric][w.step+1] += n }

func (w *world) gauge(key string, v float64) {
	g := w.gauges[key]
	for len(g) < w.step {
		g = append(g, math.NaN())
	}
	w.gauges[key] = append(g, v)
}

func (w *world) poisson(mean float64) int {
	return max(0, int(math.Round(mean+math.Sqrt(mean)*w.rng.NormFloat64())))
}

// Measure implements alarm.Source.
func (w *world) Measure(m alarm.Measure, now time.Time) []alarm.Sample {
	to := int(now.Sub(w.start) / step)
	from := max(0, to-int(m.Window/step))
	if s, ok := w.sums[m.Metric]; ok {
		n := s[to] - s[from]
		return []alarm.Sample{{Value: n, Count: int64(n), OK: true}}
	}
	if m.Metric == "duration" {
		return []alarm.Sample{w.durations(m.Stat, from, to)}
	}
	if m.By == "" {
		return []alarm.Sample{stat(w.gauges[m.Metric], m.Stat, from, to)}
	}
	var all []alarm.Sample
	for _, of := range []string{"a", "b", "c", "monthly"} {
		if g, ok := w.gauges[m.Metric+"/"+of]; ok {
			s := stat(g, m.Stat, from, to)
			s.Of = of
			all = append(all, s)
		}
	}
	return all
}

func (w *world) durations(statistic string, from, to int) alarm.Sample {
	var counts [bucketCount]int32
	total := int32(0)
	for i := range counts {
		counts[i] = w.buckets[to][i] - w.buckets[from][i]
		total += counts[i]
	}
	s := alarm.Sample{Count: int64(total), OK: total > 0}
	if statistic == "mean" {
		s.Value = (w.totals[to] - w.totals[from]) / float64(max(total, 1))
		return s
	}
	rank := int32(math.Ceil(map[string]float64{"p95": 0.95, "p99": 0.99}[statistic] * float64(total)))
	for i, n := range counts {
		if rank -= n; rank <= 0 {
			// The middle of the bucket: 12 % exact, which is all that a simulation needs.
			s.Value = bucketLowest * math.Pow(10, (float64(i)+0.5)/bucketsOfTen)
			return s
		}
	}
	return s
}

func stat(g []float64, statistic string, from, to int) alarm.Sample {
	var s alarm.Sample
	sum := 0.0
	for i := from; i < min(to, len(g)); i++ {
		if math.IsNaN(g[i]) {
			continue
		}
		s.OK = true
		s.Count++
		sum += g[i]
		s.Value = g[i]
	}
	if statistic == "mean" && s.OK {
		s.Value = sum / float64(s.Count)
	}
	return s
}
