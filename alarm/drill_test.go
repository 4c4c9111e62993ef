package alarm_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/alarm"
)

var seeds = flag.Int("alarm.seeds", 0, "how many seeds the clean runs use; 0: one, and five where FOREBAY_LONG=1")

func long() bool { return os.Getenv("FOREBAY_LONG") == "1" }

func seedCount() uint64 {
	switch {
	case *seeds > 0:
		return uint64(*seeds)
	case long():
		return 5
	}
	return 1
}

// TestCleanRun: a system with a daily load curve, noise, short bursts and, on the second
// noon, a deployment that empties the cache, for three days: nobody is told anything.
func TestCleanRun(t *testing.T) {
	for _, profile := range []string{alarm.Standard, alarm.Analysis, alarm.Interactive} {
		for seed := uint64(1); seed <= seedCount(); seed++ {
			t.Run(fmt.Sprintf("%s/%d", profile, seed), func(t *testing.T) {
				t.Parallel()
				steps := 3 * dayOfSteps
				w := newWorld(profile, seed, steps)
				e := newEngine(t, alarm.Config{Definitions: alarm.Profile(profile), Start: w.now()})
				for i := range steps {
					if i == 36*dayOfSteps/24 {
						w.coldAt = i
						e = newEngine(t, alarm.Config{Definitions: alarm.Profile(profile), Start: w.now(), Kept: e.Kept()})
					}
					w.advance(w.clean())
					events, notices := e.Evaluate(w.now(), w)
					if len(events)+len(notices) > 0 {
						t.Fatalf("after %v of a clean run: %+v %+v", w.now().Sub(simStart()), events, notices)
					}
				}
				if last := w.sums["requests"][steps]; last < 100_000 {
					t.Errorf("only %v calls were simulated", last)
				}
			})
		}
	}
}

func newEngine(t testing.TB, cfg alarm.Config) *alarm.Engine {
	t.Helper()
	e, err := alarm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// incident is a fault that is injected into a clean system.
type incident struct {
	name, profile string
	at            time.Duration // since the simulation's midnight; the engine starts two hours before
	inject        func(m *model)
	lasts         time.Duration
	want, of      string
	// knows says that measurements tell of it: slow calls are measured when they end, and a
	// burnt budget takes hours. Where it is nil that is at once.
	knows func(w *world, began time.Time) bool
	also  []string      // what may fire as well, because it is true
	ends  time.Duration // how long after its end the resolve may take; 0: 7 min
}

// The times of most incidents: the first noon, and the third, where what counts is how much
// of three days failed.
const noon, third = 12 * time.Hour, 60 * time.Hour

// incidents are the drill. One straight table on purpose.
func incidents() []incident {
	burn, both := "budget-burn-critical", []string{"error-rate-warning", "error-rate-critical", "budget-burn-critical"}
	slow := []string{"response-time-warning", "response-time-critical", "response-time-p99", "response-time-mean"}
	percentile := func(w *world, _ time.Time) bool {
		return w.durations("p95", max(0, w.step-12), w.step).Value > 25
	}
	after := func(seconds float64) func(*world, time.Time) bool {
		return func(w *world, began time.Time) bool { return w.now().Sub(began).Seconds() >= seconds }
	}
	return []incident{
		{name: "slow", profile: "analysis", at: noon, inject: func(m *model) { m.median, m.sigma = 27, 0.02 }, want: "response-time-warning", knows: after(27)},
		{name: "too slow", profile: "analysis", at: noon, inject: func(m *model) { m.median, m.sigma = 35, 0.02 }, want: "response-time-critical", knows: after(35), also: slow},
		{name: "too slow, standard", profile: "standard", at: noon, inject: func(m *model) { m.median, m.sigma = 35, 0.02 }, want: "response-time-critical", knows: after(35), also: slow},
		{name: "slow by night", profile: "analysis", at: 25 * time.Hour, inject: func(m *model) { m.median, m.sigma = 27, 0.02 }, want: "response-time-warning", knows: percentile},
		{name: "slow for people", profile: "interactive", at: noon, inject: func(m *model) { m.median, m.sigma = 4, 0.05 }, want: "response-time-critical", knows: after(4), also: slow},
		{name: "slow tail", profile: "interactive", at: noon, inject: func(m *model) { m.slowShare, m.slowFor = 0.04, 8 }, want: "response-time-p99", knows: after(8), also: slow},
		{name: "slow on average", profile: "interactive", at: noon, inject: func(m *model) { m.floor = 2.4 }, want: "response-time-mean", knows: after(2.4)},
		{name: "errors", profile: "analysis", at: third, inject: func(m *model) { m.failing = 0.25 }, want: "error-rate-warning", also: both},
		{name: "many errors", profile: "analysis", at: third, inject: func(m *model) { m.failing = 0.4 }, want: "error-rate-critical", also: both},
		{name: "errors for people", profile: "interactive", at: third, inject: func(m *model) { m.failing = 0.2 }, want: "error-rate-critical", also: both},
		{name: "queue", profile: "analysis", at: noon, inject: func(m *model) { m.waiting = 80 }, want: "queue-depth-warning"},
		{name: "long queue", profile: "standard", at: noon, inject: func(m *model) { m.waiting = 250 }, want: "queue-depth-critical"},
		{name: "no hits", profile: "analysis", at: noon, inject: func(m *model) { m.hitRate = 0.05 }, want: "hit-rate-low"},
		{name: "no hits for people", profile: "interactive", at: noon, inject: func(m *model) { m.hitRate = 0.1 }, want: "hit-rate-low", also: slow},
		{name: "dear user", profile: "interactive", at: noon, inject: func(m *model) { m.userCost = 15.5 }, want: "user-cost"},
		{name: "many users", profile: "interactive", at: noon, inject: func(m *model) { m.users = 1300 }, want: "concurrent-users"},
		{name: "dead sink", profile: "standard", at: noon, inject: func(m *model) { m.dropped = 200 }, want: "measurements-lost"},
		{name: "breaker open", profile: "standard", at: noon, inject: func(m *model) { m.open["c"] = 1 }, want: "breaker-open", of: "c"},
		{name: "store down", profile: "standard", at: noon, inject: func(m *model) { m.storeUp = 0 }, want: "store-down"},
		{name: "alerting broken", profile: "standard", at: noon, inject: func(m *model) { m.alerting = 0 }, want: "alerting-broken"},
		{name: "dead letters", profile: "standard", at: noon, inject: func(m *model) { m.dead = 3 }, want: "dead-letters"},
		{name: "old job", profile: "standard", at: noon, inject: func(m *model) { m.jobsOldest = 1000 }, want: "job-oldest"},
		{name: "budget", profile: "standard", at: noon, inject: func(m *model) { m.budgetSpent = 0.95 }, want: "budget-spent", of: "monthly"},
		{name: "no measurements", profile: "standard", at: noon, inject: func(m *model) { m.blind = true }, want: "no-measurements", knows: after(60)},
		{
			name: "outage by night", profile: "standard", at: 25 * time.Hour, inject: func(m *model) { m.failing = 1 }, want: burn, also: both,
			lasts: 30 * time.Minute, ends: time.Hour,
			knows: func(w *world, _ time.Time) bool { return w.burns(14.4, time.Hour, 5*time.Minute) },
		},
		{
			name: "slow burn", profile: "standard", at: 72 * time.Hour, inject: func(m *model) { m.failing = 0.03 }, want: "budget-burn-warning", also: both,
			lasts: 24 * time.Hour, ends: 8 * time.Hour,
			knows: func(w *world, _ time.Time) bool { return w.burns(1, 72*time.Hour, 6*time.Hour) },
		},
	}
}

// burns works out by itself whether an error budget of 1 % burns.
func (w *world) burns(factor float64, windows ...time.Duration) bool {
	for _, window := range windows {
		from := max(0, w.step-int(window/step))
		failed := w.sums["failures"][w.step] - w.sums["failures"][from]
		all := w.sums["requests"][w.step] - w.sums["requests"][from]
		if failed/all <= factor*alarm.ErrorBudget {
			return false
		}
	}
	return true
}

// TestIncidentDrill: each incident is told of by its own alarm within 60 s of its first
// measurement, by nothing that is not true, and its end is told too.
func TestIncidentDrill(t *testing.T) {
	if n := len(incidents()); n < 20 {
		t.Fatalf("only %d incidents", n)
	}
	for _, in := range incidents() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			in.drill(t)
		})
	}
}

func (in incident) drill(t *testing.T) {
	if in.lasts == 0 {
		in.lasts = 10 * time.Minute
	}
	if in.ends == 0 {
		in.ends = 7 * time.Minute
	}
	w := newWorld(in.profile, 11, int((in.at+in.lasts+in.ends)/step)+100)
	for w.now().Before(simStart().Add(in.at - 2*time.Hour)) {
		w.advance(w.clean())
	}
	e := newEngine(t, alarm.Config{Definitions: alarm.Profile(in.profile), Start: w.now()})
	began, ended := simStart().Add(in.at), simStart().Add(in.at+in.lasts)
	var known, told, resolved time.Time
	open := map[string]bool{}
	for !w.now().After(ended.Add(in.ends)) {
		m := w.clean()
		on := !w.now().Before(began) && w.now().Before(ended)
		if on {
			in.inject(&m)
		}
		w.advance(m)
		if on && known.IsZero() && (in.knows == nil || in.knows(w, began)) {
			known = began
			if in.knows != nil {
				known = w.now()
			}
		}
		_, notices := e.Evaluate(w.now(), w)
		for _, n := range notices {
			for _, i := range n.Items {
				open[i.Name] = !n.Resolved
				if i.Name != in.want && !slices.Contains(in.also, i.Name) || w.now().Before(began) {
					t.Errorf("at %v after the start: %s is told, which is not true: %s", w.now().Sub(began), i.Name, i.Reason)
				}
				if i.Name != in.want || i.Of != in.of {
					continue
				}
				if !n.Resolved && told.IsZero() {
					told = w.now()
				}
				if n.Resolved {
					resolved = w.now()
				}
			}
		}
	}
	switch {
	case told.IsZero():
		t.Fatalf("%s never fired: %+v", in.want, e.Statuses()[in.want])
	case told.Sub(known) > time.Minute:
		t.Errorf("%s was told %v after it could be known, want within 60 s", in.want, told.Sub(known))
	case resolved.Before(ended):
		t.Errorf("%s was resolved at %v after the start, want after %v and within %v", in.want, resolved.Sub(began), in.lasts, in.lasts+in.ends)
	}
	for name, still := range open {
		if still {
			t.Errorf("%s was never resolved: %+v", name, e.Statuses()[name])
		}
	}
	t.Logf("told after %v (known at %v), resolved %v after the end", told.Sub(began), known.Sub(began), resolved.Sub(ended).Round(time.Second))
}
