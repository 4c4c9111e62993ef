package archtest

import (
	"go/ast"
	"slices"
	"strings"
)

// Layer is a package's place. A package imports only packages of this module
// whose layer is lower; so packages of one layer never import one another.
type Layer struct {
	Package string // below the module's root; "." for the root
	Layer   int
	// StdOnly refuses every import but the standard library's.
	StdOnly bool
	// Importers, where not nil, are the only packages that import this one.
	Importers []string
}

// Table is the order of this module's packages, from the bottom. A row in it is a
// decision: the same layer means "never import one another", as for the policies
// (cache, queue, limit, breaker, degrade, cost, privacy, monitor) and for config
// and gateway. One table on purpose: rows read best together.
func Table() []Layer {
	return append(policies(), doors()...)
}

// wiring is what builds a Config: providers and stores are handed to forebay.New.
func wiring(others ...string) []string { return append(others, "config", "internal/app") }

// policies are the rows up to the root package. One table on purpose: rows read best together.
func policies() []Layer {
	return []Layer{
		{Package: "llm", Layer: 0, StdOnly: true},
		{Package: "envelope", Layer: 0},
		{Package: "dialect/internal/scan", Layer: 0},
		{Package: "dialect/internal/intake", Layer: 0, StdOnly: true, Importers: []string{"dialect/openai", "dialect/bedrock"}},
		{Package: "internal/near", Layer: 0, StdOnly: true},
		{Package: "internal/ident", Layer: 0, StdOnly: true},
		{Package: "internal/archtest", Layer: 0, StdOnly: true},
		{Package: "internal/testreport", Layer: 0, StdOnly: true},

		{Package: "internal/awstest", Layer: 0, Importers: []string{}},
		{Package: "internal/runtimeapi", Layer: 0, StdOnly: true, Importers: []string{}},
		{Package: "internal/crashtest", Layer: 0, StdOnly: true, Importers: []string{}},

		{Package: "llm/llmtest", Layer: 1},
		{Package: "failure", Layer: 1},
		{Package: "dialect/internal/edge", Layer: 1, Importers: []string{"dialect/openai", "dialect/bedrock"}},
		{Package: "dialect/internal/canonical", Layer: 1, Importers: []string{"dialect/openai", "dialect/bedrock"}},
		{Package: "pace", Layer: 1},
		{Package: "route", Layer: 1},
		{Package: "cache", Layer: 1},
		{Package: "similar", Layer: 1},
		{Package: "coalesce", Layer: 1},
		{Package: "queue", Layer: 1},
		{Package: "backlog", Layer: 1},
		{Package: "webhook", Layer: 1},
		{Package: "limit", Layer: 1},
		{Package: "breaker", Layer: 1},
		{Package: "degrade", Layer: 1},
		{Package: "cost", Layer: 1},
		{Package: "monitor", Layer: 1},
		{Package: "series", Layer: 1},
		{Package: "alarm", Layer: 1},
		{Package: "budget", Layer: 1},
		{Package: "requestlog", Layer: 1},
		{Package: "access", Layer: 2},
		{Package: "access/sigv4", Layer: 1},
		{Package: "awsclient/connect", Layer: 0},
		{Package: "awsclient", Layer: 1},
		{Package: "awsclient/responsecache", Layer: 2},
		{Package: "awsclient/poolmetrics", Layer: 2, Importers: []string{}},
		{Package: "telemetry/xray", Layer: 0, StdOnly: true},
		{Package: "telemetry/cloudwatch/names", Layer: 0, StdOnly: true},
		{Package: "telemetry/cloudwatch", Layer: 2, Importers: wiring("internal/lambdaapp")},
		{Package: "internal/memnet", Layer: 1},
		{Package: "internal/replay", Layer: 1},

		{Package: "dialect/openai", Layer: 2},
		{Package: "dialect/payload", Layer: 2},
		{Package: "dialect/bedrock", Layer: 2},
		{Package: "dialect/translate/internal/jsonbody", Layer: 1, Importers: []string{"dialect/translate", "dialect/translate/internal/request"}},
		{Package: "dialect/translate/internal/request", Layer: 3, Importers: []string{"dialect/translate"}},
		{Package: "dialect/translate", Layer: 4},
		{Package: "internal/faulttest", Layer: 0, StdOnly: true, Importers: []string{}},

		{Package: "config/internal/settings", Layer: 2, Importers: []string{"config"}},
		{Package: "config/internal/textdir", Layer: 2, Importers: []string{"config"}},
		{Package: "provider/internal/exchange", Layer: 3, Importers: []string{"provider/openai", "provider/bedrock"}},
		{Package: "provider/internal/wiretest", Layer: 3, Importers: []string{}},
		{Package: "provider/openai", Layer: 4, Importers: wiring()},
		{Package: "provider/bedrock", Layer: 4, Importers: wiring()},
		// The command line serves the simulated provider by itself and scripts its faults.
		{Package: "provider/simulated", Layer: 4, Importers: wiring("internal/cli")},
		{Package: "store/storetest", Layer: 2, Importers: []string{}},
		{Package: "store/storetest/backlogtest", Layer: 2, Importers: []string{}},
		{Package: "store/sqlite/internal/sqlfile", Layer: 1, Importers: []string{"store/sqlite", "store/sqlite/internal/keydb", "store/sqlite/internal/queuedb", "store/sqlite/internal/logdb"}},
		{Package: "store/sqlite/internal/logdb", Layer: 3, Importers: []string{"store/sqlite"}},
		{Package: "store/sqlite/internal/keydb", Layer: 2, Importers: []string{"store/sqlite"}},
		{Package: "store/sqlite/internal/queuedb", Layer: 2, Importers: []string{"store/sqlite"}},
		{Package: "store/sqlite", Layer: 4, Importers: wiring("config/internal/local")},
		{Package: "config/internal/local", Layer: 5, Importers: []string{"config"}},
		{Package: "config/internal/senders", Layer: 3, Importers: []string{"config"}},
		{Package: "store/dynamo/internal/calls", Layer: 1, Importers: []string{"store/dynamo", "store/dynamo/internal/jobtable"}},
		{Package: "store/dynamo/internal/jobtable", Layer: 2, Importers: []string{"store/dynamo"}},
		{Package: "store/dynamo", Layer: 4, Importers: wiring("internal/cli/awscmd", "internal/cli/alarmexport")},
		{Package: "fleet", Layer: 1},
		{Package: "store/storetest/ledgertest", Layer: 3, Importers: []string{}},
		{Package: "store/storetest/logtest", Layer: 3, Importers: []string{}},
		{Package: "cost/prices", Layer: 2, Importers: wiring("cost/prices/gen", "cost/prices/internal/tables")},
		{Package: "cost/prices/internal/tables", Layer: 3, Importers: []string{"cost/prices/gen"}},
		{Package: "cost/prices/gen", Layer: 4, Importers: []string{}},
		{Package: "ledger", Layer: 2},
		{Package: "alarm/notify", Layer: 2},
		{Package: "alarm/export", Layer: 2},
		{Package: "telemetry", Layer: 2, Importers: wiring()},
		{Package: "jobs", Layer: 2},
		{Package: "jobs/form", Layer: 2, Importers: []string{"."}},
		{Package: "health", Layer: 2},
		{Package: "upstream", Layer: 2},
		{Package: ".", Layer: 3},
	}
}

// doors are the rows of what is made of the root package. One table on purpose: rows read best together.
func doors() []Layer {
	return []Layer{
		{Package: "warmup", Layer: 4},
		{Package: "observe", Layer: 4},
		{Package: "internal/estimate", Layer: 4},
		{Package: "integration/intercept", Layer: 4},
		{Package: "integration/middleware", Layer: 4},
		{Package: "integration/roundtripper", Layer: 5},
		{Package: "integration/bedrockmw", Layer: 5},

		{Package: "config", Layer: 6},
		{Package: "gateway/form", Layer: 4, Importers: []string{"gateway", "awslambda"}},
		{Package: "gateway/head", Layer: 4, Importers: []string{"gateway"}},
		{Package: "gateway/wire", Layer: 1, StdOnly: true, Importers: []string{"gateway", "internal/app"}},
		{Package: "gateway", Layer: 5},

		{Package: "console", Layer: 6},
		{Package: "dashboard", Layer: 6, Importers: []string{"internal/app"}},
		{Package: "deploy/observability", Layer: 6, Importers: []string{"internal/cli/alarmexport"}},

		{Package: "awslambda", Layer: 6, Importers: []string{"internal/lambdaapp", "cmd/forebay-lambda"}},

		{Package: "internal/lambdaapp", Layer: 7, Importers: []string{"cmd/forebay-lambda"}},
		{Package: "internal/app", Layer: 7},
		{Package: "internal/cli/keypair", Layer: 7, Importers: []string{"internal/cli"}},
		{Package: "internal/cli/awscmd", Layer: 7, Importers: []string{"internal/cli"}},
		{Package: "internal/cli/alarmexport", Layer: 7, Importers: []string{"internal/cli"}},
		{Package: "internal/cli/show", Layer: 7, Importers: []string{"internal/cli"}},
		{Package: "internal/cli/top", Layer: 7, Importers: []string{"internal/cli"}},
		{Package: "internal/cli", Layer: 8},
		{Package: "cmd/forebay", Layer: 9},
		{Package: "cmd/forebay-lambda", Layer: 9},
		{Package: "internal/runtimeapi/hello", Layer: 9, Importers: []string{}},
	}
}

// Layers checks the imports of every file but tests against the table: no import
// upward or sideways, no package without a row, no row without a package.
func Layers(t *Tree, table []Layer) []Finding {
	rows := map[string]Layer{}
	var found []Finding
	for _, row := range table {
		if _, twice := rows[row.Package]; twice {
			found = append(found, Finding{Place: row.Package, Text: "stands twice in the table of layers"})
		}
		rows[row.Package] = row
	}
	seen := map[string]bool{}
	for _, p := range t.Packages {
		if !p.HasCode() {
			continue
		}
		seen[p.Path] = true
		row, ok := rows[p.Path]
		if !ok {
			found = append(found, Finding{Place: p.Path, Text: "has no layer: give it a row in the table of layers"})
			continue
		}
		found = append(found, t.importsOf(p, row, rows)...)
	}
	for _, row := range table {
		if !seen[row.Package] {
			found = append(found, Finding{Place: row.Package, Text: "has a row in the table of layers and no code: remove the row"})
		}
	}
	return found
}

func (t *Tree) importsOf(p *Package, row Layer, rows map[string]Layer) []Finding {
	var found []Finding
	for _, f := range p.Files {
		if f.Test {
			continue
		}
		t.imports(f, func(spec *ast.ImportSpec, local, full string) {
			dep, known := rows[local]
			switch {
			case row.StdOnly && strings.Contains(firstElement(full), "."):
				found = append(found, t.at(spec.Pos(), "%s imports %s: it may import the standard library alone", p.Path, full))
			case !known:
				// another module, or a package without a row, which is a finding of its own
			case dep.Layer >= row.Layer:
				found = append(found, t.at(spec.Pos(), "%s (layer %d) imports %s (layer %d)", p.Path, row.Layer, local, dep.Layer))
			case dep.Importers != nil && !slices.Contains(dep.Importers, p.Path):
				found = append(found, t.at(spec.Pos(), "%s imports %s, which is for %s alone", p.Path, local, strings.Join(dep.Importers, " and ")))
			}
		})
	}
	return found
}

func firstElement(importPath string) string {
	first, _, _ := strings.Cut(importPath, "/")
	return first
}

// Heavy are the modules that a program which only uses the library must not get:
// SDKs, databases and what only the binary needs.
func Heavy() []string {
	return []string{
		"github.com/aws/",
		"modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/ncruces/go-sqlite3",
		"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters",
		"github.com/spf13/", "github.com/goccy/go-yaml", "github.com/jedib0t/", "github.com/schollz/",
	}
}

// Light checks the transitive imports of the root package, as go list -deps gives
// them, against the modules that it must not pull in.
func Light(deps, heavy []string) []Finding {
	var found []Finding
	for _, dep := range deps {
		for _, prefix := range heavy {
			if strings.HasPrefix(dep, prefix) {
				found = append(found, Finding{Place: ".", Text: "the library pulls in " + dep + ": only config and internal/app may"})
			}
		}
	}
	return found
}
