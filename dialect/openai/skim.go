package openai

import (
	"bytes"

	"github.com/forebay-ai/forebay/llm"
)

// maxAnswerDepth bounds the nesting of what providers send. Answers are about 8
// deep; the bound keeps the stack small whatever comes.
const maxAnswerDepth = 256

// findings is what skim reads out of one JSON object that a provider sent: a
// stream's event or a whole answer. Slices point into the object, or into an opening.
type findings struct {
	model    []byte // inner text of the string
	finish   []byte // of the first choice
	usage    llm.Usage
	hasUsage bool
	choices  int  // number of choices; -1 where there is no array of them
	vectors  bool // data is an array
	useful   bool
	failed   bool // says that something went wrong, in place of an answer
}

// opening is what the last event of a stream said before its choices: id, object,
// time, model. The next event nearly always begins with the same bytes, and is read
// from where they end.
type opening struct {
	bytes []byte // from the brace to the name of choices, exclusive
	model []byte
	found findings
}

// maxOpening bounds the bytes kept for comparison; real openings have about 200.
const maxOpening = 1 << 10

// skim reads one whole answer, or one event outside of a stream. It reports false for
// what is not a JSON object. It allocates nothing.
func skim(b []byte, f *findings) bool {
	return (*opening)(nil).skim(b, f)
}

// skim reads one event of a stream.
func (o *opening) skim(b []byte, f *findings) bool {
	c := cursor{b: b, max: maxAnswerDepth}
	var ok bool
	if o != nil && len(o.bytes) > 0 && bytes.HasPrefix(b, o.bytes) {
		*f = o.found
		c.i, c.depth, ok = len(o.bytes), 1, true
	} else {
		*f = findings{choices: -1}
		ok = c.peek() == '{' && c.open('{')
		if !ok {
			return c.depth == 0 && c.i > 0 && c.whole() // {} is an object
		}
	}
	for first := true; ok; ok, first = c.more('}'), false {
		c.peek()
		start := c.i
		if name := c.name(); string(name) == "choices" {
			if o != nil && !first && f.choices < 0 {
				o.keep(b[:start], f)
			}
			f.readChoices(&c)
		} else {
			f.readMember(&c, name)
		}
	}
	return c.whole()
}

func (o *opening) keep(opening []byte, f *findings) {
	if len(opening) > maxOpening || bytes.Equal(opening, o.bytes) {
		return
	}
	o.bytes = append(o.bytes[:0], opening...)
	o.model = append(o.model[:0], f.model...)
	o.found = *f
	o.found.model = o.model
}

// readMember reads a member of the object other than its choices.
func (f *findings) readMember(c *cursor, name []byte) {
	switch string(name) {
	case "model":
		if c.peek() == '"' {
			f.model, _ = c.str()
		} else {
			c.skip()
		}
	case "usage":
		f.readUsage(c)
	case "error":
		if !c.null() {
			f.failed = true
			c.skip()
		}
	case "object": // vLLM and SGLang mark errors with it
		if string(c.value()) == `"error"` {
			f.failed = true
		}
	case "data": // the vectors of an embeddings answer
		f.vectors = c.peek() == '['
		if filled(c) {
			f.useful = true
		}
	default:
		c.skip()
	}
}

func (f *findings) readChoices(c *cursor) {
	if c.peek() != '[' {
		c.skip()
		return
	}
	f.choices = 0
	for ok := c.open('['); ok; ok = c.more(']') {
		f.choices++
		if c.peek() == '{' {
			f.readChoice(c)
		} else {
			c.skip()
		}
	}
}

func (f *findings) readChoice(c *cursor) {
	var finish []byte
	first := true // a choice without an index is the only one
	for ok := c.open('{'); ok; ok = c.more('}') {
		switch string(c.name()) {
		case "index":
			first = string(c.value()) == "0"
		case "delta", "message":
			if brings(c) {
				f.useful = true
			}
		case "text": // the legacy completions endpoint
			if filled(c) {
				f.useful = true
			}
		case "finish_reason":
			if c.peek() == '"' {
				finish, _ = c.str()
			} else {
				c.skip()
			}
		default:
			c.skip()
		}
	}
	if first && len(finish) > 0 {
		f.finish = finish
	}
}

// brings passes a delta or message and reports whether it has something to read:
// any member but the role that is a string, array or object with something in it.
// That covers content, tool_calls, refusal, reasoning_content, audio and what
// other providers call the like.
func brings(c *cursor) bool {
	if c.peek() != '{' {
		c.skip()
		return false
	}
	useful := false
	for ok := c.open('{'); ok; ok = c.more('}') {
		if string(c.name()) == "role" {
			c.skip()
		} else if filled(c) {
			useful = true
		}
	}
	return useful
}

// filled passes a value and reports whether it is a string, array or object with
// something in it.
func filled(c *cursor) bool {
	switch c.peek() {
	case '"':
		inner, _ := c.str()
		return len(inner) > 0
	case '{', '[':
		start := c.i
		c.skip()
		if c.bad {
			return false
		}
		inside := cursor{b: c.b[start+1 : c.i-1]}
		return inside.peek() != 0
	}
	c.skip()
	return false
}

// readUsage reads a usage object. Its prompt_tokens include the cached ones;
// llm.Usage keeps them apart.
func (f *findings) readUsage(c *cursor) {
	if c.peek() != '{' {
		c.skip()
		return
	}
	var prompt, output, cached int64
	for ok := c.open('{'); ok; ok = c.more('}') {
		switch string(c.name()) {
		case "prompt_tokens":
			prompt = tokens(c)
		case "completion_tokens":
			output = tokens(c)
		case "prompt_tokens_details":
			cached = cachedTokens(c)
		default:
			c.skip()
		}
	}
	cached = min(cached, prompt)
	f.usage = llm.Usage{Input: prompt - cached, CacheRead: cached, Output: output}
	f.hasUsage = true
}

func cachedTokens(c *cursor) (n int64) {
	if c.peek() != '{' {
		c.skip()
		return 0
	}
	for ok := c.open('{'); ok; ok = c.more('}') {
		if string(c.name()) == "cached_tokens" {
			n = tokens(c)
		} else {
			c.skip()
		}
	}
	return n
}

// tokens reads a count; null and everything else that is no positive number is 0.
func tokens(c *cursor) int64 {
	if ch := c.peek(); ch < '0' || ch > '9' {
		c.skip()
		return 0
	}
	text := c.number()
	if len(text) > 15 || !digitsOnly(text) {
		return integer(text)
	}
	var n int64
	for _, d := range text {
		n = n*10 + int64(d-'0')
	}
	return n
}

func digitsOnly(text []byte) bool {
	for _, d := range text {
		if d < '0' || d > '9' {
			return false
		}
	}
	return true
}

// finishReason turns the wire's word into the reason. Known ones cost no allocation.
func finishReason(inner []byte) llm.FinishReason {
	switch string(inner) {
	case "":
		return llm.FinishNone
	case "stop":
		return llm.FinishStop
	case "length":
		return llm.FinishLength
	case "tool_calls":
		return llm.FinishToolCalls
	case "content_filter":
		return llm.FinishFilter
	}
	return llm.FinishReason(unescape(inner))
}
