package series_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/series"
)

// place is what a store knows a block by.
type place struct {
	series.Key
	step  time.Duration
	start time.Time
}

// disk is a store in memory.
type disk map[place][]byte

func (d disk) save(blocks []series.Block) {
	for _, b := range blocks {
		d[place{b.Key, b.Step, b.Start}] = b.Data
	}
}

// restore hands all blocks to a set. Their order is that of the map: none.
func (d disk) restore(t tester, s *series.Set) {
	t.Helper()
	for p, data := range d {
		if err := s.Restore(series.Block{Key: p.Key, Step: p.step, Start: p.start, Data: data}); err != nil {
			t.Errorf("restore: %v", err)
		}
	}
}

func TestRestart(t *testing.T) {
	d := disk{}
	before := newSet(t, series.Config{})
	now := noon
	for i := range 10_000 {
		now = noon.Add(time.Duration(i) * 5 * time.Second)
		before.Add(requests, 1, now)
		before.Observe(duration, float64(i), now)
		before.Set(waiting, float64(i), now)
		if i%20 == 0 {
			d.save(before.Dirty(now))
		}
	}
	d.save(before.Dirty(now))

	after := newSet(t, series.Config{Start: now.Add(3 * time.Second)})
	d.restore(t, after)
	now = now.Add(3 * time.Second) // in the same step of 10 s
	for _, s := range []*series.Set{before, after} {
		s.Add(requests, 1, now)
		s.Observe(duration, 1e5, now)
		s.Set(waiting, 1e5, now)
	}
	for _, k := range []series.Key{requests, duration, waiting} {
		for _, st := range []series.Stat{series.Sum, series.Count, series.Last, series.Min, series.Max, series.Mean, series.P50, series.P99} {
			for _, window := range []time.Duration{time.Minute, time.Hour, day, 30 * day} {
				w := last(window, now.Add(time.Second))
				equal(t, k.Metric+" "+string(st)+" over "+window.String(), after.Value(k, st, w), before.Value(k, st, w))
			}
		}
	}
}

// Whatever is restored, how often, and when: each block is counted once.
func TestNothingIsCountedTwice(t *testing.T) {
	d := disk{}
	now := noon.Add(5 * time.Minute)
	first := newSet(t, series.Config{})
	first.Add(requests, 10, now)
	d.save(first.Dirty(now))
	d.save(first.Dirty(now.Add(time.Second)))

	w := last(time.Hour, now.Add(time.Minute))
	d.restore(t, first) // its own
	equal(t, "of its own blocks", value(t, first, requests, series.Sum, w), 10)

	second := newSet(t, series.Config{Start: now})
	second.Add(requests, 1, now)
	for range 3 {
		d.restore(t, second)
		equal(t, "of the first and the second", value(t, second, requests, series.Sum, w), 11)
	}
	second.Add(requests, 1, now)
	d.save(second.Dirty(now))
	d.restore(t, second) // its own, with the first's in it
	equal(t, "after saving", value(t, second, requests, series.Sum, w), 12)

	third := newSet(t, series.Config{Start: now.Add(2 * day)})
	d.restore(t, third)
	wide := last(30*day, now.Add(2*day))
	equal(t, "of all three", value(t, third, requests, series.Sum, wide), 12)
	third.Add(requests, 1, now.Add(2*day))
	d.save(third.Dirty(now.Add(2 * day)))
	equal(t, "of all three", value(t, third, requests, series.Sum, last(30*day, now.Add(2*day+time.Second))), 13)
}

// A block that comes when its step has been written down anew is not lost.
func TestRestoreAfterDirty(t *testing.T) {
	d := disk{}
	now := noon.Add(5 * time.Minute)
	first := newSet(t, series.Config{})
	first.Add(requests, 10, now)
	old := first.Dirty(now)
	second := newSet(t, series.Config{Start: now})
	second.Add(requests, 1, now)
	d.save(second.Dirty(now))
	d.save(second.Dirty(now.Add(time.Minute))) // the step is over
	for _, b := range old {
		if err := second.Restore(b); err != nil {
			t.Error(err)
		}
	}
	d.save(second.Dirty(now.Add(2 * time.Minute)))
	third := newSet(t, series.Config{Start: now.Add(3 * time.Minute)})
	d.restore(t, third)
	equal(t, "sum", value(t, third, requests, series.Sum, last(time.Hour, now.Add(3*time.Minute))), 11)
}

// While nothing ran there is no data; while something ran and nothing happened, zero.
func TestGapsStayGaps(t *testing.T) {
	d := disk{}
	first := newSet(t, series.Config{})
	first.Set(waiting, 7, noon)
	first.Add(requests, 5, noon)
	for at := noon; !at.After(noon.Add(10 * time.Minute)); at = at.Add(30 * time.Second) {
		d.save(first.Dirty(at))
	}
	second := newSet(t, series.Config{Start: noon.Add(20 * time.Minute)}) // ten minutes of nothing
	d.restore(t, second)
	now := noon.Add(30 * time.Minute)
	w := series.Window{From: noon.Add(-5 * time.Minute), To: now}
	zero, none := series.Point{OK: true}, series.Point{}
	equalPoints(t, "a counter", second.Steps(requests, series.Sum, w, 5*time.Minute),
		[]series.Point{none, {Value: 5, Count: 1, OK: true}, zero, zero /* 10 s of it */, none, zero, zero})
	equalPoints(t, "a gauge", second.Steps(waiting, series.Last, w, 5*time.Minute),
		[]series.Point{none, {Value: 7, Count: 1, OK: true}, none, none, none, none, none})
	// The rate is that of when something ran: 10 min 10 s, and 10 min.
	equal(t, "the rate", value(t, second, requests, series.Rate, w), 5.0/1210)
	nothing(t, second, requests, series.Sum, series.Window{From: noon.Add(11 * time.Minute), To: noon.Add(19 * time.Minute)})
}

func TestDirtyGivesWhatChanged(t *testing.T) {
	s := newSet(t, series.Config{})
	count := func(now time.Time) int {
		n := 0
		for _, b := range s.Dirty(now) {
			if b.Metric == "requests" {
				n++
			}
		}
		return n
	}
	equal(t, "of nothing", count(noon), 0)
	s.Add(requests, 1, noon)
	equal(t, "of one step in each tier", count(noon.Add(time.Second)), 4)
	equal(t, "since", count(noon.Add(2*time.Second)), 0)
	equal(t, "the finished step", count(noon.Add(10*time.Second)), 4)
	equal(t, "since", count(noon.Add(time.Hour)), 0)
	now := noon.Add(2 * time.Hour)
	for i := range 60 {
		s.Add(requests, 1, now.Add(time.Duration(i)*time.Second))
	}
	now = now.Add(59 * time.Second)
	blocks := s.Dirty(now)
	equal(t, "since", count(now), 0)
	s.Unsaved(blocks)
	equal(t, "of a minute again", count(now), 6+3)
}

// What could not be written is given again, also of when the set was running.
func TestUnsaved(t *testing.T) {
	s := newSet(t, series.Config{})
	d := disk{}
	now := noon
	for i := range 500 {
		now = now.Add(time.Duration(i%90) * time.Second)
		s.Add(requests, 1, now)
		s.Observe(duration, 1, now)
		if blocks := s.Dirty(now); i%3 == 0 {
			d.save(blocks)
		} else {
			s.Unsaved(blocks)
		}
	}
	d.save(s.Dirty(now))
	next := newSet(t, series.Config{Start: now})
	d.restore(t, next)
	w := last(day, now.Add(time.Second))
	equal(t, "count", value(t, next, duration, series.Count, w), 500)
	equal(t, "points", len(next.Steps(failures, series.Sum, series.Window{From: noon, To: now}, 10*time.Second)), int(now.Sub(noon)/(10*time.Second)))
	for i, p := range next.Steps(failures, series.Sum, series.Window{From: noon, To: now}, 10*time.Minute) {
		if !p.OK {
			t.Errorf("at step %d the set seems not to have run", i)
		}
	}
}

func TestRestoreIgnores(t *testing.T) {
	first := newSet(t, series.Config{Metrics: []series.Metric{{Name: "requests"}, {Name: "waiting"}, {Name: "gone"}}})
	first.Add(requests, 1, noon)
	first.Add(waiting, 1, noon) // a Counter here
	first.Add(series.Key{Metric: "gone"}, 1, noon)
	first.Add(operation("requests", "a"), 1, noon)
	first.Add(operation("requests", "b"), 1, noon)
	blocks := first.Dirty(noon)
	restore := func(s *series.Set, change func(*series.Block)) {
		t.Helper()
		for _, b := range blocks {
			change(&b)
			if err := s.Restore(b); err != nil {
				t.Error(err)
			}
		}
	}
	s := newSet(t, series.Config{MaxSeries: 1})
	restore(s, func(*series.Block) {})
	equal(t, "Dropped", s.Dropped(), 4) // of a or b, in four tiers
	equal(t, "sum", value(t, s, requests, series.Sum, last(day, noon.Add(time.Minute))), 1)
	nothing(t, s, waiting, series.Last, last(day, noon.Add(time.Minute)))

	for name, change := range map[string]func(*series.Block){
		"too old":      func(b *series.Block) { b.Start = b.Start.Add(-32 * day) },
		"too new":      func(b *series.Block) { b.Start = b.Start.Add(25 * time.Hour) },
		"not aligned":  func(b *series.Block) { b.Start = b.Start.Add(time.Second) },
		"a little off": func(b *series.Block) { b.Start = b.Start.Add(1) },
		"no such step": func(b *series.Block) { b.Step = 7 * time.Second },
		"out of time":  func(b *series.Block) { b.Start = time.Unix(1<<60, 0) },
		"before time":  func(b *series.Block) { b.Start = time.Time{} },
		"half a key":   func(b *series.Block) { b.Label = "" },
		"a long key":   func(b *series.Block) { b.Label, b.Value = "x", string(make([]byte, 200)) },
		"another key":  func(b *series.Block) { b.Metric = "x" },
	} {
		s = newSet(t, series.Config{})
		restore(s, func(b *series.Block) {
			if b.Label != "" || !strings.Contains(name, "key") && b.Metric == "requests" {
				change(b)
			}
		})
		if p := s.Value(operation("requests", "a"), series.Sum, last(400*day, noon)); p.OK {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	first := newSet(t, series.Config{})
	first.Observe(duration, 1, noon)
	first.Observe(duration, 5, noon)
	for _, good := range first.Dirty(noon) {
		s := newSet(t, series.Config{})
		if err := s.Restore(good); err != nil {
			t.Fatal(err)
		}
		faults := [][]byte{nil, good.Data[:1], good.Data[:10], append([]byte{2}, good.Data[1:]...), make([]byte, 1<<16), append(good.Data[:len(good.Data):len(good.Data)], 1)}
		if good.Metric == "duration" {
			for i := 11; i < len(good.Data); i++ {
				faults = append(faults, good.Data[:i])
			}
		}
		for _, data := range faults {
			b := good
			b.Data = data
			var e *llm.Error
			if err := s.Restore(b); !errors.As(err, &e) || e.Kind != llm.ForebayInternal || e.Fix == "" {
				t.Errorf("%d bytes of %v: %v", len(data), b.Key, err)
			}
		}
	}
}

// Bytes from a damaged store are refused or read; they neither panic nor make a set answer
// with what is no number, nor do they allocate more than the range of all buckets.
func FuzzRestore(f *testing.F) {
	s := newSet(f, series.Config{})
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 300 {
		at := noon.Add(time.Duration(i) * 100 * time.Millisecond)
		s.Add(requests, 1.5, at)
		s.Set(waiting, -float64(i)/3, at)
		s.Observe(duration, r.ExpFloat64()-0.1, at)
	}
	for _, b := range s.Dirty(noon.Add(time.Minute)) {
		f.Add(b.Data)
	}
	f.Add([]byte("\x01\x0212345678\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
	keys := []series.Key{requests, waiting, duration, {Metric: "_running"}}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newSet(t, series.Config{})
		some := false
		for _, k := range keys {
			err := s.Restore(series.Block{Key: k, Step: time.Hour, Start: noon, Data: data})
			some = some || err == nil
		}
		w := last(day, noon.Add(time.Hour))
		for _, k := range keys[:3] {
			for _, st := range []series.Stat{series.Sum, series.Count, series.Mean, series.Min, series.Max, series.P50, series.P99, series.Rate, series.Last} {
				p := s.Value(k, st, w)
				if p.Value != p.Value || p.Value > 1e40 || p.Value < -1e40 || p.Count < 0 || p.Count > 0 && !some {
					t.Fatalf("%s of %v is %+v", st, k, p)
				}
			}
		}
		// What was taken is given again, and taken again.
		s.Add(requests, 1, noon)
		next := newSet(t, series.Config{})
		for _, b := range s.Dirty(noon.Add(time.Hour)) {
			if err := next.Restore(b); err != nil {
				t.Fatalf("%v: %v", b.Key, err)
			}
		}
	})
}
