package similar

import (
	"iter"
	"slices"
	"strings"
)

// fieldsOf yields the words of a list.
func fieldsOf(list string) iter.Seq[string] { return strings.FieldsSeq(list) }

// resolve writes contractions out and numbers as figures, so that one meaning has
// one spelling. It works on a text whose language is known.
func resolve(units []unit, in language) []unit {
	out := make([]unit, 0, len(units)+4)
	for _, u := range units {
		switch u.kind {
		case kindNumber:
			u.text = ungrouped(u.text, in)
			out = append(out, u)
		case kindWord:
			out = appendWord(out, u, in)
		default:
			out = append(out, u)
		}
	}
	return out
}

// appendWord appends a word, or the words that it is short for.
func appendWord(out []unit, u unit, in language) []unit {
	if full, ok := contracted[in][u.text]; ok && !u.caps {
		return appendAll(out, u, full)
	}
	if in == english {
		if stem, ok := strings.CutSuffix(u.text, "n't"); ok && stem != "" {
			return appendAll(out, u, stem+" not")
		}
		if at := strings.LastIndexByte(u.text, '\''); at > 0 {
			if full, ok := fragments[u.text[at:]]; ok {
				return appendAll(out, u, u.text[:at]+" "+full)
			}
		}
	}
	if same, ok := synonyms[in][u.text]; ok && !u.caps {
		if same == "%" || same == "€" {
			u.kind = kindSymbol
		}
		u.text = same
	}
	u.figures(in)
	return append(out, u)
}

// appendAll appends the words of full in place of u.
func appendAll(out []unit, u unit, full string) []unit {
	start := len(out)
	for w := range fieldsOf(full) {
		v := unit{kind: kindWord, text: w}
		if len(out) == start {
			v.upper, v.caps, v.first, v.opens = u.upper, u.caps, u.first, u.opens
		}
		out = append(out, v)
	}
	out[len(out)-1].closes = u.closes
	return out
}

// courtesies are clauses that ask nothing.
var courtesies = map[language]map[string]bool{
	english: phrases("thanks, thank you, many thanks, thanks a lot, thank you very much, thank you so much, thanks in advance, " +
		"thank you in advance, hi, hello, hey, hi there, hello there, hey there, good morning, good afternoon, good evening"),
	german: phrases("danke, danke schön, dankeschön, vielen dank, besten dank, herzlichen dank, danke in dem voraus, " +
		"vielen dank in dem voraus, hallo, hi, hey, guten tag, guten morgen, guten abend, servus, moin, grüß gott"),
}

func phrases(list string) map[string]bool {
	m := map[string]bool{}
	for p := range strings.SplitSeq(list, ", ") {
		m[p] = true
	}
	return m
}

const longestCourtesy = 5 // words

// strip leaves out what is known to change nothing: a greeting at the beginning,
// thanks at the end, "please", German particles, an "and" that could be a comma.
func strip(units []unit, in language) []unit {
	if in == unknown {
		return units
	}
	courteous := !slices.ContainsFunc(units, aboutItself)
	if courteous {
		units = uncourteous(units, in)
	}
	out := make([]unit, 0, len(units))
	joined := false
	var left unit // out of account, before the next one
	for i, u := range units {
		u.joined, u.opens, u.first = joined, u.opens || left.opens, u.first || left.first
		switch {
		case isAnd(u, in) && i+1 < len(units):
			joined = true
		case courteous && light(units, i, in):
			left = u
			if n := len(out); n > 0 && u.closes {
				out[n-1].closes = true
			}
			continue
		default:
			out = append(out, u)
			joined = false
		}
		left = unit{}
	}
	if len(out) == 0 {
		return units
	}
	return out
}

// aboutItself reports whether a text with this unit may be about its own words.
func aboutItself(u unit) bool {
	return u.kind == kindQuote || u.kind == kindCode || u.kind == kindSymbol && u.text[0] == '\n' ||
		u.kind == kindWord && aboutWords[u.text]
}

// uncourteous is units without a courtesy at either end, which is a clause there. What
// is left has to be a text of some words.
func uncourteous(units []unit, in language) []unit {
	const enough = 3
	n := 0
	for n < len(units) && n < longestCourtesy && !units[n].closes {
		n++
	}
	if n < len(units)-enough && isCourtesy(units[:n+1], in) {
		units = units[n+1:]
		units[0].first = true
	}
	n = len(units) - 1
	for n > 0 && len(units)-n < longestCourtesy && !units[n].opens {
		n--
	}
	if n >= enough && units[n].opens && isCourtesy(units[n:], in) {
		units = units[:n]
	}
	return units
}

func isCourtesy(units []unit, in language) bool {
	phrase := ""
	for i := range units {
		if units[i].kind != kindWord {
			return false
		}
		phrase += " " + units[i].text
	}
	return courtesies[in][phrase[1:]]
}

func isAnd(u unit, in language) bool {
	return u.kind == kindWord && !u.first && !u.caps && (in == english && u.text == "and" || in == german && u.text == "und")
}

var (
	youMay    = set("can could would will")
	beforeMal = set("du mir sie ihr wir uns")
)

// light reports whether units[i] changes nothing where it stands.
func light(units []unit, i int, in language) bool {
	u := units[i]
	if u.kind != kindWord || u.upper && !u.first || u.caps {
		return false
	}
	var before unit
	if i > 0 {
		before = units[i-1]
	}
	switch {
	case in == english && (u.text == "please" || u.text == "kindly"):
		return u.opens || u.closes || before.text == "you" && i > 1 && youMay[units[i-2].text]
	case in == german && u.text == "bitte":
		return before.text != "ich" && before.text != "wir"
	case in == german && u.text == "mal":
		return beforeMal[before.text]
	case in == german && u.text == "denn":
		return !u.opens
	}
	return false
}
