package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/internal/app"
	"github.com/forebay-ai/forebay/provider/simulated"
)

func demoCommand(s Streams) *cobra.Command {
	o := app.DemoOptions{Out: s.Out, Err: s.Err, Version: Version()}
	var verbose bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show everything at work, without a key or a network",
		Long: `Start a gateway and a simulated provider on this machine, send a short mixed load that
shows a miss, a hit, a wait in the queue, a durable job that outlasts a restart, a breaker that
opens and a fallback, print what happened and where to look, and go on serving. Every
answer is simulated. What has to last is in a temporary directory that is removed at the end.`,
		Example: "  forebay demo\n  forebay demo --exit",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelError
			if verbose {
				level = slog.LevelDebug
			}
			o.Log = logger(s.Err, level, "text")
			return app.Demo(c.Context(), o)
		},
	}
	c.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:8080", "the gateway's address")
	c.Flags().BoolVar(&o.Exit, "exit", false, "end after the table; the exit code says whether all effects showed")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the gateway's log")
	return c
}

func simulateCommand(s Streams) *cobra.Command {
	var cfg simulated.Config
	var listen string
	var faults []string
	c := &cobra.Command{
		Use:   "simulate-provider",
		Short: "Serve a simulated provider that speaks OpenAI's protocol",
		Long: `Serve a simulated provider on a socket, for a gateway to meet as a real upstream. Answers
are drawn from the request's hash: the same request gets the same answer, usage and
latency. Faults can be planned by flags, and changed while it runs under /simulated/faults;
/simulated/calls has a log of calls.`,
		Example: `  forebay simulate-provider --listen 127.0.0.1:9001
  forebay simulate-provider --scale 1 --capacity 10 --fault status=503,share=0.3,from=10s,to=20s
  curl 127.0.0.1:9001/simulated/calls`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, text := range faults {
				f, err := simulated.ParseFault(text)
				if err != nil {
					return usageError{fmt.Errorf("--fault: %w", err)}
				}
				cfg.Faults = append(cfg.Faults, f)
			}
			return simulate(c.Context(), s, listen, cfg)
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:9001", "address; loopback only, since there is no access control")
	c.Flags().Float64Var(&cfg.Scale, "scale", 0, "factor for the latencies: 1 is as slow as recorded providers, 0 answers at once")
	c.Flags().IntVar(&cfg.Capacity, "capacity", 0, "calls at once; more get 429 with Retry-After (0: no bound)")
	c.Flags().Uint64Var(&cfg.Seed, "seed", 0, "another seed gives other words and latencies")
	c.Flags().IntVar(&cfg.Words, "words", 0, "length of answers in words (0: 20 to 60)")
	c.Flags().StringArrayVar(&faults, "fault", nil, "something that goes wrong, as status=503,share=0.5,from=2s,to=10s; repeatable")
	c.Flags().StringSliceVar(&cfg.Models, "models", nil, "models that it lists (every name is answered)")
	return c
}

// simulate serves a simulated provider until ctx ends.
func simulate(ctx context.Context, s Streams, listen string, cfg simulated.Config) error {
	p, err := simulated.New(cfg)
	if err != nil {
		return usageError{err}
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if addr, ok := ln.Addr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
		return errors.Join(usageError{fmt.Errorf("--listen %s: loopback addresses only", listen)}, ln.Close())
	}
	server := &http.Server{Handler: p.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	fmt.Fprintf(s.Err, "simulated provider  http://%s/v1\nlog of calls        http://%s/simulated/calls\n", ln.Addr(), ln.Addr())
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
