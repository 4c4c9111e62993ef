package prices_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/cost"
	"github.com/forebay-ai/forebay/cost/prices"
	"github.com/forebay-ai/forebay/cost/prices/internal/tables"
)

// regenerate says what to do about most failures here.
const regenerate = "; run go generate ./cost/prices, look at what changed, and give new differences a reason in internal/tables/reasons.yaml"

// publicTables reads the three tables, where they are.
func publicTables(t *testing.T) *tables.Set {
	t.Helper()
	set, err := tables.Read(dataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func dataDir(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("FOREBAY_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(shared, "data", "pricing")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the public tables of prices are not here (set FOREBAY_SHARED to the folder that holds data/pricing): prices cannot be compared")
	}
	return dir
}

// Every amount of the three tables is here, or its difference is in the committed list;
// and the list has no difference that is none.
func TestDifferences(t *testing.T) {
	found, err := tables.Explain(tables.Compare(prices.Embedded(), publicTables(t)))
	if err != nil {
		t.Fatal(err)
	}
	listed, err := os.ReadFile("differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(listed), "\n"), strings.Split(found, "\n")); diff != "" {
		t.Errorf("the list of differences is not what there is (- listed, + found)%s:\n%s", regenerate, shorten(diff))
	}
}

func shorten(text string) string {
	if len(text) > 4000 {
		return text[:4000] + "\n..."
	}
	return text
}

// No difference is without a reason, and no reason without a difference.
func TestReasons(t *testing.T) {
	listed, err := os.ReadFile("differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for line := range strings.Lines(string(listed)) {
		id, _, _ := strings.Cut(line, ": ")
		if used[id] = true; id == tables.Unexplained {
			t.Errorf("unexplained%s: %s", regenerate, line)
		}
	}
	reasons, err := tables.Reasons()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range reasons {
		if !used[r.ID] {
			t.Errorf("the reason %s explains nothing: remove it", r.ID)
		}
		if seen[r.ID] || r.Text == "" || r.Right == "" || len(r.Match) == 0 {
			t.Errorf("the reason %s is twice there or not complete", r.ID)
		}
		seen[r.ID] = true
	}
}

// A price that is changed by a micro-dollar, added or taken away is a difference.
func TestComparisonSees(t *testing.T) {
	set := publicTables(t)
	before := len(tables.Compare(prices.Embedded(), set))
	for _, model := range []string{"gpt-4o", "gpt-5.6-luna", "claude-sonnet-5", "amazon.nova-pro-v1:0"} {
		provider := map[byte]string{'g': prices.OpenAI, 'c': prices.Anthropic, 'a': prices.Bedrock}[model[0]]
		text := fmt.Sprintf("prices: [{provider: %s, model: '%s', input: 0.000001, output: 1}]", provider, model)
		o, err := prices.ParseOverride("test", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if after := len(tables.Compare(prices.Embedded().With(o), set)); after <= before {
			t.Errorf("%s with another price: %d differences, %d before", model, after, before)
		}
	}
	if got := tables.Compare(&prices.Table{}, set); len(got) < 500 {
		t.Errorf("the empty table has %d differences", len(got))
	}
}

// The embedded table and the documentation are what their generators make.
func TestGenerated(t *testing.T) {
	listed, err := os.ReadFile("differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	made, err := tables.Document(string(listed))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "prices.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), tables.MarkBegin+made+tables.MarkEnd) {
		t.Errorf("docs/prices.md is not up to date%s", regenerate)
	}
	for _, r := range cost.DefaultRates().All() {
		whole := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%06d", r.Micro/1_000_000, r.Micro%1_000_000), "0"), ".")
		if row := fmt.Sprintf("| %s | %s | %s | %s |", r.Currency, r.From.Format("2006-01-02"), whole, r.Source); !strings.Contains(string(page), row) {
			t.Errorf("docs/prices.md has no row %q", row)
		}
	}
	// The example of the page is one that works.
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	o, err := prices.ParseOverride("docs/prices.md", []byte(example))
	if err != nil || !ok || len(o.Entries()) != 2 || len(o.Rates().All()) != 1 {
		t.Errorf("the example: %v", err)
	}
}
