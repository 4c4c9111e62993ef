// Command similarity measures what package similar finds on public data sets, with
// and without its second check: precision and recall over the threshold, as tables in
// Markdown. It takes about a minute.
//
//	go run ./cmd/similarity
//	go run ./cmd/similarity -show 50    # and pairs to read for oneself
//
// Everything is counted on two halves of the data: one that the rules were written
// with, and one that was held out.
package main

import (
	"cmp"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/forebay-ai/forebay/similar"
)

func main() {
	show := flag.Int("show", 0, "pairs of each kind to print for reading")
	flag.Parse()
	if err := run(os.Stdout, *show); err != nil {
		fmt.Fprintln(os.Stderr, "similarity:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, show int) error {
	for _, m := range []func() (measured, error){paraphrases, questions} {
		r, err := m()
		if err != nil {
			return err
		}
		for _, half := range []half{heldOut, tuned} {
			r.table(out, half)
		}
		r.wrong(out)
		r.show(out, show)
	}
	return nil
}

// half is one half of a data set.
type half byte

const (
	tuned half = iota
	heldOut
)

func (h half) String() string {
	return [...]string{"the half that the rules were written with", "held out"}[h]
}

// halfOf puts what has this name into one half or the other, for ever.
func halfOf(name string) half { return half(sha256.Sum256([]byte(name))[0] & 1) }

// check is what a pair has to pass beside the threshold.
type check byte

const (
	scoreOnly check = iota
	facts           // everything agrees but words of which Agree knows nothing
	agree
	checks
)

// found is two texts of which one would have been answered like the other.
type found struct {
	a, b  string
	score float64
	same  bool // the data set says that the answer is one
	half  half
}

// verbatim reports whether the texts are the same words, figures and symbols in the
// same order, so that only punctuation, hyphens or capitals tell them apart. Where the
// data set says that the two mean different things, the data set is at fault.
func (f found) verbatim() bool { return wording(f.a) == wording(f.b) }

func wording(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(".,;:!?…-–—'’\"“”„()", r)
	}), " ")
}

// measured is what was found in a data set, by check.
type measured struct {
	name, of string
	found    [checks][]found
	all      [2]int // what recall is a share of, by half
}

var thresholds = []float64{0.50, 0.60, 0.70, 0.80, 0.85, 0.90, 0.95, 1}

// table prints precision and recall over the threshold.
func (m *measured) table(out io.Writer, h half) {
	fmt.Fprintf(out, "**%s**, %s: %d %s\n\n", m.name, h, m.all[h], m.of)
	fmt.Fprintln(out, "| threshold | score alone: accepted | precision | recall | and facts agree: accepted | precision | recall |"+
		" and all words agree: accepted | wrong by the labels | precision by the labels | precision | recall |")
	fmt.Fprintln(out, "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, t := range thresholds {
		mark := ""
		if t == similar.DefaultThreshold {
			mark = "**"
		}
		fmt.Fprintf(out, "| %s%.2f%s ", mark, t, mark)
		for c := range checks {
			s := m.sum(c, h, t)
			if c < agree {
				fmt.Fprintf(out, "| %d | %s | %s ", s.accepted, share(s.right, s.accepted), share(s.right, m.all[h]))
				continue
			}
			fmt.Fprintf(out, "| %d | %d | %s | %s | %s |\n", s.accepted, s.accepted-s.right, share(s.right, s.accepted),
				share(s.right+s.excused, s.accepted), share(s.right, m.all[h]))
		}
	}
	s := m.sum(agree, h, similar.DefaultThreshold)
	fmt.Fprintf(out, "\nAt %.2f with all checks: precision %s, of which the lower bound is %.3f at 95 %% confidence (Wilson).\n\n",
		similar.DefaultThreshold, share(s.right+s.excused, s.accepted), wilson(s.right+s.excused, s.accepted))
}

// sums counts pairs that were accepted: those that are right by the labels, and those
// that are not but are the same words in the same order.
type sums struct{ accepted, right, excused int }

func (m *measured) sum(c check, h half, threshold float64) (s sums) {
	for _, f := range m.found[c] {
		if f.half != h || f.score < threshold {
			continue
		}
		s.accepted++
		switch {
		case f.same:
			s.right++
		case f.verbatim():
			s.excused++
		}
	}
	return s
}

func share(n, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// wilson is the lower end of the Wilson score interval of n out of all, 95 %.
func wilson(n, all int) float64 {
	if all == 0 {
		return 0
	}
	const z = 1.96
	p, a := float64(n)/float64(all), float64(all)
	return (p + z*z/(2*a) - z*math.Sqrt(p*(1-p)/a+z*z/(4*a*a))) / (1 + z*z/a)
}

// wrong lists what all checks accept and the labels call different.
func (m *measured) wrong(out io.Writer) {
	fmt.Fprintf(out, "%s: all that the checks accept, at any threshold, and the labels call different:\n\n", m.name)
	for _, f := range m.found[agree] {
		if !f.same {
			m.line(out, f)
		}
	}
	fmt.Fprintln(out)
}

// line is a text without line breaks.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

func (m *measured) line(out io.Writer, f found) {
	note := ""
	if f.verbatim() {
		note = " (the same words in the same order)"
	}
	fmt.Fprintf(out, "- %.3f, %s: “%s” / “%s”%s\n", f.score, f.half, line(f.a), line(f.b), note)
}

// show prints n held-out pairs at the default threshold, of each check, in an order
// that has nothing to do with what they are.
func (m *measured) show(out io.Writer, n int) {
	for c := range checks {
		if n == 0 {
			return
		}
		fmt.Fprintf(out, "%s: pairs for reading, check %d:\n\n", m.name, c)
		pairs := slices.Clone(m.found[c])
		pairs = slices.DeleteFunc(pairs, func(f found) bool { return f.half != heldOut || f.score < similar.DefaultThreshold })
		slices.SortFunc(pairs, func(x, y found) int { return cmp.Compare(order(x.a), order(y.a)) })
		for _, f := range pairs[:min(n, len(pairs))] {
			m.line(out, f)
		}
		fmt.Fprintln(out)
	}
}

// order is a place in an order by chance that is the same in every run.
func order(text string) string {
	sum := sha256.Sum256([]byte("order " + text))
	return string(sum[:])
}
