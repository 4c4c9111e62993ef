package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/storetest"
)

// disk is a store that outlives the caches opened over it.
type disk struct {
	*storetest.Memory
	masters []envelope.Master
}

func newDisk(tb testing.TB) *disk {
	tb.Helper()
	master, err := envelope.NewMaster()
	if err != nil {
		tb.Fatal(err)
	}
	return &disk{Memory: storetest.NewMemory(), masters: []envelope.Master{master}}
}

// keys opens the keyring, as each process does.
func (d *disk) keys(tb testing.TB) *envelope.Keyring {
	tb.Helper()
	keys, err := envelope.New(context.Background(), envelope.Config{Masters: d.masters, Keys: d.Memory})
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// open opens a cache over the disk. The caller closes it.
func (d *disk) open(tb testing.TB, change func(*cache.Config)) *cache.Cache {
	tb.Helper()
	cfg := cache.Config{Persistent: &cache.Persistent{Store: d.Memory, Journal: d.Memory, Keys: d.keys(tb)}}
	if change != nil {
		change(&cfg)
	}
	c, err := cache.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// count counts the operations of a kind, and carries them out.
func (d *disk) count(op string) *atomic.Int64 {
	n := new(atomic.Int64)
	d.Fail(func(o string) error {
		if o == op {
			n.Add(1)
		}
		return nil
	})
	return n
}

// answer is an entry of acme's ada, fresh for an hour from now on.
func answer(n int, body string, since uint64) *cache.Entry {
	now := time.Now()
	return &cache.Entry{
		Key: numberedKey(n), Tenant: "acme", User: "ada", Digest: uint64(n) + 1, Since: since,
		Labels: cache.Labels{Tenant: "acme", Operation: "chat", User: "ada", Model: "haiku", Namespace: "blue"},
		Body:   []byte(body), Stream: true, Dialect: "openai", Provider: "local", Model: "haiku-1",
		Usage: llm.Usage{Input: 10, Output: 20, CacheRead: 3, CacheWrite: 4}, CostMicroUSD: 30, Finish: llm.FinishStop,
		Stored: now, Expires: now.Add(time.Hour),
	}
}

// asking is the look-up that an answer answers.
func asking(n int) cache.Query {
	e := answer(n, "", 0)
	return cache.Query{Key: e.Key, Tenant: e.Tenant, User: e.User, Labels: e.Labels, Digest: e.Digest, Now: time.Now()}
}

// want checks what a look-up finds.
func want(t *testing.T, c *cache.Cache, q cache.Query, outcome cache.Outcome, reason cache.Reason) cache.Found {
	t.Helper()
	f := c.Find(context.Background(), q)
	if f.Outcome != outcome || f.Reason != reason || (f.Entry != nil) != (outcome != cache.Miss && f.Err == nil) {
		t.Errorf("found %v (%q) with %v, want %v (%q)", f.Outcome, f.Reason, f.Entry != nil, outcome, reason)
	}
	return f
}

// put stores an answer and has it written.
func put(t *testing.T, c *cache.Cache, e *cache.Entry) {
	t.Helper()
	if !c.Put(e, time.Now()) {
		t.Fatal("not stored")
	}
	settle()
}

// settle lets the writer write what waits.
func settle() {
	time.Sleep(60 * time.Millisecond)
	synctest.Wait()
}

func TestTiersAndRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		in := answer(1, strings.Repeat("answer ", 1000), 0)
		want(t, c, asking(1), cache.Miss, cache.ReasonNeverSeen)
		if !c.Put(in, time.Now()) {
			t.Fatal("not stored")
		}
		// Found before it is written, in memory and out of it.
		if f := want(t, c, asking(1), cache.Hit, ""); f.Disk {
			t.Error("from disk")
		}
		c.EvictFromMemory(in.Key)
		if f := want(t, c, asking(1), cache.Hit, ""); f.Disk || len(d.Records()) != 0 {
			t.Error("not from what waits")
		}
		if c.Peek(asking(1)) == nil {
			t.Error("not found by Peek")
		}
		settle()
		if s := c.Stats().Disk; s.Written != 1 || s.Waiting != 0 || s.WaitingBytes != 0 || s.State != cache.StoreUp {
			t.Errorf("%+v", s)
		}
		c.EvictFromMemory(in.Key)
		if c.Peek(asking(1)) != nil {
			t.Error("found by Peek, which must not wait for a store")
		}
		f := want(t, c, asking(1), cache.Hit, "")
		if diff := cmp.Diff(in, f.Entry, cmpopts.IgnoreUnexported(cache.Entry{}), cmpopts.EquateApproxTime(0)); diff != "" || !f.Disk {
			t.Errorf("from disk %v: %s", f.Disk, diff)
		}
		if f := want(t, c, asking(1), cache.Hit, ""); f.Disk {
			t.Error("not promoted")
		}
		shut(t, c)
		want(t, c, asking(1), cache.Miss, cache.ReasonStoreDown)

		for _, r := range d.Records() {
			if bytes.Contains(r.Sealed, []byte("answer")) || bytes.Contains(r.Sealed, []byte("acme")) {
				t.Error("the record can be read")
			}
		}
		c = d.open(t, nil)
		defer shut(t, c)
		if f := want(t, c, asking(1), cache.Hit, ""); !f.Disk {
			t.Error("not from disk")
		}
		time.Sleep(2 * time.Hour)
		want(t, c, asking(1), cache.Stale, cache.ReasonExpired)
		c.EvictFromMemory(in.Key)
		if f := want(t, c, asking(1), cache.Stale, cache.ReasonExpired); !f.Disk {
			t.Error("stale, but not from disk")
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(d.Records()); n != 0 {
			t.Errorf("%d records are kept for too long", n)
		}
		// It stays remembered that there was one.
		want(t, c, asking(1), cache.Miss, cache.ReasonEvicted)
	})
}

func TestReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		defer shut(t, c)
		put(t, c, answer(1, "a", 0))
		mine := asking(2)
		mine.Digest = asking(1).Digest // the same request in another scope
		want(t, c, mine, cache.Miss, cache.ReasonScope)
		want(t, c, asking(3), cache.Miss, cache.ReasonNeverSeen)
		c.Delete(numberedKey(1))
		settle()
		if len(d.Records()) != 0 {
			t.Error("Delete left the record")
		}
		want(t, c, asking(1), cache.Miss, cache.ReasonEvicted)

		put(t, c, answer(1, "a", 0))
		if done, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme", User: "ada"}); err != nil || done.Entries != 1 {
			t.Errorf("%+v, %v", done, err)
		}
		want(t, c, asking(1), cache.Miss, cache.ReasonInvalidated)
		d.Fail(func(string) error { return errors.New("down") })
		want(t, c, asking(1), cache.Miss, cache.ReasonStoreDown)
		d.Fail(nil)
		got := c.ByOperation()["chat"]
		if diff := cmp.Diff(cache.Lookups{Misses: 5, Stores: 2, MissedBy: map[cache.Reason]int64{
			cache.ReasonScope: 1, cache.ReasonNeverSeen: 1, cache.ReasonEvicted: 1, cache.ReasonInvalidated: 1, cache.ReasonStoreDown: 1,
		}}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Strings that are stored do not change with the buffer that they were read from,
// and count as what they take.
func TestPutOwnsItsStrings(t *testing.T) {
	c := open(t, cache.Config{})
	header := []byte("adaacmehaiku")
	e := answer(1, "x", 0)
	at := func(from, to int) string { return unsafe.String(&header[from], to-from) }
	e.User, e.Labels.User, e.Tenant, e.Model, e.Finish = at(0, 3), at(0, 3), at(3, 7), at(7, 12), llm.FinishReason(at(0, 3))
	c.Put(e, time.Now())
	clear(header)
	got := want(t, c, asking(1), cache.Hit, "").Entry
	if got == nil || got.Labels.User != "ada" || got.Model != "haiku" || got.Finish != "ada" {
		t.Errorf("%+v", got)
	}
	before := c.Stats().Bytes
	long := answer(2, "x", 0)
	long.Labels.Namespace = strings.Repeat("n", 5000)
	c.Put(long, time.Now())
	if grown := c.Stats().Bytes - before; grown < 5000 {
		t.Errorf("strings of 5,000 bytes count %d", grown)
	}
}

func TestHitsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c := newDisk(t).open(t, nil)
	defer shut(t, c)
	c.Put(answer(1, "x", 0), time.Now())
	q, ctx := asking(1), context.Background()
	if n := testing.AllocsPerRun(1000, func() {
		if f := c.Find(ctx, q); f.Outcome != cache.Hit {
			t.Error(f.Outcome)
		}
		c.Peek(q)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		defer shut(t, c)
		writes := d.count(storetest.OpWrite)
		synctest.Wait()
		start := time.Now()
		c.Put(answer(0, "x", 0), start)
		time.Sleep(50*time.Millisecond - 1)
		synctest.Wait()
		if writes.Load() != 0 {
			t.Error("written at once")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if writes.Load() != 1 {
			t.Error("not written after 50 ms")
		}
		for n := range 250 {
			c.Put(answer(n, "x", 0), time.Now())
		}
		synctest.Wait() // a full batch does not wait
		if n := writes.Load(); n < 2 || len(d.Records()) < 100 {
			t.Errorf("%d writes, %d records", n, len(d.Records()))
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if n := writes.Load(); n > 10 || len(d.Records()) != 250 {
			t.Errorf("%d writes, %d records", n, len(d.Records()))
		}
		// The last of several is written, once.
		for n := range 10 {
			c.Put(answer(7, fmt.Sprint("version ", n), 0), time.Now())
		}
		settle()
		c.EvictFromMemory(numberedKey(7))
		if f := want(t, c, asking(7), cache.Hit, ""); string(f.Entry.Body) != "version 9" || c.Stats().Disk.Written != 252 {
			t.Errorf("%q, %+v", f.Entry.Body, c.Stats().Disk)
		}
	})
}

func TestBufferOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, func(cfg *cache.Config) { cfg.Persistent.Buffer = 64 << 10 })
		hang := make(chan struct{})
		d.Fail(func(op string) error {
			if op == storetest.OpWrite {
				<-hang
			}
			return nil
		})
		for n := range 1000 {
			began := time.Now()
			if !c.Put(answer(n, strings.Repeat("x", 1000), 0), began) || time.Since(began) != 0 {
				t.Fatal("Put waits for the store, or fails with it")
			}
			if n == 100 {
				time.Sleep(time.Second) // the writer is at it
			}
		}
		s := c.Stats().Disk
		if s.WaitingBytes > 64<<10 || s.Waiting < 30 || s.Dropped != int64(1000-s.Waiting) || s.Written != 0 {
			t.Errorf("%+v", s)
		}
		close(hang)
		d.Fail(nil)
		time.Sleep(10 * time.Second)
		if s = c.Stats().Disk; s.Waiting != 0 || s.Written+s.Dropped != 1000 || int64(len(d.Records())) != s.Written {
			t.Errorf("%d records, %+v", len(d.Records()), s)
		}
		// Superseding without end takes no more room.
		hang = make(chan struct{})
		d.Fail(func(op string) error { <-hang; return nil })
		for range 10_000 {
			c.Put(answer(1, "again", 0), time.Now())
		}
		if s = c.Stats().Disk; s.Waiting != 1 {
			t.Errorf("%+v", s)
		}
		close(hang)
		d.Fail(nil)
		shut(t, c)
	})
}

// A store that fails for a while costs entries; one that fails for longer costs more,
// and nothing else.
func TestStoreFailsToWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := newDisk(t)
		c := d.open(t, func(cfg *cache.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		failures := 2
		d.Fail(func(op string) error {
			if op == storetest.OpWrite && failures > 0 {
				failures--
				return errors.New("disk full")
			}
			return nil
		})
		c.Put(answer(1, "a", 0), time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		if s := c.Stats().Disk; s.Written != 1 || s.Dropped != 0 {
			t.Errorf("after two failures: %+v", s)
		}
		failures = 1000
		c.Put(answer(2, "b", 0), time.Now())
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := c.Stats().Disk; s.Written != 1 || s.Dropped != 1 || s.Waiting != 0 || failures != 996 {
			t.Errorf("%d tries, %+v", 1000-failures, s)
		}
		want(t, c, asking(2), cache.Hit, "")
		failures = 0
		put(t, c, answer(3, "c", 0))
		if s := c.Stats().Disk; s.Written != 2 {
			t.Errorf("%+v", s)
		}
		if n := strings.Count(log.String(), "disk full"); n < 1 || n > 4 {
			t.Errorf("%d log lines:\n%s", n, &log)
		}
		shut(t, c)
	})
}

func TestHangingStoreCostsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		put(t, c, answer(1, "a", 0))
		hang := make(chan struct{})
		var gets atomic.Int64
		d.Fail(func(op string) error {
			if op == storetest.OpGet {
				gets.Add(1)
				<-hang // whatever the context says
			}
			return nil
		})
		cost := func(n int) time.Duration {
			began := time.Now()
			want(t, c, asking(n), cache.Miss, cache.ReasonStoreDown)
			return time.Since(began)
		}
		for n := range 5 {
			if took := cost(n + 10); took != 5*time.Millisecond {
				t.Errorf("look-up %d took %v", n, took)
			}
		}
		tripped := time.Now()
		if took := cost(20); took != 0 {
			t.Errorf("a look-up took %v although the store is left alone", took)
		}
		if s := c.Stats().Disk; s.State != cache.StoreDown || s.Failures != 5 {
			t.Errorf("%+v", s)
		}
		if n := gets.Load(); n != 4 {
			t.Errorf("%d reads hang, want one for each reader", n)
		}
		// A memory hit is none of the store's business.
		want(t, c, asking(1), cache.Hit, "")
		for i, wait := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			time.Sleep(time.Until(tripped.Add(wait*time.Second - time.Millisecond)))
			if took := cost(30); took != 0 {
				t.Errorf("probe %d came early", i)
			}
			time.Sleep(time.Millisecond)
			if took := cost(30); took != 5*time.Millisecond {
				t.Errorf("probe %d took %v", i, took)
			}
			tripped = time.Now()
		}
		close(hang)
		d.Fail(nil)
		time.Sleep(30 * time.Second)
		want(t, c, asking(40), cache.Miss, cache.ReasonNeverSeen)
		if s := c.Stats().Disk; s.State != cache.StoreUp {
			t.Errorf("%+v", s)
		}
		c.EvictFromMemory(numberedKey(1))
		want(t, c, asking(1), cache.Hit, "")
		shut(t, c)
	})
}

// Those who ask for the same at once share a read; one that comes too late for them
// is there for the next one.
func TestReadsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		defer shut(t, c)
		put(t, c, answer(1, "a", 0))
		c.EvictFromMemory(numberedKey(1))
		var gets atomic.Int64
		takes := 4 * time.Millisecond
		d.Fail(func(op string) error {
			if op == storetest.OpGet {
				gets.Add(1)
				time.Sleep(takes)
			}
			return nil
		})
		for range 100 {
			go func() {
				if f := want(t, c, asking(1), cache.Hit, ""); !f.Disk {
					t.Error("not from disk")
				}
			}()
		}
		synctest.Wait()
		time.Sleep(takes)
		synctest.Wait()
		if gets.Load() != 1 {
			t.Errorf("%d reads", gets.Load())
		}
		// One who goes away does not wait, and is no fault of the store.
		c.EvictFromMemory(numberedKey(1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		began := time.Now()
		if f := c.Find(ctx, asking(1)); f.Outcome != cache.Miss || time.Since(began) != time.Millisecond {
			t.Errorf("%+v after %v", f, time.Since(began))
		}
		time.Sleep(time.Second)
		if f := want(t, c, asking(1), cache.Hit, ""); f.Disk || c.Stats().Disk.Failures != 0 {
			t.Errorf("what came late was not kept: %+v", c.Stats().Disk)
		}
	})
}

func TestHealth(t *testing.T) {
	now := time.Unix(1000, 0)
	var h cache.Health
	allow := func(wantOK, wantProbe bool) {
		t.Helper()
		if ok, probe := h.Allow(now); ok != wantOK || probe != wantProbe {
			t.Errorf("at %v: %v %v, want %v %v", now.Sub(time.Unix(1000, 0)), ok, probe, wantOK, wantProbe)
		}
	}
	for range 4 {
		h.Record(now, false, false)
	}
	h.Record(now, true, false) // not in a row
	for range 4 {
		h.Record(now, false, false)
	}
	allow(true, false)
	h.Record(now, false, false)
	allow(false, false)
	for range 20 {
		h.Record(now, false, false) // stragglers change nothing
	}
	h.Record(now, true, false) // nor does one that was asked before
	allow(false, false)
	now = now.Add(time.Second)
	allow(true, true)
	allow(false, false) // one at a time
	now = now.Add(time.Second)
	allow(true, true) // the first was never heard of again
	h.Record(now, false, true)
	now = now.Add(2*time.Second - 1)
	for range 20 {
		h.Record(now, false, false)
	}
	allow(false, false)
	now = now.Add(1)
	allow(true, true)
	h.Record(now, true, true)
	allow(true, false)
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		for n := range 350 {
			c.Put(answer(n, "x", 0), time.Now())
		}
		shut(t, c)
		if n := len(d.Records()); n != 350 {
			t.Errorf("%d records", n)
		}
		if c.Put(answer(1, "x", 0), time.Now()) {
			t.Error("stored after Close")
		}
		shut(t, c)

		// A store that does not take them costs as much time as there is, and the
		// error says how many are lost.
		for name, fault := range map[string]func(string) error{
			"fails": func(op string) error {
				if op == storetest.OpWrite {
					return errors.New("full")
				}
				return nil
			},
			"hangs": func(op string) error {
				if op == storetest.OpWrite {
					time.Sleep(3500 * time.Millisecond)
				}
				return nil
			},
		} {
			c = d.open(t, nil)
			d.Fail(fault)
			for n := range 250 {
				c.Put(answer(n+1000, "x", 0), time.Now())
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			began := time.Now()
			err := c.Close(ctx)
			cancel()
			if e := llm.AsError(err); err == nil || e.Kind != llm.ForebayUnavailable || e.Value != "250" || time.Since(began) > 4*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
			d.Fail(nil)
		}
	})
}

// Without its journal a cache does not know what is void: it does without the store
// until it has read it.
func TestJournalDownAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		put(t, c, answer(1, "void", 0))
		put(t, c, answer(2, "good", 0))
		key := numberedKey(1)
		if _, err := c.Invalidate(t.Context(), cache.Scope{Tenant: "acme", Key: &key}); err != nil {
			t.Fatal(err)
		}
		c.Kill() // before the record is deleted
		if n := len(d.Records()); n != 2 {
			t.Fatalf("%d records", n)
		}
		for name, fault := range map[string]func(op string) error{
			"fails": func(op string) error {
				if op == storetest.OpInvalidations {
					return errors.New("down")
				}
				return nil
			},
			"hangs": func(op string) error {
				if op == storetest.OpInvalidations {
					time.Sleep(3 * time.Second)
				}
				return nil
			},
		} {
			t.Log(name)
			d.Fail(fault)
			c = d.open(t, nil)
			want(t, c, asking(1), cache.Miss, cache.ReasonStoreDown)
			want(t, c, asking(2), cache.Miss, cache.ReasonStoreDown)
			put(t, c, answer(3, "new", c.Generation()))
			want(t, c, asking(3), cache.Hit, "")
			put(t, c, answer(1, "of the time before the invalidation, as far as is known", c.Generation()))
			d.Fail(nil)
			time.Sleep(5 * time.Second)
			want(t, c, asking(2), cache.Hit, "")
			want(t, c, asking(3), cache.Hit, "")
			if f := c.Find(t.Context(), asking(1)); f.Outcome != cache.Miss {
				t.Error("what was void is found")
			}
			// While the journal hangs nothing is written: afterwards it is known to be void.
			if s := c.Stats().Disk; name == "hangs" && (s.Void != 1 || s.Written != 1) {
				t.Errorf("%+v", s)
			}
			if c.Generation() != 1 {
				t.Errorf("generation %d", c.Generation())
			}
			c.Kill()
		}
	})
}

func TestPersistentIsValidated(t *testing.T) {
	_, err := cache.New(cache.Config{Persistent: &cache.Persistent{Timeout: -1, Buffer: -2, Readers: 300}})
	if diff := cmp.Diff(`cache: Persistent needs a Store, a Journal and Keys
cache: Persistent.Timeout is -1ns: give a positive duration, or 0 for 5ms
cache: Persistent.Buffer is -2: give a number of bytes, or 0 for 16 MiB
cache: Persistent.Readers is 300: give 1 to 256, or 0 for 4`, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}
