package monitor

// breakerState is a state of a circuit breaker as the metric shows it.
type breakerState int32

// The states. breakerUnset is a target that nobody has spoken of; breakerUnknown
// one whose state has a name that this package does not know: it has no series at 1.
const (
	breakerUnset breakerState = iota
	breakerClosed
	breakerHalfOpen
	breakerOpen
	breakerUnknown
)

// breakerStates are the states that have a series each.
var breakerStates = [...]breakerState{breakerClosed, breakerHalfOpen, breakerOpen}

func (s breakerState) String() string {
	switch s {
	case breakerClosed:
		return "closed"
	case breakerHalfOpen:
		return "half_open"
	case breakerOpen:
		return "open"
	}
	return labelOther
}

func parseBreakerState(name string) breakerState {
	switch name {
	case "closed":
		return breakerClosed
	case "half_open", "half-open":
		return breakerHalfOpen
	case "open":
		return breakerOpen
	}
	return breakerUnknown
}

// SetBreaker says in which state (closed, half_open or open) the breaker of
// target is. A target outside Config.Targets is counted as "other".
func (m *Monitor) SetBreaker(target, state string) {
	m.breakers[m.words.target.number(target)].Store(int32(parseBreakerState(state)))
}

// BreakerChanged counts a change of state of the breaker of target, and sets its
// state to the new one.
func (m *Monitor) BreakerChanged(target, from, to string) {
	m.SetBreaker(target, to)
	m.metrics.transitions.WithLabelValues(m.words.target.label(target),
		parseBreakerState(from).String(), parseBreakerState(to).String()).Inc()
	for _, s := range m.attached() {
		m.tell(s, func(s Sink) { s.BreakerChanged(target, from, to) })
	}
}
