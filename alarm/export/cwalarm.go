package export

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

// longestDescription is CloudWatch's bound of an alarm's description.
const longestDescription = 1024

// rendering is one definition on its way to an alarm.
type rendering struct {
	alarm.Definition
	cfg        CloudWatchConfig
	name       string
	m, over    names.Metric
	namespace  string // of AWS's own metrics; empty for ours
	dimensions map[string]string
	operations []string // of DynamoDB, whose sum it is
	quiet      bool     // its actions are those of a composite alarm over it
}

// alarm makes the alarm.
func (r rendering) alarm() cloudwatch.PutMetricAlarmInput {
	out := cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String(r.name), AlarmDescription: aws.String(r.description()), ActionsEnabled: aws.Bool(!r.quiet),
		EvaluationPeriods: aws.Int32(int32(r.N)), DatapointsToAlarm: aws.Int32(int32(r.M)),
		Threshold: aws.Float64(r.threshold()), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
		TreatMissingData: aws.String(r.missing()), Tags: r.tags(),
	}
	if r.Op == "<" {
		out.ComparisonOperator = types.ComparisonOperatorLessThanThreshold
	}
	if !r.quiet {
		out.AlarmActions, out.OKActions = r.cfg.actions(r.Severity), r.cfg.actions(r.Severity)
	}
	switch {
	case r.Over != "":
		out.Metrics = r.ratio()
	case len(r.operations) > 0:
		out.Metrics = r.summed()
	case r.Stat == "rate":
		out.Metrics = []types.MetricDataQuery{r.query("m1", r.m, "Sum"), expressionOf("m1/PERIOD(m1)", r.Name)}
	case r.MinCount > 0 && r.m.Kind == names.Event && !percentile(r.Stat):
		out.Metrics = []types.MetricDataQuery{
			r.query("m1", r.m, r.statistic()), r.query("n1", r.m, "SampleCount"),
			expressionOf(fmt.Sprintf("IF(n1 >= %d, m1)", r.MinCount), r.Name),
		}
	default:
		r.plain(&out)
	}
	return out
}

// plain is an alarm on a statistic of one metric.
func (r rendering) plain(out *cloudwatch.PutMetricAlarmInput) {
	out.Namespace, out.MetricName, out.Dimensions = aws.String(r.space()), aws.String(r.m.Name), r.dims("")
	out.Period = aws.Int32(r.period())
	if percentile(r.Stat) {
		out.ExtendedStatistic = aws.String(r.Stat)
		// With few calls a percentile is chance. CloudWatch wants 10/(1-p) of them.
		out.EvaluateLowSampleCountPercentile = aws.String("ignore")
		return
	}
	out.Statistic = types.Statistic(r.statistic())
}

// ratio divides sums, where the divisor is large enough to judge.
func (r rendering) ratio() []types.MetricDataQuery {
	return []types.MetricDataQuery{
		r.query("m1", r.m, "Sum"), r.query("m2", r.over, "Sum"),
		expressionOf(fmt.Sprintf("IF(m2 >= %d, m1/m2)", max(r.MinCount, 1)), r.Name),
	}
}

// summed adds up a metric that AWS has by operation alone. One without data counts as
// zero: AWS publishes nothing where nothing happened.
func (r rendering) summed() []types.MetricDataQuery {
	var all []types.MetricDataQuery
	var parts []string
	for i, operation := range r.operations {
		id := fmt.Sprintf("m%d", i+1)
		q := r.query(id, r.m, "Sum")
		q.MetricStat.Metric.Dimensions = r.dims(operation)
		all = append(all, q)
		parts = append(parts, "FILL("+id+", 0)")
	}
	return append(all, expressionOf(strings.Join(parts, " + "), r.Name))
}

func (r rendering) query(id string, m names.Metric, stat string) types.MetricDataQuery {
	return types.MetricDataQuery{
		Id: aws.String(id), ReturnData: aws.Bool(false),
		MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: aws.String(r.space()), MetricName: aws.String(m.Name), Dimensions: r.dims("")},
			Period: aws.Int32(r.period()), Stat: aws.String(stat),
		},
	}
}

func expressionOf(text, label string) types.MetricDataQuery {
	return types.MetricDataQuery{Id: aws.String("e1"), Expression: aws.String(text), Label: aws.String(label), ReturnData: aws.Bool(true)}
}

// space is the metrics' namespace.
func (r rendering) space() string {
	if r.namespace != "" {
		return r.namespace
	}
	return r.cfg.Namespace
}

// dims are the dimensions, sorted, with an operation of DynamoDB's where it is not empty.
func (r rendering) dims(operation string) []types.Dimension {
	var all []types.Dimension
	for _, name := range slices.Sorted(maps.Keys(r.dimensions)) {
		all = append(all, types.Dimension{Name: aws.String(name), Value: aws.String(r.dimensions[name])})
	}
	if operation != "" {
		all = append(all, types.Dimension{Name: aws.String("Operation"), Value: aws.String(operation)})
	}
	return all
}

// period is the window in seconds, in whole minutes.
func (r rendering) period() int32 {
	minutes := (r.Window + time.Minute - 1) / time.Minute
	return int32(max(minutes, 1) * 60)
}

// threshold is in the unit of CloudWatch's metric. Ratios are shares there too.
func (r rendering) threshold() float64 {
	if r.m.Kind == names.Share && r.Stat != "mean" {
		return 0 // any time at all
	}
	scale := r.m.Scale
	if r.Over != "" {
		scale /= r.over.Scale
	}
	// No more digits than it has: 0.144 is not 0.14400000000000002.
	v := r.Threshold * scale
	const digits = 1e9
	if size := math.Abs(v); size > 0 && size < 1e6 {
		v = math.Round(v*digits) / digits
	}
	return v
}

func percentile(stat string) bool { return strings.HasPrefix(stat, "p") }

// statistic is CloudWatch's word for a statistic. It has no last value: on the side that is
// wrong, the worst one of a period is as good.
func (r rendering) statistic() string {
	switch r.Stat {
	case "sum", "rate":
		return "Sum"
	case "count":
		return "SampleCount"
	case "min":
		return "Minimum"
	case "max":
		return "Maximum"
	case "mean":
		// An instance publishes one share a minute. The mean over all would hide one of many.
		if r.m.Kind == names.Share {
			return r.worst()
		}
	case "last":
		return r.worst()
	}
	return "Average"
}

// shareTells says that a share of a minute answers what a definition asks of a gauge of 0
// and 1.
func shareTells(d alarm.Definition) bool {
	return d.Stat == "mean" || (d.Stat == "max" || d.Stat == "last") && d.Op == ">" && d.Threshold >= 0 && d.Threshold < 1
}

// worst is the statistic of the side that is wrong.
func (r rendering) worst() string {
	if r.Op == "<" {
		return "Minimum"
	}
	return "Maximum"
}

// missing says what a period without data means. Alarms on metrics of DynamoDB ignore them
// whatever is said (reference of PutMetricAlarm): then that is said.
func (r rendering) missing() string {
	if r.namespace == "AWS/DynamoDB" {
		return "ignore"
	}
	switch r.Missing {
	case alarm.MissingIsOK:
		return "notBreaching"
	case alarm.MissingIsBad:
		return "breaching"
	case alarm.MissingIsNone:
		return "missing"
	}
	return "ignore"
}

// description says what is wrong, what to do, and where to read more.
func (r rendering) description() string {
	parts := []string{r.Message, r.Do}
	if r.Runbook != "" {
		link := r.Runbook
		if !strings.Contains(link, "://") {
			link = runbookBase + link
		}
		parts = append(parts, link)
	}
	text := strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
	if len(text) > longestDescription { // a whole link is worth more than the end of a sentence
		text = strings.ToValidUTF8(text[:longestDescription], "")
	}
	return text
}

func (r rendering) tags() []types.Tag { return tags(r.Name, r.Severity) }

func tags(name string, severity alarm.Severity) []types.Tag {
	return []types.Tag{
		{Key: aws.String("forebay:alarm"), Value: aws.String(name)},
		{Key: aws.String("severity"), Value: aws.String(string(severity))},
	}
}
