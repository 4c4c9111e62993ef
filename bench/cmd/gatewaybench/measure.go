package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/loadgen"
	"github.com/forebay-ai/forebay/bench/internal/machine"
	"github.com/forebay-ai/forebay/bench/internal/proc"
	"github.com/forebay-ai/forebay/bench/internal/subject"
)

// errMissed says that a required figure was missed, where that was asked for.
var errMissed = errors.New("a required figure was missed")

// errProblem says that a run's figures are not to be trusted.
var errProblem = errors.New("not to be trusted")

// outcome is one system in one cell of one round.
type outcome struct {
	Round  int             `json:"round"`
	Cell   string          `json:"cell"`
	System system          `json:"system"`
	Load   *loadgen.Result `json:"load,omitempty"`
	// AllocsPerRequest is absent where the system does not tell.
	AllocsPerRequest *float64 `json:"allocs_per_request,omitempty"`
	// StartMS is the time from the start of the process to its first answer; IdleMB
	// its resident memory idleAfter later. Only in the cell start.
	StartMS float64 `json:"start_ms,omitempty"`
	IdleMB  float64 `json:"idle_mb,omitempty"`
	// Problem says why the figures are not to be trusted; empty for good ones.
	Problem string `json:"problem,omitempty"`
	// CPUInAllPer10K is CPU-seconds for 10,000 requests, counted as cell.inAll says.
	CPUInAllPer10K *float64 `json:"cpu_seconds_in_all_per_10k,omitempty"`
}

// idleAfter is when idle memory is read: after the work of the start is over.
const idleAfter = 2 * time.Second

// measure runs all rounds, prints the tables and writes the file.
func measure(ctx context.Context, o options, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, longest(o))
	defer cancel()
	l, err := newLab(ctx, o)
	if err != nil {
		return err
	}
	defer l.close()
	rep := &report{SchemaVersion: schemaVersion, Machine: machine.This(), Started: time.Now().UTC().Truncate(time.Second), Settings: settingsOf(o)}
	fmt.Fprintln(w, rep.Machine)
	for round := 1; round <= o.rounds; round++ {
		for _, c := range o.cells {
			for _, s := range c.systems {
				if s.isForebay() && l.forebay == "" {
					continue
				}
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, %s\n", round, o.rounds, c.name, s)
				out, err := l.measureOne(ctx, o, c, s)
				if ctx.Err() != nil {
					return fmt.Errorf("broken off: %w", context.Cause(ctx))
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.name, s, err)
				}
				out.Round, out.Cell, out.System = round, c.name, s
				rep.Runs = append(rep.Runs, *out)
			}
		}
	}
	return rep.finish(o, w)
}

// longest bounds the whole measurement: twice what it should take, and the build.
func longest(o options) time.Duration {
	runs := 0
	for _, c := range o.cells {
		runs += o.rounds * len(c.systems)
	}
	return 5*time.Minute + 2*time.Duration(runs)*(o.warm+o.duration+2*time.Second)
}

func newLab(ctx context.Context, o options) (*lab, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gatewaybench-")
	if err != nil {
		return nil, err
	}
	l := &lab{self: self, dir: dir}
	if !o.skipForebay {
		if l.forebay, err = subject.Build(ctx, o.root, o.forebay, dir); err != nil {
			l.close()
			return nil, err
		}
	}
	child, addr, err := proc.StartServer(exec.Command(self, cmdUpstream))
	if err != nil {
		l.close()
		return nil, err
	}
	l.upstream = *subject.Of(child, addr)
	return l, nil
}

func (l *lab) close() {
	l.upstream.Stop()
	_ = os.RemoveAll(l.dir) // a rest in the temporary folder harms nobody
}

// measureOne starts a fresh system, puts the cell's load on it and stops it, so
// that no run meets the memory or the cache that another has left.
func (l *lab) measureOne(ctx context.Context, o options, c cell, s system) (*outcome, error) {
	begin := time.Now()
	srv, err := l.start(ctx, s)
	if err != nil {
		return nil, err
	}
	defer srv.Stop()
	if c.start {
		return started(ctx, srv, time.Since(begin)), nil
	}
	before, allocErr := srv.Metric(ctx, subject.MallocsMetric)
	cpuBefore := proc.CPU(proc.Tree(srv.PIDs))
	res, err := loadgen.RunIn(ctx, exec.Command(l.self, cmdLoad), loadgen.Spec{
		Addr: srv.Addr, Path: subject.ChatPath, Key: subject.Key, Conns: c.conns, Rate: c.rate, Warm: o.warm, Duration: o.duration,
		Model: c.model, Stream: c.stream, Unique: s != hit, PIDs: srv.PIDs, UpstreamPIDs: l.upstream.PIDs,
	})
	if err != nil {
		return nil, err
	}
	out := &outcome{Load: res, Problem: problem(c, s, res)}
	if after, err := srv.Metric(ctx, subject.MallocsMetric); err == nil && allocErr == nil && res.All > 0 {
		per := (after - before) / float64(res.All)
		out.AllocsPerRequest = &per
	}
	if c.inAll {
		err = out.countAll(ctx, s, srv, cpuBefore)
	}
	return out, err
}

// started is the outcome of a start that took so long.
func started(ctx context.Context, srv *subject.Server, took time.Duration) *outcome {
	select {
	case <-time.After(idleAfter):
	case <-ctx.Done():
	}
	_, now := proc.Memory(proc.Tree(srv.PIDs))
	return &outcome{StartMS: float64(took.Microseconds()) / 1000, IdleMB: float64(now) / 1e6}
}

// countAll lets srv finish what it does behind its answers, ends it, and counts what
// it took since it had taken before. A store writes what waits, and copies its log
// into the database at its end.
func (o *outcome) countAll(ctx context.Context, s system, srv *subject.Server, before time.Duration) error {
	if s == stored {
		dropped, err := srv.Flushed(ctx)
		if err != nil {
			return err
		}
		if dropped > 0 && o.Problem == "" {
			o.Problem = fmt.Sprintf("%d answers were not written down", dropped)
		}
	}
	srv.Stop()
	per := (srv.Child.CPU() - before).Seconds() / float64(max(o.Load.All, 1)) * 10_000
	o.CPUInAllPer10K = &per
	return nil
}

// problem says what makes a run worthless: faults, or a cache that did something
// else than the run is about.
func problem(c cell, s system, r *loadgen.Result) string {
	allowed := 0
	if s == proxy {
		// ReverseProxy breaks an answer off now and then when it begins before the
		// proxy has noticed the end of the request's body, which an upstream that
		// answers at once provokes: net/http closes the body, and the transport takes
		// that for a failed write. So few do not disturb the figures.
		allowed = r.All / 100
	}
	switch faults := r.Errors + r.NotOK + r.Incomplete; {
	case faults > allowed:
		return fmt.Sprintf("%d of %d requests went wrong (%s)", faults, r.All+faults, r.LastError)
	case r.Requests == 0:
		return "no request was answered"
	case r.Unsent > 0:
		return fmt.Sprintf("%d requests could not be sent: it does not keep up with the rate", r.Unsent)
	case c.rate > 0 && float64(r.Requests) < 0.99*c.rate*r.Seconds:
		return fmt.Sprintf("only %d requests at %.0f/s", r.Requests, c.rate)
	case s == hit && r.Hits < r.Requests*99/100:
		return fmt.Sprintf("only %d of %d were hits", r.Hits, r.Requests)
	case s != hit && r.Hits > 0:
		return fmt.Sprintf("%d hits where every prompt was new", r.Hits)
	}
	return ""
}
