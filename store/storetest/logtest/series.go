package logtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/series"
)

// Series checks an implementation of series.Store. open returns an empty store, and has it
// closed by t.Cleanup where it needs to be.
func Series(t *testing.T, open func(t *testing.T) series.Store) {
	run(t, open, []rule[series.Store]{
		{"what is saved comes back", seriesRoundTrip},
		{"of two blocks of one place the later counts", seriesReplaces},
		{"blocks are saved all or none", seriesBatches},
		{"no reference is kept", seriesCopies},
		{"each step is loaded from its time on", seriesFrom},
		{"loading stops when it is told to", seriesStops},
		{"loading of many, with the store in use", seriesMany},
		{"old blocks of a step are removed and nothing else", seriesPrune},
		{"an ended context", seriesContext},
		{"concurrent use", seriesConcurrent},
		{"model", seriesModel},
	})
}

// always has blocks of all times loaded.
func always(time.Duration) time.Time { return time.Time{} }

// block is block number n, whose parts follow from its number.
func block(n int) series.Block {
	r := rand.New(rand.NewPCG(9, uint64(n)))
	b := series.Block{
		Key:  series.Key{Metric: choose(r, "metric", 2), Label: choose(r, "label", 1), Value: choose(r, "value", 2)},
		Step: []time.Duration{time.Second, time.Minute, time.Hour}[r.IntN(3)], Start: epoch.Add(time.Duration(r.IntN(10)) * time.Hour),
		Data: make([]byte, r.IntN(40)),
	}
	for i := range b.Data {
		b.Data[i] = byte(r.Uint32())
	}
	if len(b.Data) == 0 {
		b.Data = nil // no matter which: that is what loaded makes of it
	}
	return b
}

func blocks(from, to int) []series.Block {
	var all []series.Block
	for ; from < to; from++ {
		all = append(all, block(from))
	}
	return all
}

// place is what there is one block of.
func place(b series.Block) blockKey { return blockKey{b.Key, b.Step, b.Start.UnixNano()} }

// sorted are blocks without those that were replaced, in one order for all.
func sorted(all []series.Block) []series.Block {
	last := make(map[blockKey]series.Block, len(all))
	for _, b := range all {
		last[place(b)] = b
	}
	return slices.SortedFunc(maps.Values(last), func(a, b series.Block) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), a.Start.Compare(b.Start),
			cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Value, b.Value))
	})
}

// loaded are all blocks of a store from a time on.
func loaded(t checker, s series.Store, from func(time.Duration) time.Time) []series.Block {
	t.Helper()
	var all []series.Block
	seen := map[blockKey]bool{}
	must(t, s.LoadSeries(t.Context(), from, func(b series.Block) bool {
		if seen[place(b)] {
			t.Errorf("the block %+v is loaded twice", place(b))
		}
		seen[place(b)] = true
		if len(b.Data) == 0 {
			b.Data = nil
		}
		all = append(all, b)
		return true
	}))
	return sorted(all)
}

func seriesRoundTrip(t *testing.T, s series.Store) {
	same(t, "an empty store", loaded(t, s, always), []series.Block(nil))
	large := make([]byte, 200_000)
	for i := range large {
		large[i] = byte(i * 7 >> 3)
	}
	at := func(metric, label, value string, step time.Duration, start time.Time, data []byte) series.Block {
		return series.Block{Key: series.Key{Metric: metric, Label: label, Value: value}, Step: step, Start: start, Data: data}
	}
	all := append(blocks(0, 100),
		at("a", "b", "c", 1, epoch, nil), at("a", "bc", "", 1, epoch, []byte{0}), at("ab", "c", "", 1, epoch, large), at("", "", "", 1, epoch, []byte("'\x00\xff")),
		at("A", "b", "c", 1, epoch, []byte{1}), at("a", "b", "c", 2, epoch, []byte{2}), at("a", "b", "c", 1, epoch.Add(1), []byte{3}),
		at("1", "2", "3", 1, epoch, []byte{4}), at("a", "b", strings.Repeat("long", 1000), 1, epoch, []byte{5}),
		at("a", "b", "c", 30*24*time.Hour, time.Unix(0, 0).UTC(), []byte{6}), at("a", "b", "c", 1, time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC), []byte{7}))
	must(t, s.SaveSeries(t.Context(), all))
	must(t, s.SaveSeries(t.Context(), nil))
	same(t, "all", loaded(t, s, always), sorted(all))
}

func seriesReplaces(t *testing.T, s series.Store) {
	first, second, third := block(1), block(1), block(1)
	second.Data, third.Data = []byte("second"), []byte("third and longer")
	for _, batch := range [][]series.Block{{first, block(2)}, {second}, {third, block(3), first, second}} {
		must(t, s.SaveSeries(t.Context(), batch))
	}
	same(t, "all", loaded(t, s, always), sorted([]series.Block{block(2), block(3), second}))
}

func seriesBatches(t *testing.T, s series.Store) {
	var there []series.Block
	failed := 0
	for n := range 30 {
		batch := blocks(10*n, 10*n+10)
		for i := range batch {
			batch[i].Data = []byte{byte(n)}
		}
		if err := s.SaveSeries(newImpatient(t, n+1), batch); err != nil {
			failed++
		} else {
			there = append(there, batch...)
		}
		same(t, "all", loaded(t, s, always), sorted(there))
	}
	if failed == 0 {
		t.Error("no save failed although the context of each ended")
	}
}

func seriesCopies(t *testing.T, s series.Store) {
	b := block(1)
	b.Data = []byte("as it was")
	must(t, s.SaveSeries(t.Context(), []series.Block{b}))
	copy(b.Data, "changed")
	for range 2 {
		must(t, s.LoadSeries(t.Context(), always, func(b series.Block) bool {
			if string(b.Data) != "as it was" {
				t.Errorf("what was changed outside is changed in the store: %q", b.Data)
			}
			copy(b.Data, "changed")
			return true
		}))
	}
}

func seriesFrom(t *testing.T, s series.Store) {
	all := blocks(0, 300)
	must(t, s.SaveSeries(t.Context(), all))
	for _, from := range []func(time.Duration) time.Time{
		func(time.Duration) time.Time { return epoch },
		func(time.Duration) time.Time { return epoch.Add(3 * time.Hour) },
		func(time.Duration) time.Time { return epoch.Add(3*time.Hour + 1) },
		func(step time.Duration) time.Time { return epoch.Add(9*time.Hour - 400*step) },
		func(step time.Duration) time.Time { return epoch.Add(step) },
		func(time.Duration) time.Time { return epoch.AddDate(1, 0, 0) },
	} {
		want := slices.DeleteFunc(sorted(all), func(b series.Block) bool { return b.Start.Before(from(b.Step)) })
		same(t, "what is loaded", loaded(t, s, from), want)
	}
}

func seriesStops(t *testing.T, s series.Store) {
	must(t, s.SaveSeries(t.Context(), blocks(0, 300)))
	for _, most := range []int{1, 2, 50} {
		n := 0
		must(t, s.LoadSeries(t.Context(), always, func(series.Block) bool { n++; return n < most }))
		if n != most {
			t.Errorf("%d blocks were yielded; the function wanted no more after %d", n, most)
		}
	}
}

// seriesMany has more blocks than a store may read at once, most of them of one start.
func seriesMany(t *testing.T, s series.Store) {
	var all []series.Block
	for n := range 3000 {
		b := block(n)
		b.Value, b.Start = fmt.Sprintf("value-%d", n), epoch
		all = append(all, b)
	}
	for batch := range slices.Chunk(all, 700) {
		must(t, s.SaveSeries(t.Context(), batch))
	}
	same(t, "all", loaded(t, s, always), sorted(all))
	n := 0
	must(t, s.LoadSeries(t.Context(), always, func(b series.Block) bool {
		if n++; n%500 == 0 {
			must(t, s.SaveSeries(t.Context(), []series.Block{b}))
			must(t, s.LoadSeries(t.Context(), always, func(series.Block) bool { return false }))
		}
		return true
	}))
	if n != len(all) {
		t.Errorf("%d blocks were loaded; want %d", n, len(all))
	}
}

func seriesPrune(t *testing.T, s series.Store) {
	var all []series.Block
	for n := range 4000 {
		b := block(n)
		b.Value = fmt.Sprintf("value-%d", n)
		all = append(all, b)
	}
	for batch := range slices.Chunk(all, 1000) {
		must(t, s.SaveSeries(t.Context(), batch))
	}
	for _, p := range []struct {
		step time.Duration
		t    time.Time
	}{
		{time.Minute, time.Time{}},
		{time.Minute, epoch},
		{time.Minute, epoch.Add(3 * time.Hour)},
		{time.Hour, epoch.Add(5*time.Hour + 1)},
		{time.Nanosecond, epoch.AddDate(1, 0, 0)},
		{time.Second, epoch.AddDate(1, 0, 0)},
	} {
		must(t, s.PruneSeries(t.Context(), p.step, p.t))
		all = slices.DeleteFunc(all, func(b series.Block) bool { return b.Step == p.step && b.Start.Before(p.t) })
		same(t, fmt.Sprintf("what is left of %v before %v", p.step, p.t), loaded(t, s, always), sorted(all))
	}
}

func seriesContext(t *testing.T, s series.Store) {
	all := blocks(0, 3)
	must(t, s.SaveSeries(t.Context(), all))
	ctx := ended(t)
	for op, err := range map[string]error{
		"SaveSeries":  s.SaveSeries(ctx, blocks(10, 13)),
		"LoadSeries":  s.LoadSeries(ctx, always, func(series.Block) bool { return true }),
		"PruneSeries": s.PruneSeries(ctx, all[0].Step, epoch.AddDate(1, 0, 0)),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v; want context.Canceled", op, err)
		}
	}
	same(t, "all", loaded(t, s, always), sorted(all))
}

func seriesConcurrent(t *testing.T, s series.Store) {
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			for n := range 20 {
				batch := blocks(100*n, 100*n+20)
				for i := range batch {
					batch[i].Metric = fmt.Sprint("metric of ", g)
				}
				if err := s.SaveSeries(t.Context(), batch); err != nil {
					t.Error(err)
				}
				if err := s.PruneSeries(t.Context(), time.Nanosecond, epoch.AddDate(1, 0, 0)); err != nil {
					t.Error(err)
				}
				if err := s.LoadSeries(t.Context(), always, func(series.Block) bool { return true }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var want []series.Block
	for g := range 6 {
		for n := range 20 {
			for _, b := range blocks(100*n, 100*n+20) {
				b.Metric = fmt.Sprint("metric of ", g)
				want = append(want, b)
			}
		}
	}
	same(t, "all", loaded(t, s, always), sorted(want))
}

// seriesModel compares a store with a list under random operations.
func seriesModel(t *testing.T, s series.Store) {
	var all []series.Block
	rapid.Check(t, func(r *rapid.T) {
		r.Repeat(map[string]func(*rapid.T){
			"save": func(r *rapid.T) {
				first := rapid.IntRange(0, 500).Draw(r, "first")
				batch := blocks(first, first+rapid.IntRange(0, 20).Draw(r, "blocks"))
				for i := range batch {
					batch[i].Data = append(batch[i].Data, byte(len(all)))
				}
				must(r, s.SaveSeries(r.Context(), batch))
				all = sorted(append(all, batch...))
			},
			"prune": func(r *rapid.T) {
				step := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(r, "step")
				at := epoch.Add(time.Duration(rapid.IntRange(0, 10).Draw(r, "hours")) * time.Hour)
				must(r, s.PruneSeries(r.Context(), step, at))
				all = slices.DeleteFunc(all, func(b series.Block) bool { return b.Step == step && b.Start.Before(at) })
			},
			"": func(r *rapid.T) { same(r, "all", loaded(r, s, always), all) },
		})
	})
}
