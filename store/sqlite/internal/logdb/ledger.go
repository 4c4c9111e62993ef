package logdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// Ledger is ledger.db: it implements ledger.Store. All methods may be called
// concurrently. Writes wait for one another and for a sync of the disk; reads go on
// beside them.
type Ledger struct {
	path string
	log  *slog.Logger

	mu     sync.RWMutex // guards db and closed; not held while it works
	db     *sqlfile.Database
	closed bool

	logged atomic.Int64 // about how many pages are in the log
}

var _ ledger.Store = (*Ledger)(nil)

// OpenLedger opens the file at path, or makes it. It reads all of it, at about 1 us a
// posting, for damage that SQLite can see.
func OpenLedger(path string, log *slog.Logger) (*Ledger, error) {
	l := &Ledger{path: path, log: log}
	var err error
	l.db, err = openBooks(path)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func openBooks(path string) (*sqlfile.Database, error) {
	db, err := sqlfile.Open(path, ledgerLayout())
	if errors.Is(err, sqlfile.ErrDamaged) || sqlfile.Damaged(err) {
		return nil, damagedBooks(path, err)
	}
	return db, err
}

// damagedBooks says what to do about books that cannot be trusted.
func damagedBooks(path string, err error) error {
	return &llm.Error{
		Kind:    llm.ForebayUnavailable,
		Message: fmt.Sprintf("the books of costs, %s, are damaged, and are not thrown away by themselves", path),
		Fix: "Restore the file from a backup; or save what can be read with `sqlite3 ledger.db .recover | sqlite3 new.db` and put that in its place; " +
			"or move ledger.db and ledger.db-wal away to begin with empty books",
		Err: err,
	}
}

// Close waits for the operations in progress and copies the log into the file. Operations
// that begin later fail with sqlfile.ErrClosed. It may be called more than once.
func (l *Ledger) Close() error {
	l.mu.Lock()
	l.closed = true
	db := l.db
	l.mu.Unlock()
	if err := db.Close(); err != nil {
		return fmt.Errorf("sqlite: close %s: %w", filepath.Base(l.path), err)
	}
	return nil
}

// now is the database as it is open now.
func (l *Ledger) now() *sqlfile.Database {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.db
}

// write runs do in a transaction that outlasts a power cut. Where a sync has failed
// before, what this process has read and written may not be what is on disk: then the file
// is opened anew first.
func (l *Ledger) write(ctx context.Context, care sqlfile.Care, do func(w *sqlfile.Conn) error) error {
	db := l.now()
	err := db.Write(ctx, care, do)
	if !errors.Is(err, sqlfile.ErrUnsynced) {
		return err
	}
	if db, err = l.reopen(db); err != nil {
		return err
	}
	return db.Write(ctx, care, do)
}

// reopen opens the file anew in place of failed, unless somebody has. Operations that
// still use failed end with an error.
func (l *Ledger) reopen(failed *sqlfile.Database) (*sqlfile.Database, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, sqlfile.ErrClosed
	}
	if l.db != failed {
		return l.db, nil
	}
	_ = failed.Close() // without another sync of what was open: it has failed already
	db, err := openBooks(l.path)
	if err != nil {
		return nil, err
	}
	// What is in the log goes into the file, and both are synced: what the system had only
	// in memory when the sync failed is written again.
	err = db.Exclusive(context.Background(), func(c *sqlfile.Conn) error {
		if err := c.SetCare(sqlfile.Durable); err != nil {
			return err
		}
		_, err := c.EmptyLog()
		return err
	})
	l.db = db
	if err != nil {
		db.Unsynced.Store(true) // the next write tries again
		return nil, err
	}
	l.logged.Store(0)
	l.log.Info("the books of costs have been opened anew after a sync that failed", slog.String("path", l.path))
	return db, nil
}

// Post implements ledger.Store: postings, new reservations and those that were settled
// are one transaction. A reservation that the same batch releases is none afterwards.
// Sums stick at the largest value of 63 bits, and amounts below zero count as zero. A row that cannot be written for
// reasons of its own is left out, and counted by a *ledger.RefusedError: the others are written. It waits for a
// sync of the disk.
func (l *Ledger) Post(ctx context.Context, b ledger.Batch) error {
	if len(b.Postings)+len(b.Held)+len(b.Released) == 0 {
		return l.now().Usable(ctx)
	}
	var bad refusal
	err := l.write(ctx, sqlfile.Durable, func(w *sqlfile.Conn) error {
		bad = refusal{} // it may run again
		return postBatch(ctx, w, &b, &bad)
	})
	if err != nil {
		return fmt.Errorf("sqlite: post to the books: %w", err)
	}
	// About six pages a transaction, and one for each account.
	pages := int64(6 + len(b.Postings) + len(b.Held) + len(b.Released))
	if l.logged.Add(pages) >= ledgerPages {
		l.checkpoint()
	}
	return bad.err()
}

func postBatch(ctx context.Context, w *sqlfile.Conn, b *ledger.Batch, bad *refusal) error {
	for i := range b.Postings {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := &b.Postings[i]
		if p.Amounts == (ledger.Amounts{}) {
			continue // no row of zeros
		}
		if err := bad.take(postTo(w, post, dayOf(p.Day), &p.Account, p.Amounts)); err != nil {
			return err
		}
	}
	for i := range b.Held {
		h := &b.Held[i]
		_, err := w.Exec(insertHold, append(holdValues(h), holdSum(rounded(h)))...)
		if err := bad.take(err); err != nil {
			return err
		}
	}
	for _, id := range b.Released {
		if _, err := w.Exec(deleteHold, id); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// postTo adds amounts to an account.
func postTo(w *sqlfile.Conn, stmt int, day int64, a *ledger.Account, m ledger.Amounts) error {
	args := accountValues(make([]any, 0, 20), day, a)
	for _, n := range amounts(&m) {
		*n = max(*n, 0)
		args = append(args, *n)
	}
	_, err := w.Exec(stmt, append(args, amountsSum(&m), accountSum(day, a))...)
	return err
}

// checkpoint copies the log into the file. SQLite would do it by itself, but nobody would
// hear of a sync that failed then.
func (l *Ledger) checkpoint() {
	db := l.now()
	err := db.Exclusive(context.Background(), func(c *sqlfile.Conn) error {
		var busy bool
		var inLog, copied int64
		if err := c.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &inLog, &copied); err != nil {
			return err
		}
		// Where somebody reads what was before, the rest is copied the next time.
		l.logged.Store(min(max(inLog-copied, 0), ledgerPages/2))
		return nil
	})
	if err != nil && !errors.Is(err, sqlfile.ErrClosed) {
		// What is in the log is safe there; a sync that failed is remembered, and the
		// next write opens the file anew.
		l.logged.Store(ledgerPages / 2)
		l.log.Error("the log of the books of costs could not be copied into their file", slog.String("path", l.path), slog.Any("error", err))
	}
}

// dayOf is the number of a day since 1970, in UTC.
func dayOf(t time.Time) int64 {
	const day = 24 * 60 * 60
	s := t.Unix()
	if s < 0 {
		s -= day - 1
	}
	return s / day
}

// dayTime is the midnight of a day.
func dayTime(day int64) time.Time { return time.Unix(day*24*60*60, 0).UTC() }

// amountsOf are the members of amounts.
type amountsOf [11]*int64

// amounts lists the amounts, in the order of sumColumns.
func amounts(m *ledger.Amounts) amountsOf {
	return amountsOf{
		&m.Calls, &m.Usage.Input, &m.Usage.Output, &m.Usage.CacheRead, &m.Usage.CacheWrite,
		&m.MicroUSD, &m.ComputeMicroUSD, &m.StorageMicroUSD, &m.Hits, &m.SavedMicroUSD, &m.EstimatedMicroUSD,
	}
}

// sumPrime is what checksums of amounts are taken modulo: a prime, so that one changed bit
// changes the checksum, and small enough for the checksums of four billion postings to be
// summed up.
const sumPrime = 1<<31 - 1

// amountsSum is the checksum of amounts: that of a sum is the sum of those of its parts. The
// amounts weigh differently, so that it tells when two were exchanged.
func amountsSum(m *ledger.Amounts) int64 {
	sum := int64(0)
	for i, n := range amounts(m) {
		sum = (sum + sumWeight(i)*(*n%sumPrime)) % sumPrime
	}
	return (sum + sumPrime) % sumPrime
}

// sumWeight is what the i-th amount counts for in the checksum.
func sumWeight(i int) int64 { return int64(2*i + 1) }

// accountValues appends an account as it is kept.
func accountValues(to []any, day int64, a *ledger.Account) []any {
	return append(to, day, a.Tenant, a.User, a.Key, a.Operation, a.Provider, a.Model)
}

// accountSum is the checksum of an account.
func accountSum(day int64, a *ledger.Account) int64 {
	b := binary.AppendVarint(make([]byte, 0, 256), day)
	for _, s := range [...]string{a.Tenant, a.User, a.Key, a.Operation, a.Provider, a.Model} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return int64(crc32.Checksum(b, castagnoli()))
}

// holdSum is the checksum of a reservation.
func holdSum(h *ledger.Hold) int64 {
	b := binary.AppendVarint(make([]byte, 0, 64), accountSum(dayOf(h.Day), &h.Account))
	b = binary.AppendVarint(b, h.MicroUSD)
	b = binary.AppendVarint(b, nanos(h.Expires)) // all of it, as it is on disk
	return int64(crc32.Checksum(append(b, h.ID...), castagnoli()))
}

// castagnoli is made once, by package crc32.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// expiry is when a reservation ends, to the microsecond: so much every store of books keeps.
func expiry(h *ledger.Hold) int64 { return nanos(h.Expires.Truncate(time.Microsecond)) }

// rounded is a reservation as it is kept.
func rounded(h *ledger.Hold) *ledger.Hold {
	kept := *h
	kept.Expires = timeOf(expiry(h))
	return &kept
}

func holdValues(h *ledger.Hold) []any {
	return append(accountValues([]any{h.ID}, dayOf(h.Day), &h.Account), h.MicroUSD, expiry(h))
}

// firstAccount is before every account.
func firstAccount() []any { return accountValues(nil, math.MinInt64, &ledger.Account{}) }
