package bedrock

import (
	"slices"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// place says where a member's value stands in a body.
type place struct{ value, end int }

// member finds a member of the object that begins at text[from]; ok is false where there
// is none. The text was checked before.
func member(text []byte, from int, name string) (m place, ok bool) {
	c := scan.Cursor{Text: text, At: from, Max: maxAnswerDepth}
	for more := c.Peek() == '{' && c.Open('{'); more; more = c.More('}') {
		match := string(c.Name()) == name
		c.Peek()
		m.value = c.At
		c.Skip()
		if m.end = c.At; match && !c.Bad {
			return m, true
		}
	}
	return place{}, false
}

// find finds a bound.
func find(body []byte, b bound) (place, bool) {
	if b.object == "" {
		return member(body, 0, b.name)
	}
	outer, ok := member(body, 0, b.object)
	if !ok {
		return place{}, false
	}
	return member(body, outer.value, b.name)
}

// edit puts text in place of body[from:to].
type edit struct {
	from, to int
	text     string
}

// insert sets a bound that the body does not have.
func insert(body []byte, b bound, value string) edit {
	said := `"` + b.name + `":` + value
	if b.object == "" {
		return first(body, 0, said)
	}
	outer, ok := member(body, 0, b.object)
	switch {
	case !ok:
		return first(body, 0, `"`+b.object+`":{`+said+`}`)
	case body[outer.value] == '{':
		return first(body, outer.value, said)
	}
	return edit{from: outer.value, to: outer.end, text: "{" + said + "}"} // null
}

// first puts a member at the beginning of the object at body[from].
func first(body []byte, from int, said string) edit {
	c := scan.Cursor{Text: body, At: from, Max: maxAnswerDepth}
	c.Peek()
	at := c.At + 1
	c.At = at
	if c.Peek() != '}' {
		said += ","
	}
	return edit{from: at, to: at, text: said}
}

// spliced returns a copy of body with edits made, which do not overlap.
func spliced(body []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	size := len(body)
	for _, e := range edits {
		size += len(e.text) - (e.to - e.from)
	}
	out := make([]byte, 0, max(size, 0))
	at := 0
	for _, e := range edits {
		out = append(append(out, body[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, body[at:]...)
}
