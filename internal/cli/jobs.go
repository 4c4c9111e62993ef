package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/internal/cli/show"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/jobs"
)

// The package is long on purpose: its commands are many and flat, one beside the other,
// and share how they talk to a gateway and to people.

func jobsCommand(s Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "jobs",
		Short: "Submit durable jobs, follow them, look after the queue",
		Long: `Submit durable jobs to a running gateway, follow them, and look after its queue. A job
is a call that outlasts restarts: it is on disk before its ID is given, waits by
priority, is repeated when the provider fails, and its result is kept for a while.`,
		Example: `  forebay jobs submit body.json --priority low --wait
  forebay jobs list --state dead
  forebay jobs requeue --state dead --operation vc-analysis
  forebay jobs stats`,
	}
	group(c)
	c.AddCommand(jobsSubmitCommand(s), jobsGetCommand(s), jobsResultCommand(s), jobsWaitCommand(s), jobsWatchCommand(s),
		jobsListCommand(s), jobsCancelCommand(s), jobsPriorityCommand(s), jobsRequeueCommand(s), jobsPurgeCommand(s),
		jobsPauseCommand(s), jobsResumeCommand(s), jobsStatsCommand(s), jobsSecretCommand(s))
	return c
}

// jobsRemote is a gateway that a command about jobs talks to, and the form in which
// it prints what it learns.
type jobsRemote struct {
	remote
	output string
	asJSON bool
}

func (r *jobsRemote) register(c *cobra.Command, s Streams) { r.registerFor(c, s, "jobs") }

func (r *jobsRemote) registerOutput(c *cobra.Command) {
	c.Flags().StringVarP(&r.output, "output", "o", "table", "table or json")
	c.Flags().BoolVar(&r.asJSON, "json", false, "the same as --output json")
}

// check checks the form of the output.
func (r *jobsRemote) check() error {
	if err := checkOutput(r.output); err != nil {
		return err
	}
	r.asJSON = r.asJSON || r.output == "json"
	return nil
}

const pathJobs = "/v1/jobs"

// pathOf is where one job is.
func pathOf(id string) string { return pathJobs + "/" + url.PathEscape(id) }

// reply is a job with its JSON as it came, which may have members that this version
// does not know.
type reply struct {
	jobs.View
	raw json.RawMessage
}

// final says that the job is at its end.
func (j *reply) final() bool {
	state, err := backlog.ParseState(j.State)
	return err == nil && state.Final()
}

// job is raw for answers that are a job.
func (r *remote) job(ctx context.Context, method, path string, in any) (reply, error) {
	raw, err := r.raw(ctx, method, path, in)
	if err != nil {
		return reply{}, err
	}
	return readJob(raw)
}

func readJob(raw json.RawMessage) (reply, error) {
	j := reply{raw: raw}
	if err := json.Unmarshal(raw, &j.View); err != nil || j.ID == "" {
		return j, errors.New("the answer is no job: is it a gateway of this version?")
	}
	return j, nil
}

// printRaw prints JSON for people who read it, and line by line for programs that
// read many.
func printRaw(w io.Writer, raw json.RawMessage, oneLine bool) error {
	var b bytes.Buffer
	var err error
	if oneLine {
		err = json.Compact(&b, raw)
	} else {
		err = json.Indent(&b, raw, "", "  ")
	}
	if err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// oneJob wants the ID of one job.
func oneJob(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s takes the ID of one job, and got %d (forebay jobs list shows them)", nameOf(c), len(args))}
	}
	return checkIDs(args)
}

// someJobs wants the IDs of one job or more.
func someJobs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{fmt.Errorf("%s takes IDs of jobs (forebay jobs list shows them)", nameOf(c))}
	}
	return checkIDs(args)
}

func checkIDs(args []string) error {
	for _, id := range args {
		if _, err := backlog.ParseID(id); err != nil {
			return usageError{fmt.Errorf("%.40q is not the ID of a job, such as job_01mqzk3v5x8y2", id)}
		}
	}
	return nil
}

// checkStates checks names of states; final ones only, where that is asked.
func checkStates(names []string, final bool) error {
	var known []string
	for _, s := range backlog.States() {
		if s.Final() || !final {
			known = append(known, s.String())
		}
	}
	for _, name := range names {
		if s, err := backlog.ParseState(name); err != nil || final && !s.Final() {
			return usageError{fmt.Errorf("--state %.40q: one of %s%s", name, strings.Join(known, ", "), near.DidYouMean(name, known))}
		}
	}
	return nil
}

// eachJob does something to jobs one after the other. What fails is said at once and
// does not keep it from the rest.
func eachJob(ctx context.Context, s Streams, ids []string, do func(id string) error) error {
	failed := 0
	for _, id := range ids {
		err := do(id)
		switch {
		case err == nil:
		case ctx.Err() != nil, len(ids) == 1:
			return err
		default:
			failed++
			fmt.Fprintf(s.Err, "%s: %s\n", id, plain(err))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, count(len(ids), "job"))
	}
	return nil
}

// printable is text that others chose, for a terminal: what would control it is
// replaced.
func printable(text string) string { return show.Clean(text) }
