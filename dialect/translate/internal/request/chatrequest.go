package request

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
)

// maxCachePoints is how many places of a request Bedrock keeps in its prompt cache.
const maxCachePoints = 4

var (
	chatTable     = jsonbody.Index(ChatMembers)
	converseTable = jsonbody.Index(ConverseMembers)
)

// ChatCall is a chat completion on its way to Converse. Out is the body, unless Err is set.
type ChatCall struct {
	jsonbody.Task
	nova bool // the model is one of Amazon Nova
	Out  []byte

	IncludeUsage bool // the caller wants the usage chunk
	Legacy       bool // the caller speaks of functions, not of tools

	system      []byte // elements of system
	turns       turns
	cachePoints int
	pending     []string       // ids that were made for calls without one, and not answered yet
	called      []string       // names of the tools that were called in earlier turns
	documents   map[string]int // by name: the number that was given last for it

	top topMembers
}

// topMembers are the members that are translated after all were seen.
type topMembers struct {
	messages, tools, functions, toolChoice, functionCall jsonbody.Value
	maxCompletion, maxTokens, temperature, topP, stop    jsonbody.Value
	format, effort, thinking, topK, tier, metadata       jsonbody.Value
	guardrail, streamOptions                             jsonbody.Value
}

// ChatToConverse translates the body of a chat completion. nova says that the model is one
// of Amazon Nova, which has top_k in another place than others.
func ChatToConverse(body []byte, nova bool) *ChatCall {
	c := &ChatCall{Task: jsonbody.Task{Body: body, Table: chatTable}, nova: nova}
	root := c.Root()
	for m := range root.Members {
		if place := c.top.place(m.Name); place != nil {
			*place = m
		} else {
			c.Other(m)
		}
	}
	if c.Err != nil {
		return c
	}
	c.Out = make([]byte, 0, len(body)+256)
	c.Out = append(c.Out, '{')
	c.messages(c.top.messages)
	c.inference()
	c.toolConfig()
	c.outputConfig()
	c.rest()
	c.Out = append(c.Out, '}')
	return c
}

// place is where the member of that name is kept; nil for those that are not.
func (t *topMembers) place(name string) *jsonbody.Value {
	switch name {
	case "messages":
		return &t.messages
	case "tools":
		return &t.tools
	case "functions":
		return &t.functions
	case "tool_choice":
		return &t.toolChoice
	case "function_call":
		return &t.functionCall
	case "max_completion_tokens":
		return &t.maxCompletion
	case "max_tokens":
		return &t.maxTokens
	case "temperature":
		return &t.temperature
	case "top_p":
		return &t.topP
	case "stop":
		return &t.stop
	}
	return t.further(name)
}

func (t *topMembers) further(name string) *jsonbody.Value {
	switch name {
	case "response_format":
		return &t.format
	case "reasoning_effort":
		return &t.effort
	case "thinking":
		return &t.thinking
	case "top_k":
		return &t.topK
	case "service_tier":
		return &t.tier
	case "metadata":
		return &t.metadata
	case "guardrailConfig":
		return &t.guardrail
	case "stream_options":
		return &t.streamOptions
	}
	return nil
}

// inference writes inferenceConfig.
func (c *ChatCall) inference() {
	dst := []byte{'{'}
	bound := c.top.maxCompletion
	if !bound.Given() {
		bound = c.top.maxTokens
	}
	if c.Number(bound) {
		dst = strconv.AppendInt(jsonbody.Key(dst, "maxTokens"), scan.Integer(bound.Text), 10)
	}
	if t := c.top.temperature; c.Number(t) {
		if f, err := strconv.ParseFloat(string(t.Text), 64); err != nil || f > 1 {
			dst = append(jsonbody.Key(dst, "temperature"), '1')
			c.Drop(t)
		} else {
			dst = append(jsonbody.Key(dst, "temperature"), t.Text...)
		}
	}
	if p := c.top.topP; c.Number(p) {
		dst = append(jsonbody.Key(dst, "topP"), p.Text...)
	}
	if stops := c.stops(); len(stops) > 0 {
		dst = append(append(append(jsonbody.Key(dst, "stopSequences"), '['), stops...), ']')
	}
	if len(dst) > 1 {
		c.Out = append(append(jsonbody.Key(c.Out, "inferenceConfig"), dst...), '}')
	}
}

// stops are the stop sequences; Bedrock takes no empty ones.
func (c *ChatCall) stops() []byte {
	stop := c.top.stop
	dst := []byte{'['}
	switch {
	case !stop.Given():
	case stop.Kind() == '"':
		if len(stop.Inner()) > 0 {
			dst = append(jsonbody.Comma(dst), stop.Text...)
		}
	case stop.Kind() == '[':
		for s := range stop.Elements {
			if c.Want(s, '"') && len(s.Inner()) > 0 {
				dst = append(jsonbody.Comma(dst), s.Text...)
			}
		}
	default:
		c.Mistyped(stop, "a string or an array")
	}
	return dst[1:]
}

// outputConfig writes outputConfig: the schema of the answer, and how much thought goes
// into it.
func (c *ChatCall) outputConfig() {
	dst := []byte{'{'}
	if e := c.top.effort; c.Want(e, '"') {
		switch word := e.String(); word {
		case "none", "":
			c.Drop(e)
		case "minimal":
			dst = append(jsonbody.Key(dst, "effort"), `"low"`...)
		default:
			dst = append(jsonbody.Key(dst, "effort"), e.Text...)
		}
	}
	if f := c.top.format; c.Want(f, '{') {
		switch kind := f.Get("type"); kind.String() {
		case "text":
		case "json_schema":
			dst = c.schema(dst, f)
		case "json_object":
			c.Drop(f)
		default:
			c.Refuse(f, "is of a type that is not known", "Use text, json_object or json_schema.")
		}
	}
	if len(dst) > 1 {
		c.Out = append(append(jsonbody.Key(c.Out, "outputConfig"), dst...), '}')
	}
}

// schema writes textFormat. Bedrock wants the schema as a string.
func (c *ChatCall) schema(dst []byte, format jsonbody.Value) []byte {
	s := format.Get("json_schema")
	var schema, name, description jsonbody.Value
	for m := range s.Members {
		switch m.Name {
		case "schema":
			schema = m
		case "name":
			name = m
		case "description":
			description = m
		default:
			c.Other(m)
		}
	}
	if schema.Kind() != '{' {
		c.Refuse(format, "has no schema", "Send the schema in response_format.json_schema.schema.")
		return dst
	}
	dst = append(jsonbody.Key(dst, "textFormat"), `{"type":"json_schema","structure":{"jsonSchema":{"schema":`...)
	dst = scan.AppendString(dst, jsonbody.CompactJSON(schema.Text))
	if c.Want(name, '"') && !name.Blank() {
		dst = append(jsonbody.Key(dst, "name"), name.Text...)
	}
	if c.Want(description, '"') && !description.Blank() {
		dst = append(jsonbody.Key(dst, "description"), description.Text...)
	}
	return append(dst, "}}}"...)
}

// rest writes the members that stand by themselves.
func (c *ChatCall) rest() {
	if o := c.top.streamOptions; c.Want(o, '{') {
		for m := range o.Members {
			if m.Name == "include_usage" {
				c.IncludeUsage = m.Is("true")
			} else {
				c.Other(m)
			}
		}
	}
	c.tier()
	c.metadata()
	if g := c.top.guardrail; c.Want(g, '{') {
		c.Out = append(jsonbody.Key(c.Out, "guardrailConfig"), g.Text...)
	}
	extra := []byte{'{'}
	if t := c.top.thinking; c.Want(t, '{') {
		extra = append(jsonbody.Key(extra, "thinking"), t.Text...)
	}
	if k := c.top.topK; c.Number(k) {
		if c.nova {
			extra = append(append(append(jsonbody.Key(extra, "inferenceConfig"), `{"topK":`...), k.Text...), '}')
		} else {
			extra = append(jsonbody.Key(extra, "top_k"), k.Text...)
		}
	}
	if len(extra) > 1 {
		c.Out = append(append(jsonbody.Key(c.Out, "additionalModelRequestFields"), extra...), '}')
	}
}

func (c *ChatCall) tier() {
	t := c.top.tier
	if !c.Want(t, '"') {
		return
	}
	word := t.String()
	switch word {
	case "auto", "":
		return
	case "fast": // OpenAI calls priority so in requests
		word = "priority"
	case "default", "flex", "priority":
	default:
		c.Drop(t)
		return
	}
	c.Out = append(scan.AppendString(append(jsonbody.Key(c.Out, "serviceTier"), `{"type":`...), word), '}')
}

// metadata writes requestMetadata, which Bedrock puts into its logs. Pairs that it would
// refuse the whole request for are dropped.
func (c *ChatCall) metadata() {
	const most = 16 // Bedrock's bound; OpenAI's too
	m := c.top.metadata
	if !c.Want(m, '{') {
		return
	}
	dst := []byte{'{'}
	n := 0
	for pair := range m.Members {
		if pair.Kind() != '"' || n >= most || pair.Name == "" || !loggable(pair.Name) || !loggable(pair.String()) {
			c.Drop(pair)
			continue
		}
		n++
		dst = scan.AppendString(jsonbody.Comma(dst), pair.Name)
		dst = append(append(dst, ':'), pair.Text...)
	}
	if n > 0 {
		c.Out = append(append(jsonbody.Key(c.Out, "requestMetadata"), dst...), '}')
	}
}

// loggable says that Bedrock takes text in requestMetadata.
func loggable(text string) bool {
	if len(text) > 256 {
		return false
	}
	for _, ch := range []byte(text) {
		switch {
		case 'a' <= ch && ch <= 'z', 'A' <= ch && ch <= 'Z', '0' <= ch && ch <= '9':
		case ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r':
		case ch == ':' || ch == '_' || ch == '@' || ch == '$' || ch == '#' || ch == '=' || ch == '/' || ch == '+' || ch == ',' || ch == '-' || ch == '.':
		default:
			return false
		}
	}
	return true
}
