package route_test

import (
	"math"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/route"
	"github.com/google/go-cmp/cmp"
)

const (
	sec  = time.Second
	msec = time.Millisecond
)

// TestPlanOrder has one row for each rule of the order.
func TestPlanOrder(t *testing.T) {
	var (
		open    = route.State{Refuses: true}
		down    = route.State{RegionDown: true}
		probe   = route.State{RegionDown: true, Probe: true}
		unable  = route.State{Unable: true}
		idle    = route.State{}
		fast    = route.State{FirstToken: 100 * msec}
		slow    = route.State{FirstToken: 300 * msec}
		unknown = route.State{}
	)
	wait := func(d time.Duration) route.State { return route.State{Wait: d} }
	for _, c := range []struct {
		name     string
		strategy route.Strategy
		states   []route.State
		want     []int
	}{
		{"as listed", route.Ordered, []route.State{idle, idle, idle}, []int{0, 1, 2}},
		{"by price, and as listed", route.Cheapest, []route.State{idle, idle, idle, idle}, []int{1, 3, 2, 0}},
		{"those that refuse are left out", route.Ordered, []route.State{open, idle, open}, []int{1}},
		{"also where the rest waits", route.Ordered, []route.State{open, wait(sec), idle}, []int{2, 1}},
		{"also where only those are left that wait", route.Ordered, []route.State{open, wait(sec), open}, []int{1}},
		{"unless all refuse", route.Cheapest, []route.State{open, open, open}, []int{1, 2, 0}},
		{
			"and then the first that comes back leads", route.Ordered,
			[]route.State{{Refuses: true, Wait: 3 * sec}, {Refuses: true, Wait: sec}, {Refuses: true, Wait: 2 * sec, RegionDown: true}},
			[]int{1, 2, 0},
		},
		{"those that are unable are left out", route.Ordered, []route.State{unable, idle, unable}, []int{1}},
		{"also where the rest waits in a region that is down", route.Ordered, []route.State{unable, {Wait: sec, RegionDown: true}}, []int{1}},
		{"also where the rest refuses", route.Ordered, []route.State{unable, open, {Unable: true, Refuses: true}, open}, []int{1, 3}},
		{"also where they are faster", route.Fastest, []route.State{{Unable: true, FirstToken: msec}, slow, fast}, []int{2, 1}},
		{"unless all are", route.Cheapest, []route.State{unable, unable, unable}, []int{1, 2, 0}},
		{"those that wait come last, by their wait", route.Ordered, []route.State{wait(2 * sec), wait(sec), idle, wait(sec)}, []int{2, 1, 3, 0}},
		{"a wait that is over is none", route.Ordered, []route.State{wait(-sec), idle}, []int{0, 1}},
		{"the longest wait there is", route.Ordered, []route.State{wait(1<<63 - 1), wait(1<<62 - 1), wait(sec), idle}, []int{3, 2, 0, 1}},
		{"a region that is down comes after others", route.Ordered, []route.State{down, idle, down, idle}, []int{1, 3, 0, 2}},
		{"but before patience", route.Ordered, []route.State{wait(sec), down}, []int{1, 0}},
		{"patience in a region that is down is the end", route.Ordered, []route.State{{Wait: sec, RegionDown: true}, wait(2 * sec), down, idle}, []int{3, 2, 1, 0}},
		{"a probe is due in a region that is down", route.Ordered, []route.State{probe, idle, down}, []int{0, 1, 2}},
		{"a region that is down is taken where there is no other", route.Ordered, []route.State{down, down}, []int{0, 1}},
		{"price only among equals", route.Cheapest, []route.State{idle, wait(sec), down, open}, []int{0, 2, 1}},
		{"the fastest first", route.Fastest, []route.State{slow, fast}, []int{1, 0}},
		{
			"the unknown count as slower than the slowest", route.Fastest,
			[]route.State{unknown, fast, {FirstToken: 300 * msec, Busy: 0.8}, slow},
			[]int{1, 3, 0, 2},
		},
		{
			"a faster one that is nearly full comes later", route.Fastest,
			[]route.State{{FirstToken: 100 * msec, Busy: 0.9}, {FirstToken: 300 * msec, Busy: 0.1}},
			[]int{1, 0},
		},
		{
			"of two that are full, the one where more wait", route.Fastest,
			[]route.State{{FirstToken: 100 * msec, Busy: 3}, {FirstToken: 100 * msec, Busy: 1}},
			[]int{1, 0},
		},
		{
			"in whatever order they are listed", route.Fastest,
			[]route.State{{FirstToken: 100 * msec, Busy: 1}, {FirstToken: 100 * msec, Busy: 3}},
			[]int{0, 1},
		},
		{
			"a load that is no number is none", route.Fastest,
			[]route.State{{FirstToken: 300 * msec, Busy: math.NaN()}, {FirstToken: 100 * msec}, {FirstToken: 400 * msec, Busy: math.Inf(1)}},
			[]int{1, 0, 2},
		},
		{
			"speed only among equals", route.Fastest,
			[]route.State{{FirstToken: msec, RegionDown: true}, {FirstToken: msec, Wait: sec}, {FirstToken: sec}},
			[]int{2, 0, 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			targets := plain(len(c.states))
			for i := range targets {
				targets[i].MicroUSDPerMTok = []int64{30, 10, 20, 10}[i]
			}
			// The draw is one without a look, and one that puts equals in the order above.
			got := router(t, c.strategy, targets...).Plan(nil, route.Need{Draw: 9}, func(i int) route.State { return c.states[i] })
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("plan (-want +got):\n%s", d)
			}
		})
	}
}

func TestPlanAppends(t *testing.T) {
	r := router(t, "", plain(3)...)
	dst := make([]int, 1, 8)
	dst[0] = 42
	got := r.Plan(dst, route.Need{}, well)
	if d := cmp.Diff([]int{42, 0, 1, 2}, got); d != "" {
		t.Errorf("plan (-want +got):\n%s", d)
	}
	if &got[0] != &dst[0] {
		t.Error("a new slice although there was room")
	}
	if got := r.Plan(nil, route.Need{Residency: "us"}, well); got != nil {
		t.Errorf("plan %v for a residency that no target has", got)
	}
}
