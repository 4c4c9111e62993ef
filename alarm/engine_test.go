package alarm_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/llm"
)

// board is a Source whose values a test sets: by metric, then by the label's value.
type board map[string]map[string]float64

func (b board) set(metric, of string, v float64) {
	if b[metric] == nil {
		b[metric] = map[string]float64{}
	}
	b[metric][of] = v
}

func (b board) Measure(m alarm.Measure, _ time.Time) []alarm.Sample {
	if m.Over != "" {
		panic("the engine divides by itself")
	}
	var all []alarm.Sample
	for of, v := range b[m.Metric] {
		if (of == "") == (m.By == "") {
			all = append(all, alarm.Sample{Of: of, Value: v, Count: 1000, OK: true})
		}
	}
	return all
}

func gauge(name string, severity alarm.Severity, threshold float64) alarm.Definition {
	return alarm.Definition{
		Name: name, Severity: severity, Op: ">", Threshold: threshold, Message: "Too much of it.",
		Measure: alarm.Measure{Metric: "level", Stat: "last", Window: time.Minute},
	}
}

// bench drives an engine in steps of ten seconds.
type bench struct {
	t     testing.TB
	e     *alarm.Engine
	cfg   alarm.Config
	board board
	now   time.Time
	// log has a line for each event and notice.
	log []string
}

func newBench(t testing.TB, cfg alarm.Config) *bench {
	b := &bench{t: t, cfg: cfg, board: board{}, now: simStart()}
	if cfg.Group == 0 {
		b.cfg.Group = time.Nanosecond // what differs is told at the next step
	}
	b.e = newEngine(t, b.cfg)
	return b
}

func (b *bench) tick() []alarm.Notice {
	events, notices := b.e.Evaluate(b.now, b.board)
	at := b.now.Sub(simStart())
	for _, e := range events {
		b.log = append(b.log, fmt.Sprintf("%v %s %s>%s%s", at, label(e.Name, e.Of), e.From, e.To, map[bool]string{true: " silenced"}[e.Silenced]))
	}
	for _, n := range notices {
		var items []string
		for _, i := range n.Items {
			items = append(items, label(i.Name, i.Of))
		}
		b.log = append(b.log, fmt.Sprintf("%v %s %s", at, map[bool]string{true: "resolved", false: "told"}[n.Resolved], strings.Join(items, " ")))
	}
	b.now = b.now.Add(10 * time.Second)
	return notices
}

func label(name, of string) string {
	if of == "" {
		return name
	}
	return name + "/" + of
}

func (b *bench) run(d time.Duration) {
	for end := b.now.Add(d); b.now.Before(end); {
		b.tick()
	}
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	if d := cmp.Diff(lines, b.log); d != "" {
		b.t.Errorf("log (-want +got):\n%s", d)
	}
}

// restart puts a new engine in the old one's place, by way of what a store would keep.
func (b *bench) restart() {
	b.t.Helper()
	data, err := json.Marshal(b.e.Kept())
	if err != nil {
		b.t.Fatal(err)
	}
	cfg := b.cfg
	if err := json.Unmarshal(data, &cfg.Kept); err != nil {
		b.t.Fatal(err)
	}
	cfg.Start = b.now
	b.e = newEngine(b.t, cfg)
}

// TestStates plays values (a dash: nothing measured) and reads the state after each one: k for ok, F for
// firing, n for no data.
func TestStates(t *testing.T) {
	base := gauge("level-high", alarm.Warning, 10)
	base.Clear = 8
	with := func(m, n int, missing alarm.Missing) alarm.Definition {
		d := base
		d.M, d.N, d.Missing = m, n, missing
		return d
	}
	below := with(2, 2, "")
	below.Op, below.Threshold, below.Clear = "<", 10, 12
	bad := with(1, 2, alarm.MissingIsBad)
	bad.Window = 20 * time.Second
	late := with(1, 1, "")
	late.Settle = 30 * time.Second
	for _, tt := range []struct {
		name           string
		d              alarm.Definition
		values, states string
	}{
		{"1 of 1", with(1, 1, ""), "9 10 10.1 9 8.1 8 9", "kkFFFkk"},
		{"the threshold itself does not break", with(1, 1, ""), "10 10", "kk"},
		{"2 of 3", with(2, 3, ""), "11 5 11 5 5 5", "kkFFFk"},
		{"2 of 3, too far apart", with(2, 3, ""), "11 5 5 11 5 5", "kkkkkk"},
		{"3 of 3", with(3, 3, ""), "11 11 5 11 11 11 5 5 5", "kkkkkFFFk"},
		{"between clear and threshold it stays", with(1, 1, ""), "11 9 9 9 8 9 9", "FFFFkkk"},
		{"between does not fire", with(1, 3, ""), "9 9.9 9", "kkk"},
		{"below", below, "9 9 11 11 12 12", "kFFFFk"},
		{"missing keeps", with(1, 1, alarm.MissingKeeps), "- 11 - - 5 -", "nFFFkk"},
		{"missing is ok", with(1, 2, alarm.MissingIsOK), "- 11 - - -", "kFFkk"},
		{"missing is none", with(1, 2, alarm.MissingIsNone), "- 5 11 - - -", "nkFFnn"},
		{"missing is bad", bad, "- - - 5 5 -", "nnFFkF"},
		{"not judged at first", late, "11 11 11 11", "nnnF"},
		{"no numbers", with(1, 1, alarm.MissingKeeps), "NaN Inf 11 NaN", "nnFF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, alarm.Config{Definitions: []alarm.Definition{tt.d}, Start: simStart()})
			got := ""
			for v := range strings.FieldsSeq(tt.values) {
				delete(b.board, "level")
				if v != "-" {
					f, err := strconv.ParseFloat(v, 64)
					if err != nil {
						t.Fatal(err)
					}
					b.board.set("level", "", f)
				}
				b.tick()
				s := b.e.Statuses()[tt.d.Name][0]
				got += map[alarm.State]string{alarm.OK: "k", alarm.Firing: "F", alarm.NoData: "n"}[s.State]
				if s.HasValue && math.IsNaN(s.Value) || s.Reason == "" {
					t.Errorf("status %+v", s)
				}
			}
			if got != tt.states {
				t.Errorf("values %s gave states %s, want %s", tt.values, got, tt.states)
			}
		})
	}
}

func TestMinCount(t *testing.T) {
	d := gauge("level-high", alarm.Warning, 10)
	d.MinCount = 1001
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{d}})
	b.board.set("level", "", 50)
	b.run(time.Minute)
	b.want()
	if got, want := b.e.Statuses()["level-high"][0].Reason, "only 1000 measured over 1m, of 1001 that a judgement needs"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

func TestRatio(t *testing.T) {
	d := alarm.Definition{
		Name: "error-rate", Severity: alarm.Critical, Op: ">", Threshold: 0.05, Unit: "%", MinCount: 20, Message: "Calls fail.",
		Measure: alarm.Measure{Metric: "failures", Over: "requests", Window: time.Minute},
	}
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{d}})
	b.board.set("failures", "", 19)
	b.board.set("requests", "", 19)
	b.tick() // too few
	b.board.set("requests", "", 200)
	b.tick()
	if got, want := b.e.Statuses()["error-rate"][0].Reason, "failures / requests over 1m is 9.5 % (limit > 5 %), 200 measured"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	b.tick()
	delete(b.board, "failures") // never raised: that is zero
	b.tick()
	b.board.set("requests", "", 0)
	b.tick() // keeps
	b.want("10s error-rate no_data>firing", "20s told error-rate", "30s error-rate firing>ok", "40s resolved error-rate")
}

func TestBurnRate(t *testing.T) {
	for _, tt := range []struct {
		name        string
		long, short float64 // error ratios
		fires       bool
		reason      string
	}{
		{"neither", 0.1, 0.1, false, "the error budget of 1 % burns 10 times as fast as it may over 1h and over 5m (limit 14.4)"},
		{"only the long one: it is over", 0.3, 0.01, false, "the error budget of 1 % burns 1 times as fast as it may over 1h and over 5m (limit 14.4)"},
		{"only the short one: it does not matter", 0.01, 0.9, false, ""},
		{"both", 0.15, 0.2, true, "the error budget of 1 % burns 15 times as fast as it may over 1h and over 5m (limit 14.4)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := alarm.BurnRate("burn", alarm.Critical, 0.01, alarm.Burn{Long: time.Hour, Short: 5 * time.Minute, Factor: 14.4})
			d.Message, d.M, d.N = "It burns.", 1, 1
			e := newEngine(t, alarm.Config{Definitions: []alarm.Definition{d}})
			e.Evaluate(simStart(), windows{time.Hour: tt.long, 5 * time.Minute: tt.short})
			s := e.Statuses()["burn"][0]
			if (s.State == alarm.Firing) != tt.fires || tt.reason != "" && s.Reason != tt.reason {
				t.Errorf("got %s: %s", s.State, s.Reason)
			}
		})
	}
}

// windows is a Source of 1,000 requests, with a share of failures for each window.
type windows map[time.Duration]float64

func (w windows) Measure(m alarm.Measure, _ time.Time) []alarm.Sample {
	v := 1000.0
	if m.Metric == "failures" {
		v *= w[m.Window]
	}
	return []alarm.Sample{{Value: v, Count: 1000, OK: true}}
}

func TestEvery(t *testing.T) {
	d := gauge("level-high", alarm.Warning, 10)
	d.Every = time.Minute
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{d}})
	b.tick()
	b.board.set("level", "", 11)
	b.run(2 * time.Minute)
	b.want("1m0s level-high no_data>firing", "1m10s told level-high")

	// A clock that goes back must not stop the judging.
	b.now = b.now.Add(-time.Hour)
	b.board.set("level", "", 1)
	b.log = nil
	b.run(time.Minute)
	if len(b.log) != 2 {
		t.Errorf("after the clock went back: %q", b.log)
	}
}

func TestLabels(t *testing.T) {
	d := gauge("level-high", alarm.Warning, 10)
	d.By = "target"
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{d}})
	b.tick()
	b.board.set("level", "a", 11)
	b.board.set("level", "b", 1)
	b.run(20 * time.Second)
	b.board.set("level", "b", 12)
	b.run(20 * time.Second)
	delete(b.board["level"], "a") // it left the configuration
	b.run(16 * time.Minute)
	b.want(
		"10s level-high/a no_data>firing", "20s told level-high/a",
		"30s level-high/b ok>firing", "40s told level-high/b",
		"15m40s level-high/a firing>no_data", "15m50s resolved level-high/a",
	)
	b.tick()
	if got := b.e.Statuses()["level-high"]; len(got) != 1 || got[0].Of != "b" {
		t.Errorf("statuses %+v: a is to be forgotten", got)
	}
	if n := len(b.e.Kept().Statuses); n != 1 {
		t.Errorf("%d statuses are kept", n)
	}
}

// TestManyLabels: a label whose values nobody bounded does not fill the memory.
func TestManyLabels(t *testing.T) {
	d := gauge("level-high", alarm.Warning, 10)
	d.By = "target"
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{d}})
	for i := range 3000 {
		b.board.set("level", strconv.Itoa(i), 11)
	}
	b.run(time.Minute)
	if n := len(b.e.Statuses()["level-high"]); n != 1000 {
		t.Errorf("%d values are kept, want 1000", n)
	}
	b.restart()
	if n := len(b.e.Kept().Statuses); n != 1000 {
		t.Errorf("%d values after a restart, want 1000", n)
	}
}

func TestGroup(t *testing.T) {
	var defs []alarm.Definition
	for _, name := range []string{"b-high", "a-high", "c-high"} {
		d := gauge(name, alarm.Warning, 10)
		d.Metric = name[:1]
		defs = append(defs, d)
	}
	defs[2].Severity = alarm.Critical
	b := newBench(t, alarm.Config{Definitions: defs, Group: 20 * time.Second})
	b.board.set("a", "", 11)
	b.tick()
	b.board.set("b", "", 11)
	b.board.set("c", "", 11)
	b.tick()
	notices := b.tick()
	b.log = nil
	if len(notices) != 1 || notices[0].Severity != alarm.Critical || notices[0].Title != "critical: 3 alarms: c-high, a-high, b-high" || notices[0].Source != "forebay" {
		t.Errorf("notices %+v", notices)
	}
	// Something that is over before the group's time is not told.
	b.board.set("a", "", 1)
	b.tick()
	b.board.set("a", "", 11)
	b.run(time.Minute)
	b.want("30s a-high firing>ok", "40s a-high ok>firing")
}

func TestCriticalSpeaksForWarning(t *testing.T) {
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{
		gauge("level-warning", alarm.Warning, 10), gauge("level-critical", alarm.Critical, 20),
	}})
	b.board.set("level", "", 25)
	b.run(20 * time.Second)
	b.board.set("level", "", 15)
	b.run(20 * time.Second)
	b.board.set("level", "", 5)
	b.run(20 * time.Second)
	b.want(
		"0s level-warning no_data>firing", "0s level-critical no_data>firing", "10s told level-critical",
		"20s level-critical firing>ok", "30s told level-warning", "30s resolved level-critical",
		"40s level-warning firing>ok", "50s resolved level-warning",
	)
}

func TestRepeat(t *testing.T) {
	second := gauge("b-high", alarm.Warning, 10)
	second.Metric = "b"
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{gauge("level-high", alarm.Warning, 10), second}})
	b.board.set("level", "", 11)
	b.run(time.Hour)
	b.board.set("b", "", 11)
	b.run(8 * time.Hour)
	b.want(
		"0s level-high no_data>firing", "10s told level-high", "1h0m0s b-high no_data>firing", "1h0m10s told b-high",
		"4h0m10s told b-high level-high", "8h0m10s told b-high level-high",
	)
	never := newBench(t, alarm.Config{Definitions: []alarm.Definition{gauge("level-high", alarm.Warning, 10)}, Repeat: -1})
	never.board.set("level", "", 11)
	never.run(24 * time.Hour)
	never.want("0s level-high no_data>firing", "10s told level-high")
}

// TestFlapping: an alarm that comes and goes as fast as it can for a day.
func TestFlapping(t *testing.T) {
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{gauge("level-high", alarm.Warning, 10)}})
	sent := map[time.Duration]int{}
	for i := range 24 * 360 {
		b.board.set("level", "", float64(11-10*(i/2%2)))
		sent[b.now.Sub(simStart()).Truncate(time.Hour)] += len(b.tick())
	}
	total := 0
	for hour, n := range sent {
		total += n
		if n > 6 {
			t.Errorf("%d notices in the hour from %v", n, hour)
		}
	}
	if total < 5 || total > 20 {
		t.Errorf("%d notices in a day of flapping", total)
	}
	b.board.set("level", "", 1)
	b.log = nil
	b.run(time.Hour)
	if len(b.log) == 0 || !strings.HasSuffix(b.log[len(b.log)-1], "resolved level-high") {
		t.Errorf("after an hour of rest: %q", b.log)
	}
}

func TestRestart(t *testing.T) {
	d := gauge("level-high", alarm.Warning, 10)
	d.M, d.N = 2, 3
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{d}})
	b.board.set("level", "", 11)
	b.run(time.Minute)
	before := b.e.Statuses()
	b.restart()
	if d := cmp.Diff(before, b.e.Statuses()); d != "" {
		t.Errorf("statuses after a restart (-before +after):\n%s", d)
	}
	b.run(time.Minute)
	b.restart()
	b.board.set("level", "", 1)
	b.run(time.Minute)
	b.want(
		"10s level-high ok>firing", "20s told level-high",
		"2m20s level-high firing>ok", "2m30s resolved level-high", // three good judgements
	)
}

func TestStrays(t *testing.T) {
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{gauge("level-high", alarm.Critical, 10)}})
	b.board.set("level", "", 11)
	b.run(20 * time.Second)
	b.cfg.Definitions = []alarm.Definition{gauge("other", alarm.Warning, 100)}
	b.restart()
	b.log = nil
	b.run(time.Minute)
	b.want("30s resolved level-high")
	if n := len(b.e.Kept().Told); n != 0 {
		t.Errorf("%d strays are kept for ever", n)
	}
}

func TestFiring(t *testing.T) {
	var defs []alarm.Definition
	for _, name := range []string{"b-high", "a-high", "c-high"} {
		defs = append(defs, gauge(name, alarm.Warning, 10))
	}
	defs[2].Severity = alarm.Critical
	off := gauge("off", alarm.Critical, 1)
	off.Off = true
	external := gauge("external", alarm.Critical, 1)
	external.External, external.Metric = true, "AWS/Lambda Throttles"
	b := newBench(t, alarm.Config{Definitions: append(defs, off, external)})
	b.board.set("level", "", 11)
	b.tick()
	var names []string
	for _, s := range b.e.Firing() {
		names = append(names, s.Name)
	}
	if d := cmp.Diff([]string{"c-high", "a-high", "b-high"}, names); d != "" {
		t.Error(d)
	}
	if len(b.e.Definitions()) != 5 || len(b.e.Statuses()) != 3 {
		t.Errorf("%d definitions, %d with states", len(b.e.Definitions()), len(b.e.Statuses()))
	}
}

// TestReceiver: whatever happens — values, silences, restarts — a receiver who believes the notices is told
// of an end only after a beginning, of a beginning only once (but
// after silences; the test is shorter than what reminders wait for), and ends up believing what is true.
func TestReceiver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		by := gauge("by-high", alarm.Warning, 10)
		by.Metric, by.By, by.M, by.N = "by", "target", 1, 2
		defs := []alarm.Definition{gauge("level-warning", alarm.Warning, 10), gauge("level-critical", alarm.Critical, 20), by}
		b := newBench(t, alarm.Config{Definitions: defs, Group: 10 * time.Second})
		believed := map[string]bool{}
		freed := map[string]bool{} // what was silenced since it was told
		receive := func(notices []alarm.Notice) {
			for _, n := range notices {
				for _, i := range n.Items {
					key := label(i.Name, i.Of)
					told := believed[key]
					switch {
					case n.Resolved && !told:
						rt.Fatalf("%s is resolved and was not told", key)
					case n.Resolved:
						delete(believed, key)
					case told && !freed[key]:
						rt.Fatalf("%s is told again", key)
					default:
						believed[key] = true
						delete(freed, key)
					}
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				b.restart()
			case 1:
				name := rapid.SampledFrom([]string{"*", "level-warning", "level-critical", "by-high"}).Draw(rt, "silenced")
				if _, err := b.e.Silence(alarm.Silence{Alarm: name, From: b.now, Until: b.now.Add(time.Duration(rapid.IntRange(1, 60).Draw(rt, "for")) * 10 * time.Second)}); err != nil {
					rt.Fatal(err)
				}
			case 2:
				for _, s := range b.e.Silences(b.now) {
					if err := b.e.Unsilence(s.ID, b.now); err != nil {
						rt.Fatal(err)
					}
				}
			case 3, 4, 5:
				b.board.set("level", "", rapid.SampledFrom([]float64{5, 15, 25}).Draw(rt, "level"))
			case 6:
				b.board.set("by", rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "target"), rapid.SampledFrom([]float64{5, 15}).Draw(rt, "value"))
			case 7:
				delete(b.board["by"], "a")
			}
			for range rapid.IntRange(1, 12).Draw(rt, "ticks") {
				if silencedNow(b) {
					maps.Copy(freed, believed)
				}
				receive(b.tick())
			}
		}
		for end := b.now.Add(70 * time.Minute); b.now.Before(end); {
			receive(b.tick())
		}
		critical := b.e.Statuses()["level-critical"][0].State == alarm.Firing
		for _, s := range b.e.Firing() {
			if s.Name == "level-warning" && critical {
				delete(believed, "level-warning") // told or not: both are right
				continue
			}
			if !believed[label(s.Name, s.Of)] {
				rt.Fatalf("%s fires and nobody knows", label(s.Name, s.Of))
			}
			delete(believed, label(s.Name, s.Of))
		}
		if len(believed) > 0 {
			rt.Fatalf("believed to fire: %v", believed)
		}
	})
}

func silencedNow(b *bench) bool {
	return slices.ContainsFunc(b.e.Silences(b.now), func(s alarm.Silence) bool { return !b.now.Before(s.From) })
}

func TestSilence(t *testing.T) {
	d := []alarm.Definition{gauge("level-high", alarm.Warning, 10)}
	silence := func(b *bench, from, d time.Duration) alarm.Silence {
		b.t.Helper()
		s, err := b.e.Silence(alarm.Silence{Alarm: "level-high", From: b.now.Add(from), Until: b.now.Add(from + d), By: "ada", Comment: "known"})
		if err != nil || s.ID == "" {
			b.t.Fatalf("silence %+v: %v", s, err)
		}
		return s
	}
	t.Run("it begins and ends within", func(t *testing.T) {
		b := newBench(t, alarm.Config{Definitions: d})
		silence(b, 0, time.Minute)
		b.board.set("level", "", 11)
		b.run(30 * time.Second)
		b.board.set("level", "", 1)
		b.run(2 * time.Minute)
		b.want("0s level-high no_data>firing silenced", "30s level-high firing>ok silenced")
	})
	t.Run("it still fires at the end", func(t *testing.T) {
		b := newBench(t, alarm.Config{Definitions: d})
		silence(b, 0, time.Minute)
		b.board.set("level", "", 11)
		b.run(2 * time.Minute)
		b.want("0s level-high no_data>firing silenced", "1m10s told level-high")
	})
	t.Run("it was told before and still fires at the end", func(t *testing.T) {
		b := newBench(t, alarm.Config{Definitions: d})
		b.board.set("level", "", 11)
		b.run(time.Minute)
		silence(b, 0, 6*time.Hour)
		b.run(7 * time.Hour)
		b.want("0s level-high no_data>firing", "10s told level-high", "6h1m10s told level-high")
	})
	t.Run("it was told before and ends within", func(t *testing.T) {
		b := newBench(t, alarm.Config{Definitions: d})
		b.board.set("level", "", 11)
		b.run(time.Minute)
		silence(b, 0, time.Hour)
		b.board.set("level", "", 1)
		b.run(2 * time.Hour)
		b.want("0s level-high no_data>firing", "10s told level-high", "1m0s level-high firing>ok silenced", "1h1m10s resolved level-high")
	})
	t.Run("ended by hand", func(t *testing.T) {
		b := newBench(t, alarm.Config{Definitions: d})
		s := silence(b, 0, time.Hour)
		b.board.set("level", "", 11)
		b.run(time.Minute)
		if err := b.e.Unsilence(s.ID, b.now); err != nil {
			t.Fatal(err)
		}
		b.run(time.Minute)
		b.want("0s level-high no_data>firing silenced", "1m10s told level-high")
		if err := b.e.Unsilence(s.ID, b.now); llm.KindOf(err) != llm.CallerNotFound {
			t.Errorf("ended twice: %v", err)
		}
	})
	t.Run("in the future, and over a restart", func(t *testing.T) {
		b := newBench(t, alarm.Config{Definitions: d})
		silence(b, time.Hour, time.Hour)
		b.restart()
		if n := len(b.e.Silences(b.now)); n != 1 {
			t.Fatalf("%d silences after a restart", n)
		}
		b.board.set("level", "", 11)
		b.run(30 * time.Second)
		b.board.set("level", "", 1)
		b.run(time.Hour)
		b.board.set("level", "", 11)
		b.run(time.Minute)
		b.restart()
		b.run(2 * time.Hour)
		b.want(
			"0s level-high no_data>firing", "10s told level-high", "30s level-high firing>ok", "40s resolved level-high",
			"1h0m30s level-high ok>firing silenced", "2h0m10s told level-high",
		)
		if n := len(b.e.Kept().Silences); n != 0 {
			t.Errorf("%d silences are kept after their end", n)
		}
	})
	t.Run("one value, and all", func(t *testing.T) {
		by := gauge("level-high", alarm.Warning, 10)
		by.By = "target"
		b := newBench(t, alarm.Config{Definitions: []alarm.Definition{by}})
		if _, err := b.e.Silence(alarm.Silence{Alarm: "*", Of: "a", Until: b.now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		b.board.set("level", "a", 11)
		b.board.set("level", "b", 11)
		b.run(30 * time.Second)
		b.want("0s level-high/a no_data>firing silenced", "0s level-high/b no_data>firing", "10s told level-high/b")
	})
}

func TestSilenceRefused(t *testing.T) {
	b := newBench(t, alarm.Config{Definitions: []alarm.Definition{gauge("level-high", alarm.Warning, 10)}})
	now := b.now
	for name, s := range map[string]alarm.Silence{
		"unknown":  {Alarm: "level-low", Until: now.Add(time.Hour)},
		"no end":   {Alarm: "*"},
		"backward": {Alarm: "*", From: now, Until: now.Add(-time.Hour)},
		"for ever": {Alarm: "*", From: now, Until: now.AddDate(2, 0, 0)},
		"a novel":  {Alarm: "*", Until: now.Add(time.Hour), Comment: strings.Repeat("x", 501)},
	} {
		if _, err := b.e.Silence(s); llm.KindOf(err) != llm.CallerInvalidRequest || llm.AsError(err).Fix == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	ids := map[string]bool{}
	for range 1000 {
		s, err := b.e.Silence(alarm.Silence{Alarm: "*", Until: now.Add(time.Hour)})
		if err != nil || ids[s.ID] {
			t.Fatalf("%q: %v", s.ID, err)
		}
		ids[s.ID] = true
	}
	if _, err := b.e.Silence(alarm.Silence{Alarm: "*", Until: now.Add(time.Hour)}); llm.AsError(err).Limit != "silences" {
		t.Errorf("beyond the bound: %v", err)
	}
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	b := newBench(t, alarm.Config{Definitions: alarm.Profile(alarm.Analysis)})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				b.e.Statuses()
				b.e.Firing()
				b.e.Kept()
				if s, err := b.e.Silence(alarm.Silence{Alarm: "*", Until: simStart().Add(time.Hour)}); err == nil {
					_ = b.e.Unsilence(s.ID, simStart())
				}
			}
		})
	}
	b.run(time.Hour)
	wg.Wait()
}
