package cache_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/llm"
)

// TestDamage does to a record all that can happen to it. It is always a miss that is
// counted, and the record goes; never another answer, and never a panic.
func TestDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := newDisk(t)
		c := d.open(t, func(cfg *cache.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		defer shut(t, c)
		put(t, c, answer(1, "canary of ada", 0))
		other := answer(2, "canary of ada", 0) // as long, and of the same owner
		put(t, c, other)
		bob := answer(3, "canary of bob", 0)
		bob.User = "bob"
		put(t, c, bob)
		records := map[cache.Key]cache.Record{}
		for _, r := range d.Records() {
			records[r.Key] = r
			c.EvictFromMemory(r.Key)
		}
		good := records[numberedKey(1)]
		cases := 0
		damaged := func(what string, bad cache.Record) {
			t.Helper()
			if !d.Corrupt(good.Key, func(cache.Record) cache.Record { return bad }) {
				t.Fatal("no record")
			}
			before := c.Stats()
			f := c.Find(t.Context(), asking(1))
			if f.Outcome != cache.Miss || f.Entry != nil || f.Reason != cache.ReasonDamaged && f.Reason != cache.ReasonUndecryptable {
				t.Fatalf("%s: %v (%q)", what, f.Outcome, f.Reason)
			}
			synctest.Wait()
			after := c.Stats()
			if n := after.Disk.Damaged + after.Disk.Undecryptable - before.Disk.Damaged - before.Disk.Undecryptable; n != 1 {
				t.Fatalf("%s: counted %d times", what, n)
			}
			if bad.Key == good.Key && len(d.Records()) != 2 {
				t.Fatalf("%s: the record stays", what)
			}
			if err := d.Write(t.Context(), []cache.Record{good}); err != nil {
				t.Fatal(err)
			}
			cases++
		}
		sealed := func(change func(b []byte) []byte) cache.Record {
			r := good
			r.Sealed = change(bytes.Clone(good.Sealed))
			return r
		}
		for bit := range 8 * len(good.Sealed) {
			damaged("bit", sealed(func(b []byte) []byte { b[bit/8] ^= 1 << (bit % 8); return b }))
		}
		for n := range good.Sealed {
			damaged("truncated", sealed(func(b []byte) []byte { return b[:n] }))
		}
		damaged("extended", sealed(func(b []byte) []byte { return append(b, 0) }))
		damaged("garbage", sealed(func([]byte) []byte { return []byte(strings.Repeat("x", 300)) }))
		for name, from := range map[string]cache.Key{"another entry": other.Key, "another user's": bob.Key} {
			r := records[from]
			damaged(name+" record", r)
			r.Key = good.Key
			damaged(name+" record with the key", r)
			r = good
			r.Sealed = records[from].Sealed
			damaged(name+" envelope", r)
		}
		for name, change := range map[string]func(*cache.Record){
			"key":           func(r *cache.Record) { r.Key[0] ^= 1 },
			"expires later": func(r *cache.Record) { r.Expires = r.Expires.Add(1) },
			"since":         func(r *cache.Record) { r.Since++ },
		} {
			r := good
			change(&r)
			damaged(name, r)
		}
		// What is not authenticated does no harm.
		d.Corrupt(good.Key, func(r cache.Record) cache.Record {
			r.Tags, r.Keep = cache.Tags{1, 2, 3}, time.Time{}
			return r
		})
		if f := want(t, c, asking(1), cache.Hit, ""); string(f.Entry.Body) != "canary of ada" {
			t.Errorf("%q", f.Entry.Body)
		}
		t.Logf("%d cases", cases)
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 { // no time passes
			t.Errorf("%d alarms", n)
		}
		if strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), good.Key.String()) {
			t.Errorf("log: %s", &log)
		}
	})
}

// A record that another tenant's tier could open is none of this one's.
func TestEnvelopeIsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		defer shut(t, c)
		e := answer(1, "acme's", 0)
		e.User = ""
		put(t, c, e)
		c.EvictFromMemory(e.Key)
		q := asking(1)
		q.User, q.Tenant = "", "umbrella"
		want(t, c, q, cache.Miss, cache.ReasonDamaged)
		seen := map[string]bool{}
		for _, change := range []func(*cache.Entry){
			func(*cache.Entry) {},
			func(e *cache.Entry) { e.Key[5]++ },
			func(e *cache.Entry) { e.Tenant = "acm" },
			func(e *cache.Entry) { e.Tenant, e.User = "acmea", "da" },
			func(e *cache.Entry) { e.User = "" },
			func(e *cache.Entry) { e.Expires = e.Expires.Add(1) },
			func(e *cache.Entry) { e.Since = 9 },
		} {
			e := answer(1, "", 0)
			change(e)
			seen[string(cache.AAD(e))] = true
		}
		if len(seen) != 7 {
			t.Errorf("%d different bindings of 7", len(seen))
		}
	})
}

// What is authentic but was written by another version, or for somebody else, is no
// answer either.
func TestForeignEncoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		keys := d.keys(t)
		c := d.open(t, func(cfg *cache.Config) { cfg.Persistent.Keys = keys })
		defer shut(t, c)
		e := answer(1, "answer", 0)
		put(t, c, e)
		c.EvictFromMemory(e.Key)
		good := d.Records()[0]
		cases := int64(0)
		for name, change := range map[string]func(*cache.Entry, []byte) []byte{
			"version":  func(_ *cache.Entry, b []byte) []byte { b[0]++; return b },
			"trailing": func(_ *cache.Entry, b []byte) []byte { return append(b, 0) },
			"empty":    func(*cache.Entry, []byte) []byte { return nil },
			"tenant":   func(e *cache.Entry, _ []byte) []byte { e.Tenant = "umbrella"; return cache.AppendEntry(nil, e) },
			"user":     func(e *cache.Entry, _ []byte) []byte { e.User = "bob"; return cache.AppendEntry(nil, e) },
			"key":      func(e *cache.Entry, _ []byte) []byte { e.Key[1]++; return cache.AppendEntry(nil, e) },
			"since":    func(e *cache.Entry, _ []byte) []byte { e.Since++; return cache.AppendEntry(nil, e) },
			"expires":  func(e *cache.Entry, _ []byte) []byte { e.Expires = e.Expires.Add(1); return cache.AppendEntry(nil, e) },
		} {
			foreign := *e
			plain := change(&foreign, cache.AppendEntry(nil, e))
			sealed, err := keys.Seal(t.Context(), nil, envelope.Owner{Tenant: e.Tenant, User: e.User}, cache.AAD(e), plain)
			if err != nil {
				t.Fatal(err)
			}
			r := good
			r.Sealed = sealed
			if err := d.Write(t.Context(), []cache.Record{r}); err != nil {
				t.Fatal(err)
			}
			t.Log(name)
			want(t, c, asking(1), cache.Miss, cache.ReasonDamaged)
			synctest.Wait()
			cases++
			if s := c.Stats(); s.Disk.Damaged != cases || s.Mismatches != 0 || len(d.Records()) != 0 {
				t.Errorf("%d records, %+v", len(d.Records()), s)
			}
		}
	})
}

// A row that was found to be bad is deleted, unless a good one is on its way.
func TestDamagedRowIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		defer shut(t, c)
		for n := range 20 { // the writer's next step is a matter of chance
			put(t, c, answer(n, "one", 0))
			c.EvictFromMemory(numberedKey(n))
			d.Corrupt(numberedKey(n), func(r cache.Record) cache.Record { r.Sealed = nil; return r })
			hold := make(chan struct{})
			d.Fail(func(op string) error {
				if op == "write" {
					<-hold
				}
				return nil
			})
			put(t, c, answer(99, "x", 0)) // the writer is at it
			want(t, c, asking(n), cache.Miss, cache.ReasonDamaged)
			c.Put(answer(n, "two", 0), time.Now())
			close(hold)
			d.Fail(nil)
			time.Sleep(time.Second)
			synctest.Wait()
			c.EvictFromMemory(numberedKey(n))
			if f := want(t, c, asking(n), cache.Hit, ""); f.Entry != nil && string(f.Entry.Body) != "two" {
				t.Errorf("%q", f.Entry.Body)
			}
		}
	})
}

// A key store that fails is the store's failure, and no damage.
func TestKeyStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t)
		c := d.open(t, nil)
		put(t, c, answer(1, "one", 0))
		shut(t, c)
		c = d.open(t, nil) // with a keyring that has read no key yet
		defer shut(t, c)
		d.Fail(func(op string) error {
			if op == "key" {
				return errors.New("down")
			}
			return nil
		})
		want(t, c, asking(1), cache.Miss, cache.ReasonStoreDown)
		if s := c.Stats().Disk; s.Damaged+s.Undecryptable != 0 || s.Failures != 1 || len(d.Records()) != 1 {
			t.Errorf("%+v", s)
		}
		d.Fail(nil)
		want(t, c, asking(1), cache.Hit, "")
	})
}

func drawEntry(t *rapid.T) *cache.Entry {
	name := rapid.StringN(0, 10, 200)
	number := rapid.Int64()
	e := &cache.Entry{
		Tenant: name.Draw(t, "tenant"), User: name.Draw(t, "user"), Digest: rapid.Uint64().Draw(t, "digest"), Since: rapid.Uint64().Draw(t, "since"),
		Labels:  cache.Labels{Tenant: name.Draw(t, "t"), Operation: name.Draw(t, "o"), User: name.Draw(t, "u"), Model: name.Draw(t, "m"), Namespace: name.Draw(t, "n")},
		Stream:  rapid.Bool().Draw(t, "stream"),
		Dialect: name.Draw(t, "dialect"), Provider: name.Draw(t, "provider"), Model: name.Draw(t, "model"),
		Usage:        llm.Usage{Input: number.Draw(t, "i"), Output: number.Draw(t, "o"), CacheRead: number.Draw(t, "r"), CacheWrite: number.Draw(t, "w")},
		CostMicroUSD: number.Draw(t, "cost"), Finish: llm.FinishReason(name.Draw(t, "finish")),
		Stored: time.Unix(0, number.Draw(t, "stored")|1), Expires: time.Unix(0, number.Draw(t, "expires")|1),
	}
	copy(e.Key[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
	if b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body"); len(b) > 0 {
		e.Body = b
	}
	return e
}

func TestCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t)
		b := cache.AppendEntry([]byte("prefix"), e)[6:]
		got, err := cache.DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got, cmpopts.IgnoreUnexported(cache.Entry{})); diff != "" {
			t.Fatal(diff)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := cache.DecodeEntry(b[:cut]); err == nil {
			t.Fatalf("decoded %d bytes of %d", cut, len(b))
		}
		if _, err := cache.DecodeEntry(append(b, 0)); err == nil {
			t.Fatal("decoded with a trailing byte")
		}
	})
	zero, err := cache.DecodeEntry(cache.AppendEntry(nil, &cache.Entry{}))
	if diff := cmp.Diff(&cache.Entry{}, zero, cmpopts.IgnoreUnexported(cache.Entry{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// FuzzDecodeEntry: whatever is decoded is the one encoding of what it says.
func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add(cache.AppendEntry(nil, &cache.Entry{}))
	f.Add(cache.AppendEntry(nil, answer(1, "body", 3)))
	long := cache.AppendEntry(nil, answer(1, strings.Repeat("b", 200), 3))
	f.Add(long)
	f.Add(slices.Concat(long[:106], []byte{0x84, 0}, long[107:])) // "acme" has a length that could be shorter
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := cache.DecodeEntry(in)
		if err != nil {
			return
		}
		if again := cache.AppendEntry(nil, e); !bytes.Equal(in, again) {
			t.Fatalf("%x was decoded, but encodes to %x", in, again)
		}
	})
}

// Find never lets through what a store makes up.
func FuzzSealed(f *testing.F) {
	d := newDisk(f)
	c := d.open(f, nil)
	defer c.Kill()
	e := answer(1, "answer", 0)
	c.Put(e, time.Now())
	if err := c.Idle(context.Background()); err != nil {
		f.Fatal(err)
	}
	good := d.Records()[0]
	f.Add(good.Sealed)
	f.Add(good.Sealed[:40])
	f.Fuzz(func(t *testing.T, sealed []byte) {
		r := good
		r.Sealed = sealed
		if err := d.Write(t.Context(), []cache.Record{r}); err != nil {
			t.Fatal(err)
		}
		c.EvictFromMemory(e.Key)
		if got := c.Find(t.Context(), asking(1)); got.Outcome != cache.Miss && !bytes.Equal(sealed, good.Sealed) {
			t.Fatalf("%x was opened", sealed)
		}
	})
}
