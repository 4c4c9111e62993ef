package monitor

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sink is told of everything that is recorded, once and as it was recorded: names that
// are no labels are not replaced by "other" there. Its methods run on the goroutine of
// the request, several at once. So they never block, and they keep no reference to what
// they are given: it is used again when they return. One that panics is counted in
// forebay_dropped_total as "sink", and harms nobody else.
type Sink interface {
	Call(c *Call)
	Attempt(a *Attempt)
	Usage(u *Usage)
	BreakerChanged(target, from, to string)
}

// CustomSink is a Sink that wants the values of custom metrics as well.
type CustomSink interface {
	Sink
	// Measured is told of each value that Measure took. labels has one value for each
	// of c.Labels, in their order and out of their sets; both must not be changed.
	Measured(c *CustomMetric, value float64, labels []string)
}

// FunctionSink is a Sink that wants what TrackResponseTime measures as well.
type FunctionSink interface {
	Sink
	// Function is told of one call of an embedder's own function, by its name out of
	// Config.Functions, or "other", and the class of its status: 1xx to 5xx, or other.
	Function(function, status string, d time.Duration)
}

// sinks is who is told, and what it is told with.
type sinks struct {
	mu      sync.Mutex // guards replacing current; who reads it needs none
	current atomic.Pointer[[]Sink]

	// Copies for sinks are taken from here: what goes to an interface is on the heap,
	// and the request path's own values shall not have to be.
	calls, attempts, usages sync.Pool
}

// Attach tells s of all that is recorded from now on. It may be called at any time;
// there is no way to detach. A nil s is left out.
func (m *Monitor) Attach(s Sink) {
	if s == nil {
		return
	}
	m.sinks.mu.Lock()
	defer m.sinks.mu.Unlock()
	// A new list, so that those who read meanwhile keep the one that they have.
	all := append(slices.Clone(m.attached()), s)
	m.sinks.current.Store(&all)
}

// attached is the list of sinks; nil where there are none.
func (m *Monitor) attached() []Sink {
	if all := m.sinks.current.Load(); all != nil {
		return *all
	}
	return nil
}

// tell calls f, and counts it where it panics: a sink's fault is not the request's.
func (m *Monitor) tell(s Sink, f func(Sink)) {
	defer func() {
		if recover() != nil {
			m.Dropped(droppedSink, 1)
		}
	}()
	f(s)
}

func (m *Monitor) tellCall(c *Call, good bool) {
	all := m.attached()
	if len(all) == 0 {
		return
	}
	told := fromPool(&m.sinks.calls, c)
	for _, s := range all {
		told.Good = good
		m.tell(s, func(s Sink) { s.Call(told) })
		*told = *c // a sink that changes its argument changes nobody else's
	}
	*told = Call{} // the pool holds nobody's strings
	m.sinks.calls.Put(told)
}

func (m *Monitor) tellAttempt(a *Attempt) {
	all := m.attached()
	if len(all) == 0 {
		return
	}
	told := fromPool(&m.sinks.attempts, a)
	for _, s := range all {
		m.tell(s, func(s Sink) { s.Attempt(told) })
		*told = *a
	}
	*told = Attempt{}
	m.sinks.attempts.Put(told)
}

func (m *Monitor) tellUsage(u *Usage) {
	all := m.attached()
	if len(all) == 0 {
		return
	}
	told := fromPool(&m.sinks.usages, u)
	for _, s := range all {
		m.tell(s, func(s Sink) { s.Usage(told) })
		*told = *u
	}
	*told = Usage{}
	m.sinks.usages.Put(told)
}

func (m *Monitor) tellFunction(function, status string, d time.Duration) {
	for _, s := range m.attached() {
		if f, wants := s.(FunctionSink); wants {
			m.tell(s, func(Sink) { f.Function(function, status, d) })
		}
	}
}

// fromPool takes a T out of the pool, or makes one, and copies v into it.
func fromPool[T any](pool *sync.Pool, v *T) *T {
	told, ok := pool.Get().(*T)
	if !ok {
		told = new(T)
	}
	*told = *v
	return told
}
