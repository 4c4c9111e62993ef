package requestlog

import (
	"strings"
	"unicode/utf8"
)

// short is s with at most mostText bytes of valid UTF-8, cut between characters.
func short(s string) string {
	if len(s) <= mostText && valid(s) {
		return s
	}
	if len(s) > mostText {
		end := mostText
		for end > mostText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	s = strings.ToValidUTF8(s, "?")
	// A copy, since what is cut would keep the whole text in memory; and without the
	// character that ends texts in other languages.
	return strings.ReplaceAll(strings.Clone(s), "\x00", "?")
}

func valid(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
