package awscmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/awsclient"
	"github.com/forebay-ai/forebay/store/dynamo"
)

// Tables are those that a configuration names, and how DynamoDB is reached.
type Tables struct {
	Config dynamo.Config
	AWS    awsclient.Options
}

// Host is what the command line gives its commands.
type Host struct {
	Out io.Writer
	// Register adds the flags that say where the configuration is; Tables reads it.
	Register func(*cobra.Command)
	Tables   func() (Tables, error)
	// Group makes a command one that only has others, NoArguments refuses arguments, Usage marks a fault in how a command was called.
	Group       func(*cobra.Command)
	NoArguments cobra.PositionalArgs
	Usage       func(error) error
	// Poll is how often it is looked whether a table is ready. Zero means 2 s.
	Poll time.Duration
}

// Command returns "aws".
func Command(h Host) *cobra.Command {
	c := &cobra.Command{
		Use:     "aws",
		Short:   "Make and change what Forebay needs in an AWS account",
		Example: "  forebay aws tables plan\n  forebay aws tables apply",
	}
	h.Group(c)
	tables := &cobra.Command{
		Use:     "tables",
		Short:   "Compare the DynamoDB tables with what Forebay needs, and make them so",
		Example: "  forebay aws tables plan\n  forebay aws tables apply",
	}
	h.Group(tables)
	tables.AddCommand(h.plan(), h.apply())
	c.AddCommand(tables)
	return c
}

// flags are those of both commands.
type flags struct {
	output  string
	kms     bool
	noPITR  bool
	noGuard bool
}

func (f *flags) register(h Host, c *cobra.Command) {
	h.Register(c)
	c.Flags().StringVarP(&f.output, "output", "o", "table", "table or json")
	c.Flags().BoolVar(&f.kms, "kms", false, "encrypt with KMS (aws/dynamodb) rather than with the key that AWS owns")
	c.Flags().BoolVar(&f.noPITR, "no-pitr", false, "leave point-in-time recovery as it is; it costs 0.20 dollars a GB and month")
	c.Flags().BoolVar(&f.noGuard, "no-deletion-protection", false, "leave tables without protection against deletion")
}

func (f *flags) check(h Host) error {
	if f.output != "table" && f.output != "json" {
		return h.Usage(fmt.Errorf("--output %q: use table or json", f.output))
	}
	return nil
}

func (h Host) plan() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "plan",
		Short: "Print how the DynamoDB tables differ from what Forebay needs",
		Long: `Print how the DynamoDB tables that the configuration names (store.dynamodb) differ from
what Forebay needs: tables, keys, indexes, expiry, recovery, protection. Nothing is changed.`,
		Example: "  forebay aws tables plan --config forebay.yaml\n  forebay aws tables plan --set store.dynamodb.queue=jobs -o json",
		Args:    h.NoArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return h.run(c.Context(), &f, true, 0) },
	}
	f.register(h, c)
	return c
}

func (h Host) apply() *cobra.Command {
	var f flags
	var dry bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "apply",
		Short: "Make the DynamoDB tables, and change them where that loses nothing",
		Long: `Make the DynamoDB tables that the configuration names (store.dynamodb), and change those
that differ where that loses nothing, one step after the other, until they are ready. What cannot be
changed, as a table's key, is named, and the command fails then.`,
		Example: "  forebay aws tables apply --config forebay.yaml\n  forebay aws tables apply --dry-run",
		Args:    h.NoArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return h.run(c.Context(), &f, dry, wait) },
	}
	f.register(h, c)
	c.Flags().BoolVar(&dry, "dry-run", false, "only print what would be done")
	c.Flags().DurationVar(&wait, "wait", 10*time.Minute, "how long to wait for a table to be ready; an index of a large table takes hours")
	return c
}

// run plans, and makes the steps unless dry is set.
func (h Host) run(ctx context.Context, f *flags, dry bool, wait time.Duration) error {
	if err := f.check(h); err != nil {
		return err
	}
	t, err := h.Tables()
	if err != nil {
		return err
	}
	schemas := dynamo.Schemas(t.Config)
	if len(schemas) == 0 {
		return fmt.Errorf("the configuration names no DynamoDB table: set store.dynamodb.queue, .cache, .ledger or .control")
	}
	cfg, err := awsclient.Load(ctx, t.AWS)
	if err != nil {
		return err
	}
	p := &planner{client: dynamodb.NewFromConfig(cfg), flags: f, cache: t.Config.Cache, poll: h.Poll, wait: wait}
	if p.poll == 0 {
		p.poll = 2 * time.Second
	}
	var all []*Plan
	for i := range schemas {
		plan, err := p.plan(ctx, &schemas[i])
		if err != nil {
			return err
		}
		all = append(all, plan)
	}
	if !dry {
		err = p.apply(ctx, all)
	}
	if printErr := h.print(f, all); err == nil {
		err = printErr
	}
	if err == nil && !dry {
		err = refused(all)
	}
	return err
}

// refused is an error where some steps cannot be made.
func refused(all []*Plan) error {
	n := 0
	for _, p := range all {
		for _, s := range p.Steps {
			if s.State == Impossible {
				n++
			}
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d differences cannot be changed without making a table or an index anew: name other tables in the configuration, or remove what is there by hand", n)
}

// print prints plans.
func (h Host) print(f *flags, all []*Plan) error {
	if f.output == "json" {
		e := json.NewEncoder(h.Out)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"tables": all})
	}
	w := tabwriter.NewWriter(h.Out, 0, 8, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, "TABLE\tPART\tSTATE\tWHAT"); err != nil {
		return err
	}
	for _, p := range all {
		if len(p.Steps) == 0 {
			p.Steps = []*Step{{Part: "-", State: Same, Text: "as it should be"}}
		}
		for _, s := range p.Steps {
			if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Table, s.Part, s.State, s.Text); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}
