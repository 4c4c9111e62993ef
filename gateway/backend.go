package gateway

import (
	"context"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/llm"
)

// caller runs requests.
type caller interface {
	Do(ctx context.Context, req *llm.Request) (*forebay.Response, error)
	Stream(ctx context.Context, req *llm.Request) (answer, error)
	Forward(ctx context.Context, model string, x forebay.Exchange) (forebay.ExchangeAnswer, error)
}

// answer is a streamed answer, as forebay.Stream gives it.
type answer interface {
	Next() (llm.Chunk, error)
	Close() error
	Meta() forebay.Meta
}

// catalog says what may be asked for.
type catalog interface {
	Models(ctx context.Context) ([]llm.ModelInfo, error)
	Operation(name string) (forebay.Operation, bool)
	Operations() []string
}

// condition says how the client is.
type condition interface {
	Health() forebay.Health
	Ready() error
	Load() forebay.Load
}

// library is a forebay.Client as a caller: it only widens the type of a stream.
type library struct{ *forebay.Client }

// Stream is that of the client. An error comes with a nil answer, not with a nil
// *forebay.Stream inside one.
func (l library) Stream(ctx context.Context, req *llm.Request) (answer, error) {
	s, err := l.Client.Stream(ctx, req)
	if err != nil {
		return nil, err
	}
	return s, nil
}
