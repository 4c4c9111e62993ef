package openai

import "github.com/go-json-experiment/json/jsontext"

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
	c := cursor{b: object, max: maxAnswerDepth}
	if c.peek() != '{' {
		return dst
	}
	for ok := c.open('{'); ok; ok = c.more('}') {
		if string(c.name()) != "choices" || c.peek() != '[' {
			c.skip()
			continue
		}
		for ok := c.open('['); ok; ok = c.more(']') {
			if c.peek() != '{' {
				c.skip()
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
func choiceContent(c *cursor) (content []byte, first bool) {
	first = true
	for ok := c.open('{'); ok; ok = c.more('}') {
		name := string(c.name())
		switch {
		case name == "index":
			first = string(c.value()) == "0"
		case (name == "delta" || name == "message") && c.peek() == '{':
			for ok := c.open('{'); ok; ok = c.more('}') {
				if string(c.name()) == "content" {
					content = c.value()
				} else {
					c.skip()
				}
			}
		case name == "text":
			content = c.value()
		default:
			c.skip()
		}
	}
	return content, first
}

// appendContent appends the text of a content member: a string, or an array of
// parts of which those of type text count.
func appendContent(dst, content []byte) []byte {
	c := cursor{b: content, max: maxAnswerDepth}
	switch c.peek() {
	case '"':
		// Checked before; invalid UTF-8 is replaced.
		dst, _ = jsontext.AppendUnquote(dst, content)
	case '[':
		for ok := c.open('['); ok; ok = c.more(']') {
			if c.peek() != '{' {
				c.skip()
				continue
			}
			for ok := c.open('{'); ok; ok = c.more('}') {
				isText := string(c.name()) == "text"
				if value := c.value(); isText && len(value) > 0 && value[0] == '"' {
					dst, _ = jsontext.AppendUnquote(dst, value)
				}
			}
		}
	}
	return dst
}
