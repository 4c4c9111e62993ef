package limit_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

var firstSeed = flag.Uint64("limit.seed", 1, "first seed of the simulations")

// seeds are those that a simulation runs with: n, and ten times as many where FOREBAY_LONG is set.
func seeds(n int) []uint64 {
	if os.Getenv("FOREBAY_LONG") != "" {
		n *= 10
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = *firstSeed + uint64(i)
	}
	return all
}

// size is how many calls a target takes at once, and how long one takes.
type size struct {
	slots int
	mean  time.Duration
}

// sizes are those to run with: short, and long as well where FOREBAY_LONG is set.
func sizes(short []size, long ...size) []size {
	if os.Getenv("FOREBAY_LONG") != "" {
		return append(short, long...)
	}
	return short
}

// logNormal draws a duration whose logarithm spreads normally.
func logNormal(r *rand.Rand, median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(r.NormFloat64()*sigma))
}

// chat makes calls of about mean length: 30 % of the time before the first token.
func chat(mean time.Duration) func(w *world) *job {
	return func(w *world) *job {
		tokens := int(min(max(math.Exp(w.rng.NormFloat64()*0.6)*0.7*float64(mean/(10*time.Millisecond))/1.2, 1), 4000))
		return &job{
			prefill: logNormal(w.rng, mean*28/100, 0.4), input: 2000, tokens: tokens,
			decode: time.Duration(float64(tokens) * float64(logNormal(w.rng, 10*time.Millisecond, 0.1))),
		}
	}
}

// mixed makes calls as they come: 1 KB to 200 KB of input, 1 to 4,000 tokens of output,
// and one in 100 first tokens takes ten times as long.
func mixed(w *world) *job {
	r := w.rng
	input := int(1000 * math.Exp(r.Float64()*math.Log(200)))
	prefill := logNormal(r, 200*time.Millisecond+time.Duration(input)*time.Second/40_000, 0.6)
	if r.IntN(100) == 0 {
		prefill *= 10
	}
	tokens := int(min(max(60*math.Exp(r.NormFloat64()*1.3), 1), 4000))
	return &job{
		prefill: prefill, input: input, tokens: tokens,
		decode: time.Duration(float64(tokens) * float64(logNormal(r, 12*time.Millisecond, 0.2))),
	}
}

func always(n float64) func(time.Duration) float64 { return func(time.Duration) float64 { return n } }
func slots(n int) func(time.Duration) int          { return func(time.Duration) int { return n } }

// steps is a capacity of c, from `from` to `to` a quarter of it.
func steps(c int, from, to time.Duration) func(time.Duration) int {
	return func(now time.Duration) int {
		if now >= from && now < to {
			return c / 4
		}
		return c
	}
}

// result sums up a part of a world.
type result struct {
	use, refused       float64 // share of the capacity that was used; share of calls that were refused
	done               int
	bound, least, most float64
	first50, first99   time.Duration
}

func (w *world) result(from, to time.Duration) result {
	var r result
	var sent, refused int
	var first []time.Duration
	r.least = math.Inf(1)
	var busy, room float64
	for i := int(from / binSize); i < int(to/binSize); i++ {
		b := &w.bins[i]
		sent += b.sent
		refused += b.refused
		r.done += b.done
		busy += b.busy
		room += float64(w.cfg.capacity(time.Duration(i)*binSize)) * binSize.Seconds()
		r.bound += float64(b.bound)
		r.least, r.most = min(r.least, float64(b.bound)), max(r.most, float64(b.bound))
		first = append(first, b.first...)
	}
	r.bound /= float64(int(to/binSize) - int(from/binSize))
	r.use, r.refused = busy/room, float64(refused)/float64(max(sent, 1))
	if slices.Sort(first); len(first) > 0 {
		r.first50, r.first99 = first[len(first)/2], first[len(first)*99/100]
	}
	return r
}

func (r result) String() string {
	return fmt.Sprintf("use %5.1f %%, refused %4.1f %%, bound %5.1f (%2.0f to %2.0f), done %6d, first token p50 %6.3fs p99 %6.3fs",
		r.use*100, r.refused*100, r.bound, r.least, r.most, r.done, r.first50.Seconds(), r.first99.Seconds())
}

// TestCapacitySteps has the capacity of a saturated target fall to a quarter at 30 s and come back at
// 60 s. From 5 s after each change on, 90 % of what there is is used, and at most 5 % of
// the calls are refused. A target that queues has a short line at the end. With one seed in ten
// 85 % is enough: a probe that comes just before capacity does costs a second (seen: 88.8 % with
// one of 1,350 simulations).
func TestCapacitySteps(t *testing.T) {
	names := map[backKind]string{refuses: "refuses", queues: "queues", shares: "shares"}
	for _, kind := range []backKind{refuses, queues, shares} {
		for _, c := range sizes([]size{{20, 200 * time.Millisecond}, {40, time.Second}, {200, time.Second}},
			size{40, 200 * time.Millisecond}, size{200, 200 * time.Millisecond}) {
			for _, form := range []string{"streamed", "streamed, told at the end", "whole"} {
				all, short := seeds(1), 0
				for _, seed := range all {
					name := fmt.Sprintf("%s, %d slots, %v, %s, seed %d", names[kind], c.slots, c.mean, form, seed)
					w := newWorld(simConfig{
						seed: seed, ceiling: c.slots, kind: kind, whole: form == "whole", late: form == "streamed, told at the end",
						offered: always(1.5 * float64(c.slots) / c.mean.Seconds()), patience: 2 * time.Second,
						capacity: steps(c.slots, 30*time.Second, 60*time.Second), job: chat(c.mean),
					})
					w.run(90 * time.Second)
					if !checkSteps(t, name, w, c.mean) {
						short++
					}
				}
				if short > len(all)/10 {
					t.Errorf("%s, %d slots, %v, %s: less than 90 %% is used with %d of %d seeds", names[kind], c.slots, c.mean, form, short, len(all))
				}
			}
		}
	}
}

// checkSteps tells whether 90 % was used, and fails the test where 85 % was not.
func checkSteps(t *testing.T, name string, w *world, mean time.Duration) (used bool) {
	t.Helper()
	before := w.result(5*time.Second, 30*time.Second)
	low := w.result(35*time.Second, 60*time.Second)
	up := w.result(65*time.Second, 90*time.Second)
	used = true
	end := w.result(50*time.Second, 60*time.Second)
	t.Logf("%s\n  before %v\n  low    %v\n  up     %v", name, before, low, up)
	for phase, r := range map[string]result{"before": before, "low": low, "up": up} {
		if r.use < 0.85 || r.refused > 0.05 {
			t.Errorf("%s: %s: %v", name, phase, r)
		}
		used = used && r.use >= 0.9
	}
	capacity := float64(w.cfg.ceiling / 4)
	most := 2.5
	if w.cfg.kind == shares { // all are as slow as is allowed, and no call waits
		most = 3.5
	}
	if end.bound > most*capacity || end.first50 > 2*mean {
		t.Errorf("%s: a line stands at the target: %v", name, end)
	}
	return used
}

// TestNothingWrong compares ten minutes with and without a controller, call by
// call the same, at a target that is never overloaded: 1 to 4,000 tokens of output, 1 KB to 200 KB
// of input, heavy tails, a busy machine, and one call in 100 refused for no reason. The cost is
// in time that slots are used, and in calls where all that come are served: where not, how many
// are is chance as well, 1 % and more, by how long the answers are of those that find a slot.
func TestNothingWrong(t *testing.T) {
	for _, load := range []float64{0.5, 0.8, 1.2} {
		for _, stalls := range []float64{0, 0.5} {
			for _, whole := range []bool{false, true} {
				for _, refuse := range []float64{0, 0.01} {
					for _, seed := range seeds(1) {
						cfg := simConfig{
							seed: seed, ceiling: 40, fixed: true, whole: whole, stalls: stalls, kind: queues,
							offered: always(load * 40 / 3), patience: 5 * time.Second, capacity: slots(40), job: mixed,
							refuse: func(w *world) bool { return w.chance.Float64() < refuse },
						}
						fixed := newWorld(cfg)
						fixed.run(600 * time.Second)
						cfg.fixed = false
						moved := newWorld(cfg)
						moved.run(600 * time.Second)
						want, got := fixed.result(0, 600*time.Second), moved.result(0, 600*time.Second)
						cost := 1 - got.use/want.use
						if load < 1 {
							cost = max(cost, 1-float64(got.done)/float64(want.done))
						}
						t.Logf("load %.1f, stalls %.1f, whole %t, refused %.2f, seed %d: cost %.2f %%, %v", load, stalls, whole, refuse, seed, cost*100, got)
						if cost > 0.02 || got.bound < 34 {
							t.Errorf("load %.1f, stalls %.1f, whole %t, refused %.2f, seed %d: cost %.2f %%\nwithout %v\nwith    %v",
								load, stalls, whole, refuse, seed, cost*100, want, got)
						}
					}
				}
			}
		}
	}
}

// TestAnyLoad has a target take a quarter of the configured bound from the beginning:
// refusals are few at any load, and all that is offered and fits is served.
func TestAnyLoad(t *testing.T) {
	for _, load := range []float64{0.5, 0.7, 0.9, 1, 1.2, 3} {
		for _, c := range sizes([]size{{3, 200 * time.Millisecond}, {3, time.Second}, {10, 200 * time.Millisecond}, {10, time.Second}, {100, time.Second}},
			size{100, 200 * time.Millisecond}) {
			w := newWorld(simConfig{
				seed: *firstSeed, ceiling: 4 * c.slots, kind: refuses, offered: always(load * float64(c.slots) / c.mean.Seconds()),
				patience: 5 * time.Second, capacity: slots(c.slots), job: chat(c.mean),
			})
			w.run(180 * time.Second)
			r := w.result(30*time.Second, 180*time.Second)
			t.Logf("load %.1f, %d slots, %v: %v", load, c.slots, c.mean, r)
			if r.refused > 0.05 || r.use < min(0.85*load, 0.9) {
				t.Errorf("load %.1f, %d slots, %v: %v", load, c.slots, c.mean, r)
			}
		}
	}
}

// A target that takes three times as long to begin, with as many slots as ever, gets its bound
// back: fewer calls do not help it.
func TestSlowerForReasonsOfItsOwn(t *testing.T) {
	for _, seed := range seeds(2) {
		w := newWorld(simConfig{
			seed: seed, ceiling: 40, kind: queues, offered: always(60), patience: 2 * time.Second, capacity: slots(40),
			job: chat(time.Second), slower: func(now time.Duration) float64 {
				if now > 60*time.Second {
					return 3
				}
				return 1
			},
		})
		w.run(180 * time.Second)
		at, after := w.result(60*time.Second, 90*time.Second), w.result(90*time.Second, 180*time.Second)
		t.Logf("seed %d\n  first 30 s %v\n  then       %v", seed, at, after)
		if at.use < 0.4 || after.use < 0.9 {
			t.Errorf("seed %d\n  first 30 s %v\n  then       %v", seed, at, after)
		}
	}
}

// TestSlowStartInAWorld: all of the traffic is back within 5 s.
func TestSlowStartInAWorld(t *testing.T) {
	for _, c := range []int{1, 4, 10, 40, 400} {
		w := newWorld(simConfig{
			seed: *firstSeed, ceiling: c, kind: queues, offered: always(3 * float64(c)), patience: 2 * time.Second,
			capacity: slots(c), job: chat(time.Second),
		})
		w.at(30*time.Second, func() { w.control.SlowStart(w.clock()) })
		w.run(45 * time.Second)
		at := func(s float64) int { return w.bins[int(s*10)].bound }
		t.Logf("%d slots: %d, then each second %d %d %d %d %d", c, at(30), at(31), at(32), at(33), at(34), at(35))
		if first := min(c, max(2, (c+9)/10)); at(30) > first+first/5 || at(32) > 5*first || at(35) != c {
			t.Errorf("%d slots: %d at once, %d after 2 s, %d after 5 s", c, at(30), at(32), at(35))
		}
	}
}

// What a target asks to wait does not matter for how many calls it gets at once.
func TestAbsurdRetryAfter(t *testing.T) {
	var want result
	for i, after := range []time.Duration{0, time.Second, -time.Second, math.MaxInt64} {
		w := newWorld(simConfig{
			seed: *firstSeed, ceiling: 40, kind: refuses, offered: always(400), patience: 2 * time.Second,
			capacity: steps(40, 10*time.Second, 30*time.Second), job: chat(200 * time.Millisecond), retryAfter: after,
		})
		w.run(40 * time.Second)
		got := w.result(0, 40*time.Second)
		if i == 0 {
			want = got
		}
		if got != want {
			t.Errorf("Retry-After %v: %v, without %v", after, got, want)
		}
	}
}
