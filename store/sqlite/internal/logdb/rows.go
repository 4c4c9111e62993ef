package logdb

import (
	"context"
	"database/sql"
)

// query runs a prepared query.
type query func(ctx context.Context, args ...any) (*sql.Rows, error)

// read adds the rows of a query to the page, until one is left over: then the page is full.
// The query's last parameter is a limit.
func (f *finder) read(run query, args []any) (full bool, err error) {
	rows, err := run(context.Background(), append(args, int64(f.size+1-len(f.page.Entries)))...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	var row entryRow
	to := row.dest()
	for rows.Next() {
		if len(f.page.Entries) == f.size {
			f.page.Next = f.page.Entries[f.size-1].Seq
			return true, nil
		}
		if err := rows.Scan(to...); err != nil {
			return false, err
		}
		e, err := row.entry(&f.log.words)
		if err != nil {
			return false, err
		}
		f.page.Entries = append(f.page.Entries, e)
	}
	return false, rows.Err()
}
