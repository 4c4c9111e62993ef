package queue_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// TestConservation: random requests with every way to end, and afterwards all are
// accounted for and every slot is back. FOREBAY_SEED repeats a run.
func TestConservation(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("FOREBAY_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("FOREBAY_SEED=%d", seed)
	var total queue.Stats
	for round := range uint64(60) {
		bubble(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, round))
			cfg := queue.Config{
				Max: 1 + r.IntN(30), MaxBytes: 500, QueueAt: r.IntN(4), MaxAge: time.Duration(1+r.IntN(20)) * time.Second,
			}
			if r.IntN(2) == 0 {
				cfg.Target, cfg.Interval = time.Second/2, time.Second
			}
			conserve(t, r, cfg, &total)
		})
	}
	t.Logf("%+v", total)
	if total.Started == 0 || total.Waited == 0 || total.Refused == 0 || total.Expired == 0 || total.Displaced == 0 || total.Dropped == 0 || total.Cancelled == 0 || total.Durable == 0 {
		t.Errorf("some way to end never came up: %+v", total)
	}
}

// crowd is a line with random visitors, and what they themselves saw.
type crowd struct {
	t          *testing.T
	cfg        queue.Config
	line       *queue.Line
	slots      *slots
	wg         sync.WaitGroup
	ok, failed atomic.Int64
	durable    int // the most jobs that waited at once
}

func conserve(t *testing.T, r *rand.Rand, cfg queue.Config, total *queue.Stats) {
	c := &crowd{t: t, cfg: cfg, slots: newSlots(3)}
	c.line = queue.NewLine(cfg, c.slots)
	const n = 300
	for i := range n {
		c.visit(r)
		if r.IntN(3) == 0 {
			time.Sleep(time.Duration(r.IntN(3)) * time.Second)
		}
		synctest.Wait()
		c.check(int64(i + 1))
	}
	c.wg.Wait()
	st := c.line.Stats()
	if st.Running != 0 || st.Waiting != 0 || st.Bytes != 0 || c.slots.taken.Load() != 0 || st.Unmatched != 0 {
		t.Fatalf("at the end: %+v", st)
	}
	ok, failed := c.ok.Load(), c.failed.Load()
	if ok+failed != n || ok != st.Left || failed != st.Refused+st.Expired+st.Displaced+st.Dropped+st.Cancelled {
		t.Fatalf("%d ok and %d failed of %d: %+v", ok, failed, n, st)
	}
	total.Started += st.Started
	total.Waited += st.Waited
	total.Refused += st.Refused
	total.Expired += st.Expired
	total.Displaced += st.Displaced
	total.Dropped += st.Dropped
	total.Cancelled += st.Cancelled
	total.Durable += c.durable
}

// visit sends one random request. All times are whole seconds, so that many things
// happen at the same instant.
func (c *crowd) visit(r *rand.Rand) {
	e := queue.Entry{Priority: llm.Priorities[r.IntN(4)], Tenant: strconv.Itoa(r.IntN(3)), Bytes: r.IntN(60), Durable: r.IntN(6) == 0, Waiting: new(llm.Waiting)}
	ctx, cancel := context.WithCancel(context.Background())
	if r.IntN(3) == 0 {
		e.Deadline = time.Now().Add(time.Duration(r.IntN(10)) * time.Second)
	}
	if r.IntN(4) == 0 {
		time.AfterFunc(time.Duration(r.IntN(8))*time.Second, cancel)
	}
	hold := time.Duration(r.IntN(4)) * time.Second
	c.wg.Go(func() {
		defer cancel()
		defer func() {
			if p, ok := e.Waiting.Now(); ok {
				c.t.Errorf("told to wait at %+v afterwards", p)
			}
		}()
		if _, err := c.line.Enter(ctx, e); err != nil {
			c.failed.Add(1)
			return
		}
		c.ok.Add(1)
		time.Sleep(hold)
		c.line.Leave(hold)
	})
}

// check compares the line's counts with what was seen from outside; nothing moves meanwhile.
func (c *crowd) check(entered int64) {
	st := c.line.Stats()
	c.durable = max(c.durable, st.Durable)
	if st.Running != int(c.slots.taken.Load()) || st.Waiting-st.Durable > c.cfg.Max || st.Bytes > c.cfg.MaxBytes ||
		st.Entered != entered || c.ok.Load() != st.Started || int64(st.Running) != st.Started-st.Left {
		c.t.Fatalf("after %d: %d slots taken, %d ok, %+v", entered, c.slots.taken.Load(), c.ok.Load(), st)
	}
	idle := st.Running < 3 && (c.cfg.QueueAt == 0 || st.Running < c.cfg.QueueAt || st.ByPriority[3] > 0)
	if idle && st.Waiting > 0 {
		c.t.Fatalf("a slot is idle while %d wait: %+v", st.Waiting, st)
	}
}

// TestNoLostWakeUp runs on real processors: at the end of each round everybody has
// had a slot, or the test hangs.
func TestNoLostWakeUp(t *testing.T) {
	s := newSlots(1)
	l := queue.NewLine(queue.Config{Max: 1000, MaxAge: time.Hour}, s)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 2000 {
				ctx, cancel := context.WithCancel(context.Background())
				if j%7 == 0 {
					time.AfterFunc(time.Microsecond, cancel)
				}
				_, err := l.Enter(ctx, queue.Entry{Priority: llm.Priorities[i%4], Tenant: strconv.Itoa(i % 3)})
				if err == nil {
					runtime.Gosched() // let others come while the slot is taken
					l.Leave(0)
				}
				cancel()
				if err != nil && llm.KindOf(err) != llm.CallerCancelled {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if st := l.Stats(); st.Running != 0 || st.Waiting != 0 || s.taken.Load() != 0 || st.Waited == 0 {
		t.Errorf("%+v, %d slots taken", st, s.taken.Load())
	}
}
