package logdb_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/alarm"
	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/series"
	"github.com/forebay-ai/forebay/store/sqlite/internal/logdb"
	"github.com/forebay-ai/forebay/store/sqlite/internal/sqlfile"
)

// filledLog is a log with something of everything, as bytes.
func filledLog(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	l := open(t, dir)
	fill(t, l, 0, 1500)
	var blocks []series.Block
	for n := range 300 {
		blocks = append(blocks, series.Block{Key: series.Key{Metric: fmt.Sprint("m", n%7)}, Step: time.Minute, Start: epoch.Add(time.Duration(n) * time.Minute), Data: make([]byte, n)})
	}
	must(t, l.SaveSeries(t.Context(), blocks))
	must(t, l.SaveAlarms(t.Context(), alarm.Kept{Statuses: []alarm.Status{{Name: "a"}}, Silences: []alarm.Silence{{ID: "s"}}}))
	must(t, l.AppendAlarmEvents(t.Context(), []alarm.Event{{Name: "a"}, {Name: "b"}}))
	must(t, l.Close())
	whole, err := os.ReadFile(filepath.Join(dir, "log.db"))
	must(t, err)
	return whole
}

// flipped is content with up to n bytes changed.
func flipped(r *rand.Rand, content []byte, n int) []byte {
	broken := slices.Clone(content)
	for range 1 + r.IntN(n) {
		broken[r.IntN(len(broken))] ^= byte(1 << r.IntN(8))
	}
	return broken
}

// TestRandomDamage looks for a panic or a hang when bytes of log.db are changed, and that
// what cannot be read is told as damage.
func TestRandomDamage(t *testing.T) {
	rounds := 40
	if long() {
		rounds = 600
	}
	whole := filledLog(t)
	r := rand.New(rand.NewPCG(1, 2))
	opened, told := 0, 0
	for range rounds {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "log.db"), flipped(r, whole, 40), 0o600))
		l, err := logdb.OpenLog(filepath.Join(dir, "log.db"))
		if err != nil {
			var e *llm.Error
			if !errors.Is(err, sqlfile.ErrDamaged) && !errors.As(err, &e) {
				t.Errorf("OpenLog = %v", err)
			}
			continue
		}
		opened++
		for _, err := range useLog(t, l) {
			if err != nil {
				told++
			}
			if err != nil && !errors.Is(err, sqlfile.ErrDamaged) {
				t.Errorf("an operation gives %v", err)
			}
		}
		_ = l.Close()
	}
	t.Logf("%d of %d files could be opened; %d operations told of damage", opened, rounds, told)
	if opened == 0 || opened == rounds || told == 0 {
		t.Error("the test shows nothing")
	}
}

// useLog does everything with a log, and gives the errors of it.
func useLog(t *testing.T, l *logdb.Log) (all []error) {
	t.Helper()
	add := func(err error) { all = append(all, err) }
	for _, f := range []requestlog.Filter{{}, {Failed: true}, {User: "student-00017"}, {Operation: "operation-2"}, {MinDuration: time.Second, From: epoch}} {
		for q := (requestlog.Query{Filter: f, Limit: 500}); ; {
			p, err := l.Requests(t.Context(), q)
			add(err)
			if p.Next == 0 || q.Before > 0 && p.Next >= q.Before {
				if p.Next > 0 {
					t.Errorf("the page after %d is that after %d", q.Before, p.Next)
				}
				break
			}
			q.Before = p.Next
		}
	}
	for seq := range int64(1500) {
		_, _, err := l.Request(t.Context(), seq)
		add(err)
	}
	add(l.AppendRequests(t.Context(), entries(0, 10)))
	add(l.EraseRequests(t.Context(), "school-1", "student-00017"))
	_, err := l.PruneRequests(t.Context(), epoch.Add(time.Minute), 700)
	add(err)
	add(l.LoadSeries(t.Context(), func(time.Duration) time.Time { return time.Time{} }, func(series.Block) bool { return true }))
	add(l.SaveSeries(t.Context(), []series.Block{{Step: time.Hour}}))
	add(l.PruneSeries(t.Context(), time.Minute, epoch.Add(time.Hour)))
	_, err = l.LoadAlarms(t.Context())
	add(err)
	add(l.SaveAlarms(t.Context(), alarm.Kept{}))
	add(l.AppendAlarmEvents(t.Context(), []alarm.Event{{}}))
	_, err = l.AlarmEvents(t.Context(), "", 0, 100)
	add(err)
	add(l.PruneAlarmEvents(t.Context(), epoch))
	return all
}

// TestLedgerDamage changes bytes of ledger.db: whatever is read then is what was written,
// or the damage is told.
func TestLedgerDamage(t *testing.T) {
	rounds := 60
	if long() {
		rounds = 1500
	}
	dir := t.TempDir()
	l := openLedger(t, dir)
	var all []ledger.Posting
	for n := range 40 {
		var b ledger.Batch
		for i := range 25 {
			b.Postings = append(b.Postings, posting(31*n+i))
		}
		b.Held = []ledger.Hold{{ID: fmt.Sprint("hold-", n), Account: posting(n).Account, MicroUSD: 7, Expires: epoch}}
		must(t, l.Post(t.Context(), b))
		all = append(all, b.Postings...)
	}
	must(t, l.Close())
	whole, err := os.ReadFile(filepath.Join(dir, "ledger.db"))
	must(t, err)
	want := sums(all, ledger.Query{})[0].Amounts
	r := rand.New(rand.NewPCG(3, 4))
	seen := map[string]int{}
	for range rounds {
		seen[useBrokenBooks(t, flipped(r, whole, 3), want)]++
	}
	t.Logf("%v", seen)
	if seen["refused to open"] == 0 || seen["told by a sum"] == 0 {
		t.Error("the test shows nothing")
	}
}

// useBrokenBooks reads books of these bytes, and says what became of the damage.
func useBrokenBooks(t *testing.T, broken []byte, want ledger.Amounts) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	must(t, os.WriteFile(path, broken, 0o600))
	l, err := logdb.OpenLedger(path, slog.New(slog.DiscardHandler))
	var e *llm.Error
	if err != nil {
		if !errors.As(err, &e) || e.Fix == "" {
			t.Errorf("OpenLedger = %v, which does not say what to do", err)
		}
		if now, err := os.ReadFile(path); err != nil || len(now) != len(broken) {
			t.Errorf("the damaged books are not where they were: %v", err)
		}
		return "refused to open"
	}
	defer l.Close()
	rows, err := l.Spend(t.Context(), ledger.Query{})
	switch {
	case err != nil && (!errors.Is(err, sqlfile.ErrDamaged) || !errors.As(err, &e)):
		t.Errorf("Spend = %v", err)
	case err != nil:
		return "told by a sum"
	case len(rows) != 1 || rows[0].Amounts != want:
		t.Errorf("the sum is %+v; want %+v", rows, want)
	}
	if holds, err := l.Holds(t.Context()); err == nil {
		for _, h := range holds {
			if h.MicroUSD != 7 || !h.Expires.Equal(epoch) {
				t.Errorf("a reservation is %+v", h)
			}
		}
	} else if !errors.Is(err, sqlfile.ErrDamaged) {
		t.Errorf("Holds = %v", err)
	}
	err = l.Verify(t.Context())
	if err != nil {
		if !errors.Is(err, sqlfile.ErrDamaged) {
			t.Errorf("Verify = %v", err)
		}
		return "told by a look at all"
	}
	return "hit nothing"
}

// TestLedgerChanged changes one amount, name or reservation at a time, in ways that are no
// damage to SQLite.
func TestLedgerChanged(t *testing.T) {
	for name, change := range map[string]string{
		"an amount":        `UPDATE books SET micro_usd = micro_usd + 1 WHERE user = 'user-1'`,
		"a count":          `UPDATE books SET calls = calls | 1024 WHERE user = 'user-2'`,
		"two exchanged":    `UPDATE books SET input = output, output = input WHERE user = 'user-3'`,
		"its checksum":     `UPDATE books SET amounts_sum = amounts_sum + 1 WHERE user = 'user-4'`,
		"whose it is":      `UPDATE books SET user = 'user-9' WHERE user = 'user-0'`,
		"a reservation":    `UPDATE holds SET micro_usd = micro_usd + 1`,
		"its account":      `UPDATE holds SET tenant = 'x'`,
		"when it ends":     `UPDATE holds SET expires = 0`,
		"nothing, to show": `UPDATE books SET calls = calls`,
	} {
		t.Run(name, func(t *testing.T) {
			l := openLedger(t, t.TempDir())
			var b ledger.Batch
			for n := range 50 {
				b.Postings = append(b.Postings, posting(n+101))
			}
			b.Held = []ledger.Hold{{ID: "h", MicroUSD: 5, Expires: epoch}}
			must(t, l.Post(t.Context(), b))
			must(t, l.Verify(t.Context()))
			must(t, l.Run(change))
			_, sumErr := l.Spend(t.Context(), ledger.Query{By: []ledger.Dimension{ledger.ByTenant}})
			err := l.Verify(t.Context())
			if want := !strings.HasPrefix(name, "nothing"); errors.Is(err, sqlfile.ErrDamaged) != want {
				t.Errorf("Verify = %v", err)
			}
			if amounts := strings.Contains(change, "UPDATE books SET") && name != "whose it is" && !strings.HasPrefix(name, "nothing"); errors.Is(sumErr, sqlfile.ErrDamaged) != amounts {
				t.Errorf("Spend = %v", sumErr)
			}
		})
	}
}

// TestErasedBytes looks for an erased name in every byte of the files: it is in no log, and
// in the files there are only copies in parts of pages that nothing uses.
func TestErasedBytes(t *testing.T) {
	const name = "a name that nobody else has"
	dir := t.TempDir()
	l, books := open(t, dir), openLedger(t, dir)
	for n := range 20 {
		all := entries(600*n, 600*n+500)
		var b ledger.Batch
		for i := range all {
			p := posting(i)
			if i%3 == 0 {
				all[i].Tenant, all[i].User, p.Tenant, p.User = "school", name, "school", name
			}
			b.Postings = append(b.Postings, p)
		}
		b.Held = []ledger.Hold{{ID: fmt.Sprint(n), Account: ledger.Account{Tenant: "school", User: name}}}
		must(t, l.AppendRequests(t.Context(), all))
		must(t, books.Post(t.Context(), b))
	}
	before, _ := inFiles(t, dir, name)
	if before == 0 {
		t.Fatal("the name is in no file: the test shows nothing")
	}
	must(t, l.EraseRequests(t.Context(), "school", name))
	must(t, books.ErasePostings(t.Context(), "school", name))
	after, logs := inFiles(t, dir, name)
	t.Logf("%d times before, %d after", before, after)
	if logs != 0 || after > before/20 {
		t.Errorf("of %d times the name is still there %d times, %d of them in logs", before, after, logs)
	}
}

// inFiles counts a text in all files of a folder, and in those of them that are logs.
func inFiles(t *testing.T, dir, text string) (n, logs int) {
	t.Helper()
	all, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range all {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		in := bytes.Count(content, []byte(text))
		n += in
		if strings.HasSuffix(f.Name(), "-wal") {
			logs += in
		}
	}
	return n, logs
}

// FuzzDecode reads values of entries as a damaged file may have them.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{1, 0}, []byte{1, 2})
	f.Add(append([]byte{1, 0x20}, logdb.Uvarint(1<<63)...), []byte{})
	f.Add([]byte{1, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 2, 2, 3, 3, 1, 1}, []byte{1, 2, 2, 2, 2, 2, 1, 1, 1})
	f.Add([]byte{1, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 3, 'a', 'b', 'c', 1, 1, 1, 1, 1, 1, 1}, append([]byte{1}, logdb.Uvarint(1<<62)...))
	f.Fuzz(func(t *testing.T, rest, attempts []byte) {
		if err := logdb.Decode(rest, attempts); err != nil && !errors.Is(err, sqlfile.ErrDamaged) {
			t.Errorf("Decode = %v", err)
		}
	})
}

// TestWordsAreBounded has callers invent names.
func TestWordsAreBounded(t *testing.T) {
	dir := t.TempDir()
	var want []requestlog.Entry
	for round := range 3 {
		l := open(t, dir)
		for n := range 4 {
			all := entries(0, 500)
			for i := range all {
				all[i].Model = fmt.Sprintf("model-%d-%d-%d", round, n, i)
			}
			must(t, l.AppendRequests(t.Context(), all))
			want = append(want, all...)
		}
		if n := l.Words(); n > 4096 {
			t.Errorf("there are %d words", n)
		}
		for i := 0; i < len(want); i += 97 {
			e := want[i]
			p, err := l.Requests(t.Context(), requestlog.Query{Filter: requestlog.Filter{Model: e.Model}})
			if err != nil || len(p.Entries) != 1 || p.Entries[0].Seq != e.Seq {
				t.Fatalf("of %s: %+v, %v", e.Model, p, err)
			}
		}
		must(t, l.Close())
	}
}

// TestWordsOfFailures has transactions fail in which words are new.
func TestWordsOfFailures(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	must(t, l.Run(`CREATE TEMP TRIGGER failing BEFORE INSERT ON main.requests WHEN NEW.cost = 99 BEGIN SELECT RAISE(ABORT, 'as was asked for'); END`))
	for n := range 30 {
		all := entries(3*n, 3*n+3)
		for i := range all {
			all[i].Model, all[i].MicroUSD = fmt.Sprintf("model-%d", n/2), 1
		}
		if n%2 == 0 {
			all[2].MicroUSD = 99
		}
		if err := l.AppendRequests(t.Context(), all); (err != nil) != (n%2 == 0) {
			t.Errorf("append %d: %v", n, err)
		}
	}
	for range 2 {
		for n := range 15 {
			p, err := l.Requests(t.Context(), requestlog.Query{Filter: requestlog.Filter{Model: fmt.Sprintf("model-%d", n)}})
			if err != nil || len(p.Entries) != 3 {
				t.Errorf("of model %d there are %d, %v", n, len(p.Entries), err)
			}
		}
		must(t, l.Close())
		l = open(t, dir)
	}
}
