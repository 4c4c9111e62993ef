package queuedb_test

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/store/sqlite/internal/queuedb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long runs what takes minutes, too. It is a function since
// go test caches by what the tests read of the environment, and not by what is read before.
func long() bool { return os.Getenv("FOREBAY_LONG") == "1" }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// idOf is the ID of job n, as IDs of one process are: further apart than one.
func idOf(n int) backlog.ID { return backlog.ID(1+n) << 22 }

// job is job n. All of it follows from its number, so that one can be told from all
// others and from a damaged one.
func job(n int) backlog.Job {
	j := backlog.Job{ID: idOf(n), Spec: backlog.Spec{
		Tenant: "tenant-" + string(rune('a'+n%7)), User: "user", Key: "web", Operation: "analysis", Endpoint: "/v1/chat/completions",
		Model: "small", Enqueued: epoch.Add(time.Duration(n) * time.Millisecond), Timeout: time.Minute, Retention: time.Hour,
		Bytes: len(payload(n)),
	}, Status: backlog.Status{State: backlog.Queued, Band: llm.High, Deadline: epoch.Add(time.Hour)}}
	binary.LittleEndian.PutUint64(j.Digest[:], uint64(n))
	return j
}

// bytesOf are bytes that follow from a number.
func bytesOf(n, size int) []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n))
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(b) // it has no error
	return b
}

func payload(n int) []byte { return bytesOf(n, 300+n%700) }
func result(n int) []byte  { return bytesOf(-n-1, 200+n%300) }

// claim and completion are the changes of job n.
func claim(n int) backlog.Change {
	s := job(n).Status
	s.State, s.Attempt, s.Worker, s.LeaseUntil, s.Started = backlog.Processing, 1, "worker", epoch.Add(time.Minute), epoch
	return backlog.Change{ID: idOf(n), From: backlog.Queued, To: s}
}

func completion(n int) backlog.Change {
	s := claim(n).To
	s.State, s.LeaseUntil, s.Worker, s.Finished = backlog.Completed, time.Time{}, "", epoch.Add(time.Second)
	s.Keep, s.ResultUntil = epoch.Add(2*time.Hour), epoch.Add(time.Hour)
	return backlog.Change{ID: idOf(n), From: backlog.Processing, Attempt: 1, To: s, Result: result(n)}
}

func insert(t testing.TB, b *queuedb.Backlog, n int) {
	t.Helper()
	j := job(n)
	_, err := b.Insert(t.Context(), &j, payload(n), time.Time{})
	must(t, err)
}

func apply(t testing.TB, b *queuedb.Backlog, c backlog.Change) {
	t.Helper()
	must(t, b.Apply(t.Context(), &c))
}

func openAt(path string) (*queuedb.Backlog, error) {
	return queuedb.Open(path, slog.New(slog.DiscardHandler))
}

// open opens a queue of its own for a test.
func open(t testing.TB) *queuedb.Backlog {
	t.Helper()
	b, err := openAt(filepath.Join(t.TempDir(), "queue.db"))
	must(t, err)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// stage is how far job n is: 0 not there, 1 queued, 2 processing, 3 completed, and -1
// set apart. Whatever is there has to be as it was written.
func stage(t testing.TB, b *queuedb.Backlog, n int) int {
	t.Helper()
	got, sent, err := b.Read(t.Context(), idOf(n), backlog.Payload)
	switch {
	case errors.Is(err, backlog.ErrNotFound):
		return 0
	case errors.Is(err, backlog.ErrDamaged):
		return -1
	}
	must(t, err)
	want, at := job(n), 1
	switch got.State {
	case backlog.Processing:
		want.Status, at = claim(n).To, 2
	case backlog.Completed:
		want.Status, at = completion(n).To, 3
	}
	if got != want || string(sent) != string(payload(n)) {
		t.Errorf("job %d is %+v with %d bytes; want %+v", n, got, len(sent), want)
	}
	if at == 3 {
		_, got, err := b.Read(t.Context(), idOf(n), backlog.Result)
		if errors.Is(err, backlog.ErrDamaged) {
			return -1
		}
		if err != nil || string(got) != string(result(n)) {
			t.Errorf("job %d has a result of %d bytes, %v", n, len(got), err)
		}
	}
	return at
}
