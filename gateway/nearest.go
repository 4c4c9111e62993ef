package gateway

import "strings"

// didYouMean is " (did you mean X?)" for the name that is nearest to what was
// written, or empty where none is near.
func didYouMean(written string, names []string) string {
	if best := nearest(written, names); best != "" {
		return " (did you mean " + best + "?)"
	}
	return ""
}

// nearest finds the name within two edits of what was written, in any case; one
// edit for names of up to four letters.
func nearest(written string, names []string) string {
	if len(written) > 64 {
		return ""
	}
	best, least := "", 3
	for _, name := range names {
		allowed := 2
		if len(name) <= 4 {
			allowed = 1
		}
		d := edits(strings.ToLower(written), strings.ToLower(name))
		if d <= allowed && d < least {
			best, least = name, d
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, row[j]+1, above+1)
			diagonal = above
		}
	}
	return row[len(b)]
}
