package coalesce_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
)

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
		f := coalesce.New(coalesce.Config{})
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			s, err := f.Do(ctx, numberedKey(n), llm.Normal, start)
			read(b, s, err)
		}
	})
	b.Run("flight-parallel", func(b *testing.B) {
		f := coalesce.New(coalesce.Config{})
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
	f := coalesce.New(coalesce.Config{MaxBuffer: 1 << 40, ReadAhead: 1 << 40})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	done := make(chan struct{}, readers)
	go func() { next <- llm.Chunk{Raw: []byte("x")} }()
	for range readers {
		s, err := f.Do(ctx, coalesce.Key{}, llm.Normal, func(ctx context.Context) (llm.Stream, error) {
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
