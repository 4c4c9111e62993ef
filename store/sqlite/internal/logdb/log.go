package logdb

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// Log is log.db: it implements requestlog.Store, series.Store and alarm.Store. All
// methods may be called concurrently. Reads go on beside writes; writes wait for one
// another, a few tens of milliseconds at most unless the disk is slow: what is long is
// done in pieces. A context that ends takes effect between these.
//
// Times are kept to the nanosecond from 1678 to 2261; others become the nearest of these.
type Log struct {
	db     *sqlfile.Database
	words  words
	effort effort

	next atomic.Int64 // Seq of the next entry; set by whoever has the writer's turn
}

var (
	_ requestlog.Store = (*Log)(nil)
	_ series.Store     = (*Log)(nil)
	_ alarm.Store      = (*Log)(nil)
)

// OpenLog opens the file at path, or makes it. Where the error has sqlfile.ErrDamaged in
// its chain, the file is to be set aside.
func OpenLog(path string) (*Log, error) {
	l := &Log{effort: effort{zones: scannedZones, candidates: candidates}}
	var err error
	if l.db, err = sqlfile.Open(path, logLayout()); err != nil {
		return nil, err
	}
	err = l.db.Exclusive(context.Background(), func(w *sqlfile.Conn) error {
		if err := l.words.load(w); err != nil {
			return err
		}
		// Both, since either may be ahead where the file is damaged.
		var next int64
		err := w.QueryRowContext(context.Background(),
			`SELECT 1 + max((SELECT coalesce(max(seq), 0) FROM requests), (SELECT coalesce(max(last), 0) FROM zones))`).Scan(&next)
		l.next.Store(next)
		return err
	})
	if next := l.next.Load(); err == nil && (next < 1 || next > math.MaxInt64/2) {
		err = fmt.Errorf("%w: the numbers of its entries are used up", sqlfile.ErrDamaged)
	}
	if err != nil {
		l.db.Close() // the error that matters is the first
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return l, nil
}

// Close waits for the operations in progress and copies the log into the file. Operations
// that begin later fail with sqlfile.ErrClosed. It may be called more than once.
func (l *Log) Close() error {
	if err := l.db.Close(); err != nil {
		return fmt.Errorf("sqlite: close %s: %w", filepath.Base(l.db.Path), err)
	}
	return nil
}

// writeWords runs do in a transaction in which it may make words. They are settled with
// the writer's turn, before another transaction begins: that is why it is not
// sqlfile.Database.Write.
func (l *Log) writeWords(ctx context.Context, do func(w *sqlfile.Conn) error) error {
	return l.db.Exclusive(ctx, func(w *sqlfile.Conn) (err error) {
		defer func() { l.words.settle(err != nil) }()
		if err := w.SetCare(sqlfile.Normal); err != nil {
			return err
		}
		if err := w.Run("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		if err = do(w); err == nil {
			err = w.Run("COMMIT")
		}
		if err != nil {
			_ = w.Run("ROLLBACK") // where SQLite has undone it already this fails
		}
		return err
	})
}

// zeroTime is how the zero time is kept: before every other.
const zeroTime = math.MinInt64

// The times that can be kept.
var (
	earliest = time.Unix(0, zeroTime+1)
	latest   = time.Unix(0, math.MaxInt64)
)

// nanos is how a time is kept: nanoseconds since 1970.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return zeroTime
	case t.Before(earliest):
		return zeroTime + 1
	case t.After(latest):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// timeOf is the time that nanos gave n for.
func timeOf(n int64) time.Time {
	if n == zeroTime {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
