package openai

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
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
	rest := scan.Cursor{Text: body, At: m.end}
	if rest.Peek() == ',' { // the comma behind it goes too, or else the one before it
		to = rest.At + 1
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
	c := scan.Cursor{Text: body, Max: MaxDepth}
	var found place
	comma, twice := 0, false
	for ok := c.Open('{'); ok; {
		c.Peek()
		m := place{comma: comma, name: c.At}
		match := string(c.Name()) == name
		c.Peek()
		m.value = c.At
		c.Skip()
		m.end = c.At
		if match {
			twice = found.end > 0
			found = m
		}
		c.Peek()
		comma = c.At
		if ok = c.More('}'); twice {
			break
		}
	}
	if twice || !c.Whole() {
		return place{}, edge.Explain(body)
	}
	return found, nil
}
