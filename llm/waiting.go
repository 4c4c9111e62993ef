package llm

import (
	"sync/atomic"
	"time"
)

// Place is where a request stands in a waiting line.
type Place struct {
	// Ahead is how many are likely to get a slot before it.
	Ahead int
	// Wait is how long that is likely to take. Zero means that nobody can tell yet.
	Wait time.Duration
}

// Waiting tells whoever holds a request's connection where it stands while it waits.
// The door that makes the request keeps it; the line where it waits fills it. The
// zero value is ready, and it may be used concurrently.
type Waiting struct {
	ask  atomic.Pointer[func() (Place, bool)]
	most atomic.Int64 // the largest Ahead that was told to Begin, and one
}

// Begin says that the request waits, and how to ask where it stands: ask returns
// false once it does not. first is its place at the beginning. The line does not hold
// a lock that ask needs.
func (w *Waiting) Begin(first Place, ask func() (Place, bool)) {
	if w == nil {
		return
	}
	for n := w.most.Load(); n < int64(first.Ahead)+1 && !w.most.CompareAndSwap(n, int64(first.Ahead)+1); {
		n = w.most.Load()
	}
	w.ask.Store(&ask)
}

// End says that the request does not wait any more.
func (w *Waiting) End() {
	if w != nil {
		w.ask.Store(nil)
	}
}

// Now returns where the request stands, and whether it waits.
func (w *Waiting) Now() (Place, bool) {
	if ask := w.ask.Load(); ask != nil {
		return (*ask)()
	}
	return Place{}, false
}

// Joined returns how many were ahead when the request joined a line, the most where
// it joined several, and whether it joined any.
func (w *Waiting) Joined() (ahead int, ok bool) {
	n := w.most.Load()
	return int(max(n-1, 0)), n > 0
}
