package similar_test

import (
	"strings"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/similar"
	"pgregory.net/rapid"
)

func score(a, b string, floor float64) float64 {
	var m similar.Lexical
	pa, pb := m.Prepare(a), m.Prepare(b)
	if pa == nil || pb == nil {
		return -1
	}
	return m.Score(pa, pb, floor)
}

func TestLexical(t *testing.T) {
	const base = "How do I reset the password of my account?"
	order := []string{
		"how do i reset the password of my account",
		"How can I reset the password of my account?",
		"How do I reset the passwords of my accounts?",
		"How do I change the name on my account?",
		"Where is the nearest station?",
		"Wetter",
	}
	last := 1.1
	for _, other := range order {
		s := score(base, other, 0)
		if s >= last || s < 0 {
			t.Errorf("%q scores %v, want less than %v of what is more alike", other, s, last)
		}
		last = s
	}
	if last != 0 {
		t.Errorf("texts with nothing in common score %v", last)
	}
}

// TestScore checks symmetry, range, identity, and that the floor changes nothing above.
func TestScore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom(strings.Fields("a be see the card cards password reset account 1 2 x@y")), 1, 400)
		a, b := strings.Join(words.Draw(t, "a"), " "), strings.Join(words.Draw(t, "b"), " ")
		if rapid.Bool().Draw(t, "any") {
			b = text().Draw(t, "other")
		}
		s := score(a, b, 0)
		if s == -1 {
			return
		}
		if s < 0 || s > 1 || s != score(b, a, 0) {
			t.Fatalf("%q and %q score %v, the other way round %v", a, b, s, score(b, a, 0))
		}
		if score(a, a, 1) != 1 {
			t.Fatalf("%q and itself score %v", a, score(a, a, 1))
		}
		floor := rapid.Float64Range(0, 1).Draw(t, "floor")
		if f := score(a, b, floor); f != s && (s >= floor || f >= floor) {
			t.Fatalf("%q and %q score %v, with the floor %v %v", a, b, s, floor, f)
		}
	})
}

// TestLongTextsAreSampled compares texts of many words, of which a known share is the same.
func TestLongTextsAreSampled(t *testing.T) {
	word := func(n int) string { // without a sequence of three letters in common with the next
		b := []byte("         ")
		for i := range b {
			b[i] = 'a' + byte(n*(i*i+7)+n/26*(i+3))%26
		}
		return string(b)
	}
	var a, b strings.Builder
	for i := range 400 {
		a.WriteString(word(i) + " ")
		b.WriteString(word(i+100) + " ")
	}
	if s := score(a.String(), b.String(), 0); s < 0.6 || s > 0.9 {
		t.Errorf("texts that share three words in four score %v", s)
	}
}

// hostile are pieces of which texts are made that are to take long.
var hostile = []string{
	"`", "`` ", "``` ", "` `` ``` ", "\"", "'", "' ", "'a ", "a' ", "„", "„ “ « ", "‚a ", "-", "- ", "5 - ", "5 -", "a-", "1,", "1.000.", "((((",
	".", ". \n", "\n", "\t", " ", "and ", "and, ", "please ", "please, ", "the how do i . ", "tell me how tell me ", "don't", "n't", "'re", "a\u0301", "\u0301",
	"€", "€5", "😀", "\xff", "1st", "1st.", "zwei ", "bitte. ",
}

func TestHostileTextsTakeLinearTime(t *testing.T) {
	for _, piece := range hostile {
		text := strings.Repeat(piece, similar.MaxText/len(piece)-1)
		for _, lead := range []string{"", "How do I not ", "`", "5 \"", "Wie kann ich nicht "} {
			a := lead + text
			a = a[:min(len(a), similar.MaxText-1)]
			start := time.Now()
			similar.Agree(a, a+" ")
			score(a, a, 0)
			// It takes milliseconds, a second under the race detector; quadratic time would be minutes.
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%d bytes of %q take %v", len(a), lead+piece, d)
			}
		}
	}
}

func FuzzAgree(f *testing.F) {
	for _, p := range append(alike, refused...) {
		f.Add(p[0], p[1])
	}
	for _, piece := range hostile {
		f.Add(strings.Repeat(piece, 20), piece)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		ok, d := similar.Agree(a, b)
		if back, e := similar.Agree(b, a); ok != back || d != e {
			t.Errorf("%v %s, the other way round %v %s", ok, d, back, e)
		}
		if ok, d := similar.Agree(a, a+" "); !ok && d != similar.Length {
			t.Errorf("a text differs from itself in %s", d)
		}
		s := score(a, b, 0)
		if s != -1 && (s < 0 || s > 1 || s != score(b, a, 0)) {
			t.Errorf("score %v, the other way round %v", s, score(b, a, 0))
		}
		if s := score(a, a, 0); s != 1 && s != -1 {
			t.Errorf("a text and itself score %v", s)
		}
	})
}
