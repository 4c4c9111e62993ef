package app

import "testing"

func TestGCPercent(t *testing.T) {
	for _, c := range []struct {
		live uint64 // MiB
		want int
	}{{0, 100}, {1, 800}, {8, 700}, {16, 300}, {24, 150}, {32, 100}, {500, 100}} {
		if got := gcPercent(c.live << 20); got != c.want {
			t.Errorf("%d MiB alive: %d, want %d", c.live, got, c.want)
		}
	}
}

func TestPace(t *testing.T) {
	p := pace{percent: defaultGC}
	if !p.step(8<<20, 5) || p.percent != 700 {
		t.Errorf("busy: %d", p.percent)
	}
	if p.step(8<<20, 6) || p.percent != 700 {
		t.Errorf("still busy: %d", p.percent)
	}
	for range int(quietFor/gcPace) - 1 {
		if p.step(8<<20, 6) {
			t.Fatal("it went back too early")
		}
	}
	if !p.step(8<<20, 6) || p.percent != defaultGC {
		t.Errorf("quiet: %d", p.percent)
	}
	if p.step(100<<20, 7); p.percent != defaultGC {
		t.Errorf("large: %d", p.percent)
	}
	for range int(rareFor/gcPace) - 1 {
		if p.step(100<<20, 7) {
			t.Fatal("a large heap is collected too early")
		}
	}
	if !p.step(100<<20, 7) || p.percent != rareGC {
		t.Errorf("large and quiet: %d", p.percent)
	}
	if !p.step(100<<20, 8) || p.percent != defaultGC {
		t.Errorf("large, and collected: %d", p.percent)
	}
}
