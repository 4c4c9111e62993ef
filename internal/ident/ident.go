// Package ident says whether a text is a plain name: the forms of names of keys, operations
// and ids. It does so without regular expressions, of which those with bounds on
// repetitions take a tenth of a millisecond each to compile, at every start of a process. Those
// that are needed elsewhere are compiled at their first use (Pattern).
package ident

import (
	"regexp"
	"strings"
	"sync"
)

// Pattern is a regular expression that is compiled when it is asked for first, instead of
// at the start of every process that links the package. The function may be called
// concurrently; it panics where expr cannot be parsed, as regexp.MustCompile does.
func Pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// Is says whether s has from least to most bytes, each a letter or digit of ASCII or one
// of others.
func Is(s string, least, most int, others string) bool {
	if len(s) < least || len(s) > most {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// Letters says whether s has from least to most bytes, each a letter of ASCII.
func Letters(s string, least, most int) bool {
	if len(s) < least || len(s) > most {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
