package sqlite

import (
	"testing"

	"github.com/forebay-ai/forebay/cache"
)

// TestWalksAreBounded remembers more walks than there is room for: those that began
// first are forgotten, and an ended one leaves its room to others.
func TestWalksAreBounded(t *testing.T) {
	w := newWalks()
	of := func(n int) selection { return selection{match: cache.Match{Mask: 1, Tags: cache.Tags{uint64(n)}}} }
	for n := range maxWalks + 10 {
		w.keepLocked(of(n), walk{at: int64(n)})
		w.keepLocked(of(n), walk{at: int64(n) + 1000})
	}
	w.endLocked(of(3)) // forgotten already
	w.endLocked(of(20))
	w.keepLocked(of(5000), walk{at: 1})
	if len(w.of) != maxWalks || len(w.old) != maxWalks {
		t.Errorf("%d walks are remembered, in a list of %d; want %d", len(w.of), len(w.old), maxWalks)
	}
	for n := range maxWalks + 10 {
		got, ok := w.of[of(n)]
		if want := n >= 10 && n != 20; ok != want || ok && got.at != int64(n)+1000 {
			t.Errorf("walk %d: %+v, %v; want %v", n, got, ok, want)
		}
	}
}
