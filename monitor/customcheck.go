package monitor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// checkCustom refuses declarations that would not do, each fault by itself.
func checkCustom(all []CustomMetric, namespace string) []error {
	var faults []error
	if len(all) > maxCustom {
		faults = append(faults, fmt.Errorf("custom: %d metrics: at most %d", len(all), maxCustom))
	}
	names := map[string]bool{}
	for i := range all {
		c := &all[i]
		for _, fault := range c.check(namespace) {
			faults = append(faults, fmt.Errorf("custom %q: %s", c.Name, fault))
		}
		// The name in the exposition has to be unique as well: a in s is a_seconds.
		for _, name := range slices.Compact([]string{c.Name, c.exposed()}) {
			if names[name] {
				faults = append(faults, fmt.Errorf("custom %q: %s is declared twice", c.Name, name))
			}
			names[name] = true
		}
	}
	return faults
}

// check lists what is wrong with one declaration.
func (c *CustomMetric) check(namespace string) []string {
	var faults []string
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !isName(c.Name) || len(c.Name) > maxCustomName {
		add("a name has lower-case letters, digits and underscores, a letter first, and at most %d bytes", maxCustomName)
	}
	if u := c.unit(); u != "" && (!isName(u) || len(u) > maxCustomName) {
		add("unit %q: a unit is a word of lower-case letters", c.Unit)
	}
	switch c.Kind {
	case CustomCounter, CustomGauge, CustomHistogram:
	default:
		add("kind %q: counter, gauge or histogram", c.Kind)
	}
	if strings.TrimSpace(c.Doc) == "" {
		add("doc: say what is measured")
	}
	if len(c.Labels) > maxCustomLabels {
		add("%d labels: at most %d", len(c.Labels), maxCustomLabels)
	}
	faults = append(faults, c.checkLabels()...)
	if len(faults) == 0 {
		faults = c.lint(namespace)
	}
	return faults
}

func (c *CustomMetric) checkLabels() []string {
	var faults []string
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	combinations := 1
	seen := map[string]bool{}
	for _, l := range c.Labels {
		if !isName(l.Name) || strings.HasPrefix(l.Name, "__") || l.Name == "le" || l.Name == "quantile" {
			add("label %q: lower-case letters, digits and underscores, a letter first, and neither le nor quantile", l.Name)
		}
		if seen[l.Name] {
			add("label %q twice", l.Name)
		}
		seen[l.Name] = true
		for _, fault := range checkValues("label "+l.Name, l.Values) {
			add("%v", fault)
		}
		// Two more: other and none. Bounded at each step, so that nothing overflows.
		combinations = min(combinations*(len(l.Values)+2), maxCustomSeries+1)
	}
	if combinations > maxCustomSeries {
		add("more than %d combinations of label values, other and none included", maxCustomSeries)
	}
	return faults
}

// lint asks Prometheus's own linter, so that what is declared here passes
// promtool check metrics.
func (c *CustomMetric) lint(namespace string) []string {
	name, doc := namespace+"_"+c.exposed(), c.Doc
	kind := map[CustomKind]dto.MetricType{
		CustomCounter: dto.MetricType_COUNTER, CustomGauge: dto.MetricType_GAUGE, CustomHistogram: dto.MetricType_HISTOGRAM,
	}[c.Kind]
	one := &dto.Metric{}
	for i := range c.Labels {
		one.Label = append(one.Label, &dto.LabelPair{Name: &c.Labels[i].Name, Value: new(string)})
	}
	problems, err := promlint.NewWithMetricFamilies([]*dto.MetricFamily{{Name: &name, Help: &doc, Type: &kind, Metric: []*dto.Metric{one}}}).Lint()
	if err != nil {
		return []string{err.Error()}
	}
	faults := make([]string, 0, len(problems))
	for _, p := range problems {
		faults = append(faults, fmt.Sprintf("as %s: %s", p.Metric, p.Text))
	}
	return faults
}

// isName says that s is of lower-case letters, digits and underscores, a letter first.
func isName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	return s != "" && strings.Trim(s[:1], letters) == "" && strings.Trim(s, letters+"0123456789_") == ""
}
