package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/machine"
)

// schemaVersion is the version of the JSON form.
const schemaVersion = 1

// report is a whole measurement, as it is written.
type report struct {
	SchemaVersion int             `json:"schema_version"`
	Machine       machine.Machine `json:"machine"`
	Started       time.Time       `json:"started"`
	Settings      settings        `json:"settings"`
	Summary       []summary       `json:"summary"`
	Checks        []check         `json:"checks"`
	Runs          []outcome       `json:"runs"`
}

type settings struct {
	Rounds          int      `json:"rounds"`
	WarmSeconds     float64  `json:"warm_seconds"`
	DurationSeconds float64  `json:"duration_seconds"`
	Cells           []string `json:"cells"`
}

func settingsOf(o options) settings {
	s := settings{Rounds: o.rounds, WarmSeconds: o.warm.Seconds(), DurationSeconds: o.duration.Seconds()}
	for _, c := range o.cells {
		s.Cells = append(s.Cells, c.name)
	}
	return s
}

// summary is one system in one cell: medians over the rounds. Added and ratio
// figures are medians of what each round gives by itself, against the direct call
// or the proxy of the same round. Nil means not measured.
type summary struct {
	Cell       string   `json:"cell"`
	System     system   `json:"system"`
	PerSecond  *float64 `json:"per_second,omitempty"`
	P50US      *float64 `json:"p50_us,omitempty"`
	P99US      *float64 `json:"p99_us,omitempty"`
	AddedP50US *float64 `json:"added_p50_us,omitempty"`
	AddedP99US *float64 `json:"added_p99_us,omitempty"`
	CPUPer10K  *float64 `json:"cpu_seconds_per_10k,omitempty"`
	PeakRSSMB  *float64 `json:"peak_rss_mb,omitempty"`
	Allocs     *float64 `json:"allocs_per_request,omitempty"`
	StartMS    *float64 `json:"start_ms,omitempty"`
	IdleMB     *float64 `json:"idle_mb,omitempty"`
	// Against the proxy.
	CPURatio      *float64 `json:"cpu_ratio,omitempty"`
	AddedP50Ratio *float64 `json:"added_p50_ratio,omitempty"`
	AllocsRatio   *float64 `json:"allocs_ratio,omitempty"`
}

// summarize fills Summary and Checks from Runs.
func (r *report) summarize(cells []cell) {
	for _, c := range cells {
		for _, s := range c.systems {
			if r.run(1, c.name, s) != nil {
				r.Summary = append(r.Summary, r.summaryOf(c.name, s))
			}
		}
	}
	r.Checks = checks(r.Summary)
}

func (r *report) run(round int, cell string, s system) *outcome {
	for i := range r.Runs {
		if o := &r.Runs[i]; o.Round == round && o.Cell == cell && o.System == s {
			return o
		}
	}
	return nil
}

// figure reads one number of a run; nil where the run has none.
type figure func(*outcome) *float64

func loadFigure(get func(*outcome) float64) figure {
	return func(o *outcome) *float64 {
		if o.Load == nil {
			return nil
		}
		v := get(o)
		return &v
	}
}

func positive(v float64) *float64 {
	if v <= 0 {
		return nil
	}
	return &v
}

var (
	p50 = loadFigure(func(o *outcome) float64 { return o.Load.Latency.P50 })
	p99 = loadFigure(func(o *outcome) float64 { return o.Load.Latency.P99 })
	cpu = loadFigure(func(o *outcome) float64 {
		if o.CPUInAllPer10K != nil {
			return *o.CPUInAllPer10K
		}
		return o.Load.CPUSecondsPer10K
	})
)

func allocs(o *outcome) *float64 { return o.AllocsPerRequest }

func (r *report) summaryOf(cell string, s system) summary {
	plain := func(f figure) *float64 {
		return r.median(func(round int) *float64 { return at(f, r.run(round, cell, s)) })
	}
	added := func(f figure, of system) func(int) *float64 {
		return func(round int) *float64 {
			return combine(at(f, r.run(round, cell, of)), at(f, r.run(round, cell, direct)), func(a, b float64) float64 { return a - b })
		}
	}
	ratio := func(f figure) *float64 {
		return r.median(func(round int) *float64 {
			return divide(at(f, r.run(round, cell, s)), at(f, r.run(round, cell, proxy)))
		})
	}
	sum := summary{
		Cell: cell, System: s,
		PerSecond: plain(loadFigure(func(o *outcome) float64 { return o.Load.PerSecond })),
		P50US:     plain(p50), P99US: plain(p99), CPUPer10K: plain(cpu), Allocs: plain(allocs),
		PeakRSSMB: plain(loadFigure(func(o *outcome) float64 { return o.Load.PeakRSSMB })),
		StartMS:   plain(func(o *outcome) *float64 { return positive(o.StartMS) }),
		IdleMB:    plain(func(o *outcome) *float64 { return positive(o.IdleMB) }),
	}
	if s != direct {
		sum.AddedP50US, sum.AddedP99US = r.median(added(p50, s)), r.median(added(p99, s))
	}
	if s.isForebay() {
		sum.CPURatio, sum.AllocsRatio = ratio(cpu), ratio(allocs)
		sum.AddedP50Ratio = r.median(func(round int) *float64 { return divide(added(p50, s)(round), added(p50, proxy)(round)) })
	}
	return sum
}

func at(f figure, o *outcome) *float64 {
	if o == nil {
		return nil
	}
	return f(o)
}

func combine(a, b *float64, f func(a, b float64) float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	v := f(*a, *b)
	return &v
}

func divide(a, b *float64) *float64 {
	if b != nil && *b <= 0 { // noise has swallowed what is divided by
		return nil
	}
	return combine(a, b, func(a, b float64) float64 { return a / b })
}

// median takes the rounds that have a value; of an even number the lower of the
// two in the middle, so that it is a value that was measured.
func (r *report) median(of func(round int) *float64) *float64 {
	var all []float64
	for round := 1; round <= r.Settings.Rounds; round++ {
		if v := of(round); v != nil {
			all = append(all, *v)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	return &all[(len(all)-1)/2]
}

// finish prints and writes the report. A measurement with problems is an error,
// a missed figure only where the options say so.
func (r *report) finish(o options, w io.Writer) error {
	r.summarize(o.cells)
	if err := r.print(w, o.cells); err != nil {
		return err
	}
	if o.out != "" {
		if err := writeJSON(o.out, r); err != nil {
			return err
		}
	}
	for _, run := range r.Runs {
		if run.Problem != "" {
			return fmt.Errorf("round %d, %s, %s is %w: %s", run.Round, run.Cell, run.System, errProblem, run.Problem)
		}
	}
	if o.strict && slices.ContainsFunc(r.Checks, func(c check) bool { return c.Verdict == missed }) {
		return errMissed
	}
	return nil
}

func writeJSON(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
