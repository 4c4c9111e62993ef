package series

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func testLine(kind Kind) *line {
	return newLine(kind, new(atomic.Int64), &sync.Pool{New: func() any { return new(workspace) }})
}

// What is in any stripe is part of every answer.
func TestAllStripesAreAsked(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	l := testLine(Distribution)
	const n = 1000
	for i := range int64(n) {
		if i == n/2 {
			l.widen()
		}
		if !l.record(1, 1000+i/20, 0) { // over several steps
			t.Fatal("the line is gone")
		}
	}
	if got := l.stripeCount(); got != 1+mostStripes {
		t.Errorf("there are %d stripes", got)
	}
	var x tally
	l.view().add(&x, []span{{tier: 0, from: 0, to: 1 << 40}}, true)
	if x.count != n {
		t.Errorf("%d measurements are known of, want %d", x.count, n)
	}
}

// Whoever holds a line that is forgotten finds that out, and nothing disappears in it.
func TestForgottenLines(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	for _, wide := range []bool{false, true} {
		l := testLine(Counter)
		if wide {
			l.widen()
		}
		l.record(1, 1000, 0)
		if l.forget() {
			t.Error("a line with a measurement in a stripe was forgotten")
		}
		l.settle(1000)
		if l.forget() {
			t.Error("a line with a step in progress was forgotten")
		}
		l.settle(1010)
		if l.forget() {
			t.Error("a line with cells was forgotten")
		}
		l.settle(1000 + 32*86400)
		if !l.forget() {
			t.Fatal("an empty line was not forgotten")
		}
		if l.record(1, 1000, 0) || l.restore(0, 1000, tallyOf(Counter, 1)) {
			t.Error("a forgotten line took a measurement")
		}
		if before := l.stripeCount(); !wide {
			if l.widen(); l.stripeCount() != before {
				t.Error("a forgotten line got stripes")
			}
		}
	}
}

// Steady traffic is kept for as long as each tier keeps it, and a chunk longer.
func TestTiersForget(t *testing.T) {
	l := testLine(Counter)
	const end = 40 * 86400
	for sec := int64(0); sec < end; sec += 300 {
		l.record(1, sec, 0)
	}
	v := l.view()
	for i, g := range grids() {
		first, n := int64(-1), int64(0)
		v.tiers[i].each(0, end, func(start int64, _ []byte) {
			if n++; first < 0 {
				first = start
			}
		})
		if first > end-g.keep || first < end-g.keep-(perChunk+1)*g.step {
			t.Errorf("steps of %d s begin %d s ago, want %d to %d", g.step, end-first, g.keep, g.keep+perChunk*g.step)
		}
	}
}

// A view stays as it was, whatever comes after it: newer steps, late ones, restored ones.
func TestViewsStay(t *testing.T) {
	l := testLine(Counter)
	all := []span{{tier: 0, from: 0, to: 1 << 40}}
	for round := range int64(50) {
		for i := range int64(20) {
			l.record(1, 100_000+(i*70+round*30)%640, 0)
		}
		v := l.view()
		var before, after tally
		v.add(&before, all, false)
		l.record(1, 100_000+(round*130)%640, 0)
		l.record(1, 100_640+round*10, 0)
		l.restore(0, 100_000+round*10, tallyOf(Counter, 1))
		l.drain(0)
		v.add(&after, all, false)
		if before.count != after.count || before.count == 0 {
			t.Fatalf("a view of %d measurements has %d after some more", before.count, after.count)
		}
	}
}
