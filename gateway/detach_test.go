package gateway_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/forebay-ai/forebay/gateway"
	"github.com/forebay-ai/forebay/internal/memnet"
	"github.com/forebay-ai/forebay/llm"
	"github.com/forebay-ai/forebay/llm/llmtest"
)

// contexts is a back end that hands out the context of each call, and then does more.
func contexts(seen chan<- context.Context, then func() error) *backend {
	return newBackend(llmtest.Do(func(ctx context.Context, _ string, _ *llm.Request) (llm.Stream, error) {
		seen <- ctx
		return nil, then()
	}))
}

// memory serves g in memory behind a middleware, and asks for a stream.
func memory(t *testing.T, g *gateway.Gateway, around func(http.Handler) http.Handler) {
	t.Helper()
	l := memnet.Listen()
	ln := g.WrapListener(l)
	ln.AllowDetach()
	s := g.Server()
	s.Handler = around(g)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	c, err := l.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, post(chatPath, streamBody)) }()
	_, _ = io.ReadAll(c)
	_ = s.Close()
	<-done
	_ = ln.Drain(t.Context())
}

// A deadline that a middleware set is the call's.
func TestDeadlineOfMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan context.Context, 1)
		g := newGateway(t, contexts(seen, func() error { return &llm.Error{Kind: llm.ProviderError} }), nil)
		memory(t, g, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), time.Second)
				defer cancel()
				next.ServeHTTP(w, r.WithContext(ctx))
			})
		})
		if end, ok := (<-seen).Deadline(); !ok || time.Until(end) > time.Second {
			t.Errorf("%v, %t", end, ok)
		}
	})
}

// The context of a call ends with its request, however that ended.
func TestContextEnds(t *testing.T) {
	for name, then := range map[string]func() error{
		"error": func() error { return &llm.Error{Kind: llm.ProviderError} },
		"panic": func() error { panic("in a provider") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := make(chan context.Context, 1)
				memory(t, newGateway(t, contexts(seen, then), nil), func(next http.Handler) http.Handler { return next })
				if ctx := <-seen; ctx.Err() == nil {
					t.Error("it goes on")
				}
			})
		})
	}
}
