package bedrock

import (
	"bytes"
	"encoding/base64"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// The forms of the models' own bodies, as their members tell them. The id of a model is
// no help where it is the ARN of an inference profile, so that answers speak for
// themselves.
type form uint8

const (
	otherForm form = iota
	converseForm
	anthropicForm
	novaForm
	titanForm
)

// findings is what is read out of the JSON that a provider sent: a stream's event or a
// whole answer, of whatever form. What several events say adds up.
type findings struct {
	form     form
	model    []byte // inner text of the string
	usage    llm.Usage
	metrics  llm.Usage // what Bedrock itself counted (amazon-bedrock-invocationMetrics)
	metered  bool      // there was such a count
	reason   llm.FinishReason
	stopped  bool // a reason for the end was given
	ended    bool // the answer's end mark was seen
	useful   bool
	tool     bool // the model wants a tool of the caller's to be called
	filtered bool // a guardrail has put another text in place of the model's
	counted  bool // Titan has told how long the whole text is
	answer   bool // there is a member that holds an answer
	failed   bool // says that something went wrong, in place of an answer

	texts   bool // text is wanted
	text    []byte
	decoded []byte // memory for a chunk's bytes
}

// finish is why the answer ended, as package openai's endings have it: calls count for
// more than the word that comes with them.
func (f *findings) finish() llm.FinishReason {
	switch {
	case f.filtered:
		return llm.FinishFilter
	case f.tool && (f.reason == llm.FinishStop || f.reason == llm.FinishLength):
		return llm.FinishToolCalls
	}
	return f.reason
}

// used is what the answer took, as the model reports it, or else as Bedrock counted.
func (f *findings) used() llm.Usage {
	if f.usage.IsZero() {
		return f.metrics
	}
	return f.usage
}

// event reads an event that is no exception. It reports false for what is no JSON object.
func (f *findings) event(e Event, invoke bool) bool {
	if invoke {
		if e.Type != "chunk" {
			return scan.Parse(e.Payload, maxAnswerDepth) != nil // one that nobody knows yet
		}
		inner, ok := f.chunkBytes(e.Payload)
		if !ok {
			return false
		}
		f.counted = false
		if !f.object(inner) {
			return false
		}
		f.chunkEnd()
		return true
	}
	f.form = converseForm
	c := scan.Cursor{Text: e.Payload, Max: maxAnswerDepth}
	f.named(&c, e.Type)
	return c.Whole()
}

// chunkEnd looks for the end mark of the model's own form.
func (f *findings) chunkEnd() {
	switch f.form {
	case titanForm:
		f.ended = f.stopped || f.metered || f.filtered && f.counted
	case otherForm:
		f.ended = f.metered // Bedrock adds it to the last chunk, whoever's model it is
	}
}

// chunkBytes decodes the bytes of a chunk's payload into memory that the next one reuses.
func (f *findings) chunkBytes(payload []byte) ([]byte, bool) {
	c := scan.Cursor{Text: payload, Max: maxAnswerDepth}
	if c.Peek() != '{' {
		return nil, false
	}
	var coded []byte
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if string(c.Name()) == "bytes" {
			coded = c.Chars()
		} else {
			c.Skip()
		}
	}
	if !c.Whole() {
		return nil, false
	}
	inner, err := base64.StdEncoding.AppendDecode(f.decoded[:0], coded)
	if err != nil {
		return nil, false
	}
	f.decoded = inner
	return inner, true
}

// object reads a chunk's JSON or a whole answer.
func (f *findings) object(b []byte) bool {
	c := scan.Cursor{Text: b, Max: maxAnswerDepth}
	if c.Peek() != '{' {
		return false
	}
	f.members(&c)
	return c.Whole()
}

// named reads the payload of one of Converse's events, which Nova's chunks hold too.
func (f *findings) named(c *scan.Cursor, event string) {
	if c.Peek() != '{' {
		c.Fail()
		return
	}
	f.members(c)
	switch event {
	case "messageStop":
		f.stopped = true
	case "metadata":
		f.ended = f.stopped
	}
}

// members reads the members of an object, whoever's it is: the forms' names do not
// contradict each other.
func (f *findings) members(c *scan.Cursor) {
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch name := c.Name(); string(name) {
		case "type":
			f.typed(c.Chars())
		case "delta", "start", "content_block":
			f.block(c)
		case "stopReason", "stop_reason":
			f.stop(c.Chars())
		case "usage":
			f.readUsage(c)
		case "model":
			if c.Peek() == '"' {
				f.model, _ = c.Quoted()
			} else {
				c.Skip()
			}
		case "output":
			f.answer = true
			f.output(c)
		case "content":
			f.answer = true
			f.blocks(c)
		case "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata":
			f.form = novaForm
			f.named(c, string(name))
		case "message":
			f.message(c)
		case "error", "__type":
			if !c.Null() {
				f.failed = true
				c.Skip()
			}
		default:
			f.rest(c, string(name))
		}
	}
}

// typed takes in the type of one of Anthropic's events.
func (f *findings) typed(word []byte) {
	switch string(word) {
	case "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "ping", "message":
		f.form = anthropicForm
	case "message_stop":
		f.form = anthropicForm
		f.ended = true
	case "error":
		f.failed = true
	}
}

// message reads the message that Anthropic's streams begin with; everybody else's is skipped.
func (f *findings) message(c *scan.Cursor) {
	if c.Peek() == '{' {
		f.members(c)
	} else {
		c.Skip()
	}
}

// output reads Converse's output, which is a message.
func (f *findings) output(c *scan.Cursor) {
	if c.Peek() != '{' {
		c.Skip()
		return
	}
	f.members(c)
}

// blocks reads the content of a message.
func (f *findings) blocks(c *scan.Cursor) {
	if c.Peek() != '[' {
		c.Skip()
		return
	}
	for ok := c.Open('['); ok; ok = c.More(']') {
		f.block(c)
	}
}

// block reads a block of a message, or a piece of one. Whatever is in it is something
// that a reader waits for; thoughts count as in package openai.
func (f *findings) block(c *scan.Cursor) {
	if c.Peek() != '{' {
		c.Skip()
		return
	}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "type":
			f.tool = string(c.Chars()) == "tool_use" || f.tool
		case "stop_reason":
			f.stop(c.Chars())
		case "role", "stop_sequence", "signature":
			c.Skip()
		case "text":
			f.say(c)
		case "citationsContent":
			f.cited(c)
		case "toolUse":
			f.toolUse(c)
		default:
			f.useful = filled(c) || f.useful
		}
	}
}

// cited reads a text with its sources.
func (f *findings) cited(c *scan.Cursor) {
	if c.Peek() != '{' {
		c.Skip()
		return
	}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if string(c.Name()) == "content" {
			f.blocks(c)
		} else {
			f.useful = filled(c) || f.useful
		}
	}
}

// toolUse reads a call, or a piece of one. One that the provider's own servers make is
// no affair of the caller's.
func (f *findings) toolUse(c *scan.Cursor) {
	if c.Peek() != '{' {
		c.Skip()
		return
	}
	mine := true
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if string(c.Name()) == "type" {
			mine = string(c.Chars()) != "server_tool_use"
		} else {
			f.useful = filled(c) || f.useful
		}
	}
	f.tool = f.tool || mine
}

// say passes a text.
func (f *findings) say(c *scan.Cursor) {
	if c.Peek() != '"' {
		f.useful = filled(c) || f.useful
		return
	}
	start := c.At
	inner, _ := c.Quoted()
	if len(inner) == 0 || c.Bad {
		return
	}
	f.useful = true
	if f.texts {
		f.text, _ = jsontext.AppendUnquote(f.text, c.Text[start:c.At])
	}
}

// filled passes a value and reports whether there is a text or a number in it somewhere.
func filled(c *scan.Cursor) (found bool) {
	switch c.Peek() {
	case '{':
		for ok := c.Open('{'); ok; ok = c.More('}') {
			name := string(c.Name())
			if name == "index" || name == "type" || name == "signature" {
				c.Skip()
			} else {
				found = filled(c) || found
			}
		}
	case '[':
		for ok := c.Open('['); ok; ok = c.More(']') {
			found = filled(c) || found
		}
	case '"':
		inner, _ := c.Quoted()
		found = len(inner) > 0
	default:
		text := c.Value()
		found = len(text) > 0 && text[0] != 'n' && text[0] != 'f'
	}
	return found
}

// stop takes in why the model stopped.
func (f *findings) stop(word []byte) {
	if len(word) == 0 {
		return
	}
	f.stopped = true
	f.reason = finishReason(word)
}

// finishReason turns the wire's word into the reason: Converse's and Anthropic's, and
// those of the older models' own bodies. Others keep their name.
func finishReason(word []byte) llm.FinishReason {
	switch string(word) {
	case "end_turn", "stop_sequence", "stop", "FINISH", "FINISHED", "COMPLETE", "STOP_SEQUENCE", "endoftext":
		return llm.FinishStop
	case "max_tokens", "model_context_window_exceeded", "length", "LENGTH", "MAX_TOKENS":
		return llm.FinishLength
	case "tool_use", "tool_calls":
		return llm.FinishToolCalls
	case "guardrail_intervened", "content_filtered", "content_filter", "CONTENT_FILTERED", "ERROR_TOXIC":
		return llm.FinishFilter
	case "refusal":
		return llm.FinishRefusal
	}
	return llm.FinishReason(word)
}

// isIntervened reads amazon-bedrock-guardrailAction.
func isIntervened(word []byte) bool { return bytes.Equal(word, []byte("INTERVENED")) }
