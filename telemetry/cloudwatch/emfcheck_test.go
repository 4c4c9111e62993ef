package cloudwatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// emfMetric is one metric of a line, as CloudWatch would take it out of it.
type emfMetric struct {
	at         time.Time
	namespace  string
	name, unit string
	dimensions map[string]string
	values     []float64
	resolution int
}

func (m emfMetric) sum() (sum float64) {
	for _, v := range m.values {
		sum += v
	}
	return sum
}

// checkEMF holds one line against the specification of the embedded metric format: what
// CloudWatch would count as EMFParsingErrors or EMFValidationErrors is an error here, and
// what it would silently leave out too.
func checkEMF(line []byte) ([]emfMetric, error) {
	if !bytes.HasSuffix(line, []byte("\n")) || bytes.Count(line, []byte("\n")) != 1 {
		return nil, fmt.Errorf("it is not one line")
	}
	if len(line) > 256<<10 {
		return nil, fmt.Errorf("%d bytes", len(line))
	}
	var root map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	if err := d.Decode(&root); err != nil {
		return nil, err
	}
	meta, ok := root["_aws"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no _aws")
	}
	at, ok := meta["Timestamp"].(float64)
	if !ok || at != math.Trunc(at) || len(meta) != 2 {
		return nil, fmt.Errorf("_aws: %v", meta)
	}
	directives, ok := meta["CloudWatchMetrics"].([]any)
	if !ok || len(directives) == 0 {
		return nil, fmt.Errorf("CloudWatchMetrics: %v", meta["CloudWatchMetrics"])
	}
	var all []emfMetric
	used := map[string]bool{"_aws": true}
	for _, one := range directives {
		some, err := checkDirective(root, one, used)
		if err != nil {
			return nil, err
		}
		for i := range some {
			some[i].at = time.UnixMilli(int64(at))
		}
		all = append(all, some...)
	}
	for key := range root {
		if !used[key] {
			return nil, fmt.Errorf("%s is neither metric nor dimension", key)
		}
	}
	return all, nil
}

// checkDirective is one straight line on purpose: it is the specification's list of members.
func checkDirective(root map[string]any, one any, used map[string]bool) ([]emfMetric, error) {
	directive, ok := one.(map[string]any)
	if !ok || len(directive) != 3 {
		return nil, fmt.Errorf("directive: %v", one)
	}
	namespace, _ := directive["Namespace"].(string)
	if namespace == "" || len(namespace) > 1024 || strings.HasPrefix(namespace, "AWS/") {
		return nil, fmt.Errorf("namespace %q", namespace)
	}
	sets, _ := directive["Dimensions"].([]any)
	if len(sets) != 1 {
		return nil, fmt.Errorf("%d sets of dimensions: each multiplies the metrics", len(sets))
	}
	keys, ok := sets[0].([]any)
	if !ok || len(keys) > 30 {
		return nil, fmt.Errorf("dimensions: %v", sets[0])
	}
	dimensions := map[string]string{}
	for _, k := range keys {
		key, _ := k.(string)
		value, ok := root[key].(string) // on the root, and a string
		if key == "" || len(key) > 250 || !ok || value == "" || len(value) > 1024 || strings.Trim(value, " ") == "" {
			return nil, fmt.Errorf("dimension %q: %v", key, root[key])
		}
		if _, twice := dimensions[key]; twice {
			return nil, fmt.Errorf("dimension %q twice", key)
		}
		dimensions[key], used[key] = value, true
	}
	metrics, _ := directive["Metrics"].([]any)
	if len(metrics) == 0 || len(metrics) > 100 {
		return nil, fmt.Errorf("%d metrics", len(metrics))
	}
	var all []emfMetric
	for _, entry := range metrics {
		m, err := checkMetric(root, entry, used)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(other emfMetric) bool { return other.name == m.name }) {
			return nil, fmt.Errorf("metric %s twice", m.name)
		}
		m.namespace, m.dimensions = namespace, dimensions
		all = append(all, m)
	}
	return all, nil
}

func checkMetric(root map[string]any, entry any, used map[string]bool) (m emfMetric, err error) {
	of, _ := entry.(map[string]any)
	m.name, _ = of["Name"].(string)
	m.unit, _ = of["Unit"].(string)
	resolution, _ := of["StorageResolution"].(float64)
	m.resolution = int(resolution)
	units := []string{"Seconds", "Milliseconds", "Bytes", "Percent", "Count", "None"}
	if m.name == "" || len(m.name) > 1024 || !slices.Contains(units, m.unit) || len(of) != 3 || resolution != 1 && resolution != 60 {
		return m, fmt.Errorf("metric: %v", entry)
	}
	used[m.name] = true
	switch target := root[m.name].(type) {
	case float64:
		m.values = []float64{target}
	case []any:
		for _, v := range target {
			number, ok := v.(float64)
			if !ok {
				return m, fmt.Errorf("%s: %v", m.name, v)
			}
			m.values = append(m.values, number)
		}
	default:
		return m, fmt.Errorf("%s has no target on the root: %v", m.name, target)
	}
	if len(m.values) == 0 || len(m.values) > 100 {
		return m, fmt.Errorf("%s: %d values", m.name, len(m.values))
	}
	for _, v := range m.values {
		if math.Abs(v) > 1e108 || v != 0 && math.Abs(v) < 1e-108 {
			return m, fmt.Errorf("%s: %v is beyond what CloudWatch takes", m.name, v)
		}
	}
	return m, nil
}

// TestValidator: the validator itself refuses what the specification refuses.
func TestValidator(t *testing.T) {
	good := `{"_aws":{"Timestamp":1700000000000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["D"]],"Metrics":[{"Name":"M","Unit":"Count","StorageResolution":60}]}]},"D":"d","M":[1,2]}`
	if _, err := checkEMF([]byte(good + "\n")); err != nil {
		t.Fatalf("refused: %v", err)
	}
	for _, change := range [][2]string{
		{`"D":"d"`, `"D":7`},
		{`"D":"d",`, ``},
		{`[1,2]`, `{"x":1}`},
		{`[1,2]`, `[` + strings.Repeat("1,", 100) + `1]`},
		{`[["D"]]`, `[["D"],[]]`},
		{`"Count"`, `"Requests"`},
		{`:60`, `:30`},
		{`"N"`, `"AWS/N"`},
		{`1700000000000`, `"now"`},
		{`"M":[1,2]`, `"M":[1,2],"X":1`},
		{`"d"`, `" "`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if _, err := checkEMF([]byte(bad + "\n")); err == nil {
			t.Errorf("taken: %s", bad)
		}
	}
}
