package cache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/storetest"
)

// slowWalk is a store that comes to the end of a deletion with the tenth call for the
// same selection, as one does that looks at a part of its records each time.
type slowWalk struct {
	*storetest.Memory
	calls map[cache.Selection]int
	ended int
}

func (s *slowWalk) Delete(_ context.Context, sel cache.Selection, _ int) (int, bool, error) {
	s.calls[sel]++
	if s.calls[sel] < 10 {
		return 0, true, nil
	}
	s.ended++
	return 0, false, nil
}

// A sweep goes through a large store in many steps; each has to ask for the same, or
// the store is never gone through.
func TestSweepComesToAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		store := &slowWalk{Memory: d.Memory, calls: map[cache.Selection]int{}}
		c := d.open(t, func(cfg *cache.Config) { cfg.Persistent.Store = store })
		defer shut(t, c)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if store.ended < 5 || len(store.calls) > store.ended+1 {
			t.Errorf("in ten minutes the store was gone through %d times, in %d walks", store.ended, len(store.calls))
		}
	})
}
