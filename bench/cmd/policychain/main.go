// Command policychain measures what Forebay's policies cost a call that nothing is
// wrong with, beside failsafe-go with the same policies, and its breaker beside
// sony/gobreaker: processor time and allocations a call, from one goroutine and from one
// for each processor. Systems take turns, and each ratio is taken within a round before the
// median over the rounds, so that a machine that changes its speed does not show up as
// a difference. What is compared is the processor time of this process, collection of
// garbage included: other work on the machine disturbs it much less than the time that passes,
// which is shown too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/entry"
	"github.com/forebay-ai/forebay/bench/internal/machine"
	"github.com/forebay-ai/forebay/bench/internal/table"
	"github.com/forebay-ai/forebay/bench/policychain"
	"github.com/forebay-ai/forebay/limit"
)

// mostTime bounds a whole run: several times what it should take.
const mostTime = 10 * time.Minute

func main() { entry.Main("policychain", mostTime, run) }

// system is one of those that are measured.
type system struct {
	name  string
	chain policychain.Chain
	part  string // those of a part are compared with its first
	rival bool   // the part's first has to cost no more
}

func systems() ([]system, func(), error) {
	plain, err := policychain.Forebay(limit.QuotaConfig{})
	quota, err2 := policychain.Forebay(limit.QuotaConfig{RequestsPerMinute: limit.MaxPerMinute, TokensPerMinute: limit.MaxPerMinute})
	client, stop, err3 := policychain.Client()
	return []system{
		{"Forebay's policies", plain, "chain", false},
		{"the same, with a quota", quota, "chain", false},
		{"failsafe-go, adaptive limit", policychain.FailsafeAdaptive(), "chain", true},
		{"failsafe-go, bulkhead", policychain.FailsafeBulkhead(), "chain", true},
		{"failsafe-go, no deadline, budget, line", policychain.FailsafeShort(), "chain", false},
		{"Forebay's whole request path", client, "chain", false},
		{"Forebay's breaker", policychain.ForebayBreaker(), "breaker", false},
		{"gobreaker", policychain.Gobreaker(), "breaker", true},
		{"gobreaker, window of 5 min", policychain.GobreakerWindow(), "breaker", true},
	}, stop, errors.Join(err, err2, err3)
}

// cost is what a call costs: nanoseconds of processors and of the clock, allocations.
type cost struct{ cpu, ns, allocs, bytes float64 }

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("policychain", flag.ContinueOnError)
	rounds := flags.Int("rounds", 51, "how often each system is measured, in turns")
	length := flags.Duration("length", 30*time.Millisecond, "each measurement")
	file := flags.String("out", "", "write what is printed to this file too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 || *rounds > 1000 || *length < time.Millisecond || *length > 10*time.Second {
		return errors.New("-rounds is 1 to 1000, -length 1ms to 10s")
	}
	if *file != "" {
		f, err := os.Create(*file)
		if err != nil {
			return err
		}
		defer f.Close()
		out = io.MultiWriter(out, f)
	}
	return compare(ctx, *rounds, *length, out)
}

// compare measures all systems in turns and prints what came out.
func compare(ctx context.Context, rounds int, length time.Duration, out io.Writer) error {
	all, stop, err := systems()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintln(out, machine.This())
	fmt.Fprintf(out, "calls that succeed at once; medians of %d rounds of %v\n", rounds, length)
	var verdicts []table.Verdict
	for _, goroutines := range []int{1, runtime.GOMAXPROCS(0)} {
		seen := make([][]cost, len(all))
		for range rounds {
			for i, s := range all {
				c, err := measure(ctx, s.chain, goroutines, length)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				seen[i] = append(seen[i], c)
			}
		}
		more, err := report(out, all, seen, goroutines)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, more...)
	}
	return table.Verdicts(out, verdicts)
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // not reached on Linux: the arguments are right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// batch is how many calls pass between two looks at the clock.
const batch = 500

func well(context.Context) error { return nil }

// measure makes calls for so long, from so many goroutines.
func measure(ctx context.Context, chain policychain.Chain, goroutines int, length time.Duration) (cost, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	calls, faults := make([]int, goroutines), make([]error, goroutines)
	cpu, start := processorTime(), time.Now()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for time.Since(start) < length && faults[g] == nil {
				for range batch {
					if err := chain(ctx, well); err != nil {
						faults[g] = err
					}
				}
				calls[g] += batch
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	cpu = processorTime() - cpu
	runtime.ReadMemStats(&after)
	n := 0.0
	for _, c := range calls {
		n += float64(c)
	}
	return cost{
		cpu: float64(cpu) / n, ns: float64(took) / n, allocs: float64(after.Mallocs-before.Mallocs) / n, bytes: float64(after.TotalAlloc-before.TotalAlloc) / n,
	}, errors.Join(append(faults, ctx.Err())...)
}

// report prints what a number of goroutines saw, and compares.
func report(out io.Writer, all []system, seen [][]cost, goroutines int) ([]table.Verdict, error) {
	from := "one goroutine"
	if goroutines > 1 {
		from = fmt.Sprintf("%d goroutines", goroutines)
	}
	rows := [][]string{{"", "CPU ns a call", "ratio", "ns passed", "allocations", "bytes"}}
	var verdicts []table.Verdict
	first := map[string]int{}
	for i, s := range all {
		if _, ok := first[s.part]; !ok {
			first[s.part] = i
		}
		own := first[s.part]
		ratio := of(len(seen[i]), func(r int) float64 { return seen[own][r].cpu / seen[i][r].cpu })
		allocs := of(len(seen[i]), func(r int) float64 { return seen[i][r].allocs })
		ownAllocs := of(len(seen[i]), func(r int) float64 { return seen[own][r].allocs })
		rows = append(rows, []string{
			s.name, fmt.Sprintf("%.0f", of(len(seen[i]), func(r int) float64 { return seen[i][r].cpu })), fmt.Sprintf("%.2f", ratio),
			fmt.Sprintf("%.0f", of(len(seen[i]), func(r int) float64 { return seen[i][r].ns })),
			fmt.Sprintf("%.1f", allocs), fmt.Sprintf("%.0f", of(len(seen[i]), func(r int) float64 { return seen[i][r].bytes })),
		})
		if s.rival {
			wanted, ok := "below", ratio < 1 && ownAllocs < allocs
			if s.part == "breaker" {
				wanted, ok = "at most", ratio <= 1 && ownAllocs <= allocs+0.05
			}
			verdicts = append(verdicts, table.Verdict{
				What: fmt.Sprintf("%s against %s, %s", all[own].name, s.name, from),
				Seen: fmt.Sprintf("%.2f of its CPU, %.1f allocations against %.1f", ratio, ownAllocs, allocs), Wanted: wanted + " 1, and its allocations", OK: ok,
			})
		}
	}
	title := "from " + from + " (ratio: the first of Forebay's to this)"
	return verdicts, table.Grid(out, strings.TrimSpace(title), rows)
}

// of is the median of f over the rounds.
func of(rounds int, f func(r int) float64) float64 {
	var v []float64
	for r := range rounds {
		v = append(v, f(r))
	}
	slices.Sort(v)
	return v[len(v)/2]
}
