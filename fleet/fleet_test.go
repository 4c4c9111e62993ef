package fleet_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/fleet"
	"github.com/forebay-ai/forebay/store/storetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.nofailfile": "true"} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue { // the command line has the last word
			if err := f.Value.Set(value); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
	goleak.VerifyTestMain(m)
}

var epoch = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)

// errDown is what a store fails with in these tests.
var errDown = errors.New("the store is down")

// flaky is a store that fails as it is told: before its work, or after it, so that the acknowledgement is lost.
type flaky struct {
	*fleet.Memory
	before, after func() bool
}

func (s *flaky) do(work func() error) error {
	if s.before() {
		return errDown
	}
	err := work()
	if s.after() {
		return errDown
	}
	return err
}

func (s *flaky) Beat(ctx context.Context, m fleet.Member) (st fleet.State, err error) {
	err = s.do(func() (err error) { st, err = s.Memory.Beat(ctx, m); return err })
	return st, err
}

func (s *flaky) Grant(ctx context.Context, g fleet.Grants) error {
	return s.do(func() error { return s.Memory.Grant(ctx, g) })
}

func (s *flaky) Tell(ctx context.Context, id string, n fleet.News) error {
	return s.do(func() error { return s.Memory.Tell(ctx, id, n) })
}

func (s *flaky) Told(ctx context.Context, id string, after uint64) (all []fleet.News, err error) {
	err = s.do(func() (err error) { all, err = s.Memory.Told(ctx, id, after); return err })
	return all, err
}

// gateway is one in these tests.
type gateway struct {
	*fleet.Fleet
	id      string
	share   float64 // of the one target; below 0 before it is set
	demand  fleet.Demand
	open    []string
	hints   []string
	spent   []fleet.Spending
	heard   map[string]int64 // micro-dollars by gateway
	stopped bool
}

func newGateway(t testing.TB, id string, s fleet.Store) *gateway {
	t.Helper()
	g := &gateway{id: id, share: -1, heard: map[string]int64{}}
	var err error
	g.Fleet, err = fleet.New(fleet.Config{
		ID: id, Store: s,
		Demand:   func(time.Time) map[string]fleet.Demand { return map[string]fleet.Demand{"p/m": g.demand} },
		SetShare: func(_ string, share float64) { g.share = share },
		Open:     func() []string { return g.open },
		Hint:     func(target string, _ time.Duration) { g.hints = append(g.hints, target) },
		Changes: func(time.Time) []fleet.Spending {
			all := g.spent
			g.spent = nil
			return all
		},
		Spent: func(from string, all []fleet.Spending, _ time.Time) {
			for _, one := range all {
				g.heard[from] += one.MicroUSD
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func sum(all []*gateway) (total float64) {
	for _, g := range all {
		if !g.stopped {
			total += max(g.share, 0)
		}
	}
	return total
}

// beats lets gateways beat some times, one after the other each second.
func beats(t testing.TB, now *time.Time, n int, all ...*gateway) {
	t.Helper()
	for range n {
		*now = now.Add(time.Second)
		for _, g := range all {
			if err := g.Step(t.Context(), *now); err != nil {
				t.Fatal(err)
			}
			if total := sum(all); total > 1 {
				t.Fatalf("the shares add up to %v", total)
			}
		}
	}
}

func TestDivide(t *testing.T) {
	for _, test := range []struct {
		demand map[string]float64
		want   map[string]int
	}{
		{nil, map[string]int{}},
		{map[string]float64{"a": 0}, map[string]int{"a": 1_000_000}},
		{map[string]float64{"a": 0, "b": 0}, map[string]int{"a": 500_000, "b": 500_000}},
		{map[string]float64{"a": 1, "b": 1}, map[string]int{"a": 500_000, "b": 500_000}},
		{map[string]float64{"a": 0.9, "b": 0}, map[string]int{"a": 925_000, "b": 75_000}},
		{map[string]float64{"a": 1, "b": 0.2, "c": 1, "d": 0}, map[string]int{"a": 387_500, "b": 200_000, "c": 387_500, "d": 25_000}},
	} {
		if diff := cmp.Diff(test.want, fleet.Divide(test.demand)); diff != "" {
			t.Errorf("%v: %s", test.demand, diff)
		}
	}
}

func TestDivideNeverExceedsTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		demand := rapid.MapOf(rapid.StringMatching(`[a-z]{1,4}`), rapid.Float64()).Draw(t, "demand")
		parts, total := fleet.Divide(demand), 0
		for id, n := range parts {
			if total += n; n <= 0 {
				t.Fatalf("%s gets %d", id, n)
			}
		}
		if len(demand) > 0 && (total > fleet.Million || total < fleet.Million-2*len(demand)) {
			t.Fatalf("%v add up to %d", parts, total)
		}
	})
}

// The quota goes where calls are, and comes back.
func TestSharesFollowDemand(t *testing.T) {
	store, now := fleet.NewMemory(), epoch
	a, b := newGateway(t, "a", store), newGateway(t, "b", store)
	beats(t, &now, 1, a)
	if a.share != 1 {
		t.Errorf("one gateway alone has %v of the quota", a.share)
	}
	beats(t, &now, 5, a, b)
	if a.share != 0.5 || b.share != 0.5 {
		t.Errorf("two gateways have %v and %v", a.share, b.share)
	}
	a.demand = fleet.Demand{Used: 0.5, Short: true}
	beats(t, &now, 10, a, b)
	if a.share < 0.85 || b.share < 0.05 {
		t.Errorf("one has calls and the other has none: %v and %v", a.share, b.share)
	}
	b.demand = fleet.Demand{Used: b.share, Short: true}
	beats(t, &now, 15, a, b)
	if a.share < 0.45 || b.share < 0.45 {
		t.Errorf("both have calls: %v and %v", a.share, b.share)
	}
}

// A gateway that is gone leaves its share to the others: at once where it left, else when it has been silent for long.
func TestGoneLeaveTheirShares(t *testing.T) {
	store, now := fleet.NewMemory(), epoch
	a, b, c := newGateway(t, "a", store), newGateway(t, "b", store), newGateway(t, "c", store)
	beats(t, &now, 10, a, b, c)
	beats(t, &now, 29, a, b)
	if a.share > 0.34 || b.share > 0.34 {
		t.Errorf("c is silent for less than 30 s: %v and %v", a.share, b.share)
	}
	beats(t, &now, 5, a, b)
	if a.share < 0.49 || b.share < 0.49 {
		t.Errorf("c is gone: %v and %v", a.share, b.share)
	}
	beats(t, &now, 40, a, b)
	if st, err := store.Beat(t.Context(), fleet.Member{ID: "x"}); err != nil || len(st.Members) != 3 {
		t.Errorf("members: %+v, %v", st.Members, err)
	}
}

func TestHints(t *testing.T) {
	store, now := fleet.NewMemory(), epoch
	a, b := newGateway(t, "a", store), newGateway(t, "b", store)
	a.open = []string{"p/m"}
	beats(t, &now, 1, a, b)
	a.open = nil
	beats(t, &now, 2, a, b)
	if len(a.hints) != 0 || !slices.Equal(b.hints, []string{"p/m"}) {
		t.Errorf("hints %v and %v", a.hints, b.hints)
	}
}

// What one gateway spends the others hear of once, whatever is lost on the way.
func TestSpendingIsHeardOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		failing := 0.3
		chance := func() bool { return random.Float64() < failing }
		store := &flaky{Memory: fleet.NewMemory(), before: chance, after: chance}
		all := []*gateway{newGateway(t, "a", store), newGateway(t, "b", store), newGateway(t, "c", store)}
		now, spent := epoch, map[string]int64{}
		beat := func() {
			now = now.Add(time.Second)
			for _, g := range all {
				_ = g.Step(t.Context(), now)
			}
		}
		failing = 0
		beat()
		failing = 0.3
		for range rapid.IntRange(1, 40).Draw(rt, "beats") {
			for _, g := range all {
				if random.IntN(2) == 0 {
					n := random.Int64N(1000)
					spent[g.id] += n
					g.spent = append(g.spent, fleet.Spending{Tenant: "t", At: now, MicroUSD: n})
				}
			}
			beat()
		}
		failing = 0
		for range 4 {
			beat()
		}
		for _, g := range all {
			want := maps.Clone(spent)
			delete(want, g.id)
			maps.DeleteFunc(want, func(_ string, n int64) bool { return n == 0 })
			maps.DeleteFunc(g.heard, func(_ string, n int64) bool { return n == 0 })
			if diff := cmp.Diff(want, g.heard); diff != "" {
				rt.Fatalf("%s heard: %s", g.id, diff)
			}
		}
	})
}

// TestSharesNeverExceedTheWhole has gateways come, go and crash, requests fail and answers get lost, and the store
// be down for a while, for all of them.
func TestSharesNeverExceedTheWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2))
		down, failing := false, 0.0
		chance := func() bool { return down || random.Float64() < failing }
		store := &flaky{Memory: fleet.NewMemory(), before: chance, after: chance}
		var all []*gateway
		now := epoch
		for n := range rapid.IntRange(20, 150).Draw(rt, "beats") {
			running := 0
			for _, g := range all {
				if !g.stopped {
					running++
				}
			}
			switch dice := random.IntN(100); {
			case !down && running == 0, !down && dice < 5 && running < 5:
				was := failing
				failing = 0 // one that never meets the others cannot keep to anything
				g := newGateway(t, fmt.Sprint("g", n), store)
				if err := g.Step(t.Context(), now); err != nil {
					rt.Fatal(err)
				}
				all = append(all, g)
				failing = was
			case dice < 8:
				all[random.IntN(len(all))].stopped = true
			case dice < 12:
				down = !down
			case dice < 16:
				failing = random.Float64() * 0.1
			}
			now = now.Add(time.Second)
			for _, i := range random.Perm(len(all)) {
				g := all[i]
				if g.stopped {
					continue
				}
				g.demand = fleet.Demand{Used: g.share * random.Float64(), Short: random.IntN(3) == 0}
				_ = g.Step(t.Context(), now)
				if total := sum(all); total > 1.0000001 {
					rt.Fatalf("after %d beats the shares add up to %v", n, total)
				}
			}
		}
	})
}

// Without the store gateways keep their shares for a while, then have equal ones, and go on.
func TestStoreDown(t *testing.T) {
	down := false
	store := &flaky{Memory: fleet.NewMemory(), before: func() bool { return down }, after: func() bool { return false }}
	now := epoch
	a, b := newGateway(t, "a", store), newGateway(t, "b", store)
	a.demand = fleet.Demand{Used: 0.7}
	beats(t, &now, 20, a, b)
	busy, idle := a.share, b.share
	if busy < 0.8 || idle > 0.2 {
		t.Fatalf("%v and %v", busy, idle)
	}
	down = true
	for second := range 30 {
		now = now.Add(time.Second)
		if a.Step(t.Context(), now) == nil || b.Step(t.Context(), now) == nil {
			t.Fatal("a store that is down answers")
		}
		switch {
		case second < 10 && (a.share != busy || b.share != idle):
			t.Errorf("after %d s: %v and %v", second+1, a.share, b.share)
		case second == 10 && (a.share != 0.5 || b.share != idle):
			t.Errorf("after 11 s: %v and %v", a.share, b.share)
		case second > 20 && (a.share != 0.5 || b.share != 0.5):
			t.Errorf("after %d s: %v and %v", second+1, a.share, b.share)
		}
	}
	if st := a.Status(); st.Error == "" || len(st.Members) == 0 {
		t.Errorf("status %+v", st)
	}
	down = false
	beats(t, &now, 25, a, b)
	if a.share < 0.8 || b.share > 0.2 {
		t.Errorf("the store is back: %v and %v", a.share, b.share)
	}
}

func TestRunJoinsAndLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fleet.NewMemory()
		a, b := newGateway(t, "a", store), newGateway(t, "b", store)
		for _, g := range []*gateway{a, b} {
			if err := g.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- a.Run(ctx) }()
		only, stopB := context.WithCancel(t.Context())
		go func() { done <- b.Run(only) }()
		time.Sleep(10 * time.Second)
		if got := a.Status().Members; !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("members %v", got)
		}
		stopB()
		if err := <-done; err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Second)
		if st := a.Status(); !slices.Equal(st.Members, []string{"a"}) || st.Shares["p/m"] != 1 {
			t.Errorf("after the other left: %+v", st)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestValidate(t *testing.T) {
	if _, err := fleet.New(fleet.Config{ID: "a b", Interval: time.Hour, KeepFor: time.Second}); err == nil {
		t.Error("no fault is found")
	} else if faults := err.(interface{ Unwrap() []error }).Unwrap(); len(faults) != 4 {
		t.Errorf("faults: %v", err)
	}
}

func ExampleDivide() {
	// One gateway is busy, the other idle.
	fmt.Println(fleet.Divide(map[string]float64{"busy": 0.9, "idle": 0}))
	// Output: map[busy:925000 idle:75000]
}

func TestMemory(t *testing.T) {
	storetest.Fleet(t, func(*testing.T) fleet.Store { return fleet.NewMemory() })
}
