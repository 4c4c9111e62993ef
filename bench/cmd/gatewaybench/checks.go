package main

// check compares a figure with what is required.
type check struct {
	Name     string   `json:"name"`
	Cell     string   `json:"cell"`
	AtMost   float64  `json:"at_most"`
	Unit     string   `json:"unit"`
	Measured *float64 `json:"measured,omitempty"`
	Verdict  string   `json:"verdict"`
}

// The verdicts.
const (
	pass        = "PASS"
	missed      = "MISSED"
	notMeasured = "not measured"
)

// requirement is a figure that Forebay must not exceed.
type requirement struct {
	name, cell string
	system     system
	atMost     float64
	unit       string
	figure     func(summary) *float64
}

func requirements() []requirement {
	const proxys = "x ReverseProxy"
	cpuRatio := func(s summary) *float64 { return s.CPURatio }
	return []requirement{
		{"CPU of a miss", "closed-whole", miss, 1.4, proxys, cpuRatio},
		{"CPU of a miss, stream of 20 chunks", "closed-stream", miss, 1.6, proxys, cpuRatio},
		{"CPU of a miss, kept on disk too", "closed-store", stored, 1.9, proxys, cpuRatio},
		{"CPU of a hit, answer of 2 KB", "closed-2k", hit, 0.5, proxys, cpuRatio},
		{"added p50 at 500/s, whole", "open-whole", miss, 1.2, proxys, func(s summary) *float64 { return s.AddedP50Ratio }},
		{"added p50 at 500/s, stream", "open-stream", miss, 1.2, proxys, func(s summary) *float64 { return s.AddedP50Ratio }},
		{"idle memory", startCell, miss, 30, "MB", func(s summary) *float64 { return s.IdleMB }},
		{"peak memory at 500 connections", "conns-500", miss, 110, "MB", func(s summary) *float64 { return s.PeakRSSMB }},
		{"start to first answer", startCell, miss, 100, "ms", func(s summary) *float64 { return s.StartMS }},
	}
}

func checks(sums []summary) []check {
	var out []check
	for _, r := range requirements() {
		c := check{Name: r.name, Cell: r.cell, AtMost: r.atMost, Unit: r.unit, Verdict: notMeasured}
		for _, s := range sums {
			if s.Cell == r.cell && s.System == r.system {
				c.Measured = r.figure(s)
			}
		}
		switch {
		case c.Measured == nil:
		case *c.Measured <= c.AtMost:
			c.Verdict = pass
		default:
			c.Verdict = missed
		}
		out = append(out, c)
	}
	return out
}
