package queuedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// totals are the jobs by state, those that are set apart included, and the XOR of the
// IDs of those that are queued or processing. They are written with each transaction.
type totals struct {
	jobs       [backlog.Dead + 1]int64
	unfinished int64
}

func (t *totals) add(s backlog.State, id int64) {
	t.jobs[s]++
	if !s.Final() {
		t.unfinished ^= id
	}
}

func (t *totals) remove(s backlog.State, id int64) {
	t.jobs[s]--
	if !s.Final() {
		t.unfinished ^= id
	}
}

func (t *totals) move(from, to backlog.State, id int64) {
	t.remove(from, id)
	t.add(to, id)
}

func (t *totals) sum() int64 {
	return sumOf(sumInts(sumInts(nil, t.jobs[1:]...), t.unfinished))
}

// counts are the totals that are committed.
func (b *Backlog) counts() totals {
	b.counted.Lock()
	defer b.counted.Unlock()
	return b.counted.now
}

// writeTotals writes them where the transaction has changed them.
func (b *Backlog) writeTotals(c *sqlfile.Conn) error {
	if b.totals == b.counts() {
		return nil
	}
	b.args = b.args[:0]
	for _, n := range b.totals.jobs[1:] {
		b.args = append(b.args, n)
	}
	_, err := c.Exec(writeTotals, append(b.args, b.totals.unfinished, b.totals.sum())...)
	return err
}

// readTotals reads what was written last. ok is false where that is nothing, or
// damaged.
func readTotals(c *sqlfile.Conn) (t totals, ok bool, err error) {
	var sum int64
	n := &t.jobs
	err = c.QueryRowContext(context.Background(), `SELECT queued, processing, completed, failed, timeout, cancelled, dead, unfinished, sum FROM totals`).
		Scan(&n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &t.unfinished, &sum)
	if errors.Is(err, sql.ErrNoRows) || sqlfile.Unreadable(err) {
		return totals{}, false, nil
	}
	return t, err == nil && sum == t.sum(), err
}

// recount counts the jobs that can be read, one by one if need be; those that are set
// apart only where all are asked for.
func (b *Backlog) recount(ctx context.Context, c *sqlfile.Conn, all bool) (t totals, err error) {
	count := func(where string, args ...any) error {
		rows, err := c.QueryContext(context.Background(), `SELECT id, state FROM jobs NOT INDEXED WHERE `+where, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		var part totals
		for rows.Next() {
			var id int64
			var state sql.NullString
			if err := rows.Scan(&id, &state); err != nil {
				return err
			}
			s, err := backlog.ParseState(state.String)
			if err != nil || !all && b.apart.has(backlog.ID(id)) {
				continue // it is found to be damaged by who reads it
			}
			part.add(s, id)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for s, n := range part.jobs {
			t.jobs[s] += n
		}
		t.unfinished ^= part.unfinished
		return nil
	}
	err = b.sweep(ctx, c, &scan{span: mostSpan, up: true}, sweeper{
		some: func(after, end int64) (int64, bool, error) { return end, true, count("id > ? AND id <= ?", after, end) },
		one:  func(id int64) error { return count("id = ?", id) },
	})
	return t, err
}

// Census implements backlog.Store. Of all jobs, while none is set apart, it reads
// nothing; otherwise it looks at each of them, which takes about 1 us, and of those of one
// tenant among many about 3.
func (b *Backlog) Census(ctx context.Context, tenant *string) (map[backlog.State]int, error) {
	if err := b.settled(ctx, 0); err != nil {
		return nil, err
	}
	if err := b.db.Load().Usable(ctx); err != nil {
		return nil, err
	}
	now := b.counts()
	var set int64
	if tenant != nil || !b.apart.empty() {
		err := b.read(ctx, func(r *sqlfile.Conn) (err error) {
			if err := r.Run("BEGIN"); err != nil {
				return err
			}
			if tenant != nil {
				now, err = b.censusOf(ctx, r, *tenant)
			} else {
				now, set, err = b.census(ctx, r)
			}
			_ = r.Run("ROLLBACK") // it has read only
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("sqlite: count jobs: %w", err)
		}
	}
	all := map[backlog.State]int{}
	for s, n := range now.jobs {
		if n > 0 {
			all[backlog.State(s)] = int(n)
		}
	}
	if set > 0 {
		all[0] = int(set)
	}
	return all, nil
}

// census counts the jobs of a file of which some are set apart. Every job that is not
// among those that can be read is.
func (b *Backlog) census(ctx context.Context, r *sqlfile.Conn) (now totals, damaged int64, err error) {
	was, ok, err := readTotals(r)
	if err != nil {
		return now, 0, err
	}
	if now, err = b.recount(ctx, r, false); err != nil {
		return now, 0, err
	}
	if !ok {
		return now, int64(len(b.apart.all())), nil
	}
	// A row whose ID is damaged is set apart under the wrong one, and its job as missing.
	for s := range was.jobs {
		damaged += was.jobs[s] - now.jobs[s]
	}
	return now, damaged, nil
}

// censusOf counts the jobs of a tenant by the index that has them, but for those that
// are set apart.
func (b *Backlog) censusOf(ctx context.Context, r *sqlfile.Conn, tenant string) (t totals, err error) {
	const mine = " AND tenant = ?"
	s := &scan{span: mostSpan, up: true, index: "jobs_tenant", term: "tenant = ?", args: []any{tenant}}
	err = b.sweep(ctx, r, s, sweeper{
		some: func(after, end int64) (int64, bool, error) {
			where, args := s.between(after, end)
			if s.index == "" { // it could not be read
				where, args = where+mine, append(args, tenant)
			}
			return end, true, t.count(r, s.by()+" WHERE "+where, args...)
		},
		one: func(id int64) error { return t.count(r, "NOT INDEXED WHERE id = ?"+mine, id, tenant) },
	})
	if err == nil {
		b.withoutApart(r, &t, s.by()+" WHERE id = ?"+mine, tenant) // as the same index has them
	}
	return t, err
}

// count adds the jobs of a condition, or none where one of them cannot be read. One with
// a state that there is not is found to be damaged by who reads it.
func (t *totals) count(r *sqlfile.Conn, where string, args ...any) error {
	rows, err := r.QueryContext(context.Background(), `SELECT state, count(*) FROM jobs `+where+` GROUP BY state`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	sum := *t
	for rows.Next() {
		var state sql.NullString
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return err
		}
		if s, err := backlog.ParseState(state.String); err == nil {
			sum.jobs[s] += n
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	*t = sum
	return nil
}

// withoutApart takes what can be read of the jobs that are set apart off a count. where
// finds such a job by its ID.
func (b *Backlog) withoutApart(r *sqlfile.Conn, t *totals, where string, args ...any) {
	for _, d := range b.apart.all() {
		var state string
		err := r.QueryRowContext(context.Background(), `SELECT state FROM jobs `+where, append([]any{int64(d.ID)}, args...)...).Scan(&state)
		if err != nil {
			continue
		}
		if s, err := backlog.ParseState(state); err == nil {
			t.jobs[s]--
		}
	}
}
