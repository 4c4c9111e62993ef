package openai

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// wholeText returns the first choice's text in a whole answer.
func wholeText(body []byte) string {
	return string(appendText(nil, body))
}

// streamText returns the first choice's text in the events of raw.
func streamText(raw []byte) string {
	var text, joined []byte
	for len(raw) > 0 {
		var event []byte
		event, raw = cutEvent(raw)
		var data []byte
		data, joined, _ = eventData(event, joined)
		if len(data) > 0 && !isDone(data) {
			text = appendText(text, data)
		}
	}
	return string(text)
}

// appendText appends what one object, an event or a whole answer, says in its
// first choice.
func appendText(dst, object []byte) []byte {
	c := scan.Cursor{Text: object, Max: maxAnswerDepth}
	if c.Peek() != '{' {
		return dst
	}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if string(c.Name()) != "choices" || c.Peek() != '[' {
			c.Skip()
			continue
		}
		for ok := c.Open('['); ok; ok = c.More(']') {
			if c.Peek() != '{' {
				c.Skip()
				continue
			}
			if content, first := choiceContent(&c); first {
				dst = appendContent(dst, content)
			}
		}
	}
	return dst
}

// choiceContent passes a choice and returns its content's JSON.
func choiceContent(c *scan.Cursor) (content []byte, first bool) {
	first = true
	for ok := c.Open('{'); ok; ok = c.More('}') {
		name := string(c.Name())
		switch {
		case name == "index":
			first = string(c.Value()) == "0"
		case (name == "delta" || name == "message") && c.Peek() == '{':
			for ok := c.Open('{'); ok; ok = c.More('}') {
				if string(c.Name()) == "content" {
					content = c.Value()
				} else {
					c.Skip()
				}
			}
		case name == "text":
			content = c.Value()
		default:
			c.Skip()
		}
	}
	return content, first
}

// appendContent appends the text of a content member: a string, or an array of
// parts of which those of type text count.
func appendContent(dst, content []byte) []byte {
	c := scan.Cursor{Text: content, Max: maxAnswerDepth}
	switch c.Peek() {
	case '"':
		// Checked before; invalid UTF-8 is replaced.
		dst, _ = jsontext.AppendUnquote(dst, content)
	case '[':
		for ok := c.Open('['); ok; ok = c.More(']') {
			if c.Peek() != '{' {
				c.Skip()
				continue
			}
			for ok := c.Open('{'); ok; ok = c.More('}') {
				isText := string(c.Name()) == "text"
				if value := c.Value(); isText && len(value) > 0 && value[0] == '"' {
					dst, _ = jsontext.AppendUnquote(dst, value)
				}
			}
		}
	}
	return dst
}
