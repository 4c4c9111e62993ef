package cloudwatch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// Sink adds up what is measured and publishes it. It is a sink of package monitor, and all
// its methods are safe for concurrent use.
type Sink struct {
	cfg    Config
	table  []metric
	number map[string]int // of a metric, in table
	fixed  []dimension    // of every metric
	// operations and models are the closed sets of these; nil where they are open.
	operations, models map[string]bool
	send               func(ctx context.Context, batch []datum) outcome

	mu     sync.Mutex // guards what follows; held for moments only
	start  time.Time  // of the window that values are added to
	window map[seriesKey]*series
	seen   map[seriesKey]bool // the series that MaxSeries counts
	shares map[shareKey]share // of the window, of metrics of kind Share
	spool  spool

	sending sync.Mutex // held by the one goroutine that sends
	reading sync.Mutex // guards growth, and is held while Prometheus's metrics are read
	growth  map[string]float64
}

// metric is one of package names.
type metric struct {
	names.Metric
	to dimensions // everything, and those of By that are configured
}

// dimension is a name and a value.
type dimension struct{ name, value string }

// dimensions is a set of those of package names, and of everything, which is no dimension.
type dimensions uint16

// The members of the set: everything, and then those of names.Dimensions.
const (
	everything dimensions = 1 << iota
	byOperation
	byModel
	byErrorType
	byStatus
	byTokenType
	byTarget
	byBudget
	byPriority
	byFunction

	all dimensions = 1<<iota - 1
)

// numberOf is where a dimension stands among the members; 0 is everything.
func numberOf(d names.Dimension) int { return slices.Index(names.Dimensions(), d) + 1 }

func setOf(list []names.Dimension) (set dimensions) {
	for _, d := range list {
		set |= 1 << numberOf(d)
	}
	return set
}

// seriesKey names a series: a metric of the table, or a custom one by its name, and the
// value of the dimension by which it is told apart.
type seriesKey struct {
	metric int // -1 for custom ones
	by     int // of the member of dimensions; for custom ones 1 with labels
	value  string
	custom string
}

// series is one metric with its dimensions, in one window.
type series struct {
	name string
	unit names.Unit
	kind names.Kind
	by   []dimension // beside the fixed ones
	dist distribution
}

// New makes a Sink. The error names every fault of cfg. Nothing is sent before Run or
// Flush.
func New(cfg Config) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cloudwatch: %w", err)
	}
	cfg = cfg.withDefaults()
	s := &Sink{
		cfg: cfg, number: map[string]int{},
		operations: closedSet(cfg.Operations), models: closedSet(cfg.Models),
		window: map[seriesKey]*series{}, seen: map[seriesKey]bool{}, shares: map[shareKey]share{}, spool: spool{most: cfg.Spool}, growth: map[string]float64{},
	}
	for i, m := range names.Metrics() {
		s.table = append(s.table, metric{m, setOf(m.By)&setOf(cfg.By) | everything})
		s.number[m.Name] = i
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Dimensions)) {
		s.fixed = append(s.fixed, dimension{name, cfg.Dimensions[name]})
	}
	s.send = s.putData
	if cfg.Writer != nil {
		s.send = s.writeLines
	}
	return s, nil
}

func closedSet(values []string) map[string]bool {
	if values == nil {
		return nil
	}
	set := map[string]bool{"": true}
	for _, v := range values {
		set[v] = true
	}
	return set
}

// values are those of the dimensions of what is measured, by their numbers; has says which
// there are.
type values struct {
	of  [10]string
	has dimensions
}

func (v *values) set(d dimensions, value string) {
	v.of[bits.TrailingZeros16(uint16(d))] = value
	v.has |= d
}

// ofCall are the dimensions that calls and usages have.
func (s *Sink) ofCall(operation, model string) values {
	if s.operations != nil && !s.operations[operation] {
		operation = "other"
	}
	if s.models != nil && !s.models[model] {
		model = "other"
	}
	v := values{has: everything}
	v.set(byOperation, cmp.Or(operation, "default"))
	v.set(byModel, model)
	return v
}

// addLocked adds a value of a metric: to everything and to each dimension of to that the
// metric has, what is measured has, and the configuration wants.
func (s *Sink) addLocked(name string, of *values, to dimensions, value float64) {
	number := s.number[name]
	m := &s.table[number]
	to &= of.has & m.to
	for d := range len(of.of) {
		if to&(1<<d) == 0 {
			continue
		}
		key := seriesKey{metric: number, by: d}
		if d > 0 {
			key.value = of.of[d]
			if !s.roomLocked(key) {
				continue
			}
		}
		one := s.window[key]
		if one == nil {
			one = &series{name: m.Name, unit: m.Unit, kind: m.Kind}
			if d > 0 {
				one.by = []dimension{{string(names.Dimensions()[d-1]), names.Value(key.value)}}
			}
			s.window[key] = one
		}
		one.dist.add(value, 1)
	}
}

// roomLocked says that a series with dimensions may be published.
func (s *Sink) roomLocked(key seriesKey) bool {
	if s.seen[key] {
		return true
	}
	if len(s.seen) >= s.cfg.MaxSeries {
		return false
	}
	key.value = strings.Clone(key.value) // it may be a part of a request
	s.seen[key] = true
	return true
}

// begin locks the sink for values of now, and closes the window where that is another one:
// before it, where a clock was set back. end unlocks it.
func (s *Sink) begin(now time.Time) {
	s.mu.Lock()
	if start := now.Truncate(s.cfg.Resolution); !start.Equal(s.start) {
		s.sharesLocked()
		s.closeLocked()
		s.start = start
	}
}

func (s *Sink) end() {
	lost := s.spool.lost()
	s.mu.Unlock()
	if lost > 0 {
		s.cfg.OnDrop(lost)
	}
}

// closeLocked moves the window's series into the spool, in the order of their names.
func (s *Sink) closeLocked() {
	if len(s.window) == 0 {
		return
	}
	closed := slices.SortedFunc(maps.Values(s.window), func(a, b *series) int {
		return cmp.Or(strings.Compare(a.name, b.name), slices.CompareFunc(a.by, b.by, func(a, b dimension) int {
			return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
		}))
	})
	for _, one := range closed {
		s.spool.add(datum{at: s.start, name: one.name, unit: one.unit, kind: one.kind, by: one.by, values: one.dist.values()})
	}
	clear(s.window)
}
