package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// The budgets: what is allowed without a reason, and what is never allowed. They
// keep every part small enough to be read at one sitting.
const (
	fileLines, fileLinesHard         = 400, 800
	functionLines, functionLinesHard = 40, 100
	packageLines, packageLinesHard   = 3000, 4000
	interfaceMethods                 = 5
	functionParameters               = 5
)

// The words behind which the reason of an exception stands.
const (
	reasonWords        = "on purpose:"
	fileReasonWords    = "file is long on purpose:"
	packageReasonWords = "package is long on purpose:"
)

// Budgets checks the length of files, functions and packages, the methods of
// interfaces and the parameters of functions.
func Budgets(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		total := 0
		for _, f := range p.Files {
			if f.Generated {
				continue
			}
			if !f.Test {
				total += f.Lines
			}
			found = append(found, fileBudget(f)...)
			found = append(found, t.functionBudgets(f)...)
			found = append(found, t.signatureBudgets(f)...)
		}
		found = append(found, packageBudget(p, total)...)
	}
	return found
}

func packageBudget(p *Package, total int) []Finding {
	reason := slices.ContainsFunc(p.Files, func(f *File) bool { return !f.Test && anyComment(f.Syntax, packageReasonWords) })
	switch {
	case total > packageLinesHard:
		return []Finding{{Place: p.Path, Text: fmt.Sprintf("has %d lines; no package has more than %d", total, packageLinesHard)}}
	case total > packageLines && !reason:
		return []Finding{{Place: p.Path, Text: fmt.Sprintf("has %d lines; a package has at most %d, or a comment that says %q", total, packageLines, packageReasonWords)}}
	}
	return nil
}

func fileBudget(f *File) []Finding {
	switch {
	case f.Lines > fileLinesHard:
		return []Finding{{Place: f.Path, Text: fmt.Sprintf("has %d lines; no file has more than %d", f.Lines, fileLinesHard)}}
	case f.Lines > fileLines && !f.Test && !anyComment(f.Syntax, fileReasonWords):
		return []Finding{{Place: f.Path, Text: fmt.Sprintf("has %d lines; a file has at most %d, or a comment that says %q", f.Lines, fileLines, fileReasonWords)}}
	}
	return nil
}

func (t *Tree) functionBudgets(f *File) []Finding {
	var found []Finding
	for _, d := range f.Syntax.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		n := t.lines(fn)
		switch {
		case n > functionLinesHard:
			found = append(found, t.at(fn.Pos(), "%s has %d lines; no function has more than %d", fn.Name.Name, n, functionLinesHard))
		case n > functionLines && !f.Test && !t.hasReason(f, fn):
			found = append(found, t.at(fn.Pos(), "%s has %d lines; a function has at most %d, or a comment that says %q", fn.Name.Name, n, functionLines, reasonWords))
		}
	}
	return found
}

// hasReason looks in the doc comment and in comments before the first statement.
func (t *Tree) hasReason(f *File, fn *ast.FuncDecl) bool {
	if fn.Doc != nil && mentions(fn.Doc.Text(), reasonWords) {
		return true
	}
	first := fn.Body.End()
	if len(fn.Body.List) > 0 {
		first = fn.Body.List[0].Pos()
	}
	for _, c := range f.Syntax.Comments {
		if c.Pos() > fn.Pos() && c.End() <= first && mentions(c.Text(), reasonWords) {
			return true
		}
	}
	return false
}

func (t *Tree) signatureBudgets(f *File) []Finding {
	var found []Finding
	check := func(name string, pos token.Pos, fn *ast.FuncType) {
		if n := countNames(fn.Params); n > functionParameters {
			found = append(found, t.at(pos, "%s has %d parameters; beyond %d they are a struct", name, n, functionParameters))
		}
	}
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			check(n.Name.Name, n.Pos(), n.Type)
		case *ast.TypeSpec:
			i, ok := n.Type.(*ast.InterfaceType)
			if !ok {
				return true
			}
			if c := countNames(i.Methods); c > interfaceMethods {
				found = append(found, t.at(n.Pos(), "interface %s has %d methods; an interface has at most %d", n.Name.Name, c, interfaceMethods))
			}
			for _, m := range i.Methods.List {
				if fn, ok := m.Type.(*ast.FuncType); ok && len(m.Names) > 0 {
					check(n.Name.Name+"."+m.Names[0].Name, m.Pos(), fn)
				}
			}
		}
		return true
	})
	return found
}

// countNames counts parameters or methods: an unnamed or embedded one is one.
func countNames(l *ast.FieldList) int {
	n := 0
	for _, f := range l.List {
		n += max(1, len(f.Names))
	}
	return n
}

func anyComment(f *ast.File, words string) bool {
	for _, c := range f.Comments {
		if mentions(c.Text(), words) {
			return true
		}
	}
	return false
}

// mentions finds words in a comment, wherever its lines are broken.
func mentions(comment, words string) bool {
	return strings.Contains(strings.Join(strings.Fields(comment), " "), words)
}
