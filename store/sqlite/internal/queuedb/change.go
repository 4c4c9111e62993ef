package queuedb

import (
	"context"
	"database/sql"
	"errors"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
	sqlite3 "modernc.org/sqlite/lib"
)

// insert takes in a job.
func (b *Backlog) insert(c *sqlfile.Conn, w *write) error {
	var rec record
	rec.setSpec(&w.job)
	rec.setStatus(w.job.ID, &w.job.Status)
	if rec.idempotency != nil {
		old, err := b.underKey(c, writerIdempotent, rec.idempotency, w.since)
		if err != nil {
			return err
		}
		if old != nil {
			w.old = *old
			return backlog.ErrExists
		}
	}
	if b.reserve.short() && !b.reserve.again() {
		return backlog.ErrFull
	}
	rec.payload, rec.result = contentGone, contentNone
	if w.content != nil {
		rec.payload = contentKept
	}
	b.args = append(rec.statusArgs(rec.specArgs(b.args[:0])), moment(rec.hookDue), rec.due, rec.payload, rec.result)
	if _, err := c.Exec(insertJob, b.args...); err != nil {
		if sqlfile.CodeOf(err) == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY {
			return backlog.ErrExists
		}
		return err
	}
	b.totals.add(w.job.State, int64(w.job.ID))
	if w.content == nil {
		return nil
	}
	_, err := c.Exec(insertPayload, rec.id, w.content)
	return err
}

// underKey finds the job under an idempotency key that was enqueued last, if that was
// after since; nil where there is none. A job that is set apart has no key any more.
// stmt is the connection's own of the two statements.
func (b *Backlog) underKey(c *sqlfile.Conn, stmt int, key []byte, since int64) (*backlog.Job, error) {
	var rec record
	var j backlog.Job
	err := c.Row(stmt, key, since).Scan(rec.dest()...)
	if err == nil {
		j, err = rec.job()
	}
	var bad badRecord
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case errors.As(err, &bad), sqlfile.Unreadable(err), sqlfile.Damaged(err): // there may be others
		return b.underKeyOneByOne(c, key, since)
	case err != nil:
		return nil, err
	}
	return &j, nil
}

// underKeyOneByOne is underKey where the index or the table is damaged. Where the index
// cannot be read it looks at each job that can be, which takes about 1 us each.
func (b *Backlog) underKeyOneByOne(c *sqlfile.Conn, key []byte, since int64) (found *backlog.Job, err error) {
	const under = ` WHERE idempotency = ? ORDER BY id`
	ids, err := readIDs(c, `INDEXED BY jobs_idempotency`+under, key)
	if sqlfile.Damaged(err) {
		ids, err = readIDs(c, `NOT INDEXED`+under, key)
	}
	if err != nil && !sqlfile.Damaged(err) {
		return nil, err
	}
	for _, id := range ids {
		var rec record
		var j backlog.Job
		err := c.QueryRowContext(context.Background(), `SELECT `+selected()+` FROM jobs WHERE id = ?`, id).Scan(rec.dest()...)
		if err == nil {
			j, err = rec.job()
		}
		switch {
		case err != nil && !errors.Is(b.asDamage(backlog.ID(id), err), backlog.ErrDamaged) && !errors.Is(err, sql.ErrNoRows):
			return nil, err
		case err == nil && rec.enqueued > since && (found == nil || !j.Enqueued.Before(found.Enqueued)):
			found = &j
		}
	}
	return found, nil
}

// apply makes a change, or says why not.
func (b *Backlog) apply(c *sqlfile.Conn, ch *backlog.Change, result []byte) error {
	if b.apart.has(ch.ID) {
		return backlog.ErrDamaged
	}
	var rec record
	rec.setStatus(ch.ID, &ch.To)
	from := ch.From.String()
	lease := moment(micros(ch.LeaseUntil))
	b.args = rec.statusArgs(b.args[:0])
	stays := !ch.From.Final() && !ch.To.State.Final() && rec.hookDue == noTime && result == nil && !ch.DropPayload
	if stays {
		n, err := c.Exec(setStatus, append(b.args, rec.id, from, ch.Attempt, lease, lease)...)
		if err == nil && n == 1 {
			b.totals.move(ch.From, ch.To.State, rec.id)
		}
		if err != nil || n == 1 {
			return err
		}
	}
	n, err := c.Exec(setAll, append(b.args, moment(rec.hookDue), rec.due, ch.DropPayload, result != nil, rec.id, from, ch.Attempt, lease, lease)...)
	if err != nil {
		return err
	}
	if n == 0 {
		return b.unmoved(c, ch.ID)
	}
	b.totals.move(ch.From, ch.To.State, rec.id)
	if ch.DropPayload {
		b.untidy = true
		if _, err := c.Exec(deletePayload, rec.id); err != nil {
			return err
		}
	}
	if result != nil {
		_, err = c.Exec(insertResult, rec.id, result)
	}
	return err
}

// unmoved says why a change was not made.
func (b *Backlog) unmoved(c *sqlfile.Conn, id backlog.ID) error {
	var rec record
	err := c.Row(writerJob, int64(id)).Scan(rec.dest()...)
	if errors.Is(err, sql.ErrNoRows) {
		return backlog.ErrNotFound
	}
	if err == nil {
		_, err = rec.job()
	}
	if err == nil {
		return backlog.ErrConflict
	}
	return b.asDamage(id, err)
}
