package llm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Error is the one error model of the request path. Doors encode it in the
// caller's dialect; everything else matches on Kind.
type Error struct {
	Kind Kind
	// Message says what happened, for the caller's eyes: no secrets, no prompts.
	Message string
	// Limit names the bound that was met (its configuration key) and Value its
	// value; both may be empty.
	Limit, Value string
	// Fix says what the caller can do about it; may be empty.
	Fix string
	// Param names the member or header at fault; may be empty.
	Param string
	// RetryAfter is how long to wait before another try. Zero means unknown.
	RetryAfter time.Duration
	// NoRetry says that another try at the same target is no use, whatever the kind says:
	// the target itself asked for none (x-should-retry: false), because another layer has
	// retried already, or the fault does not heal within a call, as of a certificate.
	// Other targets may be tried.
	NoRetry bool
	// Status is the HTTP status that the provider gave; 0 where there was none.
	// Doors answer with Kind.Status, or with this one for ProviderRejected.
	Status int
	// Code is the provider's own code or type, passed on to the caller; may be empty.
	Code string
	// Provider and Model say which target failed; may be empty.
	Provider, Model string
	// SupportID is the id under which logs and traces tell more; the request's id.
	SupportID string
	// Err is the cause; may be nil. It is logged, never sent to the caller.
	Err error
}

// Error gives kind, message, limit, fix and cause on one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	if text := e.Text(); text != "" {
		b.WriteString(": ")
		b.WriteString(text)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Text is what the caller reads: message, limit with its value, and what to do.
func (e *Error) Text() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Limit != "" {
		fmt.Fprintf(&b, " (%s", e.Limit)
		if e.Value != "" {
			fmt.Fprintf(&b, " = %s", e.Value)
		}
		b.WriteString(")")
	}
	if e.Fix != "" {
		if b.Len() > 0 {
			b.WriteString(". ")
		}
		b.WriteString(e.Fix)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// HTTPStatus is the status that tells the caller of this error: the provider's
// own for a request that the provider rejected, else the kind's.
func (e *Error) HTTPStatus() int {
	if (e.Kind == ProviderRejected || e.Kind == ProviderFiltered || e.Kind == ProviderContextExceeded) && e.Status >= 400 && e.Status < 500 {
		return e.Status
	}
	return e.Kind.Status()
}

// Errorf makes an Error with a formatted message. The message is what the caller
// reads; a cause goes into Err, where only logs see it.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// KindOf gives the kind of err: that of the *Error in its chain, CallerCancelled
// or CallerDeadline for the context's errors, the empty kind for nil, and
// ForebayInternal for everything else.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	return AsError(err).Kind
}

// AsError finds the *Error in err's chain, or makes one from err.
func AsError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return &Error{Kind: CallerCancelled, Message: "the caller went away", Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Kind: CallerDeadline, Message: "the call's deadline has passed", Err: err}
	}
	return &Error{Kind: ForebayInternal, Message: "internal error", Err: err}
}
