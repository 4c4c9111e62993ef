package similar

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	brackets    = "()[]{}"
	punctuation = ",;:.!?…¿¡"
	currencies  = "$€£¥"
	afterNumber = "%‰°" + currencies
)

// chunk takes what stands up to the next white space or quotation mark: brackets and
// punctuation around a core, which is a word, a number, an identifier or several of
// them.
func (l *lexer) chunk() {
	c := l.rest[:chunkLength(l.rest)]
	core := strings.TrimLeftFunc(c, isEdge)
	if core == "" {
		l.edges(c, alone)
	} else {
		l.edges(c[:len(c)-len(core)], before)
		trimmed := strings.TrimRightFunc(core, isEdge)
		l.core(trimmed)
		l.edges(core[len(trimmed):], after)
	}
	last, _ := utf8.DecodeLastRuneInString(c)
	l.skip(len(c), last)
}

// side says where punctuation stands.
type side uint8

const (
	before side = iota
	after
	alone
)

// chunkLength is at least the width of one rune.
func chunkLength(s string) int {
	prev := ' '
	for i, r := range s {
		if i > 0 {
			if unicode.IsSpace(r) || r == '`' {
				return i
			}
			if _, mark := closers[r]; mark && !isApostrophe(r, prev, s[i+utf8.RuneLen(r):]) {
				return i
			}
		}
		prev = r
	}
	return len(s)
}

// isApostrophe reports whether r stands within a word, between prev and rest.
func isApostrophe(r, prev rune, rest string) bool {
	next, _ := utf8.DecodeRuneInString(rest)
	return (r == '\'' || r == '’' || r == '‘') && isWordRune(prev) && isWordRune(next)
}

// isEdge reports whether r may stand around a core without being part of it.
func isEdge(r rune) bool {
	return strings.ContainsRune(brackets, r) || strings.ContainsRune(punctuation, r) || isDash(r)
}

func isDash(r rune) bool { return r == '-' || r == '–' || r == '—' || r == '−' }

// edges takes what stands around a core: before it, after it, or alone.
func (l *lexer) edges(s string, where side) {
	if where == alone && strings.TrimLeftFunc(s, isDash) == "" && !l.between() {
		l.boundary(false)
		return
	}
	dash := false // dashes in a row count as one, since "6 -- 4" is "6 – 4"
	for _, r := range s {
		switch {
		case isDash(r):
			if !dash || where != alone {
				l.add(unit{kind: kindSymbol, text: "-"})
			}
			dash = true
			continue
		case strings.ContainsRune(brackets, r):
			l.add(unit{kind: kindSymbol, text: string(r)})
		case where == before && strings.ContainsRune(".,:!?", r):
			l.add(unit{kind: kindSymbol, text: string(r)}) // .5, .NET, !done, :8080
		default:
			l.mark(r)
		}
		dash = false
	}
}

// between reports whether what comes stands between two numbers.
func (l *lexer) between() bool {
	n := len(l.units)
	rest := strings.TrimLeftFunc(strings.TrimLeftFunc(l.rest, isDash), unicode.IsSpace)
	next, _ := utf8.DecodeRuneInString(rest)
	return n > 0 && l.units[n-1].kind == kindNumber && unicode.IsDigit(next)
}

// mark takes a mark of punctuation.
func (l *lexer) mark(r rune) {
	if n := len(l.units); n > 0 && !l.opens {
		switch last := &l.units[n-1]; {
		case r == '.' && last.kind == kindNumber && last.ordinal == cardinal:
			last.ordinal = either
		case r == '!' && (last.kind == kindNumber || utf8.RuneCountInString(last.text) == 1):
			l.add(unit{kind: kindSymbol, text: "!"}) // 5! and n! are factorials, for all we know
		}
	}
	l.question = l.question || r == '?'
	l.boundary(strings.ContainsRune(".!?…", r))
}

// core takes a core.
func (l *lexer) core(c string) {
	switch {
	case isWord(c):
		l.word(c)
	case l.number(c):
	case !splits(c):
		l.add(unit{kind: identifierOrSymbol(c), text: c})
	default:
		l.split(c)
	}
}

// isWord reports whether c is letters, with apostrophes at most between them.
func isWord(c string) bool {
	for _, r := range c {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '\'' && r != '’' && r != '‘' {
			return false
		}
	}
	return true
}

// word adds a word as it is written.
func (l *lexer) word(w string) {
	u := unit{kind: kindWord, text: strings.ToLower(w)}
	if strings.ContainsAny(w, "’‘") {
		u.text = strings.NewReplacer("’", "'", "‘", "'").Replace(u.text)
	}
	letters, capitals := 0, 0
	for i, r := range w {
		capital := unicode.IsUpper(r) || unicode.IsTitle(r)
		u.upper = u.upper || i == 0 && capital
		if unicode.IsLetter(r) {
			letters++
		}
		if capital {
			capitals++
		}
	}
	u.caps = letters > 1 && letters == capitals
	l.add(u)
}

// splits reports whether c is nothing but words with hyphens or punctuation between
// them, or figures with dashes between them. Anything else is one identifier:
// addresses, versions, "24/7", "c++".
func splits(c string) bool {
	letters, digits := false, false
	for _, r := range c {
		switch {
		case unicode.IsDigit(r):
			digits = true
		case isDash(r):
		case unicode.IsLetter(r), unicode.IsMark(r), strings.ContainsRune(",;:!?…'’‘", r):
			letters = true
		default:
			return false
		}
	}
	return letters != digits
}

// split takes a core of several words or figures.
func (l *lexer) split(c string) {
	for c != "" {
		at := strings.IndexFunc(c, func(r rune) bool { return isDash(r) || strings.ContainsRune(punctuation, r) })
		if at < 0 {
			at = len(c)
		}
		if part := c[:at]; part != "" && !l.number(part) {
			l.word(part)
		}
		if c = c[at:]; c == "" {
			return
		}
		r, size := utf8.DecodeRuneInString(c)
		n := len(l.units)
		switch {
		case !isDash(r):
			l.mark(r)
		case n > 0 && l.units[n-1].kind == kindNumber:
			l.add(unit{kind: kindSymbol, text: "-"})
		case r == '—':
			l.boundary(false)
		}
		c = c[size:]
	}
}

// identifierOrSymbol is the kind of a core that is neither a word nor a number.
func identifierOrSymbol(c string) kind {
	if strings.IndexFunc(c, isWordRune) < 0 {
		return kindSymbol
	}
	return kindIdentifier
}
