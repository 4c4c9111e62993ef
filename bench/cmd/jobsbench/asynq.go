package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/forebay-ai/forebay/bench/internal/proc"
)

// asynqSystem is asynq on a Redis of its own that syncs every write. A cycle counts
// when the handler returns: asynq tells nobody when it has removed the task, which is a
// little later.
type asynqSystem struct {
	redis  *proc.Child
	client *asynq.Client
	server *asynq.Server
	last   atomic.Int64

	mu      sync.Mutex // guards waiting
	waiting map[string]chan struct{}
}

func openAsynq(ctx context.Context, dir string) (system, error) {
	child, addr, err := startRedis(ctx, dir)
	if err != nil {
		return nil, err
	}
	redis := asynq.RedisClientOpt{Addr: addr}
	s := &asynqSystem{redis: child, client: asynq.NewClient(redis), waiting: map[string]chan struct{}{}}
	s.server = asynq.NewServer(redis, asynq.Config{Concurrency: writers, LogLevel: asynq.FatalLevel, TaskCheckInterval: 5 * time.Millisecond})
	if err := s.server.Start(asynq.HandlerFunc(s.handle)); err != nil {
		return nil, errors.Join(err, s.client.Close())
	}
	return s, nil
}

func (s *asynqSystem) handle(_ context.Context, t *asynq.Task) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := t.ResultWriter().TaskID()
	if done, ok := s.waiting[id]; ok {
		delete(s.waiting, id)
		close(done)
	}
	return nil
}

func (s *asynqSystem) cycle(ctx context.Context, payload []byte) error {
	id, done := strconv.FormatInt(s.last.Add(1), 10), make(chan struct{})
	s.mu.Lock()
	s.waiting[id] = done
	s.mu.Unlock()
	if _, err := s.client.EnqueueContext(ctx, asynq.NewTask("noop", payload), asynq.TaskID(id)); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("a task was not handled within 30 s")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *asynqSystem) close() error {
	s.server.Shutdown()
	err := s.client.Close()
	s.redis.Stop()
	return err
}
