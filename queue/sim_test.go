package queue_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/queue"
)

// load is a stream of requests with random gaps (Poisson), open-loop: it does not
// wait for answers.
type load struct {
	priority llm.Priority
	tenant   string
	rate     float64       // requests a second
	deadline time.Duration // from arrival; 0 means none
	durable  bool          // claimed jobs
}

// fate is what became of one request.
type fate struct {
	arrived time.Time
	ended   time.Time
	wait    time.Duration // until the slot or the error
	err     error
	inTime  bool // answered before the deadline
}

// world is a line, its slots and the calls they make, under virtual time.
type world struct {
	t       *testing.T
	line    *queue.Line
	slots   *slots
	service func(*rand.Rand) time.Duration
	seed    uint64
	skip    time.Duration // from the start, left out of the fates; 0 means a fifth of the time
}

// around is a service time around a mean, between a fifth and nine fifths of it.
func around(mean time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return mean/5 + time.Duration(r.Int64N(int64(mean*8/5))) }
}

// run offers the loads for so long and returns the fates of each one's requests
// that ended meanwhile, leaving out the first part of the time.
func (w *world) run(d time.Duration, loads ...load) [][]fate {
	fates := make([][]fate, len(loads))
	var mu sync.Mutex // guards fates
	var wg sync.WaitGroup
	begin := time.Now()
	skip := cmp.Or(w.skip, d/5)
	for i, ld := range loads {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(w.seed, uint64(i)))
			for {
				time.Sleep(time.Duration(r.ExpFloat64() / ld.rate * float64(time.Second)))
				if time.Since(begin) > d {
					return
				}
				service := w.service(r)
				wg.Go(func() {
					f := w.request(context.Background(), ld, service)
					f.ended = time.Now()
					if at := f.ended.Sub(begin); at >= skip && at <= d {
						mu.Lock()
						defer mu.Unlock()
						fates[i] = append(fates[i], f)
					}
				})
			}
		})
	}
	wg.Wait()
	if s := w.line.Stats(); s.Running != 0 || s.Waiting != 0 || s.Started != s.Left || w.slots.taken.Load() != 0 {
		w.t.Errorf("at the end: %+v, %d slots taken", s, w.slots.taken.Load())
	}
	return fates
}

// request makes one call; at its deadline it is given up, as a context would do.
func (w *world) request(ctx context.Context, ld load, service time.Duration) fate {
	f := fate{arrived: time.Now()}
	e := queue.Entry{Priority: ld.priority, Tenant: ld.tenant, Durable: ld.durable}
	if ld.deadline > 0 {
		e.Deadline = f.arrived.Add(ld.deadline)
	}
	_, f.err = w.line.Enter(ctx, e)
	f.wait = time.Since(f.arrived)
	if f.err != nil {
		return f
	}
	f.inTime = true
	if left := time.Until(e.Deadline); ld.deadline > 0 && left < service {
		service, f.inTime = left, false
	}
	time.Sleep(service)
	w.line.Leave(service)
	return f
}

// seed is the seed of a simulation, FOREBAY_SEED if that is set; it is printed.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := uint64(1)
	if s := os.Getenv("FOREBAY_SEED"); s != "" {
		n, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("FOREBAY_SEED=%d", n)
	return n
}

func newWorld(t *testing.T, cfg queue.Config, n int64) *world {
	s := newSlots(n)
	return &world{t: t, line: queue.NewLine(cfg, s), slots: s, service: around(500 * time.Millisecond), seed: seed(t)}
}

func count(fates []fate, match func(fate) bool) int {
	n := 0
	for _, f := range fates {
		if match(f) {
			n++
		}
	}
	return n
}

func started(f fate) bool  { return f.err == nil }
func answered(f fate) bool { return f.inTime }

func share(fates []fate, match func(fate) bool) float64 {
	return float64(count(fates, match)) / float64(max(len(fates), 1))
}

// quantile of the waits of those that started.
func quantile(fates []fate, q float64) time.Duration {
	var waits []time.Duration
	for _, f := range fates {
		if f.err == nil {
			waits = append(waits, f.wait)
		}
	}
	if len(waits) == 0 {
		return 0
	}
	slices.Sort(waits)
	return waits[int(q*float64(len(waits)-1))]
}

// offers are the loads of a test, in times of the capacity: fewer unless FOREBAY_LONG is set.
func offers(few, all []float64) []float64 {
	if os.Getenv("FOREBAY_LONG") != "" {
		return all
	}
	return few
}

// eachDelay runs a test as the line comes, and with a target that makes its bands
// serve the newest first from the first seconds of overload on.
func eachDelay(t *testing.T, f func(t *testing.T, cfg queue.Config)) {
	t.Helper()
	for _, cfg := range []queue.Config{{}, {Target: 500 * time.Millisecond, Interval: 2 * time.Second}} {
		t.Run(fmt.Sprint("target ", cfg.Target), func(t *testing.T) { f(t, cfg) })
	}
}

// capacity is what 10 slots serve at 500 ms a call.
const capacity = 20.0

// TestCriticalFirst: ten times more low requests than the target can serve do not
// touch critical ones.
func TestCriticalFirst(t *testing.T) { eachDelay(t, criticalFirst) }

func criticalFirst(t *testing.T, cfg queue.Config) {
	for _, other := range []llm.Priority{llm.Low, llm.Normal, llm.High} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, cfg, 10)
			const d = 100 * time.Second
			fates := w.run(d,
				load{priority: llm.Critical, rate: capacity / 2, deadline: 5 * time.Second},
				load{priority: other, rate: 10 * capacity, deadline: 45 * time.Second})
			critical, flood := fates[0], fates[1]
			t.Logf("%s flood: critical in time %.2f %%, wait p99 %s; others in time %.1f %%, wait p50 %s", other,
				100*share(critical, answered), quantile(critical, 0.99), 100*share(flood, answered), quantile(flood, 0.5))
			if share(critical, answered) < 0.999 {
				t.Errorf("%.2f %% of the critical requests were answered in time", 100*share(critical, answered))
			}
			if p99 := quantile(critical, 0.99); p99 > 900*time.Millisecond {
				t.Errorf("critical requests wait %s (p99), want at most the longest service time", p99)
			}
			if n := count(flood, answered); float64(n) < 0.9*capacity/2*(d*4/5).Seconds() {
				t.Errorf("only %d others were answered: slots stood idle or were wasted", n)
			}
		})
	}
}

// TestLowFloodSparesPeople: fresh normal requests do not wait behind a flood of low ones.
func TestLowFloodSparesPeople(t *testing.T) { eachDelay(t, lowFloodSparesPeople) }

func lowFloodSparesPeople(t *testing.T, cfg queue.Config) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, cfg, 10)
		fates := w.run(100*time.Second,
			load{priority: llm.Normal, rate: capacity / 2, deadline: 15 * time.Second},
			load{priority: llm.High, rate: capacity / 10, deadline: 15 * time.Second},
			load{priority: llm.Low, rate: 10 * capacity, deadline: 45 * time.Second})
		for i, name := range []string{"normal", "high"} {
			t.Logf("%s: in time %.2f %%, wait p99 %s", name, 100*share(fates[i], answered), quantile(fates[i], 0.99))
			if p99 := quantile(fates[i], 0.99); share(fates[i], answered) < 0.999 || p99 > time.Second {
				t.Errorf("%s: %.2f %% in time, wait p99 %s", name, 100*share(fates[i], answered), p99)
			}
		}
	})
}

// TestNoBandStarves: under endless critical load each request of another band starts
// within MaxAge or is told so, and each band gets its floor.
func TestNoBandStarves(t *testing.T) { eachDelay(t, noBandStarves) }

func noBandStarves(t *testing.T, cfg queue.Config) {
	for _, c := range []struct {
		band  llm.Priority
		times float64
	}{{llm.Low, 1}, {llm.Low, 2}, {llm.Low, 10}, {llm.Normal, 2}, {llm.High, 2}} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, cfg, 10)
			const d = 3 * time.Minute
			fates := w.run(d,
				load{priority: llm.Critical, rate: c.times * capacity, deadline: 45 * time.Second},
				load{priority: c.band, tenant: "background", rate: 2})
			other := fates[1]
			for _, f := range other {
				if f.wait > 60*time.Second {
					t.Fatalf("a %s request waited %s", c.band, f.wait)
				}
				if f.err != nil && llm.KindOf(f.err) != llm.PolicyOverloaded {
					t.Fatalf("a %s request ended with %v", c.band, f.err)
				}
			}
			slotsGiven := capacity * (d * 4 / 5).Seconds()
			got := float64(count(other, started)) / slotsGiven
			t.Logf("%g x critical: %s got %.1f %% of the slots, %d of %d started, wait p99 %s",
				c.times, c.band, 100*got, count(other, started), len(other), quantile(other, 0.99))
			if got < 0.045 {
				t.Errorf("%s requests got %.1f %% of the slots, their floor is 5 %%", c.band, 100*got)
			}
		})
	}
}

// TestNoisyNeighbour: a tenant that sends a hundred times its share costs the
// others at most one answer in a hundred.
func TestNoisyNeighbour(t *testing.T) { eachDelay(t, noisyNeighbour) }

func noisyNeighbour(t *testing.T, cfg queue.Config) {
	bubble(t, func(t *testing.T) {
		measure := func(loads ...load) (float64, time.Duration) {
			w := newWorld(t, cfg, 10)
			fates := w.run(100*time.Second, loads...)
			quiet := slices.Concat(fates[:4]...)
			return share(quiet, answered), quantile(quiet, 0.99)
		}
		var loads []load
		for i := range 4 {
			loads = append(loads, load{tenant: fmt.Sprint("quiet", i), rate: capacity / 10, deadline: 15 * time.Second})
		}
		alone, p99Alone := measure(loads...)
		beside, p99Beside := measure(append(loads, load{tenant: "noisy", rate: 20 * capacity, deadline: 15 * time.Second})...)
		t.Logf("quiet tenants alone: %.2f %% in time, wait p99 %s; beside a noisy one: %.2f %%, %s", 100*alone, p99Alone, 100*beside, p99Beside)
		if beside < alone-0.01 {
			t.Errorf("quiet tenants: %.2f %% in time, alone %.2f %%", 100*beside, 100*alone)
		}
	})
}

// TestGoodput: what is offered too much is refused, not served too late.
func TestGoodput(t *testing.T) { eachDelay(t, goodput) }

func goodput(t *testing.T, cfg queue.Config) {
	for _, deadline := range []time.Duration{2 * time.Second, 15 * time.Second} {
		bubble(t, func(t *testing.T) {
			for _, times := range offers([]float64{0.8, 1.5, 3, 10, 20}, []float64{0.5, 0.8, 1, 1.2, 1.5, 2, 3, 5, 10, 20}) {
				w := newWorld(t, cfg, 10)
				const d = 60 * time.Second
				fates := w.run(d, load{rate: times * capacity, deadline: deadline})[0]
				good := float64(count(fates, answered)) / (d * 4 / 5).Seconds() / capacity
				wasted := 1 - float64(count(fates, answered))/float64(count(fates, started))
				t.Logf("deadline %s, offered %4.1f x: goodput %3.0f %% of the capacity, %.1f %% of the calls wasted, wait p99 %s",
					deadline, times, 100*good, 100*wasted, quantile(fates, 0.99))
				if least := map[bool]float64{true: 0.95, false: 0.9}[times <= 10]; times >= 1.5 && good < least {
					t.Errorf("offered %g x: goodput is %.0f %% of the capacity", times, 100*good)
				}
				if wasted > 0.02 {
					t.Errorf("offered %g x: %.1f %% of the calls were made for nothing", times, 100*wasted)
				}
			}
		})
	}
}

// TestRefusedByTime: a long line of which nobody could be answered in time does not
// come about, however many it has room for. Refusals are immediate, no call is made
// in vain, and those who are let in are answered.
func TestRefusedByTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, queue.Config{Max: 100_000, MaxBytes: -1}, 10)
		const d, times = 30 * time.Second, 10.0
		w.skip = 2 * time.Second // before the first calls have ended nobody knows how long they take
		fates := w.run(d, load{rate: times * capacity, deadline: 2 * time.Second})[0]
		good := float64(count(fates, answered)) / (d - w.skip).Seconds() / capacity
		door := count(fates, func(f fate) bool { return f.err != nil && f.wait == 0 })
		late := count(fates, func(f fate) bool { return f.err != nil && f.wait > 0 })
		wasted := count(fates, started) - count(fates, answered)
		t.Logf("goodput %.1f %%; %d refused at the door, %d after a wait; %d calls for nothing", 100*good, door, late, wasted)
		if good < 0.95 || float64(wasted) > 0.02*float64(count(fates, started)) {
			t.Errorf("goodput %.1f %%, %d calls for nothing", 100*good, wasted)
		}
		if late > door/10 {
			t.Errorf("%d refused at the door, %d only after a wait", door, late)
		}
	})
}
