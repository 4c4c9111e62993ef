// Command overload measures what a Forebay does when more is asked of the provider
// than it can do: goodput from half to twenty times the capacity, the time to a no,
// critical calls beside a flood of low ones, low ones beside critical ones that never
// stop, quiet tenants beside a loud one, and bursts of real arrivals.
//
// The load is open-loop: calls come at their times, however slow the answers are, and
// their time counts from when they were to be sent. Behind the gateway, which is the
// release binary in a process of its own, is a model with ten slots that answers 429
// when it is asked for more. Everything talks to the loopback interface.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/entry"
	"github.com/forebay-ai/forebay/bench/internal/machine"
	"github.com/forebay-ai/forebay/bench/internal/subject"
	"github.com/forebay-ai/forebay/bench/internal/table"
)

// mostTime bounds a whole run: several times what it should take.
const mostTime = 30 * time.Minute

// tenants is how many keys the gateway knows, numbered from 0.
const tenants = 32

func keyOf(tenant int) string {
	if tenant == 0 {
		return subject.Key
	}
	return fmt.Sprintf("%s-%d", subject.Key, tenant)
}

// bench is a run of the program.
type bench struct {
	binary, dir string
	length      time.Duration // of each measured part
	seed        uint64
	draws       uint64
}

// rng is a source of chance of its own for each load, from the seed.
func (b *bench) rng() *rand.Rand {
	b.draws++
	return rand.New(rand.NewPCG(b.seed, 100+b.draws))
}

func main() { entry.Main("overload", mostTime, run) }

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("overload", flag.ContinueOnError)
	var b bench
	binary := flags.String("binary", "", "the forebay to measure (built from the module above where empty)")
	flags.DurationVar(&b.length, "length", 10*time.Second, "the measured part of each load, after 12 s of warm-up")
	flags.Uint64Var(&b.seed, "seed", 1, "fixes arrivals and service times")
	loads := flags.String("loads", "0.5,0.8,1,1.5,2,5,10,20", "points of the curve, times the capacity")
	trace := flags.String("trace", "../../shared/data/traces/AzureLLMInferenceTrace_conv.csv.gz", "trace for the bursts; - leaves them out")
	picture := flags.String("picture", "", "write the curve to this file (.svg or .png)")
	allBands := flags.Bool("all-bands", false, "draw the bursts' bands from all four, not from critical and normal alone")
	parts := flags.String("parts", "curve,critical,low,noisy,bursts", "what to measure")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "overload")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	if b.binary, err = subject.Build(ctx, "..", *binary, dir); err != nil {
		return err
	}
	fmt.Fprintln(out, machine.This())
	fmt.Fprintf(out, "%d slots, calls of 50 to 150 ms (%.0f a second), deadline %v, seed %d\n", slots, capacity, deadline, b.seed)
	return b.report(ctx, options{parts: strings.Split(*parts, ","), loads: *loads, trace: *trace, picture: *picture, allBands: *allBands}, out)
}

type options struct {
	parts                 []string
	loads, trace, picture string
	allBands              bool
}

// report measures the parts in their order and prints what came out.
func (b *bench) report(ctx context.Context, o options, out io.Writer) error {
	var all []table.Verdict
	one := func(v table.Verdict, err error) error {
		all = append(all, v)
		return err
	}
	for _, part := range o.parts {
		var err error
		switch part {
		case "curve":
			var points []point
			var at []float64
			if at, err = numbers(o.loads); err != nil {
				return err
			}
			if points, err = b.curve(ctx, at); err == nil {
				all = append(all, judgeCurve(points)...)
				err = errors.Join(printCurve(out, points), draw(o.picture, points))
			}
		case "critical":
			err = one(b.critical(ctx))
		case "low":
			err = one(b.low(ctx))
		case "noisy":
			err = one(b.noisy(ctx))
		case "bursts":
			if o.trace == "-" {
				continue
			}
			var arrivals []arrival
			if arrivals, err = readTrace(o.trace); err == nil {
				var v []table.Verdict
				v, err = b.replayBursts(ctx, bursts(arrivals, b.seed, o.allBands))
				all = append(all, v...)
			}
		default:
			err = fmt.Errorf("there is no part %q", part)
		}
		if err != nil {
			return err
		}
	}
	return table.Verdicts(out, all)
}

func numbers(text string) ([]float64, error) {
	var all []float64
	for part := range strings.SplitSeq(text, ",") {
		x, err := strconv.ParseFloat(part, 64)
		if err != nil || x <= 0 || x > 100 {
			return nil, fmt.Errorf("-loads: %q is no number between 0 and 100", part)
		}
		all = append(all, x)
	}
	return all, nil
}

func printCurve(out io.Writer, points []point) error {
	rows := [][]string{{"offered", "goodput/s", "in time", "late", "refused", "other", "p50", "p99", "no p99", "door p99", "calls", "429", "cut off"}}
	for _, p := range points {
		rows = append(rows, []string{
			fmt.Sprintf("%g x", p.Offered), fmt.Sprintf("%.1f", p.Goodput), fmt.Sprint(p.InTime), fmt.Sprint(p.Late), fmt.Sprint(p.Refused),
			fmt.Sprint(p.Other), ms(p.InTime50).String(), ms(p.InTime99).String(), ms(p.RefusedP99).String(), ms(p.DoorP99).String(),
			fmt.Sprint(p.Calls), fmt.Sprint(p.Refused429), fmt.Sprint(p.CutOff),
		})
	}
	return table.Grid(out, "goodput against offered load", rows)
}

// run starts a fresh gateway and a fresh upstream, sends the load, and says what
// became of it and how often the upstream was called.
func (b *bench) run(ctx context.Context, load []request) ([]outcome, use, error) {
	up, err := startUpstream(slots)
	if err != nil {
		return nil, use{}, err
	}
	defer up.close()
	var keys strings.Builder
	for t := range tenants {
		fmt.Fprintf(&keys, "  - {name: k%d, secret: %s, tenant: t%d, scopes: [call, metrics], bands: [low, normal, high, critical]}\n", t, keyOf(t), t)
	}
	server, err := subject.Forebay{
		Binary: b.binary, Dir: filepath.Join(b.dir, "gateway"), Upstream: up.addr,
		Text: "keys:\n" + keys.String() + "models:\n  \"*\": {targets: [{provider: mock}]}\n" +
			fmt.Sprintf("limits: {max_concurrent: %d}\n", slots),
	}.Start(ctx)
	if err != nil {
		return nil, use{}, err
	}
	defer server.Stop()
	before := up.use()
	all := fire(ctx, "http://"+server.Addr, load)
	return all, up.use().since(before), ctx.Err()
}
