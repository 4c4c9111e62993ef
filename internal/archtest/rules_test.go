package archtest_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/internal/archtest"
)

// files is a tree; go.mod is added.
type files map[string]string

func load(t *testing.T, fs files) *archtest.Tree {
	t.Helper()
	m := fstest.MapFS{"go.mod": {Data: []byte("module m\n\ngo 1.26\n")}}
	for name, content := range fs {
		m[name] = &fstest.MapFile{Data: []byte(content)}
	}
	tree, err := archtest.Load(m)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func long(head string, lines int) string {
	return head + "func f() {\n" + strings.Repeat("\tprintln()\n", lines-2) + "}\n"
}

func layersOf(rows ...archtest.Layer) func(*archtest.Tree) []archtest.Finding {
	return func(t *archtest.Tree) []archtest.Finding { return archtest.Layers(t, rows) }
}

// example is a tree and what a rule finds in it.
type example struct {
	name string
	rule func(*archtest.Tree) []archtest.Finding
	tree files
	want []string
}

// check shows a rule failing on trees made for it, and passing on those that differ
// by what the rule asks for.
func check(t *testing.T, examples []example) {
	for _, tt := range examples {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range tt.rule(load(t, tt.tree)) {
				got = append(got, f.String())
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLayers(t *testing.T) {
	low, mid, side := archtest.Layer{Package: "low"}, archtest.Layer{Package: "mid", Layer: 1}, archtest.Layer{Package: "side", Layer: 1}
	check(t, []example{
		{
			"downward import", layersOf(low, mid),
			files{"low/a.go": "package low", "mid/a.go": "package mid\nimport _ \"m/low\""},
			nil,
		},
		{
			"upward import", layersOf(low, mid),
			files{"low/a.go": "package low\nimport _ \"m/mid\"", "mid/a.go": "package mid"},
			[]string{"low/a.go:2: low (layer 0) imports mid (layer 1)"},
		},
		{
			"sideways import", layersOf(mid, side),
			files{"mid/a.go": "package mid\nimport _ \"m/side\"", "side/a.go": "package side"},
			[]string{"mid/a.go:2: mid (layer 1) imports side (layer 1)"},
		},
		{
			"tests may import across layers", layersOf(mid, side),
			files{"mid/a.go": "package mid", "mid/a_test.go": "package mid\nimport _ \"m/side\"", "side/a.go": "package side"},
			nil,
		},
		{
			"package without a layer", layersOf(low),
			files{"low/a.go": "package low", "new/a.go": "package new"},
			[]string{"new: has no layer: give it a row in the table of layers"},
		},
		{
			"row without a package", layersOf(low, mid),
			files{"low/a.go": "package low", "mid/a_test.go": "package mid"},
			[]string{"mid: has a row in the table of layers and no code: remove the row"},
		},
		{
			"row twice", layersOf(low, low),
			files{"low/a.go": "package low"},
			[]string{"low: stands twice in the table of layers"},
		},
		{
			"standard library alone", layersOf(archtest.Layer{Package: "low", StdOnly: true}),
			files{"low/a.go": "package low\nimport (\n_ \"net/http\"\n_ \"example.com/x\"\n)"},
			[]string{"low/a.go:4: low imports example.com/x: it may import the standard library alone"},
		},
		{
			"importer that may not", layersOf(archtest.Layer{Package: "low", Importers: []string{"cfg"}}, mid),
			files{"low/a.go": "package low", "mid/a.go": "package mid\nimport _ \"m/low\""},
			[]string{"mid/a.go:2: mid imports low, which is for cfg alone"},
		},
		{
			"nested modules are not looked at", layersOf(low),
			files{"low/a.go": "package low", "bench/go.mod": "module b", "bench/a.go": "package bench", "bench/x/a.go": "package x"},
			nil,
		},
	})
}

func TestBudgets(t *testing.T) {
	check(t, []example{
		{"long function", archtest.Budgets, files{"a.go": long("package m\n", 41)}, []string{`a.go:2: f has 41 lines; a function has at most 40, or a comment that says "on purpose:"`}},
		{"function of 40 lines", archtest.Budgets, files{"a.go": long("package m\n", 40)}, nil},
		{"long function with a reason above", archtest.Budgets, files{"a.go": long("package m\n// f is straight on\n// purpose: why.\n", 41)}, nil},
		{
			"long function with a reason inside", archtest.Budgets,
			files{"a.go": strings.Replace(long("package m\n", 60), "{\n", "{\n// One straight line on purpose: why.\n", 1)},
			nil,
		},
		{
			"too long a function", archtest.Budgets,
			files{"a.go": long("package m\n// f is long on purpose: why.\n", 101)},
			[]string{"a.go:3: f has 101 lines; no function has more than 100"},
		},
		{"long test function", archtest.Budgets, files{"a_test.go": long("package m\n", 100)}, nil},
		{"too long a test function", archtest.Budgets, files{"a_test.go": long("package m\n", 101)}, []string{"a_test.go:2: f has 101 lines; no function has more than 100"}},
		{
			"long file", archtest.Budgets,
			files{"a.go": "package m\n" + strings.Repeat("//\n", 400)},
			[]string{`a.go: has 401 lines; a file has at most 400, or a comment that says "file is long on purpose:"`},
		},
		{"long file with a reason", archtest.Budgets, files{"a.go": "package m\n// This file is long on purpose: why.\n" + strings.Repeat("//\n", 400)}, nil},
		{
			"too long a file", archtest.Budgets,
			files{"a_test.go": "package m\n// This file is long on purpose: why.\n" + strings.Repeat("//\n", 800)},
			[]string{"a_test.go: has 802 lines; no file has more than 800"},
		},
		{"generated file", archtest.Budgets, files{"a.go": "// Code generated by x. DO NOT EDIT.\n\npackage m\n" + strings.Repeat("//\n", 900)}, nil},
		{"long package", archtest.Budgets, longPackage(), []string{".: has 3200 lines; a package has at most 3000, or a comment that says \"package is long on purpose:\""}},
		{"long package with a reason", archtest.Budgets, withReason(longPackage()), nil},
		{
			"wide interface", archtest.Budgets,
			files{"a.go": "package m\ntype I interface{ A(); B(); C(); D(); E(); F() }"},
			[]string{"a.go:2: interface I has 6 methods; an interface has at most 5"},
		},
		{
			"many parameters", archtest.Budgets,
			files{"a.go": "package m\nfunc f(a, b, c, d, e, g int) {}\ntype I interface{ M(a, b, c, d, e, f int) }"},
			[]string{"a.go:2: f has 6 parameters; beyond 5 they are a struct", "a.go:3: I.M has 6 parameters; beyond 5 they are a struct"},
		},
	})
}

func TestComments(t *testing.T) {
	check(t, []example{
		{"no package comment", archtest.PackageComments, files{"a.go": "package m"}, []string{".: has no package comment"}},
		{
			"poor package comment", archtest.PackageComments,
			files{"a.go": "// This is it.\npackage m"},
			[]string{`a.go: the package comment does not begin with "Package m "`, "a.go: the package comment has 3 words; say what the package is and what it is not"},
		},
		{
			"two package comments", archtest.PackageComments,
			files{"a.go": "// Package m is the thing that it is, and it is not another thing.\npackage m", "b.go": "// Package m too.\npackage m"},
			[]string{"b.go: is a second package comment; the first is in a.go"},
		},
		{
			"undocumented names", archtest.Documented,
			files{"a.go": "package m\nfunc F() {}\ntype T int\nfunc (T) M() {}\nfunc (t) M() {}\nconst C = 1\nvar (\n\t// V is fine.\n\tV = 1\n\tW = 2\n)\n"},
			[]string{"a.go:2: F is exported and has no comment", "a.go:3: T is exported and has no comment", "a.go:4: M is exported and has no comment", "a.go:6: C is exported and has no comment", "a.go:10: W is exported and has no comment"},
		},
		{"comment without an end", archtest.Documented, files{"a.go": "package m\n// F does\nfunc F() {}"}, []string{"a.go:3: the comment of F does not end as a sentence"}},
	})
}

func TestHabits(t *testing.T) {
	check(t, []example{
		{"drawer", archtest.Names, files{"util/a.go": "package util", "x/a.go": "package helpers"}, []string{"util: is named for no noun of the domain", "x: is named for no noun of the domain"}},
		{"long main", archtest.Mains, files{"cmd/x/main.go": "package main\n" + strings.Repeat("//\n", 39)}, []string{"cmd/x/main.go: has 40 lines; a main file has less than 40"}},
		{"init", archtest.State, files{"a.go": "package m\nfunc init() {}"}, []string{"a.go:2: has an init function; do the work where it is asked for"}},
		{
			"package state", archtest.State,
			files{"a.go": "package m\nvar _ = 1\nfunc h() { _ = 2 }\nvar mu sync.Mutex\nvar n int\nvar reg = map[string]int{}\n// pool is shared on purpose: why.\nvar pool = sync.Pool{}\n", "b.go": "package m\nfunc f() { n++; reg[\"a\"] = 1 }\nfunc g() { n := 1; n++ }\n"},
			[]string{"a.go:4: mu is package-level state (sync.Mutex); give it an owner", "b.go:2: assigns the package-level variable n", "b.go:2: assigns the package-level variable reg"},
		},
		{
			"paths of a machine", func(t *archtest.Tree) []archtest.Finding { return archtest.Mentions(t, []string{"mirror.example"}) },
			files{"a.md": "see " + "/wor" + "k/x\nor https://example.com/wor" + "k/x\nat mirror.example\n", "bench/go.mod": "module b", "bench/x.sh": "cd \"/ho" + "me/me\""},
			[]string{"a.md:1: names a path of one machine: /wor" + "k/x", "a.md:3: names a host of one machine's surroundings", "bench/x.sh:1: names a path of one machine: \"/ho" + "me/m"},
		},
		{"no map", archtest.Architecture, files{"a.go": "package m"}, []string{"ARCHITECTURE.md: is missing"}},
		{
			"map names what is gone", archtest.Architecture,
			files{
				"ARCHITECTURE.md": "`low/`, `p/{a,b}`, `gone.go` and `low.F`, `low.Gone`, `POST /v1/x`, `/v1/x`, `testing/synctest`, `text/plain`, `http.Handler`\n",
				"low/a.go":        "package low\nimport _ \"testing/synctest\"\nfunc F() {}", "p/a/a.go": "package a", "low/internal/x/x.go": "package x",
			},
			[]string{"ARCHITECTURE.md:1: names p/b, which is not there", "ARCHITECTURE.md:1: names gone.go, which is not there", "ARCHITECTURE.md:1: names low.Gone, which is not there"},
		},
		{"map forgets a package", archtest.Architecture, files{"ARCHITECTURE.md": "`low`", "low/a.go": "package low", "mid/a.go": "package mid"}, []string{"ARCHITECTURE.md: does not name the package mid"}},
		{"broken file", func(t *archtest.Tree) []archtest.Finding { return t.Broken }, files{"a.go": "package"}, []string{"a.go: does not parse: a.go:1:8: expected 'IDENT', found 'EOF'"}},
		{
			"heavy library", func(*archtest.Tree) []archtest.Finding {
				return archtest.Light([]string{"fmt", "github.com/aws/aws-sdk-go-v2/aws"}, archtest.Heavy())
			}, files{}, []string{".: the library pulls in github.com/aws/aws-sdk-go-v2/aws: only config and internal/app may"},
		},
	})
}

// withReason gives a package its reason.
func withReason(files map[string]string) map[string]string {
	files["reason.go"] = "// Package p is here.\n//\n// The package is long on purpose: it has to be.\npackage p\n"
	return files
}

func longPackage() files {
	fs := files{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		fs[name+".go"] = "package m\n" + strings.Repeat("//\n", 399)
	}
	return fs
}

func TestLoadNeedsAModule(t *testing.T) {
	for _, fs := range []fstest.MapFS{{}, {"go.mod": {Data: []byte("go 1.26")}}} {
		if _, err := archtest.Load(fs); err == nil {
			t.Errorf("Load(%v) gives no error", fs)
		}
	}
}
