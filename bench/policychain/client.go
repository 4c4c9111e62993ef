package policychain

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/dialect/openai"
	"github.com/forebay-ai/forebay/llm"
)

// Client is the whole request path of Forebay as a library, with two targets that
// answer at once and no use of the cache: all policies, accounting and metrics. Its stop
// closes the client.
func Client() (Chain, func(), error) {
	p := &provider{}
	c, err := forebay.New(forebay.Config{
		Providers: map[string]llm.Provider{"one": p, "two": p},
		Models:    map[string]forebay.Model{"m": {Targets: []forebay.Target{{Provider: "one", Model: "m"}, {Provider: "two", Model: "m"}}}},
	})
	if err != nil {
		return nil, nil, err
	}
	stop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Close(ctx) // nothing is in progress
	}
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"hello"}]}`)
	return func(ctx context.Context, call Call) error {
		_, err := c.Do(context.WithValue(ctx, callKey{}, call), &llm.Request{
			ID: "r", Tenant: tenant, Model: "m", Endpoint: llm.Chat, Dialect: openai.Dialect{}, Body: body,
			Cache: llm.CacheDirectives{NoRead: true, NoWrite: true},
		})
		return err
	}, stop, nil
}

type callKey struct{}

// provider makes the call that it finds in its context.
type provider struct{}

// Call implements llm.Provider.
func (*provider) Call(ctx context.Context, _ string, _ *llm.Request) (llm.Stream, error) {
	call, ok := ctx.Value(callKey{}).(Call)
	if !ok {
		return nil, &llm.Error{Kind: llm.ForebayInternal, Message: "no call in the context"}
	}
	if err := call(ctx); err != nil {
		if errors.Is(err, ErrFailed) {
			return nil, &llm.Error{Kind: llm.ProviderError, Message: "failed", Err: err}
		}
		return nil, llm.AsError(err)
	}
	return &answer{}, nil
}

// answer is a whole answer.
type answer struct{ given bool }

var said = []byte(`{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},` +
	`"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`) // never changed

// Next implements llm.Stream.
func (a *answer) Next() (llm.Chunk, error) {
	if a.given {
		return llm.Chunk{}, io.EOF
	}
	a.given = true
	return llm.Chunk{Raw: said, Events: 1, Last: true, Useful: true, Usage: llm.Usage{Input: 10, Output: 5}, Finish: llm.FinishStop}, nil
}

// Close implements llm.Stream.
func (a *answer) Close() error { return nil }
