package backlogtest_test

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/forebay-ai/forebay/backlog"
	"github.com/forebay-ai/forebay/store/storetest"
	"github.com/forebay-ai/forebay/store/storetest/backlogtest"
)

// A broken store breaks one sentence of the contract. The suites have to notice.
type broken struct {
	rule string // the subtest that has to fail, as go test writes its name
	// make is called whenever the store is opened, with all that it had.
	make func(*storetest.MemoryBacklog) backlog.Store
}

func brokens() map[string]broken {
	all := map[string]broken{}
	for _, some := range []map[string]broken{brokenInserts(), brokenChanges(), brokenLists(), brokenFinds(), brokenTenants(), brokenContents(), brokenRemovals(), brokenValues(), brokenPlaces(), brokenDamage(), brokenDisks()} {
		maps.Copy(all, some)
	}
	return all
}

// TestSuitesFail runs the suites on stores that break a sentence of the contract, in
// another process, and expects the sentence's subtest to fail: the first time, or where two
// goroutines have to meet for that, within five.
func TestSuitesFail(t *testing.T) {
	if os.Getenv("BACKLOGTEST_BROKEN") != "" {
		t.Skip("this is the other process")
	}
	for name, b := range brokens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite, rule, _ := strings.Cut(b.rule, "/")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$/^"+suite+"$/^"+regexp.QuoteMeta(rule)+"$", "-test.v", "-test.count=5", "-test.failfast",
				"-rapid.nofailfile", "-rapid.checks=1000", "-rapid.shrinktime=1ms", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), "BACKLOGTEST_BROKEN="+name, "FOREBAY_LONG=1")
			out, err := cmd.CombinedOutput()
			if want := "--- FAIL: TestBroken/" + b.rule; err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "panic:") {
				t.Errorf("the suite did not fail with %q (%v):\n%.2000s", want, err, out)
			}
		})
	}
}

// TestBroken is the other process's part of TestSuitesFail.
func TestBroken(t *testing.T) {
	b, ok := brokens()[os.Getenv("BACKLOGTEST_BROKEN")]
	if !ok {
		return // this process checks stores that work
	}
	all := stores{}
	open := func(t *testing.T, dir string) backlogtest.Lasting {
		good := all.open(t, dir)
		s := b.make(all[dir])
		if c, ok := s.(storeOf); ok && c.close != nil {
			good.Close = c.close
		}
		return backlogtest.Lasting{Store: s, Close: good.Close}
	}
	t.Run("Store", func(t *testing.T) {
		backlogtest.Store(t, func(*testing.T) backlog.Store { return b.make(storetest.NewBacklog()) })
	})
	t.Run("Failing", func(t *testing.T) {
		backlogtest.Failing(t, func(t *testing.T) backlogtest.Faulty {
			f := faulty(t)
			f.Store = b.make(f.Store.(*storetest.MemoryBacklog))
			return f
		})
	})
	t.Run("Durable", func(t *testing.T) { backlogtest.Durable(t, open) })
	t.Run("Damaged", func(t *testing.T) { backlogtest.Damaged(t, open, all.damage) })
}
