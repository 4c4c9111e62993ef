package coalesce_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
)

// endless is a stream of n chunks of 1,000 bytes, as fast as they are asked for.
type endless struct {
	ctx  context.Context
	n    int64
	read atomic.Int64
}

func (e *endless) Next() (llm.Chunk, error) {
	if err := e.ctx.Err(); err != nil {
		return llm.Chunk{}, llm.AsError(err)
	}
	if e.read.Load() == e.n {
		return llm.Chunk{}, io.EOF
	}
	e.read.Add(1)
	return llm.Chunk{Raw: make([]byte, 1000)}, nil
}

func (e *endless) Close() error { return nil }

const (
	maxBuffer = 64 << 10
	readAhead = 16 << 10
	chunkCost = 1000 + 128 // with bookkeeping
)

// begin starts a bounded flight over n chunks and gives its leader.
func begin(t *testing.T, n int64) (*coalesce.Flights, *coalesce.Share, *endless) {
	t.Helper()
	f := coalesce.New(coalesce.Config{MaxBuffer: maxBuffer, ReadAhead: readAhead})
	var src *endless
	s, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(ctx context.Context) (llm.Stream, error) {
		src = &endless{ctx: ctx, n: n}
		return src, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, s, src
}

// join adds a participant to the flight; start must not be called.
func join(t *testing.T, f *coalesce.Flights) *coalesce.Share {
	t.Helper()
	s, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(context.Context) (llm.Stream, error) {
		return nil, errors.New("a flight of its own")
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shared makes the flight one that has been shared: from then on it has a goroutine.
func shared(t *testing.T, f *coalesce.Flights) {
	t.Helper()
	_ = join(t, f).Close()
}

// take reads n chunks.
func take(t *testing.T, s *coalesce.Share, n int) {
	t.Helper()
	for i := range n {
		if _, err := s.Next(); err != nil {
			t.Fatalf("chunk %d of %d: %v", i, n, err)
		}
	}
}

func TestFlightReadsAheadWithinBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, src := begin(t, 1000)
		shared(t, f)
		const most = readAhead/chunkCost + 1
		for taken := range 1000 {
			synctest.Wait()
			if ahead := src.read.Load() - int64(taken); ahead > most || (ahead < most-1 && src.read.Load() < 1000) {
				t.Fatalf("%d chunks read ahead, want %d", ahead, most)
			}
			if bytes, _, _ := s.Held(); bytes > maxBuffer+chunkCost {
				t.Fatalf("%d bytes kept", bytes)
			}
			take(t, s, 1)
		}
		if _, err := s.Next(); err != io.EOF {
			t.Error(err)
		}
	})
}

// A slow follower gets the whole answer and holds up nobody; one who is hopelessly
// slow is cut off, and only that one.
func TestFlightSlowFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, fast, src := begin(t, 1000)
		slow, hopeless := join(t, f), join(t, f)
		take(t, hopeless, 3)
		for taken := range 1000 {
			take(t, fast, 1)
			if taken >= 40 { // 40 chunks are well within the buffer
				take(t, slow, 1)
			}
			synctest.Wait()
			if bytes, chunks, _ := fast.Held(); bytes > maxBuffer+chunkCost {
				t.Fatalf("after %d chunks: %d bytes in %d chunks kept", taken, bytes, chunks)
			}
		}
		if src.read.Load() != 1000 {
			t.Errorf("%d chunks read", src.read.Load())
		}
		if _, err := fast.Next(); err != io.EOF {
			t.Errorf("fast: %v", err)
		}
		take(t, slow, 40)
		if _, err := slow.Next(); err != io.EOF {
			t.Errorf("slow: %v", err)
		}
		_, err := hopeless.Next()
		var e *llm.Error
		if !errors.As(err, &e) || e.Kind != llm.CallerTooSlow || e.Limit != "max_buffer" || e.Value != "65536" {
			t.Errorf("hopeless: %v", err)
		}
		hopeless.Close()
	})
}

// A participant that is alone is waited for, however slow it is, also when it was
// far behind one who left.
func TestFlightWaitsForTheOnlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, fast, src := begin(t, 1000)
		slow := join(t, f)
		take(t, fast, 40) // with what is read ahead, just within the buffer
		synctest.Wait()
		fast.Close()
		before := src.read.Load()
		time.Sleep(time.Hour)
		if src.read.Load() != before {
			t.Errorf("read on for nobody: %d chunks, then %d", before, src.read.Load())
		}
		take(t, slow, 1000)
		if _, err := slow.Next(); err != io.EOF {
			t.Error(err)
		}
	})
}

// When the fastest leaves, the next one decides how far to read ahead: the one that
// is left is neither run away from nor cut off.
func TestFlightFastestLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := make(chan llm.Chunk, 100)
		f := coalesce.New(coalesce.Config{MaxBuffer: maxBuffer, ReadAhead: readAhead})
		send := func(n int) {
			for range n {
				next <- text(strings.Repeat("x", 1000))
			}
		}
		send(45)
		fast, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(ctx context.Context) (llm.Stream, error) {
			return &piped{ctx: ctx, next: next}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slow := join(t, f)
		take(t, fast, 45)
		fast.Close()
		send(50)
		close(next)
		synctest.Wait()
		if len(next) < 49 { // one was being waited for already
			t.Errorf("%d chunks read on, with 45 waiting", 50-len(next))
		}
		take(t, slow, 95)
		if _, err := slow.Next(); err != io.EOF {
			t.Error(err)
		}
	})
}

// An answer that has outgrown the buffer takes nobody in: the next caller has a
// flight of its own, which others may join.
func TestFlightSpilledTakesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, first, _ := begin(t, 1000)
		take(t, first, maxBuffer/chunkCost-20)
		join(t, f).Close()
		take(t, first, 20)
		synctest.Wait()
		started := false
		s, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(ctx context.Context) (llm.Stream, error) {
			started = true
			return &endless{ctx: ctx, n: 10}, nil
		})
		if err != nil || !started || !s.Leader() {
			t.Fatalf("joined an answer that is no longer whole: %v", err)
		}
		take(t, s, 10)
		s.Close()
		rest := int(1000 - (maxBuffer / chunkCost))
		take(t, first, rest)
		if _, err := first.Next(); err != io.EOF {
			t.Error(err)
		}
	})
}

// Everybody leaves a flight that waits for room: it ends.
func TestFlightStalledIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, _ := begin(t, 1000)
		synctest.Wait()
		s.Close()
		synctest.Wait()
		if running, joinable := f.Running(); running+joinable != 0 {
			t.Errorf("%d flights go on, %d can be joined", running, joinable)
		}
	})
}

// Cutting off a crowd is quick, and leaves the rest alone.
func TestFlightCutsOffACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, fast, _ := begin(t, 500)
		var behind []*coalesce.Share
		for range 1000 {
			behind = append(behind, join(t, f))
		}
		second := join(t, f)
		for range 500 {
			take(t, fast, 1)
			take(t, second, 1)
		}
		if _, _, aboard := fast.Held(); aboard != 2 {
			t.Errorf("%d aboard, want 2", aboard)
		}
		for _, s := range behind {
			if _, err := s.Next(); llm.KindOf(err) != llm.CallerTooSlow {
				t.Fatalf("%v", err)
			}
			s.Close()
		}
	})
}

// Bounds of nothing and below are the defaults; reading ahead never exceeds the buffer.
func TestConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			cfg  coalesce.Config
			want int64 // chunks of 64 KiB read ahead
		}{
			{coalesce.Config{}, 16},
			{coalesce.Config{MaxBuffer: -1, ReadAhead: -1}, 16},
			{coalesce.Config{MaxBuffer: 256 << 10, ReadAhead: 1 << 30}, 4},
		} {
			f := coalesce.New(tt.cfg)
			next := make(chan llm.Chunk, 100)
			for range 100 {
				next <- text(strings.Repeat("x", 64<<10))
			}
			s, err := f.Do(t.Context(), coalesce.Key{}, llm.Normal, func(ctx context.Context) (llm.Stream, error) {
				return &piped{ctx: ctx, next: next}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			shared(t, f)
			synctest.Wait()
			if got := int64(100 - len(next)); got != tt.want {
				t.Errorf("%+v: %d chunks read ahead, want %d", tt.cfg, got, tt.want)
			}
			s.Close()
			synctest.Wait()
		}
	})
}
