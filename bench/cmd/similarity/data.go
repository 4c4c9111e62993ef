package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/forebay-ai/forebay/bench/internal/prompts"
	"github.com/forebay-ai/forebay/similar"
)

// paraphrases judges the pairs of PAWS-X. Pairs that are equal byte for byte are left
// out: for them there is the cache.
func paraphrases() (measured, error) {
	m := measured{name: "PAWS-X, German", of: "pairs that mean the same"}
	pairs, err := prompts.Paraphrases()
	var lexical similar.Lexical
	for _, p := range pairs {
		if p.A == p.B {
			continue
		}
		f := found{a: p.A, b: p.B, same: p.Same, half: halfOf(p.ID)}
		f.score = lexical.Score(lexical.Prepare(p.A), lexical.Prepare(p.B), 0)
		if p.Same {
			m.all[f.half]++
		}
		ok, difference := similar.Agree(p.A, p.B)
		m.found[scoreOnly] = append(m.found[scoreOnly], f)
		if ok || difference == similar.Words {
			m.found[facts] = append(m.found[facts], f)
		}
		if ok {
			m.found[agree] = append(m.found[agree], f)
		}
	}
	return m, err
}

// least is the lowest threshold of the table.
const least = 0.50

// questions sends the questions of banking77 to an index one after the other, as
// production would: each looks for the best match among those before it, and is then
// added. A match is right if both are of one category, which is less than that they
// could share an answer.
func questions() (measured, error) {
	m := measured{name: "banking77", of: "questions"}
	all, err := prompts.Questions()
	// Questions that are equal but for white space around them: for them there is the cache.
	seen := map[string]bool{}
	all = slices.DeleteFunc(all, func(q prompts.Question) bool {
		again := seen[strings.TrimSpace(q.Text)]
		seen[strings.TrimSpace(q.Text)] = true
		return again
	})
	// The file is in the order of its categories.
	slices.SortFunc(all, func(a, b prompts.Question) int { return cmp.Compare(order(a.Text), order(b.Text)) })
	byCheck := [checks]*similar.Index{
		facts: similar.New(similar.Config{MaxTexts: len(all), MaxPerGroup: len(all), WordsMayDiffer: true}),
		agree: similar.New(similar.Config{MaxTexts: len(all), MaxPerGroup: len(all)}),
	}
	var before []similar.Prepared
	for i, q := range all {
		asked := found{a: q.Text, half: halfOf(q.Text)}
		m.all[asked.half]++
		prepared := similar.Lexical{}.Prepare(q.Text)
		if at, score := nearest(prepared, before); at >= 0 {
			m.add(scoreOnly, asked, score, q, all[at])
		}
		before = append(before, prepared)
		for c := facts; c < checks; c++ {
			if match, ok := byCheck[c].Find(similar.Group{}, q.Text, least, time.Time{}); ok {
				m.add(c, asked, match.Score, q, all[number(match.Key)])
			}
			byCheck[c].Add(similar.Group{}, key(i), q.Text, time.Time{})
		}
	}
	return m, err
}

func (m *measured) add(c check, f found, score float64, asked, earlier prompts.Question) {
	f.b, f.score, f.same = earlier.Text, score, asked.Category == earlier.Category
	m.found[c] = append(m.found[c], f)
}

// nearest is the best of before, the later of equals, or -1.
func nearest(asked similar.Prepared, before []similar.Prepared) (at int, score float64) {
	at, score = -1, least
	for i, p := range before {
		if s := (similar.Lexical{}).Score(asked, p, score); s >= score {
			at, score = i, s
		}
	}
	return at, score
}

func key(n int) [32]byte { return [32]byte{byte(n >> 16), byte(n >> 8), byte(n)} }

func number(k [32]byte) int { return int(k[0])<<16 | int(k[1])<<8 | int(k[2]) }
