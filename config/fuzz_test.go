package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/config"
)

// FuzzRead reads any file: it neither panics nor takes long, every error is a list
// of faults with reasons, and what is accepted can be built.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/faults/*.yaml")
	for _, file := range append(files, "testdata/forebay.yaml", "profiles/analysis.yaml") {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if strings.Contains(string(content), "templates") {
			return // it would read directories of this machine
		}
		start := time.Now()
		file, err := config.Read(config.Sources{Content: append([]byte{}, content...), Environ: []string{}, Upstreams: upstream()})
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%d bytes took %v", len(content), took)
		}
		if err != nil {
			var faults *config.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			for _, fault := range faults.Faults() {
				if fault.Message == "" {
					t.Errorf("a fault without a message: %+v", fault)
				}
			}
			return
		}
		if _, err := file.Forebay(); err != nil {
			t.Errorf("accepted, and not to be built: %v", err)
		}
	})
}

// TestHostileFiles are files that are small for what they make a parser do.
func TestHostileFiles(t *testing.T) {
	const size = 128 << 10
	many := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	for name, content := range map[string]string{
		"brackets": many("["), "closed brackets": strings.Repeat("[", size/2) + strings.Repeat("]", size/2), "dashes": many("- "),
		"braces": many("{a: "), "marks": many("? "), "anchors": "a: " + many("&a "), "tags": "a: " + many("!!s "), "colons": many("a: "),
		"keys": many("abc: d\n"), "items": many("- a\n"), "documents": many("---\n"), "blank": many("\n"), "percent": many("%"),
		"flow of anchors": "a: [" + many("&a "), "indented": many(" "), "too large": strings.Repeat("a", 2<<20), "long name": many("a") + ": 1",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := config.Read(config.Sources{Content: []byte(content), Environ: []string{}, Upstreams: upstream()})
			if err == nil {
				t.Error("accepted")
			} else if n := len(err.Error()); n > 64<<10 {
				t.Errorf("a message of %d bytes", n)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
