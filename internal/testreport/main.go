// Command testreport reads the output of `go test -json` and says what a person
// wants to know of it: a line a package, the output of what failed, every test
// that could not run with the reason it gave, and the totals.
//
// It is part of the project's own test run and not of the product. With -demand a
// skipped test counts as a failure: nothing may be missing where everything was
// installed.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of `go test -json` (go doc cmd/test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

type report struct {
	out                     io.Writer
	output                  map[string][]string // by package and test, until it has ended
	skipped                 []string
	passed, failed, skips   int
	packages, failedPackage int
}

func main() {
	demand := flag.Bool("demand", false, "count a skipped test as a failure")
	flag.Parse()
	r := &report{out: os.Stdout, output: map[string][]string{}}
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.close(*demand) {
		os.Exit(1)
	}
}

// read takes the events in. Lines that are no events, as the compiler prints them,
// are passed on.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(r.out, lines.Text())
			continue
		}
		r.take(e)
	}
	return lines.Err()
}

func (r *report) take(e event) {
	at := e.Package + "\x00" + e.Test
	switch e.Action {
	case "output", "build-output":
		r.output[at] = append(r.output[at], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e, r.output[at])
		}
		delete(r.output, at)
	}
}

func (r *report) endTest(e event, output []string) {
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		fmt.Fprintf(r.out, "--- FAIL: %s in %s\n%s", e.Test, e.Package, strings.Join(output, ""))
	case "skip":
		r.skips++
		r.skipped = append(r.skipped, fmt.Sprintf("%s in %s: %s", e.Test, e.Package, reason(output)))
	}
}

func (r *report) endPackage(e event) {
	r.packages++
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.out, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
	case "fail":
		r.failedPackage++
		fmt.Fprintf(r.out, "FAIL\t%s\t%.1fs\n%s", e.Package, e.Elapsed, strings.Join(r.output[e.Package+"\x00"], ""))
	}
}

// reason finds what a skipped test said about itself.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			if _, said, ok := strings.Cut(line, ".go:"); ok {
				if _, text, ok := strings.Cut(said, ": "); ok {
					return text
				}
			}
			return line
		}
	}
	return "no reason given"
}

// close prints what could not run and the totals, and says whether all is well.
func (r *report) close(demand bool) bool {
	if len(r.skipped) > 0 {
		fmt.Fprintf(r.out, "\n%d tests could not run here:\n", len(r.skipped))
		slices.Sort(r.skipped)
		for _, s := range r.skipped {
			fmt.Fprintln(r.out, "  ", s)
		}
	}
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skips)
	switch {
	case r.passed == 0:
		fmt.Fprintln(r.out, "no test ran")
		return false
	case demand && r.skips > 0:
		fmt.Fprintln(r.out, "everything was demanded: a test that did not run fails the run")
		return false
	}
	return r.failed == 0 && r.failedPackage == 0
}
