package observability_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/deploy/observability"
	"github.com/forebay-ai/forebay/monitor"
)

var update = flag.Bool("update", false, "write the generated files anew")

// files are those that are committed, and what makes them.
var files = map[string]func() ([]byte, error){
	"grafana.json":          observability.Dashboard,
	"prometheus.yml":        func() ([]byte, error) { return observability.Prometheus(), nil },
	"otel-collector.yaml":   func() ([]byte, error) { return observability.Collector(), nil },
	"../../docs/metrics.md": observability.Reference,
}

func TestGenerated(t *testing.T) {
	for name, generate := range files {
		want, err := generate()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		path := filepath.FromSlash(name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its generator makes; go test ./deploy/observability -update writes it (-committed +generated):\n%s",
				name, cmp.Diff(string(got), string(want)))
		}
	}
}

// dashboard is what the tests read of the dashboard.
type dashboard struct {
	Templating struct {
		List []struct{ Name, Type string }
	}
	Panels []struct {
		ID          int
		Type, Title string
		Datasource  struct{ Type, UID string }
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct {
			Expr       string
			Datasource struct{ UID string }
		}
	}
}

func read(t *testing.T) dashboard {
	t.Helper()
	raw, err := observability.Dashboard()
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// expressions are those of all panels, as Grafana sends them.
func expressions(t *testing.T) []string {
	t.Helper()
	fill := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$operation", ".*")
	var all []string
	for _, p := range read(t).Panels {
		for _, target := range p.Targets {
			all = append(all, fill.Replace(target.Expr))
		}
	}
	if len(all) < 40 {
		t.Fatalf("%d expressions", len(all))
	}
	return all
}

// The dashboard can be imported anywhere: its data source is a variable, and its rows are
// the pages of the gateway's own.
func TestDashboard(t *testing.T) {
	d := read(t)
	if v := d.Templating.List[0]; v.Name != "datasource" || v.Type != "datasource" {
		t.Errorf("the first variable is %v", v)
	}
	var rows []string
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: the id %d is another's", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, there := taken[[2]int{x, y}]; there || x >= 24 {
					t.Fatalf("%s lies on %s, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s: %d queries of %s", p.Title, len(p.Targets), p.Datasource.UID)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("%s asks %s", p.Title, target.Datasource.UID)
			}
		}
	}
	if diff := cmp.Diff([]string{"Overview", "Operations", "Requests", "Cache", "Queue", "Reliability", "Alarms", "Cost"}, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every metric and every label that the dashboard names is in the vocabulary.
func TestDashboardNamesWhatIsThere(t *testing.T) {
	infos, err := observability.Vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]monitor.MetricInfo{}
	for _, info := range infos {
		byName[info.Name] = info
		if info.Kind == "histogram" {
			info.Labels = append(slices.Clone(info.Labels), "le")
			byName[info.Name+"_bucket"] = info
		}
	}
	selectors := regexp.MustCompile(`(forebay_[a-z0-9_]+)\{([^}]*)\}`)
	matcher := regexp.MustCompile(`([a-z_]+)[!=~]+"`)
	grouping := regexp.MustCompile(`by \(([^)]*)\)`)
	for _, expr := range expressions(t) {
		if strings.Count(expr, "forebay_") != len(selectors.FindAllString(expr, -1)) {
			t.Errorf("a metric without a choice of instances in %s", expr)
		}
		known := []string{"instance", "job"}
		for _, s := range selectors.FindAllStringSubmatch(expr, -1) {
			info, there := byName[s[1]]
			if !there {
				t.Errorf("there is no metric %s, in %s", s[1], expr)
			}
			known = append(known, info.Labels...)
			for _, l := range matcher.FindAllStringSubmatch(s[2], -1) {
				if l[1] != "instance" && !slices.Contains(info.Labels, l[1]) {
					t.Errorf("%s has no label %s, in %s", s[1], l[1], expr)
				}
			}
		}
		for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
			for _, label := range strings.Split(g[1], ", ") {
				if !slices.Contains(known, label) {
					t.Errorf("no metric of %s has the label %s", expr, label)
				}
			}
		}
	}
}

// Each part of the collector's pipelines is defined, and each that is defined is used.
func TestCollector(t *testing.T) {
	var c struct {
		Receivers, Processors, Exporters map[string]any
		Service                          struct {
			Pipelines map[string]struct{ Receivers, Processors, Exporters []string }
		}
	}
	if err := yaml.Unmarshal(observability.Collector(), &c); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for name, p := range c.Service.Pipelines {
		for _, part := range []struct {
			defined map[string]any
			used    []string
		}{{c.Receivers, p.Receivers}, {c.Processors, p.Processors}, {c.Exporters, p.Exporters}} {
			for _, u := range part.used {
				used[u] = true
				if _, there := part.defined[u]; !there {
					t.Errorf("pipeline %s uses %s, which is not defined", name, u)
				}
			}
			for d := range part.defined {
				if name == "metrics" && !slices.Contains(part.used, d) {
					t.Errorf("%s is defined and not used", d)
				}
			}
		}
	}
	if len(used) < 5 {
		t.Errorf("only %v", used)
	}
}

// The page names every metric and everything that the specifications list.
func TestReference(t *testing.T) {
	page, err := observability.Reference()
	if err != nil {
		t.Fatal(err)
	}
	infos, err := observability.Vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if !bytes.Contains(page, []byte("| `"+info.Name+"` |")) {
			t.Errorf("no row for %s", info.Name)
		}
		for _, l := range info.Labels {
			if !bytes.Contains(page, []byte("\n| "+l+" | ")) {
				t.Errorf("the label %s of %s is not explained", l, info.Name)
			}
		}
	}
	for _, row := range []string{
		"| A | alarm | response time, warning, 25 seconds | alarm `response-time-warning` of profile `analysis` (p95 > 25 s) |",
		"| A | alarm | response time, critical, 30 seconds | alarm `response-time-critical` of profile `analysis` (p95 > 30 s) |",
		"(share > 5 %)", "(share > 10 %)", "(mean > 50 requests)", "(mean > 100 requests)", "(share < 30 %)", "(share < 40 %)", "(p95 > 3 s)", "₹15",
		"(sum > 10 throttles)", "(last > 1000 users)", "(p99 > 5 s)", "(mean > 1.5 s)", "error budget of 1 %",
	} {
		if !bytes.Contains(page, []byte(row)) {
			t.Errorf("the page does not have %q", row)
		}
	}
}
