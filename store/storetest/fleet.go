package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/fleet"
)

// Fleet checks an implementation of fleet.Store. open returns an empty store, and has it closed by t.Cleanup where it needs
// to be.
func Fleet(t *testing.T, open func(t *testing.T) fleet.Store) {
	for _, rule := range []struct {
		name  string
		check func(t *testing.T, s fleet.Store)
	}{
		{"what members tell comes back", fleetMembers},
		{"grants change from version to version", fleetGrants},
		{"of those who change the grants one wins", fleetRace},
		{"news come back in order", fleetNews},
		{"news told twice count once", fleetAgain},
		{"large news", fleetLarge},
		{"who leaves is gone", fleetLeave},
		{"an ended context", fleetContext},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, open(t)) })
	}
}

func beat(t testing.TB, s fleet.Store, m fleet.Member) fleet.State {
	t.Helper()
	state, err := s.Beat(t.Context(), m)
	must(t, err)
	slices.SortFunc(state.Members, func(a, b fleet.Member) int { return strings.Compare(a.ID, b.ID) })
	return state
}

func fleetMembers(t *testing.T, s fleet.Store) {
	a := fleet.Member{ID: "a", Place: "höst 127.0.0.1:80", Beat: 1, News: 1 << 60, Demand: map[string]float64{"p/m": 0.125, "ä/*": 1}, Open: []string{"p/m", "x y"}}
	b := fleet.Member{ID: "b-!~", Beat: 1<<64 - 1, Left: true}
	if diff := differ([]fleet.Member{a}, beat(t, s, a).Members); diff != "" {
		t.Error(diff)
	}
	if diff := differ([]fleet.Member{a, b}, beat(t, s, b).Members); diff != "" {
		t.Error(diff)
	}
	a = fleet.Member{ID: "a", Beat: 2}
	if diff := differ([]fleet.Member{a, b}, beat(t, s, a).Members); diff != "" {
		t.Error(diff)
	}
}

func grants(version uint64, share int) fleet.Grants {
	return fleet.Grants{Version: version, Of: map[string]map[string]int{"p/m": {"a": share, "b": 1}, "q/n": {"a": fleet.Million}}}
}

func fleetGrants(t *testing.T, s fleet.Store) {
	if g := beat(t, s, fleet.Member{ID: "a"}).Grants; g.Version != 0 || len(g.Of) != 0 {
		t.Errorf("an empty store has %+v", g)
	}
	for _, version := range []uint64{2, 0} {
		if err := s.Grant(t.Context(), grants(version, 1)); !errors.Is(err, fleet.ErrChanged) {
			t.Errorf("version %d over none: %v", version, err)
		}
	}
	for version := uint64(1); version < 4; version++ {
		must(t, s.Grant(t.Context(), grants(version, int(version))))
		for _, wrong := range []uint64{version - 1, version, version + 2} {
			if err := s.Grant(t.Context(), grants(wrong, 99)); !errors.Is(err, fleet.ErrChanged) {
				t.Errorf("version %d over %d: %v", wrong, version, err)
			}
		}
		if diff := differ(grants(version, int(version)), beat(t, s, fleet.Member{ID: "a"}).Grants); diff != "" {
			t.Error(diff)
		}
	}
}

func fleetRace(t *testing.T, s fleet.Store) {
	for version := uint64(1); version <= 10; version++ {
		var mu sync.Mutex
		var winners []int
		var all sync.WaitGroup
		for n := range 6 {
			all.Go(func() {
				err := s.Grant(t.Context(), grants(version, n))
				if err == nil {
					mu.Lock()
					winners = append(winners, n)
					mu.Unlock()
				} else if !errors.Is(err, fleet.ErrChanged) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(winners) != 1 {
			t.Fatalf("version %d was granted by %v", version, winners)
		}
		if diff := differ(grants(version, winners[0]), beat(t, s, fleet.Member{ID: "a"}).Grants); diff != "" {
			t.Error(diff)
		}
	}
}

func newsOf(number uint64, accounts int) fleet.News {
	n := fleet.News{Number: number, At: epoch.Add(time.Duration(number) * 1001 * time.Millisecond)}
	for i := range accounts {
		n.Spent = append(n.Spent, fleet.Spending{
			Tenant: fmt.Sprint("tenant ", number), Key: "k", User: fmt.Sprintf("user %d of %d", i, number), Operation: "ö",
			At: epoch, MicroUSD: int64(i) << 40, Reserved: int64(number),
		})
	}
	return n
}

func heard(t testing.TB, s fleet.Store, id string, after uint64, want ...fleet.News) {
	t.Helper()
	var all []fleet.News
	for {
		some, err := s.Told(t.Context(), id, after)
		must(t, err)
		if len(some) == 0 {
			break
		}
		all = append(all, some...)
		after = some[len(some)-1].Number
	}
	if diff := differ(want, all); diff != "" && len(want)+len(all) > 0 {
		t.Errorf("news of %s after %d (-told +heard):\n%.3000s", id, after, diff)
	}
}

func fleetNews(t *testing.T, s fleet.Store) {
	heard(t, s, "a", 0)
	var all []fleet.News
	for number := uint64(1); number <= 12; number++ {
		n := newsOf(number, int(number%4))
		must(t, s.Tell(t.Context(), "a", n))
		must(t, s.Tell(t.Context(), "ab", newsOf(number, 1))) // another, whose name begins in the same way
		all = append(all, n)
	}
	for after := range uint64(13) {
		heard(t, s, "a", after, all[after:]...)
	}
	heard(t, s, "a", 1<<64-1)
	heard(t, s, "b", 0)
}

func fleetAgain(t *testing.T, s fleet.Store) {
	must(t, s.Tell(t.Context(), "a", newsOf(1, 2)))
	must(t, s.Tell(t.Context(), "a", newsOf(1, 2)))
	must(t, s.Tell(t.Context(), "a", newsOf(2, 1)))
	must(t, s.Tell(t.Context(), "a", newsOf(1, 2)))
	heard(t, s, "a", 0, newsOf(1, 2), newsOf(2, 1))
}

func fleetLarge(t *testing.T, s fleet.Store) {
	must(t, s.Tell(t.Context(), "a", newsOf(1, 12_000)))
	must(t, s.Tell(t.Context(), "a", newsOf(2, 1)))
	heard(t, s, "a", 0, newsOf(1, 12_000), newsOf(2, 1))
	heard(t, s, "a", 1, newsOf(2, 1))
}

func fleetLeave(t *testing.T, s fleet.Store) {
	must(t, s.Leave(t.Context(), "nobody"))
	for _, id := range []string{"a", "b"} {
		beat(t, s, fleet.Member{ID: id})
		must(t, s.Tell(t.Context(), id, newsOf(1, 1)))
	}
	must(t, s.Grant(t.Context(), grants(1, 7)))
	must(t, s.Leave(t.Context(), "a"))
	heard(t, s, "a", 0)
	heard(t, s, "b", 0, newsOf(1, 1))
	state := beat(t, s, fleet.Member{ID: "b"})
	if diff := differ(fleet.State{Members: []fleet.Member{{ID: "b"}}, Grants: grants(1, 7)}, state); diff != "" {
		t.Error(diff)
	}
}

func fleetContext(t *testing.T, s fleet.Store) {
	ctx := ended()
	_, beat := s.Beat(ctx, fleet.Member{ID: "a"})
	_, told := s.Told(ctx, "a", 0)
	for op, err := range map[string]error{
		"Beat": beat, "Told": told, "Grant": s.Grant(ctx, grants(1, 1)), "Tell": s.Tell(ctx, "a", newsOf(1, 1)), "Leave": s.Leave(ctx, "a"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v; want context.Canceled", op, err)
		}
	}
}
