package cli

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/failure"
	"github.com/forebay-ai/forebay/llm"
)

func explainCommand(s Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "explain",
		Short: "Say what Forebay would do, and why",
		Example: `  forebay explain error --status 429 --header 'Retry-After: 3'
  forebay explain error --rules`,
	}
	group(c)
	c.AddCommand(explainErrorCommand(s))
	return c
}

// seenError is what a provider did, as flags say it.
type seenError struct {
	dialect, transport, body string
	status                   int
	headers                  []string
	json, rules              bool
}

func explainErrorCommand(s Streams) *cobra.Command {
	var seen seenError
	c := &cobra.Command{
		Use:   "error",
		Short: "Say what a provider's failure means: retry, fail over, wait, count",
		Long: `Say what a provider's failure means and which row of the table decides it: its kind,
whether the same target is tried again and when, whether another one is, whether the
target's breaker counts it, and whether the target gets fewer calls at once. Nothing is
sent. The body is the answer's, or that of an error event within a stream (then without
--status); - reads it from standard input.`,
		Example: `  forebay explain error --status 429 --header 'Retry-After: 3'
  forebay explain error --dialect bedrock --status 400 --body answer.json
  forebay explain error --transport reset --json
  forebay explain error --rules`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return explainError(s, &seen, c.Flags().Changed("body")) },
	}
	c.Flags().StringVar(&seen.dialect, "dialect", failure.OpenAI, "wire format of the provider: "+strings.Join(errorDialects(), ", "))
	c.Flags().IntVar(&seen.status, "status", 0, "HTTP status of the answer; 0 for none")
	c.Flags().StringArrayVar(&seen.headers, "header", nil, "a header of the answer, as in --header 'Retry-After: 3'; repeatable")
	c.Flags().StringVar(&seen.body, "body", "", "file with the answer's body, or - for standard input")
	c.Flags().StringVar(&seen.transport, "transport", "", "what befell the connection instead of an answer: "+strings.Join(errorTransports(), ", "))
	c.Flags().BoolVar(&seen.rules, "rules", false, "print the whole table, in the order in which it is read")
	c.Flags().BoolVar(&seen.json, "json", false, "print JSON for programs")
	return c
}

func errorDialects() []string { return []string{failure.OpenAI, failure.Anthropic, failure.Bedrock} }

// errorTransports lists the faults of connections that the table has.
func errorTransports() []string {
	var names []string
	for _, r := range failure.Rules() {
		if r.Transport != "" {
			names = append(names, string(r.Transport))
		}
	}
	return names
}

func explainError(s Streams, seen *seenError, hasBody bool) error {
	if seen.rules {
		return printRules(s, seen.json)
	}
	header, err := seen.check(hasBody)
	if err != nil {
		return err
	}
	var body []byte
	if hasBody {
		if body, err = readFile(s, seen.body); err != nil {
			return err
		}
	}
	signal := openai.ErrorSignal(seen.status, header, body)
	signal.Dialect, signal.Transport, signal.Now = seen.dialect, failure.Transport(seen.transport), time.Now()
	// The message as a caller would read it: bounded, and without keys.
	said := openai.DecodeError(seen.status, header, body)
	d := decision(failure.Classify(signal), signal.Status)
	if hasBody {
		d.Message, d.Code = said.Message, said.Code
	}
	if seen.json {
		return writeJSON(s.Out, d)
	}
	_, err = io.WriteString(s.Out, d.text())
	return err
}

// check reports the first fault of the flags, and reads the headers.
func (seen *seenError) check(hasBody bool) (http.Header, error) {
	if !slices.Contains(errorDialects(), seen.dialect) {
		return nil, usageError{fmt.Errorf("--dialect %q: one of %s", seen.dialect, strings.Join(errorDialects(), ", "))}
	}
	if seen.transport != "" && !slices.Contains(errorTransports(), seen.transport) {
		return nil, usageError{fmt.Errorf("--transport %q: one of %s", seen.transport, strings.Join(errorTransports(), ", "))}
	}
	if seen.status != 0 && (seen.status < 100 || seen.status > 999) {
		return nil, usageError{fmt.Errorf("--status %d: 100 to 999, or 0 for none", seen.status)}
	}
	if seen.status == 0 && seen.transport == "" && !hasBody {
		return nil, usageError{fmt.Errorf("say what was seen: --status, --body or --transport (--rules prints the whole table)")}
	}
	header := http.Header{}
	for _, line := range seen.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usageError{fmt.Errorf("--header %q: write it as 'Name: value'", line)}
		}
		header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return header, nil
}

// errorDecision is what a failure means, for programs and people.
type errorDecision struct {
	Kind         llm.Kind     `json:"kind"`
	Domain       llm.Domain   `json:"domain"`
	Retry        bool         `json:"retry"`
	FailOver     bool         `json:"fail_over"`
	Breaker      bool         `json:"breaker"`
	Limiter      bool         `json:"limiter"`
	NoRetry      bool         `json:"no_retry"`
	RetryAfterMS int64        `json:"retry_after_ms"`
	CallerStatus int          `json:"caller_status"` // what a caller gets if nothing else helps
	Code         string       `json:"code,omitempty"`
	Message      string       `json:"message,omitempty"`
	Rule         failure.Rule `json:"rule"`
}

func decision(v failure.Verdict, status int) errorDecision {
	e := llm.Error{Kind: v.Kind, Status: status}
	return errorDecision{
		Kind: v.Kind, Domain: v.Kind.Domain(), Retry: v.Retry, FailOver: v.FailOver, Breaker: v.Breaker, Limiter: v.Limiter,
		NoRetry: v.NoRetry, RetryAfterMS: v.RetryAfter.Milliseconds(), CallerStatus: e.HTTPStatus(), Rule: v.Rule,
	}
}

// text is d for people.
func (d *errorDecision) text() string {
	t := table.NewWriter()
	t.SetStyle(plainTable())
	row := func(name, value string) { t.AppendRow(table.Row{name, value}) }
	row("kind", string(d.Kind))
	row("because", d.Rule.Why)
	row("decided by", ruleText(&d.Rule))
	if d.Message != "" {
		row("it says", strings.TrimSpace(d.Code+" "+strconv.Quote(d.Message)))
	}
	row("same target", d.retryText())
	switch {
	case d.FailOver:
		row("another target", "is tried")
	case d.Kind == llm.ProviderContextExceeded:
		row("another target", "is tried if it has a larger context window")
	default:
		row("another target", "is not tried")
	}
	row("breaker", yesNo(d.Breaker, "counts it as a failure", "does not count it"))
	row("limiter", yesNo(d.Limiter, "lets fewer calls run at once", "stays as it is"))
	row("caller gets", fmt.Sprintf("%d, if nothing else helps", d.CallerStatus))
	return lines(t) + "\n"
}

func (d *errorDecision) retryText() string {
	switch {
	case d.Retry && d.RetryAfterMS > 0:
		return "is tried again, not before " + (time.Duration(d.RetryAfterMS) * time.Millisecond).String()
	case d.Retry:
		return "is tried again"
	case d.NoRetry && !d.Rule.NoRetry && d.Kind.Retryable():
		return "is not tried again: x-should-retry is false"
	}
	return "is not tried again"
}

func yesNo(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}

// ruleText says what a row is about.
func ruleText(r *failure.Rule) string {
	var parts []string
	add := func(set bool, format string, args ...any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(r.Dialect != "", "dialect %s", r.Dialect)
	add(r.Transport != "", "transport %s", r.Transport)
	add(r.Status >= 100, "status %d", r.Status)
	add(r.Status > 0 && r.Status < 10, "status %dxx", r.Status)
	add(r.Word != "", "word %s", r.Word)
	add(r.Text != "", "text %q", r.Text)
	if len(parts) == 0 {
		return "no row of its own"
	}
	return strings.Join(parts, ", ")
}

func printRules(s Streams, asJSON bool) error {
	rules := failure.Rules()
	if asJSON {
		return writeJSON(s.Out, rules)
	}
	t := table.NewWriter()
	t.SetStyle(plainTable())
	t.AppendHeader(table.Row{"seen", "kind", "same target", "because"})
	for i := range rules {
		r := &rules[i]
		t.AppendRow(table.Row{ruleText(r), r.Kind, yesNo(r.Kind.Retryable() && !r.NoRetry, "again", "-"), r.Why})
	}
	_, err := io.WriteString(s.Out, lines(t)+"\n")
	return err
}
