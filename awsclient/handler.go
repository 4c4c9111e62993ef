package awsclient

import (
	"context"
	"net/http"
)

type setKey struct{}

// WithConnectionPool gives next's requests a context from which FromContext takes set. It
// is for handlers that are far from where the Set was made.
func WithConnectionPool(set *Set, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), set)))
	})
}

// WithConnectionPoolFunc is WithConnectionPool for a handler of Lambda's form.
func WithConnectionPoolFunc[In, Out any](set *Set, next func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) { return next(NewContext(ctx, set), in) }
}

// NewContext is ctx with set in it.
func NewContext(ctx context.Context, set *Set) context.Context {
	return context.WithValue(ctx, setKey{}, set)
}

// FromContext is the Set that WithConnectionPool put there; nil where there is none.
func FromContext(ctx context.Context) *Set {
	set, _ := ctx.Value(setKey{}).(*Set)
	return set
}
