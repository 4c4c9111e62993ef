//go:build linux

package crashtest_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"
)

// boundary are the system calls that change what is on the disk.
var boundary = regexp.MustCompile(`(fsync|fdatasync|pwrite64|ftruncate|unlink|unlinkat|fallocate|rename|renameat2?)\(`)

// TestBoundaries kills the gateway before each system call that a job makes from its
// submission to its result, and one that is cancelled.
func TestBoundaries(t *testing.T) { mustPass(t, boundaries(t, forebay(t, ""))) }

func boundaries(t *testing.T, s subject) []string {
	needStrace(t)
	d := newDrill(t, s)
	d.upstream.during = nil
	d.settings.Lease = 15 * time.Second // no renewals between the calls
	if err := d.up(); err != nil {
		t.Fatal(err)
	}
	// strace counts each thread's calls, and which thread makes a call is chance. So what
	// was hit is read from the trace, and the counts are gone through until nothing new
	// comes up, within bounds.
	hit := map[int]bool{}
	runs, survived := 0, 0
	for n := 1; runs < size(0, 8, 150) && survived < size(0, 2, 6); n++ {
		runs++
		died, calls := d.dieAt(n, runs)
		if !died {
			survived++
			n = 0
			continue
		}
		hit[calls] = true
		if found := d.examined(); len(found) > 0 {
			return found
		}
	}
	t.Logf("%d runs, killed before these of the calls: %v", runs, slices.Sorted(maps.Keys(hit)))
	if len(hit) < 2 {
		t.Error("that is nothing")
	}
	return nil
}

// dieAt lets a workload of three operations run while the gateway is to die at the nth
// call of one thread. It says whether it died, and how many calls there were of all.
func (d *drill) dieAt(n, run int) (died bool, calls int) {
	d.t.Helper()
	if err := d.up(); err != nil {
		d.t.Fatal(err)
	}
	from := d.now()
	tracer, err := d.inject(d.process, fmt.Sprintf("fsync,fdatasync,pwrite64,ftruncate,unlink,unlinkat,fallocate,rename,renameat,renameat2:signal=KILL:when=%d", n))
	if err != nil {
		d.t.Fatal(err)
	}
	c := d.clients[0]
	one := &ticket{submission: submission{Name: fmt.Sprintf("run%d-one", run), Band: "high", Keyed: true}}
	two := &ticket{submission: submission{Name: fmt.Sprintf("run%d-two", run), Band: "low", Keyed: true}}
	base := d.process.url
	c.submit(base, one)
	if one.id != "" {
		c.look(base, one, "wait", "?wait=5s")
		c.read(base, one)
	}
	c.submit(base, two)
	if two.id != "" {
		c.carry("cancel", two, request{method: http.MethodDelete, url: base + "/v1/jobs/" + two.id})
	}
	c.open = append(c.open, one, two) // those whose fate is unknown are submitted again by the check
	if died = d.isDying(from); died {
		d.down("boundary", from)
		<-tracer.ended
	} else {
		tracer.stop()
	}
	trace, err := os.ReadFile(d.traceFile())
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range bytes.Lines(trace) {
		if boundary.Match(line) {
			calls++
		}
	}
	return died, calls
}

// isDying says whether a connection died since, as that of a gateway does that was
// killed. Until its parent knows of that, it takes a moment.
func (d *drill) isDying(since time.Duration) bool {
	return !d.process.alive() || slices.ContainsFunc(d.history.all(), func(o operation) bool {
		return o.Call >= since && o.Status == 0
	})
}
