package sqlfile

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// emptyEvery is how often the log is tried again that readers hold, and emptyWait how
// long one try waits for them.
const (
	emptyEvery = 20 * time.Millisecond
	emptyWait  = 20 * time.Millisecond
)

// EmptyLog copies the log into the file, syncs it, and cuts the log to nothing. It
// waits for readers until ctx ends, and lets writers go on meanwhile.
func (d *Database) EmptyLog(ctx context.Context) error {
	for {
		var busy bool
		err := d.Exclusive(ctx, func(w *Conn) error {
			var err error
			busy, err = w.EmptyLog()
			return err
		})
		if err != nil || !busy {
			return err
		}
		select {
		case <-time.After(emptyEvery):
		case <-d.Closing:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// EmptyLog tries to once, and reports whether readers are in the way.
func (c *Conn) EmptyLog() (busy bool, err error) {
	// For as long as SQLite waits, nobody writes.
	if err := c.Run(fmt.Sprintf("PRAGMA busy_timeout(%d)", emptyWait.Milliseconds())); err != nil {
		return false, err
	}
	var inLog, copied int
	err = c.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &inLog, &copied)
	return busy, errors.Join(err, c.Run(fmt.Sprintf("PRAGMA busy_timeout(%d)", busyTimeout.Milliseconds())))
}
