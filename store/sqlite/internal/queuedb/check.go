package queuedb

import (
	"context"
	"log/slog"
	"strings"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// check reads what b has to know of a file that was opened, and sees that the indexes
// have what the table has: their pages have no checksums of their own, and one flipped
// bit can hide half of the jobs from whoever looks for one. It takes about 3 us a job.
func (b *Backlog) check(db *sqlfile.Database) error {
	return db.Exclusive(context.Background(), func(c *sqlfile.Conn) error {
		if err := b.loadApart(c); err != nil {
			return err
		}
		if err := b.checkTable(c); err != nil {
			return err
		}
		now, ok, err := readTotals(c)
		if err != nil {
			return err
		}
		if ok && !b.reindex {
			jobs, xor, err := unfinishedInIndex(c)
			ok = err == nil && jobs == now.jobs[backlog.Queued]+now.jobs[backlog.Processing] && xor == now.unfinished
			if err != nil && !sqlfile.Damaged(err) {
				return err
			}
		}
		if !ok || b.reindex {
			if now, err = b.repair(c); err != nil {
				return err
			}
		}
		b.reindex = false
		b.counted.Lock()
		b.counted.now = now
		b.counted.Unlock()
		return nil
	})
}

// checkTable looks for damage in the table of jobs and in its indexes, and writes those
// indexes anew that are wrong.
func (b *Backlog) checkTable(c *sqlfile.Conn) error {
	f, err := findFaults(c)
	if err != nil {
		return err
	}
	if wrong := f.toWriteAnew(); len(wrong) > 0 {
		b.log.Error("indexes of the queue do not have what its jobs have: they are written anew",
			slog.String("path", b.path), slog.Any("indexes", wrong))
		for _, name := range wrong {
			if err := b.writeAnew(c, name); err != nil {
				return err
			}
		}
	}
	same, err := sameIDs(c)
	if err != nil {
		return err
	}
	if b.unsound.Store(f.table || !same); f.table || !same {
		b.log.Error("pages of the queue's table of jobs are damaged: jobs on them are set apart when they are met", slog.String("path", b.path))
	}
	return nil
}

// faults are what SQLite has found.
type faults struct {
	table   bool     // something that is not an index's, or nobody knows whose
	indexes []string // those that do not have what the table has
	unknown bool     // some index has an entry that SQLite cannot compare with others
}

// indexes of the table of jobs. The first two have all jobs.
var indexes = [...]string{"jobs_due", "jobs_tenant", "jobs_hooks", "jobs_idempotency"}

// findFaults has SQLite look at every page of the table and its indexes, and look up each
// job in each index, as a query does. It stops after 100 messages.
func findFaults(c *sqlfile.Conn) (f faults, err error) {
	roots, err := rootsOfIndexes(c)
	if err != nil {
		return f, err
	}
	found := map[string]bool{}
	err = eachMessage(c, "PRAGMA integrity_check(jobs)", func(message string) {
		if name := indexIn(message, roots); name != "" {
			found[name] = true
		} else {
			f.table = true
		}
	})
	if sqlfile.Damaged(err) { // it goes no further then, and does not say where it was
		f.table, err = false, eachMessage(c, "PRAGMA quick_check(jobs)", func(message string) {
			// Bytes that two entries of a page use are told of without the tree.
			f.table = f.table || indexIn(message, roots) == "" && !strings.HasPrefix(message, "Multiple uses ")
		})
		f.table = f.table || sqlfile.Damaged(err)
		f.unknown = !f.table
	}
	if err != nil && !sqlfile.Damaged(err) {
		return f, err
	}
	for _, name := range indexes {
		if found[name] {
			f.indexes = append(f.indexes, name)
		}
	}
	return f, nil
}

// eachMessage runs a check of SQLite's and hands on what it finds.
func eachMessage(c *sqlfile.Conn, check string, do func(message string)) error {
	rows, err := c.QueryContext(context.Background(), check)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var messages string
		if err := rows.Scan(&messages); err != nil {
			return err
		}
		for message := range strings.SplitSeq(messages, "\n") {
			if message != "ok" && !strings.HasPrefix(message, "***") { // a heading
				do(message)
			}
		}
	}
	return rows.Err()
}

// rootsOfIndexes are the numbers of the indexes' first pages.
func rootsOfIndexes(c *sqlfile.Conn) (map[string]string, error) {
	rows, err := c.QueryContext(context.Background(), `SELECT name, rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'jobs'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	roots := map[string]string{}
	for rows.Next() {
		var name, root string
		if err := rows.Scan(&name, &root); err != nil {
			return nil, err
		}
		roots[name] = root
	}
	return roots, rows.Err()
}

// indexIn is the index that a message of SQLite's is about, or "": "row 7 missing from index
// jobs_due", or "Tree 4 page 17: ...", where the tree has the number of its first page.
func indexIn(message string, roots map[string]string) string {
	_, about, _ := strings.Cut(message, " index ")
	tree, _, _ := strings.Cut(strings.TrimPrefix(message, "Tree "), " ")
	for _, name := range indexes {
		if about == name || tree == roots[name] {
			return name
		}
	}
	return ""
}

// toWriteAnew are the indexes that are wrong. Where both of those that have all jobs
// do not have what the table has, it is the table that is wrong: they stay as they are,
// and know of jobs that the table has lost.
func (f *faults) toWriteAnew() []string {
	if f.unknown {
		return indexes[:]
	}
	if len(f.indexes) >= 2 && f.indexes[0] == indexes[0] && f.indexes[1] == indexes[1] {
		return nil
	}
	return f.indexes
}

// writeAnew makes an index, or all of those of a table, from the table. That the pages of
// the table cannot be read is found again by who reads jobs.
func (b *Backlog) writeAnew(c *sqlfile.Conn, name string) error {
	err := c.Run("REINDEX " + name)
	if err == nil {
		// The column has no checksum, and says nothing of a job that is not final: where it
		// is wrong the index was right.
		err = c.Run("UPDATE jobs NOT INDEXED SET due = 0 WHERE due <> 0 AND state IN ('queued', 'processing')")
	}
	if err != nil {
		b.log.Error("the queue's indexes could not be written anew", slog.String("path", b.path), slog.Any("error", err))
		if !sqlfile.Damaged(err) {
			return err
		}
	}
	return nil
}

// sameIDs reports whether the table has the jobs that its index has: an ID that is another
// one now is in order otherwise.
func sameIDs(c *sqlfile.Conn) (bool, error) {
	var ids [2]struct{ jobs, low, high int64 }
	for i, by := range []string{"NOT INDEXED", "INDEXED BY jobs_due"} {
		err := c.QueryRowContext(context.Background(), `SELECT count(*), ifnull(sum(id & 4294967295), 0), ifnull(sum(id >> 32), 0) FROM jobs `+by).
			Scan(&ids[i].jobs, &ids[i].low, &ids[i].high)
		if sqlfile.Damaged(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return ids[0] == ids[1], nil
}

// unfinishedInIndex counts the jobs that the index has as unfinished.
func unfinishedInIndex(c *sqlfile.Conn) (jobs, xor int64, err error) {
	rows, err := c.QueryContext(context.Background(), `SELECT id FROM jobs INDEXED BY jobs_due WHERE due = 0`)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return 0, 0, err
		}
		jobs, xor = jobs+1, xor^id
	}
	return jobs, xor, rows.Err()
}

// repair writes the indexes anew and counts the jobs. It is a new file's way too.
func (b *Backlog) repair(c *sqlfile.Conn) (totals, error) {
	var some int
	err := c.QueryRowContext(context.Background(), `SELECT count(*) FROM (SELECT 1 FROM jobs NOT INDEXED LIMIT 1)`).Scan(&some)
	if err == nil && some == 0 {
		return totals{}, nil
	}
	b.log.Error("the queue's indexes do not have what its jobs have: they are written anew", slog.String("path", b.path))
	if err := b.writeAnew(c, "jobs"); err != nil {
		return totals{}, err
	}
	return b.recount(context.Background(), c, true)
}
