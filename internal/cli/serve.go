package cli

import (
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
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := f.read(s)
			if err != nil {
				return err
			}
			log := fileLogger(s, file)
			for _, w := range file.Warnings() {
				log.Warn(w)
			}
			server, err := app.Listen(app.Options{File: file, Drain: drain, Logger: log, Version: Version()})
			if err != nil {
				return err
			}
			announce(s, file, server.URL())
			return server.Run(c.Context())
		},
	}
	f.register(c)
	c.Flags().DurationVar(&drain, "drain", 0, "how long a stop waits for calls in progress (default 25s)")
	return c
}

// announce says what is served and where: for people on a terminal, and as one
// line of the log elsewhere.
func announce(s Streams, file *config.File, url string) {
	if !isTerminal(s.Err) {
		fileLogger(s, file).Info("serving", "url", url, "found", file.Found(), "keys", len(file.Keys))
		return
	}
	fmt.Fprintf(s.Err, "  gateway  %s/v1   OpenAI's protocol\n  health   %s/v1/health\n  metrics  %s/metrics\n", url, url, url)
	for _, found := range file.Found() {
		fmt.Fprintf(s.Err, "  found    %s\n", found)
	}
	if len(file.Keys) == 0 {
		fmt.Fprintln(s.Err, "  keys     none: everybody on this machine may call (set FOREBAY_KEYS to change that)")
	} else {
		fmt.Fprintf(s.Err, "  keys     %d\n", len(file.Keys))
	}
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && isatty.IsTerminal(f.Fd())
}
