package queuedb_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/queuedb"
)

const benchWriters = 10

// cycler does one cycle of insert, claim and complete with job n.
type cycler func(n int) error

// cycles runs b.N cycles with ten writers.
func cycles(b *testing.B, do cycler) {
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for range benchWriters {
		all.Go(func() {
			for n := int(next.Add(1)); n <= b.N; n = int(next.Add(1)) {
				if err := do(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cycles/s")
}

var benchPayload, benchResult = bytesOf(1, 4096), bytesOf(2, 1024)

// storeCycle is a cycle with the store. first keeps the IDs apart from those of others.
func storeCycle(s *queuedb.Backlog, first int) cycler {
	template, claimed, completed := job(0), claim(0), completion(0) // to make them costs as much as a write
	template.Bytes = len(benchPayload)
	completed.Result = benchResult
	return func(n int) error {
		j, c, done := template, claimed, completed
		j.ID = idOf(n + first)
		c.ID, done.ID = j.ID, j.ID
		if _, err := s.Insert(context.Background(), &j, benchPayload, time.Time{}); err != nil {
			return err
		}
		if err := s.Apply(context.Background(), &c); err != nil {
			return err
		}
		return s.Apply(context.Background(), &done)
	}
}

// BenchmarkCycle is a durable insert, claim and complete at 4 KiB with ten writers,
// beside SQLite with group commit and nothing else doing the same three writes. An
// operation is a cycle.
func BenchmarkCycle(b *testing.B) {
	b.Run("store", func(b *testing.B) {
		s := open(b)
		cycles(b, storeCycle(s, 0))
		b.ReportMetric(3*float64(b.N)/float64(s.Commits()), "writes/commit")
	})
	b.Run("bare", func(b *testing.B) { cycles(b, newBare(b).cycle) })
}

// BenchmarkCycleAt has that many jobs queued already.
func BenchmarkCycleAt(b *testing.B) {
	for _, queued := range []int{0, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(queued), func(b *testing.B) {
			if queued > 100_000 && !long() {
				b.Skip("FOREBAY_LONG=1 runs it")
			}
			s := filled(b, queued)
			cycles(b, storeCycle(s, queued+b.N*1000))
		})
	}
}

// filled has n jobs queued, of small payloads.
func filled(b testing.TB, n int) *queuedb.Backlog {
	s := open(b)
	fill(b, s, n)
	return s
}

func fill(b testing.TB, s *queuedb.Backlog, n int) {
	var all sync.WaitGroup
	for w := range 200 {
		all.Go(func() {
			for i := w; i < n; i += 200 {
				j := job(i)
				if _, err := s.Insert(b.Context(), &j, []byte("x"), time.Time{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkOpen opens a file with 100,000 queued jobs: most of it is the check of the table and its indexes.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "queue.db")
	s, err := openAt(path)
	must(b, err)
	fill(b, s, 100_000)
	for b.Loop() {
		b.StopTimer()
		must(b, s.Close())
		b.StartTimer()
		s, err = openAt(path)
		must(b, err)
	}
	must(b, s.Close())
}

// BenchmarkStart lists what is unfinished, as a start does.
func BenchmarkStart(b *testing.B) {
	s := filled(b, 100_000)
	b.ResetTimer()
	for b.Loop() {
		if n := unfinished(b, s); n != 100_000 {
			b.Fatalf("%d jobs", n)
		}
	}
}

func unfinished(t testing.TB, s *queuedb.Backlog) (n int) {
	q := backlog.Query{States: []backlog.State{backlog.Queued, backlog.Processing}, Limit: 10_000}
	for {
		page, err := s.List(t.Context(), q)
		must(t, err)
		n += len(page)
		if len(page) < q.Limit {
			return n
		}
		q.After = page[len(page)-1].ID
	}
}

// BenchmarkGet reads jobs.
func BenchmarkGet(b *testing.B) {
	s := filled(b, 1000)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if _, err := s.Get(b.Context(), idOf(n%1000)); err != nil {
			b.Fatal(err)
		}
	}
}

// bare is SQLite with group commit, and nothing else: a table of few columns with
// an index on what is ready.
type bare struct {
	conn                    *sql.Conn
	insert, claim, complete *sql.Stmt
	writes                  chan *bareWrite
}

type bareWrite struct {
	stmt *sql.Stmt
	args []any
	done chan error
}

func newBare(b *testing.B) *bare {
	ctx := context.Background()
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), "bare.db"))
	must(b, err)
	s := &bare{writes: make(chan *bareWrite, 256)}
	s.conn, err = db.Conn(ctx)
	must(b, err)
	run := func(text string) {
		_, err := s.conn.ExecContext(ctx, text)
		must(b, err)
	}
	for _, pragma := range []string{"page_size=8192", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=2000"} {
		run("PRAGMA " + pragma)
	}
	run(`CREATE TABLE jobs (id INTEGER PRIMARY KEY, priority INTEGER, run_at INTEGER, state INTEGER, attempt INTEGER, payload BLOB, result BLOB)`)
	run(`CREATE INDEX ready ON jobs (priority, run_at, id) WHERE state = 0`)
	for to, text := range map[**sql.Stmt]string{
		&s.insert:   `INSERT INTO jobs (id, priority, run_at, state, attempt, payload) VALUES (?,?,?,0,0,?)`,
		&s.claim:    `UPDATE jobs SET state = 1, attempt = attempt + 1 WHERE id = ? AND state = 0`,
		&s.complete: `UPDATE jobs SET state = 2, result = ? WHERE id = ? AND state = 1`,
	} {
		*to, err = s.conn.PrepareContext(ctx, text)
		must(b, err)
	}
	ended := make(chan struct{})
	go func() { s.run(); close(ended) }()
	b.Cleanup(func() {
		close(s.writes)
		<-ended
		for _, c := range []interface{ Close() error }{s.insert, s.claim, s.complete, s.conn, db} {
			must(b, c.Close())
		}
	})
	return s
}

func (s *bare) run() {
	ctx := context.Background()
	for first := range s.writes {
		group := []*bareWrite{first}
		runtime.Gosched()
		for more := true; more && len(group) < 256; {
			select {
			case w, ok := <-s.writes:
				if more = ok; ok {
					group = append(group, w)
				}
			default:
				more = false
			}
		}
		_, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
		for _, w := range group {
			if err == nil {
				_, err = w.stmt.ExecContext(ctx, w.args...)
			}
		}
		if err == nil {
			_, err = s.conn.ExecContext(ctx, "COMMIT")
		}
		for _, w := range group {
			w.done <- err
		}
	}
}

func (s *bare) do(stmt *sql.Stmt, args ...any) error {
	w := &bareWrite{stmt, args, make(chan error, 1)}
	s.writes <- w
	return <-w.done
}

func (s *bare) cycle(n int) error {
	if err := s.do(s.insert, n, n%4, n, benchPayload); err != nil {
		return err
	}
	if err := s.do(s.claim, n); err != nil {
		return err
	}
	return s.do(s.complete, benchResult, n)
}
