package degrade_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	for _, test := range []struct {
		name          string
		fallback      bool
		after         time.Duration // since that answer
		open, targets int
		want          degrade.Level
	}{
		{"all well", false, 0, 0, 3, degrade.None},
		{"no targets", false, 0, 0, 0, degrade.None},
		{"one of three open", false, 0, 1, 3, degrade.Partial},
		{"all open", false, 0, 3, 3, degrade.Full},
		{"the only one open", false, 0, 1, 1, degrade.Full},
		{"fallback just now", true, 0, 0, 3, degrade.Partial},
		{"fallback within the minute", true, time.Minute - 1, 0, 3, degrade.Partial},
		{"fallback a minute ago", true, time.Minute, 0, 3, degrade.None},
		{"fallback and all open", true, 0, 3, 3, degrade.Full},
		{"fallback without targets", true, 0, 0, 0, degrade.Partial},
		{"old fallback, one open", true, time.Hour, 1, 3, degrade.Partial},
		{"more open than there are", false, 0, 4, 3, degrade.Full},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := degrade.NewTracker([]string{"op", "other"})
			tr.Observe("op", test.fallback, start)
			tr.Observe("op", false, start.Add(test.after)) // does not take it back
			now := start.Add(test.after)
			if got := tr.Level("op", test.open, test.targets, now); got != test.want {
				t.Errorf("Level = %s, want %s", got, test.want)
			}
			if got := tr.Overall(test.open, test.targets, now); got != test.want {
				t.Errorf("Overall = %s, want %s", got, test.want)
			}
			if got := tr.Level("other", 0, test.targets, now); got != degrade.None {
				t.Errorf("the other operation is %s", got)
			}
		})
	}
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
	if got := testing.AllocsPerRun(100, func() { tr.Observe(names[i%100], true, now); i++ }); got != 0 {
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
				tr.Level("op", 0, 1, now)
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
