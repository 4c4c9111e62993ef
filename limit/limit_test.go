package limit_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/forebay-ai/forebay/limit"
	"pgregory.net/rapid"
)

func TestValidate(t *testing.T) {
	for value, fault := range map[int]string{-2: "limits.max_concurrent: -2", -1: "", 0: "", 1: "", 5000: ""} {
		err := limit.Config{MaxConcurrent: value}.Validate()
		switch {
		case fault == "" && err != nil:
			t.Errorf("%d: %v", value, err)
		case fault != "" && (err == nil || !strings.Contains(err.Error(), fault)):
			t.Errorf("%d: got %v, want %q in it", value, err, fault)
		}
	}
}

func TestNewMax(t *testing.T) {
	for value, want := range map[int]int{-7: -1, -1: -1, 0: 10, 1: 1, 12: 12} {
		if got := limit.New(limit.Config{MaxConcurrent: value}).Max(); got != want {
			t.Errorf("New(%d).Max() = %d, want %d", value, got, want)
		}
	}
}

// TestModel runs random operations beside a plain model of the limiter.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(t, "max")
		l := limit.New(limit.Config{MaxConcurrent: most})
		inflight, unmatched := 0, int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				want := most == -1 || inflight < most
				if got := l.TryAcquire(); got != want {
					t.Fatalf("TryAcquire = %t at %d of %d", got, inflight, most)
				}
				if want {
					inflight++
				}
			},
			"release": func(*rapid.T) {
				l.Release()
				if inflight == 0 {
					unmatched++
				} else {
					inflight--
				}
			},
			"set": func(t *rapid.T) {
				n := rapid.IntRange(-3, 6).Draw(t, "n")
				l.SetMax(n)
				most = n
				if n != -1 {
					most = max(n, 1)
				}
			},
			"": func(t *rapid.T) {
				if l.InFlight() != inflight || l.Max() != most || l.Unmatched() != unmatched {
					t.Fatalf("got %d of %d, %d unmatched; want %d of %d, %d",
						l.InFlight(), l.Max(), l.Unmatched(), inflight, most, unmatched)
				}
			},
		})
	})
}

// TestNeverOverMax counts the holders of slots from outside.
func TestNeverOverMax(t *testing.T) {
	const most = 1 // two holders at once are enough to see a fault, even on two processors
	l := limit.New(limit.Config{MaxConcurrent: most})
	var holders, got atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			<-begin
			for range 100_000 {
				if !l.TryAcquire() {
					continue
				}
				if n := holders.Add(1); n > most {
					t.Errorf("%d hold a slot, the bound is %d", n, most)
				}
				got.Add(1)
				holders.Add(-1)
				l.Release()
			}
		})
	}
	close(begin)
	wg.Wait()
	if got.Load() == 0 || l.InFlight() != 0 || l.Unmatched() != 0 {
		t.Errorf("%d slots given, %d in flight, %d unmatched at the end", got.Load(), l.InFlight(), l.Unmatched())
	}
}

func ExampleLimiter() {
	l := limit.New(limit.Config{MaxConcurrent: 1})
	fmt.Println(l.TryAcquire(), l.TryAcquire())
	l.Release()
	fmt.Println(l.TryAcquire(), l.InFlight(), "of", l.Max())
	// Output:
	// true false
	// true 1 of 1
}

func BenchmarkTryAcquireRelease(b *testing.B) {
	l := limit.New(limit.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if l.TryAcquire() {
			l.Release()
		}
	}
}
