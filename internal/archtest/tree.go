package archtest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxText bounds what is searched for words: larger files are data.
const maxText = 1 << 20

// Tree is a module as the rules see it.
type Tree struct {
	// Module is the module path of go.mod.
	Module string
	// Packages are the directories with Go files, sorted by path.
	Packages []*Package
	// Paths has every file and every directory, slash-separated, below the root.
	Paths map[string]bool
	// Texts has the content of every text file up to 1 MiB, nested modules included.
	Texts map[string]string
	// Fset places the syntax of all files.
	Fset *token.FileSet
	// Broken are the files that do not parse.
	Broken []Finding
}

// Package is one directory with Go files. Those of its external test package
// (name_test) are among them, as test files.
type Package struct {
	// Path is the directory below the module's root; "." for the root itself.
	Path string
	// Name is the name of the package; of a directory with test files alone, theirs.
	Name string
	// Files are sorted by name.
	Files []*File
}

// File is one Go file.
type File struct {
	Path      string // below the module's root
	Lines     int
	Test      bool
	Generated bool
	Syntax    *ast.File
}

// Finding is one breach of a rule.
type Finding struct {
	// Place is a path, with a line where there is one.
	Place string
	// Text says what is wrong and what the rule is.
	Text string
}

// String gives place and text on one line.
func (f Finding) String() string { return f.Place + ": " + f.Text }

// Load reads the module whose go.mod lies at the root of fsys. An unreadable
// file is an error, a Go file that does not parse is a finding in Broken.
func Load(fsys fs.FS) (*Tree, error) {
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("archtest: read go.mod: %w", err)
	}
	t := &Tree{Module: modulePath(mod), Paths: map[string]bool{}, Texts: map[string]string{}, Fset: token.NewFileSet()}
	if t.Module == "" {
		return nil, errors.New("archtest: go.mod has no module line")
	}
	packages := map[string]*Package{}
	nested := map[string]bool{}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || d.Name() == "node_modules" {
				return fs.SkipDir
			}
			t.Paths[name] = true
			_, err := fs.Stat(fsys, path.Join(name, "go.mod"))
			nested[name] = nested[path.Dir(name)] || err == nil
			return nil
		}
		t.Paths[name] = true
		return t.add(fsys, name, packages, nested[path.Dir(name)])
	})
	if err != nil {
		return nil, fmt.Errorf("archtest: %w", err)
	}
	for _, p := range packages {
		t.Packages = append(t.Packages, p)
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int { return cmp.Compare(a.Path, b.Path) })
	return t, nil
}

// add reads one file.
func (t *Tree) add(fsys fs.FS, name string, packages map[string]*Package, nested bool) error {
	info, err := fs.Stat(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone since the directory was listed: editors write and rename
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxText {
		return nil
	}
	content, err := fs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if bytes.IndexByte(content, 0) >= 0 {
		return nil
	}
	t.Texts[name] = string(content)
	if !nested && isGo(name) && !bytes.HasPrefix(content, []byte("//go:build ignore")) {
		t.addGo(name, content, packages)
	}
	return nil
}

// isGo says whether the go tool would look at the file.
func isGo(name string) bool {
	if path.Ext(name) != ".go" {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "testdata" || strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_") {
			return false
		}
	}
	return true
}

func (t *Tree) addGo(name string, content []byte, packages map[string]*Package) {
	syntax, err := parser.ParseFile(t.Fset, name, content, parser.ParseComments)
	if err != nil {
		t.Broken = append(t.Broken, Finding{Place: name, Text: "does not parse: " + err.Error()})
		return
	}
	dir := path.Dir(name)
	p := packages[dir]
	if p == nil {
		p = &Package{Path: dir}
		packages[dir] = p
	}
	f := &File{
		Path: name, Lines: bytes.Count(content, []byte("\n")), Test: strings.HasSuffix(name, "_test.go"),
		Generated: ast.IsGenerated(syntax), Syntax: syntax,
	}
	if p.Name == "" || !f.Test {
		p.Name = syntax.Name.Name
	}
	p.Files = append(p.Files, f)
}

// HasCode says whether the package has files other than tests.
func (p *Package) HasCode() bool {
	return slices.ContainsFunc(p.Files, func(f *File) bool { return !f.Test })
}

// imports calls visit for each import of f: the module-relative path of a package
// of this module ("" for any other), and the path as it stands.
func (t *Tree) imports(f *File, visit func(spec *ast.ImportSpec, local, full string)) {
	for _, spec := range f.Syntax.Imports {
		full, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has checked it
		}
		local := ""
		switch {
		case full == t.Module:
			local = "."
		case strings.HasPrefix(full, t.Module+"/"):
			local = strings.TrimPrefix(full, t.Module+"/")
		}
		visit(spec, local, full)
	}
}

// at makes a finding at a place in the syntax.
func (t *Tree) at(pos token.Pos, format string, args ...any) Finding {
	p := t.Fset.Position(pos)
	return Finding{Place: p.Filename + ":" + strconv.Itoa(p.Line), Text: fmt.Sprintf(format, args...)}
}

// lines counts the lines from the start to the end of a node.
func (t *Tree) lines(n ast.Node) int {
	return t.Fset.Position(n.End()).Line - t.Fset.Position(n.Pos()).Line + 1
}

func modulePath(mod []byte) string {
	for line := range strings.Lines(string(mod)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
