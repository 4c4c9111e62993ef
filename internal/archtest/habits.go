package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mainLines is what a main file has room for: it calls internal/cli.
const mainLines = 40

// Names checks that no package is a drawer for everything.
func Names(t *Tree) []Finding {
	drawers := []string{"util", "utils", "common", "types", "helper", "helpers", "manager", "misc", "shared"}
	var found []Finding
	for _, p := range t.Packages {
		if slices.Contains(drawers, strings.TrimSuffix(p.Name, "_test")) || slices.Contains(drawers, path.Base(p.Path)) {
			found = append(found, Finding{Place: p.Path, Text: "is named for no noun of the domain"})
		}
	}
	return found
}

// Mains checks that the files below cmd are short.
func Mains(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		if p.Name != "main" || !strings.HasPrefix(p.Path, "cmd/") {
			continue
		}
		for _, f := range p.Files {
			if !f.Test && f.Lines >= mainLines {
				found = append(found, Finding{Place: f.Path, Text: fmt.Sprintf("has %d lines; a main file has less than %d", f.Lines, mainLines)})
			}
		}
	}
	return found
}

// State checks that no package has an init function or state of its own: variables
// that functions assign, and package-level locks, pools, counters and channels.
func State(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		vars := map[string]bool{}
		for _, f := range p.Files {
			if !f.Test {
				found = append(found, t.variables(f, vars)...)
			}
		}
		for _, f := range p.Files {
			if !f.Test {
				found = append(found, t.assignments(f, vars)...)
			}
		}
	}
	return found
}

// variables adds f's package-level variables to vars, those with a reason left out.
func (t *Tree) variables(f *File, vars map[string]bool) []Finding {
	var found []Finding
	for _, d := range f.Syntax.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			s := spec.(*ast.ValueSpec)
			if doc := firstComment(s.Doc, s.Comment, g.Doc); doc != nil && mentions(doc.Text(), reasonWords) {
				continue
			}
			for _, name := range s.Names {
				vars[name.Name] = name.Name != "_"
			}
			if kind := mutableKind(s); kind != "" {
				found = append(found, t.at(s.Pos(), "%s is package-level state (%s); give it an owner", s.Names[0].Name, kind))
			}
		}
	}
	return found
}

// mutableKind names the type of a variable that is state whatever it is used for.
func mutableKind(s *ast.ValueSpec) string {
	types := []ast.Expr{s.Type}
	for _, v := range s.Values {
		if u, ok := v.(*ast.UnaryExpr); ok {
			v = u.X
		}
		if c, ok := v.(*ast.CompositeLit); ok {
			types = append(types, c.Type)
		}
	}
	for _, e := range types {
		if _, ok := e.(*ast.ChanType); ok {
			return "a channel"
		}
		if i, ok := e.(*ast.IndexExpr); ok {
			e = i.X
		}
		sel, ok := e.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		if pkg, ok := sel.X.(*ast.Ident); ok && (pkg.Name == "sync" || pkg.Name == "atomic") {
			return pkg.Name + "." + sel.Sel.Name
		}
	}
	return ""
}

// assignments finds init functions and assignments to package-level variables. A
// name that the function also declares is taken for the local one.
func (t *Tree) assignments(f *File, vars map[string]bool) []Finding {
	var found []Finding
	for _, d := range f.Syntax.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		if fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, t.at(fn.Pos(), "has an init function; do the work where it is asked for"))
		}
		local := declaredIn(fn)
		for _, id := range assignedIn(fn.Body) {
			if vars[id.Name] && !local[id.Name] {
				found = append(found, t.at(id.Pos(), "assigns the package-level variable %s", id.Name))
			}
		}
	}
	return found
}

// assignedIn lists what a body assigns, counts up or takes elements of to assign.
func assignedIn(body ast.Node) []*ast.Ident {
	var all []*ast.Ident
	add := func(e ast.Expr) {
		for {
			i, ok := e.(*ast.IndexExpr)
			if !ok {
				break
			}
			e = i.X
		}
		if id, ok := e.(*ast.Ident); ok {
			all = append(all, id)
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					add(e)
				}
			}
		case *ast.IncDecStmt:
			add(n.X)
		}
		return true
	})
	return all
}

// declaredIn names the parameters, results and local variables of a function.
func declaredIn(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	add := func(ids ...*ast.Ident) {
		for _, id := range ids {
			names[id.Name] = true
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			add(n.Names...)
		case *ast.ValueSpec:
			add(n.Names...)
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					add(id)
				}
			}
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					add(id)
				}
			}
		}
		return true
	})
	return names
}

// Mentions checks that no file holds a path that exists on one machine only, or
// one of words, which are names of that machine's surroundings.
func Mentions(t *Tree, words []string) []Finding {
	// Put together from parts, so that this file passes its own rule.
	local := regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])(file://)?/(` + strings.Join([]string{"work", "root", "home", "tmp"}, "|") + `)/[A-Za-z0-9_.]`)
	var found []Finding
	for _, name := range slices.Sorted(maps.Keys(t.Texts)) {
		n := 0
		if text := t.Texts[name]; !local.MatchString(text) && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) }) {
			continue
		}
		for line := range strings.Lines(t.Texts[name]) {
			n++
			place := name + ":" + strconv.Itoa(n)
			if m := local.FindString(line); m != "" {
				found = append(found, Finding{Place: place, Text: fmt.Sprintf("names a path of one machine: %s", strings.TrimSpace(m))})
			}
			for _, w := range words {
				if strings.Contains(line, w) {
					found = append(found, Finding{Place: place, Text: "names a host of one machine's surroundings"})
				}
			}
		}
	}
	return found
}
