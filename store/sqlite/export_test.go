package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// These let the tests of package sqlite_test look at and break what is inside.

// MaxPages has the cache's database take this many pages at most, as a full disk
// would. Zero takes the bound away.
func (c *Cache) MaxPages(n int) error {
	if n == 0 {
		n = 1<<32 - 2
	}
	return c.db.Exclusive(context.Background(), func(w *sqlfile.Conn) error {
		return w.Run(fmt.Sprintf("PRAGMA max_page_count=%d", n))
	})
}

// Pages is how many pages of the database are in use.
func (c *Cache) Pages() (used, total int64, err error) {
	err = c.db.Exclusive(context.Background(), func(w *sqlfile.Conn) error {
		var free int64
		err := w.Row(pagesInUse).Scan(&total, &free)
		used = total - free
		return err
	})
	return used, total, err
}

// Run runs statements with the writer.
func (c *Cache) Run(text string) error {
	return c.db.Exclusive(context.Background(), func(w *sqlfile.Conn) error { return w.Run(text) })
}

// Hold has a reader begin to read, and returns what ends it.
func (c *Cache) Hold() (release func(), err error) {
	r, err := c.db.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	if err := r.Run("BEGIN; SELECT count(*) FROM entries"); err != nil {
		return nil, err
	}
	return func() { _ = r.Run("COMMIT"); c.db.Release(r) }, nil
}

// HoldWriter keeps everybody from writing until release.
func (c *Cache) HoldWriter() (release func()) {
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = c.db.Exclusive(context.Background(), func(*sqlfile.Conn) error { close(held); <-free; return nil })
	}()
	<-held
	return func() { close(free); <-done }
}

// Unsync has the store take a sync for failed.
func (c *Cache) Unsync() { c.db.Unsynced.Store(true) }

// Filtered waits until the filter is there, and says how many keys it is made for.
func (c *Cache) Filtered() int64 {
	for {
		if f := c.known.active.Load(); f != nil {
			return f.room
		}
		time.Sleep(time.Millisecond)
	}
}

// MayHave asks the filter.
func (c *Cache) MayHave(k cache.Key) bool { return c.known.mayHave(&k) }

// FilterAgain fills a new filter now.
func (c *Cache) FilterAgain(ctx context.Context) error { return c.known.fill(ctx) }

// SetAside is setAside.
func SetAside(path string, now time.Time) (string, error) { return sqlfile.SetAside(path, now) }

// WalksRemembered is how many deletions are under way.
func (c *Cache) WalksRemembered() int { return len(c.walks.of) }

// WalkRows is how many records one Delete looks at.
const WalkRows = walkRows
