package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/internal/cli/show"
	"github.com/forebay-ai/forebay/jobs"
	"github.com/forebay-ai/forebay/llm"
)

func jobsStatsCommand(s Streams) *cobra.Command {
	var r jobsRemote
	var watch bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "stats",
		Short: "Print how many jobs there are, how old and how fast they go",
		Long: `Print how many jobs there are by state, and for a key that has the scope admin, how the
bands stand: the age of the oldest queued job, the estimated wait, the drain rate.`,
		Example: `  forebay jobs stats
  forebay jobs stats --watch --every 5s
  forebay jobs stats --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if every < 100*time.Millisecond {
				return usageError{fmt.Errorf("--every %s: 100ms or more", every)}
			}
			if err := r.check(); err != nil {
				return err
			}
			if watch {
				return r.watchStats(c.Context(), s, every)
			}
			return r.stats(c.Context(), s)
		},
	}
	r.register(c, s)
	r.registerOutput(c)
	c.Flags().BoolVar(&watch, "watch", false, "print a line again and again, until interrupted")
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often, with --watch")
	return c
}

// stats prints the statistics once.
func (r *jobsRemote) stats(ctx context.Context, s Streams) error {
	raw, state, err := r.readStats(ctx)
	if err != nil {
		return err
	}
	if r.asJSON {
		return printRaw(s.Out, raw, false)
	}
	_, err = fmt.Fprintln(s.Out, statsTables(&state))
	return err
}

func (r *jobsRemote) readStats(ctx context.Context) (json.RawMessage, jobs.Stats, error) {
	var state jobs.Stats
	raw, err := r.raw(ctx, http.MethodGet, pathJobs+"/stats", nil)
	if err != nil {
		return nil, state, err
	}
	return raw, state, r.readable(json.Unmarshal(raw, &state))
}

// watchStats prints one line after the other.
func (r *jobsRemote) watchStats(ctx context.Context, s Streams, every time.Duration) error {
	p := persistence{out: s.Err}
	for n := 0; ; {
		raw, state, err := r.readStats(ctx)
		if err != nil {
			if err = p.failed(ctx, err); err != nil {
				return err
			}
			continue
		}
		p.worked()
		if r.asJSON {
			err = printRaw(s.Out, raw, true)
		} else {
			if n%20 == 0 { // as vmstat: the header is always on the screen
				fmt.Fprintf(s.Out, "%-8s %9s %10s %9s %9s %7s %8s %9s %7s\n", "time", "queued", "processing", "completed", "failed", "timeout", "dead", "refused", "per s")
			}
			_, err = fmt.Fprintf(s.Out, "%-8s %9d %10d %9d %9d %7d %8d %9d %7.1f\n", time.Now().Format(time.TimeOnly),
				state.Queued, state.Processing, state.Completed, state.Failed, state.Timeout, state.Dead, state.Refused, state.DrainRate)
			n++
		}
		if err != nil {
			return err
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}

// statsTables shows the statistics for people: states, the work since the start, bands.
func statsTables(state *jobs.Stats) string {
	total := table.NewWriter()
	total.SetStyle(plainTable())
	row := func(name string, value any) { total.AppendRow(table.Row{name, value}) }
	row("queued", state.Queued)
	row("processing", state.Processing)
	row("completed", state.Completed)
	row("failed", state.Failed)
	row("timeout", state.Timeout)
	row("cancelled", state.Cancelled)
	row("dead", state.Dead)
	if state.Damaged > 0 {
		row("damaged", fmt.Sprintf("%d (records that cannot be read; they are kept apart)", state.Damaged))
	}
	if state.Draining {
		row("draining", "takes nothing in: it stops")
	}
	if len(state.Bands) == 0 { // of one tenant
		return lines(total)
	}
	row("payloads queued", size(state.QueuedBytes))
	row("drain rate", fmt.Sprintf("%.1f a second", state.DrainRate))
	row("since the start", fmt.Sprintf("%d accepted, %d refused, %s, %s, %d fenced", state.Accepted, state.Refused,
		counted(int(state.Retries), "retry", "retries"), count(int(state.LostLeases), "lost lease"), state.Fenced))
	if len(state.Paused) > 0 {
		var names []string
		for _, name := range state.Paused {
			names = append(names, printable(quoteEmpty(name)))
		}
		row("paused", strings.Join(names, ", "))
	}
	return lines(total) + "\n\n" + bandTable(state.Bands)
}

func bandTable(bands map[string]jobs.BandStats) string {
	t := table.NewWriter()
	t.SetStyle(plainTable())
	t.AppendHeader(table.Row{"band", "queued", "delayed", "processing", "oldest", "estimated wait"})
	for i := range llm.Priorities { // the most urgent first
		name := llm.Priorities[len(llm.Priorities)-1-i].String()
		if b, ok := bands[name]; ok {
			t.AppendRow(table.Row{name, b.Queued, b.Delayed, b.Processing, show.Roughly(b.OldestSeconds), show.Roughly(b.EstimatedWaitSeconds)})
		}
	}
	return lines(t)
}

func jobsSecretCommand(s Streams) *cobra.Command {
	var r jobsRemote
	c := &cobra.Command{
		Use:   "webhook-secret",
		Short: "Print the secret that signs the webhooks of the key's tenant",
		Long: `Print the secret that signs the webhooks of the key's tenant, in the form that
libraries for Standard Webhooks take. Who has it can sign events as this gateway does.`,
		Example: "  forebay jobs webhook-secret",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var answer struct{ Secret string }
			if err := r.json(c.Context(), http.MethodGet, pathJobs+"/webhook-secret", nil, &answer); err != nil {
				return err
			}
			_, err := fmt.Fprintln(s.Out, answer.Secret)
			return err
		},
	}
	r.register(c, s)
	return c
}
