package openai

import (
	"bytes"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// maxAnswerDepth bounds the nesting of what providers send. Answers are about 8
// deep; the bound keeps the stack small whatever comes.
const maxAnswerDepth = 256

// findings is what skim reads out of one JSON object that a provider sent: a
// stream's event or a whole answer. Slices point into the object, or into an opening.
type findings struct {
	model    []byte // inner text of the string
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
func skim(b []byte, f *findings, ends *endings) bool {
	return (*opening)(nil).skim(b, f, ends)
}

// skim reads one event of a stream. What it says of how the answer ends is added to
// ends, which may be nil where nobody asks.
func (o *opening) skim(b []byte, f *findings, ends *endings) bool {
	c := scan.Cursor{Text: b, Max: maxAnswerDepth}
	var ok bool
	if o != nil && len(o.bytes) > 0 && bytes.HasPrefix(b, o.bytes) {
		*f = o.found
		c.At, c.Depth, ok = len(o.bytes), 1, true
	} else {
		*f = findings{choices: -1}
		ok = c.Peek() == '{' && c.Open('{')
		if !ok {
			return c.Depth == 0 && c.At > 0 && c.Whole() // {} is an object
		}
	}
	for first := true; ok; ok, first = c.More('}'), false {
		c.Peek()
		start := c.At
		if name := c.Name(); string(name) == "choices" {
			if o != nil && !first && f.choices < 0 {
				o.keep(b[:start], f)
			}
			f.readChoices(&c, ends)
		} else {
			f.readMember(&c, name)
		}
	}
	return c.Whole()
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
func (f *findings) readMember(c *scan.Cursor, name []byte) {
	switch string(name) {
	case "model":
		if c.Peek() == '"' {
			f.model, _ = c.Quoted()
		} else {
			c.Skip()
		}
	case "usage":
		f.readUsage(c)
	case "error":
		if !c.Null() {
			f.failed = true
			c.Skip()
		}
	case "object": // vLLM and SGLang mark errors with it
		if string(c.Value()) == `"error"` {
			f.failed = true
		}
	case "data": // the vectors of an embeddings answer
		f.vectors = c.Peek() == '['
		if c.Filled() {
			f.useful = true
		}
	default:
		c.Skip()
	}
}

func (f *findings) readChoices(c *scan.Cursor, ends *endings) {
	if c.Peek() != '[' {
		c.Skip()
		return
	}
	f.choices = 0
	for ok := c.Open('['); ok; ok = c.More(']') {
		// A choice without an index is the one at its place.
		end := ending{index: int64(f.choices)}
		f.choices++
		if c.Peek() == '{' {
			f.readChoice(c, &end)
		} else {
			c.Skip()
		}
		ends.add(end)
	}
}

func (f *findings) readChoice(c *scan.Cursor, end *ending) {
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "index":
			if ch := c.Peek(); ch == '-' || '0' <= ch && ch <= '9' {
				end.index = scan.Integer(c.Number())
			} else {
				c.Skip()
			}
		case "delta", "message":
			if brings(c, end) {
				f.useful = true
			}
		case "text": // the legacy completions endpoint
			if c.Filled() {
				f.useful = true
			}
		case "finish_reason":
			if word := c.Chars(); len(word) > 0 {
				end.finished = true
				end.learn(finishReason(word))
			}
		default:
			c.Skip()
		}
	}
}

// brings passes a delta or message and reports whether it has something to read:
// any member but the role that is a string, array or object with something in it.
// That covers content, tool_calls, refusal, reasoning_content, audio and what
// other providers call the like.
func brings(c *scan.Cursor, end *ending) bool {
	if c.Peek() != '{' {
		c.Skip()
		return false
	}
	useful := false
	for ok := c.Open('{'); ok; ok = c.More('}') {
		name := c.Name()
		if string(name) == "role" {
			c.Skip()
			continue
		}
		if !c.Filled() {
			continue
		}
		useful = true
		switch string(name) {
		case "tool_calls", "function_call":
			end.learn(llm.FinishToolCalls)
		case "refusal":
			end.learn(llm.FinishRefusal)
		}
	}
	return useful
}

// readUsage reads a usage object. Its prompt_tokens include the cached ones;
// llm.Usage keeps them apart.
func (f *findings) readUsage(c *scan.Cursor) {
	if c.Peek() != '{' {
		c.Skip()
		return
	}
	var prompt, output, read, written int64
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "prompt_tokens":
			prompt = c.Count()
		case "completion_tokens":
			output = c.Count()
		case "prompt_tokens_details":
			read, written = cachedTokens(c)
		default:
			c.Skip()
		}
	}
	read = min(read, prompt)
	written = min(written, prompt-read)
	f.usage = llm.Usage{Input: prompt - read - written, CacheRead: read, CacheWrite: written, Output: output}
	f.hasUsage = true
}

// cachedTokens reads prompt_tokens_details. cache_creation_tokens is the word of other
// gateways (LiteLLM), and of this one, for models that bill what they write to a cache.
func cachedTokens(c *scan.Cursor) (read, written int64) {
	if c.Peek() != '{' {
		c.Skip()
		return 0, 0
	}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "cached_tokens":
			read = c.Count()
		case "cache_creation_tokens":
			written = c.Count()
		default:
			c.Skip()
		}
	}
	return read, written
}
