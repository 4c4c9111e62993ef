//go:build unix

package config_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPipeIsNoText finds a pipe among the texts, which nobody writes to: it is not
// waited for.
func TestPipeIsNoText(t *testing.T) {
	dir, f, err := library(t, map[string]string{"default.txt": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "op.txt"), 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	if _, err := f.Degrade(); err == nil || !strings.Contains(err.Error(), "op.txt: this is not a file") {
		t.Errorf("error %v", err)
	}
}
