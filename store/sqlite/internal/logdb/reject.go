package logdb

import (
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// refusal collects what a batch has that cannot be written for reasons of its own, so that it does not hold up the
// rest.
type refusal struct {
	n     int
	first error
}

// take is nil where err says that the row itself is at fault: then SQLite has undone that statement alone, and the
// transaction goes on. Else it is err.
func (r *refusal) take(err error) error {
	if err == nil || !ofItsOwn(err) {
		return err
	}
	r.n++
	if r.first == nil {
		r.first = err
	}
	return nil
}

// ofItsOwn says that another try would fail in the same way, and other rows would not: a constraint, a value of
// another type, one that is too long.
func ofItsOwn(err error) bool {
	switch sqlfile.CodeOf(err) & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return true
	}
	return false
}

// err says what of a batch was not written; nil where all of it was.
func (r *refusal) err() error {
	if r.n == 0 {
		return nil
	}
	return &ledger.RefusedError{Rows: r.n, Err: fmt.Errorf("sqlite: post to the books: %w", r.first)}
}
