// Command cachebench measures the response cache: a hit in memory against otter
// alone, the key, a hit on disk among a million entries, what a put costs in all, how
// exactly the memory is bounded, and a hit through Forebay against the same hit
// through a gateway over Redis.
//
// Everything that is compared is measured in turns in one run, in medians over rounds.
// The processes of the last part are started here, on free ports of the loopback
// interface; all but Forebay and Redis are this binary again, with a subcommand.
// README.md beside the module says how to read the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/loadgen"
	"github.com/forebay-ai/forebay/bench/internal/machine"
	"github.com/forebay-ai/forebay/bench/internal/redisgate"
	"github.com/forebay-ai/forebay/bench/internal/upstream"
)

// The subcommands under which this binary runs again as a child.
const (
	cmdUpstream = "upstream"
	cmdRedis    = "redisgate"
	cmdLoad     = "load"
)

// mostTime bounds a whole run, building included: several times what it should take.
const mostTime = 30 * time.Minute

func main() {
	// Children die with the thread that started them (proc.Start): this one.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := dispatch(ctx, os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errMissed):
		fmt.Fprintln(os.Stderr, "cachebench:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "cachebench:", err)
		os.Exit(1)
	}
}

// dispatch runs the subcommand of a child, or the measurement.
func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case cmdUpstream:
			return upstream.Child()
		case cmdRedis:
			return redisgate.Child(args[1:])
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
	parts          []part
	rounds         int
	entries, puts  int
	memory         int64 // bytes of the cache that is churned
	rate           float64
	warm, duration time.Duration
	prompts        int64 // different ones, of hits on disk through a gateway
	dir            string
	out, root      string
	forebay        string
	strict, demand bool
}

func parseOptions(args []string, errOut io.Writer) (options, error) {
	var o options
	var parts string
	var mebibytes int64
	fs := flag.NewFlagSet("cachebench", flag.ContinueOnError)
	fs.SetOutput(errOut)
	fs.StringVar(&parts, "parts", "all", "what to measure, comma-separated: "+strings.Join(partNames(), ", "))
	fs.IntVar(&o.rounds, "rounds", 5, "rounds of what is compared; figures are medians over them")
	fs.IntVar(&o.entries, "entries", 1_000_000, "entries in the store when it is read")
	fs.IntVar(&o.puts, "puts", 100_000, "puts into the full store")
	fs.Int64Var(&mebibytes, "memory", 256, "MiB of the memory that is churned")
	fs.Float64Var(&o.rate, "rate", 1000, "requests a second of the open loop against Redis")
	fs.Int64Var(&o.prompts, "prompts", 20_000, "answers that gateways hold for hits on disk")
	fs.DurationVar(&o.duration, "duration", 2*time.Second, "measured time of each run against Redis (at most 1m)")
	fs.DurationVar(&o.warm, "warm", time.Second, "load before each of them (at most 1m)")
	fs.StringVar(&o.dir, "dir", "", "folder on the disk to measure (default: the system's for temporary files); all that is put there is removed")
	fs.StringVar(&o.out, "out", "", "write what is printed to this file too")
	fs.StringVar(&o.root, "root", "..", "folder of the Forebay module")
	fs.StringVar(&o.forebay, "forebay", "", "forebay binary (default: built from -root)")
	fs.BoolVar(&o.strict, "strict", false, "exit with status 2 if a required figure is missed")
	fs.BoolVar(&o.demand, "demand", false, "fail where a part cannot run, for want of redis-server")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.memory = mebibytes << 20
	var err error
	switch o.parts, err = selectParts(parts); {
	case err != nil:
		return o, err
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case o.rounds < 1 || o.rounds > 100:
		return o, fmt.Errorf("-rounds %d is not 1 to 100", o.rounds)
	case o.entries < 1000 || o.entries > 100_000_000 || o.puts < 1000 || o.puts > 100_000_000:
		return o, errors.New("-entries and -puts are 1,000 to 100,000,000")
	case mebibytes < 1 || mebibytes > 64<<10:
		return o, fmt.Errorf("-memory %d is not 1 to 65,536 MiB", mebibytes)
	case o.prompts < 1000 || o.prompts > 10_000_000:
		return o, fmt.Errorf("-prompts %d is not 1,000 to 10,000,000", o.prompts)
	case o.duration <= 0 || o.duration > time.Minute || o.warm < 0 || o.warm > time.Minute:
		return o, errors.New("-duration and -warm are at most 1m, -duration above 0")
	}
	return o, nil
}

// part is one thing that is measured.
type part struct {
	name, title string
	run         func(context.Context, *bench) error
}

func allParts() []part {
	return []part{
		{"hit", "Hit in memory, and the key", measureHit},
		{"disk", "Hit on disk, and put", measureDisk},
		{"churn", "Memory under churn", measureChurn},
		{"redis", "Hit through a gateway, against Redis", measureRedis},
	}
}

func partNames() []string {
	var names []string
	for _, p := range allParts() {
		names = append(names, p.name)
	}
	return names
}

// selectParts picks parts by a comma-separated list of their names, or all.
func selectParts(list string) ([]part, error) {
	if list == "all" {
		return allParts(), nil
	}
	var picked []part
	for name := range strings.SplitSeq(list, ",") {
		i := slices.Index(partNames(), strings.TrimSpace(name))
		if i < 0 {
			return nil, fmt.Errorf("no part %q: one of %s", name, strings.Join(partNames(), ", "))
		}
		picked = append(picked, allParts()[i])
	}
	return picked, nil
}

// bench is a measurement in progress.
type bench struct {
	options
	dir    string // for what is put on disk; removed at the end
	report report
}

// measure runs the parts and prints what they found.
func measure(ctx context.Context, o options, w io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, mostTime)
	defer cancel()
	if o.out != "" {
		if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
			return err
		}
		file, err := os.Create(o.out)
		if err != nil {
			return err
		}
		defer file.Close()
		w = io.MultiWriter(w, file)
	}
	dir, err := os.MkdirTemp(o.dir, "cachebench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, report: report{w: w}}
	b.report.line(machine.This().String())
	begin := time.Now()
	for _, p := range o.parts {
		fmt.Fprintf(os.Stderr, "%s (after %.0f s)\n", p.title, time.Since(begin).Seconds())
		b.report.begin(p.title)
		if err := p.run(ctx, b); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("broken off: %w", context.Cause(ctx))
			}
			return fmt.Errorf("%s: %w", p.name, err)
		}
		b.report.end()
	}
	return b.report.finish(o.strict)
}
