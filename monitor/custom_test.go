package monitor_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/monitor"
)

func TestMeasure(t *testing.T) {
	m := make1(t, names)
	got := series(t, m)
	for _, name := range []string{"custom_study_time_seconds_total{}", "custom_open_tabs{}"} {
		if v, there := got[name]; !there || v != 0 {
			t.Errorf("%s is not there at zero from the start", name)
		}
	}
	for _, v := range []struct {
		name   string
		value  float64
		labels map[string]string
	}{
		{"study_time", 90, nil},
		{"study_time", 0.5, nil},
		{"open_tabs", 7, nil},
		{"open_tabs", -3, map[string]string{}},
		{"grade", 0.5, map[string]string{"course": "maths", "level": "2"}},
		{"grade", 0.25, map[string]string{"level": "2", "course": "maths"}},
		{"grade", 1, map[string]string{"course": "physics"}},
		{"grade", 1, map[string]string{"course": "biology", "level": "3"}},
		{"grade", 1, map[string]string{"course": ""}},
		{"documents", 1e15, nil},
	} {
		if err := m.Measure(v.name, v.value, v.labels); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
	expect(t, series(t, m), map[string]float64{
		"custom_study_time_seconds_total{}":                 90.5,
		"custom_open_tabs{}":                                -3,
		"custom_documents_total{}":                          1e15,
		"custom_grade_ratio_sum{course=maths,level=2}":      0.75,
		"custom_grade_ratio_count{course=maths,level=2}":    2,
		"custom_grade_ratio_sum{course=physics,level=none}": 1,
		"custom_grade_ratio_sum{course=other,level=3}":      1,
		"custom_grade_ratio_sum{course=none,level=none}":    1,
	})
}

// Every combination of labels has a series of its own.
func TestMeasureKeepsLabelsApart(t *testing.T) {
	m := make1(t, names)
	courses, levels := []string{"maths", "physics", "other", "none"}, []string{"1", "2", "3", "other", "none"}
	want := map[string]float64{}
	for i, course := range courses {
		for j, level := range levels {
			value := float64(1 + 10*i + j)
			if err := m.Measure("grade", value, map[string]string{"course": course, "level": level}); err != nil {
				t.Fatal(err)
			}
			want[fmt.Sprintf("custom_grade_ratio_sum{course=%s,level=%s}", course, level)] = value
		}
	}
	expect(t, series(t, m), want)
}

func TestMeasureRefuses(t *testing.T) {
	m := make1(t, names)
	before := series(t, m)
	for _, test := range []struct {
		name   string
		value  float64
		labels map[string]string
		fault  string
	}{
		{"made_up", 1, nil, "there is no custom metric"},
		{"", 1, nil, "documents, grade, open_tabs, queries, study_time"},
		{strings.Repeat("\xff", 9999), 1, nil, "there is no custom metric"},
		{"study_time", math.NaN(), nil, "not a value"},
		{"study_time", math.Inf(1), nil, "not a value"},
		{"open_tabs", math.Inf(-1), nil, "not a value"},
		{"open_tabs", -1.1e15, nil, "not a value"},
		{"study_time", 1.1e15, nil, "not a value"},
		{"study_time", -1, nil, "only a gauge may be negative"},
		{"grade", -1, nil, "only a gauge may be negative"},
		{"grade", 1, map[string]string{"user": "ada"}, `no label "user"`},
		{"study_time", 1, map[string]string{"course": "maths"}, `no label "course"`},
	} {
		err := m.Measure(test.name, test.value, test.labels)
		if llm.KindOf(err) != llm.CallerInvalidRequest || !strings.Contains(err.Error(), test.fault) || len(err.Error()) > 1000 {
			t.Errorf("%.20q %v: %v", test.name, test.value, err)
		}
		if err != nil && llm.AsError(err).Fix == "" {
			t.Errorf("%v says not what to do", err)
		}
	}
	if after := series(t, m); len(after) != len(before) {
		t.Errorf("%d series, %d before", len(after), len(before))
	}
	if err := make1(t, monitor.Config{}).Measure("x", 1, nil); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("without any: %v", err)
	}
}

func TestCustomFaults(t *testing.T) {
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	doc := "Something."
	for _, test := range []struct {
		metric monitor.CustomMetric
		fault  string
	}{
		{monitor.CustomMetric{Name: "Bad", Doc: doc, Kind: "gauge"}, "a name has lower-case letters"},
		{monitor.CustomMetric{Name: "", Doc: doc, Kind: "gauge"}, "a name has lower-case letters"},
		{monitor.CustomMetric{Name: strings.Repeat("a", 65), Doc: doc, Kind: "gauge"}, "at most 64 bytes"},
		{monitor.CustomMetric{Name: "a", Doc: doc, Kind: "summary"}, `kind "summary"`},
		{monitor.CustomMetric{Name: "a", Doc: " ", Kind: "gauge"}, "doc: say what is measured"},
		{monitor.CustomMetric{Name: "a", Doc: doc, Kind: "gauge", Unit: "per cent"}, `unit "per cent"`},
		{monitor.CustomMetric{Name: "a", Doc: doc, Kind: "gauge", Unit: "minutes"}, `use base unit "seconds"`},
		{monitor.CustomMetric{Name: "latency_ms", Doc: doc, Kind: "gauge"}, "abbreviated units"},
		{monitor.CustomMetric{Name: "a_total", Doc: doc, Kind: "gauge"}, `should not have "_total" suffix`},
		{monitor.CustomMetric{Name: "a_count", Doc: doc, Kind: "gauge"}, `should not have "_count" suffix`},
		{monitor.CustomMetric{Name: "a", Doc: doc, Kind: "gauge", Labels: []monitor.CustomLabel{{Name: "le"}}}, `label "le"`},
		{monitor.CustomMetric{Name: "a", Doc: doc, Kind: "gauge", Labels: []monitor.CustomLabel{{Name: "__x"}}}, `label "__x"`},
		{monitor.CustomMetric{Name: "a", Doc: doc, Kind: "gauge", Labels: []monitor.CustomLabel{{Name: "x"}, {Name: "x"}}}, `label "x" twice`},
		{monitor.CustomMetric{Name: "a", Doc: doc, Kind: "gauge", Labels: []monitor.CustomLabel{{Name: "x", Values: []string{"\xff"}}}}, "not valid UTF-8"},
		{monitor.CustomMetric{Name: "a", Doc: doc, Kind: "gauge", Labels: []monitor.CustomLabel{{Name: "x", Values: many}, {Name: "y", Values: many}}}, "more than 1000 combinations"},
		{monitor.CustomMetric{Name: "a", Doc: doc, Kind: "gauge", Labels: make([]monitor.CustomLabel, 5)}, "5 labels"},
	} {
		_, err := monitor.New(monitor.Config{Custom: []monitor.CustomMetric{test.metric}})
		if err == nil || !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%+v: %v, want %q", test.metric, err, test.fault)
		}
	}
	for _, twice := range [][]monitor.CustomMetric{
		{{Name: "a", Doc: doc, Kind: "gauge"}, {Name: "a", Doc: doc, Kind: "counter"}},
		{{Name: "a", Unit: "s", Doc: doc, Kind: "gauge"}, {Name: "a_seconds", Doc: doc, Kind: "gauge"}},
	} {
		if _, err := monitor.New(monitor.Config{Custom: twice}); err == nil || !strings.Contains(err.Error(), "is declared twice") {
			t.Errorf("%v: %v", twice, err)
		}
	}
	lots := make([]monitor.CustomMetric, 65)
	for i := range lots {
		lots[i] = monitor.CustomMetric{Name: fmt.Sprintf("a%d", i), Doc: doc, Kind: "gauge"}
	}
	if _, err := monitor.New(monitor.Config{Custom: lots}); err == nil || !strings.Contains(err.Error(), "65 metrics: at most 64") {
		t.Errorf("65 metrics: %v", err)
	}
	if _, err := monitor.New(monitor.Config{Objective: -1, Functions: []string{"\xff"}, Budgets: []string{"\xff"}}); err == nil ||
		!strings.Contains(err.Error(), "objective:") || !strings.Contains(err.Error(), "functions:") || !strings.Contains(err.Error(), "budgets:") {
		t.Errorf("%v", err)
	}
}

func ExampleMonitor_Measure() {
	m, err := monitor.New(monitor.Config{Custom: monitor.UserMetrics()})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Measure("study_time", 25*60, nil))
	fmt.Println(m.Measure("naps", 1, nil))
	// Output:
	// <nil>
	// caller_invalid_request: there is no custom metric "naps". Declare it in the configuration, or use one of those declared: documents, queries, study_time.
}

// Whatever is sent: a value is taken or refused, and there are never more series than
// the labels' sets allow.
func FuzzMeasure(f *testing.F) {
	f.Add("grade", 0.5, "course", "maths", "level", "2")
	f.Add("grade", -1.0, "", "\xff", "level", "x")
	f.Add("study_time", math.Inf(1), "a", "b", "c", "d")
	m := make1(f, names)
	f.Fuzz(func(t *testing.T, name string, value float64, label1, value1, label2, value2 string) {
		err := m.Measure(name, value, map[string]string{label1: value1, label2: value2})
		if err != nil && llm.KindOf(err) != llm.CallerInvalidRequest {
			t.Error(err)
		}
		families, err := m.Registry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if strings.Contains(family.GetName(), "_custom_") && len(family.GetMetric()) > 4*5 {
				t.Errorf("%s has %d series", family.GetName(), len(family.GetMetric()))
			}
		}
	})
}
