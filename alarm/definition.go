package alarm

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/forebay-ai/forebay/internal/ident"
)

// Bounds of definitions. The longest window is the longest that package series keeps.
const (
	defaultEvery  = 10 * time.Second
	longestWindow = 30 * 24 * time.Hour
	shortestTime  = time.Second
	longestEvery  = 24 * time.Hour
	mostJudged    = 100
	longestText   = 500
)

var (
	namePattern     = ident.Pattern(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	metricPattern   = ident.Pattern(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	externalPattern = ident.Pattern(`^[A-Za-z0-9_./-]+ [A-Za-z0-9_.-]+$`)
	currencyPattern = ident.Pattern(`^[A-Z]{3}$`)
)

// stats are the statistics of package series, which this one does not import.
func stats() []string {
	return []string{"sum", "rate", "count", "last", "min", "max", "mean", "p50", "p90", "p95", "p99"}
}

// Subject is what the alarm is about: its name without a last "-warning" or "-critical".
// Alarms of one subject are one matter at two severities.
func (d Definition) Subject() string {
	return strings.TrimSuffix(strings.TrimSuffix(d.Name, "-warning"), "-critical")
}

// Currency is Unit where that is a currency (three capital letters), and else empty.
func (d Definition) Currency() string {
	if currencyPattern().MatchString(d.Unit) {
		return d.Unit
	}
	return ""
}

// WithDefaults fills in what zero values stand for: Every 10 s, M and N 1, Missing keep,
// Clear the Threshold, Stat sum for ratios.
func (d Definition) WithDefaults() Definition {
	if d.Every == 0 {
		d.Every = defaultEvery
	}
	if d.M == 0 {
		d.M = 1
	}
	if d.N == 0 {
		d.N = d.M
	}
	if d.Missing == "" {
		d.Missing = MissingKeeps
	}
	if d.Clear == 0 {
		d.Clear = d.Threshold
	}
	if d.Stat == "" && d.Over != "" {
		d.Stat = "sum"
	}
	return d
}

// Validate reports everything that is wrong with a definition, joined: for each fault the
// configuration key, the value, and what to do.
func (d Definition) Validate() error {
	c := checks{prefix: "alarms.definitions." + d.Name}
	full := d.WithDefaults()
	c.check(namePattern().MatchString(d.Name) && len(d.Name) <= 64, "name", d.Name, "small letters, digits and single dashes, at most 64")
	c.check(d.Severity == Warning || d.Severity == Critical, "severity", d.Severity, "warning or critical")
	full.checkMeasure(&c)
	full.checkThreshold(&c)
	c.check(full.Every >= shortestTime && full.Every <= longestEvery, "every", d.Every, "a duration from 1s to 24h")
	c.check(full.N >= 1 && full.N <= mostJudged, "n", d.N, "a number from 1 to 100")
	c.check(full.M >= 1 && full.M <= full.N, "m", d.M, "a number from 1 to n")
	c.check(d.MinCount >= 0, "min_count", d.MinCount, "a number of measurements from 0")
	c.check(d.Settle >= 0 && d.Settle <= longestWindow, "settle", d.Settle, "a duration from 0 to 720h")
	c.check(slices.Contains([]Missing{MissingKeeps, MissingIsOK, MissingIsBad, MissingIsNone}, full.Missing),
		"missing", d.Missing, "keep, ok, firing or no_data")
	c.check(d.Message != "", "message", "nothing", "a sentence that says what is wrong")
	c.text("message", d.Message)
	c.text("do", d.Do)
	c.text("runbook", d.Runbook)
	c.text("unit", d.Unit)
	return errors.Join(c.faults...)
}

// checkMeasure is asked of a definition with its defaults filled in.
func (d Definition) checkMeasure(c *checks) {
	if d.External {
		c.check(externalPattern().MatchString(d.Metric), "metric", d.Metric, "a namespace and a metric of CloudWatch, such as AWS/Lambda Throttles")
	} else {
		c.check(metricPattern().MatchString(d.Metric), "metric", d.Metric, "a metric's name: letters, digits and underscores")
	}
	c.check(slices.Contains(stats(), d.Stat), "stat", d.Stat, "one of "+strings.Join(stats(), ", "))
	c.check(d.Over == "" || metricPattern().MatchString(d.Over), "over", d.Over, "a metric's name")
	c.check(d.Over == "" || d.Stat == "sum", "stat", d.Stat, "sum, since a ratio is one of sums")
	c.check(d.By == "" || metricPattern().MatchString(d.By), "by", d.By, "a label's name")
	if len(d.Burn) == 0 {
		c.check(d.Window >= shortestTime && d.Window <= longestWindow, "window", d.Window, "a duration from 1s to 720h")
		return
	}
	c.check(d.Over != "", "over", "nothing", "the metric that counts all calls, since a burn rate is one of a ratio")
	c.check(d.Op == ">", "op", d.Op, "> with a burn rate")
	c.check(d.Threshold > 0 && d.Threshold < 1, "threshold", d.Threshold, "the error budget, a share above 0 and below 1")
	for _, b := range d.Burn {
		ok := b.Short >= shortestTime && b.Long > b.Short && b.Long <= longestWindow
		c.check(ok, "burn", fmt.Sprintf("%v and %v", b.Long, b.Short), "a long window, of at most 720h, and a shorter one")
		c.check(b.Factor > 0 && !math.IsInf(b.Factor, 0), "burn", b.Factor, "a factor above 0")
	}
}

func (d Definition) checkThreshold(c *checks) {
	c.check(d.Op == ">" || d.Op == "<", "op", d.Op, "> or <")
	finite := !math.IsNaN(d.Threshold) && !math.IsInf(d.Threshold, 0)
	c.check(finite, "threshold", d.Threshold, "a number")
	switch {
	case math.IsNaN(d.Clear) || math.IsInf(d.Clear, 0):
		c.check(false, "clear", d.Clear, "a number")
	case d.Op == ">":
		c.check(!finite || d.Clear <= d.Threshold, "clear", d.Clear, "a value that is not above the threshold")
	case d.Op == "<":
		c.check(!finite || d.Clear >= d.Threshold, "clear", d.Clear, "a value that is not below the threshold")
	}
}

// checks collects faults.
type checks struct {
	prefix string
	faults []error
}

func (c *checks) check(ok bool, key string, value any, fix string) {
	if !ok {
		c.faults = append(c.faults, fmt.Errorf("%s.%s: %v is not possible; use %s", c.prefix, key, value, fix))
	}
}

// text refuses what would break a line of a message to people.
func (c *checks) text(key, text string) {
	ok := len(text) <= longestText && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' })
	c.check(ok, key, "this text", fmt.Sprintf("one line of at most %d bytes", longestText))
}

// BurnRate is an alarm on the rate at which the error budget burns: budget is the share of
// calls that may fail, from 0 to 1, as one minus the objective.
func BurnRate(name string, severity Severity, budget float64, pairs ...Burn) Definition {
	return Definition{
		Name: name, Severity: severity,
		Measure: Measure{Metric: "failures", Stat: "sum", Over: "requests"},
		Op:      ">", Threshold: budget, Burn: pairs, Unit: "%",
		M: 2, N: 3, MinCount: 20, Missing: MissingKeeps,
	}
}
