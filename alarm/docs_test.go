package alarm_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/alarm"
)

var update = flag.Bool("update", false, "write the generated part of the documentation")

const (
	tableBegins = "<!-- generated: the shipped alarms -->\n"
	tableEnds   = "<!-- end of the generated part -->\n"
)

func profiles() []string {
	return []string{alarm.Standard, alarm.Analysis, alarm.Interactive}
}

// table is the alarms of all profiles with their numbers.
func table(t *testing.T) string {
	t.Helper()
	var names []string
	byName := map[string]map[string]alarm.Definition{}
	for _, profile := range profiles() {
		for _, d := range alarm.Profile(profile) {
			if byName[d.Name] == nil {
				names = append(names, d.Name)
				byName[d.Name] = map[string]alarm.Definition{}
			}
			byName[d.Name][profile] = d.WithDefaults()
		}
	}
	var b strings.Builder
	b.WriteString("| alarm | severity | measured | standard | analysis | interactive | at least | judged | nothing measured |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, name := range names {
		var one alarm.Definition
		var limits, counts []string
		for _, profile := range profiles() {
			d, ok := byName[name][profile]
			if !ok {
				limits = append(limits, "–")
				continue
			}
			if one.Name != "" && (d.Measure != one.Measure || d.M != one.M || d.N != one.N || d.Missing != one.Missing || d.Severity != one.Severity) {
				t.Errorf("%s differs between profiles in more than its numbers", name)
			}
			one = d
			limits = append(limits, limitOf(d))
			counts = append(counts, fmt.Sprint(d.MinCount))
		}
		judged := fmt.Sprintf("%d of %d, every %v", one.M, one.N, one.Every)
		least := strings.Join(slices.Compact(counts), " or ")
		missing := map[alarm.Missing]string{alarm.MissingKeeps: "stays", alarm.MissingIsOK: "ok", alarm.MissingIsBad: "fires"}[one.Missing]
		if one.External {
			judged = "in CloudWatch"
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s | %s | %s |\n", name, name, one.Severity, measured(one), strings.Join(limits, " | "),
			strings.TrimPrefix(least, "0"), judged, missing)
	}
	return b.String()
}

func limitOf(d alarm.Definition) string {
	switch {
	case d.Missing == alarm.MissingIsBad:
		return "nothing"
	case len(d.Burn) == 0:
		return d.Op + " " + d.Format(d.Threshold)
	}
	var pairs []string
	for _, p := range d.Burn {
		pairs = append(pairs, fmt.Sprintf("%g × %s", p.Factor, d.Format(d.Threshold)))
	}
	return strings.Join(pairs, ", ")
}

func measured(d alarm.Definition) string {
	text := "`" + d.Describe() + "`"
	if d.By != "" {
		text += " by " + d.By
	}
	if len(d.Burn) == 0 {
		return text + " over " + span(d.Window)
	}
	var pairs []string
	for _, p := range d.Burn {
		pairs = append(pairs, span(p.Long)+" and "+span(p.Short))
	}
	return text + " over " + strings.Join(pairs, ", or ")
}

func span(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= unit.of && d%unit.of == 0 {
			return fmt.Sprintf("%d%s", d/unit.of, unit.name)
		}
	}
	return d.String()
}

// TestDocumentation: the table in docs is that of the code, and every runbook link leads
// to a section.
func TestDocumentation(t *testing.T) {
	path := filepath.Join("..", "docs", "alarms.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), tableBegins)
	got, tail, ok2 := strings.Cut(rest, tableEnds)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", path)
	}
	want := table(t)
	if *update {
		if err := os.WriteFile(path, []byte(head+tableBegins+want+tableEnds+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		got = want
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s differs (go test ./alarm -run Documentation -update writes it):\n%s", path, d)
	}
	if drill := fmt.Sprintf("drill with %d injected incidents", len(incidents())); !strings.Contains(string(data), drill) {
		t.Errorf("%s does not speak of a %s", path, drill)
	}
	for _, profile := range profiles() {
		for _, d := range alarm.Profile(profile) {
			page, anchor, _ := strings.Cut(d.Runbook, "#")
			if page != "docs/alarms.md" || !strings.Contains(string(data), `<a id="`+anchor+`"></a>`) {
				t.Errorf("the runbook %s of %s leads nowhere", d.Runbook, d.Name)
			}
		}
	}
}
