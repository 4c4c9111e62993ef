package observability

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/monitor"
)

// Vocabulary is what a gateway without names of its own measures, with the specification's
// user metrics.
func Vocabulary() ([]monitor.MetricInfo, error) {
	m, err := monitor.New(monitor.Config{Custom: monitor.UserMetrics()})
	if err != nil {
		return nil, fmt.Errorf("observability: %w", err)
	}
	return m.Vocabulary(), nil
}

// Reference is the page of the docs that lists every metric, and where each metric, alarm
// and panel of the specification is found. The error names what it could not find.
func Reference() ([]byte, error) {
	metrics, err := Vocabulary()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(head)
	b.WriteString("| name | kind | unit | labels | what | specification, CloudWatch | OpenTelemetry |\n|---|---|---|---|---|---|---|\n")
	for _, m := range metrics {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n",
			m.Name, m.Kind, m.Unit, strings.Join(m.Labels, ", "), strings.TrimSuffix(m.Doc, "."), quoted(m.CloudWatch), quoted(m.OTel))
	}
	b.WriteString("\n| label | values |\n|---|---|\n")
	for _, l := range labels() {
		fmt.Fprintf(&b, "| %s | %s |\n", l.name, l.values)
	}
	b.WriteString(between)
	b.WriteString("| spec. | what | as it says | here |\n|---|---|---|---|\n")
	var faults []error
	for _, f := range found() {
		here, err := f.place(metrics)
		if err != nil {
			faults = append(faults, err)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.spec, f.what, f.theirs, here)
	}
	b.WriteString(tail)
	return b.Bytes(), errors.Join(faults...)
}

func quoted(names string) string {
	if names == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(names, ", ", "`, `") + "`"
}

// finding says where something of the specification is here. What it names is looked up,
// so that the page cannot name what is gone.
type finding struct {
	spec, what, theirs string
	metrics            []string // without the namespace
	profile            string   // of the alarms
	alarms             []string
	pages              []string
	more               string // in words
}

// place is the last column.
func (f finding) place(metrics []monitor.MetricInfo) (string, error) {
	var parts []string
	var faults []error
	for _, name := range f.metrics {
		name = "forebay_" + name
		if !slices.ContainsFunc(metrics, func(m monitor.MetricInfo) bool { return m.Name == name }) {
			faults = append(faults, fmt.Errorf("observability: there is no metric %s", name))
		}
		parts = append(parts, "`"+name+"`")
	}
	defs := alarm.Profile(f.profile)
	for _, name := range f.alarms {
		i := slices.IndexFunc(defs, func(d alarm.Definition) bool { return d.Name == name })
		if i < 0 {
			faults = append(faults, fmt.Errorf("observability: the profile %s has no alarm %s", f.profile, name))
			continue
		}
		parts = append(parts, fmt.Sprintf("alarm `%s` of profile `%s` (%s)", name, f.profile, condition(defs[i])))
	}
	for _, name := range f.pages {
		if !slices.ContainsFunc(pages(), func(p page) bool { return p.name == name }) {
			faults = append(faults, fmt.Errorf("observability: there is no page %s", name))
		}
		parts = append(parts, "page "+name)
	}
	if f.more != "" {
		parts = append(parts, f.more)
	}
	return strings.Join(parts, "; "), errors.Join(faults...)
}

// condition is an alarm's condition in words.
func condition(d alarm.Definition) string {
	of := d.Stat
	if d.Over != "" {
		of = "share"
	}
	if len(d.Burn) > 0 {
		return "error budget of " + percent(d.Threshold)
	}
	value := decimal(d.Threshold)
	switch d.Unit {
	case "%":
		value = percent(d.Threshold)
	case "INR":
		value = "₹" + value
	case "":
	default:
		value += " " + d.Unit
	}
	return of + " " + d.Op + " " + value
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// percent is a share from 0 to 1 in per cent.
func percent(share float64) string { return decimal(share*100) + " %" }
