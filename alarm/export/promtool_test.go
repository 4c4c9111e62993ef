package export_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/alarm/export"
)

// scrape is the interval of the series that rules are tested with.
const scrape = 15 * time.Second

// promtool runs promtool on a file of rules and a file of tests.
func promtool(t *testing.T, rules []byte, tests string) error {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not on the PATH (Debian: apt-get install prometheus): the rules are not tested")
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"rules.yaml": rules, "tests.yaml": []byte("rule_files: [rules.yaml]\n" + tests)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "--lint-fatal", "rules.yaml"}, {"test", "rules", "tests.yaml"}} {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("promtool %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// ruleTest is one test of one rule: series, and whether it fires at a time.
type ruleTest struct {
	name   string
	alert  string // empty: any
	series []string
	every  time.Duration // between the series' samples
	at     time.Duration
	fires  bool
}

func (r ruleTest) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - name: %q\n    interval: %s\n", r.name, r.every)
	if len(r.series) > 0 {
		b.WriteString("    input_series:\n")
	}
	for _, s := range r.series {
		series, values, _ := strings.Cut(s, " ")
		fmt.Fprintf(&b, "      - {series: '%s', values: '%s'}\n", series, values)
	}
	filter := `alertstate="firing"`
	if r.alert != "" {
		filter += fmt.Sprintf(`,alertname="%s"`, r.alert)
	}
	value := map[bool]int{true: 1}[r.fires]
	fmt.Fprintf(&b, "    promql_expr_test:\n      - expr: 'count(ALERTS{%s}) or vector(0)'\n        eval_time: %s\n        exp_samples: [{labels: '{}', value: %d}]\n", filter, r.at, value)
	return b.String()
}

// labelsOf are labels that a series of the metric has, beside job and instance.
func labelsOf(metric string) string {
	switch metric {
	case "requests":
		return `operation="o",model="m",outcome="ok",error_type="none",cache="off",fallback="none"`
	case "failures":
		return `operation="o",model="m",outcome="error",error_type="provider_error",cache="off",fallback="none"`
	case "lookups":
		return `operation="o",model="m",outcome="ok",error_type="none",cache="miss",fallback="none"`
	case "hits":
		return `operation="o",model="m",outcome="ok",error_type="none",cache="hit",fallback="none"`
	case "waiting", "jobs_oldest":
		return `priority="normal"`
	case "breaker_open":
		return `target="a",state="open"`
	case "budget_spent":
		return `budget="monthly"`
	case "dropped":
		return `what="spans"`
	case "duration":
		return `operation="o",cache="miss"`
	}
	return ""
}

func series(metric, suffix, more, values string) string {
	labels := []string{`job="forebay"`, `instance="a"`}
	for _, l := range []string{labelsOf(metric), more} {
		if l != "" {
			labels = append(labels, l)
		}
	}
	return fmt.Sprintf("forebay_%s%s{%s} %s", export.Metrics()[metric], suffix, strings.Join(labels, ","), values)
}

// input makes the series in which d has a value, with so many measurements in a window.
func input(d alarm.Definition, value, count float64) []string {
	const samples = 80
	per := count / (max(d.Window, 2*time.Minute).Seconds() / scrape.Seconds())
	rising := func(by float64) string { return fmt.Sprintf("0+%gx%d", by, samples) }
	started := "process_start_time_seconds{job=\"forebay\",instance=\"a\"} -86400x80"
	switch {
	case d.Over != "":
		return []string{series(d.Metric, "", "", rising(per*value)), series(d.Over, "", "", rising(per*(1-value))), started}
	case d.Metric == "duration":
		return []string{
			series(d.Metric, "_bucket", fmt.Sprintf(`le="%g"`, value*0.999), rising(0)),
			series(d.Metric, "_bucket", fmt.Sprintf(`le="%g"`, value*1.001), rising(per)),
			series(d.Metric, "_bucket", `le="+Inf"`, rising(per)),
			series(d.Metric, "_count", "", rising(per)), series(d.Metric, "_sum", "", rising(per*value)),
		}
	case d.Metric == "dropped":
		return []string{series(d.Metric, "", "", rising(value))}
	}
	return []string{series(d.Metric, "", "", fmt.Sprintf("%gx%d", value, samples))}
}

// testsOf are the tests of one plain rule: beyond the threshold it fires, at it or near it
// it does not, nor with too few measurements.
func testsOf(d alarm.Definition) []ruleTest {
	// Not exactly at the threshold: what a counter rose in a window is extrapolated.
	over, under := d.Threshold*1.02, d.Threshold*0.98
	if d.Op == "<" {
		over, under = under, over
	}
	isGauge := d.Over == "" && d.Metric != "duration" && d.Metric != "dropped"
	if isGauge {
		under = d.Threshold
	}
	if d.Threshold == 0 {
		over = map[string]float64{">": 1, "<": -1}[d.Op]
	}
	many := float64(max(200, 2*d.MinCount))
	alert := export.AlertName("forebay", d.Name)
	test := func(what string, fires bool, series []string) ruleTest {
		return ruleTest{name: d.Name + ": " + what, alert: alert, series: series, every: scrape, at: 15 * time.Minute, fires: fires}
	}
	all := []ruleTest{test("beyond", true, input(d, over, many)), test("not beyond", false, input(d, under, many))}
	if d.MinCount > 0 {
		all = append(all, test("too few", false, input(d, over, 0.9*float64(d.MinCount))))
	}
	if d.Settle > 0 {
		young := input(d, over, many)
		young[len(young)-1] = strings.Replace(young[len(young)-1], "-86400x80", "0x80", 1)
		all = append(all, test("just started", false, young))
	}
	if d.Missing == alarm.MissingIsBad {
		all = append(all, test("nothing there", true, nil))
	}
	if d.Op == "<" && d.Over != "" { // the numerator was never counted: that is zero
		none := input(d, over, many)
		all = append(all, test("none at all", true, none[1:]))
	}
	return all
}

// burnTests are the tests of the burn-rate rules: phases of an error rate up to an evaluation.
func burnTests(d alarm.Definition) []ruleTest {
	phases := func(every time.Duration, list ...any) []string {
		var good, bad []string
		total, failed := 0.0, 0.0
		for i := 0; i < len(list); i += 2 {
			n := int(list[i].(time.Duration) / every)
			rate := list[i+1].(float64)
			good = append(good, fmt.Sprintf("%g+%gx%d", total, 1000*(1-rate), n-1))
			bad = append(bad, fmt.Sprintf("%g+%gx%d", failed, 1000*rate, n-1))
			total += 1000 * (1 - rate) * float64(n)
			failed += 1000 * rate * float64(n)
		}
		return []string{series("requests", "", "", strings.Join(good, " ")), series("failures", "", "", strings.Join(bad, " "))}
	}
	const fast, slow = "ForebayBudgetBurnCritical", "ForebayBudgetBurnWarning"
	const minute, hour = time.Minute, time.Hour
	test := func(name, alert string, fires bool, every, at time.Duration, list ...any) ruleTest {
		return ruleTest{name: "burn: " + name, alert: alert, series: phases(every, list...), every: every, at: at, fires: fires}
	}
	all := []ruleTest{
		test("outage for 20 min", fast, true, minute, 8*hour, 7*hour+40*minute, 0.001, 21*minute, 1.0),
		test("outage that is over", fast, false, minute, 8*hour, 7*hour+10*minute, 0.001, 10*minute, 1.0, 41*minute, 0.001),
		test("an hour of 10 % has the second pair fire", fast, true, minute, 8*hour, 3*hour, 0.001, 301*minute, 0.1),
		test("five minutes", fast, false, minute, 8*hour, 7*hour+55*minute, 0.001, 6*minute, 0.3),
		test("3 % for 30 h", slow, true, 10*minute, 80*hour, 50*hour, 0.001, 31*hour, 0.03),
		test("3 % for 30 h, and over", slow, false, 10*minute, 80*hour, 30*hour, 0.001, 40*hour, 0.03, 11*hour, 0.001),
		test("3 % for 6 h", slow, false, 10*minute, 80*hour, 73*hour, 0.001, 8*hour, 0.03),
		test("clean", slow, false, 10*minute, 80*hour, 81*hour, 0.005),
	}
	return slices.DeleteFunc(all, func(r ruleTest) bool { return r.alert != export.AlertName("forebay", d.Name) })
}

// TestRulesFire runs promtool's unit tests, which are made for each different rule of the
// profiles. Each has a file of its own: promtool evaluates all rules that it is given.
func TestRulesFire(t *testing.T) {
	seen := map[string]bool{}
	for _, profile := range []string{alarm.Standard, alarm.Analysis, alarm.Interactive} {
		definitions, err := alarm.InDollars(alarm.Profile(profile), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range definitions {
			rule, err := export.PrometheusRules([]alarm.Definition{d}, "forebay")
			if err != nil {
				t.Fatal(err)
			}
			if d.External || seen[string(rule)] {
				continue
			}
			seen[string(rule)] = true
			evaluated, tests := time.Minute, testsOf
			if len(d.Burn) > 0 {
				evaluated, tests = burnEvaluated(d), burnTests
			}
			t.Run(profile+"/"+d.Name, func(t *testing.T) {
				t.Parallel()
				runTests(t, rule, evaluated, tests(d))
			})
		}
	}
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		quiet := []string{series("waiting", "", "", "0x80"), series("alerting_up", "", "", "1x80")}
		runTests(t, committed(t), time.Minute, []ruleTest{{name: "idle", series: quiet, every: scrape, at: 15 * time.Minute}})
	})
	if len(seen) < 20 {
		t.Errorf("only %d different rules", len(seen))
	}
}

func burnEvaluated(d alarm.Definition) time.Duration {
	if d.Severity == alarm.Critical {
		return 5 * time.Minute
	}
	return 2 * time.Hour // of three days
}

func runTests(t *testing.T, rules []byte, evaluated time.Duration, all []ruleTest) {
	t.Helper()
	tests := fmt.Sprintf("evaluation_interval: %s\ntests:\n", evaluated)
	fires := 0
	for _, r := range all {
		tests += r.yaml()
		if r.fires {
			fires++
		}
	}
	if fires == 0 && len(all) > 1 || fires == len(all) {
		t.Errorf("%d of %d tests fire: want some that do and some that do not", fires, len(all))
	}
	if err := promtool(t, rules, tests); err != nil {
		t.Error(err)
	}
}

// TestRuleText: labels and annotations of a rule that fires.
func TestRuleText(t *testing.T) {
	tests := `evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - {series: 'forebay_jobs_store_up{job="forebay",instance="a"}', values: '0x80'}
    alert_rule_test:
      - eval_time: 10m
        alertname: ForebayStoreDown
        exp_alerts:
          - exp_labels: {severity: critical, alarm: store-down, job: forebay, instance: a}
            exp_annotations:
              summary: "A store does not take changes: jobs are refused, answers are not kept."
              description: "store_up is 0 (limit < 1). Look for a full or failing disk; the log names the file and the error. The store is opened anew by itself once that works."
              runbook_url: "https://github.com/forebay-ai/forebay/blob/main/docs/alarms.md#store-down"
`
	if err := promtool(t, committed(t), tests); err != nil {
		t.Error(err)
	}
}
