package queue_test

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/internal/replay"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// call is one call of a recorded burst.
type call struct {
	at, service time.Duration
	priority    llm.Priority
}

// densest gives the n calls of the trace that came in the shortest time, at so
// many times what the slots can serve; a call takes 300 ms and 2 ms a token.
func densest(t *testing.T, n, slots int, times float64) []call {
	t.Helper()
	shared := os.Getenv("FOREBAY_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared")
	}
	path := filepath.Join(shared, "data", "traces", "AzureLLMInferenceTrace_conv.csv.gz")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the recorded trace is not there (%v); FOREBAY_SHARED says where the shared data is", err)
	}
	trace, err := replay.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	all, best := trace.Arrivals, 0
	span := func(i int) time.Duration { return all[i+n-1].At - all[i].At }
	for i := range len(all) - n + 1 {
		if span(i) < span(best) {
			best = i
		}
	}
	var work time.Duration
	calls := make([]call, n)
	for i, a := range all[best : best+n] {
		calls[i] = call{at: a.At - all[best].At, service: 300*time.Millisecond + time.Duration(a.OutputTokens)*2*time.Millisecond, priority: llm.Normal}
		work += calls[i].service
	}
	scale := work.Seconds() / float64(slots) / times / span(best).Seconds()
	for i := range calls {
		calls[i].at = time.Duration(float64(calls[i].at) * scale)
	}
	return calls
}

// freeAt is a heap of the times at which slots come free.
type freeAt []time.Duration

func (h freeAt) Len() int           { return len(h) }
func (h freeAt) Less(i, j int) bool { return h[i] < h[j] }
func (h freeAt) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *freeAt) Push(x any)        { *h = append(*h, x.(time.Duration)) }
func (h *freeAt) Pop() any          { v := (*h)[len(*h)-1]; *h = (*h)[:len(*h)-1]; return v }

// firstCome is how many calls one queue answers in time that serves in order of
// arrival. It knows beforehand how long each call takes, and so makes none in vain;
// or, not clairvoyant, only how long they take on average.
func firstCome(calls []call, slots int, deadline time.Duration, clairvoyant bool) int {
	var mean time.Duration
	for _, c := range calls {
		mean += c.service / time.Duration(len(calls))
	}
	free := make(freeAt, slots)
	n := 0
	for _, c := range calls {
		start, need, end := max(c.at, free[0]), c.service, c.at+deadline
		if !clairvoyant {
			need = mean
		}
		if start+need > end {
			continue
		}
		if start+c.service <= end {
			n++
		}
		free[0] = min(start+c.service, end)
		heap.Fix(&free, 0)
	}
	return n
}

// play sends the calls through a line and returns their fates.
func play(t *testing.T, cfg queue.Config, calls []call, slots int, deadline time.Duration) []fate {
	w := newWorld(t, cfg, int64(slots))
	fates := make([]fate, len(calls))
	begin := time.Now()
	var wg sync.WaitGroup
	for i, c := range calls {
		time.Sleep(time.Until(begin.Add(c.at)))
		wg.Go(func() {
			fates[i] = w.request(context.Background(), load{priority: c.priority, deadline: deadline}, c.service)
		})
	}
	wg.Wait()
	s := w.line.Stats()
	t.Logf("refused %d, expired %d, displaced %d, dropped %d", s.Refused, s.Expired, s.Displaced, s.Dropped)
	return fates
}

// TestRecordedBursts: of the densest stretch of a recorded trace, some 100 s whose
// bursts are half as much again as the slots can serve, all calls are answered in
// time, as one first-come queue with perfect knowledge would do; and every critical
// one soon. Where more comes over the whole stretch than any queue can answer, as
// many (within 2 %) as a first-come queue answers that, like the line, cannot tell
// long calls from short ones before they end.
func TestRecordedBursts(t *testing.T) {
	const slots, deadline = 10, 15 * time.Second
	for _, c := range []struct {
		times float64
		all   bool
	}{{0.67, true}, {1, true}, {1.1, true}, {1.2, false}, {1.5, false}, {2, false}} {
		calls := densest(t, 2000, slots, c.times)
		perfect, want := firstCome(calls, slots, deadline, true), firstCome(calls, slots, deadline, false)
		if c.all && perfect != len(calls) {
			t.Fatalf("a first-come queue answers %d of %d: the trace is another one", perfect, len(calls))
		}
		r := rand.New(rand.NewPCG(seed(t), 0))
		for i := range calls {
			if r.IntN(10) == 0 {
				calls[i].priority = llm.Critical
			}
		}
		bubble(t, func(t *testing.T) {
			fates := play(t, queue.Config{}, calls, slots, deadline)
			var critical []fate
			for i, f := range fates {
				if calls[i].priority == llm.Critical {
					critical = append(critical, f)
				}
			}
			got := count(fates, answered)
			t.Logf("offered %g x: %d of %d in time, first come first served %d, with perfect knowledge %d; wait p95 %s; critical %.2f %% in time, wait p99 %s",
				c.times, got, len(calls), want, perfect, quantile(fates, 0.95), 100*share(critical, answered), quantile(critical, 0.99))
			if c.all && got < perfect || got < want*98/100 {
				t.Errorf("offered %g x: %d answered in time, want %d", c.times, got, want)
			}
			if n := count(critical, answered); n != len(critical) {
				t.Errorf("offered %g x: %d of %d critical calls answered in time", c.times, n, len(critical))
			}
			if p99 := quantile(critical, 0.99); p99 > time.Second {
				t.Errorf("offered %g x: critical calls wait %s (p99)", c.times, p99)
			}
		})
	}
}
