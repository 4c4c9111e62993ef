package alarm

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// reason says in words what was measured against what.
func (r *rule) reason(v reading) string {
	if len(r.Burn) > 0 {
		pair := r.Burn[v.pair]
		return fmt.Sprintf("the error budget of %s burns %s times as fast as it may over %s and over %s (limit %s)",
			r.Format(r.Threshold), number(v.shown), words(pair.Long), words(pair.Short), number(pair.Factor))
	}
	text := fmt.Sprintf("%s over %s is %s (limit %s %s)", r.Describe(), words(r.Window), r.Format(v.shown*r.perUSD), r.Op, r.Format(r.Threshold))
	if r.Stat == "last" {
		text = fmt.Sprintf("%s is %s (limit %s %s)", r.Describe(), r.Format(v.shown*r.perUSD), r.Op, r.Format(r.Threshold))
	}
	if v.count > 1 && r.MinCount > 0 {
		text += fmt.Sprintf(", %d measured", v.count)
	}
	return text
}

func (r *rule) reasonMissing(v reading) string {
	window := words(r.Window)
	if len(r.Burn) > 0 {
		window = words(r.Burn[v.pair].Short)
	}
	if v.count > 0 && v.count < r.MinCount {
		return fmt.Sprintf("only %d measured over %s, of %d that a judgement needs", v.count, window, r.MinCount)
	}
	return "nothing was measured over " + window
}

// Describe names the measure: "p95 of duration", "failures / requests".
func (m Measure) Describe() string {
	switch {
	case m.Over != "":
		return m.Metric + " / " + m.Over
	case m.Stat == "last":
		return m.Metric
	}
	return m.Stat + " of " + m.Metric
}

// Format writes a value of the metric for people, with the unit: a ratio as per cent.
func (d Definition) Format(value float64) string {
	switch {
	case d.Unit == "%":
		return number(value*100) + " %"
	case d.Unit == "":
		return number(value)
	}
	return number(value) + " " + d.Unit
}

// number writes three significant digits, and large numbers whole.
func number(v float64) string {
	if v >= 1000 || v <= -1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// words writes a duration without zeros at its end: 1h, not 1h0m0s; 3d from two days on.
func words(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
