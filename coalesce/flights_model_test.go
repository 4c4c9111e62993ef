package coalesce_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/coalesce"
	"github.com/forebay-ai/forebay/llm"
)

// plan is a random course of events: what upstream does in each call, and who asks,
// reads and leaves when. Times are in milliseconds; callers are some microseconds
// apart, so that none arrives in the very moment in which another one leaves.
type plan struct {
	calls   []callPlan // the n-th upstream call; the last one stands for all further ones
	callers []callerPlan
}

type callPlan struct {
	head   int      // before start returns
	gaps   []int    // before each chunk
	ending llm.Kind // how it ends; empty for io.EOF, "panic" for a panic
	early  bool     // start fails with ending
}

type callerPlan struct {
	arrives, slow int // slow is the time it takes over each chunk
	priority      llm.Priority
	leaves        int  // after this time; 0 for never
	byClose       bool // leaves by Close rather than by its context
	awaits        bool // waits apart from reading
}

func drawPlan(t *rapid.T) plan {
	ms := rapid.IntRange(0, 30)
	call := rapid.Custom(func(t *rapid.T) callPlan {
		return callPlan{
			head: ms.Draw(t, "head"),
			gaps: rapid.SliceOfN(ms, 0, 8).Draw(t, "gaps"),
			ending: rapid.SampledFrom([]llm.Kind{
				"", "", "", llm.ProviderError, llm.CallerDeadline, llm.CallerCancelled, "panic",
			}).Draw(t, "ending"),
			early: rapid.Bool().Draw(t, "early"),
		}
	})
	caller := rapid.Custom(func(t *rapid.T) callerPlan {
		c := callerPlan{
			arrives: rapid.IntRange(0, 200).Draw(t, "arrives"), slow: rapid.SampledFrom([]int{0, 0, 5, 40}).Draw(t, "slow"),
			priority: rapid.SampledFrom([]llm.Priority{llm.Normal, llm.Normal, llm.Normal, llm.Low, llm.High}).Draw(t, "priority"),
		}
		c.awaits = rapid.Bool().Draw(t, "awaits")
		if rapid.Bool().Draw(t, "goes") {
			c.leaves, c.byClose = rapid.IntRange(1, 150).Draw(t, "leaves"), rapid.Bool().Draw(t, "by Close")
		}
		return c
	})
	return plan{
		calls:   rapid.SliceOfN(call, 1, 4).Draw(t, "calls"),
		callers: rapid.SliceOfN(caller, 1, 12).Draw(t, "callers"),
	}
}

// world carries a plan out and notes what is wrong.
type world struct {
	plan    plan
	flights *coalesce.Flights

	mu     sync.Mutex
	calls  []*modelCall
	faults []string
}

func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// modelCall is one upstream call as the model sees it.
type modelCall struct {
	callPlan
	world    *world
	ctx      context.Context
	number   int
	began    time.Time
	priority llm.Priority
	pos      int
	waited   bool // for the next chunk, by whoever reads
	over     bool // ended or failed by itself; world.mu guards it
	closed   int
}

func (c *modelCall) whole() string {
	var b strings.Builder
	for i := range c.gaps {
		fmt.Fprintf(&b, "%d.%d ", c.number, i)
	}
	return b.String()
}

// start begins an upstream call. There must be no other that its caller could have
// joined: one of at least its priority that goes on and that somebody waits for.
func (w *world) start(ctx context.Context, p llm.Priority) (llm.Stream, error) {
	w.mu.Lock()
	n := len(w.calls)
	c := &modelCall{world: w, ctx: ctx, number: n, began: time.Now(), priority: p, callPlan: w.plan.calls[min(n, len(w.plan.calls)-1)]}
	newest := w.newest(c)
	if newest != nil && !newest.over && newest.ctx.Err() == nil && newest.priority >= p {
		w.faults = append(w.faults, fmt.Sprintf("call %d began beside call %d", n, newest.number))
	}
	w.calls = append(w.calls, c)
	w.mu.Unlock()
	if err := c.wait(c.head); err != nil {
		return nil, err
	}
	if c.early && c.ending != "" {
		return nil, c.end()
	}
	return c, nil
}

// newest is the call that mine should have found: the one that began last. It is nil
// where two of different bands began at once, so that the model cannot tell which one
// took the other's place, and where four have failed for their leaders' reasons,
// because who has met all of these goes alone. w.mu must be held.
func (w *world) newest(mine *modelCall) (newest *modelCall) {
	unlucky, tie := 0, false
	for _, c := range w.calls {
		given := c.ctx.Err() != nil // its leader left before the first chunk
		if c.pos == 0 && (given || c.over && c.ending.Domain() == llm.CallerFault) {
			unlucky++
		}
		tie = newest != nil && newest.began.Equal(c.began)
		newest = c
	}
	if newest != nil && newest.began.Equal(mine.began) && newest.priority != mine.priority {
		return nil
	}
	if tie || unlucky >= 4 {
		return nil
	}
	return newest
}

// wait takes ms milliseconds, or less if the call is cancelled.
func (c *modelCall) wait(ms int) error {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return nil
	case <-c.ctx.Done():
		return llm.AsError(c.ctx.Err())
	}
}

func (c *modelCall) end() error {
	c.world.mu.Lock()
	c.over = true
	c.world.mu.Unlock()
	switch c.ending {
	case "":
		return io.EOF
	case "panic":
		panic("planned")
	}
	return llm.Errorf(c.ending, "planned")
}

// Await waits for what Next then has; a panic that is planned happens here.
func (c *modelCall) Await() {
	if c.pos < len(c.gaps) {
		c.waited = c.waited || c.wait(c.gaps[c.pos]) == nil
	} else if c.ending == "panic" {
		_ = c.end()
	}
}

func (c *modelCall) Next() (llm.Chunk, error) {
	if c.pos == len(c.gaps) {
		return llm.Chunk{}, c.end()
	}
	if !c.waited {
		if err := c.wait(c.gaps[c.pos]); err != nil {
			return llm.Chunk{}, err
		}
	}
	c.waited = false
	c.world.mu.Lock() // newest reads it
	c.pos++
	c.world.mu.Unlock()
	return text(fmt.Sprintf("%d.%d ", c.number, c.pos-1)), nil
}

func (c *modelCall) Close() error {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.closed++
	return nil
}

// caller carries one caller's plan out and checks what it gets.
func (w *world) caller(i int, p callerPlan) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	time.Sleep(ms(p.arrives) + time.Duration(i)*7*time.Microsecond)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	begin := time.Now()
	if p.leaves > 0 && !p.byClose {
		defer time.AfterFunc(ms(p.leaves), cancel).Stop()
	}
	gone := func() bool { return p.leaves > 0 && time.Since(begin) >= ms(p.leaves) }
	s, err := w.flights.Do(ctx, coalesce.Key{}, p.priority, func(ctx context.Context) (llm.Stream, error) { return w.start(ctx, p.priority) })
	if err != nil {
		w.check(p, gone(), nil, "", err)
		return
	}
	defer s.Close()
	if p.leaves > 0 && p.byClose {
		closer := time.AfterFunc(time.Until(begin.Add(ms(p.leaves))), func() { s.Close() })
		defer closer.Stop()
	}
	got := ""
	for {
		if p.awaits {
			s.Await()
		}
		c, err := s.Next()
		if err != nil {
			w.check(p, gone(), s, got, err)
			return
		}
		got += string(c.Raw)
		time.Sleep(ms(p.slow))
	}
}

// check compares how a caller fared with what it may expect.
func (w *world) check(p callerPlan, gone bool, s *coalesce.Share, got string, err error) {
	kind := llm.Kind("")
	if err != io.EOF {
		kind = llm.KindOf(err)
	}
	if gone && kind == llm.CallerCancelled {
		return
	}
	if s == nil {
		own := kind == llm.CallerDeadline || kind == llm.CallerCancelled // as the leader of its call
		if kind != llm.ProviderError && kind != llm.ForebayInternal && !own {
			w.fault("%+v: Do: %v", p, err)
		}
		return
	}
	c := s.Source().(*modelCall)
	want := c.ending
	switch {
	case want == "panic":
		want = llm.ForebayInternal
	case !s.Leader() && (want == llm.CallerDeadline || want == llm.CallerCancelled):
		want = llm.ForebayUnavailable
	}
	if got != c.whole() || kind != want {
		w.fault("%+v: got %q and %v, want %q and kind %q", p, got, err, c.whole(), want)
	}
}

// Whatever the callers do and whenever they do it: who stays gets the whole answer of
// one call, or the error that ended it; no call is made that could have been joined; and
// nothing is left behind.
func TestFlightsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{plan: drawPlan(rt), flights: coalesce.New(coalesce.Config{})}
		synctest.Test(t, func(t *testing.T) {
			var wg sync.WaitGroup
			for i, p := range w.plan.callers {
				wg.Go(func() { w.caller(i, p) })
			}
			wg.Wait()
			synctest.Wait()
			if running, joinable := w.flights.Running(); running != 0 || joinable != 0 {
				w.fault("%d flights go on, %d can be joined", running, joinable)
			}
			for _, c := range w.calls {
				if c.pos > 0 && c.closed != 1 {
					w.fault("call %d was closed %d times", c.number, c.closed)
				}
			}
		})
		for _, fault := range w.faults {
			rt.Error(fault)
		}
	})
}
