package translate

import "github.com/forebay-ai/forebay/dialect/translate/internal/request"

import (
	"context"
	"io"
	"time"

	"github.com/forebay-ai/forebay/dialect/bedrock"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// Provider puts p behind a translation: the provider that it returns answers chats in
// dialect openai and in dialect bedrock-converse, whichever of these p speaks, and
// embeddings of both. speaks is p's own dialect, openai.Dialect or bedrock.Converse; with
// any other one p is returned as it is. A provider that speaks bedrock-converse is taken
// to speak bedrock-invoke too.
//
// Requests in p's own dialect, those for functions, and those in a dialect that is
// unknown here go to p as they are. Of the others p gets a copy with Dialect, Body,
// Endpoint and Model set; members that the copy has no place for are told to req.Notes.
// The result is an llm.Chooser too: such requests go to another target of the model where it
// has one that takes them. That is so for calls that have no counterpart in p's dialect
// (InvokeModel but for vectors, and CountTokens), not for what stands in a body.
//
// What comes back is in the caller's dialect, whole or streamed as asked, each chunk as
// soon as p gives its own. A request that cannot be translated is refused with
// CallerInvalidRequest before p is called. p's errors pass as they are.
//
// Several inputs of an embeddings request may need several calls of p: at most 64, of
// which 4 run at a time. The first that fails ends the others; what those used that had
// succeeded is in a chunk before the error.
//
// The optional interfaces stay visible: the result is an llm.ModelLister, or has Forward,
// where p is or has; Close closes p where that can be closed. It may be used concurrently
// where p may.
func Provider(p llm.Provider, speaks llm.Dialect) llm.Provider {
	if speaks == nil || speaks.Name() != openai.Name && speaks.Name() != bedrock.NameConverse {
		return p
	}
	t := &translator{inner: p, bedrock: speaks.Name() == bedrock.NameConverse}
	lister, lists := p.(llm.ModelLister)
	carrier, carries := p.(forwarder)
	switch {
	case lists && carries:
		return listerForwarder{t, lister, carrier}
	case lists:
		return listing{t, lister}
	case carries:
		return carrying{t, carrier}
	}
	return t
}

// forwarder is implemented by providers that pass HTTP exchanges through unread.
type forwarder interface {
	Forward(ctx context.Context, method, path, rawQuery string, body []byte) (status int, contentType string, answer []byte, err error)
}

// What a provider can do beside answering calls. Close is with all of them, since it
// does nothing where there is nothing to close.
type (
	listing struct {
		*translator
		llm.ModelLister
	}
	carrying struct {
		*translator
		forwarder
	}
	listerForwarder struct {
		*translator
		llm.ModelLister
		forwarder
	}
)

// translator is a provider behind a translation.
type translator struct {
	inner   llm.Provider
	bedrock bool // it speaks Converse and Invoke; otherwise OpenAI's
}

// Close closes the provider.
func (t *translator) Close() error {
	if c, ok := t.inner.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Call passes req on, translated where that is needed.
func (t *translator) Call(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	if req.Dialect == nil || req.Endpoint == llm.Function {
		return t.inner.Call(ctx, model, req)
	}
	if !t.Takes(req) {
		return nil, untaken(model, req)
	}
	switch name := req.Dialect.Name(); {
	case t.bedrock && name == openai.Name:
		if req.Endpoint == llm.Embeddings {
			return t.embedOnBedrock(ctx, model, req)
		}
		return t.chatOnBedrock(ctx, model, req)
	case !t.bedrock && name == bedrock.NameConverse:
		return t.converseOnChat(ctx, model, req)
	case !t.bedrock && name == bedrock.NameInvoke:
		return t.embedOnOpenAI(ctx, model, req)
	}
	return t.inner.Call(ctx, model, req)
}

// Takes says whether there is a way to ask the provider for what req asks: Bedrock counts
// tokens and takes InvokeModel, of which others get those for vectors alone.
func (t *translator) Takes(req *llm.Request) bool {
	if t.bedrock || req.Dialect == nil || req.Endpoint == llm.Function {
		return true
	}
	return req.Endpoint != llm.CountTokens &&
		(req.Dialect.Name() != bedrock.NameInvoke || req.Endpoint == llm.Embeddings && req.Settings == "")
}

// untaken refuses what Takes does not take. Tokens are not estimated: an estimate would
// pass for a count, and programs that fill a context window would go wrong by it.
func untaken(model string, req *llm.Request) *llm.Error {
	e := &llm.Error{
		Kind: llm.CallerInvalidRequest, Model: model,
		Message: "calls of InvokeModel are a certain model's own, and are not translated for models of other providers",
		Fix:     "Use Converse or ConverseStream, or ask a model of Bedrock.",
	}
	if req.Endpoint == llm.CountTokens {
		e.Message, e.Fix = "the model's provider does not count tokens", "Ask a model of Bedrock, or take the usage that answers report."
	}
	return e
}

// target is the model that is asked.
func target(model string, req *llm.Request) string {
	if model == "" {
		return req.Model
	}
	return model
}

// chatOnBedrock answers a chat completion by Converse.
func (t *translator) chatOnBedrock(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	model = target(model, req)
	c := request.ChatToConverse(req.Body, isNova(model))
	if c.Err != nil {
		return nil, c.Err
	}
	req.Notes.Dropped(c.Dropped...)
	inner := *req
	inner.Dialect, inner.Endpoint, inner.Body, inner.Model = bedrock.Converse{}, llm.Chat, c.Out, model
	s, err := t.inner.Call(ctx, model, &inner)
	if err != nil {
		return nil, err
	}
	head := answerHead{id: "chatcmpl-" + req.ID, model: model, created: time.Now().Unix(), legacy: c.Legacy}
	if !req.Stream {
		return &whole{inner: s, model: model, translate: func(body []byte) (llm.Chunk, error) { return chatAnswer(head, body) }}, nil
	}
	events := newToChat(head, c.IncludeUsage)
	return &stream{inner: s, model: model, events: chatSide{events}}, nil
}

// converseOnChat answers a call of Converse by a chat completion.
func (t *translator) converseOnChat(ctx context.Context, model string, req *llm.Request) (llm.Stream, error) {
	model = target(model, req)
	c := request.ConverseToChat(req.Body, model, req.Stream)
	if c.Err != nil {
		return nil, c.Err
	}
	req.Notes.Dropped(c.Dropped...)
	inner := *req
	inner.Dialect, inner.Endpoint, inner.Body, inner.Model = openai.Dialect{}, llm.Chat, c.Out, model
	began := time.Now()
	s, err := t.inner.Call(ctx, model, &inner)
	if err != nil {
		return nil, err
	}
	if !req.Stream {
		return &whole{inner: s, model: model, translate: func(body []byte) (llm.Chunk, error) {
			return converseAnswer(body, time.Since(began).Milliseconds())
		}}, nil
	}
	return &stream{inner: s, model: model, events: &converseSide{began: began}}, nil
}
