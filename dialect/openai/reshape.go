package openai

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/internal/edge"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
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
	r := headReader{edge.Reader{Cursor: scan.Cursor{Text: body, Max: MaxDepth}}}
	for ok := r.Open('{'); ok; ok = r.More('}') {
		if string(r.Name()) == "stream_options" {
			include = r.streamOptions()
		} else {
			r.Skip()
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
		if len(data) > 0 && skim(data, &f, nil) && f.hasUsage && f.choices <= 0 {
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
	whole := scan.Parse(answer, maxAnswerDepth)
	if whole == nil || whole.Kind != '{' {
		return nil, edge.Unreadable("body")
	}
	head := whole.Without("object", "choices", "usage")
	head.Put("object", scan.Quoted("chat.completion.chunk"))
	dst := make([]byte, 0, 2*len(answer)+256)
	for _, choice := range whole.Get("choices").Elements() {
		piece, finish := splitChoice(choice)
		dst = appendEvent(dst, head, scan.Array(piece))
		dst = appendEvent(dst, head, scan.Array(finish))
	}
	if usage := whole.Get("usage"); include && !usage.Empty() {
		head.Set("usage", usage)
		dst = appendEvent(dst, head, scan.Array())
	}
	return AppendDone(dst), nil
}

func appendEvent(dst []byte, head, choices *scan.Node) []byte {
	event := scan.Object()
	event.Names = append(append(event.Names, head.Names...), "choices")
	event.Members = append(append(event.Members, head.Members...), choices)
	return append(event.Append(append(dst, "data: "...)), "\n\n"...)
}

// splitChoice turns a whole choice into the two pieces of a stream: what it says,
// and why it ended.
func splitChoice(choice *scan.Node) (piece, finish *scan.Node) {
	index := choice.Get("index")
	if index == nil {
		index = scan.Literal("0")
	}
	delta := choice.Get("message")
	if delta == nil || delta.Kind != '{' {
		delta = scan.Object()
	}
	if calls := delta.Get("tool_calls"); len(calls.Elements()) > 0 {
		delta = delta.Without()
		delta.Set("tool_calls", numbered(calls))
	}
	piece = scan.Object()
	piece.Set("index", index)
	piece.Set("delta", delta)
	if choice != nil && choice.Kind == '{' {
		for i, name := range choice.Names {
			if name != "index" && name != "message" && name != "finish_reason" {
				piece.Set(name, choice.Members[i])
			}
		}
	}
	piece.Set("finish_reason", scan.Literal("null"))
	finish = scan.Object()
	finish.Set("index", index)
	finish.Set("delta", scan.Object())
	if reason := choice.Get("finish_reason"); reason != nil {
		finish.Set("finish_reason", reason)
	} else {
		finish.Set("finish_reason", scan.Literal("null"))
	}
	return piece, finish
}

// numbered gives each tool call the index by which a stream's pieces are joined.
func numbered(calls *scan.Node) *scan.Node {
	list := scan.Array()
	for i, call := range calls.Elements() {
		if call.Kind == '{' {
			call = call.Without("index")
			call.Put("index", scan.Literal(strconv.Itoa(i)))
		}
		list.Members = append(list.Members, call)
	}
	return list
}
