package route_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/route"
)

func BenchmarkPlan(b *testing.B) {
	for _, s := range route.Strategies() {
		for _, n := range []int{1, 3, 8, route.MaxTargets} {
			b.Run(string(s)+"/"+strconv.Itoa(n), func(b *testing.B) {
				r := router(b, s, plain(n)...)
				state := func(i int) route.State {
					return route.State{Share: 1, Busy: 0.1 * float64(i%8), FirstToken: time.Duration(200+i) * time.Millisecond}
				}
				dst, need := make([]int, 0, n), route.Need{Residency: "eu", Tokens: 1000}
				b.ReportAllocs()
				for b.Loop() {
					need.Draw += 0x9e3779b97f4a7c15
					dst = r.Plan(dst[:0], need, state)
				}
			})
		}
	}
}

func BenchmarkRegions(b *testing.B) {
	var g route.Regions
	g.Set(time.Time{}, "p/eu", "a", true)
	g.Set(time.Time{}, "p/eu", "b", true)
	b.Run("Down", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.Down("p/eu")
		}
	})
	b.Run("Set/same", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g.Set(time.Time{}, "p/eu", "b", true)
		}
	})
}

// plain is n targets in the eu that differ in their names and prices only.
func plain(n int) []route.Target {
	all := make([]route.Target, n)
	for i := range all {
		all[i] = route.Target{Name: "t" + strconv.Itoa(i), Residency: "eu", ContextWindow: 200_000, MicroUSDPerMTok: int64(n - i)}
	}
	return all
}

func router(tb testing.TB, s route.Strategy, targets ...route.Target) *route.Router {
	tb.Helper()
	r, err := route.New(s, targets)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
