package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/bench/internal/upstream"
)

// system is what the load goes to.
type system string

const (
	direct system = "direct"       // the upstream itself
	proxy  system = "ReverseProxy" // bare httputil.ReverseProxy
	miss   system = "Forebay miss" // every prompt different
	hit    system = "Forebay hit"  // one prompt
	// Every prompt different, and every answer stored on disk too.
	stored system = "Forebay miss, store"
)

func (s system) isForebay() bool { return s == miss || s == hit || s == stored }

// cell is one way of putting load on the systems. In a round its systems are
// measured one after the other.
type cell struct {
	name, title string
	systems     []system
	conns       int
	rate        float64 // requests a second; 0 is the closed loop
	model       string
	stream      bool
	start       bool // measures the start instead: time to the first answer, idle memory
	// inAll counts CPU from the first request to the end of the process, for all of
	// the requests: what is done behind the answers counts, however late.
	inAll bool
}

const (
	startCell  = "start"
	openRate   = 500
	usualConns = 64
	manyConns  = 500
)

func allCells() []cell {
	all := []system{direct, proxy, miss, hit}
	return []cell{
		{name: startCell, title: "Start to first answer, idle memory", systems: []system{proxy, miss}, start: true},
		{name: "closed-whole", title: "64 connections, closed loop, whole answers of 690 B", systems: all, conns: usualConns, model: upstream.Small},
		{name: "closed-stream", title: "64 connections, closed loop, streams of 20 chunks", systems: all, conns: usualConns, model: upstream.Small, stream: true},
		{name: "closed-2k", title: "64 connections, closed loop, whole answers of 2 KB", systems: all, conns: usualConns, model: upstream.Large},
		{name: "open-whole", title: "500 requests/s, open loop, whole answers of 690 B", systems: all, conns: usualConns, rate: openRate, model: upstream.Small},
		{name: "open-stream", title: "500 requests/s, open loop, streams of 20 chunks", systems: all, conns: usualConns, rate: openRate, model: upstream.Small, stream: true},
		{name: "closed-store", title: "64 connections, closed loop, whole answers of 690 B, kept on disk too; CPU in all", systems: []system{proxy, stored}, conns: usualConns, model: upstream.Small, inAll: true},
		{name: "conns-500", title: "500 connections, closed loop, upstream 50 ms", systems: []system{proxy, miss}, conns: manyConns, model: upstream.Slow},
	}
}

func cellNames() []string {
	var names []string
	for _, c := range allCells() {
		names = append(names, c.name)
	}
	return names
}

// selectCells picks cells by a comma-separated list of their names, or all.
func selectCells(list string) ([]cell, error) {
	if list == "all" {
		return allCells(), nil
	}
	var picked []cell
	for name := range strings.SplitSeq(list, ",") {
		i := slices.Index(cellNames(), strings.TrimSpace(name))
		if i < 0 {
			return nil, fmt.Errorf("no cell %q: one of %s", name, strings.Join(cellNames(), ", "))
		}
		picked = append(picked, allCells()[i])
	}
	return picked, nil
}
