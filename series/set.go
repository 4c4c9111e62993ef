package series

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// Config is what a Set is made of.
type Config struct {
	// Metrics are all metrics of the set: at least one, each under a name of its own of
	// lower-case letters, digits and underscores that begins with a letter.
	Metrics []Metric
	// MaxSeries bounds the keys. What is measured under further values of a label is
	// counted under its value "other", and by Dropped. 0 means 4,096. Metrics as a whole
	// and the values "other" are always taken.
	MaxSeries int
	// Start is when the process began to measure. It must not be zero.
	Start time.Time
}

// Set holds the series of a process. Its methods may be called concurrently. Measurements
// are counted within some 100 ns, without an allocation once the key is known; questions
// do not hold them up for longer than some microseconds.
//
// The clock is the caller's: now is the present of who calls. A measurement belongs to the
// step of 10 s that its now lies in, also after the clock went backwards. Where the clock
// jumps forward, what is then older than its retention is forgotten.
type Set struct {
	metrics []Metric
	start   int64        // Unix seconds
	run     uint64       // tells this process's blocks from those of others
	newest  atomic.Int64 // the start of the step that was last measured in, Unix seconds
	dropped atomic.Int64
	spaces  sync.Pool // *workspace
	lines   registry
	cover   cover
}

// Other is the value under which those beyond Config.MaxSeries are counted.
const Other = "other"

// Limits of time: from 1970 to 2255, within which nanoseconds fit into an int64.
const lastSecond = 9_000_000_000

// New returns an empty Set, or all faults of its configuration.
func New(cfg Config) (*Set, error) {
	s := &Set{metrics: slices.Clone(cfg.Metrics), start: cfg.Start.Unix()}
	s.spaces.New = func() any { return new(workspace) }
	s.newest.Store(floor(s.start, finest))
	s.lines.init(s, cmp.Or(cfg.MaxSeries, 4096))
	s.cover.init(s.start)
	if err := s.check(cfg); err != nil {
		return nil, err
	}
	var run [8]byte
	if _, err := rand.Read(run[:]); err != nil {
		return nil, fmt.Errorf("series: the run's id: %w", err)
	}
	s.run = binary.LittleEndian.Uint64(run[:])
	return s, nil
}

// check validates the configuration and notes the metrics' kinds.
func (s *Set) check(cfg Config) error {
	var faults []error
	fault := func(limit, value, message, fix string) {
		faults = append(faults, &llm.Error{Kind: llm.CallerInvalidRequest, Message: message, Limit: limit, Value: value, Fix: fix})
	}
	if len(cfg.Metrics) == 0 {
		fault("Metrics", "", "a set without metrics holds nothing", "Name at least one.")
	}
	for i, m := range cfg.Metrics {
		at := "Metrics[" + strconv.Itoa(i) + "]"
		if !isName(m.Name) {
			fault(at+".Name", strconv.Quote(m.Name), "that is not a metric's name", "Use lower-case letters, digits and underscores, a letter first, 128 at most.")
		}
		if _, twice := s.lines.kinds[m.Name]; twice {
			fault(at+".Name", strconv.Quote(m.Name), "there are two metrics of this name", "Rename one.")
		}
		if m.Kind > Distribution {
			fault(at+".Kind", strconv.Itoa(int(m.Kind)), "there is no such kind", "Use Counter, Gauge or Distribution.")
		}
		s.lines.kinds[m.Name] = m.Kind
	}
	if cfg.MaxSeries < 0 {
		fault("MaxSeries", strconv.Itoa(cfg.MaxSeries), "a bound cannot be negative", "Use 0 for 4096.")
	}
	if cfg.Start.IsZero() || s.start < 0 || s.start > lastSecond {
		fault("Start", cfg.Start.String(), "that is not a time at which a process starts", "Use time.Now().")
	}
	return errors.Join(faults...)
}

// mostName bounds the length of each part of a key, in bytes.
const mostName = 128

func isName(s string) bool {
	for i, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '_')) {
			return false
		}
	}
	return s != "" && len(s) <= mostName
}

// Metrics returns the metrics of the configuration, in its order.
func (s *Set) Metrics() []Metric { return slices.Clone(s.metrics) }

// Retention says for how long steps of each length are kept; what a Store holds beyond
// that is of no use.
func (s *Set) Retention() map[time.Duration]time.Duration {
	kept := make(map[time.Duration]time.Duration, tiers)
	for _, g := range grids() {
		kept[time.Duration(g.step)*time.Second] = time.Duration(g.keep) * time.Second
	}
	return kept
}

// Dropped returns how many measurements were not counted under their own key since the
// start: under a value beyond Config.MaxSeries (those are counted under "other"), of a
// metric that the set has not or of another kind, not finite, beyond ±1e15, or below 0
// where a Counter would fall.
func (s *Set) Dropped() int64 { return s.dropped.Load() }

// Add raises a Counter by n, which is from 0 to 1e15. Sums of whole numbers are exact up
// to 2^53.
func (s *Set) Add(k Key, n float64, now time.Time) {
	if n < 0 {
		s.dropped.Add(1)
		return
	}
	s.record(k, Counter, n, now)
}

// Set notes the present value of a Gauge, from -1e15 to 1e15. It is a sample: a window in
// which none was taken has no value.
func (s *Set) Set(k Key, v float64, now time.Time) { s.record(k, Gauge, v, now) }

// Observe adds a value, from -1e15 to 1e15, to a Distribution.
func (s *Set) Observe(k Key, v float64, now time.Time) { s.record(k, Distribution, v, now) }

func (s *Set) record(k Key, kind Kind, v float64, now time.Time) {
	sec := now.Unix()
	if !(v >= -most && v <= most) || sec < 0 || sec > lastSecond {
		s.dropped.Add(1)
		return
	}
	nano := sec*nanos + int64(now.Nanosecond())
	// A line that was forgotten meanwhile is made anew.
	for range 3 {
		l, own := s.lines.find(k, kind)
		if l == nil {
			break
		}
		if l.record(v, sec, nano) {
			if !own {
				s.dropped.Add(1)
			}
			return
		}
	}
	s.dropped.Add(1)
}

// Values returns the values of a metric's label that have measurements, sorted.
func (s *Set) Values(metric, label string) []string {
	var values []string
	s.lines.each(func(k Key, _ *line) {
		if k.Metric == metric && k.Label == label && label != "" {
			values = append(values, k.Value)
		}
	})
	slices.Sort(values)
	return values
}
