package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

func jobsGetCommand(s Streams) *cobra.Command {
	var r jobsRemote
	c := &cobra.Command{
		Use:     "get ID",
		Short:   "Print what is known of a job",
		Example: "  forebay jobs get job_01mqzk3v5x8y2\n  forebay jobs get job_01mqzk3v5x8y2 --json",
		Args:    oneJob,
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.check(); err != nil {
				return err
			}
			j, err := r.job(c.Context(), http.MethodGet, pathOf(args[0]), nil)
			if err != nil {
				return err
			}
			if r.asJSON {
				return printRaw(s.Out, j.raw, false)
			}
			_, err = fmt.Fprintln(s.Out, jobTable(&j))
			return err
		},
	}
	r.register(c, s)
	r.registerOutput(c)
	return c
}

// jobTable is a job for people: what there is, a line each.
func jobTable(j *reply) string {
	t := table.NewWriter()
	t.SetStyle(plainTable())
	row := func(name, value string) {
		if value != "" {
			t.AppendRow(table.Row{name, printable(value)})
		}
	}
	row("id", j.ID)
	row("state", j.State)
	if j.Place != nil {
		row("place", strconv.Itoa(*j.Place))
	}
	if ms := j.EstimatedWaitMS; ms > 0 {
		row("estimated wait", (time.Duration(ms) * time.Millisecond).String())
	}
	row("priority", j.Priority)
	row("operation", j.Operation)
	row("endpoint", j.Endpoint)
	row("model", j.Model)
	row("tenant", j.Tenant)
	row("user", j.User)
	row("custom id", j.CustomID)
	row("created", j.CreatedAt)
	row("deadline", j.DeadlineAt)
	row("not before", j.NotBefore)
	row("started", j.StartedAt)
	row("finished", j.FinishedAt)
	row("result until", j.ResultUntil)
	row("kept until", j.KeepUntil)
	row("attempts", fmt.Sprintf("%d (%s, %s)", j.Attempt, counted(j.Retries, "retry", "retries"), count(j.LostLeases, "lost lease")))
	row("size", size(int64(j.Bytes)))
	if j.Error != nil {
		row("error", j.Error.ErrorType+": "+j.Error.Message)
	}
	if j.Webhook != nil {
		row("webhook", fmt.Sprintf("%s, %s", j.Webhook.State, count(j.Webhook.Attempts, "attempt")))
	}
	return lines(t)
}

// counted is count for things whose plural is not made with an s.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func jobsResultCommand(s Streams) *cobra.Command {
	var r jobsRemote
	c := &cobra.Command{
		Use:   "result ID",
		Short: "Print the result of a job",
		Long: `Print the result of a completed job, as the endpoint would have answered. A job that is
not at its end has none, and one that failed answers with its error.`,
		Example: `  forebay jobs result job_01mqzk3v5x8y2
  forebay jobs wait job_01mqzk3v5x8y2 && forebay jobs result job_01mqzk3v5x8y2 > answer.json`,
		Args: oneJob,
		RunE: func(c *cobra.Command, args []string) error {
			return r.printResult(c.Context(), s, args[0], false)
		},
	}
	r.register(c, s)
	return c
}

// printResult prints the result of a job as it is; asText, where it is a stream, what
// the model says in it.
func (r *remote) printResult(ctx context.Context, s Streams, id string, asText bool) error {
	res, err := r.send(ctx, http.MethodGet, pathOf(id)+"/result", http.Header{}, http.NoBody)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var out io.Writer = s.Out
	p := &pieces{s: s}
	if asText && strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		out = asWriter{p}
	}
	if _, err := io.Copy(out, res.Body); err != nil {
		return r.brokenOff(ctx, err)
	}
	if isTerminal(s.Out) && !asText {
		p.open = true
	}
	return p.end()
}

// asWriter takes the pieces of an answer as bytes.
type asWriter struct{ p *pieces }

func (w asWriter) Write(b []byte) (int, error) { return len(b), w.p.write(w.p.text.add(string(b))) }

// selection is which jobs a command is about.
type selection struct {
	states                            []string
	operation, user, tenant, customID string
}

func (f *selection) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringSliceVar(&f.states, "state", nil, "in this state: queued, processing, completed, failed, timeout, cancelled or dead; repeatable")
	flags.StringVar(&f.operation, "operation", "", "of this operation")
	flags.StringVar(&f.user, "user", "", "of this user")
	flags.StringVar(&f.tenant, "tenant", "", "of this tenant; a key that has the scope admin sees all")
}

// query is the selection as a page of the list is asked for.
func (f *selection) query(limit int) url.Values {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, value := range map[string]string{
		"state": strings.Join(f.states, ","), "operation": f.operation, "user": f.user, "tenant": f.tenant, "custom_id": f.customID,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// page is a page of the list as it came.
type page struct {
	Object  string            `json:"object"`
	Data    []json.RawMessage `json:"data"`
	HasMore bool              `json:"has_more"`
	Next    string            `json:"next,omitempty"`
}

// pages asks for pages of the list until each wants no more or there are none.
func (r *remote) pages(ctx context.Context, q url.Values, each func(page) (more bool, err error)) error {
	for {
		var p page
		if err := r.json(ctx, http.MethodGet, pathJobs+"?"+q.Encode(), nil, &p); err != nil {
			return err
		}
		more, err := each(p)
		if err != nil || !more || !p.HasMore || p.Next == "" {
			return err
		}
		if p.Next == q.Get("after") {
			return errors.New("the list does not go on: is it a gateway of this version?")
		}
		q.Set("after", p.Next)
	}
}

// maxPage is the largest page that the gateway gives.
const maxPage = 1000

// listing is what jobs list is told by its flags.
type listing struct {
	jobsRemote
	selection
	limit       int
	after       string
	all, oldest bool
}

func jobsListCommand(s Streams) *cobra.Command {
	var f listing
	c := &cobra.Command{
		Use:   "list",
		Short: "List jobs, the newest first",
		Example: `  forebay jobs list
  forebay jobs list --state failed,dead --operation vc-analysis
  forebay jobs list --all --json > jobs.json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), s) },
	}
	f.jobsRemote.register(c, s)
	f.registerOutput(c)
	f.selection.register(c)
	c.Flags().StringVar(&f.customID, "custom-id", "", "with this name of your own")
	c.Flags().IntVar(&f.limit, "limit", 50, fmt.Sprintf("jobs at most, 1 to %d", maxPage))
	c.Flags().StringVar(&f.after, "after", "", "go on behind this job, as the command said at its end")
	c.Flags().BoolVar(&f.oldest, "oldest", false, "the oldest first")
	c.Flags().BoolVar(&f.all, "all", false, "all jobs, however many")
	return c
}

func (f *listing) run(ctx context.Context, s Streams) error {
	if f.limit < 1 || f.limit > maxPage {
		return usageError{fmt.Errorf("--limit %d: 1 to %d; --all lists all", f.limit, maxPage)}
	}
	if err := errors.Join(f.check(), checkStates(f.states, false)); err != nil {
		return err
	}
	if f.all {
		f.limit = maxPage
	}
	q := f.query(f.limit)
	if f.after != "" {
		q.Set("after", f.after)
	}
	if f.oldest {
		q.Set("order", "asc")
	}
	return f.list(ctx, s, q, f.all)
}

// list prints a page of jobs, or all.
func (r *jobsRemote) list(ctx context.Context, s Streams, q url.Values, all bool) error {
	whole := page{Object: "list", Data: []json.RawMessage{}}
	printed := 0
	err := r.pages(ctx, q, func(p page) (bool, error) {
		whole.HasMore, whole.Next = p.HasMore, p.Next
		if r.asJSON {
			whole.Data = append(whole.Data, p.Data...)
			return all, nil
		}
		text, err := jobsTable(p.Data, printed == 0, time.Now())
		if err == nil && len(p.Data) > 0 {
			printed += len(p.Data)
			_, err = fmt.Fprintln(s.Out, text)
		}
		return all, err
	})
	switch {
	case err != nil:
		return err
	case r.asJSON:
		return writeJSON(s.Out, whole)
	case printed == 0:
		fmt.Fprintln(s.Err, "no such jobs")
	case whole.HasMore && !all:
		fmt.Fprintf(s.Err, "there are more: add --after %s, or --all\n", whole.Next)
	}
	return nil
}

// jobsTable is a page of jobs for people. Pages that follow one another have columns
// of the same width where their values allow it.
func jobsTable(data []json.RawMessage, header bool, now time.Time) (string, error) {
	t := table.NewWriter()
	t.SetStyle(plainTable())
	// The widths of the longest values: an ID, processing, critical, and usual names.
	var widths []table.ColumnConfig
	for i, width := range []int{17, 10, 8, 12, 12, 8, 8} {
		widths = append(widths, table.ColumnConfig{Number: i + 1, WidthMin: width + 2})
	}
	t.SetColumnConfigs(widths)
	if header {
		t.AppendHeader(table.Row{"id", "state", "priority", "operation", "model", "age", "attempts", "custom id", "error"})
	}
	for _, raw := range data {
		j, err := readJob(raw)
		if err != nil {
			return "", err
		}
		failure := ""
		if j.Error != nil {
			failure = j.Error.ErrorType
		}
		t.AppendRow(table.Row{
			printable(j.ID), printable(j.State), printable(j.Priority), printable(j.Operation), printable(j.Model),
			age(j.CreatedAt, now), j.Attempt, printable(j.CustomID), printable(failure),
		})
	}
	return lines(t), nil
}

// age is how long ago something was, for people; empty where nobody knows.
func age(at string, now time.Time) string {
	then, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return ""
	}
	d := max(now.Sub(then), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
