package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// system writes the system texts as one message.
func (c *ConverseCall) system(list jsonbody.Value) {
	if !c.Want(list, '[') {
		return
	}
	parts := []byte{'['}
	n := 0
	var only jsonbody.Value
	for v := range list.Elements {
		for m := range v.Members {
			if m.Name != "text" {
				c.content(m)
			} else if c.Want(m, '"') {
				parts = appendTextPart(parts, m.Text)
				n, only = n+1, m
			}
		}
	}
	switch {
	case n == 1:
		c.list = append(append(append(jsonbody.Comma(c.list), `{"role":"system","content":`...), only.Text...), '}')
	case n > 1:
		c.list = append(append(append(jsonbody.Comma(c.list), `{"role":"system","content":`...), parts...), "]}"...)
	}
}

func appendTextPart(dst, text []byte) []byte {
	dst = append(jsonbody.Comma(dst), `{"type":"text","text":`...)
	return append(append(dst, text...), '}')
}

func (c *ConverseCall) messages(list jsonbody.Value) {
	if !c.Want(list, '[') {
		if c.Err == nil {
			c.Err = jsonbody.Missing("messages")
		}
		return
	}
	before := len(c.list)
	for v := range list.Elements {
		if v.Kind() != '{' {
			c.Mistyped(v, "an object")
		}
		var role, content jsonbody.Value
		for m := range v.Members {
			switch m.Name {
			case "role":
				role = m
			case "content":
				content = m
			default:
				c.Other(m)
			}
		}
		c.turn(v, role, content)
		if c.Err != nil {
			return
		}
	}
	if len(c.list) == before {
		c.Refuse(list, "is empty, or says nothing that can be translated", "Send at least one message.")
	}
}

// turn writes one turn: the results of tools first, each a message of its own, then what
// else it says.
func (c *ConverseCall) turn(v, role, content jsonbody.Value) {
	word := role.String()
	switch word {
	case roleUser, roleAssistant, "system":
	default:
		if c.Err == nil && role.Given() {
			c.Refuse(role, "is a role that is not known", "Use user or assistant.")
		}
		c.Refuse(v, "has no role", "Use user or assistant.")
		return
	}
	t := turn{role: word, texts: 0}
	if c.Want(content, '[') {
		for block := range content.Elements {
			if block.Kind() != '{' {
				c.Mistyped(block, "an object")
			}
			for m := range block.Members {
				c.block(&t, m)
			}
		}
	}
	c.list = t.append(c.list)
}

// turn gathers what one turn becomes.
type turn struct {
	role  string
	parts []byte // parts of the content, each with a comma before it
	count int    // of parts
	texts int    // of parts that are texts
	only  []byte // the last text
	calls []byte // tool_calls, each with a comma before it
	tools []byte // messages of role tool, each with a comma before it
}

func (t *turn) text(text []byte) {
	t.parts = append(append(append(t.parts, `,{"type":"text","text":`...), text...), '}')
	t.count, t.texts, t.only = t.count+1, t.texts+1, text
}

func (t *turn) part(part []byte) {
	t.parts = append(append(t.parts, ','), part...)
	t.count++
}

func (t *turn) append(dst []byte) []byte {
	if len(t.tools) > 0 {
		dst = append(jsonbody.Comma(dst), t.tools[1:]...)
	}
	if t.count == 0 && len(t.calls) == 0 {
		return dst
	}
	dst = append(append(append(jsonbody.Comma(dst), `{"role":"`...), t.role...), `","content":`...)
	switch {
	case t.count == 0:
		dst = append(dst, "null"...)
	case t.count == 1 && t.texts == 1:
		dst = append(dst, t.only...)
	default:
		dst = append(append(append(dst, '['), t.parts[1:]...), ']')
	}
	if len(t.calls) > 0 {
		dst = append(append(append(jsonbody.Key(dst, "tool_calls"), '['), t.calls[1:]...), ']')
	}
	return append(dst, '}')
}

// block writes one member of a content block, which is nearly always its only one.
func (c *ConverseCall) block(t *turn, m jsonbody.Value) {
	switch {
	case m.Name == "text":
		if c.Want(m, '"') {
			t.text(m.Text)
		}
	case m.Name == "citationsContent":
		for part := range m.Members {
			if part.Name != "content" {
				c.Other(part)
			}
			for text := range part.Elements {
				if s := text.Get("text"); part.Name == "content" && c.Want(s, '"') {
					t.text(s.Text)
				}
			}
		}
	case m.Name == "toolUse" && t.role == roleAssistant:
		c.toolUse(t, m)
	case m.Name == "toolResult" && t.role == roleUser:
		c.toolResult(t, m)
	case t.role == roleUser:
		if !c.media(t, m) {
			c.content(m)
		}
	default:
		c.content(m)
	}
}

func (c *ConverseCall) toolUse(t *turn, v jsonbody.Value) {
	var id, name, input jsonbody.Value
	for m := range v.Members {
		switch m.Name {
		case "toolUseId":
			id = m
		case "name":
			name = m
		case "input":
			input = m
		default:
			c.Other(m)
		}
	}
	if id.Kind() != '"' || name.Kind() != '"' {
		c.Refuse(v, "has no toolUseId or no name", "Send both as they came in the answer.")
		return
	}
	t.calls = append(append(t.calls, `,{"id":`...), id.Text...)
	t.calls = append(append(t.calls, `,"type":"function","function":{"name":`...), name.Text...)
	t.calls = append(t.calls, `,"arguments":`...)
	if input.Given() {
		t.calls = scan.AppendString(t.calls, jsonbody.CompactJSON(input.Text))
	} else {
		t.calls = append(t.calls, `"{}"`...)
	}
	t.calls = append(t.calls, "}}"...)
}

// toolResult writes what a tool gave back as a message of its own. What is no text
// follows in the user's message.
func (c *ConverseCall) toolResult(t *turn, v jsonbody.Value) {
	var id, content jsonbody.Value
	for m := range v.Members {
		switch m.Name {
		case "toolUseId":
			id = m
		case "content":
			content = m
		default:
			c.Other(m)
		}
	}
	if id.Kind() != '"' {
		c.Refuse(v, "has no toolUseId", "Name the call that it answers.")
		return
	}
	said := c.resultTexts(t, content)
	t.tools = append(append(t.tools, `,{"role":"tool","tool_call_id":`...), id.Text...)
	t.tools = append(t.tools, `,"content":`...)
	switch said.count {
	case 0:
		t.tools = append(t.tools, `""`...)
	case 1:
		t.tools = append(t.tools, said.only...)
	default:
		t.tools = append(append(append(t.tools, '['), said.parts[1:]...), ']')
	}
	t.tools = append(t.tools, '}')
}

// resultTexts are the texts of a result. What else it has goes to the turn.
func (c *ConverseCall) resultTexts(t *turn, content jsonbody.Value) turn {
	said := turn{}
	for block := range content.Elements {
		for m := range block.Members {
			switch {
			case m.Name == "text":
				if c.Want(m, '"') {
					said.text(m.Text)
				}
			case m.Name == "json":
				said.text(scan.AppendString(nil, jsonbody.CompactJSON(m.Text)))
			case m.Name == "searchResult":
				c.searchResult(&said, m)
			case !c.media(t, m):
				c.content(m)
			}
		}
	}
	return said
}
