package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/cache"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite"
)

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  sqlite.Config
		want []string
	}{
		"defaults":      {sqlite.Config{Dir: "x"}, nil},
		"no bound":      {sqlite.Config{Dir: "x", CacheBytes: -1}, nil},
		"both at fault": {sqlite.Config{CacheBytes: 1000}, []string{"store.dir", "store.cache_bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.cfg.Validate()
			if (err == nil) != (c.want == nil) {
				t.Fatalf("Validate() = %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not name %s", err, w)
				}
			}
			if err != nil {
				if _, got := sqlite.Open(t.Context(), c.cfg); got == nil || got.Error() != err.Error() {
					t.Errorf("Open = %v; want what Validate says", got)
				}
			}
		})
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "store")
	s, err := openIn(t, dir)
	must(t, err)
	defer s.Close()
	must(t, s.Cache().Write(t.Context(), batch(0, 10, 100)))
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v (%v); want 0700", info.Mode(), err)
	}
	for name := range files(t, dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v); want 0600", name, info.Mode(), err)
		}
	}
}

// TestAwkwardPaths opens directories whose names mean something to a driver that
// takes a URI.
func TestAwkwardPaths(t *testing.T) {
	for _, name := range []string{"a b", "what?mode=memory", "50%41", "a#b", "ümlaut", "semi;colon&x=1"} {
		dir := filepath.Join(t.TempDir(), name)
		s, err := openIn(t, dir)
		must(t, err)
		must(t, s.Close())
		if _, ok := files(t, dir)["cache.db"]; !ok {
			t.Errorf("%q: the database is somewhere else", name)
		}
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := openIn(t, dir)
	must(t, err)
	began := time.Now()
	_, err = openIn(t, dir)
	if took := time.Since(began); took >= 2*time.Second { // which is what SQLite waits for a lock
		t.Errorf("the refusal took %v; want none that waits", took)
	}
	var e *llm.Error
	if !errors.As(err, &e) || e.Kind != llm.ForebayUnavailable || e.Fix == "" || !strings.Contains(e.Message, strconv.Itoa(os.Getpid())) {
		t.Errorf("the second Open: %v; want an error that names the process and what to do", err)
	}
	must(t, s.Close())
	must(t, s.Close()) // again
	s, err = openIn(t, dir)
	must(t, err)
	must(t, s.Close())
}

// TestOpenWaitsForTheProcessBefore opens a store that is just being closed.
func TestOpenWaitsForTheProcessBefore(t *testing.T) {
	dir := t.TempDir()
	first, err := openIn(t, dir)
	must(t, err)
	closed := make(chan error)
	go func() {
		time.Sleep(100 * time.Millisecond)
		closed <- first.Close()
	}()
	second, err := openIn(t, dir)
	must(t, err)
	must(t, <-closed)
	must(t, second.Close())
}

func TestOtherProcessIsNamed(t *testing.T) {
	dir := t.TempDir()
	if os.Getenv("SQLITE_LOCK_DIR") != "" {
		s, err := openIn(t, os.Getenv("SQLITE_LOCK_DIR"))
		must(t, err)
		os.Stdout.WriteString("open\n")
		os.Stdin.Read(make([]byte, 1))
		must(t, s.Close())
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOtherProcessIsNamed$")
	cmd.Env = append(os.Environ(), "SQLITE_LOCK_DIR="+dir)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line := make([]byte, 5)
	_, err = out.Read(line)
	must(t, err)

	if _, err := openIn(t, dir); err == nil || !strings.Contains(err.Error(), "process "+strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("Open = %v; want that it names process %d", err, cmd.Process.Pid)
	}
	must(t, cmd.Process.Kill()) // the lock goes with the process, however it ends
	cmd.Wait()
	in.Close()
	s, err := openIn(t, dir)
	must(t, err)
	must(t, s.Close())
}

func TestClosed(t *testing.T) {
	s := open(t)
	c := s.Cache()
	must(t, c.Write(t.Context(), batch(0, 3, 10)))
	must(t, s.Close())
	ctx := t.Context()
	_, get := c.Get(ctx, keyOf(0))
	_, miss := c.Get(ctx, keyOf(100))
	_, _, del := c.Delete(ctx, cache.Selection{}, 1)
	_, count := c.Count(ctx, cache.Selection{})
	_, inv := c.Invalidate(ctx, cache.Match{}, time.Now())
	_, _, read := c.Invalidations(ctx, 0)
	_, key := s.Keys().Key(ctx, 1)
	_, shred := s.Keys().Shred(ctx, 1, 0)
	for op, err := range map[string]error{
		"Get": get, "Get of nothing": miss, "Write": c.Write(ctx, batch(0, 1, 1)), "Delete": del, "Count": count, "Invalidate": inv,
		"Invalidations": read, "Forget": c.Forget(ctx, 1), "Key": key, "Save": s.Keys().Save(ctx, wrapped(1, 1, 1)), "Shred": shred,
	} {
		if !errors.Is(err, sqlite.ErrClosed) {
			t.Errorf("%s after Close: %v; want ErrClosed", op, err)
		}
	}
}

// TestCloseLeavesNoLogs looks for what Close has to leave: databases that need no
// log.
func TestCloseLeavesNoLogs(t *testing.T) {
	dir := t.TempDir()
	s, err := openIn(t, dir)
	must(t, err)
	must(t, s.Cache().Write(t.Context(), batch(0, 100, 1000)))
	must(t, s.Close())
	for name, content := range files(t, dir) {
		if name != "cache.db" && name != "keys.db" && name != "lock" && len(content) > 0 {
			t.Errorf("after Close there is %s with %d bytes", name, len(content))
		}
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	c := open(t).Cache()
	must(t, c.Write(t.Context(), batch(0, 3, 10)))
	release := c.HoldWriter()
	began := time.Now()
	if err := c.Write(within(t, 20*time.Millisecond), batch(0, 1, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Write = %v; want DeadlineExceeded", err)
	}
	if _, err := c.Count(t.Context(), cache.Selection{}); err != nil { // does not wait for the writer
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), keyOf(1)); err != nil {
		t.Error(err)
	}
	release()
	var held []func()
	for range 4 {
		r, err := c.Hold()
		must(t, err)
		held = append(held, r)
	}
	if _, err := c.Get(within(t, 20*time.Millisecond), keyOf(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get = %v; want DeadlineExceeded", err)
	}
	for _, r := range held {
		r()
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestNothingIsWrittenAfterAFailedSync: what was written before may be lost although a
// later sync succeeds, so an Invalidate that says otherwise would be wrong.
func TestNothingIsWrittenAfterAFailedSync(t *testing.T) {
	c := open(t).Cache()
	must(t, c.Write(t.Context(), batch(0, 3, 10)))
	c.Unsync()
	if _, err := c.Invalidate(t.Context(), cache.Match{}, time.Now()); err == nil {
		t.Error("Invalidate succeeds")
	}
	if err := c.Write(t.Context(), batch(3, 4, 10)); err == nil {
		t.Error("Write succeeds")
	}
	if _, err := c.Get(t.Context(), keyOf(0)); err != nil {
		t.Errorf("Get = %v; reading still works", err)
	}
}

func TestTimesThatCannotBeKept(t *testing.T) {
	c := open(t).Cache()
	r := record(1, 10)
	r.Expires = time.Date(2262, 6, 1, 0, 0, 0, 0, time.UTC)
	if err := c.Write(t.Context(), []cache.Record{record(2, 10), r}); err == nil || !strings.Contains(err.Error(), "2261") {
		t.Errorf("Write = %v; want that it names the years", err)
	}
	if _, err := c.Get(t.Context(), keyOf(2)); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("half a batch was written: %v", err)
	}
	if _, err := c.Invalidate(t.Context(), cache.Match{}, time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC)); err == nil {
		t.Error("Invalidate takes the year 1600")
	}
	must(t, c.Write(t.Context(), batch(0, 10, 10)))
	for at, want := range map[time.Time]int64{
		time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC): 0,
		time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC): 10,
	} {
		if size, err := c.Count(t.Context(), cache.Selection{Dropped: at}); err != nil || size.Entries != want {
			t.Errorf("Count of what is dropped in %d = %+v, %v; want %d", at.Year(), size, err, want)
		}
	}
}

// logged is a logger, and what it has logged.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}
