package sqlite_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/sqlite"
)

const benchSize = 1024

// filledCache has n records of 1 KB, and its filter.
func filledCache(b *testing.B, n int) *sqlite.Cache {
	c := open(b, bounded(-1)).Cache()
	for from := 0; from < n; from += 1000 {
		must(b, c.Write(b.Context(), batch(from, from+1000, benchSize)))
	}
	must(b, c.FilterAgain(b.Context()))
	return c
}

// BenchmarkWrite writes new records in batches of 100; an operation is a record.
func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			c := open(b, bounded(-1)).Cache()
			c.Filtered()
			all := batch(0, 100_000, benchSize)
			b.ReportAllocs()
			b.ResetTimer()
			began := cpu()
			for at := 0; at < b.N; at += n {
				from := at % (len(all) - n)
				must(b, c.Write(b.Context(), all[from:from+min(n, b.N-at)]))
			}
			b.ReportMetric(float64(cpu()-began)/float64(b.N)/1e3, "cpu-us/op")
		})
	}
}

// BenchmarkWriteAtBound has each record displace an old one. The bound is small, so
// that a benchmark can reach it: 50,000 records.
func BenchmarkWriteAtBound(b *testing.B) {
	c := open(b, bounded(64<<20)).Cache()
	sealed := record(0, benchSize).Sealed
	next := 0
	write := func(n int) {
		all := make([]cache.Record, n)
		for i := range all {
			all[i] = record(next, 0)
			all[i].Sealed = sealed
			next++
		}
		must(b, c.Write(b.Context(), all))
	}
	for range 600 {
		write(100)
	}
	b.ResetTimer()
	began := cpu()
	for at := 0; at < b.N; at += 100 {
		write(min(100, b.N-at))
	}
	b.ReportMetric(float64(cpu()-began)/float64(b.N)/1e3, "cpu-us/op")
}

// BenchmarkGet looks records up that are there, with contexts that end and that do
// not, and such that are not there.
func BenchmarkGet(b *testing.B) {
	const n = 100_000
	c := filledCache(b, n)
	get := func(first int, ctx context.Context) func(b *testing.B) {
		return func(b *testing.B) {
			keys := make([]cache.Key, n)
			for i := range keys {
				keys[i] = keyOf(first + i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			began := cpu()
			for b.Loop() {
				_, err := c.Get(ctx, keys[rand.IntN(n)])
				if first == 0 && err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu()-began)/float64(b.N)/1e3, "cpu-us/op")
		}
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	b.Run("there", get(0, context.Background()))
	b.Run("there, with a deadline", get(0, ctx))
	b.Run("not there", get(-n, context.Background()))
}

// BenchmarkDelete deletes what has expired; an operation is a record.
func BenchmarkDelete(b *testing.B) {
	const n = 50_000
	b.Run("expired", func(b *testing.B) {
		left := 0
		var c *sqlite.Cache
		for done := 0; done < b.N; {
			if left == 0 {
				b.StopTimer()
				c, left = filledCache(b, n), n
				b.StartTimer()
			}
			got, _, err := c.Delete(b.Context(), cache.Selection{Dropped: time.Now().AddDate(100, 0, 0)}, 500)
			must(b, err)
			done, left = done+got, left-got
		}
	})
	b.Run("walk over what stays", func(b *testing.B) {
		c := filledCache(b, n)
		b.ResetTimer()
		for done := 0; done < b.N; done += sqlite.WalkRows {
			_, _, err := c.Delete(b.Context(), tenant(1000), 500)
			must(b, err)
		}
	})
}

// BenchmarkCount counts; an operation is a record.
func BenchmarkCount(b *testing.B) {
	const n = 100_000
	c := filledCache(b, n)
	b.ResetTimer()
	for done := 0; done < b.N; done += n {
		_, err := c.Count(b.Context(), tenant(1))
		must(b, err)
	}
}

// BenchmarkShred shreds one of 100,000 keys.
func BenchmarkShred(b *testing.B) {
	c := open(b).Keys()
	for from := uint64(0); from < 100_000; from += 10_000 {
		all := batchOfKeys(from+1, 10_000)
		must(b, c.Save(b.Context(), all...))
	}
	id := uint64(0)
	for b.Loop() {
		id++
		_, err := c.Shred(b.Context(), id, 0)
		must(b, err)
	}
}

// BenchmarkFilter makes a filter of 100,000 keys.
func BenchmarkFilter(b *testing.B) {
	c := filledCache(b, 100_000)
	for b.Loop() {
		must(b, c.FilterAgain(b.Context()))
	}
}
