package awstest

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pinned are the files from which npm installs.
//
//go:embed package.json package-lock.json .npmrc
var pinned embed.FS

// installing bounds npm, waiting for another test binary's npm included: about 80 packages, 10 s where the
// machine is quiet.
const installing = 5 * time.Minute

// absent says that something is not on this machine: what, and how it is got.
type absent struct{ what string }

// Error returns the sentence.
func (a *absent) Error() string { return a.what }

// refuse ends a test that cannot have its emulator: with a skip where something is
// absent, which is a failure where everything has to be there.
func refuse(t testing.TB, err error) {
	t.Helper()
	var a *absent
	if errors.As(err, &a) {
		t.Skip(a.what)
	}
	t.Fatal(err)
}

// mainModule says whether a go.mod is that of the whole repository.
func mainModule(mod []byte) bool {
	first, _, _ := strings.Cut(string(mod), "\n")
	return strings.TrimSpace(first) == "module github.com/forebay-ai/forebay"
}

// installed returns the folder of npm packages, after it has installed them if need be.
func installed() (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	tools := filepath.Join(root, ".testtools")
	dir := filepath.Join(tools, "aws")
	modules := filepath.Join(dir, "node_modules")
	if current(dir) {
		return modules, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), installing)
	defer cancel()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(tools, "aws.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if current(dir) { // another test binary was first
		return modules, nil
	}
	return modules, install(ctx, dir)
}

// stamp is a copy of the lock file, written when npm has succeeded.
const stamp = "installed.json"

// current says that what the lock file pins is installed.
func current(dir string) bool {
	want, err := pinned.ReadFile("package-lock.json")
	have, haveErr := os.ReadFile(filepath.Join(dir, stamp))
	return err == nil && haveErr == nil && bytes.Equal(want, have)
}

// install has npm make node_modules. No scripts of packages run.
func install(ctx context.Context, dir string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return &absent{what: "npm is not here: install Node with npm, which the emulators of AWS come by and run on"}
	}
	if err := os.Remove(filepath.Join(dir, stamp)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var lockFile []byte
	for _, name := range []string{"package.json", ".npmrc", "package-lock.json"} {
		b, err := pinned.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			return err
		}
		lockFile = b
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error")
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return &absent{what: fmt.Sprintf("npm could not install the emulators of AWS (dynalite, aimock, fun); let it reach its registry once: %v: %s", err, bytes.TrimSpace(out))}
	}
	return os.WriteFile(filepath.Join(dir, stamp), lockFile, 0o644)
}
