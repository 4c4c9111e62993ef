package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// riverArgs is the job, with a payload as long as everybody's.
type riverArgs struct {
	Payload []byte `json:"payload"`
}

// Kind implements river.JobArgs.
func (riverArgs) Kind() string { return "noop" }

type riverWorker struct {
	river.WorkerDefaults[riverArgs]
	system *riverSystem
}

// Work implements river.Worker.
func (w *riverWorker) Work(_ context.Context, job *river.Job[riverArgs]) error {
	w.system.done(job.ID)
	return nil
}

// riverSystem is River on a PostgreSQL of its own: ten workers, and the shortest pause
// between fetches that it takes. A cycle counts when the worker has the job, as with
// asynq: River writes completions down in batches, up to a quarter of a second later,
// and writers that waited for that would measure the pause.
type riverSystem struct {
	postgres *proc.Child
	pool     *pgxpool.Pool
	client   *river.Client[pgx.Tx]
	started  bool

	mu      sync.Mutex // guards waiting and early
	waiting map[int64]chan struct{}
	early   map[int64]bool // worked before their writer knew the id
}

func openRiver(ctx context.Context, dir string) (system, error) {
	child, url, err := startPostgres(ctx, dir)
	if err != nil {
		return nil, err
	}
	s := &riverSystem{postgres: child, waiting: map[int64]chan struct{}{}, early: map[int64]bool{}}
	if err := s.start(ctx, url); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", filepath.Base(dir), err), s.close())
	}
	return s, nil
}

func (s *riverSystem) start(ctx context.Context, url string) error {
	var err error
	if s.pool, err = pgxpool.New(ctx, url+"&pool_max_conns=30"); err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) { // it listens before it is up
		if err = s.pool.Ping(ctx); err == nil {
			break
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return err
		}
	}
	driver := riverpgxv5.New(s.pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{system: s})
	s.client, err = river.NewClient(driver, &river.Config{
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: writers}},
		FetchCooldown: time.Millisecond, FetchPollInterval: 100 * time.Millisecond,
		Workers: workers, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	s.started = true
	return s.client.Start(context.WithoutCancel(ctx))
}

// done tells the writer of a job that it was worked.
func (s *riverSystem) done(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done, ok := s.waiting[id]; ok {
		delete(s.waiting, id)
		close(done)
	} else {
		s.early[id] = true
	}
}

func (s *riverSystem) cycle(ctx context.Context, payload []byte) error {
	res, err := s.client.Insert(ctx, riverArgs{Payload: payload}, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.early[res.Job.ID] {
		delete(s.early, res.Job.ID)
		s.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	s.waiting[res.Job.ID] = done
	s.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("a job was not completed within 30 s")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *riverSystem) close() error {
	var err error
	if s.started {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = s.client.Stop(ctx)
	}
	if s.pool != nil {
		s.pool.Close()
	}
	s.postgres.Stop()
	return err
}
