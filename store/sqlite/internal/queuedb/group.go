package queuedb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// mostGrouped bounds the writes of one transaction.
const mostGrouped = 256

// write is a change of the queue that waits for its transaction.
type write struct {
	kind    writeKind
	job     backlog.Job // of an insertion
	since   int64
	old     backlog.Job // its answer, with ErrExists
	change  backlog.Change
	content []byte // a copy of the payload or the result; nil: none
	room    []byte // what content is in
	do      func(w *sqlfile.Conn) error
	done    chan error // has room for the answer
	taken   atomic.Int32
	group   *unsettled // to be read once it is taken

	// These belong to the goroutine that writes.
	answered bool
	// out says that it is not made any more: err is its answer, whatever becomes of the
	// others. Without it err is a verdict on what this transaction would write.
	out bool
	err error
}

// takeOut keeps a write from being made.
func (w *write) takeOut(err error) { w.err, w.out = err, true }

// What becomes of a write: whoever is first, its caller who goes away or the goroutine
// that writes, decides.
const (
	waits int32 = iota
	taken
	withdrawn
)

type writeKind uint8

const (
	insertion writeKind = iota + 1
	change
	call     // do, in a transaction
	recovery // opens the file anew, outside of a transaction
)

// mostKept bounds the room for contents that a write that waits for use keeps.
const mostKept = 64 << 10

func (b *Backlog) newWrite() *write {
	if w, ok := b.pool.Get().(*write); ok {
		return w
	}
	return &write{done: make(chan error, 1)}
}

// free gives w back for the next one. Nobody may have it any more.
func (b *Backlog) free(w *write) {
	if mutantAckBeforeSync || cap(w.room) > mostKept {
		return
	}
	*w = write{done: w.done, room: w.room[:0]}
	b.pool.Put(w)
}

// copyContent keeps a copy: the caller may go away before the write is made.
func (w *write) copyContent(content []byte) {
	if content == nil {
		return
	}
	w.room = append(w.room[:0], content...)
	if w.content = w.room; w.content == nil {
		w.content = []byte{}
	}
}

// do has a write made, and waits for the answer or for the end of ctx.
func (b *Backlog) do(ctx context.Context, w *write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.failure.Load() != nil && w.kind != recovery {
		return b.unavailable()
	}
	select {
	case <-b.closing: // first: the others may be ready as well
		return sqlfile.ErrClosed
	default:
	}
	select {
	case b.writes <- w:
	case <-b.closing:
		return sqlfile.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		if !w.taken.CompareAndSwap(waits, withdrawn) {
			w.group.add(w.id()) // it may be made yet: who reads the job to know waits for that
		}
		return ctx.Err()
	case <-b.stopped:
	}
	select {
	case err := <-w.done:
		return err
	default:
		return sqlfile.ErrClosed
	}
}

// id is the job that is written; 0 means several.
func (w *write) id() backlog.ID {
	switch w.kind {
	case insertion:
		return w.job.ID
	case change:
		return w.change.ID
	default:
		return 0
	}
}

// call runs do in a transaction with other writes.
func (b *Backlog) call(ctx context.Context, do func(w *sqlfile.Conn) error) error {
	return b.do(ctx, &write{kind: call, do: do, done: make(chan error, 1)})
}

// run makes the writes until close.
func (b *Backlog) run() {
	defer close(b.stopped)
	for {
		select {
		case w := <-b.writes:
			b.gather(w)
			b.commit()
		case <-b.apart.news:
			b.group = b.group[:0]
			b.commit()
		case <-b.closing:
			return
		}
		for b.untidy && len(b.writes) == 0 {
			b.tidy()
		}
	}
}

// gather takes the writes that wait. Those who were just answered are let run first:
// with what they write next, a group of all that keep writing comes together, where
// otherwise the first of them would get a transaction of its own.
func (b *Backlog) gather(first *write) {
	u := &unsettled{done: make(chan struct{})}
	b.unsettled.Store(u)
	b.group = b.group[:0]
	take := func(w *write) {
		w.group = u
		if w.taken.CompareAndSwap(waits, taken) {
			b.group = append(b.group, w)
		}
	}
	take(first)
	runtime.Gosched()
	for len(b.group) < mostGrouped {
		select {
		case w := <-b.writes:
			take(w)
		default:
			return
		}
	}
}

// commit makes the writes of the group, and answers them.
func (b *Backlog) commit() {
	for i := 0; i < len(b.group); {
		if w := b.group[i]; w.kind == recovery {
			w.err = b.recover()
			b.group = append(b.group[:i], b.group[i+1:]...)
			w.done <- w.err
			continue
		}
		i++
	}
	for len(b.group) > 0 || !b.apart.written() {
		if b.attempt() {
			break
		}
	}
	if u := b.unsettled.Swap(nil); u != nil {
		close(u.done)
	}
	for _, w := range b.group {
		if !w.answered {
			w.done <- w.err // from here on w belongs to its caller
		}
	}
	clear(b.group)
}

// attempt makes the writes of the group that were not taken out, in one transaction. It
// reports false where one of them was taken out and the others are to be made again.
// It is one function on purpose: what failed, and how far it came, decides what follows.
func (b *Backlog) attempt() (finished bool) {
	for _, w := range b.group {
		if !w.out {
			w.err = nil // a verdict of a transaction that was undone is none
		}
	}
	if b.failure.Load() != nil {
		b.answerAll(b.unavailable())
		return true
	}
	var culprit *write
	committing, noted := false, 0
	db := b.db.Load()
	err := db.Exclusive(context.Background(), func(c *sqlfile.Conn) error {
		err := b.begin(c)
		for i := 0; err == nil && i < len(b.group); i++ {
			culprit = b.group[i]
			err = b.make(c, culprit)
		}
		if err == nil {
			culprit = nil
			if noted, err = b.noteApart(c); err == nil {
				err = b.writeTotals(c)
			}
		}
		if mutantAckBeforeSync && err == nil {
			b.answerEarly(b.group...)
		}
		if err == nil {
			committing = true
			_, err = c.Exec(commit)
		}
		if err != nil {
			_ = c.Run("ROLLBACK") // where SQLite has undone it already this fails
		}
		return err
	})
	if err != nil {
		return b.undone(err, culprit, committing)
	}
	b.noted(noted)
	b.committed()
	return true
}

// begin begins a transaction, which is synced unless all of it is relaxed.
func (b *Backlog) begin(c *sqlfile.Conn) error {
	b.totals = b.counts()
	want := sqlfile.Normal
	for _, w := range b.group {
		if w.kind != change || !w.change.Relaxed {
			want = sqlfile.Durable
		}
	}
	if err := c.SetCare(want); err != nil {
		return err
	}
	_, err := c.Exec(begin)
	return err
}

// make makes one write. Where its condition fails, that is its error, and the
// transaction goes on; any other error is returned.
func (b *Backlog) make(c *sqlfile.Conn, w *write) error {
	if w.out {
		return nil
	}
	var err error
	switch w.kind {
	case insertion:
		w.old = backlog.Job{}
		err = b.insert(c, w)
	case change:
		err = b.apply(c, &w.change, w.content)
	default:
		err = w.do(c)
	}
	switch {
	case errors.Is(err, backlog.ErrExists), errors.Is(err, backlog.ErrConflict), errors.Is(err, backlog.ErrNotFound),
		errors.Is(err, backlog.ErrDamaged), errors.Is(err, backlog.ErrFull):
		w.err = err
		return nil
	case err == nil && w.kind == change && w.change.Relaxed:
		b.answerEarly(w)
	}
	return err
}

// answerEarly answers writes before they are committed.
func (b *Backlog) answerEarly(early ...*write) {
	for _, w := range early {
		if !w.answered {
			w.group.add(w.id())
			w.answered = true
			w.done <- w.err
		}
	}
}

// answerAll answers with err what was not taken out. Verdicts fall with the
// transaction that they are about: a job that exists because of a write beside it does
// not exist if that was not stored.
func (b *Backlog) answerAll(err error) {
	for _, w := range b.group {
		if !w.out {
			w.err = err
		}
	}
}

// undone decides what follows from a transaction that failed. It reports false where
// the rest of the group is to be tried again.
func (b *Backlog) undone(err error, culprit *write, committing bool) (finished bool) {
	switch {
	case fullDisk(err):
		return b.makeRoom(culprit)
	case culprit != nil && culprit.kind == change && sqlfile.Damaged(err):
		// Only this one job is where SQLite cannot read.
		culprit.takeOut(b.setApart(culprit.change.ID, damageOf(err)))
		return false
	case culprit != nil && (!fatal(err) || culprit.kind == call && sqlfile.Damaged(err)):
		culprit.takeOut(fmt.Errorf("sqlite: write to queue.db: %w", err))
		return false
	case culprit == nil && !committing && !fatal(err):
		b.answerAll(fmt.Errorf("sqlite: begin to write to queue.db: %w", err)) // somebody else holds its lock
		return true
	}
	b.fail(err)
	// What was written may be found after the next start nevertheless.
	b.answerAll(fmt.Errorf("sqlite: write to queue.db: %w", err))
	return true
}

// fail has nothing written any more until Recover.
func (b *Backlog) fail(err error) {
	b.reindex = b.reindex || sqlfile.Damaged(err)
	b.db.Load().Unsynced.Store(true)
	if b.failure.CompareAndSwap(nil, &failure{err}) {
		b.log.Error("the queue's database could not be written: nothing is written until it has been opened anew",
			slog.String("path", b.path), slog.Any("error", err))
	}
}

// committed notes what a transaction has changed.
func (b *Backlog) committed() {
	b.commits.Add(1)
	b.counted.Lock()
	b.counted.now = b.totals
	b.counted.Unlock()
	// About six pages a transaction, one a write, and what contents take.
	pages := 6
	for _, w := range b.group {
		pages += 1 + len(w.content)/sqlfile.PageBytes
	}
	if b.logged += pages; b.logged >= queueLogPages { // by whoever writes, so that the log does not outgrow it
		b.checkpoint()
	}
}

// checkpoint copies the log into the file. SQLite would do it by itself, but nobody
// would hear of a sync that failed then.
func (b *Backlog) checkpoint() {
	err := b.db.Load().Exclusive(context.Background(), func(c *sqlfile.Conn) error {
		var busy bool
		var inLog, copied int
		if err := c.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &inLog, &copied); err != nil {
			return err
		}
		// Where somebody reads what was before, the rest is copied the next time.
		b.logged = min(max(inLog-copied, 0), queueLogPages/2)
		return nil
	})
	switch {
	case fullDisk(err):
		b.reserve.giveUp() // it stays in the log until there is room
		b.logged = queueLogPages / 2
	case err != nil:
		b.fail(err)
	}
}
