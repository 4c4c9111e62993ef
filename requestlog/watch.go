package requestlog

import (
	"sync"
	"sync/atomic"
)

// defaultWatch is how many entries wait for a watcher where Watch does not say.
const defaultWatch = 64

// watchers are those who are told of entries.
type watchers struct {
	some atomic.Int32 // how many: most of the time there is none

	mu  sync.Mutex // guards all and the closing of their channels
	all map[*watcher]struct{}
}

type watcher struct {
	filter Filter
	ch     chan Entry
	missed atomic.Int64
}

// tell hands entries to those who watch for them. It waits for nobody.
func (w *watchers) tell(entries []Entry) {
	if w.some.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all {
		for i := range entries {
			if one.filter.Match(&entries[i]) {
				one.offer(entries[i])
			}
		}
	}
}

func (w *watcher) offer(e Entry) {
	e.Attempts = nil
	select {
	case w.ch <- e:
	default:
		w.missed.Add(1)
	}
}

// Watch gives the entries that f chooses from now on, in their order, without attempts.
// Each comes when the store has it or has failed to take it: then its Seq is 0. Up to
// buffer entries wait (below 1: 64); a watcher that is slower loses the newest, and
// missed counts them. stop ends it and closes ch; it may be called more than once. The
// end of Run closes nothing.
func (l *Log) Watch(f Filter, buffer int) (ch <-chan Entry, missed func() int64, stop func()) {
	if buffer < 1 {
		buffer = defaultWatch
	}
	w := &watcher{filter: f, ch: make(chan Entry, buffer)}
	l.watchers.mu.Lock()
	l.watchers.all[w] = struct{}{}
	l.watchers.some.Add(1)
	l.watchers.mu.Unlock()
	return w.ch, w.missed.Load, sync.OnceFunc(func() { l.watchers.stop(w) })
}

func (w *watchers) stop(one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, one)
	w.some.Add(-1)
	close(one.ch)
}
