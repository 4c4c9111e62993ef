// Command replayed takes the pictures of the dashboard that the documentation shows, of calls that were really
// made: it builds forebay, starts it with simulated providers, replays the Azure LLM inference trace over
// several operations and users with an outage in the middle, and then looks at every page:
//
//	cd uitest && go run ./cmd/replayed -for 2m
//
// The trace is found through FOREBAY_SHARED or beside the repository, or named by -trace. With -out empty no
// pictures are taken; with -stay the server goes on until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/forebay-ai/forebay/uitest/internal/pictures"
	"github.com/forebay-ai/forebay/uitest/internal/served"
)

// traceFile is the trace beneath the folder of shared data.
const traceFile = "data/traces/AzureLLMInferenceTrace_conv.csv.gz"

// settings are what the flags ask for.
type settings struct {
	trace, out, span string
	length           time.Duration
	stay             bool
}

func main() {
	var s settings
	flag.StringVar(&s.trace, "trace", "", "the trace; empty for the shared one")
	flag.StringVar(&s.out, "out", filepath.Join("..", "docs", "screenshots"), "the folder for the pictures; empty for none")
	flag.DurationVar(&s.length, "for", 2*time.Minute, "how long calls are replayed, at least 30s")
	flag.StringVar(&s.span, "span", "15m", "the time range of the pages")
	flag.BoolVar(&s.stay, "stay", false, "go on serving at the end, until an interrupt")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, &s); err != nil {
		fmt.Fprintln(os.Stderr, "replayed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s *settings) (err error) {
	trace, err := findTrace(s.trace)
	if err != nil {
		return err
	}
	if s.length < 30*time.Second {
		return fmt.Errorf("-for %s is too short for anything to show: 30s at least", s.length)
	}
	dir, err := os.MkdirTemp("", "forebay-replayed-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, err := served.Build(ctx, "..", dir)
	if err != nil {
		return err
	}
	file, err := configure(dir, s.length)
	if err != nil {
		return err
	}
	gate, err := served.Start(program, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gate.Stop()) }()
	fmt.Printf("%s/ui/  key: %s  pid: %d\n", gate.URL, operatorKey, gate.PID())
	load := &load{program: program, trace: trace, url: gate.URL, length: s.length}
	// The pictures are taken while calls go on.
	err = load.run(ctx, func() error {
		if s.out == "" {
			return nil
		}
		// A request that the second target of its model answered: such a one has more than one attempt to show.
		return pictures.Take(&pictures.Plan{
			URL: gate.URL, Key: operatorKey, Out: s.out, Pages: pictures.Pages(), Themes: []string{"light", "dark"},
			Width: 1280, Height: 800, Span: s.span, Search: "provider=south&model=large&cache=miss&outcome=ok",
		})
	})
	if err != nil {
		return err
	}
	if s.stay {
		<-ctx.Done()
	}
	return nil
}

// findTrace is the path of the trace: the one that was named, else the shared one.
func findTrace(named string) (string, error) {
	path := named
	if path == "" {
		shared := os.Getenv("FOREBAY_SHARED")
		if shared == "" {
			shared = filepath.Join("..", "..", "shared")
		}
		path = filepath.Join(shared, filepath.FromSlash(traceFile))
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the trace is absent: %w; name it by -trace, or the folder that has %s by FOREBAY_SHARED", err, traceFile)
	}
	return filepath.Abs(path)
}
