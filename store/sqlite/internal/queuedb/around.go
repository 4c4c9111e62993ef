package queuedb

import (
	"context"
	"math"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// around goes around a page of the table that cannot be read: the next job is on it. It
// finds where the table can be read again, and does with each job that the index has up
// to there what is to be done; those that cannot be read are set apart.
func (b *Backlog) around(r *sqlfile.Conn, s *scan, do sweeper) (last bool, err error) {
	from := s.at
	var far int64 // the first place from where the next job can be read
	for step := int64(1); ; step *= 2 {
		if far, last = s.move(from, step); last {
			break
		}
		if ok, err := s.readable(r, far); err != nil {
			return false, err
		} else if ok {
			break
		}
	}
	near := s.at // from there it cannot
	for !last && distance(near, far) > 1 {
		middle := near + (far-near)/2
		ok, err := s.readable(r, middle)
		if err != nil {
			return false, err
		}
		if ok {
			far = middle
		} else {
			near = middle
		}
	}
	ids, err := s.inIndex(r, from, far)
	if err != nil && !sqlfile.Damaged(err) {
		return false, err
	}
	if err := b.each(ids, do); err != nil {
		return false, err
	}
	s.at, s.begun = far, true
	return last, nil
}

// oneByOne does with each job that the scan's index has up to end what is to be done. The
// table could not be read by the index, so only the index is asked which jobs there are.
func (b *Backlog) oneByOne(r *sqlfile.Conn, s *scan, end int64, do sweeper) error {
	condition, args := s.between(s.at, end)
	ids, err := readIDs(r, s.by()+` WHERE `+condition+` ORDER BY id `+s.order(), args...)
	if err != nil {
		return err
	}
	return b.each(ids, do)
}

// each does with jobs what is to be done, and sets those apart that cannot be read.
func (b *Backlog) each(ids []int64, do sweeper) error {
	for _, id := range ids {
		if err := do.one(id); sqlfile.Damaged(err) {
			_ = b.setApart(backlog.ID(id), damageOf(err))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// move is step IDs further, and whether that is beyond all.
func (s *scan) move(from, step int64) (to int64, beyond bool) {
	if s.up {
		if from > math.MaxInt64-step {
			return math.MaxInt64, true
		}
		return from + step, step >= math.MaxInt64/2
	}
	if from-step <= 0 {
		return 0, true
	}
	return from - step, false
}

func distance(x, y int64) int64 { return max(x-y, y-x) }

// readable reports whether the next job behind an ID can be read.
func (s *scan) readable(r *sqlfile.Conn, after int64) (bool, error) {
	var n int
	err := r.QueryRowContext(context.Background(), `SELECT count(id) FROM (SELECT id FROM jobs NOT INDEXED WHERE `+s.beyond()+
		` ORDER BY id `+s.order()+` LIMIT 1)`, after).Scan(&n)
	if sqlfile.Damaged(err) {
		return false, nil
	}
	return err == nil, err
}

// inIndex lists the jobs behind after up to end, by an index.
func (s *scan) inIndex(r *sqlfile.Conn, after, end int64) (ids []int64, err error) {
	low, high, inclusive := after, end, "id > ? AND id <= ?"
	if !s.up {
		low, high, inclusive = end, after, "id >= ? AND id < ?"
	}
	return readIDs(r, `INDEXED BY jobs_due WHERE `+inclusive+` ORDER BY id `+s.order(), low, high)
}

// readIDs reads the IDs of jobs: by which index, and which.
func readIDs(r *sqlfile.Conn, which string, args ...any) (ids []int64, err error) {
	rows, err := r.QueryContext(context.Background(), `SELECT id FROM jobs `+which, args...)
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
