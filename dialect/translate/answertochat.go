package translate

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// answerHead is what a chat answer says about itself, which Converse answers do not.
type answerHead struct {
	id, model string
	created   int64 // Unix seconds
	legacy    bool  // the caller speaks of functions
}

// chatAnswer makes a whole chat answer of a whole Converse answer.
func chatAnswer(h answerHead, body []byte) (llm.Chunk, error) {
	root, err := answerRoot(body)
	if err != nil {
		return llm.Chunk{}, err
	}
	var message, stop, usage, tier jsonbody.Value
	for m := range root.Members {
		switch m.Name {
		case "output":
			message = m.Get("message")
		case "stopReason":
			stop = m
		case "usage":
			usage = m
		case "serviceTier":
			tier = m.Get("type")
		}
	}
	if message.Kind() != '{' {
		return llm.Chunk{}, llm.Errorf(llm.ProviderMalformed, "the provider's answer has no message")
	}
	said := converseSaid(message.Get("content"))
	finish := chatFinish(stop.String())
	used := converseUsage(usage)
	dst := make([]byte, 0, len(body)+256)
	dst = h.append(dst, "chat.completion")
	dst = said.append(append(dst, `[{"index":0,"message":{"role":"assistant"`...), h.legacy)
	dst = appendFinish(append(dst, `},"logprobs":null,"finish_reason":`...), finish, len(said.calls) > 0, h.legacy)
	dst = appendChatUsage(append(dst, `}],"usage":`...), used)
	if tier.Kind() == '"' {
		dst = append(jsonbody.Key(dst, "service_tier"), tier.Text...)
	}
	text := said.text
	return llm.Chunk{
		Raw: append(dst, '}'), Events: 1, Last: true, Useful: said.useful(),
		Usage: used, Finish: judged(finish, len(said.calls) > 0), Model: h.model, Text: func() string { return decode(text) },
	}, nil
}

// decode turns what stands between quotes, put together from several strings, into text.
func decode(inner []byte) string {
	return string(scan.Unescape(inner))
}

// answerRoot checks that a provider's body is one JSON object.
func answerRoot(body []byte) (jsonbody.Value, error) {
	c := scan.Cursor{Text: body, Max: jsonbody.MaxAnswerDepth}
	if c.Peek() == '{' {
		if text := c.Value(); c.Whole() {
			return jsonbody.Value{Text: text, Index: -1}, nil
		}
	}
	return jsonbody.Value{}, llm.Errorf(llm.ProviderMalformed, "the provider's answer is not a JSON object")
}

func (h *answerHead) append(dst []byte, object string) []byte {
	dst = scan.AppendString(append(dst, `{"id":`...), h.id)
	dst = append(append(append(dst, `,"object":"`...), object...), `","created":`...)
	dst = strconv.AppendInt(dst, h.created, 10)
	dst = scan.AppendString(append(dst, `,"model":`...), h.model)
	return append(dst, `,"choices":`...)
}

// saying is what an answer says. Texts are what stands between the quotes.
type saying struct {
	text, reasoning []byte
	thoughts        []byte // elements of thinking_blocks, each with a comma before it
	calls           []byte // elements of tool_calls, each with a comma before it
	first           []byte // the first of these, as function_call
}

func (s *saying) useful() bool {
	return len(s.text) > 0 || len(s.reasoning) > 0 || len(s.calls) > 0
}

// converseSaid reads the blocks of a message.
func converseSaid(content jsonbody.Value) *saying {
	s := &saying{}
	for block := range content.Elements {
		for m := range block.Members {
			switch m.Name {
			case "text":
				s.text = append(s.text, m.Inner()...)
			case "citationsContent":
				for part := range m.Get("content").Elements {
					s.text = append(s.text, part.Get("text").Inner()...)
				}
			case "reasoningContent":
				s.reason(m)
			case "toolUse":
				s.call(m)
			}
		}
	}
	return s
}

func (s *saying) reason(v jsonbody.Value) {
	if r := v.Get("reasoningText"); r.Kind() == '{' {
		text, signature := r.Get("text"), r.Get("signature")
		s.reasoning = append(s.reasoning, text.Inner()...)
		if len(signature.Inner()) > 0 { // without it nobody takes the block back
			s.thoughts = appendThought(append(s.thoughts, ','), text.Inner(), signature.Inner())
		}
	}
	if data := v.Get("redactedContent"); data.Kind() == '"' {
		s.thoughts = append(append(append(s.thoughts, `,{"type":"redacted_thinking","data":`...), data.Text...), '}')
	}
}

// appendThought appends a block of reasoning as Anthropic's and LiteLLM's clients know it.
func appendThought(dst, text, signature []byte) []byte {
	dst = jsonbody.AppendText(append(dst, `{"type":"thinking","thinking":`...), text)
	return append(jsonbody.AppendText(jsonbody.Key(dst, "signature"), signature), '}')
}

func (s *saying) call(v jsonbody.Value) {
	if v.Get("type").String() == "server_tool_use" {
		return
	}
	id, name, input := v.Get("toolUseId"), v.Get("name"), v.Get("input")
	if name.Kind() != '"' {
		return
	}
	function := append(append([]byte(`{"name":`), name.Text...), `,"arguments":`...)
	switch {
	case input.Kind() == '"': // a text that was no JSON object
		function = append(function, input.Text...)
	case input.Given():
		function = scan.AppendString(function, jsonbody.CompactJSON(input.Text))
	default:
		function = append(function, `"{}"`...)
	}
	function = append(function, '}')
	if s.first == nil {
		s.first = function
	}
	s.calls = jsonbody.AppendText(append(s.calls, `,{"id":`...), id.Inner())
	s.calls = append(append(s.calls, `,"type":"function","function":`...), function...)
	s.calls = append(s.calls, '}')
}

// append appends the members of a message behind its role.
func (s *saying) append(dst []byte, legacy bool) []byte {
	if dst = jsonbody.Key(dst, "content"); len(s.text) == 0 && len(s.calls) > 0 {
		dst = append(dst, "null"...)
	} else {
		dst = jsonbody.AppendText(dst, s.text)
	}
	dst = append(dst, `,"refusal":null`...)
	if len(s.reasoning) > 0 {
		dst = jsonbody.AppendText(jsonbody.Key(dst, "reasoning_content"), s.reasoning)
	}
	if len(s.thoughts) > 0 {
		dst = append(append(append(jsonbody.Key(dst, "thinking_blocks"), '['), s.thoughts[1:]...), ']')
	}
	switch {
	case len(s.calls) == 0:
	case legacy:
		dst = append(jsonbody.Key(dst, "function_call"), s.first...)
	default:
		dst = append(append(append(jsonbody.Key(dst, "tool_calls"), '['), s.calls[1:]...), ']')
	}
	return dst
}

// chatFinish is why an answer ends, in the request path's words, which are chat's.
func chatFinish(stop string) llm.FinishReason {
	switch stop {
	case "end_turn", "stop_sequence":
		return llm.FinishStop
	case "tool_use":
		return llm.FinishToolCalls
	case "max_tokens", "model_context_window_exceeded":
		return llm.FinishLength
	case "guardrail_intervened", "content_filtered":
		return llm.FinishFilter
	}
	return llm.FinishReason(stop)
}

// judged is the reason by which those who keep the answer go: calls of tools count for
// more than the word that comes with them, as in package bedrock. A word that chat does
// not have (malformed_tool_use) stays: such an answer is nothing to keep.
func judged(finish llm.FinishReason, calls bool) llm.FinishReason {
	if calls && (finish == llm.FinishStop || finish == llm.FinishLength) {
		return llm.FinishToolCalls
	}
	return finish
}

// appendFinish appends a finish_reason. There are SDKs that fail at any word that is not
// one of chat's own. calls says that the answer has calls of tools.
func appendFinish(dst []byte, finish llm.FinishReason, calls, legacy bool) []byte {
	switch finish {
	case llm.FinishNone:
		return append(dst, "null"...)
	case llm.FinishStop, llm.FinishLength, llm.FinishToolCalls, llm.FinishFilter:
	case llm.FinishRefusal:
		finish = llm.FinishFilter
	default: // malformed_tool_use, malformed_model_output
		if finish = llm.FinishStop; calls {
			finish = llm.FinishToolCalls
		}
	}
	if finish == llm.FinishToolCalls && legacy {
		finish = "function_call"
	}
	return scan.AppendString(dst, string(finish))
}

// converseUsage reads a usage object of Converse, whose inputTokens leave out what was
// read from or written to the prompt cache.
func converseUsage(v jsonbody.Value) (u llm.Usage) {
	for m := range v.Members {
		n := count(m)
		switch m.Name {
		case "inputTokens":
			u.Input = n
		case "outputTokens":
			u.Output = n
		case "cacheReadInputTokens":
			u.CacheRead = n
		case "cacheWriteInputTokens":
			u.CacheWrite = n
		}
	}
	return u
}

func count(v jsonbody.Value) int64 {
	c := scan.Cursor{Text: v.Text, Max: jsonbody.MaxAnswerDepth}
	return c.Count()
}

// appendChatUsage appends a usage object. Chat's prompt_tokens count everything.
func appendChatUsage(dst []byte, u llm.Usage) []byte {
	prompt := u.Input + u.CacheRead + u.CacheWrite
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), u.Output, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), prompt+u.Output, 10)
	dst = strconv.AppendInt(append(dst, `,"prompt_tokens_details":{"cached_tokens":`...), u.CacheRead, 10)
	if u.CacheWrite > 0 {
		dst = strconv.AppendInt(append(dst, `,"cache_creation_tokens":`...), u.CacheWrite, 10)
	}
	return append(dst, "}}"...)
}
