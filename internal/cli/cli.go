package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/internal/cli/keypair"
)

// Streams are the outside of a command.
type Streams struct {
	In       io.Reader // nil where there is none
	Out, Err io.Writer
	Environ  []string
}

// Main runs the command that args name and returns the exit code. ctx ends with
// the first signal to stop.
func Main(ctx context.Context, args []string, s Streams) int {
	root := &cobra.Command{
		Use:   "forebay",
		Short: "A performance and reliability layer for calls to AI models",
		Long: `Forebay stands between your programs and the models that they call: it answers
from a cache, lets load beyond the limit wait by priority, opens a breaker on a
failing provider, and measures every step.`,
		Example: `  forebay demo
  forebay serve --upstream http://127.0.0.1:11434/v1
  OPENAI_API_KEY=... forebay serve
  forebay validate forebay.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       Version(),
	}
	root.SetVersionTemplate("forebay {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetArgs(args)
	root.AddCommand(serveCommand(s), demoCommand(s), replayCommand(s), simulateCommand(s),
		cacheCommand(s), jobsCommand(s), storeCommand(s), targetsCommand(s), breakerCommand(s), explainCommand(s),
		topCommand(s), requestsCommand(s), alarmsCommand(s), costCommand(s), awsCommand(s),
		keypair.Command(s.Out, group, noArguments, func(err error) error { return usageError{err} }), validateCommand(s), configCommand(s), versionCommand(s))
	group(root)
	root.SetHelpCommand(helpCommand())
	addCompletion(root)
	c, err := root.ExecuteContextC(ctx)
	return report(ctx, s.Err, strings.TrimSuffix(c.CommandPath(), " help"), err)
}

// settings are the flags that say where the configuration comes from.
type settings struct {
	file      string
	profile   string
	listen    string
	upstreams []string
	set       []string
}

func (f *settings) register(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "config", "c", "", "configuration file (FOREBAY_CONFIG)")
	c.Flags().StringVar(&f.profile, "profile", "", "profile: standard, analysis or interactive (FOREBAY_PROFILE)")
	c.Flags().StringVar(&f.listen, "listen", "", "address for calls (FOREBAY_LISTEN; default 127.0.0.1:8080)")
	c.Flags().StringArrayVar(&f.upstreams, "upstream", nil, "base URL that speaks OpenAI's protocol; repeatable, in order of preference")
	c.Flags().StringArrayVar(&f.set, "set", nil, "a setting as KEY=VALUE, as in --set queue.max=100; repeatable")
}

// read gathers the configuration from flags, environment and file.
func (f *settings) read(s Streams) (*config.File, error) {
	src := config.Sources{Path: f.file, Environ: s.Environ, Upstreams: f.upstreams, Profile: f.profile, Flags: map[string]string{}}
	if f.listen != "" {
		src.Flags["listen"] = f.listen
	}
	for _, kv := range f.set {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return nil, usageError{fmt.Errorf("--set %q: write it as KEY=VALUE", kv)}
		}
		src.Flags[key] = value
	}
	return config.Read(src)
}

// logFormat is the format of the log that file asks for: text or json.
func logFormat(s Streams, file *config.File) string {
	if file.Log.Format == "auto" && !isTerminal(s.Err) {
		return "json"
	}
	return file.Log.Format
}

// logger writes records of level and above, as text or JSON lines.
func logger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// Version is the version of this binary: the module's, or the commit it was built
// from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				version += "+" + s.Value[:12]
			}
		}
	}
	return version
}

func versionCommand(s Streams) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, Go version and platform",
		Example: "  forebay version",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(s.Out, "forebay %s\n%s %s/%s\n", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
