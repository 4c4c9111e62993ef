package lambdaapp_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/store/storetest"
)

// Calls that concern jobs read a shared store once for all that come within some seconds, and one of this machine each time.
func TestJobsAreReadOnce(t *testing.T) {
	for _, shared := range []bool{true, false} {
		app, store := worker(t, 0)
		store.Share(shared)
		var reads atomic.Int64
		store.Intercept(func(op string) error {
			if op == storetest.OpList {
				reads.Add(1)
			}
			return nil
		})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 5 {
					submit(t, app)
				}
			})
		}
		all.Wait()
		const each = 2 // lists: of jobs, and of webhooks
		if n := reads.Load(); shared && n != each || !shared && n != 20*each {
			t.Errorf("20 calls read the store %d times (shared: %v)", n/each, shared)
		}
	}
}

// What was read of the store of jobs grows old by the wall clock, which goes on while Lambda freezes the process. Where that
// was set back nobody knows how old it is, and the store is read again.
func TestJobsGrowOldWhileFrozen(t *testing.T) {
	app, store := worker(t, 0)
	var reads atomic.Int64
	store.Intercept(func(op string) error {
		if op == storetest.OpList {
			reads.Add(1)
		}
		return nil
	})
	const each = 2 // lists: of jobs, and of webhooks
	submit(t, app)
	if at := app.JobsRead(); at != at.Round(0) {
		t.Error("the time of the reading is by a clock that stands still while the process is frozen")
	}
	for n, test := range []struct {
		ago   time.Duration
		again bool
	}{{4 * time.Second, false}, {6 * time.Second, true}, {-time.Hour, true}} {
		app.SetJobsRead(time.Now().Round(0).Add(-test.ago))
		reads.Store(0)
		if submit(t, app); (reads.Load() == each) != test.again {
			t.Errorf("%d: read %v ago, the store was read %d times", n, test.ago, reads.Load()/each)
		}
	}
}
