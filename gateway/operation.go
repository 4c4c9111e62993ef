package gateway

import (
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

// operation serves POST /v1/operations/{operation}: the operation's prompt and the
// payload become a chat, and its answer the specification's result.
func (g *Gateway) operation(x *visit) error {
	if _, ok := g.catalog.Operation(x.variable); !ok {
		return unknownOperation(x.variable, g.catalog.Operations())
	}
	c, err := form.ReadControls(x.r.Header)
	if err != nil {
		return err
	}
	if err := form.NoSettings(x.r.Header, x.route.Pattern); err != nil {
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
func (x *visit) operationRequest(name string, c *form.Controls, body []byte) (*llm.Request, error) {
	settings, ok := x.gateway.catalog.Operation(name)
	if !ok {
		return nil, unknownOperation(name, x.gateway.catalog.Operations())
	}
	op, err := form.ReadOperation(body, c)
	if err != nil {
		return nil, err
	}
	if op.ID != "" {
		x.id, x.named = op.ID, true
	}
	req, err := x.request(&op.Controls)
	if err != nil {
		return nil, err
	}
	req.Operation, req.Endpoint = name, llm.Chat
	req.Model = cmp.Or(op.Model, settings.Model)
	req.Body = op.Chat(req.Model, settings.Prompt)
	return req, nil
}

// runOperation makes the call and writes its result.
func (g *Gateway) runOperation(x *visit, req *llm.Request) error {
	req.Waiting, req.Notes = &x.waiting, &x.notes
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
	b = form.Quoted(append(b, `{"success":true,"requestId":`...), id)
	b = form.Quoted(append(b, `,"operation":`...), operation)
	b = append(b, `,"result":`...)
	if document := jsontext.Value(strings.TrimSpace(text)); (document.Kind() == '{' || document.Kind() == '[') && document.IsValid() {
		b = append(b, document...)
	} else {
		b = append(form.Quoted(append(b, `{"text":`...), text), '}')
	}
	b = strconv.AppendBool(append(b, `,"metadata":{"fromCache":`...), fromCache(m))
	b = strconv.AppendInt(append(b, `,"processingTime":`...), took.Milliseconds(), 10)
	b = strconv.AppendInt(append(b, `,"queueTime":`...), m.Timing.Queue.Milliseconds(), 10)
	b = form.Quoted(append(b, `,"provider":`...), cmp.Or(m.Provider, "none"))
	b = form.Quoted(append(b, `,"model":`...), cmp.Or(m.Model, "none"))
	b = strconv.AppendInt(append(b, `,"tokenCount":`...), m.Usage.Total(), 10)
	b = form.Quoted(append(b, `,"fallback":`...), cmp.Or(string(m.Fallback), "none"))
	b = strconv.AppendBool(append(b, `,"degraded":`...), m.Degraded)
	b = form.Quoted(append(b, `,"degradationLevel":`...), cmp.Or(string(m.Level), "none"))
	b = strconv.AppendInt(append(b, `,"retryCount":`...), int64(max(m.Attempts-1, 0)), 10)
	return append(b, "}}"...), nil
}
