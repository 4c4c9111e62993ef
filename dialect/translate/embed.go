package translate

import "github.com/forebay-ai/forebay/dialect/translate/internal/jsonbody"

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/internal/scan"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

const (
	// maxEmbedCalls bounds the calls that one request for vectors may become.
	maxEmbedCalls = 64
	// embedAtOnce is how many of them run at a time.
	embedAtOnce = 4
)

// embedOnBedrock answers a request for vectors by one or several calls of InvokeModel.
func (t *translator) embedOnBedrock(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	model = target(model, req)
	e := embedRequest(req.Body, model)
	if e.Err != nil {
		return nil, e.Err
	}
	req.Notes.Dropped(e.Dropped...)
	inner := *req
	inner.Dialect, inner.Model, inner.Stream = bedrock.Invoke{}, model, false
	answers, err := t.callEach(ctx, model, &inner, e.bodies())
	var chunk llm.Chunk
	if err == nil {
		if chunk, err = e.answer(model, answers); err != nil {
			err = about(err, model)
		}
	}
	if err == nil {
		return &llm.OneChunk{Chunk: chunk}, nil
	}
	var spent llm.Usage
	for _, a := range answers {
		spent = spent.Plus(vectorUsage(a))
	}
	if spent.IsZero() {
		return nil, err
	}
	return &partly{spent: spent, err: err}, nil
}

// partly is the answer of several calls one of which failed: it tells what the others used,
// so that it is booked, and then the failure.
type partly struct {
	spent llm.Usage
	told  bool
	err   error
}

// Next implements llm.Stream.
func (p *partly) Next() (llm.Chunk, error) {
	if p.told {
		return llm.Chunk{}, p.err
	}
	p.told = true
	return llm.Chunk{Usage: p.spent}, nil
}

// Close implements llm.Stream.
func (*partly) Close() error { return nil }

// vectorUsage is what a call for vectors used. Titan reports it in the body.
func vectorUsage(a llm.Response) llm.Usage {
	if a.Usage.IsZero() && len(a.Body) > 0 {
		if root, err := answerRoot(a.Body); err == nil {
			a.Usage.Input = count(root.Get("inputTextTokenCount"))
		}
	}
	return a.Usage
}

// callEach calls the provider with each of the bodies, a few at a time, and returns the
// answers in their order. The first failure ends the other calls, and is the error.
func (t *translator) callEach(ctx context.Context, model string, req *llm.Request, bodies [][]byte) ([]llm.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make([]llm.Response, len(bodies))
	var (
		next    atomic.Int64
		failed  sync.Once
		failure error
		workers sync.WaitGroup
	)
	work := func() {
		for i := int(next.Add(1)) - 1; i < len(bodies); i = int(next.Add(1)) - 1 {
			one := *req
			one.Body = bodies[i]
			var err error
			if answers[i], err = t.callOnce(ctx, model, &one); err != nil {
				failed.Do(func() { failure = err })
				cancel()
				return
			}
		}
	}
	for range min(embedAtOnce, len(bodies)) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
	return answers, failure
}

func (t *translator) callOnce(ctx context.Context, model string, req *llm.Request) (llm.Response, error) {
	s, err := t.inner.Call(ctx, model, req)
	if err != nil {
		return llm.Response{}, err
	}
	return llm.Collect(s)
}

var embedTable = jsonbody.Index(embeddingsMembers)

// embedCall is a request for vectors in OpenAI's format on its way to a model of Bedrock.
type embedCall struct {
	jsonbody.Task
	form       vectorForm
	inputs     []jsonbody.Value
	dimensions jsonbody.Value
	inputType  jsonbody.Value
	base64     bool
}

func embedRequest(body []byte, model string) *embedCall {
	e := &embedCall{Task: jsonbody.Task{Body: body, Table: embedTable}}
	root := e.Root()
	var input jsonbody.Value
	for m := range root.Members {
		switch m.Name {
		case "input":
			input = m
		case "dimensions":
			e.dimensions = m
		case "input_type":
			e.inputType = m
		case "encoding_format":
			e.base64 = m.String() == "base64"
		case "model", "cache", "user":
			e.Other(m)
		default:
			if !m.Empty() {
				e.Drop(m) // a row of the table may be another format's
			}
		}
	}
	if e.Err != nil {
		return e
	}
	if e.form = vectorFormOf(model); e.form.batch == 0 {
		e.Err = unknownVectors(model)
		return e
	}
	e.readInputs(root, input)
	e.Number(e.dimensions)
	if n := e.form.fixed; e.Err == nil && e.dimensions.Given() && n > 0 {
		if scan.Integer(e.dimensions.Text) != n {
			e.Refuse(e.dimensions, "cannot be had: the vectors of "+jsonbody.Printable(model)+" have the length "+strconv.FormatInt(n, 10), "Leave it out, or ask another model.")
		}
		e.dimensions = jsonbody.Value{}
	}
	return e
}

func unknownVectors(model string) *llm.Error {
	return &llm.Error{
		Kind: llm.CallerInvalidRequest, Param: "model", Model: model,
		Message: "the bodies of the model " + jsonbody.Printable(model) + " for vectors are not known here",
		Fix:     "Use a model of Amazon Titan Embeddings or Cohere Embed, under its own id.",
	}
}

func (e *embedCall) readInputs(root, input jsonbody.Value) {
	switch {
	case input.Kind() == '"':
		e.inputs = []jsonbody.Value{input}
	case input.Kind() == '[':
		for v := range input.Elements {
			if v.Kind() != '"' {
				e.Refuse(v, "is no text: tokens mean something to the model alone that they were made for", "Send texts.")
				return
			}
			e.inputs = append(e.inputs, v)
		}
	case input.Given():
		e.Mistyped(input, "a string or an array")
		return
	}
	if len(e.inputs) == 0 {
		e.Err = jsonbody.Missing("input")
		e.Err.Fix = "Send at least one text."
		return
	}
	if most := maxEmbedCalls * e.form.batch; len(e.inputs) > most {
		e.Refuse(input, "has more texts than are embedded in one request: this model takes "+strconv.Itoa(e.form.batch)+" in a call", "Send fewer texts at a time.")
		e.Err.Limit, e.Err.Value = "texts in a request", strconv.Itoa(most)
	}
}

// bodies are those of the calls that are needed.
func (e *embedCall) bodies() [][]byte {
	var bodies [][]byte
	for rest := e.inputs; len(rest) > 0; {
		n := min(len(rest), e.form.batch)
		bodies = append(bodies, e.form.body(e, rest[:n]))
		rest = rest[n:]
	}
	return bodies
}

// answer puts the answers of the calls together.
func (e *embedCall) answer(model string, answers []llm.Response) (llm.Chunk, error) {
	dst := []byte(`{"object":"list","data":[`)
	var used llm.Usage
	n := 0
	for i, a := range answers {
		root, err := answerRoot(a.Body)
		if err != nil {
			return llm.Chunk{}, err
		}
		vectors := vectorsOf(root)
		if len(vectors) != min(e.form.batch, len(e.inputs)-i*e.form.batch) {
			return llm.Chunk{}, llm.Errorf(llm.ProviderMalformed, "the provider's answer has another number of vectors than there were texts")
		}
		used = used.Plus(vectorUsage(a))
		for _, v := range vectors {
			dst = strconv.AppendInt(append(jsonbody.Comma(dst), `{"object":"embedding","index":`...), int64(n), 10)
			dst = append(v.append(append(dst, `,"embedding":`...), e.base64), '}')
			n++
		}
	}
	dst = scan.AppendString(append(dst, `],"model":`...), model)
	dst = strconv.AppendInt(append(dst, `,"usage":{"prompt_tokens":`...), used.Total(), 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), used.Total(), 10)
	return llm.Chunk{Raw: append(dst, "}}"...), Events: 1, Last: true, Useful: true, Usage: used, Model: model}, nil
}

// embedOnOpenAI answers a call of InvokeModel for vectors by OpenAI's endpoint.
func (t *translator) embedOnOpenAI(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	v := invokeVectors(req.Body, req.Model, target(model, req))
	if v.Err != nil {
		return nil, v.Err
	}
	req.Notes.Dropped(v.Dropped...)
	inner := *req
	inner.Dialect, inner.Body, inner.Model, inner.Stream = openai.Dialect{}, v.out, target(model, req), false
	s, err := t.inner.Call(ctx, inner.Model, &inner)
	if err != nil {
		return nil, err
	}
	return &whole{inner: s, model: inner.Model, translate: v.answer}, nil
}
