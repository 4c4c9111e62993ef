package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/degrade"
)

// wholeDegrade is what the file that has something of everything says of personas
// and texts.
func wholeDegrade() degrade.Config {
	return degrade.Config{
		Personas: map[string]degrade.Persona{
			"Der Profi": {Name: "Profi", Locale: "de-DE", Tone: "factual, brief, formal address", Files: []degrade.File{
				{Path: "testdata/templates/profi/default.txt", Content: "Bitte später. Kennung: {{support_id}}\n"},
				{Path: "testdata/templates/profi/vc-analysis.txt", Operation: "vc-analysis", Content: "Der Check lief nicht. Kennung: {{support_id}}\n"},
			}},
			"": {Tone: "friendly"},
		},
		Templates: map[string]map[string]string{"": {"": "Later. {{support_id}}"}},
		Files: []degrade.File{{
			Path: "testdata/templates/all/vc-analysis.en.txt", Operation: "vc-analysis", Locale: "en",
			Content: "---\nversion: 3\n---\nThe check did not run. Call {{support_phone}}.\n",
		}},
		Variables: map[string]string{"support_phone": "+49 89 1234567"},
	}
}

// library reads a configuration whose templates_dir has these files.
func library(t *testing.T, files map[string]string) (dir string, f *config.File, err error) {
	t.Helper()
	dir = t.TempDir()
	fill(t, dir, files)
	f, err = config.Read(config.Sources{
		Content: fmt.Appendf(nil, "templates_dir: %q\noperations: {op: {}, v1.de: {}}\ntemplate_variables: {phone: '123'}\n", dir),
		Environ: []string{}, Upstreams: upstream(),
	})
	return dir, f, err
}

func fill(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNamesOfTexts gives each file its own name as text, and looks which one a call
// gets.
func TestNamesOfTexts(t *testing.T) {
	names := []string{
		"default.txt", "default.de.txt", "default.pt-BR.txt", "op.txt", "op.de.txt", "op.de_AT.txt", "v1.de.txt", "v1.de.default.txt",
		"v1.de.fr.txt", "v2.chat.txt", "op.v2.txt",
	}
	files := map[string]string{"op.en.text": "x", ".hidden.txt": "{{x}}", "notes.md": "{{x}}", "op.de.txt~": "{{x}}"}
	for _, name := range names {
		files[name] = name
	}
	delete(files, "v1.de.default.txt") // for the same as v1.de.txt
	dir, f, err := library(t, files)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "older"), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, err := f.Degrade()
	if err != nil {
		t.Fatal(err)
	}
	d, err := degrade.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ operation, locale, want string }{
		{"", "", "default.txt"},
		{"any", "de-CH", "default.de.txt"},
		{"any", "pt-br", "default.pt-BR.txt"},
		{"op", "", "op.txt"},
		{"op", "de-DE", "op.de.txt"},
		{"op", "de-AT", "op.de_AT.txt"},
		{"op", "fr", "op.txt"},
		{"v1", "de", "default.de.txt"}, // v1.de is an operation
		{"v1.de", "de", "v1.de.txt"},
		{"v1.de", "fr", "v1.de.fr.txt"},
		{"v2.chat", "", "v2.chat.txt"}, // chat is too long for a language in a name of a file
		{"op.v2", "de", "op.v2.txt"},
	} {
		if a, _ := d.Text(degrade.Case{Operation: test.operation, Locale: test.locale}); a.Text != test.want {
			t.Errorf("%q in %q: %+v, want %s", test.operation, test.locale, a, test.want)
		}
	}
	want := []string{
		filepath.Join(dir, "op.v2.txt") + " is for the operation \"op.v2\", which is not configured: no call gets it",
		filepath.Join(dir, "v2.chat.txt") + " is for the operation \"v2.chat\", which is not configured: no call gets it",
	}
	if d := cmp.Diff(want, f.Warnings()); d != "" {
		t.Errorf("warnings (-want +got):\n%s", d)
	}
	fill(t, dir, map[string]string{"v1.de.default.txt": "x"})
	if _, err := f.Degrade(); err == nil || !strings.Contains(err.Error(), "v1.de.txt: "+filepath.Join(dir, "v1.de.default.txt")+" is for the same operation and locale") {
		t.Errorf("two files for the same: %v", err)
	}
}

// TestDegradeReadsAgain changes files under a configuration: each time all of them
// are read, or none.
func TestDegradeReadsAgain(t *testing.T) {
	dir, f, err := library(t, map[string]string{"op.txt": "one {{phone}}"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{dir}, f.TemplateDirs()); d != "" {
		t.Error(d)
	}
	first := build(t, f).Degrade
	if again, err := f.Degrade(); err != nil || !cmp.Equal(first, again) {
		t.Errorf("nothing has changed: %v\n%s", err, cmp.Diff(first, again))
	}
	fill(t, dir, map[string]string{"op.txt": "two"})
	if again, err := f.Degrade(); err != nil || again.Files[0].Content != "two" {
		t.Errorf("%+v, %v", again.Files, err)
	}
	if d := cmp.Diff(first, build(t, f).Degrade); d != "" {
		t.Errorf("the configuration that was read has changed:\n%s", d)
	}
	fill(t, dir, map[string]string{"op.txt": "three", "op.de.txt": "vier {{fünf}}\n{{funf}}"})
	again, err := f.Degrade()
	if d := cmp.Diff(degrade.Config{}, again); d != "" {
		t.Errorf("half of a change is given: %s", d)
	}
	want := "config: templates_dir: " + filepath.Join(dir, "op.de.txt") + ":2: unknown variable {{funf}}: one of {{operation}}, {{persona}}, {{support_id}}, {{retry_after}}, {{phone}}"
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v, want\n%s", err, want)
	}
	many := map[string]string{}
	for i := range 100 {
		many[fmt.Sprintf("op%d.txt", i)] = "{{unknown}}"
	}
	fill(t, dir, many)
	if _, err := f.Degrade(); err == nil || strings.Count(err.Error(), "\n") != 20 || !strings.HasSuffix(err.Error(), "\nand 81 more") {
		t.Errorf("101 faults:\n%v", err)
	}
}

// TestConflictAfterReading puts a text into the directory that the configuration
// has too.
func TestConflictAfterReading(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, map[string]string{"default.txt": "x"})
	f := read(t, config.Sources{Content: fmt.Appendf(nil, "templates_dir: %q\ntemplates: {default: {de: Text}}\n", dir), Upstreams: upstream()})
	fill(t, dir, map[string]string{"default.de.txt": "x"})
	if _, err := f.Degrade(); err == nil || !strings.Contains(err.Error(), `default.de.txt: templates[""]["de"] is for the same operation and locale`) {
		t.Errorf("error %v", err)
	}
}

// TestDirectoriesThatCannotBeUsed has what a directory may hold that is no text.
func TestDirectoriesThatCannotBeUsed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	outside := filepath.Join(t.TempDir(), "outside.txt")
	fill(t, filepath.Dir(outside), map[string]string{"outside.txt": "a secret"})
	for name, test := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"a link that leads out": {
			func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "op.txt")) },
			"op.txt: the link leads out of the directory, or nowhere",
		},
		"a relative one": {
			func(dir string) error {
				rel, err := filepath.Rel(dir, outside)
				if err != nil {
					return err
				}
				return os.Symlink(rel, filepath.Join(dir, "op.txt"))
			},
			"op.txt: the link leads out of the directory, or nowhere",
		},
		"a link that leads nowhere": {
			func(dir string) error { return os.Symlink("gone.txt", filepath.Join(dir, "op.txt")) },
			"op.txt: the link leads out of the directory, or nowhere",
		},
		"a link to itself": {
			func(dir string) error { return os.Symlink("op.txt", filepath.Join(dir, "op.txt")) },
			"op.txt: the link leads out of the directory, or nowhere",
		},
		"a directory": {
			func(dir string) error { return os.Mkdir(filepath.Join(dir, "op.txt"), 0o700) },
			"op.txt: this is not a file",
		},
		"too large": {
			func(dir string) error { return os.WriteFile(filepath.Join(dir, "op.txt"), make([]byte, 1<<20), 0o600) },
			"op.txt: the text has more than 65536 bytes",
		},
		"too many": {
			func(dir string) error {
				for i := range 1001 {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("op%d.txt", i)), []byte("x"), 0o600); err != nil {
						return err
					}
				}
				return nil
			},
			"more than 1000 texts",
		},
		"a name with a space": {
			func(dir string) error { return os.WriteFile(filepath.Join(dir, "my op.txt"), nil, 0o600) },
			"my op.txt: the name is neither OPERATION.txt nor OPERATION.LOCALE.txt",
		},
		"no texts": {func(dir string) error { return os.Remove(filepath.Join(dir, "default.txt")) }, "the directory has no .txt file"},
		"gone":     {os.RemoveAll, "the directory does not exist"},
		"a file": {
			func(dir string) error {
				_ = os.RemoveAll(dir)
				return os.WriteFile(dir, []byte("x"), 0o600)
			},
			"this is not a directory that can be read",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f, err := library(t, map[string]string{"default.txt": "x"})
			if err != nil {
				t.Fatal(err)
			}
			if err := test.make(dir); err != nil {
				t.Fatal(err)
			}
			got, err := f.Degrade()
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%+v, %v, want %q", got, err, test.want)
			}
		})
	}
}

// TestLinksWithinADirectory reads texts as Kubernetes lays out a ConfigMap.
func TestLinksWithinADirectory(t *testing.T) {
	dir, f, err := library(t, map[string]string{"default.txt": "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "..2026_01_01"), 0o700),
		os.WriteFile(filepath.Join(dir, "..2026_01_01", "op.txt"), []byte("linked"), 0o600),
		os.Symlink("..2026_01_01", filepath.Join(dir, "..data")),
		os.Symlink("..data/op.txt", filepath.Join(dir, "op.txt")),
	} {
		if err != nil {
			t.Skipf("no links here: %v", err)
		}
	}
	cfg, err := f.Degrade()
	if err != nil || len(cfg.Files) != 2 || cfg.Files[1].Content != "linked" {
		t.Errorf("%+v, %v", cfg.Files, err)
	}
}
