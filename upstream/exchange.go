package upstream

import (
	"context"

	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/route"
)

// Exchange is an HTTP exchange of a provider's own dialect that is passed through
// unread: no cache, no queue, no fallback.
type Exchange struct {
	// Path is below the provider's base URL, such as /chat/completions.
	Method, Path, Query string
	Body                []byte
	// Residency is the area that it must not leave, beside that of the default operation.
	Residency string
}

// ExchangeAnswer is the provider's answer to an Exchange.
type ExchangeAnswer struct {
	Status      int
	ContentType string
	Body        []byte
}

// forwarder is what Forward needs of a provider.
type forwarder interface {
	Forward(ctx context.Context, method, path, rawQuery string, body []byte) (status int, contentType string, answer []byte, err error)
}

// Forward passes x to the first of targets inside area whose provider can carry it. The
// error is an *llm.Error.
func Forward(ctx context.Context, targets []*Target, area string, x Exchange) (ExchangeAnswer, error) {
	for _, t := range targets {
		if f, ok := t.Backend.(forwarder); ok && route.Allowed(area, t.Place.Residency) {
			status, contentType, body, err := f.Forward(ctx, x.Method, x.Path, x.Query, x.Body)
			return ExchangeAnswer{Status: status, ContentType: contentType, Body: body}, err
		}
	}
	return ExchangeAnswer{}, &llm.Error{
		Kind:    llm.CallerNotFound,
		Message: "no provider of this gateway keeps stored answers",
		Fix:     "Ask the provider itself, or configure a provider of type openai for the model \"*\".",
	}
}
