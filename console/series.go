package console

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/observe"
	"github.com/forebay-ai/forebay/series"
)

const (
	// maxQueries and maxLines bound what one answer takes to make.
	maxQueries = 16
	maxLines   = 64
	maxSteps   = 200
)

// question is one statistic that is asked for.
type question struct {
	text   string
	stat   series.Stat
	metric string
	over   string // of a ratio
	unit   string
}

// stats lists the statistics of a kind.
func stats(k series.Kind) []series.Stat {
	switch k {
	case series.Counter:
		return []series.Stat{series.Sum, series.Rate}
	case series.Gauge:
		return []series.Stat{series.Last, series.Min, series.Max, series.Mean}
	}
	return []series.Stat{series.Count, series.Rate, series.Mean, series.Min, series.Max, series.P50, series.P90, series.P95, series.P99}
}

var kindNames = [...]string{"counter", "gauge", "distribution"}

// metrics serves GET /v1/series/metrics.
func (c *Console) metrics(v *gateway.Visit) error {
	if _, err := v.Query(nil); err != nil {
		return err
	}
	list := MetricList{Object: "list", Data: []MetricEntry{}}
	for _, m := range c.cfg.Observer.Series().Metrics() {
		e := MetricEntry{Name: m.Name, Kind: kindNames[m.Kind], Unit: m.Unit, Doc: m.Doc, Labels: append([]string{}, c.cfg.Observer.Labels(m.Name)...)}
		for _, st := range stats(m.Kind) {
			e.Stats = append(e.Stats, string(st))
		}
		list.Data = append(list.Data, e)
	}
	return v.JSON(http.StatusOK, list)
}

// series serves GET /v1/series.
func (c *Console) series(v *gateway.Visit) error {
	q, err := v.Query([]string{"window", "by", "to"}, "q")
	if err != nil {
		return err
	}
	span, err := window(q, time.Hour)
	if err != nil {
		return err
	}
	now := time.Now()
	to, err := number(q, "to", now.Unix(), 0, now.Unix()+60)
	if err != nil {
		return err
	}
	if n := len(q["q"]); n == 0 || n > maxQueries {
		return fault("q", fmt.Sprintf("is there %d times", n), fmt.Sprintf("Send 1 to %d of them, such as q=p95:duration.", maxQueries))
	}
	if err := c.label(q.Get("by")); err != nil {
		return err
	}
	if q.Get("by") == observe.ByBudget && !c.seesBudgets(v) {
		return &llm.Error{Kind: llm.CallerForbidden, Param: "by", Message: "budgets are told by name to the scope admin alone", Fix: "GET /v1/budgets has your own."}
	}
	step := stepOf(span)
	end := time.Unix(to, 0).Truncate(step).Add(step)
	w := series.Window{From: end.Add(-span).Truncate(step), To: end}
	answer := SeriesAnswer{From: w.From.Unix(), StepSeconds: int64(step / time.Second), Series: []SeriesLine{}}
	for _, text := range q["q"] {
		ask, err := c.question(text)
		if err != nil {
			return err
		}
		for _, of := range c.values(ask, q.Get("by")) {
			if len(answer.Series) < maxLines {
				answer.Series = append(answer.Series, c.line(ask, part{q.Get("by"), of}, w, step))
			}
		}
	}
	return v.JSON(http.StatusOK, answer)
}

// stepOf is the finest step of which a window has no more than a chart can show.
func stepOf(span time.Duration) time.Duration {
	for _, s := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour} {
		if span/s <= maxSteps {
			return s
		}
	}
	return 6 * time.Hour
}

// question reads what stands in q: stat:metric, or ratio:metric/metric.
func (c *Console) question(text string) (question, error) {
	stat, metric, _ := strings.Cut(text, ":")
	ask := question{text: text, stat: series.Stat(stat), metric: metric}
	if stat == "ratio" {
		ask.stat = series.Sum
		var two bool
		if ask.metric, ask.over, two = strings.Cut(metric, "/"); !two || ask.over == "" {
			return ask, fault("q", fmt.Sprintf("has %.64q, a ratio of one metric", text), "Send two counters, such as ratio:hits/lookups.")
		}
	}
	var names []string
	for _, m := range c.cfg.Observer.Series().Metrics() {
		names = append(names, m.Name)
		if m.Name == ask.over && m.Kind != series.Counter {
			return ask, fault("q", fmt.Sprintf("asks for a ratio to %s, which is a %s", m.Name, kindNames[m.Kind]), "Send two counters, such as ratio:hits/lookups.")
		}
		if m.Name == ask.over && m.Kind != series.Counter {
			return ask, fault("q", fmt.Sprintf("divides by %s, which is a %s", m.Name, kindNames[m.Kind]), "Divide by a counter.")
		}
		if m.Name == ask.metric {
			if !slices.Contains(stats(m.Kind), ask.stat) {
				return ask, fault("q", fmt.Sprintf("asks for %.32q of %s, which is a %s", stat, m.Name, kindNames[m.Kind]), fmt.Sprintf("Ask for one of %v.", stats(m.Kind)))
			}
			if ask.unit = m.Unit; ask.over != "" {
				ask.unit = "share"
			}
		}
	}
	for _, name := range []string{ask.metric, ask.over} {
		if name != "" && !slices.Contains(names, name) || ask.metric == "" {
			return ask, fault("q", fmt.Sprintf("names the unknown metric %.64q%s", name, near.DidYouMean(name, names)), "GET /v1/series/metrics lists them.")
		}
	}
	return ask, nil
}

// label refuses one that no metric has. Of one that only others have there is no line.
func (c *Console) label(by string) error {
	var known []string
	for _, m := range c.cfg.Observer.Series().Metrics() {
		for _, l := range c.cfg.Observer.Labels(m.Name) {
			if l == by {
				return nil
			}
			if !slices.Contains(known, l) {
				known = append(known, l)
			}
		}
	}
	if by == "" {
		return nil
	}
	return fault("by", fmt.Sprintf("has the value %.64q%s", by, near.DidYouMean(by, known)), "Send one of "+strings.Join(known, ", ")+".")
}

// values are the values of a label that a metric has; without a label, the whole.
func (c *Console) values(ask question, by string) []string {
	if by == "" {
		return []string{""}
	}
	return c.cfg.Observer.Series().Values(ask.metric, by)
}

func (c *Console) line(ask question, p part, w series.Window, step time.Duration) SeriesLine {
	if p.value == "" {
		p.label = ""
	}
	set := c.cfg.Observer.Series()
	l := SeriesLine{Query: ask.text, Metric: ask.metric, Stat: string(ask.stat), Unit: ask.unit, Of: p.value}
	points := set.Steps(p.key(ask.metric), ask.stat, w, step)
	var over []series.Point
	if ask.over != "" {
		l.Stat = "ratio"
		over = set.Steps(p.key(ask.over), series.Sum, w, step)
	}
	now := time.Now()
	l.Values = make([]*float64, len(points))
	for i, pt := range points {
		value := pt.Value
		switch {
		case !pt.OK:
			continue
		case ask.stat == series.Rate && w.From.Add(time.Duration(i+1)*step).After(now):
			continue // the step goes on, and would look like a drop
		case over != nil && over[i].Value == 0:
			continue
		case over != nil:
			value /= over[i].Value
		}
		l.Values[i] = new(rounded(value))
	}
	return l
}

// rounded keeps five digits: a chart shows three, and the rest is most of an answer's size.
func rounded(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-4)
	if unit >= 1 {
		return math.Round(v/unit) * unit
	}
	return math.Round(v/unit) / math.Round(1/unit) // so that its text is short too
}
