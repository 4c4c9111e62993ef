package fleet_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/fleet"
)

// damaged is a store that cannot give the news of some members.
type damaged struct {
	*fleet.Memory
	of   map[string]bool
	asks int // for them
}

func (s *damaged) Told(ctx context.Context, id string, after uint64) ([]fleet.News, error) {
	if s.of[id] {
		s.asks++
		return nil, errors.New("an item is damaged")
	}
	return s.Memory.Told(ctx, id, after)
}

// A member whose news are damaged keeps no other's from being heard, and is removed when it has been silent for long: for twice
// as long as one whose news were heard, since they may be readable again.
func TestDamagedNews(t *testing.T) {
	store, now := &damaged{Memory: fleet.NewMemory(), of: map[string]bool{"bad": true, "worse": true}}, epoch
	a, b := newGateway(t, "a", store), newGateway(t, "b", store)
	silent := []*gateway{newGateway(t, "bad", store), newGateway(t, "worse", store), newGateway(t, "well", store)}
	step := func(g *gateway) error { return g.Step(t.Context(), now) }
	for _, g := range append(silent, a) {
		_ = step(g)
	}
	for _, g := range silent {
		spends(g, now, 5)
		_ = step(g) // that has damaged news to hear, too
	}
	left := func() (ids []string) {
		state, err := store.Beat(t.Context(), fleet.Member{ID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range state.Members {
			ids = append(ids, m.ID)
		}
		return ids
	}
	for second := range 130 {
		now = now.Add(time.Second)
		spends(b, now, 1)
		_ = step(b)
		err := step(a)
		if got, want := a.heard["b"], int64(second+1); got != want {
			t.Fatalf("after %d s %d of %d are heard of a member whose news are well", second, got, want)
		}
		switch {
		case second < 60 && (err == nil || !strings.Contains(err.Error(), `the news of "worse"`)):
			t.Fatalf("after %d s: %v", second, err)
		case second == 59 && len(left()) != 5, second == 70 && len(left()) != 4, second == 110 && len(left()) != 4:
			t.Fatalf("after %d s there are %v", second, left())
		case second == 129 && (err != nil || len(left()) != 2):
			t.Fatalf("at the end there are %v: %v", left(), err)
		}
	}
}

// What is damaged is logged once, not with every beat.
func TestDamagedNewsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &damaged{Memory: fleet.NewMemory(), of: map[string]bool{"bad": true}}
		if _, err := store.Beat(t.Context(), fleet.Member{ID: "bad", Beat: 1, News: 1}); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		f, err := fleet.New(fleet.Config{ID: "a", Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		time.Sleep(20*time.Second + time.Second/2)
		stop()
		if err := <-done; err != nil || store.asks < 19 {
			t.Errorf("%d tries: %v", store.asks, err)
		}
		if n := strings.Count(log.String(), "damaged"); n != 1 || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
	})
}
