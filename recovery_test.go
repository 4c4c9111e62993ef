package forebay_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
)

var recoverySeed = flag.Uint64("recovery-seed", 1, "fixes the arrivals of the recovery tests")

// Calls come at 0.8 of what one target can do, something goes wrong with it, and goes
// away. Within 10 s after that callers are to be served as before.
const (
	steady    = 0.8
	calmFor   = 15 * time.Second // before the trigger; the first 5 s are not counted
	recoverIn = 10 * time.Second
	watchFor  = 20 * time.Second // behind the trigger's end
)

// trigger is what goes wrong.
type trigger struct {
	name       string
	length     time.Duration // zero for what happens at one moment
	begin, end func(w *world)
	cached     bool // most calls ask for what the cache has
}

func first(change func(*machine)) func(*world) {
	return func(w *world) { w.machines[0].set(change) }
}

func triggers() []trigger {
	return []trigger{
		{
			name: "20 times slower for 10 s", length: 10 * time.Second,
			begin: first(func(m *machine) { m.slower = 20 }), end: first(func(m *machine) { m.slower = 0 }),
		},
		{
			name: "500s for 30 s", length: 30 * time.Second,
			begin: first(func(m *machine) { m.down = true }), end: first(func(m *machine) { m.down = false }),
		},
		{
			name: "half the slots for 60 s", length: 60 * time.Second,
			begin: first(func(m *machine) { m.slots /= 2 }), end: first(func(m *machine) { m.slots *= 2 }),
		},
		{name: "the cache is flushed", cached: true, begin: (*world).flush},
		{name: "restart", cached: true, begin: (*world).restart},
	}
}

// variant is what stands around the trigger.
type variant struct {
	targets int
	inside  bool // calls above a target's slots wait there, rather than get a 429
	naive   bool
	bound   int // limits.max_concurrent, the slots being ten
}

func (v variant) String() string {
	text := fmt.Sprintf("%d targets, bound %d", v.targets, v.bound)
	if v.inside {
		text += ", waits inside"
	}
	if v.naive {
		text += ", naive callers"
	}
	return text
}

// variants are all in the long run and the telling ones in a short one.
func variants() []variant {
	if !long() {
		return []variant{{targets: 1, bound: 40}, {targets: 2, bound: 10}, {targets: 1, bound: 10, inside: true, naive: true}}
	}
	var all []variant
	for _, targets := range []int{1, 2} {
		for _, inside := range []bool{false, true} {
			for _, naive := range []bool{false, true} {
				for _, bound := range []int{10, 40} {
					all = append(all, variant{targets, inside, naive, bound})
				}
			}
		}
	}
	return all
}

func long() bool { return os.Getenv("FOREBAY_LONG") != "" }

func TestRecovery(t *testing.T) {
	for _, tr := range triggers() {
		all := variants()
		if tr.cached && !long() {
			all = all[:1]
		}
		for _, v := range all {
			t.Run(tr.name+"/"+v.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { testRecovery(t, tr, v) })
			})
		}
	}
}

func testRecovery(t *testing.T, tr trigger, v variant) {
	w := newWorld(t, v)
	rng := rand.New(rand.NewPCG(*recoverySeed, 1))
	end := calmFor + tr.length
	prompt, offered := once, steady
	if tr.cached {
		w.fill()
		prompt, offered = often(rng), steady*oneNewIn
	}
	load := arrivals(rng, 0, end+watchFor, offered, prompt)
	events := map[time.Duration]func(){calmFor: func() { tr.begin(w) }}
	if tr.end != nil {
		events[end] = func() { tr.end(w) }
	}
	all := w.drive(load, events)
	before := share(all, 5*time.Second, calmFor-callersWait) // later ones may meet the trigger
	after := recoveredAfter(all, before, end, end+watchFor)
	calls, refused := 0, 0
	for _, m := range w.machines {
		c, r := m.counts()
		calls, refused = calls+c, refused+r
	}
	t.Logf("before %.1f %%, during %.1f %%, recovered after %v, then %.1f %%; %d calls for %d asked, %d got 429", 100*before,
		100*share(all, calmFor, end), after, 100*share(all, end+after, end+watchFor), calls, len(load), refused)
	if before < 0.99 {
		t.Errorf("%.1f %% are answered in time before anything happens", 100*before)
	}
	if after > recoverIn {
		t.Errorf("recovered %v after the trigger's end, wanted are %v; seconds from then: %s", after, recoverIn, profile(all, end, end+watchFor))
	}
}

// profile shows each second of a time.
func profile(all []seen, from, to time.Duration) string {
	text := ""
	for ; from < to; from += time.Second {
		text += fmt.Sprintf("%.0f ", 100*share(all, from, from+time.Second))
	}
	why := map[llm.Kind]int{}
	for _, s := range all {
		if s.at >= to-watchFor+recoverIn && s.at < to && !s.good {
			why[s.why]++
		}
	}
	return text + fmt.Sprint(why)
}

// hot is how many prompts come again and again. To fetch them again takes 30 s of a slot's
// ten, twice what is free of them within 10 s at 0.8: what the line lets wait makes up for the
// rest. With many more no order of calls could have callers served as before within 10 s.
const hot = 300

// oneNewIn is how many calls come to one that the cache has not seen.
const oneNewIn = 4

// often asks now and then for something new, and otherwise for one of the hot prompts,
// of which the first are asked for most (Zipf's law).
func often(rng *rand.Rand) func(*rand.Rand, int) string {
	zipf := rand.NewZipf(rng, 1.1, 1, hot-1)
	return func(rng *rand.Rand, n int) string {
		if rng.IntN(oneNewIn) == 0 {
			return once(rng, n)
		}
		return hotPrompt(int(zipf.Uint64()))
	}
}

func hotPrompt(k int) string { return promptFor(time.Duration(50+k%100)*time.Millisecond, -1-k) }

// fill asks for each of the hot prompts once, no faster than the slots allow.
func (w *world) fill() {
	for k := range hot {
		time.Sleep(15 * time.Millisecond)
		go w.call(ask{prompt: hotPrompt(k)})
	}
	time.Sleep(callersWait)
}

func newWorld(t *testing.T, v variant) *world {
	w := &world{t: t, naive: v.naive}
	for range v.targets {
		w.machines = append(w.machines, &machine{slots: 10, inside: v.inside})
	}
	w.start(v)
	return w
}

// start makes the client.
func (w *world) start(v variant) {
	providers := make([]llm.Provider, len(w.machines))
	for i, m := range w.machines {
		providers[i] = m
	}
	w.restarted = func() *forebay.Client {
		return newClient(w.t, func(cfg *forebay.Config) {
			cfg.Limits = limit.Config{MaxConcurrent: v.bound}
			cfg.Retry = forebay.Retry{} // the defaults
		}, providers...)
	}
	w.client = w.restarted()
}

// flush makes the cache forget everything.
func (w *world) flush() {
	if _, err := w.now().Cache().Invalidate(context.Background(), cache.Scope{AllTenants: true}); err != nil {
		w.t.Error(err)
	}
}

// restart replaces the client by a new one, as a supervisor would: the old one ends
// what it has begun while callers already come to the new one a second later.
func (w *world) restart() {
	old := w.now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := old.Close(ctx); err != nil {
		w.t.Error(err)
	}
	time.Sleep(time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.client = w.restarted()
}

// Goodput at a load does not depend on the load before it: the loads of a sweep up and of
// the same sweep down give the same, within a twentieth.
func TestNoHysteresis(t *testing.T) {
	all, loads := variants(), []float64{0.5, 1, 2}
	if long() {
		loads = []float64{0.5, 0.8, 1, 1.5, 2, 3, 5, 10}
	} else {
		all = all[:1]
	}
	for _, v := range all {
		if v.targets == 1 {
			t.Run(v.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { testSweep(t, v, loads) })
			})
		}
	}
}

// step is how long each load of the sweep lasts, and settled from when in it calls
// count: what waits from the load before is gone by then, or refused.
const (
	step    = 20 * time.Second
	settled = 8 * time.Second
)

func testSweep(t *testing.T, v variant, up []float64) {
	w := newWorld(t, v)
	var load []ask
	n := 0
	at := func(share float64) { // the same calls at the same load, on both ways
		rng := rand.New(rand.NewPCG(*recoverySeed, uint64(1000*share)))
		from := time.Duration(n) * step
		load = append(load, arrivals(rng, from, from+step, share, func(rng *rand.Rand, k int) string { return once(rng, k+n*1_000_000) })...)
		n++
	}
	for _, x := range up {
		at(x)
	}
	for i := range up {
		at(up[len(up)-1-i])
	}
	all := w.drive(load, nil)
	goodput := func(n int) float64 {
		from, good := time.Duration(n)*step, 0
		for _, s := range all {
			if end := s.at + s.took; s.good && end >= from+settled && end < from+step {
				good++
			}
		}
		return float64(good) / (step - settled).Seconds()
	}
	for i, x := range up {
		a, b := goodput(i), goodput(2*len(up)-1-i)
		t.Logf("at %g times the capacity: %.1f a second on the way up, %.1f on the way down", x, a, b)
		if b < 0.95*a || a < 0.95*b || a < couldBe(x, 0.9) {
			t.Errorf("at %g times the capacity: %.1f a second on the way up, %.1f on the way down", x, a, b)
		}
	}
}

// couldBe is the given part of the goodput that ten slots have at a load.
func couldBe(load, part float64) float64 { return part * min(load, 1) * tenSlots }

// Callers that try three times more, at once and whatever the error says, do not
// bring goodput below nine tenths of what it is with callers who do not.
func TestNaiveCallers(t *testing.T) {
	loads := []float64{1.5}
	if long() {
		loads = []float64{0.5, 0.8, 1, 1.5, 2, 3, 5, 10, 20}
	}
	for _, x := range loads {
		synctest.Test(t, func(t *testing.T) {
			const warm, length = 12 * time.Second, 30 * time.Second
			load := arrivals(rand.New(rand.NewPCG(*recoverySeed, 2)), 0, length, x, once)
			good := [2]int{}
			for i, naive := range []bool{false, true} {
				w := newWorld(t, variant{targets: 1, bound: 10, naive: naive})
				for _, s := range w.drive(load, nil) {
					if s.good && s.at+s.took >= warm && s.at+s.took < length {
						good[i]++
					}
				}
			}
			t.Logf("%g times the capacity: %d answered in time, %d of naive callers", x, good[0], good[1])
			if float64(good[1]) < 0.9*float64(good[0]) || float64(good[0]) < couldBe(x, 0.9)*(length-warm).Seconds() {
				t.Errorf("%g times the capacity: %d answered in time, %d of naive callers", x, good[0], good[1])
			}
		})
	}
}
