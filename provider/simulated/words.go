package simulated

import (
	"math/rand/v2"
	"strings"
)

// label begins every text.
const label = "[simulated]"

// vocabulary is what texts are made of: words about water, so that nobody takes
// an answer for one.
var vocabulary = [...]string{
	"water", "river", "forebay", "turbine", "basin", "gate", "channel", "level", "flow", "spill",
	"pressure", "valve", "reservoir", "dam", "intake", "current", "surface", "depth", "stone", "bank",
	"rises", "falls", "turns", "holds", "carries", "reaches", "follows", "passes", "slows", "gathers",
	"opens", "closes", "meets", "leaves", "fills", "drains", "settles", "returns", "waits", "moves",
	"slowly", "evenly", "again", "below", "above", "before", "after", "through", "toward", "within",
	"steady", "narrow", "deep", "quiet", "clear", "cold", "broad", "early", "late", "full",
	"the", "a", "and", "with", "from", "into", "while", "until", "where", "each",
}

// sentences makes n words, the label included, as sentences of 6 to 13 words.
func sentences(r *rand.Rand, n int) string {
	var b strings.Builder
	b.Grow(8 * n)
	b.WriteString(label)
	left := 0
	for i := 1; i < n; i++ {
		word := vocabulary[r.IntN(len(vocabulary))]
		b.WriteByte(' ')
		if left == 0 {
			left = 6 + r.IntN(8)
			b.WriteByte(word[0] - 'a' + 'A')
			word = word[1:]
		}
		b.WriteString(word)
		if left--; left == 0 || i == n-1 {
			b.WriteByte('.')
		}
	}
	return b.String()
}
