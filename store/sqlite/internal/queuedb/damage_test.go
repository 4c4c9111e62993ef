package queuedb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/sqlite/internal/queuedb"
)

const storedJobs = 120

// storedJob is job n as stored takes it in: some have an idempotency key, and some a webhook.
func storedJob(n int) backlog.Job {
	j := job(n)
	if n%4 == 0 {
		j.Idempotency = [32]byte{31: byte(1 + n)}
	}
	j.Webhook = n%5 == 0
	return j
}

// storedEnd is the completion of job n there.
func storedEnd(n int) backlog.Change {
	c := completion(n)
	if n%5 == 0 {
		c.To.Hook.Due = c.To.Finished
	}
	return c
}

// stored makes a queue with jobs in all stages, and returns the bytes of its file.
func stored(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "queue.db")
	b, err := openAt(path)
	must(t, err)
	for n := range storedJobs {
		j := storedJob(n)
		_, err := b.Insert(t.Context(), &j, payload(n), time.Time{})
		must(t, err)
		if n%3 > 0 {
			apply(t, b, claim(n))
		}
		if n%3 > 1 {
			apply(t, b, storedEnd(n))
		}
	}
	must(t, b.Close())
	content, err := os.ReadFile(path)
	must(t, err)
	return content
}

// outcome is what became of the jobs of a damaged file.
type outcome struct{ refused, served, apart int }

// serve opens a damaged file and looks at all jobs: each is as it was written, or set
// apart, and none is missing.
func (o *outcome) serve(t *testing.T, path string, content []byte, what string) {
	t.Helper()
	must(t, os.WriteFile(path, content, 0o600))
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(path + suffix) // there may be none
	}
	b, err := openAt(path)
	if err != nil {
		o.refused++
		return
	}
	defer b.Close()
	listed, ok := list(t, b, backlog.Query{States: []backlog.State{backlog.Queued, backlog.Processing}}, what)
	hooked, also := list(t, b, backlog.Query{HooksDue: true}, what)
	if !ok || !also {
		return
	}
	apart := 0
	for n := range storedJobs {
		got, sent, err := b.Read(t.Context(), idOf(n), backlog.Payload)
		damaged := errors.Is(err, backlog.ErrDamaged)
		key := storedJob(n).Idempotency
		found, notFound := b.Find(t.Context(), key, time.Time{})
		switch unknown := errors.Is(notFound, backlog.ErrNotFound); {
		case unknown && (damaged || key == [32]byte{}):
		case notFound != nil || found.ID != idOf(n) || found.Idempotency != key:
			t.Errorf("%s: under the key of job %d is %s, %v", what, n, found.ID, notFound)
		}
		switch {
		case damaged:
			apart++
			continue
		case err != nil:
			t.Errorf("%s: job %d: %v", what, n, err)
			continue
		}
		want := storedJob(n)
		if n%3 > 0 {
			want.Status = claim(n).To
		}
		if n%3 > 1 {
			want.Status = storedEnd(n).To
		}
		// What is sealed is checked by who opens it.
		if got != want || len(sent) == 0 {
			t.Errorf("%s: job %d is %+v with %d bytes", what, n, got, len(sent))
		}
		if n%3 < 2 && !listed[idOf(n)] {
			t.Errorf("%s: job %d is unfinished and not listed", what, n)
		}
		if !want.Hook.Due.IsZero() && !hooked[idOf(n)] {
			t.Errorf("%s: the webhook of job %d is due and not listed", what, n)
		}
		o.served++
	}
	// A row whose ID is another one now is counted in its state until somebody meets it.
	if _, err := b.List(t.Context(), backlog.Query{Limit: 2 * storedJobs}); err != nil {
		t.Errorf("%s: List of all: %v", what, err)
	}
	census, err := b.Census(t.Context(), nil)
	counted := 0
	for _, c := range census {
		counted += c
	}
	if err != nil || counted != storedJobs || (census[0] == 0) != (apart == 0) && apart > 0 {
		t.Errorf("%s: the census is %v, %v with %d jobs set apart", what, census, err, apart)
	}
	o.apart += apart
	counted = 0
	for n := range 7 {
		tenant := job(n).Tenant
		census, err := b.Census(t.Context(), &tenant)
		for _, c := range census {
			counted += c
		}
		if err != nil {
			t.Errorf("%s: the census of %s: %v", what, tenant, err)
		}
	}
	set, err := b.Damaged(t.Context(), 10*storedJobs)
	must(t, err)
	// One whose ID is another now is counted until it is met.
	if counted > storedJobs || counted < storedJobs-len(set) {
		t.Errorf("%s: tenants have %d jobs, and of %d that are set apart %d were asked for", what, counted, len(set), apart)
	}
}

// list asks for all that a query selects, page by page.
func list(t *testing.T, b *queuedb.Backlog, q backlog.Query, what string) (listed map[backlog.ID]bool, ok bool) {
	t.Helper()
	listed = map[backlog.ID]bool{}
	for q.Limit = 50; ; {
		page, err := b.List(t.Context(), q)
		if err != nil {
			t.Errorf("%s: List: %v", what, err)
			return nil, false
		}
		for _, j := range page {
			listed[j.ID] = true
			q.After = j.ID
		}
		if len(page) < q.Limit {
			return listed, true
		}
	}
}

var (
	flipSeed   = flag.Uint64("flips.seed", 1, "draws the bits that are flipped")
	flipRounds = flag.Int("flips.rounds", 0, "bits that are flipped; 0: 150, or 1,500 with FOREBAY_LONG=1")
)

// TestFlips flips bits of the file: the same in every run. To look for what no run has met yet, have it draw others:
//
//	go test ./store/sqlite/internal/queuedb -run TestFlips -flips.rounds=4000 -flips.seed=N
func TestFlips(t *testing.T) {
	content := stored(t)
	rounds := *flipRounds
	if rounds == 0 {
		if rounds = 150; long() {
			rounds = 1500
		}
	}
	const parts = 4 // side by side: a round waits for the disk most of the time
	var all [parts]outcome
	t.Run("parts", func(t *testing.T) {
		for part := range parts {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(*flipSeed, uint64(part+1)))
				path := filepath.Join(t.TempDir(), "queue.db")
				for range rounds / parts {
					flipped := append([]byte{}, content...)
					at, bit := r.IntN(len(flipped)), r.IntN(8)
					flipped[at] ^= 1 << bit
					all[part].serve(t, path, flipped, fmt.Sprintf("seed %d, bit %d of byte %d of page %d", *flipSeed, bit, at%8192, at/8192+1))
					if t.Failed() {
						return
					}
				}
			})
		}
	})
	var o outcome
	for _, part := range all {
		o = outcome{o.refused + part.refused, o.served + part.served, o.apart + part.apart}
	}
	t.Logf("%d flips of a file of %d bytes: %+v", rounds, len(content), o)
	if o.apart == 0 || o.served < rounds*storedJobs/2 {
		t.Errorf("%+v: the test shows little", o)
	}
}

// TestIDsFlipped flips bits of a job's ID and before it, wherever it is in the file. In a
// row or an entry of an index it is another place in the order then, and SQLite, which looks for
// others by halves, may miss what is on either side.
func TestIDsFlipped(t *testing.T) {
	content := stored(t)
	path := filepath.Join(t.TempDir(), "queue.db")
	var o outcome
	places := 0
	for _, n := range []int{69, 22, 94} {
		id := uint64(idOf(n))
		inTable := []byte{byte(id) & 0x7f} // SQLite's own coding: seven bits a byte, and the first bit of all but the last
		for rest := id >> 7; rest > 0; rest >>= 7 {
			inTable = append([]byte{byte(rest) | 0x80}, inTable...)
		}
		for _, coded := range [][]byte{inTable, binary.BigEndian.AppendUint32(nil, uint32(id))} {
			for at := 0; ; at++ {
				next := bytes.Index(content[at:], coded)
				if next < 0 {
					break
				}
				at += next
				places++
				for place := at - 1; place < at+len(coded); place++ { // before it is the end of the row's length
					for _, bit := range []int{0, 6, 7} {
						flipped := append([]byte{}, content...)
						flipped[place] ^= 1 << bit
						o.serve(t, path, flipped, fmt.Sprintf("bit %d of byte %d of page %d", bit, place%8192, place/8192+1))
					}
				}
				if t.Failed() {
					return
				}
			}
		}
		if !long() {
			break
		}
	}
	t.Logf("in %d places: %+v", places, o)
	if places < 4 { // the job and its payload, and two indexes
		t.Errorf("the job's ID was found %d times", places)
	}
}

// TestPagesLost overwrites each page of the file in turn, and cuts the file.
func TestPagesLost(t *testing.T) {
	content := stored(t)
	path := filepath.Join(t.TempDir(), "queue.db")
	var o outcome
	pages := len(content) / 8192
	for page := 1; page < pages; page++ {
		for name, fill := range map[string]byte{"zeros": 0, "ones": 0xff} {
			lost := append([]byte{}, content...)
			for i := range 8192 {
				lost[page*8192+i] = fill
			}
			o.serve(t, path, lost, fmt.Sprintf("page %d of %d is %s", page+1, pages, name))
		}
		if !long() && page > 12 {
			page += 5
		}
	}
	t.Logf("%d pages: %+v", pages, o)
	for _, size := range []int{0, 1, 100, 8191, 8192, 20_000, len(content) / 2, len(content) - 1} {
		must(t, os.WriteFile(path, content[:size], 0o600))
		if b, err := openAt(path); err == nil {
			for n := range storedJobs {
				_, _, err := b.Read(t.Context(), idOf(n), backlog.Payload)
				if err == nil && size < len(content)/4 {
					t.Errorf("cut to %d bytes there is job %d", size, n)
				}
			}
			must(t, b.Close())
		}
	}
}

// TestKill kills a process that runs jobs, again and again at random moments: all that
// it acknowledged is there.
func TestKill(t *testing.T) {
	if dir := os.Getenv("QUEUEDB_KILL_DIR"); dir != "" {
		killed(t, dir)
		return
	}
	rounds := 12
	if long() {
		rounds = 40 // all that was acknowledged is looked at after each
	}
	dir := t.TempDir()
	last := map[int]int{}        // by job, the stage that was acknowledged
	patience := time.Duration(1) // grows while nothing is said: a busy machine is slow to begin
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "QUEUEDB_KILL_DIR="+dir, fmt.Sprintf("QUEUEDB_KILL_ROUND=%d", round))
		var out strings.Builder
		cmd.Stdout = &out
		must(t, cmd.Start())
		timer := time.AfterFunc(patience*time.Duration(40+rand.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // it was killed
		timer.Stop()
		lines := strings.Split(out.String(), "\n")
		if len(lines) < 3 {
			patience = min(2*patience, 64)
		}
		for _, line := range lines[:len(lines)-1] { // the last one may be cut
			var n, at int
			if _, err := fmt.Sscanf(line, "job %d at %d", &n, &at); err == nil {
				last[n] = at
			}
		}
		b, err := openAt(filepath.Join(dir, "queue.db"))
		must(t, err)
		for n, at := range last {
			if now := stage(t, b, n); now != at && now != at+1 {
				t.Errorf("round %d: job %d is at stage %d; it was said to be at %d", round, n, now, at)
			} else {
				last[n] = now
			}
		}
		must(t, b.Close())
		if t.Failed() {
			return
		}
	}
	t.Logf("%d rounds, %d jobs", rounds, len(last))
	if len(last) < rounds {
		t.Error("the process was killed before it did anything: the test shows nothing")
	}
}

// killed runs jobs until it is killed.
func killed(t *testing.T, dir string) {
	var round int
	_, _ = fmt.Sscan(os.Getenv("QUEUEDB_KILL_ROUND"), &round) // without one it is 0
	b, err := openAt(filepath.Join(dir, "queue.db"))
	must(t, err)
	for w := range 7 {
		go func() {
			for i := w; ; i += 7 {
				n := round*100_000 + i
				insert(t, b, n)
				fmt.Printf("job %d at 1\n", n)
				apply(t, b, claim(n))
				fmt.Printf("job %d at 2\n", n)
				apply(t, b, completion(n))
				fmt.Printf("job %d at 3\n", n)
			}
		}()
	}
	select {}
}
