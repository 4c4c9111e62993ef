package translate

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"strconv"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// block kinds of a Converse stream.
type blockKind int8

const (
	noBlock blockKind = iota
	textBlock
	reasonBlock
	toolBlock
)

// toConverse turns the events of a chat stream into those of a Converse stream. It holds
// no text of the answer but the id of the call that is going on.
type toConverse struct {
	started bool
	kind    blockKind // of the block that is open
	next    int64     // index of the next block; the open one is the one before it
	calls   int
	call    int64  // index of the call that is going on
	callID  string // and its id

	refused  bool
	finished string // the finish reason that came
	done     bool   // the end mark came
	usage    llm.Usage
	name     string // of the model

	payload []byte // memory for one event
}

// add turns whole events of chat into Converse's.
func (t *toConverse) add(p *pieces, raw []byte) error {
	for len(raw) > 0 && !t.done {
		var data []byte
		if data, raw = cutEvent(raw); len(data) == 0 {
			continue
		}
		if string(data) == "[DONE]" {
			t.done = true
			continue
		}
		root, err := answerRoot(data)
		if err != nil {
			return err
		}
		if err := t.event(p, root); err != nil {
			return err
		}
	}
	return nil
}

func (t *toConverse) event(p *pieces, root jsonbody.Value) error {
	for m := range root.Members {
		switch m.Name {
		case "error":
			if m.Given() {
				return llm.Errorf(llm.ProviderError, "the provider's stream failed")
			}
		case "model":
			if t.name == "" {
				t.name = m.String()
			}
		case "usage":
			if u := chatUsage(m); !u.IsZero() {
				t.usage, p.usage = u, u
			}
		case "choices":
			for choice := range m.Elements {
				if i := choice.Get("index"); i.Text == nil || i.Is("0") {
					if err := t.choice(p, choice); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (t *toConverse) choice(p *pieces, choice jsonbody.Value) error {
	for m := range choice.Members {
		switch m.Name {
		case "delta":
			if err := t.delta(p, m); err != nil {
				return err
			}
		case "finish_reason":
			if word := m.String(); word != "" {
				t.finished = word
			}
		}
	}
	return nil
}

func (t *toConverse) delta(p *pieces, delta jsonbody.Value) error {
	t.start(p)
	var reasoned bool
	for m := range delta.Members {
		switch m.Name {
		case "content":
			t.text(p, contentText(m))
		case "refusal":
			if len(m.Inner()) > 0 {
				t.refused = true
				t.text(p, m.Inner())
			}
		case "reasoning_content", "reasoning":
			if !reasoned && len(m.Inner()) > 0 { // some servers send both, and the same in both
				reasoned = true
				t.reason(p, m.Inner())
			}
		case "tool_calls":
			for call := range m.Elements {
				if err := t.toolCall(p, call.Get("index"), call.Get("id"), call.Get("function")); err != nil {
					return err
				}
			}
		case "function_call":
			if m.Kind() == '{' {
				if err := t.toolCall(p, jsonbody.Value{}, jsonbody.Value{}, m); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (t *toConverse) emit(p *pieces, event string, payload []byte) {
	p.raw = bedrock.AppendEvent(p.raw, event, payload)
	p.events++
	t.payload = payload[:0]
}

func (t *toConverse) start(p *pieces) {
	if !t.started {
		t.started = true
		t.emit(p, "messageStart", append(t.payload, `{"role":"assistant"}`...))
	}
}

// open begins a block of kind, unless one is open. Blocks of text and of reasoning have no
// event for it.
func (t *toConverse) open(p *pieces, kind blockKind) {
	t.start(p)
	if t.kind == kind && kind != toolBlock {
		return
	}
	t.close(p)
	t.kind = kind
	t.next++
}

func (t *toConverse) close(p *pieces) {
	if t.kind != noBlock {
		t.kind = noBlock
		t.emit(p, "contentBlockStop", append(t.index(t.payload), '}'))
	}
}

// index begins an event's payload with the index of the open block.
func (t *toConverse) index(dst []byte) []byte {
	return strconv.AppendInt(append(dst, `{"contentBlockIndex":`...), t.next-1, 10)
}

func (t *toConverse) text(p *pieces, inner []byte) {
	if len(inner) == 0 {
		return
	}
	t.open(p, textBlock)
	dst := jsonbody.AppendText(append(t.index(t.payload), `,"delta":{"text":`...), inner)
	t.emit(p, "contentBlockDelta", append(dst, "}}"...))
	p.useful = true
	p.text = append(p.text, inner...)
}

func (t *toConverse) reason(p *pieces, inner []byte) {
	t.open(p, reasonBlock)
	dst := jsonbody.AppendText(append(t.index(t.payload), `,"delta":{"reasoningContent":{"text":`...), inner)
	t.emit(p, "contentBlockDelta", append(dst, "}}}"...))
	p.useful = true
}

// toolCall tells a piece of a call. A new one begins with an index or an id that the one
// before did not have: there are servers that give every call the index 0, and others
// that repeat the id in each piece.
func (t *toConverse) toolCall(p *pieces, at, id, function jsonbody.Value) error {
	index := t.call
	if at.IsNumber() {
		index = scan.Integer(at.Text)
	}
	given := id.String()
	name := function.Get("name")
	fresh := t.kind != toolBlock || index != t.call || given != "" && given != t.callID
	if fresh {
		if name.Kind() != '"' || len(name.Inner()) == 0 {
			return llm.Errorf(llm.ProviderMalformed, "the provider sent pieces of several tool calls mixed")
		}
		t.calls++
		t.open(p, toolBlock)
		t.call, t.callID = index, given
		dst := append(t.index(t.payload), `,"start":{"toolUse":{"name":`...)
		dst = append(append(dst, name.Text...), `,"toolUseId":`...)
		dst = scan.AppendString(dst, madeID(given, t.calls))
		t.emit(p, "contentBlockStart", append(dst, "}}}"...))
		p.useful = true
	}
	if input := function.Get("arguments"); len(input.Inner()) > 0 || input.Kind() == '{' {
		dst := append(t.index(t.payload), `,"delta":{"toolUse":{"input":`...)
		if input.Kind() == '{' {
			dst = scan.AppendString(dst, argumentsText(input))
		} else {
			dst = append(dst, input.Text...)
		}
		t.emit(p, "contentBlockDelta", append(dst, "}}}"...))
		p.useful = true
	}
	return nil
}

// reasonOfEnd is why the answer ended, judged by what it is.
func (t *toConverse) reasonOfEnd() llm.FinishReason {
	b := blocks{refused: t.refused, calls: t.calls}
	return b.finish(t.finished)
}

// finish ends the stream. latency is how long the answer took, in milliseconds.
func (t *toConverse) finish(p *pieces, latency int64) error {
	if !t.done {
		return llm.Errorf(llm.ProviderTruncated, "the provider's stream ended before its end mark")
	}
	t.start(p)
	t.close(p)
	dst := append(append(t.payload, `{"stopReason":"`...), stopReason(t.reasonOfEnd(), false)...)
	t.emit(p, "messageStop", append(dst, `"}`...))
	dst = strconv.AppendInt(append(t.payload, `{"metrics":{"latencyMs":`...), latency, 10)
	dst = appendConverseUsage(append(dst, `},"usage":`...), t.usage)
	t.emit(p, "metadata", append(dst, '}'))
	p.usage = t.usage
	return nil
}
