package gateway

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/internal/near"
	"github.com/forebay-ai/forebay/llm"
)

// operationCall is the body of POST /v1/operations/{operation}.
type operationCall struct {
	payload []byte // canonical JSON
	model   string // empty: the operation's own
	id      string // empty: the request's own
	// controls has what the body says of user, persona, priority and timeout.
	controls
}

// operationMembers are the members that the body may have.
var operationMembers = []string{"payload", "userId", "personaType", "priority", "timeoutMs", "requestId", "model"}

// readOperation reads body strictly: one object of known members, each at most
// once. c holds what the headers say; the body counts more.
func readOperation(body []byte, c *controls) (operationCall, error) {
	op := operationCall{controls: *c}
	canonical, err := openai.Dialect{}.Canonical(nil, &llm.Request{Endpoint: llm.Function, Body: body}, true)
	if err != nil {
		return op, err
	}
	if depth(canonical) > openai.MaxDepth {
		e := form.Member("", "the body is nested too deep", "Send a flatter body.")
		e.Limit, e.Value = "json_depth", strconv.Itoa(openai.MaxDepth)
		return op, e
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(canonical))
	if d.PeekKind() != '{' {
		return op, form.Member("", "the body is not a JSON object", `Send {"payload": ...}.`)
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
	if op.payload == nil {
		return op, form.Member("payload", "is missing", `Send {"payload": ...} with any JSON value.`)
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
func (op *operationCall) member(name string, value jsontext.Value) *llm.Error {
	switch name {
	case "payload":
		op.payload = bytes.Clone(value)
		return nil
	case "timeoutMs":
		return op.readTimeoutMs(value)
	case "userId", "personaType", "priority", "requestId", "model":
		if value.Kind() == 'n' {
			return nil // null stands for an absent member
		}
		if value.Kind() != '"' {
			return form.Member(name, "is not a string", "Send a string.")
		}
		unquoted, _ := jsontext.AppendUnquote(nil, value)
		return op.textMember(name, string(unquoted))
	}
	return form.Member(form.Printable(name, 64), "is not known"+near.DidYouMean(name, operationMembers),
		"Send members of "+strings.Join(operationMembers, ", ")+" only.")
}

// readTimeoutMs reads timeoutMs, whose bounds are those of x-forebay-timeout.
func (op *operationCall) readTimeoutMs(value jsontext.Value) *llm.Error {
	if value.Kind() == 'n' {
		return nil
	}
	ms, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || ms < minTimeout.Milliseconds() || ms > maxTimeout.Milliseconds() {
		e := form.Member("timeoutMs", "is no whole number of milliseconds within its bounds", "Send a number such as 25000.")
		return form.Bound(e, fmt.Sprintf("%d to %d", minTimeout.Milliseconds(), maxTimeout.Milliseconds()))
	}
	op.timeout = time.Duration(ms) * time.Millisecond
	return nil
}

// textMember takes in a member that is a string.
func (op *operationCall) textMember(name, value string) *llm.Error {
	switch name {
	case "priority":
		p, err := form.Priority(value, form.Member, name)
		op.priority, op.hasPriority = p, true
		return err
	case "requestId":
		if !validID(value) {
			return form.Bound(form.Member(name, "is no id", "Send 1 to 128 visible ASCII characters."), strconv.Itoa(maxID)+" characters")
		}
		op.id = value
		return nil
	}
	if err := form.Name(value, form.Member, name); err != nil {
		return err
	}
	switch name {
	case "userId":
		op.user = value
	case "personaType":
		op.persona = value
	case "model":
		op.model = value
	}
	return nil
}

// operation serves POST /v1/operations/{operation}: the operation's prompt and the
// payload become a chat, and its answer the specification's result.
func (g *Gateway) operation(x *visit) error {
	if _, ok := g.catalog.Operation(x.variable); !ok {
		return unknownOperation(x.variable, g.catalog.Operations())
	}
	c, err := readControls(x.r.Header)
	if err != nil {
		return err
	}
	job, err := x.asJob(&c)
	if err != nil {
		return err
	}
	body, err := x.readJSON()
	if err != nil {
		return err
	}
	req, err := x.operationRequest(x.variable, &c, body)
	switch {
	case err != nil:
		return err
	case job != nil:
		job.asOperation(x)
		return g.enqueue(x, req, job)
	}
	return g.runOperation(x, req)
}

// operationRequest makes the request of a body for a named operation.
func (x *visit) operationRequest(name string, c *controls, body []byte) (*llm.Request, error) {
	settings, ok := x.gateway.catalog.Operation(name)
	if !ok {
		return nil, unknownOperation(name, x.gateway.catalog.Operations())
	}
	op, err := readOperation(body, c)
	if err != nil {
		return nil, err
	}
	if op.id != "" {
		x.id, x.named = op.id, true
	}
	req, err := x.request(&op.controls)
	if err != nil {
		return nil, err
	}
	req.Operation, req.Endpoint = name, llm.Chat
	req.Model = cmp.Or(op.model, settings.Model)
	req.Body = chatBody(req.Model, settings.Prompt, op.payload)
	return req, nil
}

// runOperation makes the call and writes its result.
func (g *Gateway) runOperation(x *visit, req *llm.Request) error {
	req.Waiting = &x.waiting
	res, err := g.caller.Do(x.r.Context(), req)
	if err != nil {
		return err
	}
	x.meta, x.called, x.costKnown = res.Meta, true, true
	result, err := operationResult(res, x.variable, x.id, time.Since(x.start))
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, jsonType, result)
}

// maxListed bounds how many names an error lists.
const maxListed = 20

func unknownOperation(name string, known []string) *llm.Error {
	known = slices.Clone(known)
	e := &llm.Error{
		Kind: llm.CallerUnknownOperation, Param: "operation",
		Message: "there is no operation " + strconv.Quote(form.Printable(name, 64)) + near.DidYouMean(name, known),
		Fix:     "No operation is configured.",
	}
	if more := len(known) - maxListed; more > 0 {
		known = append(known[:maxListed], fmt.Sprintf("and %d more", more))
	}
	if len(known) > 0 {
		e.Fix = "Use one of " + strings.Join(known, ", ") + "."
	}
	return e
}

// chatBody is the chat that asks for an operation.
func chatBody(model, prompt string, payload []byte) []byte {
	b := make([]byte, 0, len(prompt)+len(payload)*5/4+128)
	b = appendQuoted(append(b, `{"model":`...), model)
	b = append(b, `,"messages":[`...)
	if prompt != "" {
		b = appendQuoted(append(b, `{"role":"system","content":`...), prompt)
		b = append(b, "},"...)
	}
	b = appendQuoted(append(b, `{"role":"user","content":`...), string(payload))
	return append(b, "}]}"...)
}

// fromCache says that the cache answered, with an answer to this very request.
func fromCache(m *forebay.Meta) bool {
	return m.Cache.Status == forebay.CacheHit || m.Cache.Status == forebay.CacheStaleHit
}

// operationResult is the specification's form of an answer to a request of this id
// that took so long. result is the answer's text, or what the text says where it is a
// JSON object or array.
func operationResult(res *forebay.Response, operation, id string, took time.Duration) ([]byte, error) {
	whole, err := openai.ReadWhole(llm.Chat, res.Body)
	if err != nil {
		return nil, err
	}
	text := ""
	if whole.Text != nil {
		text = whole.Text()
	}
	m := &res.Meta
	b := make([]byte, 0, len(text)*5/4+512)
	b = appendQuoted(append(b, `{"success":true,"requestId":`...), id)
	b = appendQuoted(append(b, `,"operation":`...), operation)
	b = append(b, `,"result":`...)
	if document := jsontext.Value(strings.TrimSpace(text)); (document.Kind() == '{' || document.Kind() == '[') && document.IsValid() {
		b = append(b, document...)
	} else {
		b = append(appendQuoted(append(b, `{"text":`...), text), '}')
	}
	b = strconv.AppendBool(append(b, `,"metadata":{"fromCache":`...), fromCache(m))
	b = strconv.AppendInt(append(b, `,"processingTime":`...), took.Milliseconds(), 10)
	b = strconv.AppendInt(append(b, `,"queueTime":`...), m.Timing.Queue.Milliseconds(), 10)
	b = appendQuoted(append(b, `,"provider":`...), cmp.Or(m.Provider, "none"))
	b = appendQuoted(append(b, `,"model":`...), cmp.Or(m.Model, "none"))
	b = strconv.AppendInt(append(b, `,"tokenCount":`...), m.Usage.Total(), 10)
	b = appendQuoted(append(b, `,"fallback":`...), cmp.Or(string(m.Fallback), "none"))
	b = strconv.AppendBool(append(b, `,"degraded":`...), m.Degraded)
	b = appendQuoted(append(b, `,"degradationLevel":`...), cmp.Or(string(m.Level), "none"))
	b = strconv.AppendInt(append(b, `,"retryCount":`...), int64(max(m.Attempts-1, 0)), 10)
	return append(b, "}}"...), nil
}
