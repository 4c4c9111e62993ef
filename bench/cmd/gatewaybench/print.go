package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// print writes one table a cell, then the required figures, then the problems.
func (r *report) print(w io.Writer, cells []cell) error {
	for _, c := range cells {
		head := []string{"", "req/s", "p50 us", "p99 us", "+p50", "+p99", "CPU s/10k", "x proxy", "peak MB", "allocs", "x proxy"}
		row := loadRow
		if c.start {
			head, row = []string{"", "ms", "idle MB"}, startRow
		}
		rows := [][]string{head}
		for _, s := range r.Summary {
			if s.Cell == c.name {
				rows = append(rows, row(s))
			}
		}
		if err := grid(w, fmt.Sprintf("%s (%s)", c.title, c.name), rows); err != nil {
			return err
		}
	}
	rows := [][]string{{"", "measured", "at most", "", ""}}
	for _, c := range r.Checks {
		rows = append(rows, []string{c.Name, number(c.Measured, 2), number(&c.AtMost, 1), c.Unit, c.Verdict})
	}
	if err := grid(w, "Required of Forebay", rows); err != nil {
		return err
	}
	for _, run := range r.Runs {
		if run.Problem != "" {
			if _, err := fmt.Fprintf(w, "PROBLEM in round %d, %s, %s: %s\n", run.Round, run.Cell, run.System, run.Problem); err != nil {
				return err
			}
		}
	}
	return nil
}

func startRow(s summary) []string {
	return []string{string(s.System), number(s.StartMS, 1), number(s.IdleMB, 1)}
}

func loadRow(s summary) []string {
	return []string{
		string(s.System), number(s.PerSecond, 0), number(s.P50US, 0), number(s.P99US, 0), number(s.AddedP50US, 0), number(s.AddedP99US, 0),
		number(s.CPUPer10K, 3), number(s.CPURatio, 2), number(s.PeakRSSMB, 1), number(s.Allocs, 1), number(s.AllocsRatio, 2),
	}
}

// number prints what was measured; nothing where it was not.
func number(v *float64, decimals int) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', decimals, 64)
}

// grid prints rows in columns: the first to the left, the others to the right.
func grid(w io.Writer, title string, rows [][]string) error {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", title); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rows {
		first := r[0] + strings.Repeat(" ", width-len(r[0]))
		if _, err := fmt.Fprintln(tw, first+"\t"+strings.Join(r[1:], "\t")+"\t"); err != nil {
			return err
		}
	}
	return tw.Flush()
}
