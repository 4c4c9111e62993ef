//go:build linux

package crashtest_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// diskMiB is enough for what a run of a hundred cuts writes.
const diskMiB = 512

// newCuts prepares a run of s whose data directory is on a disk of its own.
func newCuts(t *testing.T, s subject, mib int64) (*drill, *disk) {
	t.Helper()
	d := newDrill(t, s)
	disk := newDisk(t, d.home, mib)
	d.stage, d.data = disk.stage, filepath.Join(disk.dir, "data")
	t.Cleanup(func() { // before the disk goes
		d.rest()
		if d.process != nil {
			d.process.kill()
			d.process = nil
		}
	})
	d.mix = []nemesis{{"cut", 100, func(d *drill) error { return d.cut(disk) }}}
	return d, disk
}

// cut takes the power: the process stops where it is, the disk forgets what was not
// synced, and the machine comes back. An acknowledgement that left before the stop
// counts, one that would have come later does not.
func (d *drill) cut(disk *disk) error {
	var tracer *tracer
	if d.slow > 0 && d.dice.chance(d.slowly) {
		var err error
		if tracer, err = d.inject(d.process, fmt.Sprintf("fsync,fdatasync:delay_enter=%d", d.slow.Microseconds())); err != nil {
			return err
		}
	}
	time.Sleep(d.dice.between(20*time.Millisecond, 400*time.Millisecond))
	from := d.now()
	if err := d.process.halt(); err != nil {
		return err
	}
	if tracer != nil { // second: it passes the stop on, and could still let threads go on
		if err := errors.Join(tracer.halt(), awaitStop(d.process.pid)); err != nil {
			return err
		}
	}
	if err := disk.cut(); err != nil {
		return err
	}
	if tracer != nil {
		tracer.kill()
	}
	d.down("cut", from)
	return disk.restore()
}

// TestPowerCuts cuts the power of the release binary, half of the time on a disk that is
// slow.
func TestPowerCuts(t *testing.T) {
	needStrace(t)
	d, _ := newCuts(t, forebay(t, ""), diskMiB)
	d.slow, d.slowly = slowSync, 50
	d.mustHold(d.run(size(*flags.cuts, 3, 100)))
	if n := d.caught(); n*10 < 3*len(d.kills) {
		t.Errorf("%d of %d cuts hit a write: at least 30%% have to", n, len(d.kills))
	}
}

// slowSync is what a sync takes on a disk that is slow: with a fast one, little is on its
// way between an early acknowledgement and its sync.
const slowSync = 20 * time.Millisecond

// TestPowerCutsFindEarlyAcknowledgement cuts the power of a gateway that acknowledges
// before it syncs: in a long run, that is the binary that was built so on purpose.
func TestPowerCutsFindEarlyAcknowledgement(t *testing.T) {
	s := fake(faultEarly)
	if long() {
		needStrace(t)
		s = forebay(t, "mutant_ack_before_sync")
	}
	d, _ := newCuts(t, s, diskMiB)
	if long() {
		d.slow, d.slowly = slowSync, 100
	}
	d.mustFind(1, "I1", "I4")
}

// TestPowerCutsHonest is the test of the harness: a gateway without fault passes.
func TestPowerCutsHonest(t *testing.T) {
	t.Parallel()
	d, _ := newCuts(t, fake(""), diskMiB)
	d.mustHold(d.run(size(0, 5, 40)))
}

// TestKillsMissEarlyAcknowledgement is why there are power cuts: no kill shows what a
// power cut shows at once, for what the system holds for a process outlives it.
func TestKillsMissEarlyAcknowledgement(t *testing.T) {
	t.Parallel()
	d := newDrill(t, fake(faultEarly))
	d.mix = nemeses()[:1]
	d.mustHold(d.run(4))
}
