//go:build linux

package faulttest_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "forebay-faulttest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	release.dir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// flags are what a run may be told.
var flags = struct {
	binary *string
	seed   *uint64
}{
	binary: flag.String("fault.binary", "", "the gateway that is tested (default: one that is built from this source)"),
	seed:   flag.Uint64("fault.seed", 1, "draws what is random"),
}

// size is how often something is done in a short and in a long run.
func size(short, full int) int {
	if os.Getenv("FOREBAY_LONG") != "" {
		return full
	}
	return short
}

// release builds the gateway's binary once for all tests of a run.
var release = &build{}

type build struct {
	dir string

	once sync.Once
	path string
	err  error
}

// binary builds ./cmd/forebay and returns its path.
func (b *build) binary(t *testing.T) string {
	t.Helper()
	if *flags.binary != "" {
		return *flags.binary
	}
	b.once.Do(func() {
		b.path = filepath.Join(b.dir, "forebay")
		command := exec.Command("go", "build", "-o", b.path, "./cmd/forebay")
		command.Dir = filepath.Join("..", "..")
		if out, err := command.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("the gateway does not build: %w\n%s", err, out)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}
