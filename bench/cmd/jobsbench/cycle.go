package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// system takes jobs in, runs them with a worker that does nothing, and completes them.
type system interface {
	// cycle takes one job in and returns when it is completed, as durably as the system
	// makes it.
	cycle(ctx context.Context, payload []byte) error
	close() error
}

// opener starts a system with its data in a folder that does not exist yet.
type opener func(ctx context.Context, dir string) (system, error)

func openers() map[string]opener {
	return map[string]opener{
		"sqlite":          openBare,
		"forebay":         func(ctx context.Context, dir string) (system, error) { return openForebay(ctx, dir, false) },
		"forebay-relaxed": func(ctx context.Context, dir string) (system, error) { return openForebay(ctx, dir, true) },
		"river":           openRiver,
		"asynq":           openAsynq,
	}
}

type cycleOptions struct {
	home    string
	systems []string
	rounds  int
	length  time.Duration
}

// figure is what one measurement gave.
type figure struct {
	perSecond, p50, p99 float64 // the times in milliseconds
	cpu                 float64 // microseconds of this process a cycle
}

// cycles measures all systems in turns.
func cycles(ctx context.Context, out io.Writer, o cycleOptions) ([]table.Verdict, error) {
	seen := map[string][]figure{}
	for round := range o.rounds {
		for _, name := range o.systems {
			f, err := measure(ctx, name, filepath.Join(o.home, fmt.Sprintf("%s-%d", name, round)), o.length)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			seen[name] = append(seen[name], f)
		}
	}
	rows := [][]string{{"system", "cycles/s", "p50 ms", "p99 ms", "own CPU us"}}
	mid := map[string]float64{}
	for _, name := range o.systems {
		col := func(of func(figure) float64) float64 {
			var v []float64
			for _, f := range seen[name] {
				v = append(v, of(f))
			}
			return median(v)
		}
		mid[name] = col(func(f figure) float64 { return f.perSecond })
		rows = append(rows, []string{
			name, fmt.Sprintf("%.0f", mid[name]), fmt.Sprintf("%.2f", col(func(f figure) float64 { return f.p50 })),
			fmt.Sprintf("%.2f", col(func(f figure) float64 { return f.p99 })), fmt.Sprintf("%.0f", col(func(f figure) float64 { return f.cpu })),
		})
	}
	err := table.Grid(out, fmt.Sprintf("submit, claim, complete: %d writers, %d bytes, %d rounds", writers, payloadBytes, o.rounds), rows)
	return judge(o.systems, seen, mid), err
}

// judge compares Forebay with the others. The ratio to bare SQLite is the median of
// the rounds' own ratios: the two ran one after the other.
func judge(systems []string, seen map[string][]figure, mid map[string]float64) []table.Verdict {
	var all []table.Verdict
	if slices.Contains(systems, "forebay") && slices.Contains(systems, "sqlite") {
		var ratios []float64
		for i := range seen["forebay"] {
			ratios = append(ratios, seen["forebay"][i].perSecond/seen["sqlite"][i].perSecond)
		}
		r := median(ratios)
		all = append(all, table.Verdict{What: "Forebay over bare SQLite with the same three writes", Seen: fmt.Sprintf("%.2f", r), Wanted: ">= 0.70", OK: r >= 0.7})
	}
	for _, rival := range []string{"river", "asynq"} {
		if slices.Contains(systems, "forebay") && slices.Contains(systems, rival) {
			r := mid["forebay"] / mid[rival]
			all = append(all, table.Verdict{What: "Forebay over " + rival, Seen: fmt.Sprintf("%.2f", r), Wanted: "> 1", OK: r > 1})
		}
	}
	return all
}

// measure runs the writers against a fresh system for so long, after a second of
// warm-up.
func measure(ctx context.Context, name, dir string, length time.Duration) (f figure, err error) {
	open, ok := openers()[name]
	if !ok {
		return f, errors.New("there is no such system")
	}
	s, err := open(ctx, dir)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, s.close(), os.RemoveAll(dir)) }()
	if _, err := load(ctx, s, time.Second); err != nil {
		return f, err
	}
	cpu, start := ownCPU(), time.Now()
	took, err := load(ctx, s, length)
	if err != nil || len(took) == 0 {
		return f, errors.Join(err, errors.New("nothing was completed"))
	}
	elapsed, used := time.Since(start), ownCPU()-cpu
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return figure{
		perSecond: float64(len(took)) / elapsed.Seconds(), p50: ms(took[len(took)/2]), p99: ms(took[len(took)*99/100]),
		cpu: float64(used.Microseconds()) / float64(len(took)),
	}, nil
}

// load lets all writers go through cycles for so long.
func load(ctx context.Context, s system, length time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	payload := make([]byte, payloadBytes)
	_, _ = rand.Read(payload)
	var stop atomic.Bool
	timer := time.AfterFunc(length, func() { stop.Store(true) })
	defer timer.Stop()
	var mu sync.Mutex // guards all and failed
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			var took []time.Duration
			var err error
			for err == nil && !stop.Load() {
				start := time.Now()
				if err = s.cycle(ctx, payload); err == nil {
					took = append(took, time.Since(start))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				failed = errors.Join(failed, err)
				cancel()
			}
		})
	}
	wg.Wait()
	return all, failed
}
