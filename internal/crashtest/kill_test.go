//go:build linux

package crashtest_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestKills kills the release binary in all ways, over one directory.
func TestKills(t *testing.T) {
	needStrace(t)
	d := newDrill(t, forebay(t, ""))
	kills := size(*flags.kills, 8, 300)
	d.mustHold(d.run(kills))
	d.mustSay(kills)
	d.mustBeSealed()
}

// TestKillsHonest is the test of the harness: a gateway without fault passes.
func TestKillsHonest(t *testing.T) {
	needStrace(t)
	t.Parallel()
	d := newDrill(t, fake(""))
	d.mustHold(d.run(size(0, 8, 60)))
	d.mustSay(8)
}

// mustSay fails a run that would have passed without having tried anything.
func (d *drill) mustSay(kills int) {
	d.t.Helper()
	if n := d.caught(); n*10 < 3*len(d.kills) {
		d.t.Errorf("%d of %d kills hit a write: at least 30%% have to", n, len(d.kills))
	}
	for _, n := range d.mix {
		// Half of what the mix lets expect; eight kills are one of each kind.
		if least := max(1, kills*n.weight/200); kills >= 8 && d.struck[n.kind] < least {
			d.t.Errorf("%d of kind %s: at least %d of %d have to be", d.struck[n.kind], n.kind, least, kills)
		}
	}
	if d.ambiguous() == 0 {
		d.t.Error("no call was repeated because its answer was lost with its process")
	}
	if d.fenced == 0 {
		d.t.Error("no worker lost its lease: nothing was fenced")
	}
	// The promise of 2 s is TestRecovery's, with a long queue. Here a whole crowd and a
	// tracer are at work beside the start, and the machine may be busy.
	if d.ready(50) > 2*time.Second || d.ready(99) > 10*time.Second {
		d.t.Errorf("I9: ready in p50 %s, p99 %s; at most 2s and 10s", d.ready(50), d.ready(99))
	}
}

// TestKillsFindFaults plants faults; each has to be found under one of its rules.
func TestKillsFindFaults(t *testing.T) {
	tests := []struct {
		fault string
		kind  string // of the nemesis that makes it show
		rules []string
	}{
		{faultForget, "kill", []string{"I1"}},
		{faultPhantom, "kill", []string{"I2"}},
		{faultTwins, "kill", []string{"I3"}},
		{faultChange, "kill", []string{"I4"}},
		{faultReopen, "kill", []string{"I4", "I5"}},
		{faultRerun, "kill", []string{"I5"}},
		{faultUnfenced, sleepKind, []string{"I6", "I4"}},
		{faultBackwards, "kill", []string{"I7"}},
		{faultMiscount, "kill", []string{"I8"}},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			d := newDrill(t, fake(tt.fault))
			for _, n := range nemeses() {
				if n.kind == tt.kind {
					n.weight = 100
					d.mix = []nemesis{n}
				}
			}
			if tt.fault == faultBackwards {
				d.settings.Slots = 4 // so that jobs wait
			}
			d.mustFind(3, tt.rules...)
		})
	}
}

// mustBeSealed looks for prompts and answers in the files of the data directory.
func (d *drill) mustBeSealed() {
	d.t.Helper()
	files := 0
	err := filepath.WalkDir(d.data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, plain := range []string{canary[:20], "chat.completion"} {
			if bytes.Contains(text, []byte(plain)) {
				d.t.Errorf("%s has %q in it", filepath.Base(path), plain)
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		d.t.Errorf("%d files, %v", files, err)
	}
}
