package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/warmup"
)

func cacheStatsCommand(s Streams) *cobra.Command {
	var r remote
	var output string
	c := &cobra.Command{
		Use:     "stats",
		Short:   "Print what a running gateway's cache holds and did",
		Example: "  forebay cache stats\n  forebay cache stats --url http://127.0.0.1:8081 --output json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			var state gateway.CacheState
			if err := r.json(c.Context(), "GET", "/v1/cache", nil, &state); err != nil {
				return err
			}
			if output == "json" {
				return writeJSON(s.Out, state)
			}
			_, err := fmt.Fprintln(s.Out, cacheTables(&state))
			return err
		},
	}
	r.register(c, s)
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

func cacheInvalidateCommand(s Streams) *cobra.Command {
	var r remote
	var in gateway.Invalidation
	var all bool
	c := &cobra.Command{
		Use:   "invalidate",
		Short: "Make stored answers void",
		Long: `Make the answers void that agree in everything that is named. When the command has
ended, no answer is given any more that was asked for before it, also after a restart;
calls in progress are not stored. The space of void answers is freed behind it.`,
		Example: `  forebay cache invalidate --operation vc-analysis --user user-123
  forebay cache invalidate --model haiku --dry-run
  forebay cache invalidate --all
  forebay cache invalidate --all --all-tenants`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			named := in.Operation != "" || in.User != "" || in.Model != "" || in.Namespace != "" || in.Key != ""
			if named == all {
				return usageError{errors.New("name what to invalidate (--operation, --user, --model, --namespace, --answer), or --all for everything")}
			}
			return invalidate(c.Context(), s, &r, &in)
		},
	}
	r.register(c, s)
	flags := c.Flags()
	flags.StringVar(&in.Tenant, "tenant", "", "the tenant, where it is not the key's own")
	flags.StringVar(&in.Operation, "operation", "", "answers of this operation")
	flags.StringVar(&in.User, "user", "", "answers to this user's requests")
	flags.StringVar(&in.Model, "model", "", "answers of this model")
	flags.StringVar(&in.Namespace, "namespace", "", "answers in this namespace")
	flags.StringVar(&in.Key, "answer", "", "the answer under this key, as cache explain prints it")
	flags.BoolVar(&all, "all", false, "all answers of the tenant")
	flags.BoolVar(&in.AllTenants, "all-tenants", false, "of all tenants")
	flags.BoolVar(&in.DryRun, "dry-run", false, "only count them")
	return c
}

func invalidate(ctx context.Context, s Streams, r *remote, in *gateway.Invalidation) error {
	var done gateway.Invalidated
	if err := r.json(ctx, "POST", "/v1/cache/invalidate", in, &done); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.Out, invalidatedText(&done))
	return err
}

func invalidatedText(done *gateway.Invalidated) string {
	if !done.DryRun {
		return fmt.Sprintf("invalidated: %s in memory dropped, those on disk are void and being deleted (invalidation %d)",
			count(int(done.Memory), "answer"), done.Number)
	}
	text := "would be invalidated: " + count(int(done.Memory), "answer") + " in memory"
	if done.Store != nil {
		text += fmt.Sprintf(", %d on disk", *done.Store)
	}
	return text
}

func cacheWarmupCommand(s Streams) *cobra.Command {
	var r remote
	var concurrency int
	c := &cobra.Command{
		Use:   "warmup FILE",
		Short: "Fetch the answers to a file of requests into the cache",
		Long: `Fetch the answers to a file of requests into the cache of a running gateway, at the
lowest priority. Each line is a request: one of OpenAI's batch format, which may also
name operation, user, persona, namespace and ttl, or the body of a chat completion.
Requests whose answer is there already cost nothing. - reads from standard input.`,
		Example: "  forebay cache warmup requests.jsonl\n  forebay cache warmup requests.jsonl --concurrency 8",
		Args:    oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			if concurrency < 1 || concurrency > 64 {
				return usageError{fmt.Errorf("--concurrency %d: 1 to 64", concurrency)}
			}
			text, err := readFile(s, args[0])
			if err != nil {
				return err
			}
			path := fmt.Sprintf("/v1/cache/warmup?concurrency=%d", concurrency)
			answer, err := r.do(c.Context(), "POST", path, "application/x-ndjson", bytes.NewReader(text))
			if err != nil {
				return err
			}
			defer answer.Close()
			return followWarmup(s, answer, bytes.Count(text, []byte("\n"))+1)
		},
	}
	r.register(c, s)
	c.Flags().IntVar(&concurrency, "concurrency", 2, "requests in progress at once, 1 to 64")
	return c
}

// followWarmup shows how far it is, and at the end how it went.
func followWarmup(s Streams, answer io.Reader, lines int) error {
	var bar *progressbar.ProgressBar
	if isTerminal(s.Err) {
		bar = progressbar.NewOptions(lines, progressbar.OptionSetWriter(s.Err), progressbar.OptionShowCount(),
			progressbar.OptionSetDescription("warmup"), progressbar.OptionClearOnFinish())
	}
	var last struct {
		warmup.Report
		Done bool `json:"done"`
	}
	for d := json.NewDecoder(answer); !last.Done; {
		if err := d.Decode(&last); err != nil {
			return fmt.Errorf("the warm-up broke off after %d requests: %w", last.Requests, err)
		}
		if bar != nil {
			_ = bar.Set64(last.Requests) // a bar that cannot be drawn stops nothing
		}
	}
	fmt.Fprintf(s.Out, "%s: %d fetched, %d cached already, %d not storable, %d failed; %d tokens, $%.6f\n",
		count(int(last.Requests), "request"), last.Fetched, last.Cached, last.Unstored, last.Failed, last.Tokens, float64(last.CostMicroUSD)/1e6)
	for _, failure := range last.Failures {
		fmt.Fprintln(s.Err, "failed:", plain(errors.New(failure)))
	}
	if last.Failed > 0 {
		return fmt.Errorf("%s failed", count(int(last.Failed), "request"))
	}
	return nil
}

// cacheTables shows the state of a cache for people: totals, operations, and the
// answers that were given most often.
func cacheTables(c *gateway.CacheState) string {
	total := table.NewWriter()
	total.SetStyle(plainTable())
	row := func(name, format string, args ...any) { total.AppendRow(table.Row{name, fmt.Sprintf(format, args...)}) }
	row("memory", "%s, %s", count(c.Entries, "answer"), size(c.Bytes))
	row("hit rate", "%.1f%%", 100*c.HitRate)
	row("saved", "%d tokens, $%.6f", c.SavedTokens, c.SavedDollars)
	row("invalidations", "%d", c.Invalidations)
	if s := c.Store; s != nil {
		row("disk", "%s; %d written, %d dropped, %d damaged, %d undecryptable; compressed to %s", s.State,
			s.Written, s.Dropped, s.Damaged, s.Undecryptable, compressed(s.Compression))
	}
	operations := table.NewWriter()
	operations.SetStyle(plainTable())
	operations.AppendHeader(table.Row{"operation", "hits", "on disk", "stale", "coalesced", "misses", "bypassed", "why missed"})
	for _, name := range slices.Sorted(maps.Keys(c.Operations)) {
		o := c.Operations[name]
		operations.AppendRow(table.Row{name, o.Hits, o.HitsOnDisk, o.StaleHits, o.Coalesced, o.Misses, o.Bypassed, reasons(o.MissReasons)})
	}
	parts := []string{lines(total), lines(operations)}
	if len(c.Top) > 0 {
		top := table.NewWriter()
		top.SetStyle(plainTable())
		top.AppendHeader(table.Row{"most given", "hits", "operation", "model", "size"})
		for _, a := range c.Top[:min(len(c.Top), 10)] {
			top.AppendRow(table.Row{a.Key[:16] + "…", a.Hits, a.Operation, a.Model, size(a.Bytes)})
		}
		parts = append(parts, lines(top))
	}
	return strings.Join(parts, "\n\n")
}

// reasons lists why look-ups missed, the most frequent first.
func reasons(counts map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, counts[name])
	}
	return strings.Join(names, ", ")
}

// compressed is what a ratio of compression leaves.
func compressed(ratio float64) string {
	if ratio == 0 {
		return "nothing yet"
	}
	return fmt.Sprintf("%.0f%%", 100/ratio)
}

// size is a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	value, names := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; value >= unit && i < len(names)-1; i++ {
		value /= unit
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, names[i])
}

// lines renders a table without white space at the ends of its lines.
func lines(t table.Writer) string {
	var all []string
	for line := range strings.SplitSeq(t.Render(), "\n") {
		all = append(all, strings.TrimRight(line, " "))
	}
	return strings.Join(all, "\n")
}
