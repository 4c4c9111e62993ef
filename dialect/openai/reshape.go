package openai

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/forebay-ai/forebay/llm"
)

// Reshape turns answer into the form that req asks for. stream says which form answer
// has: the events of a stream, end mark included, or a whole body.
//
//   - events to a whole body: the pieces of each choice are joined by its index;
//   - a whole body to events: each choice comes as one piece and a finish, then the
//     usage where stream_options.include_usage asks for it, then [DONE];
//   - events to events: the usage event is taken out where it is not asked for. One
//     that was never sent is not invented: OpenAI too says that it may be missing.
//
// Members that this package does not know survive, padding (obfuscation) does not. An
// answer that has the right form already is returned as it is, and so is everything
// that is not a chat, which has no other form. An answer that cannot be read is an
// *llm.Error of kind ForebayInternal: it was complete when it was stored.
func (Dialect) Reshape(req *llm.Request, answer []byte, stream bool) ([]byte, error) {
	if req.Endpoint != llm.Chat || !stream && !req.Stream {
		return answer, nil
	}
	if stream && !req.Stream {
		return joinEvents(answer)
	}
	include := wantsUsage(req.Body)
	if !stream {
		return splitWhole(answer, include)
	}
	if include {
		return answer, nil
	}
	return dropUsage(answer), nil
}

// Covers says that answer can serve req: a stream without a report of usage has
// none for a whole answer, nor for a stream that asks for it.
func (Dialect) Covers(req *llm.Request, answer []byte, stream bool) bool {
	if !stream || req.Endpoint != llm.Chat || req.Stream && !wantsUsage(req.Body) {
		return true
	}
	for rest := answer; ; {
		// A text that quotes the member has a backslash before the second quote.
		_, after, ok := bytes.Cut(rest, []byte(`"usage":`))
		if !ok {
			return false
		}
		if rest = bytes.TrimLeft(after, " "); !bytes.HasPrefix(rest, []byte("null")) {
			return true
		}
	}
}

// wantsUsage reads stream_options.include_usage. The body was parsed strictly before.
func wantsUsage(body []byte) (include bool) {
	if !bytes.Contains(body, []byte("include_usage")) && !bytes.Contains(body, []byte(`\u`)) {
		return false
	}
	r := headReader{cursor: cursor{b: body, max: MaxDepth}}
	for ok := r.open('{'); ok; ok = r.more('}') {
		if string(r.name()) == "stream_options" {
			include = r.streamOptions()
		} else {
			r.skip()
		}
	}
	return include
}

// dropUsage takes out the events that bring usage and no choice.
func dropUsage(answer []byte) []byte {
	if !bytes.Contains(answer, []byte(`"usage"`)) {
		return answer
	}
	var kept, joined []byte
	dropped := false
	for rest := answer; len(rest) > 0; {
		var event, data []byte
		at := len(answer) - len(rest)
		event, rest = cutEvent(rest)
		data, joined, _ = eventData(event, joined)
		var f findings
		if len(data) > 0 && skim(data, &f) && f.hasUsage && f.choices <= 0 {
			if !dropped {
				kept = slices.Clone(answer[:at])
			}
			dropped = true
		} else if dropped {
			kept = append(kept, event...)
		}
	}
	if !dropped {
		return answer
	}
	return kept
}

// splitWhole turns a whole body into events.
func splitWhole(answer []byte, include bool) ([]byte, error) {
	whole := parse(answer)
	if whole == nil || whole.kind != '{' {
		return nil, unreadable("body")
	}
	head := whole.without("object", "choices", "usage")
	head.put("object", quoted("chat.completion.chunk"))
	dst := make([]byte, 0, 2*len(answer)+256)
	for _, choice := range whole.get("choices").elements() {
		piece, finish := splitChoice(choice)
		dst = appendEvent(dst, head, array(piece))
		dst = appendEvent(dst, head, array(finish))
	}
	if usage := whole.get("usage"); include && !usage.empty() {
		head.set("usage", usage)
		dst = appendEvent(dst, head, array())
	}
	return AppendDone(dst), nil
}

func appendEvent(dst []byte, head, choices *node) []byte {
	event := object()
	event.names = append(append(event.names, head.names...), "choices")
	event.members = append(append(event.members, head.members...), choices)
	return append(event.append(append(dst, "data: "...)), "\n\n"...)
}

// splitChoice turns a whole choice into the two pieces of a stream: what it says,
// and why it ended.
func splitChoice(choice *node) (piece, finish *node) {
	index := choice.get("index")
	if index == nil {
		index = literal("0")
	}
	delta := choice.get("message")
	if delta == nil || delta.kind != '{' {
		delta = object()
	}
	if calls := delta.get("tool_calls"); len(calls.elements()) > 0 {
		delta = delta.without()
		delta.set("tool_calls", numbered(calls))
	}
	piece = object()
	piece.set("index", index)
	piece.set("delta", delta)
	if choice != nil && choice.kind == '{' {
		for i, name := range choice.names {
			if name != "index" && name != "message" && name != "finish_reason" {
				piece.set(name, choice.members[i])
			}
		}
	}
	piece.set("finish_reason", literal("null"))
	finish = object()
	finish.set("index", index)
	finish.set("delta", object())
	if reason := choice.get("finish_reason"); reason != nil {
		finish.set("finish_reason", reason)
	} else {
		finish.set("finish_reason", literal("null"))
	}
	return piece, finish
}

// numbered gives each tool call the index by which a stream's pieces are joined.
func numbered(calls *node) *node {
	list := array()
	for i, call := range calls.elements() {
		if call.kind == '{' {
			call = call.without("index")
			call.put("index", literal(strconv.Itoa(i)))
		}
		list.members = append(list.members, call)
	}
	return list
}

func unreadable(form string) *llm.Error {
	return llm.Errorf(llm.ForebayInternal, "the stored %s of an answer cannot be read", form)
}
