package export

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/alarm"
)

// expression makes the PromQL of one definition.
type expression struct {
	alarm.Definition
	m, over   metric
	namespace string
}

func (e expression) promQL() (string, error) {
	var text string
	switch {
	case len(e.Burn) > 0:
		pairs := make([]string, 0, len(e.Burn))
		for _, b := range e.Burn {
			limit := e.Op + " " + number(b.Factor*e.Threshold)
			long, short := e.ratio(b.Long), e.ratio(b.Short)
			pairs = append(pairs, fmt.Sprintf("(\n  (%s) %s\n  and (%s) %s%s\n)", long, limit, short, limit, e.enough(b.Short)))
		}
		return strings.Join(pairs, "\nor\n"), nil
	case e.Over != "":
		text = e.ratio(e.Window)
	case e.m.kind == counter:
		text = e.counted(e.m, e.Stat, e.Window)
	case e.m.kind == gauge:
		text = e.sampled()
	default:
		text = e.distributed()
	}
	text = fmt.Sprintf("(%s) %s %s%s", text, e.Op, number(e.Threshold/e.scale()), e.enough(e.Window))
	if e.Settle > 0 {
		text += fmt.Sprintf("\nand on (job) (time() - max by (job) (process_start_time_seconds) > %s)", number(e.Settle.Seconds()))
	}
	if e.Missing == alarm.MissingIsBad {
		text = fmt.Sprintf("(%s)\nor absent_over_time(%s[%s])", text, e.selector(e.m, ""), window(e.Window))
	}
	return text, nil
}

// scale is what a threshold is divided by: ratios have both sides in the same unit but
// where only one is a price.
func (e expression) scale() float64 {
	scale := max(e.m.scale, 1)
	if e.Over != "" {
		scale /= max(e.over.scale, 1)
	}
	return scale
}

func (e expression) selector(m metric, suffix string) string {
	s := e.namespace + "_" + m.name + suffix
	if m.match != "" {
		s += "{" + m.match + "}"
	}
	return s
}

// by is the clause of labels that stay: the job, or for gauges the instance, and what the
// definition is judged by.
func (e expression) by(more ...string) string {
	labels := []string{"job"}
	if e.m.kind == gauge {
		labels = append(labels, "instance")
	}
	if e.By != "" {
		labels = append(labels, e.m.labels[e.By])
	}
	return "by (" + strings.Join(append(labels, more...), ", ") + ")"
}

// counted is what a counter rose in a window, or its rate.
func (e expression) counted(m metric, stat string, w time.Duration) string {
	function := "increase"
	if stat == "rate" {
		function = "rate"
	}
	return fmt.Sprintf("sum %s (%s(%s[%s]))", e.by(), function, e.selector(m, ""), window(w))
}

// ratio divides two sums. A numerator without series is zero: nothing of it has happened
// yet. A divisor of zero gives nothing.
func (e expression) ratio(w time.Duration) string {
	over := e.counted(e.over, "sum", w)
	return fmt.Sprintf("(%s or 0 * %s) / (%s > 0)", e.counted(e.m, "sum", w), over, over)
}

// sampled is a statistic of a gauge: of what its series are together at each moment.
func (e expression) sampled() string {
	now := fmt.Sprintf("%s %s (%s)", e.m.sum, e.by(), e.selector(e.m, ""))
	if e.Stat == "last" {
		return now
	}
	function := map[string]string{"min": "min", "max": "max", "mean": "avg"}[e.Stat]
	return fmt.Sprintf("%s_over_time((%s)[%s:15s])", function, now, window(e.Window))
}

// distributed is a statistic of a histogram, from its classic buckets.
func (e expression) distributed() string {
	part := func(function, suffix string, more ...string) string {
		return fmt.Sprintf("sum %s (%s(%s[%s]))", e.by(more...), function, e.selector(e.m, suffix), window(e.Window))
	}
	switch e.Stat {
	case "count":
		return part("increase", "_count")
	case "sum":
		return part("increase", "_sum")
	case "rate":
		return part("rate", "_count")
	case "mean":
		return fmt.Sprintf("%s / %s", part("rate", "_sum"), part("rate", "_count"))
	}
	quantile, _ := strconv.ParseFloat(strings.TrimPrefix(e.Stat, "p"), 64) // statsOf has checked it
	return fmt.Sprintf("histogram_quantile(%s, %s)", number(quantile/100), part("rate", "_bucket", "le"))
}

// enough is the condition that a window has MinCount measurements. A gauge has none: how
// many samples there are is the scraper's choice.
func (e expression) enough(w time.Duration) string {
	if e.MinCount == 0 || e.m.kind == gauge {
		return ""
	}
	m := e.m
	if e.Over != "" {
		m = e.over
	}
	suffix := ""
	if m.kind == histogram {
		suffix = "_count"
	}
	return fmt.Sprintf("\n  and sum %s (increase(%s[%s])) >= %d", e.by(), e.selector(m, suffix), window(w), e.MinCount)
}

func window(w time.Duration) string { return duration(max(w, shortestWindow)) }

// number writes a number with at most ten digits: 0.144, not 0.14400000000000002.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 10, 64) }
