package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// jobExits are the exit codes of commands that wait for jobs. Where they wait for
// several, the largest counts.
var jobExits = map[string]int{"completed": exitOK, "failed": 10, "timeout": 11, "cancelled": 12, "dead": 13}

// exitUnfinished says that --timeout was over before the job was.
const exitUnfinished = 14

// jobEnd is the error for a job that did not complete.
type jobEnd struct {
	code int
	text string
}

func (e *jobEnd) Error() string { return e.text }
func (e *jobEnd) ExitCode() int { return e.code }

// endOf says how a job ended, or that it has not.
func endOf(j reply) error {
	code, final := jobExits[j.State]
	switch {
	case code == exitOK && final:
		return nil
	case !final:
		return &jobEnd{exitUnfinished, fmt.Sprintf("%s is %s still. It goes on: forebay jobs wait %s", j.ID, j.State, j.ID)}
	}
	text := fmt.Sprintf("%s ended as %s", j.ID, j.State)
	if j.Error != nil {
		text += ": " + printable(j.Error.Message) + " (" + printable(j.Error.ErrorType) + ")"
	}
	return &jobEnd{code, text + ". Try it again: forebay jobs requeue " + j.ID}
}

const exitHelp = `The exit code is 0 if the job completed, 10 if it failed, 11 if its deadline passed, 12
if it was cancelled, 13 if it is a dead letter`

func jobsWaitCommand(s Streams) *cobra.Command {
	var r jobsRemote
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "wait ID...",
		Short: "Wait until jobs are at their end",
		Long: `Wait until jobs are at their end, and print what became of each. A gateway that is
restarted meanwhile is waited for.

` + exitHelp + `, and 14 if --timeout was over before; of
several jobs the largest counts.`,
		Example: `  forebay jobs wait job_01mqzk3v5x8y2
  forebay jobs wait job_01mqzk3v5x8y2 job_01mqzk3v5x8y4 --timeout 10m && echo done`,
		Args: someJobs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.check(); err != nil {
				return err
			}
			var until time.Time
			if timeout > 0 {
				until = time.Now().Add(timeout)
			}
			return r.waitAll(c.Context(), s, args, until)
		},
	}
	r.register(c, s)
	r.registerOutput(c)
	c.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait at most (default: as long as it takes)")
	return c
}

// waitAll waits for jobs and prints their states, one a line. The jobs run at the same
// time, so that waiting for one after the other takes as long as the longest.
func (r *jobsRemote) waitAll(ctx context.Context, s Streams, ids []string, until time.Time) error {
	worst := &jobEnd{}
	for _, id := range ids {
		j, err := r.await(ctx, s, id, until)
		if err != nil {
			return err
		}
		if r.asJSON {
			err = printRaw(s.Out, j.raw, true)
		} else {
			_, err = fmt.Fprintln(s.Out, j.ID, j.State)
		}
		if err != nil {
			return err
		}
		var end *jobEnd
		if errors.As(endOf(j), &end) && end.code >= worst.code {
			worst = end
		}
	}
	if worst.code != exitOK {
		return worst
	}
	return nil
}

// longPoll is how long the gateway holds one question. It is below the minute after
// which proxies give up.
const longPoll = 30 * time.Second

// await asks for a job until it is at its end, or until the time is over unless that
// is zero; then it returns the job as it is.
func (r *remote) await(ctx context.Context, s Streams, id string, until time.Time) (reply, error) {
	p := persistence{out: s.Err}
	for early := 50 * time.Millisecond; ; early = min(2*early, time.Second) {
		wait := longPoll
		if !until.IsZero() {
			wait = max(min(wait, time.Until(until)), 0)
		}
		begin := time.Now()
		j, err := r.job(ctx, http.MethodGet, pathOf(id)+"?wait="+wait.Round(time.Millisecond).String(), nil)
		switch {
		case err != nil:
			if err = p.failed(ctx, err); err != nil {
				return j, err
			}
			continue
		case j.final(), !until.IsZero() && !time.Now().Before(until):
			return j, nil
		}
		p.worked()
		if time.Since(begin) < wait/2 { // a gateway that drains holds no question
			if err := pause(ctx, min(early, wait)); err != nil {
				return j, err
			}
		}
	}
}

// restartTime is how long a gateway that has answered before may be away: it drains
// for up to 25 s, and is ready in 2.
const restartTime = 30 * time.Second

// persistence decides whether what failed is tried again. Zero is ready.
type persistence struct {
	out      io.Writer
	answered bool      // it worked before, so it may again
	since    time.Time // the first failure of those in a row
	wait     time.Duration
}

// worked notes an answer.
func (p *persistence) worked() { p.answered, p.since, p.wait = true, time.Time{}, 0 }

// failed waits a little and returns nil where another try may help, or returns what it
// was given.
func (p *persistence) failed(ctx context.Context, err error) error {
	var away *unreachable
	var refused *refusal
	passing := errors.As(err, &away) || errors.As(err, &refused) && refused.status >= 502 && refused.status <= 504
	if !passing || !p.answered || ctx.Err() != nil {
		return err
	}
	if p.since.IsZero() {
		p.since = time.Now()
		fmt.Fprintf(p.out, "%s; trying again for %s\n", plain(err), restartTime)
	}
	if time.Since(p.since) > restartTime {
		return err
	}
	p.wait = min(max(2*p.wait, 100*time.Millisecond), 2*time.Second)
	return pause(ctx, p.wait)
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
