package openai

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// SetModel returns body with another value of the top-level member model. All other
// bytes stay as they are, and body itself is not changed: it is returned as it is
// where it already names that model. The errors are those of ParseChat, for a body
// that is no object or has not exactly one model.
func SetModel(body []byte, model string) ([]byte, error) {
	m, err := findMember(body, "model")
	if err != nil {
		return nil, err
	}
	if m.name == m.end {
		return nil, missing("model", "Name the model that shall answer.")
	}
	// Invalid UTF-8 in the name is replaced: no provider has a model of such a name.
	quoted, _ := jsontext.AppendQuote(make([]byte, 0, len(model)+2), model)
	if bytes.Equal(body[m.value:m.end], quoted) {
		return body, nil
	}
	edited := make([]byte, 0, len(body)-(m.end-m.value)+len(quoted))
	edited = append(edited, body[:m.value]...)
	edited = append(edited, quoted...)
	return append(edited, body[m.end:]...), nil
}

// WithoutMember returns body without the top-level member name, and body itself where
// it has none. It is for members that are meant for Forebay and that a provider would
// refuse, such as LiteLLM's cache. The errors are those of ParseChat.
func WithoutMember(body []byte, name string) ([]byte, error) {
	m, err := findMember(body, name)
	if err != nil {
		return nil, err
	}
	if m.name == m.end {
		return body, nil
	}
	from, to := m.name, m.end
	rest := cursor{b: body, i: m.end}
	if rest.peek() == ',' { // the comma behind it goes too, or else the one before it
		to = rest.i + 1
	} else if m.comma > 0 {
		from = m.comma
	}
	edited := make([]byte, 0, len(body)-(to-from))
	return append(append(edited, body[:from]...), body[to:]...), nil
}

// place says where a member stands in a body: its name's quote, its value, the end
// of that, and the comma before it (0 for the first member). All zero: nowhere.
type place struct{ comma, name, value, end int }

// findMember finds a top-level member. Two of the same name are an error: which of
// them is meant would depend on the reader.
func findMember(body []byte, name string) (place, error) {
	c := cursor{b: body, max: MaxDepth}
	var found place
	comma, twice := 0, false
	for ok := c.open('{'); ok; {
		c.peek()
		m := place{comma: comma, name: c.i}
		match := string(c.name()) == name
		c.peek()
		m.value = c.i
		c.skip()
		m.end = c.i
		if match {
			twice = found.end > 0
			found = m
		}
		c.peek()
		comma = c.i
		if ok = c.more('}'); twice {
			break
		}
	}
	if twice || !c.whole() {
		if c.deep {
			return place{}, depthError(body, max(tooDeep(body), 0))
		}
		return place{}, explain(body)
	}
	return found, nil
}
