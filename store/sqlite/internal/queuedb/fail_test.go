package queuedb_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite/internal/queuedb"
)

// TestFullFile has the file be full, as a full disk makes it: new jobs are refused, and
// jobs that are there can end.
func TestFullFile(t *testing.T) {
	b := open(t)
	for n := range 50 {
		insert(t, b, n)
	}
	total, _, err := b.Pages()
	must(t, err)
	must(t, b.MaxPages(int(total)+2))
	n := 50
	for ; err == nil && n < 500; n++ {
		j := job(n)
		_, err = b.Insert(t.Context(), &j, bytesOf(n, 4000), time.Time{})
	}
	if !errors.Is(err, backlog.ErrFull) {
		t.Fatalf("Insert into a full file: %v", err)
	}
	apply(t, b, claim(0)) // needs no page more
	if stage(t, b, n-1) != 0 {
		t.Error("a job that was refused is there")
	}
	must(t, b.MaxPages(0))
	begun := time.Now()
	for err != nil && time.Since(begun) < 5*time.Second {
		time.Sleep(20 * time.Millisecond)
		j := job(1000)
		_, err = b.Insert(t.Context(), &j, payload(1000), time.Time{})
	}
	if err != nil || stage(t, b, 1000) != 1 || stage(t, b, 0) != 2 {
		t.Errorf("after there is room again: %v", err)
	}
}

// TestFullDisk fills a small file system.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := mountSmall(dir, 32<<20); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	})
	b, err := openAt(filepath.Join(dir, "queue.db"))
	must(t, err)
	defer b.Close()
	const running = 100
	for n := range running {
		insert(t, b, n)
		apply(t, b, claim(n))
	}
	// Others fill the disk, while jobs go on being taken in.
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	fill := func() {
		for _, size := range []int{1 << 16, 1 << 12} {
			part := make([]byte, size)
			for err := error(nil); err == nil; {
				_, err = ballast.Write(part)
			}
		}
	}
	fill()
	n := running
	for ; err == nil && n < 10_000; n++ {
		j := job(n)
		_, err = b.Insert(t.Context(), &j, bytesOf(n, 8000), time.Time{})
	}
	if !errors.Is(err, backlog.ErrFull) {
		t.Fatalf("Insert on a full disk: %v", err)
	}
	for n := range running {
		apply(t, b, completion(n))
		if n%4 == 0 {
			fill() // what was given up for the ends is there for others as well
		}
	}
	for n := range running {
		if stage(t, b, n) != 3 {
			t.Fatalf("job %d has not ended", n)
		}
	}
	must(t, errors.Join(ballast.Truncate(0), ballast.Close()))
	time.Sleep(300 * time.Millisecond)
	insert(t, b, 20_000)
	if stage(t, b, 20_000) != 1 || stage(t, b, n-1) != 0 {
		t.Error("after there is room again jobs are not as they were said to be")
	}
	if info, err := os.Stat(filepath.Join(dir, "queue.db.reserve")); err != nil || info.Size() != queuedb.ReserveBytes {
		t.Errorf("the reserve was not taken again: %v", err)
	}
}

// TestFails has a write fail: nothing is written until Recover, and reads go on.
func TestFails(t *testing.T) {
	b := open(t)
	insert(t, b, 0)
	b.Fail()
	j := job(1)
	if _, err := b.Insert(t.Context(), &j, payload(1), time.Time{}); err == nil || errors.Is(err, backlog.ErrFailed) {
		t.Errorf("Insert = %v; want an error that leaves open what was done", err)
	}
	c := claim(0)
	if err := b.Apply(t.Context(), &c); !errors.Is(err, backlog.ErrFailed) {
		t.Errorf("Apply = %v; want ErrFailed", err)
	}
	if _, _, err := b.Purge(t.Context(), epoch, 1); !errors.Is(err, backlog.ErrFailed) {
		t.Errorf("Purge = %v; want ErrFailed", err)
	}
	if stage(t, b, 0) != 1 {
		t.Error("a job cannot be read")
	}
	var all sync.WaitGroup
	var reads atomic.Int64
	stop := make(chan struct{})
	all.Go(func() { // reads go on beside a recovery, or say that there is one
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := b.Get(t.Context(), idOf(0)); err != nil && !errors.Is(err, backlog.ErrFailed) {
				t.Errorf("Get = %v", err)
			}
			reads.Add(1)
		}
	})
	must(t, b.Recover(t.Context()))
	must(t, b.Recover(t.Context())) // does nothing
	close(stop)
	all.Wait()
	apply(t, b, claim(0))
	insert(t, b, 2)
	if stage(t, b, 0) != 2 || stage(t, b, 2) != 1 {
		t.Error("it does not work after Recover")
	}
}

// TestDamagedFileIsNotSetAside has a file that SQLite refuses: Open says what to do.
func TestDamagedFileIsNotSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	b, err := openAt(path)
	must(t, err)
	insert(t, b, 0)
	must(t, b.Close())
	must(t, os.WriteFile(path, []byte(strings.Repeat("hello ", 5000)), 0o600))
	for range 2 {
		_, err = openAt(path)
		var e *llm.Error
		if !errors.As(err, &e) || e.Kind != llm.ForebayUnavailable || !strings.Contains(e.Fix, ".recover") {
			t.Fatalf("Open = %v; want that it says what to do", err)
		}
	}
	content, err := os.ReadFile(path)
	if must(t, err); !strings.HasPrefix(string(content), "hello") {
		t.Error("the file was changed")
	}
}
