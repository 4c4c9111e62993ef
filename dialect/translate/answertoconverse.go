package translate

import (
	"github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"
)

import (
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// converseAnswer makes a whole Converse answer of a whole chat answer. latency is how
// long the provider took, in milliseconds.
func converseAnswer(body []byte, latency int64) (llm.Chunk, error) {
	root, err := answerRoot(body)
	if err != nil {
		return llm.Chunk{}, err
	}
	a := readChatAnswer(root)
	message := a.choice.Get("message")
	if message.Kind() != '{' {
		return llm.Chunk{}, llm.Errorf(llm.ProviderMalformed, "the provider's answer has no message")
	}
	said := chatSaid(message)
	finish := said.finish(a.choice.Get("finish_reason").String())
	used := chatUsage(a.usage)
	dst := make([]byte, 0, len(body)+256)
	dst = strconv.AppendInt(append(dst, `{"metrics":{"latencyMs":`...), latency, 10)
	dst = append(dst, `},"output":{"message":{"content":[`...)
	if len(said.blocks) > 0 {
		dst = append(dst, said.blocks[1:]...)
	}
	dst = append(dst, `],"role":"assistant"}},"stopReason":"`...)
	dst = append(append(dst, stopReason(finish, said.malformed)...), `","usage":`...)
	dst = appendConverseUsage(dst, used)
	if t := a.tier.String(); t == "default" || t == "flex" || t == "priority" {
		dst = append(append(append(jsonbody.Key(dst, "serviceTier"), `{"type":`...), a.tier.Text...), '}')
	}
	text := said.text
	return llm.Chunk{
		Raw: append(dst, '}'), Events: 1, Last: true, Useful: len(said.blocks) > 0,
		Usage: used, Finish: judged(finish, said.calls > 0), Model: a.model.String(), Text: func() string { return decode(text) },
	}, nil
}

// chatAnswerParts are the members of a chat answer that are of interest.
type chatAnswerParts struct {
	choice, usage, tier, model jsonbody.Value
}

func readChatAnswer(root jsonbody.Value) (a chatAnswerParts) {
	for m := range root.Members {
		switch m.Name {
		case "choices":
			for c := range m.Elements {
				if a.choice.Text == nil {
					a.choice = c
				}
			}
		case "usage":
			a.usage = m
		case "service_tier":
			a.tier = m
		case "model":
			a.model = m
		}
	}
	return a
}

// blocks are a message's content in Converse's words.
type blocks struct {
	blocks    []byte // each with a comma before it
	text      []byte // between the quotes
	refused   bool
	calls     int
	malformed bool // the arguments of a call are no JSON object
}

func chatSaid(message jsonbody.Value) *blocks {
	b := &blocks{}
	var reasoning, content, refusal, calls, call jsonbody.Value
	for m := range message.Members {
		switch m.Name {
		case "reasoning_content":
			reasoning = m
		case "reasoning":
			if !reasoning.Given() {
				reasoning = m
			}
		case "content":
			content = m
		case "refusal":
			refusal = m
		case "tool_calls":
			calls = m
		case "function_call":
			call = m
		}
	}
	if len(reasoning.Inner()) > 0 {
		b.blocks = append(b.blocks, `,{"reasoningContent":{"reasoningText":{"text":`...)
		b.blocks = append(append(b.blocks, reasoning.Text...), "}}}"...)
	}
	b.say(contentText(content))
	if b.refused = len(refusal.Inner()) > 0; b.refused {
		b.say(refusal.Inner())
	}
	for c := range calls.Elements {
		b.call(c.Get("id"), c.Get("function"))
	}
	if call.Kind() == '{' {
		b.call(jsonbody.Value{}, call)
	}
	return b
}

// contentText is what a content says: a string, or parts of which those with a text count.
func contentText(content jsonbody.Value) []byte {
	if content.Kind() != '[' {
		return content.Inner()
	}
	var text []byte
	for part := range content.Elements {
		text = append(text, part.Get("text").Inner()...)
	}
	return text
}

func (b *blocks) say(inner []byte) {
	if len(inner) > 0 {
		b.blocks = append(jsonbody.AppendText(append(b.blocks, `,{"text":`...), inner), '}')
		b.text = append(b.text, inner...)
	}
}

func (b *blocks) call(id, function jsonbody.Value) {
	name := function.Get("name")
	if name.Kind() != '"' {
		return
	}
	b.calls++
	b.blocks = append(b.blocks, `,{"toolUse":{"input":`...)
	arguments := function.Get("arguments")
	input, ok := jsonObject(argumentsText(arguments))
	if b.malformed = b.malformed || !ok; ok {
		b.blocks = append(b.blocks, input...)
	} else {
		b.blocks = append(b.blocks, arguments.Text...)
	}
	b.blocks = append(append(b.blocks, `,"name":`...), name.Text...)
	b.blocks = append(scan.AppendString(append(b.blocks, `,"toolUseId":`...), madeID(id.String(), b.calls)), "}}"...)
}

// argumentsText is the text of a call's arguments, or of a piece of them. Some servers
// send the object itself in the place of its text.
func argumentsText(v jsonbody.Value) string {
	if v.Kind() == '{' {
		return string(v.Text)
	}
	return v.String()
}

// madeID is the id of a call; some servers give none.
func madeID(id string, nth int) string {
	if id == "" {
		return "call_" + strconv.Itoa(nth)
	}
	return id
}

// jsonObject reads arguments. No text, and null, mean none.
func jsonObject(text string) (object []byte, ok bool) {
	c := scan.Cursor{Text: []byte(text), Max: jsonbody.MaxAnswerDepth}
	switch c.Peek() {
	case 0:
		return []byte("{}"), true
	case 'n':
		return []byte("{}"), c.Null() && c.Whole()
	case '{':
		object = c.Value()
		return object, c.Whole()
	}
	return nil, false
}

// finish is why the answer ended, judged by what it is.
func (b *blocks) finish(word string) llm.FinishReason {
	switch {
	case word == "content_filter":
		return llm.FinishFilter
	case b.refused:
		return llm.FinishRefusal
	case b.calls > 0 && word != "length" && word != "":
		return llm.FinishToolCalls
	}
	return finishReason(word)
}

func finishReason(word string) llm.FinishReason {
	if word == "function_call" {
		return llm.FinishToolCalls
	}
	return llm.FinishReason(word)
}

// stopReason is Converse's word for the end of an answer.
func stopReason(finish llm.FinishReason, malformed bool) string {
	switch finish {
	case llm.FinishLength:
		return "max_tokens"
	case llm.FinishToolCalls:
		if malformed {
			return "malformed_tool_use"
		}
		return "tool_use"
	case llm.FinishFilter, llm.FinishRefusal:
		return "content_filtered"
	}
	return "end_turn"
}

// chatUsage reads a usage object of chat, whose prompt_tokens count everything.
func chatUsage(v jsonbody.Value) (u llm.Usage) {
	for m := range v.Members {
		switch m.Name {
		case "prompt_tokens":
			u.Input = count(m)
		case "completion_tokens":
			u.Output = count(m)
		case "prompt_tokens_details":
			u.CacheRead, u.CacheWrite = count(m.Get("cached_tokens")), count(m.Get("cache_creation_tokens"))
		}
	}
	u.CacheRead = min(u.CacheRead, u.Input)
	u.CacheWrite = min(u.CacheWrite, u.Input-u.CacheRead)
	u.Input -= u.CacheRead + u.CacheWrite
	return u
}

func appendConverseUsage(dst []byte, u llm.Usage) []byte {
	dst = append(dst, '{')
	if u.CacheRead > 0 || u.CacheWrite > 0 {
		dst = strconv.AppendInt(append(dst, `"cacheReadInputTokens":`...), u.CacheRead, 10)
		dst = strconv.AppendInt(append(dst, `,"cacheWriteInputTokens":`...), u.CacheWrite, 10)
		dst = append(dst, ',')
	}
	dst = strconv.AppendInt(append(dst, `"inputTokens":`...), u.Input, 10)
	dst = strconv.AppendInt(append(dst, `,"outputTokens":`...), u.Output, 10)
	dst = strconv.AppendInt(append(dst, `,"totalTokens":`...), u.Total(), 10)
	return append(dst, '}')
}
