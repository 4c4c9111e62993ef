package bedrock

import "github.com/forebay-ai/forebay/dialect/internal/scan"

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

// insert sets a bound that the body does not have.
func insert(body []byte, b bound, value string) scan.Edit {
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
	return scan.Edit{From: outer.value, To: outer.end, Text: "{" + said + "}"} // null
}

// first puts a member at the beginning of the object at body[from].
func first(body []byte, from int, said string) scan.Edit {
	c := scan.Cursor{Text: body, At: from, Max: maxAnswerDepth}
	c.Peek()
	at := c.At + 1
	c.At = at
	if c.Peek() != '}' {
		said += ","
	}
	return scan.Edit{From: at, To: at, Text: said}
}
