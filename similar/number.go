package similar

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// number takes c if it is a number, a rank or an amount: 12, 1,000.50, 11:30, 3rd,
// 5%, €20. The sign comes behind the figures whichever side it stood on.
func (l *lexer) number(c string) bool {
	sign := ""
	if r, size := utf8.DecodeRuneInString(c); strings.ContainsRune(currencies, r) {
		sign, c = c[:size], c[size:]
	} else if r, size := utf8.DecodeLastRuneInString(c); strings.ContainsRune(afterNumber, r) {
		sign, c = c[len(c)-size:], c[:len(c)-size]
	}
	u := unit{kind: kindNumber, text: c}
	if rank := strings.TrimRightFunc(c, unicode.IsLetter); sign == "" && rank != c {
		switch strings.ToLower(c[len(rank):]) {
		case "st", "nd", "rd", "th":
			u.text, u.ordinal = rank, ranking
		}
	}
	if !isFigures(u.text) {
		return false
	}
	l.add(u)
	if sign != "" {
		l.add(unit{kind: kindSymbol, text: sign})
	}
	return true
}

// isFigures reports whether s is digits with single separators between them.
func isFigures(s string) bool {
	digit := false // the last rune was one
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digit = true
		case digit && (r == '.' || r == ',' || r == ':' || r == '\'' || r == '’'):
			digit = false
		default:
			return false
		}
	}
	return digit
}

// ungrouped is a number without the separators of its thousands. "1.000" is one
// thousand in German and one in English, so a single separator goes only where the
// language says what it is; "1.000.000" can be nothing else.
func ungrouped(s string, in language) string {
	at := strings.IndexAny(s, ".,")
	if at < 1 || at > 3 || s[0] == '0' {
		return s
	}
	sep := s[at]
	groups := strings.Split(s[at+1:], string(sep))
	for _, g := range groups {
		if len(g) != 3 || !isFigures(g) || strings.ContainsAny(g, ".,:'’") {
			return s
		}
	}
	if len(groups) > 1 || in == english && sep == ',' || in == german && sep == '.' {
		return s[:at] + strings.Join(groups, "")
	}
	return s
}

// numberWords are the numbers that are also written as one word. Left out are those
// that mostly are no number ("this one", "ein") or something else in programs ("null").
var numberWords = map[language]map[string]string{
	english: {
		"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
		"ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15", "sixteen": "16",
		"seventeen": "17", "eighteen": "18", "nineteen": "19", "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50",
		"sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
	},
	german: {
		"eins": "1", "zwei": "2", "drei": "3", "vier": "4", "fünf": "5", "sechs": "6", "sieben": "7", "acht": "8",
		"neun": "9", "zehn": "10", "elf": "11", "zwölf": "12", "dreizehn": "13", "vierzehn": "14", "fünfzehn": "15",
		"sechzehn": "16", "siebzehn": "17", "achtzehn": "18", "neunzehn": "19", "zwanzig": "20", "dreißig": "30",
		"vierzig": "40", "fünfzig": "50", "sechzig": "60", "siebzig": "70", "achtzig": "80", "neunzig": "90", "hundert": "100",
	},
}

// rankWords are ranks that are also written as one word, German ones without their
// endings. "second" is left out: it is a time too.
var rankWords = map[language]map[string]string{
	english: {
		"first": "1", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7", "eighth": "8", "ninth": "9",
		"tenth": "10", "eleventh": "11", "twelfth": "12",
	},
	german: {
		"erst": "1", "zweit": "2", "dritt": "3", "viert": "4", "fünft": "5", "sechst": "6", "siebt": "7", "acht": "8", "neunt": "9",
		"zehnt": "10", "elft": "11", "zwölft": "12",
	},
}

// figures turns a number word into figures, where it is one and followed by a word
// that is none: "twenty one", "zwei hundert" stay as they are written.
func (u *unit) figures(in language) {
	if n, ok := numberWords[in][u.text]; ok {
		u.kind, u.text = kindNumber, n
		return
	}
	stem := u.text
	if in == german {
		for _, ending := range []string{"er", "en", "es", "em", "e"} {
			if cut, ok := strings.CutSuffix(u.text, ending); ok {
				stem = cut
				break
			}
		}
		if stem == u.text {
			return // "erst" and "acht" rank nothing
		}
	}
	if n, ok := rankWords[in][stem]; ok {
		u.kind, u.text, u.ordinal = kindNumber, n, ranking
	}
}
