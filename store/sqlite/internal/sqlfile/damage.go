package sqlfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrDamaged is in the chain of the errors that say that a database file is damaged.
// The store stays open and answers what it still can; the next Open sets the file
// aside and begins a new one.
var ErrDamaged = errors.New("sqlite: the database is damaged")

const (
	suspectSuffix = ".suspect"
	damagedSuffix = ".damaged-"
	damagedKept   = 2 // files that are set aside are as large as the cache was
)

// CodeOf is SQLite's extended result code in an error's chain, or zero.
func CodeOf(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// Damaged reports whether an error says that the file is not what it was.
func Damaged(err error) bool {
	if errors.Is(err, ErrDamaged) {
		return true
	}
	switch code := CodeOf(err); code & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return true
	default:
		return code == sqlite3.SQLITE_IOERR_READ || code == sqlite3.SQLITE_IOERR_SHORT_READ
	}
}

// ErrUnreadable stands for a value that is not of its column's type.
var ErrUnreadable = errors.New("a value is not of the type of its column")

// Unreadable reports whether database/sql could not convert a value: every column has a
// type that only values of that type are written to, so the row is damaged. There is no
// error to compare with; the words are those of (*sql.Rows).Scan.
func Unreadable(err error) bool {
	return err != nil && CodeOf(err) == 0 && strings.Contains(err.Error(), "sql: Scan error on column")
}

// suspect leaves a note that the file at path is damaged, for the next start.
func suspect(path string) error {
	return os.WriteFile(path+suspectSuffix, nil, 0o600)
}

// Suspected reports whether there is such a note.
func Suspected(path string) bool {
	_, err := os.Lstat(path + suspectSuffix)
	return err == nil
}

// SetAside renames a database that nobody has open, with its log, and returns its
// new name. Of those that were set aside it keeps the newest two.
//
// It may be cut short at any point. The note goes last, so that the next start goes
// on where this one ended; and the log goes before the database, since SQLite would
// replay a log that it finds beside a new file.
func SetAside(path string, now time.Time) (string, error) {
	if err := suspect(path); err != nil {
		return "", err
	}
	aside := path + damagedSuffix + fmt.Sprint(now.Unix())
	for at := now; exists(aside) || exists(aside+"-wal"); aside = path + damagedSuffix + fmt.Sprint(at.Unix()) {
		at = at.Add(time.Second)
	}
	for _, suffix := range []string{"-wal", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	if err := Remove(path + "-shm"); err != nil {
		return "", err
	}
	if err := RemoveDamaged(path, damagedKept); err != nil {
		return "", err
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return "", err
	}
	return aside, Remove(path + suspectSuffix)
}

// RemoveDamaged removes what was set aside of the database at path, but for the
// newest keep.
func RemoveDamaged(path string, keep int) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	var names []string // ascending by time: the numbers have one length until the year 2286
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(path)+damagedSuffix) {
			names = append(names, strings.TrimSuffix(e.Name(), "-wal"))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names[:max(0, len(names)-keep)] {
		old := filepath.Join(filepath.Dir(path), name)
		if err := errors.Join(Remove(old), Remove(old+"-wal")); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes a file that need not be there.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
