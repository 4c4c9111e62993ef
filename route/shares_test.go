package route_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/route"
)

// firsts counts how often each target comes first.
func firsts(r *route.Router, n int, bits func() uint64, state func(i int) route.State) []float64 {
	counts, dst := make([]float64, len(r.Targets())), make([]int, 0, len(r.Targets()))
	for range n {
		dst = r.Plan(dst[:0], route.Need{Draw: bits()}, state)
		counts[dst[0]]++
	}
	return counts
}

// wantShares demands shares within 1 %, relative, or within five standard deviations
// where the draws are too few for that.
func wantShares(t *testing.T, counts []float64, shares ...float64) {
	t.Helper()
	n := 0.0
	for _, c := range counts {
		n += c
	}
	for i, share := range shares {
		bound := max(0.01*share, 5*math.Sqrt(share*(1-share)/n))
		if bound > 0.01 {
			t.Fatalf("%v draws are too few", n)
		}
		if got := counts[i] / n; math.Abs(got-share) > bound {
			t.Errorf("target %d got %.4f of the requests, want %.4f", i, got, share)
		}
	}
}

func weighted(t *testing.T, weights ...float64) *route.Router {
	targets := plain(len(weights))
	for i, w := range weights {
		targets[i].Weight = w
	}
	return router(t, route.Weighted, targets...)
}

func TestWeightedShares(t *testing.T) {
	n, rng := draws()
	wantShares(t, firsts(weighted(t, 0, 0, 2), n, rng.Uint64, well), 0.25, 0.25, 0.5)
	wantShares(t, firsts(weighted(t, 99, 1), n, rng.Uint64, well), 0.99, 0.01)
	wantShares(t, firsts(weighted(t, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), n, rng.Uint64, well), 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
	counter, spaced := uint64(0), uint64(0)
	for name, bits := range map[string]func() uint64{
		"random bits":           rng.Uint64,
		"numbers in sequence":   func() uint64 { counter++; return counter },
		"only the high bits":    func() uint64 { spaced += 1 << 40; return spaced },
		"small and few numbers": func() uint64 { return rng.Uint64N(1 << 32) },
	} {
		t.Run(name, func(t *testing.T) { wantShares(t, firsts(weighted(t, 1, 2, 7), n, bits, well), 0.1, 0.2, 0.7) })
	}
}

// When a target fails its share goes to the others by their weights, whether it is
// known beforehand (it refuses) or found out on the way (the second in the plan).
func TestWeightedSharesOfTheRest(t *testing.T) {
	n, rng := draws()
	r := weighted(t, 6, 3, 1)
	wantShares(t, firsts(r, n, rng.Uint64, func(i int) route.State { return route.State{Refuses: i == 0} }), 0, 0.75, 0.25)
	wantShares(t, firsts(r, n, rng.Uint64, func(i int) route.State { return route.State{Wait: sec * time.Duration(min(i, 1))} }), 1, 0, 0)
	wantShares(t, firsts(r, n, rng.Uint64, func(i int) route.State { return route.State{RegionDown: i == 1} }), 6.0/7, 0, 1.0/7)
	second, dst := make([]float64, 3), make([]int, 0, 3)
	for range n {
		if dst = r.Plan(dst[:0], route.Need{Draw: rng.Uint64()}, well); dst[0] == 0 {
			second[dst[1]]++
		}
	}
	wantShares(t, second, 0, 0.75, 0.25)
}

// Weights hold among any targets that are left, however many fail.
func TestWeightedSharesOfAnySubset(t *testing.T) {
	n, rng := draws()
	for mask := 1; mask < 16; mask++ {
		weights, sum := []float64{4, 3, 2, 1}, 0.0
		for i, w := range weights {
			if mask>>i&1 == 1 {
				sum += w
			}
		}
		shares := make([]float64, 4)
		for i, w := range weights {
			if mask>>i&1 == 1 {
				shares[i] = w / sum
			}
		}
		wantShares(t, firsts(weighted(t, weights...), n, rng.Uint64, func(i int) route.State { return route.State{Refuses: mask>>i&1 == 0} }), shares...)
	}
}

func TestSlowStart(t *testing.T) {
	n, rng := draws()
	start := func(share float64) func(int) route.State {
		return func(i int) route.State {
			if i == 0 {
				return route.State{Share: share}
			}
			return route.State{Share: 1}
		}
	}
	t.Run("of the preferred target", func(t *testing.T) {
		r := router(t, "", plain(3)...)
		for _, share := range []float64{0.1, 0.5, 0.9} {
			wantShares(t, firsts(r, n, rng.Uint64, start(share)), share, 1-share, 0)
		}
	})
	t.Run("zero and what is no share mean all", func(t *testing.T) {
		for _, share := range []float64{0, 1, 1.5, -1, math.NaN(), math.Inf(1)} {
			wantShares(t, firsts(router(t, "", plain(2)...), 1000, rng.Uint64, start(share)), 1, 0)
		}
	})
	t.Run("of a weighted target", func(t *testing.T) {
		wantShares(t, firsts(weighted(t, 1, 1), n, rng.Uint64, start(0.2)), 0.1, 0.9)
	})
	t.Run("the rest of the time it comes before those that are worse", func(t *testing.T) {
		r := router(t, "", plain(3)...)
		states := []route.State{{Share: 0.01}, {Wait: sec}, {RegionDown: true}}
		wantShares(t, firsts(r, 10_000, rng.Uint64, func(i int) route.State { return states[i] }), 1, 0, 0)
	})
	t.Run("all at once are as none", func(t *testing.T) {
		counts := firsts(weighted(t, 3, 1), n, rng.Uint64, func(int) route.State { return route.State{Share: 0.1} })
		if share := counts[0] / float64(n); share < 0.7 || share > 0.8 {
			t.Errorf("the one of weight 3 got %.3f of the requests beside one of weight 1", share)
		}
	})
	t.Run("two of them are held back by chances of their own", func(t *testing.T) {
		// First by order: 0 in half of the requests, 1 in half of the rest, else 2.
		states := []route.State{{Share: 0.5}, {Share: 0.5}, {}}
		wantShares(t, firsts(router(t, "", plain(3)...), n, rng.Uint64, func(i int) route.State { return states[i] }), 0.5, 0.25, 0.25)
	})
}

func TestFastestShares(t *testing.T) {
	n, rng := draws()
	speeds := func(busy float64, first ...time.Duration) ([]float64, float64) {
		r := router(t, route.Fastest, plain(len(first))...)
		counts := firsts(r, n, rng.Uint64, func(i int) route.State { return route.State{FirstToken: first[i], Busy: busy} })
		return counts, float64(n)
	}
	t.Run("equals share evenly", func(t *testing.T) {
		counts, _ := speeds(0.3, 200*msec, 200*msec, 200*msec, 200*msec)
		wantShares(t, counts, 0.25, 0.25, 0.25, 0.25)
	})
	t.Run("so do those that nobody knows", func(t *testing.T) {
		counts, _ := speeds(0, 0, 0)
		wantShares(t, counts, 0.5, 0.5)
	})
	t.Run("a clear lead is taken", func(t *testing.T) {
		counts, _ := speeds(0, 100*msec, 150*msec, 400*msec)
		look := 1.0 / 128 / 3
		wantShares(t, counts, 1-2*look, look, look)
	})
	t.Run("a small one is not", func(t *testing.T) {
		counts, all := speeds(0, 100*msec, 110*msec)
		if share := counts[0] / all; share < 0.6 || share > 0.9 {
			t.Errorf("the one that is ahead by a tenth got %.3f of the requests", share)
		}
	})
	t.Run("an unknown one is tried", func(t *testing.T) {
		counts, _ := speeds(0, 100*msec, 0, 300*msec)
		look := 1.0 / 128 / 3
		wantShares(t, counts, 1-1.0/16-2*look, 1.0/16+look, look)
	})
	t.Run("the less busy of equals is preferred", func(t *testing.T) {
		r := router(t, route.Fastest, plain(2)...)
		busy := []float64{0.5, 0.4}
		counts := firsts(r, n, rng.Uint64, func(i int) route.State { return route.State{FirstToken: sec, Busy: busy[i]} })
		if share := counts[1] / float64(n); share < 0.7 || share > 0.999 {
			t.Errorf("the less busy one got %.3f of the requests", share)
		}
	})
	t.Run("no look is lost on one that is not fit", func(t *testing.T) {
		r := router(t, route.Fastest, plain(5)...)
		states := []route.State{{FirstToken: msec}, {}, {Wait: sec}, {RegionDown: true}, {Refuses: true}}
		look := 1.0 / 128 / 2
		wantShares(t, firsts(r, n, rng.Uint64, func(i int) route.State { return states[i] }), 1-1.0/16-look, 1.0/16+look, 0, 0, 0)
	})
	t.Run("no look at one that is full", func(t *testing.T) {
		r := router(t, route.Fastest, plain(2)...)
		states := []route.State{{FirstToken: msec}, {Busy: 1}}
		wantShares(t, firsts(r, 20_000, rng.Uint64, func(i int) route.State { return states[i] }), 1, 0)
	})
}

// Whatever is known of the targets: one that could be called now is called now and then.
func TestFastestStarvesNobody(t *testing.T) {
	rng := rand.New(rand.NewPCG(*seed, 1))
	n, worlds := 60_000, 30
	if long() {
		worlds = 2000
	}
	for world := range worlds {
		r := router(t, route.Fastest, plain(2+rng.IntN(7))...)
		states := make([]route.State, len(r.Targets()))
		for i := range states {
			states[i] = route.State{FirstToken: time.Duration(rng.IntN(4)) * time.Duration(rng.IntN(1e9)), Busy: rng.Float64(), Share: 0.2 + rng.Float64()}
		}
		counts := firsts(r, n, rng.Uint64, func(i int) route.State { return states[i] })
		for i, c := range counts {
			// Its part of one in 128, where slow start lets it; less what chance takes.
			want := float64(n) / 128 / float64(len(states)) * min(states[i].Share, 1)
			if c < want-4*math.Sqrt(want) {
				t.Errorf("world %d: target %d of %d was tried %v times in %d, want %.0f: %+v", world, i, len(states), c, n, want, states[i])
			}
		}
	}
}
