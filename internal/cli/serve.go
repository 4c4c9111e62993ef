package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/internal/app"
)

func serveCommand(s Streams) *cobra.Command {
	var f settings
	var drain time.Duration
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway until a signal stops it; calls in progress are finished first.

Without a file it takes what the environment offers (OPENAI_API_KEY, OPENAI_BASE_URL)
or the --upstream URLs. Callers need a key if FOREBAY_KEYS or the file has any; without
keys only loopback addresses are served.`,
		Example: `  forebay serve --upstream http://127.0.0.1:11434/v1
  forebay serve --upstream https://one.example/v1 --upstream https://two.example/v1
  forebay serve --config forebay.yaml --listen 127.0.0.1:9000`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return serve(c.Context(), s, &f, drain) },
	}
	f.register(c)
	c.Flags().DurationVar(&drain, "drain", 0, "how long a stop waits for calls in progress (default 25s)")
	return c
}

// serve runs a gateway until ctx ends and everything is drained.
func serve(ctx context.Context, s Streams, f *settings, drain time.Duration) error {
	if drain < 0 {
		return usageError{fmt.Errorf("--drain %s: a duration above 0, such as 25s", drain)}
	}
	file, err := f.read(s)
	if err != nil {
		return err
	}
	sink := newLogSink(s.Err, tellDropped(logFormat(s, file)))
	defer sink.close()
	log := logger(sink, file.Log.Level, logFormat(s, file))
	for _, w := range file.Warnings() {
		log.Warn(w)
	}
	server, err := app.Listen(app.Options{File: file, Drain: drain, Logger: log, Version: Version()})
	if err != nil {
		return err
	}
	if isTerminal(s.Err) {
		announce(s.Err, file, server)
	} else {
		log.Info("serving", serving(file, server)...)
	}
	defer app.PaceGC()()
	return server.Run(ctx)
}

// serving is what is served and where, as the attributes of one line of the log.
// Programs that start a gateway at port 0 find its address in url.
func serving(file *config.File, server *app.Server) []any {
	attrs := []any{"url", server.URL(), "found", file.Found(), "keys", len(file.Keys)}
	if control := server.ControlURL(); control != "" {
		attrs = append(attrs, "control", control)
	}
	if page := server.DashboardURL(); page != "" {
		attrs = append(attrs, "dashboard", page)
	}
	return attrs
}

// announce says what is served and where, for people.
func announce(w io.Writer, file *config.File, server *app.Server) {
	url, metrics := server.URL(), server.URL()
	if control := server.ControlURL(); control != "" {
		metrics = control
	}
	fmt.Fprintf(w, "  gateway  %s/v1   OpenAI's protocol\n", url)
	if page := server.DashboardURL(); page != "" {
		fmt.Fprintf(w, "  look     %s   the dashboard\n", page)
	}
	fmt.Fprintf(w, "  health   %s/v1/health\n  metrics  %s/metrics\n", metrics, metrics)
	for _, found := range file.Found() {
		fmt.Fprintf(w, "  found    %s\n", found)
	}
	if len(file.Keys) == 0 {
		fmt.Fprintln(w, "  keys     none: everybody on this machine may call (set FOREBAY_KEYS to change that)")
		return
	}
	fmt.Fprintf(w, "  keys     %d\n", len(file.Keys))
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && isatty.IsTerminal(f.Fd())
}
