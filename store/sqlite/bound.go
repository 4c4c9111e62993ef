package sqlite

import (
	"fmt"

	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	// trimRows is how many records go at once before the room is counted again,
	// which costs 14 us.
	trimRows = 64
	// slackPages is how many pages of the bound are freed at a time, or a 16th of it
	// where that is less. Each record's place in the index on the keys is somewhere
	// else, so the deletion of one writes a page of its own, and that of many together
	// fewer: with batches that make room for themselves alone a put at the bound costs
	// 60 us, with this 38 to 50. At 1 KB a record 500 pages are 3,500 records and 60 ms.
	slackPages = 500
	// trimPages is how many pages beyond those that a batch took are freed with it at
	// most. Under a bound that was lowered, the surplus goes by and by.
	trimPages = 1024
	// vacuumPages is how many pages are given back to the file system with a batch.
	vacuumPages = 256

	maxLogPages = 8000 // 64 MiB: a page that is written again and again is copied once
	minLogPages = 64
)

// logPages is how many pages the log takes before it is copied into the file: a
// quarter of the bound, within limits.
func logPages(bound int64) int64 {
	if bound == 0 {
		return maxLogPages
	}
	return min(max(bound/4, minLogPages), maxLogPages)
}

// trim makes room in a transaction that has put records: when the pages in use are
// more than the bound, those records go that were written first, and some more with
// them, so that the next batches find room.
func (c *Cache) trim(w *sqlfile.Conn) error {
	if c.bound == 0 {
		return nil
	}
	var total, free int64
	if err := w.Row(pagesInUse).Scan(&total, &free); err != nil {
		return err
	}
	used, least := total-free, c.bound
	if used > c.bound {
		least -= min(slackPages, c.bound/16)
	}
	mostFreed := max(0, used-c.used) + trimPages
	for start := used; used > least && start-used < mostFreed; used = total - free {
		n, err := w.Exec(deleteOldest, trimRows)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := w.Row(pagesInUse).Scan(&total, &free); err != nil {
			return err
		}
	}
	c.used = used
	// A little above the bound the free pages serve the next batch. Far above it, the
	// bound was lowered or a batch was huge.
	if surplus := total - c.bound - c.bound/32; surplus > 0 && free > 0 {
		return w.Run(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", min(surplus, vacuumPages)))
	}
	return nil
}
