package cache_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/storetest"
)

const followed = time.Second

// following opens a cache that shares the disk with others.
func following(d *disk, t *testing.T) *cache.Cache {
	return d.open(t, func(cfg *cache.Config) { cfg.Persistent.Follow = followed })
}

// TestInvalidationReachesOthers: an answer that was asked for before an invalidation is given by no process once each has read
// the journal: not from memory, not from the store, not from among what waits, and not one that comes late.
func TestInvalidationReachesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a, b := following(d, t), following(d, t)
		defer func() { shut(t, a); shut(t, b) }()
		put(t, a, answer(1, "one", 0))
		put(t, b, answer(2, "two", 0))
		want(t, b, asking(1), cache.Hit, "") // from the store into b's memory
		since := b.Generation()              // a call begins at b
		done, err := a.Invalidate(t.Context(), cache.Scope{Tenant: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		want(t, b, asking(2), cache.Hit, "") // b does not know yet
		if !b.Put(answer(3, "three", since), time.Now()) {
			t.Fatal("not stored")
		}
		time.Sleep(followed + time.Millisecond)
		for n := 1; n <= 3; n++ {
			if f := b.Find(t.Context(), asking(n)); f.Outcome != cache.Miss {
				t.Errorf("%d: %v %q", n, f.Outcome, f.Entry.Body)
			}
		}
		if b.Generation() != done.Number {
			t.Errorf("b knows of %d, not of %d", b.Generation(), done.Number)
		}
		if b.Put(answer(4, "four", since), time.Now()) {
			t.Error("an answer from before is stored")
		}
		put(t, b, answer(5, "five", b.Generation()))
		want(t, a, asking(5), cache.Hit, "")
		time.Sleep(2 * time.Minute)
		if left := d.Records(); len(left) != 1 {
			t.Errorf("%d records are left; want that of after", len(left))
		}
	})
}

// One's own invalidations do not hide those of others that came before.
func TestOwnInvalidationHidesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a, b := following(d, t), following(d, t)
		defer func() { shut(t, a); shut(t, b) }()
		put(t, b, answer(1, "one", 0))
		for _, c := range []*cache.Cache{a, b} {
			s := cache.Scope{Tenant: "acme"}
			if c == b {
				s = cache.Scope{Tenant: "other"}
			}
			if _, err := c.Invalidate(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(followed + time.Millisecond)
		if f := b.Find(t.Context(), asking(1)); f.Outcome != cache.Miss {
			t.Errorf("%v: the invalidation before one's own is not known", f.Outcome)
		}
	})
}

// While the journal cannot be read the cache goes on, and says for how long; what was forgotten meanwhile voids all from before.
func TestJournalDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a, b := following(d, t), following(d, t)
		defer func() { shut(t, a); shut(t, b) }()
		put(t, b, answer(1, "one", 0))
		inv, err := d.Memory.Invalidate(t.Context(), a.Match(cache.Scope{Tenant: "other"}), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		d.Fail(func(op string) error {
			if op == storetest.OpInvalidations {
				return errors.New("down")
			}
			return nil
		})
		time.Sleep(time.Minute)
		want(t, b, asking(1), cache.Hit, "")
		if behind := b.Stats().Disk.Behind; behind < 50*time.Second {
			t.Errorf("behind by %v", behind)
		}
		if err := d.Forget(t.Context(), inv.Number); err != nil { // a day later, as it were
			t.Fatal(err)
		}
		d.Fail(nil)
		time.Sleep(followed + time.Millisecond)
		if f := b.Find(t.Context(), asking(1)); f.Outcome != cache.Miss {
			t.Errorf("%v: nobody knows whether it is void", f.Outcome)
		}
		if behind := b.Stats().Disk.Behind; behind > 2*followed {
			t.Errorf("behind by %v", behind)
		}
	})
}

// A user's data keys that another process has shredded are not used any more, in memory or out of it.
func TestErasureReachesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a, b := following(d, t), following(d, t)
		defer func() { shut(t, a); shut(t, b) }()
		put(t, b, answer(1, "one", 0)) // ada's key is in b's memory
		if err := a.Erase(t.Context(), "acme", "ada"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(followed + time.Millisecond)
		put(t, b, answer(2, "two", b.Generation()))
		want(t, a, asking(2), cache.Hit, "") // it was sealed with a key that a finds
	})
}

func TestFollowValidate(t *testing.T) {
	d := newDisk(t)
	p := &cache.Persistent{Store: d.Memory, Journal: d.Memory, Keys: d.keys(t), Follow: time.Microsecond}
	if err := (cache.Config{Persistent: p}).Validate(); err == nil {
		t.Error("no fault is found")
	}
}
