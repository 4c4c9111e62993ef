package sqlite_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
)

// TestSyncs watches the system calls of another process: what has to outlast a power
// cut is synced before the call returns, and entries are not.
func TestSyncs(t *testing.T) {
	if dir := os.Getenv("SQLITE_SYNC_DIR"); dir != "" {
		syncSteps(t, dir)
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: what is synced when was not checked")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-y", "-s", "64", "-e", "trace=fsync,fdatasync,write", "-o", trace,
		os.Args[0], "-test.run=^TestSyncs$")
	cmd.Env = append(os.Environ(), "SQLITE_SYNC_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	calls, readErr := os.ReadFile(trace)
	if err != nil && !bytes.Contains(calls, []byte("step ")) {
		t.Skipf("strace cannot watch processes here: %v %s", err, out)
	}
	if err != nil || readErr != nil {
		t.Fatalf("%v %v\n%s", err, readErr, out)
	}
	synced := map[string]string{} // by step, the files that were synced in it
	step := ""
	for line := range strings.Lines(string(calls)) {
		if _, after, ok := strings.Cut(line, `"step `); ok {
			step, _, _ = strings.Cut(after, `\n`)
		} else if strings.Contains(line, "sync(") {
			synced[step] += line
		}
	}
	for step, want := range map[string]bool{
		"write": false, "invalidate": true, "write again": false, "save": true, "delete": false, "forget": false, "shred": true,
	} {
		log := "cache.db-wal>"
		if step == "save" || step == "shred" {
			log = "keys.db-wal>"
		}
		if got := strings.Contains(synced[step], log); got != want {
			t.Errorf("%s: the log is synced: %v; want %v\n%s", step, got, want, synced[step])
		}
	}
	if !strings.Contains(synced["shred"], "keys.db>") {
		t.Errorf("shred: the database is not synced:\n%s", synced["shred"])
	}
}

// syncSteps is what the watched process does.
func syncSteps(t *testing.T, dir string) {
	s, err := openIn(t, dir)
	must(t, err)
	c := s.Cache()
	step := func(name string, do func() error) {
		os.Stdout.WriteString("step " + name + "\n") // one system call
		must(t, do())
	}
	ctx := t.Context()
	step("write", func() error { return c.Write(ctx, batch(0, 10, 100)) })
	step("invalidate", func() error { return second(c.Invalidate(ctx, cache.Match{}, time.Now())) })
	step("write again", func() error { return c.Write(ctx, batch(10, 20, 100)) })
	step("save", func() error { return s.Keys().Save(ctx, wrapped(1, 1, 1)) })
	step("delete", func() error { _, _, err := c.Delete(ctx, cache.Selection{}, 5); return err })
	step("forget", func() error { return c.Forget(ctx, 1) })
	step("shred", func() error { return second(s.Keys().Shred(ctx, 1, 1)) })
	step("close", s.Close)
}
