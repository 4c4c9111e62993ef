package dynamo_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/dynamo"
	"github.com/forebay-ai/forebay/store/storetest"
)

func TestCache(t *testing.T) {
	fewer(t)
	storetest.CacheSlow(t, func(t *testing.T) cache.Store { return openStore(t, newTables(t)).Cache() })
}

// record is one of a size, which may be read for an hour.
func record(n, size int) cache.Record {
	r := cache.Record{
		Key: sha256.Sum256(binary.AppendVarint(nil, int64(n))), Sealed: bytes.Repeat([]byte{byte(n)}, size),
		Since: uint64(n), Expires: time.Now().UTC(), Keep: time.Now().UTC().Add(time.Hour),
	}
	for f := range r.Tags {
		r.Tags[f] = uint64(n%3 + 1)
	}
	return r
}

// used is what an operation consumed since before.
func used(s *dynamo.Store, before dynamo.Stats, op string) (reads, writes float64) {
	now, then := s.Stats()[op], before[op]
	return now.Reads - then.Reads, now.Writes - then.Writes
}

// TestCacheCosts is what a hit, a miss and a stored answer cost: half a read unit for 4 KB, and a write unit for
// each KB and one for the index.
func TestCacheCosts(t *testing.T) {
	s := openStore(t, newTables(t))
	c := s.Cache()
	for _, test := range []struct {
		size          int
		reads, writes float64
	}{
		{100, 0.5, 2}, {3000, 0.5, 5}, {3700, 1, 5}, {100_000, 12.5, 100},
	} {
		before := s.Stats()
		must(t, c.Write(t.Context(), []cache.Record{record(1, test.size)}))
		if _, got := used(s, before, "cache.write"); got > test.writes {
			t.Errorf("to write %d bytes costs %v units; want %v at most", test.size, got, test.writes)
		}
		before = s.Stats()
		if _, err := c.Get(t.Context(), record(1, 0).Key); err != nil {
			t.Fatal(err)
		}
		if got, _ := used(s, before, "cache.get"); got > test.reads {
			t.Errorf("a hit of %d bytes costs %v units; want %v at most", test.size, got, test.reads)
		}
		must(t, deleteAll(t.Context(), c, cache.Selection{}))
	}
	before := s.Stats()
	if _, err := c.Get(t.Context(), record(2, 0).Key); !errors.Is(err, cache.ErrNotFound) {
		t.Fatal(err)
	}
	if got, _ := used(s, before, "cache.get"); got > 0.5 {
		t.Errorf("a miss costs %v units", got)
	}
}

func deleteAll(ctx context.Context, c *dynamo.Cache, sel cache.Selection) error {
	for {
		if _, more, err := c.Delete(ctx, sel, 100); err != nil || !more {
			return err
		}
	}
}

// To count and to delete reads what the index has, not the answers.
func TestSelectionsDoNotReadAnswers(t *testing.T) {
	s := openStore(t, newTables(t))
	c := s.Cache()
	var all []cache.Record
	for n := range 30 {
		all = append(all, record(n, 20_000))
	}
	must(t, c.Write(t.Context(), all))
	before := s.Stats()
	size, err := c.Count(t.Context(), cache.Selection{})
	if err != nil || size != (cache.Size{Entries: 30, Bytes: 600_000}) {
		t.Errorf("%+v, %v", size, err)
	}
	if got, _ := used(s, before, "cache.count"); got > 6 { // the answers would be 75
		t.Errorf("to count 30 records costs %v units", got)
	}
}

func TestRecordsThatAreOver(t *testing.T) {
	c := openStore(t, newTables(t)).Cache()
	r := record(1, 10)
	r.Keep = time.Now().Add(-time.Second)
	must(t, c.Write(t.Context(), []cache.Record{r}))
	if _, err := c.Get(t.Context(), r.Key); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("a record whose Keep has passed: %v", err)
	}
}

// One that is too large is not kept, and what it replaces neither.
func TestRecordsThatAreTooLarge(t *testing.T) {
	c := openStore(t, newTables(t)).Cache()
	fits, other, large := record(1, 390<<10), record(2, 10), record(1, 390<<10+1)
	must(t, c.Write(t.Context(), []cache.Record{fits}))
	if got, err := c.Get(t.Context(), fits.Key); err != nil || !bytes.Equal(got.Sealed, fits.Sealed) {
		t.Errorf("%d bytes, %v", len(got.Sealed), err)
	}
	must(t, c.Write(t.Context(), []cache.Record{large, other}))
	if _, err := c.Get(t.Context(), fits.Key); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("what was replaced is there: %v", err)
	}
	if _, err := c.Get(t.Context(), other.Key); err != nil || c.TooLarge() != 1 {
		t.Errorf("%v, %d too large", err, c.TooLarge())
	}
}

// The attributes are the specification's where that has them, and ttl is in seconds.
func TestCacheAttributes(t *testing.T) {
	cfg := newTables(t)
	r := record(1, 10)
	r.Keep = time.Date(2126, time.May, 1, 0, 0, 0, 1, time.UTC)
	must(t, openStore(t, cfg).Cache().Write(t.Context(), []cache.Record{r}))
	out, err := cfg.Client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &cfg.Cache})
	must(t, err)
	it := out.Items[0]
	for _, name := range []string{"cacheKey", "operation", "response", "ttl", "timestamp", "userId"} {
		if it[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	if ttl := it["ttl"].(*types.AttributeValueMemberN).Value; ttl != "4933267201" {
		t.Errorf("ttl %s", ttl)
	}
}

// Throttled and broken calls: what is written is written whole, or an error says that it may not be.
func TestCacheInBadWeather(t *testing.T) {
	cfg, w := stormy(t)
	c := openStore(t, cfg).Cache()
	w.set(0.2, 0.1, 0.1)
	for n := range 40 {
		r := record(n, 50)
		again(t, "Write", func(ctx context.Context) error { return c.Write(ctx, []cache.Record{r, record(1000+n, 5)}) })
		again(t, "Get", func(ctx context.Context) error {
			got, err := c.Get(ctx, r.Key)
			if err == nil {
				if diff := cmp.Diff(r, got); diff != "" {
					t.Error(diff)
				}
			}
			return err
		})
	}
	again(t, "Delete", func(ctx context.Context) error {
		return deleteAll(ctx, c, cache.Selection{Match: cache.Match{Mask: 1 << cache.FieldTenant, Tags: record(0, 0).Tags}})
	})
	w.set(0, 0, 0)
	for n := range 40 {
		if _, err := c.Get(t.Context(), record(n, 0).Key); (n%3 == 0) != errors.Is(err, cache.ErrNotFound) {
			t.Errorf("%d: %v", n, err)
		}
	}
	if w.sawThrottled == 0 || w.sawLost == 0 || w.sawCut == 0 {
		t.Errorf("the weather was fair: %+v", w)
	}
}

// A call that hangs ends with its context.
func TestCacheStalled(t *testing.T) {
	cfg, w := stormy(t)
	c := openStore(t, cfg).Cache()
	stall := make(chan struct{})
	w.setStall(stall)
	defer close(stall)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Get(ctx, record(1, 0).Key); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get: %v", err)
	}
}

// TestOneCacheForAll has two gateways' caches on one table: what one stores the other finds, what one invalidates neither gives.
func TestOneCacheForAll(t *testing.T) {
	cfg := newTables(t)
	a, b := openStore(t, cfg).Cache(), openStore(t, cfg).Cache()
	must(t, a.Write(t.Context(), []cache.Record{record(1, 10), record(2, 10)}))
	for n := 1; n <= 2; n++ {
		if _, err := b.Get(t.Context(), record(n, 0).Key); err != nil {
			t.Error(err)
		}
	}
	inv, err := a.Invalidate(t.Context(), cache.Match{}, time.Now())
	must(t, err)
	all, last, err := b.Invalidations(t.Context(), 0)
	if err != nil || last != inv.Number || len(all) != 1 {
		t.Errorf("%v up to %d, %v", all, last, err)
	}
}
