package route_test

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/route"
	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawTargets(t *rapid.T) []route.Target {
	n := rapid.OneOf(rapid.IntRange(1, 8), rapid.IntRange(9, route.MaxTargets)).Draw(t, "n")
	targets := make([]route.Target, n)
	for i := range targets {
		targets[i] = route.Target{
			Name:            "t" + strconv.Itoa(i),
			Residency:       rapid.SampledFrom([]string{"", "eu", "eu-de", "eu-de-fra", "us", "eur"}).Draw(t, "marked"),
			Weight:          rapid.SampledFrom([]float64{0, 0.000001, 0.5, 1, 3, 1e6}).Draw(t, "weight"),
			MicroUSDPerMTok: rapid.Int64Range(0, 3).Draw(t, "price"),
			ContextWindow:   rapid.SampledFrom([]int{0, 1_000, 8_000, 200_000}).Draw(t, "window"),
		}
	}
	return targets
}

func drawState(t *rapid.T, bad int) route.State {
	share := rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, 0.5, 1, 2, -1, math.NaN(), math.Inf(1)}))
	busy := rapid.OneOf(rapid.Float64Range(0, 2), rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -1}))
	span := rapid.OneOf(
		rapid.SampledFrom([]time.Duration{0, 0, 0, sec, 2 * sec, -sec, math.MaxInt64, math.MinInt64}),
		rapid.Map(rapid.Int64(), func(n int64) time.Duration { return time.Duration(n) }),
	)
	return route.State{
		Refuses:    rapid.IntRange(1, 100).Draw(t, "refuses") <= bad,
		Unable:     rapid.IntRange(1, 100).Draw(t, "unable") <= bad,
		Probe:      rapid.Bool().Draw(t, "probe"),
		Share:      share.Draw(t, "share"),
		Wait:       span.Draw(t, "wait"),
		Busy:       busy.Draw(t, "busy"),
		FirstToken: span.Draw(t, "first"),
		RegionDown: rapid.IntRange(1, 100).Draw(t, "down") <= bad,
	}
}

func drawNeed(t *rapid.T) route.Need {
	return route.Need{
		Residency: rapid.SampledFrom([]string{"", "", "eu", "eu-de", "us", "e", "EU", "-"}).Draw(t, "residency"),
		Tokens:    rapid.SampledFrom([]int{0, 0, 1_000, 1_001, 200_001, -1}).Draw(t, "tokens"),
		Window:    rapid.SampledFrom([]int{0, 0, 1_000, 8_000, 200_000, -1}).Draw(t, "larger than"),
		Draw:      rapid.Uint64().Draw(t, "draw"),
	}
}

// mayServe is the hard rules, written down once more.
func mayServe(target route.Target, n route.Need) bool {
	resides := n.Residency == "" || target.Residency == n.Residency ||
		len(target.Residency) > len(n.Residency) && target.Residency[:len(n.Residency)+1] == n.Residency+"-"
	known := target.ContextWindow != 0
	return resides && !(known && n.Tokens > target.ContextWindow) && !(n.Window > 0 && (!known || target.ContextWindow <= n.Window))
}

// level is a target's place in the order before the strategy has a say. Slow start
// makes no difference to it: chance decides.
func level(s route.State) int {
	down := s.RegionDown && !s.Probe
	switch {
	case s.Unable:
		return 6
	case s.Refuses:
		return 5
	case s.Wait > 0 && down:
		return 4
	case s.Wait > 0:
		return 3
	case down:
		return 2
	case s.Busy >= 1:
		return 1
	}
	return 0
}

// Whatever the targets, their states and the request: the rules hold.
func TestPlanKeepsTheRules(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		targets := drawTargets(t)
		strategy := rapid.SampledFrom(append(route.Strategies(), "")).Draw(t, "strategy")
		r, err := route.New(strategy, targets)
		if err != nil {
			t.Fatal(err)
		}
		states := make([]route.State, len(targets))
		bad := rapid.SampledFrom([]int{0, 20, 80, 100}).Draw(t, "percent refused")
		for i := range states {
			states[i] = drawState(t, bad)
		}
		n := drawNeed(t)
		asked := make([]int, len(targets))
		plan := r.Plan(nil, n, func(i int) route.State { asked[i]++; return states[i] })
		if again := r.Plan(make([]int, 0, len(targets)), n, func(i int) route.State { return states[i] }); !slices.Equal(plan, again) {
			t.Fatalf("%v, then %v: the same draw gave another plan", plan, again)
		}

		var able, refusing, unable []int
		for i, target := range targets {
			switch {
			case !mayServe(target, n):
				if asked[i] != 0 {
					t.Fatalf("the state of target %d was asked for although it may not serve", i)
				}
			case states[i].Unable:
				unable = append(unable, i)
			case states[i].Refuses:
				refusing = append(refusing, i)
			default:
				able = append(able, i)
			}
			if asked[i] > 1 {
				t.Fatalf("the state of target %d was asked for %d times", i, asked[i])
			}
		}
		want := able
		if len(able) == 0 {
			want = refusing
		}
		if len(want) == 0 {
			want = unable
		}
		if sorted := slices.Sorted(slices.Values(plan)); !slices.Equal(sorted, want) {
			t.Fatalf("plan %v has to consist of %v, each once", plan, want)
		}
		checkOrder(t, strategy, targets, states, plan)
		checkExclusions(t, r, n, slices.Concat(able, refusing, unable))
		for _, s := range []struct {
			name string
			seen bool
		}{{"empty", len(plan) == 0}, {"refusing", len(able) == 0 && len(refusing) > 1}, {"unable", len(plan) > 1 && len(unable) == len(plan)}, {"long", len(plan) > 8}, {"left out", len(able) > 0 && len(refusing) > 0}} {
			if s.seen {
				seen[s.name]++
			}
		}
	})
	for _, name := range []string{"empty", "refusing", "unable", "long", "left out"} {
		if seen[name] < 20 {
			t.Errorf("%q came up %d times: the test tests little", name, seen[name])
		}
	}
}

// checkOrder checks levels, waits, and the strategies that leave nothing to chance.
func checkOrder(t *rapid.T, s route.Strategy, targets []route.Target, states []route.State, plan []int) {
	for k := 1; k < len(plan); k++ {
		a, b := plan[k-1], plan[k]
		inSlowStart := func(i int) bool {
			return level(states[i]) <= 1 && states[i].Share > 0 && states[i].Share < 1
		}
		if level(states[a]) <= 1 && level(states[b]) <= 1 && (inSlowStart(a) || inSlowStart(b)) {
			continue // by chance behind those that are full
		}
		if level(states[a]) > level(states[b]) {
			t.Fatalf("target %d (%+v) stands before %d (%+v)", a, states[a], b, states[b])
		}
		if level(states[a]) != level(states[b]) {
			continue
		}
		// From 2^60 ns, 36 years, on waits are alike.
		wa, wb := min(states[a].Wait, 1<<60-1), min(states[b].Wait, 1<<60-1)
		if level(states[a]) >= 3 && max(wa, 0) != max(wb, 0) {
			if wa > wb {
				t.Fatalf("target %d waits %v, before %d, which waits %v", a, wa, b, wb)
			}
			continue
		}
		switch {
		case (s == route.Ordered || s == "") && a > b:
			t.Fatalf("target %d stands before %d", a, b)
		case s == route.Cheapest && cmp.Or(cmp.Compare(targets[a].MicroUSDPerMTok, targets[b].MicroUSDPerMTok), cmp.Compare(a, b)) > 0:
			t.Fatalf("target %d (%+v) stands before %d (%+v)", a, targets[a], b, targets[b])
		}
	}
}

func checkExclusions(t *rapid.T, r *route.Router, n route.Need, may []int) {
	var excluded []int
	for _, e := range r.Exclusions(n) {
		excluded = append(excluded, e.Target)
		if e.Name != r.Targets()[e.Target].Name || e.Why == "" || (e.Reason == route.ByResidency) == route.Allowed(n.Residency, r.Targets()[e.Target].Residency) {
			t.Fatalf("exclusion %+v", e)
		}
	}
	if all := slices.Sorted(slices.Values(append(excluded, may...))); len(all) != len(r.Targets()) || len(slices.Compact(all)) != len(all) {
		t.Fatalf("targets %v are excluded and %v may serve, of %d", excluded, may, len(r.Targets()))
	}
}

// What a target's failure changes is its own place: the others keep their order, so
// that a request that is planned anew does not begin from the front again.
func TestPlanIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		targets := drawTargets(t)
		r, err := route.New(rapid.SampledFrom([]route.Strategy{route.Ordered, route.Weighted, route.Cheapest}).Draw(t, "strategy"), targets)
		if err != nil {
			t.Fatal(err)
		}
		n := route.Need{Draw: rapid.Uint64().Draw(t, "draw")}
		before := r.Plan(nil, n, well)
		lost := rapid.IntRange(0, len(targets)-1).Draw(t, "lost")
		after := r.Plan(nil, n, func(i int) route.State { return route.State{Refuses: i == lost && len(targets) > 1} })
		want := slices.DeleteFunc(before, func(i int) bool { return i == lost && len(targets) > 1 })
		if d := gocmp.Diff(want, after); d != "" {
			t.Fatalf("without target %d (-want +got):\n%s", lost, d)
		}
	})
}
