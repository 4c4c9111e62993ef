package replay

import (
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Bounds on each count by label: some labels come from the other side's headers.
const (
	maxLabels     = 64
	maxLabelBytes = 64
)

// otherLabel takes what goes over them.
const otherLabel = "other"

// results gathers outcomes. It keeps numbers only: at most 8 bytes a call for
// each latency and stage.
type results struct {
	mu      sync.Mutex // guards everything below
	count   [classes]int
	started int
	lag     time.Duration // the longest that a call started late

	latency, ttft, refusal, wait []time.Duration
	stage                        [len(stages)][]time.Duration
	byLabel                      [classes]map[string]int
	cache                        map[string]int
	attempts, retried            int64
	usage                        usage
	cost                         int64
}

func newResults(calls int) *results {
	r := &results{latency: make([]time.Duration, 0, calls), cache: map[string]int{}}
	for i := range r.byLabel {
		r.byLabel[i] = map[string]int{}
	}
	return r
}

// sent counts a call that is about to start, lag after its time.
func (r *results) sent(lag time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started++
	r.lag = max(r.lag, lag)
}

func (r *results) unsent() { r.countMany(unsent, 1) }

// cancelRest counts calls that will not be started any more.
func (r *results) cancelRest(n int) { r.countMany(cancelled, n) }

func (r *results) countMany(c class, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[c] += n
}

// add counts a call that has ended.
func (r *results) add(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[o.class]++
	if o.label != "" {
		count(r.byLabel[o.class], o.label)
	}
	r.addHeadLocked(o.head)
	r.usage.Input += o.usage.Input
	r.usage.Output += o.usage.Output
	switch o.class {
	case answered, degraded:
		r.latency = append(r.latency, o.latency)
		if o.useful {
			r.ttft = append(r.ttft, o.ttft)
		}
		for i, d := range o.head.stage {
			if o.head.known[i] {
				r.stage[i] = append(r.stage[i], d)
			}
		}
	case refused:
		r.refusal = append(r.refusal, o.latency)
	}
}

// addHeadLocked counts what the headers say of any answer, errors included: a
// refused call waited too, and a failed one cost attempts.
func (r *results) addHeadLocked(h head) {
	if h.cache != "" {
		count(r.cache, h.cache)
	}
	if h.queue > 0 {
		r.wait = append(r.wait, h.queue)
	}
	r.attempts += h.attempts
	r.retried += max(0, h.attempts-1)
	r.cost += h.cost
}

func count(m map[string]int, label string) {
	if _, ok := m[label]; !ok && (len(m) >= maxLabels || len(label) > maxLabelBytes) {
		label = otherLabel
	}
	m[label]++
}

func (r *results) progress() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := 0
	for _, n := range r.count {
		done += n
	}
	return Progress{Sent: r.started, Done: done}
}

// report sums up. It is called once, after every call has ended.
func (r *results) report(cfg *Config, arrivals []Arrival, wall time.Duration) *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := &Report{
		SchemaVersion: SchemaVersion,
		Settings:      settingsOf(cfg, arrivals),
		Counts: Counts{
			Planned: len(arrivals), Answered: r.count[answered], Degraded: r.count[degraded], Refused: r.count[refused],
			Failed: r.count[failed], Unsent: r.count[unsent], Cancelled: r.count[cancelled],
		},
		WallSeconds:   wall.Seconds(),
		StartLagMaxMS: ms(r.lag),
		Latency:       summarize(r.latency), TTFT: summarize(r.ttft), Refusal: summarize(r.refusal), Wait: summarize(r.wait),
		Stages:       map[string]Summary{},
		Cache:        r.cache,
		Refusals:     r.byLabel[refused],
		Degradations: r.byLabel[degraded],
		Failures:     r.byLabel[failed],
		Attempts:     Attempts{Total: r.attempts, Repeated: r.retried},
		Tokens:       Tokens{Input: r.usage.Input, Output: r.usage.Output},
		CostUSD:      float64(r.cost) / 1e9,
	}
	for i, name := range stages {
		if len(r.stage[i]) > 0 {
			rep.Stages[name] = summarize(r.stage[i])
		}
	}
	if span := (arrivals[len(arrivals)-1].At - arrivals[0].At).Seconds() / cfg.Speed; span > 0 {
		rep.OfferedPerSecond = float64(len(arrivals)) / span
	}
	if wall > 0 {
		rep.GoodputPerSecond = float64(r.count[answered]) / wall.Seconds()
	}
	return rep
}

func settingsOf(cfg *Config, arrivals []Arrival) Settings {
	s := Settings{
		Requests: len(arrivals), Offset: cfg.Offset, Speed: cfg.Speed, Model: cfg.Model, Operation: cfg.Operation,
		Repeat: cfg.Repeat, Stream: cfg.Stream, Users: cfg.Users, Seed: cfg.Seed,
		TimeoutSeconds: cfg.Timeout.Seconds(), MaxInFlight: cfg.MaxInFlight, Priorities: map[string]float64{},
	}
	for _, band := range llm.Priorities {
		s.Priorities[band.String()] = cfg.Priorities[band]
	}
	return s
}

// summarize sorts d in place.
func summarize(d []time.Duration) Summary {
	if len(d) == 0 {
		return Summary{}
	}
	slices.Sort(d)
	// Nearest rank: the smallest value that a share p of all values does not exceed.
	at := func(p int) float64 { return ms(d[max(0, (len(d)*p+99)/100-1)]) }
	return Summary{Count: len(d), P50: at(50), P90: at(90), P95: at(95), P99: at(99), Max: ms(d[len(d)-1])}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
