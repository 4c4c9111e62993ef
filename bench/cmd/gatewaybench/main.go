// Command gatewaybench measures what a gateway adds to a call: requests a second,
// latency, CPU and memory of Forebay against calling the upstream directly and
// against a bare httputil.ReverseProxy, on the loopback interface of one machine,
// interleaved, in medians over rounds.
//
// It starts everything that it measures itself, as processes of their own: the
// upstream, the proxy and the load generator are this binary again, with a
// subcommand. README.md beside the module says how to read the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/loadgen"
	"github.com/forebay-ai/forebay/bench/internal/upstream"
)

func main() {
	// Children die with the thread that started them (proc.Start): this one.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := dispatch(ctx, os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errMissed):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "gatewaybench:", err)
		os.Exit(1)
	}
}

// dispatch runs the subcommand of a child, or the measurement.
func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case cmdUpstream:
			return upstream.Child()
		case cmdProxy:
			return runProxy(args[1:])
		case cmdLoad:
			return loadgen.Serve(ctx, os.Stdin, os.Stdout)
		}
	}
	o, err := parseOptions(args, os.Stderr)
	if err != nil {
		return err
	}
	return measure(ctx, o, os.Stdout)
}

// options are the flags of a measurement.
type options struct {
	rounds         int
	warm, duration time.Duration
	cells          []cell
	out, root      string
	forebay        string
	skipForebay    bool
	strict         bool
}

func parseOptions(args []string, errOut io.Writer) (options, error) {
	var o options
	var cells string
	fs := flag.NewFlagSet("gatewaybench", flag.ContinueOnError)
	fs.SetOutput(errOut)
	fs.IntVar(&o.rounds, "rounds", 3, "rounds; figures are medians over them")
	fs.DurationVar(&o.duration, "duration", 5*time.Second, "measured time of each run (at most 1m)")
	fs.DurationVar(&o.warm, "warm", time.Second, "load before each measured part (at most 1m)")
	fs.StringVar(&cells, "cells", "all", "what to measure, comma-separated: "+strings.Join(cellNames(), ", "))
	fs.StringVar(&o.out, "out", "", "write everything as JSON to this file")
	fs.StringVar(&o.root, "root", "..", "folder of the Forebay module")
	fs.StringVar(&o.forebay, "forebay", "", "forebay binary (default: built from -root)")
	fs.BoolVar(&o.skipForebay, "skip-forebay", false, "measure direct and proxy only")
	fs.BoolVar(&o.strict, "strict", false, "exit with status 2 if a required figure is missed")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var err error
	switch o.cells, err = selectCells(cells); {
	case err != nil:
		return o, err
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.rounds < 1 || o.rounds > 100:
		return o, fmt.Errorf("-rounds %d is not 1 to 100", o.rounds)
	case o.duration <= 0 || o.duration > time.Minute || o.warm < 0 || o.warm > time.Minute:
		return o, errors.New("-duration and -warm are at most 1m, -duration above 0")
	}
	return o, nil
}
