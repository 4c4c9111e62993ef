package monitor_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/monitor"
)

func BenchmarkRecord(b *testing.B) {
	m := make1(b, names)
	c := fullCall()
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Record(c)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.Record(c)
			}
		})
	})
	b.Run("hit", func(b *testing.B) {
		hit := &monitor.Call{Operation: "chat", Model: "haiku", Outcome: monitor.OK, Cache: "hit", Duration: 300 * time.Microsecond, CacheLookup: 20 * time.Microsecond, Overhead: 300 * time.Microsecond}
		b.ReportAllocs()
		for b.Loop() {
			m.Record(hit)
		}
	})
}

func BenchmarkRecordAttempt(b *testing.B) {
	m := make1(b, names)
	a := &monitor.Attempt{Provider: "local", Model: "haiku", Duration: time.Second, FirstToken: time.Millisecond}
	b.ReportAllocs()
	for b.Loop() {
		m.RecordAttempt(a)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := make1(b, names)
	useEverything(m)
	for b.Loop() {
		if _, err := m.Registry().Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMeasure(b *testing.B) {
	m := make1(b, names)
	labels := map[string]string{"course": "maths", "level": "2"}
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Measure("grade", 0.5, labels); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecordWithSink(b *testing.B) {
	m := make1(b, names)
	m.Attach(nobody{})
	c := fullCall()
	b.ReportAllocs()
	for b.Loop() {
		m.Record(c)
	}
}
