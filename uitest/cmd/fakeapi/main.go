// Command fakeapi serves the dashboard over made-up data, for work on its pages:
//
//	cd uitest && go run ./cmd/bundle && go run ./cmd/fakeapi
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/forebay-ai/forebay/uitest/fakeapi"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8091", "where to listen")
	var cfg fakeapi.Config
	flag.BoolVar(&cfg.Open, "open", false, "ask nobody for a key")
	flag.BoolVar(&cfg.ReadOnly, "read-only", false, "refuse changes")
	flag.BoolVar(&cfg.Quiet, "quiet", false, "a gateway that had no calls yet")
	flag.Uint64Var(&cfg.Seed, "seed", 1, "the same seed makes the same data")
	prefix := flag.String("prefix", "", "serve below this path, as behind a proxy that strips it")
	flag.Parse()
	if err := run(*addr, *prefix, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "fakeapi:", err)
		os.Exit(1)
	}
}

func run(addr, prefix string, cfg fakeapi.Config) error {
	s, err := fakeapi.New(cfg)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server := &http.Server{Addr: addr, Handler: http.StripPrefix(prefix, s), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Printf("http://%s%s/ui/  keys: %s %s %s\n", addr, prefix, fakeapi.OperatorKey, fakeapi.ReaderKey, fakeapi.CallerKey)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
