package logdb_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
)

// killedBatch is how many entries, postings or blocks are written at once.
const killedBatch = 10

// TestKill kills a process that writes to both files, again and again at random moments,
// and checks after each that all it acknowledged is there and that batches are whole.
func TestKill(t *testing.T) {
	if dir := os.Getenv("LOGDB_KILL_DIR"); dir != "" {
		killed(t, dir)
		return
	}
	rounds := 12
	if long() {
		rounds = 100
	}
	dir := filepath.Join(t.TempDir(), "store")
	must(t, os.Mkdir(dir, 0o700))
	said := map[string]map[int]bool{"batch": {}, "post": {}, "series": {}, "event": {}}
	patience := time.Duration(1) // grows until every kind was written: a busy machine is slow to begin
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "LOGDB_KILL_DIR="+dir, fmt.Sprintf("LOGDB_KILL_ROUND=%d", round))
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		timer := time.AfterFunc(patience*time.Duration(30+rand.IntN(200))*time.Millisecond, func() { cmd.Process.Kill() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var what string
			var n int
			if _, err := fmt.Sscanf(lines.Text(), "%s %d.", &what, &n); err == nil && strings.HasSuffix(lines.Text(), ".") && said[what] != nil {
				said[what][n] = true
			}
		}
		cmd.Wait()
		timer.Stop()
		checkKilled(t, dir, said)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		for _, all := range said {
			if len(all) == 0 {
				patience = min(2*patience, 64)
				break
			}
		}
	}
	for what, all := range said {
		t.Logf("%s: %d", what, len(all))
		if len(all) == 0 {
			t.Errorf("no %s was written before the process was killed: the test shows nothing", what)
		}
	}
}

// killed works until it is killed.
func killed(t *testing.T, dir string) {
	var round int
	fmt.Sscan(os.Getenv("LOGDB_KILL_ROUND"), &round)
	l, books := open(t, dir), openLedger(t, dir)
	say := func(what string, n int) { fmt.Printf("%s %d.\n", what, n) }
	go func() {
		for n := round * 100_000; ; n++ {
			must(t, l.AppendRequests(t.Context(), killEntries(n)))
			say("batch", n)
		}
	}()
	go func() {
		for n := round * 100_000; ; n++ {
			must(t, l.SaveSeries(t.Context(), killBlocks(n)))
			say("series", n)
			must(t, l.AppendAlarmEvents(t.Context(), []alarm.Event{{Name: fmt.Sprint("event-", n), At: epoch}, {Name: fmt.Sprint("event-", n), At: epoch}}))
			say("event", n)
			_, err := l.PruneRequests(t.Context(), epoch, -1) // entries that nobody counts
			must(t, err)
		}
	}()
	for n := round * 100_000; ; n++ {
		must(t, books.Post(t.Context(), killPost(n)))
		say("post", n)
	}
}

// killEntries is batch number n, and an entry that is removed soon.
func killEntries(n int) []requestlog.Entry {
	all := entries(n%1000, n%1000+killedBatch)
	for i := range all {
		all[i].Tenant, all[i].User = "killed", fmt.Sprint("batch-", n)
	}
	return append(all, requestlog.Entry{Start: epoch.Add(-time.Hour), Tenant: "old"})
}

func killBlocks(n int) []series.Block {
	var all []series.Block
	for i := range killedBatch {
		all = append(all, series.Block{Key: series.Key{Metric: fmt.Sprint("m", i)}, Step: time.Minute, Start: epoch.Add(time.Duration(n) * time.Minute), Data: []byte{byte(n)}})
	}
	return all
}

// killPost books to one account of all and to one of its own, and hands a reservation on.
func killPost(n int) ledger.Batch {
	b := ledger.Batch{Held: []ledger.Hold{{ID: fmt.Sprint("hold-", n), MicroUSD: int64(n), Expires: epoch}}}
	if n%100_000 > 0 {
		b.Released = []string{fmt.Sprint("hold-", n-1)}
	}
	for i := range killedBatch {
		b.Postings = append(b.Postings, ledger.Posting{
			Account: ledger.Account{Day: epoch, Tenant: "killed", User: fmt.Sprint("post-", n), Operation: fmt.Sprint("operation-", i)},
			Amounts: ledger.Amounts{Calls: 1, MicroUSD: int64(n%100_000 + i)},
		})
	}
	return b
}

func checkKilled(t *testing.T, dir string, said map[string]map[int]bool) {
	t.Helper()
	l, books := open(t, dir), openLedger(t, dir)
	defer l.Close()
	defer books.Close()

	there := map[string]int{}
	for q := (requestlog.Query{Limit: 500, Filter: requestlog.Filter{Tenant: "killed"}}); ; {
		p, err := l.Requests(t.Context(), q)
		must(t, err)
		for _, e := range p.Entries {
			there[e.User]++
		}
		if q.Before = p.Next; p.Next == 0 {
			break
		}
	}
	must(t, l.LoadSeries(t.Context(), func(time.Duration) time.Time { return time.Time{} }, func(b series.Block) bool {
		there[fmt.Sprint("series-", int(b.Start.Sub(epoch)/time.Minute))]++
		return true
	}))
	events, err := l.AlarmEvents(t.Context(), "", 0, 10_000)
	must(t, err)
	for _, e := range events {
		there[e.Name] += killedBatch / 2
	}
	checkBooks(t, books, there)
	for name, n := range there {
		if n != killedBatch {
			t.Errorf("of %s there are %d of %d", name, n, killedBatch)
		}
	}
	for what, all := range said {
		for n := range all {
			if what == "event" && len(events) == 10_000 {
				continue // older ones are not listed
			}
			if name := fmt.Sprintf("%s-%d", what, n); there[name] == 0 {
				t.Errorf("%s was acknowledged and is not there", name)
			}
		}
	}
}

// checkBooks checks that sums and reservations are those of whole batches.
func checkBooks(t *testing.T, books ledger.Store, there map[string]int) {
	t.Helper()
	rows, err := books.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByUser}, Limit: 1 << 30})
	must(t, err)
	sum, held := int64(0), map[string]bool{}
	for _, r := range rows {
		var n int
		fmt.Sscanf(r.User, "post-%d", &n)
		there[r.User] = int(r.Calls)
		want := int64(0)
		for _, p := range killPost(n).Postings {
			want += p.MicroUSD
		}
		if r.MicroUSD != want {
			t.Errorf("%s: %d micro-dollars; want %d", r.User, r.MicroUSD, want)
		}
		sum += r.MicroUSD
		held[fmt.Sprint("hold-", n)] = true
		if n%100_000 > 0 {
			delete(held, fmt.Sprint("hold-", n-1))
		}
	}
	for _, r := range rows { // in whatever order they came
		var n int
		fmt.Sscanf(r.User, "post-%d", &n)
		if n%100_000 > 0 {
			delete(held, fmt.Sprint("hold-", n-1))
		}
	}
	all, err := books.Spend(t.Context(), ledger.Query{})
	must(t, err)
	if len(rows) > 0 && (len(all) != 1 || all[0].MicroUSD != sum) {
		t.Errorf("all is %+v; want %d micro-dollars", all, sum)
	}
	holds, err := books.Holds(t.Context())
	must(t, err)
	for _, h := range holds {
		if !held[h.ID] {
			t.Errorf("%s was released and is there", h.ID)
		}
		delete(held, h.ID)
	}
	for id := range held {
		t.Errorf("%s was not released and is not there", id)
	}
}
