package bedrock

import "github.com/forebay-ai/forebay/dialect/internal/scan"

// rest reads the members that only some models' bodies have. It is long on purpose: it is
// the list of those members.
func (f *findings) rest(c *scan.Cursor, name string) {
	switch name {
	case "amazon-bedrock-invocationMetrics":
		f.readMetrics(c)
	case "amazon-bedrock-guardrailAction":
		f.filtered = isIntervened(c.Chars()) || f.filtered
	case "outputText":
		f.form, f.answer = titanForm, true
		f.say(c)
	case "completionReason":
		f.form = titanForm
		f.stop(c.Chars())
	case "totalOutputTextTokenCount":
		f.form = titanForm
		f.counted = isNumber(c.Peek())
		f.usage.Output = max(c.Count(), f.usage.Output)
	case "tokenCount", "generation_token_count":
		f.usage.Output = max(c.Count(), f.usage.Output)
	case "inputTextTokenCount", "prompt_token_count":
		f.usage.Input = max(c.Count(), f.usage.Input)
	case "results": // Titan's whole answers
		f.form, f.answer = titanForm, true
		f.first(c)
	case "outputs", "generations", "choices": // Mistral's, Cohere's, OpenAI's and those who copied it
		f.answer = true
		f.first(c)
	case "finish_reason", "finishReason":
		if c.Peek() == '{' { // AI21's
			c.Skip()
			return
		}
		f.stop(c.Chars())
	case "generation", "completion", "text": // Llama's, Claude 2's, Cohere's
		f.answer = true
		f.say(c)
	case "embedding", "embeddings", "embeddingsByType", "data", "images", "completions":
		f.answer = true
		f.useful = c.Filled() || f.useful
	default:
		c.Skip()
	}
}

// first reads a list of answers, of which only the first one's text is given.
func (f *findings) first(c *scan.Cursor) {
	if c.Peek() != '[' {
		c.Skip()
		return
	}
	texts := f.texts
	for ok := c.Open('['); ok; ok = c.More(']') {
		if c.Peek() == '{' {
			f.choice(c)
		} else {
			c.Skip()
		}
		f.texts = false
	}
	f.texts = texts
}

// choice reads one of a list of answers.
func (f *findings) choice(c *scan.Cursor) {
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch name := string(c.Name()); name {
		case "stop_reason":
			f.stop(c.Chars())
		case "delta", "message":
			f.choiceMessage(c)
		default:
			f.rest(c, name)
		}
	}
}

// choiceMessage reads a message as OpenAI has it.
func (f *findings) choiceMessage(c *scan.Cursor) {
	if c.Peek() != '{' {
		c.Skip()
		return
	}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "content":
			if c.Peek() == '"' {
				f.say(c)
			} else {
				f.blocks(c)
			}
		case "tool_calls":
			if filled(c) {
				f.tool, f.useful = true, true
			}
		case "role":
			c.Skip()
		default:
			f.useful = filled(c) || f.useful
		}
	}
}

func isNumber(ch byte) bool { return ch == '-' || '0' <= ch && ch <= '9' }

// readUsage reads a report of tokens: Converse's and Nova's, Anthropic's, or OpenAI's,
// whose prompt_tokens alone include what came from the cache. In a stream a later report
// counts for more; what it does not name stays.
func (f *findings) readUsage(c *scan.Cursor) {
	if c.Peek() != '{' {
		c.Skip()
		return
	}
	var cached int64
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "inputTokens", "input_tokens", "prompt_tokens":
			f.usage.Input = max(c.Count(), f.usage.Input)
		case "outputTokens", "output_tokens", "completion_tokens":
			f.usage.Output = max(c.Count(), f.usage.Output)
		case "cacheReadInputTokens", "cacheReadInputTokenCount", "cache_read_input_tokens":
			f.usage.CacheRead = max(c.Count(), f.usage.CacheRead)
		case "cacheWriteInputTokens", "cacheWriteInputTokenCount", "cache_creation_input_tokens":
			f.usage.CacheWrite = max(c.Count(), f.usage.CacheWrite)
		case "prompt_tokens_details":
			cached = f.cachedTokens(c)
		default:
			c.Skip()
		}
	}
	if cached = min(cached, f.usage.Input); cached > 0 {
		f.usage.Input, f.usage.CacheRead = f.usage.Input-cached, cached
	}
}

func (f *findings) cachedTokens(c *scan.Cursor) (n int64) {
	if c.Peek() != '{' {
		c.Skip()
		return 0
	}
	for ok := c.Open('{'); ok; ok = c.More('}') {
		if string(c.Name()) == "cached_tokens" {
			n = c.Count()
		} else {
			c.Skip()
		}
	}
	return n
}

// readMetrics reads what Bedrock counted.
func (f *findings) readMetrics(c *scan.Cursor) {
	if c.Peek() != '{' {
		c.Skip()
		return
	}
	f.metered = true
	for ok := c.Open('{'); ok; ok = c.More('}') {
		switch string(c.Name()) {
		case "inputTokenCount":
			f.metrics.Input = c.Count()
		case "outputTokenCount":
			f.metrics.Output = c.Count()
		case "cacheReadInputTokenCount":
			f.metrics.CacheRead = c.Count()
		case "cacheWriteInputTokenCount":
			f.metrics.CacheWrite = c.Count()
		default:
			c.Skip()
		}
	}
}
