package names_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/telemetry/cloudwatch/names"
)

var update = flag.Bool("update", false, "write the generated part of the documentation")

const (
	begins = "<!-- generated: the metrics -->\n"
	ends   = "<!-- end of the generated part -->\n"
)

func table() string {
	var b strings.Builder
	b.WriteString("| metric | unit | told apart by | specification | what | statistic |\n|---|---|---|---|---|---|\n")
	for _, m := range names.Metrics() {
		by := make([]string, 0, len(m.By))
		for _, d := range m.By {
			by = append(by, string(d))
		}
		statistic := map[names.Kind]string{names.Amount: "Sum", names.Growth: "Sum", names.Sample: "Maximum", names.Share: "Maximum"}[m.Kind]
		switch {
		case m.Kind == names.Event && m.Unit == names.Percent:
			statistic = "Average"
		case m.Kind == names.Event:
			statistic = "p50, p95, p99"
		case m.Fold == names.Min:
			statistic = "Minimum"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", m.Name, m.Unit, strings.Join(by, ", "), m.Spec, m.Doc, statistic)
	}
	return b.String()
}

// TestPage: the page lists what is published.
func TestPage(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "cloudwatch.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begins)
	_, after, closed := strings.Cut(rest, ends)
	if !ok || !closed {
		t.Fatalf("%s lacks the marks of its generated part", path)
	}
	want := before + begins + table() + ends + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, string(page)); d != "" {
		t.Errorf("%s differs (go test ./telemetry/cloudwatch/names -update writes it):\n%s", path, d)
	}
}
