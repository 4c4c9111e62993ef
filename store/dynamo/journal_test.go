package dynamo_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/dynamo"
	"github.com/forebay-ai/forebay/store/storetest"
)

func TestJournal(t *testing.T) {
	storetest.Journal(t, func(t *testing.T) cache.Journal { return openStore(t, newTables(t)).Cache() })
}

// TestJournalInBadWeather has several processes invalidate while calls fail and answers get lost: every invalidation that was acknowledged
// is found, by who follows, under the number that was given, and no number twice.
func TestJournalInBadWeather(t *testing.T) {
	cfg, w := stormy(t)
	const processes, each = 4, 8
	var journals []*dynamo.Cache
	for range processes + 1 {
		journals = append(journals, openStore(t, cfg).Cache())
	}
	w.set(0.05, 0.05, 0.05)
	var mu sync.Mutex
	given := map[uint64]cache.Match{}
	var all sync.WaitGroup
	for p := range processes {
		j := journals[p]
		all.Go(func() {
			for n := range each {
				m := cache.Match{Mask: 1, Tags: cache.Tags{uint64(100*p + n + 1)}}
				again(t, "Invalidate", func(ctx context.Context) error {
					inv, err := j.Invalidate(ctx, m, time.Now())
					if err != nil {
						return err
					}
					mu.Lock()
					defer mu.Unlock()
					if other, twice := given[inv.Number]; twice {
						t.Errorf("the number %d was given for %v and for %v", inv.Number, other, m)
					}
					given[inv.Number] = m
					return nil
				})
			}
		})
	}
	seen := map[uint64]cache.Match{}
	follower := journals[processes]
	for after := uint64(0); ; {
		mu.Lock()
		over := len(given) == processes*each
		mu.Unlock()
		found, last, err := follower.Invalidations(t.Context(), after)
		if err == nil {
			for _, inv := range found {
				seen[inv.Number] = inv.Match
			}
			after = last
			if over {
				break
			}
		}
	}
	all.Wait()
	for number, m := range given {
		if seen[number] != m {
			t.Errorf("the invalidation %d of %v: who follows has seen %v", number, m, seen[number])
		}
	}
}

// To find nothing new costs a read unit.
func TestJournalCosts(t *testing.T) {
	s := openStore(t, newTables(t))
	j := s.Cache()
	for range 3 {
		_, err := j.Invalidate(t.Context(), cache.Match{}, time.Now())
		must(t, err)
	}
	before := s.Stats()
	_, _, err := j.Invalidations(t.Context(), 3)
	must(t, err)
	if got, _ := used(s, before, "journal.read"); got != 1 {
		t.Errorf("it costs %v units", got)
	}
}
