// Package entry is how the benchmarks of this module start and end.
package entry

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// Main runs a benchmark of this name for at most so long, or until the process is asked
// to stop, and ends the process with its status: 2 when a figure was missed, 1 when the run
// itself went wrong. It has to be called by main: children die with the thread that
// started them, which stays main's.
func Main(name string, most time.Duration, run func(ctx context.Context, args []string, out io.Writer) error) {
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, most)
	err := run(ctx, os.Args[1:], os.Stdout)
	cancel()
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, name+":", err)
	if errors.Is(err, table.ErrMissed) {
		os.Exit(2)
	}
	os.Exit(1)
}
