package degrade_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/degrade"
)

func TestStrategies(t *testing.T) {
	want := []degrade.Strategy{degrade.Cached, degrade.Template, degrade.Simplified, degrade.Error}
	if diff := cmp.Diff(want, degrade.Strategies()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	for _, s := range want {
		if got, err := degrade.ParseStrategy(string(s)); err != nil || got != s {
			t.Errorf("ParseStrategy(%q) = %q, %v", s, got, err)
		}
	}
	if got, err := degrade.ParseStrategy("Template"); err != nil || got != degrade.Template {
		t.Errorf("ParseStrategy(Template) = %q, %v", got, err)
	}
	for _, name := range []string{"", "tempalte", "cached "} {
		if _, err := degrade.ParseStrategy(name); err == nil || err.Error() != fmt.Sprintf("unknown fallback %q: one of cached, template, simplified, error", name) {
			t.Errorf("ParseStrategy(%q): %v", name, err)
		}
	}
}

func TestLevel(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const fallback, shed, breakerOpen, regionDown = degrade.ReasonFallback, degrade.ReasonShedding, degrade.ReasonBreakerOpen, degrade.ReasonRegionDown
	reasons := func(all ...degrade.Reason) []degrade.Reason { return all }
	for _, test := range []struct {
		name           string
		fallback, shed bool
		after          time.Duration // since that
		open, targets  int
		region         bool
		want           degrade.Level
		why            []degrade.Reason
	}{
		{"all well", false, false, 0, 0, 3, false, degrade.None, nil},
		{"no targets", false, false, 0, 0, 0, false, degrade.None, nil},
		{"one of three open", false, false, 0, 1, 3, false, degrade.Partial, reasons(breakerOpen)},
		{"a region", false, false, 0, 2, 3, true, degrade.Partial, reasons(breakerOpen, regionDown)},
		{"a region without targets", false, false, 0, 0, 3, true, degrade.None, nil},
		{"all open", false, false, 0, 3, 3, true, degrade.Full, reasons(breakerOpen, regionDown)},
		{"the only one open", false, false, 0, 1, 1, false, degrade.Full, reasons(breakerOpen)},
		{"fallback just now", true, false, 0, 0, 3, false, degrade.Partial, reasons(fallback)},
		{"fallback within the minute", true, false, time.Minute - 1, 0, 3, false, degrade.Partial, reasons(fallback)},
		{"fallback a minute ago", true, false, time.Minute, 0, 3, false, degrade.None, nil},
		{"fallback and all open", true, false, 0, 3, 3, false, degrade.Full, reasons(fallback, breakerOpen)},
		{"fallback without targets", true, false, 0, 0, 0, false, degrade.Partial, reasons(fallback)},
		{"old fallback, one open", true, false, time.Hour, 1, 3, false, degrade.Partial, reasons(breakerOpen)},
		{"more open than there are", false, false, 0, 4, 3, false, degrade.Full, reasons(breakerOpen)},
		{"shed just now", false, true, 0, 0, 3, false, degrade.Partial, reasons(shed)},
		{"shed within 30 s", false, true, 30*time.Second - 1, 0, 3, false, degrade.Partial, reasons(shed)},
		{"shed 30 s ago", false, true, 30 * time.Second, 0, 3, false, degrade.None, nil},
		{"all at once", true, true, 0, 2, 3, true, degrade.Partial, reasons(fallback, shed, breakerOpen, regionDown)},
		{"shed and all open", false, true, 0, 3, 3, false, degrade.Full, reasons(shed, breakerOpen)},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := degrade.NewTracker([]string{"op", "other"})
			tr.Observe("op", test.fallback, start)
			if test.shed {
				tr.Shed("op", start)
			}
			now := start.Add(test.after)
			tr.Observe("op", false, now) // does not take it back
			if got := tr.Level("op", test.open, test.targets, now); got != test.want {
				t.Errorf("Level = %s, want %s", got, test.want)
			}
			if got := tr.Overall(test.open, test.targets, now); got != test.want {
				t.Errorf("Overall = %s, want %s", got, test.want)
			}
			if diff := cmp.Diff(test.why, tr.Reasons("op", test.open, test.region, now)); diff != "" {
				t.Errorf("Reasons (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.why, tr.OverallReasons(test.open, test.region, now)); diff != "" {
				t.Errorf("OverallReasons (-want +got):\n%s", diff)
			}
			if got := tr.Level("other", 0, test.targets, now); got != degrade.None {
				t.Errorf("the other operation is %s", got)
			}
		})
	}
}

// TestLevelsAgainstLog compares the tracker with a log of all that happened, in
// which levels are looked up; and levels with their reasons.
func TestLevelsAgainstLog(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	type event struct {
		operation string
		shed      bool
		at        time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		tr := degrade.NewTracker([]string{"a", "b"})
		var log []event
		recent := func(operation string, shed bool, window time.Duration, now time.Time) bool {
			return slices.ContainsFunc(log, func(e event) bool {
				return e.shed == shed && (operation == "" || e.operation == operation) && now.Sub(e.at) < window
			})
		}
		now := start
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40_000).Draw(t, "ms")) * time.Millisecond)
			operation := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "operation")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				tr.Observe(operation, true, now)
				log = append(log, event{operation, false, now})
			case 1:
				tr.Shed(operation, now)
				log = append(log, event{operation, true, now})
			default:
				tr.Observe(operation, false, now)
			}
			open, targets := rapid.IntRange(0, 2).Draw(t, "open"), rapid.IntRange(0, 2).Draw(t, "targets")
			region := rapid.Bool().Draw(t, "region")
			for _, about := range []string{"a", "b", ""} {
				level, why := tr.Level(about, open, targets, now), tr.Reasons(about, open, region, now)
				if about == "" {
					level, why = tr.Overall(open, targets, now), tr.OverallReasons(open, region, now)
				}
				fallback, shed := recent(about, false, time.Minute, now), recent(about, true, 30*time.Second, now)
				want := degrade.None
				switch {
				case targets > 0 && open >= targets:
					want = degrade.Full
				case open > 0 || fallback || shed:
					want = degrade.Partial
				}
				if level != want || (len(why) > 0) != (level != degrade.None) ||
					slices.Contains(why, degrade.ReasonFallback) != fallback || slices.Contains(why, degrade.ReasonShedding) != shed ||
					slices.Contains(why, degrade.ReasonBreakerOpen) != (open > 0) || slices.Contains(why, degrade.ReasonRegionDown) != (open > 0 && region) {
					t.Fatalf("%q at %s with %d of %d open: %s %v, want %s, fallback %v, shed %v", about, now.Sub(start), open, targets, level, why, want, fallback, shed)
				}
			}
		}
	})
}

func TestObserveOutOfOrder(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tr := degrade.NewTracker([]string{"op"})
	tr.Observe("op", true, now)
	tr.Observe("op", true, now.Add(-time.Hour))
	if got := tr.Level("op", 0, 1, now.Add(time.Second)); got != degrade.Partial {
		t.Errorf("Level = %s: the earlier answer overwrote the later one", got)
	}
}

// Operations that are not configured share one place: names of callers do not
// make the tracker grow.
func TestUnknownOperations(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tr := degrade.NewTracker(nil)
	tr.Observe("x", true, now)
	if got := tr.Level("y", 0, 1, now); got != degrade.Partial {
		t.Errorf("Level = %s", got)
	}
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprint("invented-", i)
	}
	i := 0
	observe := func() {
		tr.Observe(names[i%100], true, now)
		tr.Shed(names[i%100], now)
		tr.Level(names[i%100], 0, 1, now)
		i++
	}
	if got := testing.AllocsPerRun(100, observe); got != 0 {
		t.Errorf("%v allocations for an unknown operation", got)
	}
}

func TestTrackerConcurrently(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tr := degrade.NewTracker([]string{"op"})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				tr.Observe("op", i%2 == 0, now.Add(time.Duration(i*w)*time.Millisecond))
				tr.Shed("op", now.Add(time.Duration(i*w)*time.Millisecond))
				tr.Level("op", 0, 1, now)
				tr.OverallReasons(0, false, now)
			}
		})
	}
	wg.Wait()
	last := now.Add(998 * 7 * time.Millisecond)
	if got := tr.Level("op", 0, 1, last.Add(time.Minute-1)); got != degrade.Partial {
		t.Errorf("Level = %s before the minute is over", got)
	}
	if got := tr.Level("op", 0, 1, last.Add(time.Minute)); got != degrade.None {
		t.Errorf("Level = %s after the minute", got)
	}
}
