package form

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// OperationCall is the body of POST /v1/operations/{operation}.
type OperationCall struct {
	Payload []byte // canonical JSON
	Model   string // empty: the operation's own
	ID      string // empty: the request's own
	// Controls has what the body says of user, persona, priority and timeout.
	Controls
}

// operationMembers are the members that the body may have.
var operationMembers = []string{"payload", "userId", "personaType", "priority", "timeoutMs", "requestId", "model"}

// ReadOperation reads body strictly: one object of known members, each at most
// once. c holds what the headers say; the body counts more.
func ReadOperation(body []byte, c *Controls) (OperationCall, error) {
	op := OperationCall{Controls: *c}
	canonical, err := openai.Dialect{}.Canonical(nil, &llm.Request{Endpoint: llm.Function, Body: body}, true)
	if err != nil {
		return op, err
	}
	if depth(canonical) > openai.MaxDepth {
		e := Member("", "the body is nested too deep", "Send a flatter body.")
		e.Limit, e.Value = "json_depth", strconv.Itoa(openai.MaxDepth)
		return op, e
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(canonical))
	if d.PeekKind() != '{' {
		return op, Member("", "the body is not a JSON object", `Send {"payload": ...}.`)
	}
	_, _ = d.ReadToken() // the text is known to be well formed, so nothing fails from here on
	for d.PeekKind() == '"' {
		name, _ := d.ReadToken()
		member := name.String()
		value, _ := d.ReadValue()
		if err := op.member(member, value); err != nil {
			return op, err
		}
	}
	if op.Payload == nil {
		return op, Member("payload", "is missing", `Send {"payload": ...} with any JSON value.`)
	}
	return op, nil
}

// depth is how deep objects and arrays of a well-formed text are nested.
func depth(text []byte) int {
	level, deepest, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

// member takes in one member of the body.
func (op *OperationCall) member(name string, value jsontext.Value) *llm.Error {
	switch name {
	case "payload":
		op.Payload = bytes.Clone(value)
		return nil
	case "timeoutMs":
		return op.readTimeoutMs(value)
	case "userId", "personaType", "priority", "requestId", "model":
		if value.Kind() == 'n' {
			return nil // null stands for an absent member
		}
		if value.Kind() != '"' {
			return Member(name, "is not a string", "Send a string.")
		}
		unquoted, _ := jsontext.AppendUnquote(nil, value)
		return op.textMember(name, string(unquoted))
	}
	return Member(Printable(name, 64), "is not known"+near.DidYouMean(name, operationMembers),
		"Send members of "+strings.Join(operationMembers, ", ")+" only.")
}

// readTimeoutMs reads timeoutMs, whose bounds are those of x-forebay-timeout.
func (op *OperationCall) readTimeoutMs(value jsontext.Value) *llm.Error {
	if value.Kind() == 'n' {
		return nil
	}
	ms, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || ms < minTimeout.Milliseconds() || ms > MaxTimeout.Milliseconds() {
		e := Member("timeoutMs", "is no whole number of milliseconds within its bounds", "Send a number such as 25000.")
		return Bound(e, fmt.Sprintf("%d to %d", minTimeout.Milliseconds(), MaxTimeout.Milliseconds()))
	}
	op.Timeout = time.Duration(ms) * time.Millisecond
	return nil
}

// textMember takes in a member that is a string.
func (op *OperationCall) textMember(name, value string) *llm.Error {
	switch name {
	case "priority":
		p, err := Priority(value, Member, name)
		op.Priority, op.HasPriority = p, true
		return err
	case "requestId":
		if !ValidID(value) {
			return Bound(Member(name, "is no id", "Send 1 to 128 visible ASCII characters."), strconv.Itoa(MaxID)+" characters")
		}
		op.ID = value
		return nil
	}
	if err := Name(value, Member, name); err != nil {
		return err
	}
	switch name {
	case "userId":
		op.User = value
	case "personaType":
		op.Persona = value
	case "model":
		op.Model = value
	}
	return nil
}

// Chat is the chat in the OpenAI format that asks for an operation with a prompt.
func (op *OperationCall) Chat(model, prompt string) []byte {
	b := make([]byte, 0, len(prompt)+len(op.Payload)*5/4+128)
	b = Quoted(append(b, `{"model":`...), model)
	b = append(b, `,"messages":[`...)
	if prompt != "" {
		b = Quoted(append(b, `{"role":"system","content":`...), prompt)
		b = append(b, "},"...)
	}
	b = Quoted(append(b, `{"role":"user","content":`...), string(op.Payload))
	return append(b, "}]}"...)
}

// Quoted appends s as a JSON string; bytes that are not UTF-8 are replaced.
func Quoted(b []byte, s string) []byte {
	quoted, _ := jsontext.AppendQuote(b, s) // the error says only that bytes were replaced
	return quoted
}
