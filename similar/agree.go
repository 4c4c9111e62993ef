package similar

import (
	"hash/maphash"
	"slices"
	"strings"
)

// Difference says in what two texts differ. It is one of the constants of this
// package, fit to label a metric.
type Difference string

// The differences, in the order in which they are looked for.
const (
	None        Difference = ""            // the texts agree
	Length      Difference = "length"      // a text is longer than MaxText
	Language    Difference = "language"    // one is English, one German
	Order       Difference = "order"       // the same words in another order
	Punctuation Difference = "punctuation" // the same words, parted elsewhere
	Numbers     Difference = "numbers"     // figures, amounts, dates, ranks
	Quotes      Difference = "quotes"      // what stands in quotation marks
	Code        Difference = "code"        // what stands in back-ticks
	Identifiers Difference = "identifiers" // addresses, paths, part numbers
	Negations   Difference = "negations"   // not, without, kein
	Questions   Difference = "questions"   // who, when; can, must; a statement instead
	Persons     Difference = "persons"     // I, your, ihm
	Comparisons Difference = "comparisons" // more, before, open: opposites
	Names       Difference = "names"       // words with capitals; in German nouns too
	Symbols     Difference = "symbols"     // operators, brackets
	Words       Difference = "words"       // any other word
)

// MaxText is the length of the longest text that Agree reads, in bytes: 32 KiB.
// Longer texts agree with themselves only.
const MaxText = 32 << 10

// Agree reports whether the answer to one of two texts can stand in for the answer
// to the other, and if not, in what they differ first. It is the second check of
// every match, beside the score of a Measure, and it is strict: the texts must be the
// same words, numbers, quotations, code, identifiers, symbols, line breaks and tabs in
// the same order, apart from what is known to change nothing. That is a short list:
//
//   - spaces, hyphens between words, punctuation that only one of the texts has;
//   - capitals at the beginning of a sentence;
//   - contractions ("can't", "im"), numbers as words ("two", "dritte"), "percent", "euro";
//   - the separators of thousands, where the language tells what they are;
//   - "and" in place of a comma, "please", a few particles;
//   - a greeting at the beginning, and thanks at the end, of a text that is not about words;
//   - a few ways to begin a question ("How do I", "How can I", "Can you tell me how").
//
// All but the first two hold for texts in English and German only; in other languages
// nothing else is left out. What is not on the list makes a difference, so that Agree
// refuses far more than it has to: it knows no synonyms, no plurals, no misspellings,
// and takes "the card" and "my card" for two things. It is symmetric, and takes time in
// proportion to the texts. Agree may be called concurrently.
func Agree(a, b string) (bool, Difference) {
	if a == b {
		return true, None
	}
	if len(a) > MaxText || len(b) > MaxText {
		return false, Length
	}
	ra, rb := read(a), read(b)
	d := ra.differs(&rb)
	return d == None, d
}

// reading is a text as Agree compares it.
type reading struct {
	units    []unit
	in       language
	question bool // it asks; it does not state or order
}

func read(text string) reading {
	units, marked := lex(text)
	r := reading{in: languageOf(units)}
	units = strip(resolve(units, r.in), r.in)
	r.units = reframe(units, r.in)
	if len(r.units) > 0 {
		first := r.units[0].text
		r.question = marked || words()[r.in][first] == question || mayAsk[r.in][first]
	}
	return r
}

// essence is a hash that readings share if they agree.
func (r *reading) essence(seed maphash.Seed) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for i := range r.units {
		// A zero byte ends a unit. Where a text has one itself, it is read in vain at worst.
		_ = h.WriteByte(byte(r.units[i].kind))
		_, _ = h.WriteString(r.units[i].text)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// differs returns None, or what tells r and o apart.
func (r *reading) differs(o *reading) Difference {
	switch {
	case r.in != o.in:
		return Language
	case len(r.units) == len(o.units) && r.same(o):
		if r.question != o.question {
			return Questions
		}
		return None
	}
	return r.why(o)
}

// same reports whether the units of two readings of one length are the same.
func (r *reading) same(o *reading) bool {
	mine, others := false, false // one has a mark of punctuation that the other has not
	for i := range r.units {
		a, b := &r.units[i], &o.units[i]
		mine = mine || a.parted() && !b.parted()
		others = others || b.parted() && !a.parted()
		if mine && others || a.is(negation, r.in) && (a.opens != b.opens || a.closes != b.closes) {
			return false
		}
		if a.kind != b.kind || a.text != b.text || !joins(a, b) || !ranks(a, b) || !cases(a, b) {
			return false
		}
	}
	return true
}

// joins reports whether an "and" before one unit is at least a comma before the other.
func joins(a, b *unit) bool {
	return a.joined == b.joined || a.joined && b.opens || b.joined && a.opens
}

// parted reports whether something stands between the unit and the one before.
func (u *unit) parted() bool { return u.opens || u.joined }

// ranks reports whether two numbers both count or both rank, for all we know.
func ranks(a, b *unit) bool {
	return a.ordinal == b.ordinal || a.ordinal == either || b.ordinal == either
}

// cases reports whether two words of the same letters have their capitals alike, as
// far as they mean anything: "Polish" is not "polish", nor "US" "us", nor "Sie" "sie".
func cases(a, b *unit) bool {
	if a.kind != kindWord || a.upper == b.upper && a.caps == b.caps {
		return true
	}
	return a.caps == b.caps && (a.first || b.first || a.text == "i")
}

// aspects are the units of a text that have to agree by themselves, with the
// difference that it is called if they do not.
var aspects = []struct {
	difference Difference
	has        func(*unit, language) bool
}{
	{Numbers, func(u *unit, _ language) bool {
		return u.kind == kindNumber || u.kind == kindSymbol && strings.Contains(afterNumber, u.text)
	}},
	{Quotes, func(u *unit, _ language) bool { return u.kind == kindQuote }},
	{Code, func(u *unit, _ language) bool { return u.kind == kindCode }},
	{Identifiers, func(u *unit, _ language) bool { return u.kind == kindIdentifier }},
	{Negations, func(u *unit, in language) bool { return u.is(negation, in) }},
	{Questions, func(u *unit, in language) bool { return u.is(question, in) }},
	{Persons, func(u *unit, in language) bool { return u.is(person, in) }},
	{Comparisons, func(u *unit, in language) bool { return u.is(comparison, in) }},
	{Names, func(u *unit, _ language) bool { return u.kind == kindWord && u.upper && !u.first }},
	{Symbols, func(u *unit, _ language) bool { return u.kind == kindSymbol }},
}

func (u *unit) is(c class, in language) bool {
	return u.kind == kindWord && words()[in][u.text] == c
}

// why names the first difference of readings that are not the same.
func (r *reading) why(o *reading) Difference {
	if d := details(r.units, o.units); d != None {
		return d
	}
	if slices.Equal(sorted(r.units), sorted(o.units)) {
		return Order
	}
	for _, a := range aspects {
		if !slices.Equal(pick(r, a.has), pick(o, a.has)) {
			return a.difference
		}
	}
	if r.question != o.question {
		return Questions
	}
	if !slices.Equal(shared(r.units, o.units), shared(o.units, r.units)) {
		return Order
	}
	return Words
}

// details names what tells units apart whose texts are the same: None if they are not.
func details(a, b []unit) Difference {
	if len(a) != len(b) {
		return None
	}
	d := Punctuation
	for i := range a {
		switch {
		case a[i].kind != b[i].kind || a[i].text != b[i].text:
			return None
		case !ranks(&a[i], &b[i]):
			d = Numbers
		case d == Punctuation && !cases(&a[i], &b[i]):
			d = Names
		}
	}
	return d
}

func sorted(units []unit) []string {
	texts := make([]string, len(units))
	for i := range units {
		texts[i] = units[i].text
	}
	slices.Sort(texts)
	return texts
}

func pick(r *reading, has func(*unit, language) bool) []string {
	var texts []string
	for i := range r.units {
		if u := &r.units[i]; has(u, r.in) {
			texts = append(texts, u.text)
			if u.ordinal == ranking {
				texts = append(texts, ".")
			}
		}
	}
	return texts
}

// shared is the texts of those units that others has too, as often as it has them.
func shared(units, others []unit) []string {
	left := make(map[string]int, len(others))
	for i := range others {
		left[others[i].text]++
	}
	var texts []string
	for i := range units {
		if t := units[i].text; left[t] > 0 {
			left[t]--
			texts = append(texts, t)
		}
	}
	return texts
}
