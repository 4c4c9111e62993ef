package logdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/forebay-ai/forebay/series"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

const (
	loadedBlocks = 512  // that are read at once
	prunedBlocks = 1000 // that go in one transaction, and those of one start more
)

// SaveSeries implements series.Store.
func (l *Log) SaveSeries(ctx context.Context, blocks []series.Block) error {
	if len(blocks) == 0 {
		return l.db.Usable(ctx)
	}
	err := l.writeWords(ctx, func(w *sqlfile.Conn) error {
		for i := range blocks {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := l.saveBlock(w, &blocks[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlite: save %d blocks of series: %w", len(blocks), err)
	}
	return nil
}

func (l *Log) saveBlock(w *sqlfile.Conn, b *series.Block) error {
	args := []any{int64(b.Step), nanos(b.Start)}
	for _, text := range [...]string{b.Metric, b.Label, b.Value} {
		v, err := l.words.keep(w, text)
		if err != nil {
			return err
		}
		args = append(args, v)
	}
	data := b.Data
	if data == nil {
		data = []byte{} // a value that is not null
	}
	_, err := w.Exec(upsertSeries, append(args, data)...)
	return err
}

// LoadSeries implements series.Store. It reads in pieces, and holds nothing while yield
// runs; what is saved meanwhile may be among it.
func (l *Log) LoadSeries(ctx context.Context, from func(step time.Duration) time.Time, yield func(series.Block) bool) error {
	step := sql.NullInt64{Int64: math.MinInt64}
	for {
		err := l.db.Read(ctx, func(r *sqlfile.Conn) error { return r.Row(nextStep, step.Int64).Scan(&step) })
		if err != nil {
			return fmt.Errorf("sqlite: load series: %w", err)
		}
		if !step.Valid {
			return nil
		}
		more, err := l.loadStep(ctx, time.Duration(step.Int64), nanos(from(time.Duration(step.Int64))), yield)
		if err != nil {
			return fmt.Errorf("sqlite: load series: %w", err)
		}
		if !more {
			return nil
		}
	}
}

// loadStep yields the blocks of a step. It reports whether yield wants more.
func (l *Log) loadStep(ctx context.Context, step time.Duration, from int64, yield func(series.Block) bool) (more bool, err error) {
	// Where the last piece ended; at first before all words.
	at := [4]any{from, int64(-1), int64(-1), int64(-1)}
	for {
		var blocks []series.Block
		err := l.db.Read(ctx, func(r *sqlfile.Conn) (err error) {
			blocks, at, err = l.readBlocks(r, step, at)
			return err
		})
		if err != nil {
			return false, err
		}
		for _, b := range blocks {
			if !yield(b) {
				return false, nil
			}
		}
		if len(blocks) < loadedBlocks {
			return true, nil
		}
	}
}

// readBlocks reads a piece of the blocks of a step, and says where it ended.
func (l *Log) readBlocks(r *sqlfile.Conn, step time.Duration, at [4]any) ([]series.Block, [4]any, error) {
	rows, err := r.Rows(selectSeries, int64(step), at[0], at[1], at[2], at[3], loadedBlocks)
	if err != nil {
		return nil, at, err
	}
	defer rows.Close()
	var blocks []series.Block
	for rows.Next() {
		var start int64
		var cells [3]cell
		b := series.Block{Step: step}
		if err := rows.Scan(&start, &cells[0], &cells[1], &cells[2], &b.Data); err != nil {
			return nil, at, err
		}
		b.Start = timeOf(start)
		at[0] = start
		for i, to := range [...]*string{&b.Metric, &b.Label, &b.Value} {
			if *to, err = l.words.read(&cells[i]); err != nil {
				return nil, at, err
			}
			at[i+1] = cells[i].key()
		}
		blocks = append(blocks, b)
	}
	return blocks, at, rows.Err()
}

// key is the cell as an argument.
func (c *cell) key() any {
	if c.isText {
		return c.text
	}
	return c.id
}

// PruneSeries implements series.Store. It works in transactions of about a thousand
// blocks, between which others write.
func (l *Log) PruneSeries(ctx context.Context, step time.Duration, t time.Time) error {
	for more := true; more; {
		err := l.db.Write(ctx, sqlfile.Normal, func(w *sqlfile.Conn) error {
			var err error
			more, err = pruneBlocks(w, int64(step), nanos(t))
			return err
		})
		if err != nil {
			return fmt.Errorf("sqlite: remove old blocks of series: %w", err)
		}
	}
	return nil
}

func pruneBlocks(w *sqlfile.Conn, step, before int64) (more bool, err error) {
	for removed := int64(0); removed < prunedBlocks; {
		var start int64
		err := w.Row(oldestSeries, step, before).Scan(&start)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		n, err := w.Exec(deleteSeries, step, start)
		if err != nil {
			return false, err
		}
		if n == 0 {
			return false, fmt.Errorf("%w: blocks that are there cannot be removed", sqlfile.ErrDamaged)
		}
		removed += n
	}
	return true, nil
}
