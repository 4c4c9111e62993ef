package breaker

import "time"

// doubtedInRow is how many failures in a row open a breaker that is in doubt: one may be chance, and with what another
// gateway has seen two are enough.
const doubtedInRow = 2

// Doubt tells the breaker that another gateway's breaker of the same target is open: for the given time two failures in a
// row open this one, where more are needed otherwise. That is all a word from elsewhere does: it opens nothing by itself,
// keeps nothing open and closes nothing, and where no number of failures in a row opens the breaker it does nothing. It
// neither counts as a call nor shortens a doubt that lasts longer. A time of zero or below does nothing.
func (b *Breaker) Doubt(now time.Time, last time.Duration) {
	if last <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m := &b.machine
	m.doubted = max(m.doubted, m.clock.at(now)+min(last, longest))
}

// inARow is how many failures in a row open the breaker at a time. It is asked only where some number does.
func (m *machine) inARow(at time.Duration) int {
	if at < m.doubted {
		return min(m.cfg.Consecutive, doubtedInRow)
	}
	return m.cfg.Consecutive
}
