package similar

import (
	"math/bits"
	"slices"
)

// Prepared is what a Measure makes of a text once, to compare it with many others.
type Prepared interface {
	// Size is how much memory it takes, in bytes, about.
	Size() int64
}

// Measure says how alike two texts are. An embedding is another implementation than
// Lexical: Prepare returns the vector, Score a cosine that is mapped to 0…1.
// Implementations may be called concurrently.
type Measure interface {
	// Prepare returns what Score needs of text, or nil where the text cannot be
	// compared. It may take its time: no lock is held.
	Prepare(text string) Prepared
	// Score returns how alike two texts are, from 0, nothing in common, to 1, the
	// same. It is symmetric and depends on nothing but a and b, and it must be fast: a
	// search calls it for every text of a group. Below floor it may return any
	// lower number.
	Score(a, b Prepared, floor float64) float64
}

// Lexical compares texts by their words, which count once more for each of weight
// where they are no function words of English or German, and by the sequences of
// three letters in each word, as sets: the score is 2|A∩B| / (|A|+|B|). It knows
// nothing of meaning or of the order of words. Of a text with more than 256 features,
// which are some fifty words, a fixed sample is compared. The zero Lexical is ready.
type Lexical struct{}

const (
	sketchSize = 256 // features: some fifty words; a sample of this size errs by 0.03 about
	weight     = 5   // features of a word that is no function word; of 1 to 8 the best on banking77
)

// sketch is the features of a text as hashes, sorted: all of them, or the lowest.
type sketch struct {
	features []uint32
	sampled  bool
	// marks has a bit set for every feature: a bit that is set here and not in
	// another's marks is a feature that the other does not have.
	marks [8]uint64
}

// Size implements Prepared.
func (s *sketch) Size() int64 { return int64(4*cap(s.features)) + 96 }

// Prepare implements Measure.
func (Lexical) Prepare(text string) Prepared {
	if len(text) > MaxText {
		return nil
	}
	units, _ := lex(text)
	if len(units) == 0 {
		return nil
	}
	s := &sketch{}
	features := make([]uint32, 0, min(4*len(text), 2*enough))
	for i := range units {
		if features = appendFeatures(features, &units[i]); len(features) > enough {
			features = s.lowest(features)
		}
	}
	s.features = slices.Clone(s.lowest(features))
	for _, f := range s.features {
		s.marks[f>>6&7] |= 1 << (f & 63)
	}
	return s
}

// enough is how many features are gathered before most of them are dropped.
const enough = 8 * sketchSize

// lowest sorts features and cuts them to as many as a sketch has.
func (s *sketch) lowest(features []uint32) []uint32 {
	slices.Sort(features)
	features = slices.Compact(features)
	if len(features) > sketchSize {
		s.sampled = true
		features = features[:sketchSize]
	}
	return features
}

// appendFeatures appends the hashes of a unit's features.
func appendFeatures(features []uint32, u *unit) []uint32 {
	n := uint32(weight)
	if u.kind == kindWord && isFunctionWord(u.text) {
		n = 1
	}
	for i := range n {
		features = append(features, hash(i+1, u.text))
	}
	if u.kind != kindWord {
		return features
	}
	// Three letters at a time, with a space before and after the word. Bytes serve
	// as well as letters, since only equality counts.
	padded := " " + u.text + " "
	for i := 0; i+3 <= len(padded); i++ {
		features = append(features, hash(0, padded[i:i+3]))
	}
	return features
}

// hash is FNV-1a with a last stir. It is the same in every process, so that scores
// are; who constructs collisions gains a score, and is up against Agree.
func hash(seed uint32, s string) uint32 {
	h := 2166136261 ^ seed*0x9e3779b9
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	h ^= h >> 15
	h *= 0x2c1b3c6d
	return h ^ h>>13
}

// Score implements Measure. What another Measure has prepared scores 0.
func (Lexical) Score(a, b Prepared, floor float64) float64 {
	x, ok := a.(*sketch)
	y, also := b.(*sketch)
	if !ok || !also {
		return 0
	}
	limit := min(x.limit(), y.limit())
	c := pair{x.upTo(limit), y.upTo(limit)}
	all := len(c.a) + len(c.b)
	// The score is 1 - alone/all, where alone counts the features of one text only.
	// The small addition keeps rounding from refusing a score that is just floor.
	bound := int((1-floor)*float64(all) + 1e-9)
	if x.alone(y, len(c.a))+y.alone(x, len(c.b)) > bound {
		return 0
	}
	if alone := c.alone(bound); alone <= bound {
		return float64(all-alone) / float64(all)
	}
	return 0
}

// alone is a lower bound of how many of the first n features o does not have. It
// takes a few instructions.
func (s *sketch) alone(o *sketch, n int) int {
	only := 0
	for i := range s.marks {
		only += bits.OnesCount64(s.marks[i] &^ o.marks[i])
	}
	return max(0, only-(len(s.features)-n))
}

// limit is the highest hash below which all features of the text are known.
func (s *sketch) limit() uint32 {
	if s.sampled {
		return s.features[len(s.features)-1]
	}
	return ^uint32(0)
}

func (s *sketch) upTo(limit uint32) []uint32 {
	if limit == ^uint32(0) {
		return s.features
	}
	n, found := slices.BinarySearch(s.features, limit)
	if found {
		n++
	}
	return s.features[:n]
}

// pair is what of two sketches is compared. Where a text is sampled, what is above
// its highest feature is left out of both: below it, both are complete.
type pair struct{ a, b []uint32 }

// alone counts the features that are in one of both only, as far as bound.
func (p pair) alone(bound int) int {
	i, j, n := 0, 0, 0
	for i < len(p.a) && j < len(p.b) && n <= bound {
		switch {
		case p.a[i] < p.b[j]:
			i, n = i+1, n+1
		case p.a[i] > p.b[j]:
			j, n = j+1, n+1
		default:
			i, j = i+1, j+1
		}
	}
	return n + len(p.a) - i + len(p.b) - j
}
