package monitor

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forebay-ai/forebay/llm"
)

// CustomKind is what a custom metric is. The set is closed.
type CustomKind string

// The kinds.
const (
	CustomCounter   CustomKind = "counter"   // amounts that add up
	CustomGauge     CustomKind = "gauge"     // a state; the last value counts
	CustomHistogram CustomKind = "histogram" // values whose distribution counts
)

// CustomMetric declares a metric of the embedder's own: a business figure. In the
// exposition its name is forebay_custom_<name>, then _<unit> where there is one, then
// _total for a counter.
type CustomMetric struct {
	// Name is of lower-case letters, digits and underscores, a letter first; at most 64
	// bytes, and unique.
	Name string
	// Unit is a base unit: s, bytes, USD, ratio, or a word of the business such as
	// documents. Empty means plain numbers. Values are given in it.
	Unit string
	// Doc says in a sentence what is measured.
	Doc  string
	Kind CustomKind
	// Labels are at most 4, and have at most 1,000 combinations of values.
	Labels []CustomLabel
	// CloudWatch is its name in CloudWatch. Empty means Name in CamelCase.
	CloudWatch string
}

// CustomLabel is a label with the closed set of its values. Another value is counted
// as "other", an absent one as "none".
type CustomLabel struct {
	Name   string
	Values []string
}

// UserMetrics lists the specification's user metrics, which only an application can
// measure: time of study in seconds, documents and queries, each a counter.
func UserMetrics() []CustomMetric {
	return []CustomMetric{
		{Name: "study_time", Unit: "s", Doc: "Time that users studied.", Kind: CustomCounter, CloudWatch: "StudyTime"},
		{Name: "documents", Doc: "Documents that users added.", Kind: CustomCounter, CloudWatch: "DocumentCount"},
		{Name: "queries", Doc: "Queries that users made.", Kind: CustomCounter, CloudWatch: "QueryCount"},
	}
}

// Bounds of custom metrics.
const (
	maxCustom       = 64
	maxCustomName   = 64
	maxCustomLabels = 4
	maxCustomSeries = 1000
	// maxCustomValue keeps sums of float64 exact to the unit and far from infinity: the
	// largest power of ten below 2^53.
	maxCustomValue = 1e15
)

// custom is one declared metric, ready to take values.
type custom struct {
	declared CustomMetric
	labels   []closedSet // by declared.Labels
	series   seriesCache[uint32, customSeries]

	collector prometheus.Collector
	// make gives what takes the values of one series.
	make func(labels []string) func(float64)
}

// customSeries is one combination of labels of a custom metric.
type customSeries struct {
	labels []string
	add    func(float64)
}

func newCustom(d declare, c CustomMetric) *custom {
	names := make([]string, 0, len(c.Labels))
	k := &custom{declared: c}
	for _, l := range c.Labels {
		names = append(names, l.Name)
		k.labels = append(k.labels, newClosedSet(labelNone, l.Values))
	}
	d = d.as(c.unit(), c.cloudWatch())
	switch name := c.exposed(); c.Kind {
	case CustomCounter:
		vec := d.counters(name, c.Doc, names...)
		k.collector, k.make = vec, func(l []string) func(float64) { return vec.WithLabelValues(l...).Add }
	case CustomGauge:
		vec := d.gauges(name, c.Doc, names...)
		k.collector, k.make = vec, func(l []string) func(float64) { return vec.WithLabelValues(l...).Set }
	default:
		vec := d.histograms(name, c.Doc, c.buckets(), names...)
		k.collector, k.make = vec, func(l []string) func(float64) { return vec.WithLabelValues(l...).Observe }
	}
	k.series.make = func(n uint32) customSeries {
		labels := k.valuesOf(n)
		return customSeries{labels: labels, add: k.make(labels)}
	}
	if len(c.Labels) == 0 {
		k.series.get(0) // there, at zero, from the first scrape on
	}
	return k
}

// buckets are classic ones: those of stages for seconds, else 1, 2.5, 5 in each decade.
func (c *CustomMetric) buckets() []float64 {
	if c.unit() == "seconds" {
		return stageBuckets
	}
	var bounds []float64
	for e := -2; e <= 6; e++ {
		for _, m := range []float64{1, 2.5, 5} {
			bounds = append(bounds, m*math.Pow10(e))
		}
	}
	return bounds
}

// unit is the unit as a part of the metric's name.
func (c *CustomMetric) unit() string {
	switch c.Unit {
	case "s":
		return "seconds"
	case "By", "B":
		return "bytes"
	}
	return strings.ToLower(c.Unit)
}

// exposed is the metric's name without the namespace.
func (c *CustomMetric) exposed() string {
	name := "custom_" + c.Name
	if u := c.unit(); u != "" && !strings.HasSuffix(name, "_"+u) {
		name += "_" + u
	}
	if c.Kind == CustomCounter {
		name += "_total"
	}
	return name
}

func (c *CustomMetric) cloudWatch() string {
	if c.CloudWatch != "" {
		return c.CloudWatch
	}
	var b strings.Builder
	for _, word := range strings.Split(c.Name, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

// valuesOf is the inverse of numberOf.
func (k *custom) valuesOf(n uint32) []string {
	values := make([]string, len(k.labels))
	for i := range k.labels {
		size := uint32(len(k.labels[i].names))
		values[i] = k.labels[i].name(n % size)
		n /= size
	}
	return values
}

// numberOf numbers the combination of these label values: the digits of a number whose
// digits' sizes are those of the sets.
func (k *custom) numberOf(labels map[string]string) uint32 {
	var n, weight uint32 = 0, 1
	for i, l := range k.declared.Labels {
		n += weight * k.labels[i].number(labels[l.Name])
		weight *= uint32(len(k.labels[i].names))
	}
	return n
}

// Measure records a value of a custom metric: it is added to a counter, is the new value
// of a gauge, or is counted by a histogram. A label that is left out is "none", and a
// value outside the label's set "other". The error is an *llm.Error of the kind
// caller_invalid_request for a metric or a label that was not declared, and for a value
// that is not finite, is negative where the metric is no gauge, or is beyond 1e15.
// Nothing is recorded then. It does not allocate for a combination that was seen before.
func (m *Monitor) Measure(name string, value float64, labels map[string]string) error {
	k, known := m.custom[name]
	if !known {
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "name", Message: fmt.Sprintf("there is no custom metric %.64q", name),
			Fix: "Declare it in the configuration, or use one of those declared: " + m.customNames() + ".",
		}
	}
	if math.IsNaN(value) || math.Abs(value) > maxCustomValue || (value < 0 && k.declared.Kind != CustomGauge) {
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "value", Message: fmt.Sprintf("%v is not a value of the %s %s", value, k.declared.Kind, name),
			Limit: "largest value", Value: "1e15", Fix: "Give a finite number; only a gauge may be negative.",
		}
	}
	for l := range labels {
		if !slices.ContainsFunc(k.declared.Labels, func(d CustomLabel) bool { return d.Name == l }) {
			return &llm.Error{
				Kind: llm.CallerInvalidRequest, Param: "labels", Message: fmt.Sprintf("the metric %s has no label %.64q", name, l),
				Fix: "Give labels that were declared with it.",
			}
		}
	}
	s := k.series.get(k.numberOf(labels))
	s.add(value)
	for _, sink := range m.attached() {
		if _, wants := sink.(CustomSink); wants {
			m.tell(sink, func(sink Sink) { sink.(CustomSink).Measured(&k.declared, value, s.labels) })
		}
	}
	return nil
}

func (m *Monitor) customNames() string {
	names := make([]string, 0, len(m.custom))
	for name := range m.custom {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
