// Package near finds the name that was probably meant by one with a typing error, and words
// the choice that there was. It is for messages to people; nothing is decided by it.
package near

import (
	"fmt"
	"strings"
)

// longest is above every name of ours; the distance is quadratic.
const longest = 64

// Name finds the known name that was probably meant, or "" where none is near. Case,
// underscores, dashes and spaces do not count; two edits do, or a third of a longer name.
func Name(written string, known []string) string {
	if len(written) > longest {
		return ""
	}
	from := flat(written)
	best, least := "", max(2, len(from)/3)+1
	for _, name := range known {
		if len(name) > longest {
			continue
		}
		to := flat(name)
		if d := distance(from, to); d < least && d < max(len(from), len(to)) {
			best, least = name, d
		}
	}
	return best
}

// DidYouMean is " (did you mean X?)" for that name, or empty where none is near.
func DidYouMean(written string, known []string) string {
	if best := Name(written, known); best != "" {
		return " (did you mean " + best + "?)"
	}
	return ""
}

// listed bounds how many names a choice lists.
const listed = 20

// OneOf words a choice of names as a sentence: verb says what to do with one of them.
func OneOf(verb string, names []string) string {
	if len(names) == 0 {
		return "None is configured."
	}
	if n := len(names) - listed; n > 0 {
		return fmt.Sprintf("%s one of %s, and %d more.", verb, strings.Join(names[:listed], ", "), n)
	}
	return fmt.Sprintf("%s one of %s.", verb, strings.Join(names, ", "))
}

func flat(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
}

// distance is Levenshtein's: the edits of one byte that make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left, diagonal := i+1, i
		for j := range len(b) {
			step := diagonal
			if a[i] != b[j] {
				step = 1 + min(diagonal, left, row[j+1])
			}
			diagonal, row[j+1], left = row[j+1], step, step
		}
		row[0] = i + 1
	}
	return row[len(b)]
}
