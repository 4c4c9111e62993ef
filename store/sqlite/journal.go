package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// Invalidate implements cache.Journal. It waits for a sync of the disk.
func (c *Cache) Invalidate(ctx context.Context, m cache.Match, at time.Time) (cache.Invalidation, error) {
	when, err := nanos(at)
	if err != nil {
		return cache.Invalidation{}, err
	}
	inv := cache.Invalidation{Match: m, At: timeOf(when)}
	err = c.db.Write(ctx, sqlfile.Durable, func(w *sqlfile.Conn) error {
		result, err := w.Stmts[insertInvalidation].ExecContext(context.Background(), when, int64(m.Mask),
			int64(m.Tags[cache.FieldTenant]), int64(m.Tags[cache.FieldOperation]), int64(m.Tags[cache.FieldUser]),
			int64(m.Tags[cache.FieldModel]), int64(m.Tags[cache.FieldNamespace]), m.Key[:])
		if err != nil {
			return err
		}
		number, err := result.LastInsertId()
		inv.Number = uint64(number)
		return err
	})
	if err != nil {
		return cache.Invalidation{}, fmt.Errorf("sqlite: invalidate: %w", err)
	}
	return inv, nil
}

// Invalidations implements cache.Journal.
func (c *Cache) Invalidations(ctx context.Context, after uint64) (all []cache.Invalidation, last uint64, err error) {
	err = c.db.Read(ctx, func(r *sqlfile.Conn) error {
		rows, err := r.Rows(selectInvalidations, number(after))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			inv, there, greatest, err := scanInvalidation(rows)
			if err != nil {
				return err
			}
			last = greatest
			if there {
				all = append(all, inv)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, 0, fmt.Errorf("sqlite: read the invalidations: %w", err)
	}
	return all, last, nil
}

// scanInvalidation reads a row of selectInvalidations. Where there is no
// invalidation, the row has only the greatest number.
func scanInvalidation(rows *sql.Rows) (inv cache.Invalidation, there bool, greatest uint64, err error) {
	var last int64
	var number, at, mask, tenant, operation, user, model, namespace sql.NullInt64
	var key []byte
	if err := rows.Scan(&last, &number, &at, &mask, &tenant, &operation, &user, &model, &namespace, &key); err != nil {
		return inv, false, 0, err
	}
	inv = cache.Invalidation{Number: uint64(number.Int64), At: timeOf(at.Int64), Match: cache.Match{
		Mask: uint8(mask.Int64),
		Tags: cache.Tags{
			cache.FieldTenant: uint64(tenant.Int64), cache.FieldOperation: uint64(operation.Int64),
			cache.FieldUser: uint64(user.Int64), cache.FieldModel: uint64(model.Int64), cache.FieldNamespace: uint64(namespace.Int64),
		},
	}}
	copy(inv.Match.Key[:], key)
	return inv, number.Valid, uint64(last), nil
}

// Forget implements cache.Journal. The log keeps the order of what is written, so
// that a power cut which undoes a deletion undoes a later Forget too.
func (c *Cache) Forget(ctx context.Context, upTo uint64) error {
	err := c.db.Write(ctx, sqlfile.Normal, func(w *sqlfile.Conn) error {
		_, err := w.Exec(forgetInvalidations, number(upTo))
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: forget invalidations: %w", err)
	}
	return nil
}

// number is how a number of an invalidation is kept. No invalidation has a greater one.
func number(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
