package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// Roles of Converse's turns.
const (
	roleUser      = "user"
	roleAssistant = "assistant"
)

// message is one message of a chat.
type message struct {
	jsonbody.Value                   // the whole message
	role, content, refusal           jsonbody.Value
	toolCalls, functionCall, thought jsonbody.Value
	callID, cached                   jsonbody.Value
}

// messages writes messages and system.
func (c *ChatCall) messages(list jsonbody.Value) {
	if !c.Want(list, '[') {
		if c.Err == nil {
			c.Err = jsonbody.Missing("messages")
		}
		return
	}
	for v := range list.Elements {
		if !c.Want(v, '{') {
			c.Mistyped(v, "an object")
		}
		if c.Err != nil {
			return
		}
		c.message(v)
	}
	c.turns.close()
	if len(c.turns.dst) == 0 && len(c.system) > 0 { // Bedrock wants a turn of the user
		c.turns.dst = append(c.turns.begin(roleUser), c.system[1:]...)
		c.turns.close()
		c.system = nil
	}
	if c.Err == nil && len(c.turns.dst) == 0 {
		c.Refuse(list, "has no message that says something", "Send at least one text.")
	}
	c.Out = append(append(append(jsonbody.Key(c.Out, "messages"), '['), c.turns.dst...), ']')
	if len(c.system) > 0 {
		c.Out = append(append(append(jsonbody.Key(c.Out, "system"), '['), c.system[1:]...), ']')
	}
}

func (c *ChatCall) message(v jsonbody.Value) {
	m := message{Value: v}
	for part := range v.Members {
		if place := m.place(part.Name); place != nil {
			*place = part
		} else if part.Name != "name" && part.Name != "reasoning_content" && part.Name != "reasoning" {
			c.Other(part)
		} else {
			c.droppedBeside(&m, part)
		}
	}
	switch role := m.role.String(); role {
	case "system", "developer":
		c.systemMessage(&m)
	case "user":
		c.content(m.content, roleUser)
	case "assistant":
		c.assistant(&m)
	case "tool", "function":
		c.toolMessage(&m, role == "function")
	default:
		if m.role.Given() {
			c.Refuse(m.role, "is a role that is not known", "Use system, developer, user, assistant or tool.")
		} else {
			c.Refuse(v, "has no role", "Use system, developer, user, assistant or tool.")
		}
	}
	c.cachePoint(m.cached, m.role.String())
}

func (m *message) place(name string) *jsonbody.Value {
	switch name {
	case "role":
		return &m.role
	case "content":
		return &m.content
	case "refusal":
		return &m.refusal
	case "tool_calls":
		return &m.toolCalls
	case "function_call":
		return &m.functionCall
	case "thinking_blocks":
		return &m.thought
	case "tool_call_id":
		return &m.callID
	case "cache_control":
		return &m.cached
	}
	return nil
}

// droppedBeside drops a member of which another one may say the same.
func (c *ChatCall) droppedBeside(m *message, part jsonbody.Value) {
	switch {
	case part.Name == "name":
		if role := m.Get("role").String(); role == "tool" || role == "function" {
			return // the call's id says which function it was
		}
	case m.Get("thinking_blocks").Given():
		return
	}
	c.Other(part)
}

// systemMessage adds to the system texts, which Converse has in front of all turns.
func (c *ChatCall) systemMessage(m *message) {
	switch {
	case m.content.Kind() == '"':
		c.systemText(m.content)
	case c.Want(m.content, '['):
		for v := range m.content.Elements {
			p := c.part(v)
			if p.kind.String() != "text" && c.Err == nil {
				c.Refuse(v, "is no text, and system messages take nothing else", "Send it in a message of role user.")
			}
			c.systemText(p.content)
			c.cachePoint(p.cached, "system")
		}
	}
}

func (c *ChatCall) systemText(text jsonbody.Value) {
	if c.Want(text, '"') && !text.Blank() {
		c.system = append(append(append(c.system, `,{"text":`...), text.Text...), '}')
	}
}

func (c *ChatCall) assistant(m *message) {
	c.pending = c.pending[:0]
	for block := range m.thought.Elements {
		c.thought(block)
	}
	c.content(m.content, roleAssistant)
	c.text(m.refusal, roleAssistant)
	if c.Want(m.toolCalls, '[') {
		for call := range m.toolCalls.Elements {
			c.toolCall(call)
		}
	}
	if c.Want(m.functionCall, '{') {
		c.function(m.functionCall, jsonbody.Value{})
	}
}

// thought writes back what a model reasoned, with the signature that Bedrock checks.
func (c *ChatCall) thought(block jsonbody.Value) {
	var signature, text, data jsonbody.Value
	for m := range block.Members {
		switch m.Name {
		case "signature":
			signature = m
		case "thinking":
			text = m
		case "data":
			data = m
		case "type":
		default:
			c.Other(m)
		}
	}
	switch {
	case data.Kind() == '"':
		dst := append(c.turns.begin(roleAssistant), `{"reasoningContent":{"redactedContent":`...)
		c.turns.dst = append(append(dst, data.Text...), "}}"...)
	case text.Kind() == '"' && signature.Kind() == '"' && len(signature.Inner()) > 0:
		dst := append(c.turns.begin(roleAssistant), `{"reasoningContent":{"reasoningText":{"text":`...)
		dst = append(append(append(dst, text.Text...), `,"signature":`...), signature.Text...)
		c.turns.dst = append(dst, "}}}"...)
	default:
		c.Drop(block) // Bedrock takes no reasoning that is not signed
	}
}

func (c *ChatCall) toolCall(v jsonbody.Value) {
	var id, function jsonbody.Value
	for m := range v.Members {
		switch m.Name {
		case "id":
			id = m
		case "function":
			function = m
		default:
			c.Other(m)
		}
	}
	if c.Err == nil && !c.Want(function, '{') {
		c.Refuse(v, "is no call of a function", "Send an id and a function with its name and arguments.")
	}
	c.function(function, id)
}

// function writes a call of a function as toolUse.
func (c *ChatCall) function(v, id jsonbody.Value) {
	var name, arguments jsonbody.Value
	for m := range v.Members {
		switch m.Name {
		case "name":
			name = m
		case "arguments":
			arguments = m
		default:
			c.Other(m)
		}
	}
	if c.Err != nil {
		return
	}
	if name.Kind() != '"' {
		c.Refuse(v, "has no name", "Name the function that was called.")
		return
	}
	input, ok := c.arguments(arguments)
	if !ok {
		return
	}
	called := id.String()
	if called == "" {
		called = "call_" + strconv.Itoa(v.At) // an offset is unique in the request, and the same the next time
		c.pending = append(c.pending, called)
	}
	c.called = append(c.called, string(name.Text))
	dst := append(c.turns.begin(roleAssistant), `{"toolUse":{"toolUseId":`...)
	dst = scan.AppendString(dst, callID(called))
	dst = append(append(append(dst, `,"name":`...), name.Text...), `,"input":`...)
	c.turns.dst = append(append(dst, input...), "}}"...)
}

// arguments reads the JSON object that is written in a string. No text, and null, mean
// no arguments.
func (c *ChatCall) arguments(v jsonbody.Value) (input []byte, ok bool) {
	if !c.Want(v, '"') {
		return []byte("{}"), c.Err == nil
	}
	text := []byte(v.String())
	if v.Blank() || string(text) == "null" {
		return []byte("{}"), true
	}
	cursor, fault := scan.Strict(text, jsonbody.MaxDepth-8) // it stands deeper in Converse's body
	if fault == nil {
		if object := cursor.Value(); !cursor.Bad {
			return object, true
		}
		fault = scan.Explain(text, jsonbody.MaxDepth-8)
	}
	c.Refuse(v, fault.Message+" of the string", "Send the arguments as a string that holds a JSON object.")
	return nil, false
}

// callID makes an id that Bedrock takes: it wants 1 to 64 letters, digits, _ and -. Other
// ids, which come from other providers, become their digest: the same every time.
func callID(id string) string {
	good := id != "" && len(id) <= 64
	for _, ch := range []byte(id) {
		good = good && ('a' <= ch && ch <= 'z' || 'A' <= ch && ch <= 'Z' || '0' <= ch && ch <= '9' || ch == '_' || ch == '-')
	}
	if good {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "call_" + hex.EncodeToString(sum[:16])
}

// toolMessage writes what a tool gave back. Converse has it in a user turn, together
// with the results of the other calls of the turn before.
func (c *ChatCall) toolMessage(m *message, legacy bool) {
	id := m.callID.String()
	if id == "" || legacy {
		if len(c.pending) == 0 {
			c.Refuse(m.Value, "answers no call: it has no tool_call_id", "Send the id of the call that it answers.")
			return
		}
		id, c.pending = c.pending[0], c.pending[1:]
	}
	dst := append(c.turns.begin(roleUser), `{"toolResult":{"toolUseId":`...)
	dst = append(scan.AppendString(dst, callID(id)), `,"content":[`...)
	c.turns.dst = dst
	var cached jsonbody.Value
	if m.content.Kind() == '"' {
		c.resultText(m.content)
	} else if c.Want(m.content, '[') {
		for v := range m.content.Elements {
			p := c.part(v)
			if kind := p.kind.String(); kind == "text" {
				c.resultText(p.content)
			} else if kind == "input_audio" {
				c.Refuse(v, "is a sound, and Bedrock's results of tools have none", "Send it in a message of role user.")
			} else if block, ok := c.media(p); ok {
				c.turns.dst = append(jsonbody.Comma(c.turns.dst), block...)
			}
			if !p.cached.Empty() {
				cached = p.cached
			}
		}
	}
	c.turns.dst = append(c.turns.dst, "]}}"...)
	c.cachePoint(cached, roleUser) // behind the result: it has no place for it
}

func (c *ChatCall) resultText(text jsonbody.Value) {
	if c.Want(text, '"') && !text.Blank() {
		c.turns.dst = append(append(append(jsonbody.Comma(c.turns.dst), `{"text":`...), text.Text...), '}')
	}
}
