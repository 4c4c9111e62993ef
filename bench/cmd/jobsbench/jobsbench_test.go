package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Every system does what is measured of it, for a moment.
func TestCycles(t *testing.T) {
	runtime.LockOSThread() // children die with the thread that started them
	defer runtime.UnlockOSThread()
	wants := map[string]func() error{
		"river": func() error { _, err := postgresBin(); return err },
		"asynq": func() error {
			if _, err := exec.LookPath("redis-server"); err != nil {
				return errors.New("no Redis (package redis-server)")
			}
			return nil
		},
	}
	home, err := os.MkdirTemp("", "jobsbench") // PostgreSQL's account cannot enter the folders of tests
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	for name := range openers() {
		t.Run(name, func(t *testing.T) {
			if missing := wants[name]; missing != nil {
				if err := missing(); err != nil {
					t.Skip(err)
				}
			}
			f, err := measure(t.Context(), name, filepath.Join(home, name), 300*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if f.perSecond <= 0 || f.p99 < f.p50 || f.p50 <= 0 {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestBacklogs(t *testing.T) {
	var out strings.Builder
	if _, err := flat(t.Context(), &out, t.TempDir(), 2000); err != nil {
		t.Fatal(err)
	}
	if _, err := restart(t.Context(), &out, t.TempDir(), 640); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "claims/s") || !strings.Contains(out.String(), "640 queued") {
		t.Error(out.String())
	}
}
