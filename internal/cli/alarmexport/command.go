package alarmexport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forebay-ai/forebay/alarm/export"
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/deploy/observability"
	"github.com/forebay-ai/forebay/internal/near"
)

// Host is what the command line gives the command.
type Host struct {
	Out, Err io.Writer
	// Register adds the flags that say where the configuration is; Read reads it.
	Register func(*cobra.Command)
	Read     func() (*config.File, error)
	// NoArguments refuses arguments, Usage marks a fault in how a command was called.
	NoArguments cobra.PositionalArgs
	Usage       func(error) error
}

// flags are those of the command.
type flags struct {
	format, out, prefix, region, account               string
	topics, functions, tables, models, without, values []string
	serverless                                         bool
}

// Command returns "export".
func Command(h Host) *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "export",
		Short: "Print the configured alarms for CloudWatch or Prometheus",
		Long: `Print the alarms that the configuration has, for a system that judges them too. Nothing is
started or sent, and nothing is made in an account. Formats:

  cloudwatch            what aws cloudwatch put-metric-alarm and put-composite-alarm take
  cloudwatch-dashboard  what aws cloudwatch put-dashboard takes, with the alarms in its first row
  prometheus            a file of alerting rules, for rule_files
  grafana               a dashboard over Prometheus, to be imported; the same for every configuration

For CloudWatch the namespace, the dimensions and what metrics are told apart by are those of
metrics.cloudwatch, the topic is alarms.topic, the tables are those of store.dynamodb, the models
those of providers of type bedrock, and the function is that of the dimension FunctionName. What is
left out, and what the alarms cost, is said on standard error.`,
		Example: `  forebay alarms export --config forebay.yaml --out alarms.json
  forebay alarms export --topic arn:aws:sns:eu-central-1:123456789012:alerts --function voice-learning
  forebay alarms export --topic critical=arn:aws:sns:eu-central-1:123456789012:pager --without concurrent-users
  forebay alarms export --format prometheus > forebay-rules.yaml`,
		Args: h.NoArguments,
		RunE: func(*cobra.Command, []string) error { return h.run(&f) },
	}
	h.Register(c)
	l := c.Flags()
	l.StringVarP(&f.format, "format", "f", "cloudwatch", strings.Join(formats(), ", "))
	l.StringVar(&f.out, "out", "", "write to this file instead of standard output")
	l.StringArrayVar(&f.without, "without", nil, "leave this alarm out; repeatable")
	l.StringVar(&f.prefix, "prefix", "forebay-", "how names of alarms begin in CloudWatch")
	l.StringArrayVar(&f.topics, "topic", nil, "ARN that CloudWatch tells, or SEVERITY=ARN with critical, warning or degraded; repeatable (default alarms.topic)")
	l.StringArrayVar(&f.functions, "function", nil, "a Lambda function whose own metrics are watched; repeatable")
	l.StringArrayVar(&f.tables, "table", nil, "a DynamoDB table, or TABLE=INDEX,INDEX; repeatable (default those of store.dynamodb)")
	l.StringArrayVar(&f.models, "model", nil, "a Bedrock model or inference profile; repeatable (default those of the configuration)")
	l.StringArrayVar(&f.values, "value", nil, "LABEL=VALUE for alarms that are judged by a label, as error=provider_timeout; repeatable")
	l.BoolVar(&f.serverless, "serverless", false, "metrics are published by Lambda functions (default true with metrics.cloudwatch.emf)")
	l.StringVar(&f.region, "region", "", "Region of the alarms, for the dashboard (default ${AWS::Region}, for CloudFormation)")
	l.StringVar(&f.account, "account", "", "account of the alarms, for the dashboard (default ${AWS::AccountId})")
	return c
}

func formats() []string {
	return []string{"cloudwatch", "cloudwatch-dashboard", "prometheus", "grafana"}
}

func (h Host) run(f *flags) error {
	if !slices.Contains(formats(), f.format) {
		return h.Usage(fmt.Errorf("--format %q: use one of %s%s", f.format, strings.Join(formats(), ", "), near.DidYouMean(f.format, formats())))
	}
	file, err := h.Read()
	if err != nil {
		return err
	}
	text, err := h.text(f, file)
	if err != nil {
		return err
	}
	if f.out == "" {
		_, err = h.Out.Write(text)
		return err
	}
	if err := os.WriteFile(f.out, text, 0o644); err != nil {
		return fmt.Errorf("cannot write the alarms: %w", err)
	}
	return nil
}

// text is what is printed.
func (h Host) text(f *flags, file *config.File) ([]byte, error) {
	if f.format == "grafana" {
		return observability.Dashboard()
	}
	a, err := read(f, file)
	if errors.As(err, new(wrongFlag)) {
		return nil, h.Usage(err)
	}
	if err != nil {
		return nil, err
	}
	if f.format == "prometheus" {
		return export.Rules(export.Config{Definitions: a.definitions, Vocabulary: a.vocabulary})
	}
	cfg, err := a.cloudWatch(f, file)
	if err != nil {
		return nil, h.Usage(err)
	}
	alarms, err := export.CloudWatchAlarms(cfg)
	if err != nil {
		return nil, fmt.Errorf("%w\nan alarm that CloudWatch cannot judge is left out by --without NAME", err)
	}
	if !a.watch.CloudWatch.Enabled {
		h.say("metrics.cloudwatch.enabled is false: nobody publishes what these alarms judge")
	}
	for _, left := range alarms.Left {
		h.say("left out: " + left)
	}
	h.say(fmt.Sprintf("%d alarms and %d composite ones: $%.2f a month at list price", len(alarms.Alarms), len(alarms.Composites), alarms.MonthlyUSD()))
	if f.format == "cloudwatch" {
		return alarms.JSON()
	}
	return export.CloudWatchDashboard(cfg)
}

// say says something beside what is printed.
func (h Host) say(text string) { fmt.Fprintln(h.Err, text) }

// wrongFlag is a fault in a flag.
type wrongFlag struct{ error }

// errOff is that of a configuration without alarms.
var errOff = errors.New("alarms.enabled is false: there is nothing to print")
