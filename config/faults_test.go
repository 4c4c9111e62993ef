package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/forebay-ai/forebay/config"
)

var update = flag.Bool("update", false, "write golden files and the reference page")

// upstream makes a configuration whole where a test is about something else.
func upstream() []string { return []string{"http://127.0.0.1:1/v1"} }

// TestFaultyFiles reads every faulty file there is and compares the whole message.
// None of them may show a secret: those in the files begin with CANARY.
func TestFaultyFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d faulty files (%v): at least 30 are wanted", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			src := config.Sources{Path: file, Environ: []string{}}
			if content, err := os.ReadFile(file); err != nil {
				t.Fatal(err)
			} else if !strings.Contains(string(content), "providers") {
				src.Upstreams = upstream()
			}
			_, err := config.Read(src)
			var faults *config.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("Read gives %v, not *Faults", err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", err.Error()+"\n")
			if strings.Contains(err.Error(), "CANARY") {
				t.Error("a secret is in the message")
			}
			inOrder(t, faults.Faults(), file)
		})
	}
}

// inOrder checks that each fault says what and how to mend it, and that they stand
// in the order of the file.
func inOrder(t *testing.T, faults []config.Fault, file string) {
	t.Helper()
	line, column := 0, 0
	for _, f := range faults {
		if f.Message == "" || f.Fix == "" {
			t.Errorf("%q has no message or no fix: %+v", f.Key, f)
		}
		if f.File != file {
			continue
		}
		if f.Line < line || f.Line == line && f.Column < column {
			t.Errorf("%d:%d stands behind %d:%d", f.Line, f.Column, line, column)
		}
		line, column = f.Line, f.Column
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test -update writes it", err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (go test -update writes it):\n%s", path, d)
	}
}

// TestReferencePage keeps docs/reference/configuration.md and the table of keys
// the same.
func TestReferencePage(t *testing.T) {
	golden(t, "../docs/reference/configuration.md", config.Reference())
}
