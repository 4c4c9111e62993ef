package observe

import (
	"sync"
	"time"
)

// maxTransitions bounds the changes that are remembered: those of a day in which a breaker
// opens every minute.
const maxTransitions = 4096

// Transition is one change of a breaker.
type Transition struct {
	At               time.Time
	Target, From, To string
	Reason           string
}

// breakers remembers the last changes of all breakers.
type breakers struct {
	mu  sync.Mutex // guards all
	all []Transition
}

func (b *breakers) changed(t Transition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.all) == maxTransitions {
		b.all = append(b.all[:0], b.all[maxTransitions/4:]...)
	}
	b.all = append(b.all, t)
}

// since lists the changes from a moment on, oldest first, and the states before it of
// those targets that had changed by then.
func (b *breakers) since(from time.Time) (states map[string]string, later []Transition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	states = map[string]string{}
	for _, t := range b.all {
		if t.At.Before(from) {
			states[t.Target] = t.To
			continue
		}
		if _, known := states[t.Target]; !known {
			states[t.Target] = t.From
		}
		later = append(later, t)
	}
	return states, later
}
