package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/gateway/form"
	"github.com/forebay-ai/forebay/llm"
)

// The Bedrock door: what the AWS SDKs call where their endpoint is set to this gateway's
// address with /bedrock behind it.
const (
	doorBedrock = "/bedrock"
	pathBedrock = doorBedrock + "/"
	pathModels  = pathBedrock + "model/"
)

// bedrockCall is one of the calls of Bedrock's runtime.
type bedrockCall struct {
	name                  string // the path's last segment
	invoke, stream, count bool
	doc                   string
}

func bedrockCalls() []bedrockCall {
	return []bedrockCall{
		{name: "converse", doc: "A conversation in the form of Bedrock's Converse, for AWS SDKs with this endpoint."},
		{name: "converse-stream", stream: true, doc: "The same as a stream of events (ConverseStream)."},
		{name: "invoke", invoke: true, doc: "A call in the model's own form (InvokeModel): Anthropic, Nova, Titan; embeddings too."},
		{name: "invoke-with-response-stream", invoke: true, stream: true, doc: "The same as a stream of events (InvokeModelWithResponseStream)."},
		{name: "count-tokens", count: true, doc: "How many tokens a body of Converse or InvokeModel has (CountTokens). Costs nothing."},
	}
}

// bedrockRoutes are the routes of the door. Their paths are matched as they were sent,
// escapes included, because ids of models have slashes and colons.
func bedrockRoutes() []route {
	var all []route
	for _, call := range bedrockCalls() {
		all = append(all, route{
			Route: Route{"POST", pathModels + "{id}/" + call.name, access.Call, call.doc}, style: aws,
			handle: func(g *Gateway, x *visit) error { return g.bedrock(x, call) },
		})
	}
	return all
}

// bedrock serves a call.
func (g *Gateway) bedrock(x *visit, call bedrockCall) error {
	model, err := modelID(x.variable)
	if err != nil {
		return err
	}
	settings, err := call.settings(x)
	if err != nil {
		return err
	}
	if call.stream {
		x.set("X-Amzn-Bedrock-Content-Type", jsonType) // of what is in the events
	}
	fill := func(req *llm.Request, body []byte) error {
		req.Settings, req.Repeated = settings, repeated(x.r.Header)
		return call.fill(req, model, body)
	}
	if call.invoke {
		return g.complete(x, fill, "application/octet-stream") // which SDKs send where the program names no type
	}
	return g.complete(x, fill)
}

// repeated says that an AWS SDK has sent this request before. It tries again, by status and
// type, what we have tried again already, and knows no x-should-retry; so from its second
// attempt on we leave that to it.
func repeated(h http.Header) bool {
	for part := range strings.SplitSeq(h.Get("Amz-Sdk-Request"), ";") {
		if n, ok := strings.CutPrefix(strings.TrimSpace(part), "attempt="); ok {
			return n != "1"
		}
	}
	return false
}

// bedrockCallAt finds the call that a path of the door is for, and the model's id as it
// stands there; nil for other paths.
func bedrockCallAt(path string) (call *bedrockCall, id string) {
	rest, ok := strings.CutPrefix(path, pathModels)
	if i := strings.LastIndexByte(rest, '/'); ok && i > 0 {
		for _, c := range bedrockCalls() {
			if c.name == rest[i+1:] {
				return &c, rest[:i]
			}
		}
	}
	return nil, ""
}

// bedrockRequest makes the request that body would be at a path of the door. It is for
// requests whose answers are kept, so for calls with a whole answer.
func (x *visit) bedrockRequest(call *bedrockCall, id string, c *form.Controls, body []byte) (*llm.Request, error) {
	if call.stream || call.count {
		return nil, &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "path", Message: "Bedrock's " + call.name + " cannot be named here",
			Fix: "Name a call with a whole answer: converse or invoke.",
		}
	}
	model, err := modelID(id)
	if err != nil {
		return nil, err
	}
	settings := llm.Settings("")
	if x.r != nil { // else a line of a file
		if settings, err = call.settings(x); err != nil {
			return nil, err
		}
	}
	req, err := x.request(c)
	if err == nil {
		req.Settings = settings
		err = call.fill(req, model, body)
	}
	return req, err
}

// fill puts a body into req.
func (c *bedrockCall) fill(req *llm.Request, model string, body []byte) (err error) {
	if c.count {
		counted := bedrockCall{}
		if body, counted.invoke, err = form.Counted(body); err == nil {
			err = counted.fill(req, model, body)
		}
		req.Endpoint = llm.CountTokens
		return err
	}
	req.Dialect, req.Endpoint = bedrock.Converse{}, llm.Chat
	if c.invoke {
		req.Dialect = bedrock.Invoke{}
		if bedrock.IsEmbeddings(model) {
			req.Endpoint = llm.Embeddings
		}
		var head bedrock.Head
		if head, err = bedrock.ParseInvoke(model, body); req.User == "" {
			req.User = bounded(head.User)
		}
	} else {
		_, err = bedrock.ParseConverse(body)
	}
	req.Model, req.Stream, req.Body = model, c.stream, body
	if err == nil && form.NamesS3(body) {
		return &llm.Error{
			Kind: llm.CallerInvalidRequest, Param: "s3Location", Message: "a location in S3 is not passed on: it would be read with the gateway's rights",
			Fix: "Send the bytes in place of the location.",
		}
	}
	return err
}

// settings are what a request says in headers; where they would not reach a model it is
// refused.
func (c *bedrockCall) settings(x *visit) (llm.Settings, error) {
	h := x.r.Header
	if (c.stream || c.count) && form.Prefer(h["Prefer"]).Async {
		return "", form.Header("Prefer", "asks for a job of "+c.name, "Jobs are made of converse and invoke.")
	}
	if !c.invoke {
		return "", form.NoSettings(h, c.name)
	}
	settings, dropped, err := form.Settings(h)
	x.notes.Dropped(dropped...)
	return settings, err
}

// modelID reads the id of a model in a path, as it was sent: escaped or not, with the
// same meaning. What is left over after that is refused, so that nobody on the way can
// take the path for another: escapes within escapes, and segments that lead elsewhere.
func modelID(escaped string) (string, error) {
	id, err := url.PathUnescape(escaped)
	fault := ""
	switch {
	case err != nil || strings.ContainsFunc(id, notOfModels):
		fault = "has characters that no model's name has"
	case len(id) > form.MaxName:
		return "", checkModel(id)
	}
	for segment := range strings.SplitSeq(id, "/") {
		if segment == "" || segment == "." || segment == ".." {
			fault = "has a segment that is empty or made of dots"
		}
	}
	if fault == "" {
		return id, nil
	}
	return "", &llm.Error{
		Kind: llm.CallerInvalidRequest, Param: "modelId", Message: "the model's id in the path " + fault,
		Fix: "Send a name under models, an id or an ARN of Bedrock, escaped once: letters, digits and - . _ : / @ + ~",
	}
}

// notOfModels says that a character is in no model's name.
func notOfModels(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._:/@+~", c)
}

// matchModels finds the routes of a path below the door, as it was sent. The path's last
// segment names the call, and all between is the model's id: it may hold slashes, but
// begins and ends where there is one way to see it.
func (t *table) matchModels(escaped string) (found []*route, variable string) {
	for i := range t.models {
		p := &t.models[i]
		if len(escaped) > len(p.prefix)+len(p.suffix) && strings.HasPrefix(escaped, p.prefix) && strings.HasSuffix(escaped, p.suffix) {
			return p.routes, escaped[len(p.prefix) : len(escaped)-len(p.suffix)]
		}
	}
	return nil, ""
}
