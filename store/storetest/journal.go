package storetest

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
)

// Journal checks an implementation of cache.Journal. open returns an empty journal,
// and has it closed by t.Cleanup where it needs to be.
func Journal(t *testing.T, open func(t *testing.T) cache.Journal) {
	for _, rule := range []struct {
		name  string
		check func(t *testing.T, j cache.Journal)
	}{
		{"numbers ascend from 1", journalNumbers},
		{"what is recorded comes back", journalRoundTrip},
		{"only what is asked for comes back", journalAfter},
		{"what is forgotten is gone, and nothing else", journalForgets},
		{"no number is given twice", journalNeverReuses},
		{"of those who share it one sweeps", journalTurns},
		{"an ended context", journalContext},
		{"concurrent use", journalConcurrent},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.check(t, open(t)) })
	}
}

// journalTurns is for journals that several processes share.
func journalTurns(t *testing.T, j cache.Journal) {
	s, ok := j.(cache.Sweeper)
	if !ok {
		return
	}
	now := epoch
	turn := func(who string, want cache.Sweeps) {
		t.Helper()
		got, err := s.Turn(t.Context(), who, now, now.Add(time.Minute))
		must(t, err)
		if got != want {
			t.Errorf("%s gets %+v; want %+v", who, got, want)
		}
	}
	turn("a", cache.Sweeps{Mine: true})
	turn("b", cache.Sweeps{})
	now = now.Add(50 * time.Second)
	turn("a", cache.Sweeps{Mine: true}) // keeps it
	now = now.Add(50 * time.Second)
	turn("b", cache.Sweeps{})
	for n := range 5 {
		invalidate(t, j, n)
	}
	must(t, s.Swept(t.Context(), 4))
	must(t, s.Swept(t.Context(), 3))
	turn("b", cache.Sweeps{Swept: 4})
	must(t, j.Forget(t.Context(), 2))
	now = now.Add(10 * time.Second) // a's has ended
	turn("b", cache.Sweeps{Mine: true, Swept: 4, Forgotten: 2})
	turn("a", cache.Sweeps{Swept: 4, Forgotten: 2})

	if kept, last, err := j.Invalidations(t.Context(), 0); err != nil || len(kept) != 3 || last != 5 {
		t.Errorf("the journal has %+v up to %d, %v", kept, last, err)
	}
	journalTurnRace(t, s, now.Add(time.Hour))
}

// journalTurnRace has several want the turn at once.
func journalTurnRace(t *testing.T, s cache.Sweeper, now time.Time) {
	var mu sync.Mutex
	winners := 0
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() {
			got, err := s.Turn(t.Context(), string(rune('p'+n)), now, now.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got.Mine {
				winners++
			}
		})
	}
	all.Wait()
	if winners != 1 {
		t.Errorf("%d have the turn", winners)
	}
}

func invalidate(t testing.TB, j cache.Journal, n int) cache.Invalidation {
	t.Helper()
	m, at := by(record(n), cache.Field(n)%cache.Fields), epoch.Add(time.Duration(n))
	inv, err := j.Invalidate(t.Context(), m, at)
	must(t, err)
	if diff := differ(cache.Invalidation{Number: inv.Number, Match: m, At: at}, inv); diff != "" {
		t.Errorf("Invalidate returns something else than it was given (-given +returned):\n%s", diff)
	}
	return inv
}

// reads checks what a journal has after a number.
func reads(t testing.TB, j cache.Journal, after uint64, want []cache.Invalidation, wantLast uint64) {
	t.Helper()
	got, last, err := j.Invalidations(t.Context(), after)
	must(t, err)
	if diff := differ(want, got); diff != "" && len(want)+len(got) > 0 {
		t.Errorf("Invalidations(%d) (-want +got):\n%s", after, diff)
	}
	if last != wantLast {
		t.Errorf("Invalidations(%d) says that the greatest number is %d; want %d", after, last, wantLast)
	}
}

func journalNumbers(t *testing.T, j cache.Journal) {
	reads(t, j, 0, nil, 0)
	for n := range 5 {
		if inv := invalidate(t, j, n); inv.Number != uint64(n)+1 {
			t.Errorf("invalidation %d has the number %d", n+1, inv.Number)
		}
	}
}

func journalRoundTrip(t *testing.T, j cache.Journal) {
	var all []cache.Invalidation
	for n := range 10 {
		all = append(all, invalidate(t, j, n))
	}
	for _, m := range []cache.Match{
		{}, // everything
		by(record(3), cache.FieldKey),
		{Mask: 1<<(cache.FieldKey+1) - 1, Tags: cache.Tags{math.MaxUint64, 1 << 63, 0, 1, 2}, Key: keyOf(1)},
	} {
		inv, err := j.Invalidate(t.Context(), m, epoch)
		must(t, err)
		all = append(all, inv)
		if inv.Match != m {
			t.Errorf("Invalidate(%+v) returned %+v", m, inv.Match)
		}
	}
	reads(t, j, 0, all, uint64(len(all)))
}

func journalAfter(t *testing.T, j cache.Journal) {
	var all []cache.Invalidation
	for n := range 10 {
		all = append(all, invalidate(t, j, n))
	}
	for after := range all {
		reads(t, j, uint64(after), all[after:], 10)
	}
	reads(t, j, 10, nil, 10)
	reads(t, j, 1000, nil, 10)
	reads(t, j, math.MaxUint64, nil, 10)
}

func journalForgets(t *testing.T, j cache.Journal) {
	var all []cache.Invalidation
	for n := range 10 {
		all = append(all, invalidate(t, j, n))
	}
	must(t, j.Forget(t.Context(), 0))
	reads(t, j, 0, all, 10)
	must(t, j.Forget(t.Context(), 4))
	reads(t, j, 0, all[4:], 10)
	reads(t, j, 6, all[6:], 10)
	must(t, j.Forget(t.Context(), 2)) // forgotten already
	reads(t, j, 0, all[4:], 10)
}

func journalNeverReuses(t *testing.T, j cache.Journal) {
	given := uint64(0)
	for n, upTo := range []uint64{1, 2, 3, 1000, math.MaxUint64, math.MaxUint64} {
		inv := invalidate(t, j, n)
		if inv.Number <= given {
			t.Errorf("the number %d comes after %d", inv.Number, given)
		}
		given = inv.Number
		must(t, j.Forget(t.Context(), upTo))
		reads(t, j, 0, nil, given)
	}
	if given > 1000 {
		t.Errorf("after 6 invalidations the number is %d", given)
	}
}

func journalContext(t *testing.T, j cache.Journal) {
	kept := invalidate(t, j, 1)
	ctx := ended()
	_, inv := j.Invalidate(ctx, cache.Match{}, epoch)
	_, _, read := j.Invalidations(ctx, 0)
	forget := j.Forget(ctx, 10)
	for op, err := range map[string]error{"Invalidate": inv, "Invalidations": read, "Forget": forget} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v; want context.Canceled", op, err)
		}
	}
	reads(t, j, 0, []cache.Invalidation{kept}, kept.Number)
}

// journalConcurrent has one goroutine follow the journal as a cache does: it asks for
// what came after the greatest number that it was told, and must miss nothing.
func journalConcurrent(t *testing.T, j cache.Journal) {
	const writers, each = 6, 15
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			before := uint64(0)
			for n := range each {
				inv := invalidate(t, j, w*each+n)
				if inv.Number <= before {
					t.Errorf("the number %d comes after %d", inv.Number, before)
				}
				before = inv.Number
			}
		})
	}
	seen := map[uint64]bool{}
	for after := uint64(0); after < writers*each && !t.Failed(); {
		got, last, err := j.Invalidations(t.Context(), after)
		must(t, err)
		for _, inv := range got {
			if inv.Number <= after || seen[inv.Number] {
				t.Errorf("after %d comes the number %d", after, inv.Number)
			}
			after, seen[inv.Number] = inv.Number, true
		}
		after = last
	}
	all.Wait()
	if len(seen) != writers*each {
		t.Errorf("who follows the journal has seen %d of %d invalidations", len(seen), writers*each)
	}
}
