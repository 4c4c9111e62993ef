package main

import (
	"fmt"
	"io"

	"github.com/forebay-ai/forebay/bench/internal/table"
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
		if err := table.Grid(w, fmt.Sprintf("%s (%s)", c.title, c.name), rows); err != nil {
			return err
		}
	}
	rows := [][]string{{"", "measured", "at most", "", ""}}
	for _, c := range r.Checks {
		rows = append(rows, []string{c.Name, table.Number(c.Measured, 2), table.Number(&c.AtMost, 1), c.Unit, c.Verdict})
	}
	if err := table.Grid(w, "Required of Forebay", rows); err != nil {
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
	return []string{string(s.System), table.Number(s.StartMS, 1), table.Number(s.IdleMB, 1)}
}

func loadRow(s summary) []string {
	return []string{
		string(s.System), table.Number(s.PerSecond, 0), table.Number(s.P50US, 0), table.Number(s.P99US, 0), table.Number(s.AddedP50US, 0), table.Number(s.AddedP99US, 0),
		table.Number(s.CPUPer10K, 3), table.Number(s.CPURatio, 2), table.Number(s.PeakRSSMB, 1), table.Number(s.Allocs, 1), table.Number(s.AllocsRatio, 2),
	}
}
