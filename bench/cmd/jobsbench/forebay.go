package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/bench/internal/table"
	"github.com/forebay-ai/forebay/envelope"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite"
)

// tenant owns all jobs here.
const tenant = "bench"

// forebay is the durable queue as the gateway runs it, sealing included, with a worker
// that does nothing.
type forebay struct {
	store *sqlite.Store
	queue *jobs.Queue
	stop  context.CancelFunc
	done  sync.WaitGroup
	err   error // of Run
}

func openForebay(ctx context.Context, dir string, relaxed bool) (system, error) {
	return openQueue(ctx, dir, backlog.Config{RelaxedClaims: relaxed}, true)
}

// openQueue opens the queue in dir, and runs it where it is to work.
func openQueue(ctx context.Context, dir string, cfg backlog.Config, work bool) (*forebay, error) {
	store, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, Backlog: true})
	if err != nil {
		return nil, err
	}
	f := &forebay{store: store, stop: func() {}}
	masters, err := envelope.EnsureMasters(filepath.Join(dir, "master.key"))
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	keys, err := envelope.New(ctx, envelope.Config{Masters: masters, Keys: store.Keys()})
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	cfg.Concurrency = writers
	f.queue, err = jobs.New(ctx, jobs.Config{
		Store: store.Backlog(), Keys: keys, Desk: cfg,
		Handler: func(_ context.Context, t *jobs.Task) ([]byte, error) { return t.Payload[:64], nil },
	})
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	if work {
		running, stop := context.WithCancel(context.WithoutCancel(ctx))
		f.stop = stop
		f.done.Go(func() { f.err = f.queue.Run(running) })
	}
	return f, nil
}

func (f *forebay) submit(ctx context.Context, payload []byte, timeout time.Duration) (backlog.Job, error) {
	j, _, err := f.queue.Submit(ctx, jobs.Submission{Tenant: tenant, Endpoint: string(llm.Function), Payload: payload, Timeout: timeout})
	return j, err
}

func (f *forebay) cycle(ctx context.Context, payload []byte) error {
	j, err := f.submit(ctx, payload, time.Minute)
	if err != nil {
		return err
	}
	if j, err = f.queue.Wait(ctx, jobs.As{Tenant: tenant}, j.ID); err != nil {
		return err
	}
	if j.State != backlog.Completed {
		return fmt.Errorf("a job ended as %v: %s", j.State, j.Message)
	}
	return nil
}

func (f *forebay) close() error {
	f.stop()
	f.done.Wait()
	return errors.Join(f.err, f.store.Close())
}

// fill takes in n jobs that nobody works on.
func (f *forebay) fill(ctx context.Context, n int) error {
	payload := make([]byte, 256)
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for range cap(errs) {
		wg.Go(func() {
			for range n / cap(errs) {
				if _, err := f.submit(ctx, payload, 24*time.Hour); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		})
	}
	wg.Wait()
	close(errs)
	var failed error
	for err := range errs {
		failed = errors.Join(failed, err)
	}
	return failed
}

// flat compares cycles with a thousand and with n queued jobs in front of nobody: they
// belong to a paused operation's band mates, so that each cycle's own job is next.
func flat(ctx context.Context, out io.Writer, dir string, n int) ([]table.Verdict, error) {
	rows := [][]string{{"queued", "claims/s", "us a claim"}}
	var rates []float64
	for _, queued := range []int{1000, n} {
		rate, err := claims(ctx, filepath.Join(dir, fmt.Sprint(queued)), queued)
		if err != nil {
			return nil, err
		}
		rates = append(rates, rate)
		rows = append(rows, []string{fmt.Sprint(queued), fmt.Sprintf("%.0f", rate), fmt.Sprintf("%.0f", 1e6/rate)})
	}
	r := rates[1] / rates[0]
	err := table.Grid(out, "claim and complete from a backlog", rows)
	return []table.Verdict{{What: fmt.Sprintf("claims among %d queued over claims among 1,000", n), Seen: fmt.Sprintf("%.2f", r), Wanted: "0.80 to 1.20", OK: r >= 0.8 && r <= 1.2}}, err
}

// claimed is how many claims are timed; fewer than the shortest backlog has.
const claimed = 900

// claims fills a queue, starts it anew with workers, and times the first jobs.
func claims(ctx context.Context, dir string, queued int) (rate float64, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bounds := backlog.Config{Max: queued + 1000, MaxBytes: -1}
	var rates []float64
	for round := 0; round < 5 && err == nil; round++ {
		var f *forebay
		if f, err = openQueue(ctx, dir, bounds, false); err != nil {
			return 0, err
		}
		have, e := f.queue.Stats(ctx, jobs.As{All: true})
		err = errors.Join(e, f.fill(ctx, queued-have.Queued), f.close())
		if err != nil {
			return 0, err
		}
		var took time.Duration
		if took, err = drainSome(ctx, dir, bounds); err == nil {
			rates = append(rates, claimed/took.Seconds())
		}
	}
	if err != nil {
		return 0, err
	}
	return median(rates), nil
}

// drainSome opens the queue with workers that stop after a number of jobs.
func drainSome(ctx context.Context, dir string, cfg backlog.Config) (time.Duration, error) {
	store, err := sqlite.Open(ctx, sqlite.Config{Dir: dir, Backlog: true})
	if err != nil {
		return 0, err
	}
	defer store.Close()
	masters, err := envelope.EnsureMasters(filepath.Join(dir, "master.key"))
	if err != nil {
		return 0, err
	}
	keys, err := envelope.New(ctx, envelope.Config{Masters: masters, Keys: store.Keys()})
	if err != nil {
		return 0, err
	}
	cfg.Concurrency = writers
	var mu sync.Mutex // guards n and end
	n := 0
	start, end := time.Time{}, make(chan time.Time, 1)
	q, err := jobs.New(ctx, jobs.Config{
		Store: store.Backlog(), Keys: keys, Desk: cfg,
		Handler: func(ctx context.Context, t *jobs.Task) ([]byte, error) {
			mu.Lock()
			n++
			now := n
			mu.Unlock()
			if now == claimed {
				end <- time.Now()
			}
			if now >= claimed {
				<-ctx.Done() // the rest stays queued
				return nil, ctx.Err()
			}
			return t.Payload[:1], nil
		},
	})
	if err != nil {
		return 0, err
	}
	running, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	start = time.Now()
	done.Go(func() { err = q.Run(running) })
	var took time.Duration
	select {
	case at := <-end:
		took = at.Sub(start)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	_ = q.Drain(drain) // hands the leases of the waiting ones back
	cancel()
	stop()
	done.Wait()
	return took, errors.Join(err, ctx.Err())
}

// restart measures the start of a queue with so many jobs.
func restart(ctx context.Context, out io.Writer, dir string, n int) ([]table.Verdict, error) {
	bounds := backlog.Config{Max: n + 1000, MaxBytes: -1}
	f, err := openQueue(ctx, dir, bounds, false)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.fill(ctx, n), f.close()); err != nil {
		return nil, err
	}
	start := time.Now()
	if f, err = openQueue(ctx, dir, bounds, false); err != nil {
		return nil, err
	}
	took := time.Since(start)
	fmt.Fprintf(out, "\nopened with %d queued jobs in %v\n", n, took.Round(time.Millisecond))
	return []table.Verdict{{What: fmt.Sprintf("ready with %d queued", n), Seen: took.Round(time.Millisecond).String(), Wanted: "<= 2 s", OK: took <= 2*time.Second}},
		errors.Join(f.close(), os.RemoveAll(dir))
}
