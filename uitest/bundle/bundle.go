// Package bundle makes the dashboard's assets of its sources: esbuild, as a Go library,
// turns TypeScript and style sheets into three files whose names have a hash of their
// contents, the page that names them is written, and everything is compressed once. The
// same sources and packages give the same bytes, so a test can tell whether what is
// committed is what the sources make.
//
// The packages of JavaScript come from npm, pinned by dashboard/ui/package-lock.json, into
// .testtools/dashboard, which is not committed. Nothing else needs Node: what is committed
// in dashboard/assets is enough to build Forebay.
package bundle

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	esbuild "github.com/evanw/esbuild/pkg/api"
)

// Files are assets by their names.
type Files map[string][]byte

// Places says where things are.
type Places struct {
	UI      string // the sources, dashboard/ui
	Modules string // the folder that has node_modules
	Assets  string // the output, dashboard/assets
}

// In gives the places in a work tree of the repository.
func In(root string) Places {
	return Places{
		UI: filepath.Join(root, "dashboard", "ui"), Modules: filepath.Join(root, ".testtools", "dashboard"),
		Assets: filepath.Join(root, "dashboard", "assets"),
	}
}

// Absolute makes the places independent of the working directory.
func (p *Places) Absolute() error {
	for _, path := range []*string{&p.UI, &p.Modules, &p.Assets} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	return nil
}

// ErrNoNpm says that the packages are not there and cannot be fetched.
var ErrNoNpm = errors.New("the dashboard's packages are absent, and there is no npm to fetch them with")

// Install fetches the npm packages where they are absent or other than the lock file says.
// Several processes may do so at once: each fetches into a folder of its own, and one
// that is complete takes its place.
func Install(ctx context.Context, p Places) error {
	lock, err := os.ReadFile(filepath.Join(p.UI, "package-lock.json"))
	if err != nil || p.installed(lock) {
		return err
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return ErrNoNpm
	}
	beside := filepath.Dir(p.Modules)
	if err := os.MkdirAll(beside, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(beside, "dashboard-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		b, err := os.ReadFile(filepath.Join(p.UI, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			return err
		}
	}
	// ci takes what the lock file says, and no scripts of packages run (.npmrc).
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-progress", "--loglevel=error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, bytes.TrimSpace(out))
	}
	if _, err := os.Stat(p.Modules); err == nil && !p.installed(lock) { // of another lock file, or incomplete
		if err := os.RemoveAll(p.Modules); err != nil {
			return err
		}
	}
	if err := os.Rename(dir, p.Modules); err != nil && !p.installed(lock) { // else another process was first
		return err
	}
	return nil
}

// installed says that the packages of a lock file are there.
func (p *Places) installed(lock []byte) bool {
	have, _ := os.ReadFile(filepath.Join(p.Modules, "package-lock.json")) // absent is as good as other
	_, err := os.Stat(filepath.Join(p.Modules, "node_modules", ".package-lock.json"))
	return err == nil && bytes.Equal(lock, have)
}

// Types runs the TypeScript compiler over the sources.
func Types(ctx context.Context, p Places) error {
	cmd := exec.CommandContext(ctx, filepath.Join(p.Modules, "node_modules", ".bin", "tsc"), "-p", filepath.Join(p.UI, "tsconfig.json"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tsc: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

// entries are the files that the page loads, by the word that stands for them in it.
var entries = []struct{ word, file string }{
	{"main", "main.tsx"}, {"theme-first", "theme-first.ts"}, {"styles", "styles.css"},
}

// Make makes the assets.
func Make(p Places) (Files, error) {
	files := Files{}
	page, err := os.ReadFile(filepath.Join(p.UI, "index.html"))
	if err != nil {
		return nil, err
	}
	icon, err := os.ReadFile(filepath.Join(p.UI, "icon.svg"))
	if err != nil {
		return nil, err
	}
	names := map[string]string{"icon": files.add("icon", ".svg", icon)}
	for _, e := range entries {
		out, err := p.compile(e.file, e.word == "theme-first")
		if err != nil {
			return nil, err
		}
		names[e.word] = files.add(e.word, map[bool]string{true: ".css", false: ".js"}[e.word == "styles"], out)
	}
	text := string(page)
	for word, name := range names {
		text = strings.ReplaceAll(text, "{{"+word+"}}", "assets/"+name)
	}
	if strings.Contains(text, "{{") {
		return nil, errors.New("index.html names something that is not made")
	}
	files["index.html"] = []byte(text)
	if files["licenses.txt"], err = p.licenses(); err != nil {
		return nil, err
	}
	return files, files.compress()
}

// add enters a file under a name with the hash of its contents.
func (f Files) add(word, ending string, content []byte) string {
	sum := sha256.Sum256(content)
	name := word + "-" + strings.ToLower(base32.HexEncoding.EncodeToString(sum[:10])) + ending
	f[name] = content
	return name
}

// compress adds each file a second time, compressed.
func (f Files) compress() error {
	for _, name := range slices.Collect(maps.Keys(f)) { // f grows meanwhile
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err == nil {
			_, err = w.Write(f[name])
		}
		if err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		f[name+".gz"] = b.Bytes()
	}
	return nil
}

// compile bundles one entry. A script that runs before the page is no module.
func (p Places) compile(file string, classic bool) ([]byte, error) {
	o := esbuild.BuildOptions{
		EntryPoints: []string{file}, AbsWorkingDir: p.UI, NodePaths: []string{filepath.Join(p.Modules, "node_modules")},
		Bundle: true, MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true, Charset: esbuild.CharsetUTF8,
		Target: esbuild.ES2022, Format: esbuild.FormatESModule, JSX: esbuild.JSXAutomatic, JSXImportSource: "preact",
		LegalComments: esbuild.LegalCommentsNone, // licenses.txt has them
		// The compiler's own settings name types, not code.
		TsconfigRaw: "{}", LogLevel: esbuild.LogLevelSilent, Write: false, Outdir: p.UI,
		Define: map[string]string{"process.env.NODE_ENV": `"production"`},
	}
	if classic {
		o.Format = esbuild.FormatIIFE
	}
	result := esbuild.Build(o)
	if len(result.Errors) > 0 {
		return nil, errors.New(strings.Join(esbuild.FormatMessages(result.Errors, esbuild.FormatMessagesOptions{}), "\n"))
	}
	if len(result.OutputFiles) != 1 {
		return nil, fmt.Errorf("%s became %d files", file, len(result.OutputFiles))
	}
	return result.OutputFiles[0].Contents, nil
}

// licenses are the texts of the packages that the bundle contains.
func (p Places) licenses() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("The dashboard contains these packages.\n")
	for _, name := range []string{"preact", "@preact/signals", "@preact/signals-core", "uplot"} {
		text, err := os.ReadFile(filepath.Join(p.Modules, "node_modules", filepath.FromSlash(name), "LICENSE"))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", name, strings.Repeat("-", len(name)), bytes.TrimSpace(text))
	}
	return b.Bytes(), nil
}

// Write puts files into the folder of assets and removes what else is there.
func Write(p Places, files Files) error {
	if err := os.MkdirAll(p.Assets, 0o755); err != nil {
		return err
	}
	old, err := os.ReadDir(p.Assets)
	if err != nil {
		return err
	}
	for _, e := range old {
		if _, keep := files[e.Name()]; !keep {
			if err := os.Remove(filepath.Join(p.Assets, e.Name())); err != nil {
				return err
			}
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(p.Assets, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Compare says how what is committed differs from files; empty where it does not.
func Compare(p Places, files Files) ([]string, error) {
	var differ []string
	seen := map[string]bool{}
	err := filepath.WalkDir(p.Assets, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		have, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen[d.Name()] = true
		switch want, ok := files[d.Name()]; {
		case !ok:
			differ = append(differ, d.Name()+" is no longer made")
		case !bytes.Equal(have, want):
			differ = append(differ, d.Name()+" is different")
		}
		return nil
	})
	for name := range files {
		if !seen[name] {
			differ = append(differ, name+" is missing")
		}
	}
	slices.Sort(differ)
	return differ, err
}
