package cache_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
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

// While the journal cannot be read the cache goes on, and says for how long; what was forgotten meanwhile voids all from before that is
// in memory. What the store has is as good as ever: the records of what is forgotten are gone.
func TestJournalDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a, b := following(d, t), following(d, t)
		defer func() { shut(t, a); shut(t, b) }()
		put(t, b, answer(1, "one", 0))
		others := answer(2, "two", 0)
		others.Labels.User = "bob"
		put(t, b, others)
		inv, err := d.Memory.Invalidate(t.Context(), a.Match(cache.Scope{Tenant: "acme", User: "ada"}), time.Now())
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
		// A day later, as it were:
		if _, _, err := d.Delete(t.Context(), cache.Selection{Match: inv.Match, Before: inv.Number}, 10); err != nil {
			t.Fatal(err)
		}
		if err := d.Forget(t.Context(), inv.Number); err != nil {
			t.Fatal(err)
		}
		d.Fail(nil)
		time.Sleep(followed + time.Millisecond)
		if f := b.Find(t.Context(), asking(1)); f.Outcome != cache.Miss {
			t.Errorf("%v: nobody knows whether it is void", f.Outcome)
		}
		if f := b.Find(t.Context(), asking(2)); f.Outcome != cache.Hit || !f.Disk {
			t.Errorf("%v: what the store has is good", f.Outcome)
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
		time.Sleep(5 * time.Second) // what package envelope promises
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

// stalling is a journal that may not answer.
type stalling struct {
	cache.Journal
	stalls atomic.Bool
	begun  atomic.Int64
}

func (s *stalling) Invalidations(ctx context.Context, after uint64) ([]cache.Invalidation, uint64, error) {
	s.begun.Add(1)
	if s.stalls.Load() {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	return s.Journal.Invalidations(ctx, after)
}

// stallable opens a cache that shares the disk with others, whose journal may stall.
func stallable(d *disk, t *testing.T) (*cache.Cache, *stalling) {
	s := &stalling{}
	c := d.open(t, func(cfg *cache.Config) {
		cfg.Persistent.Follow = followed
		s.Journal = cfg.Persistent.Journal
		cfg.Persistent.Journal = s
	})
	return c, s
}

// A journal that does not answer holds up no look-up while the process does not stand still, however long it takes.
func TestStalledJournalHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c, journal := stallable(d, t)
		defer shut(t, c)
		put(t, c, answer(1, "one", 0))
		journal.stalls.Store(true)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			began := time.Now()
			want(t, c, asking(1), cache.Hit, "")
			if took := time.Since(began); took > 0 {
				t.Fatalf("a hit in memory waits %v", took)
			}
		}
	})
}

// A process that stood still while it read the journal reads it anew: what it was about to hear, or never would, is from before.
func TestStandsStillWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a := following(d, t)
		c, journal := stallable(d, t)
		defer func() { shut(t, a); shut(t, c) }()
		put(t, c, answer(1, "one", 0))
		journal.stalls.Store(true)
		for before := journal.begun.Load(); journal.begun.Load() == before; {
			time.Sleep(10 * time.Millisecond)
		}
		if _, err := a.Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		journal.stalls.Store(false) // but for the one that began
		c.StandStill(time.Hour)
		began := time.Now()
		if f := c.Find(t.Context(), asking(1)); f.Outcome != cache.Miss {
			t.Errorf("%v after the process stood still", f.Outcome)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it waits %v for what began before", took)
		}
	})
}

// Where the journal stalls after a pause, look-ups wait half a second, all together, and a caller who leaves decides nothing for the others.
func TestStandsStillAndStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a := following(d, t)
		c, journal := stallable(d, t)
		defer func() { shut(t, a); shut(t, c) }()
		put(t, c, answer(1, "one", 0))
		if _, err := a.Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		journal.stalls.Store(true)
		c.StandStill(time.Hour)
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		c.Find(short, asking(1))
		journal.stalls.Store(false)
		if f := c.Find(t.Context(), asking(1)); f.Outcome != cache.Miss {
			t.Errorf("%v after the process stood still, once somebody left", f.Outcome)
		}
		put(t, c, answer(2, "two", c.Generation()))
		journal.stalls.Store(true)
		c.StandStill(time.Hour)
		began := time.Now()
		for range 5 {
			want(t, c, asking(2), cache.Hit, "")
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("five look-ups wait %v", took)
		}
	})
}

// Who wants to know of erasures is told of those elsewhere, and no more once the cache is closed: keys outlast many caches.
func TestOnShreddedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		keys := d.keys(t)
		c := d.open(t, func(cfg *cache.Config) { cfg.Persistent.Follow, cfg.Persistent.Keys = followed, keys })
		var told atomic.Int64
		c.OnShredded(func() { told.Add(1) })
		elsewhere := func() {
			if err := d.keys(t).Shred(t.Context(), envelope.Owner{Tenant: "acme"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(7 * time.Second)
			keys.Refresh(t.Context())
		}
		elsewhere()
		if told.Load() != 1 {
			t.Errorf("told %d times", told.Load())
		}
		shut(t, c)
		elsewhere()
		if told.Load() != 1 {
			t.Error("told after Close")
		}
	})
}
