package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// ConverseCall is a call of Converse on its way to chat. Out is the body, unless Err is
// set.
type ConverseCall struct {
	jsonbody.Task
	Out  []byte
	list []byte // the messages
}

// ConverseToChat translates the body of a call of Converse. stream asks for a stream that
// reports its usage.
func ConverseToChat(body []byte, model string, stream bool) *ConverseCall {
	c := &ConverseCall{Task: jsonbody.Task{Body: body, Table: converseTable}}
	root := c.Root()
	c.Out = make([]byte, 0, len(body)+256)
	c.Out = scan.AppendString(append(c.Out, `{"model":`...), model)
	if stream {
		c.Out = append(c.Out, `,"stream":true,"stream_options":{"include_usage":true}`...)
	}
	var system, messages jsonbody.Value
	for m := range root.Members {
		switch m.Name {
		case "system":
			system = m
		case "messages":
			messages = m
		default:
			c.parameter(m)
		}
	}
	c.list = append(make([]byte, 0, len(body)), '[')
	c.system(system)
	c.messages(messages)
	c.Out = append(append(append(jsonbody.Key(c.Out, "messages"), c.list...), ']'), '}')
	return c
}

// parameter writes what a member other than the conversation says.
func (c *ConverseCall) parameter(m jsonbody.Value) {
	switch m.Name {
	case "inferenceConfig":
		c.inference(m)
	case "toolConfig":
		c.toolConfig(m)
	case "outputConfig":
		c.outputConfig(m)
	case "serviceTier":
		c.tier(m)
	case "additionalModelRequestFields":
		if m.Kind() != '{' {
			c.Other(m)
			return
		}
		for field := range m.Members {
			c.Drop(field)
		}
	default:
		c.Other(m)
	}
}

func (c *ConverseCall) inference(v jsonbody.Value) {
	if !c.Want(v, '{') {
		return
	}
	for m := range v.Members {
		switch m.Name {
		case "maxTokens":
			if c.Number(m) {
				c.Out = strconv.AppendInt(jsonbody.Key(c.Out, "max_completion_tokens"), scan.Integer(m.Text), 10)
			}
		case "temperature":
			if c.Number(m) {
				c.Out = append(jsonbody.Key(c.Out, "temperature"), m.Text...)
			}
		case "topP":
			if c.Number(m) {
				c.Out = append(jsonbody.Key(c.Out, "top_p"), m.Text...)
			}
		case "stopSequences":
			if c.Want(m, '[') && !m.Empty() {
				c.Out = append(jsonbody.Key(c.Out, "stop"), m.Text...)
			}
		default:
			c.Other(m)
		}
	}
}

func (c *ConverseCall) outputConfig(v jsonbody.Value) {
	if !c.Want(v, '{') {
		return
	}
	for m := range v.Members {
		switch m.Name {
		case "effort":
			if c.Want(m, '"') {
				word := m.String()
				if word == "max" { // OpenAI's word for the most
					word = "xhigh"
				}
				c.Out = scan.AppendString(jsonbody.Key(c.Out, "reasoning_effort"), word)
			}
		case "textFormat":
			if c.Want(m, '{') {
				c.format(m)
			}
		default:
			c.Other(m)
		}
	}
}

// format writes response_format. Bedrock has the schema as a string.
func (c *ConverseCall) format(v jsonbody.Value) {
	s := v.Get("structure").Get("jsonSchema")
	schema, name := s.Get("schema"), s.Get("name")
	text := []byte(schema.String())
	if cursor, fault := scan.Strict(text, jsonbody.MaxDepth-8); fault != nil || cursor.Value() == nil {
		c.Refuse(v, "has no schema that is a JSON object", "Send the schema in structure.jsonSchema.schema, as a string.")
		return
	}
	c.Out = append(jsonbody.Key(c.Out, "response_format"), `{"type":"json_schema","json_schema":{"name":`...)
	if c.Want(name, '"') && !name.Blank() {
		c.Out = append(c.Out, name.Text...)
	} else {
		c.Out = append(c.Out, `"answer"`...) // chat wants a name
	}
	if d := s.Get("description"); c.Want(d, '"') && !d.Blank() {
		c.Out = append(jsonbody.Key(c.Out, "description"), d.Text...)
	}
	c.Out = append(append(jsonbody.Key(c.Out, "schema"), text...), `,"strict":true}}`...)
}

func (c *ConverseCall) tier(v jsonbody.Value) {
	t := v.Get("type")
	switch t.String() {
	case "default", "flex", "priority":
		c.Out = append(jsonbody.Key(c.Out, "service_tier"), t.Text...)
	case "":
	default:
		c.Drop(t)
	}
}

func (c *ConverseCall) toolConfig(v jsonbody.Value) {
	if !c.Want(v, '{') {
		return
	}
	for m := range v.Members {
		switch m.Name {
		case "tools":
			c.tools(m)
		case "toolChoice":
			c.toolChoice(m)
		default:
			c.Other(m)
		}
	}
}

func (c *ConverseCall) tools(list jsonbody.Value) {
	if !c.Want(list, '[') {
		return
	}
	dst := []byte{'['}
	for tool := range list.Elements {
		if tool.Kind() != '{' {
			c.Mistyped(tool, "an object")
		}
		for m := range tool.Members {
			if m.Name == "toolSpec" && c.Want(m, '{') {
				dst = c.tool(dst, m)
			} else if m.Name == "cachePoint" {
				c.Drop(m)
			} else {
				c.content(m)
			}
		}
	}
	if len(dst) > 1 {
		c.Out = append(append(jsonbody.Key(c.Out, "tools"), dst...), ']')
	}
}

// content refuses a kind of content that is not known: it would be missed.
func (c *ConverseCall) content(v jsonbody.Value) {
	if row, known := c.Table[v.Pattern()]; known && row.Fate != jsonbody.Translated {
		if row.Fate == jsonbody.Dropped {
			c.Drop(v)
			return
		}
		c.Refuse(v, row.Reason(), row.Fix)
		return
	}
	c.Refuse(v, "is of a kind that cannot be translated", AskOfBedrock)
}

func (c *ConverseCall) tool(dst []byte, spec jsonbody.Value) []byte {
	var name, description, schema, strict jsonbody.Value
	for m := range spec.Members {
		switch m.Name {
		case "name":
			name = m
		case "description":
			description = m
		case "inputSchema":
			schema = m.Get("json")
		case "strict":
			strict = m
		default:
			c.Other(m)
		}
	}
	if name.Kind() != '"' {
		c.Refuse(spec, "has no name", "Name the tool.")
		return dst
	}
	dst = append(append(jsonbody.Comma(dst), `{"type":"function","function":{"name":`...), name.Text...)
	if c.Want(description, '"') {
		dst = append(jsonbody.Key(dst, "description"), description.Text...)
	}
	if c.Want(schema, '{') {
		dst = append(jsonbody.Key(dst, "parameters"), schema.Text...)
	}
	if strict.Is("true") {
		dst = append(jsonbody.Key(dst, "strict"), "true"...)
	}
	return append(dst, "}}"...)
}

func (c *ConverseCall) toolChoice(v jsonbody.Value) {
	if !c.Want(v, '{') {
		return
	}
	for m := range v.Members {
		switch m.Name {
		case "auto":
			c.Out = append(jsonbody.Key(c.Out, "tool_choice"), `"auto"`...)
		case "any":
			c.Out = append(jsonbody.Key(c.Out, "tool_choice"), `"required"`...)
		case "tool":
			name := m.Get("name")
			if name.Kind() != '"' {
				c.Refuse(m, "names no tool", "Name the tool.")
				return
			}
			c.Out = append(jsonbody.Key(c.Out, "tool_choice"), `{"type":"function","function":{"name":`...)
			c.Out = append(append(c.Out, name.Text...), "}}"...)
		default:
			c.content(m)
		}
	}
}
