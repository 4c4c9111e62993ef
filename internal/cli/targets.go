package cli

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/cli/show"
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
			return show.Targets(s.Out, list.Data, time.Now())
		},
	}
	r.registerFor(c, s, "metrics or admin")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	c.Flags().BoolVar(&asJSON, "json", false, "the same as --output json")
	return c
}
