package route_test

import (
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/route"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRegions(t *testing.T) {
	var g route.Regions
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	step := func(target string, refuses, want bool) {
		t.Helper()
		at = at.Add(sec)
		g.Set(at, "p/eu", target, refuses)
		if got := g.Down("p/eu"); got != want {
			t.Errorf("after %s refuses %t: down %t", target, refuses, got)
		}
	}
	if g.Down("p/eu") || g.Snapshot() != nil {
		t.Error("the zero Regions knows something")
	}
	step("a", true, false) // one alone is a fault of its own
	step("b", false, false)
	step("c", false, false)
	step("b", true, true) // two of three
	downSince := at
	g.Set(at, "p/us", "x", true)
	step("a", true, true) // told again
	snapshot, err := json.Marshal(g.Snapshot())
	if want := `[{"region":"p/eu","targets":3,"refusing":2,"down":true,"since":"` + downSince.Format(time.RFC3339) + `"},` +
		`{"region":"p/us","targets":1,"refusing":1,"down":false}]`; string(snapshot) != want || err != nil {
		t.Errorf("snapshot %s, %v\nwant %s", snapshot, err, want)
	}
	step("a", false, false) // one of three: back at once
	step("a", true, true)
	step("d", false, false) // two of four: not more than half
	step("c", true, true)
	if g.Down("p/us") || g.Down("") || g.Down("p/fr") {
		t.Error("another region is down too")
	}
	for _, target := range []string{"a", "b", "c"} {
		g.Set(at, "", target, true)
	}
	if g.Down("") || len(g.Snapshot()) != 2 {
		t.Error("targets without a region make one")
	}
}

// Against a model that counts anew each time.
func TestRegionsCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g route.Regions
		refuses := map[string]map[string]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			name := "r" + strconv.Itoa(rapid.IntRange(0, 2).Draw(t, "region"))
			target := "t" + strconv.Itoa(rapid.IntRange(0, 4).Draw(t, "target"))
			is := rapid.Bool().Draw(t, "refuses")
			if refuses[name] == nil {
				refuses[name] = map[string]bool{}
			}
			refuses[name][target] = is
			g.Set(time.Time{}, name, target, is)
			for name, targets := range refuses {
				n := 0
				for _, is := range targets {
					if is {
						n++
					}
				}
				if want := n >= 2 && n > len(targets)/2; g.Down(name) != want {
					t.Fatalf("%s: down %t with %d of %d", name, !want, n, len(targets))
				}
			}
		}
	})
}

// Many goroutines change and read; at the end what was said last holds.
func TestRegionsConcurrently(t *testing.T) {
	var g route.Regions
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			target := "t" + strconv.Itoa(i)
			for n := range 2000 {
				name := "r" + strconv.Itoa(n%3)
				g.Set(time.Time{}, name, target, n%7 < 3)
				g.Down(name)
				if n%500 == 0 {
					g.Snapshot()
				}
			}
			for n := range 3 {
				g.Set(time.Time{}, "r"+strconv.Itoa(n), target, i < 3+n) // 3, 4 and 5 of 8
			}
		})
	}
	wg.Wait()
	want := []route.RegionStatus{
		{Name: "r0", Targets: 8, Refusing: 3},
		{Name: "r1", Targets: 8, Refusing: 4},
		{Name: "r2", Targets: 8, Refusing: 5, Down: true},
	}
	if d := cmp.Diff(want, g.Snapshot()); d != "" {
		t.Errorf("regions (-want +got):\n%s", d)
	}
}
