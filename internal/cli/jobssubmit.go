package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/llm"
)

// submission is what jobs submit is told by its flags.
type submission struct {
	jobsRemote
	endpoint, priority, user, operation, persona string
	key, customID, webhook                       string
	timeout, retention                           time.Duration
	wait, events                                 bool
}

func jobsSubmitCommand(s Streams) *cobra.Command {
	var f submission
	c := &cobra.Command{
		Use:   "submit FILE",
		Short: "Take a request in as a durable job",
		Long: `Take a request in as a durable job, and print its ID: the job is on disk then. The file
holds the body as the endpoint takes it; - reads it from standard input. With --wait or
--stream-events the command goes on until the job is at its end and prints its result;
the exit code says how the job ended, as that of jobs wait does.

Under an idempotency key a job is taken in once in 24 hours, however often the command is
repeated.`,
		Example: `  forebay jobs submit body.json
  forebay jobs submit body.json --priority low --timeout 1h --idempotency-key import-2025-11
  forebay jobs submit payload.json --endpoint /v1/operations/vc-analysis --user user-123 --wait
  id=$(forebay jobs submit - --webhook https://example.com/hooks/forebay < body.json)`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c.Context(), s, args[0]) },
	}
	f.register(c, s)
	f.registerOutput(c)
	flags := c.Flags()
	flags.StringVar(&f.endpoint, "endpoint", "/v1/chat/completions", "/v1/chat/completions, /v1/embeddings or /v1/operations/NAME")
	flags.StringVar(&f.priority, "priority", "", "low, normal, high or critical, as the key grants")
	flags.DurationVar(&f.timeout, "timeout", 0, "time until the job's deadline: waiting, attempts and pauses (default: the gateway's)")
	flags.StringVar(&f.user, "user", "", "as x-forebay-user; without it the body's user")
	flags.StringVar(&f.operation, "operation", "", "as x-forebay-operation")
	flags.StringVar(&f.persona, "persona", "", "as x-forebay-persona")
	flags.StringVar(&f.key, "idempotency-key", "", "takes the job in once, however often this is repeated")
	flags.StringVar(&f.customID, "custom-id", "", "a name of your own for the job; jobs list finds it")
	flags.StringVar(&f.webhook, "webhook", "", "https address that is told of the end")
	flags.DurationVar(&f.retention, "retention", 0, "how long the result is kept (default: the gateway's)")
	flags.BoolVar(&f.wait, "wait", false, "wait for the end, and print the result")
	flags.BoolVar(&f.events, "stream-events", false, "follow the job, and print its result piece by piece")
	return c
}

func (f *submission) run(ctx context.Context, s Streams, file string) error {
	if err := f.check(); err != nil {
		return err
	}
	if _, err := llm.ParsePriority(f.priority); err != nil {
		return usageError{fmt.Errorf("--priority: %w", err)}
	}
	if f.timeout < 0 || f.retention < 0 {
		return usageError{errors.New("--timeout and --retention are durations above 0, such as 45s or 24h")}
	}
	text, err := readFile(s, file)
	if err != nil {
		return err
	}
	body, err := f.body(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	j, replayed, err := f.submit(ctx, body)
	if err != nil {
		return err
	}
	if replayed {
		fmt.Fprintf(s.Err, "%s was submitted before under this idempotency key; it is %s\n", j.ID, j.State)
	}
	switch {
	case f.wait || f.events:
		return f.finish(ctx, s, &j)
	case f.asJSON:
		return printRaw(s.Out, j.raw, false)
	}
	_, err = fmt.Fprintln(s.Out, j.ID)
	return err
}

// body is the submission with the file's bytes as they are: a gateway must not see
// another request than the one that was written.
func (f *submission) body(text []byte) ([]byte, error) {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(text, new(json.RawMessage)); errors.As(err, &syntax) {
		line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
		return nil, fmt.Errorf("not JSON: line %d: %w", line, err)
	}
	head := map[string]string{"url": f.endpoint}
	if f.customID != "" {
		head["custom_id"] = f.customID
	}
	if f.webhook != "" {
		head["webhook"] = f.webhook
	}
	if f.retention > 0 {
		head["retention"] = f.retention.String()
	}
	b, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	b = append(b[:len(b)-1], `,"body":`...)
	return append(append(b, text...), '}'), nil
}

// submit sends the submission. replayed says that the job was there already.
func (f *submission) submit(ctx context.Context, body []byte) (j reply, replayed bool, err error) {
	header := http.Header{"Content-Type": {"application/json"}}
	for name, value := range map[string]string{
		"X-Forebay-Priority": f.priority, "X-Forebay-User": f.user, "X-Forebay-Operation": f.operation,
		"X-Forebay-Persona": f.persona, "Idempotency-Key": f.key,
	} {
		if value != "" {
			header.Set(name, value)
		}
	}
	if f.timeout > 0 {
		header.Set("X-Forebay-Timeout", strconv.FormatInt(max(f.timeout.Milliseconds(), 1), 10))
	}
	res, err := f.send(ctx, http.MethodPost, pathJobs, header, bytes.NewReader(body))
	if err != nil {
		return reply{}, false, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return reply{}, false, f.brokenOff(ctx, err)
	}
	j, err = readJob(raw)
	return j, strings.EqualFold(res.Header.Get("Idempotency-Replayed"), "true"), err
}

// finish stays with a job until its end, and prints its result unless its pieces were
// printed as they came.
func (f *submission) finish(ctx context.Context, s Streams, j *reply) error {
	fmt.Fprintln(s.Err, j.ID) // who interrupts this has to know how to come back
	var err error
	out := &pieces{s: s}
	last := *j
	switch {
	case f.events:
		last, err = f.follow(ctx, s, j.ID, out)
	case !j.final():
		last, err = f.await(ctx, s, j.ID, time.Time{})
	}
	if err != nil {
		return err
	}
	if last.State == "completed" && !out.printed {
		if err := f.printResult(ctx, s, j.ID, f.events); err != nil {
			return err
		}
	}
	return endOf(last)
}
