package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/internal/cli/show"
	"github.com/forebay-ai/forebay/internal/cli/top"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/requestlog"
)

// viewed is a command that shows an answer of the control API.
type viewed struct {
	remote
	output string
	asJSON bool
	csv    bool // the command writes csv too
}

func (v *viewed) register(c *cobra.Command, s Streams, scope string) {
	v.registerFor(c, s, scope)
	c.Flags().StringVarP(&v.output, "output", "o", "table", "table or json")
	c.Flags().BoolVar(&v.asJSON, "json", false, "the same as --output json")
}

// print asks for path and shows the answer: as it came, or what show makes of it.
func (v *viewed) print(ctx context.Context, s Streams, path string, into any, show func() error) error {
	switch {
	case !v.csv:
		if err := checkOutput(v.output); err != nil {
			return err
		}
	case v.output != "table" && v.output != "csv" && v.output != "json":
		return usageError{fmt.Errorf("--output %q: table, csv or json", v.output)}
	}
	raw, err := v.raw(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if v.asJSON || v.output == "json" {
		return v.readable(printRaw(s.Out, raw, false))
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return v.readable(err)
	}
	return show()
}

// asked is a path with the flags that were set as its query.
func asked(c *cobra.Command, path string, names ...string) string {
	q := url.Values{}
	for _, name := range names {
		if f := c.Flags().Lookup(name); f != nil && f.Changed {
			q.Set(underscored(name), f.Value.String())
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func underscored(name string) string {
	b := []byte(name)
	for i := range b {
		if b[i] == '-' {
			b[i] = '_'
		}
	}
	return string(b)
}

func topCommand(s Streams) *cobra.Command {
	var r remote
	var by string
	var once bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "top",
		Short: "Show how a running gateway is, again and again",
		Long: `Show how a running gateway is: what is wrong and what to do, rates and percentiles, and the
busiest operations, models or targets. The page is renewed until Ctrl-C; where the output
is no terminal it is written once.`,
		Example: "  forebay top\n  forebay top --window 1h --by target\n  forebay top --once",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			terminal := isTerminal(s.Out)
			for {
				if err := topPage(c, s, &r, terminal); err != nil || once || !terminal {
					return err
				}
				select {
				case <-c.Context().Done():
					return nil
				case <-time.After(max(every, 500*time.Millisecond)):
				}
			}
		},
	}
	r.registerFor(c, s, "metrics")
	c.Flags().String("window", "15m", "the time that is looked back on: 1m to 30d")
	c.Flags().StringVar(&by, "by", "operation", "operation, model or target")
	c.Flags().BoolVar(&once, "once", false, "write the page once")
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often the page is renewed")
	return c
}

// topPage writes one page.
func topPage(c *cobra.Command, s Streams, r *remote, terminal bool) error {
	var o console.Overview
	var rows console.OperationList
	if err := r.json(c.Context(), http.MethodGet, asked(c, "/v1/overview", "window"), nil, &o); err != nil {
		return err
	}
	if err := r.json(c.Context(), http.MethodGet, asked(c, "/v1/operations", "window", "by"), nil, &rows); err != nil {
		return err
	}
	options := top.Options{Colour: terminal && lookup(s.Environ, "NO_COLOR") == ""}
	options.Width, _ = strconv.Atoi(lookup(s.Environ, "COLUMNS"))
	if f, ok := s.Out.(*os.File); ok && terminal {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			options.Width, options.Height = w, h
		}
		if _, err := fmt.Fprint(s.Out, "\x1b[H\x1b[2J"); err != nil { // home, and all clear
			return err
		}
	}
	return top.Render(s.Out, &o, rows.Data, options)
}

func costCommand(s Streams) *cobra.Command {
	v := viewed{csv: true}
	c := &cobra.Command{
		Use:   "cost",
		Short: "Print what calls have cost, by user, model, operation or day",
		Long: `Print what calls have cost, the most expensive first, from the books of a running gateway.
Without --from and --to it is the present month.`,
		Example: `  forebay cost --by user,model
  forebay cost --by day --from 2026-11-01 --to 2026-12-01 -o csv
  forebay cost --by operation --currency INR
  forebay cost budgets
  forebay cost analysis`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var report console.CostReport
			path := asked(c, "/v1/cost", "by", "from", "to", "currency", "tenant", "user", "operation", "model", "limit")
			return v.print(c.Context(), s, path, &report, func() error {
				if v.output == "csv" {
					return show.CostCSV(s.Out, &report)
				}
				return show.Cost(s.Out, &report)
			})
		},
	}
	v.register(c, s, "metrics or admin")
	c.Flags().Lookup("output").Usage = "table, csv or json"
	for name, doc := range map[string]string{
		"by": "what is summed up: some of day, month, tenant, user, key, operation, provider, model, with commas", "from": "the first day, such as 2026-11-01",
		"to": "the first day that does not count", "currency": "another one than USD, such as INR or EUR", "tenant": "of this tenant alone", "user": "of this user alone",
		"operation": "of this operation alone", "model": "of this model alone", "limit": "rows at most (default 100)",
	} {
		c.Flags().String(name, "", doc)
	}
	c.AddCommand(budgetsCommand(s), analysisCommand(s), allocationCommand(s))
	return c
}

func budgetsCommand(s Streams) *cobra.Command {
	var v viewed
	c := &cobra.Command{
		Use: "budgets", Short: "Print budgets and what is left of them", Example: "  forebay cost budgets", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var list console.BudgetList
			return v.print(c.Context(), s, "/v1/budgets", &list, func() error { return show.Budgets(s.Out, list.Data) })
		},
	}
	v.register(c, s, "metrics or admin")
	return c
}

func analysisCommand(s Streams) *cobra.Command {
	var v viewed
	c := &cobra.Command{
		Use: "analysis", Short: "Print what was paid, and what it would have been without cache and sharing",
		Example: "  forebay cost analysis --from 2026-11-01 --to 2026-12-01", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var a ledger.Analysis
			return v.print(c.Context(), s, asked(c, "/v1/cost/analysis", "from", "to"), &a, func() error {
				_, err := fmt.Fprintln(s.Out, a.Text(nil))
				return err
			})
		},
	}
	v.register(c, s, "metrics or admin")
	c.Flags().String("from", "", "the first day, such as 2026-11-01")
	c.Flags().String("to", "", "the first day that does not count")
	return c
}

func allocationCommand(s Streams) *cobra.Command {
	var v viewed
	c := &cobra.Command{
		Use: "allocate", Short: "Divide a shared cost, such as that of servers, among users or tenants",
		Example: "  forebay cost allocate --usd 65 --by tenant --driver tokens", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			var a console.CostAllocation
			return v.print(c.Context(), s, asked(c, "/v1/cost/allocation", "usd", "by", "driver", "from", "to"), &a, func() error { return show.Allocation(s.Out, &a) })
		},
	}
	v.register(c, s, "admin")
	c.Flags().String("usd", "", "the shared cost in dollars")
	c.Flags().String("by", "user", "who bears it: user, tenant, key, operation, model, provider")
	c.Flags().String("driver", "requests", "what it is divided by: requests, tokens or compute")
	c.Flags().String("from", "", "the first day, such as 2026-11-01")
	c.Flags().String("to", "", "the first day that does not count")
	return c
}

func requestsCommand(s Streams) *cobra.Command {
	var v viewed
	c := &cobra.Command{
		Use:   "requests [SEQ]",
		Short: "Print the log of calls, newest first, or one call",
		Long: `Print the log of calls, newest first: who asked for what, how it ended, how long it took and
what it cost. With the number of a call it shows where its time went and its attempts.
Prompts and answers are not logged.`,
		Example: "  forebay requests --failed true\n  forebay requests --operation vc-analysis --min-duration 5s --limit 20\n  forebay requests 1234",
		Args:    from(0, 1, "the number of one call, or none"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				var e requestlog.Entry
				return v.print(c.Context(), s, "/v1/requests/"+url.PathEscape(args[0]), &e, func() error { return show.Request(s.Out, &e) })
			}
			var list console.RequestList
			path := asked(c, "/v1/requests", "limit", "before", "operation", "model", "user", "tenant", "outcome", "error-type", "cache", "failed", "min-duration", "min-usd", "from", "to")
			return v.print(c.Context(), s, path, &list, func() error { return show.Requests(s.Out, &list) })
		},
	}
	v.register(c, s, "metrics or admin")
	for name, doc := range map[string]string{
		"limit": "calls at most (default 50, at most 500)", "before": "those before this number", "operation": "of this operation", "model": "of this model", "user": "of this user",
		"tenant": "of this tenant", "outcome": "ok, degraded, refused, error or cancelled", "error-type": "with this kind of error", "cache": "hit, stale_hit, miss, stale, collapsed, bypass or off",
		"failed": "true for those that failed or were refused", "min-duration": "that took as long, such as 2s", "min-usd": "that cost as much",
		"from": "since a time or date", "to": "before a time or date",
	} {
		c.Flags().String(name, "", doc)
	}
	return c
}
