package cli

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Process runs the command of this process, with its arguments, streams and
// environment, and returns the exit code. The first SIGINT or SIGTERM asks for an
// orderly stop. After it signals have their usual effect again, so that a second
// one ends the process at once.
func Process() int {
	// net/http prints bytes that a provider sent out of turn, which may be part of an answer.
	log.SetOutput(io.Discard)
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		// Before the stop begins: who sees it begin may send the second signal.
		signal.Stop(signals)
		cancel()
	})
	defer wg.Wait()
	defer cancel()
	return Main(ctx, os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()})
}
