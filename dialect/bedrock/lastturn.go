package bedrock

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// LastTurn returns the text of the last message, whose role must be user, and the
// canonical form with an empty text in its place. The content has that text as its only
// part, cache points apart. ok is false for everything else that llm.TurnSplitter names:
// tools, an answer that must follow a schema, members of the last message other than role
// and content, and an empty text.
func (Converse) LastTurn(req *llm.Request) (said string, rest []byte, ok bool) {
	return splitTurn(req, ignoredConverse)
}

// LastTurn is Converse's for bodies of messages, Anthropic's and Nova's. A prompt that is
// one text has no turns.
func (Invoke) LastTurn(req *llm.Request) (said string, rest []byte, ok bool) {
	return splitTurn(req, ignoredInvoke)
}

func splitTurn(req *llm.Request, ignored map[string]string) (said string, rest []byte, ok bool) {
	if req.Endpoint != llm.Chat {
		return "", nil, false
	}
	form, err := appendCanonical(nil, req, false, ignored, nil)
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
	plain, found := true, false // plain: the answer is text
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "messages":
			t, found = lastMessage(&c)
		case "toolConfig", "tools", "tool_choice", "output_format", "response_format", "promptVariables":
			plain = !c.Filled() && plain
		case "outputConfig", "output_config":
			plain = freeFormat(&c) && plain
		default:
			c.Skip()
		}
	}
	return t, plain && found && c.Whole()
}

// freeFormat passes the configuration of the output and reports that it demands no form.
func freeFormat(c *scan.Cursor) bool {
	if c.Peek() != '{' {
		return c.Null()
	}
	free := true
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if name := string(c.Name()); name == "textFormat" || name == "format" {
			free = !c.Filled() && free
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
