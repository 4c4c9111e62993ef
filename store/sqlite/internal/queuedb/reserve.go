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
	// reservePart is what is given up at a time. Others write to the disk too, and use up
	// what they find: the books, the log of calls. What a change needs is given up right
	// before it is tried again, so that little of it is theirs.
	reservePart = 64 << 10
	// reserveSlack has to be free beyond the reserve before it is whole again: a disk at
	// the brink would be full again at once.
	reserveSlack = 1 << 20
	// reserveEvery is how often it is tried to make the reserve whole again.
	reserveEvery = 250 * time.Millisecond
)

// reserve is space on the disk that is given up part by part when it is full. But for
// short, its methods belong to the goroutine that writes.
type reserve struct {
	path  string
	tried time.Time
	away  atomic.Bool // some of it was given up, or could not be taken
}

// short reports that the disk was full when it was last tried.
func (r *reserve) short() bool { return r.away.Load() }

// size is how much there is.
func (r *reserve) size() int64 {
	info, err := os.Stat(r.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// take takes what is missing of the reserve. Where there is no room for all of it, it
// stays as it was.
func (r *reserve) take() error {
	had := r.size()
	if had != reserveBytes {
		r.tried = time.Now()
		r.away.Store(true)
		if err := r.write(had); err != nil {
			return errors.Join(err, r.cut(had))
		}
	}
	r.away.Store(false)
	return nil
}

// write writes the file behind what there is of it: a sparse one would keep nothing back.
func (r *reserve) write(had int64) error {
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	part := make([]byte, 1<<20)
	for at := had; err == nil && at < reserveBytes+reserveSlack; at += int64(len(part)) {
		_, err = f.WriteAt(part, at)
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

// cut has no more than size of it left.
func (r *reserve) cut(size int64) error {
	if size <= 0 {
		return sqlfile.Remove(r.path)
	}
	return os.Truncate(r.path, size)
}

// again tries to make the reserve whole again, now and then.
func (r *reserve) again() bool {
	if time.Since(r.tried) < reserveEvery {
		return false
	}
	return r.take() == nil
}

// giveUp gives a part of the space back, and reports whether there was any.
func (r *reserve) giveUp() bool {
	had := r.size()
	r.tried = time.Now()
	r.away.Store(true)
	return had > 0 && r.cut(had-reservePart) == nil
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
