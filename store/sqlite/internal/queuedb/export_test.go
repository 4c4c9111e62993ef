package queuedb

import (
	"context"
	"fmt"

	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// These let the tests of package queuedb_test look at and break what is inside.

// Commits is how many transactions were committed.
func (b *Backlog) Commits() int64 { return b.commits.Load() }

// Exclusively keeps everybody from writing while do runs.
func (b *Backlog) Exclusively(do func()) error {
	return b.db.Load().Exclusive(context.Background(), func(*sqlfile.Conn) error { do(); return nil })
}

// Run runs statements with the writer.
func (b *Backlog) Run(text string) error {
	return b.db.Load().Exclusive(context.Background(), func(w *sqlfile.Conn) error { return w.Run(text) })
}

// MaxPages has the database take this many pages at most. Zero takes the bound away.
func (b *Backlog) MaxPages(n int) error {
	if n == 0 {
		n = 1<<32 - 2
	}
	return b.Run(fmt.Sprintf("PRAGMA max_page_count=%d", n))
}

// Pages is how many pages the file has, and how many of them are free.
func (b *Backlog) Pages() (total, free int64, err error) {
	err = b.db.Load().Exclusive(context.Background(), func(w *sqlfile.Conn) error {
		return w.Row(writerPages).Scan(&total, &free)
	})
	return total, free, err
}

// Waiting is how many writes wait for their transaction.
func (b *Backlog) Waiting() int { return len(b.writes) }

// ReserveBytes is how large the reserve is.
const ReserveBytes = reserveBytes

// Fail has the next write find that a sync has failed.
func (b *Backlog) Fail() { b.db.Load().Unsynced.Store(true) }
