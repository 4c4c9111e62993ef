// Command streams measures ten thousand streams in progress at once: how many break, how
// much later than it was sent each event arrives, and what memory a gateway takes for it.
//
// The upstream speaks HTTP/2 over TLS, so that the gateway needs a connection for some
// hundred streams and not one for each. Callers come with a connection each, as browsers
// and servers of many users do. Every stream lasts for the same time and sends an event
// every few seconds. Forebay, with keys, metrics, accounting and the log of calls on, and a
// bare httputil.ReverseProxy take turns, each in a process of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/entry"
	"github.com/forebay-ai/forebay/bench/internal/machine"
	"github.com/forebay-ai/forebay/bench/internal/proc"
	"github.com/forebay-ai/forebay/bench/internal/subject"
	"github.com/forebay-ai/forebay/bench/internal/table"
)

// mostTime bounds a whole run: several times what it should take.
const mostTime = 30 * time.Minute

// The subcommands under which this binary runs again as a child.
const (
	cmdUpstream = "upstream"
	cmdProxy    = "proxy"
	cmdLoad     = "load"
)

// load says what callers do.
type load struct {
	Addr    string        `json:"addr"`
	Streams int           `json:"streams"`
	Ramp    time.Duration `json:"ramp"` // within which all of them begin, evenly
}

// options are the flags.
type options struct {
	load
	events          int           // of one stream
	gap             time.Duration // between them
	rounds          int
	binary, root    string
	out, dir        string
	config          string
	certificate     string
	key             string
	upstreamAddress string
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case cmdUpstream, cmdProxy, cmdLoad:
			entry.Main("streams "+os.Args[1], mostTime, child)
			return
		}
	}
	entry.Main("streams", mostTime, run)
}

// child runs a subcommand.
func child(ctx context.Context, args []string, out io.Writer) error {
	switch args[0] {
	case cmdUpstream:
		return runUpstream(args[1:])
	case cmdProxy:
		return runProxy(args[1:])
	}
	return runLoad(ctx, os.Stdin, out)
}

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("streams", flag.ContinueOnError)
	var o options
	flags.IntVar(&o.Streams, "streams", 10_000, "streams in progress at once")
	flags.DurationVar(&o.Ramp, "ramp", 25*time.Second, "time within which all of them begin")
	flags.IntVar(&o.events, "events", 10, "events of one stream")
	flags.DurationVar(&o.gap, "gap", 5*time.Second, "time between the events of one stream")
	flags.IntVar(&o.rounds, "rounds", 1, "rounds; figures are medians over them")
	flags.StringVar(&o.binary, "binary", "", "the forebay to measure (built from -root where empty)")
	flags.StringVar(&o.root, "root", "..", "folder of the Forebay module")
	flags.StringVar(&o.config, "config", "", "more of the gateway's configuration (YAML)")
	flags.StringVar(&o.out, "out", "", "write what is printed to this file too")
	err := flags.Parse(args)
	switch {
	case err != nil:
	case o.Streams < 1 || o.Streams > 18_000:
		err = errors.New("-streams is 1 to 18000: a process may have 20,000 open files on small machines")
	case o.rounds < 1 || o.rounds > 10:
		err = errors.New("-rounds is 1 to 10")
	case o.events < 1 || o.gap <= 0 || o.Ramp <= 0:
		err = errors.New("-events, -gap and -ramp are above 0")
	case time.Duration(o.events)*o.gap <= o.Ramp:
		err = fmt.Errorf("streams of %v would end before all have begun in %v", time.Duration(o.events)*o.gap, o.Ramp)
	case time.Duration(o.events)*o.gap+o.Ramp > 5*time.Minute:
		err = errors.New("a load lasts five minutes at most")
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
	if o.dir, err = os.MkdirTemp("", "streams"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	if o.certificate, o.key, err = certificate(o.dir); err != nil {
		return err
	}
	if o.binary, err = subject.Build(ctx, o.root, o.binary, o.dir); err != nil {
		return err
	}
	fmt.Fprintln(out, machine.This())
	fmt.Fprintf(out, "%d streams of %d events, one every %v, all begun within %v: %.0f events/s\n",
		o.Streams, o.events, o.gap, o.Ramp, float64(o.Streams)/o.gap.Seconds())
	return o.measure(ctx, out)
}

// measure lets the systems take turns.
func (o *options) measure(ctx context.Context, out io.Writer) error {
	up, addr, err := proc.StartServer(o.own(cmdUpstream, o.certificate, o.key, strconv.Itoa(o.events), o.gap.String()))
	if err != nil {
		return err
	}
	defer up.Stop()
	o.upstreamAddress = addr
	seen := map[string][]figures{}
	for range o.rounds {
		for _, s := range []struct {
			name  string
			start func(context.Context) (*subject.Server, error)
		}{{reverseProxy, o.startProxy}, {forebay, o.startForebay}} {
			f, err := o.one(ctx, s.start)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			seen[s.name] = append(seen[s.name], f)
		}
	}
	return report(out, o, seen)
}

// one measures a fresh system.
func (o *options) one(ctx context.Context, start func(context.Context) (*subject.Server, error)) (figures, error) {
	s, err := start(ctx)
	if err != nil {
		return figures{}, err
	}
	defer s.Stop()
	pids := proc.Tree(s.PIDs)
	proc.ResetPeak(pids)
	before := proc.CPU(pids)
	l := o.load
	l.Addr = s.Addr
	f, err := callers(ctx, o.own(cmdLoad), l)
	if err != nil {
		return f, err
	}
	f.cpu = proc.CPU(pids) - before
	f.peak, _ = proc.Memory(pids)
	return f, nil
}

// own is this program again, as a child.
func (o *options) own(args ...string) *exec.Cmd { return exec.Command("/proc/self/exe", args...) }

// The names of the systems in the table.
const (
	reverseProxy = "ReverseProxy"
	forebay      = "Forebay"
)

func (o *options) startProxy(context.Context) (*subject.Server, error) {
	c, addr, err := proc.StartServer(o.own(cmdProxy, o.upstreamAddress, o.certificate))
	if err != nil {
		return nil, err
	}
	return subject.Of(c, addr), nil
}

// config is the gateway's: everything is on, and nothing bounds what is measured. The
// deadline is above the length of a stream.
const config = `keys:
  - {name: bench, secret: ` + subject.Key + `, tenant: bench, scopes: [call, metrics]}
models:
  "*": {targets: [{provider: mock}]}
limits: {max_concurrent: 20000, adaptive: false}
defaults: {deadline: 10m}
`

func (o *options) startForebay(ctx context.Context) (*subject.Server, error) {
	return subject.Forebay{
		Binary: o.binary, Dir: filepath.Join(o.dir, "gateway"), Upstream: o.upstreamAddress, Scheme: "https",
		Env: []string{"SSL_CERT_FILE=" + o.certificate}, Text: config + o.config,
	}.Start(ctx)
}

// report prints what came out, and what has to hold.
func report(out io.Writer, o *options, seen map[string][]figures) error {
	rows := [][]string{{"", "whole", "broken", "at once", "first event p50", "p99", "event delay p50", "p99", "max", "CPU s", "peak MB", "KB a stream"}}
	for _, name := range []string{reverseProxy, forebay} {
		f := median(seen[name])
		ms := func(d time.Duration) string { return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) + " ms" }
		rows = append(rows, []string{
			name, strconv.Itoa(f.Whole), strconv.Itoa(f.Broken), strconv.Itoa(f.AtOnce), ms(f.First50), ms(f.First99), ms(f.Delay50), ms(f.Delay99), ms(f.DelayMax),
			strconv.FormatFloat(f.cpu.Seconds(), 'f', 1, 64), strconv.FormatFloat(float64(f.peak)/1e6, 'f', 0, 64),
			strconv.FormatFloat(float64(f.peak)/1e3/float64(o.Streams), 'f', 1, 64),
		})
		for _, fault := range f.Faults {
			fmt.Fprintf(out, "%s: %s\n", name, fault)
		}
	}
	proxy, own := median(seen[reverseProxy]), median(seen[forebay])
	broken := 0
	for _, f := range seen[forebay] {
		broken += f.Broken
	}
	return errors.Join(table.Grid(out, "medians over the rounds", rows), table.Verdicts(out, []table.Verdict{
		{What: "streams that broke", Seen: strconv.Itoa(broken), Wanted: "0", OK: broken == 0},
		{What: "streams at once", Seen: strconv.Itoa(own.AtOnce), Wanted: strconv.Itoa(o.Streams), OK: own.AtOnce == o.Streams},
		{
			What: "peak memory beside ReverseProxy's", Seen: fmt.Sprintf("%.0f MB, %.2f x", float64(own.peak)/1e6, float64(own.peak)/float64(proxy.peak)),
			Wanted: "less", OK: own.peak < proxy.peak,
		},
		{
			What: "event delay p99 above ReverseProxy's", Seen: (own.Delay99 - proxy.Delay99).Round(time.Millisecond / 10).String(),
			Wanted: "at most 50ms", OK: own.Delay99-proxy.Delay99 <= 50*time.Millisecond,
		},
	}))
}

// median takes the median of each figure, and the faults of all rounds.
func median(all []figures) figures {
	var f figures
	f.Whole = middle(all, func(f figures) int { return f.Whole })
	f.Broken = middle(all, func(f figures) int { return f.Broken })
	f.AtOnce = middle(all, func(f figures) int { return f.AtOnce })
	for _, d := range []func(*figures) *time.Duration{
		func(f *figures) *time.Duration { return &f.First50 }, func(f *figures) *time.Duration { return &f.First99 },
		func(f *figures) *time.Duration { return &f.Delay50 }, func(f *figures) *time.Duration { return &f.Delay99 },
		func(f *figures) *time.Duration { return &f.DelayMax }, func(f *figures) *time.Duration { return &f.cpu },
	} {
		*d(&f) = middle(all, func(f figures) time.Duration { return *d(&f) })
	}
	f.peak = middle(all, func(f figures) int64 { return f.peak })
	for _, g := range all {
		f.Faults = append(f.Faults, g.Faults...)
	}
	return f
}

func middle[T int | int64 | time.Duration](all []figures, of func(figures) T) T {
	var values []T
	for _, f := range all {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
