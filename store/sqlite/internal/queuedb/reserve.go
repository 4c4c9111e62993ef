package queuedb

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// reserveBytes is what is kept back on the disk, so that jobs which are running can
	// end when it is full: the ends of a few hundred with results of 4 KiB, at about
	// 12 KiB each in the log.
	reserveBytes = 4 << 20
	// reserveSlack has to be free beyond the reserve before it is taken again: a disk at
	// the brink would be full again at once.
	reserveSlack = 1 << 20
	// reserveEvery is how often it is tried to take the reserve again.
	reserveEvery = 250 * time.Millisecond
)

// reserve is space on the disk that is given up when it is full. But for short, its
// methods belong to the goroutine that writes.
type reserve struct {
	path  string
	held  bool
	tried time.Time
	away  atomic.Bool // it was given up, or could not be taken
}

// short reports that the disk was full when it was last tried.
func (r *reserve) short() bool { return r.away.Load() }

// take takes the reserve where it is not there.
func (r *reserve) take() error {
	if info, err := os.Stat(r.path); err == nil && info.Size() == reserveBytes {
		r.held = true
		r.away.Store(false)
		return nil
	}
	r.tried = time.Now()
	r.away.Store(true)
	err := r.write()
	if err != nil {
		return errors.Join(err, sqlfile.Remove(r.path))
	}
	r.held = true
	r.away.Store(false)
	return nil
}

// write writes the file: a sparse one would keep nothing back.
func (r *reserve) write() error {
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	part := make([]byte, 1<<20)
	for written := 0; err == nil && written < reserveBytes+reserveSlack; written += len(part) {
		_, err = f.Write(part)
	}
	// Some file systems look for the space only when they write.
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Truncate(reserveBytes)
	}
	return errors.Join(err, f.Close())
}

// again tries to take the reserve again, now and then.
func (r *reserve) again() bool {
	if time.Since(r.tried) < reserveEvery {
		return false
	}
	return r.take() == nil
}

// giveUp gives the space back, and reports whether there was any.
func (r *reserve) giveUp() bool {
	_, err := os.Stat(r.path)
	r.held, r.tried = false, time.Now()
	r.away.Store(true)
	return err == nil && sqlfile.Remove(r.path) == nil
}

// fullDisk reports whether an error says that there is no space. SQLite says something
// else where it is the log's index that cannot grow.
func fullDisk(err error) bool {
	code := sqlfile.CodeOf(err)
	return code&0xff == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR_SHMSIZE
}

// fatal reports whether an error of a statement leaves open what is in the file.
func fatal(err error) bool {
	return sqlfile.CodeOf(err)&0xff == sqlite3.SQLITE_IOERR || sqlfile.Damaged(err) || errors.Is(err, sqlfile.ErrUnsynced)
}
