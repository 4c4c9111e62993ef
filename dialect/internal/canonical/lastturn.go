package canonical

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// LastTurn returns the text of a chat's last message, whose role must be user, and the
// canonical form with an empty text in its place. The content has that text as its only
// part, hidden ones apart. ok is false for everything else that llm.TurnSplitter names.
func (r *Rules) LastTurn(req *llm.Request) (said string, rest []byte, ok bool) {
	if req.Endpoint != llm.Chat {
		return "", nil, false
	}
	form, ok := r.Append(nil, req, false, nil)
	if !ok {
		return "", nil, false
	}
	t, ok := r.lastTurn(form)
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
func (r *Rules) lastTurn(form []byte) (t text, ok bool) {
	c := scan.Cursor{Text: form, Max: r.MaxDepth}
	plain, found := true, false
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if name := c.Name(); string(name) == "messages" {
			t, found = r.lastMessage(&c)
		} else {
			plain = r.Plain(name, &c) && plain
		}
	}
	return t, plain && found && c.Whole()
}

// lastMessage passes the conversation and returns the text of its last message.
func (r *Rules) lastMessage(c *scan.Cursor) (t text, ok bool) {
	if c.Peek() != '[' {
		c.Skip()
		return t, false
	}
	for more := c.Open('['); more; more = c.More(']') {
		t, ok = r.userText(c)
	}
	return t, ok
}

// userText passes a message and returns its text, if that is all that the user sent.
func (r *Rules) userText(c *scan.Cursor) (t text, ok bool) {
	if c.Peek() != '{' {
		c.Skip()
		return t, false
	}
	var few [2]text
	user, alone := false, true
	texts, parts := few[:0], 0
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch name := c.Name(); string(name) {
		case "role":
			user = string(c.Chars()) == "user"
		case "content":
			texts, parts = r.appendTexts(texts, c)
		default:
			alone = slices.Contains(r.Beside, string(name)) && alone
			c.Skip()
		}
	}
	if !user || !alone || len(texts) != 1 || parts != 1 {
		return t, false
	}
	return texts[0], true
}
