// Package mutants_test builds the project with one guarantee broken at a time, by a
// build tag, and demands that the test of that guarantee notices. What nobody would
// notice is no guarantee.
package mutants_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// mutant is a build with one guarantee broken, and the test that has to fail for it.
type mutant struct {
	tag, promise, pkg, test string
}

// All of them on purpose: rows read best together.
var mutants = []mutant{
	{"mutant_ack_before_sync", "what is acknowledged is on disk", "./store/sqlite/internal/queuedb", "TestAnsweredWhenSynced"},
	{"mutant_no_fencing", "a lost lease cannot commit", "./backlog", "TestFencing"},
	{"mutant_drop_after_accept", "what was accepted is never dropped", "./backlog", "TestAcceptedIsNeverDropped"},
	{"mutant_strict_priority", "no band starves another", "./queue", "TestNoBandStarves"},
	{"mutant_count_not_time", "hopeless work is refused by time, not by number", "./queue", "TestRefusedByTime"},
}

// TestMutants takes a build for each, so that it is part of the long run only.
func TestMutants(t *testing.T) {
	if os.Getenv("FOREBAY_LONG") == "" {
		t.Skip("a build for each mutant: FOREBAY_LONG=1 runs them")
	}
	for _, m := range mutants {
		t.Run(m.tag, func(t *testing.T) {
			// Without the tag the test has to pass: one that is missing, or fails for
			// another reason, proves nothing.
			if out, err := run(m, ""); err != nil || !bytes.Contains(out, []byte("--- PASS: "+m.test)) {
				t.Fatalf("%s does not pass, or is not there, without the mutant: %v\n%s", m.test, err, tail(out))
			}
			out, err := run(m, m.tag)
			if err == nil {
				t.Fatalf("%s passes although %q is broken", m.test, m.promise)
			}
			if !bytes.Contains(out, []byte("--- FAIL: "+m.test)) {
				t.Fatalf("%s did not get to fail: %v\n%s", m.test, err, tail(out))
			}
		})
	}
}

func run(m mutant, tag string) ([]byte, error) {
	cmd := exec.Command("go", "test", "-count=1", "-v", "-timeout=5m", "-tags="+tag, "-run", "^"+m.test+"$", m.pkg)
	cmd.Dir = "../.."
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FOREBAY_LONG=") { // the short form of the test is enough
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd.CombinedOutput()
}

// tail is the end of what a test said.
func tail(out []byte) []byte { return out[max(0, len(out)-2000):] }
