//go:build linux

package faulttest_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fault is one way in which a provider fails, or nearly does.
type fault struct {
	name  string
	play  play   // at A; nil where A is no upstream at all
	at    string // the address; "" for A
	keys  string // of A's provider; "" for bounds
	forms string // of the forms, which; "" for all
	// after: useful tokens came before, so that a stream that is not held breaks; kinds
	// is what its error event may say.
	after bool
	kinds []string
	// final: the answer is one, with a status and one of kinds, and B is not asked.
	final int
	// fine: it is no fault; the answer is A's, with this text.
	fine      string
	operation string // "" for the form's
	// alone: there is no B. pause is the least time between the calls of A then.
	alone bool
	pause time.Duration
	most  int // calls of A; 0: four, that is three retries
	bound time.Duration
}

// form is how an answer is asked for.
type form struct {
	letter string
	name   string
	stream bool
	held   bool
}

var forms = []form{{"w", "whole", false, false}, {"s", "stream", true, false}, {"h", "stream, hold all", true, true}}

// trial is a fault in one form.
type trial struct {
	fault
	form form

	route  string
	healed atomic.Bool // A is well again

	verdict, wrong string
}

// field is A and B, and trials on them.
type field struct {
	a, b   *upstream
	trials []*trial
	// roughly: A's connections may break between calls, and an attempt that meets one
	// does not come to A.
	roughly bool
}

func newField(t *testing.T) *field {
	t.Helper()
	return &field{a: newUpstream(t, "alpha"), b: newUpstream(t, "bravo")}
}

// add plans the trials of a fault.
func (f *field) add(fl fault) {
	for _, form := range forms {
		if fl.forms != "" && !strings.Contains(fl.forms, form.letter) {
			continue
		}
		tr := &trial{fault: fl, form: form, route: fl.name + "-" + form.letter}
		f.trials = append(f.trials, tr)
		f.a.on(tr.route, func(x *exchange) {
			if tr.healed.Load() {
				speak("alpha")(x)
				return
			}
			fl.play(x)
		})
	}
}

// run makes all trials at once, over one gateway, and returns the table of verdicts.
func (f *field) run(t *testing.T) string {
	t.Helper()
	models := map[string][]target{}
	for _, tr := range f.trials {
		first := target{url: f.a.url, keys: bounds}
		if tr.fine != "" {
			first.keys = patientBounds
		}
		if tr.at != "" {
			first.url = tr.at
		}
		if tr.keys != "" {
			first.keys = tr.keys
		}
		models[tr.route] = []target{first, {url: f.b.url, keys: patientBounds}}
		if tr.alone {
			models[tr.route] = models[tr.route][:1]
		}
	}
	g := start(t, setup{models: models, extra: operations})
	var wg sync.WaitGroup
	for _, tr := range f.trials {
		wg.Go(func() { f.try(g, tr) })
	}
	wg.Wait()
	lines := []string{"", fmt.Sprintf("%-24s %-17s verdict", "fault", "form")}
	for _, tr := range f.trials {
		t.Run(tr.name+"/"+tr.form.name, func(t *testing.T) {
			if tr.wrong != "" {
				t.Error(tr.wrong)
				tr.verdict = "FAIL: " + tr.wrong
			}
		})
		lines = append(lines, fmt.Sprintf("%-24s %-17s %.200s", tr.name, tr.form.name, tr.verdict))
	}
	g.mustBeCalm(t, f.a, f.b)
	return strings.Join(lines, "\n")
}

// try asks once, and once more for a stream that broke.
func (f *field) try(g *gateway, tr *trial) {
	q := question{model: tr.route, id: tr.route, stream: tr.form.stream}
	switch {
	case tr.operation != "":
		q.headers = []string{"X-Forebay-Operation", tr.operation}
	case tr.form.held:
		q.headers = []string{"X-Forebay-Operation", "held"}
	}
	got := g.ask(q)
	atB := f.b.seen(tr.route)
	atA := f.a.seen(tr.route)
	// What failed is over at once; on a busy machine its end is seen a little later.
	for until := time.Now().Add(2 * time.Second); len(atB) > 0 && goesOn(atA) && time.Now().Before(until); atA = f.a.seen(tr.route) {
		time.Sleep(10 * time.Millisecond)
	}
	tr.judge(got, atA, atB)
	if tr.wrong == "" && !f.roughly {
		tr.wrong = tr.judgeAttempts(got, len(atA)+len(atB))
	}
	if tr.wrong != "" || tr.verdict != brokeOff {
		return
	}
	tr.healed.Store(true)
	again := g.ask(q)
	if tr.wrong = again.complete(textOf("alpha"), tr.form.stream); tr.wrong != "" {
		tr.wrong = "asked again: " + tr.wrong
	} else if len(f.a.seen(tr.route)) == len(atA) {
		tr.wrong = "half an answer was kept: " + again.String()
	}
}

// brokeOff is the verdict on a stream that broke visibly.
const brokeOff = "error event, broken connection, nothing kept"

// judge says what became of a fault, and what is wrong about it.
func (tr *trial) judge(got *answer, atA, atB []call) {
	took := got.took().Round(10 * time.Millisecond)
	wantB := 0
	switch {
	case tr.fine != "":
		tr.verdict = fmt.Sprintf("answered by A at call %d, %s", len(atA), took)
		tr.wrong = got.complete(tr.fine, tr.form.stream)
	case tr.final != 0:
		tr.verdict = fmt.Sprintf("%d %s, B not asked, %s", got.status, got.kind(), took)
		tr.wrong = got.refused(tr.final, tr.kinds...)
	case tr.after && tr.form.stream && !tr.form.held:
		tr.verdict = brokeOff
		tr.wrong = got.broken(tr.kinds...)
	default:
		wantB = 1
		tr.verdict = fmt.Sprintf("answered by B after %d of A, %s", len(atA), took)
		tr.wrong = got.complete(textOf("bravo"), tr.form.stream)
	}
	if tr.wrong == "" {
		tr.wrong = tr.judgeCalls(got, atA, atB, wantB)
	}
}

// judgeCalls checks what the upstreams saw, and the time it took.
func (tr *trial) judgeCalls(got *answer, atA, atB []call, wantB int) string {
	most := tr.most
	switch {
	case most == 0 && wantB == 1:
		most = 4
	case most == 0:
		most = 1
	}
	switch {
	case len(atB) != wantB:
		return fmt.Sprintf("B was asked %d times, want %d: %s", len(atB), wantB, got)
	case len(atA) > most:
		return fmt.Sprintf("A was asked %d times, want at most %d: %s", len(atA), most, got)
	case tr.at == "" && len(atA) == 0:
		return "A was not asked"
	case tr.alone && (len(atA) != 2 || atA[1].At.Sub(atA[0].FirstByte) < tr.pause):
		return fmt.Sprintf("of two calls, %d came, or the second came too early", len(atA))
	case got.took() > tr.bound:
		return fmt.Sprintf("it took %s, want at most %s: %s", got.took(), tr.bound, got)
	}
	if wantB == 1 { // what failed is over before the next is asked
		if goesOn(atA) {
			return "a call of A goes on beside that of B"
		}
	}
	return ""
}

// judgeAttempts compares what the head of the answer says with what the upstreams saw.
func (tr *trial) judgeAttempts(got *answer, calls int) string {
	if said := got.header.Get("X-Forebay-Attempts"); tr.at == "" && said != fmt.Sprint(calls) {
		return fmt.Sprintf("%s speaks of %s attempts, the upstreams saw %d", tr.route, said, calls)
	}
	return ""
}

// goesOn says that one of the calls has not ended.
func goesOn(calls []call) bool {
	return slices.ContainsFunc(calls, func(c call) bool { return c.Ended.IsZero() && c.Gone.IsZero() })
}
