package series_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/series"
)

// crowd is a set with 150 keys, as a gateway with ten operations has.
func crowd(b testing.TB) (*series.Set, []series.Key) {
	s := newSet(b, series.Config{})
	var keys []series.Key
	for i := range 150 {
		keys = append(keys, operation("duration", "operation-"+strconv.Itoa(i)))
		s.Observe(keys[i], 1, noon)
	}
	return s, keys
}

func BenchmarkObserve(b *testing.B) {
	s, keys := crowd(b)
	values := make([]float64, 1024)
	for i := range values {
		values[i] = math.Exp(rand.NormFloat64())
	}
	b.ReportAllocs()
	i, now := 0, noon
	for b.Loop() {
		i++
		now = now.Add(100 * time.Microsecond) // 10,000 a second
		s.Observe(keys[i%len(keys)], values[i%len(values)], now)
	}
}

func BenchmarkAdd(b *testing.B) {
	s, _ := crowd(b)
	b.ReportAllocs()
	now := noon
	for b.Loop() {
		now = now.Add(100 * time.Microsecond)
		s.Add(requests, 1, now)
	}
}

// All goroutines into the same series.
func BenchmarkObserveParallel(b *testing.B) {
	s, keys := crowd(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := noon
		for pb.Next() {
			now = now.Add(100 * time.Microsecond)
			s.Observe(keys[0], 1.5, now)
		}
	})
}

// While one asks for 30 days without a pause.
func BenchmarkObserveWhileAsked(b *testing.B) {
	s, to := month(b)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				s.Value(duration, series.P99, last(30*24*time.Hour, to))
			}
		}
	}()
	for b.Loop() {
		s.Observe(duration, 1.5, to)
	}
	close(stop)
	<-done
}

// month is a set with a value every two seconds over 31 days.
func month(b testing.TB) (*series.Set, time.Time) {
	s := newSet(b, series.Config{})
	r := rand.New(rand.NewPCG(1, 1))
	now := noon
	for range 31 * 24 * 3600 / 2 {
		now = now.Add(2 * time.Second)
		s.Observe(duration, math.Exp(0.7*r.NormFloat64()), now)
		s.Add(requests, 1, now)
	}
	return s, now
}

func BenchmarkQuery30Days(b *testing.B) {
	s, to := month(b)
	for name, w := range map[string]series.Window{
		"p99": last(30*24*time.Hour, to), "p99-unaligned": last(30*24*time.Hour-1234567*time.Millisecond, to.Add(-time.Hour)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Value(duration, series.P99, w)
			}
		})
	}
	b.Run("sum", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Value(requests, series.Sum, last(30*24*time.Hour, to))
		}
	})
	b.Run("p95-in-180-steps", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Steps(duration, series.P95, last(30*24*time.Hour, to), 4*time.Hour)
		}
	})
}

func BenchmarkQuery5Minutes(b *testing.B) {
	s, to := month(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Value(duration, series.P99, last(5*time.Minute, to))
	}
}

// What a flush of 150 series costs, every 10 s.
func BenchmarkDirty(b *testing.B) {
	s, keys := crowd(b)
	b.ReportAllocs()
	now := noon
	for b.Loop() {
		now = now.Add(10 * time.Second)
		for _, k := range keys {
			s.Observe(k, 1.5, now)
		}
		s.Dirty(now)
	}
}

// A start with all that a month has left: two series, in no order.
func BenchmarkRestore(b *testing.B) {
	s, to := month(b)
	s.Unsaved(everyStep(to))
	d := disk{}
	d.save(s.Dirty(to))
	for b.Loop() {
		d.restore(b, newSet(b, series.Config{Start: to}))
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(len(d)), "ns/block")
}

// everyStep names all steps that the set of month may have.
func everyStep(to time.Time) []series.Block {
	var all []series.Block
	for _, k := range []series.Key{duration, requests} {
		for _, r := range retention {
			all = append(all, series.Block{Key: k, Step: r.step, Start: to.Add(-r.keep).Truncate(r.step)})
		}
	}
	return all
}
