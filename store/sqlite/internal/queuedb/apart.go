package queuedb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// apart are the jobs that are set apart.
type apart struct {
	news chan struct{} // has a token where fresh has something

	mu    sync.Mutex // guards all below
	jobs  map[backlog.ID]backlog.Damage
	fresh []backlog.Damage // not in the file yet
}

func (a *apart) has(id backlog.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.jobs[id]
	return ok
}

func (a *apart) empty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.jobs) == 0
}

// written says that all of them are in the file.
func (a *apart) written() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.fresh) == 0
}

// all lists them in the order of their IDs.
func (a *apart) all() []backlog.Damage {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]backlog.Damage, 0, len(a.jobs))
	for _, d := range a.jobs {
		all = append(all, d)
	}
	slices.SortFunc(all, func(x, y backlog.Damage) int { return cmp.Compare(x.ID, y.ID) })
	return all
}

func (a *apart) forget(id backlog.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.jobs, id)
	a.fresh = slices.DeleteFunc(a.fresh, func(d backlog.Damage) bool { return d.ID == id })
}

// setApart sets a job apart, tells the log once, and returns backlog.ErrDamaged. The
// note is written with the next transaction.
func (b *Backlog) setApart(id backlog.ID, reason string) error {
	a := &b.apart
	d := backlog.Damage{ID: id, Found: time.Now().UTC().Truncate(time.Microsecond), Reason: reason}
	a.mu.Lock()
	_, known := a.jobs[id]
	if !known {
		a.jobs[id] = d
		a.fresh = append(a.fresh, d)
	}
	a.mu.Unlock()
	if !known {
		b.log.Error("a job's record is damaged: the job is set apart",
			slog.String("job", id.String()), slog.String("path", b.path), slog.String("reason", reason))
		select {
		case a.news <- struct{}{}:
		default:
		}
	}
	return fmt.Errorf("%w: %s", backlog.ErrDamaged, reason)
}

// noteApart writes what is not in the file yet, and returns how much that is.
func (b *Backlog) noteApart(c *sqlfile.Conn) (int, error) {
	b.apart.mu.Lock()
	fresh := slices.Clone(b.apart.fresh)
	b.apart.mu.Unlock()
	for _, d := range fresh {
		if _, err := c.Exec(noteDamage, int64(d.ID), micros(d.Found), d.Reason); err != nil {
			return 0, err
		}
	}
	return len(fresh), nil
}

// noted says that the first n are in the file.
func (b *Backlog) noted(n int) {
	if n == 0 {
		return
	}
	b.apart.mu.Lock()
	b.apart.fresh = b.apart.fresh[min(n, len(b.apart.fresh)):]
	b.apart.mu.Unlock()
}

// loadApart reads what was set apart before.
func (b *Backlog) loadApart(c *sqlfile.Conn) error {
	rows, err := c.QueryContext(context.Background(), `SELECT id, found, reason FROM damaged`)
	if err != nil {
		return err
	}
	defer rows.Close()
	b.apart.mu.Lock()
	defer b.apart.mu.Unlock()
	for rows.Next() {
		var id, found int64
		var reason string
		if err := rows.Scan(&id, &found, &reason); err != nil {
			return err
		}
		b.apart.jobs[backlog.ID(id)] = backlog.Damage{ID: backlog.ID(id), Found: timeAt(found), Reason: reason}
	}
	return rows.Err()
}

// badRecord says what is wrong with a row that could be read.
type badRecord string

func (e badRecord) Error() string { return string(e) }

// asDamage sets a job apart where err says that its record is damaged. Other errors
// are returned as they are.
func (b *Backlog) asDamage(id backlog.ID, err error) error {
	var bad badRecord
	if err != nil && (errors.As(err, &bad) || sqlfile.Unreadable(err) || sqlfile.Damaged(err)) {
		return b.setApart(id, damageOf(err))
	}
	return err
}

// missing says what it means that a job could not be read for err.
func (b *Backlog) missing(r *sqlfile.Conn, id backlog.ID, err error) error {
	var one int
	switch {
	case errors.Is(err, sql.ErrNoRows):
		// Where a page that says the way to others is damaged, SQLite may not find what
		// is there. The index of what is unfinished knows of it.
		known := r.Row(readUnfinished, int64(id)).Scan(&one) == nil && b.lost(r, id)
		if known || b.unsound.Load() && inAnyIndex(r, id) == nil {
			return b.setApart(id, "the table does not have what its index has")
		}
		return backlog.ErrNotFound
	case sqlfile.Damaged(err):
		// The page has other jobs too, and there need not be one of this ID.
		if errors.Is(inAnyIndex(r, id), sql.ErrNoRows) {
			return backlog.ErrNotFound
		}
	}
	return b.asDamage(id, err)
}

// inAnyIndex looks for a job in an index that has all, from end to end.
func inAnyIndex(r *sqlfile.Conn, id backlog.ID) error {
	var one int
	return r.QueryRowContext(context.Background(), `SELECT 1 FROM jobs INDEXED BY jobs_due WHERE id = ?`, int64(id)).Scan(&one)
}

// lost reports whether the index has an unfinished job that the table has not. It
// looks at both as of one moment.
func (b *Backlog) lost(r *sqlfile.Conn, id backlog.ID) bool {
	if err := r.Run("BEGIN"); err != nil {
		return false
	}
	var one int
	var rec record
	inTable := r.Row(readJob, int64(id)).Scan(rec.dest()...)
	inIndex := r.Row(readUnfinished, int64(id)).Scan(&one)
	_ = r.Run("COMMIT") // it has read only
	return errors.Is(inTable, sql.ErrNoRows) && inIndex == nil
}

// Damaged implements backlog.Store. It lists them in the order of their IDs.
func (b *Backlog) Damaged(ctx context.Context, limit int) ([]backlog.Damage, error) {
	if err := b.db.Load().Usable(ctx); err != nil {
		return nil, err
	}
	all := b.apart.all()
	return all[:min(max(limit, 0), len(all))], nil
}
