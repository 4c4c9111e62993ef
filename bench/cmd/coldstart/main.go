// Command coldstart measures how long a Lambda function takes from the start of its process
// to the first byte of its first answer: Forebay's, and a hello-world handler in Go beside it.
//
// Both are the binaries that would be deployed, and both speak to Lambda's runtime API, which this
// program serves on 127.0.0.1. They take turns, each start a new process. What Lambda adds (fetching
// the package, starting the machine) is not in it, and is the same for both but for the size
// of the package, which the table has.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/entry"
	"github.com/forebay-ai/forebay/bench/internal/machine"
	"github.com/forebay-ai/forebay/bench/internal/table"
	"github.com/forebay-ai/forebay/internal/runtimeapi"
)

// What has to hold, by the task that the function was built for.
const (
	mostStart = 60 * time.Millisecond // Forebay's p50
	mostAdded = 20 * time.Millisecond // over hello world's, p50 of the rounds
	mostTime  = 20 * time.Minute      // of a whole run
	oneStart  = 30 * time.Second
)

// options are the flags.
type options struct {
	rounds           int
	root, out        string
	forebay, greeter string
}

func main() { entry.Main("coldstart", mostTime, run) }

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("coldstart", flag.ContinueOnError)
	var o options
	flags.IntVar(&o.rounds, "rounds", 40, "starts of each function")
	flags.StringVar(&o.root, "root", "..", "folder of the Forebay module")
	flags.StringVar(&o.forebay, "forebay", "", "the function to measure (built from -root where empty)")
	flags.StringVar(&o.greeter, "hello", "", "the hello-world function (built from -root where empty)")
	flags.StringVar(&o.out, "out", "", "write what is printed to this file too")
	err := flags.Parse(args)
	if err == nil && (o.rounds < 1 || o.rounds > 1000) {
		err = errors.New("-rounds is 1 to 1000")
	}
	return o, err
}

// function is one system.
type function struct {
	name, binary string
	environ      []string
	event        []byte
	want         string // in the body of its answer

	starts []time.Duration // to the first byte
	cpu    []time.Duration
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "coldstart")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.out != "" {
		f, err := os.Create(o.out)
		if err != nil {
			return err
		}
		defer f.Close()
		out = io.MultiWriter(out, f)
	}
	all, err := o.functions(ctx, dir)
	if err != nil {
		return err
	}
	for range o.rounds {
		for _, f := range all {
			if err := f.start(ctx); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	fmt.Fprintln(out, machine.This())
	return report(out, all)
}

// functions builds what is measured.
func (o *options) functions(ctx context.Context, dir string) ([]*function, error) {
	build := func(binary, name, pkg string) (string, error) {
		if binary != "" {
			return binary, nil
		}
		to, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		cmd := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags=-s -w", "-o", to, pkg)
		cmd.Dir, cmd.Env = o.root, append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", pkg, err, text)
		}
		return to, nil
	}
	hello, err := build(o.greeter, "hello", "./internal/runtimeapi/hello")
	if err != nil {
		return nil, err
	}
	forebay, err := build(o.forebay, "forebay", "./cmd/forebay-lambda")
	if err != nil {
		return nil, err
	}
	return measured(dir, hello, forebay)
}

// measured are the functions, each with its first event. Both kinds of binaries stream all of their answers.
func measured(dir, hello, forebay string) ([]*function, error) {
	small, aws := filepath.Join(dir, "forebay.yaml"), filepath.Join(dir, "aws.yaml")
	err := errors.Join(os.WriteFile(small, []byte(configuration), 0o600), os.WriteFile(aws, []byte(onAWS), 0o600))
	one, many := []string{"FOREBAY_CONFIG=" + small}, []string{"FOREBAY_CONFIG=" + aws, "AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none"}
	health, completions := url("GET", "/healthz", ""), "/v1/chat/completions"
	return []*function{
		{name: "hello world", binary: hello, event: url("GET", "/", ""), want: "hello"},
		{name: "Forebay, health", binary: forebay, environ: one, event: health, want: "alive"},
		{name: "Forebay, chat", binary: forebay, environ: one, event: url("POST", completions, chat), want: `"chat.completion"`},
		{name: "Forebay, stream", binary: forebay, environ: one, event: url("POST", completions, stream), want: "[DONE]"},
		{name: "Forebay on Bedrock, health", binary: forebay, environ: many, event: health, want: "alive"},
	}, err
}

// configuration is a small one with a model that answers at once.
const configuration = `
keys: [{name: bench, secret: secret-of-bench}]
providers: {local: {type: simulated, latency_scale: 0.0001}}
models: {m: {targets: [{provider: local, model: sim}]}}
log: {level: error}
`

// onAWS is a larger one, as a function has it: models of Bedrock with their prices, operations, a budget,
// metrics for CloudWatch. Nothing is called: the event asks for the health alone.
const onAWS = `
profile: analysis
keys: [{name: bench, secret: secret-of-bench}]
providers: {aws: {type: bedrock, region: eu-central-1}}
models:
  smart: {targets: [{provider: aws, model: "eu.anthropic.claude-sonnet-4-20250514-v1:0"}, {provider: aws, model: "amazon.nova-pro-v1:0"}]}
  small: {targets: [{provider: aws, model: "amazon.nova-lite-v1:0"}]}
operations: {vc-analysis: {model: smart}, summary: {model: small}}
metrics: {cloudwatch: {enabled: true, emf: stdout}}
budgets: {all: {usd: 100}}
log: {level: error}
`

const (
	chat   = `{"model":"m","messages":[{"role":"user","content":"hello"}]}`
	stream = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}`
)

// url is the event of a Function URL.
func url(method, path, body string) []byte {
	return fmt.Appendf(nil, `{"version":"2.0","routeKey":"$default","rawPath":%q,"rawQueryString":"","headers":{"authorization":"Bearer secret-of-bench","content-type":"application/json","host":"a.lambda-url.eu-central-1.on.aws"},`+
		`"requestContext":{"domainName":"a.lambda-url.eu-central-1.on.aws","http":{"method":%q,"path":%q,"sourceIp":"192.0.2.1"},"stage":"$default"},"body":%q,"isBase64Encoded":false}`, path, method, path, body)
}

// start starts the function once, has it answer, and ends it.
func (f *function) start(ctx context.Context) error {
	api, err := runtimeapi.Start()
	if err != nil {
		return err
	}
	defer api.Close()
	ctx, cancel := context.WithTimeout(ctx, oneStart)
	defer cancel()
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, f.binary)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(api.Environ(), f.environ...), &log, &log
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	answer, err := api.Invoke(ctx, runtimeapi.Event{Payload: f.event})
	_ = cmd.Process.Kill() // as Lambda ends environments
	_ = cmd.Wait()
	if _, body, _ := answer.Prelude(); err != nil || answer.Failed || !strings.Contains(body, f.want) {
		return fmt.Errorf("no answer (%w): %s\n%s", cmp.Or(err, errors.New("not the one that is wanted")), answer.Body, log.String())
	}
	f.starts = append(f.starts, answer.FirstByte.Sub(begun))
	f.cpu = append(f.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	return nil
}

// quantile is the nearest rank.
func quantile(values []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// report prints the figures and what has to hold. What is added is taken within each
// round, so that a machine that changes its speed is no difference.
func report(out io.Writer, all []*function) error {
	ms := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds()*1000, 'f', 1, 64) }
	rows := [][]string{{"function", "p50 ms", "p90 ms", "least ms", "added p50 ms", "CPU p50 ms", "binary MB"}}
	var verdicts []table.Verdict
	for _, f := range all {
		var added []time.Duration
		for i, d := range f.starts {
			added = append(added, d-all[0].starts[i])
		}
		info, err := os.Stat(f.binary)
		if err != nil {
			return err
		}
		p50, plus := quantile(f.starts, 0.5), quantile(added, 0.5)
		rows = append(rows, []string{
			f.name, ms(p50), ms(quantile(f.starts, 0.9)), ms(slices.Min(f.starts)), ms(plus), ms(quantile(f.cpu, 0.5)),
			strconv.FormatFloat(float64(info.Size())/1e6, 'f', 1, 64),
		})
		if f != all[0] {
			verdicts = append(verdicts,
				table.Verdict{What: f.name + ": to the first byte, p50", Seen: ms(p50) + " ms", Wanted: "<= " + ms(mostStart) + " ms", OK: p50 <= mostStart},
				table.Verdict{What: f.name + ": added to hello world, p50", Seen: ms(plus) + " ms", Wanted: "<= " + ms(mostAdded) + " ms", OK: plus <= mostAdded})
		}
	}
	title := fmt.Sprintf("from the start of the process to the first byte of its first answer, %d starts each, in turns", len(all[0].starts))
	return errors.Join(table.Grid(out, title, rows), table.Verdicts(out, verdicts))
}
