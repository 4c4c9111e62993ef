package queuedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	// mostPurged bounds the jobs that one Purge or a piece of a Remove takes: about 30 ms.
	mostPurged = 500
	// A file shrinks when more than half of what is in use is free beside it, and
	// freePages at least, by tidyPages at a time, which take some ms.
	freePages = 64
	tidyPages = 256
)

// Purge implements backlog.Store. It looks at up to 1,000 jobs at once, those first
// that have been due for longest, and never removes one whose record is damaged. The
// file shrinks afterwards, while nobody writes.
func (b *Backlog) Purge(ctx context.Context, now time.Time, limit int) (p backlog.Purged, more bool, err error) {
	if limit <= 0 {
		return p, true, ctx.Err()
	}
	limit = min(limit, mostPurged)
	found := struct {
		backlog.Purged
		more bool
	}{}
	err = b.call(ctx, func(w *sqlfile.Conn) error {
		b.untidy = true
		found.Purged, found.more, err = b.purge(w, micros(now), limit)
		return err
	})
	if err != nil {
		return backlog.Purged{}, false, fmt.Errorf("sqlite: purge jobs: %w", err)
	}
	return found.Purged, found.more, nil
}

// purge goes on until it has removed something: more is true only where the next call
// finds something to do.
func (b *Backlog) purge(w *sqlfile.Conn, now int64, limit int) (p backlog.Purged, more bool, err error) {
	for more = true; more && p == (backlog.Purged{}); {
		ids, err := dueIDs(w, now, 2*limit)
		if err != nil {
			return p, false, err
		}
		more = len(ids) == 2*limit
		looked := 0
		for _, id := range ids {
			left, err := b.purgeOne(w, id, now, limit, &p)
			if err = b.asDamage(backlog.ID(id), err); errors.Is(err, backlog.ErrDamaged) {
				continue
			} else if err != nil {
				return p, false, err
			}
			looked++
			more = more || left
		}
		if looked == 0 {
			return p, more, nil // all are damaged, and are passed over the next time
		}
	}
	return p, more, nil
}

// purgeOne removes what is due of a job. left is true where the limit does not allow it.
func (b *Backlog) purgeOne(w *sqlfile.Conn, id, now int64, limit int, p *backlog.Purged) (left bool, err error) {
	var rec record
	err = w.Row(writerJob, id).Scan(rec.dest()...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, badRecord("the index has a job that the table does not have")
	}
	if err != nil {
		return false, err
	}
	j, err := rec.job()
	if err != nil {
		return false, err
	}
	passed := func(t int64) bool { return t != noTime && t <= now }
	kept := rec.payload == contentKept || rec.result == contentKept
	switch {
	case passed(rec.keep) && p.Jobs == limit, !passed(rec.keep) && passed(rec.resultUntil) && kept && p.Results == limit:
		return true, nil
	case passed(rec.keep):
		p.Jobs++
		return false, b.deleteJob(w, id, j.State)
	case passed(rec.resultUntil):
		if kept {
			p.Results++
		}
		return false, dropContent(w, &rec)
	}
	_, err = w.Exec(setDue, dueOf(j.State, rec.keep, rec.resultUntil), id)
	return false, err
}

// dueIDs reads which jobs have something to be removed, by the index alone.
func dueIDs(w *sqlfile.Conn, now int64, limit int) (ids []int64, err error) {
	rows, err := w.Rows(writerDue, now, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// dropContent removes payload and result of a job, and has it due again when it is to
// be removed itself.
func dropContent(w *sqlfile.Conn, rec *record) error {
	if err := deleteContents(w, rec.id); err != nil {
		return err
	}
	_, err := w.Exec(dropContents, dueOf(backlog.Completed, rec.keep, noTime), rec.id)
	return err
}

func deleteContents(w *sqlfile.Conn, id int64) error {
	if _, err := w.Exec(deletePayload, id); err != nil {
		return err
	}
	_, err := w.Exec(deleteResult, id)
	return err
}

// deleteJob removes a job. The row goes last: where SQLite cannot read the page of a
// content, the job stays.
func (b *Backlog) deleteJob(w *sqlfile.Conn, id int64, s backlog.State) error {
	if err := deleteContents(w, id); err != nil {
		return err
	}
	if _, err := w.Exec(deleteJob, id); err != nil {
		return err
	}
	b.totals.remove(s, id)
	return nil
}

// Remove implements backlog.Store. It waits for a sync of the disk for each 500 jobs.
func (b *Backlog) Remove(ctx context.Context, ids ...backlog.ID) (removed int, err error) {
	for len(ids) > 0 && err == nil {
		part := ids[:min(len(ids), mostPurged)]
		ids = ids[len(part):]
		// The goroutine that writes may come to it when ctx has ended and ids belong to
		// the caller again.
		part = append([]backlog.ID{}, part...)
		n := new(int)
		err = b.call(ctx, func(w *sqlfile.Conn) error {
			b.untidy = true
			*n, err = b.remove(w, part)
			return err
		})
		if err == nil {
			removed += *n
		}
	}
	if err != nil {
		return removed, fmt.Errorf("sqlite: remove jobs: %w", err)
	}
	return removed, nil
}

// remove is one straight line on purpose: what each job is has to be known before it
// goes.
func (b *Backlog) remove(w *sqlfile.Conn, ids []backlog.ID) (removed int, err error) {
	anew := false
	for _, id := range ids {
		var rec record
		err := w.Row(writerJob, int64(id)).Scan(rec.dest()...)
		if errors.Is(err, sql.ErrNoRows) {
			if b.apart.has(id) { // only its note is left
				removed++
				if err := b.forget(w, id); err != nil {
					return 0, err
				}
			}
			continue
		}
		var j backlog.Job
		if err == nil {
			j, err = rec.job()
		}
		if err = b.asDamage(id, err); err != nil && !errors.Is(err, backlog.ErrDamaged) {
			return 0, err
		}
		set := b.apart.has(id)
		if !set && !j.State.Final() {
			continue
		}
		if err := b.deleteJob(w, int64(id), j.State); err != nil {
			return 0, err
		}
		removed++
		if set {
			anew = true // nobody knows as what it was counted
			if err := b.forget(w, id); err != nil {
				return 0, err
			}
		}
	}
	if anew {
		b.totals, err = b.recount(context.Background(), w, true)
	}
	return removed, err
}

func (b *Backlog) forget(w *sqlfile.Conn, id backlog.ID) error {
	b.apart.forget(id)
	_, err := w.Exec(forgetDamage, int64(id))
	return err
}

// tidy makes the file smaller by a piece where much of it is free, and copies the log
// into it when that is done.
func (b *Backlog) tidy() {
	if b.failure.Load() != nil {
		b.untidy = false
		return
	}
	err := b.db.Load().Exclusive(context.Background(), func(c *sqlfile.Conn) error {
		var total, free int64
		if err := c.Row(writerPages).Scan(&total, &free); err != nil {
			return err
		}
		if free <= max(freePages, (total-free)/2) {
			b.untidy = false
			return nil
		}
		b.logged += tidyPages
		if err := c.Run(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", tidyPages)); err != nil {
			return err
		}
		if free-tidyPages > max(freePages, (total-free)/2) {
			return nil
		}
		b.untidy = false
		// A reader that is in the way keeps the log long, and the next checkpoint cuts it.
		_, err := c.EmptyLog()
		return err
	})
	switch {
	case err == nil && b.logged >= queueLogPages:
		b.checkpoint()
	case err == nil:
	case fatal(err):
		b.untidy = false
		b.fail(err)
	default:
		b.untidy = false
		b.log.Warn("the queue's file could not be made smaller", slog.String("path", b.path), slog.Any("error", err))
	}
}
