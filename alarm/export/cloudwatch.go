package export

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/monitor"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// CloudWatchConfig says what is made for CloudWatch.
type CloudWatchConfig struct {
	// Definitions are the alarms; thresholds in other currencies than the metric's have to be
	// converted before, with alarm.InDollars. Those that are Off are left out.
	Definitions []alarm.Definition
	// Namespace and Dimensions are those with which the metrics are published: as in the
	// configuration of package telemetry/cloudwatch. An empty Namespace means
	// names.Namespace.
	Namespace  string
	Dimensions map[string]string
	// By is what metrics are published by, as in the same configuration. Nil means
	// names.DefaultBy.
	By []names.Dimension
	// Prefix begins the names of alarms. Empty means "forebay-".
	Prefix string
	// Vocabulary is that of the monitor, for alarms on custom metrics.
	Vocabulary []monitor.MetricInfo
	// Values are the values of labels that definitions are judged by: operation, model,
	// error, target, budget, band, or a label of a custom metric. Each value of a metric
	// that is published by it becomes an alarm of its own.
	Values map[string][]string
	// Functions, Tables and Models are what AWS's own metrics are asked for: names of
	// Lambda functions and DynamoDB tables, and ids of Bedrock models or profiles.
	Functions []string
	Tables    []Table
	Models    []string
	// WarningActions, CriticalActions and DegradedActions are told when an alarm of that
	// severity, or the composite one, changes: ARNs of SNS topics mostly, at most 5 each.
	WarningActions, CriticalActions, DegradedActions []string
	// Serverless says that metrics are published by Lambda functions, between whose
	// invocations there are none: alarms on missing measurements are left out.
	Serverless bool
	// Region and Account are where alarms are, for the dashboard, which names them by their
	// ARNs. Empty means ${AWS::Region} and ${AWS::AccountId}, which CloudFormation fills in
	// (Fn::Sub).
	Region, Account string
}

// Table is a table of DynamoDB, with those of its indexes that are watched.
type Table struct {
	Name    string
	Indexes []string
}

// CloudWatch is alarms as CloudWatch's API has them.
type CloudWatch struct {
	Alarms []cloudwatch.PutMetricAlarmInput
	// Composites come after Alarms and in this order: later ones name earlier ones.
	Composites []cloudwatch.PutCompositeAlarmInput
	// Left says which definitions are not among them, and why, one line each.
	Left []string
}

func (c CloudWatchConfig) withDefaults() CloudWatchConfig {
	c.Namespace = cmp.Or(c.Namespace, names.Namespace)
	c.Prefix = cmp.Or(c.Prefix, "forebay-")
	if c.By == nil {
		c.By = names.DefaultBy()
	}
	c.Region = cmp.Or(c.Region, "${AWS::Region}")
	c.Account = cmp.Or(c.Account, "${AWS::AccountId}")
	return c
}

// CloudWatchAlarms makes alarms of CloudWatch that say the same as the definitions, as far
// as it has words for it. A window becomes a period, M of N evaluation periods of which M
// have to be beyond the threshold: so CloudWatch fires later than the process itself does,
// by up to N windows. Ratios are computed from sums, and only where the divisor is at least
// MinCount. Percentiles leave the choice of how many calls are enough to CloudWatch. A
// burn rate becomes an alarm for each of its windows, and a composite one over them. The
// critical ones that callers feel are joined in the composite alarm "service-degraded". A
// definition that is judged by a label becomes an alarm for each of its Values; that of a
// gauge becomes one over the worst of them where it is not published by that label.
// Clear, Every and Settle have no counterpart. What cannot be said is an error that names
// the definitions, all at once; what does not apply is in CloudWatch.Left.
func CloudWatchAlarms(cfg CloudWatchConfig) (CloudWatch, error) {
	cfg = cfg.withDefaults()
	faults := []error{alarm.Validate(cfg.Definitions)}
	var out CloudWatch
	for _, d := range cfg.Definitions {
		switch {
		case d.Off:
			out.leave(d, "it is off")
			continue
		case cfg.Serverless && d.Missing == alarm.MissingIsBad:
			out.leave(d, "between invocations nothing is measured")
			continue
		}
		if c := d.Currency(); c != "" && c != "USD" {
			faults = append(faults, fmt.Errorf("alarms.definitions.%s.unit: the metric is in USD and the threshold in %s; convert it first", d.Name, c))
			continue
		}
		if err := out.add(d.WithDefaults(), cfg); err != nil {
			faults = append(faults, err)
		}
	}
	out.degraded(cfg)
	if err := errors.Join(append(faults, out.Check())...); err != nil {
		return CloudWatch{}, err
	}
	return out, nil
}

func (c *CloudWatch) leave(d alarm.Definition, why string) {
	c.Left = append(c.Left, d.Name+": "+why)
}

// add makes the alarms of one definition.
func (c *CloudWatch) add(d alarm.Definition, cfg CloudWatchConfig) error {
	if d.External {
		return c.addExternal(d, cfg)
	}
	m, err := published(d, d.Metric, cfg)
	if err != nil {
		return err
	}
	var over names.Metric
	if d.Over != "" {
		if over, err = published(d, d.Over, cfg); err != nil {
			return err
		}
	}
	if m.Kind == names.Share && !shareTells(d) {
		return fmt.Errorf("alarms.definitions.%s.stat: in CloudWatch %s is how much of a minute something was so; use its mean, or max with > and a threshold from 0 to below 1", d.Name, m.Name)
	}
	values, err := valuesOf(d, m, cfg)
	if err != nil {
		return err
	}
	for _, value := range values {
		r := rendering{Definition: d, cfg: cfg, m: m, over: over, dimensions: maps.Clone(cfg.Dimensions)}
		r.name = cfg.Prefix + d.Name
		if value.of != "" {
			r.name += "-" + value.value
			if r.dimensions == nil {
				r.dimensions = map[string]string{}
			}
			r.dimensions[string(value.of)] = names.Value(value.value)
		}
		if len(d.Burn) > 0 {
			c.addBurn(r)
			continue
		}
		c.Alarms = append(c.Alarms, r.alarm())
	}
	return nil
}

// published finds the metric of CloudWatch that carries a metric of alarms.
func published(d alarm.Definition, metric string, cfg CloudWatchConfig) (names.Metric, error) {
	if m, ok := names.OfSeries(metric); ok {
		return m, nil
	}
	if rest, custom := strings.CutPrefix(metric, customPrefix); custom {
		for _, info := range cfg.Vocabulary {
			_, bare, _ := strings.Cut(info.Name, "_"+customPrefix)
			if info.Custom && isCustom(strings.TrimSuffix(bare, "_total"), rest, info) {
				m := names.Metric{Name: info.CloudWatch, Scale: 1}
				if len(info.Labels) == 1 { // more are published together, never one by itself
					m.By = []names.Dimension{names.Dimension(info.Labels[0])}
				}
				return m, nil
			}
		}
	}
	var known []string
	for _, m := range names.Metrics() {
		if m.Series != "" {
			known = append(known, m.Series)
		}
	}
	slices.Sort(known)
	return names.Metric{}, fmt.Errorf("alarms.definitions.%s.metric: %s is not published in CloudWatch; leave the alarm out, or use one of %s", d.Name, metric, strings.Join(known, ", "))
}

// labelled is a value of a dimension.
type labelled struct {
	of    names.Dimension
	value string
}

// valuesOf are the values of the label that a definition is judged by; none where one alarm
// says it for all.
func valuesOf(d alarm.Definition, m names.Metric, cfg CloudWatchConfig) ([]labelled, error) {
	if d.By == "" {
		return []labelled{{}}, nil
	}
	of, known := names.OfLabel(d.By)
	custom := strings.HasPrefix(d.Metric, customPrefix)
	if custom {
		of, known = names.Dimension(d.By), true
	}
	possible := known && slices.Contains(m.By, of)
	published := possible && (custom || slices.Contains(cfg.By, of))
	fault := func(text string, args ...any) error {
		return fmt.Errorf("alarms.definitions.%s.by: "+text, append([]any{d.Name}, args...)...)
	}
	switch values := cfg.Values[d.By]; {
	case published && len(values) > 0:
		all := make([]labelled, 0, len(values))
		for _, value := range values {
			all = append(all, labelled{of, value})
		}
		return all, nil
	case worstIsTold(m, d.Op):
		return []labelled{{}}, nil
	case published:
		return nil, fault("CloudWatch wants an alarm for each %s; name them", d.By)
	case possible:
		return nil, fault("%s is not published by %s; add %s to metrics.cloudwatch.by", m.Name, d.By, of)
	}
	return nil, fault("%s cannot be published by %s in CloudWatch; leave it out, or judge it by nothing", m.Name, d.By)
}

// worstIsTold says that what a gauge is published as for everything is the worst of its
// values: where it is on the good side of a threshold, all of them are.
func worstIsTold(m names.Metric, op string) bool {
	return (m.Kind == names.Sample || m.Kind == names.Share) && (m.Fold == names.Max && op == ">" || m.Fold == names.Min && op == "<")
}

// actions are told of alarms of a severity.
func (c CloudWatchConfig) actions(s alarm.Severity) []string {
	if s == alarm.Critical {
		return c.CriticalActions
	}
	return c.WarningActions
}

// addBurn makes an alarm for each window of a burn rate, and one over them, which alone
// tells anybody.
func (c *CloudWatch) addBurn(r rendering) {
	var pairs []string
	for _, pair := range r.Burn {
		var both []string
		for _, w := range []time.Duration{pair.Long, pair.Short} {
			part := r
			part.name = r.name + "-" + duration(w)
			part.Window, part.Threshold, part.M, part.N, part.quiet = w, pair.Factor*r.Threshold, 1, 1, true
			if !slices.ContainsFunc(c.Alarms, func(a cloudwatch.PutMetricAlarmInput) bool { return *a.AlarmName == part.name }) {
				c.Alarms = append(c.Alarms, part.alarm())
			}
			both = append(both, inAlarm(part.name))
		}
		pairs = append(pairs, "("+strings.Join(both, " AND ")+")")
	}
	actions := r.cfg.actions(r.Severity)
	c.Composites = append(c.Composites, cloudwatch.PutCompositeAlarmInput{
		AlarmName: aws.String(r.name), AlarmRule: aws.String(strings.Join(pairs, " OR ")), AlarmDescription: aws.String(r.description()),
		ActionsEnabled: aws.Bool(true), AlarmActions: actions, OKActions: actions, Tags: r.tags(),
	})
}

func inAlarm(name string) string { return `ALARM("` + name + `")` }

// degraded makes the one alarm over the critical ones that callers feel: slow, failing,
// waiting, refused.
func (c *CloudWatch) degraded(cfg CloudWatchConfig) {
	var worst []string
	add := func(name string) {
		worst = append(worst, inAlarm(name))
	}
	for _, d := range cfg.Definitions {
		felt := slices.Contains([]string{"duration", "failures", "waiting", "store_up"}, d.Metric)
		if d.Off || d.External || d.Severity != alarm.Critical || d.Missing == alarm.MissingIsBad || !felt {
			continue
		}
		for _, a := range c.Alarms {
			if *a.AlarmName == cfg.Prefix+d.Name || len(d.Burn) == 0 && d.By != "" && strings.HasPrefix(*a.AlarmName, cfg.Prefix+d.Name+"-") {
				add(*a.AlarmName)
			}
		}
		for _, a := range c.Composites {
			if *a.AlarmName == cfg.Prefix+d.Name {
				add(*a.AlarmName)
			}
		}
	}
	if len(worst) == 0 {
		return
	}
	c.Composites = append(c.Composites, cloudwatch.PutCompositeAlarmInput{
		AlarmName: aws.String(cfg.Prefix + serviceDegraded), AlarmRule: aws.String(strings.Join(worst, " OR ")),
		AlarmDescription: aws.String("Callers feel that something is wrong: calls are slow, fail, wait too long, or jobs are refused. The alarms below it say which."),
		ActionsEnabled:   aws.Bool(true), AlarmActions: cfg.DegradedActions, OKActions: cfg.DegradedActions,
		Tags: tags("service-degraded", alarm.Critical),
	})
}

// serviceDegraded is the name of the composite alarm, after the prefix.
const serviceDegraded = "service-degraded"
