package cache_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/storetest"
)

// patient is following for tests of days.
func patient(d *disk, t *testing.T) *cache.Cache {
	return d.open(t, func(cfg *cache.Config) { cfg.Persistent.Follow = time.Minute })
}

// Of several processes one sweeps an invalidation, and another one where that dies.
func TestOneSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		var all []*cache.Cache
		for range 4 {
			all = append(all, following(d, t))
		}
		put(t, all[0], answer(1, "one", 0))
		walks := d.count(storetest.OpDelete)
		if _, err := all[1].Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := walks.Load(); n != 1 || len(d.Records()) != 0 {
			t.Errorf("four processes sweep %d times; %d records are left", n, len(d.Records()))
		}
		for i, c := range all {
			if _, _, unswept := c.Remembered(); unswept != 0 {
				t.Errorf("process %d does not know that it is swept", i)
			}
		}

		// All but the last die, one of them with the turn.
		for _, c := range all[:3] {
			c.Kill()
		}
		put(t, all[3], answer(2, "two", all[3].Generation()))
		if _, err := all[3].Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if len(d.Records()) != 0 {
			t.Error("nobody takes over")
		}
		shut(t, all[3])
	})
}

// Two invalidations of the same are swept together; an attempt that fails is made again.
func TestSweepsOfTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := following(d, t)
		var walks atomic.Int64
		d.Fail(func(op string) error {
			if op == storetest.OpDelete && walks.Add(1) == 1 {
				return errors.New("throttled")
			}
			return nil
		})
		for range 10 {
			put(t, c, answer(1, "one", c.Generation()))
			if _, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if _, _, unswept := c.Remembered(); walks.Load() != 2 || unswept != 0 || len(d.Records()) != 0 {
			t.Errorf("%d walks, %d unswept, %d records", walks.Load(), unswept, len(d.Records()))
		}
		shut(t, c)
	})
}

// What is forgotten makes nothing useless that it was not about, and gives nothing back that it was: not even a record that a process wrote
// late which had not heard of it.
func TestForgottenOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a, b := patient(d, t), patient(d, t)
		long := func(n int, user string) *cache.Entry {
			e := answer(n, "long", 0)
			e.Labels.User, e.Expires = user, time.Now().Add(1000*time.Hour)
			return e
		}
		put(t, a, long(1, "ada"))
		void := d.Records()
		put(t, a, long(2, "bob"))
		walks := d.count(storetest.OpDelete)
		if _, err := a.Invalidate(t.Context(), cache.Scope{Tenant: "acme", User: "ada"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if err := d.Write(t.Context(), void); err != nil { // of one that was cut off for so long
			t.Fatal(err)
		}
		time.Sleep(23 * time.Hour)
		want(t, b, asking(1), cache.Miss, cache.ReasonInvalidated)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if n := walks.Load(); n != 2 {
			t.Errorf("the store was swept %d times; want twice", n)
		}
		for name, c := range map[string]*cache.Cache{"a": a, "b": b} {
			if kept, _, _ := c.Remembered(); kept != 0 {
				t.Errorf("%s remembers %d", name, kept)
			}
		}
		if journal, _, err := d.Invalidations(t.Context(), 0); err != nil || len(journal) != 0 {
			t.Errorf("the journal has %d, %v", len(journal), err)
		}
		for name, c := range map[string]*cache.Cache{"b": b, "a new one": patient(d, t)} {
			if f := c.Find(t.Context(), asking(1)); f.Outcome != cache.Miss {
				t.Errorf("%s finds what is void: %v", name, f.Outcome)
			}
			if f := c.Find(t.Context(), asking(2)); f.Outcome != cache.Hit {
				t.Errorf("%s has lost what an invalidation of another user was not about: %v %v", name, f.Outcome, f.Reason)
			}
			if name != "b" {
				shut(t, c)
			}
		}
		shut(t, a)
		shut(t, b)
	})
}

// Invalidations that come all the time are forgotten one after the other, all the same.
func TestForgettingKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a, b := patient(d, t), patient(d, t)
		for n := range 120 { // an hour
			if _, err := a.Invalidate(t.Context(), cache.Scope{Tenant: "acme", User: fmt.Sprint(n)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
		}
		time.Sleep(24*time.Hour + 40*time.Minute)
		for name, c := range map[string]*cache.Cache{"a": a, "b": b} {
			if kept, _, _ := c.Remembered(); kept > 60 {
				t.Errorf("%s remembers %d", name, kept)
			}
			shut(t, c)
		}
	})
}

// Who has not read the journal for long writes nothing for others: it might be void, and nobody would know.
func TestBehindWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := following(d, t)
		var down atomic.Bool
		d.Fail(func(op string) error {
			if op == storetest.OpInvalidations && down.Load() {
				return errors.New("down")
			}
			return nil
		})
		down.Store(true)
		time.Sleep(30 * time.Minute)
		put(t, c, answer(1, "one", 0))
		time.Sleep(time.Hour)
		put(t, c, answer(2, "two", 0))
		time.Sleep(time.Minute)
		if n := len(d.Records()); n != 1 || c.Stats().Disk.Dropped != 1 {
			t.Errorf("%d records, %d dropped", n, c.Stats().Disk.Dropped)
		}
		down.Store(false)
		time.Sleep(2 * time.Second)
		put(t, c, answer(3, "three", 0))
		if n := len(d.Records()); n != 2 {
			t.Errorf("%d records", n)
		}
		shut(t, c)
	})
}

// A process that stood still knows what was invalidated meanwhile before it answers, and asks once, and only where it did.
func TestStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		a, c := following(d, t), following(d, t)
		put(t, c, answer(1, "one", 0))
		if _, err := a.Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		var reads atomic.Int64
		d.Fail(func(op string) error {
			if op == storetest.OpInvalidations {
				reads.Add(1)
				time.Sleep(10 * time.Millisecond)
			}
			return nil
		})
		want(t, c, asking(1), cache.Hit, "") // it has not stood still: others are heard in time
		if reads.Load() != 0 {
			t.Error("a look-up reads the journal although it is not due")
		}
		c.StandStill(time.Hour)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if f := c.Find(t.Context(), asking(1)); f.Outcome != cache.Miss {
					t.Errorf("%v after the process stood still", f.Outcome)
				}
			})
		}
		all.Wait()
		if n := reads.Load(); n != 1 {
			t.Errorf("%d reads", n)
		}

		// Where the journal does not answer, one look-up waits, for a while.
		put(t, c, answer(2, "two", c.Generation()))
		d.Fail(func(op string) error {
			if op == storetest.OpInvalidations {
				time.Sleep(400 * time.Millisecond)
				return errors.New("down")
			}
			return nil
		})
		c.StandStill(time.Hour)
		began := time.Now()
		for range 3 {
			want(t, c, asking(2), cache.Hit, "")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("look-ups wait for %v", took)
		}
		d.Fail(nil)
		time.Sleep(time.Second)
		shut(t, c)
		shut(t, a)
	})
}
