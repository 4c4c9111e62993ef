package keydb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// Key implements envelope.KeyStore.
func (k *Keys) Key(ctx context.Context, id uint64) (envelope.WrappedKey, error) {
	return k.oneKey(ctx, selectKey, int64(id))
}

// Newest implements envelope.KeyStore. Of keys that were created in one second it
// takes the one that was saved last, replacements not counted.
func (k *Keys) Newest(ctx context.Context, tenant, user uint64) (envelope.WrappedKey, error) {
	return k.oneKey(ctx, selectNewest, int64(tenant), int64(user))
}

func (k *Keys) oneKey(ctx context.Context, stmt int, args ...any) (key envelope.WrappedKey, err error) {
	err = k.now().Read(ctx, func(r *sqlfile.Conn) error {
		key, err = scanKey(r.Row(stmt, args...))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return envelope.WrappedKey{}, envelope.ErrNoKey
	}
	if err != nil {
		return envelope.WrappedKey{}, fmt.Errorf("sqlite: read a key: %w", err)
	}
	return key, nil
}

// WrappedByOthers implements envelope.KeyStore.
func (k *Keys) WrappedByOthers(ctx context.Context, master uint64, limit int) ([]envelope.WrappedKey, error) {
	var all []envelope.WrappedKey
	err := k.now().Read(ctx, func(r *sqlfile.Conn) error {
		rows, err := r.Rows(selectOthers, int64(master), max(0, limit)) // SQLite takes a negative one for none
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			key, err := scanKey(rows)
			if err != nil {
				return err
			}
			all = append(all, key)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: read the keys of other masters: %w", err)
	}
	return all, nil
}

// Save implements envelope.KeyStore. It waits for a sync of the disk.
func (k *Keys) Save(ctx context.Context, keys ...envelope.WrappedKey) error {
	if len(keys) == 0 {
		return k.now().Usable(ctx)
	}
	err := k.write(ctx, func(w *sqlfile.Conn) error {
		for _, key := range keys {
			if err := ctx.Err(); err != nil {
				return err
			}
			wrapped := key.Wrapped
			if wrapped == nil {
				wrapped = []byte{} // nil would be NULL
			}
			_, err := w.Exec(insertKey, int64(key.ID), int64(key.Tenant), int64(key.User), int64(key.Master), key.Created.Unix(), wrapped)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite: save %d keys: %w", len(keys), err)
	}
	return nil
}

// scanKey reads the keyColumns of a row.
func scanKey(row interface{ Scan(dest ...any) error }) (envelope.WrappedKey, error) {
	var id, tenant, user, master, created int64
	var wrapped []byte
	if err := row.Scan(&id, &tenant, &user, &master, &created, &wrapped); err != nil {
		return envelope.WrappedKey{}, err
	}
	return envelope.WrappedKey{
		ID: uint64(id), Tenant: uint64(tenant), User: uint64(user), Master: uint64(master),
		Wrapped: wrapped, Created: time.Unix(created, 0).UTC(),
	}, nil
}
