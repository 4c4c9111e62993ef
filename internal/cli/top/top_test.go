package top_test

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/degrade"
	"github.com/forebay-ai/forebay/health"
	"github.com/forebay-ai/forebay/internal/cli/top"
)

var update = flag.Bool("update", false, "write golden files")

func TestMain(m *testing.M) {
	// The command line has the last word.
	if err := flag.Set("rapid.seed", "1"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var at = time.Date(2026, 11, 22, 12, 34, 56, 0, time.UTC)

func healthy() *console.Overview {
	return &console.Overview{
		At: at, Started: at.Add(-76 * time.Hour), Version: "0.6.0", WindowSeconds: 900,
		Health: health.Health{Overall: health.Healthy, Degradation: health.Degradation{Level: degrade.None}},
		Totals: console.Totals{
			Requests: 12345, PerSecond: 13.7166, Failures: 12, ErrorRate: 12.0 / 12345, Refused: 0,
			P50: 2.134, P95: 9.87, P99: 24.4, FirstTokenP50: 0.412, FirstTokenP95: 1.203, OverheadP99: 0.00084,
			HitRate: 0.4137, InputTokens: 4_812_345, OutputTokens: 912_345, MicroUSD: 18_734_512, SavedMicroUSD: 9_123_000,
			Waiting: 3, InFlight: 28, ConcurrentUsers: 61,
		},
		Faults:    map[string]int64{"caller": 31, "provider": 12, "policy": 0},
		Objective: console.Objective{Seconds: 30, Met: 0.9941}, CostTodayMicroUSD: 431_220_000,
	}
}

func trouble() *console.Overview {
	o := healthy()
	o.Health.Overall, o.Health.Degradation.Level = health.Degraded, degrade.Partial
	o.Totals.ErrorRate, o.Totals.Failures, o.Totals.Refused, o.Totals.P95, o.Totals.P99 = 0.0832, 1027, 318, 31.2, 58
	o.Objective.Met = 0.871
	o.Problems = []console.Problem{
		{
			Severity: alarm.Critical, What: "The breaker of bedrock/claude-sonnet is open",
			Why: "5 of its last 10 calls failed with provider_error; it is tried again in 12 s, and calls go to openai/gpt-4o-mini meanwhile",
			Do:  "Look at the provider's status page; `forebay breaker reset bedrock/claude-sonnet` closes it at once.", Page: "reliability",
		},
		{Severity: alarm.Warning, What: "58 calls wait, 50 are too many", Do: "Raise max_concurrent of a target that has room."},
	}
	o.Alarms = []alarm.Status{
		{Name: "breaker-open", Of: "bedrock/claude-sonnet", State: alarm.Firing},
		{Name: "queue-depth-warning", State: alarm.Firing, Silenced: true},
		{Name: "error-rate-warning", Of: "vc-analysis", State: alarm.Firing},
		{Name: "hit-rate-low", State: alarm.OK},
	}
	o.Budgets = []budget.State{
		{Rule: "students", Kind: budget.Hard, Period: budget.Month, Tenant: "acme", User: "s-1042", Limit: 180_000, Spent: 180_000, Exhausted: true},
		{Rule: "everything", Kind: budget.Soft, Period: budget.Day, Limit: 500_000_000, Spent: 431_220_000, Warned: true},
	}
	return o
}

func operations() []console.OperationRow {
	return []console.OperationRow{
		{Name: "vc-analysis", Totals: console.Totals{Requests: 1204, PerSecond: 1.3377, P50: 11.2, P95: 31.9, P99: 58, FirstTokenP95: 2.1, ErrorRate: 0.112, Failures: 135, HitRate: 0.12, Refused: 300, InputTokens: 3_000_000, OutputTokens: 500_000, MicroUSD: 15_000_000, SavedMicroUSD: 1_000_000, Waiting: 3}},
		{Name: "chat", Totals: console.Totals{Requests: 9100, PerSecond: 10.111, P50: 1.9, P95: 4.2, P99: 7.75, FirstTokenP95: 0.8, ErrorRate: 0.0008, Failures: 7, HitRate: 0.31, InputTokens: 1_600_000, OutputTokens: 400_000, MicroUSD: 3_700_000, SavedMicroUSD: 3_000_000}},
		{Name: "summarise-a-very-long-document-for-the-weekly-report", Totals: console.Totals{Requests: 41, PerSecond: 0.0455, P50: 22, P95: 28.3, P99: 29.1, HitRate: 1, MicroUSD: 34_512}},
		{Name: "embed", Totals: console.Totals{Requests: 2000, PerSecond: 2.222, P50: 0.081, P95: 0.12, P99: 0.31, ErrorRate: 0.06, Failures: 120, HitRate: 0.9993, MicroUSD: 61}},
		{Name: "not-called"},
	}
}

func hostile() (*console.Overview, []console.OperationRow) {
	o := trouble()
	o.Version = "1\x1b[2J"
	o.Problems[0].What = "a\x1b]0;title\x07b\r\nc\u202eevil"
	o.Alarms[0].Of = "\x9b31m"
	return o, []console.OperationRow{{Name: "x\x1b[1;1Hy\nz"}, {Name: "分析分析分析分析分析分析分析分析分析"}, {Name: "nan", Totals: console.Totals{Requests: 1, ErrorRate: math.NaN(), P95: math.Inf(1), PerSecond: math.Inf(1)}}}
}

func TestGolden(t *testing.T) {
	hostileOverview, hostileRows := hostile()
	for _, x := range []struct {
		name string
		o    *console.Overview
		rows []console.OperationRow
		opts top.Options
	}{
		{"healthy-80", healthy(), operations(), top.Options{}},
		{"trouble-80", trouble(), operations(), top.Options{Sort: top.ByErrors}},
		{"trouble-80-colour", trouble(), operations(), top.Options{Colour: true}},
		{"trouble-140", trouble(), operations(), top.Options{Width: 140, Sort: top.ByLatency}},
		{"trouble-40", trouble(), operations(), top.Options{Width: 10, Sort: top.ByCost}},
		{"trouble-24-lines", trouble(), operations(), top.Options{Height: 24}},
		{"idle-80", &console.Overview{At: at, Started: at.Add(-5 * time.Second), Version: "0.6.0", WindowSeconds: 900, Health: health.Health{Overall: health.Unhealthy}}, nil, top.Options{}},
		{"hostile-80", hostileOverview, hostileRows, top.Options{Sort: top.ByName}},
		{"none", nil, operations(), top.Options{}},
	} {
		t.Run(x.name, func(t *testing.T) {
			var got bytes.Buffer
			if err := top.Render(&got, x.o, x.rows, x.opts); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", x.name+".golden"), got.String())
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs, write it with -update if that is right (-want +got):\n%s", path, diff)
	}
}

// paints matches the colours that a page may have.
var paints = regexp.MustCompile("\x1b\\[(0|1|1;31|32|33)m")

// Whatever the gateway tells: no line is wider than the terminal, no control character but
// colours that were asked for gets out, and the page without colours says the same.
func TestAnyPage(t *testing.T) {
	name := rapid.StringOfN(rapid.OneOf(rapid.Rune(), rapid.RuneFrom([]rune("abc-\x1b[]\r\n\t界"))), 0, 60, -1)
	number := rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 100), rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1)}))
	rapid.Check(t, func(t *rapid.T) {
		totals := func() console.Totals {
			f, n := number.Draw(t, "f"), rapid.Int64().Draw(t, "n")
			return console.Totals{
				Requests: n, PerSecond: f, Failures: n, ErrorRate: f, Refused: n, P50: f, P95: f, P99: f, FirstTokenP50: f, FirstTokenP95: f, OverheadP99: f,
				HitRate: f, InputTokens: n, OutputTokens: -n, MicroUSD: n, SavedMicroUSD: -n, Waiting: int(n), InFlight: int(n), ConcurrentUsers: n,
			}
		}
		text1 := name.Draw(t, "text")
		o := &console.Overview{
			At: at, Started: at.Add(-time.Duration(rapid.Int64().Draw(t, "up"))), Version: text1, WindowSeconds: number.Draw(t, "window"), Totals: totals(),
			Health: health.Health{Overall: health.State(text1), Degradation: health.Degradation{Level: degrade.Level(text1)}},
			Faults: map[string]int64{text1: rapid.Int64().Draw(t, "fault")}, Objective: console.Objective{Seconds: number.Draw(t, "o"), Met: number.Draw(t, "met")},
		}
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			o.Problems = append(o.Problems, console.Problem{Severity: alarm.Severity(text1), What: name.Draw(t, "what"), Why: name.Draw(t, "why"), Do: name.Draw(t, "do")})
			o.Alarms = append(o.Alarms, alarm.Status{Name: name.Draw(t, "alarm"), Of: text1, State: alarm.Firing})
			o.Budgets = append(o.Budgets, budget.State{Rule: name.Draw(t, "rule"), User: text1, Kind: budget.Hard, Period: budget.Period(text1), Limit: rapid.Int64().Draw(t, "limit"), Spent: rapid.Int64().Draw(t, "spent")})
		}
		var rows []console.OperationRow
		for range rapid.IntRange(0, 30).Draw(t, "rows") {
			rows = append(rows, console.OperationRow{Name: name.Draw(t, "name"), Totals: totals()})
		}
		opts := top.Options{Width: rapid.IntRange(40, 200).Draw(t, "width"), Height: rapid.IntRange(0, 60).Draw(t, "height"), Sort: rapid.SampledFrom([]top.Sort{"", top.ByName, top.ByCost, top.ByLatency, top.ByErrors, "x"}).Draw(t, "sort")}
		var without, with bytes.Buffer
		render := func(w *bytes.Buffer) {
			if err := top.Render(w, o, rows, opts); err != nil {
				t.Fatal(err)
			}
		}
		render(&without)
		opts.Colour = true
		render(&with)
		if got := paints.ReplaceAllString(with.String(), ""); got != without.String() {
			t.Fatalf("with colours it says\n%s\nwithout\n%s", got, without.String())
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(without.String(), "\n"), "\n") {
			if n := text.StringWidth(line); n > opts.Width {
				t.Fatalf("%d columns of %d:\n%s", n, opts.Width, line)
			}
			if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }); i >= 0 {
				t.Fatalf("a control character at %d in %q", i, line)
			}
		}
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestRenderReturnsTheWritersError(t *testing.T) {
	if err := top.Render(broken{}, healthy(), nil, top.Options{}); err == nil || err.Error() != "closed" {
		t.Errorf("the error is %v", err)
	}
}
