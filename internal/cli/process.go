package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Process runs the command of this process, with its arguments, streams and
// environment, and returns the exit code. The first SIGINT or SIGTERM asks for an
// orderly stop. After it signals have their usual effect again, so that a second
// one ends the process at once.
func Process() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Main(ctx, os.Args[1:], Streams{Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()})
}
