package backlog_test

import (
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

var (
	simOps  = flag.Int("sim.ops", 0, "operations of TestSimulation; 0: 30,000, or 1,000,000 with FOREBAY_LONG=1")
	simSeed = flag.Uint64("sim.seed", 1, "seed of the first world of TestSimulation, and of TestModel; 0: a new one")
	simJob  = flag.String("sim.job", "", "show only what happened to the job of this name")
)

// opsOfWorld is how long one world lives before all faults end and everything has to come to rest.
const opsOfWorld = 5_000

// TestSimulation lives through many worlds: the same in every run, so that it fails for a change and not by
// chance. To look for what no run has met yet, have it and TestModel draw others, again and again:
//
//	go test ./backlog -run 'TestSimulation$' -sim.seed=0 -sim.ops=1000000 -count=40 -failfast -timeout=2h
//	go test ./backlog -run 'TestModel$' -sim.seed=0 -rapid.checks=100000 -count=40 -failfast -timeout=2h
//
// A failing seed fails again, and tells more with the name of the job that the report is about:
//
//	go test ./backlog -run 'TestSimulation$' -sim.ops=5000 -sim.seed=N -sim.job=job_...
func TestSimulation(t *testing.T) {
	ops, seed := *simOps, *simSeed
	if ops == 0 {
		ops = 30_000
		if os.Getenv("FOREBAY_LONG") == "1" {
			ops = 1_000_000
		}
	}
	if seed == 0 {
		seed = rand.Uint64N(1 << 40)
	}
	t.Logf("-sim.seed=%d", seed)
	seen := make(map[string]int)
	for done := 0; done < ops; seed++ {
		w := newWorld(seed)
		w.run(opsOfWorld)
		if done += w.ops; w.wrong != "" {
			t.Fatalf("-sim.seed=%d, after %d operations: %s", seed, done, w.wrong)
		}
		for k, n := range w.seen {
			seen[k] += n
		}
	}
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%8d %s", seen[k], k)
	}
	if ops < 30_000 {
		return
	}
	for _, k := range []string{
		"crashed", "made after a crash", "drained", "stopped", "clock jumped", "slow disk", "no capacity", "store failed", "recovered",
		"not made", "acknowledgement lost", "stale listing", "missed", "resubmitted", "panicked", "webhook",
		"busy", "fenced", "retries", "deaths", "released", "refused", "timeouts", "dead", "completed", "failed", "cancelled", "requeued",
		"band", "pause", "first attempts in order", "counts agreed",
	} {
		if seen[k] == 0 {
			t.Errorf("never seen: %s", k)
		}
	}
}

// TestSimulationRepeats: one seed is one history.
func TestSimulationRepeats(t *testing.T) {
	history := func(seed uint64) (uint64, int) {
		w := newWorld(seed)
		w.run(2_000)
		return w.hash.Sum64(), w.ops
	}
	different := make(map[uint64]bool)
	for seed := range uint64(5) {
		a, n := history(seed)
		b, m := history(seed)
		if a != b || n != m {
			t.Errorf("seed %d: %x after %d operations, then %x after %d", seed, a, n, b, m)
		}
		different[a] = true
	}
	if len(different) != 5 {
		t.Errorf("%d histories from 5 seeds", len(different))
	}
}

// TestCalm: where nothing goes wrong, nobody loses a lease, nothing is refused but for want of room and each
// job is started once.
func TestCalm(t *testing.T) {
	for seed := range uint64(10) {
		w := newWorld(seed)
		w.faults, w.calm = false, true
		w.run(opsOfWorld)
		if w.wrong != "" {
			t.Fatalf("seed %d: %s", seed, w.wrong)
		}
		for _, k := range []string{"deaths", "retries", "released", "dead", "failed"} {
			if w.seen[k] != 0 {
				t.Errorf("seed %d: %d %s", seed, w.seen[k], k)
			}
		}
		for id, r := range w.store.records {
			if r.starts > 1+r.requeued {
				t.Errorf("seed %d: %s was started %d times", seed, id, r.starts)
			}
		}
	}
}
