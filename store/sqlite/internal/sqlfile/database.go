package sqlfile

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

// Database is one file: a connection that writes, one transaction at a time, and a
// few that read beside it.
//
// No statement gets a context that can end. For such a context the driver starts a
// goroutine that would interrupt the statement, which costs more than a look-up does
// (get 18 to 21 us without, 27 to 38 with), and an interrupted connection is thrown
// away with all it has prepared. Statements here are short instead: whoever has a
// lot to do does it in pieces and looks at the context between them. Where the disk
// hangs, an interrupt would not be noticed either.
type Database struct {
	Path    string
	layout  Layout
	pools   []*sql.DB
	conns   []*Conn       // all of them, the writer first
	writer  *Conn         // belongs to whoever has the turn
	turn    chan struct{} // has the token while nobody writes
	readers readers

	Closing chan struct{} // closed when Close begins
	closed  atomic.Bool   // the same, for those who do not wait
	once    sync.Once     // closes

	// Unsynced is set when a sync has failed. What was written before may be gone
	// then although the next sync succeeds, so nothing is written any more.
	Unsynced atomic.Bool
	noted    atomic.Bool // that the file is damaged
}

// readers are the connections that read and that nobody uses. The one that was used
// last goes first, since its page cache is warm: a get takes 20 us with it, and 30
// where the connections take turns.
type readers struct {
	tokens chan struct{} // as many as there are connections in free

	mu   sync.Mutex // guards free
	free []*Conn
}

func (r *readers) put(c *Conn) {
	r.mu.Lock()
	r.free = append(r.free, c)
	r.mu.Unlock()
	r.tokens <- struct{}{}
}

// take takes a connection for a token that the caller has taken.
func (r *readers) take() *Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.free) - 1
	c := r.free[last]
	r.free = r.free[:last]
	return c
}

// Layout is what a database file consists of.
type Layout struct {
	Application  int32    // marks the file as this kind of database
	Version      int      // of the schema
	Schema       string   // statements that make it
	LogPages     int64    // pages in the log from which it is copied into the file
	Writes       []string // statements that the writer prepares
	Reads        []string // and those who read
	CheckedWhole []string // small tables that are checked whole at each start
	// Precious databases are not marked to be set aside, and the log is copied into the
	// file by whoever writes instead of by SQLite, which would say nothing of a sync that
	// failed.
	Precious bool
}

// PageBytes is the page size. Puts and gets cost the same at 4, 8 and 16 KiB within
// what can be measured (21 to 22 and 18 to 22 us); at 8 KiB the file is a seventh
// smaller than at 4 for records of 1 KB, and a deletion costs less than at 16.
const PageBytes = 8192

// Open opens the file at path, or makes it. The error has ErrDamaged in its
// chain where the file is to be set aside.
func Open(path string, l Layout) (*Database, error) {
	if err := private(path); err != nil {
		return nil, err
	}
	d := &Database{
		Path: path, layout: l, turn: make(chan struct{}, 1), Closing: make(chan struct{}),
		readers: readers{tokens: make(chan struct{}, readConns)},
	}
	if err := d.open(l); err != nil {
		if CodeOf(err)&0xff == sqlite3.SQLITE_IOERR { // a sync that failed may be among these
			d.outlive()
		}
		d.Abandon() // the error that matters is the first
		// A statement of ours that SQLite does not understand means that the schema is not
		// what it was: that it is ours and of this version was checked before.
		if Damaged(err) || CodeOf(err)&0xff == sqlite3.SQLITE_ERROR {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	d.turn <- struct{}{}
	return d, nil
}

// open connects. The writer comes first: it makes the file what the readers expect. It
// is one straight line on purpose: every step needs those before.
func (d *Database) open(l Layout) error {
	autocheckpoint := l.LogPages
	if l.Precious {
		autocheckpoint = 0
	}
	pool, err := d.pool(1, "rw")
	if err != nil {
		return err
	}
	d.writer, err = d.connect(pool,
		// The first two count for a new file only, and before anything else. Incremental
		// vacuum costs nothing measurable and lets a file shrink under a lower bound.
		fmt.Sprintf("page_size=%d", PageBytes), "auto_vacuum=INCREMENTAL",
		"journal_mode=WAL", "synchronous=NORMAL",
		fmt.Sprintf("cache_size=-%d", writerCacheKiB),
		fmt.Sprintf("wal_autocheckpoint=%d", autocheckpoint),
		fmt.Sprintf("journal_size_limit=%d", l.LogPages*PageBytes))
	if err != nil {
		return err
	}
	if err := prepareSchema(d.writer, l); err != nil {
		return err
	}
	if err := errors.Join(d.writer.prepare(l.Writes), d.writer.prepareRaw(l.Writes)); err != nil {
		return err
	}
	if pool, err = d.pool(readConns, "ro"); err != nil {
		return err
	}
	for range readConns {
		r, err := d.connect(pool, "query_only=ON")
		if err != nil {
			return err
		}
		if err := r.prepare(l.Reads); err != nil {
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
func (d *Database) pool(size int, mode string) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", dsn(d.Path)+"?mode="+mode)
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
func (d *Database) connect(pool *sql.DB, settings ...string) (*Conn, error) {
	c, err := pool.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	n := &Conn{Conn: c}
	d.conns = append(d.conns, n)
	// The temporary tables and journals of a transaction stay in memory: they may
	// have keys in them.
	common := []string{fmt.Sprintf("busy_timeout=%d", busyTimeout.Milliseconds()), "temp_store=MEMORY", "trusted_schema=OFF"}
	for _, setting := range append(common, settings...) {
		if err := n.Run("PRAGMA " + setting); err != nil {
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

// Write runs do in a transaction, which is undone where do or the commit fails.
func (d *Database) Write(ctx context.Context, want Care, do func(w *Conn) error) error {
	return d.Exclusive(ctx, func(w *Conn) error {
		if err := w.SetCare(want); err != nil {
			return err
		}
		if err := w.Run("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		err := do(w)
		if err == nil {
			err = w.Run("COMMIT")
		}
		if err != nil {
			// Where SQLite has undone it already this fails, and there is nothing left to do.
			_ = w.Run("ROLLBACK")
		}
		return err
	})
}

// Exclusive runs do with the writer, outside of a transaction.
func (d *Database) Exclusive(ctx context.Context, do func(w *Conn) error) error {
	if err := d.Usable(ctx); err != nil {
		return err
	}
	select {
	case <-d.turn:
	case <-d.Closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { d.turn <- struct{}{} }()
	if d.Unsynced.Load() {
		return ErrUnsynced
	}
	return d.Seen(do(d.writer))
}

// ErrUnsynced is what writes get after a sync that failed.
var ErrUnsynced = errors.New("sqlite: the disk failed to keep what was written; nothing is written until a restart")

// Read runs do with a connection that reads.
func (d *Database) Read(ctx context.Context, do func(r *Conn) error) error {
	r, err := d.Reader(ctx)
	if err != nil {
		return err
	}
	defer d.Release(r)
	return d.Seen(do(r))
}

// Reader takes a connection that reads; Release gives it back.
func (d *Database) Reader(ctx context.Context) (*Conn, error) {
	if err := d.Usable(ctx); err != nil {
		return nil, err
	}
	select {
	case <-d.readers.tokens:
		return d.readers.take(), nil
	case <-d.Closing:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Release gives a connection back that Reader has given.
func (d *Database) Release(r *Conn) { d.readers.put(r) }

// Usable reports why an operation need not begin.
func (d *Database) Usable(ctx context.Context) error {
	if d.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// Seen looks at the error of an operation for what has to be remembered: damage,
// for the next start, and a sync that failed, for the writes to come.
func (d *Database) Seen(err error) error {
	if Unreadable(err) {
		// The error's own words have the value in them.
		err = ErrUnreadable
	}
	switch {
	case err == nil:
	case Damaged(err), err == ErrUnreadable:
		if !d.layout.Precious && !d.noted.Swap(true) {
			err = errors.Join(err, suspect(d.Path))
		}
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case CodeOf(err) == sqlite3.SQLITE_IOERR_FSYNC || CodeOf(err) == sqlite3.SQLITE_IOERR_DIR_FSYNC:
		d.Unsynced.Store(true)
	}
	return err
}

// Close waits for the operations in progress, refuses those to come, copies the log
// into the file and empties it, and closes all connections.
func (d *Database) Close() (err error) {
	d.once.Do(func() {
		d.closed.Store(true)
		close(d.Closing)
		<-d.turn
		for range readConns {
			<-d.readers.tokens
		}
		if d.Unsynced.Load() {
			err = d.Abandon()
			return
		}
		if err = d.writer.Run("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			err = errors.Join(err, d.Abandon()) // the log is found at the next start
			return
		}
		err = d.disconnect()
	})
	return err
}

// Abandon closes all connections and leaves the log as it is. SQLite copies it into
// the file when the last connection is closed, which would sync again what a sync has
// failed for; but one that cannot write does not, so those that read go last.
func (d *Database) Abandon() error {
	var err error
	for _, c := range d.conns {
		err = errors.Join(err, c.Close())
		if c == d.writer {
			err = errors.Join(err, d.pools[0].Close())
		}
	}
	for _, pool := range d.pools {
		err = errors.Join(err, pool.Close())
	}
	return err
}

// outlive connects one that reads, where an opening has failed before there were any:
// Abandon would close the writer last otherwise. It is an attempt. A file that cannot
// be read has no log that closing would copy.
func (d *Database) outlive() {
	pool, err := d.pool(1, "ro")
	if err != nil {
		return
	}
	if r, err := d.connect(pool); err == nil {
		_ = r.Run("PRAGMA schema_version") // a connection counts from its first read on
	}
}

// disconnect closes all connections, the writer last: the last one removes the log.
func (d *Database) disconnect() error {
	var err error
	for _, c := range slices.Backward(d.conns) {
		err = errors.Join(err, c.Close())
	}
	for _, pool := range slices.Backward(d.pools) {
		err = errors.Join(err, pool.Close())
	}
	return err
}
