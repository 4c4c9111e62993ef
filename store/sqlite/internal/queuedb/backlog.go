package queuedb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// Backlog is queue.db: it implements backlog.Store. All methods may be called
// concurrently. Reads go on beside writes. Writes are done by one goroutine, which
// takes those that wait together into one transaction and answers them when it is
// synced. A context that ends takes effect at once; a write may be made nevertheless.
//
// Times are kept to the microsecond. What is damaged
// stays in the file: of a row whose checksum is wrong or whose page cannot be read, the
// job is set apart, and all others are served.
type Backlog struct {
	path string
	log  *slog.Logger
	db   atomic.Pointer[sqlfile.Database] // another one after Recover

	writes    chan *write
	closing   chan struct{} // closed when Close begins
	stopped   chan struct{} // closed when the goroutine that writes has ended
	once      sync.Once     // closes
	failure   atomic.Pointer[failure]
	unsettled atomic.Pointer[unsettled] // of the transaction in progress; nil while there is none
	commits   atomic.Int64

	counted struct {
		sync.Mutex // guards now
		now        totals
	}
	pool    sync.Pool // of writes
	apart   apart
	reserve reserve
	unsound atomic.Bool // when the file was opened: what SQLite does not find may be there

	// These belong to the goroutine that writes.
	group   []*write
	args    []any
	totals  totals // with what the transaction in progress changes
	logged  int    // pages in the log, by estimate
	untidy  bool   // something was removed since the file was last looked at
	reindex bool   // the next Recover writes the indexes anew
}

// failure is why nothing is written.
type failure struct{ cause error }

var _ backlog.Store = (*Backlog)(nil)

// Open opens the database at path, or makes it.
func Open(path string, log *slog.Logger) (*Backlog, error) {
	b := &Backlog{
		path: path, log: log,
		writes: make(chan *write, mostGrouped), closing: make(chan struct{}), stopped: make(chan struct{}),
		reserve: reserve{path: path + ".reserve"},
		apart:   apart{news: make(chan struct{}, 1), jobs: map[backlog.ID]backlog.Damage{}},
	}
	if err := b.connect(); err != nil {
		return nil, err
	}
	if err := b.reserve.take(); err != nil {
		b.log.Warn("the disk is full: the queue takes in no new jobs until there is room",
			slog.String("path", b.reserve.path), slog.Any("error", err))
	}
	go b.run()
	return b, nil
}

// connect opens the file. Where that fails for want of space, the reserve makes room.
func (b *Backlog) connect() error {
	db, err := sqlfile.Open(b.path, queueLayout())
	for fullDisk(err) && b.reserve.giveUp() {
		db, err = sqlfile.Open(b.path, queueLayout())
	}
	if err == nil {
		b.db.Store(db)
		if err = b.check(db); err != nil {
			db.Abandon()
			err = fmt.Errorf("sqlite: open %s: %w", b.path, err)
		}
	}
	if errors.Is(err, sqlfile.ErrDamaged) || sqlfile.Damaged(err) {
		return &llm.Error{
			Kind:    llm.ForebayUnavailable,
			Message: fmt.Sprintf("the queue's database %s is damaged as a whole, and jobs are not thrown away by themselves", b.path),
			Fix: "Restore it from a backup; or save what can be read with `sqlite3 queue.db .recover | sqlite3 new.db` and put that in its place; " +
				"or move queue.db and queue.db-wal away to begin with an empty queue",
			Err: err,
		}
	}
	return err
}

// Close waits for the writes that have begun, and closes the database. Operations that
// begin later fail with sqlfile.ErrClosed. It may be called more than once.
func (b *Backlog) Close() error {
	b.once.Do(func() { close(b.closing) })
	<-b.stopped
	if err := b.db.Load().Close(); err != nil {
		return fmt.Errorf("sqlite: close queue.db: %w", err)
	}
	return nil
}

// Insert implements backlog.Store. It waits for a sync of the disk.
func (b *Backlog) Insert(ctx context.Context, j *backlog.Job, payload []byte, since time.Time) (backlog.Job, error) {
	w := b.newWrite()
	w.kind, w.job, w.since = insertion, *j, micros(since)
	w.copyContent(payload)
	err := b.do(ctx, w)
	if err != nil && !errors.Is(err, backlog.ErrExists) {
		return backlog.Job{}, err
	}
	// Whoever has an answer that is not the context's owns w again.
	old := w.old
	b.free(w)
	return old, err
}

// Apply implements backlog.Store. It waits for a sync of the disk, unless the change
// is Relaxed.
func (b *Backlog) Apply(ctx context.Context, c *backlog.Change) error {
	w := b.newWrite()
	w.kind, w.change = change, *c
	w.copyContent(c.Result)
	w.change.Result = nil
	err := b.do(ctx, w)
	if err == nil && !c.Relaxed {
		b.free(w)
	}
	return err
}

// Get implements backlog.Store.
func (b *Backlog) Get(ctx context.Context, id backlog.ID) (backlog.Job, error) {
	var rec record
	j, err := b.one(ctx, id, &rec, readJob, rec.dest()...)
	return j, err
}

// Read implements backlog.Store.
func (b *Backlog) Read(ctx context.Context, id backlog.ID, part backlog.Part) (backlog.Job, []byte, error) {
	var rec record
	var sealed []byte
	var there bool // sealed is nil for an empty one too
	stmt, word := readWithPayload, &rec.payload
	if part == backlog.Result {
		stmt, word = readWithResult, &rec.result
	}
	j, err := b.one(ctx, id, &rec, stmt, append(rec.dest(), &there, &sealed)...)
	switch {
	case err != nil:
		return backlog.Job{}, nil, err
	case *word != contentKept:
		return j, nil, nil
	case !there:
		return backlog.Job{}, nil, b.setApart(id, "what it carries is missing")
	case part == backlog.Payload && len(sealed) == 0 && j.Bytes > 0: // the row says so, whatever it held
		return backlog.Job{}, nil, b.setApart(id, "what it carries is empty")
	}
	if sealed == nil {
		sealed = []byte{}
	}
	return j, sealed, nil
}

// Find implements backlog.Store. It reads by an index beside whoever writes: SQLite shows
// readers a transaction that takes in a job when its log is synced, and not before.
func (b *Backlog) Find(ctx context.Context, idempotency [32]byte, since time.Time) (backlog.Job, error) {
	if err := b.settled(ctx, 0); err != nil { // whoever submits again may have gone away before the answer
		return backlog.Job{}, err
	}
	var found *backlog.Job
	err := b.read(ctx, func(r *sqlfile.Conn) (err error) {
		found, err = b.underKey(r, readIdempotent, idempotency[:], micros(since))
		return err
	})
	switch {
	case err != nil:
		return backlog.Job{}, fmt.Errorf("sqlite: find a job by its key: %w", err)
	case found == nil:
		return backlog.Job{}, backlog.ErrNotFound
	}
	return *found, nil
}

// one reads a job with a prepared statement, and checks it.
func (b *Backlog) one(ctx context.Context, id backlog.ID, rec *record, stmt int, dest ...any) (backlog.Job, error) {
	if err := b.settled(ctx, id); err != nil {
		return backlog.Job{}, err
	}
	if b.apart.has(id) {
		return backlog.Job{}, backlog.ErrDamaged
	}
	var j backlog.Job
	err := b.read(ctx, func(r *sqlfile.Conn) error {
		err := r.Row(stmt, int64(id)).Scan(dest...)
		if err == nil {
			j, err = rec.job()
			return b.asDamage(id, err)
		}
		return b.missing(r, id, err)
	})
	return j, err
}

// SetPaused implements backlog.Store. It waits for a sync of the disk.
func (b *Backlog) SetPaused(ctx context.Context, operation string, paused bool) error {
	return b.call(ctx, func(w *sqlfile.Conn) error {
		stmt := resumeOperation
		if paused {
			stmt = pauseOperation
		}
		_, err := w.Exec(stmt, operation)
		return err
	})
}

// Paused implements backlog.Store. It sorts the operations.
func (b *Backlog) Paused(ctx context.Context) ([]string, error) {
	var all []string
	err := b.read(ctx, func(r *sqlfile.Conn) error {
		rows, err := r.Rows(readPaused)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var operation string
			if err := rows.Scan(&operation); err != nil {
				return err
			}
			all = append(all, operation)
		}
		return rows.Err()
	})
	return all, err
}

// Exclusive implements backlog.Store: the directory belongs to one process.
func (b *Backlog) Exclusive() bool { return true }

// read runs do with a connection that reads. Its errors are those of do.
func (b *Backlog) read(ctx context.Context, do func(r *sqlfile.Conn) error) error {
	db := b.db.Load()
	r, err := db.Reader(ctx)
	if errors.Is(err, sqlfile.ErrClosed) {
		return b.unavailable()
	}
	if err != nil {
		return err
	}
	defer db.Release(r)
	return do(r)
}

// unavailable says why nothing can be done.
func (b *Backlog) unavailable() error {
	select {
	case <-b.closing:
		return sqlfile.ErrClosed
	default:
	}
	if f := b.failure.Load(); f != nil {
		return fmt.Errorf("%w: %w", backlog.ErrFailed, f.cause)
	}
	return backlog.ErrFailed // it is being opened anew
}

// unsettled are the jobs of the transaction in progress whose callers wait no more:
// their change was relaxed, or their context has ended. Whoever reads one waits for the
// commit, so that what was answered can be seen, and what is not known can be known.
type unsettled struct {
	done chan struct{} // closed when it is committed, or is not going to be
	some atomic.Bool   // ids has something

	mu  sync.Mutex // guards ids
	ids []backlog.ID
}

func (u *unsettled) add(id backlog.ID) {
	u.mu.Lock()
	u.ids = append(u.ids, id)
	u.mu.Unlock()
	u.some.Store(true)
}

// settled waits until the changes of a job that are under way can be read; id 0 means
// those of all jobs.
func (b *Backlog) settled(ctx context.Context, id backlog.ID) error {
	u := b.unsettled.Load()
	if u == nil || !u.some.Load() {
		return nil
	}
	u.mu.Lock()
	waits := id == 0 || slices.Contains(u.ids, id) || slices.Contains(u.ids, 0)
	u.mu.Unlock()
	if !waits {
		return nil
	}
	select {
	case <-u.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
