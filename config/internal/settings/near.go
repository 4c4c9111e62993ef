package settings

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest finds the known name that was probably meant; "" where none is near.
// Case, underscores and dashes do not count. Up to two edits do, or a third of a
// longer name.
func Nearest(name string, known []string) string {
	flat := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	const longest = 64 // no key is longer; distance is quadratic
	if len(name) > longest {
		return ""
	}
	best, least := "", max(2, len(flat(name))/3)+1
	for _, k := range known {
		if len(k) > longest {
			continue
		}
		d := distance(flat(name), flat(k))
		if d < least && d < max(len(flat(name)), len(flat(k))) {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's: the edits of one character that make b of a.
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

// Suggest says what may stand in the place of an unknown name: the near one, or
// all of them.
func Suggest(name, what string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	if len(known) == 0 {
		return fmt.Sprintf("There are no %s.", what)
	}
	const most = 24 // a list that still fits a few lines
	list := slices.Clone(known)
	end := ""
	if len(list) > most {
		list, end = list[:most], ", …"
	}
	return fmt.Sprintf("Known %s: %s%s.", what, strings.Join(list, ", "), end)
}
