package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/bench/internal/table"
)

// errMissed says that a required figure was missed, where that was asked for.
var errMissed = errors.New("a required figure was missed")

// figure is one number that was measured.
type figure struct {
	name     string
	measured float64
	decimals int
	unit     string
	atMost   float64 // what is required; zero where nothing is
}

func (f *figure) met() string {
	switch {
	case f.atMost == 0:
		return ""
	case f.measured <= f.atMost:
		return "yes"
	}
	return "NO"
}

// report prints the parts as they come, and keeps the required figures for the end.
// The first error of a write is kept and returned by finish.
type report struct {
	w        io.Writer
	err      error
	title    string
	figures  []figure // of the part in progress
	tables   []func() // of the part in progress, printed behind its figures
	required []figure
	notes    []string
	left     []string // parts that could not run, and why
}

func (r *report) line(format string, args ...any) {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	if _, err := fmt.Fprintln(r.w, format); err != nil {
		r.err = errors.Join(r.err, err)
	}
}

func (r *report) grid(title string, rows [][]string) {
	r.err = errors.Join(r.err, table.Grid(r.w, title, rows))
}

// begin starts a part.
func (r *report) begin(title string) {
	r.title, r.figures, r.tables, r.notes = title, nil, nil, nil
}

func (r *report) add(f ...figure) {
	r.figures = append(r.figures, f...)
	for _, one := range f {
		if one.atMost > 0 {
			r.required = append(r.required, one)
		}
	}
}

// addTable adds a table of its own to the part.
func (r *report) addTable(title string, rows [][]string) {
	r.tables = append(r.tables, func() { r.grid(title, rows) })
}

// note adds a line behind the part's tables: a condition of its figures.
func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// leave says that something could not be measured.
func (r *report) leave(why string) { r.left = append(r.left, why) }

// end prints the part.
func (r *report) end() {
	if len(r.figures) > 0 {
		rows := [][]string{{"", "measured", ""}}
		for _, f := range r.figures {
			rows = append(rows, []string{f.name, table.Number(&f.measured, f.decimals), f.unit})
		}
		r.grid(r.title, rows)
	}
	for _, print := range r.tables {
		print()
	}
	for _, note := range r.notes {
		r.line("  " + note)
	}
}

// finish prints what was required. A missed figure is an error where strict says so.
func (r *report) finish(strict bool) error {
	if len(r.required) > 0 {
		rows := [][]string{{"", "required", "measured", "", "met"}}
		for _, f := range r.required {
			required := strings.TrimSuffix(table.Number(&f.atMost, 2), "0")
			rows = append(rows, []string{f.name, "<= " + strings.TrimSuffix(required, ".0"), table.Number(&f.measured, f.decimals), f.unit, f.met()})
		}
		r.grid("Required", rows)
	}
	for _, why := range r.left {
		r.line("NOT MEASURED: " + why)
	}
	if r.err != nil {
		return r.err
	}
	if strict && slices.ContainsFunc(r.required, func(f figure) bool { return f.met() == "NO" }) {
		return errMissed
	}
	return nil
}

// median of values that are not sorted; of an even number the lower of the two in
// the middle, so that it is a value that was measured.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
