package alarm_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/alarm"
)

// fromSpec is a line of the specification and the alarm that comes from it.
type fromSpec struct {
	line           string // as it stands there, without its bullet
	profile, alarm string
	stat           string // which it is about; empty for ratios
	op             string
	unit           string
}

// specLines are all lines of the two documents that set a threshold.
func specLines() []fromSpec {
	const a, b = alarm.Analysis, alarm.Interactive
	return []fromSpec{
		{"Response Time Warning: 25 seconds", a, "response-time-warning", "p95", ">", "s"},
		{"Response Time Critical: 30 seconds", a, "response-time-critical", "p95", ">", "s"},
		{"Error Rate Warning: 5%", a, "error-rate-warning", "", ">", "%"},
		{"Error Rate Critical: 10%", a, "error-rate-critical", "", ">", "%"},
		{"Queue Depth Warning: 50 requests", a, "queue-depth-warning", "mean", ">", "requests"},
		{"Queue Depth Critical: 100 requests", a, "queue-depth-critical", "mean", ">", "requests"},
		{"**Critical Response Time**: > 30 seconds", a, "response-time-critical", "p95", ">", "s"},
		{"**High Error Rate**: > 10% failures", a, "error-rate-critical", "", ">", "%"},
		{"**High Queue Depth**: > 100 requests", a, "queue-depth-critical", "mean", ">", "requests"},
		{"**Low Cache Hit Rate**: < 30%", a, "hit-rate-low", "", "<", "%"},

		{"**High Response Time**: Alert when > 3 seconds", b, "response-time-critical", "p95", ">", "s"},
		{"**High Error Rate**: Alert when > 5%", b, "error-rate-critical", "", ">", "%"},
		{"**Low Cache Hit Rate**: Alert when < 40%", b, "hit-rate-low", "", "<", "%"},
		{"**High Cost**: Alert when > ₹15/student/month", b, "user-cost", "last", ">", "INR"},
		// Alarms fire where these targets are missed: above them.
		{"Average: < 1.5 seconds", b, "response-time-mean", "mean", ">", "s"},
		{"P95: < 3 seconds", b, "response-time-critical", "p95", ">", "s"},
		{"P99: < 5 seconds", b, "response-time-p99", "p99", ">", "s"},
		{"Scale trigger: > 1,000 users", b, "concurrent-users", "last", ">", "users"},
		{"Alert: > 10 per minute", b, "lambda-throttling", "sum", ">", "throttles"},
	}
}

var aNumber = regexp.MustCompile(`(\d[\d,]*(?:\.\d+)?)(%?)`)

// TestSpecValues: the shipped values are the specification's numbers. They are read out of
// the lines above, and the lines are looked for in the specification itself where it is.
func TestSpecValues(t *testing.T) {
	for _, s := range specLines() {
		numbers := aNumber.FindAllStringSubmatch(strings.TrimPrefix(s.line, "P95:"), -1)
		number := numbers[len(numbers)-1]
		want, err := strconv.ParseFloat(strings.ReplaceAll(number[1], ",", ""), 64)
		if err != nil {
			t.Fatal(err)
		}
		if number[2] == "%" {
			want /= 100
		}
		found := false
		for _, d := range alarm.Profile(s.profile) {
			if d.Name != s.alarm {
				continue
			}
			found = true
			stat := d.Stat
			if d.Over != "" {
				stat = ""
			}
			if d.Threshold != want || d.Op != s.op || stat != s.stat || d.Unit != s.unit {
				t.Errorf("%q: %s of %s is %s %v %s of %s, want %s %v %s of %s", s.line, s.alarm, s.profile, d.Op, d.Threshold, d.Unit, stat, s.op, want, s.unit, s.stat)
			}
		}
		if !found {
			t.Errorf("%q: profile %s has no alarm %s", s.line, s.profile, s.alarm)
		}
	}
	// Throttles are named without a number: "Alert on function throttles", "on table throttles".
	for name, metric := range map[string]string{"lambda-throttling": "AWS/Lambda Throttles", "dynamodb-throttling": "AWS/DynamoDB ThrottledRequests"} {
		for _, d := range alarm.Profile(alarm.Interactive) {
			if d.Name == name && (d.Metric != metric || !d.External) {
				t.Errorf("%s is of %s", name, d.Metric)
			}
		}
	}
}

func TestSpecLines(t *testing.T) {
	root := os.Getenv("FOREBAY_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "shared")
	}
	files, err := filepath.Glob(filepath.Join(root, "spec", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Skip("the specification is not here (set FOREBAY_SHARED to the folder that holds spec): its lines cannot be compared")
	}
	var text strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(data)
	}
	quoted := map[string]bool{}
	for _, s := range specLines() {
		quoted[s.line] = true
		if !strings.Contains(text.String(), "- "+s.line+"\n") {
			t.Errorf("the specification has no line %q", s.line)
		}
	}
	// And nothing is left out: every line of the specification that sets a threshold is above.
	threshold := regexp.MustCompile(`^ *- ((\*\*)?(High|Low|Critical) [^:]*:.*\d.*|.*(Warning|Critical): \d.*|(Average|P95|P99|Scale trigger): .*|Alert: > 10 .*)$`)
	for line := range strings.Lines(text.String()) {
		if m := threshold.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil && !quoted[m[1]] {
			t.Errorf("the specification sets a threshold that no alarm has: %s", line)
		}
	}
}
