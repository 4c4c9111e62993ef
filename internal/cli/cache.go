package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/internal/app"
)

func cacheCommand(s Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "cache",
		Short: "Look into the response cache, invalidate it, warm it up",
		Example: `  forebay cache explain request.json --config forebay.yaml
  forebay cache stats
  forebay cache invalidate --operation vc-analysis --user user-123
  forebay cache warmup requests.jsonl`,
	}
	group(c)
	c.AddCommand(cacheExplainCommand(s), cacheStatsCommand(s), cacheInvalidateCommand(s), cacheWarmupCommand(s))
	return c
}

func checkOutput(output string) error {
	if output != "table" && output != "json" {
		return usageError{fmt.Errorf("--output %q: table or json", output)}
	}
	return nil
}

// writeJSON writes v for programs.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func cacheExplainCommand(s Streams) *cobra.Command {
	var f settings
	var q app.Question
	var output string
	c := &cobra.Command{
		Use:   "explain FILE",
		Short: "Say under which key a request's answer is kept, and why",
		Long: `Say under which key the answer to a request is kept: who shares it, what of the body
counts in which form, and what was left out and why. The file holds the body of the
request; - reads it from standard input. Nothing is sent.`,
		Example: `  forebay cache explain request.json --config forebay.yaml
  forebay cache explain payload.json --path /v1/operations/vc-analysis --user user-123 --profile analysis
  diff <(forebay cache explain a.json) <(forebay cache explain b.json)`,
		Args: oneFile,
		RunE: func(_ *cobra.Command, args []string) error { return explain(s, &f, &q, args[0], output) },
	}
	f.register(c)
	c.Flags().StringVar(&q.Path, "path", "/v1/chat/completions", "where the request would be sent")
	c.Flags().StringVar(&q.Tenant, "tenant", "", "the tenant of the caller's key (default \"default\")")
	c.Flags().StringVar(&q.User, "user", "", "as x-forebay-user; without it the body's user")
	c.Flags().StringVar(&q.Persona, "persona", "", "as x-forebay-persona")
	c.Flags().StringVar(&q.Operation, "operation", "", "as x-forebay-operation")
	c.Flags().StringVar(&q.Namespace, "namespace", "", "as x-forebay-cache-namespace")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

// explain reads the request from a file and prints where its answer is kept.
func explain(s Streams, f *settings, q *app.Question, name, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	var err error
	if q.Body, err = readFile(s, name); err != nil {
		return err
	}
	file, err := f.read(s)
	if err != nil {
		return err
	}
	x, err := app.Explain(file, *q)
	if err != nil {
		return err
	}
	if output == "json" {
		return writeJSON(s.Out, x)
	}
	_, err = io.WriteString(s.Out, explanation(&x))
	return err
}

// oneFile wants the name of one file.
func oneFile(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s takes one file, and got %d (- is standard input)", nameOf(c), len(args))}
	}
	return nil
}

// maxFile bounds a file that is read whole; the gateway's own bound is far below.
const maxFile = 1 << 30

// readFile reads a file, or standard input for -.
func readFile(s Streams, name string) ([]byte, error) {
	if name == "-" {
		if s.In == nil {
			return nil, usageError{errors.New("there is no standard input to read")}
		}
		return io.ReadAll(io.LimitReader(s.In, maxFile))
	}
	return os.ReadFile(name)
}

// explanation is x for people.
func explanation(x *forebay.Explanation) string {
	t := table.NewWriter()
	t.SetStyle(plainTable())
	row := func(name, value string) { t.AppendRow(table.Row{name, value}) }
	row("key", x.Key)
	if x.Cached {
		row("cached", fmt.Sprintf("yes, fresh for %s", seconds(x.TTLSeconds)))
	} else {
		row("cached", "no: "+x.Why)
	}
	var scope []string
	for dimension, value := range x.Scope {
		scope = append(scope, dimension+" "+quoteEmpty(value))
	}
	slices.Sort(scope)
	row("kept apart by", strings.Join(scope, ", "))
	row("endpoint", x.Dialect+" "+x.Endpoint)
	row("operation", quoteEmpty(x.Operation))
	row("model", x.Family+" / "+x.Model)
	row("prompt version", quoteEmpty(x.PromptVersion))
	row("namespace", quoteEmpty(x.Namespace))
	for i, o := range x.Omitted {
		name := ""
		if i == 0 {
			name = "left out"
		}
		row(name, o.Path+": "+o.Reason)
	}
	return lines(t) + "\n\ncanonical form:\n" + string(x.Canonical) + "\n"
}

func quoteEmpty(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

func seconds(n float64) string { return time.Duration(n * float64(time.Second)).String() }
