package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// Limits of alarms, out of CloudWatch's API reference and its page of quotas.
const (
	longestAlarmName = 255
	mostAlarmMetrics = 10
	mostActions      = 5
	mostChildren     = 100
	longestRule      = 10_240
	anHour           = 3_600
	aDay             = 86_400
	aWeek            = 7 * aDay
)

var (
	queryID     = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`)
	childAlarms = regexp.MustCompile(`ALARM\("([^"]*)"\)`)
)

// checker collects what CloudWatch would refuse.
type checker struct {
	of     string
	faults []error
}

func (c *checker) check(ok bool, format string, args ...any) {
	if !ok {
		c.faults = append(c.faults, fmt.Errorf("alarm %s: %s", c.of, fmt.Sprintf(format, args...)))
	}
}

// Check holds alarms against the limits of CloudWatch's API, and against each other: the
// error names everything that would be refused.
func (c CloudWatch) Check() error {
	var k checker
	seen := map[string]bool{}
	named := func(name, description *string, actions ...[]string) {
		k.of = aws.ToString(name)
		k.check(k.of != "" && len(k.of) <= longestAlarmName, "a name has 1 to %d characters", longestAlarmName)
		k.check(!seen[k.of], "it is there twice")
		k.check(len(aws.ToString(description)) <= longestDescription, "a description has at most %d characters", longestDescription)
		for _, list := range actions {
			k.check(len(list) <= mostActions, "%d actions: at most %d a state", len(list), mostActions)
		}
	}
	for i := range c.Alarms {
		a := &c.Alarms[i]
		named(a.AlarmName, a.AlarmDescription, a.AlarmActions, a.OKActions, a.InsufficientDataActions)
		k.alarm(a)
		seen[k.of] = true
	}
	for i := range c.Composites {
		a := &c.Composites[i]
		named(a.AlarmName, a.AlarmDescription, a.AlarmActions, a.OKActions, a.InsufficientDataActions)
		rule := aws.ToString(a.AlarmRule)
		children := childAlarms.FindAllStringSubmatch(rule, -1)
		k.check(rule != "" && len(rule) <= longestRule, "a rule has 1 to %d characters", longestRule)
		k.check(len(children) >= 1 && len(children) <= mostChildren, "%d alarms in its rule: 1 to %d", len(children), mostChildren)
		for _, child := range children {
			k.check(seen[child[1]], "its rule names %s, which is not made before it", child[1])
		}
		seen[k.of] = true
	}
	return errors.Join(k.faults...)
}

func (k *checker) alarm(a *cloudwatch.PutMetricAlarmInput) {
	n, m := aws.ToInt32(a.EvaluationPeriods), aws.ToInt32(a.DatapointsToAlarm)
	k.check(n >= 1 && m >= 1 && m <= n, "%d of %d periods: m is from 1 to n", m, n)
	k.check(a.Threshold != nil && !math.IsNaN(*a.Threshold) && !math.IsInf(*a.Threshold, 0), "a threshold is a number")
	k.check(a.TreatMissingData != nil, "what missing data mean is to be said")
	if len(a.Metrics) == 0 {
		k.check(a.MetricName != nil && a.Namespace != nil && a.Period != nil, "a metric has a name, a namespace and a period")
		k.check((a.Statistic != "") != (a.ExtendedStatistic != nil), "a metric has one statistic")
		k.check(a.EvaluateLowSampleCountPercentile == nil || a.ExtendedStatistic != nil, "only percentiles have few samples")
		k.period(a.Period, n)
		return
	}
	k.check(a.MetricName == nil && a.Namespace == nil && a.Period == nil && a.Statistic == "" && a.ExtendedStatistic == nil && len(a.Dimensions) == 0,
		"a metric and an expression at the same time")
	k.expression(a.Metrics, n)
}

// expression checks an alarm on metric math.
func (k *checker) expression(all []types.MetricDataQuery, n int32) {
	k.check(len(all) <= mostAlarmMetrics, "%d metrics: at most %d", len(all), mostAlarmMetrics)
	returned := 0
	ids := map[string]bool{}
	for _, q := range all {
		id := aws.ToString(q.Id)
		k.check(queryID.MatchString(id) && !ids[id], "%q is no id of a metric, or is there twice", id)
		ids[id] = true
		if aws.ToBool(q.ReturnData) {
			returned++
		}
		k.check((q.Expression == nil) != (q.MetricStat == nil), "%s is an expression or a metric", id)
		if q.MetricStat != nil {
			k.period(q.MetricStat.Period, n)
			k.check(q.MetricStat.Metric != nil && aws.ToString(q.MetricStat.Stat) != "", "%s lacks its metric or statistic", id)
		}
		k.check(!strings.Contains(aws.ToString(q.Expression), "SEARCH"), "an alarm cannot search")
	}
	k.check(returned == 1, "%d of its metrics are returned: exactly one is judged", returned)
}

func (k *checker) period(period *int32, n int32) {
	p := aws.ToInt32(period)
	k.check(p == 10 || p == 20 || p == 30 || p >= 60 && p%60 == 0, "a period of %d s: 10, 20, 30 or whole minutes", p)
	most := int32(aDay)
	if p >= anHour {
		most = aWeek
	}
	k.check(p*n <= most, "%d periods of %d s: at most %d s together", n, p, most)
}

// MonthlyUSD is what the alarms cost a month at list price: $0.10 for each metric that an
// alarm has, and $0.50 for each composite one (us-east-1; the first ten are free).
func (c CloudWatch) MonthlyUSD() float64 {
	cents := 50 * len(c.Composites)
	for i := range c.Alarms {
		metrics := 0
		for _, q := range c.Alarms[i].Metrics {
			if q.MetricStat != nil {
				metrics++
			}
		}
		cents += 10 * max(metrics, 1)
	}
	return float64(cents) / 100
}

// JSON is the alarms as a document with the members MetricAlarms and CompositeAlarms, each
// element of which is what `aws cloudwatch put-metric-alarm --cli-input-json` or
// put-composite-alarm takes. The order is that in which they have to be made.
func (c CloudWatch) JSON() ([]byte, error) {
	document := map[string]any{"MetricAlarms": c.Alarms, "CompositeAlarms": c.Composites}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	return indented(without(plain))
}

// without leaves out the members of objects that are null or empty: what the API's structs
// have and nobody set.
func without(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			member = without(member)
			list, isList := member.([]any)
			if member == nil || member == "" || isList && len(list) == 0 {
				delete(v, name)
				continue
			}
			v[name] = member
		}
	case []any:
		for i := range v {
			v[i] = without(v[i])
		}
	}
	return v
}

// indented writes JSON for people too: signs of comparison as they are.
func indented(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return []byte(b.String()), err
}
