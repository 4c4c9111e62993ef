package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
)

func jobsCancelCommand(s Streams) *cobra.Command {
	var r jobsRemote
	c := &cobra.Command{
		Use:     "cancel ID...",
		Short:   "Cancel jobs, queued or in progress",
		Example: "  forebay jobs cancel job_01mqzk3v5x8y2\n  forebay jobs list --state queued --user user-123",
		Args:    someJobs,
		RunE: func(c *cobra.Command, args []string) error {
			return r.changeEach(c.Context(), s, args, http.MethodDelete, "")
		},
	}
	r.register(c, s)
	return c
}

// changeEach sends one request for each job and prints the state that follows.
func (r *jobsRemote) changeEach(ctx context.Context, s Streams, ids []string, method, under string) error {
	return eachJob(ctx, s, ids, func(id string) error {
		j, err := r.job(ctx, method, pathOf(id)+under, nil)
		if err == nil {
			_, err = fmt.Fprintln(s.Out, j.ID, j.State)
		}
		return err
	})
}

func jobsPriorityCommand(s Streams) *cobra.Command {
	var r jobsRemote
	c := &cobra.Command{
		Use:     "priority ID BAND",
		Short:   "Move a queued job to another band",
		Example: "  forebay jobs priority job_01mqzk3v5x8y2 high",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{fmt.Errorf("%s takes the ID of a job and a band, and got %d", nameOf(c), len(args))}
			}
			if _, err := llm.ParsePriority(args[1]); err != nil || args[1] == "" {
				return usageError{fmt.Errorf("the band %.40q: low, normal, high or critical", args[1])}
			}
			return checkIDs(args[:1])
		},
		RunE: func(c *cobra.Command, args []string) error {
			band := strings.ToLower(args[1])
			j, err := r.job(c.Context(), http.MethodPatch, pathOf(args[0]), map[string]string{"priority": band})
			if err != nil {
				return err
			}
			text := fmt.Sprintf("%s %s", j.ID, j.Priority)
			if j.Place != nil {
				text += fmt.Sprintf(", place %d", *j.Place)
			}
			_, err = fmt.Fprintln(s.Out, text)
			return err
		},
	}
	r.register(c, s)
	return c
}

func jobsRequeueCommand(s Streams) *cobra.Command {
	var r jobsRemote
	var f selection
	c := &cobra.Command{
		Use:   "requeue [ID...]",
		Short: "Queue jobs again that failed, timed out, were cancelled or are dead",
		Long: `Queue jobs again that failed, timed out, were cancelled or are dead letters: those that
are named, or all that the flags select. They get a new deadline and all attempts. Where
the queue is full the command stops; those that are left can be requeued later.`,
		Example: `  forebay jobs requeue job_01mqzk3v5x8y2
  forebay jobs requeue --state dead --operation vc-analysis`,
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) > 0) == (len(f.states) > 0) {
				return usageError{errors.New("name jobs by their IDs, or all in a state by --state")}
			}
			if len(args) > 0 {
				if f.operation != "" || f.user != "" || f.tenant != "" {
					return usageError{errors.New("--operation, --user and --tenant go with --state, not with IDs")}
				}
				if err := checkIDs(args); err != nil {
					return err
				}
				return r.changeEach(c.Context(), s, args, http.MethodPost, "/requeue")
			}
			if err := checkStates(f.states, true); err != nil {
				return err
			}
			return r.requeueAll(c.Context(), s, &f)
		},
	}
	r.register(c, s)
	f.register(c)
	return c
}

// requeueAll requeues what is selected. Each job passes once: the list goes backward
// in time, and a job that dies again meanwhile does not come again.
func (r *jobsRemote) requeueAll(ctx context.Context, s Streams, f *selection) error {
	done, left := 0, 0
	err := r.pages(ctx, f.query(maxPage), func(p page) (bool, error) {
		for _, raw := range p.Data {
			j, err := readJob(raw)
			if err == nil {
				_, err = r.job(ctx, http.MethodPost, pathOf(j.ID)+"/requeue", nil)
			}
			var refused *refusal
			switch {
			case err == nil:
				done++
			case errors.As(err, &refused) && refused.status >= 400 && refused.status < 500 && refused.status != http.StatusTooManyRequests:
				left++ // this one only: it has moved on meanwhile, or is gone
				fmt.Fprintf(s.Err, "%s: %s\n", j.ID, plain(err))
			default:
				return false, err
			}
		}
		return true, nil
	})
	if _, e := fmt.Fprintf(s.Out, "requeued: %s\n", count(done, "job")); e != nil {
		return errors.Join(err, e)
	}
	if err == nil && left > 0 {
		err = fmt.Errorf("%s left as they are", count(left, "job"))
	}
	return err
}

// purging is what jobs purge is told by its flags.
type purging struct {
	jobsRemote
	selection
	before      time.Duration
	dryRun, yes bool
}

func jobsPurgeCommand(s Streams) *cobra.Command {
	var f purging
	c := &cobra.Command{
		Use:   "purge --state STATE",
		Short: "Remove jobs that are at their end, with payload and result",
		Long: `Remove jobs that are at their end, with payload and result, before their time to be kept
is over. They are gone for good: the command asks first, unless --yes is given.`,
		Example: `  forebay jobs purge --state dead --dry-run
  forebay jobs purge --state dead --operation vc-analysis --before 24h
  forebay jobs purge --state completed,cancelled --yes`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), s) },
	}
	f.jobsRemote.register(c, s)
	f.selection.register(c)
	c.Flags().DurationVar(&f.before, "before", 0, "only jobs that were submitted longer ago than this, such as 24h")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "only count them")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	return c
}

func (f *purging) run(ctx context.Context, s Streams) error {
	if len(f.states) == 0 {
		return usageError{errors.New("say which jobs by --state: completed, failed, timeout, cancelled or dead")}
	}
	if f.before < 0 {
		return usageError{fmt.Errorf("--before %s: a duration above 0, such as 24h", f.before)}
	}
	if err := checkStates(f.states, true); err != nil {
		return err
	}
	if f.dryRun || !f.yes {
		n, err := f.countJobs(ctx)
		switch {
		case err != nil:
			return err
		case f.dryRun:
			_, err := fmt.Fprintf(s.Out, "would be removed: %s\n", count(n, "job"))
			return err
		}
		if err := confirm(s, fmt.Sprintf("Remove %s (%s) for good?", count(n, "job"), strings.Join(f.states, ", "))); err != nil {
			return err
		}
	}
	return f.purge(ctx, s)
}

// purge removes the jobs.
func (f *purging) purge(ctx context.Context, s Streams) error {
	in := map[string]any{"states": f.states}
	for name, value := range map[string]string{"operation": f.operation, "user": f.user, "tenant": f.tenant} {
		if value != "" {
			in[name] = value
		}
	}
	if f.before > 0 {
		in["before"] = f.before.String()
	}
	var done struct{ Removed int }
	if err := f.remote.json(ctx, http.MethodPost, pathJobs+"/purge", in, &done); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.Out, "removed: %s\n", count(done.Removed, "job"))
	return err
}

// countJobs counts what would be removed now. IDs ascend with the time of submission,
// and a page begins behind an ID: the gateway bounds by time in the same way.
func (f *purging) countJobs(ctx context.Context) (int, error) {
	q := f.query(maxPage)
	if f.before > 0 {
		q.Set("after", new(backlog.IDs).Next(time.Now().Add(-f.before)).String())
	}
	n := 0
	err := f.pages(ctx, q, func(p page) (bool, error) {
		n += len(p.Data)
		return true, nil
	})
	return n, err
}

// confirm asks people; programs have to say --yes.
func confirm(s Streams, question string) error {
	if in, ok := s.In.(*os.File); !ok || !isatty.IsTerminal(in.Fd()) {
		return usageError{errors.New("nobody is there to be asked: add --yes, or --dry-run to see how many")}
	}
	return ask(s.In, s.Err, question)
}

// ask returns nil where the answer is yes.
func ask(in io.Reader, out io.Writer, question string) error {
	fmt.Fprint(out, question, " [y/N] ")
	line, _ := bufio.NewReader(io.LimitReader(in, 1<<10)).ReadString('\n') // nothing is no
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was removed")
}

func jobsPauseCommand(s Streams) *cobra.Command {
	return switchCommand(s, "pause", &cobra.Command{
		Use:   "pause OPERATION",
		Short: "Start no more jobs of an operation, across restarts too",
		Long: `Start no more jobs of an operation, across restarts too, until it is resumed. Jobs in
progress go on; queued ones stay where they are, and their deadlines go on. An empty name
stands for calls without an operation. The key needs the scope admin.`,
		Example: "  forebay jobs pause vc-analysis",
	}, "%s is paused: its jobs wait, those in progress go on\n")
}

func jobsResumeCommand(s Streams) *cobra.Command {
	return switchCommand(s, "resume", &cobra.Command{
		Use:     "resume OPERATION",
		Short:   "Start jobs of a paused operation again",
		Example: "  forebay jobs resume vc-analysis",
	}, "%s goes on\n")
}

func switchCommand(s Streams, route string, c *cobra.Command, done string) *cobra.Command {
	var r jobsRemote
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("%s takes the name of one operation, and got %d", nameOf(c), len(args))}
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, err := r.raw(c.Context(), http.MethodPost, pathJobs+"/"+route, map[string]string{"operation": args[0]}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.Out, done, quoteEmpty(args[0]))
		return err
	}
	r.register(c, s)
	return c
}
