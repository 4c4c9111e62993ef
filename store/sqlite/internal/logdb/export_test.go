package logdb

import (
	"context"
	"encoding/binary"

	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// These let the tests of package logdb_test look at and break what is inside.

// What a page looks through at the most.
const (
	ScannedZones = scannedZones
	Candidates   = candidates
)

// Hasten has pages look through less: so many zones, or entries that an index gives.
func (l *Log) Hasten(zones, candidates int) { l.effort = effort{zones: zones, candidates: candidates} }

// Unsync has the file take a sync for failed.
func (l *Ledger) Unsync() { l.now().Unsynced.Store(true) }

// Run runs statements with the writer.
func (l *Log) Run(text string) error {
	return l.db.Exclusive(context.Background(), func(w *sqlfile.Conn) error { return w.Run(text) })
}

// Run runs statements with the writer.
func (l *Ledger) Run(text string) error {
	return l.now().Exclusive(context.Background(), func(w *sqlfile.Conn) error { return w.Run(text) })
}

// Words is how many words the file has.
func (l *Log) Words() int {
	l.words.mu.RLock()
	defer l.words.mu.RUnlock()
	return len(l.words.ids)
}

// Decode reads the two values of an entry, with a few words.
func Decode(rest, attempts []byte) error {
	w := &words{text: []string{"", "one", "two"}}
	var e requestlog.Entry
	err := readRest(rest, w, &e)
	if _, e := readAttempts(attempts, w); err == nil {
		err = e
	}
	return err
}

// Uvarint is a number as the values have it.
func Uvarint(n uint64) []byte { return binary.AppendUvarint(nil, n) }
