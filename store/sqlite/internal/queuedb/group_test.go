package queuedb_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/queuedb"
)

// hold keeps the queue from writing until release.
func hold(t *testing.T, b *queuedb.Backlog) (release func()) {
	t.Helper()
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() { done <- b.Exclusively(func() { close(held); <-free }) }()
	<-held
	return func() {
		close(free)
		must(t, <-done)
	}
}

// waitFor waits until n writes wait, but for those that the queue has taken already,
// which may be a few.
func waitFor(b *queuedb.Backlog, n int) {
	for end := time.Now().Add(200 * time.Millisecond); b.Waiting() < n && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// TestGroup has writes wait together: they are one transaction, or two where the first
// was taken before the others came, and one whose condition fails does not undo the
// others.
func TestGroup(t *testing.T) {
	b := open(t)
	const writers = 100
	insert(t, b, 0)
	release := hold(t, b)
	before := b.Commits()
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			j := job(n)
			_, err := b.Insert(t.Context(), &j, payload(n), time.Time{})
			if (n == 0) != errors.Is(err, backlog.ErrExists) || n > 0 && err != nil {
				t.Errorf("Insert of job %d: %v", n, err)
			}
			gone := claim(n + 10_000)
			if err := b.Apply(t.Context(), &gone); !errors.Is(err, backlog.ErrNotFound) {
				t.Errorf("Apply to no job: %v", err)
			}
		})
	}
	waitFor(b, writers)
	release()
	all.Wait()
	// The inserts are two transactions at most, and the changes that follow come as they come.
	if got := b.Commits() - before; got > 2+writers/4 {
		t.Errorf("%d writes were %d transactions", 2*writers, got)
	}
	for n := range writers {
		if stage(t, b, n) != 1 {
			t.Errorf("job %d is not there", n)
		}
	}
}

// TestWithdrawn has the context of a write end that waits: it is not made.
func TestWithdrawn(t *testing.T) {
	b := open(t)
	release := hold(t, b)
	var first sync.WaitGroup
	first.Go(func() { insert(t, b, 0) }) // is taken
	waitFor(b, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		j := job(1)
		_, err := b.Insert(ctx, &j, payload(1), time.Time{})
		ended <- err
	}()
	waitFor(b, 2)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Insert = %v", err)
	}
	release()
	first.Wait()
	insert(t, b, 2)
	if at := stage(t, b, 1); at != 0 {
		t.Errorf("a write that was withdrawn was made: stage %d", at)
	}
}

// TestUnknownBecomesKnown has the context of a write end that is under way: who reads
// the job afterwards sees it as it is from then on.
func TestUnknownBecomesKnown(t *testing.T) {
	b := open(t)
	for n := range 20 {
		insert(t, b, n)
		release := hold(t, b)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		c := claim(n)
		if err := b.Apply(ctx, &c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Apply = %v", err)
		}
		cancel()
		time.AfterFunc(5*time.Millisecond, release)
		at := stage(t, b, n)
		insert(t, b, 1000+n) // behind it
		if now := stage(t, b, n); now != at {
			t.Errorf("job %d was at stage %d and is at %d now", n, at, now)
		}
	}
}

// TestRelaxed answers before the commit, and what was answered can be read.
func TestRelaxed(t *testing.T) {
	b := open(t)
	for n := range 50 {
		insert(t, b, n)
		c := claim(n)
		c.Relaxed = true
		apply(t, b, c)
		if at := stage(t, b, n); at != 2 {
			t.Errorf("job %d is at stage %d after a relaxed claim", n, at)
		}
		apply(t, b, completion(n))
	}
	census, err := b.Census(t.Context(), nil)
	if must(t, err); census[backlog.Completed] != 50 {
		t.Errorf("%v", census)
	}
}

// TestStart lists what is unfinished of 100,000 jobs.
func TestStart(t *testing.T) {
	jobs := 20_000
	if long() {
		jobs = 100_000
	}
	b := filled(t, jobs)
	took := time.Hour
	for range 3 { // the fastest counts, and what it took of a processor: other tests run beside this one
		began, used := time.Now(), cpu()
		if n := unfinished(t, b); n != jobs {
			t.Errorf("%d jobs are listed of %d", n, jobs)
		}
		took = min(took, time.Since(began))
		if d := cpu() - used; d > 0 {
			took = min(took, d)
		}
	}
	t.Logf("%d jobs in %v", jobs, took)
	if long() && took > 2*time.Second { // under the race detector it takes ten times as long
		t.Errorf("%d jobs took %v", jobs, took)
	}
}

// TestShrinks drains a queue: the file and its log shrink.
func TestShrinks(t *testing.T) {
	dir := t.TempDir()
	b, err := openAt(dir + "/queue.db")
	must(t, err)
	defer b.Close()
	const jobs = 2000
	for from := 0; from < jobs; from += 200 {
		var all sync.WaitGroup
		for n := from; n < from+200; n++ {
			all.Go(func() {
				insert(t, b, n)
				apply(t, b, claim(n))
				c := completion(n)
				c.Result = bytesOf(n, 4000)
				apply(t, b, c)
			})
		}
		all.Wait()
	}
	size := func() (bytes int64) {
		for _, name := range []string{"queue.db", "queue.db-wal"} {
			info, err := os.Stat(dir + "/" + name)
			must(t, err)
			bytes += info.Size()
		}
		return bytes
	}
	full := size()
	for more := true; more; {
		_, more, err = b.Purge(t.Context(), epoch.Add(24*time.Hour), 300)
		must(t, err)
	}
	for end := time.Now().Add(10 * time.Second); size() > full/10 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if now := size(); now > full/10 {
		total, free, _ := b.Pages()
		t.Errorf("the files have %d bytes after they had %d; %d pages, %d free", now, full, total, free)
	}
	census, err := b.Census(t.Context(), nil)
	if must(t, err); len(census) > 0 {
		t.Errorf("%v are left", census)
	}
}

// TestLogIsBounded writes more than the log holds.
func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	b, err := openAt(dir + "/queue.db")
	must(t, err)
	defer b.Close()
	big := bytesOf(1, 1<<20)
	for n := range 100 {
		j := job(n)
		_, err := b.Insert(t.Context(), &j, big, time.Time{})
		must(t, err)
	}
	info, err := os.Stat(dir + "/queue.db-wal")
	must(t, err)
	if info.Size() > 24<<20 {
		t.Errorf("the log has %d bytes", info.Size())
	}
}
