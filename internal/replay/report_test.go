package replay_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/internal/replay"
	"github.com/forebay-ai/forebay/llm"
)

func sampleReport() *replay.Report {
	return &replay.Report{
		SchemaVersion: replay.SchemaVersion,
		Counts:        replay.Counts{Planned: 19366, Answered: 18000, Degraded: 66, Refused: 1200, Failed: 100},
		Latency:       replay.Summary{Count: 18066, P50: 812.4, P90: 1900, P95: 2400.2, P99: 9000, Max: 44123.456},
		Stages:        map[string]replay.Summary{"cache": {Count: 18066, P50: 0.05, P90: 0.1, P95: 0.2, P99: 0.4, Max: 3.25}},
		Refusals:      map[string]int{"policy_overloaded": 1100, "policy_breaker_open": 60, "policy_rate_limited": 40},
		Degradations:  map[string]int{"template": 66},
		Failures:      map[string]int{"timeout": 100},
		Cache:         map[string]int{"miss": 13000, "hit": 5000, "collapsed": 60},
		Attempts:      replay.Attempts{Total: 14000, Repeated: 900},
		Tokens:        replay.Tokens{Input: 22361870, Output: 4088665},
		CostUSD:       12.345678, OfferedPerSecond: 331.7, GoodputPerSecond: 300.2, WallSeconds: 59.96, StartLagMaxMS: 1.5,
	}
}

// Away from a terminal the report is plain columns.
func ExampleReport_WriteTable() {
	if err := sampleReport().WriteTable(os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// calls      count   share  of which
	// answered   18000   92.9%
	// degraded      66    0.3%  template 66
	// refused     1200    6.2%  policy_overloaded 1100, policy_breaker_open
	//                           60, policy_rate_limited 40
	// failed       100    0.5%  timeout 100
	// unsent         0    0.0%
	// cancelled      0    0.0%
	// all        19366  100.0%
	//
	// milliseconds  count     p50   p90   p95   p99    max
	// latency       18066  812.40  1900  2400  9000  44123
	// stage cache   18066    0.05  0.10  0.20  0.40   3.25
	//
	// what       how much
	// goodput    300.2/s of 331.7/s offered, 60.0 s in all
	// cache      miss 13000, hit 5000, collapsed 60
	// attempts   14000, 900 of them repeated
	// tokens     22361870 in, 4088665 out
	// cost       $12.3457
	// start lag  1.50 ms at most
}

func TestTableFitsTheTerminal(t *testing.T) {
	var out strings.Builder
	if err := sampleReport().WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.ContainsAny(line, "\x1b│─+|") {
			t.Errorf("not plain: %q", line)
		}
	}
}

func TestTablePassesOnTheWriterError(t *testing.T) {
	if err := sampleReport().WriteTable(failing{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

var errFull = errors.New("disk full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestCheckFindsWhatIsLost(t *testing.T) {
	if err := sampleReport().Check(); err != nil {
		t.Fatal(err)
	}
	for name, lose := range map[string]func(*replay.Report){
		"a call":        func(r *replay.Report) { r.Counts.Planned++ },
		"a refusal":     func(r *replay.Report) { r.Refusals["policy_overloaded"]-- },
		"a degradation": func(r *replay.Report) { r.Degradations = nil },
		"a failure":     func(r *replay.Report) { r.Failures["timeout"]++ },
		"a latency":     func(r *replay.Report) { r.Latency.Count-- },
	} {
		r := sampleReport()
		lose(r)
		if err := r.Check(); llm.KindOf(err) != llm.ForebayInternal || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReportIsJSON(t *testing.T) {
	raw, err := json.Marshal(sampleReport())
	if err != nil {
		t.Fatal(err)
	}
	var back replay.Report
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleReport(), &back); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(string(raw), `{"schema_version":1,`) {
		t.Errorf("starts with %.40s", raw)
	}
}
