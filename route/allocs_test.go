//go:build !race

package route_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/route"
)

// A plan is made for each call: it allocates nothing. Nor does a look at a region.
func TestNoAllocations(t *testing.T) {
	for _, s := range route.Strategies() {
		for _, n := range []int{1, 3, 8, 9, route.MaxTargets} {
			r := router(t, s, plain(n)...)
			dst, need := make([]int, 0, n), route.Need{Residency: "eu", Tokens: 1000}
			state := func(i int) route.State {
				return route.State{Share: 0.5, Refuses: i%5 == 4, Wait: time.Duration(i%4) * sec, FirstToken: time.Duration(i%3) * sec, RegionDown: i%7 == 6}
			}
			if a := testing.AllocsPerRun(1000, func() { need.Draw++; dst = r.Plan(dst[:0], need, state) }); a != 0 {
				t.Errorf("a plan, %s, of %d targets allocates %v times", s, n, a)
			}
		}
	}
	var g route.Regions
	g.Set(time.Time{}, "eu", "a", true)
	if a := testing.AllocsPerRun(1000, func() { g.Set(time.Time{}, "eu", "a", true); g.Down("eu") }); a != 0 {
		t.Errorf("a look at a region allocates %v times", a)
	}
}
