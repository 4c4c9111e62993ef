package sqlfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/llm"
)

// errLocked is what tryLock returns where another holds the lock.
var errLocked = errors.New("sqlite: locked")

// A restart often begins while the process before it still closes its files, so a
// lock that is held is tried again for a moment before it is reported.
const (
	lockFor   = 500 * time.Millisecond
	lockEvery = 25 * time.Millisecond
)

// Lock takes the lock of a directory, at once or within lockFor, and writes
// this process's id into it. Closing the file frees the lock, as the end of the
// process does, however it ends.
func Lock(ctx context.Context, dir, path string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, lockFor)
	defer cancel()
	for {
		f, err := tryLock(path)
		if err == nil {
			return f, writePID(f)
		}
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("sqlite: lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return nil, inUse(dir, path)
		case <-time.After(lockEvery):
		}
	}
}

// writePID says in the lock's file whose it is. The lock holds without it, so the
// only error is that of a file that cannot be used; the file is closed then.
func writePID(f *os.File) error {
	err := f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close() // the error that matters is the first
		return fmt.Errorf("sqlite: lock: %w", err)
	}
	return nil
}

// inUse says who holds the lock, as far as its file tells.
func inUse(dir, path string) error {
	who := "another process"
	if content, err := os.ReadFile(path); err == nil {
		if pid := strings.TrimSpace(string(content)); pid != "" {
			who = "process " + pid
		}
		if strings.TrimSpace(string(content)) == strconv.Itoa(os.Getpid()) {
			who = "this process (" + strconv.Itoa(os.Getpid()) + ")"
		}
	}
	return &llm.Error{
		Kind:    llm.ForebayUnavailable,
		Message: fmt.Sprintf("the store in %s is in use by %s", dir, who),
		Limit:   "store.dir", Value: dir,
		Fix: "Stop that process, or give this one a directory of its own",
		Err: errLocked,
	}
}
