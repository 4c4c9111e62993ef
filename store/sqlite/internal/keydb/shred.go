package keydb

import (
	"context"
	"fmt"

	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// Shred implements envelope.KeyStore. It waits for a sync of the disk and for the
// reads in progress, those of other programs included; it takes about 4 us for each key
// that stays. What the disk itself keeps of a block that was overwritten, and
// copies of the files elsewhere, are out of its reach.
//
// Where the keys are removed but an error kept their bytes from being overwritten
// everywhere, Shred returns both the ids and the error. To call it again is enough.
func (k *Keys) Shred(ctx context.Context, tenant, user uint64) (ids []uint64, err error) {
	err = k.write(ctx, func(w *sqlfile.Conn) error {
		ids, err = shredKeys(w, int64(tenant), int64(user))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: shred: %w", err)
	}
	if err := k.now().EmptyLog(ctx); err != nil {
		return ids, fmt.Errorf("sqlite: the keys are removed, but their bytes may still be in the files: %w", err)
	}
	return ids, nil
}

// shredKeys removes the keys of an owner, and writes the table of those that stay
// anew.
//
// To delete the rows is not enough, even under secure_delete: when SQLite moves rows
// between pages to balance a table, copies of them remain in the unused part of a
// page, of keys that are removed now or later. A page that leaves the table is
// overwritten whole. So all of them leave it. (Without this TestShredLeavesNothing
// finds a key after some 600 were saved and 300 replaced.)
func shredKeys(w *sqlfile.Conn, tenant, user int64) (ids []uint64, err error) {
	const owned = `tenant = ?1 AND ?2 IN (0, user)`
	rows, err := w.QueryContext(context.Background(), `SELECT id FROM keys WHERE `+owned, tenant, user)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, uint64(id))
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return nil, err
	}
	// The temporary table is in memory.
	if _, err := w.ExecContext(context.Background(), `CREATE TEMP TABLE staying AS SELECT * FROM keys WHERE NOT (`+owned+`)`, tenant, user); err != nil {
		return nil, err
	}
	return ids, w.Run(`
		DELETE FROM keys; -- all of it: SQLite then frees the pages without looking at the rows
		INSERT INTO keys SELECT * FROM staying ORDER BY seq;
		DROP TABLE staying`)
}
