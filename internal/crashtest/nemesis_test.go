//go:build linux

package crashtest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A nemesis is a way in which the gateway comes to harm.
type nemesis struct {
	kind   string
	weight int // in percent
	strike func(d *drill) error
}

const sleepKind = "sleep"

// nemeses are the mix of the recipe.
func nemeses() []nemesis {
	return []nemesis{
		{"kill", 35, (*drill).kill},
		{"syscall", 25, (*drill).killAtCall},
		{"recovery", 15, (*drill).killInRecovery},
		{"drain", 10, (*drill).killInDrain},
		{sleepKind, 10, (*drill).sleep},
		{"twice", 5, (*drill).killTwice},
	}
}

// drill is one run: gateways that come and go over one directory, with a crowd.
type drill struct {
	*site
	*crowd
	t        *testing.T
	dice     *dice
	upstream *provider
	mix      []nemesis
	deck     []nemesis // what is left of it

	process    *process
	spans      []span
	struck     map[string]int
	kills      []struck
	recoveries []time.Duration
	fenced     int
	forgiving  bool            // of evidence
	slow       time.Duration   // what a sync takes longer before some power cuts
	slowly     int             // how many of them, in percent
	checked    map[string]bool // results that were read by a check
	results    map[string]string
}

// struck is one kill: when it began and when the process was seen to be gone.
type struck struct{ from, to time.Duration }

// newDrill prepares a run of s; nothing is started.
func newDrill(t *testing.T, s subject) *drill {
	t.Helper()
	dice := roll(t)
	up := newProvider(t, dice.split(1000))
	d := &drill{
		site: newSite(t, s, up.URL+"/v1"), crowd: newCrowd(up.clock, dice), t: t, dice: dice.split(2000), upstream: up, mix: nemeses(),
		struck: map[string]int{}, checked: map[string]bool{}, results: map[string]string{},
	}
	t.Cleanup(func() { // before the provider and the directory go
		d.rest()
		if d.process != nil {
			d.process.kill()
		}
		d.caller.http.CloseIdleConnections()
	})
	return d
}

// up starts a gateway, unless one runs, and lets the crowd at it.
func (d *drill) up() error {
	if d.process != nil {
		return nil
	}
	d.endSpan()
	p, err := d.launch()
	d.process = p
	if err != nil {
		return err
	}
	d.recoveries = append(d.recoveries, p.recover)
	d.point(p.url)
	return nil
}

// begin notes that the gateway is gone from now on, or was since from.
func (d *drill) beginSpan(kind string, from time.Duration) {
	d.spans = append(d.spans, span{Kind: kind, From: from, To: -1})
}

func (d *drill) endSpan() {
	if n := len(d.spans); n > 0 && d.spans[n-1].To < 0 {
		d.spans[n-1].To = d.clock.now()
	}
}

// down ends the process, and notes what was begun to that end at from.
func (d *drill) down(kind string, from time.Duration) {
	d.process.kill()
	d.point("")
	d.kills = append(d.kills, struck{from, d.clock.now()})
	d.beginSpan(kind, from)
	d.process = nil
	time.Sleep(5 * time.Millisecond) // what it had sent arrives before what the next one sends
}

func (d *drill) now() time.Duration { return d.clock.now() }

// kill: at any moment.
func (d *drill) kill() error {
	time.Sleep(d.dice.between(5*time.Millisecond, 1500*time.Millisecond))
	d.down("kill", d.now())
	return nil
}

// killAtCall: at a system call that changes a file. The count is each thread's own.
func (d *drill) killAtCall() error {
	calls := [...]string{"fsync,fdatasync", "pwrite64", "write", "ftruncate,unlink,unlinkat", "fsync,fdatasync,pwrite64,write,ftruncate"}[d.dice.n(5)]
	time.Sleep(d.dice.between(0, 200*time.Millisecond))
	from := d.now()
	tracer, err := d.inject(d.process, fmt.Sprintf("%s:signal=KILL:when=%d", calls, 1+d.dice.n(40)))
	if err != nil {
		return err
	}
	select {
	case <-d.process.ended:
	case <-time.After(d.dice.between(200*time.Millisecond, 500*time.Millisecond)): // no thread came so far
	}
	d.down("syscall", from)
	<-tracer.ended
	return nil
}

// killInRecovery: a crash, and another before the gateway is ready again.
func (d *drill) killInRecovery() error {
	time.Sleep(d.dice.between(5*time.Millisecond, 300*time.Millisecond))
	last := d.process.recover
	d.down("kill", d.now())
	return d.killSpawned("recovery", d.dice.between(0, last+last/5))
}

// killSpawned starts a gateway and kills it after a time.
func (d *drill) killSpawned(kind string, after time.Duration) error {
	d.endSpan()
	p, _, err := d.spawn()
	if err != nil {
		return err
	}
	d.process = p
	time.Sleep(after)
	d.down(kind, d.now())
	return nil
}

// killInDrain: a stop, and a kill before it has ended.
func (d *drill) killInDrain() error {
	time.Sleep(d.dice.between(50*time.Millisecond, 500*time.Millisecond))
	from := d.now()
	d.process.signal(syscall.SIGTERM)
	time.Sleep(d.dice.between(0, 400*time.Millisecond))
	d.down("drain", from)
	return nil
}

// sleep: the process does not run for longer than its leases, and goes on as if
// nothing had happened.
func (d *drill) sleep() error {
	time.Sleep(d.dice.between(50*time.Millisecond, 300*time.Millisecond))
	d.beginSpan(sleepKind, d.now())
	if err := d.process.halt(); err != nil {
		return err
	}
	lease := d.settings.Lease
	time.Sleep(d.dice.between(lease*5/4, lease*2))
	d.endSpan()
	d.process.signal(syscall.SIGCONT)
	time.Sleep(d.dice.between(200*time.Millisecond, 500*time.Millisecond))
	ctx, cancel := context.WithTimeout(context.Background(), bounded)
	defer cancel()
	f, err := d.caller.figures(ctx, d.process.url)
	if err != nil {
		return err
	}
	d.fenced += f.Fenced
	d.down("kill", d.now())
	return nil
}

// killTwice: two crashes within 50 ms.
func (d *drill) killTwice() error {
	time.Sleep(d.dice.between(5*time.Millisecond, 300*time.Millisecond))
	d.down("kill", d.now())
	return d.killSpawned("twice", d.dice.between(0, 50*time.Millisecond))
}

// draw picks a nemesis: one of each kind first, so that short runs see them all, and
// then from a deck of twenty that holds the kinds in the proportions of the mix.
func (d *drill) draw() nemesis {
	for _, n := range d.mix {
		if d.struck[n.kind] == 0 {
			return n
		}
	}
	if len(d.deck) == 0 {
		for _, n := range d.mix {
			for range n.weight / 5 {
				d.deck = append(d.deck, n)
			}
		}
	}
	i := d.dice.n(len(d.deck))
	n := d.deck[i]
	d.deck = slices.Delete(d.deck, i, i+1)
	return n
}

// cycle starts a gateway and lets it come to harm.
func (d *drill) cycle() error {
	if err := d.up(); err != nil {
		return err
	}
	n := d.draw()
	if err := n.strike(d); err != nil {
		return fmt.Errorf("%s: %w", n.kind, err)
	}
	d.struck[n.kind]++
	return nil
}

// checkEvery is how many cycles there are between two checks.
const checkEvery = 25

// run kills the gateway so many times, checks now and then, and returns what was
// violated.
func (d *drill) run(kills int) (found []string, err error) {
	defer func() { d.report(found, err) }()
	for len(d.kills) < kills {
		d.work()
		for n := 0; n < checkEvery && len(d.kills) < kills; n++ {
			if err := d.cycle(); err != nil {
				return nil, err
			}
		}
		if found, err = d.check(); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// report says what a run was, and keeps its history where something was violated.
func (d *drill) report(found []string, err error) {
	inFlight := d.caught()
	d.t.Logf("%d kills (%v), %d of them with a write in flight; %d operations, %d jobs, %d calls, %d runs whose answer was lost; %d fenced; ready in p50 %s, p99 %s",
		len(d.kills), d.struck, inFlight, len(d.history.all()), len(d.checked), len(d.upstream.seen()), d.ambiguous(), d.fenced, d.ready(50), d.ready(99))
	if err == nil && len(found) == 0 {
		return
	}
	e := d.evidence()
	if err := e.save(d.home); err != nil {
		d.t.Error(err)
	}
}

// ready is a percentile of the times from a start to readiness.
func (d *drill) ready(percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(d.recoveries))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*percent-1)/100]
}

func (d *drill) evidence() *evidence {
	return &evidence{
		Operations: d.history.all(), Calls: d.upstream.seen(), Spans: d.spans, Results: d.results, Forgiving: d.forgiving,
		Provenance: fmt.Sprintf("go test ./internal/crashtest -run '^%s$' -crash.seed %d", d.t.Name(), d.dice.seed),
	}
}

// caught counts the kills that hit a write: one that was in progress when the kill
// began or came, and of which nobody knows whether it was made.
func (d *drill) caught() int {
	var lost []operation
	for _, o := range d.history.all() {
		if o.writes() && o.Outcome == unknown && o.Status == 0 {
			lost = append(lost, o)
		}
	}
	n := 0
	for _, k := range d.kills {
		if slices.ContainsFunc(lost, func(o operation) bool { return o.Call <= k.to && o.Return >= k.from }) {
			n++
		}
	}
	return n
}

// ambiguous counts calls that were answered and whose answer no job has, because the
// process that got it died before it was stored.
func (d *drill) ambiguous() int {
	answered := map[string]int{}
	for _, c := range d.upstream.seen() {
		if c.Status == 200 {
			answered[c.Name]++
		}
	}
	n := 0
	for _, k := range answered {
		n += k - 1
	}
	return n
}

// mustHold ends a test that found violations.
func (d *drill) mustHold(found []string, err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("%v\n%s", err, d.evidence().Provenance)
	}
	if len(found) > 0 {
		d.t.Fatalf("%d violations:\n%s\n%s", len(found), summary(found), d.evidence().Provenance)
	}
}

// mustFind kills the gateway until a violation of one of the rules is found, each so
// many times, and fails the test where none is.
func (d *drill) mustFind(each int, rules ...string) {
	d.t.Helper()
	for range 25 {
		found, err := d.run(len(d.kills) + each)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, f := range found {
			if rule, _, _ := strings.Cut(f, ":"); slices.Contains(rules, rule) {
				d.t.Logf("%d violations after %d kills, such as: %s", len(found), len(d.kills), f)
				return
			}
		}
		if len(found) > 0 {
			d.t.Fatalf("the fault was found, but not under %v: %s", rules, summary(found))
		}
	}
	d.t.Fatalf("the fault was not found by %d kills", len(d.kills))
}
