package ident_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/forebay-ai/forebay/internal/ident"
)

// The functions say what a regular expression would.
func TestLikeRegexp(t *testing.T) {
	plain := regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	letters := regexp.MustCompile(`^[A-Za-z]{2,3}$`)
	check := func(t interface{ Errorf(string, ...any) }, s string) {
		if got, want := ident.Is(s, 1, 64, "._-"), plain.MatchString(s); got != want {
			t.Errorf("Is(%q): %v", s, got)
		}
		if got, want := ident.Letters(s, 2, 3), letters.MatchString(s); got != want {
			t.Errorf("Letters(%q): %v", s, got)
		}
	}
	for c := range 256 {
		check(t, string([]byte{byte(c)}))
		check(t, string([]byte{'a', byte(c)}))
	}
	for _, s := range []string{"", strings.Repeat("a", 64), strings.Repeat("a", 65), "abc", "abcd", "ab\n", "ä", "a.b_c-D9"} {
		check(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.StringMatching(`[A-Za-z0-9._\-]{0,70}`).Draw(t, "plain"))
		check(t, rapid.String().Draw(t, "any"))
	})
}

// A pattern is compiled once, and for all.
func TestPattern(t *testing.T) {
	digits := ident.Pattern(`^[0-9]+$`)
	first := digits()
	if !first.MatchString("12") || first.MatchString("a") || digits() != first {
		t.Error("the pattern is another one")
	}
}
