package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// caches opens a cache without and one with a store, for what both must do.
func caches(t *testing.T, test func(t *testing.T, c *cache.Cache)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, err := cache.New(cache.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer shut(t, c)
			test(t, c)
		})
	})
	t.Run("disk", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newDisk(t).open(t, nil)
			defer shut(t, c)
			test(t, c)
		})
	})
}

func TestInvalidateScopes(t *testing.T) {
	key := numberedKey(1)
	caches(t, func(t *testing.T, c *cache.Cache) {
		labels := []cache.Labels{
			{Tenant: "acme", Operation: "chat", User: "ada", Model: "haiku", Namespace: "blue"},
			{Tenant: "acme", Operation: "chat", User: "bob", Model: "haiku"},
			{Tenant: "acme", Operation: "sum", User: "ada", Model: "opus"},
			{Tenant: "umbrella", Operation: "chat", User: "ada", Model: "haiku", Namespace: "blue"},
			{}, // of nobody's
		}
		for _, tt := range []struct {
			scope cache.Scope
			hit   []bool // still there
		}{
			{cache.Scope{Tenant: "acme", Operation: "chat"}, []bool{false, false, true, true, true}},
			{cache.Scope{Tenant: "acme", Operation: "chat", User: "ada"}, []bool{false, true, true, true, true}},
			{cache.Scope{Tenant: "acme", User: "ada"}, []bool{false, true, false, true, true}},
			{cache.Scope{Tenant: "acme"}, []bool{false, false, false, true, true}},
			{cache.Scope{Tenant: "acme", Model: "opus"}, []bool{true, true, false, true, true}},
			{cache.Scope{Tenant: "acme", Namespace: "blue"}, []bool{false, true, true, true, true}},
			{cache.Scope{Tenant: "acme", Key: &key}, []bool{true, false, true, true, true}},
			{cache.Scope{Tenant: "umbrella", Key: &key}, []bool{true, true, true, true, true}},
			{cache.Scope{AllTenants: true, Operation: "chat"}, []bool{false, false, true, false, true}},
			{cache.Scope{AllTenants: true, Key: &key}, []bool{true, false, true, true, true}},
			{cache.Scope{AllTenants: true}, []bool{false, false, false, false, false}},
			{cache.Scope{Tenant: "nobody"}, []bool{true, true, true, true, true}},
		} {
			var queries []cache.Query
			gone := 0
			for n, l := range labels {
				e := answer(n, "x", c.Generation())
				e.Tenant, e.User, e.Labels = l.Tenant, "", l
				if !c.Put(e, time.Now()) {
					t.Fatalf("%+v: entry %d was not stored", tt.scope, n)
				}
				q := asking(n)
				q.Tenant, q.User, q.Labels = l.Tenant, "", l
				queries = append(queries, q)
				if !tt.hit[n] {
					gone++
				}
			}
			settle()
			counted, err := c.Count(t.Context(), tt.scope)
			disk := c.Stats().Disk.State != cache.StoreOff
			if err != nil || counted.Memory.Entries != int64(gone) || disk && counted.Store.Entries != int64(gone) {
				t.Errorf("%+v: counted %+v, %v, want %d", tt.scope, counted, err, gone)
			}
			done, err := c.Invalidate(t.Context(), tt.scope)
			if err != nil || done.Entries != gone || done.Durable != disk || done.Number != c.Generation() {
				t.Errorf("%+v: %+v, %v", tt.scope, done, err)
			}
			for n, q := range queries {
				if f := c.Find(t.Context(), q); (f.Outcome == cache.Hit) != tt.hit[n] {
					t.Errorf("%+v: entry %d: %v", tt.scope, n, f.Outcome)
				}
			}
			time.Sleep(time.Second)
			if counted, err := c.Count(t.Context(), tt.scope); err != nil || counted != (cache.Counted{}) {
				t.Errorf("%+v: afterwards %+v, %v", tt.scope, counted, err)
			}
		}
	})
	for _, s := range []cache.Scope{{}, {User: "ada"}, {Tenant: "acme", AllTenants: true}} {
		c := open(t, cache.Config{})
		_, err := c.Invalidate(t.Context(), s)
		_, err2 := c.Count(t.Context(), s)
		if llm.KindOf(err) != llm.CallerInvalidRequest || llm.KindOf(err2) != llm.CallerInvalidRequest || llm.AsError(err).Fix == "" {
			t.Errorf("%+v: %v, %v", s, err, err2)
		}
	}
}

// What was asked for before an invalidation is refused, whenever it arrives.
func TestFillsInFlight(t *testing.T) {
	caches(t, func(t *testing.T, c *cache.Cache) {
		since := c.Generation()
		if _, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme", User: "ada"}); err != nil {
			t.Fatal(err)
		}
		if c.Put(answer(1, "late", since), time.Now()) {
			t.Error("stored")
		}
		if c.Find(t.Context(), asking(1)).Outcome != cache.Miss || c.Peek(asking(1)) != nil {
			t.Error("found")
		}
		others := answer(2, "another's", since)
		others.Labels.User = "bob"
		if !c.Put(others, time.Now()) || !c.Put(answer(1, "new", c.Generation()), time.Now()) {
			t.Error("not stored")
		}
		want(t, c, asking(1), cache.Hit, "")
		want(t, c, asking(2), cache.Hit, "")
		if s := c.Stats(); s.Refused != 1 || s.Generation != 1 {
			t.Errorf("%+v", s)
		}
		// Between the check and the memory.
		e := answer(3, "racing", c.Generation())
		settle := c.PutUnsettled(e, time.Now(), func() {
			if _, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
				t.Error(err)
			}
		})
		if settle() || c.Stats().Entries != 0 || c.Stats().Disk.Waiting != 0 {
			t.Error("an entry that was invalidated while it was put stays")
		}
	})
}

// Invalidations that run at once may be noted in another order than that of their
// numbers: the entries that were checked in between are checked again.
func TestNotedOutOfOrder(t *testing.T) {
	c := open(t, cache.Config{})
	c.Put(answer(1, "x", 0), time.Now())
	c.Noted(cache.Scope{Tenant: "acme", User: "bob"}, 6)
	want(t, c, asking(1), cache.Hit, "")
	c.Noted(cache.Scope{Tenant: "acme", User: "ada"}, 5)
	want(t, c, asking(1), cache.Miss, cache.ReasonInvalidated)
	if c.Generation() != 6 {
		t.Errorf("generation %d", c.Generation())
	}
}

// The journal comes first: without it nothing is promised, but nothing is served from
// memory either.
func TestInvalidateWithoutJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		defer shut(t, c)
		c.Put(answer(1, "x", 0), time.Now())
		c.Put(answer(2, "x", 0), time.Now())
		c.EvictFromMemory(numberedKey(2)) // waits to be written
		d.Fail(func(op string) error {
			if op == storetest.OpInvalidate {
				return errors.New("disk full")
			}
			return nil
		})
		done, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme"})
		if llm.KindOf(err) != llm.ForebayUnavailable || done.Durable || done.Number != 0 || done.Entries != 2 {
			t.Errorf("%+v, %v", done, err)
		}
		if s := c.Stats(); s.Entries != 0 || s.Disk.Waiting != 0 || s.Generation != 0 {
			t.Errorf("%+v", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d.Fail(func(op string) error {
			if op == storetest.OpInvalidate {
				<-ctx.Done()
			}
			return nil
		})
		if _, err := c.Invalidate(ctx, cache.Scope{Tenant: "acme"}); llm.KindOf(err) != llm.ForebayUnavailable {
			t.Error(err)
		}
		d.Fail(func(op string) error { return errors.New("down") })
		if n, err := c.Count(t.Context(), cache.Scope{Tenant: "acme"}); llm.KindOf(err) != llm.ForebayUnavailable || n.Store.Entries != 0 {
			t.Errorf("%+v, %v", n, err)
		}
		d.Fail(nil)
	})
}

// An invalidation holds in the next life of the process before its records are gone.
func TestInvalidationsOutlastKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		put(t, c, answer(1, "x", 0))
		put(t, c, answer(2, "x", 0))
		d.Fail(func(op string) error {
			if op == storetest.OpDelete {
				return errors.New("not now")
			}
			return nil
		})
		key := numberedKey(1)
		if _, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme", Key: &key}); err != nil {
			t.Fatal(err)
		}
		c.Kill()
		c = d.open(t, nil)
		want(t, c, asking(1), cache.Miss, cache.ReasonInvalidated)
		want(t, c, asking(2), cache.Hit, "")
		if len(d.Records()) != 2 {
			t.Error("nothing was to be deleted yet")
		}
		d.Fail(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(d.Records()) != 1 {
			t.Error("the record was never deleted")
		}
		if _, _, unswept := c.Remembered(); unswept != 0 {
			t.Errorf("%d are not swept", unswept)
		}
		shut(t, c)
	})
}

// An invalidation is forgotten when nothing can need it any more, and not before. What
// arrives afterwards all the same is refused.
func TestForgetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		defer func() { shut(t, c) }()
		invalidate := func(s cache.Scope) {
			t.Helper()
			if _, err := c.Invalidate(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		remembered := func(want int) {
			t.Helper()
			synctest.Wait()
			kept, masks, _ := c.Remembered()
			journal, last, err := d.Invalidations(t.Context(), 0)
			if kept != want || len(journal) != want || (masks == 0) != (want == 0) || last != c.Generation() || err != nil {
				t.Errorf("%d remembered under %d masks, %d in the journal, want %d; %v", kept, masks, len(journal), want, err)
			}
		}
		since := c.Generation()
		long := answer(5, "x", since) // in the store, and not about to leave
		long.Labels.User, long.Expires = "bob", time.Now().Add(1000*time.Hour)
		put(t, c, long)
		for range 3 {
			invalidate(cache.Scope{Tenant: "acme", User: "ada"})
		}
		time.Sleep(24 * time.Hour)
		remembered(3)
		if c.Put(answer(1, "late", since), time.Now()) {
			t.Error("late answer stored")
		}
		invalidate(cache.Scope{Tenant: "acme", Operation: "sum"})
		time.Sleep(time.Hour + 2*time.Minute)
		remembered(1)
		if c.Put(answer(1, "far too late", since), time.Now()) {
			t.Error("an answer was stored that nobody can tell to be valid")
		}
		if !c.Put(answer(1, "new", c.Generation()), time.Now()) {
			t.Error("new answer not stored")
		}
		q := asking(5)
		want(t, c, q, cache.Hit, "") // from before, and valid
		c.EvictFromMemory(q.Key)
		want(t, c, q, cache.Hit, "")

		// Not while records may be left.
		d.Fail(func(op string) error {
			if op == storetest.OpDelete {
				return errors.New("down")
			}
			return nil
		})
		invalidate(cache.Scope{Tenant: "acme", User: "bob"})
		time.Sleep(26 * time.Hour)
		remembered(2)
		want(t, c, q, cache.Miss, cache.ReasonInvalidated)
		d.Fail(nil)
		time.Sleep(10 * time.Minute)
		remembered(0)
		want(t, c, q, cache.Miss, cache.ReasonInvalidated) // says the memory of it
		if len(d.Records()) != 0 {
			t.Errorf("%d records", len(d.Records()))
		}
		c.Kill()
		c = d.open(t, nil)
		want(t, c, q, cache.Miss, cache.ReasonNeverSeen)
		if c.Generation() != 5 {
			t.Errorf("generation %d", c.Generation())
		}
	})
	synctest.Test(t, func(t *testing.T) { // without a store nobody sweeps
		c := open(t, cache.Config{})
		defer shut(t, c)
		for range 40 {
			if _, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		if kept, _, unswept := c.Remembered(); kept > 26 || unswept != 0 {
			t.Errorf("%d remembered, %d to sweep", kept, unswept)
		}
		c.Noted(cache.Scope{Tenant: "acme"}, 1000) // as if there were a store
		time.Sleep(26 * time.Hour)
		if _, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		if kept, _, unswept := c.Remembered(); kept < 2 || unswept != 1 {
			t.Errorf("%d remembered, %d to sweep", kept, unswept)
		}
	})
}

// Sweeping takes bounded steps, with room for writing in between.
func TestSweepIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		defer shut(t, c)
		for n := range 1800 {
			c.Put(answer(n, "x", 0), time.Now())
		}
		if err := c.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		before := len(d.Records())
		deletes := d.count(storetest.OpDelete)
		if _, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := before - len(d.Records()); n != 500 || deletes.Load() != 1 {
			t.Errorf("%d records deleted at once", n)
		}
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if n := len(d.Records()); n != 0 || c.Stats().Disk.Swept != 1800 {
			t.Errorf("%d records left, %+v", n, c.Stats().Disk)
		}
		// Those whose time has passed go too, with nobody asking.
		for n := range 1800 {
			e := answer(n, "x", c.Generation())
			e.Expires = time.Now().Add(time.Duration(n) * time.Millisecond / 1000)
			c.Put(e, time.Now().Add(-time.Minute))
		}
		time.Sleep(24*time.Hour + 2*time.Minute)
		synctest.Wait()
		if n := len(d.Records()); n != 0 {
			t.Errorf("%d old records left", n)
		}
	})
}

func TestErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		ada, shared, bob := answer(1, "ada's", 0), answer(2, "made for ada, for all", 0), answer(3, "bob's", 0)
		shared.User = ""
		bob.User, bob.Labels.User = "bob", "bob"
		for _, e := range []*cache.Entry{ada, shared, bob} {
			put(t, c, e)
		}
		old := d.Records()
		for n := range 1000 {
			c.Put(answer(n+100, "more of ada's", 0), time.Now())
		}
		if err := c.Erase(t.Context(), "acme", "ada"); err != nil {
			t.Fatal(err)
		}
		// Gone when Erase returns, what was waiting included.
		if left := d.Records(); len(left) != 1 || left[0].Key != bob.Key {
			t.Errorf("%d records left", len(left))
		}
		if c.Stats().Entries != 1 {
			t.Errorf("%+v", c.Stats())
		}
		// A copy of the store from before says nothing any more: the key is gone.
		if err := d.Write(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		c.Kill()
		c = d.open(t, nil)
		defer func() { shut(t, c) }()
		if f := c.Find(t.Context(), asking(1)); f.Outcome != cache.Miss || f.Reason != cache.ReasonUndecryptable {
			t.Errorf("%v %q", f.Outcome, f.Reason)
		}
		q := asking(3)
		q.User = "bob"
		want(t, c, q, cache.Hit, "")
		// ada may come back.
		put(t, c, answer(1, "new", c.Generation()))
		c.EvictFromMemory(ada.Key)
		if f := want(t, c, asking(1), cache.Hit, ""); string(f.Entry.Body) != "new" {
			t.Errorf("%q", f.Entry.Body)
		}
		if err := c.Erase(t.Context(), "acme", ""); err != nil || len(d.Records()) != 0 {
			t.Errorf("%d records, %v", len(d.Records()), err)
		}
		want(t, c, q, cache.Miss, cache.ReasonInvalidated)

		for _, op := range []string{storetest.OpInvalidate, storetest.OpShred, storetest.OpDelete} {
			d.Fail(func(o string) error {
				if o == op {
					return errors.New("down")
				}
				return nil
			})
			if err := c.Erase(t.Context(), "acme", "ada"); llm.KindOf(err) != llm.ForebayUnavailable {
				t.Errorf("%s: %v", op, err)
			}
		}
		d.Fail(nil)
		if err := c.Erase(t.Context(), "", "ada"); llm.KindOf(err) != llm.CallerInvalidRequest {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Erase(ctx, "acme", "ada"); err == nil {
			t.Error("erased in no time")
		}
	})
}

func TestRefusals(t *testing.T) {
	caches(t, func(t *testing.T, c *cache.Cache) {
		fault := llm.Errorf(llm.CallerInvalidRequest, "temperature is 3")
		find := func() error {
			t.Helper()
			f := c.Find(t.Context(), asking(1))
			if (f.Err != nil) != (f.Outcome == cache.Hit) || f.Entry != nil {
				t.Errorf("%+v", f)
			}
			return f.Err
		}
		c.StoreRefusal(asking(1), c.Generation(), fault, time.Minute)
		if err := find(); err != error(fault) {
			t.Errorf("%v", err)
		}
		q := asking(1)
		q.User = "bob"
		if f := c.Find(t.Context(), q); f.Err != nil {
			t.Error("told another user")
		}
		time.Sleep(time.Minute)
		if find() != nil || c.Stats().Refusals != 0 {
			t.Error("kept for too long")
		}
		c.StoreRefusal(asking(1), c.Generation(), fault, time.Minute)
		since := c.Generation()
		if _, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme", User: "ada"}); err != nil {
			t.Fatal(err)
		}
		if c.Stats().Refusals != 0 {
			t.Error("kept after an invalidation")
		}
		c.StoreRefusal(asking(1), since, fault, time.Minute)
		if find() != nil {
			t.Error("from before the invalidation")
		}
		c.StoreRefusal(asking(1), c.Generation(), fault, time.Minute)
		c.Put(answer(1, "an answer", c.Generation()), time.Now())
		want(t, c, asking(1), cache.Hit, "")
		c.EvictFromMemory(numberedKey(1))
		if find := c.Find(t.Context(), asking(1)); find.Err != nil {
			t.Error("a refusal outlives the answer")
		}
		for n := range 20_000 {
			c.StoreRefusal(asking(n), c.Generation(), fault, 1000*time.Hour)
		}
		if n := c.Stats().Refusals; n != 10_000 {
			t.Errorf("%d refusals", n)
		}
		time.Sleep(time.Hour)
		if f := c.Find(t.Context(), asking(19_999)); f.Err != nil {
			t.Error("kept for more than an hour")
		}
		c.StoreRefusal(asking(1), 0, fault, 0)
		c.StoreRefusal(asking(1), 0, nil, 1)
		if s := c.Stats(); s.RefusalHits != 1 || s.Hits != 2 && s.Hits != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTopAndSavings(t *testing.T) {
	c := open(t, cache.Config{})
	now := time.Now()
	for n := range 20 {
		e := answer(n, "x", 0)
		e.Labels.Operation = fmt.Sprint("op", n%2)
		c.Put(e, now)
		q := asking(n)
		q.Labels.Operation, q.Now = e.Labels.Operation, now
		for range n {
			want(t, c, q, cache.Hit, "")
		}
	}
	var got []int64
	for _, s := range c.Top(5, now.Add(time.Minute)) {
		got = append(got, s.Hits)
		if s.Key != numberedKey(int(s.Hits)) || s.Operation != fmt.Sprint("op", s.Hits%2) || s.Model != "haiku-1" || s.Bytes < 500 || s.Age < time.Minute/2 {
			t.Errorf("%+v", s)
		}
	}
	if diff := cmp.Diff([]int64{19, 18, 17, 16, 15}, got); diff != "" {
		t.Error(diff)
	}
	if n := len(c.Top(1000, now)); n != 19 {
		t.Errorf("%d entries were hit", n)
	}
	if c.Top(0, now) != nil || c.Top(-1, now) != nil {
		t.Error("Top of none")
	}
	op1 := c.ByOperation()["op1"]
	if op1.Hits != 100 || op1.SavedTokens != 3700 || op1.SavedMicroUSD != 3000 || op1.Stores != 10 {
		t.Errorf("%+v", op1)
	}
	for n := range 1000 {
		q := asking(5000 + n)
		q.Labels.Operation = fmt.Sprint("made up ", n)
		c.Find(t.Context(), q)
	}
	all := c.ByOperation()
	if len(all) > 257 || all["other"].Misses < 700 || c.Stats().Misses != 1000 {
		t.Errorf("%d operations, %d in other", len(all), all["other"].Misses)
	}
}

// The Journal's and the Store's view of a scope is the same as the memory's.
func TestMatchIsKeyed(t *testing.T) {
	d := newDisk(t)
	c := d.open(t, nil)
	defer shut(t, c)
	m := c.Match(cache.Scope{Tenant: "acme", User: "acme"})
	if m.Tags[cache.FieldTenant] == 0 || m.Tags[cache.FieldTenant] == m.Tags[cache.FieldUser] || m.Mask != 1<<cache.FieldTenant|1<<cache.FieldUser {
		t.Errorf("%+v", m)
	}
	again := d.open(t, nil)
	defer shut(t, again)
	if again.Match(cache.Scope{Tenant: "acme", User: "acme"}) != m {
		t.Error("another process makes other tags")
	}
	other := newDisk(t).open(t, nil)
	defer shut(t, other)
	if other.Match(cache.Scope{Tenant: "acme", User: "acme"}) == m {
		t.Error("tags need no key")
	}
	if bytes.Contains(fmt.Append(nil, m), []byte("acme")) {
		t.Error("a name can be read")
	}
}
