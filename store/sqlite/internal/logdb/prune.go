package logdb

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	// prunedRows is how many entries go in one transaction, for some milliseconds.
	prunedRows = 256
	// A file of which more than a quarter is free, and more than leastFree pages (8 MiB),
	// is made smaller by vacuumPages at a time.
	leastFree   = 1024
	vacuumPages = 256
)

// PruneRequests implements requestlog.Store. It works in transactions of up to 256
// entries, between which others write.
func (l *Log) PruneRequests(ctx context.Context, t time.Time, keep int64) (int64, error) {
	removed, err := l.pruneBefore(ctx, nanos(t))
	if err == nil && keep >= 0 {
		var n int64
		n, err = l.pruneOldest(ctx, keep)
		removed += n
	}
	if err == nil && removed > 0 {
		err = l.shrink(ctx)
	}
	if err != nil {
		return removed, fmt.Errorf("sqlite: remove old entries: %w", err)
	}
	return removed, nil
}

// pruneBefore removes the entries that started before t.
func (l *Log) pruneBefore(ctx context.Context, t int64) (removed int64, err error) {
	for after := int64(-1); ; {
		z, ok, err := l.zoneBefore(ctx, after, t)
		if err != nil || !ok {
			return removed, err
		}
		for low := z * zoneRows; low < (z+1)*zoneRows; low += prunedRows {
			n, err := l.pruneRange(ctx, z, low, t)
			removed += n
			if err != nil {
				return removed, err
			}
		}
		after = z
	}
}

// zoneBefore is the first zone behind after that has an entry which started before t.
func (l *Log) zoneBefore(ctx context.Context, after, t int64) (z int64, ok bool, err error) {
	err = l.db.Read(ctx, func(r *sqlfile.Conn) error {
		low := int64(math.MinInt64)
		var last int64
		err := r.Row(selectZoneRange, after+1, int64(math.MaxInt64/zoneRows-1), low, t, low, low).Scan(&z, &last)
		ok = z <= last
		return err
	})
	return z, ok, err
}

// pruneRange removes of the next entries of a zone those that started before t. With the
// last of them the zone is measured again.
func (l *Log) pruneRange(ctx context.Context, z, low, t int64) (removed int64, err error) {
	err = l.db.Write(ctx, sqlfile.Normal, func(w *sqlfile.Conn) error {
		var err error
		if removed, err = w.Exec(deleteRequests, low, low+prunedRows, t); err != nil {
			return err
		}
		return l.pruned(w, z, removed, low+prunedRows == (z+1)*zoneRows)
	})
	return removed, err
}

// pruned notes that entries of a zone are gone.
func (l *Log) pruned(w *sqlfile.Conn, z, removed int64, measure bool) error {
	var err error
	if measure {
		_, err = w.Exec(measureZone, z, z*zoneRows, (z+1)*zoneRows)
	} else if removed > 0 {
		_, err = w.Exec(shrinkZone, z, removed)
	}
	if err == nil {
		_, err = w.Exec(deleteZone, z)
	}
	return err
}

// pruneOldest removes the oldest entries until keep are left.
func (l *Log) pruneOldest(ctx context.Context, keep int64) (removed int64, err error) {
	for {
		var entries, z int64
		err := l.db.Read(ctx, func(r *sqlfile.Conn) error { return r.Row(countRequests).Scan(&entries, &z) })
		surplus := entries - keep
		if err != nil || surplus <= 0 {
			return removed, err
		}
		var n int64
		err = l.db.Write(ctx, sqlfile.Normal, func(w *sqlfile.Conn) error {
			var err error
			if n, err = w.Exec(deleteOldest, z*zoneRows, (z+1)*zoneRows, min(surplus, prunedRows)); err != nil {
				return err
			}
			// Its bounds stay as they are, too wide rather than too narrow. Where there is less
			// than it should have, as a damaged file may, it is counted again.
			return l.pruned(w, z, n, n < min(surplus, prunedRows))
		})
		removed += n
		if err != nil {
			return removed, err
		}
	}
}

// shrink gives pages back to the file system where many are free.
func (l *Log) shrink(ctx context.Context) error {
	for more := true; more; {
		err := l.db.Exclusive(ctx, func(w *sqlfile.Conn) error {
			var total, free int64
			if err := w.Row(logFreePages).Scan(&total, &free); err != nil {
				return err
			}
			if more = free > max(leastFree, total/4); !more {
				return nil
			}
			return w.Run(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// EraseRequests implements requestlog.Store. The name is overwritten with zeros where it
// stood in a row, and the write-ahead log is emptied, for which it waits for the reads in
// progress and for a sync of the disk. Copies in parts of pages that nothing uses, which
// SQLite leaves when it moves rows, stay until those pages are written again.
func (l *Log) EraseRequests(ctx context.Context, tenant, user string) error {
	first, last, err := l.buckets(ctx)
	for b := first; err == nil && b <= last; b++ {
		var seqs []int64
		seqs, err = l.ofUser(ctx, b*bucketRows, user)
		for chunk := range slices.Chunk(seqs, prunedRows) {
			if err == nil {
				err = l.eraseRows(ctx, chunk, tenant, user)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("sqlite: erase a user of entries: %w", err)
	}
	if err := l.db.EmptyLog(ctx); err != nil {
		return fmt.Errorf("sqlite: the user is erased, but the name may still be in the write-ahead log: %w", err)
	}
	return nil
}

// buckets are the first and the last bucket that have entries; where none has, last is less.
func (l *Log) buckets(ctx context.Context) (first, last int64, err error) {
	low := int64(math.MinInt64)
	err = l.db.Read(ctx, func(r *sqlfile.Conn) error {
		return r.Row(selectZoneRange, int64(0), int64(math.MaxInt64/zoneRows-1), low, int64(math.MaxInt64), low, low).Scan(&first, &last)
	})
	switch {
	case first > last:
		return 0, -1, err
	case last > l.next.Load()/zoneRows:
		return 0, -1, fmt.Errorf("%w: there is no zone %d", sqlfile.ErrDamaged, last)
	}
	return first * zoneRows / bucketRows, last * zoneRows / bucketRows, err
}

// ofUser reads the numbers of a bucket's entries whose user may be the one.
func (l *Log) ofUser(ctx context.Context, bucket int64, user string) (seqs []int64, err error) {
	err = l.db.Read(ctx, func(r *sqlfile.Conn) error {
		seqs, err = list(r, selectOfUser, func(rows *sql.Rows) (seq int64, err error) {
			err = rows.Scan(&seq)
			return seq, err
		}, hashOf(bucket, user))
		return err
	})
	return seqs, err
}

func (l *Log) eraseRows(ctx context.Context, seqs []int64, tenant, user string) error {
	return l.db.Write(ctx, sqlfile.Secret, func(w *sqlfile.Conn) error {
		for _, seq := range seqs {
			erased := hashOf(seq, requestlog.ErasedUser)
			if _, err := w.Exec(eraseRequest, seq, requestlog.ErasedUser, erased, l.words.find(tenant), user); err != nil {
				return err
			}
		}
		return nil
	})
}
