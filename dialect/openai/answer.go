package openai

import (
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// Answer is a chat answer of one choice, for whoever makes answers itself. The
// functions AppendChatBody, AppendStream and Append…Chunk write it; none of them
// changes it.
type Answer struct {
	// ID is the answer's id on the wire ("chatcmpl-…"), Created its time in Unix seconds.
	ID      string
	Created int64
	// Model is the name under which the model answers.
	Model string
	// Text is what the answer says. Empty text beside tool calls is written as null.
	Text      string
	ToolCalls []ToolCall
	// Finish is why the answer ends. Empty means FinishToolCalls where there are tool
	// calls, else FinishStop.
	Finish llm.FinishReason
	Usage  llm.Usage
}

// ToolCall is a function that the model wants to be called.
type ToolCall struct {
	ID, Name string
	// Arguments is a JSON object, as text.
	Arguments string
}

func (a *Answer) finish() string {
	switch {
	case a.Finish != llm.FinishNone:
		return string(a.Finish)
	case len(a.ToolCalls) > 0:
		return string(llm.FinishToolCalls)
	}
	return string(llm.FinishStop)
}

// AppendChatBody appends the answer as a whole body.
func AppendChatBody(dst []byte, a *Answer) []byte {
	dst = appendHead(dst, a, "chat.completion")
	dst = append(dst, `[{"index":0,"message":{"role":"assistant","content":`...)
	if a.Text == "" && len(a.ToolCalls) > 0 {
		dst = append(dst, "null"...)
	} else {
		dst = scan.AppendString(dst, a.Text)
	}
	dst = append(dst, `,"refusal":null`...)
	if len(a.ToolCalls) > 0 {
		dst = append(dst, `,"tool_calls":[`...)
		for i, call := range a.ToolCalls {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendToolCall(append(dst, '{'), call)
		}
		dst = append(dst, ']')
	}
	dst = append(dst, `},"logprobs":null,"finish_reason":`...)
	dst = scan.AppendString(dst, a.finish())
	dst = append(dst, `}],"usage":`...)
	return append(appendUsage(dst, a.Usage), '}')
}

// AppendStream appends the answer as a whole stream: role, text in one piece, tool
// calls, finish, the usage where includeUsage says so, and the end mark.
func AppendStream(dst []byte, a *Answer, includeUsage bool) []byte {
	dst = AppendRoleChunk(dst, a)
	if a.Text != "" {
		dst = AppendTextChunk(dst, a, a.Text)
	}
	for i := range a.ToolCalls {
		dst = AppendToolCallChunk(dst, a, i)
	}
	dst = AppendFinishChunk(dst, a)
	if includeUsage {
		dst = AppendUsageChunk(dst, a)
	}
	return AppendDone(dst)
}

// AppendRoleChunk appends the event that begins a stream: the role and no text.
func AppendRoleChunk(dst []byte, a *Answer) []byte {
	dst = append(appendEventHead(dst, a), `"role":"assistant","content":"","refusal":null`...)
	return appendEventTail(dst, "")
}

// AppendTextChunk appends an event that adds text to the answer. The answer's own
// Text is not looked at.
func AppendTextChunk(dst []byte, a *Answer, text string) []byte {
	dst = append(appendEventHead(dst, a), `"content":`...)
	return appendEventTail(scan.AppendString(dst, text), "")
}

// AppendToolCallChunk appends an event with the whole tool call a.ToolCalls[index].
// An index out of range appends nothing.
func AppendToolCallChunk(dst []byte, a *Answer, index int) []byte {
	if index < 0 || index >= len(a.ToolCalls) {
		return dst
	}
	dst = append(appendEventHead(dst, a), `"tool_calls":[{"index":`...)
	dst = append(strconv.AppendInt(dst, int64(index), 10), ',')
	dst = appendToolCall(dst, a.ToolCalls[index])
	return appendEventTail(append(dst, ']'), "")
}

// AppendFinishChunk appends the event that says why the answer ends.
func AppendFinishChunk(dst []byte, a *Answer) []byte {
	return appendEventTail(appendEventHead(dst, a), a.finish())
}

// AppendUsageChunk appends the event that callers ask for with
// stream_options.include_usage. It comes after the finish.
func AppendUsageChunk(dst []byte, a *Answer) []byte {
	dst = appendHead(append(dst, "data: "...), a, "chat.completion.chunk")
	dst = appendUsage(append(dst, `[],"usage":`...), a.Usage)
	return append(dst, "}\n\n"...)
}

// AppendDone appends the end mark of every stream.
func AppendDone(dst []byte) []byte { return append(dst, "data: [DONE]\n\n"...) }

// appendHead appends an answer up to the value of choices.
func appendHead(dst []byte, a *Answer, object string) []byte {
	dst = scan.AppendString(append(dst, `{"id":`...), a.ID)
	dst = append(append(append(dst, `,"object":"`...), object...), `","created":`...)
	dst = strconv.AppendInt(dst, a.Created, 10)
	dst = scan.AppendString(append(dst, `,"model":`...), a.Model)
	return append(dst, `,"choices":`...)
}

func appendEventHead(dst []byte, a *Answer) []byte {
	dst = appendHead(append(dst, "data: "...), a, "chat.completion.chunk")
	return append(dst, `[{"index":0,"delta":{`...)
}

func appendEventTail(dst []byte, finish string) []byte {
	dst = append(dst, `},"logprobs":null,"finish_reason":`...)
	if finish == "" {
		dst = append(dst, "null"...)
	} else {
		dst = scan.AppendString(dst, finish)
	}
	return append(dst, "}]}\n\n"...)
}

// appendToolCall appends a call's members and the brace behind them.
func appendToolCall(dst []byte, call ToolCall) []byte {
	dst = scan.AppendString(append(dst, `"id":`...), call.ID)
	dst = scan.AppendString(append(dst, `,"type":"function","function":{"name":`...), call.Name)
	dst = scan.AppendString(append(dst, `,"arguments":`...), call.Arguments)
	return append(dst, "}}"...)
}

// appendUsage appends a usage object. On the wire the prompt's tokens include those
// that were read from or written to the provider's prompt cache.
func appendUsage(dst []byte, u llm.Usage) []byte {
	prompt := u.Input + u.CacheRead + u.CacheWrite
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), u.Output, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), prompt+u.Output, 10)
	dst = strconv.AppendInt(append(dst, `,"prompt_tokens_details":{"cached_tokens":`...), u.CacheRead, 10)
	return append(dst, "}}"...)
}

// Compose makes a chat answer that says text, in the form that req asks for: whole or
// events, with the usage event (all zero) where it is asked for. The id comes from
// req.ID, the model is req.Model and the time is req.Arrived. For an endpoint other
// than Chat there is no such answer, and Compose returns nil.
func (Dialect) Compose(req *llm.Request, text string) []byte {
	if req.Endpoint != llm.Chat {
		return nil
	}
	a := Answer{ID: "chatcmpl-" + req.ID, Model: req.Model, Text: text, Finish: llm.FinishStop}
	if !req.Arrived.IsZero() {
		a.Created = req.Arrived.Unix()
	}
	if req.Stream {
		return AppendStream(nil, &a, wantsUsage(req.Body))
	}
	return AppendChatBody(nil, &a)
}
