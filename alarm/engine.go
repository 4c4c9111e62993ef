package alarm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Times and bounds of an Engine. What is kept for each label's value is a few hundred
// bytes, so that everything together stays below some megabytes.
const (
	defaultGroup  = 10 * time.Second
	defaultRepeat = 4 * time.Hour
	// mostValues bounds the values of one label. They come from closed sets of
	// configuration; what is beyond is not judged.
	mostValues = 1000
	// A value of a label that was not seen for this long is taken for gone: a target that
	// left the configuration. Where missing measurements are the alarm, that takes a day.
	goneAfter    = 15 * time.Minute
	goneBadAfter = 24 * time.Hour
	// An alarm that was announced flapMost times within flapWithin is flapping: its end is
	// told once it has been away for flapQuiet. So an alarm sends at most six notices and
	// its reminders in an hour, however fast it comes and goes.
	flapMost   = 3
	flapWithin = time.Hour
	flapQuiet  = 15 * time.Minute
)

// Config is what an Engine is made of.
type Config struct {
	// Definitions are the alarms. Those that are Off or External are not judged.
	Definitions []Definition
	// Source names who sends, in notices. Empty means forebay.
	Source string
	// Start is when measuring began. Alarms on missing data are silent until their window
	// has passed since, and Definition.Settle counts from it. Zero means the first Evaluate.
	Start time.Time
	// Kept is what Engine.Kept gave before a restart.
	Kept Kept
	// Group is how long changes are collected before they are sent as one notice. Zero
	// means 10 s.
	Group time.Duration
	// Repeat is after what time an alarm that still fires is sent again. Zero means 4 h,
	// negative never.
	Repeat time.Duration
	// PerUSD says, for each currency that a definition has as its Unit, how many of it a US
	// dollar is. Without an INR in it that is 83, the rate in all conversions of the
	// specification.
	PerUSD map[string]float64
}

// Engine keeps the states of alarms. Its methods may be called concurrently; Evaluate is
// called by one goroutine.
type Engine struct {
	source        string
	group, repeat time.Duration
	definitions   []Definition

	mu       sync.Mutex // guards what follows; not held while a Source is asked
	start    time.Time
	rules    []*rule
	silences []Silence
	strays   []Told    // told of alarms that are not defined any more
	pending  time.Time // when what is to be told began to differ from what was told; zero: it does not
	sequence int       // of ids of silences
}

// rule is a definition that is judged, and its states.
type rule struct {
	Definition         // with defaults
	perUSD     float64 // of its currency; 1 without one
	judged     time.Time
	watches    map[string]*watch // by the label's value
}

// watch is the state of one rule for one value of its label.
type watch struct {
	status Status
	recent []verdict // the last N judgements, the newest last
	seen   time.Time // when it was measured last, or first missed
	told   bool      // it was announced, and its end was not
	toldAt time.Time // or reminded of last; zero: it is to be announced again
	ups    []time.Time
}

// New makes an Engine. It reports all faults of all definitions at once.
func New(cfg Config) (*Engine, error) {
	e := &Engine{
		source: cfg.Source, start: cfg.Start, group: cfg.Group, repeat: cfg.Repeat,
		definitions: slices.Clone(cfg.Definitions),
	}
	if e.source == "" {
		e.source = "forebay"
	}
	if e.group == 0 {
		e.group = defaultGroup
	}
	if e.repeat == 0 {
		e.repeat = defaultRepeat
	}
	var faults []error
	if e.group < 0 {
		faults = append(faults, fmt.Errorf("alarms.group: %v is not possible; use a duration above 0, such as 10s", cfg.Group))
	}
	rates, err := ratesOf(cfg.PerUSD)
	faults = append(faults, err, Validate(cfg.Definitions))
	for _, d := range e.definitions {
		rate, err := rates.of(d)
		faults = append(faults, err)
		if !d.Off && !d.External {
			e.rules = append(e.rules, newRule(d.WithDefaults(), rate))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	e.restore(cfg.Kept)
	return e, nil
}

// Validate reports everything that is wrong with definitions that are to be used
// together, joined.
func Validate(definitions []Definition) error {
	var faults []error
	seen := map[string]bool{}
	for _, d := range definitions {
		if seen[d.Name] {
			faults = append(faults, fmt.Errorf("alarms.definitions.%s: is there twice; use a name of its own for each", d.Name))
		}
		seen[d.Name] = true
		faults = append(faults, d.Validate())
	}
	return errors.Join(faults...)
}

func newRule(d Definition, rate float64) *rule {
	r := &rule{Definition: d, perUSD: rate, watches: map[string]*watch{}}
	if d.By == "" {
		r.watches[""] = r.newWatch("")
	}
	return r
}

func (r *rule) newWatch(of string) *watch {
	return &watch{status: Status{Name: r.Name, Of: of, State: NoData, Reason: "not judged yet"}}
}

// restore takes over the states from before a restart. What is not defined any more is
// remembered as long as somebody believes that it fires.
func (e *Engine) restore(kept Kept) {
	rules := map[string]*rule{}
	for _, r := range e.rules {
		rules[r.Name] = r
	}
	for _, s := range kept.Statuses {
		r := rules[s.Name]
		if r == nil || (s.Of == "") != (r.By == "") || len(r.watches) >= mostValues+1 {
			continue
		}
		if s.State != OK && s.State != Firing && s.State != NoData {
			continue
		}
		w := r.newWatch(s.Of)
		w.status = s
		r.watches[s.Of] = w
	}
	for _, t := range kept.Told {
		if r := rules[t.Name]; r != nil && r.watches[t.Of] != nil {
			r.watches[t.Of].told, r.watches[t.Of].toldAt = true, t.At
		} else if len(e.strays) < mostValues {
			e.strays = append(e.strays, t)
		}
	}
	e.silences = slices.Clone(kept.Silences[:min(len(kept.Silences), mostSilences)])
	e.sequence = len(e.silences)
}

// Evaluate judges what is due and returns the changes of states, for history, and the
// notices to send now. It is called every few seconds, at least as often as the shortest
// Every; a call in between costs little. The time may stand still; if it goes back,
// everything is judged at once.
func (e *Engine) Evaluate(now time.Time, src Source) (events []Event, notices []Notice) {
	due := e.due(now)
	measured := make([][]reading, len(due))
	for i, r := range due {
		measured[i] = measure(r.Definition, src, now)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.silenceLocked(now)
	for i, r := range due {
		events = append(events, e.judgeLocked(r, measured[i], now)...)
	}
	return events, e.noticesLocked(now)
}

// due lists the rules whose time has come. Their definitions do not change.
func (e *Engine) due(now time.Time) []*rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.start.IsZero() {
		e.start = now
	}
	var due []*rule
	for _, r := range e.rules {
		if r.judged.IsZero() || now.Sub(r.judged) >= r.Every || now.Before(r.judged) {
			r.judged = now
			due = append(due, r)
		}
	}
	return due
}

// Definitions returns all definitions, as they were given.
func (e *Engine) Definitions() []Definition { return slices.Clone(e.definitions) }

// Statuses returns the states by the alarm's name, those of one alarm sorted by the value
// of its label. Alarms that are Off or External have none.
func (e *Engine) Statuses() map[string][]Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make(map[string][]Status, len(e.rules))
	for _, r := range e.rules {
		list := make([]Status, 0, len(r.watches))
		for _, of := range slices.Sorted(maps.Keys(r.watches)) {
			list = append(list, r.watches[of].status)
		}
		all[r.Name] = list
	}
	return all
}

// Firing returns the alarms that fire, silenced ones too: critical ones first, then by name.
func (e *Engine) Firing() []Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []matter
	for _, r := range e.rules {
		for _, w := range r.watches {
			if w.status.State == Firing {
				found = append(found, matter{r, w})
			}
		}
	}
	slices.SortFunc(found, matter.compare)
	all := make([]Status, 0, len(found))
	for _, m := range found {
		all = append(all, m.watch.status)
	}
	return all
}

// Kept returns what New wants after a restart. It is bounded by the definitions, a
// thousand values of each label and a thousand silences.
func (e *Engine) Kept() Kept {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := Kept{Silences: slices.Clone(e.silences), Told: slices.Clone(e.strays)}
	for _, r := range e.rules {
		for _, of := range slices.Sorted(maps.Keys(r.watches)) {
			w := r.watches[of]
			k.Statuses = append(k.Statuses, w.status)
			if w.told {
				k.Told = append(k.Told, Told{Name: r.Name, Of: of, Severity: r.Severity, Message: r.Message, At: w.toldAt})
			}
		}
	}
	return k
}

// matter is a rule's state for one value.
type matter struct {
	rule  *rule
	watch *watch
}

// compare puts critical before warning, then goes by name and value.
func (m matter) compare(o matter) int {
	if m.rule.Severity != o.rule.Severity {
		if m.rule.Severity == Critical {
			return -1
		}
		return 1
	}
	if c := strings.Compare(m.rule.Name, o.rule.Name); c != 0 {
		return c
	}
	return strings.Compare(m.watch.status.Of, o.watch.status.Of)
}
