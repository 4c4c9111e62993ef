package alarm_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/alarm"
)

func TestValidateReportsAll(t *testing.T) {
	bad := alarm.Definition{
		Name: "Bad Name", Severity: "awful", Op: "=", Threshold: math.NaN(), Every: time.Millisecond, M: 5, N: 3,
		MinCount: -1, Missing: "perhaps", Do: "one\ntwo", Settle: -1,
		Measure: alarm.Measure{Metric: "a-b", Stat: "p42", By: "x y", Window: time.Millisecond},
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, key := range []string{"name", "severity", "op", "threshold", "every", "m", "min_count", "missing", "do", "settle", "metric", "stat", "by", "window", "message"} {
		if !strings.Contains(err.Error(), "alarms.definitions.Bad Name."+key+":") {
			t.Errorf("the fault of %s is not reported", key)
		}
	}
	if _, err := alarm.New(alarm.Config{Definitions: []alarm.Definition{bad}, Group: -1}); err == nil || !strings.Contains(err.Error(), "alarms.group") {
		t.Errorf("New: %v", err)
	}
}

func TestValidate(t *testing.T) {
	ok := gauge("level-high", alarm.Warning, 10)
	burn := alarm.BurnRate("burn", alarm.Critical, 0.01, alarm.Burn{Long: time.Hour, Short: time.Minute, Factor: 6})
	burn.Message = "It burns."
	with := func(d alarm.Definition, change func(*alarm.Definition)) alarm.Definition {
		d.Burn = slices.Clone(d.Burn)
		change(&d)
		return d
	}
	for _, tt := range []struct {
		name string
		d    alarm.Definition
		key  string // of the only fault; empty: none
	}{
		{"plain", ok, ""},
		{"burn", burn, ""},
		{"clear above the threshold", with(ok, func(d *alarm.Definition) { d.Clear = 11 }), "clear"},
		{"clear below with <", with(ok, func(d *alarm.Definition) { d.Op, d.Clear = "<", 9 }), "clear"},
		{"clear infinite", with(ok, func(d *alarm.Definition) { d.Clear = math.Inf(1) }), "clear"},
		{"name too long", with(ok, func(d *alarm.Definition) { d.Name = strings.Repeat("a", 65) }), "name"},
		{"name with a dash at its end", with(ok, func(d *alarm.Definition) { d.Name = "a-" }), "name"},
		{"window too long", with(ok, func(d *alarm.Definition) { d.Window = 31 * 24 * time.Hour }), "window"},
		{"percentile of a ratio", with(ok, func(d *alarm.Definition) { d.Over, d.Stat = "requests", "p95" }), "stat"},
		{"ratio of several", with(ok, func(d *alarm.Definition) { d.Over, d.Stat = "hits+misses", "" }), "over"},
		{"external without namespace", with(ok, func(d *alarm.Definition) { d.External = true }), "metric"},
		{"budget of all", with(burn, func(d *alarm.Definition) { d.Threshold = 1 }), "threshold"},
		{"burn below", with(burn, func(d *alarm.Definition) { d.Op = "<" }), "op"},
		{"short is long", with(burn, func(d *alarm.Definition) { d.Burn[0].Short = time.Hour }), "burn"},
		{"no factor", with(burn, func(d *alarm.Definition) { d.Burn[0].Factor = 0 }), "burn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.d.Validate()
			switch {
			case tt.key == "" && err != nil:
				t.Error(err)
			case tt.key != "" && (err == nil || !strings.Contains(err.Error(), "."+tt.key+": ") || strings.Contains(err.Error(), "\n")):
				t.Errorf("got %v, want one fault of %s", err, tt.key)
			}
		})
	}
}

func TestTwice(t *testing.T) {
	d := gauge("level-high", alarm.Warning, 10)
	if _, err := alarm.New(alarm.Config{Definitions: []alarm.Definition{d, d}}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("got %v", err)
	}
}

func TestSubject(t *testing.T) {
	for name, want := range map[string]string{
		"response-time-warning": "response-time", "response-time-critical": "response-time", "breaker-open": "breaker-open",
	} {
		if got := (alarm.Definition{Name: name}).Subject(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestMerge(t *testing.T) {
	base := alarm.Profile(alarm.Analysis)
	first := base[0]
	over := []alarm.Override{
		{Name: first.Name, Threshold: new(20.0), MinCount: new(int64(5))},
		{Name: "dead-letters", Off: new(true)},
		{Name: "budget-burn-critical", Window: new(time.Hour)},
		{
			Name: "study-time-low", Metric: new("custom_study_time"), Stat: new("sum"), Window: new(time.Hour),
			Op: new("<"), Threshold: new(60.0), Message: new("Nobody studies."),
		},
	}
	got, err := alarm.Merge(base, over)
	if err != nil {
		t.Fatal(err)
	}
	want := first
	want.Threshold, want.Clear, want.MinCount = 20, 18, 5
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Errorf("changed (-want +got):\n%s", d)
	}
	added := got[len(got)-1]
	if len(got) != len(base)+1 || added.Name != "study-time-low" || added.Severity != alarm.Warning || added.Missing != "" {
		t.Errorf("new: %+v", added)
	}
	for _, d := range got {
		if d.Name == "dead-letters" && !d.Off || d.Name == "budget-burn-critical" && d.Burn != nil {
			t.Errorf("%+v", d)
		}
	}
	if d := cmp.Diff(alarm.Profile(alarm.Analysis), base); d != "" {
		t.Errorf("the base was changed:\n%s", d)
	}
}

func TestMergeFaults(t *testing.T) {
	_, err := alarm.Merge(alarm.Profile(alarm.Standard), []alarm.Override{
		{Name: "job-oldest", Op: new("over")},
		{Name: "job-oldest", M: new(2)},
		{Name: "not-there-yet"},
	})
	for _, part := range []string{"alarms.definitions.job-oldest.op: over", "job-oldest: is there twice", "alarms.definitions.not-there-yet.metric", "not-there-yet.window"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
}

func TestWithBudget(t *testing.T) {
	for _, d := range alarm.WithBudget(alarm.Profile(alarm.Standard), 0.001) {
		if len(d.Burn) > 0 != (d.Threshold == 0.001) {
			t.Errorf("%s: threshold %v", d.Name, d.Threshold)
		}
	}
}

func TestCurrency(t *testing.T) {
	d := gauge("user-cost", alarm.Warning, 15)
	d.Unit = "INR"
	for _, tt := range []struct {
		perUSD map[string]float64
		usd    float64
		fires  bool
		reason string
	}{
		{nil, 0.180, false, "level is 14.9 INR (limit > 15 INR)"},
		{nil, 0.182, true, "level is 15.1 INR (limit > 15 INR)"},
		{map[string]float64{"INR": 90}, 0.17, true, "level is 15.3 INR (limit > 15 INR)"},
	} {
		b := newBench(t, alarm.Config{Definitions: []alarm.Definition{d}, PerUSD: tt.perUSD})
		b.board.set("level", "", tt.usd)
		b.tick()
		s := b.e.Statuses()["user-cost"][0]
		if (s.State == alarm.Firing) != tt.fires || s.Reason != tt.reason {
			t.Errorf("%v USD: %s, %s", tt.usd, s.State, s.Reason)
		}
	}
	d.Clear = 12
	got, err := alarm.InDollars([]alarm.Definition{d}, map[string]float64{"INR": 100})
	if err != nil || got[0].Threshold != 0.15 || got[0].Clear != 0.12 || got[0].Unit != "USD" || d.Unit != "INR" {
		t.Errorf("in dollars: %+v, %v", got, err)
	}
	d.Unit = "EUR"
	if _, err := alarm.New(alarm.Config{Definitions: []alarm.Definition{d}}); err == nil || !strings.Contains(err.Error(), "no rate for EUR") {
		t.Errorf("without a rate: %v", err)
	}
	if _, err := alarm.InDollars(nil, map[string]float64{"INR": -1}); err == nil {
		t.Error("a negative rate is taken")
	}
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		unit  string
		value float64
		want  string
	}{
		{"%", 0.0523, "5.23 %"},
		{"s", 25, "25 s"},
		{"", 1234567, "1234567"},
		{"INR", 15.04, "15 INR"},
	} {
		if got := (alarm.Definition{Unit: tt.unit}).Format(tt.value); got != tt.want {
			t.Errorf("%v %s: %q, want %q", tt.value, tt.unit, got, tt.want)
		}
	}
}

// TestProfiles: what is shipped is valid, says what to do, and has no two alarms of one
// subject and severity.
func TestProfiles(t *testing.T) {
	for _, profile := range []string{alarm.Standard, alarm.Analysis, alarm.Interactive} {
		defs := alarm.Profile(profile)
		if _, err := alarm.New(alarm.Config{Definitions: defs}); err != nil {
			t.Error(err)
		}
		for _, d := range defs {
			if d.Message == "" || d.Do == "" || d.Runbook != "docs/alarms.md#"+d.Name || d.Unit == "" && d.Threshold > 1 {
				t.Errorf("%s: %s has message %q, do %q, runbook %q, unit %q", profile, d.Name, d.Message, d.Do, d.Runbook, d.Unit)
			}
		}
	}
	if alarm.Profile("nobody's") != nil {
		t.Error("an unknown profile has definitions")
	}
}
