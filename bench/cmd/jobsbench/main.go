// Command jobsbench measures the durable queue: how many jobs a second are taken in,
// claimed and completed, each of the three on disk before it counts, by ten writers at
// 4 KiB; beside bare SQLite with group commit that does the same three writes, River on
// PostgreSQL and asynq on Redis with every write synced. It also measures what a claim
// costs among a thousand and a million queued jobs, and the start behind a crash.
//
// All are measured in turns in one run, in medians over rounds. PostgreSQL and Redis
// are started here, on loopback, with data folders of their own beside the others'.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/entry"
	"github.com/forebay-ai/forebay/bench/internal/machine"
	"github.com/forebay-ai/forebay/bench/internal/table"
)

// mostTime bounds a whole run: several times what it should take.
const mostTime = 30 * time.Minute

// What is measured.
const (
	writers      = 10
	payloadBytes = 4 << 10
)

func main() { entry.Main("jobsbench", mostTime, run) }

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("jobsbench", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "how often each system is measured, in turns")
	length := flags.Duration("length", 4*time.Second, "each measurement")
	systems := flags.String("systems", "sqlite,forebay,forebay-relaxed,river,asynq", "what to measure")
	parts := flags.String("parts", "cycle,flat,start", "what to measure of it")
	dir := flags.String("dir", "", "where the data goes (a folder that is made and removed; default: in the system's folder for temporary files)")
	queued := flags.Int("queued", 1_000_000, "jobs of the longest backlog")
	if err := flags.Parse(args); err != nil {
		return err
	}
	home, err := os.MkdirTemp(*dir, "jobsbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	if err := os.Chmod(home, 0o755); err != nil { // PostgreSQL does not run as root, and has to get in
		return err
	}
	fmt.Fprintln(out, machine.This())
	var verdicts []table.Verdict
	for part := range strings.SplitSeq(*parts, ",") {
		var more []table.Verdict
		switch part {
		case "cycle":
			more, err = cycles(ctx, out, cycleOptions{home, strings.Split(*systems, ","), *rounds, *length})
		case "flat":
			more, err = flat(ctx, out, filepath.Join(home, "flat"), *queued)
		case "start":
			more, err = restart(ctx, out, filepath.Join(home, "start"), 100_000)
		default:
			err = fmt.Errorf("there is no part %q", part)
		}
		if err != nil {
			return err
		}
		verdicts = append(verdicts, more...)
	}
	return table.Verdicts(out, verdicts)
}

// median sorts v.
func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
