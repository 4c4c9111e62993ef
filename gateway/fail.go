package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/forebay-ai/forebay"
	"github.com/forebay-ai/forebay/llm"
)

// retryAdvice is what SDKs are told of another try. Their retries multiply ours,
// so the default is no.
type retryAdvice int8

const (
	// never: the same request fails again, or our own retries are used up.
	never retryAdvice = iota
	// later: waiting helps, where it is known how long and SDKs wait so long.
	later
	// again: nothing was run, and the next try may well go through.
	again
)

// maxSDKWait is the longest Retry-After that the OpenAI and Anthropic SDKs obey.
// They come back at once after a longer one, so there the advice is not to.
const maxSDKWait = time.Minute

// advice is the one table behind x-should-retry.
var advice = map[llm.Kind]retryAdvice{
	llm.CallerInvalidRequest:   never,
	llm.CallerUnauthenticated:  never,
	llm.CallerForbidden:        never,
	llm.CallerNotFound:         never,
	llm.CallerMethodNotAllowed: never,
	llm.CallerUnknownOperation: never,
	llm.CallerUnknownModel:     never,
	llm.CallerTooLarge:         never,
	llm.CallerTooSlow:          again,
	llm.CallerUnsupportedMedia: never,
	llm.CallerConflict:         never,
	llm.CallerDeadline:         never,
	llm.CallerCancelled:        never,
	llm.CallerNotCached:        never,

	llm.PolicyOverloaded:     later,
	llm.PolicyRateLimited:    later,
	llm.PolicyBudgetExceeded: later,
	llm.PolicyBlocked:        never,
	llm.PolicyBreakerOpen:    later,
	llm.PolicyResidency:      never,

	llm.ProviderRateLimited:      never, // it was tried again already, as far as the budgets allow
	llm.ProviderOverloaded:       never,
	llm.ProviderError:            never,
	llm.ProviderTimeout:          never,
	llm.ProviderConnectionFailed: never,
	llm.ProviderTruncated:        never,
	llm.ProviderMalformed:        never,
	llm.ProviderAuthFailed:       never,
	llm.ProviderQuotaExceeded:    never,
	llm.ProviderRejected:         never,
	llm.ProviderFiltered:         never,
	llm.ProviderContextExceeded:  never,

	llm.ForebayInternal:    never,
	llm.ForebayUnavailable: later,
	llm.ForebayDraining:    again,
}

// shouldRetry says whether an SDK should send the request again by itself.
func shouldRetry(e *llm.Error) bool {
	switch advice[e.Kind] {
	case again:
		return true
	case later:
		return e.RetryAfter > 0 && e.RetryAfter <= maxSDKWait
	}
	return false
}

// fail answers with err. It is the one place where errors become answers.
func (x *visit) fail(err error) {
	e := *llm.AsError(err)
	if e.SupportID == "" {
		e.SupportID = x.id
	}
	x.kind = e.Kind
	if meta := forebay.MetaOf(err); meta != (forebay.Meta{}) {
		x.meta, x.called, x.costKnown = meta, true, true
	}
	if e.Kind == llm.ForebayInternal {
		x.gateway.log.LogAttrs(context.Background(), slog.LevelError, "internal error",
			slog.String("request_id", x.id), slog.Any("error", err))
	}
	if x.status != 0 {
		x.cut = true
		return
	}
	retryHeaders(x.set, &e)
	switch e.Kind {
	case llm.CallerUnauthenticated:
		x.set("Www-Authenticate", `Bearer realm="forebay"`)
	case llm.CallerTooLarge, llm.CallerTooSlow:
		if x.r.ProtoMajor < 2 { // there it would end the other streams' connection
			x.set("Connection", "close") // the rest of the body is not wanted
		}
	}
	status, contentType, body := x.style.failure(x, &e)
	_ = x.answer(status, contentType, body)
}

// retryHeaders sets what tells a client whether and when to come back.
func retryHeaders(set func(name, value string), e *llm.Error) {
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		set("Retry-After", strconv.FormatInt(int64(seconds), 10))
		millis := (e.RetryAfter + time.Millisecond - 1) / time.Millisecond
		set("Retry-After-Ms", strconv.FormatInt(int64(millis), 10))
	}
	set("X-Should-Retry", strconv.FormatBool(shouldRetry(e)))
}

// panicked turns a panic of a handler into an answer, or into a cut connection
// where the answer has begun. It does nothing where there was none, or one that only
// breaks the connection.
func (x *visit) panicked(p any) {
	if p == nil || p == http.ErrAbortHandler { //nolint:errorlint // the very value is what net/http compares
		return
	}
	x.gateway.log.LogAttrs(context.Background(), slog.LevelError, "panic in a handler",
		slog.String("request_id", x.id), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	x.fail(&llm.Error{
		Kind: llm.ForebayInternal, Message: "the gateway failed to answer this request",
		Fix: "Report it with the support id " + x.id + ".", SupportID: x.id,
	})
}
