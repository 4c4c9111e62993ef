package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// Cache is cache.db: it implements cache.Store and cache.Journal.
// All methods may be called concurrently. Reads go on beside writes; writes wait for
// one another. A context that ends takes effect between the pieces of an operation,
// each of which takes some ten milliseconds unless the disk is slower.
//
// Times are kept from 1678 to 2261; others are refused. The zero time is kept too.
// Beyond Config.CacheBytes the records that were written first make room; otherwise
// a Cache drops nothing by itself.
type Cache struct {
	db    *sqlfile.Database
	log   *slog.Logger
	known *known
	bound int64 // pages in use at most; 0 means any
	walks walks

	// These belong to whoever has the writer's turn.
	nextID int64 // of the next record
	used   int64 // pages in use when the last batch had been written
}

var (
	_ cache.Store   = (*Cache)(nil)
	_ cache.Journal = (*Cache)(nil)
)

// The prepared statements of the writer.
const (
	insertEntry = iota
	deleteEntry
	deleteOldest
	pagesInUse
	insertInvalidation
	forgetInvalidations
	cacheWrites // their number
)

// The prepared statements of the readers.
const (
	selectEntry = iota
	selectSpan
	selectEntryKeys
	countEntries
	selectInvalidations
	cacheReads // their number
)

// cacheLayout is what cache.db consists of.
func cacheLayout(bound int64) sqlfile.Layout {
	return sqlfile.Layout{
		Application: cacheApplication, Version: cacheVersion, Schema: cacheSchema,
		LogPages:     logPages(bound),
		CheckedWhole: []string{"invalidations"},
		Writes: []string{
			// A record that replaces another gets an id of its own and so moves to the
			// end: it is the youngest, and a walk over the table meets it.
			insertEntry:  `INSERT OR REPLACE INTO entries (id, key, expires, since, keep, tenant, operation, user, model, namespace, sealed) VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
			deleteEntry:  `DELETE FROM entries WHERE id = ?`,
			deleteOldest: `DELETE FROM entries WHERE id IN (SELECT id FROM entries ORDER BY id LIMIT ?)`,
			pagesInUse:   `SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count`,

			insertInvalidation:  `INSERT INTO invalidations (at, mask, tenant, operation, user, model, namespace, key) VALUES (?,?,?,?,?,?,?,?)`,
			forgetInvalidations: `DELETE FROM invalidations WHERE number <= ?`,
		},
		Reads: []string{
			selectEntry:     `SELECT expires, since, keep, tenant, operation, user, model, namespace, sealed FROM entries WHERE key = ?`,
			selectSpan:      `SELECT count(*), coalesce(max(id), 0) FROM (SELECT id FROM entries WHERE id > ? ORDER BY id LIMIT ?)`,
			selectEntryKeys: `SELECT key FROM entries WHERE key > ? ORDER BY key LIMIT ?`,
			countEntries:    `SELECT count(*) FROM entries`,
			// One statement, so that the numbers and the last of them belong together.
			selectInvalidations: `SELECT last.seq, i.number, i.at, i.mask, i.tenant, i.operation, i.user, i.model, i.namespace, i.key
				FROM (SELECT coalesce(max(seq), 0) AS seq FROM sqlite_sequence WHERE name = 'invalidations') AS last
				LEFT JOIN invalidations AS i ON i.number > ? ORDER BY i.number`,
		},
	}
}

// openCache opens the database at path, or makes it.
func openCache(path string, cfg Config) (*Cache, error) {
	c := &Cache{log: cfg.Logger, bound: max(0, cfg.CacheBytes/sqlfile.PageBytes), walks: newWalks()}
	var err error
	if c.db, err = sqlfile.Open(path, cacheLayout(c.bound)); err != nil {
		return nil, err
	}
	if err := c.start(); err != nil {
		c.db.Close() // the error that matters is the first
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return c, nil
}

// start reads what the cache has to know, and begins to fill its filter.
func (c *Cache) start() error {
	err := c.db.Exclusive(context.Background(), func(w *sqlfile.Conn) error {
		if err := w.QueryRowContext(context.Background(), `SELECT coalesce(max(id), 0) + 1 FROM entries`).Scan(&c.nextID); err != nil {
			return err
		}
		var total, free int64
		err := w.Row(pagesInUse).Scan(&total, &free)
		c.used = total - free
		return err
	})
	if err != nil {
		return err
	}
	c.known = newKnown(c)
	return nil
}

// close ends what start began, and closes the database.
func (c *Cache) close() error {
	c.known.stop()
	if err := c.db.Close(); err != nil {
		return fmt.Errorf("sqlite: close %s: %w", filepath.Base(c.db.Path), err)
	}
	return nil
}

// Get implements cache.Store. Where there is no record of k, a filter in memory
// mostly says so without a look at the file.
func (c *Cache) Get(ctx context.Context, k cache.Key) (cache.Record, error) {
	if err := c.db.Usable(ctx); err != nil {
		return cache.Record{}, err
	}
	if !c.known.mayHave(&k) {
		return cache.Record{}, cache.ErrNotFound
	}
	r, err := c.db.Reader(ctx)
	if err != nil {
		return cache.Record{}, err
	}
	defer c.db.Release(r)

	var expires, since, keep, tenant, operation, user, model, namespace int64
	var sealed []byte
	err = r.Row(selectEntry, k[:]).Scan(&expires, &since, &keep, &tenant, &operation, &user, &model, &namespace, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return cache.Record{}, cache.ErrNotFound
	}
	if err != nil {
		return cache.Record{}, fmt.Errorf("sqlite: get: %w", c.db.Seen(err))
	}
	return cache.Record{
		Key: k, Sealed: sealed, Expires: timeOf(expires), Since: uint64(since), Keep: timeOf(keep),
		Tags: cache.Tags{
			cache.FieldTenant: uint64(tenant), cache.FieldOperation: uint64(operation), cache.FieldUser: uint64(user),
			cache.FieldModel: uint64(model), cache.FieldNamespace: uint64(namespace),
		},
	}, nil
}

// Write implements cache.Store. Batches of about a hundred records cost least a record.
func (c *Cache) Write(ctx context.Context, records []cache.Record) error {
	if len(records) == 0 {
		return c.db.Usable(ctx)
	}
	err := c.db.Write(ctx, sqlfile.Normal, func(w *sqlfile.Conn) error {
		for i := range records {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.insert(w, &records[i]); err != nil {
				return err
			}
		}
		return c.trim(w)
	})
	if err != nil {
		return fmt.Errorf("sqlite: write %d records: %w", len(records), err)
	}
	return nil
}

func (c *Cache) insert(w *sqlfile.Conn, r *cache.Record) error {
	expires, err := nanos(r.Expires)
	if err != nil {
		return err
	}
	keep, err := nanos(r.Keep)
	if err != nil {
		return err
	}
	// Before the commit: once the record can be found, the filter lets it be looked for.
	c.known.add(&r.Key)
	_, err = w.Exec(insertEntry, c.nextID, r.Key[:], expires, int64(r.Since), keep,
		int64(r.Tags[cache.FieldTenant]), int64(r.Tags[cache.FieldOperation]), int64(r.Tags[cache.FieldUser]),
		int64(r.Tags[cache.FieldModel]), int64(r.Tags[cache.FieldNamespace]), blob(r.Sealed))
	c.nextID++
	return err
}

// blob is b as a value that is not null.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// zeroTime is how the zero time is kept: before every other.
const zeroTime = math.MinInt64

// nanos is how a time is kept: nanoseconds since 1970.
func nanos(t time.Time) (int64, error) {
	if t.IsZero() {
		return zeroTime, nil
	}
	if n := t.UnixNano(); n != zeroTime && timeOf(n).Equal(t) {
		return n, nil
	}
	return 0, fmt.Errorf("sqlite: the time %v cannot be kept; use one from 1678 to 2261", t)
}

// timeOf is the time that nanos gave n for.
func timeOf(n int64) time.Time {
	if n == zeroTime {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
