package cli

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/gateway"
)

func breakerCommand(s Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "breaker",
		Short: "Force a target's breaker open or closed, or reset it",
		Long: `Force the breaker of a running gateway's target open or closed, or leave it to itself
again. What is forced stays so until it is reset, or until the gateway stops. The key
needs the scope admin; each change is logged and audited.`,
		Example: `  forebay breaker open openai/gpt-5-mini --reason "maintenance until 15:00"
  forebay breaker reset openai/gpt-5-mini`,
	}
	group(c)
	c.AddCommand(
		breakerActionCommand(s, forebay.BreakerOpen, "Let no call and no probe through to a target", "maintenance until 15:00"),
		breakerActionCommand(s, forebay.BreakerClose, "Let every call through, whatever fails", "the failures are a test's"),
		breakerActionCommand(s, forebay.BreakerReset, "Close the breaker, forget what it counted, leave it to itself", "maintenance is over"),
	)
	return c
}

func breakerActionCommand(s Streams, action forebay.BreakerAction, short, because string) *cobra.Command {
	var r remote
	var reason string
	c := &cobra.Command{
		Use:     string(action) + " TARGET",
		Short:   short,
		Example: fmt.Sprintf("  forebay breaker %s openai/gpt-5-mini\n  forebay breaker %s openai/gpt-5-mini --reason %q", action, action, because),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes the name of one target, and got %d (forebay targets shows them)", nameOf(c), len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var t forebay.TargetStatus
			change := gateway.BreakerChange{Target: args[0], Action: action, Reason: reason}
			if err := r.json(c.Context(), http.MethodPost, "/v1/breakers", change, &t); err != nil {
				return err
			}
			_, err := fmt.Fprintf(s.Out, "%s %s: %s\n", printable(t.Name), t.Breaker.State, printable(t.Breaker.Reason))
			return err
		},
	}
	r.registerFor(c, s, "admin")
	c.Flags().StringVar(&reason, "reason", "", "why, for those who read the state and the audit")
	return c
}
