package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// bare is SQLite and nothing else: one writer goroutine that commits what waits, up to
// 256 statements at once, with synchronous=FULL. It is the floor of what three durable
// writes and a read cost.
type bare struct {
	db, reads *sql.DB
	ops       chan bareOp
	done      sync.WaitGroup
	read      *sql.Stmt
	writes    [3]*sql.Stmt
	last      atomic.Int64 // id
}

type bareOp struct {
	kind    int // 0 insert, 1 claim, 2 complete
	id      int64
	payload []byte
	ack     chan error
}

const bareSchema = `CREATE TABLE jobs (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, prio INTEGER NOT NULL, run_at INTEGER NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 0, payload BLOB, result BLOB);
CREATE INDEX ready ON jobs (prio, run_at, id) WHERE state = 0;`

func openBare(_ context.Context, dir string) (system, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	b := &bare{ops: make(chan bareOp, 1024)}
	name := "file://" + filepath.Join(dir, "bare.db")
	var err error
	if b.db, err = sql.Open("sqlite", name); err != nil {
		return nil, err
	}
	b.db.SetMaxOpenConns(1)
	for _, s := range []string{"PRAGMA page_size=8192", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=2000", bareSchema} {
		if _, err := b.db.Exec(s); err != nil {
			return nil, errors.Join(err, b.db.Close())
		}
	}
	if b.reads, err = sql.Open("sqlite", name); err != nil {
		return nil, errors.Join(err, b.db.Close())
	}
	if b.read, err = b.reads.Prepare("SELECT payload FROM jobs WHERE id = ?"); err != nil {
		return nil, errors.Join(err, b.db.Close(), b.reads.Close())
	}
	for i, text := range []string{
		"INSERT INTO jobs (id, state, prio, run_at, payload) VALUES (?, 0, 1, ?, ?)",
		"UPDATE jobs SET state = 1, attempt = attempt + 1 WHERE id = ? AND state = 0",
		"UPDATE jobs SET state = 2, result = ?, payload = NULL WHERE id = ? AND state = 1",
	} {
		if b.writes[i], err = b.db.Prepare(text); err != nil {
			return nil, errors.Join(err, b.db.Close(), b.reads.Close())
		}
	}
	b.done.Go(b.write)
	return b, nil
}

// write commits what waits, in batches.
func (b *bare) write() {
	batch := make([]bareOp, 0, 256)
	for op := range b.ops {
		batch = append(batch[:0], op)
	drain:
		for len(batch) < cap(batch) {
			select {
			case op, ok := <-b.ops:
				if !ok {
					break drain
				}
				batch = append(batch, op)
			default:
				break drain
			}
		}
		err := b.commit(batch)
		for _, op := range batch {
			op.ack <- err
		}
	}
}

func (b *bare) commit(batch []bareOp) error {
	tx, err := b.db.Begin()
	if err != nil {
		return err
	}
	for _, op := range batch {
		switch op.kind {
		case 0:
			_, err = tx.Stmt(b.writes[0]).Exec(op.id, time.Now().UnixNano(), op.payload)
		case 1:
			_, err = tx.Stmt(b.writes[1]).Exec(op.id)
		case 2:
			_, err = tx.Stmt(b.writes[2]).Exec(op.payload, op.id)
		}
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func (b *bare) do(op bareOp) error {
	op.ack = make(chan error, 1)
	b.ops <- op
	return <-op.ack
}

func (b *bare) cycle(_ context.Context, payload []byte) error {
	id := b.last.Add(1)
	if err := b.do(bareOp{kind: 0, id: id, payload: payload}); err != nil {
		return err
	}
	if err := b.do(bareOp{kind: 1, id: id}); err != nil {
		return err
	}
	var got []byte
	if err := b.read.QueryRow(id).Scan(&got); err != nil {
		return err
	}
	return b.do(bareOp{kind: 2, id: id, payload: got[:64]})
}

func (b *bare) close() error {
	close(b.ops)
	b.done.Wait()
	return errors.Join(b.read.Close(), b.reads.Close(), b.db.Close())
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
