package queuedb

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// makeRoom gives up some of the reserve when the disk is full, and refuses new jobs. It
// reports false where the rest of the group is to be tried again.
func (b *Backlog) makeRoom(culprit *write) (finished bool) {
	if !b.reserve.short() {
		b.log.Error("the disk is full: the queue takes in no new jobs until there is room", slog.String("path", b.path))
	}
	gave := b.reserve.giveUp()
	refused := false
	for _, w := range b.group {
		if w.kind == insertion && !w.out && w.err == nil {
			w.takeOut(backlog.ErrFull)
			refused = true
		}
	}
	switch {
	case gave || refused:
		return false
	case culprit != nil:
		culprit.takeOut(fmt.Errorf("%w, and none to note a change", backlog.ErrFull))
		return false
	}
	b.answerAll(fmt.Errorf("%w, and none to note a change", backlog.ErrFull))
	return true
}

// Recover implements backlog.Store: it closes the file without another sync of what
// was open, opens it anew, and has the disk show that it keeps what is written.
func (b *Backlog) Recover(ctx context.Context) error {
	err := b.do(ctx, &write{kind: recovery, done: make(chan error, 1)})
	if err != nil {
		return fmt.Errorf("sqlite: recover queue.db: %w", err)
	}
	return nil
}

// recover is Recover, in the goroutine that writes.
func (b *Backlog) recover() error {
	if b.failure.Load() == nil {
		return nil
	}
	db := b.db.Load()
	db.Unsynced.Store(true)
	_ = db.Close() // it has failed already
	if err := b.connect(); err != nil {
		return err
	}
	// What is in the log goes into the file, and both are synced: what the system had
	// only in memory when the sync failed is written again.
	err := b.db.Load().Exclusive(context.Background(), func(c *sqlfile.Conn) error {
		if err := c.SetCare(sqlfile.Durable); err != nil {
			return err
		}
		_, err := c.EmptyLog()
		return err
	})
	if err != nil {
		b.db.Load().Unsynced.Store(true)
		b.failure.Store(&failure{err})
		return err
	}
	b.logged = 0
	b.failure.Store(nil)
	b.log.Info("the queue's database has been opened anew", slog.String("path", b.path))
	return nil
}
