package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// PackageComments checks that every package has one comment, that it begins as
// godoc wants it and that a newcomer learns more from it than the name.
func PackageComments(t *Tree) []Finding {
	const least = 12 // words: "Package x does y." alone does not say what it is not
	var found []Finding
	for _, p := range t.Packages {
		if !p.HasCode() {
			continue
		}
		var docs []*File
		for _, f := range p.Files {
			if !f.Test && f.Syntax.Doc != nil && strings.TrimSpace(f.Syntax.Doc.Text()) != "" {
				docs = append(docs, f)
			}
		}
		if len(docs) == 0 {
			found = append(found, Finding{Place: p.Path, Text: "has no package comment"})
			continue
		}
		for _, f := range docs[1:] {
			found = append(found, Finding{Place: f.Path, Text: "is a second package comment; the first is in " + docs[0].Path})
		}
		text := docs[0].Syntax.Doc.Text()
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(text, want) {
			found = append(found, Finding{Place: docs[0].Path, Text: fmt.Sprintf("the package comment does not begin with %q", want)})
		}
		if n := len(strings.Fields(text)); n < least {
			found = append(found, Finding{Place: docs[0].Path, Text: fmt.Sprintf("the package comment has %d words; say what the package is and what it is not", n)})
		}
	}
	return found
}

// Documented checks that exported functions, types, constants and variables, and
// the exported methods of exported types, have comments that end as a sentence.
func Documented(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		if p.Name == "main" {
			continue
		}
		for _, f := range p.Files {
			if f.Test || f.Generated {
				continue
			}
			for _, d := range f.Syntax.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					found = append(found, t.documentedFunc(d)...)
				case *ast.GenDecl:
					found = append(found, t.documentedDecl(d)...)
				}
			}
		}
	}
	return found
}

func (t *Tree) documentedFunc(fn *ast.FuncDecl) []Finding {
	if !fn.Name.IsExported() || fn.Recv != nil && !ast.IsExported(receiver(fn)) {
		return nil
	}
	return t.sentence(fn.Name, fn.Doc)
}

func (t *Tree) documentedDecl(d *ast.GenDecl) []Finding {
	var found []Finding
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				found = append(found, t.sentence(s.Name, firstComment(s.Doc, d.Doc))...)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && d.Tok != token.IMPORT && firstComment(s.Doc, s.Comment, d.Doc) == nil {
					found = append(found, t.at(name.Pos(), "%s is exported and has no comment", name.Name))
				}
			}
		}
	}
	return found
}

// sentence checks a doc comment: there, and with a full stop behind its last line
// unless that is a list or an example.
func (t *Tree) sentence(name *ast.Ident, doc *ast.CommentGroup) []Finding {
	if doc == nil || strings.TrimSpace(doc.Text()) == "" {
		return []Finding{t.at(name.Pos(), "%s is exported and has no comment", name.Name)}
	}
	lines := strings.Split(strings.TrimRight(doc.Text(), "\n"), "\n")
	last := lines[len(lines)-1]
	if indented := strings.TrimLeft(last, " \t") != last; indented || strings.HasPrefix(last, "- ") {
		return nil
	}
	if !strings.ContainsAny(last[len(last)-1:], ".?!:)") {
		return []Finding{t.at(name.Pos(), "the comment of %s does not end as a sentence", name.Name)}
	}
	return nil
}

func firstComment(groups ...*ast.CommentGroup) *ast.CommentGroup {
	for _, g := range groups {
		if g != nil && strings.TrimSpace(g.Text()) != "" {
			return g
		}
	}
	return nil
}

// receiver is the name of a method's type.
func receiver(fn *ast.FuncDecl) string {
	if len(fn.Recv.List) == 0 {
		return ""
	}
	e := fn.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
