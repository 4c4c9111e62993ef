package sqlite_test

import (
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/sqlite"
)

func tenant(n uint64) cache.Selection {
	return cache.Selection{Match: cache.Match{Mask: 1 << cache.FieldTenant, Tags: cache.Tags{n}}}
}

// fill writes n records.
func fill(t testing.TB, c *sqlite.Cache, n int) {
	t.Helper()
	for from := 0; from < n; from += 500 {
		must(t, c.Write(t.Context(), batch(from, min(from+500, n), 20)))
	}
}

// TestDeleteIsBounded counts calls: each looks at so many records, and goes on where
// the one before it ended, whatever others delete meanwhile.
func TestDeleteIsBounded(t *testing.T) {
	c := open(t).Cache()
	const n = 3*sqlite.WalkRows + 100
	fill(t, c, n)
	nothing := tenant(1000)
	for call := 1; ; call++ {
		deleted, more, err := c.Delete(t.Context(), nothing, 1)
		must(t, err)
		if deleted != 0 || more != (call < 4) {
			t.Fatalf("call %d: %d deleted, more %v", call, deleted, more)
		}
		if _, _, err := c.Delete(t.Context(), tenant(2000+uint64(call)), 1); err != nil { // another walk
			t.Fatal(err)
		}
		if !more {
			break
		}
	}
	if n := c.WalksRemembered(); n != 4 {
		t.Errorf("%d walks are remembered; want the 4 that were left", n)
	}
}

// TestDeleteWithAMovingTime deletes what has expired by a clock that moves on: calls
// get on, and no call says that there is no more while there is.
func TestDeleteWithAMovingTime(t *testing.T) {
	c := open(t).Cache()
	const n = 2*sqlite.WalkRows + 500
	fill(t, c, n)
	now := record(0, 0).Keep.Add(-1)
	deleted := 0
	for call := 0; ; call++ {
		now = now.Add(1500 * time.Nanosecond) // records expire a nanosecond after one another
		got, more, err := c.Delete(t.Context(), cache.Selection{Dropped: now}, 1_000_000)
		must(t, err)
		deleted += got
		if !more {
			left, err := c.Count(t.Context(), cache.Selection{Dropped: now})
			must(t, err)
			if left.Entries != 0 {
				t.Fatalf("after call %d said that there is no more, %d are left", call, left.Entries)
			}
		}
		if deleted == n && !more {
			break
		}
		if call > 100 {
			t.Fatalf("after %d calls %d of %d are deleted", call, deleted, n)
		}
	}
}

// TestDeleteSurvivesWrites deletes while others write and replace all the time.
func TestDeleteSurvivesWrites(t *testing.T) {
	c := open(t).Cache()
	fill(t, c, sqlite.WalkRows)
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for n := 0; ; n = (n + 100) % 2000 {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := c.Write(t.Context(), batch(n, n+100, 20)); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 5 {
		for more := true; more; {
			var err error
			_, more, err = c.Delete(t.Context(), tenant(2), 50)
			must(t, err)
		}
	}
	close(stop)
	must(t, <-stopped)
	for more := true; more; {
		var err error
		_, more, err = c.Delete(t.Context(), tenant(2), 50)
		must(t, err)
	}
	if size, err := c.Count(t.Context(), tenant(2)); err != nil || size.Entries != 0 {
		t.Errorf("Count = %+v, %v; want nothing", size, err)
	}
}
