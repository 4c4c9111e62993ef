package similar

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// kind says what a unit of a text is, and so how it is compared.
type kind uint8

const (
	kindWord       kind = iota // letters; compared without case, more or less
	kindNumber                 // a figure or a number word; compared as it is
	kindQuote                  // what stands in quotation marks; compared as it is
	kindCode                   // what stands in back-ticks; compared as it is
	kindIdentifier             // addresses, paths, part numbers; compared as they are
	kindSymbol                 // operators, brackets, currencies; compared as they are
)

// unit is a piece of a text that a comparison takes as a whole.
type unit struct {
	kind kind
	text string // of a word in lower case; of a number without its group separators
	// upper and caps: the word begins with a capital; it has two letters or more,
	// all of them capitals.
	upper, caps bool
	// first, opens and closes: it is the first of its sentence; a mark of punctuation
	// stands before it, or after it (as do the beginning and the end of the text).
	first, opens, closes bool
	// joined: an "and" stood before it, which may as well be a comma.
	joined  bool
	ordinal ordinal
}

// ordinal says whether a number counts or ranks.
type ordinal uint8

const (
	cardinal ordinal = iota
	ranking          // 3rd, third, dritte
	either           // "3." is "dritte" in German, and the end of any sentence
)

// lexer cuts a text into units in one pass. Every search for a closing mark that
// fails is made once only, so that hostile text costs linear time.
type lexer struct {
	rest     string
	prev     rune // before rest; a space at the beginning
	units    []unit
	opens    bool // a mark of punctuation stands before the next unit
	first    bool // the next unit begins a sentence
	question bool
	gap      []byte        // the line breaks, indentation and tabs before the next unit
	dead     map[rune]bool // opening marks that are closed nowhere in rest
}

// lex cuts text into units and says whether a question mark ends one of its clauses.
func lex(text string) ([]unit, bool) {
	l := &lexer{rest: norm.NFC.String(text), prev: ' ', opens: true, first: true}
	for l.rest != "" {
		r, _ := utf8.DecodeRuneInString(l.rest)
		switch {
		case unicode.IsSpace(r):
			l.space()
		case l.quoted(r):
		default:
			l.chunk()
		}
	}
	l.boundary(true)
	return l.units, l.question
}

func (l *lexer) skip(n int, prev rune) { l.rest, l.prev = l.rest[n:], prev }

// space takes a run of white space. What of it may mean something is kept: code has
// its indentation, a table its tabs. Spaces within a line mean nothing.
func (l *lexer) space() {
	rest := strings.TrimLeftFunc(l.rest, unicode.IsSpace)
	run := l.rest[:len(l.rest)-len(rest)]
	if at := strings.IndexFunc(run, func(r rune) bool { return r != ' ' && r != '\u00a0' && r != '\u202f' && r != '\r' }); at >= 0 {
		l.gap = append(l.gap, strings.ReplaceAll(run[at:], "\r", "")...)
	}
	l.skip(len(run), ' ')
}

// add appends a unit, and before it the gap that is between it and the last one.
func (l *lexer) add(u unit) {
	if len(l.gap) > 0 && len(l.units) > 0 {
		l.units = append(l.units, unit{kind: kindSymbol, text: string(l.gap), opens: l.opens, first: l.first})
	}
	l.gap = l.gap[:0]
	u.opens, u.first = l.opens, l.first
	l.opens, l.first = false, false
	l.units = append(l.units, u)
}

// boundary notes a mark of punctuation, which may end a sentence.
func (l *lexer) boundary(sentence bool) {
	if n := len(l.units); n > 0 {
		l.units[n-1].closes = true
	}
	l.opens, l.first = true, l.first || sentence
}

// closers has the marks that end what an opening mark begins.
var closers = map[rune]string{
	'"': `"“”`, '„': `“”"`, '“': `”"`, '”': `”"`, '«': "»", '»': "«", '‹': "›", '›': "‹",
	'‚': "‘’'", '‘': "’'", '\'': "'’",
}

// quoted takes what stands in quotation marks or back-ticks, where r opens it.
func (l *lexer) quoted(r rune) bool {
	if r == '`' {
		return l.code()
	}
	ends, ok := closers[r]
	if !ok {
		return false
	}
	size := utf8.RuneLen(r)
	next, _ := utf8.DecodeRuneInString(l.rest[size:])
	single := r == '\'' || r == '‘' || r == '‚'
	if !single || (isWordRune(next) && !isWordRune(l.prev)) {
		if end, width := l.find(r, l.rest[size:], ends, single); end >= 0 {
			l.add(unit{kind: kindQuote, text: spaced(l.rest[size : size+end])})
			l.skip(size+end+width, r)
			return true
		}
	}
	l.add(unit{kind: kindSymbol, text: string(r)})
	l.skip(size, r)
	return true
}

// find returns where in s one of ends stands, and its width. A single mark ends a
// quotation only at the end of a word: else it is an apostrophe.
func (l *lexer) find(open rune, s, ends string, single bool) (at, width int) {
	if l.dead[open] {
		return -1, 0
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if strings.ContainsRune(ends, r) {
			next, _ := utf8.DecodeRuneInString(s[i+size:])
			if !single || !isWordRune(next) {
				return i, size
			}
		}
		i += size
	}
	l.bury(open)
	return -1, 0
}

// bury notes that the mark open is not closed in what is left of the text.
func (l *lexer) bury(open rune) {
	if l.dead == nil {
		l.dead = map[rune]bool{}
	}
	l.dead[open] = true
}

// code takes what stands between back-ticks: one each, or a fence of three. Two
// open a quotation that two apostrophes end, as LaTeX has it.
func (l *lexer) code() bool {
	mark, end, k := "`", "`", kindCode
	switch {
	case strings.HasPrefix(l.rest, "```"):
		mark, end = "```", "```"
	case strings.HasPrefix(l.rest, "``"):
		mark, end, k = "``", "''", kindQuote
	}
	dead := rune(-len(mark)) // no rune, and one for each of the three marks
	if !l.dead[dead] {
		if at := strings.Index(l.rest[len(mark):], end); at >= 0 {
			body := l.rest[len(mark) : len(mark)+at]
			if k == kindQuote {
				body = spaced(body)
			}
			l.add(unit{kind: k, text: body})
			l.skip(len(mark)+at+len(end), '`')
			return true
		}
		l.bury(dead)
	}
	l.add(unit{kind: kindSymbol, text: mark})
	l.skip(len(mark), '`')
	return true
}

// spaced is s with every run of white space as one space, and none around it.
func spaced(s string) string { return strings.Join(strings.Fields(s), " ") }

// isWordRune reports whether words and figures are made of r.
func isWordRune(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}
