package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrClosed is what a store's methods return after Close.
var ErrClosed = errors.New("sqlite: the store is closed")

// readConns is how many reads go on at once. Each connection keeps a page cache of
// up to 2 MiB (SQLite's default), the writer's is writerCacheKiB: 12 MiB in all. A
// larger cache gains nothing measurable, since the system keeps the file's pages
// (put 20.5 us at 2 MiB, 20.6 at 16, 21.4 at 64; get 17.4, 16.3, 16.9).
const (
	readConns      = 4
	writerCacheKiB = 4096
)

// busyTimeout is how long a statement waits for somebody else's lock on the file,
// which only other programs hold.
const busyTimeout = 2 * time.Second

// database is one file: a connection that writes, one transaction at a time, and a
// few that read beside it.
//
// No statement gets a context that can end. For such a context the driver starts a
// goroutine that would interrupt the statement, which costs more than a look-up does
// (get 18 to 21 us without, 27 to 38 with), and an interrupted connection is thrown
// away with all it has prepared. Statements here are short instead: whoever has a
// lot to do does it in pieces and looks at the context between them. Where the disk
// hangs, an interrupt would not be noticed either.
type database struct {
	path    string
	pools   []*sql.DB
	conns   []*conn       // all of them, the writer first
	writer  *conn         // belongs to whoever has the turn
	turn    chan struct{} // has the token while nobody writes
	readers readers

	closing chan struct{} // closed when Close begins
	closed  atomic.Bool   // the same, for those who do not wait
	once    sync.Once     // closes

	// unsynced is set when a sync has failed. What was written before may be gone
	// then although the next sync succeeds, so nothing is written any more.
	unsynced atomic.Bool
	noted    atomic.Bool // that the file is damaged
}

// readers are the connections that read and that nobody uses. The one that was used
// last goes first, since its page cache is warm: a get takes 20 us with it, and 30
// where the connections take turns.
type readers struct {
	tokens chan struct{} // as many as there are connections in free

	mu   sync.Mutex // guards free
	free []*conn
}

func (r *readers) put(c *conn) {
	r.mu.Lock()
	r.free = append(r.free, c)
	r.mu.Unlock()
	r.tokens <- struct{}{}
}

// take takes a connection for a token that the caller has taken.
func (r *readers) take() *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.free) - 1
	c := r.free[last]
	r.free = r.free[:last]
	return c
}

// layout is what a database file consists of.
type layout struct {
	application  int32  // marks the file as this kind of database
	version      int    // of the schema
	schema       string // statements that make it
	logPages     int64  // pages in the log from which it is copied into the file
	writes       []string
	reads        []string
	checkedWhole []string // small tables that are checked whole at each start
}

// pageBytes is the page size. Puts and gets cost the same at 4, 8 and 16 KiB within
// what can be measured (21 to 22 and 18 to 22 us); at 8 KiB the file is a seventh
// smaller than at 4 for records of 1 KB, and a deletion costs less than at 16.
const pageBytes = 8192

// openDatabase opens the file at path, or makes it. The error has ErrDamaged in its
// chain where the file is to be set aside.
func openDatabase(path string, l layout) (*database, error) {
	if err := private(path); err != nil {
		return nil, err
	}
	d := &database{
		path: path, turn: make(chan struct{}, 1), closing: make(chan struct{}),
		readers: readers{tokens: make(chan struct{}, readConns)},
	}
	if err := d.open(l); err != nil {
		d.disconnect() // the error that matters is the first
		// A statement of ours that SQLite does not understand means that the schema is not
		// what it was: that it is ours and of this version was checked before.
		if damaged(err) || codeOf(err)&0xff == sqlite3.SQLITE_ERROR {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	d.turn <- struct{}{}
	return d, nil
}

// open connects. The writer comes first: it makes the file what the readers expect.
func (d *database) open(l layout) error {
	pool, err := d.pool(1)
	if err != nil {
		return err
	}
	d.writer, err = d.connect(pool,
		// The first two count for a new file only, and before anything else. Incremental
		// vacuum costs nothing measurable and lets a file shrink under a lower bound.
		fmt.Sprintf("page_size=%d", pageBytes), "auto_vacuum=INCREMENTAL",
		"journal_mode=WAL", "synchronous=NORMAL",
		fmt.Sprintf("cache_size=-%d", writerCacheKiB),
		fmt.Sprintf("wal_autocheckpoint=%d", l.logPages),
		fmt.Sprintf("journal_size_limit=%d", l.logPages*pageBytes))
	if err != nil {
		return err
	}
	if err := prepareSchema(d.writer, l); err != nil {
		return err
	}
	if err := d.writer.prepare(l.writes); err != nil {
		return err
	}
	if pool, err = d.pool(readConns); err != nil {
		return err
	}
	for range readConns {
		r, err := d.connect(pool, "query_only=ON")
		if err != nil {
			return err
		}
		if err := r.prepare(l.reads); err != nil {
			return err
		}
		d.readers.put(r)
	}
	return nil
}

// pool makes a pool of up to size connections.
//
// The file is not mapped into memory: a get would take 16 us instead of 21 at
// 300,000 records, but an I/O error would end the process with SIGBUS.
func (d *database) pool(size int) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", dsn(d.path))
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(size)
	d.pools = append(d.pools, pool)
	return pool, nil
}

// connect takes a connection from a pool, for good, and sets it up. The settings are
// not part of the file's name: the driver would sort them by the alphabet, and the
// page size comes too late after journal_mode.
func (d *database) connect(pool *sql.DB, settings ...string) (*conn, error) {
	c, err := pool.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	n := &conn{Conn: c}
	d.conns = append(d.conns, n)
	// The temporary tables and journals of a transaction stay in memory: they may
	// have keys in them.
	common := []string{fmt.Sprintf("busy_timeout=%d", busyTimeout.Milliseconds()), "temp_store=MEMORY", "trusted_schema=OFF"}
	for _, setting := range append(common, settings...) {
		if err := n.run("PRAGMA " + setting); err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
	}
	return n, nil
}

// dsn names a file to the driver. It takes everything from the first question mark
// for parameters, so the path is escaped.
func dsn(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // file:///C:/...
	}
	return "file://" + (&url.URL{Path: path}).EscapedPath()
}

// private makes the file where it is missing, readable by its owner alone. SQLite
// gives its other files the mode of this one.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// write runs do in a transaction, which is undone where do or the commit fails.
func (d *database) write(ctx context.Context, want care, do func(w *conn) error) error {
	return d.exclusive(ctx, func(w *conn) error {
		if err := w.setCare(want); err != nil {
			return err
		}
		if err := w.run("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		err := do(w)
		if err == nil {
			err = w.run("COMMIT")
		}
		if err != nil {
			// Where SQLite has undone it already this fails, and there is nothing left to do.
			_ = w.run("ROLLBACK")
		}
		return err
	})
}

// exclusive runs do with the writer, outside of a transaction.
func (d *database) exclusive(ctx context.Context, do func(w *conn) error) error {
	if err := d.usable(ctx); err != nil {
		return err
	}
	select {
	case <-d.turn:
	case <-d.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { d.turn <- struct{}{} }()
	if d.unsynced.Load() {
		return errUnsynced
	}
	return d.seen(do(d.writer))
}

var errUnsynced = errors.New("sqlite: the disk failed to keep what was written; nothing is written until a restart")

// read runs do with a connection that reads.
func (d *database) read(ctx context.Context, do func(r *conn) error) error {
	r, err := d.reader(ctx)
	if err != nil {
		return err
	}
	defer d.release(r)
	return d.seen(do(r))
}

// reader takes a connection that reads; release gives it back.
func (d *database) reader(ctx context.Context) (*conn, error) {
	if err := d.usable(ctx); err != nil {
		return nil, err
	}
	select {
	case <-d.readers.tokens:
		return d.readers.take(), nil
	case <-d.closing:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *database) release(r *conn) { d.readers.put(r) }

// usable reports why an operation need not begin.
func (d *database) usable(ctx context.Context) error {
	if d.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// seen looks at the error of an operation for what has to be remembered: damage,
// for the next start, and a sync that failed, for the writes to come.
func (d *database) seen(err error) error {
	if unreadable(err) {
		// The error's own words have the value in them.
		err = errUnreadable
	}
	switch {
	case err == nil:
	case damaged(err), err == errUnreadable:
		if !d.noted.Swap(true) {
			err = errors.Join(err, suspect(d.path))
		}
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case codeOf(err) == sqlite3.SQLITE_IOERR_FSYNC || codeOf(err) == sqlite3.SQLITE_IOERR_DIR_FSYNC:
		d.unsynced.Store(true)
	}
	return err
}

// close waits for the operations in progress, refuses those to come, copies the log
// into the file and empties it, and closes all connections.
func (d *database) close() (err error) {
	d.once.Do(func() {
		d.closed.Store(true)
		close(d.closing)
		<-d.turn
		for range readConns {
			<-d.readers.tokens
		}
		if !d.unsynced.Load() {
			err = d.writer.run("PRAGMA wal_checkpoint(TRUNCATE)")
		}
		err = errors.Join(err, d.disconnect())
	})
	return err
}

// disconnect closes all connections, the writer last: the last one removes the log.
func (d *database) disconnect() error {
	var err error
	for _, c := range slices.Backward(d.conns) {
		err = errors.Join(err, c.close())
	}
	for _, pool := range slices.Backward(d.pools) {
		err = errors.Join(err, pool.Close())
	}
	return err
}
