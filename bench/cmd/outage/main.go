// Command outage measures what callers of a Forebay see of a target that fails and comes
// back.
//
// The first part replays real arrivals (the Azure LLM inference trace, conversations)
// at 0.8 of one target's ten slots. That target answers 500 for the middle third; a second
// one stands beside it. The same load goes at the same time through a Forebay whose
// targets stay well, and straight to a target that fails. Some callers leave early.
//
// The second part is a steady load at 0.8 of one target's slots and no other target
// beside it. The target answers 500 for 30 s, or is twenty times slower for 10 s: how
// soon are callers served as before?
//
// Loads are open-loop: calls come at their times, however slow the answers are, and
// their time counts from when they were to be sent. The gateways are the release binary,
// each in a process of its own. Everything talks to the loopback interface.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/entry"
	"github.com/forebay-ai/forebay/bench/internal/machine"
	"github.com/forebay-ai/forebay/bench/internal/subject"
	"github.com/forebay-ai/forebay/bench/internal/table"
)

// mostTime bounds a whole run: several times what it should take.
const mostTime = 20 * time.Minute

// The targets, and what callers want of them.
const (
	slots          = 10
	realDeadline   = 15 * time.Second
	steadyDeadline = 2 * time.Second
)

// bench is a run of the program.
type bench struct {
	binary, dir string
	length      time.Duration // of the load of the first part
	rounds      int           // of the first part
	share       float64       // of one target's slots that the load asks for
	leave       float64       // share of callers who leave early
	trace       string
	scale       float64 // of the times of the second part
	config      string  // more of the gateways' configuration
	seed        uint64
}

func main() { entry.Main("outage", mostTime, run) }

// options are the flags.
type options struct {
	bench
	given, root, parts, out string
}

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("outage", flag.ContinueOnError)
	var o options
	flags.StringVar(&o.given, "binary", "", "the forebay to measure (built from -root where empty)")
	flags.StringVar(&o.root, "root", "..", "folder of the Forebay module")
	flags.DurationVar(&o.length, "length", 100*time.Second, "the load of real arrivals; its middle third is the outage")
	flags.IntVar(&o.rounds, "rounds", 1, "how often real arrivals are replayed; each has to hold by itself")
	flags.Float64Var(&o.share, "share", 0.8, "how much of one target's slots the loads ask for")
	flags.Float64Var(&o.leave, "leave", 0.05, "share of the callers of real arrivals who leave early")
	flags.StringVar(&o.trace, "trace", "../../shared/data/traces/AzureLLMInferenceTrace_conv.csv.gz", "Azure LLM inference trace")
	flags.Float64Var(&o.scale, "scale", 1, "scale of the times of recovery: 0.1 makes the failure 3 s long")
	flags.StringVar(&o.config, "config", "", "more of the gateways' configuration (YAML)")
	flags.Uint64Var(&o.seed, "seed", 1, "fixes what chance decides")
	flags.StringVar(&o.parts, "parts", "outage,recovery", "what to measure")
	flags.StringVar(&o.out, "out", "", "write what is printed to this file too")
	err := flags.Parse(args)
	switch {
	case err != nil:
	case o.length < time.Second || o.length > 5*time.Minute || o.rounds < 1 || o.rounds > 10:
		err = errors.New("-length is 1s to 5m, -rounds 1 to 10")
	case !(o.share > 0 && o.share <= 2) || !(o.leave >= 0 && o.leave < 1) || !(o.scale >= 0.01 && o.scale <= 4):
		err = errors.New("-share is above 0 and at most 2, -leave 0 to below 1, -scale 0.01 to 4")
	}
	return o, err
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.out != "" {
		f, err := os.Create(o.out)
		if err != nil {
			return err
		}
		defer f.Close()
		out = io.MultiWriter(out, f)
	}
	if o.dir, err = os.MkdirTemp("", "outage"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	b := o.bench
	if b.binary, err = subject.Build(ctx, o.root, o.given, o.dir); err != nil {
		return err
	}
	fmt.Fprintln(out, machine.This())
	fmt.Fprintf(out, "targets of %d slots, load for %g of one, seed %d\n", slots, b.share, b.seed)
	return b.report(ctx, strings.Split(o.parts, ","), out)
}

// report measures the parts in their order and prints what came out.
func (b *bench) report(ctx context.Context, parts []string, out io.Writer) error {
	var all []table.Verdict
	for _, part := range parts {
		var more []table.Verdict
		var err error
		switch part {
		case "outage":
			more, err = b.outage(ctx, out)
		case "recovery":
			more, err = b.recovery(ctx, out)
		default:
			err = fmt.Errorf("there is no part %q", part)
		}
		if err != nil {
			return err
		}
		all = append(all, more...)
	}
	return table.Verdicts(out, all)
}

// site is a gateway in front of targets, or targets alone.
type site struct {
	name   string
	ups    []*upstream
	server *subject.Server // nil where callers go straight to the first target
	all    []outcome
}

// build starts targets and, unless it is direct, a gateway in front of them.
func (b *bench) build(ctx context.Context, name string, targets int, direct bool) (*site, error) {
	s := &site{name: name}
	for range targets {
		up, err := startUpstream(slots)
		if err != nil {
			s.stop()
			return nil, err
		}
		s.ups = append(s.ups, up)
	}
	if direct {
		return s, nil
	}
	// Text goes behind the providers, of which the first is called mock.
	var more, use strings.Builder
	for i, up := range s.ups[1:] {
		fmt.Fprintf(&more, "  beside%d: {type: openai, base_url: \"http://%s/v1\"}\n", i, up.addr)
		fmt.Fprintf(&use, ", {provider: beside%d}", i)
	}
	var err error
	s.server, err = subject.Forebay{
		Binary: b.binary, Dir: filepath.Join(b.dir, strings.ReplaceAll(name, " ", "-")), Upstream: s.ups[0].addr,
		Text: more.String() + "keys:\n  - {name: bench, secret: " + subject.Key + ", tenant: bench, scopes: [call, metrics], bands: [low, normal, high, critical]}\n" +
			"models:\n  \"*\": {targets: [{provider: mock}" + use.String() + "]}\n" +
			fmt.Sprintf("limits: {max_concurrent: %d}\n", slots) + b.config + "\n",
	}.Start(ctx)
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *site) addr() string {
	if s.server == nil {
		return s.ups[0].addr
	}
	return s.server.Addr
}

func (s *site) stop() {
	if s.server != nil {
		s.server.Stop()
	}
	for _, up := range s.ups {
		up.close()
	}
}
