package cache_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
)

func BenchmarkKeyOf2KB(b *testing.B) {
	canonical := bytes.Repeat([]byte(`{"content":"x"}`), 2048/15)
	scope := cache.DefaultScope()
	b.SetBytes(int64(len(canonical)))
	b.ReportAllocs()
	for b.Loop() {
		cache.KeyOf(identity, scope, canonical)
	}
}

// numberedKey is the key of the n-th entry of a test.
func numberedKey(n int) (k cache.Key) {
	binary.BigEndian.PutUint64(k[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(k[8:], uint64(n))
	return k
}

func BenchmarkGetHit(b *testing.B) {
	for _, parallel := range []bool{false, true} {
		name := "serial"
		if parallel {
			name = "parallel"
		}
		b.Run(name, func(b *testing.B) {
			const entries = 4096
			c := open(b, cache.Config{})
			now := time.Now()
			for n := range entries {
				c.Put(&cache.Entry{Key: numberedKey(n), Tenant: "t", Body: make([]byte, 2048), Expires: now.Add(time.Hour)}, now)
			}
			get := func(n int) {
				if _, outcome := c.Get(numberedKey(n%entries), "t", now); outcome != cache.Hit {
					b.Errorf("entry %d: %v", n, outcome)
				}
			}
			b.ReportAllocs()
			if !parallel {
				for n := 0; b.Loop(); n++ {
					get(n)
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for n := 0; pb.Next(); n++ {
					get(n)
				}
			})
		})
	}
}

// benchDisk opens a cache over a store that costs next to nothing.
func benchDisk(b *testing.B) *cache.Cache {
	c := newDisk(b).open(b, func(cfg *cache.Config) { cfg.MaxEntries = -1 })
	b.Cleanup(c.Kill)
	return c
}

// BenchmarkFind measures look-ups with a persistent tier: what Find costs over the
// memory's own get, and over the store's.
func BenchmarkFind(b *testing.B) {
	const entries = 4096
	ctx := context.Background()
	fill := func(b *testing.B) (*cache.Cache, []cache.Query) {
		c := benchDisk(b)
		queries := make([]cache.Query, entries)
		for n := range queries {
			c.Put(answer(n, strings.Repeat("x", 2048), 0), time.Now())
			queries[n] = asking(n)
		}
		if err := c.Idle(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		return c, queries
	}
	find := func(b *testing.B, c *cache.Cache, q cache.Query, want cache.Outcome) {
		if f := c.Find(ctx, q); f.Outcome != want {
			b.Fatal(f.Outcome, f.Reason)
		}
	}
	b.Run("memory-alone", func(b *testing.B) {
		c, queries := fill(b)
		for n := 0; b.Loop(); n++ {
			c.InMemory(queries[n%entries].Key)
		}
	})
	b.Run("memory", func(b *testing.B) {
		c, queries := fill(b)
		for n := 0; b.Loop(); n++ {
			find(b, c, queries[n%entries], cache.Hit)
		}
	})
	b.Run("memory-parallel", func(b *testing.B) {
		c, queries := fill(b)
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				find(b, c, queries[n%entries], cache.Hit)
			}
		})
	})
	b.Run("disk", func(b *testing.B) {
		c, queries := fill(b)
		for n := 0; b.Loop(); n++ {
			c.EvictFromMemory(queries[n%entries].Key)
			find(b, c, queries[n%entries], cache.Hit)
		}
	})
	b.Run("miss", func(b *testing.B) {
		c, _ := fill(b)
		q := asking(entries)
		for b.Loop() {
			find(b, c, q, cache.Miss)
		}
	})
}

// BenchmarkPutDisk measures all that a put costs, the writer's part included.
func BenchmarkPutDisk(b *testing.B) {
	c := benchDisk(b)
	e := answer(1, strings.Repeat("The quick brown fox. ", 100), 0)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		e.Key = numberedKey(n)
		c.Put(e, e.Stored)
		if n%1000 == 0 {
			if err := c.Idle(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkPut measures puts into a full cache: each one evicts another.
func BenchmarkPut(b *testing.B) {
	c := open(b, cache.Config{MemoryBytes: 16 << 20, MaxEntries: -1})
	now := time.Now()
	e := cache.Entry{Tenant: "t", Body: make([]byte, 2048), Expires: now.Add(time.Hour)}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		e.Key = numberedKey(n)
		c.Put(&e, now)
	}
}
