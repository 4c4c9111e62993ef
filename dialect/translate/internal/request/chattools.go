package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"slices"
)

// choice is what a caller says about the use of tools.
type choice struct {
	none    bool
	json    string          // the value of toolChoice; empty for Bedrock's default
	allowed map[string]bool // by name; nil for all
	at      jsonbody.Value
}

// toolConfig writes toolConfig.
func (c *ChatCall) toolConfig() {
	list, chosen := c.top.tools, c.choice(c.top.toolChoice)
	if list.Empty() {
		if c.top.functions.Given() {
			list, chosen, c.Legacy = c.top.functions, c.choice(c.top.functionCall), true
		}
	} else if c.top.functions.Given() {
		c.Drop(c.top.functions)
	}
	if c.Err != nil {
		return
	}
	dst := []byte{'['}
	if c.Want(list, '[') {
		for v := range list.Elements {
			dst = c.tool(dst, v, chosen.allowed)
		}
	}
	if len(c.called) == 0 && (chosen.none || len(dst) == 1) {
		if chosen.json != "" {
			c.Drop(chosen.at) // there is nothing to choose from
		}
		return
	}
	if chosen.none {
		c.Drop(chosen.at)
	}
	if len(dst) == 1 { // Bedrock refuses earlier calls of tools that it was not told of
		dst, chosen.json = c.calledTools(dst), ""
	}
	c.Out = append(append(append(jsonbody.Key(c.Out, "toolConfig"), `{"tools":`...), dst...), ']')
	if chosen.json != "" {
		c.Out = append(append(c.Out, `,"toolChoice":`...), chosen.json...)
	}
	c.Out = append(c.Out, '}')
}

// calledTools describes the tools of earlier turns by their names.
func (c *ChatCall) calledTools(dst []byte) []byte {
	names := slices.Clone(c.called)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		dst = append(append(jsonbody.Comma(dst), `{"toolSpec":{"name":`...), name...)
		dst = append(dst, `,"inputSchema":{"json":{"type":"object"}}}}`...)
	}
	return dst
}

// tool writes one tool. Functions stand for themselves; tools have one in them.
func (c *ChatCall) tool(dst []byte, v jsonbody.Value, allowed map[string]bool) []byte {
	if v.Kind() != '{' {
		c.Mistyped(v, "an object")
		return dst
	}
	var f function
	if c.Legacy {
		c.readFunction(&f, v)
	} else {
		for m := range v.Members {
			switch m.Name {
			case "function":
				c.readFunction(&f, m)
			case "cache_control":
				f.cached = m
			default:
				c.Other(m)
			}
		}
	}
	if c.Err == nil && f.name.Kind() != '"' {
		c.Refuse(v, "is no function with a name", "Send tools of type function.")
	}
	if c.Err != nil || allowed != nil && !allowed[f.name.String()] {
		return dst
	}
	dst = append(append(jsonbody.Comma(dst), `{"toolSpec":{"name":`...), f.name.Text...)
	if c.Want(f.description, '"') && !f.description.Blank() {
		dst = append(jsonbody.Key(dst, "description"), f.description.Text...)
	}
	schema := []byte(`{"type":"object"}`)
	if c.Want(f.parameters, '{') && !f.parameters.Empty() {
		schema = f.parameters.Text
	}
	dst = append(append(append(jsonbody.Key(dst, "inputSchema"), `{"json":`...), schema...), '}')
	if f.strict.Is("true") {
		dst = append(jsonbody.Key(dst, "strict"), "true"...)
	}
	return c.toolCachePoint(append(dst, "}}"...), f.cached)
}

// function is a function that the model may call.
type function struct {
	name, description, parameters, strict, cached jsonbody.Value
}

func (c *ChatCall) readFunction(f *function, v jsonbody.Value) {
	for m := range v.Members {
		switch m.Name {
		case "name":
			f.name = m
		case "description":
			f.description = m
		case "parameters":
			f.parameters = m
		case "strict":
			f.strict = m
		case "cache_control":
			f.cached = m
		default:
			c.Other(m)
		}
	}
}

func (c *ChatCall) toolCachePoint(dst []byte, hint jsonbody.Value) []byte {
	if hint.Empty() {
		return dst
	}
	if c.cachePoints >= maxCachePoints {
		c.Drop(hint)
		return dst
	}
	c.cachePoints++
	return append(append(dst, ','), cachePoint(hint)...)
}

// choice reads tool_choice or function_call.
func (c *ChatCall) choice(v jsonbody.Value) choice {
	chosen := choice{at: v}
	switch {
	case !v.Given():
	case v.Kind() == '"':
		switch v.String() {
		case "auto":
		case "none":
			chosen.none = true
		case "required", "any":
			chosen.json = `{"any":{}}`
		default:
			c.Refuse(v, "is not known", "Use auto, none, required or the name of a function.")
		}
	case v.Kind() == '{':
		c.namedChoice(v, &chosen)
	default:
		c.Mistyped(v, "a string or an object")
	}
	return chosen
}

func (c *ChatCall) namedChoice(v jsonbody.Value, chosen *choice) {
	name := v.Get("name") // function_call
	switch v.Get("type").String() {
	case "function":
		name = v.Get("function").Get("name")
	case "allowed_tools":
		c.allowedTools(v.Get("allowed_tools"), chosen)
		return
	case "custom":
		c.Refuse(v, "names a tool of type custom, which takes free text; Bedrock's tools take JSON", "Use a tool of type function.")
		return
	}
	if name.Kind() != '"' {
		c.Refuse(v, "names no function", "Use auto, none, required or the name of a function.")
		return
	}
	chosen.json = `{"tool":{"name":` + string(name.Text) + `}}`
}

// allowedTools leaves those tools out that the caller does not allow.
func (c *ChatCall) allowedTools(v jsonbody.Value, chosen *choice) {
	chosen.allowed = map[string]bool{}
	for tool := range v.Get("tools").Elements {
		name := tool.Get("function").Get("name")
		if name.Kind() != '"' {
			name = tool.Get("name")
		}
		if name.Kind() != '"' {
			c.Refuse(tool, "names no function", "Allow tools of type function.")
			return
		}
		chosen.allowed[name.String()] = true
	}
	if v.Get("mode").String() == "required" {
		chosen.json = `{"any":{}}`
	}
}
