// Command forebay is the gateway and its tools in one binary: serve, demo, replay
// and the rest. It only connects the process (arguments, streams, signals, exit
// code) to package cli, which has the commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/forebay-ai/forebay/internal/cli"
)

func main() {
	// The first signal asks for an orderly stop. After it signals have their usual
	// effect again, so that a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()}))
}
