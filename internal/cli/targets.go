package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/gateway"
)

const pathTargets = "/v1/targets"

func targetsCommand(s Streams) *cobra.Command {
	var r remote
	var output string
	var asJSON bool
	c := &cobra.Command{
		Use:   "targets",
		Short: "Print the state of a running gateway's targets",
		Long: `Print the state of a running gateway's targets: the breaker with the time and the reason
of its last change, calls in progress and how many there may be, calls that wait, how
long the target asked to be left alone, and what is left of its quota.`,
		Example: "  forebay targets\n  forebay targets --url http://127.0.0.1:8081 --json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			raw, err := r.raw(c.Context(), http.MethodGet, pathTargets, nil)
			if err != nil {
				return err
			}
			if asJSON || output == "json" {
				return r.readable(printRaw(s.Out, raw, false))
			}
			var list gateway.TargetList
			if err := json.Unmarshal(raw, &list); err != nil {
				return r.readable(err)
			}
			_, err = fmt.Fprintln(s.Out, targetTable(list.Data, time.Now()))
			return err
		},
	}
	r.registerFor(c, s, "metrics or admin")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	c.Flags().BoolVar(&asJSON, "json", false, "the same as --output json")
	return c
}

// targetTable shows targets for people.
func targetTable(targets []forebay.TargetStatus, now time.Time) string {
	t := table.NewWriter()
	t.SetStyle(plainTable())
	t.AppendHeader(table.Row{"target", "region", "breaker", "since", "in flight", "waiting", "cooling", "quota left", "why"})
	for i := range targets {
		x := &targets[i]
		t.AppendRow(table.Row{
			printable(x.Name), regionText(x), breakerText(&x.Breaker, now), since(x.Breaker.Since, now), inFlightText(x), x.Waiting,
			remaining(x.CoolingUntil, now), quotaText(x), dash(printable(x.Breaker.Reason)),
		})
	}
	return lines(t)
}

func regionText(t *forebay.TargetStatus) string {
	text := printable(t.Region)
	if t.Residency != "" && !strings.HasPrefix(t.Region, t.Residency) {
		text = strings.TrimPrefix(text+" ("+printable(t.Residency)+")", " ")
	}
	if t.RegionDown {
		text += ", down"
	}
	return dash(text)
}

// breakerText is the state with what it will turn into: "open, probes in 1.2s",
// "open, forced", "closed, 40% of its share".
func breakerText(b *breaker.Snapshot, now time.Time) string {
	text := b.State.String()
	switch {
	case b.Forced:
		text += ", forced"
	case b.State == breaker.Open:
		text += ", probes " + in(b.RetryAt, now)
	case b.State == breaker.Closed && b.Share < 1:
		text += fmt.Sprintf(", %.0f%% of its share", 100*b.Share)
	}
	return text
}

func inFlightText(t *forebay.TargetStatus) string {
	if t.Limit < 0 {
		return fmt.Sprint(t.InFlight)
	}
	text := fmt.Sprintf("%d/%d", t.InFlight, t.Limit)
	if t.Ceiling > t.Limit {
		text += fmt.Sprintf(" of %d", t.Ceiling)
	}
	return text
}

func quotaText(t *forebay.TargetStatus) string {
	q := t.Quota
	if q == nil {
		return "-"
	}
	var parts []string
	if q.RequestsPerMinute > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d requests", q.RequestsLeft, q.RequestsPerMinute))
	}
	if q.TokensPerMinute > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d tokens", q.TokensLeft, q.TokensPerMinute))
	}
	return dash(strings.Join(parts, ", "))
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// since is how long ago t was; a dash for never. The gateway's clock may be ahead.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return roughly(max(now.Sub(t).Seconds(), 0.1)) + " ago"
}

// remaining is how long it is until t; a dash for a time that is over.
func remaining(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return roughly(t.Sub(now).Seconds())
}

// in is when t will be: "in 1.2s", "now".
func in(t, now time.Time) string {
	if !t.After(now) {
		return "now"
	}
	return "in " + roughly(max(t.Sub(now).Seconds(), 0.1))
}
