// Package proc starts the programs of a measurement, reads what they cost from
// /proc, and stops them: exactly those, by their own process ids. It works on
// Linux.
package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tree returns roots and all their descendants that live now.
func Tree(roots []int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		// "pid (name) state ppid …"; the name may hold anything, brackets too.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		pid, err1 := strconv.Atoi(strings.Split(path, "/")[2])
		parent, err2 := strconv.Atoi(fields[1])
		if err1 == nil && err2 == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	all := slices.Clone(roots)
	for i := 0; i < len(all); i++ {
		for _, c := range children[all[i]] {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// CPU sums the time that the threads of pids have run: from schedstat, in
// nanoseconds, where stat counts ticks of 10 ms.
func CPU(pids []int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, path := range threads {
			text, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			run, _, _ := strings.Cut(string(text), " ")
			if ns, err := strconv.ParseInt(run, 10, 64); err == nil {
				sum += time.Duration(ns)
			}
		}
	}
	return sum
}

// ResetPeak makes the peak of Memory begin anew.
func ResetPeak(pids []int) {
	for _, pid := range pids {
		// 5 resets VmHWM (proc(5)). Where that is refused, the peak is that since the
		// program's start.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o200)
	}
}

// Memory sums the resident memory of pids in bytes: the peak since ResetPeak,
// and what it is now.
func Memory(pids []int) (peak, now int64) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 2 {
				continue
			}
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			switch fields[0] {
			case "VmHWM:":
				peak += kib << 10
			case "VmRSS:":
				now += kib << 10
			}
		}
	}
	return peak, now
}
