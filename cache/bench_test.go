package cache_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
)

func BenchmarkKeyOf2KB(b *testing.B) {
	canonical := bytes.Repeat([]byte(`{"content":"x"}`), 2048/15)
	scope := cache.DefaultScope()
	b.SetBytes(int64(len(canonical)))
	b.ReportAllocs()
	for b.Loop() {
		cache.KeyOf(identity, scope, canonical)
	}
}

// numberedKey is the key of the n-th entry of a test.
func numberedKey(n int) (k cache.Key) {
	binary.BigEndian.PutUint64(k[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(k[8:], uint64(n))
	return k
}

func BenchmarkGetHit(b *testing.B) {
	for _, parallel := range []bool{false, true} {
		name := "serial"
		if parallel {
			name = "parallel"
		}
		b.Run(name, func(b *testing.B) {
			const entries = 4096
			c := open(b, cache.Config{})
			now := time.Now()
			for n := range entries {
				c.Put(&cache.Entry{Key: numberedKey(n), Tenant: "t", Body: make([]byte, 2048), Expires: now.Add(time.Hour)}, now)
			}
			get := func(n int) {
				if _, outcome := c.Get(numberedKey(n%entries), "t", now); outcome != cache.Hit {
					b.Errorf("entry %d: %v", n, outcome)
				}
			}
			b.ReportAllocs()
			if !parallel {
				for n := 0; b.Loop(); n++ {
					get(n)
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					get(n)
				}
			})
		})
	}
}

// BenchmarkPut measures puts into a full cache: each one evicts another.
func BenchmarkPut(b *testing.B) {
	c := open(b, cache.Config{MemoryBytes: 16 << 20, MaxEntries: -1})
	now := time.Now()
	e := cache.Entry{Tenant: "t", Body: make([]byte, 2048), Expires: now.Add(time.Hour)}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		e.Key = numberedKey(n)
		c.Put(&e, now)
	}
}

// BenchmarkFlightUncontended measures what a flight of one participant costs over
// calling start directly, for a whole answer.
func BenchmarkFlightUncontended(b *testing.B) {
	answer := llm.Chunk{Raw: make([]byte, 2048)}
	start := func(context.Context) (llm.Stream, error) { return &slice{chunks: []llm.Chunk{answer}}, nil }
	read := func(b *testing.B, s llm.Stream, err error) {
		for err == nil {
			_, err = s.Next()
		}
		s.Close()
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.Run("direct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := start(ctx)
			read(b, s, err)
		}
	})
	b.Run("flight", func(b *testing.B) {
		f := cache.NewFlights(cache.FlightsConfig{})
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			s, err := f.Do(ctx, numberedKey(n), llm.Normal, start)
			read(b, s, err)
		}
	})
	b.Run("flight-parallel", func(b *testing.B) {
		f := cache.NewFlights(cache.FlightsConfig{})
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			k := numberedKey(int(time.Now().UnixNano()))
			for n := uint64(0); pb.Next(); n++ {
				binary.BigEndian.PutUint64(k[16:], n)
				s, err := f.Do(ctx, k, llm.Normal, start)
				read(b, s, err)
			}
		})
	})
}

// BenchmarkFanOut measures one chunk to 1,000 participants.
func BenchmarkFanOut(b *testing.B) {
	const readers = 1000
	next := make(chan llm.Chunk)
	defer close(next)
	f := cache.NewFlights(cache.FlightsConfig{MaxBuffer: 1 << 40, ReadAhead: 1 << 40})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	done := make(chan struct{}, readers)
	go func() { next <- llm.Chunk{Raw: []byte("x")} }()
	for range readers {
		s, err := f.Do(ctx, cache.Key{}, llm.Normal, func(ctx context.Context) (llm.Stream, error) {
			return &piped{ctx: ctx, next: next}, nil
		})
		if err != nil {
			b.Fatal(err)
		}
		s.Next()
		go func() {
			for {
				if _, err := s.Next(); err != nil {
					return
				}
				done <- struct{}{}
			}
		}()
	}
	c := llm.Chunk{Raw: make([]byte, 100)}
	b.ReportAllocs()
	for b.Loop() {
		next <- c
		for range readers {
			<-done
		}
	}
}
