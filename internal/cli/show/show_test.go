package show_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/breaker"
	"github.com/forebay-ai/forebay/budget"
	"github.com/forebay-ai/forebay/console"
	"github.com/forebay-ai/forebay/internal/cli/show"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/limit"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

func TestMain(m *testing.M) {
	flag.Parse()
	time.Local = time.UTC // times are shown in the reader's zone
	os.Exit(m.Run())
}

// now is the present of these tests.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// hostile is a name that steers a terminal, turns the reading direction, breaks lines and is
// no valid UTF-8.
const hostile = "=cmd|'/c calc'!A1\x1b[2J\x1b]0;owned\a\r\nline\u202etxt.exe\u0085\xff\x00\x9b31m"

// page is what one function writes.
type page struct {
	name  string
	write func(io.Writer) error
}

func day(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }

func amounts(calls, microUSD int64) ledger.Amounts {
	return ledger.Amounts{
		Calls: calls, Hits: calls / 4, Usage: llm.Usage{Input: 1000 * calls, Output: 500 * calls, CacheRead: 10 * calls, CacheWrite: calls},
		MicroUSD: microUSD, SavedMicroUSD: microUSD / 3, ComputeMicroUSD: 20_000, StorageMicroUSD: 10_000,
	}
}

func costReport(by ...string) *console.CostReport {
	account := func(user, model string, d int) ledger.Account {
		return ledger.Account{Day: day(d), Tenant: "acme", User: user, Key: "web", Operation: "chat", Provider: "p", Model: model}
	}
	report := &console.CostReport{
		From: "2026-11-01", To: "2026-12-01", By: by, Currency: "USD", Rate: 1, Total: amounts(1240, 12_345_678),
		Rows: []ledger.Row{
			{Account: account("alice", "haiku", 3), Amounts: amounts(1200, 12_000_000)},
			{Account: account("", "sonnet", 4), Amounts: amounts(39, 345_600)},
			{Account: account(hostile, hostile, 5), Amounts: amounts(1, 78)},
		},
	}
	if len(by) == 0 {
		report.Rows = nil
	}
	return report
}

func inRupees(r *console.CostReport) *console.CostReport {
	r.Currency, r.Rate, r.RateDate, r.Truncated = "INR", 88.5, "2026-11-20", true
	return r
}

func costPages() []page {
	cost := func(r *console.CostReport) func(io.Writer) error {
		return func(w io.Writer) error { return show.Cost(w, r) }
	}
	sheet := func(r *console.CostReport) func(io.Writer) error {
		return func(w io.Writer) error { return show.CostCSV(w, r) }
	}
	all := []string{"day", "month", "tenant", "user", "key", "operation", "provider", "model"}
	return []page{
		{"cost-total", cost(costReport())},
		{"cost-by-user", cost(costReport("user"))},
		{"cost-by-all", cost(costReport(all...))},
		{"cost-rupees", cost(inRupees(costReport("user", "model")))},
		{"cost-nothing", cost(&console.CostReport{From: "2026-11-01", To: "2026-12-01", By: []string{"user"}, Currency: "USD", Rate: 1})},
		{"cost-hostile-server", cost(&console.CostReport{From: hostile, To: hostile, By: []string{hostile}, Currency: hostile, RateDate: hostile, Rate: 1})},
		{"csv-total", sheet(costReport())},
		{"csv-by-all", sheet(costReport(all...))},
		{"csv-rupees", sheet(inRupees(costReport("user", "model")))},
		{"budgets", func(w io.Writer) error {
			return show.Budgets(w, []budget.State{
				{Rule: "all", Kind: budget.Hard, To: day(30), Limit: 50_000_000, Spent: 12_345_678, Reserved: 4_000},
				{Rule: "each", Kind: budget.Degrade, Tenant: "acme", Key: "web", User: "alice", Operation: "chat", To: day(23), Limit: 1_000_000, Spent: 850_000, Warned: true},
				{Rule: hostile, Kind: budget.Soft, User: hostile, To: day(23), Limit: 100, Spent: 300, Reserved: 1, Warned: true, Exhausted: true},
			})
		}},
		{"budgets-none", func(w io.Writer) error { return show.Budgets(w, nil) }},
	}
}

func alarmList() *console.AlarmList {
	entry := func(d alarm.Definition, states ...alarm.Status) console.AlarmEntry {
		return console.AlarmEntry{Definition: d, States: states}
	}
	return &console.AlarmList{
		Data: []console.AlarmEntry{
			entry(alarm.Definition{Name: "error-rate", Severity: alarm.Warning}, alarm.Status{State: alarm.OK, Since: now.Add(-time.Hour), Reason: "failures are 1 % of requests"}),
			entry(alarm.Definition{Name: "breaker-open", Severity: alarm.Critical},
				alarm.Status{Of: "p/haiku", State: alarm.Firing, Since: now.Add(-90 * time.Second), Reason: "breaker_open is 1", Silenced: true},
				alarm.Status{Of: hostile, State: alarm.NoData, Since: now.Add(time.Minute), Reason: hostile}, alarm.Status{Of: "p/new", State: alarm.OK}),
			entry(alarm.Definition{Name: "throttling", Severity: alarm.Critical, External: true}),
			entry(alarm.Definition{Name: "off", Severity: alarm.Warning, Off: true}, alarm.Status{State: alarm.OK}),
			entry(alarm.Definition{Name: hostile, Severity: hostile}, alarm.Status{State: hostile}),
		},
		Silences: []alarm.Silence{
			{ID: "silence-1", Alarm: "breaker-open", Of: "p/haiku", Until: now.Add(time.Hour), By: "admin", Comment: "maintenance"},
			{ID: hostile, Alarm: "*", Until: now.Add(time.Hour), By: hostile, Comment: hostile},
		},
		Notifiers: []console.NotifierStatus{
			{Name: "log", Sent: 12},
			{Name: "mail", Sent: 3, LastError: "it was once"},
			{Name: hostile, Failed: 2, Dropped: 1, LastError: hostile},
		},
	}
}

func alarmPages() []page {
	return []page{
		{"alarms", func(w io.Writer) error { return show.Alarms(w, alarmList(), false, now) }},
		{"alarms-all", func(w io.Writer) error { return show.Alarms(w, alarmList(), true, now) }},
		{"alarms-none", func(w io.Writer) error { return show.Alarms(w, &console.AlarmList{}, false, now) }},
		{"history", func(w io.Writer) error {
			return show.AlarmHistory(w, &console.AlarmHistory{Data: []alarm.Event{
				{At: now, Name: "breaker-open", Of: "p/haiku", Severity: alarm.Critical, From: alarm.OK, To: alarm.Firing, Reason: "breaker_open is 1", Silenced: true},
				{At: now.Add(-time.Hour), Name: "error-rate", Severity: alarm.Warning, From: alarm.Firing, To: alarm.OK},
				{At: now.Add(-time.Hour), Name: hostile, Of: hostile, Severity: hostile, From: hostile, To: hostile, Reason: hostile},
			}})
		}},
		{"history-none", func(w io.Writer) error { return show.AlarmHistory(w, &console.AlarmHistory{}) }},
		{"test", func(w io.Writer) error {
			return show.AlarmTest(w, &console.AlarmTest{Data: []console.AlarmTestResult{
				{Notifier: "log", OK: true, Seconds: 0.00012}, {Notifier: "slack", Error: "it answers 404", Seconds: 1.25}, {Notifier: hostile, Error: hostile},
			}})
		}},
		{"test-none", func(w io.Writer) error { return show.AlarmTest(w, &console.AlarmTest{}) }},
	}
}

func entries() []requestlog.Entry {
	return []requestlog.Entry{
		{
			Seq: 1234, ID: "req-1", Start: now.Add(-time.Minute), Tenant: "acme", User: "alice", Key: "web", Operation: "chat", Model: "haiku", Provider: "p", Answered: "haiku-4", Region: "eu",
			Outcome: "ok", Cache: "miss", CacheReason: "uri-miss", Duration: 1234 * time.Millisecond, Lookup: 4100, Queue: 12_345_678, Upstream: 11 * time.Second, Overhead: 333_333,
			FirstToken: 456 * time.Millisecond, Usage: llm.Usage{Input: 1000, Output: 500, CacheRead: 20, CacheWrite: 3}, MicroUSD: 2000, SavedMicroUSD: 0,
			Attempts: []requestlog.Attempt{
				{Target: "p/haiku", Start: 200 * time.Microsecond, Duration: time.Second, ErrorType: llm.ProviderError},
				{Target: hostile, Start: time.Second, Waited: 40 * time.Nanosecond, Duration: 200 * time.Millisecond, FirstToken: 90 * time.Millisecond},
			},
		},
		{Seq: 1233, ID: hostile, Start: now, Tenant: hostile, User: hostile, Key: hostile, Operation: hostile, Model: hostile, Provider: hostile, Answered: hostile, Region: hostile, Outcome: hostile, ErrorType: hostile, Fallback: hostile, Cache: hostile, CacheReason: hostile, CacheDetail: hostile},
		{Seq: 1232, Start: now, Operation: "default", Outcome: "refused", ErrorType: llm.PolicyBudgetExceeded},
		{Seq: 1231, Start: now, Operation: "default", Model: "haiku", Outcome: "degraded", ErrorType: llm.ProviderError, Fallback: "template", Cache: "stale_hit", Duration: 95 * time.Microsecond, SavedMicroUSD: 12_000_000},
	}
}

func requestPages() []page {
	all := entries()
	one := func(i int) func(io.Writer) error {
		return func(w io.Writer) error { return show.Request(w, &all[i]) }
	}
	return []page{
		{"requests", func(w io.Writer) error { return show.Requests(w, &console.RequestList{Data: all, Next: 1231}) }},
		{"requests-last", func(w io.Writer) error { return show.Requests(w, &console.RequestList{Data: all[2:]}) }},
		{"requests-none", func(w io.Writer) error { return show.Requests(w, &console.RequestList{}) }},
		{"request", one(0)},
		{"request-hostile", one(1)},
		{"request-refused", one(2)},
	}
}

func targetPages() []page {
	targets := []forebay.TargetStatus{
		{Name: "p/haiku", Region: "eu-central-1", Residency: "eu", Breaker: breaker.Snapshot{State: breaker.Closed, Share: 1, Since: now.Add(-time.Hour)}, Limit: 10, Ceiling: 40, InFlight: 3},
		{Name: "p/slow", Breaker: breaker.Snapshot{State: breaker.Closed, Share: 0.4}, Limit: -1, InFlight: 7, Waiting: 2},
		{
			Name: "q/haiku", Region: "us-east-1", Residency: "eu", RegionDown: true, Limit: 5, CoolingUntil: now.Add(30 * time.Second),
			Breaker: breaker.Snapshot{State: breaker.Open, Share: 1, Since: now.Add(-3 * time.Second), RetryAt: now.Add(1200 * time.Millisecond), Reason: "5 failures"},
		},
		{
			Name: "r", Residency: "eu", Limit: 5, CoolingUntil: now.Add(-time.Second), Breaker: breaker.Snapshot{State: breaker.Open, RetryAt: now.Add(-time.Second), Since: now.Add(time.Hour)},
			Quota: &limit.QuotaSnapshot{RequestsPerMinute: 60, RequestsLeft: 12, TokensPerMinute: 90_000, TokensLeft: 5},
		},
		{Name: "s", Limit: 5, Breaker: breaker.Snapshot{State: breaker.Open, Forced: true}, Quota: new(limit.QuotaSnapshot)},
		{Name: "t", Limit: 5, Breaker: breaker.Snapshot{State: breaker.HalfOpen}},
		{Name: hostile, Region: hostile, Residency: hostile, Limit: 1, Breaker: breaker.Snapshot{Share: 1, Reason: hostile}},
	}
	return []page{
		{"targets", func(w io.Writer) error { return show.Targets(w, targets, now) }},
		{"targets-none", func(w io.Writer) error { return show.Targets(w, nil, now) }},
	}
}

func pages() []page {
	all := costPages()
	all = append(all, alarmPages()...)
	all = append(all, requestPages()...)
	return append(all, targetPages()...)
}

// Every page is the one in testdata, and nothing in it steers a terminal, whatever names
// it shows.
func TestPages(t *testing.T) {
	for _, p := range pages() {
		t.Run(p.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := p.write(&out); err != nil {
				t.Fatal(err)
			}
			for _, c := range out.String() {
				if c != '\n' && !unicode.IsPrint(c) {
					t.Errorf("%U is in the page", c)
				}
			}
			for line := range strings.Lines(out.String()) {
				if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
					t.Errorf("%q ends with blanks", line)
				}
			}
			path := filepath.Join("testdata", p.name+".golden")
			if *update {
				if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// full is a file on a disk that is full after some bytes.
type full struct{ room int }

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// A page that cannot be written to its end is an error: a script must not take half of it
// for all.
func TestFaultsOfTheWriter(t *testing.T) {
	for _, p := range pages() {
		var out bytes.Buffer
		if err := p.write(&out); err != nil {
			t.Fatal(err)
		}
		for _, room := range []int{0, out.Len() / 2, out.Len() - 1} {
			if err := p.write(&full{room}); !errors.Is(err, errFull) {
				t.Errorf("%s, with room for %d of %d bytes: %v", p.name, room, out.Len(), err)
			}
		}
		if err := p.write(&full{out.Len()}); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}

// A spreadsheet runs no name as a formula, and reads every other as it is.
func TestFormulas(t *testing.T) {
	for name, want := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\uFF1D1": "'\uFF1D1", "\uFF0B": "'\uFF0B", "\uFF0D": "'\uFF0D", "\uFF20": "'\uFF20",
		"\t=1": "?=1", "\r=1": "?=1", "\n=1": "?=1", // blanks are gone, and with them what they hide
		"a=1": "a=1", "": "", "alice@example.org": "alice@example.org", `say "hi", you`: `say "hi", you`, "José": "José", "'=1": "'=1", "\x1b[2J": "?[2J",
	} {
		report := &console.CostReport{By: []string{"user"}, Currency: "USD", Rate: 1, Rows: []ledger.Row{{Account: ledger.Account{User: name}}}}
		var out bytes.Buffer
		if err := show.CostCSV(&out, report); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(rows) != 2 || len(rows[1]) != len(rows[0]) {
			t.Fatalf("%q: %q, %v", name, rows, err)
		}
		if got := rows[1][0]; got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}
