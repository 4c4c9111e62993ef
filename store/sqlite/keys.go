package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/forebay-ai/forebay/envelope"
)

// Key implements envelope.KeyStore.
func (c *Cache) Key(ctx context.Context, id uint64) (envelope.WrappedKey, error) {
	return c.oneKey(ctx, selectKey, int64(id))
}

// Newest implements envelope.KeyStore. Of keys that were created in one second it
// takes the one that was saved last, replacements not counted.
func (c *Cache) Newest(ctx context.Context, tenant, user uint64) (envelope.WrappedKey, error) {
	return c.oneKey(ctx, selectNewest, int64(tenant), int64(user))
}

func (c *Cache) oneKey(ctx context.Context, stmt int, args ...any) (k envelope.WrappedKey, err error) {
	err = c.db.read(ctx, func(r *conn) error {
		k, err = scanKey(r.row(stmt, args...))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return envelope.WrappedKey{}, envelope.ErrNoKey
	}
	if err != nil {
		return envelope.WrappedKey{}, fmt.Errorf("sqlite: read a key: %w", err)
	}
	return k, nil
}

// WrappedByOthers implements envelope.KeyStore.
func (c *Cache) WrappedByOthers(ctx context.Context, master uint64, limit int) ([]envelope.WrappedKey, error) {
	var all []envelope.WrappedKey
	err := c.db.read(ctx, func(r *conn) error {
		rows, err := r.rows(selectOthers, int64(master), max(0, limit)) // SQLite takes a negative one for none
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			k, err := scanKey(rows)
			if err != nil {
				return err
			}
			all = append(all, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: read the keys of other masters: %w", err)
	}
	return all, nil
}

// Save implements envelope.KeyStore. It waits for a sync of the disk.
func (c *Cache) Save(ctx context.Context, keys ...envelope.WrappedKey) error {
	if len(keys) == 0 {
		return c.db.usable(ctx)
	}
	// secret, since pages of the table that become free have keys in them.
	err := c.db.write(ctx, secret, func(w *conn) error {
		for _, k := range keys {
			if err := ctx.Err(); err != nil {
				return err
			}
			_, err := w.exec(insertKey, int64(k.ID), int64(k.Tenant), int64(k.User), int64(k.Master), k.Created.Unix(), blob(k.Wrapped))
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
