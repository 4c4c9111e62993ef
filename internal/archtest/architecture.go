package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// mapFile is the page that names what is where.
const mapFile = "ARCHITECTURE.md"

// Architecture checks ARCHITECTURE.md: every path and every package's exported
// name that it has in backticks exists, and every package is named.
//
// A path is a span with a slash in it, or with the ending of a file; a brace lists
// alternatives (`provider/{openai,simulated}`). A path that some file imports, as
// `testing/synctest`, is a package of elsewhere. A name is package.Name, where the
// package is one of this module. Routes (which begin with a slash), media types and
// everything else in backticks are not looked at.
func Architecture(t *Tree) []Finding {
	text, ok := t.Texts[mapFile]
	if !ok {
		return []Finding{{Place: mapFile, Text: "is missing"}}
	}
	var found []Finding
	named := map[string]bool{}
	exported := t.exportedNames()
	n := 0
	for line := range strings.Lines(text) {
		n++
		place := mapFile + ":" + strconv.Itoa(n)
		for _, span := range backticks.FindAllStringSubmatch(line, -1) {
			found = append(found, t.checkSpan(span[1], place, named, exported)...)
		}
	}
	for _, p := range t.Packages {
		detail := strings.Contains(p.Path, "/internal/") // the business of the package around it
		if p.HasCode() && p.Path != "." && !detail && !named[p.Path] {
			found = append(found, Finding{Place: mapFile, Text: "does not name the package " + p.Path})
		}
	}
	return found
}

var (
	backticks = regexp.MustCompile("`([^`\n]+)`")
	pathLike  = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.{},-]+)*/?$`)
	nameLike  = regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Z][A-Za-z0-9]*)`)
	fileLike  = regexp.MustCompile(`\.(go|md|yaml|yml|json|txt|mod|sum|sh)$`)
	mediaType = regexp.MustCompile(`^(application|text|image|audio)/`)
)

func (t *Tree) checkSpan(span, place string, named map[string]bool, exported map[string]map[string]bool) []Finding {
	var found []Finding
	if m := nameLike.FindStringSubmatch(span); m != nil {
		if names, ok := exported[m[1]]; ok && !names[m[2]] {
			found = append(found, Finding{Place: place, Text: fmt.Sprintf("names %s.%s, which is not there", m[1], m[2])})
		}
		return found
	}
	if !pathLike.MatchString(span) || mediaType.MatchString(span) {
		return nil
	}
	if t.imported(span) {
		return nil
	}
	isPath := strings.Contains(span, "/") || fileLike.MatchString(span)
	for _, p := range braces(strings.TrimSuffix(span, "/")) {
		named[p] = true
		if isPath && !t.Paths[p] {
			found = append(found, Finding{Place: place, Text: fmt.Sprintf("names %s, which is not there", p)})
		}
	}
	return found
}

// imported says whether a file imports exactly this path.
func (t *Tree) imported(importPath string) bool {
	for _, p := range t.Packages {
		for _, f := range p.Files {
			for _, spec := range f.Syntax.Imports {
				if spec.Path.Value == strconv.Quote(importPath) {
					return true
				}
			}
		}
	}
	return false
}

// braces expands the first brace of a path.
func braces(p string) []string {
	head, rest, ok := strings.Cut(p, "{")
	list, tail, closed := strings.Cut(rest, "}")
	if !ok || !closed {
		return []string{p}
	}
	var all []string
	for one := range strings.SplitSeq(list, ",") {
		all = append(all, head+one+tail)
	}
	return all
}

// exportedNames gives the exported top-level names by package name. Two packages
// of one name share an entry: the check is for names that nothing has any more.
func (t *Tree) exportedNames() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, p := range t.Packages {
		if !p.HasCode() || p.Name == "main" {
			continue
		}
		names := all[p.Name]
		if names == nil {
			names = map[string]bool{}
			all[p.Name] = names
		}
		if base := path.Base(p.Path); base != "." && base != p.Name {
			all[base] = names
		}
		for _, f := range p.Files {
			for _, d := range f.Syntax.Decls {
				addExported(names, d)
			}
		}
	}
	return all
}

func addExported(names map[string]bool, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		names[d.Name.Name] = true // methods too: `client.Submit` is how pages write them
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names[s.Name.Name] = true
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names[n.Name] = true
				}
			}
		}
	}
}
