package jobtable_test

import (
	"math"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

// TestSightThrough has looks that do not see all queued jobs say how far they go: whatever comes before was seen.
func TestSightThrough(t *testing.T) {
	b := fresh(t, client(t, nil))
	var ids backlog.IDs
	all := map[backlog.ID]bool{}
	at := time.Now().UTC().Truncate(time.Microsecond)
	for n := range 24 {
		j := small(at.Add(time.Duration(n)*time.Second), &ids, 10)
		j.ID, j.Band = ids.Next(j.Enqueued), llm.High
		_, err := b.Insert(t.Context(), &j, make([]byte, 10), time.Time{})
		must(t, err)
		all[j.ID] = true
	}
	for _, limit := range []int{1, 3, 7} {
		s, err := b.Sight(t.Context(), limit, false)
		must(t, err)
		seen := map[backlog.ID]bool{}
		for _, j := range s.Jobs {
			seen[j.ID] = true
		}
		through, before := s.Through[llm.High.Index()], 0
		for id := range all {
			if id < through {
				if before++; !seen[id] {
					t.Errorf("a look of %d goes through %v and has not seen %v", limit, through, id)
				}
			}
		}
		if s.Whole || before < limit {
			t.Errorf("a look of %d says whole %v, and vouches for %d jobs", limit, s.Whole, before)
		}
		if got := s.Through[llm.Low.Index()]; got != math.MaxInt64 {
			t.Errorf("a band without jobs is known through %v; want to its end", got)
		}
	}
}
