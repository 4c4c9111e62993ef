package series_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/series"
)

// Many goroutines record over some steps while others ask and save: nothing is lost and
// nothing is counted twice, in memory or on disk.
func TestConcurrency(t *testing.T) {
	const goroutines = 8
	n := 4_000
	if long() {
		n = 100_000
	}
	s := newSet(t, series.Config{MaxSeries: 50})
	d := disk{}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for g := range goroutines {
		writers.Go(func() {
			for i := range n {
				// Each at a time of its own, some a little late.
				now := noon.Add(time.Duration(i)*5*time.Minute/time.Duration(n) + time.Duration(g)*time.Second)
				s.Add(requests, 2, now)
				s.Observe(duration, float64(i%100), now)
				s.Add(operation("requests", strconv.Itoa((i+g)%100)), 1, now)
				s.Set(waiting, 1, now)
			}
		})
	}
	readers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			now := noon.Add(time.Duration(i%300) * time.Second)
			d.save(s.Dirty(now))
		}
	})
	readers.Go(func() {
		before := 0.0
		for {
			select {
			case <-stop:
				return
			default:
			}
			w := series.Window{From: noon, To: noon.Add(time.Hour)}
			if got := s.Value(requests, series.Sum, w).Value; got < before {
				t.Errorf("a sum fell from %v to %v", before, got)
				return
			} else {
				before = got
			}
			s.Steps(duration, series.P95, w, time.Minute)
			s.Values("requests", "operation")
		}
	})
	writers.Wait()
	close(stop)
	readers.Wait()

	now := noon.Add(10 * time.Minute)
	d.save(s.Dirty(now))
	after := newSet(t, series.Config{Start: now})
	d.restore(t, after)
	w := series.Window{From: noon, To: now}
	for _, x := range []*series.Set{s, after} {
		equal(t, "requests", value(t, x, requests, series.Sum, w), float64(2*goroutines*n))
		equal(t, "durations", value(t, x, duration, series.Count, w), float64(goroutines*n))
		total := 0.0
		for _, v := range x.Values("requests", "operation") {
			total += value(t, x, operation("requests", v), series.Sum, w)
		}
		equal(t, "by operation", total, float64(goroutines*n))
	}
}

// Keys that come and go while they are recorded: no measurement gets lost with its key.
func TestForgettingWhileRecording(t *testing.T) {
	s := newSet(t, series.Config{})
	n := 300
	if long() {
		n = 1_000
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range n {
				s.Add(requests, 1, noon.Add(time.Duration(i)*15*day))
			}
		})
	}
	wg.Go(func() {
		for i := range n {
			s.Dirty(noon.Add(time.Duration(i) * 15 * day))
		}
	})
	wg.Wait()
	s.Add(requests, 1, noon)
	if got := value(t, s, requests, series.Sum, last(time.Minute, noon.Add(time.Second))); got < 1 {
		t.Errorf("the sum is %v", got)
	}
	equal(t, "Dropped", s.Dropped(), 0)
}

func TestNoAllocationOnceTheKeyIsKnown(t *testing.T) {
	s := newSet(t, series.Config{MaxSeries: 2})
	k, beyond := operation("duration", "a"), operation("duration", "c")
	now := noon
	record := func() {
		now = now.Add(time.Millisecond)
		s.Observe(k, float64(now.Nanosecond()%1000), now)
		s.Observe(beyond, 1, now)
		s.Add(requests, 1, now)
		s.Set(waiting, 1, now)
	}
	s.Observe(operation("duration", "b"), 1, now)
	for range 2000 {
		record()
	}
	if n := testing.AllocsPerRun(1000, record); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
