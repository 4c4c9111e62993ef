package queuedb

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	// mostSpan is how many jobs are walked over in one statement: about 5 ms.
	mostSpan  = 4096
	leastSpan = 64

	defaultPage = 100
	mostPage    = 10_000
)

// scan is a walk over the jobs in the order of their IDs, or against it. It goes by an
// index, or by the table itself.
type scan struct {
	at    int64 // the last ID that is done with
	begun bool  // at is; until then the scan begins with at
	span  int   // how many jobs to walk over at once
	up    bool  // towards larger IDs
	index string
	term  string // what the index has, with an argument
	args  []any
}

// sweeper is what is done with the jobs on the way.
type sweeper struct {
	// some does it with the jobs behind after up to end, both in the direction of the
	// scan. It returns how far it came, and false where that is enough.
	some func(after, end int64) (to int64, goOn bool, err error)
	// one does it with one job.
	one func(id int64) error
}

// List implements backlog.Store. What is unfinished, of one tenant, or has a webhook due
// is found by an index; other queries walk over the jobs, which takes about 1 us each.
func (b *Backlog) List(ctx context.Context, q backlog.Query) ([]backlog.Job, error) {
	if err := b.settled(ctx, 0); err != nil {
		return nil, err
	}
	limit := defaultPage
	if q.Limit > 0 {
		limit = min(q.Limit, mostPage)
	}
	var page []backlog.Job
	err := b.read(ctx, func(r *sqlfile.Conn) (err error) {
		s := scanOf(&q, limit)
		page, err = b.list(ctx, r, &q, s, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: list jobs: %w", err)
	}
	return page, nil
}

// scanOf chooses the way.
func scanOf(q *backlog.Query, limit int) *scan {
	s := &scan{at: int64(q.After), span: min(max(limit, leastSpan), mostSpan), up: !q.Newest}
	if q.Newest && q.After == 0 {
		s.at = math.MaxInt64
	} else {
		s.begun = true
	}
	switch {
	case q.HooksDue:
		s.index, s.term = "jobs_hooks", "hook_due IS NOT NULL"
	case onlyUnfinished(q):
		s.index, s.term = "jobs_due", "due = 0"
	case q.Tenant != nil:
		s.index, s.term, s.args = "jobs_tenant", "tenant = ?", []any{*q.Tenant}
	}
	return s
}

func onlyUnfinished(q *backlog.Query) bool {
	for _, s := range q.States {
		if s.Final() {
			return false
		}
	}
	return len(q.States) > 0
}

func (b *Backlog) list(ctx context.Context, r *sqlfile.Conn, q *backlog.Query, s *scan, limit int) ([]backlog.Job, error) {
	l := &lister{b: b, r: r, q: q, order: s.order()}
	// What is asked for besides the index is looked at in SQL, so that only what is
	// listed is read whole. A damaged row is found by who looks at it, so the state of an
	// unfinished one is looked at here.
	where, args := asked(q, s)
	err := b.sweep(ctx, r, s, sweeper{
		some: func(after, end int64) (int64, bool, error) {
			room, before := limit-len(l.page), len(l.page)
			condition, values := s.between(after, end)
			rows, last, err := l.read(s.by(), condition+where, append(values, args...), room)
			if err != nil {
				l.page = l.page[:before] // they are read again, one by one if need be
				return after, true, err
			}
			if rows == room { // there may be more up to end
				end = last
			}
			return end, len(l.page) < limit, nil
		},
		one: func(id int64) error {
			if len(l.page) >= limit {
				return nil
			}
			rows, _, err := l.read("NOT INDEXED", "id = ?", []any{id}, 1)
			if err == nil && rows == 0 {
				_ = b.missing(r, backlog.ID(id), sql.ErrNoRows) // it is left out
			}
			return err
		},
	})
	return l.page, err
}

// lister reads a page of jobs.
type lister struct {
	b     *Backlog
	r     *sqlfile.Conn
	q     *backlog.Query
	order string
	page  []backlog.Job
}

// read adds the jobs of a condition to the page, and says how many rows there were and
// which was the last. Those that are damaged are left out.
func (l *lister) read(by, condition string, values []any, limit int) (rows int, last int64, err error) {
	found, err := l.r.QueryContext(context.Background(), `SELECT `+selected()+` FROM jobs `+by+` WHERE `+condition+
		` ORDER BY id `+l.order+` LIMIT ?`, append(values, limit)...)
	if err != nil {
		return 0, 0, err
	}
	defer found.Close()
	var rec record
	dest := rec.dest()
	for found.Next() {
		rows++
		err := found.Scan(dest...)
		last = rec.id
		var j backlog.Job
		if err == nil {
			j, err = rec.job()
		}
		switch {
		case err != nil:
			_ = l.b.asDamage(backlog.ID(rec.id), err) // it is left out
		case matches(l.q, &j) && !l.b.apart.has(j.ID):
			l.page = append(l.page, j)
		}
	}
	return rows, last, found.Err()
}

// asked is what a query asks besides what the scan's index has.
func asked(q *backlog.Query, s *scan) (where string, args []any) {
	equal := func(column, value string) {
		where, args = where+" AND "+column+" = ?", append(args, value)
	}
	if q.Tenant != nil && s.index != "jobs_tenant" {
		equal("tenant", *q.Tenant)
	}
	if q.User != nil {
		equal("user", *q.User)
	}
	if q.Operation != nil {
		equal("operation", *q.Operation)
	}
	if q.CustomID != "" {
		equal("custom_id", q.CustomID)
	}
	if len(q.States) > 0 && s.index != "jobs_due" {
		where += " AND state IN (" + strings.TrimSuffix(strings.Repeat("?,", len(q.States)), ",") + ")"
		for _, state := range q.States {
			args = append(args, state.String())
		}
	}
	return where, args
}

// matches reports whether a query selects a job that was found on its way.
func matches(q *backlog.Query, j *backlog.Job) bool {
	is := func(want *string, text string) bool { return want == nil || *want == text }
	state := len(q.States) == 0
	for _, s := range q.States {
		state = state || s == j.State
	}
	return state && is(q.Tenant, j.Tenant) && is(q.User, j.User) && is(q.Operation, j.Operation) &&
		(q.CustomID == "" || q.CustomID == j.CustomID) && (!q.HooksDue || !j.Hook.Due.IsZero())
}

func (s *scan) by() string {
	if s.index == "" {
		return "NOT INDEXED"
	}
	return "INDEXED BY " + s.index
}

func (s *scan) order() string {
	if s.up {
		return "ASC"
	}
	return "DESC"
}

func (s *scan) beyond() string {
	switch {
	case s.up:
		return "id > ?"
	case s.begun:
		return "id < ?"
	default:
		return "id <= ?"
	}
}

// between is the condition of what lies behind after up to end.
func (s *scan) between(after, end int64) (string, []any) {
	condition, args := s.beyond()+" AND id <= ?", []any{after, end}
	if !s.up {
		condition = s.beyond() + " AND id >= ?"
	}
	if s.term != "" {
		condition, args = s.term+" AND "+condition, append(append([]any{}, s.args...), args...)
	}
	return condition, args
}

// sweep walks over the jobs in pieces, so that it ends soon after ctx has. Where the table
// does not give the jobs that an index has, it asks for them one by one: on a page that is
// damaged some are found and others not. Where SQLite cannot read an index, it goes by
// the table; where it cannot read a page of the table then, it goes around it.
//
// It comes to an end because each round goes further, or over fewer jobs. It is one
// loop on purpose: every way on depends on what went wrong before.
func (b *Backlog) sweep(ctx context.Context, r *sqlfile.Conn, s *scan, do sweeper) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		end, jobs, err := s.next(r)
		if err == nil && jobs > 0 && !s.ahead(end) {
			err = sqlfile.ErrDamaged // a page has the wrong IDs
		}
		if err == nil && jobs == 0 {
			return nil
		}
		bad := sqlfile.Damaged(err)
		unread := false // only the contents of rows
		if err == nil {
			to, goOn, rowsErr := do.some(s.at, end)
			if rowsErr == nil {
				if !s.ahead(to) {
					to = end
				}
				last := jobs < s.span && to == end
				s.at, s.begun, s.span = to, true, min(s.span*4, mostSpan)
				if last || !goOn {
					return nil
				}
				continue
			}
			err, bad, unread = rowsErr, sqlfile.Damaged(rowsErr), true
		}
		switch {
		case !bad:
			return err
		case s.index != "" && unread && b.oneByOne(r, s, end, do) == nil:
			s.at, s.begun = end, true
		case s.index != "":
			s.index, s.term, s.args = "", "", nil
		case s.span > 1:
			s.span = max(s.span/16, 1)
		case unread:
			_ = b.setApart(backlog.ID(end), damageOf(err)) // it is left out
			s.at, s.begun = end, true
		default:
			if last, err := b.around(r, s, do); err != nil || last {
				return err
			}
		}
	}
}

// ahead reports whether an ID lies further on the way.
func (s *scan) ahead(id int64) bool {
	switch {
	case !s.begun && !s.up:
		return id <= s.at
	case s.up:
		return id > s.at
	default:
		return id < s.at
	}
}

// next says where the next span ends, and how many jobs are in it.
func (s *scan) next(r *sqlfile.Conn) (end int64, jobs int, err error) {
	outer, where, args := "max(id)", s.beyond(), []any{s.at}
	if !s.up {
		outer = "min(id)"
	}
	if s.term != "" {
		where, args = s.term+" AND "+where, append(append([]any{}, s.args...), args...)
	}
	err = r.QueryRowContext(context.Background(), `SELECT coalesce(`+outer+`, 0), count(*) FROM (SELECT id FROM jobs `+s.by()+
		` WHERE `+where+` ORDER BY id `+s.order()+` LIMIT ?)`, append(args, s.span)...).Scan(&end, &jobs)
	return end, jobs, err
}
