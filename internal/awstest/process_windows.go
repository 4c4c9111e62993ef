package awstest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"time"
)

// alone has nothing to do: Windows has no process groups of that kind.
func alone(*exec.Cmd) {}

// kill ends a process. One that is gone is fine.
func kill(p *os.Process) { _ = p.Kill() }

// lock makes the file at path, which only one process can, and returns how it is removed.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			return func() { _, _ = f.Close(), os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
