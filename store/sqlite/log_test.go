package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/ledger"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/requestlog"
	"github.com/forebay-ai/forebay/store/sqlite"
)

func withLog(c *sqlite.Config) { c.Log = true }

// filledWithLog makes a store with an entry and a posting, and closes it.
func filledWithLog(t *testing.T, dir string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir, Log: true})
	must(t, err)
	must(t, s.Log().AppendRequests(t.Context(), []requestlog.Entry{{ID: "req_1", Start: time.Unix(1_800_000_000, 0)}}))
	must(t, s.Ledger().Post(t.Context(), ledger.Batch{Postings: []ledger.Posting{{Amounts: ledger.Amounts{Calls: 1, MicroUSD: 5}}}}))
	must(t, s.Close())
}

func TestLogIsOptional(t *testing.T) {
	if s := open(t); s.Log() != nil || s.Ledger() != nil {
		t.Error("there is a log that nobody asked for")
	}
	s := open(t, withLog)
	if s.Log() == nil || s.Ledger() == nil {
		t.Fatal("there is no log")
	}
	if p, err := s.Log().Requests(t.Context(), requestlog.Query{}); err != nil || len(p.Entries) != 0 {
		t.Errorf("a new one has %+v, %v", p, err)
	}
}

// TestDamagedLogIsSetAside loses the log of calls, and neither the books nor the start.
func TestDamagedLogIsSetAside(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"no database at all": func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("hello ", 5000)), 0o600) },
		"found while in use": func(path string) error { return os.WriteFile(path+".suspect", nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			filledWithLog(t, dir)
			must(t, damage(filepath.Join(dir, "log.db")))
			log, text := logged()
			s, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir, Log: true, Logger: log})
			must(t, err)
			defer s.Close()
			if !strings.Contains(text.String(), "level=ERROR") || !strings.Contains(text.String(), "log.db.damaged-") {
				t.Errorf("the log says: %s", text)
			}
			if p, err := s.Log().Requests(t.Context(), requestlog.Query{}); err != nil || len(p.Entries) != 0 {
				t.Errorf("the new one has %+v, %v", p, err)
			}
			if rows, err := s.Ledger().Spend(t.Context(), ledger.Query{}); err != nil || len(rows) != 1 || rows[0].MicroUSD != 5 {
				t.Errorf("the books have %+v, %v", rows, err)
			}
		})
	}
}

// TestDamagedLedgerStopsTheStart leaves the books where they are and says what to do.
func TestDamagedLedgerStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	filledWithLog(t, dir)
	path := filepath.Join(dir, "ledger.db")
	broken := []byte(strings.Repeat("hello ", 5000))
	must(t, os.WriteFile(path, broken, 0o600))
	var e *llm.Error
	for range 2 {
		_, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir, Log: true})
		if !errors.Is(err, sqlite.ErrDamaged) || !errors.As(err, &e) || !strings.Contains(e.Fix, "backup") {
			t.Errorf("Open = %v", err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != string(broken) {
			t.Errorf("the books were touched: %v", err)
		}
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir}) // without them all else works
	must(t, err)
	must(t, s.Close())
}
