package sqlite_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/sqlite"
)

func bounded(bytes int64) func(*sqlite.Config) {
	return func(c *sqlite.Config) { c.CacheBytes = bytes }
}

// TestBound writes ten times what fits: the file keeps to its bound, the newest
// records are there, and those that went are the oldest.
func TestBound(t *testing.T) {
	const bound = 2 << 20
	var dir string
	c := open(t, bounded(bound), func(c *sqlite.Config) { dir = c.Dir }).Cache()
	r := rand.New(rand.NewPCG(1, 1))
	sizes := map[int]int{}
	n := 0
	for written := 0; written < 10*bound; {
		var all []cache.Record
		for range 50 {
			sizes[n] = r.IntN(4000)
			if r.IntN(100) == 0 {
				sizes[n] = 50_000
			}
			all = append(all, record(n, sizes[n]))
			written += sizes[n]
			n++
		}
		must(t, c.Write(t.Context(), all))
		if used, _, err := c.Pages(); err != nil || used*8192 > bound {
			t.Fatalf("%d bytes in use (%v); the bound is %d", used*8192, err, bound)
		}
	}
	size, err := c.Count(t.Context(), cache.Selection{})
	must(t, err)
	if size.Bytes < bound*7/10 {
		t.Errorf("%+v are kept in a bound of %d: too little", size, bound)
	}
	for i := range n {
		got, err := c.Get(t.Context(), keyOf(i))
		if kept := i >= n-int(size.Entries); kept && (err != nil || !same(got, i, sizes[i])) || !kept && !errors.Is(err, cache.ErrNotFound) {
			t.Fatalf("record %d of %d, with %d kept: %v", i, n, size.Entries, err)
		}
	}
	must(t, c.Run("PRAGMA wal_checkpoint(TRUNCATE)"))
	info, err := os.Stat(filepath.Join(dir, "cache.db"))
	must(t, err)
	t.Logf("%d bytes of %d sealed in a file of %d under a bound of %d", size.Bytes, size.Entries, info.Size(), bound)
	// 50 records of 2.5 KB on top: the batch that has not been made room for yet.
	if info.Size() > bound*105/100+50*2500 {
		t.Errorf("the file has %d bytes; the bound is %d", info.Size(), bound)
	}
}

// TestReplacedIsYoung: who writes a record again makes it the youngest.
func TestReplacedIsYoung(t *testing.T) {
	c := open(t, bounded(1<<20)).Cache()
	must(t, c.Write(t.Context(), batch(0, 100, 1000)))
	for n := 100; n < 2000; n += 50 {
		must(t, c.Write(t.Context(), append(batch(n, n+50, 1000), record(7, 1000))))
	}
	if got, err := c.Get(t.Context(), keyOf(7)); err != nil || !same(got, 7, 1000) {
		t.Errorf("Get = %v", err)
	}
	if _, err := c.Get(t.Context(), keyOf(8)); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("Get of one as old = %v; want ErrNotFound", err)
	}
}

func TestNoBound(t *testing.T) {
	c := open(t, bounded(-1)).Cache()
	must(t, c.Write(t.Context(), batch(0, 2000, 1000)))
	if size, err := c.Count(t.Context(), cache.Selection{}); err != nil || size.Entries != 2000 {
		t.Errorf("Count = %+v, %v", size, err)
	}
}

// TestLowerBound opens a large store under a smaller bound: the file shrinks, a piece
// with each batch.
func TestLowerBound(t *testing.T) {
	dir := t.TempDir()
	s, err := openIn(t, dir)
	must(t, err)
	for n := 0; n < 6000; n += 500 {
		must(t, s.Cache().Write(t.Context(), batch(n, n+500, 3000)))
	}
	must(t, s.Close())

	const bound = 2 << 20
	s, err = sqlite.Open(t.Context(), sqlite.Config{Dir: dir, CacheBytes: bound})
	must(t, err)
	for n := range 120 {
		must(t, s.Cache().Write(t.Context(), batch(50_000+n, 50_001+n, 1000)))
		used, _, err := s.Cache().Pages()
		must(t, err)
		if n == 0 && used*8192 < 2*bound {
			t.Errorf("the first batch did all the work: %d pages are left", used)
		}
	}
	must(t, s.Close())
	info, err := os.Stat(filepath.Join(dir, "cache.db"))
	must(t, err)
	if info.Size() > bound*105/100 {
		t.Errorf("the file has %d bytes; the bound is %d", info.Size(), bound)
	}
}

// TestHugeBatch writes more at once than fits: what is left is within the bound.
func TestHugeBatch(t *testing.T) {
	c := open(t, bounded(1<<20)).Cache()
	must(t, c.Write(t.Context(), batch(0, 10, 1000)))
	must(t, c.Write(t.Context(), batch(10, 30, 200_000)))
	if used, _, err := c.Pages(); err != nil || used*8192 > 1<<20 {
		t.Errorf("%d pages are in use, %v", used, err)
	}
	must(t, c.Write(t.Context(), batch(30, 40, 1000)))
	if got, err := c.Get(t.Context(), keyOf(39)); err != nil || !same(got, 39, 1000) {
		t.Errorf("Get = %v", err)
	}
}
