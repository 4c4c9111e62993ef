package translate

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/llm"
)

// maxBlocks bounds how many content blocks of a stream are told apart.
const maxBlocks = 1 << 12

// toChat turns the events of a Converse stream into those of a chat stream. It holds no
// more than one block of reasoning.
type toChat struct {
	head         answerHead
	includeUsage bool

	opening []byte        // of every event: up to the choice's delta
	started bool          // the role was told
	calls   int           // how many calls of tools there were
	tools   map[int64]int // their numbers, by the index of the block

	thought, signature []byte   // the block of reasoning that is going on
	redacted           [][]byte // pieces of one that nobody may read, each in base64

	stop  llm.FinishReason
	ended bool // messageStop was seen
	usage llm.Usage
	tier  []byte
}

func newToChat(h answerHead, includeUsage bool) *toChat {
	return &toChat{head: h, includeUsage: includeUsage, tools: map[int64]int{}}
}

// pieces is what some events become.
type pieces struct {
	raw    []byte
	events int
	useful bool
	text   []byte // between the quotes
	usage  llm.Usage
}

// add turns whole event-stream messages into chat events.
func (t *toChat) add(p *pieces, raw []byte) error {
	for len(raw) > 0 {
		e, n, err := bedrock.NextEvent(raw)
		if err != nil {
			return err
		}
		if n == 0 {
			return llm.Errorf(llm.ProviderMalformed, "the provider's event is not complete")
		}
		raw = raw[n:]
		if e.Exception {
			return llm.Errorf(llm.ProviderError, "the provider's stream failed: %s", jsonbody.Printable(e.Type))
		}
		if err := t.event(p, e); err != nil {
			return err
		}
	}
	return nil
}

func (t *toChat) event(p *pieces, e bedrock.Event) error {
	root, err := answerRoot(e.Payload)
	if err != nil {
		return err
	}
	switch e.Type {
	case "messageStart":
		t.role(p)
	case "contentBlockStart":
		t.blockStart(p, root)
	case "contentBlockDelta":
		t.delta(p, root)
	case "contentBlockStop":
		t.blockStop(p)
	case "messageStop":
		t.blockStop(p)
		t.role(p)
		t.stop, t.ended = chatFinish(root.Get("stopReason").String()), true
		p.raw = appendFinish(append(t.open(p), `},"logprobs":null,"finish_reason":`...), t.stop, t.calls > 0, t.head.legacy)
		p.raw = append(p.raw, "}]}\n\n"...)
	case "metadata":
		for m := range root.Members {
			switch m.Name {
			case "usage":
				t.usage = converseUsage(m)
				p.usage = t.usage
			case "serviceTier":
				t.tier = slices.Clone(m.Get("type").Inner())
			}
		}
	}
	return nil
}

// open begins an event, up to the members of the choice's delta.
func (t *toChat) open(p *pieces) []byte {
	if t.opening == nil {
		t.opening = append(t.head.append([]byte("data: "), "chat.completion.chunk"), `[{"index":0,"delta":{`...)
	}
	p.events++
	return append(p.raw, t.opening...)
}

const deltaEnd = "},\"logprobs\":null,\"finish_reason\":null}]}\n\n"

// role tells the role, once, before everything else.
func (t *toChat) role(p *pieces) {
	if t.started {
		return
	}
	t.started = true
	p.raw = append(append(t.open(p), `"role":"assistant","content":"","refusal":null`...), deltaEnd...)
}

func (t *toChat) blockStart(p *pieces, root jsonbody.Value) {
	use := root.Get("start").Get("toolUse")
	at := count(root.Get("contentBlockIndex"))
	if use.Kind() != '{' {
		return
	}
	name, id := use.Get("name"), use.Get("toolUseId")
	if use.Get("type").String() == "server_tool_use" || name.Kind() != '"' || t.calls >= maxBlocks || t.head.legacy && t.calls > 0 {
		delete(t.tools, at)
		return
	}
	t.role(p)
	t.tools[at] = t.calls
	dst := t.open(p)
	if t.head.legacy {
		dst = append(append(dst, `"function_call":{"name":`...), name.Text...)
		dst = append(dst, `,"arguments":""}`...)
	} else {
		dst = strconv.AppendInt(append(dst, `"tool_calls":[{"index":`...), int64(t.calls), 10)
		dst = jsonbody.AppendText(append(dst, `,"id":`...), id.Inner())
		dst = append(append(dst, `,"type":"function","function":{"name":`...), name.Text...)
		dst = append(dst, `,"arguments":""}}]`...)
	}
	p.raw, p.useful = append(dst, deltaEnd...), true
	t.calls++
}

func (t *toChat) delta(p *pieces, root jsonbody.Value) {
	var at int64
	var delta jsonbody.Value
	for m := range root.Members {
		switch m.Name {
		case "contentBlockIndex":
			at = count(m)
		case "delta":
			delta = m
		}
	}
	for m := range delta.Members {
		switch m.Name {
		case "text":
			t.text(p, "content", m)
			p.text = append(p.text, m.Inner()...)
		case "toolUse":
			t.input(p, at, m.Get("input"))
		case "reasoningContent":
			t.reason(p, m)
		}
	}
}

// text tells a piece of text, or of reasoning.
func (t *toChat) text(p *pieces, member string, v jsonbody.Value) {
	if len(v.Inner()) == 0 {
		return
	}
	t.role(p)
	p.raw = append(append(jsonbody.Key(t.open(p), member), v.Text...), deltaEnd...)
	p.useful = true
}

// input tells a piece of a call's arguments.
func (t *toChat) input(p *pieces, at int64, v jsonbody.Value) {
	call, known := t.tools[at]
	if !known || len(v.Inner()) == 0 {
		return
	}
	dst := t.open(p)
	if t.head.legacy {
		dst = append(append(dst, `"function_call":{"arguments":`...), v.Text...)
		dst = append(dst, '}')
	} else {
		dst = strconv.AppendInt(append(dst, `"tool_calls":[{"index":`...), int64(call), 10)
		dst = append(append(dst, `,"function":{"arguments":`...), v.Text...)
		dst = append(dst, "}}]"...)
	}
	p.raw, p.useful = append(dst, deltaEnd...), true
}

// reason tells reasoning at once, and keeps it until its signature is there.
func (t *toChat) reason(p *pieces, v jsonbody.Value) {
	for m := range v.Members {
		switch m.Name {
		case "text":
			t.thought = append(t.thought, m.Inner()...)
			t.text(p, "reasoning_content", m)
		case "signature":
			t.signature = append(t.signature, m.Inner()...)
		case "redactedContent":
			t.redacted = append(t.redacted, slices.Clone(m.Inner()))
		}
	}
}

// blockStop tells a block of reasoning that has ended as a whole, if it is signed or not to
// be read: clients send it back so.
func (t *toChat) blockStop(p *pieces) {
	if len(t.signature) > 0 {
		dst := appendThought(append(t.open(p), `"thinking_blocks":[`...), t.thought, t.signature)
		p.raw = append(append(dst, ']'), deltaEnd...)
	}
	if len(t.redacted) > 0 {
		t.role(p)
		dst := jsonbody.AppendText(append(t.open(p), `"thinking_blocks":[{"type":"redacted_thinking","data":`...), joinedBytes(t.redacted))
		p.raw = append(append(dst, "}]"...), deltaEnd...)
	}
	t.thought, t.signature, t.redacted = t.thought[:0], t.signature[:0], nil
}

// joinedBytes joins pieces of bytes, each in base64, which may end in padding.
func joinedBytes(pieces [][]byte) []byte {
	if len(pieces) == 1 {
		return pieces[0]
	}
	var all []byte
	for _, piece := range pieces {
		var err error
		if all, err = base64.StdEncoding.AppendDecode(all, scan.Unescape(piece)); err != nil {
			return bytes.Join(pieces, nil) // nobody reads it but who wrote it
		}
	}
	return base64.StdEncoding.AppendEncode(nil, all)
}

// finish ends the stream: the usage where it was asked for, and the end mark.
func (t *toChat) finish(p *pieces) error {
	if !t.ended {
		return llm.Errorf(llm.ProviderTruncated, "the provider's stream ended before its end mark")
	}
	if t.includeUsage {
		dst := t.head.append(append(p.raw, "data: "...), "chat.completion.chunk")
		dst = appendChatUsage(append(dst, `[],"usage":`...), t.usage)
		if len(t.tier) > 0 {
			dst = jsonbody.AppendText(jsonbody.Key(dst, "service_tier"), t.tier)
		}
		p.raw = append(dst, "}\n\n"...)
		p.events++
	}
	p.raw = append(p.raw, "data: [DONE]\n\n"...)
	p.events++
	p.usage = t.usage // the chunk with the report may have had nothing to deliver
	return nil
}
