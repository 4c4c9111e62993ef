package queuedb_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/queuedb"
)

// step is something that a watched process does with a queue. Job n is at stage after
// it, or -1: gone.
type step struct {
	name     string
	n, stage int
	do       func(t *testing.T, b *queuedb.Backlog) error
}

func inserts(n int) step {
	return step{fmt.Sprintf("insert %d", n), n, 1, func(t *testing.T, b *queuedb.Backlog) error {
		j := job(n)
		_, err := b.Insert(t.Context(), &j, payload(n), time.Time{})
		return err
	}}
}

func changes(name string, n, stage int, c backlog.Change) step {
	return step{fmt.Sprintf("%s %d", name, n), n, stage, func(t *testing.T, b *queuedb.Backlog) error { return b.Apply(t.Context(), &c) }}
}

// keyed is job n under an idempotency key that all such jobs share.
func keyed(n int) backlog.Job {
	j := job(n)
	j.Idempotency = [32]byte{7}
	return j
}

func insertsKeyed(n, first int) step {
	return step{fmt.Sprintf("insert %d under the key", n), first, 4, func(t *testing.T, b *queuedb.Backlog) error {
		j := keyed(n)
		old, err := b.Insert(t.Context(), &j, payload(n), time.Time{})
		if n != first && errors.Is(err, backlog.ErrExists) && old.ID == idOf(first) {
			return nil
		}
		if n != first && err == nil {
			t.Errorf("a second job was taken in under one key")
		}
		return err
	}}
}

// workloads are the canonical ones: of three changes each, since most faults of
// storage need no more.
func workloads() map[string][]step {
	cancelled := job(0).Status
	cancelled.State, cancelled.Keep, cancelled.Finished = backlog.Cancelled, epoch, epoch
	return map[string][]step{
		"life":        {inserts(0), changes("claim", 0, 2, claim(0)), changes("complete", 0, 3, completion(0))},
		"one key":     {insertsKeyed(5, 5), insertsKeyed(6, 5), inserts(7)},
		"cancel":      {inserts(0), changes("cancel", 0, 5, backlog.Change{ID: idOf(0), From: backlog.Queued, To: cancelled, DropPayload: true}), purges(0)},
		"two at once": {inserts(0), inserts(1), changes("claim", 0, 2, claim(0))},
	}
}

func purges(n int) step {
	return step{"purge", n, -1, func(t *testing.T, b *queuedb.Backlog) error {
		_, _, err := b.Purge(t.Context(), epoch.Add(24*time.Hour), 10)
		return err
	}}
}

// child does the steps of a workload in a process of its own, and says what was
// acknowledged. Where a step fails it recovers the store and tries again, as who runs
// jobs does.
func child(t *testing.T, dir string) {
	b, err := openAt(filepath.Join(dir, "queue.db"))
	if err != nil {
		fmt.Println("not opened:", err)
		return
	}
	for _, s := range workloads()[os.Getenv("QUEUEDB_WORKLOAD")] {
		os.Stdout.WriteString("begin " + s.name + ".\n") // one system call
		err := s.do(t, b)
		for try := 0; err != nil && !errors.Is(err, backlog.ErrExists) && !errors.Is(err, backlog.ErrConflict) && try < 20; try++ {
			fmt.Println("failed", err)
			_ = b.Recover(t.Context()) // the next try shows whether it has
			if errors.Is(err, backlog.ErrFull) {
				time.Sleep(50 * time.Millisecond) // until space is looked for again
			}
			err = s.do(t, b)
		}
		if err != nil && !errors.Is(err, backlog.ErrExists) && !errors.Is(err, backlog.ErrConflict) {
			fmt.Println("given up", err)
			return
		}
		os.Stdout.WriteString("done " + s.name + ".\n")
		if os.Getenv("QUEUEDB_LEAVE") != "" {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill() // and the log is left
			select {}
		}
	}
	_ = b.Close() // after a sync that failed it has nothing to say
	fmt.Println("ended")
}

// watched runs a workload in dir under strace, and returns what it said and the trace.
func watched(t *testing.T, dir, workload string, options ...string) (said, trace string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: failing and interrupted system calls were not tested")
	}
	file := filepath.Join(t.TempDir(), "trace")
	args := append([]string{"-f", "-y", "-s", "48", "-o", file}, options...)
	cmd := exec.CommandContext(t.Context(), strace, append(args, os.Args[0], "-test.run=^TestChild$")...)
	cmd.Env = append(os.Environ(), "QUEUEDB_DIR="+dir, "QUEUEDB_WORKLOAD="+workload, "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	calls, _ := os.ReadFile(file)
	if len(calls) == 0 || bytes.Contains(out, []byte("ptrace")) {
		t.Skipf("strace cannot watch processes here: %v %s", err, out)
	}
	if bytes.Contains(out, []byte("panic")) || bytes.Contains(out, []byte("--- FAIL")) {
		t.Errorf("the process failed:\n%s", out)
	}
	return string(out), string(calls)
}

// TestChild is what watched runs.
func TestChild(t *testing.T) {
	if dir := os.Getenv("QUEUEDB_DIR"); dir != "" {
		child(t, dir)
	}
}

// checkSaid opens the queue that a process has left and compares it with what the
// process said: each step that was acknowledged is there, the next one wholly or not
// at all, and nothing else.
func checkSaid(t *testing.T, dir, workload, said string) {
	t.Helper()
	b, err := openAt(filepath.Join(dir, "queue.db"))
	must(t, err)
	defer b.Close()
	least, most := map[int]int{}, map[int]int{}
	jobs := 0
	for _, s := range workloads()[workload] {
		if strings.Contains(said, "begin "+s.name+".") {
			most[s.n] = s.stage
		}
		if strings.Contains(said, "done "+s.name+".") {
			least[s.n] = s.stage
		}
	}
	for n := range 8 {
		at := stageOf(t, b, n)
		if at != least[n] && at != most[n] && (least[n] != -1 || at != 0) && (most[n] != -1 || at != 0) {
			t.Errorf("job %d is at stage %d; want %d or %d\n%s", n, at, least[n], most[n], said)
		}
		if at > 0 {
			jobs++
		}
	}
	census, err := b.Census(t.Context(), nil)
	must(t, err)
	counted := 0
	for _, n := range census {
		counted += n
	}
	if damaged, err := b.Damaged(t.Context(), 10); counted != jobs || len(damaged) > 0 || err != nil {
		t.Errorf("%d jobs are counted, %d are there, %v are damaged", counted, jobs, damaged)
	}
	insert(t, b, 100) // it works
	if stage(t, b, 100) != 1 {
		t.Error("a job that was taken in afterwards is not there")
	}
}

// stageOf is stage, for jobs with a key and cancelled ones too.
func stageOf(t *testing.T, b *queuedb.Backlog, n int) int {
	t.Helper()
	got, err := b.Get(t.Context(), idOf(n))
	switch {
	case err == nil && got == keyed(n):
		return 4
	case err == nil && got.State == backlog.Cancelled:
		return 5
	}
	return stage(t, b, n)
}

// TestAnsweredWhenSynced watches the system calls of a process: between the beginning
// of a step and its acknowledgement the log is written and then synced.
func TestAnsweredWhenSynced(t *testing.T) {
	for _, workload := range []string{"life", "one key"} {
		// A slow disk lets whoever is answered too early be quicker.
		said, trace := watched(t, t.TempDir(), workload, "-e", "trace=fsync,fdatasync,write,pwrite64", "-e", "inject=fsync,fdatasync:delay_enter=20ms")
		written, begun, synced := "", false, false // what was last written to the log; its sync
		seen := 0
		for line := range strings.Lines(trace) {
			switch {
			case strings.Contains(line, `"begin `):
				written, begun, synced = "", false, false
			case strings.Contains(line, "queue.db-wal>") && strings.Contains(line, "pwrite64("):
				written, begun, synced = line, false, false
			case strings.Contains(line, "queue.db-wal>") && strings.Contains(line, "sync("):
				begun, synced = true, strings.Contains(line, " = 0")
			case strings.Contains(line, "sync resumed>") && strings.Contains(line, " = 0"):
				synced = begun
			case strings.Contains(line, `"done `) && !strings.Contains(line, "insert 6"): // that one writes nothing
				seen++
				if written == "" || !synced {
					t.Errorf("%s: acknowledged before it was synced: %s", workload, line)
				}
			}
		}
		if seen < 2 || !strings.Contains(said, "ended") {
			t.Errorf("%s: %d steps were seen:\n%s", workload, seen, said)
		}
	}
}

var (
	failedSync = regexp.MustCompile(`f(?:data)?sync\((\d+)<[^>]*>.*INJECTED`)
	anySync    = regexp.MustCompile(`f(?:data)?sync\((\d+)<`)
	anyClose   = regexp.MustCompile(`close\((\d+)<`)
)

// TestFailedSync has every sync of each workload fail once. What was acknowledged is
// there after a restart, and no file is synced again that a sync has failed for.
func TestFailedSync(t *testing.T) {
	failures := 0
	for workload := range workloads() {
		for n := 1; ; n++ {
			dir := t.TempDir()
			said, trace := watched(t, dir, workload, "-e", "trace=fsync,fdatasync,close,write",
				"-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", n))
			// While the file is made it has nothing to lose.
			_, since, _ := strings.Cut(trace, `"begin `)
			if again := syncedAgain(since); again != "" {
				t.Errorf("%s, sync %d: synced again: %s\n%s", workload, n, again, trace)
			}
			checkSaid(t, dir, workload, said)
			if !strings.Contains(trace, "INJECTED") {
				break
			}
			failures++
			if strings.Contains(said, "begin") && !strings.Contains(said, "ended") {
				t.Errorf("%s, sync %d: the store did not recover:\n%s", workload, n, said)
			}
			if !long() && n > 1 {
				n += 1
			}
		}
	}
	t.Logf("%d syncs failed", failures)
	if failures < 8 {
		t.Errorf("only %d syncs failed: the test shows little", failures)
	}
}

// syncedAgain finds a sync of an open file for which one has failed.
func syncedAgain(trace string) string {
	bad := map[string]bool{}
	for line := range strings.Lines(trace) {
		if m := failedSync.FindStringSubmatch(line); m != nil {
			bad[m[1]] = true
		} else if m := anyClose.FindStringSubmatch(line); m != nil {
			delete(bad, m[1])
		} else if m := anySync.FindStringSubmatch(line); m != nil && bad[m[1]] {
			return line
		}
	}
	return ""
}

// TestFailedSyncOfAnOpening has every sync fail with which a file is opened that a
// killed process has left with a log.
func TestFailedSyncOfAnOpening(t *testing.T) {
	failures := 0
	for n := 1; ; n++ {
		dir := t.TempDir()
		t.Setenv("QUEUEDB_LEAVE", "1")
		if said, _ := watched(t, dir, "life", "-e", "trace=write"); strings.Contains(said, "begin claim") {
			t.Fatalf("the process lives:\n%s", said)
		}
		t.Setenv("QUEUEDB_LEAVE", "")
		_, trace := watched(t, dir, "life", "-e", "trace=fsync,fdatasync,close,write", "-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", n))
		opening, _, begun := strings.Cut(trace, `"begin `)
		if again := syncedAgain(opening); again != "" {
			t.Errorf("sync %d: synced again: %s\n%s", n, again, opening)
		}
		if begun {
			break
		}
		failures++
		b, err := openAt(filepath.Join(dir, "queue.db"))
		must(t, err)
		if stage(t, b, 0) != 1 {
			t.Errorf("sync %d: a job that was taken in is not there", n)
		}
		must(t, b.Close())
	}
	if failures == 0 {
		t.Error("no sync failed: the test shows nothing")
	}
}

// TestFailedWrite has writes fail: with EIO, and for want of space for a while.
func TestFailedWrite(t *testing.T) {
	failures := 0
	stride := 23 // a run takes a third of a second
	if long() {
		stride = 7
	}
	for workload := range workloads() {
		for name, inject := range map[string]string{
			"EIO": "inject=pwrite64:error=EIO:when=%d", "full": "inject=pwrite64:error=ENOSPC:when=%d..%[1]d+4", "full for good": "inject=pwrite64:error=ENOSPC:when=%d+",
		} {
			for n := 1; ; n += stride {
				dir := t.TempDir()
				inject := fmt.Sprintf(inject, n)
				inject = strings.Replace(inject, fmt.Sprintf("%d..%d+4", n, n), fmt.Sprintf("%d..%d", n, n+4), 1)
				said, trace := watched(t, dir, workload, "-e", "trace=pwrite64", "-e", inject)
				checkSaid(t, dir, workload, said)
				if t.Failed() {
					t.Fatalf("%s, %s, write %d:\n%s", workload, name, n, said)
				}
				if !strings.Contains(trace, "INJECTED") {
					break
				}
				failures++
			}
		}
	}
	t.Logf("%d writes failed", failures)
	if failures < 10 {
		t.Errorf("only %d writes failed: the test shows little", failures)
	}
}

// TestCrashAtEverySyscall kills the process at each of its system calls that change
// files. The first workload begins with no file at all.
func TestCrashAtEverySyscall(t *testing.T) {
	crashes := 0
	for workload := range workloads() {
		for _, call := range []string{"pwrite64", "fsync", "ftruncate", "unlink,unlinkat", "write"} {
			stride := 1
			if !long() && (call == "pwrite64" || call == "write") {
				stride = 12
			}
			for n := 1; ; n += stride {
				dir := t.TempDir()
				said, trace := watched(t, dir, workload, "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n))
				checkSaid(t, dir, workload, said)
				if t.Failed() {
					t.Fatalf("%s, %s %d:\n%s", workload, call, n, trace)
				}
				if !strings.Contains(trace, "killed by SIGKILL") {
					break
				}
				crashes++
			}
		}
	}
	t.Logf("%d crashes", crashes)
	if crashes < 20 {
		t.Errorf("only %d crashes: the test shows little", crashes)
	}
}
