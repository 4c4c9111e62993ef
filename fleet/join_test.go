package fleet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/fleet"
)

// spends has a gateway spend.
func spends(g *gateway, now time.Time, micro int64) {
	g.spent = append(g.spent, fleet.Spending{Tenant: "t", At: now, MicroUSD: micro, Reserved: 7})
}

// Who joins counts what was told lately, which the books may not have had, and not what was told long before: that is in them,
// and clocks that differ by some seconds make no difference to what has to count.
func TestJoinerCountsNoOldNews(t *testing.T) {
	for _, off := range []time.Duration{0, 5 * time.Second, -5 * time.Second, -time.Minute} {
		t.Run(fmt.Sprint(off), func(t *testing.T) {
			store, now := fleet.NewMemory(), epoch
			a, b := newGateway(t, "a", store), newGateway(t, "b", store)
			step := func(g *gateway, at time.Time) {
				t.Helper()
				if err := g.Step(t.Context(), at); err != nil {
					t.Fatal(err)
				}
			}
			spends(a, now, 1_000_000) // and nothing for an hour
			step(a, now.Add(off))
			now = now.Add(time.Hour)
			for range 60 {
				now = now.Add(time.Second)
				spends(a, now, 1)
				step(a, now.Add(off))
			}
			step(b, now)
			if got := b.heard["a"]; got < 5 && off > -time.Minute || got > 16 {
				t.Errorf("who joins counts %d of what was spent in the seconds before", got)
			}
			before := b.heard["a"]
			for range 10 {
				now = now.Add(time.Second)
				spends(a, now, 1)
				step(a, now.Add(off))
				step(b, now)
			}
			if got := b.heard["a"] - before; got != 10 {
				t.Errorf("%d of the 10 that were spent since", got)
			}
		})
	}
}

// Also where little is told the last news are not for ever the latest.
func TestJoinerCountsNoneOfYesterday(t *testing.T) {
	store, now := fleet.NewMemory(), epoch
	a, b := newGateway(t, "a", store), newGateway(t, "b", store)
	for range 5 {
		spends(a, now, 1)
		beats(t, &now, 1, a)
	}
	now = now.Add(time.Minute)
	beats(t, &now, 5, a, b)
	if b.heard["a"] != 0 {
		t.Errorf("%d", b.heard["a"])
	}
}

// What others have reserved is in no books: it counts however long ago it was told.
func TestJoinerCountsReservations(t *testing.T) {
	store, now := fleet.NewMemory(), epoch
	a := newGateway(t, "a", store)
	spends(a, now, 100)
	beats(t, &now, 1, a)
	now = now.Add(2 * time.Minute)
	reserved, spent := int64(0), int64(0)
	b, err := fleet.New(fleet.Config{ID: "b", Store: store, Spent: func(_ string, all []fleet.Spending, _ time.Time) {
		for _, one := range all {
			reserved, spent = one.Reserved, spent+one.MicroUSD
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Step(t.Context(), now); err != nil || reserved != 7 || spent != 0 {
		t.Errorf("%d reserved, %d spent, %v", reserved, spent, err)
	}
}

// Who could not join for a while hears all that was told meanwhile.
func TestLateJoinerMissesNothing(t *testing.T) {
	down := false
	store := &flaky{Memory: fleet.NewMemory(), before: func() bool { return down }, after: func() bool { return false }}
	now := epoch
	a, b := newGateway(t, "a", store), newGateway(t, "b", store)
	beats(t, &now, 3, a)
	for second := range 90 {
		now = now.Add(time.Second)
		spends(a, now, 1)
		down = false
		if err := a.Step(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		down = second < 80
		_ = b.Step(t.Context(), now)
	}
	if b.heard["a"] != 90 {
		t.Errorf("%d of 90", b.heard["a"])
	}
}

// A gateway that was thought gone, and comes back under its name, counts once.
func TestReturningGatewayCountsOnce(t *testing.T) {
	store, now := fleet.NewMemory(), epoch
	a, b := newGateway(t, "a", store), newGateway(t, "b", store)
	for range 20 {
		spends(a, now, 1)
		beats(t, &now, 1, a, b)
	}
	// Another one buries it, and its news stay for a moment: a store's Leave is not one step.
	kept, err := store.Told(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	beats(t, &now, 70, b)
	for _, n := range kept {
		if err := store.Tell(t.Context(), "a", n); err != nil {
			t.Fatal(err)
		}
	}
	spends(a, now, 1)
	beats(t, &now, 3, a, b)
	if b.heard["a"] != 21 {
		t.Errorf("%d of 21 were counted", b.heard["a"])
	}
}

// placed is a gateway at a place.
func placed(t testing.TB, id, place string, s fleet.Store) *gateway {
	t.Helper()
	g := &gateway{id: id, share: -1, heard: map[string]int64{}}
	var err error
	g.Fleet, err = fleet.New(fleet.Config{
		ID: id, Place: place, Store: s,
		Demand:   func(time.Time) map[string]fleet.Demand { return map[string]fleet.Demand{"p/m": g.demand} },
		SetShare: func(_ string, share float64) { g.share = share },
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Who starts again at its place has the quota that its predecessor left: at once where that stopped, soon where it
// crashed, whoever else is there. One that lives is not robbed, whatever it says of its place.
func TestRestartsHaveTheirQuota(t *testing.T) {
	store, now := fleet.NewMemory(), epoch
	first := placed(t, "first", "host :80", store)
	beats(t, &now, 5, first)
	second := placed(t, "second", "host :80", store) // first has crashed
	beats(t, &now, 1, second)
	if second.share != 0 {
		t.Fatalf("%v of a quota that may be in use", second.share)
	}
	beats(t, &now, 3, second)
	if second.share != 1 {
		t.Errorf("after a crash, four seconds later: %v", second.share)
	}
	beats(t, &now, 5, second)

	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := second.Run(ctx); err != nil {
		t.Fatal(err)
	}
	third := newGateway(t, "third", store) // in another place
	beats(t, &now, 1, third)
	if third.share != 1 {
		t.Errorf("after a stop, at once: %v", third.share)
	}

	elsewhere := placed(t, "elsewhere", "other :80", store)
	beats(t, &now, 5, third, elsewhere)
	again := placed(t, "again", "other :80", store) // elsewhere has crashed
	beats(t, &now, 9, third, again)
	if again.share < 0.4 {
		t.Errorf("of two, after a crash: %v", again.share)
	}
	twin := placed(t, "twin", "other :80", store) // and does not say the truth
	beats(t, &now, 20, third, again, twin)
	for _, g := range []*gateway{third, again, twin} {
		if g.share < 0.3 {
			t.Errorf("%s has %v", g.id, g.share)
		}
	}
}
