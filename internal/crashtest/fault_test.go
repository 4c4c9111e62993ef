//go:build linux

package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// recovers bounds the time until a gateway whose store failed is ready again. One that
// fails again soon is left alone for longer, up to 45 s.
const recovers = time.Minute

// TestFailedSync lets syncs fail while the crowd works, all of them for a while, and
// then one at a time. What was not synced is not acknowledged, readiness says so, and
// the gateway finds back by itself once the disk does.
func TestFailedSync(t *testing.T) { mustPass(t, failedSync(t, forebay(t, ""))) }

func failedSync(t *testing.T, s subject) (found []string) {
	needStrace(t)
	d := newDrill(t, s)
	d.forgiving = true // each failure takes the leases of what runs; how many there are depends on the threads
	if err := d.up(); err != nil {
		t.Fatal(err)
	}
	d.work()
	time.Sleep(200 * time.Millisecond)
	found = d.failAllSyncs(1500 * time.Millisecond)
	for n := range size(0, 3, 8) {
		tracer, err := d.inject(d.process, fmt.Sprintf("fsync,fdatasync:error=EIO:when=%d", n+1))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		tracer.stop()
	}
	if err := d.process.awaitReady(recovers); err != nil {
		t.Fatal(err)
	}
	found = append(found, d.examined()...)
	d.down("kill", d.now()) // what was acknowledged has to be on the disk, not only in memory
	return append(found, d.examined()...)
}

// mustPass fails a test that found something.
func mustPass(t *testing.T, found []string) {
	t.Helper()
	if len(found) > 0 {
		t.Fatalf("%d violations:\n%s", len(found), summary(found))
	}
}

// failAllSyncs lets every sync fail for a time, and finds what was acknowledged then.
func (d *drill) failAllSyncs(during time.Duration) (found []string) {
	d.t.Helper()
	tracer, err := d.inject(d.process, "fsync,fdatasync:error=EIO")
	if err != nil {
		d.t.Fatal(err)
	}
	from := d.now()
	red := 0
	for d.now() < from+during {
		if status, _ := d.process.readiness(); status == http.StatusServiceUnavailable {
			red++
		}
		time.Sleep(5 * time.Millisecond)
	}
	to := d.now()
	tracer.stop()
	if red == 0 {
		found = append(found, fmt.Sprintf("Q8: /readyz was never red while no sync succeeded for %s", during))
	}
	tries := 0
	known := map[string]bool{}
	for _, o := range d.history.all() {
		if o.Kind != "submit" {
			continue
		}
		// A job that may be there already may be found again; a new one may not be taken in.
		if o.Call > from && o.Return < to && !known[o.Name] {
			if tries++; o.Outcome == ok {
				found = append(found, fmt.Sprintf("Q8: %s was acknowledged at %s, while no sync succeeded from %s to %s", o.Name, o.Return, from, to))
			}
		}
		known[o.Name] = true
	}
	if tries == 0 {
		d.t.Error("nothing was submitted while no sync succeeded")
	}
	if err := d.process.awaitReady(recovers); err != nil {
		d.t.Fatalf("the gateway does not recover: %v", err)
	}
	return found
}

// examined checks all rules.
func (d *drill) examined() []string {
	d.t.Helper()
	found, err := d.check()
	d.report(found, err)
	if err != nil {
		d.t.Fatal(err)
	}
	return found
}

// TestFailedSyncTwins submits each job four times at once under one key, and looks at
// what it was told of, while syncs fail. What the second of two is told of the first
// must not depend on a sync that fails.
func TestFailedSyncTwins(t *testing.T) { mustPass(t, failedSyncTwins(t, forebay(t, ""))) }

func failedSyncTwins(t *testing.T, s subject) []string {
	needStrace(t)
	d := newDrill(t, s)
	d.forgiving = true
	d.upstream.during = nil
	if err := d.up(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					d.twins(fmt.Sprintf("twin%d-%04d", g, n))
				}
			}
		})
	}
	for range size(0, 2, 6) {
		// A sync that takes its time, before it fails, lets the next transaction fill.
		tracer, err := d.inject(d.process, "fsync,fdatasync:error=EIO:delay_enter=3000")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		tracer.stop()
		if err := d.process.awaitReady(recovers); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	return d.examined()
}

// twins submits a job four times at once, and looks whether it is there.
func (d *drill) twins(name string) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			t := &ticket{submission: submission{Name: name, Band: "normal", Keyed: true}}
			c := &client{crowd: d.crowd, number: -1}
			if c.submit(d.process.url, t); t.id != "" {
				c.look(d.process.url, t, "poll", "")
			} else {
				time.Sleep(time.Millisecond) // the store is away
			}
		})
	}
	wg.Wait()
}

// TestFullDisk fills the disk while the crowd works. New jobs are refused, those that
// were accepted come to their end all the same, and with the space the gateway takes
// jobs again.
func TestFullDisk(t *testing.T) {
	d, disk := newCuts(t, forebay(t, ""), 64)
	d.settings.Lease = 15 * time.Second // longer than the stop below
	if err := d.up(); err != nil {
		t.Fatal(err)
	}
	d.work()
	time.Sleep(500 * time.Millisecond)
	// The gateway stands still while the disk is filled: what it gives up for its running
	// jobs would be filled as well.
	if err := d.process.halt(); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk.dir, "ballast")
	if _, err := disk.run("dd", "if=/dev/zero", "of="+ballast, "bs=64k"); err == nil || !strings.Contains(err.Error(), "No space") {
		t.Fatalf("the disk does not get full: %v", err)
	}
	full := d.now()
	d.process.signal(syscall.SIGCONT)
	refusal := func() bool {
		for _, o := range d.history.all() {
			if o.Kind == "submit" && o.Call > full && (o.Status == http.StatusServiceUnavailable || o.Status == http.StatusInsufficientStorage) {
				return true
			}
		}
		return false
	}
	for begun := time.Now(); !refusal(); time.Sleep(10 * time.Millisecond) {
		// What the store holds in reserve may take in some jobs first.
		if time.Since(begun) > patience {
			t.Fatal("nothing was refused although the disk is full")
		}
	}
	d.rest()
	if err := d.drain(); err != nil {
		t.Errorf("with a full disk: %v", err)
	}
	if _, err := disk.run("rm", ballast); err != nil {
		t.Fatal(err)
	}
	if err := d.process.awaitReady(patience); err != nil {
		t.Fatal(err)
	}
	taken := func() bool {
		a := d.submit(submission{Name: fmt.Sprintf("after-%d", d.now()), Band: "normal", Keyed: true})
		return a.outcome == ok
	}
	for begun := time.Now(); !taken(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatal("no job is taken although there is space again")
		}
	}
	d.work()
	time.Sleep(300 * time.Millisecond)
	d.down("kill", d.now())
	mustPass(t, d.examined())
}

// submit submits a job beside the crowd and records that.
func (d *drill) submit(s submission) answer {
	var a answer
	d.record(operation{Client: -1, Kind: "submit", Name: s.Name, Keyed: s.Keyed, Band: s.Band}, func(o *operation) {
		ctx, cancel := context.WithTimeout(context.Background(), bounded)
		defer cancel()
		a = d.caller.do(ctx, s.request(d.process.url))
		o.Outcome, o.Status = a.outcome, a.status
		if v, err := a.job(); err == nil {
			o.ID, o.State, o.Attempt = v.ID, v.State, v.Attempt
		}
	})
	return a
}

// TestTwoProcesses starts a second gateway over the directory of the first. It is
// refused within a second, and the first does not notice.
func TestTwoProcesses(t *testing.T) { mustPass(t, twoProcesses(t, forebay(t, ""))) }

func twoProcesses(t *testing.T, s subject) (found []string) {
	d := newDrill(t, s)
	if err := d.up(); err != nil {
		t.Fatal(err)
	}
	const bound = time.Second
	took := time.Duration(0)
	for range 5 { // the machine may be busy
		second, _, err := d.spawn()
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-second.ended:
		case <-time.After(5 * bound):
			second.kill()
			return []string{"two gateways run over one directory"}
		}
		if second.err == nil || !strings.Contains(second.log.String(), d.data) {
			return []string{fmt.Sprintf("the second gateway ends with %v and has to name the directory %s:\n%s", second.err, d.data, second.log)}
		}
		if took = time.Since(second.began); took <= bound {
			break
		}
	}
	if took > bound {
		found = append(found, fmt.Sprintf("the second gateway was refused after %s; at most %s", took, bound))
	}
	if a := d.submit(submission{Name: "first", Band: "normal"}); a.outcome != ok {
		found = append(found, fmt.Sprintf("the first gateway does not go on: %d %s", a.status, a.body))
	}
	return append(found, d.examined()...)
}

// TestPoison submits a job under which every process dies. It ends as a dead letter
// after as many deaths as the queue grants, and everything else goes on.
func TestPoison(t *testing.T) { mustPass(t, poison(t, forebay(t, ""))) }

func poison(t *testing.T, s subject) (found []string) {
	const granted = 3 // the default of jobs.lost_leases; the job may be queued again after each
	d := newDrill(t, s)
	hit := make(chan struct{}, 100)
	d.upstream.during = func(ctx context.Context, name string) int {
		if name == "poison" {
			hit <- struct{}{}
			<-ctx.Done()
		}
		return 0
	}
	if err := d.up(); err != nil {
		t.Fatal(err)
	}
	v, err := d.submit(submission{Name: "poison", Band: "high", Timeout: "5m"}).job()
	if err != nil {
		t.Fatal(err)
	}
	for len(d.kills) <= granted+1 {
		if err := d.up(); err != nil {
			t.Fatal(err)
		}
		if v = d.awaitRun(v.ID, hit); v.final() {
			break
		}
		d.down("poison", d.now())
	}
	if v.State != "dead" || v.LostLeases < granted || v.LostLeases != len(d.kills) || v.LostLeases != len(d.upstream.seen()) {
		return []string{fmt.Sprintf("after %d deaths and %d calls the job is %q with %d lost leases", len(d.kills), len(d.upstream.seen()), v.State, v.LostLeases)}
	}
	if a := d.submit(submission{Name: "healthy", Band: "normal"}); a.outcome != ok {
		found = append(found, fmt.Sprintf("another job is not taken: status %d: %s", a.status, a.body))
	}
	return append(found, d.examined()...)
}

// awaitRun waits until the job runs or has ended.
func (d *drill) awaitRun(id string, runs <-chan struct{}) view {
	d.t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; {
		v, err := d.caller.get(d.t.Context(), d.process.url+"/v1/jobs/"+id).job()
		if err != nil {
			d.t.Fatal(err)
		}
		if v.final() {
			return v
		}
		select {
		case <-runs:
			return v
		case <-time.After(20 * time.Millisecond):
		}
	}
	d.t.Fatalf("the job does not run again after %d deaths", len(d.kills))
	return view{}
}

// TestRecovery kills a gateway with a long queue and measures when the next is ready.
func TestRecovery(t *testing.T) { mustPass(t, recovery(t, forebay(t, ""))) }

func recovery(t *testing.T, s subject) (found []string) {
	jobs := size(0, 1000, 100_000)
	d := newDrill(t, s)
	d.upstream.during = func(ctx context.Context, _ string) int {
		<-ctx.Done()
		return http.StatusServiceUnavailable
	}
	if err := d.up(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := d.fill(jobs); err != nil {
		t.Fatal(err)
	}
	filled := time.Since(begun)
	// The jobs that are processing would be dead after three crashes. The bound is that of an
	// orchestrator's patience on a busy machine; how long it takes on a quiet one is measured
	// by bench/cmd/jobsbench.
	const crashes, bound = 2, 10 * time.Second
	for range crashes {
		d.down("kill", d.now())
		if err := d.up(); err != nil {
			t.Fatal(err)
		}
		f, err := d.caller.figures(t.Context(), d.process.url)
		if err != nil || f.Queued+f.Processing != jobs {
			found = append(found, fmt.Sprintf("I1: %d jobs are there, %v; %d were submitted", f.Queued+f.Processing, err, jobs))
		}
	}
	t.Logf("%d jobs submitted in %s; ready after %v (first start, and %d crashes)", jobs, filled, d.recoveries, crashes)
	// The better one counts: what else runs on the machine can only make it slower.
	if ready := slices.Min(d.recoveries[1:]); ready > bound {
		found = append(found, fmt.Sprintf("I9: ready after %s with %d queued; at most %s", ready, jobs, bound))
	}
	return found
}

// fill submits jobs that wait.
func (d *drill) fill(jobs int) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	results := make(chan error, clients)
	for range clients {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(jobs) {
					results <- nil
					return
				}
				s := submission{Name: fmt.Sprintf("fill-%06d", n), Band: "normal", Timeout: "24h", Filler: 100}
				if a := d.caller.do(context.Background(), s.request(d.process.url)); a.outcome != ok {
					results <- fmt.Errorf("submission %d: status %d: %s", n, a.status, a.body)
					return
				}
			}
		})
	}
	wg.Wait()
	close(results)
	var all []error
	for err := range results {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// TestFaultsHonest is the test of the tests above: a gateway without fault passes, and
// one with a planted fault does not.
func TestFaultsHonest(t *testing.T) {
	tests := []struct {
		name  string
		run   func(*testing.T, subject) []string
		fault string // that is to be found; "" for none
	}{
		{"failed sync", failedSync, faultDeaf},
		{"failed sync with twins", failedSyncTwins, faultHasty},
		{"two processes", twoProcesses, faultUnlocked},
		{"poison", poison, faultUndying},
		{"recovery", recovery, faultForget},
		{"boundaries", boundaries, faultForget},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mustPass(t, tt.run(t, fake("")))
		})
		t.Run(tt.fault+", "+tt.name, func(t *testing.T) {
			t.Parallel()
			// On a busy machine a run may go by without the moment that shows the fault.
			var found []string
			for try := 0; try < 4 && len(found) == 0; try++ {
				found = tt.run(t, fake(tt.fault))
			}
			if len(found) == 0 {
				t.Fatal("the fault was not found")
			}
			t.Logf("%d violations, such as: %s", len(found), found[0])
		})
	}
}
