package names

import (
	"cmp"
	"strings"
)

// LongestValue is how long the value of a dimension may be (API reference of Dimension).
const LongestValue = 1024

// Value makes a value of a dimension of any text. What CloudWatch takes is left as it is;
// else what is not printable ASCII becomes a question mark, a colon in front and spaces
// around it are taken off, the end is cut, and nothing becomes "none".
func Value(s string) string {
	strange := func(r rune) bool { return r < ' ' || r > '~' }
	if len(s) <= LongestValue && strings.TrimSpace(s) != "" && s[0] != ':' && !strings.ContainsFunc(s, strange) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if strange(r) {
			return '?'
		}
		return r
	}, s)
	s = strings.TrimLeft(s[:min(len(s), LongestValue)], ": ")
	return cmp.Or(strings.TrimRight(s, " "), "none")
}
