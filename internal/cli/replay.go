package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/internal/replay"
	"github.com/forebay-ai/forebay/llm"
)

// replayFlags are the flags of the replay command.
type replayFlags struct {
	cfg        replay.Config
	trace, out string
	key        string
}

func replayCommand(s Streams) *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay --trace FILE",
		Short: "Send a recorded load to a running gateway",
		Long: `Send the calls of a trace to a running gateway at their real times of arrival, and say
what became of each. Traces are the Azure LLM inference trace (CSV) and Mooncake's
(JSON Lines), plain or gzipped; prompts have the traced size.

The load is open-loop: calls start when the trace says, however slow the answers are,
and latency counts from that moment.`,
		Example: `  forebay replay --trace AzureLLMInferenceTrace_conv.csv.gz --speed 60
  forebay replay --trace mooncake.jsonl --repeat 0.3 --stream 0.5 --json report.json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.trace == "" {
				return usageError{errors.New("--trace is missing: name a trace file")}
			}
			return f.run(c, s)
		},
	}
	f.register(c)
	return c
}

func (f *replayFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.trace, "trace", "", "trace file (Azure CSV or Mooncake JSONL, .gz or not)")
	flags.StringVar(&f.cfg.URL, "url", "http://127.0.0.1:8080", "the gateway")
	flags.StringVar(&f.key, "key", "", "caller's key (FOREBAY_KEY)")
	flags.StringVar(&f.cfg.Model, "model", "demo", "model to ask for")
	flags.StringVar(&f.cfg.Operation, "operation", "", "operation to name")
	flags.Float64Var(&f.cfg.Speed, "speed", 1, "how many times faster than recorded")
	flags.Float64Var(&f.cfg.Repeat, "repeat", 0.2, "share of calls that repeat an earlier one, 0 to 1")
	flags.Float64Var(&f.cfg.Stream, "stream", 0.5, "share of calls that ask for a stream, 0 to 1")
	flags.IntVar(&f.cfg.Users, "users", 100, "how many users the calls come from")
	flags.IntVar(&f.cfg.Offset, "offset", 0, "calls to leave out at the start of the trace")
	flags.IntVar(&f.cfg.Limit, "limit", 0, "calls to send at most (0: all)")
	flags.DurationVar(&f.cfg.Timeout, "timeout", replay.DefaultTimeout, "bound of a call, from its intended start")
	flags.IntVar(&f.cfg.MaxInFlight, "max-in-flight", replay.DefaultMaxInFlight, "calls in progress at most; more count as unsent")
	flags.Uint64Var(&f.cfg.Seed, "seed", 1, "fixes prompts, repeats and priorities")
	flags.StringVar(&f.out, "json", "", "write the report as JSON to this file (- for standard output)")
}

func (f *replayFlags) run(c *cobra.Command, s Streams) error {
	trace, err := replay.Open(f.trace)
	if err != nil {
		return err
	}
	f.cfg.Trace = trace.Arrivals
	f.cfg.Key = llm.Secret(f.key)
	if f.key == "" {
		f.cfg.Key = llm.Secret(lookup(s.Environ, "FOREBAY_KEY"))
	}
	if isTerminal(s.Err) {
		f.cfg.Progress = progress(s)
	}
	report, err := replay.Run(c.Context(), f.cfg)
	if err != nil {
		return usageError{err}
	}
	if err := errors.Join(report.Check(), f.print(s, report)); err != nil {
		return err
	}
	if n := report.Counts.Failed; n > 0 && n == report.Failures["connection"] && n == report.Counts.Planned {
		return fmt.Errorf("nothing answers at %s: start a gateway there, as with forebay serve or forebay demo", f.cfg.URL)
	}
	return c.Context().Err()
}

// print shows the report as a table and writes it as JSON where asked.
func (f *replayFlags) print(s Streams, report *replay.Report) error {
	if f.out == "-" {
		enc := json.NewEncoder(s.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(report)
	}
	if f.out != "" {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if err := os.WriteFile(f.out, append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return report.WriteTable(s.Out)
}

// progress draws a bar on a terminal.
func progress(s Streams) func(replay.Progress) {
	var bar *progressbar.ProgressBar
	return func(p replay.Progress) {
		if bar == nil {
			bar = progressbar.NewOptions(p.Planned, progressbar.OptionSetWriter(s.Err), progressbar.OptionShowCount(),
				progressbar.OptionSetDescription("replay"), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
		}
		_ = bar.Set(p.Done) // a bar that cannot be drawn stops nothing
	}
}

// lookup finds a variable in an environment.
func lookup(environ []string, name string) string {
	for _, kv := range environ {
		if len(kv) > len(name) && kv[len(name)] == '=' && kv[:len(name)] == name {
			return kv[len(name)+1:]
		}
	}
	return ""
}
