package openai

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

var (
	_ llm.Omitter      = Dialect{}
	_ llm.TurnSplitter = Dialect{}
)

// LastTurn returns the text of the last message, whose role must be user, and the
// canonical form with an empty text in its place. The content is that text or has it
// as its only part. ok is false for everything else that llm.TurnSplitter names: tools
// and functions, a response_format other than text and json_object, n other than 1,
// members of the last message other than role, content and name, and an empty text.
func (Dialect) LastTurn(req *llm.Request) (said string, rest []byte, ok bool) {
	if req.Endpoint != llm.Chat {
		return "", nil, false
	}
	form, err := appendCanonical(nil, req, false, nil)
	if err != nil {
		return "", nil, false
	}
	t, ok := lastTurn(form)
	if !ok {
		return "", nil, false
	}
	inner, err := jsontext.AppendUnquote(nil, form[t.start:t.end])
	if err != nil || len(inner) == 0 {
		return "", nil, false
	}
	return string(inner), append(form[:t.start+1], form[t.end-1:]...), true
}

// lastTurn finds the user's last text in a canonical form.
func lastTurn(form []byte) (t text, ok bool) {
	c := scan.Cursor{Text: form, Max: MaxDepth}
	plain, found := true, false // plain: the answer is text, and one
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "messages":
			t, found = lastMessage(&c)
		case "tools", "functions", "tool_choice", "function_call":
			plain = isOne(c.Value(), "null", "[]") && plain
		case "n":
			plain = isOne(c.Value(), "null", "1") && plain
		case "response_format":
			plain = freeFormat(&c) && plain
		default:
			c.Skip()
		}
	}
	return t, plain && found && c.Whole()
}

func isOne(value []byte, this, that string) bool {
	return string(value) == this || string(value) == that
}

// freeFormat passes a response_format and reports that it demands no schema.
func freeFormat(c *scan.Cursor) bool {
	if c.Peek() != '{' {
		return c.Null()
	}
	free := false
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if string(c.Name()) == "type" {
			free = isOne(readString(c), "text", "json_object")
		} else {
			c.Skip()
		}
	}
	return free
}

// lastMessage passes the conversation and returns the text of its last message.
func lastMessage(c *scan.Cursor) (t text, ok bool) {
	if c.Peek() != '[' {
		c.Skip()
		return t, false
	}
	for more := c.Open('['); more; more = c.More(']') {
		t, ok = userText(c)
	}
	return t, ok
}

// userText passes a message and returns its text, if that is all that the user sent.
func userText(c *scan.Cursor) (t text, ok bool) {
	if c.Peek() != '{' {
		c.Skip()
		return t, false
	}
	var few [2]text
	user, alone := false, true
	texts, parts := few[:0], 0
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "role":
			user = string(readString(c)) == "user"
		case "content":
			texts, parts = appendTexts(texts, c)
		case "name":
			c.Skip()
		default:
			c.Skip()
			alone = false
		}
	}
	if !user || !alone || len(texts) != 1 || parts != 1 {
		return t, false
	}
	return texts[0], true
}
